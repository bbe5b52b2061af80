"""Stamps of switches are what Wireshark's dissectors see in the same file, and
what the frames were made of, packet by packet and to the last fraction bit.

PB_SEED repeats the frames.
"""

import datetime

from harness import *
from trailers import *

PACKETS = 200               # of a format
S, NS = 1_760_000_000, 10**9
DAYS = 6 * 86400            # that a stamp may be off, for Wireshark
UNKNOWN = 0x88B6            # an EtherType that we give TTAG
HEURISTICS = ("metamako_eth", "exablaze_eth", "vssmonitoring_eth",
              "ixiatrailer_eth")
FLAGS = {"fcs_valid": 1, "duplicate": 4, "degraded": 16}   # metamako's


def some(number, bits):
    """At random, with the edges more often than they would come."""
    edges = (0, 1, 2**bits - 1, 2**(bits - 1))
    return number.choice(edges) if number.random() < 0.2 else (
        number.randrange(2**bits))


class Made:
    """Frames of one format: what was put on each."""

    def __init__(self, name, packets=PACKETS):
        self.random = random.Random("%d %s" % (SEED, name))
        self.frames, self.stamps = [], []
        for n in range(packets):
            frame = udp(self.random.randbytes(18 + n), number=n)
            self.frames.append(self.put(frame))

    def when(self):
        """Seconds and nanoseconds."""
        number = self.random
        return (S + number.randrange(-DAYS, DAYS),
                number.choice((0, 1, NS - 1, number.randrange(NS))))

    def stamp(self, whole, ns, **more):
        """`whole` seconds and `ns`, and a `fraction` in 1/2^32 ns."""
        more.setdefault("fraction", 0)
        self.stamps.append(dict(more, ns=whole * NS + ns))


class Metamako(Made):
    words = "metamako"
    fields = ("metamako.time", "metamako.srcdevice", "metamako.srcport",
              "metamako.flags", "metamako.seqnum", "metamako.subns")

    def put(self, frame):
        number = self.random
        seconds, ns = self.when()
        flags = number.choice((0, 1, 4, 5, 16, 21))
        device, port = some(number, 16), some(number, 8)
        seq, part = some(number, 16), some(number, 24)
        extensions = number.choice(
            ([], [sequence(seq)], [fraction(part)],
             [sequence(seq), fraction(part)],
             [fraction(part), crc_hash(some(number, 64)), sequence(seq)]))
        heads = [e[-1] & 31 for e in extensions]
        seq = seq if 0 in heads else None
        part = part if 1 in heads else 0
        self.stamp(seconds, ns, device=device, port=port, seq=seq,
                   fraction=part << 8, flags=flags)
        return metamako(frame, seconds, ns, flags, device, port, extensions)

    @staticmethod
    def same(theirs, stamp):
        time, device, port, flags, seq, part = theirs
        equal(absolute(time), stamp["ns"], "metamako.time")
        equal((int(device), int(port)), (stamp["device"], stamp["port"]),
              "metamako's place")
        equal(int(flags, 16) & 0x15, stamp["flags"], "metamako.flags")
        equal(seq, "" if stamp["seq"] is None else str(stamp["seq"]),
              "metamako.seqnum")
        check(part in ("", str(stamp["fraction"] >> 8)), "metamako.subns",
              part, stamp)


class Exablaze(Made):
    words = "exablaze"
    fields = ("exablaze.timestamp.seconds",
              "exablaze.timestamp.fractional_seconds", "exablaze.device",
              "exablaze.port")

    def put(self, frame):
        number = self.random
        seconds, _ = self.when()
        part = some(number, 40)
        device, port = some(number, 8), some(number, 8)
        whole = part * NS * 2**32 // 2**40      # of 1/2^32 ns: exact
        equal(whole * 2**40, part * NS * 2**32, "a fraction is exact")
        self.stamp(seconds, whole >> 32, fraction=whole & 2**32 - 1,
                   device=device, port=port, seconds=seconds, part=part)
        return exablaze(frame, seconds, part, device, port)

    @staticmethod
    def same(theirs, stamp):
        seconds, part, device, port = theirs
        equal(int(seconds), stamp["seconds"], "exablaze's seconds")
        check(abs(float(part) - stamp["part"] / 2**40) < 1e-9,
              "exablaze's fraction", part, stamp)
        equal((int(device), int(port)), (stamp["device"], stamp["port"]),
              "exablaze's place")


