"""A relay that takes in and sends out at the same time.

Edge, relay and core are on one disk here: each byte is read at the edge,
written and read at the relay, written at the core.  Beside it, in turn, the
same store goes from edge to core alone, which reads and writes each byte
once; half of that speed is what a relay could reach.
"""

from kit import *
import ship

CHAIN = OURS + ", edge to relay to core"
DIRECT = OURS + ", edge to core alone"


def disk_of(*daemons):
    """Bytes the programs read from and wrote to their disks."""
    have = {"read_bytes": 0, "write_bytes": 0}
    for daemon in daemons:
        with open("/proc/%d/io" % daemon.pid) as f:
            for line in f:
                name, _, value = line.partition(":")
                if name in have:
                    have[name] += int(value)
    return have["read_bytes"], have["write_bytes"]


def measure_direct(row, of):
    pair = ship.Pair(row.t)
    took, cpu = pair.ship(of, of.cold)
    row.note(DIRECT, "GB/s", of.bytes / took / 1e9)
    row.note(DIRECT, "CPU s", cpu)


class Chain:
    def __init__(self, t):
        self.core = t.node("core", listen=True)
        self.relay = t.node("relay", listen=True,
                            upstreams={"core": self.core})
        self.edge = t.node(ship.EDGE, upstreams={"relay": self.relay})

    def ship(self, row, of):
        of.lend(row.t)
        self.core.start()
        self.relay.start()
        of.cold()
        start = time.monotonic()
        self.edge.start_shipper()
        ship.wait_durable(self.core, of.path, of.packets)
        self.note(row, of, time.monotonic() - start)
        for node in (self.edge, self.relay, self.core):
            node.stop()
        for node in (self.relay, self.core):
            kept = [s["packets"] for s in node.streams().values()]
            equal(kept, [of.packets], "packets at the " + node.name)
            shutil.rmtree(node.store)

    def note(self, row, of, took):
        at_relay = (self.relay.recorder, self.relay.shipper)
        others = (self.edge.shipper, self.core.recorder)
        read, written = disk_of(*at_relay)
        row.note(CHAIN, "GB/s", of.bytes / took / 1e9)
        row.note(CHAIN, "CPU s",
                 sum(cpu_of(d.pid) for d in at_relay + others))
        row.note(CHAIN, "of it at the relay",
                 sum(cpu_of(d.pid) for d in at_relay))
        row.note(CHAIN, "relay reads GB/s", read / took / 1e9)
        row.note(CHAIN, "relay writes GB/s", written / took / 1e9)
        row.note(CHAIN, "all on the disk GB/s",
                 sum(disk_of(*at_relay, *others)) / took / 1e9)


def measure_relay(row):
    of = ship.load(row)
    # Each turn writes its own configuration: nodes of a name share one.
    ship.in_turn(row, [
        (CHAIN, lambda: Chain(row.t).ship(row, of)),
        (DIRECT, lambda: measure_direct(row, of))])
    have = row.median(CHAIN, "GB/s")
    alone = row.median(DIRECT, "GB/s")
    row.goal("times edge to core alone (a half, as nearly as the disk "
             "allows)", have / alone, least=0.5)


ROWS = (
    ("relay", "The store of the ship row, edge to relay to core over "
     "loopback, all on one disk, both shippers at work at once: from the "
     "start of the edge's until the core has acknowledged, so synced, the "
     "last packet; and edge to core alone. The source is dropped from the "
     "page cache before. GB/s: bytes of the files. Disk: what the kernel "
     "counts for the programs.", measure_relay),
)
