#!/bin/sh
# Does the simulator find what it is there for?
#
#	tests/sim/store/faults/plant.sh [NAME...]
#
# Copies the tree, plants one fault after the other (a patch, whose first line
# says what is wrong then), builds the simulator, and says within how many
# seeds it fails; without a fault it must pass them all.  Environment: SEEDS
# (2000), CC.  Status 1 where a fault was not found, or where one was that is
# not there.
set -u

cd "$(dirname "$0")/../../../.." || exit 2
SEEDS=${SEEDS:-2000}
CC=${CC:-cc}
from=$PWD
tree=$(mktemp -d) || exit 2
trap 'rm -rf "$tree"' EXIT
trap 'exit 130' INT TERM
git ls-files | tar -cf - -T - | tar -xf - -C "$tree" || exit 2
cd "$tree" || exit 2

sim=build/tests/sim/store/sim_store
missed=0

build()
{
	make -s CC="$CC" "$sim" >build.log 2>&1 || { cat build.log; exit 2; }
}

wanted()		# PATCH NAME...
{
	[ $# -gt 1 ] || return 0
	name=$(basename "$1" .patch)
	shift
	for want; do
		[ "$want" != "$name" ] || return 0
	done
	return 1
}

build
if [ $# -eq 0 ]; then
	"$sim" --seeds "$SEEDS" || missed=1
fi
for patch in "$from"/tests/sim/store/faults/*.patch; do
	wanted "$patch" "$@" || continue
	name=$(basename "$patch" .patch)
	patch -s -p1 <"$patch" || exit 2
	build
	out=$("$sim" --seeds "$SEEDS")
	seed=$(echo "$out" | sed -n 's/.*--seed \([0-9]*\).*/\1/p')
	if [ -n "$seed" ]; then
		printf '%-26s %5s seeds: %s\n' "$name" "$seed" \
		    "$(echo "$out" | head -n 1)"
	else
		printf '%-26s not found in %s seeds\n' "$name" "$SEEDS"
		missed=1
	fi
	patch -s -p1 -R <"$patch" || exit 2
done
exit $missed
