"""Capture files made here, block by block: valid ones and broken ones.

A writer as independent as pngread.py; every function takes the byte order.
"""

import struct

MAGIC_NS, MAGIC_US = 0xA1B23C4D, 0xA1B2C3D4
PEN = 32473
T0 = 1700000000         # seconds


def block(o, kind, body):
    body += b"\0" * (-len(body) % 4)
    size = len(body) + 12
    return struct.pack(o + "II", kind, size) + body + struct.pack(o + "I", size)


def opts(o, *options, end=True):
    out = b""
    for code, value in options:
        if isinstance(value, str):
            value = value.encode()
        out += struct.pack(o + "HH", code, len(value)) + value
        out += b"\0" * (-len(value) % 4)
    return out + (struct.pack(o + "HH", 0, 0) if options and end else b"")


def shb(o, *options, version=(1, 0), section=-1):
    return block(o, 0x0A0D0D0A, struct.pack(
        o + "IHHq", 0x1A2B3C4D, *version, section) + opts(o, *options))


def idb(o, link, *options, snaplen=262144):
    return block(o, 1, struct.pack(o + "HHI", link, 0, snaplen) +
                 opts(o, *options))


def epb(o, interface, ticks, data, *options, origlen=None, end=True):
    return block(o, 6, struct.pack(
        o + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data),
        len(data) if origlen is None else origlen) +
        data + b"\0" * (-len(data) % 4) + opts(o, *options, end=end))


def old_pb(o, interface, drops, ticks, data, *options):
    return block(o, 2, struct.pack(
        o + "HHIIII", interface, drops, ticks >> 32, ticks & 0xFFFFFFFF,
        len(data), len(data)) + data + b"\0" * (-len(data) % 4) +
        opts(o, *options))


def spb(o, data, origlen=None):
    return block(o, 3, struct.pack(o + "I", origlen or len(data)) + data)


def isb(o, interface, ticks, *options):
    return block(o, 5, struct.pack(o + "III", interface, ticks >> 32,
                                   ticks & 0xFFFFFFFF) + opts(o, *options))


def filtered(o, first, last, ticks, digest=0):
    """Numbers that were left out (docs/format.md, kind 7)."""
    return isb(o, 0, ticks, (2989, struct.pack(o + "I", 32473) + b"PB\1\7" +
                             struct.pack("<QQQ", first, last, digest)))


def pcap(o, magic, packets, link=1, snaplen=262144):
    out = [struct.pack(o + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)]
    for sec, frac, data, origlen in packets:
        out += struct.pack(o + "IIII", sec, frac, len(data), origlen), data
    return b"".join(out)


RAMP = bytes(range(256))


def eth(n, size=60):
    """An Ethernet/IPv4/UDP frame with a number in it."""
    at = n & 0xFF
    payload = struct.pack(">Q", n) + (RAMP * (size // 256 + 2))[
        at:at + max(size - 50, 0)]
    udp = struct.pack(">HHHH", 1000 + n % 5000, 53, 8 + len(payload), 0)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), n & 0xFFFF,
                     0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    return (bytes.fromhex("020000000002020000000001" "0800") + ip + udp +
            payload)


def u(o, width, value):
    return struct.pack(o + {1: "B", 4: "I", 8: "Q"}[width], value)


def _many_options(o):
    return [
        (1, "first comment"), (1, "second: \u00e9\u4e2d"),
        (2, u(o, 4, 0x2)),                      # flags: outbound
        (3, b"\x02\x12\x34\x56\x78"),           # hash: CRC32
        (4, u(o, 8, 7)),                        # dropcount
        (6, u(o, 4, 3)),                        # queue
        (8, u(o, 4, 11) + u(o, 4, 12)),         # process and thread
        (2988, u(o, 4, PEN) + b"text \xc3\xa9"),
        (2989, u(o, 4, PEN) + b"\x01\x02binary"),
        (19372, u(o, 4, PEN) + b"not to be copied"),
        (19373, u(o, 4, 70000) + b"\xff\x00\xff"),
        (99, b"an option nobody knows"),
    ]


