"""`pb latency`: two taps with a known delay between them, and known losses."""

import decimal
import fractions
import random
import re
import struct
import xml.etree.ElementTree

from harness import *
import samples
import trailers

ETH_HEAD = 14
COUNT = 20_000
STEP_NS = 10_000
DELAY_NS = 3_500
FORWARDED = 2_000
HOLD_NS = 4_000_000         # that the forwarder keeps a frame at least
NO_TRAILER = b"\xff" * 60   # the end of a frame, which is none either


def pcap(t, name, packets):
    """A file of (time in ns, frame)."""
    return t.write(name + ".pcap", samples.pcap("<", samples.MAGIC_NS, [
        (ns // 10**9, ns % 10**9, data, len(data)) for ns, data in packets]))


def stored(t, **taps):
    """A node with a stream `x/NAME` for each tap."""
    node = t.node("x")
    for name, packets in taps.items():
        node.pb("import", "--node", "x", "--interface", name,
                pcap(t, name, packets))
    return node


def latency(node, *args):
    """What it prints as JSON."""
    rows = node.rows("latency", *args)
    equal(len(rows), 1, "lines of JSON")
    return rows[0]


def routed(frame, tag=0):
    """The frame behind a router: other addresses, one hop less; tagged."""
    ip = bytearray(frame[ETH_HEAD:])
    ip[8] -= 1
    ip[10:12] = b"\xab\xcd"
    return (bytes.fromhex("0200000000aa0200000000bb") +
            (struct.pack(">HH", 0x8100, tag) if tag else b"") + b"\x08\0" +
            ip)


def at(n):
    return samples.T0 * 10**9 + n * STEP_NS


def two_taps(t, delay, lost=(), begun=0):
    """Streams x/a and x/b: what leaves a is at b `delay(n)` later."""
    sent = [(at(n), samples.eth(n, 80 + n % 50)) for n in range(COUNT)]
    came = sorted((ns + delay(n), routed(frame, n % 3))
                  for n, (ns, frame) in enumerate(sent)
                  if n not in lost and n >= begun)
    return stored(t, a=sent[:], b=came)


def within(have, want, what):
    """A percentile: never below, at most 1 % above."""
    check(want <= have <= want * 1.01 + 0.001, what, have, "for", want)


def delays_and_losses_are_those_that_were_made(t):
    rng = random.Random(SEED)
    delay = [DELAY_NS + int(rng.expovariate(1 / 2000)) for _ in range(COUNT)]
    lost = set(rng.sample(range(COUNT), 137))
    node = two_taps(t, lambda n: delay[n], lost)
    said = latency(node, "--from", "x/a", "--to", "x/b")
    took = sorted(d for n, d in enumerate(delay) if n not in lost)
    for key, want in (("packets_from", COUNT), ("matched", len(took)),
                      ("packets_to", len(took)), ("lost", 137),
                      ("only_to", 0), ("ambiguous", 0), ("negative", 0),
                      ("given_up", 0), ("timeless", 0)):
        equal(said[key], want, key)
    spans = said["latency_ns"]
    equal((spans["min"], spans["max"]), (took[0], took[-1]), "min and max")
    check(abs(spans["mean"] - sum(took) / len(took)) < 1e-6, "mean",
          spans["mean"])
    for key, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
        within(spans[key], took[int(-(-len(took) * share // 1)) - 1], key)
    equal(sum(b["count"] for b in said["histogram"]), len(took),
          "packets in the histogram")
    for bucket in said["histogram"]:
        equal(bucket["count"], sum(bucket["from_ns"] <= d < bucket["to_ns"]
                                   for d in took),
              "packets from %s to %s ns" % (bucket["from_ns"],
                                            bucket["to_ns"]))


def a_filter_and_times_choose_what_is_compared(t):
    node = two_taps(t, lambda n: DELAY_NS, lost={5, 11})
    half = "%d.%09d" % divmod(at(COUNT // 2), 10**9)
    said = latency(node, "--from", "x/a", "--to", "x/b", "--before", half,
                   "--inner", "src", "port", "1005")
    ports = [n for n in range(COUNT // 2) if 1000 + n % 5000 == 1005]
    equal((said["packets_from"], said["lost"]), (len(ports), 1), "of a port")
    said = latency(node, "--from", "x/b", "--to", "x/a")
    equal((said["matched"], said["negative"], said["latency_ns"]["max"]),
          (COUNT - 2, COUNT - 2, -DELAY_NS), "the other way round")


def what_comes_later_than_the_window_is_lost(t):
    node = two_taps(t, lambda n: 10**6 if n % 2 else 3 * 10**6)
    said = latency(node, "--from", "x/a", "--to", "x/b", "--window", "2ms")
    equal((said["matched"], said["lost"], said["only_to"]),
          (COUNT // 2, COUNT // 2, COUNT // 2), "within 2 ms")
    said = latency(node, "--from", "x/a", "--to", "x/b")
    equal((said["matched"], said["lost"]), (COUNT, 0), "within a second")


def equal_packets_are_matched_in_order_and_counted(t):
    frame = samples.eth(1, 90)
    node = stored(t, a=[(at(n), frame) for n in range(100)],
                  b=[(at(n) + DELAY_NS, routed(frame)) for n in range(100)
                     if n % 10 != 9])
    said = latency(node, "--from", "x/a", "--to", "x/b")
    equal((said["matched"], said["lost"], said["only_to"]), (90, 10, 0),
          "equal packets")
    check(said["ambiguous"] >= 80, "ambiguous are", said["ambiguous"])
    if said["latency_ns"]:
        equal(said["latency_ns"]["max"], DELAY_NS, "of those believed")
    said = latency(node, "--from", "x/a", "--to", "x/b", "--window", "5us")
    equal((said["matched"], said["lost"], said["ambiguous"],
           said["latency_ns"]["max"]), (90, 10, 0, DELAY_NS),
          "within 5 us")


def people_see_a_table_and_a_picture(t):
    node = two_taps(t, lambda n: 400 * 3 ** (n % 12), lost={3})
    plot = t.path("plot <&>.svg")
    text = node.pb("latency", "--from", "x/a", "--to", "x/b", "--plot",
                   plot).decode()
    for line in (r"^from +%d  x/a$" % COUNT, r"^lost +1  at --from",
                 r"^min +400 ns$", r"^max +70\.859 ms$", r"^p99\.9 +\d",
                 r"^ +200 ns \.\. 500 ns +\d+  #+$"):
        check(re.search(line, text, re.M), "no line", line, "in", text)
    root = xml.etree.ElementTree.parse(plot).getroot()
    check(root.tag.endswith("}svg"), "a picture is", root.tag)
    words = " ".join(root.itertext())
    for word in ("Latency from x/a to x/b", "99.9 %", "1 us", "latency",
                 "1 lost between", "share of packets"):
        check(word in words, "the picture does not say", word)
    check("http" not in re.sub(r'xmlns="[^"]*"', "", open(plot).read()),
          "the picture needs something else")


def wrong_usage_is_said_in_a_line(t):
    node = two_taps(t, lambda n: DELAY_NS)
    for args, word in (
            ((), b"--from TAP and --to TAP"),
            (("--from", "x/a"), b"--from TAP and --to TAP"),
            (("--from", "x/a", "--to", "x/a"), b"one tap"),
            (("--from", "stamp:0", "--to", "x/a"), b"count from 1"),
            (("--from", "device:a", "--to", "x/a"), b"device:D/P"),
            (("--from", "x/a", "--to", "x/b", "--window", "7"), b"--window"),
            (("--from", "x/*", "--to", "*/b"), b"at both taps"),
            (("--from", "x/a", "--to", "x/b", "--plot", "-"), b"--plot -"),
            (("--from", "x/a", "--to", "x/b", "--trailers", "nosuch"),
             b"--trailers"),
            (("--from", "x/a", "--to", "x/b", "portt"), b"filter")):
        done = node.pb_run("latency", *args)
        check(done.returncode == 2 and word in done.stderr and
              len(done.stderr.splitlines()) == 1, "latency", args, "says",
              done.returncode, done.stderr)
    plot = t.path("plot.svg")
    done = node.pb_run("latency", "--from", "x/*", "--to", "*/b", "--plot",
                       plot)
    check(not os.path.exists(plot), "a failure leaves a picture")
    said = latency(node, "--from", "x/nosuch", "--to", "x/b")
    equal((said["packets_from"], said["only_to"], said["latency_ns"]),
          (0, COUNT, None), "without a stream")
    for args, words in (
            (("--from", "x/nosuch", "--to", "x/b"),
             [b"pb: note: --from x/nosuch is no stream with such packets; "
              b"`pb streams` lists those of the store"]),
            (("--from", "x/a", "--to", "x/b", "udp"), [])):
        equal(node.pb_run("latency", *args).stderr.splitlines(), words, args)


def twice_stamped(n, rng):
    """A frame behind two switches, and how long it took between, exactly."""
    first, second = rng.randrange(10**9 - 10**6), rng.randrange(10**6)
    parts = rng.randrange(1 << 24), rng.randrange(1 << 24)
    frame = trailers.udp(struct.pack(">I", n), number=n & 0xFFFF)
    frame = trailers.metamako(frame, samples.T0, first, device=7, port=n % 2,
                              extensions=(trailers.fraction(parts[0]),))
    frame = trailers.metamako(frame, samples.T0, first + second, device=9,
                              port=4, extensions=(
                                  trailers.fraction(parts[1]),))
    return trailers.captured(frame), second + fractions.Fraction(
        parts[1] - parts[0], 1 << 24)


def decimals(span):
    """As it is printed: ten of them, and what is less left out."""
    size = int(abs(span) * 10**10)
    return decimal.Decimal(-size if span < 0 else size) / 10**10


def stamps_of_one_packet_are_apart_to_the_last_fraction(t):
    rng = random.Random(SEED)
    made = [twice_stamped(n, rng) for n in range(500)]
    once = [trailers.captured(trailers.metamako(
        trailers.udp(b"%d" % n + NO_TRAILER), samples.T0, n, device=7,
        port=5))
        for n in range(7)]
    node = stored(t, a=[(at(n), f) for n, (f, _) in enumerate(made)] +
                  [(at(500 + n), f) for n, f in enumerate(once)])

    def said(source, to, *more):
        out = node.pb("latency", "--from", source, "--to", to, "--trailers",
                      "metamako,metamako", "--json", *more)
        return json.loads(out, parse_float=decimal.Decimal)
    for source, to, matched, lost, only_to in (
            ("stamp:1", "stamp:2", 500, 7, 0),
            ("x/a@stamp:1", "stamp:2", 500, 7, 0),
            ("device:7", "device:9/4", 500, 7, 0),
            ("device:7/0", "device:9", 250, 0, 250)):
        one = said(source, to)
        took = [span for n, (_, span) in enumerate(made)
                if matched == 500 or n % 2 == 0]
        equal((one["matched"], one["lost"], one["only_to"]),
              (matched, lost, only_to), source + " to " + to)
        for key, want in (("min", min(took)), ("max", max(took))):
            equal(decimal.Decimal(one["latency_ns"][key]), decimals(want),
                  "%s of %s to %s" % (key, source, to))
    equal(said("stamp:2", "stamp:1")["negative"], sum(
        span > 0 for _, span in made), "the other way round")
    equal(said("stamp:3", "stamp:4")["timeless"], 507, "without a stamp")


def trailers_make_no_other_packet(t):
    """One tap sees frames as hosts send them, the other behind two switches;
    they are not IP, so that nothing but the list tells where they end."""
    plain = [trailers.host(struct.pack(">I", n) + NO_TRAILER)
             for n in range(300)]
    stamped = [trailers.metamako(trailers.exablaze(f, samples.T0, n), 1, 2)
               for n, f in enumerate(plain)]
    node = stored(t, a=[(at(n), trailers.captured(f))
                        for n, f in enumerate(plain)])
    path = t.path("b.pcap")
    trailers.write(path, [(at(n) + DELAY_NS, trailers.captured(f))
                          for n, f in enumerate(stamped) if n % 100])
    node.pb("import", "--node", "x", "--interface", "b", "--trailers",
            "metamako,exablaze", path)
    node.pb("import", "--node", "x", "--interface", "c", path)
    taps = "--from", "x/a", "--to"
    said = latency(node, *taps, "x/b")
    equal((said["matched"], said["lost"], said["latency_ns"]["max"]),
          (297, 3, DELAY_NS), "by the stream's list")
    equal(latency(node, *taps, "x/c")["matched"], 0, "without a list")
    equal(latency(node, *taps, "x/c", "--trailers", "metamako,exablaze")
          ["matched"], 297, "by the list that is given")
    written = []
    for name in "ab":
        written += "-r", t.path(name + ".pcapng")
        node.pb("query", "-w", written[-1], "--stream", "x/" + name)
    equal(of_files(*written)["matched"], 297, "files, each by its own list")
    equal(of_files(*written, "--trailers", "none")["matched"], 0,
          "by one list for all, which is none")


def streams_that_are_out_of_order_need_a_window_as_long(t):
    """Times of one tap run back by 50 ms, again and again."""
    back = 5000
    sent = [(at(n), samples.eth(n, 80)) for n in range(COUNT)]
    node = stored(t, a=sent, b=[
        (ns + DELAY_NS, frame) for n in range(0, COUNT, back)
        for ns, frame in reversed(sent[n:n + back])])
    taps = "latency", "--from", "x/a", "--to", "x/b", "--json"
    done = node.pb_run(*taps)
    said = json.loads(done.stdout)
    equal((said["matched"], said["lost"], said["latency_ns"]["min"],
           said["latency_ns"]["max"]), (COUNT, 0, DELAY_NS, DELAY_NS),
          "within a second")
    for done in done, node.pb_run(*taps, "--window", "20ms"):
        check(b"out of order by more than 10 ms" in done.stderr, done.stderr)
    check(json.loads(done.stdout)["lost"] > 0, "none is lost within 20 ms")
    done = node.pb_run("latency", "--from", "x/b", "--to", "x/b@capture")
    check(b"order" not in done.stderr, "of one packet", done.stderr)


def clocks_that_are_far_apart_are_within_a_longer_window(t):
    """A clock of TAI is 37 s ahead."""
    node = two_taps(t, lambda n: 37 * 10**9 + DELAY_NS)
    said = node.pb_run("latency", "--from", "x/a", "--to", "x/b", "--json")
    equal(json.loads(said.stdout)["matched"], 0, "within a second")
    check(b"clocks are further apart" in said.stderr, "it says", said.stderr)
    said = latency(node, "--from", "x/a", "--to", "x/b", "--window", "1m")
    equal((said["matched"], said["latency_ns"]["min"]),
          (COUNT, 37 * 10**9 + DELAY_NS), "within a minute")


def of_files(*args, **kw):
    """`pb latency` of files alone, as JSON: no configuration, no store."""
    return json.loads(must([os.path.join(BUILD, "pb"), "latency", "--json",
                            *args], **kw))


def same_but_names(have, want, what):
    for said in have, want:
        said.pop("from"), said.pop("to")
    equal(have, want, what)


def files_are_compared_as_streams_of_a_store_are(t):
    """Of two files, by their names or in their order; one from a pipe."""
    sent = [(at(n), samples.eth(n, 80 + n % 50)) for n in range(2000)]
    came = sorted((ns + DELAY_NS + n * 997 % 100_000, routed(frame, n % 3))
                  for n, (ns, frame) in enumerate(sent) if n % 97)
    node = stored(t, a=sent, b=came)
    a, b = t.path("a.pcap"), t.path("b.pcap")
    for args in ((), ("--inner", "src", "portrange", "1000-1700"),
                 ("--before", "%d.%09d" % divmod(at(1000), 10**9)),
                 ("--window", "50us")):
        want = latency(node, "--from", "x/a", "--to", "x/b", *args)
        for taps in ((), ("--from", a, "--to", b),
                     ("--from", "a.pcap", "--to", "b*"),
                     ("--to", "b.pcap", "--from", "a.pcap")):
            same_but_names(of_files("-r", a, "-r", b, *taps, *args),
                           dict(want), "%s of files, %s" % (args, taps))
    with open(b, "rb") as file:
        said = of_files("-r", a, "-r", "-", stdin=file.read())
    same_but_names(said, latency(node, "--from", "x/a", "--to", "x/b"),
                   "standard input")


def interfaces_of_a_file_are_taps_by_any_of_their_names(t):
    """Blocks in the order of their times as two queues of a card write them:
    each batch of an interface by itself."""
    o = "<"
    path = t.path("both.pcapng")
    sent = [(at(n), samples.eth(n, 90)) for n in range(1000)]
    blocks = [samples.shb(o)] + [
        samples.idb(o, 1, (2, name), (9, b"\x09")) for name in ("in", "out")]
    for start in range(0, 1000, 100):
        for interface, late in ((1, DELAY_NS), (0, 0)):
            blocks += [samples.epb(o, interface, ns + late, frame)
                       for ns, frame in sent[start:start + 100]]
    # Another section, whose interfaces are the other way round.
    blocks += [samples.shb(o)] + [
        samples.idb(o, 1, (2, name), (9, b"\x09")) for name in ("out", "in")]
    blocks += [samples.epb(o, interface, at(2000) + late, samples.eth(2000))
               for interface, late in ((1, 0), (0, DELAY_NS))]
    with open(path, "wb") as file:
        file.write(b"".join(blocks))
    said = of_files("-r", path, "--from", "in", "--to", "out")
    equal((said["matched"], said["lost"], said["latency_ns"]["min"],
           said["latency_ns"]["max"]), (1001, 0, DELAY_NS, DELAY_NS),
          "by name")
    said = of_files("-r", path, "--from", "0", "--to", "1", "--before",
                    "%d.0" % (samples.T0 + 1), "greater", "80")
    equal((said["matched"], said["latency_ns"]["max"]), (1000, DELAY_NS),
          "by number")
    node = stored(t, a=sent, b=[(ns + DELAY_NS, f) for ns, f in sent])
    node.pb("query", "-w", path)
    segments = [word for segment in node.files()
                for word in ("-r", segment)]
    for args in (("-r", path, "--from", "a", "--to", "b"),
                 (*segments, "--from", "x/a", "--to", "x/b")):
        said = of_files(*args)
        equal((said["matched"], said["latency_ns"]["max"]),
              (1000, DELAY_NS), args)


def stamps_in_a_file_are_those_in_a_store(t):
    rng = random.Random(SEED)
    frames = [(at(n), twice_stamped(n, rng)[0]) for n in range(300)]
    node = stored(t, a=frames)
    for taps in (("--from", "stamp:1", "--to", "stamp:2"),
                 ("--from", "device:7/0", "--to", "device:9"),
                 ("--from", "stamp:2", "--to", "capture"),
                 ("--from", "stamp:3", "--to", "stamp:1")):
        taps += "--trailers", "metamako,metamako"
        equal(of_files("-r", t.path("a.pcap"), *taps), latency(node, *taps),
              " ".join(taps))


def what_is_wrong_with_files_is_said_in_words(t):
    a, b = [pcap(t, name, [(at(n), samples.eth(n)) for n in range(100)])
            for name in "ab"]
    with open(b, "r+b") as file:
        file.truncate(os.path.getsize(b) - 30)
    pb = os.path.join(BUILD, "pb"), "latency"
    for status, args, word in (
            (2, ("-r", a), b"read a second file with -r, or give --from"),
            (2, ("-r", a, "--from", "stamp:1"), b"--to TAP"),
            (2, ("-r", a, "-r", a), b"given twice"),
            (2, ("-r", a, "-r", b, "--stream", "x"), b"about a store"),
            (2, ("-r", a, "-r", b, "portt"), b"filter 'portt'"),
            (2, ("-r", a, "-r", b, "--from", "0", "--to", b), b"both taps"),
            (2, [w for n in range(17) for w in ("-r", "f%d" % n)], b"16"),
            (1, ("-r", a, "-r", t.path("none")), b"none: No such file"),
            (1, ("-r", a, "-r", t.dir), b"is a directory"),
            (1, ("-r", a, "-r", __file__), b"neither a pcapng nor a pcap"),
            (0, ("-r", a, "--from", "stamp:1", "--to", "stamp:2"),
             b"100 packets have no such stamp, or no time; they are in no "
             b"count; 'pb trailers' says which"),
            (0, ("-r", a, "--from", a, "--to", "c.pcap"),
             b"--to c.pcap is no file that is read")):
        done = run([*pb, *args])
        check(done.returncode == status and word in done.stderr and
              len(done.stderr.splitlines()) == 1, "latency", args, "says",
              done.returncode, done.stderr)
    done = run([*pb, "-r", a, "-r", b, "--json"])
    equal((done.returncode, json.loads(done.stdout)["matched"]), (1, 99),
          "of a file that was cut")
    check(b"b.pcap: offset" in done.stderr, "a cut file:", done.stderr)


# Holds each frame for a while, and drops some.  Says of each how long that was:
# from the kernel's stamp of its coming to before and behind the call that sends.
FORWARDER = r'''
import json, socket, struct, sys, time
a, b, count, hold = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
def bound(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    s.bind((name, 0))
    return s
one, two = bound(a), bound(b)
print("ready", flush=True)
queue, held, lost, n = [], [], 0, 0
one.settimeout(0.0005)
while n < count or queue:
    try:
        data, said = one.recvmsg(4096, 64)[:2]
        if data[12:14] == b"\x08\0":
            seconds, ns = struct.unpack("ll", said[0][2])
            queue.append((time.monotonic_ns() + hold, seconds * 10**9 + ns,
                          data))
            n += 1
    except TimeoutError:
        pass
    while queue and queue[0][0] <= time.monotonic_ns():
        due, came, data = queue.pop(0)
        if int.from_bytes(data[42:50], "big") % 50 == 7:
            lost += 1
            continue
        data = bytes.fromhex("0200000000aa0200000000bb") + data[12:]
        before = time.time_ns()
        two.send(data)
        held.append((before - came, time.time_ns() - came))
print(json.dumps({"held": held, "lost": lost}), flush=True)
'''

SENDER = r'''
import socket, sys, time
sys.path.insert(0, sys.argv[1])
import samples
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[2], 0))
for n in range(int(sys.argv[3])):
    s.send(samples.eth(n, 200))
    time.sleep(0.0005)
'''


def a_bridge_that_holds_packets_is_measured(t):
    """One recorder captures on both sides of a forwarder.  Each frame's
    latency is between what the forwarder saw before and behind it sent it,
    by the same clock; so are minimum, maximum and percentiles."""
    need_root()
    left, middle, right = t.netns("l"), t.netns("m"), t.netns("r")
    t.veth(left, "out", middle, "in0")
    t.veth(middle, "in1", right, "end")
    node = t.node("bridge", captures=["in0", "in1"], netns=middle)
    node.start_recorder()
    forwarder = t.spawn([sys.executable, "-c", FORWARDER, "in0", "in1",
                         str(FORWARDED), str(HOLD_NS)], ns=middle,
                        stdout=subprocess.PIPE, text=True)
    equal(forwarder.stdout.readline(), "ready\n", "the forwarder")
    t.inside(left, sys.executable, "-c", SENDER, HERE, "out",
             str(FORWARDED))
    told = json.loads(forwarder.stdout.readline())
    equal(told["lost"], FORWARDED // 50, "frames it dropped")

    def stored():
        ends = {key[1]: end for key, end in node.ends().items()}
        return ends.get("in0", 0) >= FORWARDED and \
            ends.get("in1", 0) >= len(told["held"])
    wait_until(stored, "all frames are stored", 20)
    said = latency(node, "--from", "bridge/in0", "--to", "bridge/in1", "udp")
    for key, want in (("packets_from", FORWARDED), ("lost", told["lost"]),
                      ("matched", FORWARDED - told["lost"]),
                      ("only_to", 0), ("ambiguous", 0), ("negative", 0)):
        equal(said[key], want, key)
    least, most = (sorted(column) for column in zip(*told["held"]))
    spans = said["latency_ns"]
    check(spans["min"] >= HOLD_NS * 0.99, "none is held for less:",
          spans["min"])
    for key, share, above in (("min", 0, 1), ("p50", 0.5, 1.01),
                              ("p99", 0.99, 1.01), ("p999", 0.999, 1.01),
                              ("max", 1, 1)):
        place = max(int(-(-len(least) * share // 1)) - 1, 0)
        check(least[place] <= spans[key] <= most[place] * above + 1, key,
              "is", spans[key], "for", least[place], "to", most[place])


main("540", delays_and_losses_are_those_that_were_made,
     a_filter_and_times_choose_what_is_compared,
     what_comes_later_than_the_window_is_lost,
     equal_packets_are_matched_in_order_and_counted,
     people_see_a_table_and_a_picture,
     wrong_usage_is_said_in_a_line,
     stamps_of_one_packet_are_apart_to_the_last_fraction,
     trailers_make_no_other_packet,
     streams_that_are_out_of_order_need_a_window_as_long,
     clocks_that_are_far_apart_are_within_a_longer_window,
     files_are_compared_as_streams_of_a_store_are,
     interfaces_of_a_file_are_taps_by_any_of_their_names,
     stamps_in_a_file_are_those_in_a_store,
     what_is_wrong_with_files_is_said_in_words,
     a_bridge_that_holds_packets_is_measured)
