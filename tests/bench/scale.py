"""What a packet costs in a store that has few packets, and in one that has
thirty times as many.

One recorder captures 64-byte packets at the sender's full rate, and its store
grows; nothing is restarted, so the index, the segments and the recorder's
memory are those that grew.  At some sizes its CPU time for a batch of packets
is read, in turn with that of another recorder, whose store is small: what the
machine does meanwhile meets both.
"""

from capture import *

LEVELS = (1, 3, 10, 30)             # times FULL or QUICK packets
FULL, QUICK = 1_000_000, 50_000
BATCHES, BATCHES_QUICK = 5, 2       # each of half of that, at each level
DURABLE_SECONDS_MAX = 5             # to take and sync what was sent
TIMES_MAX = 1.15
GROWN, FRESH = CPU, "the same beside it, with few in the store"
WHAT = ("A recorder on CPU %s, ring %d MiB, captures 64-byte frames (`trafgen "
        "-P 1` on CPU %s): its CPU time (`/proc/PID/task/*/schedstat`) for "
        "batches of packets, with so many in the store before; in turn with "
        "it, the same of a recorder with a store as small as the first."
        % (OTHER_CPU, RING_MIB, SENDER_CPU))


class Store:
    """A recorder of its own on a wire of its own."""

    def __init__(self, row, wire, name):
        self.row, self.wire = row, wire
        self.recorder = Ours(row.t, wire, name=name)

    def fill(self, until):
        """So many packets are in the store, but for what was lost."""
        there = self.recorder.on_disk()
        if until > there:
            self.send(until - there)

    def send(self, packets):
        """Packets that are durable then: all, but for what was lost."""
        before = self.recorder.on_disk()
        arrived, _, _ = self.wire.send(packets)
        end = time.monotonic() + DURABLE_SECONDS_MAX
        while True:
            settle(self.recorder.pid)
            kept = self.recorder.on_disk() - before
            if kept == arrived or time.monotonic() > end:
                break
        check(0 < kept <= arrived, "kept", kept, "of", arrived, "packets")
        return kept

    def batch(self, subject, figure, packets):
        cpu = cpu_exact(self.recorder.pid)
        kept = self.send(packets)
        cpu = cpu_exact(self.recorder.pid) - cpu
        self.row.note(subject, figure, cpu * 1e9 / kept)

    def close(self):
        self.recorder.stop()
        self.recorder.clear()


def name_of(packets):
    return "{:,} packets".format(packets)


def level(row, grown, wire, there, unit):
    """Batches with so many packets in one store, `unit` in the other."""
    name = name_of(there)
    say(row.name, name)
    grown.fill(there)
    fresh = Store(row, wire, "fresh")
    fresh.fill(unit)
    for _ in range(row.count):
        grown.batch(name, GROWN, max(unit // 2, 1))
        fresh.batch(name, FRESH, max(unit // 2, 1))
    fresh.close()
    row.note(name, "index MiB", index_bytes(grown.recorder.node) / MIB)
    row.note(name, "memory MiB", memory_of(grown.recorder.pid) / MIB)


def measure(row):
    unit = row.amount(FULL, QUICK)
    row.count = BATCHES_QUICK if row.quick else BATCHES
    row.scope = "batches of " + name_of(unit // 2)
    wires = Wire(row.t, 64), Wire(row.t, 64)
    quiet()
    grown = Store(row, wires[0], "grown")
    for times in LEVELS:
        level(row, grown, wires[1], times * unit, unit)
    grown.close()
    last = name_of(LEVELS[-1] * unit)
    row.goal("CPU per packet at the last size, to that beside it (at most %g)"
             % TIMES_MAX, row.median(last, GROWN) / row.median(last, FRESH),
             most=TIMES_MAX)


def index_bytes(node):
    """What the index takes on disk."""
    folder = os.path.join(node.store, "index")
    return sum(os.stat(os.path.join(folder, name)).st_blocks * 512
               for name in os.listdir(folder))


ROWS = (("scale", WHAT, measure),)
