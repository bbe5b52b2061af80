"""Which way a packet went, and how it was received: as tshark says it."""

import json
import random
import struct

from harness import *
from sender import send
import samples
import trailers

NEAR, FAR = bytes.fromhex("020000000002"), bytes.fromhex("020000000001")
OTHER, GROUP = bytes.fromhex("020000000009"), bytes.fromhex("01005e000001")
ALL = b"\xff" * 6
Q, S = 0x8100, 0x88a8       # 802.1Q, 802.1ad
JUMBO = 9000 + 14
SECONDS = int(time.time())
# frame.packet_flags_direction and frame.packet_flags_reception_type.
UNICAST, MULTICAST, BROADCAST, PROMISCUOUS = ("1", "1"), ("1", "2"), (
    "1", "3"), ("1", "4")
OUT = ("2", "0")
TAGS = [(), ((Q, 5),), ((S, 5), (Q, 7)), ((Q, 5), (Q, 7), (Q, 9))]


def frame(n, to, by, tags=(), size=0):
    """Numbered UDP, so long."""
    payload = b"%08d" % n * 4
    head = to + by + b"".join(struct.pack(">HH", *t) for t in tags)
    payload = payload.ljust(size - len(head) - 30, b"x")
    udp = struct.pack(">HHHH", 4000, 5000, 8 + len(payload), 0) + payload
    return head + b"\x08\x00" + trailers.ip4(
        17, udp, 0x0a000001, 0x0a000002, number=n & 0xffff)


def number_of(data):
    """Behind Ethernet, tags, IPv4 and UDP."""
    at = 12
    while struct.unpack_from(">H", data, at)[0] in (Q, S):
        at += 4
    return int(data[at + 30:at + 38])


class Frames:
    """What comes in and what goes out, and what tshark is to say of it."""

    def __init__(self):
        self.sent = {"in": [], "out": []}
        self.said = {}

    def add(self, way, said, to, by, tags=(), size=0):
        n = len(self.said) + 1
        self.sent[way].append(frame(n, to, by, tags, size))
        self.said[n] = said

    def of_all_kinds(self):
        for tags in TAGS:
            for size in (0, 1514, JUMBO + 4 * len(tags)):
                for to, said in ((NEAR, UNICAST), (GROUP, MULTICAST),
                                 (ALL, BROADCAST), (OTHER, PROMISCUOUS)):
                    self.add("in", said, to, FAR, tags, size)
                for to in (FAR, GROUP, ALL, OTHER):
                    self.add("out", OUT, to, NEAR, tags, size)
        return self


def wire(t):
    """far0 to near0, whose addresses are FAR and NEAR."""
    t.far, t.near = t.netns("far"), t.netns("near")
    t.veth(t.far, "far0", t.near, "near0", 9200)
    for ns, name, address in ((t.far, "far0", FAR), (t.near, "near0", NEAR)):
        t.inside(ns, "ip", "link", "set", name, "address", address.hex(":"))


def go(t, frames, change=lambda f: f):
    for ns, name, way in ((t.far, "far0", "in"), (t.near, "near0", "out")):
        t.sender = ns
        send(t, [change(f) for f in frames.sent[way]], name)


def stored(node, count):
    wait_until(lambda: sum(r["packets"] for r in node.streams().values())
               == count, "%d packets are stored" % count)


def told(t, node, *query):
    """{number of a frame: what tshark says of it}; each once."""
    need("tshark")
    out = t.path("told.pcapng")
    node.pb("query", *query, "-w", out)
    said = must(["tshark", "-n", "-r", out, "-T", "fields",
                 "-e", "frame.packet_flags_direction",
                 "-e", "frame.packet_flags_reception_type"]).decode()
    rows = [tuple(int(v, 0) if v else None for v in line.split("\t"))
            for line in said.split("\n")[:-1]]
    packets = pngread.read(out).packets
    equal(len(rows), len(packets), "rows of tshark")
    found = {number_of(p.data): tuple(v if v is None else str(v) for v in row)
             for p, row in zip(packets, rows)}
    equal(len(found), len(packets), "frames, each once")
    return found


def agree(t, node, want, *query):
    have = told(t, node, *query)
    wrong = {n: (have.get(n), want.get(n)) for n in want.keys() | have.keys()
             if have.get(n) != want.get(n)}
    check(not wrong, node.name, "tells of", len(wrong), "of", len(want),
          "frames something else than wanted:", dict(sorted(
              wrong.items())[:4]))


