#!/usr/bin/env bash
# Runs tests and ends with one line: N passed, N failed, N skipped.
#   run.sh check   unit and golden tests, some simulated histories; no server of ours needed (some start a PostgreSQL of their own)
#   run.sh test    these, more histories, and the integration tests with a sample of the long sweeps
#   run.sh long    everything
# BUILD names the build directory; KEEP=1 keeps the laboratories of failed integration tests.
set -uo pipefail

cd "$(dirname "$0")/.."
what=${1:-check} build=${BUILD:-build}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
passed=0 failed=0 skipped=0

# one_program PROGRAM: its output to a file named after it, with the exit code as last line
one_program() {
	local log
	log="$2/$(tr / _ <<<"${1#*/tests/unit/}")"
	timeout 600 "$1" >"$log" 2>&1
	echo "exit $?" >>"$log"
}
export -f one_program

# A program that dies without its count is one failure.
count_program() {
	local name=${1##*/} ok bad left
	ok=$(grep -c '^\[ *OK *\]' "$1") bad=$(grep -c '^\[ *FAILED *\] [a-z_]' "$1") left=$(grep -c '^\[ *SKIPPED *\] [a-z_]' "$1")
	# cmocka names failures and skips twice: as they happen, and in its summary
	bad=$(((bad + 1) / 2)) left=$(((left + 1) / 2))
	if [ "$(tail -n 1 "$1")" = "exit 0" ]; then
		printf 'ok      %s (%s)\n' "$name" "$ok"
	else
		[ "$bad" -gt 0 ] || bad=1
		printf 'FAILED  %s\n' "$name"
		grep -v '^\[ *\(OK\|RUN\) *\]' "$1" | tail -n 60
	fi
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + left))
}

run_units() {
	# by their sources: a program whose source is gone is no test any more
	printf '%s\n' tests/unit/*/test_*.c | sed "s|^|$build/|; s|\.c$||" | xargs -P "$(nproc)" -I PROGRAM bash -c 'one_program PROGRAM '"$out"
	for log in "$out"/*; do count_program "$log"; done
}

# pytest's own last line is where its counts are: "3 passed, 1 failed, 2 skipped in 8.12s"
run_integration() {
	local log="$out.integration" summary
	/usr/bin/python3 -m pytest -p no:cacheprovider -ra --tb=short tests/integration 2>&1 | tee "$log"
	summary=$(grep -E '(passed|failed|error|skipped).* in [0-9.]+s' "$log" | tail -n 1)
	rm -f "$log"
	[ -n "$summary" ] || { failed=$((failed + 1)); return; }
	passed=$((passed + $(counted "$summary" passed)))
	failed=$((failed + $(counted "$summary" failed) + $(counted "$summary" error)))
	skipped=$((skipped + $(counted "$summary" skipped)))
}
counted() { { grep -oE "[0-9]+ $2" <<<"$1" || echo 0; } | head -n 1 | cut -d' ' -f1; }

# Each archive of decisions counts as one test.
run_purity() {
	local log="$out.purity"
	tests/purity.sh "$build" | tee "$log"
	passed=$((passed + $(grep -c '^ok' "$log"))) failed=$((failed + $(grep -c '^FAILED' "$log")))
	rm -f "$log"
}

# A program whose last line is "N passed, N failed".
counting() {
	local log="$out.counting" summary
	"$@" 2>&1 | tee "$log"
	summary=$(tail -n 1 "$log")
	rm -f "$log"
	case $summary in
	*' passed, '*' failed') passed=$((passed + $(counted "$summary" passed))) failed=$((failed + $(counted "$summary" failed))) ;;
	*) echo "FAILED  $1 ended without its count" && failed=$((failed + 1)) ;;
	esac
}

# A campaign of the simulator counts as one test. What it prints says how to replay a failure.
campaign() {
	local log="$out.campaign"
	if "$build/sim/sim" "$@" >"$log" 2>&1; then
		printf 'ok      sim %s: %s\n' "$*" "$(tail -n 1 "$log")"
		passed=$((passed + 1))
	else
		printf 'FAILED  sim %s\n' "$*"
		grep -E '^(seed|script|FAILED|FORKED)|failed' "$log" | tail -n 40
		failed=$((failed + 1))
	fi
	rm -f "$log"
}

# Mistakes that do not fit the code any more would not be looked for.
fitting() {
	local log="$out.fitting"
	if tests/sim/mutate.py --list >"$log"; then
		printf 'ok      %d mistakes fit the code\n' "$(wc -l <"$log")"
		passed=$((passed + 1))
	else
		printf 'FAILED  tests/sim/mutations.txt\n'
		grep 'DOES NOT FIT' "$log"
		failed=$((failed + 1))
	fi
	rm -f "$log"
}

# The rules on paper, kept stories, histories that nobody has seen yet (by the day), and mistakes that must be found.
run_simulations() {
	local day
	day=$(($(date +%s) / 86400))
	if [ "$what" = long ]; then
		counting "$build/tests/paper" --long
	else
		counting "$build/tests/paper"
	fi
	counting "$build/sim/sim" --stories tests/sim/stories
	fitting
	case $what in
	check) campaign --seeds 200 ;;
	test)
		campaign --seeds 500
		campaign --seeds 500 --from $((day * 1000000))
		campaign --twice 10 --from $((day * 1000000))
		campaign --sweep 41 --from $((day % 41))
		BUILD=$build counting tests/sim/mutate.py --within 500 --sample 4 --rotate "$day"
		;;
	long)
		campaign --seeds 10000
		campaign --seeds 10000 --from $((day * 1000000))
		campaign --twice 300
		campaign --sweep 1
		BUILD=$build counting tests/sim/mutate.py
		;;
	esac
}

run_units
run_purity
run_simulations
case $what in
test) run_integration ;;
long) PGREGENT_TEST_LONG=1 run_integration ;;
esac
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]
