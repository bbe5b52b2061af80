"""Trailers: read as frames are captured, carried over hops, shown."""

import json
import struct

from harness import *
from sender import send
import pngread
import traffic
import trailers

S = int(time.time()) - 3600 # of stamps: an hour before they are captured
AT, LATER = (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(s))
             for s in (S, S + 60))
OWN, STAMPS, INTERFACE = 2989, 5, 6


def plain(n, size=200):
    """Numbered, and with an end that is no trailer."""
    return traffic.frame(n, size - 40) + b"\xff" * 40


def stacked(n, size=200):
    """Frame n of two taps: the first a nanosecond and 3/8 before the second,
    which counts."""
    first = trailers.metamako(
        trailers.with_fcs(plain(n, size)), S, 1000 * n, device=7, port=3,
        extensions=[trailers.fraction(5 << 21)])
    return trailers.captured(trailers.metamako(
        first, S, 1000 * n + 2, flags=0x15, device=9, port=4,
        extensions=[trailers.sequence(n), trailers.fraction(0)]))


def edge(t, *keys, **kw):
    return t.edge_with_traffic(
        captures=[("pb1", "description = tap", *keys)], **kw)


def three(t, *keys):
    core = t.node("core", listen=True)
    relay = t.node("relay", listen=True, upstreams={"core": core})
    first = edge(t, *keys, upstreams={"relay": relay})
    for node in (core, relay, first):
        node.start()
    return first, relay, core


def own(options, kind):
    """The value of our option of that kind, behind its head; or None."""
    for code, value in options:
        if code == OWN and value[4:8] == b"PB\1" + bytes([kind]):
            return value[8:]
    return None


def live(node):
    """Of the one capture, or {} while there is none."""
    said = json.loads(node.pb("status", "--json"))["live"]
    return (said.get("captures") or [{}])[0]


def each_stamp_is_a_hop_before_the_capturing_node(t):
    node = edge(t, "trailers = metamako, metamako")
    node.start()
    send(t, [stacked(n) for n in range(1, 51)])
    t.all_stored(node)
    rows = node.rows("query")
    equal(len(rows), 50, "packets")
    for n, row in enumerate(rows, 1):
        hops = row["hops"]
        equal([h.get("trailer", h.get("node")) for h in hops],
              ["metamako", "metamako", "edge"], "the way")
        equal(hops[0], {
            "trailer": "metamako", "device": 7, "port": 3, "seq": None,
            "time": AT + ".%09d625Z" % (1000 * n),
            "flags": ["fcs_valid"]}, "the first stamp")
        equal(hops[1], {
            "trailer": "metamako", "device": 9, "port": 4, "seq": n,
            "time": AT + ".%09dZ" % (1000 * n + 2),
            "flags": ["fcs_valid", "duplicate", "degraded"]},
            "the second stamp")
        equal((row["time_from"], hops[2]["clock"]), (0, "host"), "clocks")
        equal(row["time"], hops[2]["time"], "the packet's time")
    for p, n in zip(node.query().packets, range(1, 51)):
        equal(p.data, stacked(n), "the frame")
        equal(own(p.options, STAMPS), None, "what the frame tells itself")
    equal(live(node)["trailers"], [
        {"trailer": "metamako", "parsed": 50, "unparsed": 0}] * 2, "status")
    check("metamako     50 frames have it, 0 do not" in
          node.pb("status").decode(), "pb status for people")


def the_packets_time_is_the_stamps_that_was_asked_for(t):
    for choice, place, ns in (("trailer", 1, 0), ("outermost", 2, 2),
                              ("trailer:1", 2, 2), ("trailer:2", 1, 0)):
        one = Test()
        try:
            time_of_stamp(one, choice, place, ns)
        finally:
            one.close(False)


