#!/usr/bin/env python3
"""Write the seeds of fuzz_reader and fuzz_hop: run it in tests/fuzz.

Each seed is one small input that takes a branch of its own.
"""
import os
import struct


def option(e, code, value):
    pad = b"\0" * (-len(value) % 4)
    return struct.pack(e + "HH", code, len(value)) + value + pad


END = b"\0\0\0\0"


def block(e, kind, body):
    size = len(body) + 12
    return (struct.pack(e + "II", kind, size) + body +
            struct.pack(e + "I", size))


def shb(e, major=1, minor=0, options=b""):
    return block(e, 0x0A0D0D0A,
                 struct.pack(e + "IHHq", 0x1A2B3C4D, major, minor, -1) +
                 options)


def idb(e, linktype=1, snaplen=0, options=b""):
    return block(e, 1, struct.pack(e + "HHI", linktype, 0, snaplen) + options)


def data_of(data):
    return data + b"\0" * (-len(data) % 4)


def epb(e, interface, ticks, data, options=b"", original=None):
    return block(e, 6, struct.pack(
        e + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data),
        len(data) if original is None else original) + data_of(data) +
        options)


def packet_block(e, drops, data, options=b""):
    return block(e, 2, struct.pack(
        e + "HHIIII", 0, drops, 0, 5, len(data), len(data)) +
        data_of(data) + options)


def isb(e, options=b""):
    return block(e, 5, struct.pack(e + "III", 0, 0, 7) + options)


def pcap(e, magic, minor, linktype, records):
    out = struct.pack(e + "IHHiIII", magic, 2, minor, 0, 0, 65535, linktype)
    for seconds, fraction, first, second, data in records:
        out += struct.pack(e + "IIII", seconds, fraction, first, second)
        out += data
    return out


def own(kind, rest=b"", e="<", pen=32473):
    return option(e, 2989, struct.pack(e + "I", pen) + b"PB\1" +
                  bytes([kind]) + rest)


def node(name, description):
    return bytes([len(name), len(description)]) + name + description


def identity(nodes, interface, epoch=1, first=1):
    return own(1, struct.pack("<QQB", epoch, first, len(nodes)) +
               b"".join(nodes) + bytes([len(interface)]) + interface)


def hops(count):
    return own(2, b"".join(struct.pack("<QQ", 1000 + i, i + 1)
                           for i in range(count)))


def clocked(e, tsresol):
    """A section whose one packet has the largest tick count."""
    return (shb(e) + idb(e, 1, 0, option(e, 9, tsresol)) +
            epb(e, 0, 2 ** 64 - 1, b"x"))


def packet_options(e):
    return (option(e, 1, b"comment") +
            option(e, 2, struct.pack(e + "I", 5)) +
            option(e, 3, b"\2hash") +
            option(e, 4, struct.pack(e + "Q", 9)) +
            option(e, 5, struct.pack(e + "Q", 77)) +
            option(e, 6, struct.pack(e + "I", 1)) +
            option(e, 7, b"\1" + struct.pack(e + "Q", 2)) +
            option(e, 8, struct.pack(e + "II", 1, 2)) +
            hops(2) + option(e, 99, b"unknown") + END)


def interface_options(e):
    bpf = b"\1" + struct.pack(e + "HBBI", 6, 0, 0, 1)
    return (option(e, 2, b"eth0") + option(e, 9, b"\x09") +
            option(e, 8, struct.pack(e + "Q", 10 ** 9)) +
            option(e, 11, bpf) +
            option(e, 14, struct.pack(e + "q", -3600)) + END)


