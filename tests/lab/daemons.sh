# Sourced: daemons of a laboratory as processes that are remembered by pid and start time, so that a later run or a stop
# never takes a stranger's process for one of ours. Wants $dir (the laboratory) and $bin.

started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; } # field 22, counted behind the name

# alive NAME: the process in run/NAME.pid still is the one that was started; sets $pid
alive() {
	local at
	pid=0
	[ -s "$dir/run/$1.pid" ] || return 1
	read -r pid at <"$dir/run/$1.pid"
	[ -n "$at" ] && [ "$(started_at "$pid")" = "$at" ]
}

# start NAME LOG COMMAND...: detached, in a session of its own, logging to LOG
start() {
	local name=$1 log=$2
	shift 2
	alive "$name" && return
	mkdir -p "$dir/run"
	setsid "$@" </dev/null >>"$log" 2>&1 &
	echo "$! $(started_at $!)" >"$dir/run/$name.pid"
}

# wait_gone SECONDS PID...: true when all have ended
wait_gone() {
	local until=$((SECONDS + $1)) pid
	shift
	for pid in "$@"; do
		while [ -e "/proc/$pid" ] && [ "$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2>/dev/null)" != Z ]; do
			[ $SECONDS -lt $until ] || return 1
			sleep 0.1
		done
	done
}

# members: SITE MEMBER lines, from the configuration files that the laboratory has
members() {
	local file rest
	for file in "$dir"/*/*/agent.yaml; do
		[ -e "$file" ] || continue
		rest=${file#"$dir"/} rest=${rest%/agent.yaml}
		echo "${rest%/*} ${rest#*/}"
	done
}

start_coordinator() { start coordinator "$dir/coordinator/coordinator.log" "$bin/pgregent-coordinator" --config "$dir/coordinator/coordinator.yaml"; }
start_agent() { start "$2" "$dir/$1/$2/agent.log" "$bin/pgregent-agent" --config "$dir/$1/$2/agent.yaml"; } # SITE MEMBER

# postmaster SITE MEMBER: its pid, proved by its working directory
postmaster() {
	local data="$dir/$1/$2/data" pid
	pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null) || return 0
	[ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$data" ] && echo "$pid"
	return 0
}

# deadman SITE MEMBER: its pid, from its lock, proved by the state directory on its command line
deadman() {
	local state="$dir/$1/$2/state" pid
	pid=$(cat "$state/deadman.lock" 2>/dev/null) || return 0
	[ -r "/proc/${pid:-none}/cmdline" ] && { tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF -- "$state"; } 2>/dev/null && echo "$pid"
	return 0
}

# stop_all: agents and coordinator first (they would start what is stopped), then PostgreSQL, then its dead-men
stop_all() {
	local name site member pids=()
	for name in coordinator $(members | cut -d' ' -f2); do
		alive "$name" && kill -TERM "$pid" && pids+=("$pid")
	done
	wait_gone 15 "${pids[@]}" || { kill -KILL "${pids[@]}" 2>/dev/null; wait_gone 5 "${pids[@]}"; } || true
	pids=()
	while read -r site member; do pids+=($(postmaster "$site" "$member")); done < <(members)
	[ ${#pids[@]} = 0 ] || kill -INT "${pids[@]}" 2>/dev/null || true
	wait_gone 20 "${pids[@]}" || kill -QUIT "${pids[@]}" 2>/dev/null || true
	wait_gone 10 "${pids[@]}" || true
	pids=()
	while read -r site member; do pids+=($(deadman "$site" "$member")); done < <(members)
	[ ${#pids[@]} = 0 ] || kill -TERM "${pids[@]}" 2>/dev/null || true
	wait_gone 10 "${pids[@]}" || { kill -KILL "${pids[@]}" 2>/dev/null; wait_gone 5 "${pids[@]}"; }
	rm -f "$dir"/run/*.pid
}
