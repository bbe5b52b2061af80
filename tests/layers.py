"""Who includes whom, and who calls whom:  layers.py [BUILD]

A folder includes those that stand before it in ORDER, and no other.  A
foreign library is met in the folders that FOREIGN names.  With a BUILD also
which objects need each other: a circle of files is two of them at most.
Status: 0, or 1 with a line for each that breaks a rule.
"""

import collections
import glob
import os
import re
import subprocess
import sys

ORDER = """
    base conf pcapng recorder/trailer
    recorder/filter recorder/flow recorder/flow/table
    recorder/store recorder/store/index recorder/store/facts
    recorder/store/read recorder/store/mend recorder/store/retain
    recorder/store/write recorder/sift
    recorder/query/seen recorder/query
    recorder/link recorder/transmit/engine recorder/transmit
    recorder/capture
    recorder/intake
    recorder/port/door recorder/port recorder
    shipper/ship shipper/pull shipper/worker shipper/wire shipper/state
    shipper/letters shipper/feed shipper/sink shipper/upstream shipper/edge
    shipper/operator shipper
    cli/common cli/status cli/import cli/latency cli/replay cli/trailers
    cli/audit cli/static cli
""".split()
APART = {("pcapng", "conf"), ("recorder/store", "conf")}
FOREIGN = {
    "pcap": ("recorder/filter", "recorder/capture"),
    "lmdb": ("recorder/store/index",),
    "curl": ("shipper/wire",),
    "microhttpd": ("recorder/port",),
    "gnutls": ("recorder/port/door",),
    "hs": ("recorder/filter",),
    "zstd": ("base",),
    "zlib": ("base",),
    "jansson": ("base",),
    "dbus": ("cli/static",),
}
INCLUDE = re.compile(r'^#include ([<"])([^>"]+)[>"]', re.M)
CIRCLE_MAX = 2


def files():
    return sorted(f for folder in ORDER
                  for f in glob.glob(folder + "/*.[ch]"))


def broken_includes(path):
    """What `path` includes and may not."""
    folder = os.path.dirname(path)
    with open(path) as f:
        text = f.read()
    for kind, name in INCLUDE.findall(text):
        if kind == '"':
            other = os.path.dirname(name)
            above = (other not in ORDER or
                     ORDER.index(other) > ORDER.index(folder))
            apart = any(folder.startswith(a) and other.startswith(b)
                        for a, b in APART)
            if above or apart:
                yield name
        else:
            at = FOREIGN.get(re.match(r"\w+?(?=[./_]|$)", name)[0])
            if at is not None and folder not in at:
                yield name


def needs(build):
    """Of each object, those whose symbols it needs."""
    made, wanted = {}, collections.defaultdict(set)
    for path in files():
        unit = path[:-2]
        if path.endswith(".c") and os.path.exists(
                os.path.join(build, unit + ".o")):
            said = subprocess.run(
                ["nm", os.path.join(build, unit + ".o")], check=True,
                stdout=subprocess.PIPE, text=True).stdout
            for kind, name in re.findall(r"([A-Z]) (\S+)$", said, re.M):
                if kind == "U":
                    wanted[unit].add(name)
                else:
                    made[name] = unit
    return {unit: {made[n] for n in names if made.get(n, unit) != unit}
            for unit, names in wanted.items()}


def reached(graph, start):
    seen, todo = set(), [start]
    while todo:
        for unit in graph.get(todo.pop(), ()):
            if unit not in seen:
                seen.add(unit)
                todo.append(unit)
    return seen


def circles(graph):
    """Sets of objects each of which needs all others."""
    far = {unit: reached(graph, unit) for unit in graph}
    return {frozenset(o for o in far[unit] if unit in far.get(o, ()))
            for unit in graph if unit in far[unit]}


def main():
    wrong = ["%s includes %s" % (path, name) for path in files()
             for name in broken_includes(path)]
    folders = {os.path.dirname(f) for top in {o.split("/")[0] for o in ORDER}
               for f in glob.glob(top + "/**/*.c", recursive=True)}
    wrong += ["%s has no place in ORDER" % f for f in folders - set(ORDER)]
    if len(sys.argv) > 1:
        wrong += ["a circle of %d: %s" % (len(c), " ".join(sorted(c)))
                  for c in circles(needs(sys.argv[1]))
                  if len(c) > CIRCLE_MAX]
    for line in sorted(wrong):
        print("layers:", line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
