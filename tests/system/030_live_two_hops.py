"""Live: captured at an edge, over a relay, to a core; nothing changed."""

import glob
import os

from harness import *
import pngread
import samples
import traffic

PACKETS_MAX = 4000
FRAME_MAX = 9014        # what the pair of interfaces carries


def real_frames():
    """Whole Ethernet frames of real traffic, or of our own making."""
    frames = []
    for path in sorted(glob.glob(os.path.join(CAPTURES, "arkime", "tests",
                                              "pcap", "*.pcap"))):
        for packet in pngread.read(path).packets:
            if (packet.interface.linktype == 1 and
                    len(packet.data) == packet.origlen and
                    60 <= packet.origlen <= FRAME_MAX):
                frames.append(packet.data)
    if not frames:
        print("# no captures at %s: frames made here" % CAPTURES, flush=True)
        return [samples.eth(n, 60 + n % 1400) for n in range(PACKETS_MAX)]
    # Not only the first files of the alphabet.
    step = max(1, len(frames) // PACKETS_MAX)
    return frames[::step][:PACKETS_MAX]


def three_nodes(t, **kw):
    core = t.node("core", description="Zürich, the archive", listen=True)
    relay = t.node("relay", description="Paris", listen=True,
                   upstreams={"core": core})
    edge = t.edge_with_traffic(upstreams={"relay": relay}, **kw)
    core.start()
    relay.start()
    edge.start()
    return edge, relay, core


def replay(t, frames, *how):
    path = t.write("replay.pcap", samples.pcap("<", samples.MAGIC_US, [
        (samples.T0 + n // 1000, n % 1000 * 1000, f, len(f))
        for n, f in enumerate(frames)]))
    t.inside(t.sender, "tcpreplay", "-q", "-i", "pb0", *how, path)


def captured(node, count, seconds=20):
    wait_until(lambda: sum(r["packets"] for r in node.streams().values())
               >= count if os.path.exists(node.store + "/index") else 0,
               "%d packets captured at %s" % (count, node.name), seconds)


def the_core_holds_exactly_what_was_sent(t):
    need("tcpreplay")
    edge, relay, core = three_nodes(t)
    frames = real_frames()
    replay(t, frames, "--pps=4000")
    captured(edge, len(frames))
    drained(edge, relay, core)
    for node in (edge, relay, core):
        rows = by_stream(node.query())
        equal(list(rows), ["pb1"], node.name + "'s interfaces")
        equal([r[0] for r in rows["pb1"]], list(range(1, len(frames) + 1)),
              node.name + "'s sequence numbers")
        for n, (row, frame) in enumerate(zip(rows["pb1"], frames)):
            check(row[3] == frame and row[2] == len(frame),
                  "%s: packet %d differs from frame %d sent"
                  % (node.name, row[0], n))
    equal(core.pb("query", "--count").strip(), b"%d" % len(frames), "--count")
    ways_are_told(core, edge, len(frames))


def ways_are_told(core, edge, count):
    names = ["edge", "relay", "core"]
    words = ["London, rack 4", "Paris", "Zürich, the archive"]
    stream = next(iter(edge.streams()))
    running = {"relay": set(), "core": set()}
    rows = core.rows("query")
    equal(len(rows), count, "rows of pb query --json")
    for row in rows:
        equal((row["node"], row["interface"], row["epoch"]), stream, "stream")
        hops = row["hops"]
        equal([h["node"] for h in hops], names, "the way")
        equal([h["description"] for h in hops], words, "descriptions")
        times = [parse_time(h["time"]) for h in hops]
        check(times[0] < times[1] < times[2], "times do not ascend:", times)
        equal(hops[0]["time"], row["time"], "the origin's time")
        equal(hops[0]["seq"], row["seq"], "the origin's number")
        for h in hops[1:]:
            check(h["seq"] not in running[h["node"]], h["node"],
                  "gave the number", h["seq"], "twice")
            running[h["node"]].add(h["seq"])


def the_files_say_it_without_pb(t):
    """Identity and hops in the core's segments, by hop.h's comment."""
    edge, relay, core = three_nodes(t)
    t.traffic(t.sender, "pb0", 300, 1000).wait()
    captured(edge, 300)
    drained(edge, relay, core)
    origin, interface, epoch = next(iter(edge.streams()))
    numbers = []
    for path in core.files():
        capture = pngread.read(path)
        check(len(capture.sections) == 1 and len(capture.interfaces) == 1,
              path, "is not one section with one interface")
        me = pngread.identity(capture.sections[0])
        equal([n for n, _ in me["nodes"]], ["edge", "relay", "core"], "nodes")
        equal(("%016x" % me["epoch"], me["interface"]), (epoch, interface),
              "who it is")
        equal(capture.packets[0].seq, me["first_seq"], "first number")
        for packet in capture.packets:
            hops = pngread.hops(packet)
            equal(len(hops), 2, "hop records")
            check(packet.time_ns < hops[0][0] < hops[1][0], "times")
            equal(packet.data, traffic.frame(packet.seq), "bytes")
            numbers.append(packet.seq)
        only = capture.interfaces[0]
        equal((only.tsresol, only.tsoffset, only.linktype, only.snaplen),
              (9, 0, 1, 262144), "interface block")
        for kind, at, _ in capture.blocks:
            check(kind in (pngread.SHB, pngread.IDB, pngread.EPB,
                           pngread.ISB), path, "has a block of type", kind)
    equal(numbers, list(range(1, 301)), "numbers over the files")


def comments_tell_stock_wireshark_the_way(t):
    need("tshark")
    edge, relay, core = three_nodes(t)
    t.traffic(t.sender, "pb0", 20, 1000).wait()
    captured(edge, 20)
    drained(edge, relay, core)
    out = t.path("ways.pcapng")
    core.pb("query", "--comments", "-w", out)
    for node, n in (("edge", 1), ("relay", 2), ("core", 3)):
        rows = must(["tshark", "-r", out, "-Y",
                     'frame.comment contains "pb.hop n=%d node=%s seq="'
                     % (n, node), "-T", "fields", "-e", "frame.number"])
        equal(len(rows.split()), 20, "packets with a comment of " + node)


def what_the_kernel_drops_is_counted(t):
    """Filter and snap length are the kernel's; the rest is all there."""
    edge = t.edge_with_traffic(captures=[
        ("pb1", "filter = ether[14] & 1 = 0", "snaplen = 100")])
    edge.start()
    t.traffic(t.sender, "pb0", 200, 2000, size=300).wait()
    captured(edge, 100)
    rows = by_stream(edge.query())["pb1"]
    equal([traffic.number_of(r[3]) for r in rows],
          list(range(2, 201, 2)), "frames past the filter")
    equal({(len(r[3]), r[2]) for r in rows}, {(100, 300)},
          "captured and original length")


def a_burst_is_kept_or_counted(t):
    """As fast as it can be sent: each frame is in the store, or in a drop
    count, and the core has what the edge has."""
    count = int(60000 / SLOW)
    edge, relay, core = three_nodes(t)
    t.traffic(t.sender, "pb0", count, 0, size=1200).wait()
    # Losses stand in the next packet: give them some.
    t.traffic(t.sender, "pb0", 5, 3, first=count + 1).wait()

    def settled():
        row = next(iter(edge.streams().values()), None)
        return row and row["packets"] + row["dropped"] == count + 5
    wait_until(settled, "packets and drops to add up to %d" % (count + 5), 20)
    drained(edge, relay, core, seconds=60)
    for node in (edge, core):
        packets = sorted(node.query().packets, key=lambda p: p.seq)
        equal([p.seq for p in packets], list(range(1, len(packets) + 1)),
              node.name + "'s sequence numbers")
        dropped = sum(p.dropcount or 0 for p in packets)
        equal(len(packets) + dropped, count + 5,
              "packets and drop counts at " + node.name)
        numbers = [traffic.number_of(p.data) for p in packets]
        check(all(a < b for a, b in zip(numbers, numbers[1:])),
              node.name, "has frames twice or out of order")
        for p, n in zip(packets, numbers):
            check(p.data == traffic.frame(n, len(p.data)),
                  "frame", n, "has other bytes at", node.name)


if __name__ == "__main__":
    main("030", the_core_holds_exactly_what_was_sent,
         a_burst_is_kept_or_counted,
         the_files_say_it_without_pb,
         comments_tell_stock_wireshark_the_way,
         what_the_kernel_drops_is_counted)
