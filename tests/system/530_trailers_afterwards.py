"""Trailers of frames that are there already: what was captured without a list
is read by one, and frames are what they were before the first switch."""

import itertools
import random
import struct

from harness import *
import pngread
import samples
import traffic
import trailers

PB = os.path.join(BUILD, "pb")
MTU = 9100
MIXED = "metamako,exablaze,arista7280"    # from the wire's end inwards


# --- switches: a frame on the wire ends with its FCS -------------------------

SWITCHES = {
    "metamako": lambda f, n: trailers.metamako(
        f, samples.T0 + n, 17 * n, device=n & 7, port=2,
        extensions=[trailers.sequence(n)]),
    "exablaze": lambda f, n: trailers.exablaze(
        f, samples.T0 + n, n * 12345, device=3, port=n & 15),
    "vss": lambda f, n: trailers.vss(f, samples.T0 + n, n),
    "ixia": lambda f, n: trailers.ixia(
        f, trailers.ixia_time(samples.T0 + n, n)),
    "arista7280": lambda f, n: trailers.arista7280(
        f, samples.T0 + n, 3 * n, utc=True),
    "ttag": lambda f, n: trailers.ttag(f, samples.T0 * 10**9 + n),
    "raw:5": lambda f, n: trailers.raw(f, b"\xff" * 5),
}
KEEPS_FCS = {"metamako", "exablaze"}
STACKS = 100                # of the mixes there are, at random


def through(words, n, size=90):
    """What the first host sends, with its FCS, and what is captured behind
    the switches of a list, the last of which is the nearest to the host."""
    host = frame = trailers.with_fcs(traffic.frame(n, size))
    for word in reversed(words.split(",")):
        frame = SWITCHES[word](frame, n)
    return host, frame


def pcap(t, name, frames, first=0):
    return t.write(name, samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0 + n // 1000, n % 1000 * 10**6, frame, len(frame))
        for n, frame in enumerate(frames, first)]))


def write(node, t, *args, name="out.pcapng"):
    """What `pb query -w` writes, and what it says."""
    path = t.path(name)
    done = node.pb_run("query", *args, "-w", path)
    check(done.returncode == 0, args, done.stderr.decode())
    return pngread.read(path).packets, done.stderr.decode()


def data(packets):
    return [p.data for p in packets]


def damaged(frame):
    """Seconds, nanoseconds and flags of the outermost are none."""
    return frame[:-16] + b"\xff" * 12 + frame[-4:]


def store(t, frames, *how, name="tap.pcap"):
    node = t.node("n1")
    node.pb("import", *how, "--interface", "tap0", pcap(t, name, frames))
    return node


# --- as they were ------------------------------------------------------------

def three_deep_stacks_of_any_mix_are_restored_bit_for_bit(t):
    node = t.node("n1")
    mixes = list(itertools.product(SWITCHES, repeat=3))
    for i, words in enumerate(random.Random(SEED).sample(mixes, STACKS)):
        words = ",".join(words)
        made = [through(words, n, 60 + n) for n in range(4)]
        name = "tap%d" % i
        node.pb("import", "--interface", name,
                pcap(t, "a.pcap", [f for _, f in made]))
        how = ("--stream", "*/" + name, "--trailers", words, "--fcs",
               "--strip-trailers")
        have, said = write(node, t, *how)
        equal(data(have), [h[:-4] for h, _ in made], "frames of " + words)
        equal([p.origlen for p in have], [len(h) - 4 for h, _ in made],
              "their lengths")
        equal(said, "", "what is said of " + words)
        have, _ = write(node, t, *how, "--with-fcs")
        # That of the host is inside the first switch's trailer.
        keeps = words.split(",")[-1] in KEEPS_FCS
        equal(data(have), [h if keeps else h[:-4] for h, _ in made],
              "frames with FCS of " + words)
        fcslen = have[0].interface.first(13)
        equal(fcslen, b"\4" if keeps else None, "if_fcslen of " + words)


