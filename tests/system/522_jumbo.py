"""Jumbo frames with trailers: wire, edge, relay, core, query, wire."""

import os
import struct

from harness import *
from sender import send
import trailers

COUNT = int(3000 / SLOW)
SECONDS = int(time.time())
JUMBO = 9000 + 14 + 4       # a tag behind both addresses
MTU = 9200
# What libpcap 1.10 gets of a frame at most: a block of its ring holds that
# much beside its own words.
RING_BYTES = 262010
LO_MTU = 262200
BODY = os.urandom(1 << 19)


def frame(n, size):
    head = (bytes.fromhex("020000000002" "020000000001" "8100000588b5") +
            struct.pack(">I", n))
    at = n * 5 % (1 << 18)
    return head + BODY[at:at + size - len(head)]


def trailed(n, size):
    """Three taps, the second with a sequence number."""
    data = trailers.with_fcs(frame(n, size))
    for device, more in enumerate(([], [trailers.sequence(n)], [])):
        data = trailers.metamako(data, SECONDS + n, device,
                                 device=device, port=8, extensions=more)
    return trailers.captured(data)


class Line:
    """tx0 to rx0 at the edge; then relay and core."""

    def __init__(self, t, tx, tx0, rx, rx0, *keys):
        self.core = t.node("core", listen=True)
        self.relay = t.node("relay", listen=True,
                            upstreams={"core": self.core})
        self.edge = t.node("edge", netns=rx, captures=[(rx0, *keys)],
                           upstreams={"relay": self.relay},
                           store=["segment_size = 8MiB"])
        for node in (self.core, self.relay, self.edge):
            node.start()
        t.sender = tx
        self.t, self.tx0, self.rx0 = t, tx0, rx0

    def carry(self, frames):
        """All nodes have what was sent, byte for byte."""
        send(self.t, frames, self.tx0)
        wait_until(lambda: sum(
            r["packets"] + r["dropped"] for r in self.edge.streams().values())
            >= len(frames), "the edge has them", 30)
        drained(self.edge, self.relay, self.core)
        for node in (self.edge, self.relay, self.core):
            same(node, frames)


def same(node, frames):
    packets = sorted(node.query().packets, key=lambda p: p.seq)
    equal(len(packets), len(frames), "packets at " + node.name)
    for p, f in zip(packets, frames):
        check(p.data == f and p.origlen == len(f), node.name, "packet", p.seq,
              "differs:", len(p.data), "of", p.origlen, "for", len(f))


def three_trailers_behind_9018_bytes_go_from_wire_to_wire(t):
    tx, rx, out, far = (t.netns(n) for n in ("tx", "rx", "out", "far"))
    t.veth(tx, "tx0", rx, "rx0", MTU)
    t.veth(out, "out0", far, "far0", MTU)
    line = Line(t, tx, "tx0", rx, "rx0",
                "trailers = metamako, metamako, metamako",
                "timestamp_from = trailer")
    frames = [trailed(n, JUMBO) for n in range(1, COUNT + 1)]
    equal(len(frames[0]), 9018 + 3 * 16 + 4, "bytes of a frame")
    line.carry(frames)
    for row in line.core.rows("query", "--limit", "50"):
        stamps = row["hops"][:3]
        equal([s["device"] for s in stamps], [0, 1, 2], "devices")
        equal(stamps[1]["seq"], row["seq"], "sequence number")
        equal([h["node"] for h in row["hops"][3:]],
              ["edge", "relay", "core"], "nodes")
    there = t.node("there", netns=far, captures=["far0"])
    there.start_recorder()
    t.inside(out, os.path.join(BUILD, "pb"), "-c", line.core.conf, "replay",
             "-i", "out0", "--pps", "4000", seconds=60)
    wait_until(lambda: sum(
        r["packets"] + r["dropped"] for r in there.streams().values())
        >= COUNT, "they have come", 30)
    same(there, frames)


def frames_as_long_as_a_ring_takes_go_the_same_way(t):
    ns = t.netns("lo")
    t.inside(ns, "ip", "link", "set", "lo", "mtu", str(LO_MTU))
    line = Line(t, ns, "lo", ns, "lo", "trailers = metamako,metamako,metamako",
                "direction = in")
    sizes = (JUMBO, 65535, 65536, 131072, 200000, RING_BYTES - 52)
    line.carry([trailed(n, s) for n, s in enumerate(sizes, 1)])
    for row in line.core.rows("query"):
        equal(len(row["hops"]), 6, "hops of one of %d bytes" % row["len"])
    # A longer one is cut, which shows; its trailers are not read.
    send(t, [trailed(9, 262144)], "lo")
    wait_until(lambda: sum(r["packets"] for r in
                           line.edge.streams().values()) == len(sizes) + 1,
               "the longest is there")
    last = line.edge.rows("query")[-1]
    check(last["caplen"] <= 262144 < last["len"], "lengths", last)
    equal(len(last["hops"]), 1, "hops of one that was cut")


if __name__ == "__main__":
    main("522", three_trailers_behind_9018_bytes_go_from_wire_to_wire,
         frames_as_long_as_a_ring_takes_go_the_same_way)