def time_of_stamp(t, choice, place, ns):
    node = edge(t, "trailers = metamako,metamako",
                "timestamp_from = " + choice)
    node.start()
    before = time.time_ns()
    # One without them in between has the capture's time.
    send(t, [stacked(1), plain(2), stacked(3)])
    t.all_stored(node)
    rows = sorted(node.rows("query"), key=lambda r: r["seq"])
    for n in (1, 3):
        row = rows[n - 1]
        equal(row["time"], AT + ".%09dZ" % (1000 * n + ns),
              "time by " + choice)
        equal(row["time_from"], place, "whose it is, by " + choice)
        captured = parse_time(row["hops"][2]["time"])
        check(before <= captured <= time.time_ns(), "captured", captured)
    check("time_from" not in rows[1], "what has no stamps", rows[1])
    check(parse_time(rows[1]["time"]) >= before, "its time")
    # So the file says it, and so does a line.
    for p in node.query().packets:
        value = own(p.options, STAMPS)
        if p.seq == 2:
            equal(value, None, "stamps beside a frame that has none")
            continue
        at, by, count = struct.unpack_from("<QBB", value)
        equal((by, count, len(value)), (place, 0, 16), "the option")
        check(before <= at <= time.time_ns(), "capture time")
        equal(p.time_ns, S * 10**9 + 1000 * p.seq + ns, "its time")
    lines = node.pb("query", "--seq", "1").decode()
    check(lines.startswith(AT + ".00000100%d" % ns), lines)
    # The time is what packets are searched by.
    out = node.pb("query", "--before", LATER + "Z", "--count")
    equal(out.strip(), b"2", "found by the stamp's time")


def a_stream_by_a_switchs_clock_says_so_and_how_far_off_that_is(t):
    """Of TAI, by a list that does not say so."""
    node = edge(t, "trailers = metamako", "timestamp_from = trailer")
    node.start()
    now = time.time_ns() + 37 * 10**9
    send(t, [trailers.captured(trailers.metamako(trailers.with_fcs(
        plain(n)), *divmod(now + n, 10**9))) for n in range(20)])
    t.all_stored(node)
    row, = node.rows("streams")
    equal((row["clock"], row["timestamp_from"]), ("host", "trailer"),
          "clock, and whose time it is")
    row, = node.rows("trailers", "*/pb1")
    equal(row["configure"], ["trailers = metamako@tai"], "the list that fits")


def every_node_on_the_way_shows_them(t):
    first, relay, core = three(t, "trailers = metamako,metamako",
                               "timestamp_from = trailer")
    send(t, [stacked(n) for n in range(1, 201)])
    t.all_stored(first)
    drained(first, relay, core)
    rows = {n.name: n.rows("query") for n in (first, relay, core)}
    for name, upto in (("edge", 3), ("relay", 4), ("core", 5)):
        equal(len(rows[name]), 200, "packets at " + name)
        for row, edges in zip(rows[name], rows["edge"]):
            equal(row["hops"][:3], edges["hops"], "the way to the edge")
            equal(len(row["hops"]), upto, "hops at " + name)
            equal((row["time"], row["time_from"]),
                  (edges["time"], edges["time_from"]), "time at " + name)
    for node in (first, relay, core):
        one = next(iter(node.streams().values()))
        equal((one["clock"], one["trailers"]), ("host", "metamako,metamako"),
              "pb streams at " + node.name)
        words(node.query(), node)


def words(capture, node):
    want = (b"clock=host trailers=metamako,metamako tai_utc=37 "
            b"timestamp_from=trailer")
    for interface in capture.interfaces:
        equal(own(interface.options, INTERFACE), want,
              "the interface's words at " + node.name)