def every_way_out_has_the_frames_as_they_were(t):
    need("zstd")
    made = [through(MIXED, n) for n in range(200)]
    node = store(t, [f for _, f in made])
    how = ("--trailers", MIXED, "--fcs", "--strip-trailers")
    want = [h[:-4] for h, _ in made]
    equal(data(write(node, t, *how)[0]), want, "pcapng")
    equal(data(write(node, t, *how, "--format", "pcap", name="o.pcap")[0]),
          want, "pcap")
    equal(data(write(node, t, *how, "--reverse")[0]), want[::-1], "reverse")
    write_to = t.path("o.pcapng.zst")
    node.pb("query", *how, "-w", write_to)
    equal(data(pngread.read(must(["zstd", "-dcq", write_to])).packets), want,
          "compressed")
    node.pb("query", *how, "--split", "8KiB", "-w", t.path("part.pcapng"))
    parts = sorted(f for f in os.listdir(t.dir) if f.startswith("part_"))
    check(len(parts) > 2, "parts:", parts)
    equal([d for f in parts for d in data(pngread.read(t.path(f)).packets)],
          want, "split")
    rows = node.rows("query", *how)
    equal([(r["caplen"], r["len"]) for r in rows],
          [(len(w), len(w)) for w in want], "lengths in JSON")
    lines = node.pb("query", *how).decode().splitlines()
    equal([int(line.split()[3]) for line in lines], [len(w) for w in want],
          "lengths in lines")


def a_query_that_follows_strips_what_comes(t):
    need_root()
    ns = t.netns("a")
    t.veth(ns, "pb0", ns, "pb1")
    node = t.node("edge", netns=ns, captures=["pb1"])
    node.start_recorder()
    out = t.path("live.pcapng")
    t.spawn([PB, "-c", node.conf, "query", "--follow", "--trailers", MIXED,
             "--fcs", "--strip-trailers", "-w", out], ns=ns)
    made = [through(MIXED, n) for n in range(50)]
    path = pcap(t, "a.pcap", [f for _, f in made])
    must([*enter(ns), PB, "replay", "-r", path, "-i", "pb0", "--top"])

    def written():
        if not os.path.exists(out):
            return False
        try:
            have = data(pngread.read(out).packets)
        except pngread.Malformed:
            return False
        return [h[:-4] for h, _ in made if h[:-4] not in have] == []
    wait_until(written, "all frames are there as they were")


def a_filter_is_asked_of_frames_as_they_were_captured(t):
    made = [through("metamako", n) for n in range(4)]
    longest = len(made[0][1])
    node = store(t, [f for _, f in made])
    have, _ = write(node, t, "--trailers", "metamako", "--fcs",
                    "--strip-trailers", "greater %d" % longest)
    equal(len(have), 4, "frames that were so long when they were captured")


def stamps_stay_with_frames_that_lose_their_trailers(t):
    made = [through("metamako,metamako,metamako", n) for n in range(3)]
    node = store(t, [f for _, f in made], "--trailers",
                 "metamako,metamako,metamako", "--fcs")
    have, _ = write(node, t, "--strip-trailers")
    for n, packet in enumerate(have):
        stamps = own_value(packet, 5)
        equal(len(stamps), 16 + 3 * 24, "bytes of stamps")
        equal(struct.unpack("<QBB", stamps[:10]),
              (packet.time_ns, 0, 3), "capture time, whose, how many")
        for k in range(3):
            equal(struct.unpack("<QII", stamps[16 + 24 * k:][:16]),
                  ((samples.T0 + n) * 10**9 + 17 * n, 0, n), "a stamp")


def own_value(packet, kind):
    """What stands behind PEN, mark, version and kind."""
    for option in packet.options:
        if pngread.is_own(option, kind):
            return option[1][8:]
    raise Failure("no option of kind %d" % kind)


def whole_extents_are_stripped_as_well(t):
    """Several MiB that lie together, which a query without a filter writes as
    they were read."""
    made = [through(MIXED, n, 1400) for n in range(6000)]
    node = store(t, [f for _, f in made], "--trailers", MIXED, "--fcs")
    have, said = write(node, t, "--strip-trailers")
    equal(data(have) == [h[:-4] for h, _ in made], True, "frames are the same")
    equal(said, "", "what is said")


# --- what does not parse -----------------------------------------------------

def frames_that_were_cut_have_stamps_in_their_headers(t):
    """12 bytes, of 62 that one tap captured; the other one took 50."""
    bare = [trailers.udp(b"%d" % n * 40, number=n) for n in range(30)]
    tapped = [trailers.arista7280(f, samples.T0, 7 + n, 48, utc=True)
              for n, f in enumerate(bare)]
    node = t.node("n1")
    for name, frames, bytes_ in (("a", tapped, 62), ("b", bare, 50)):
        path = t.write(name + ".pcap", trailers.as_pcap([
            (samples.T0 * 10**9 + n, trailers.without_fcs(f)[:bytes_],
             len(f) - 4) for n, f in enumerate(frames)]))
        node.pb("import", "--node", "x", "--interface", name, *(
            ("--trailers", "arista7280") if name == "a" else ()), path)
    rows = node.rows("query", "--stream", "x/a")
    equal([parse_time(r["hops"][0]["time"]) for r in rows],
          [samples.T0 * 10**9 + 7 + n for n in range(30)], "stamps")
    packets, _ = write(node, t, "--stream", "x/a", "--strip-trailers")
    for p, f in zip(packets, bare):
        equal((p.data, p.origlen), (f[:50], len(f) - 4), "a frame restored")
    equal(node.pb("query", "--dedup", "--count").strip(), b"30",
          "packets that both taps saw")


