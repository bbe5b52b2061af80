#!/bin/sh
# Build the fuzz targets with libFuzzer and run them: `make fuzz`.
#
#	[FUZZ_SECONDS=60] [FUZZ_TARGETS="body conf"] tests/fuzz/run.sh
#
# Each target runs so many seconds under ASan and UBSan, FUZZ_JOBS (2) at a
# time, from the seeds in the tree and what earlier runs learnt, which they
# keep in build/fuzz/corpus/.  A line for each at the end; status 1 when
# one found something: the input lies in build/fuzz/findings/, and belongs
# into the seeds once the fault is mended.
set -u

cd "$(dirname "$0")/../.." || exit 2
BUILD=${FUZZ_BUILD:-build/fuzz}
FUZZ_SECONDS=${FUZZ_SECONDS:-60}
FUZZ_TARGETS=${FUZZ_TARGETS:-}
FUZZ_JOBS=${FUZZ_JOBS:-2}
export FUZZ_SECONDS
PACKAGES="clang libclang-rt-14-dev"
RSS_MB_MAX=2048
INPUT_SECONDS_MAX=20
INPUT_BYTES_MAX=65536
UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
# Freed memory is kept for a while, not for long: a store that opens forks,
# and a large process is slow to copy.
ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=16}
export UBSAN_OPTIONS ASAN_OPTIONS

can_fuzz()
{
	mkdir -p "$BUILD" &&
	    echo 'int LLVMFuzzerTestOneInput(const char *, unsigned long);
int LLVMFuzzerTestOneInput(const char *d, unsigned long n)
{ return d != 0 && n > 4096; }' >"$BUILD/probe.c" &&
	    clang -fsanitize=fuzzer,address,undefined -o "$BUILD/probe" \
	    "$BUILD/probe.c" >"$BUILD/probe.log" 2>&1
}

# The value behind a name in libFuzzer's closing statistics.
stat_of()		# NAME LOG
{
	sed -n "s/^stat::$1: *\([0-9][0-9]*\)$/\1/p" "$2" | tail -n 1
}

one()			# TARGET
{
	log=$BUILD/log/$1
	before=$(find "$BUILD/findings" -name "$1-*" | sort)
	mkdir -p "$BUILD/corpus/$1"
	"$BUILD/tests/fuzz/fuzz_$1" -max_total_time="$FUZZ_SECONDS" \
	    -timeout="$INPUT_SECONDS_MAX" -rss_limit_mb="$RSS_MB_MAX" \
	    -max_len="$INPUT_BYTES_MAX" -print_final_stats=1 \
	    -artifact_prefix="$BUILD/findings/$1-" \
	    "$BUILD/corpus/$1" "tests/fuzz/seeds/$1" >"$log" 2>&1 </dev/null
	rc=$?
	new=$(find "$BUILD/findings" -name "$1-*" | sort |
	    grep -vxF "${before:-none}" | grep -v -- "-slow-unit-")
	cov=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)
	verdict="nothing found"
	if [ "$rc" -ne 0 ]; then
		verdict="FOUND: ${new:-see $log}"
		grep -hE 'not so:|ERROR:|runtime error:|SUMMARY:' "$log"
	fi
	printf '%-10s %9s runs %6s/s  %-11s corpus %5d  %s\n' "$1" \
	    "$(stat_of number_of_executed_units "$log")" \
	    "$(stat_of average_exec_per_sec "$log")" "${cov:-}" \
	    "$(find "$BUILD/corpus/$1" -type f | wc -l)" "$verdict" \
	    >"$log.line"
	[ "$rc" -eq 0 ] || touch "$BUILD/log/found"
}

all()
{
	targets=
	for source in tests/fuzz/fuzz_*.c; do
		name=${source#tests/fuzz/fuzz_}
		name=${name%.c}
		case " ${FUZZ_TARGETS:-$name} " in
		*" $name "* | *" fuzz_$name "*) targets="$targets $name" ;;
		esac
	done
	if [ -z "$targets" ]; then
		echo "fuzz: no target is named $FUZZ_TARGETS" >&2
		exit 2
	fi
	can_fuzz || {
		# shellcheck disable=SC2086
		./tests/deps.sh build $PACKAGES
		can_fuzz || {
			echo "fuzz: clang and its libFuzzer are needed:" \
			    "install $PACKAGES, or those of your system's" \
			    "version; see $BUILD/probe.log" >&2
			exit 1
		}
	}
	programs=
	for name in $targets; do
		programs="$programs $BUILD/tests/fuzz/fuzz_$name"
	done
	# Warnings are the ordinary compiler's business.
	# shellcheck disable=SC2086
	make --no-print-directory -j2 BUILD="$BUILD" CC=clang WARN=-w \
	    FUZZ_MAIN= SAN=fuzzer,address,undefined CFLAGS="-O1 -g" $programs || exit 1
	TMPDIR=$(mktemp -d /dev/shm/pb-fuzz-XXXXXX 2>/dev/null ||
	    mktemp -d) || exit 1
	export TMPDIR
	trap 'rm -rf "$TMPDIR"' EXIT
	trap 'exit 130' INT TERM
	mkdir -p "$BUILD/findings" "$BUILD/log"
	rm -f "$BUILD"/log/*
	# shellcheck disable=SC2086
	echo "fuzz:$targets: $FUZZ_SECONDS s each, $FUZZ_JOBS at a time"
	# shellcheck disable=SC2086
	printf '%s\n' $targets | xargs -P "$FUZZ_JOBS" -n 1 "$0" one
	cat "$BUILD"/log/*.line
	if [ -e "$BUILD/log/found" ]; then
		echo "fuzz: put what was FOUND into tests/fuzz/seeds/TARGET/" \
		    "with its mend" >&2
		exit 1
	fi
}

if [ "${1:-}" = one ]; then
	one "$2"
else
	all
fi
