"""Streams merged by their packets' times: a stated window, the order in which
they came, and packets that several taps have seen."""

import random
import re

from harness import *
from sender import send
import samples
import trailers

COUNT = 3_000
STEP_NS = 10**6
S = 10**9
T0_NS = samples.T0 * S


def stored(t, **taps):
    """A node with a stream `x/NAME` of (time, frame) for each tap."""
    node = t.node("x")
    for name, packets in taps.items():
        path = t.write(name + ".pcap", samples.pcap("<", samples.MAGIC_NS, [
            (ns // S, ns % S, data, len(data)) for ns, data in packets]))
        node.pb("import", "--node", "x", "--interface", name, path)
    return node


def routed(frame):
    """The frame behind a router, with padding."""
    ip = bytearray(frame[14:])
    ip[8] -= 1
    return bytes.fromhex("0200000000aa0200000000bb0800") + ip + bytes(6)


def stamped_by_a_switch(t):
    """Streams a, of times that run back by up to a second, and b."""
    rng = random.Random(SEED)
    times = [T0_NS + n * STEP_NS + rng.randrange(S) for n in range(COUNT)]
    return stored(t, a=[(ns, samples.eth(n)) for n, ns in enumerate(times)],
                  b=[(T0_NS + n * STEP_NS, samples.eth(COUNT + n))
                     for n in range(COUNT)])


def seen(node, *args):
    """(time, stream, number) of what comes out, and what is said."""
    done = node.pb_run("query", "--json", *args)
    equal(done.returncode, 0, "status, and %s" % done.stderr)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [(r["time"], r["interface"], r["seq"]) for r in rows], \
        done.stderr.decode()


def within_the_window_all_is_in_order(t):
    node = stamped_by_a_switch(t)
    out, said = seen(node, "--window", "2s")
    equal(len(out), 2 * COUNT, "packets")
    equal(out, sorted(out), "the order")
    equal(said, "", "it says")
    out, _ = seen(node, "--window", "2s", "--reverse")
    equal([p[0] for p in out], sorted((p[0] for p in out), reverse=True),
          "the order backwards")
    written = pngread.read(node.pb("query", "--window", "2s", "-w", "-"))
    times = [p.time_ns for p in written.packets]
    equal(times, sorted(times), "the order in a file")


def what_is_later_than_the_window_is_counted_and_said_once(t):
    node = stamped_by_a_switch(t)
    for args in (("--window", "20ms"), ("--window", "20ms", "--reverse")):
        out, said = seen(node, *args)
        equal(sorted(out), sorted(seen(node, "--window", "0")[0]),
              "packets, whatever their order")
        late = re.findall(r"^pb: note: (\d+) packets are out of order", said,
                          re.M)
        equal(len(late), 1, "notes in %r" % said)
        check(COUNT / 2 < int(late[0]) < COUNT, "late are", late)
    equal(seen(node)[1], "", "without --window it says")


def with_no_window_each_stream_is_as_it_came(t):
    node = stamped_by_a_switch(t)
    out, said = seen(node, "--window", "0")
    for name in "ab":
        equal([seq for _, stream, seq in out if stream == name],
              list(range(1, COUNT + 1)), "numbers of " + name)
    equal(said, "", "it says")


def two_taps(t, change=lambda frame: frame):
    """b sees what a sees, half a millisecond later, and loses each tenth."""
    sent = [(T0_NS + n * STEP_NS, samples.eth(n)) for n in range(COUNT)]
    return stored(t, a=sent, b=[(ns + STEP_NS // 2, change(frame))
                                for n, (ns, frame) in enumerate(sent)
                                if n % 10])


def duplicates_are_left_out_only_when_asked_for(t):
    node = two_taps(t)
    both = COUNT + COUNT * 9 // 10
    equal(len(seen(node)[0]), both, "packets without --dedup")
    out, said = seen(node, "--dedup")
    equal([(s, n) for _, s, n in out], [("a", n + 1) for n in range(COUNT)],
          "packets with --dedup")
    equal(said, "pb: note: %d packets are duplicates and were left out\n"
          % (both - COUNT), "it says")
    equal(int(node.pb("query", "--dedup", "--count")), COUNT, "--count")
    equal(len(node.query("--dedup").packets), COUNT, "in a file")
    equal(len(seen(node, "--dedup", "--limit", "7")[0]), 7, "--limit")
    equal(len(seen(node, "--dedup", "--dedup-window", "499us")[0]), both,
          "within less than their distance")


def a_router_between_makes_other_packets_but_for_what_it_changes(t):
    node = two_taps(t, routed)
    both = COUNT + COUNT * 9 // 10
    equal(len(seen(node, "--dedup")[0]), both, "packets as they are")
    equal(len(seen(node, "--dedup", "--dedup-ttl")[0]), COUNT,
          "packets, routed")


def trailers_make_no_other_packet(t):
    # Their ends are no trailers either.
    plain = [trailers.host(b"%d" % n + b"\xff" * 60) for n in range(200)]
    node = stored(t, a=[(T0_NS + n * STEP_NS, trailers.captured(f))
                        for n, f in enumerate(plain)])
    path = t.path("b.pcap")
    trailers.write(path, [(T0_NS + n * STEP_NS + 100, trailers.captured(
        trailers.metamako(f, 1, n))) for n, f in enumerate(plain)])
    node.pb("import", "--node", "x", "--interface", "b", "--trailers",
            "metamako", path)
    node.pb("import", "--node", "x", "--interface", "c", path)
    equal(len(seen(node, "--dedup")[0]), 400, "by the streams' lists")
    equal(len(seen(node, "--dedup", "--trailers", "metamako")[0]), 200,
          "by the list that is given")
    equal(int(node.pb("query", "--dedup", "--trailers", "metamako",
                      "--count")), 200, "--count")
    out = node.query("--dedup", "--trailers", "metamako", "--strip-trailers")
    equal([p.data for p in out.packets], [trailers.captured(f)
                                          for f in plain], "what is left")


def times_of_trailers_are_put_in_order(t):
    """Captured live: the stamps run back by up to half a second, and are the
    packets' times."""
    rng = random.Random(SEED)
    stamps = [n * STEP_NS + rng.randrange(S // 2) for n in range(400)]
    now = int(time.time())      # far off the capture's clock they count not
    node = t.edge_with_traffic(captures=[
        ("pb1", "trailers = metamako", "fcs = no",
         "timestamp_from = trailer")])
    node.start_recorder()
    send(t, [trailers.captured(trailers.metamako(
        trailers.host(b"%d" % n), now, ns))
        for n, ns in enumerate(stamps)])
    t.all_stored(node)
    equal([p[2] for p in seen(node, "--window", "0")[0]],
          list(range(1, 401)), "numbers as they came")
    out, said = seen(node, "--window", "1s")
    equal([p[0][20:29] for p in out], ["%09d" % ns for ns in sorted(stamps)],
          "times in order")
    equal(said, "", "it says")


def what_was_sent_twice_is_kept_twice(t):
    frames = [samples.eth(n // 3) for n in range(30)]
    node = stored(t, a=[(T0_NS + n, f) for n, f in enumerate(frames)],
                  b=[(T0_NS + n + 50, f) for n, f in enumerate(frames)])
    equal([(s, n) for _, s, n in seen(node, "--dedup")[0]],
          [("a", n + 1) for n in range(30)], "packets of which each is thrice")


def marks_say_of_which_packet_each_is_a_duplicate(t):
    node = two_taps(t)
    epoch = {r["interface"]: r["epoch"] for r in node.rows("streams")}
    done = node.pb_run("query", "--json", "--mark-duplicates")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    equal(len(rows), COUNT + COUNT * 9 // 10, "packets")
    check(b"are duplicates\n" in done.stderr, "it says", done.stderr)
    number = 0
    for row in rows:
        if row["interface"] == "a":
            number = row["seq"]
            check("duplicate_of" not in row, "the first is marked", row)
        else:
            equal(row["duplicate_of"], {
                "node": "x", "interface": "a", "epoch": epoch["a"],
                "seq": number}, "the mark of %d" % row["seq"])
    text = node.pb("query", "--mark-duplicates", "--limit", "4").decode()
    equal([line.partition(" duplicate-of ")[2]
           for line in text.splitlines()], ["", "", "x/a 2", ""], "marks")


def what_cannot_be_is_refused(t):
    node = two_taps(t)
    for args, word in (
            (("--dedup", "--mark-duplicates"), b"give one of them"),
            (("--dedup-ttl",), b"give --dedup"),
            (("--dedup-window", "1ms"), b"give --dedup"),
            (("--dedup", "--reverse"), b"--reverse"),
            (("--mark-duplicates", "--count"), b"printed"),
            (("--mark-duplicates", "-w", "-"), b"printed"),
            (("--window", "5"), b"--window"),
            (("--dedup", "--dedup-window", "x"), b"--dedup-window")):
        done = node.pb_run("query", *args)
        check(done.returncode == 2 and word in done.stderr and
              len(done.stderr.splitlines()) == 1, "query", args, "says",
              done.returncode, done.stderr)


main("545", within_the_window_all_is_in_order,
     what_is_later_than_the_window_is_counted_and_said_once,
     with_no_window_each_stream_is_as_it_came,
     duplicates_are_left_out_only_when_asked_for,
     a_router_between_makes_other_packets_but_for_what_it_changes,
     trailers_make_no_other_packet,
     times_of_trailers_are_put_in_order,
     what_was_sent_twice_is_kept_twice,
     marks_say_of_which_packet_each_is_a_duplicate,
     what_cannot_be_is_refused)
