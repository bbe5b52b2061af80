"""Tags that the kernel takes off are in the frame again; which way it went."""

import json
import struct

from harness import *
from sender import send
import samples

MACS = bytes.fromhex("020000000002" "020000000001")
IN, OUT = 1, 2              # epb_flags, direction


def frame(n, *tags):
    """Numbered UDP behind tags: (EtherType, VLAN and the like)."""
    payload = b"%08d" % n * 4
    udp = struct.pack(">HHHH", 4000, 5000, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), n, 0, 64, 17, 0,
                     bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    return MACS + b"".join(struct.pack(">HH", *t) for t in tags) + (
        b"\x08\x00") + ip + udp


Q, S = 0x8100, 0x88a8       # 802.1Q, 802.1ad
FRAMES = [
    frame(1),
    frame(2, (Q, 5)),
    frame(3, (S, 5), (Q, 7)),
    frame(4, (Q, 5), (Q, 7)),
    frame(5, (Q, 0xe000 | 5)),              # priority 7
    frame(6, (Q, 0)),                       # priority alone
    frame(7, (S, 0x1000 | 4095), (Q, 7), (Q, 9)),
]
# What tcpdump finds in a file of them.
FOUND = {
    "vlan": [2, 3, 4, 5, 6, 7],
    "vlan 5": [2, 3, 4, 5],
    "vlan 5 and vlan 7": [3, 4],
    "vlan 5 and udp port 5000": [2, 5],
    "vlan 5 and vlan 7 and udp port 5000": [3, 4],
    "vlan and vlan 7 and vlan 9": [7],
    "udp port 5000": [1],
}


def tags_are_in_the_frame_as_they_were_on_the_wire(t):
    node = t.edge_with_traffic()
    node.start()
    send(t, FRAMES)
    t.all_stored(node)
    equal([p.data for p in node.query().packets], FRAMES, "frames")
    equal([p.origlen for p in node.query().packets],
          [len(f) for f in FRAMES], "lengths on the wire")
    for text, numbers in FOUND.items():
        equal([r["seq"] for r in node.rows("query", text)], numbers,
              "packets of '%s'" % text)
        equal([r["seq"] for r in node.rows("query", "--no-index", text)],
              numbers, "packets of '%s', one by one" % text)


def a_filter_of_the_capture_finds_the_tags_as_well(t):
    need("tcpdump")
    file = t.write("all.pcap", samples.pcap("<", samples.MAGIC_US, [
        (samples.T0, n, f, len(f)) for n, f in enumerate(FRAMES)]))
    # Without `vlan` a filter of an interface takes what has one tag as well:
    # the kernel has taken that off before it asks.
    for text, numbers in FOUND.items():
        if "vlan" not in text:
            continue
        one = Test()
        try:
            node = one.edge_with_traffic(captures=[
                ("pb1", "filter = " + text)])
            node.start()
            # The last one tells that all before it were seen.
            send(one, FRAMES + [FRAMES[numbers[0] - 1]])
            wait_until(lambda: sum(
                r["packets"] for r in node.streams().values()) ==
                len(numbers) + 1, "what '%s' finds" % text)
            equal([p.data for p in node.query().packets][:-1],
                  [FRAMES[n - 1] for n in numbers], "frames of '%s'" % text)
        finally:
            one.close(False)
        said = must(["tcpdump", "-n", "-t", "-q", "-r", file, text])
        equal(len(said.splitlines()), len(numbers), "tcpdump's of " + text)


def trailers_behind_tags_are_read(t):
    node = t.edge_with_traffic(captures=[("pb1", "trailers = raw:4")])
    node.start()
    send(t, [f + b"\1\2\3\4" for f in FRAMES])
    t.all_stored(node)
    said = json.loads(node.pb("status", "--json"))["live"]["captures"][0]
    equal(said["trailers"], [{"trailer": "raw:4", "parsed": len(FRAMES),
                              "unparsed": 0}], "status")
    equal([r["seq"] for r in node.rows("query", "vlan 5 and vlan 7")],
          [3, 4], "found by both tags")


def flags_of(node, interface):
    return [struct.unpack("<I", p.all(2)[0])[0] & 3 if p.all(2) else None
            for p in node.query("--stream", "edge/" + interface).packets
            if b"00000001" in p.data]


def flags_say_the_direction_where_it_is_known(t):
    tx, rx = t.netns("tx"), t.netns("rx")
    t.veth(tx, "pb0", rx, "pb1")
    node = t.node("edge", netns=rx, captures=[
        "any", "pb1", ("lo", "direction = in")])
    node.start()
    t.sender = tx
    send(t, [frame(1)])
    t.sender = rx
    send(t, [frame(1)], "pb1")
    send(t, [frame(1)], "lo")
    wait_until(lambda: [len(flags_of(node, i)) for i in
                        ("any", "pb1", "lo")] == [3, 2, 1],
               "what went by is stored")
    # What leaves by lo comes in by it: libpcap tells it once.
    equal(flags_of(node, "any"), [IN, OUT, IN], "of any")
    equal(flags_of(node, "pb1"), [IN, OUT], "of Ethernet, both ways")
    equal(flags_of(node, "lo"), [IN], "of Ethernet, what comes in alone")


if __name__ == "__main__":
    main("521", tags_are_in_the_frame_as_they_were_on_the_wire,
         a_filter_of_the_capture_finds_the_tags_as_well,
         trailers_behind_tags_are_read,
         flags_say_the_direction_where_it_is_known)
