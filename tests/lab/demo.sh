#!/usr/bin/env bash
# The demonstration: two sites of two members each on this machine, real PostgreSQL, TLS, keys, a coordinator; then a
# switchover under write load. `demo.sh start` builds up what is missing and keeps what runs; `demo.sh stop` ends just
# that, with DEMO_WIPE=1 its data too. Environment: DEMO_DIR, DEMO_PORT_BASE, BIN (programs), PG_BIN, TOOLS (writer).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$here/../.." && pwd)/build
export BIN=${BIN:-$build/bin} PG_BIN=${PG_BIN:-/usr/lib/postgresql/15/bin}
bin=$(cd "$BIN" && pwd)
tools=${TOOLS:-$build/tests/tools}
base=${DEMO_PORT_BASE:-7400}
dir=${DEMO_DIR:-$build/demo}
. "$here/daemons.sh"

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }
shown() { printf '$ %s\n' "$*"; "$@"; }
pgregent() { command "$bin/pgregent" -c "$dir/pgregent.yaml" "$@"; }
status() { pgregent status orders -o json 2>/dev/null | tr -d ' \n'; }

# Root's PostgreSQL runs as postgres, who has to reach the directory, and the programs stay root's business.
choose_directory() {
	mkdir -p "$dir" && dir=$(cd "$dir" && pwd)
	if [ "$(id -u)" = 0 ] && ! setpriv --reuid=postgres --regid=postgres --init-groups test -x "$dir" 2>/dev/null; then
		rmdir "$dir" 2>/dev/null || true
		dir=/var/tmp/pgregent-demo
		echo "demo: the user postgres cannot reach ${DEMO_DIR:-$build/demo}: using $dir"
		mkdir -p "$dir"
	fi
	[ ${#dir} -le 60 ] || fail "DEMO_DIR=$dir is too long for Unix sockets in it: choose a path of at most 60 bytes"
}

# until_true SECONDS WHAT COMMAND...: asks again until COMMAND is true
until_true() {
	local until=$((SECONDS + $1)) what=$2
	shift 2
	while ! "$@"; do
		[ $SECONDS -lt $until ] || fail "$what: not within the time; look at $dir/*/*/agent.log, $dir/coordinator/coordinator.log"
		sleep 0.2
	done
}

answers() { curl -sf -o /dev/null "http://127.0.0.1:$((base + 2))/health"; }
count() { { grep -o -- "$1" || true; } <<<"$2" | wc -l; }
field() { sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p" <<<"$2"; }

# One primary that writes, three that stream from somebody, nothing under way.
healthy() {
	local now
	now=$(status) || return 1
	[ "$(count '"state":"streaming"' "$now")" = 3 ] && [ "$(count '"role":"primary","state":"running"' "$now")" = 1 ] &&
		[ "$(count '"writable":true' "$now")" -ge 1 ] && [ "$(count '"operation":null' "$now")" -ge 1 ]
}
ready() { pgregent switchover orders --to "$1" --dry-run >/dev/null 2>&1; } # SITE: slots and all
primary_site() { field primary_site "$(status | sed 's/"sites":.*//')"; }
primary_member() { field primary_member "$(status | sed 's/"sites":.*//')"; }

port_of() { # MEMBER
	case $1 in ams-*) echo $((base + 10 + ${1#ams-})) ;; fra-*) echo $((base + 20 + ${1#fra-})) ;; esac
}

# The demo's user and database, made over the primary's local socket; a random password, kept in $dir/pgpass.
make_user() {
	local member password
	member=$(primary_member)
	[ -s "$dir/pgpass" ] || (umask 077 && printf '127.0.0.1:*:*:demo:%s\n' "$(openssl rand -hex 16)" >"$dir/pgpass")
	password=$(sed 's/.*://' "$dir/pgpass")
	local psql=("$PG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$dir/${member%-*}/$member/state/run" -p "$(port_of "$member")" -U postgres -d postgres)
	[ "$("${psql[@]}" -c "SELECT count(*) FROM pg_roles WHERE rolname = 'demo'")" = 1 ] || "${psql[@]}" -c "CREATE ROLE demo LOGIN"
	"${psql[@]}" <<<"ALTER ROLE demo PASSWORD '$password'"
	[ "$("${psql[@]}" -c "SELECT count(*) FROM pg_database WHERE datname = 'demo'")" = 1 ] || "${psql[@]}" -c "CREATE DATABASE demo OWNER demo"
}

write_environment() {
	local hosts=127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1
	local ports=$((base + 11)),$((base + 12)),$((base + 21)),$((base + 22))
	cat >"$dir/demo.env" <<-ENV
		export PATH="$bin:$tools:$PG_BIN:\$PATH"
		export PGREGENT_CONFIG="$dir/pgregent.yaml"
		export PGPASSFILE="$dir/pgpass"
		export PGUSER=demo
		export PGDATABASE=demo
		export WRITER_CONNINFO="host=$hosts port=$ports user=demo dbname=demo sslmode=verify-full sslrootcert=$dir/tls/ca.crt connect_timeout=2 target_session_attrs=read-write"
	ENV
}

build_up() {
	local site member
	say "certificates, keys, configuration, topology: $dir"
	"$here/make-lab.sh" "$dir" "$base"
	say "coordinator and agents"
	start_coordinator
	while read -r site member; do start_agent "$site" "$member"; done < <(members)
	until_true 20 "the coordinator answers on port $((base + 2))" answers
	until_true 20 "the coordinator answers the command" no_error
	if [ -n "$(primary_site)" ]; then
		echo "the cluster is there already"
	else
		say "the first topology is signed and given to the coordinator; it makes the primary site, then the standby site"
		shown pgregent apply "$dir/topology.yaml" --create --yes --reason "demo"
	fi
	until_true 120 "two sites of two members, streaming" healthy
	shown pgregent status
}
no_error() { pgregent status >/dev/null 2>&1; }

# The switchover under load, measured by the clients that write.
show_switchover() {
	local from to writer
	from=$(primary_site)
	to=fra
	[ "$from" != fra ] || to=ams
	say "switchover from $from to $to, while four clients write"
	. "$dir/demo.env"
	rm -f "$dir/rows" "$dir/writer.out"
	"$tools/writer" run --conninfo "$WRITER_CONNINFO" --clients 4 --out "$dir/rows" >"$dir/writer.out" 2>&1 &
	writer=$!
	until_true 10 "clients write" test -s "$dir/rows"
	until_true 30 "everything stands for a move to $to" ready "$to"
	shown pgregent switchover orders --to "$to" --yes --reason "demo" || { kill "$writer"; fail "the switchover did not go through"; }
	until_true 60 "everybody follows $to" healthy
	kill -TERM "$writer"
	wait "$writer" || fail "the writing clients: $(cat "$dir/writer.out")"
	"$tools/writer" check --conninfo "$WRITER_CONNINFO" --in "$dir/rows" >"$dir/check.out" || fail "rows are not as they were acknowledged: $(cat "$dir/check.out")"
	shown pgregent status
	say "measured by the clients"
	printf 'longest time without an acknowledged commit: %s ms\n' "$(sed -n 's/.*"longest_gap_ms": \([0-9.]*\).*/\1/p' "$dir/writer.out")"
	printf 'rows acknowledged: %s, lost: %s, twice: %s\n' "$(number acknowledged)" "$(number missing)" "$(number twice)"
}
number() { sed -n "s/.*\"$1\": \\([0-9]*\\).*/\\1/p" "$dir/check.out"; }

what_next() {
	cat <<-NEXT

		== it runs on; try
		  . $dir/demo.env
		  pgregent status -w
		  pgregent explain orders
		  pgregent switchover orders --to $([ "$(primary_site)" = ams ] && echo fra || echo ams) --reason "just to see"
		  psql "\$WRITER_CONNINFO"
		  curl -s http://127.0.0.1:$((base + 211))/patroni
		  make demo-stop              # DEMO_WIPE=1 removes the data too
	NEXT
}

case ${1:-start} in
start)
	choose_directory
	build_up
	make_user
	write_environment
	show_switchover
	what_next
	;;
stop)
	[ -d "$dir/run" ] || [ "$(id -u)" != 0 ] || dir=/var/tmp/pgregent-demo
	[ -d "$dir" ] || { echo "no demo in $dir"; exit 0; }
	dir=$(cd "$dir" && pwd)
	stop_all
	[ "${DEMO_WIPE:-0}" != 1 ] || rm -rf "$dir"
	echo "the demo in $dir is stopped"
	;;
*) fail "usage: demo.sh start|stop" ;;
esac
