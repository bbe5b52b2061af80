"""A kill at every single call of the write path that changes the world.

	kill.py				all scenarios, all points
	kill.py --points N ...		at most N points of each, every k-th
	kill.py NAME...			these scenarios (a * stands for anything)
	kill.py NAME N HOW		one point; HOW: before, after, within,
					power
	kill.py --list

Each scenario is run once to count its calls, then once for each point: it is
killed there, its store recovered, and all promises are checked (truth.py).
One line says how each scenario went: calls, points tried, bad ones.  A bad
point prints the command that repeats it.  PB_SEED moves the points that
--points takes; PB_KEEP=1 leaves the folder of a bad point.  Status 0: no
point was bad.
"""

import argparse
import concurrent.futures
import fnmatch
import os
import shutil
import signal
import sys
import tempfile
import time

from control import *
import daemons
import keeping
import stores

WORKERS = 2
COUNTS = 3                  # runs that count, where all points are tried
BAD_SHOWN_MAX = 5


def all_scenarios():
    return (stores.plain() + stores.recoveries() + daemons.ingests() +
            daemons.shippers() + daemons.cores() + keeping.retentions() +
            keeping.dead_letters())


class Outcome:
    def __init__(self, control, why, seconds):
        self.control, self.why, self.seconds = control, why, seconds


def attempt(scenario, n, how):
    """One point in a folder of its own."""
    start = time.monotonic()
    folder = tempfile.mkdtemp(prefix="pb-crash-", dir=scenario.on)
    control, why = None, None
    try:
        control = scenario.attempt(folder, n, how)
    except (Bad, OSError, ValueError, KeyError, IndexError) as e:
        why = str(e) if isinstance(e, Bad) else repr(e)
        why = why.replace(folder + "/", "")
    if why and os.environ.get("PB_KEEP"):
        why += " (kept: %s)" % folder
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return Outcome(control, why, time.monotonic() - start)


def points_of(scenario, control):
    out = []
    cuts = set(control.cuts())
    for n in range(1, control.calls + 1):
        out += [(n, how) for how in scenario.hows
                if how != WITHIN or n in cuts]
    return out


def thinned(points, most, seed):
    """At most `most` of the points, every k-th; (points, k, offset)."""
    k = max(1, -(-len(points) // most)) if most else 1
    offset = seed % k
    return points[offset::k], k, offset


class Report:
    def __init__(self, say):
        self.say = say
        self.calls = self.points = self.bad = 0
        self.first = None           # what was bad first

    def complain(self, scenario, n, how, why):
        self.bad += 1
        self.first = self.first or "%s %d %s: %s" % (scenario.name, n, how,
                                                     why)
        self.say("bad: %s\n  again: BUILD=%s python3 -B tests/crash/kill.py "
                 "%s %d %s" % (why, os.path.relpath(BUILD, ROOT),
                               scenario.name, n, how))


def counted(scenario, times):
    """The run with the most calls: threads do not always meet alike."""
    best = None
    for _ in range(times):
        one = attempt(scenario, 0, BEFORE)
        if one.why:
            return one
        if best is None or one.control.calls > best.control.calls:
            best = one
    return best


def run(scenario, pool, report, most, seed):
    """Count, then kill."""
    start, bad = time.monotonic(), report.bad
    count = counted(scenario, 1 if most else COUNTS)
    if count.why:
        report.complain(scenario, 0, BEFORE, count.why)
        return
    every = points_of(scenario, count.control)
    points, k, offset = thinned(every, most, seed)
    tried = missed = 0
    jobs = {pool.submit(attempt, scenario, n, how): (n, how)
            for n, how in points}
    try:
        for job in concurrent.futures.as_completed(jobs):
            outcome = job.result()
            tried += 1
            if outcome.control and not outcome.control.dead:
                missed += 1
            if outcome.why:
                report.complain(scenario, *jobs[job], outcome.why)
            if report.bad - bad >= BAD_SHOWN_MAX:
                break
    finally:
        for job in jobs:
            job.cancel()
    report.calls += count.control.calls
    report.points += tried
    report.say("%-24s %4d calls %5d of %5d points%s%s %3d bad %6.1f s" % (
        scenario.name, count.control.calls, tried, len(every),
        ", every %d. from %d" % (k, offset) if k > 1 else "",
        ", %d not reached" % missed if missed else "",
        report.bad - bad, time.monotonic() - start))


def run_all(scenarios, most, seed, say):
    report = Report(say)
    say("PB_SEED=%d" % seed)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for scenario in scenarios:
            run(scenario, pool, report, most, seed)
    say("%d scenarios, %d calls, %d kills, %d bad" % (
        len(scenarios), report.calls, report.points, report.bad))
    return report


def one_point(scenario, n, how):
    outcome = attempt(scenario, n, how)
    if outcome.control:
        print("killed at call %d of %d: %s" % (
            outcome.control.dead, outcome.control.calls,
            outcome.control.what))
    print("bad: %s" % outcome.why if outcome.why else "good")
    return 1 if outcome.why else 0


def stop(signum, frame):
    raise SystemExit(128 + signum)


def main():
    # What runs ends first, and takes its folder along.
    signal.signal(signal.SIGTERM, stop)
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--points", type=int, default=0)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    every = all_scenarios()
    names = args.names
    seed = int(os.environ.get("PB_SEED", "0")) or int(time.time())
    if args.list:
        print("\n".join(s.name for s in every))
        return 0
    if len(names) == 3 and names[1].isdigit():
        found = [s for s in every if s.name == names[0]]
        if not found or names[2] not in HOW:
            parser.error("no such point")
        return one_point(found[0], int(names[1]), names[2])
    chosen = [s for s in every if not names or
              any(fnmatch.fnmatch(s.name, n) for n in names)]
    if not chosen:
        parser.error("no such scenario")
    report = run_all(chosen, args.points, seed,
                     lambda line: print(line, flush=True))
    return 1 if report.bad else 0


if __name__ == "__main__":
    sys.exit(main())