def an_index_made_anew_still_shows_them(t):
    node = edge(t, "trailers = metamako,metamako", "timestamp_from = trailer")
    node.start()
    send(t, [stacked(n) for n in range(1, 21)])
    t.all_stored(node)
    before = node.pb("query", "--json")
    streams = node.pb("streams", "--json")
    node.recorder.kill()
    node.start_recorder()
    equal(node.pb("query", "--json"), before, "after a crash")
    node.stop()
    node.pb("reindex")
    equal(node.pb("query", "--json"), before, "after reindex")
    equal(node.pb("streams", "--json"), streams, "streams after reindex")
    must([os.path.join(BUILD, "pb"), "-c", node.conf, "verify"])
    # What -w wrote is imported as what it was.
    path = t.path("again.pcapng")
    node.pb("query", "-w", path)
    words(pngread.read(path), node)
    other = t.node("other")
    other.pb("import", "--node", "edge", "--interface", "pb1", path)
    for a, b in zip(other.rows("query"), map(json.loads,
                                             before.splitlines())):
        equal(a["hops"][:2], b["hops"][:2], "stamps of what was imported")
        equal((a["time"], a["time_from"]), (b["time"], b["time_from"]),
              "and its time")


def comments_tell_stock_wireshark_the_stamps(t):
    need("tshark")
    node = edge(t, "trailers = metamako,metamako", "timestamp_from = trailer")
    node.start()
    send(t, [stacked(n) for n in range(1, 11)])
    t.all_stored(node)
    path = t.path("ways.pcapng")
    node.pb("query", "--comments", "-w", path)
    for text in ("pb.stamp n=1 trailer=metamako device=7 port=3 "
                 "ts=%d.000003000625 flags=fcs_valid time=packet" % S,
                 "pb.stamp n=2 trailer=metamako device=9 port=4 seq=3 "
                 "ts=%d.000003002 flags=fcs_valid,duplicate,degraded" % S,
                 "pb.hop n=1 node=edge seq=3 "):
        rows = must(["tshark", "-r", path, "-Y",
                     'frame.comment contains "%s"' % text, "-T", "fields",
                     "-e", "frame.number"])
        equal(rows.split(), [b"3"], "packets with " + text)
    check("    pb.stamp n=2 trailer=metamako device=9 port=4 seq=3 " in
          node.pb("query", "--comments", "--seq", "3").decode(),
          "comments of a line")


def frames_that_do_not_fit_are_kept_counted_and_told_once(t):
    node = edge(t, "trailers = metamako,metamako,metamako")
    node.start()
    send(t, [stacked(n) for n in range(1, 101)])
    t.all_stored(node)
    node.recorder.says(r"frames do not fit trailers = "
                       r"metamako,metamako,metamako, fcs = no interface=pb1 "
                       r".*32 of these have trailers = metamako,metamako, "
                       r"fcs = no; Fix: write that")
    send(t, [plain(n) for n in range(101, 111)])
    t.all_stored(node)
    equal(live(node)["trailers"], [
        {"trailer": "metamako", "parsed": 100, "unparsed": 10},
        {"trailer": "metamako", "parsed": 100, "unparsed": 0},
        {"trailer": "metamako", "parsed": 0, "unparsed": 100}], "status")
    equal([p.data for p in node.query().packets],
          [stacked(n) for n in range(1, 101)] +
          [plain(n) for n in range(101, 111)], "what was captured")
    time.sleep(1.5)
    node.recorder.says("frames do not fit")


def metrics_count_by_trailer(t):
    node = edge(t, "trailers = metamako,raw:4", listen=True)
    node.start()
    # The outer one is metamako; no frame has fewer than 4 bytes more.
    send(t, [stacked(n) for n in range(1, 6)] + [plain(6)])
    t.all_stored(node)
    text = t.inside(node.netns, "curl", "-s",
                    node.url + "/metrics").decode()
    for line in ('parsed_total{interface="pb1",position="1",'
                 'trailer="metamako"} 5',
                 'unparsed_total{interface="pb1",position="1",'
                 'trailer="metamako"} 1',
                 'parsed_total{interface="pb1",position="2",'
                 'trailer="raw:4"} 5'):
        check("pb_capture_trailer_" + line + "\n" in text, line, "is not in",
              text)


