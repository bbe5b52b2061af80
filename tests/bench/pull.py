"""A core that dials its edge, beside an edge that pushes to its core.

The same store, on the same disk, in turn: from the start of the shipper that
moves it until the core has acknowledged, so synced, the last packet.  Who
pulls hands what it fetched to its own recorder, which push need not.
"""

from kit import *
import ship

PULL, PUSH = OURS + ", pulled by the core", OURS + ", pushed by the edge"
WORSE_MOST = 1.1                # pull to push, in time


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


ROWS = (
    ("pull", "The store of the ship row, pulled by a core that dials its "
     "edge (`[edge NAME]`), and pushed, in turn, over loopback, on one disk: "
     "from the start of the shipper that moves it until the core has "
     "acknowledged, so synced, the last packet. The source is dropped from "
     "the page cache before, or (warm) all in it. CPU: all programs but the "
     "edge's recorder where it pushes, which is not there.", measure_pull),
)
