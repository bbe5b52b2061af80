"""This build and another one, side by side in one run.

Each row is measured in turns, a round with this build and one with the other,
every second time the other way round, without the peers; each turn is a
process of its own, for a build is one process's.  Of each figure of ours the
medians count, and how far they are apart.
"""

import json
import os
import statistics
import subprocess
import sys

from kit import OURS, show

APART = 0.05            # so much worse is told
MORE_IS_BETTER = ("Mpps", "MB/s", "GB/s", "requests/s")
NOISE = ("memory", "CPU s to start", "lost %")


def one_turn(build, row, args, path):
    """What one round of `row` says of `build`: {(subject, figure): value}."""
    argv = [sys.executable, "-B", os.path.abspath(sys.argv[0]), "--only",
            "=" + row, "--rounds", "1", "--json", path]
    if args.mode != "full":
        argv.append("--" + args.mode)
    done = subprocess.run(argv, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, BUILD=build, PB_ALONE="1"))
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr.strip())
    with open(path) as f:
        said = json.load(f)["rows"][0]
    if said["failed"]:
        print("bench: %s of %s: %s" % (row, build, said["failed"]),
              file=sys.stderr)
    return {(subject, figure): value["median"]
            for subject, of in said["subjects"].items()
            if subject.startswith(OURS) for figure, value in of.items()}


def measure(args, build):
    """[(row, subject, figure, other's values, ours)]"""
    builds = {"now": build, "before": os.path.abspath(args.against)}
    path = args.json + ".turn"
    out = []
    for row, _, _ in args.rows:
        values = {"now": {}, "before": {}}
        for n in range(args.rounds):
            print("bench: %s, round %d of %d of both" % (
                row, n + 1, args.rounds), file=sys.stderr, flush=True)
            for name in sorted(builds, reverse=n % 2):
                said = one_turn(builds[name], row, args, path)
                for key, value in said.items():
                    values[name].setdefault(key, []).append(value)
        out += [(row, *key, values["before"][key], values["now"][key])
                for key in values["now"] if key in values["before"]]
    if os.path.exists(path):
        os.unlink(path)
    return out


def worse(figure, before, now):
    """By which part `now` is worse; below 0 it is better."""
    if not before:
        return 0.0
    apart = now / before - 1
    return -apart if any(u in figure for u in MORE_IS_BETTER) else apart


def report(args, found):
    """The table; status 1 where a row is worse by more than APART."""
    told, rows = 0, []
    print("| row | | figure | before | now | worse by |\n" + "| --- " * 6 +
          "|")
    for row, subject, figure, before, now in found:
        was, is_now = statistics.median(before), statistics.median(now)
        by = worse(figure, was, is_now)
        mark = by > APART and not figure.startswith(NOISE)
        told += mark
        print("| %s | %s | %s | %s | %s | %s%.1f %%%s |" % (
            row, subject, figure, show(was), show(is_now),
            "**" if mark else "", 100 * by, "**" if mark else ""))
        rows.append({"row": row, "subject": subject, "figure": figure,
                     "before": before, "now": now, "worse": by})
    with open(args.json, "w") as f:
        json.dump(rows, f, indent=1)
    return 1 if told else 0