def damaged_frames_stay_as_they_are_and_are_counted(t):
    rng = random.Random(SEED)
    made = [through(MIXED, n) for n in range(300)]
    frames, want, bad = [], [], set(rng.sample(range(300), 40))
    for n, (host, frame) in enumerate(made):
        frames.append(damaged(frame) if n in bad else frame)
        want.append(frames[-1] if n in bad else host[:-4])
    node = store(t, frames)
    have, said = write(node, t, "--trailers", MIXED, "--fcs",
                       "--strip-trailers")
    equal(data(have), want, "frames (seed %d)" % SEED)
    equal(said.count("\n"), 1, "lines said: " + said)
    check("40 of 300" in said and "n1/tap0, number %d)" % (min(bad) + 1)
          in said, said)
    # Those are of an interface of their own, which has the list.
    equal({p.interface.number for n, p in enumerate(have) if n in bad} &
          {p.interface.number for n, p in enumerate(have) if n not in bad},
          set(), "interfaces of both")


def what_no_list_is_known_of_stays_and_that_is_said(t):
    made = [through("metamako", n) for n in range(5)]
    node = store(t, [f for _, f in made])
    have, said = write(node, t, "--strip-trailers")
    equal(data(have), [f for _, f in made], "frames")
    check("5 of 5" in said and "--trailers" in said, said)


def bad_lists_are_refused_in_words(t):
    node = store(t, [through("metamako", 1)[1]])
    for args, words in (
            (("query", "--trailers", "metamac"), "metamako"),
            (("query", "--trailers", "metamako,raw"), "raw:"),
            (("query", "--trailers", "none,vss"), "none"),
            (("query", "--with-fcs"), "--strip-trailers"),
            (("query", "--count", "--strip-trailers", "--check-fcs"),
             "--count prints no frames; leave out --strip-trailers\n"),
            (("import", "--trailers", "exablase", "x"), "exablaze"),
            (("replay", "-i", "lo", "--trailers", "ixi",
              "--strip-trailers"), "ixia"),
            (("replay", "-i", "lo", "--trailers", "ixia"),
             "--strip-trailers")):
        done = node.pb_run(*args)
        said = done.stderr.decode()
        equal(done.returncode, 2, "status of %s: %s" % (args, said))
        equal(said.count("\n"), 1, "lines of %s: %s" % (args, said))
        check(words in said, "'%s' is not in: %s" % (words, said))


# --- FCS ---------------------------------------------------------------------

def wrong(frame):
    return frame[:40] + bytes([frame[40] ^ 1]) + frame[41:]


def an_original_fcs_that_is_wrong_is_marked_and_counted(t):
    need("tshark")
    words = "metamako,metamako"
    frames = []
    for n in range(20):
        host = trailers.with_fcs(traffic.frame(n, 90))
        if n in (3, 11):
            host = wrong(host)
        for _ in range(2):
            host = SWITCHES["metamako"](host, n)
        frames.append(host)
    frames[7] = damaged(frames[7])
    node = store(t, frames, "--trailers", words, "--fcs")
    done = node.pb_run("query", "--check-fcs", "--json")
    equal(done.returncode, 1, "status")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    equal([r.get("fcs") for r in rows],
          [{3: "wrong", 11: "wrong", 7: None}.get(n, "right")
           for n in range(20)], "fcs in JSON")
    check("of 17 packets is right, of 2 wrong, and 1 have none" in
          done.stderr.decode(), done.stderr.decode())
    lines = node.pb_run("query", "--check-fcs").stdout.decode().splitlines()
    equal([n for n, line in enumerate(lines) if line.endswith("wrong-fcs")],
          [3, 11], "lines that say so")
    done = node.pb_run("query", "--check-fcs", "--count")
    equal((done.returncode, done.stdout), (1, b"20\n"), "--count")
    path = t.path("marked.pcapng")
    equal(node.pb_run("query", "--check-fcs", "-w", path).returncode, 1,
          "status of -w")
    equal(data(pngread.read(path).packets), frames, "frames of -w")
    marked = must(["tshark", "-n", "-r", path, "-Y",
                   "frame.packet_flags_crc_error", "-T", "fields", "-e",
                   "frame.number"]).split()
    equal(marked, [b"4", b"12"], "frames that tshark finds")
    equal(node.pb_run("query", "--check-fcs", "--seq", "1-3").returncode, 0,
          "status where all are right")