def seeds_in_order(e):
    frame = bytes(range(60))
    start = (shb(e, options=option(e, 4, b"seed") + END) +
             idb(e, 1, 96, interface_options(e)))
    yield "packets", start + 2 * epb(e, 0, 4 * 10 ** 18, frame,
                                     packet_options(e))
    yield "simple", start + block(e, 3, struct.pack(e + "I", 60) + frame)
    yield "old", start + packet_block(e, 3, b"old",
                                      option(e, 2, b"\1\2\3\4"))
    yield "statistics", start + isb(
        e, option(e, 4, struct.pack(e + "Q", 5)) + END)
    yield "others", start + b"".join(
        block(e, kind, b"whatever")
        for kind in (4, 10, 0xBAD, 0x40000BAD, 0x80000001))
    yield "binary-clock", clocked(e, b"\xBF")
    yield "fine-clock", clocked(e, b"\x13")
    yield "pcap-us", pcap(e, 0xA1B2C3D4, 4, 1, [(1, 2, 4, 60, b"abcd")])
    yield "pcap-ns", pcap(e, 0xA1B23C4D, 4, 0x24000001,
                          [(1, 2, 4, 4, b"abcd")])
    yield "pcap-2.2", pcap(e, 0xA1B2C3D4, 2, 1, [(1, 2, 60, 4, b"abcd")])
    yield "other-version", (shb(e, 2) + block(e, 1, b"") + shb(e) + idb(e) +
                            epb(e, 0, 1, b"x"))


def reader_seeds():
    for order, e in (("le", "<"), ("be", ">")):
        for name, data in seeds_in_order(e):
            yield order + "-" + name, data
    yield "both-orders", (shb("<") + idb("<") + epb("<", 0, 1, b"a") +
                          shb(">") + idb(">") + epb(">", 0, 1, b"b"))
    yield "cut-short", shb("<") + idb("<") + epb("<", 0, 1, b"a")[:-3]
    yield "zero-tail", shb("<") + idb("<") + b"\0" * 64
    yield "option-leaves", shb("<", options=b"\1\0\xFF\xFFabcd")
    yield "caplen-leaves", (shb("<") + idb("<") + block("<", 6, struct.pack(
        "<IIIII", 0, 0, 1, 5000, 5000) + b"abcd"))
    yield "huge-block", (shb("<") + struct.pack("<II", 6, 0xFFFFFFF0) +
                         b"abcdefgh")
    yield "filler", (shb("<") + idb("<") +
                     isb("<", own(3, b"\0" * 16) + END))
    yield "empty", b""


def hop_seeds():
    two = [node(b"lon1", b"London, rack 4"), node(b"core", b"")]
    full = [node(b"n" * 64, b"d" * 255)] * 16
    yield "identity", option("<", 3, b"any") + identity(two, b"eth0")
    yield "identity-full", identity(full, b"i" * 80)
    yield "identity-no-epoch", identity(two, b"eth0", epoch=0)
    yield "identity-cut", own(1, struct.pack("<QQBBB", 1, 1, 2, 64, 255) +
                              b"lon")
    yield "identity-17-nodes", identity([node(b"a", b"")] * 17, b"eth0")
    yield "identity-bad-name", identity([node(b"../x", b"")], b"eth0")
    yield "identity-tail", own(1, struct.pack("<QQB", 1, 1, 1) +
                               node(b"a", b"") + b"\4eth0tail")
    for count in (0, 1, 2, 14, 15, 16):
        yield "hops-%d" % count, (option("<", 5, b"\1" + b"\0" * 7) +
                                  hops(count))
    yield "hops-then-more", hops(1) + option("<", 1, b"comment")
    yield "hops-uneven", own(2, b"\1" * 21)
    yield "hops-twice", hops(1) + hops(2)
    yield "hops-other-pen", own(2, b"\1" * 16, pen=70000)
    yield "untimed", own(4)
    yield "other-version", option("<", 2989, b"\xD9\x7E\0\0PB\2\2")
    yield "leaves", b"\xAD\x0B\x40\0\xD9\x7E\0\0PB\1\2"


def main():
    for folder, seeds in (("reader", reader_seeds()), ("hop", hop_seeds())):
        path = os.path.join("seeds", folder)
        os.makedirs(path, exist_ok=True)
        for name, data in seeds:
            with open(os.path.join(path, name), "wb") as out:
                out.write(data)


main()
