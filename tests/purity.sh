#!/usr/bin/env bash
# The decide/ archives are pure, proved by the linker's own table: with the pure part of the wire layer they call, they
# need nothing (sanitizers apart) but their own symbols and a short list that neither allocates nor looks at the world.
#   purity.sh BUILD-DIRECTORY
set -uo pipefail
build=${1:-build}
allowed='^(memcpy|memmove|memset|memcmp|strlen|strcmp|snprintf|__(memcpy|memmove|memset|snprintf)_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan)_.*)$'
pure_wire='epoch lease vote request order order_judge order_closure lineage'
status=0

# needs FILE...: symbols that the files use and do not define
needs() {
	comm -23 <(nm -u "$@" | awk 'NF==2 {print $2}' | sort -u) <(nm --defined-only "$@" | awk 'NF==3 {print $3}' | sort -u)
}

wire=()
for name in $pure_wire; do wire+=("$build/obj/proto/wire/$name.o"); done
for archive in "$build"/lib/*decide*.a; do
	foreign=$(needs "$archive" "${wire[@]}" | grep -Ev "$allowed" || true)
	if [ -n "$foreign" ]; then
		printf 'FAILED  purity of %s: %s\n' "${archive##*/}" "$(tr '\n' ' ' <<<"$foreign")"
		status=1
	else
		printf 'ok      purity of %s\n' "${archive##*/}"
	fi
done
exit $status
