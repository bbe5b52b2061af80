"""A core that dials its edge, beside an edge that pushes to its core.

The same store, on the same disk, in turn: from the start of the shipper that
moves it until the core has acknowledged, so synced, the last packet.  Who
pulls hands what it fetched to its own recorder, which push need not.
"""

import threading

from capture import *
import ship

PULL, PUSH = OURS + ", pulled by the core", OURS + ", pushed by the edge"
WORSE_MOST = 1.1                # pull to push, in time
EDGES, EDGES_SMOKE = 1000, 5
EDGES_MIB_MAX = 256             # shipper and recorder, each
PACKET_BYTES = 600
PIECE_PACKETS = 90              # less than the least that is asked for
PIECES, PIECES_QUICK = 16, 4    # of each edge
LOAD_SECONDS_MAX = 300


class Pulled:
    """An edge that is dialled, and the core that dials it."""

    def __init__(self, t):
        self.edge = t.node(ship.EDGE, listen=True,
                           extra="allow = pull:core\n")
        self.core = t.node("core", edges={ship.EDGE: [self.edge.url]})
        self.daemons = ()

    def ship(self, of, prepare):
        """(seconds, CPU seconds of all that has to do with it)."""
        of.lend(self.core.t)
        self.edge.start_recorder()
        self.core.start_recorder()
        prepare()
        start = time.monotonic()
        self.core.start_shipper()
        ship.wait_durable(self.core, of.path, of.packets)
        took = time.monotonic() - start
        cpu = sum(cpu_of(d.pid) for d in (
            self.edge.recorder, self.core.recorder, self.core.shipper))
        self.core.stop()
        self.edge.stop()
        kept = [s["packets"] for s in self.core.streams().values()]
        equal(kept, [of.packets], "packets at the core")
        shutil.rmtree(self.core.store)
        return took, cpu


def once(row, of, subject, pair, warm):
    took, cpu = pair(row.t).ship(of, of.warm if warm else of.cold)
    warmth = ", warm" if warm else ""
    row.note(subject, "GB/s" + warmth, of.bytes / took / 1e9)
    row.note(subject, "CPU s" + warmth, cpu)


def measure_pull(row):
    of = ship.load(row)
    for warm in (False, True):
        ship.in_turn(row, [
            (PULL, lambda: once(row, of, PULL, Pulled, warm)),
            (PUSH, lambda: once(row, of, PUSH, ship.Pair, warm))])
        figure = "GB/s, warm" if warm else "GB/s"
        row.goal("times as long as push (%s)" % ("warm" if warm else "cold"),
                 row.median(PUSH, figure) / row.median(PULL, figure),
                 most=WORSE_MOST)


def measure_edges(row):
    need("taskset")
    for _ in row.rounds():
        one_load(row, EDGES_SMOKE if row.mode == "smoke" else EDGES,
                 PIECES_QUICK if row.quick else PIECES)
    row.goal("MiB in the worst round (below %d)" % EDGES_MIB_MAX,
             max(row.worst(OURS, figure)
                 for figure in ("shipper MiB", "recorder MiB")),
             most=EDGES_MIB_MAX)


def one_load(row, edges, pieces):
    quiet()
    they = row.t.spawn([
        "taskset", "-c", SENDER_CPU, sys.executable, "-B",
        os.path.join(os.path.dirname(os.path.abspath(__file__)), "edges.py"),
        *map(str, (edges, pieces, PIECE_PACKETS, PACKET_BYTES))],
        stdout=subprocess.PIPE)
    port = int(they.stdout.readline())
    core = row.t.node("core", edges={
        "edge%d" % n: ["http://127.0.0.1:%d/edge%d" % (port, n)]
        for n in range(edges)})
    with on_cpu(OTHER_CPU):
        core.start_recorder()
        core.start_shipper()
    late = threading.Timer(LOAD_SECONDS_MAX, they.kill)
    late.start()
    said = they.stdout.readline()
    late.cancel()
    check(said, "not all was pulled within", LOAD_SECONDS_MAX, "s")
    note_edges(row, core, json.loads(said))
    core.stop()
    equal(sum(s["packets"] for s in core.streams().values()),
          edges * pieces * PIECE_PACKETS, "packets at the core")
    shutil.rmtree(core.store)


def note_edges(row, core, said):
    for what, daemon in (("shipper", core.shipper),
                         ("recorder", core.recorder)):
        row.note(OURS, what + " MiB", memory_of(daemon.pid) / MIB)
        row.note(OURS, what + " CPU s", cpu_exact(daemon.pid))
    row.note(OURS, "shipper threads",
             len(os.listdir("/proc/%d/task" % core.shipper.pid)))
    row.note(OURS, "MB/s", said["bytes"] / said["seconds"] / 1e6)
    for what in ("connections", "requests", "polls"):
        row.note(OURS, what, said[what])


ROWS = (
    ("pull", "The store of the ship row, pulled by a core that dials its "
     "edge (`[edge NAME]`), and pushed, in turn, over loopback, on one disk: "
     "from the start of the shipper that moves it until the core has "
     "acknowledged, so synced, the last packet. The source is dropped from "
     "the page cache before, or (warm) all in it. CPU: all programs but the "
     "edge's recorder where it pushes, which is not there.", measure_pull),
    ("pull-edges", "VmHWM of a core that dials %d edges, each with a stream "
     "of packets of %d bytes: tests/bench/edges.py on CPU %s, shipper and "
     "recorder on CPU %s, until all is acknowledged." % (
         EDGES, PACKET_BYTES, SENDER_CPU, OTHER_CPU), measure_edges),
)