def _sections(o):
    out = b""
    for n in range(3):
        out += shb(o, (3, "an operating system"), (4, "a program"),
                   version=(1, 2 if n == 1 else 0))
        out += idb(o, 1, (2, "eth%d" % n), (3, "port %d" % n), (9, b"\x09"))
        out += idb(o, 101, (2, "tun%d" % n), (11, b"\0not port 22"))
        for i in range(5):
            out += epb(o, i % 2, (T0 + n * 100 + i) * (10**9 if i % 2 == 0
                       else 10**6), eth(n * 10 + i)[14 if i % 2 else 0:])
        out += idb(o, 1, (2, "late%d" % n), (8, u(o, 8, 10**10)))
        out += epb(o, 2, (T0 + n) * 10**6, eth(99))
        out += isb(o, 0, T0 * 10**9, (4, u(o, 8, 5)), (5, u(o, 8, 0)))
    return out


def _resolutions(o):
    out = shb(o)
    kinds = [(0, 1), (3, 10**3), (6, 10**6), (9, 10**9), (10, 10**10),
             (0x80 | 10, 2**10), (0x80 | 20, 2**20), (0x80 | 30, 2**30),
             (0x80 | 31, 2**31)]
    for n, (code, _) in enumerate(kinds):
        out += idb(o, 1, (2, "r%d" % n), (9, bytes([code])))
    for n, (_, unit) in enumerate(kinds):
        for i in range(3):
            ticks = T0 * unit + unit * i // 3 + 1
            out += epb(o, n, ticks, eth(n * 3 + i))
    return out


def _fine_resolutions(o):
    """So fine that 64 bits of them wrap within 1970: small times."""
    out = shb(o)
    kinds = [12, 15, 18, 19, 0x80 | 40, 0x80 | 62, 0x80 | 63]
    for n, code in enumerate(kinds):
        out += idb(o, 1, (2, "f%d" % n), (9, bytes([code])),
                   (14, struct.pack(o + "q", T0)))
    for n in range(len(kinds)):
        for i, ticks in enumerate((1, 2**63 - 1, 2**64 - 1)):
            out += epb(o, n, ticks, eth(n * 3 + i))
    return out


def _offsets(o):
    out = shb(o)
    for n, off in enumerate((-3600, 3600, -1, 1000000000)):
        out += idb(o, 1, (2, "o%d" % n), (14, struct.pack(o + "q", off)))
        out += epb(o, n, T0 * 10**6 + 123456, eth(n))
    return out


def _strange(o):
    out = shb(o, (1, "a comment on the section"), (99, b"unknown"))
    out += block(o, 0x7777, b"a block nobody knows")
    out += block(o, 4, struct.pack(o + "HH", 1, 9) +
                 b"\x0a\0\0\1host\0" + b"\0" * 3 + struct.pack(o + "HH", 0, 0))
    out += idb(o, 1, (2, "eth0"), (99, b"odd"), (2988, u(o, 4, PEN) + b"x"))
    out += block(o, 0x0BAD, u(o, 4, PEN) + b"custom, copied")
    out += block(o, 0x40000BAD, u(o, 4, PEN) + b"custom, not copied")
    out += block(o, 10, u(o, 4, 0x544C534B) + u(o, 4, 4) + b"keys")
    out += epb(o, 0, T0 * 10**6, eth(1), *_many_options(o))
    out += epb(o, 0, T0 * 10**6 + 1, eth(2), (1, "no end of options"),
               end=False)
    out += epb(o, 0, T0 * 10**6 + 2, b"", origlen=1500)
    out += epb(o, 0, T0 * 10**6 + 3, eth(3)[:40], origlen=60)
    out += epb(o, 0, T0 * 10**6 - 5, eth(4), (5, u(o, 8, 4242)))
    out += epb(o, 0, T0 * 10**6 + 5, eth(5), (1, ""), (1, "x" * 60000))
    return out