def frames_without_trailers_have_an_fcs_to_check(t):
    frames = [trailers.with_fcs(traffic.frame(n, 90)) for n in range(5)]
    frames[2] = wrong(frames[2])
    node = store(t, frames)
    equal([r["fcs"] for r in map(json.loads, node.pb_run(
        "query", "--fcs", "--check-fcs", "--json").stdout.splitlines())],
        ["right", "right", "wrong", "right", "right"], "fcs")
    have, _ = write(node, t, "--fcs", "--strip-trailers")
    equal(data(have), [f[:-4] for f in frames], "without FCS")


def tshark_finds_the_original_fcs_good(t):
    need("tshark")
    made = [through("metamako,exablaze,metamako", n) for n in range(10)]
    node = store(t, [f for _, f in made], "--trailers",
                 "metamako,exablaze,metamako", "--fcs")
    path = t.path("o.pcapng")
    node.pb("query", "--strip-trailers", "--with-fcs", "-w", path)
    equal(must(["tshark", "-n", "-r", path, "-o", "eth.check_fcs:TRUE", "-T",
                "fields", "-e", "frame.len", "-e", "eth.fcs.status"]).split(),
          [b"94", b"1"] * 10, "lengths, and FCS that are good")


# --- the list is kept --------------------------------------------------------

def an_import_keeps_the_list_for_every_reader(t):
    made = [through(MIXED, n) for n in range(5)]
    node = store(t, [f for _, f in made], "--trailers", MIXED, "--fcs")
    plain, said = write(node, t)
    equal(data(plain), [f for _, f in made], "frames as they were captured")
    again = t.node("n2")
    again.pb("import", t.path("out.pcapng"))
    have, said = write(again, t, "--strip-trailers", name="b.pcapng")
    equal((data(have), said), ([h[:-4] for h, _ in made], ""),
          "what a second store makes of it")


# --- replay ------------------------------------------------------------------

def what_goes_out_is_the_original_frame(t):
    need_root()
    ns, far = t.netns("tx"), t.netns("rx")
    t.veth(ns, "pb0", far, "pb1", MTU)
    node = t.node("far", netns=far, captures=["pb1"])
    node.start_recorder()
    t.sender = ns
    made = [through(MIXED, n) for n in range(30)]
    frames = [f for _, f in made]
    frames[4] = damaged(frames[4])
    want = [h[:-4] for h, _ in made]
    want[4] = frames[4]
    path = pcap(t, "a.pcap", frames)
    here = t.node("n1")
    here.pb("import", "--trailers", MIXED, "--fcs", path)
    for how in (("-r", path, "--trailers", MIXED, "--fcs"), ()):
        where = [] if how else ["-c", here.conf]
        done = run([*enter(ns), PB, *where, "replay", *how, "-i", "pb0",
                    "--strip-trailers", "--top"])
        said = done.stderr.decode()
        equal(done.returncode, 0, "status: " + said)
        check("1 of 30 frames" in said, said)
    t.all_stored(node)
    have = [p.data for p in sorted(node.query().packets,
                                   key=lambda p: p.seq)]
    equal(have, want + want, "frames on the wire")


# --- which list fits ---------------------------------------------------------

def the_list_of_a_file_a_stream_and_an_interface_is_found(t):
    words = "metamako,exablaze,metamako"
    made = [through(words, n)[1] for n in range(400)]
    path = pcap(t, "a.pcap", made)
    node = t.node("n1")
    node.pb("import", "--interface", "tap0", path)
    want = ["trailers = " + words, "fcs = yes"]
    with open(path, "rb") as f:
        piped = run([PB, "trailers", "-", "--json"], stdin=f.read())
    for done in (run([PB, "trailers", path, "--json"]), piped,
                 node.pb_run("trailers", "*/tap0", "--json")):
        equal(done.returncode, 0, "status: " + done.stderr.decode())
        row, = map(json.loads, done.stdout.splitlines())
        equal(row["configure"], want, "lines of " + row["name"])
        equal((row["packets"], row["fits"][0]["share"]), (400, 1), "share")
    for line in want:
        check(line in run([PB, "trailers", path]).stdout.decode()
              .splitlines(), line)
    row, = map(json.loads, run([PB, "trailers", path, "--json", "--limit",
                                "7"]).stdout.splitlines())
    equal(row["packets"], 7, "packets of --limit 7")


