"""A short run of chaos, with one fault of each kind: see tests/chaos.

The same plan each time; PB_SEED chooses another.  `make chaos` runs longer.
"""

import os

from harness import *

sys.path.insert(1, os.path.join(ROOT, "tests", "chaos"))
import chaos

SEED_OF_OURS = 10393    # edges filter for relay; core and lab pull
SECONDS = 15


def every_promise_outlives_every_fault(t):
    seed = int(os.environ.get("PB_SEED") or SEED_OF_OURS)
    print("# CHAOS_SEED=%d CHAOS_SECONDS=%d" % (seed, SECONDS), flush=True)
    chaos.play(t, seed, SECONDS)


if __name__ == "__main__":
    main("190", every_promise_outlives_every_fault, seconds=200)
