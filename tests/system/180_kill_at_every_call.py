"""A kill at every call of the write path that changes the world.

Here every k-th call, from an offset that PB_SEED moves, so that over many
runs all have their turn; PB_FULL=1 (or `make crash`) takes them all.  What
is killed how, and what is checked then, stands in tests/crash/kill.py.
"""

import sys

from harness import *

sys.path.insert(0, os.path.join(ROOT, "tests", "crash"))

import daemons
import keeping
import kill
import stores

FULL = bool(os.environ.get("PB_FULL"))
SECONDS_MAX = 3600 if FULL else 120


def survives(scenarios, points, some=0):
    """No point of any of the scenarios is bad; of `points` each, and of
    `some` scenarios, where not all are wanted."""
    if not FULL and some:
        scenarios = random.sample(scenarios, some)
    report = kill.run_all(scenarios, 0 if FULL else points, SEED,
                          lambda line: print("# " + line, flush=True))
    check(report.bad == 0, report.bad, "bad:", report.first)


def a_store_killed_at_any_call_keeps_its_promises(t):
    survives(stores.plain(), 7)


def a_recovery_killed_at_any_call_is_done_again(t):
    survives(stores.recoveries(), 6, some=8)


def a_recorder_killed_at_any_call_of_an_ingest_has_what_it_acknowledged(t):
    survives(daemons.ingests(), 10)


def a_shipper_killed_at_any_call_sends_all_once(t):
    survives(daemons.shippers(), 5)


def a_core_killed_at_any_call_gets_all_once(t):
    survives(daemons.cores(), 5)


def a_retention_killed_at_any_call_leaves_rows_and_files_that_agree(t):
    survives(keeping.retentions(), 4)


def a_shipper_killed_at_any_call_of_a_demotion_loses_no_letter(t):
    survives(keeping.dead_letters(), 4)


if __name__ == "__main__":
    main("180", a_store_killed_at_any_call_keeps_its_promises,
         a_recovery_killed_at_any_call_is_done_again,
         a_recorder_killed_at_any_call_of_an_ingest_has_what_it_acknowledged,
         a_shipper_killed_at_any_call_sends_all_once,
         a_core_killed_at_any_call_gets_all_once,
         a_retention_killed_at_any_call_leaves_rows_and_files_that_agree,
         a_shipper_killed_at_any_call_of_a_demotion_loses_no_letter,
         seconds=SECONDS_MAX)
