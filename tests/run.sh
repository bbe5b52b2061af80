#!/bin/sh
# Run every test there is and count: unit, sim, fuzz seeds, system.
#
#	BUILD=build [PB_WRAP="valgrind ..."] tests/run.sh [NAME...]
#
# A failure is collected and the run goes on.  With NAMEs only the programs
# and system tests whose path contains one of them run.  Environment:
#   PB_WRAP      put before each unit, sim and fuzz program and each daemon
#   PB_CAPTURES  public captures (../shared/captures); absent: those skip
#   PB_SLOW      factor on the patience of the system tests
#   PB_KILLS     rounds of kill -9 (10); PB_SEED repeats a random run
#   PB_JOBS      system tests that run side by side (2): mostly they wait
# The last line is `N passed, N failed, N skipped`: cmocka tests and system
# tests one by one.  A program that dies, leaks or will not run its seeds is
# one failure more.  Status 0 only when nothing failed.
set -u

cd "$(dirname "$0")/.." || exit 2
BUILD=${BUILD:-build}
export BUILD
PB_WRAP=${PB_WRAP:-}
export PB_WRAP
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export ASAN_OPTIONS UBSAN_OPTIONS
PROGRAM_SECONDS_MAX=900		# of one unit, sim or fuzz program
SYSTEM_SECONDS_MAX=1800		# of one file; it stops itself much earlier

log=$(mktemp -d) || exit 2
child=
passed=0 failed=0 skipped=0
bad=

finish()
{
	[ -z "$child" ] || kill "$child" 2>/dev/null
	[ -z "$child" ] || wait "$child" 2>/dev/null
	rm -rf "$log"
}
trap finish EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

fail()			# NAME WHY
{
	bad="$bad
  $1: $2"
}

wanted()		# PATH NAME...
{
	[ $# -gt 1 ] || return 0
	path=$1
	shift
	for name; do
		case $path in *"$name"*) return 0 ;; esac
	done
	return 1
}

# Run in the background so that a signal reaches us at once; status in $rc.
run()			# OUTPUT COMMAND...
{
	out=$1
	shift
	"$@" >"$out" 2>&1 </dev/null &
	child=$!
	wait "$child"
	rc=$?
	child=
}

# The sum of the numbers in cmocka's lines of this kind, e.g. "PASSED".
cmocka_sum()		# KIND FILE
{
	sed -n "s/^\[  $1 *\] \([0-9][0-9]*\) test(s).*/\1/p" "$2" |
	    awk '{ n += $1 } END { print n + 0 }'
}

cmocka_program()	# PROGRAM
{
	# shellcheck disable=SC2086
	run "$log/out" timeout -k 10 "$PROGRAM_SECONDS_MAX" $PB_WRAP "$1"
	p=$(cmocka_sum PASSED "$log/out")
	f=$(cmocka_sum FAILED "$log/out")
	s=$(cmocka_sum SKIPPED "$log/out")
	if [ "$rc" -ne 0 ] || [ "$f" -ne 0 ]; then
		cat "$log/out"
		[ "$f" -gt 0 ] || f=1
		fail "$1" "status $rc"
	elif [ $((p + s)) -eq 0 ]; then
		echo "no test ran"
		f=1
		fail "$1" "no test ran"
	else
		grep -E '^\[(==========|  (PASSED|SKIPPED) *)\] [0-9]+ test' \
		    "$log/out"
		grep -E '^\[  SKIPPED \] [^0-9]' "$log/out"
	fi
	passed=$((passed + p)) failed=$((failed + f))
	skipped=$((skipped + s))
}

fuzz_program()		# PROGRAM
{
	target=${1##*/}
	set -- "$1" tests/fuzz/seeds/"${target#fuzz_}"/*
	[ -e "$2" ] || set -- "$1" tests/fuzz/seeds/"$target"/*
	if [ ! -e "$2" ]; then
		echo "no seeds"
		failed=$((failed + 1))
		fail "$1" "no seeds"
		return
	fi
	# shellcheck disable=SC2086
	run "$log/out" timeout -k 10 "$PROGRAM_SECONDS_MAX" $PB_WRAP "$@"
	if [ "$rc" -ne 0 ]; then
		cat "$log/out"
		failed=$((failed + 1))
		fail "$1" "status $rc on its seeds"
	else
		echo "$(($# - 1)) seeds survived"
	fi
}

system_tests()		# FILE...
{
	run "$log/system" python3 -B tests/system/together.py \
	    "${PB_JOBS:-2}" "$SYSTEM_SECONDS_MAX" "$@"
	[ "$rc" -eq 0 ] || echo "not ok system tests: status $rc" >>"$log/system"
	cat "$log/system"
	passed=$((passed + $(grep -c '^ok ' "$log/system")))
	f=$(grep -c '^not ok ' "$log/system")
	failed=$((failed + f))
	skipped=$((skipped + $(grep -c '^skip ' "$log/system")))
	[ "$f" -eq 0 ] || bad="$bad
$(sed -n 's/^not ok /  /p' "$log/system")"
}

for source in tests/unit/test_*.c tests/sim/test_*.c; do
	[ -e "$source" ] && wanted "$source" "$@" || continue
	echo "== ${source%.c}"
	cmocka_program "$BUILD/${source%.c}"
done
for source in tests/fuzz/fuzz_*.c; do
	[ -e "$source" ] && wanted "$source" "$@" || continue
	echo "== ${source%.c}"
	fuzz_program "$BUILD/${source%.c}"
done
files=
for source in tests/system/[0-9]*.py; do
	[ -e "$source" ] && wanted "$source" "$@" || continue
	files="$files $source"
done
# shellcheck disable=SC2086
[ -z "$files" ] || system_tests $files

[ -z "$bad" ] || printf '\nfailed:%s\n' "$bad"
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
