#!/usr/bin/env bash
# Lays out a laboratory: CA, certificates, keys, configuration files and a topology for sites on this machine, in one
# directory. Starts nothing. Run again it keeps what is there. The demo and the integration tests stand on it.
#
#   make-lab.sh DIR PORT_BASE [SITE:MEMBERS ...]        (default: ams:2 fra:2)
#
# Ports: BASE coordinator, +2 its health; site n (from 1), member m (from 1): BASE+10n+m PostgreSQL... see ports().
# Environment: BIN (directory of the programs), PG_BIN, OS_USER, TTL, STOP_TIME.
set -euo pipefail

dir=$1 base=$2
shift 2
sites=("${@:-ams:2}")
[ $# -gt 0 ] || sites=(ams:2 fra:2)
here=$(cd "$(dirname "$0")" && pwd)
bin=${BIN:-$here/../../build/bin}
pg_bin=${PG_BIN:-/usr/lib/postgresql/15/bin}
if [ "$(id -u)" = 0 ]; then os_user=${OS_USER:-postgres}; else os_user=$(id -un); fi
ttl=${TTL:-10s} stop_time=${STOP_TIME:-4s}

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
chmod 711 "$dir"
mkdir -p "$dir/tls" "$dir/keys"
chmod 711 "$dir/tls"
chmod 700 "$dir/keys"

# PostgreSQL of site n, member m: BASE + 10n + m (status example: fra-1 at 7421); agents +100, health +200
ports() { pg_port=$((base + 10 * $1 + $2)) agent_port=$((base + 100 + 10 * $1 + $2)) health_port=$((base + 200 + 10 * $1 + $2)); }

make_ca() {
	[ -s "$dir/tls/ca.crt" ] && return
	openssl ecparam -genkey -name prime256v1 -noout -out "$dir/tls/ca.key" 2>/dev/null
	openssl req -x509 -new -key "$dir/tls/ca.key" -sha256 -days 3650 -subj "/CN=pgregent lab CA" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -out "$dir/tls/ca.crt" 2>/dev/null
	chmod 600 "$dir/tls/ca.key"
	chmod 644 "$dir/tls/ca.crt"
}

# make_cert NAME COMMON-NAME SAN
make_cert() {
	[ -s "$dir/tls/$1.crt" ] && return
	openssl ecparam -genkey -name prime256v1 -noout -out "$dir/tls/$1.key" 2>/dev/null
	openssl req -new -key "$dir/tls/$1.key" -subj "/CN=$2" -out "$dir/tls/$1.csr" 2>/dev/null
	openssl x509 -req -in "$dir/tls/$1.csr" -CA "$dir/tls/ca.crt" -CAkey "$dir/tls/ca.key" -CAcreateserial -sha256 -days 825 \
		-extfile <(printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=%s\n' "$3") \
		-out "$dir/tls/$1.crt" 2>/dev/null
	rm -f "$dir/tls/$1.csr"
	chmod 600 "$dir/tls/$1.key"
	chmod 644 "$dir/tls/$1.crt"
}

# make_key NAME -> keys/NAME.ed25519; prints nothing. public NAME prints the public half
make_key() { [ -s "$dir/keys/$1.ed25519" ] || "$bin/pgregent" key generate "$dir/keys/$1.ed25519" >/dev/null 2>"$dir/keys/error" || { cat "$dir/keys/error" >&2; exit 1; }; }
public() { "$bin/pgregent" key show "$dir/keys/$1.ed25519" 2>/dev/null | grep -o 'ed25519:[A-Za-z0-9+/=]*' | head -n 1; }

write_agent() { # SITE MEMBER
	local state="$dir/$1/$2"
	mkdir -p "$state"
	chmod 711 "$dir/$1" "$state"
	[ "$(id -u)" != 0 ] || chown "$os_user" "$state"
	cat >"$state/agent.yaml" <<-YAML
		cluster: orders
		site: $1
		member: $2
		coordinators: ["https://127.0.0.1:$base"]
		state_dir: $state/state
		listen: "127.0.0.1:$agent_port"
		health: {listen: "127.0.0.1:$health_port", tls: off}
		tls: {ca: $dir/tls/ca.crt, certificate: $dir/tls/$2.crt, key: $dir/tls/$2.key}
		signing_key: $dir/keys/$2.ed25519
		trust: {operators: ["$(public alice)"]}
		postgresql: {bin_dir: $pg_bin, os_user: $os_user, log: $state}
		replication: {certificate: $dir/tls/$2-replication.crt, key: $dir/tls/$2-replication.key}
	YAML
}

write_coordinator() {
	mkdir -p "$dir/coordinator"
	cat >"$dir/coordinator/coordinator.yaml" <<-YAML
		name: par
		listen: "127.0.0.1:$base"
		health: {listen: "127.0.0.1:$((base + 2))"}
		store: {embedded: $dir/coordinator/store}
		tls: {ca: $dir/tls/ca.crt, certificate: $dir/tls/coordinator.crt, key: $dir/tls/coordinator.key}
		signing_key: $dir/keys/par.ed25519
		trust: {operators: ["$(public alice)"]}
	YAML
}

write_command() {
	cat >"$dir/pgregent.yaml" <<-YAML
		coordinators: ["https://127.0.0.1:$base"]
		tls: {ca: $dir/tls/ca.crt, certificate: $dir/tls/alice.crt, key: $dir/tls/alice.key}
		operator: alice
		operator_key: $dir/keys/alice.ed25519
	YAML
}

write_topology() {
	local n=0 m site count
	{
		cat <<-YAML
			format: 1
			cluster: orders
			initial_primary: ${sites[0]%%:*}
			postgresql:
			  version: 15
			  parameters: {max_connections: 100, shared_buffers: 32MB, max_wal_size: 256MB, log_connections: "on", log_replication_commands: "on"}
			  pg_hba: ["hostssl all all 127.0.0.1/32 scram-sha-256"]
			local: {ttl: $ttl, stop_time: $stop_time}
			protection: max_performance
			failover: {mode: manual, reinstate: manual, on_isolated_start: wait}
			sites:
		YAML
		for site in "${sites[@]}"; do
			n=$((n + 1)) count=${site##*:} site=${site%%:*}
			printf '  %s:\n    store: {embedded: %s/%s/store}\n' "$site" "$dir" "$site"
			[ "$n" = 1 ] || printf '    standby_cluster: {create_replica_methods: [basebackup]}\n'
			printf '    members:\n'
			for m in $(seq "$count"); do
				ports "$n" "$m"
				printf '      %s-%s: {address: "127.0.0.1:%s", agent: "127.0.0.1:%s", key: "%s", postgresql: {data_dir: %s/%s/%s-%s/data}}\n' \
					"$site" "$m" "$pg_port" "$agent_port" "$(public "$site-$m")" "$dir" "$site" "$site" "$m"
			done
		done
		printf 'coordinators: {par: {address: "127.0.0.1:%s", key: "%s"}}\n' "$base" "$(public par)"
		printf 'keys:\n  operators:\n    alice: {key: "%s", may: [all]}\n    bob: {key: "%s", may: [all]}\n' "$(public alice)" "$(public bob)"
	} >"$dir/topology.yaml"
}

make_ca
for key in alice bob par; do make_key "$key"; done
make_cert alice alice "URI:pgregent://orders/operator/alice"
make_cert coordinator par "URI:pgregent://orders/coordinator/par,IP:127.0.0.1"
n=0
for site in "${sites[@]}"; do
	n=$((n + 1)) count=${site##*:} site=${site%%:*}
	for m in $(seq "$count"); do
		ports "$n" "$m"
		make_key "$site-$m"
		make_cert "$site-$m" "$site-$m" "URI:pgregent://orders/$site/$site-$m,IP:127.0.0.1"
		make_cert "$site-$m-replication" pgregent_repl "IP:127.0.0.1"
		[ "$(id -u)" != 0 ] || chown "$os_user" "$dir/tls/$site-$m-replication.key"
		write_agent "$site" "$site-$m"
	done
done
write_coordinator
write_command
[ -s "$dir/topology.yaml" ] || write_topology
