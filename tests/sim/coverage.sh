#!/usr/bin/env bash
# Which lines and branches of the deciding files the histories reach, and which never.
#   coverage.sh BUILD_DIRECTORY SEEDS SOURCE...     the directory holds a simulator that was built with --coverage
set -euo pipefail

build=$1 seeds=$2
shift 2
find "$build" -name '*.gcda' -delete
"$build/sim" --seeds "$seeds" || echo "(some histories failed: what they reached counts all the same)"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# gcov's text has one line per source line: "  count:number:text", ##### where nobody came; its standard output has the shares.
for source in "$@"; do
	object=$build/obj/${source%.c}
	if [ ! -e "$object.gcda" ]; then
		printf '%-44s never reached at all\n' "$source"
		continue
	fi
	gcov -b -o "$object.gcno" -t "$source" >"$out/lines" 2>/dev/null
	awk -v source="$source" '
		/^ *-: *0:Source:/ { here = ($0 ~ ":" source "$") } # headers have parts of their own
		!here { next }
		/^branch/ { branches++; if (/taken 0%/ || /never executed/) missed_branches++ }
		/^ *[0-9]+\*?:|^ *#####:|^ *=====:/ { split($0, part, ":"); if (part[2] + 0 > 0) { lines++; if (part[1] ~ /#|=/) missed[++count] = $0 } }
		END {
			printf "%-44s lines %5.1f %% of %d, branches %5.1f %% of %d\n", source, lines ? 100 * (lines - count) / lines : 0, lines,
				branches ? 100 * (branches - missed_branches) / branches : 0, branches
			for (i = 1; i <= count; i++) { sub(/^ *[#=]+: */, "    ", missed[i]); print missed[i] }
		}' "$out/lines"
done