def a_clock_of_tai_is_known_by_its_distance(t):
    """A 7130 of UTC, and behind it a 3550 that follows PTP."""
    made = []
    for n in range(100):
        seconds, ns = samples.T0 + n // 1000, n % 1000 * 10**6
        frame = trailers.metamako(trailers.udp(b"%d" % n), seconds, ns)
        made.append(trailers.captured(trailers.exablaze(
            frame, seconds + 37, (ns << 40) // 10**9 + 1)))
    path = pcap(t, "a.pcap", made)
    done = run([PB, "trailers", path])
    check("trailers = exablaze@tai,metamako" in
          done.stdout.decode().splitlines(), done.stdout)


def the_list_of_an_interface_is_found_while_it_is_used(t):
    need_root()
    ns = t.netns("a")
    t.veth(ns, "pb0", ns, "pb1")
    words = "metamako,metamako"
    path = pcap(t, "a.pcap", [through(words, n)[1] for n in range(500)])
    t.spawn([PB, "replay", "-r", path, "-i", "pb0", "--pps", "1000",
             "--loop", "0"], ns=ns)
    done = run([*enter(ns), PB, "trailers", "pb1", "--limit", "200",
                "--json"])
    equal(done.returncode, 0, "status: " + done.stderr.decode())
    row, = map(json.loads, done.stdout.splitlines())
    equal((row["name"], row["packets"], row["configure"]),
          ("pb1", 200, ["trailers = " + words, "fcs = yes"]), "what fits")


def that_nothing_fits_is_said_plainly(t):
    path = pcap(t, "a.pcap", [traffic.frame(n, 90) for n in range(100)])
    done = run([PB, "trailers", path])
    equal(done.returncode, 1, "status")
    check("no list of trailers" in done.stdout.decode(), done.stdout)
    done = run([PB, "trailers", path, "--json"])
    row, = map(json.loads, done.stdout.splitlines())
    equal((done.returncode, row["fits"], row["configure"]), (1, [], []),
          "as JSON")
    third = pcap(t, "third.pcap", [through("metamako", 0)[1],
                                   traffic.frame(1, 90), traffic.frame(2, 90)])
    equal(run([PB, "trailers", third]).returncode, 1, "status of a third")
    cut = t.write("cut.pcap", trailers.as_pcap([
        (samples.T0 * 10**9 + n, through("metamako", n)[1][:64], 154)
        for n in range(9)]))
    check(b"9 of them were cut" in run([PB, "trailers", cut]).stdout,
          "why nothing fits what was cut")
    node = t.node("n1")
    node.pb("import", path)
    done = node.pb_run("trailers", "nowhere*")
    equal(done.returncode, 1, "status of what is nowhere")
    check("no file, no interface of this machine, and no stream" in
          done.stderr.decode(), done.stderr)
    equal(run([PB, "trailers"]).returncode, 2, "status without a name")
    done = run([PB, "trailers", "nowhere"], cwd=t.dir)
    check(done.returncode == 2 and b"no file and no interface of this "
          b"machine; for a stream: no configuration" in done.stderr,
          "without a configuration", done.returncode, done.stderr)


main("530",
     three_deep_stacks_of_any_mix_are_restored_bit_for_bit,
     every_way_out_has_the_frames_as_they_were,
     a_query_that_follows_strips_what_comes,
     a_filter_is_asked_of_frames_as_they_were_captured,
     stamps_stay_with_frames_that_lose_their_trailers,
     whole_extents_are_stripped_as_well,
     frames_that_were_cut_have_stamps_in_their_headers,
     damaged_frames_stay_as_they_are_and_are_counted,
     what_no_list_is_known_of_stays_and_that_is_said,
     bad_lists_are_refused_in_words,
     an_original_fcs_that_is_wrong_is_marked_and_counted,
     frames_without_trailers_have_an_fcs_to_check,
     tshark_finds_the_original_fcs_good,
     an_import_keeps_the_list_for_every_reader,
     what_goes_out_is_the_original_frame,
     the_list_of_a_file_a_stream_and_an_interface_is_found,
     a_clock_of_tai_is_known_by_its_distance,
     the_list_of_an_interface_is_found_while_it_is_used,
     that_nothing_fits_is_said_plainly)