def an_fcs_that_the_card_leaves_is_shown_as_one(t):
    need("tshark")
    node = edge(t, "trailers = metamako", "fcs = yes")
    node.start()
    frames = [trailers.metamako(trailers.udp(b"%032d" % n), S, n)
              for n in range(1, 6)]
    send(t, frames)
    t.all_stored(node)
    for n, row in enumerate(node.rows("query"), 1):
        equal(row["hops"][0]["time"], AT + ".%09dZ" % n,
              "the stamp in front of the FCS")
    path = t.path("fcs.pcapng")
    node.pb("query", "-w", path)
    equal(pngread.read(path).interfaces[0].first(13), b"\4", "if_fcslen")
    said = must(["tshark", "-r", path, "-o", "eth.check_fcs:TRUE", "-T",
                 "fields", "-e", "eth.fcs", "-e", "eth.fcs.status"])
    want = b"".join(b"0x%08x\t1\n" % struct.unpack(">I", f[-4:])
                    for f in frames)
    equal(said, want, "what Wireshark takes for the FCS")


def stamps_that_need_keyframes_are_kept_beside_the_packets(t):
    """What the frame alone does not tell goes along over the hops."""
    first, relay, core = three(t, "trailers = arista7150",
                               "timestamp_from = trailer")
    tick, now = 0x123456789A, time.time_ns()
    stamped = [trailers.captured(trailers.arista7150(
        trailers.with_fcs(plain(n)), tick + 7 * n)) for n in range(1, 21)]
    key = trailers.captured(trailers.keyframe(tick, now, device=5, port=6))
    # Those before the keyframe have no time.
    send(t, stamped[:5] + [key] + stamped[5:])
    t.all_stored(first)
    drained(first, relay, core)
    rows = [core.rows("query", "--seq", str(n))[0] for n in range(1, 22)]
    for n, row in enumerate(rows, 1):
        stamps = row["hops"][:-3]
        equal(len(stamps), 0 if n == 6 else 1, "stamps of packet %d" % n)
        if n < 6:
            equal((stamps[0]["time"], stamps[0]["flags"], row["time_from"]),
                  (None, ["adrift", "invalid"], 0), "before the keyframe")
        elif n > 6:
            at = now + 20 * (n - 1)
            equal((parse_time(row["time"]), row["time_from"]), (at, 1),
                  "the packet's time")
            equal((stamps[0]["device"], stamps[0]["port"]), (5, 6), "place")
            equal(stamps[0]["flags"], ["extended"], "flags")
    for p in core.query().packets:
        value = own(p.options, STAMPS)
        equal(value and value[9], None if p.data == key else 1,
              "records beside packet %d" % p.seq)
    equal(live(first)["keyframes"], 1, "keyframes")
    equal(live(first)["trailers"], [{"trailer": "arista7150", "parsed": 20,
                                     "unparsed": 0}], "status")


def what_cannot_be_is_refused_before_it_starts(t):
    for keys, below, words_ in (
            (("trailers = metamko",), 1, "[capture lo]: trailers: 'metamko' is "
             "no trailer; did you mean metamako?"),
            (("trailers = none", "timestamp_from = trailer"), 2,
             "[capture lo]: timestamp_from: trailer, but no trailers"),
            (("trailers = arista7150", "threads = 2"), 2,
             "[capture lo]: threads: 2, but what the keyframes"),
            (("trailer = metamako",), 1, "[capture lo] trailer: unknown key; did you mean trailers?")):
        node = t.node("bad", captures=[("lo", *keys)])
        done = run([os.path.join(BUILD, "pb-recorder"), "-c", node.conf,
                    "-t"])
        said = done.stderr.decode()
        equal(done.returncode, 2, "status of -t")
        with open(node.conf) as f:
            line = f.read().splitlines().index("[capture lo]") + 1 + below
        check("%s:%d: %s" % (node.conf, line, words_) in said and
              said.count("\n") == 1, said)
    node = t.node("cut", captures=[("lo", "trailers = metamako",
                                    "snaplen = 200")])
    done = run([os.path.join(BUILD, "pb-recorder"), "-c", node.conf, "-t"])
    equal(done.returncode, 0, "status with a snap length")
    check("snaplen = 200 cuts longer frames" in done.stderr.decode(),
          done.stderr)