class Vss(Made):
    words, port_bytes = "vss", 0
    fields = ("vssmonitoring.time", "vssmonitoring.clksrc",
              "vssmonitoring.srcport")

    def put(self, frame):
        number = self.random
        seconds, ns = self.when()
        source = number.randrange(4)
        port = some(number, 8 * self.port_bytes) if self.port_bytes else None
        self.stamp(seconds, ns, port=port, device=port and 0,
                   source=source, flags=0 if source else FLAGS["degraded"])
        return vss(frame, seconds, ns, source, port, self.port_bytes)

    @staticmethod
    def same(theirs, stamp):
        time, source, port = theirs
        equal(absolute(time), stamp["ns"], "vssmonitoring.time")
        equal(int(source), stamp["source"], "vssmonitoring.clksrc")
        equal(port, "" if stamp["port"] is None else str(stamp["port"]),
              "vssmonitoring.srcport")


class Vss1(Vss):
    words, port_bytes = "vss:1", 1


class Vss2(Vss):
    words, port_bytes = "vss:2", 2


class Ixia(Made):
    words = "ixia"
    fields = ("ixiatrailer.timestamp",)

    def put(self, frame):
        seconds, ns = self.when()
        kind = self.random.randrange(3, 8)
        self.stamp(seconds, ns,
                   flags=FLAGS["degraded"] if kind in (3, 7) else 0)
        return ixia(frame, ixia_time(seconds, ns, kind))

    @staticmethod
    def same(theirs, stamp):
        equal(absolute(theirs[0]), stamp["ns"], "ixiatrailer.timestamp")