def _old(o):
    out = shb(o) + idb(o, 1, (2, "old0"), snaplen=96)
    out += old_pb(o, 0, 5, T0 * 10**6, eth(1), (2, u(o, 4, 1)))
    out += old_pb(o, 0, 0xFFFF, T0 * 10**6 + 1, eth(2), (1, "old comment"))
    out += spb(o, eth(3))
    out += spb(o, eth(4, 200)[:96], origlen=200)
    return out


def valid():
    """{name: bytes} of files that every reader must take."""
    out = {}
    for o, tag in (("<", "le"), (">", "be")):
        out["sections-" + tag] = _sections(o)
        out["resolutions-" + tag] = _resolutions(o)
        out["fine-" + tag] = _fine_resolutions(o)
        out["offsets-" + tag] = _offsets(o)
        out["strange-" + tag] = _strange(o)
        out["old-" + tag] = _old(o)
        for magic, unit, name in ((MAGIC_NS, 9, "ns"), (MAGIC_US, 6, "us")):
            out["pcap-%s-%s" % (name, tag)] = pcap(o, magic, [
                (T0 + i, 10**unit - 1 - i, eth(i), 60 + i % 2 * 100)
                for i in range(20)])
        out["raw-" + tag] = pcap(o, MAGIC_US, [(T0, 1, eth(1)[14:], 46)], 101)
        out["empty-" + tag] = shb(o) + idb(o, 1, (2, "eth0"))
    out["mixed"] = _sections("<") + _sections(">")
    out["skipped-version"] = (_sections("<") + shb("<", version=(2, 0)) +
                              block("<", 1, b"\xff" * 16) + _offsets("<"))
    return out


def malformed():
    """{name: (bytes, offset of the first bad block)}; a good packet stands
    before the fault wherever the format lets it."""
    out = {}
    for o, tag in (("<", "le"), (">", "be")):
        good = shb(o) + idb(o, 1, (2, "eth0")) + epb(o, 0, T0, eth(1))
        at = len(good)
        one = epb(o, 0, T0, eth(2))

        def add(name, data, offset=at, good=good):
            out[name + "-" + tag] = (good + data, offset)

        add("cut-short", one[:-8])
        add("cut-in-header", one[:5])
        add("trailer-differs", one[:-4] + u(o, 4, len(one) + 4))
        add("length-odd", one[:4] + u(o, 4, len(one) + 1) + one[8:])
        add("length-small", one[:4] + u(o, 4, 8) + one[8:])
        add("length-huge", one[:4] + u(o, 4, 0x7FFFFFF0) + one[8:])
        add("no-such-interface", epb(o, 7, T0, eth(2)))
        add("caplen-leaves-block",
            one[:20] + u(o, 4, 0xFFFFFFFF) + one[24:])
        add("option-leaves-block", block(o, 6, struct.pack(
            o + "IIIII", 0, 0, T0, 4, 4) + b"data" + struct.pack(
            o + "HH", 1, 500) + b"abcd"))
        add("bad-magic", shb(o)[:8] + b"\x11\x22\x33\x44" + shb(o)[12:])
        add("short-idb", block(o, 1, b"\0\0\0\0"))
        add("zeros", b"\0" * 64)
        bad = pcap(o, MAGIC_US, [(T0, 0, eth(1), 60)])
        out["pcap-cut-short-" + tag] = (bad[:-3], 24)
        out["pcap-cut-in-header-" + tag] = (bad + b"\1\2\3", len(bad))
        out["pcap-version-" + tag] = (
            bad[:4] + struct.pack(o + "HH", 3, 4) + bad[8:], None)
        out["pcap-huge-record-" + tag] = (
            bad + struct.pack(o + "IIII", T0, 0, 0x7FFFFFFF, 60), len(bad))
    out["no-section-first"] = (idb("<", 1) + epb("<", 0, T0, eth(1)), 0)
    out["text"] = (b"this is no capture file\n" * 10, 0)
    out["only-other-version"] = (shb("<", version=(9, 0)), None)
    out["nothing"] = (b"", None)
    return out