def captured(t, *keys):
    """All kinds of frames by an edge with these keys, which tells of each
    what it should."""
    wire(t)
    node = t.node("edge", netns=t.near, captures=[("near0", *keys)])
    node.start()
    frames = Frames().of_all_kinds()
    go(t, frames)
    want = {n: said for n, said in frames.said.items()
            if said != OUT or "direction = in" not in keys}
    stored(node, len(want))
    agree(t, node, want)
    return node


def both_ways_of_an_ethernet_interface_tell_theirs(t):
    node = captured(t)
    said = [json.loads(line)["direction"] for line in
            node.pb("query", "--json").splitlines()]
    equal([said.count(way) for way in ("in", "out")], [len(said) // 2] * 2,
          "ways that pb query says")
    # What nobody knows is not said.
    node.pb("import", "--interface", "eth9", t.write("a.pcap", samples.pcap(
        "<", samples.MAGIC_NS, [(samples.T0, 1, samples.eth(1), 60)])))
    line, = node.pb("query", "--json", "--stream",
                    "*/eth9").splitlines()
    check("direction" not in json.loads(line), line)


def each_of_several_threads_tells_it(t):
    node = captured(t, "threads = 2")
    check("threads=2 " in node.recorder.text(), node.recorder.tail())


def where_only_what_comes_in_is_captured_it_tells_how(t):
    captured(t, "direction = in")


def by_several_threads_as_well(t):
    captured(t, "direction = in", "threads = 3")


def frames_that_are_cut_tell_it(t):
    node = captured(t, "snaplen = 64")
    equal({len(p.data) for p in node.query().packets}, {64}, "lengths")


def a_filter_leaves_it_as_it_is(t):
    captured(t, "filter = udp or vlan")


def frames_with_stamps_beside_them_tell_it(t):
    wire(t)
    node = t.node("edge", netns=t.near, captures=[
        ("near0", "trailers = metamako", "timestamp_from = trailer")])
    node.start()
    frames = Frames().of_all_kinds()
    go(t, frames, lambda f: trailers.captured(trailers.metamako(
        trailers.with_fcs(f), SECONDS, 7, device=1, port=2)))
    stored(node, len(frames.said))
    agree(t, node, frames.said)
    equal({p.time_ns for p in node.query().packets},
          {SECONDS * 10**9 + 7}, "times")
    # With the trailers cut off, too.
    agree(t, node, frames.said, "--strip-trailers")


def it_is_kept_over_two_hops(t):
    wire(t)
    core = t.node("core", listen=True)
    relay = t.node("relay", listen=True, upstreams={"core": core})
    edge = t.node("edge", netns=t.near, captures=["near0"],
                  upstreams={"relay": relay})
    for node in (core, relay, edge):
        node.start()
    frames = Frames().of_all_kinds()
    go(t, frames)
    stored(edge, len(frames.said))
    drained(edge, relay, core)
    for node in (edge, relay, core):
        agree(t, node, frames.said)


def among_thousands_both_ways_at_once_none_is_wrong(t):
    """Lengths and tags at random; a ring that is small, so that it goes
    round often."""
    wire(t)
    rand = random.Random(SEED)
    frames = Frames()
    for _ in range(int(20000 / SLOW)):
        said, way, to, by = rand.choice((
            (UNICAST, "in", NEAR, FAR), (PROMISCUOUS, "in", OTHER, FAR),
            (BROADCAST, "in", ALL, FAR), (OUT, "out", FAR, NEAR),
            (OUT, "out", ALL, NEAR)))
        frames.add(way, said, to, by, rand.choice(TAGS), rand.choice(
            (0, 0, rand.randrange(1514), rand.randrange(JUMBO))))
    node = t.node("edge", netns=t.near, captures=[
        ("near0", "buffer = 8MiB", "threads = 2")])
    node.start()
    other = threading.Thread(target=send, args=(
        Sender(t, t.far), frames.sent["in"], "far0"))
    other.start()
    send(Sender(t, t.near), frames.sent["out"], "near0")
    other.join()
    wait_until(lambda: sum(r["packets"] + r["dropped"] for r in
                           node.streams().values()) == len(frames.said),
               "all are stored or told of", 30)
    have = told(t, node)
    check(len(have) > len(frames.said) / 2, "only", len(have), "are stored")
    wrong = [n for n in have if have[n] != frames.said[n]]
    check(not wrong, len(wrong), "of", len(have), "are wrong:",
          [(n, have[n], frames.said[n]) for n in wrong[:4]])


def start_traced(t, node, *options):
    """The recorder, with strace at it from its first call on."""
    node.recorder = Daemon(
        t, "traced", ["strace", "-D", "-f", "-q", "-e", "trace=getsockopt",
                      *options, os.path.join(BUILD, "pb-recorder"), "-c",
                      node.conf], netns=node.netns,
        env={"ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": ""})
    node.recorder.says("capturing interface=near0")


def calls_to(log, option):
    """How many calls the one who asks for that has made by then."""
    made = {}
    for line in open(log):
        if "getsockopt(" not in line:
            continue
        who = line.split()[0]
        made[who] = made.get(who, 0) + 1
        if option in line:
            return made[who]
    raise Failure("nobody asks for " + option)


def where_the_kernel_does_not_say_packets_are_captured_without(t):
    need("strace", "tshark")
    if WRAP:
        skip("strace does not go with " + WRAP[0])
    wire(t)
    for way, of_in in (("both", (None, None)), ("in", ("1", "0"))):
        node = t.node("edge", netns=t.near, where=t.path(way), captures=[
            ("near0", "direction = " + way)])
        start_traced(t, node, "-o", t.path("calls"))
        node.recorder.stop()
        start_traced(t, node, "-o", "/dev/null", "-e", "inject=getsockopt:"
                     "error=ENOPROTOOPT:when=%d" % calls_to(
                         t.path("calls"), "PACKET_VERSION"))
        node.recorder.says(r"packets do not tell their direction "
                           r"interface=near0: .*Protocol not available")
        frames = Frames().of_all_kinds()
        go(t, frames)
        want = {n: of_in if said != OUT else (None, None)
                for n, said in frames.said.items()
                if said != OUT or way == "both"}
        stored(node, len(want))
        agree(t, node, want)
        node.recorder.stop()


class Sender:
    """Who sends in a namespace, beside others."""

    def __init__(self, t, ns):
        self.t, self.sender = t, ns

    def __getattr__(self, name):
        return getattr(self.t, name)


TUN = """
import fcntl, os, socket, struct, sys
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x1001))
os.write(1, b"up\\n")
sys.stdin.readline()
os.write(fd, bytes.fromhex(sys.argv[1]))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("tun0", 0x0800))
s.send(bytes.fromhex(sys.argv[2]))
sys.stdin.readline()
"""


def packets_without_a_link_header_tell_it(t):
    need("tshark")
    ns = t.netns("tun")
    t.inside(ns, "ip", "tuntap", "add", "dev", "tun0", "mode", "tun")
    t.inside(ns, "ip", "link", "set", "tun0", "up")
    tun = t.spawn([sys.executable, "-c", TUN] + [
        frame(n, NEAR, FAR)[14:].hex() for n in (1, 2)], ns,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    equal(tun.stdout.readline(), b"up\n", "tun0")
    node = t.node("edge", netns=ns, captures=["tun0"])
    node.start()
    tun.stdin.write(b"\n")
    tun.stdin.flush()
    stored(node, 2)
    out = t.path("out.pcapng")
    node.pb("query", "-w", out)
    said = must(["tshark", "-n", "-r", out, "-T", "fields", "-e", "ip.id",
                 "-e", "frame.packet_flags_direction"]).split()
    equal([int(v, 0) for v in said], [1, 1, 2, 2], "number and direction")


if __name__ == "__main__":
    main("523", both_ways_of_an_ethernet_interface_tell_theirs,
         each_of_several_threads_tells_it,
         where_only_what_comes_in_is_captured_it_tells_how,
         by_several_threads_as_well, frames_that_are_cut_tell_it,
         a_filter_leaves_it_as_it_is,
         frames_with_stamps_beside_them_tell_it,
         it_is_kept_over_two_hops,
         among_thousands_both_ways_at_once_none_is_wrong,
         where_the_kernel_does_not_say_packets_are_captured_without,
         packets_without_a_link_header_tell_it)
