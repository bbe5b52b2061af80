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
#   PB_FULL=1    all there is where a choice would do: captures, filters, rows
#                of the benchmark; half an hour
#   PB_JOBS      how many run side by side; mostly they wait.  By itself 4
#                unit and sim programs (2 with PB_WRAP), then 4 system tests
# The last line is `N passed, N failed, N skipped`: cmocka tests and system
# tests one by one.  A program that dies, leaks or will not run its seeds is
# one failure more.  Status 0 only when nothing failed.
set -u

cd "$(dirname "$0")/.." || exit 2
BUILD=${BUILD:-build}
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$PWD/tests/leaks/asan:print_suppressions=0}
export BUILD ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS
exec python3 -B tests/together.py "$@"