def a_header_made_anew_guesses_no_trailers(t):
    """It is of other segments, which need not be of the same list."""
    node = edge(t, "trailers = metamako")
    for n in range(1, 4):
        send_once(t, node, n)
    rot(node, 2)
    equal(stamps_of(node), [1, 1, 1], "where all others have the same list")
    with open(node.conf) as f:
        text = f.read()
    with open(node.conf, "w") as f:
        f.write(text.replace("trailers = metamako", "trailers = none"))
    send_once(t, node, 4)
    rot(node, 2)
    equal(stamps_of(node), [1, 0, 1, 0], "where one has another")


def send_once(t, node, n):
    """A segment of its own."""
    node.start()
    send(t, [stacked(n)])
    t.all_stored(node)
    node.stop()


def rot(node, first):
    path, = [f for f in node.files() if f.endswith("%020d.pcapng" % first)]
    with open(path, "r+b") as f:
        f.write(b"\xff" * 16)
    node.pb("reindex")


def stamps_of(node):
    return [sum("trailer" in h for h in r["hops"])
            for r in sorted(node.rows("query"), key=lambda r: r["seq"])]


def where_no_frames_are_of_ethernet_no_trailers_are_read(t):
    """Bytes of other packets would be taken for times."""
    need_root()
    ns = t.netns("tun")
    t.inside(ns, "ip", "tuntap", "add", "dev", "tun0", "mode", "tun")
    t.inside(ns, "ip", "link", "set", "tun0", "up")
    for key in ("trailers = exablaze", "fcs = yes"):
        node = t.node("edge%d" % t.number(), netns=ns,
                      captures=[("tun0", key)])
        node.captures = []          # nobody waits for it
        node.start_recorder()
        node.recorder.says(r"not capturing interface=tun0: interface tun0: "
                           r"is RAW, and trailers and an FCS stand on "
                           r"Ethernet frames; take trailers and fcs out")
        equal(live(node)["up"], False, "captured with " + key)
        node.stop()


def a_reload_reads_others_from_then_on(t):
    node = edge(t)
    node.start()
    send(t, [stacked(n) for n in range(1, 6)])
    t.all_stored(node)
    with open(node.conf) as f:
        text = f.read()
    with open(node.conf, "w") as f:
        f.write(text.replace("description = tap",
                             "description = tap\ntrailers = metamako"))
    node.recorder.proc.send_signal(signal.SIGHUP)
    wait_until(lambda: live(node).get("trailers") and live(node).get("up"),
               "pb1 is captured again, with trailers")
    send(t, [stacked(n) for n in range(6, 11)])
    t.all_stored(node)
    rows = node.rows("query")
    equal([len(r["hops"]) for r in rows], [1] * 5 + [2] * 5, "hops")
    equal(len({r["epoch"] for r in rows}), 1, "epochs")
    equal(len(node.rows("segments")), 2, "segments, each with its words")


if __name__ == "__main__":
    main("520", each_stamp_is_a_hop_before_the_capturing_node,
         the_packets_time_is_the_stamps_that_was_asked_for,
         a_stream_by_a_switchs_clock_says_so_and_how_far_off_that_is,
         every_node_on_the_way_shows_them,
         an_index_made_anew_still_shows_them,
         comments_tell_stock_wireshark_the_stamps,
         frames_that_do_not_fit_are_kept_counted_and_told_once,
         metrics_count_by_trailer,
         an_fcs_that_the_card_leaves_is_shown_as_one,
         stamps_that_need_keyframes_are_kept_beside_the_packets,
         what_cannot_be_is_refused_before_it_starts,
         a_header_made_anew_guesses_no_trailers,
         where_no_frames_are_of_ethernet_no_trailers_are_read,
         a_reload_reads_others_from_then_on)