class Arista7280(Made):
    words = "arista7280"
    fields = ("avsp.64sec", "avsp.64ns", "avsp.48sec", "avsp.48ns")

    def put(self, frame):
        number = self.random
        bits, utc = number.choice((64, 48)), number.random() < 0.5
        seconds, ns = self.when()
        if bits == 48:
            seconds = S + number.randrange(-3500, 3500)
        self.stamp(seconds, ns, bits=bits, extended=bits == 48)
        # Older dissectors know TAI's versions alone.
        return arista7280(frame, seconds + 37 * (not utc), ns, bits, utc)

    @staticmethod
    def same(theirs, stamp):
        low = 2**(stamp["bits"] - 32)
        seconds, ns = [int(v) for v in theirs if v] or (None, None)
        if seconds is None:
            return
        equal(ns, stamp["ns"] % NS, "avsp's nanoseconds")
        check((seconds - stamp["ns"] // NS) % low in (0, 37),
              "avsp's seconds", seconds, stamp)


class Ttag(Made):
    words = "ttag:0x%x" % UNKNOWN
    fields = ("ttag.time_stamp",)

    def put(self, frame):
        ns = self.random.randrange(-3500 * NS, 3500 * NS)
        self.stamp(S, ns, extended=True)
        return ttag(frame, S * NS + ns, UNKNOWN)

    @staticmethod
    def same(theirs, stamp):
        seconds, _, ns = theirs[0].partition(".")
        equal(int(seconds) * NS + int(ns.ljust(9, "0")),
              stamp["ns"] % 2**48, "ttag.time_stamp")


FORMATS = (Metamako, Exablaze, Vss, Vss1, Vss2, Ixia, Arista7280, Ttag)


# --- what Wireshark says, and what we say ------------------------------------

def absolute(text):
    """Nanoseconds of `Nov 14, 2023 22:13:20.000000123 UTC`."""
    whole, ns = text.split(" UTC")[0].split(".")
    at = datetime.datetime.strptime(whole, "%b %d, %Y %H:%M:%S")
    return int(at.replace(tzinfo=datetime.timezone.utc).timestamp()) * NS + (
        int(ns.ljust(9, "0")))


def tshark(path, fields, *more):
    """Of each packet the fields, "" for one that is not there.  Only the
    dissector that has them looks: another one claims a frame by chance, if
    what it takes for a time is near; Metamako's of 3,500 of Exablaze's one."""
    argv = ["tshark", "-r", path, "-T", "fields", "-d",
            "ethertype==0x%x,ttag" % UNKNOWN, *more]
    for heuristic in HEURISTICS:
        has = fields[0].split(".")[0] + "_eth" == heuristic
        argv += ["--%s-heuristic" % ("enable" if has else "disable"),
                 heuristic]
    for field in fields:
        argv += ["-e", field]
    said = must(argv, env={"TZ": "UTC", "LC_ALL": "C"}).decode()
    return [line.split("\t") for line in said.split("\n")[:-1]]


def stored(t, node, name, frames):
    """The frames as a stream `name`, and the file that it is made of."""
    path = t.path(name + ".pcap")
    write(path, [(S * NS, captured(f)) for f in frames])
    node.pb("import", "--interface", name, path)
    return path


def hops(node, name, words):
    """Of each packet the stamps on its way, by such a list."""
    rows = node.rows("query", "--stream", "*/" + name, "--trailers", words)
    return [[h for h in row["hops"] if "trailer" in h] for row in rows]


def exact(text):
    """Nanoseconds of an RFC 3339 time, and 1/2^32 of one."""
    digits = text.rstrip("Z").partition(".")[2][9:]
    part = int(digits or "0") * 2**32 / 10**len(digits or "0")
    return parse_time(text), round(part)


def same_as_made(hop, stamp, words):
    """Our stamp and what the frame was made of."""
    equal(hop["trailer"], words.partition(":")[0], "the format")
    equal(exact(hop["time"]), (stamp["ns"], stamp["fraction"]),
          "time of " + words)
    for key in ("device", "port", "seq"):
        equal(hop[key], stamp.get(key), "%s of %s" % (key, words))
    flags = {word for word, bit in FLAGS.items()
             if stamp.get("flags", 0) & bit}
    if stamp.get("extended"):
        flags.add("extended")
    equal(set(hop["flags"]), flags, "flags of " + words)


def a_format_alone_is_what_wireshark_sees(t):
    need("tshark")
    node = t.node("n1")
    for number, kind in enumerate(FORMATS):
        made = kind(kind.words)
        name = "tap%d" % number
        path = stored(t, node, name, made.frames)
        ours = hops(node, name, kind.words)
        more = (["-o", "vssmonitoring.two_byte_portstamps:TRUE"]
                if kind is Vss2 else [])
        theirs = tshark(path, kind.fields, *more)
        equal((len(ours), len(theirs)), (PACKETS, PACKETS), "packets")
        seen = 0
        for hop, fields, stamp in zip(ours, theirs, made.stamps):
            equal(len(hop), 1, "stamps of " + kind.words)
            same_as_made(hop[0], stamp, kind.words)
            kind.same(fields, stamp)
            seen += any(fields)
        check(seen == PACKETS or kind is Arista7280 and seen > PACKETS / 4,
              "Wireshark saw", seen, "of", kind.words)


def each_layer_of_a_stack_is_what_wireshark_sees(t):
    """Three deep, peeled one by one."""
    need("tshark")
    node = t.node("n1")
    number = random.Random(SEED)
    for n in range(8):
        kinds = [number.choice((Metamako, Exablaze)) for _ in range(3)]
        made = [kind("%d %d" % (n, i), 0) for i, kind in enumerate(kinds)]
        frames = [udp(number.randbytes(50), number=i) for i in range(20)]
        for layer in made:
            frames = [layer.put(frame) for frame in frames]
        name = "tap%d" % n
        stored(t, node, name, frames)
        words = [kind.words for kind in reversed(kinds)]
        for ours, *stamps in zip(hops(node, name, ",".join(words)),
                                 *(layer.stamps for layer in made)):
            for hop, stamp, kind in zip(ours, stamps, kinds):
                same_as_made(hop, stamp, kind.words)
        for depth, kind in enumerate(reversed(kinds)):
            path = t.path("%s.%d.pcapng" % (name, depth))
            node.pb("query", "--stream", "*/" + name, "--trailers",
                    ",".join(words[:depth]) or "none", "--strip-trailers",
                    "-w", path)
            theirs = tshark(path, kind.fields)
            equal(len(theirs), 20, "packets")
            for fields, stamp in zip(theirs, made[2 - depth].stamps):
                kind.same(fields, stamp)


main("510", a_format_alone_is_what_wireshark_sees,
     each_layer_of_a_stack_is_what_wireshark_sees)
