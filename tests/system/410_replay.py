"""`pb replay` sends what is in a store or a file, and nothing else.

Frames leave pb0 in a namespace; a node of its own captures pb1, the other
end, in another one, and what it has is compared.
"""

import struct

from harness import *
import pngread
import samples
import traffic
import users

PB = os.path.join(BUILD, "pb")
ETHERNET = 1
MTU = 9100
LONGEST = MTU + 14
TOGETHER = 16           # files that are imported by one command
FILES = 10**6 if os.environ.get("PB_FULL") else 30


class Line:
    """A sending end, and a node that captures the other one."""

    def __init__(self, t, mtu=MTU, **kw):
        self.t = t
        self.out = t.netns("tx")
        self.inner = t.netns("rx")
        t.veth(self.out, "pb0", self.inner, "pb1", mtu)
        self.node = t.node("far", netns=self.inner, captures=["pb1"], **kw)
        self.node.start_recorder()
        t.sender = self.out

    def run(self, *args, before=(), store=None, **kw):
        where = ["-c", store.conf] if store else []
        return run([*enter(self.out), *before, PB, *where, "replay", *args],
                   **kw)

    def replay(self, *args, **kw):
        """Status 0; the report."""
        done = self.run(*args, "-i", "pb0", "--json", **kw)
        check(done.returncode == 0, "replay", *args, done.returncode,
              done.stderr.decode())
        return json.loads(done.stdout)

    def refuses(self, status, words, *args, sent=0, **kw):
        """One line that says so; what was sent before is `sent`."""
        before = self.t.sent(self.out, "pb0")
        done = self.run(*args, **kw)
        said = done.stderr.decode()
        equal(done.returncode, status, "status of %s: %s" % (args, said))
        equal(said.count("\n"), 1, "lines of %s: %s" % (args, said))
        check(re.search(words, said), "'%s' is not in: %s" % (words, said))
        equal(self.t.sent(self.out, "pb0") - before, sent, "frames sent")
        return done.stdout

    def arrived(self):
        """All frames, in the order in which they came."""
        self.t.all_stored(self.node)
        return [p.data for p in sorted(self.node.query().packets,
                                       key=lambda p: p.seq)]


def numbered(count, size=100, first=0, gap_ns=1000, start=samples.T0):
    """Packets of a pcap file with nanoseconds, a gap between two."""
    out = []
    for n in range(count):
        at = start * 10**9 + n * gap_ns
        data = traffic.frame(first + n, size)
        out.append((at // 10**9, at % 10**9, data, size))
    return out


def pcap(t, name, packets, **kw):
    return t.write(name, samples.pcap("<", samples.MAGIC_NS, packets, **kw))


def frames(packets):
    return [data for _, _, data, _ in packets]


def captures():
    """(path, capture) of those that can be read."""
    need_captures()
    for folder, _, names in sorted(os.walk(CAPTURES)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name.endswith((".pcap", ".pcapng", ".ntar")):
                with contextlib.suppress(pngread.Malformed):
                    yield path, pngread.read(path)


def can_go(packet):
    return (packet.interface.linktype == ETHERNET and
            14 <= len(packet.data) <= LONGEST)


# --- what goes out ---------------------------------------------------------

def what_goes_out_is_what_is_in_the_store(t):
    """All captures in a store; an Ethernet port takes what is Ethernet."""
    need_captures()
    line = Line(t)
    store = t.node("store")
    paths = [path for path, capture in captures() if capture.packets]
    for i in range(0, len(paths), TOGETHER):
        some = paths[i:i + TOGETHER]
        # One that is refused keeps out the others of its command.
        for group in [some], [[path] for path in some]:
            done = [store.pb_run("import", "--node", "n%d" % i, *names)
                    for names in group]
            for one in done:
                check(one.returncode in (0, 1), some, one.stderr)
            if done[0].returncode == 0 and len(done) == 1:
                break
    # Times from 1970 to the next century: the distances do not matter here.
    report = line.replay("--skip", "--pps", "20000", store=store)
    have = line.arrived()
    stored = [p for p in store.query().packets]
    want = [p.data for p in stored if can_go(p)]
    equal(len(have), len(want), "frames")
    for n, (w, h) in enumerate(zip(want, have)):
        equal(h, w, "frame %d" % n)
    check(len(want) > 1000, "only %d" % len(want))
    equal(report["sent"], len(want), "sent")
    equal(report["skipped"], len(stored) - len(want), "skipped")
    equal(report["asked_pps"], 20000, "asked")


def a_file_goes_out_as_it_is_or_not_at_all(t):
    """One of each link type that is none is refused before a packet."""
    line = Line(t)
    want, files, refused = [], 0, set()
    chosen = list(captures())
    random.shuffle(chosen)
    for path, capture in chosen:
        types = {p.interface.linktype for p in capture.packets}
        if types == {ETHERNET} and files < FILES and \
                all(can_go(p) for p in capture.packets):
            files += 1
            line.replay("-r", path, "--pps", "20000")
            want += [p.data for p in capture.packets]
        elif types and ETHERNET not in types and not types <= refused:
            refused |= types
            line.refuses(1, r"which no Ethernet port can carry; --skip",
                         "-r", path, "-i", "pb0", "--top")
    check(want and refused, "no captures")
    have = line.arrived()
    equal(len(have), len(want), "frames")
    check(have == want, "frames differ")


def filters_and_selections_say_what_goes(t):
    line = Line(t)
    packets = [(samples.T0 + n, 0, samples.eth(n, 80), 80) for n in range(40)]
    path = pcap(t, "f.pcap", packets)
    store = t.node("store")
    store.pb("import", "--node", "a", "--interface", "e0", path)
    line.replay("-r", path, "--top", "udp src port 1007 or", "udp src port",
                "1009")
    line.replay("--top", "--stream", "a/*", "udp src port 1011", store=store)
    line.replay("--top", "--seq", "21-22", store=store)
    line.replay("--top", "--after", str(samples.T0 + 30), "--limit", "2",
                store=store)
    equal(line.arrived(), [samples.eth(n, 80) for n in
                           (7, 9, 11, 20, 21, 30, 31)], "frames")


def streams_go_out_merged_or_each_its_own_way(t):
    line = Line(t)
    t.veth(line.out, "pb2", line.inner, "pb3", MTU)
    other = t.node("other", netns=line.inner, captures=["pb3"])
    other.start_recorder()
    store = t.node("store")
    even, odd = numbered(50, gap_ns=2000), numbered(50, first=100, gap_ns=2000)
    odd = [(s, ns + 1000, d, n) for s, ns, d, n in odd]
    for name, packets in (("even", even), ("odd", odd)):
        store.pb("import", "--node", name, "--interface", "e0",
                 pcap(t, name + ".pcap", packets))
    both = [f for pair in zip(frames(even), frames(odd)) for f in pair]
    line.replay("--top", store=store)
    equal(line.arrived(), both, "merged")
    report = line.run("--map", "odd/*=pb2", "-i", "pb0", "--json", "--pps",
                      "10000", store=store)
    equal(report.returncode, 0, report.stderr)
    equal(json.loads(report.stdout)["sent"], 100, "sent")
    equal(line.arrived(), both + frames(even), "of -i")
    wait_until(lambda: other.streams() and sum(
        r["packets"] for r in other.streams().values()) == 50, "the other way")
    equal([p.data for p in other.query().packets], frames(odd), "of --map")
    for where in (["-r", t.path("odd.pcap")], []):
        done = line.run("--map", "ood/*=pb2", "--limit", "1", "--top", "-i",
                        "lo", *where, store=None if where else store)
        equal((done.returncode, done.stderr),
              (0, b"pb: note: --map 'ood/*=pb2' matched no stream\n"), "a typo")
    line.refuses(2, r"no interface for the stream odd/e0: give -i",
                 "--map", "even/e0=pb0", store=store)
    # In a file interfaces are known by their names and numbers.
    both_in_one = t.path("both.pcapng")
    store.pb("query", "-w", both_in_one)
    line.refuses(2, r"no interface for packets of interface 1", "-r",
                 both_in_one, "--map", "0=pb0", "--top")
    single = t.path("single.pcapng")
    store.pb("query", "--stream", "odd/*", "-w", single)
    segment, = [path for path in store.files() if "/odd/" in path]
    for path, name in ((single, "e0"), (segment, "odd/e*"), (single, "0")):
        done = line.run("-r", path, "--map", name + "=pb0", "--top")
        equal(done.returncode, 0, done.stderr)
    equal(line.arrived()[150:], frames(odd) * 3, "by names and numbers")


def jumbo_frames_with_a_trailer_go_through(t):
    line = Line(t)
    packets = numbered(200, size=9018 + 16)
    report = line.replay("-r", pcap(t, "jumbo.pcap", packets), "--pps", "5000")
    equal(report["sent"], 200, "sent")
    equal(line.arrived(), frames(packets), "frames")


def each_engine_sends_the_same(t):
    line = Line(t, mtu=1500)
    packets = numbered(3000, size=1000)
    path = pcap(t, "a.pcap", packets)
    want = []
    for engine in ("auto", "sendmmsg", "ring", "xdp"):
        for how in (["--top"], ["--pps", "20000"]):
            done = line.run("-r", path, "-i", "pb0", "--json", "--engine",
                            engine, *how)
            if done.returncode == 2:    # this kernel, or interface, has none
                check(engine.encode() in done.stderr, done.stderr)
                continue
            report = json.loads(done.stdout)
            equal((report["sent"], report["failed"]), (3000, 0), engine)
            if engine != "auto":
                equal(report["interfaces"][0]["engine"], engine, "engine")
            want += frames(packets)
    check(len(want) >= 4 * 3000, "engines that are always there")
    have = line.arrived()
    equal(len(have), len(want), "frames")
    check(have == want, "frames differ")


# --- when ------------------------------------------------------------------

def loops_and_limits_count_packets(t):
    line = Line(t)
    packets = numbered(1000)
    path = pcap(t, "a.pcap", packets)
    store = t.node("store")
    store.pb("import", "--node", "a", "--interface", "e0", path)
    want = []
    for how in (["-r", path], ["-r", path, "--preload"], [],
                ["--preload"]):
        of = None if "-r" in how else store
        report = line.replay(*how, "--loop", "3", "--pps", "20000", store=of)
        equal(report["sent"], 3000, "sent by %s" % how)
        report = line.replay(*how, "--loop", "0", "--limit", "2500", "--mbps",
                             "16", store=of)
        equal(report["sent"], 2500, "sent by %s with a limit" % how)
        equal(report["asked_mbps"], 16, "asked")
        want += (frames(packets) * 6)[:5500]
    have = line.arrived()
    equal(len(have), len(want), "frames")
    check(have == want, "frames are in another order")


def rates_are_what_is_asked(t):
    """What it waits for is in what was asked, whatever was reached."""
    line = Line(t)
    path = pcap(t, "a.pcap", numbered(1001, gap_ns=100_000, size=125))
    for how, pps, mbps in ((["--pps", "5000"], 5000, 5),
                           (["--mbps", "10"], 10000, 10),
                           ([], 10000, 10),
                           (["--speed", "2.5"], 25000, 25),
                           (["--no-spin"], 10000, 10)):
        report = line.replay("-r", path, *how)
        equal(report["sent"], 1001, "sent")
        check(abs(report["asked_pps"] / pps - 1) < 1e-6, how, report)
        check(abs(report["asked_mbps"] / mbps - 1) < 1e-6, how, report)
        check(report["reached_pps"] > 0, how, report)
        check(0 <= report["error_ns"]["p50"] <= report["error_ns"]["p99"] <=
              report["error_ns"]["p999"] <= report["error_ns"]["max"], report)
    # Few packets are over before the engines were compared.
    done = line.run("-r", path, "-i", "pb0", "--top")
    check(b" (too little was sent to compare engines)\n" in done.stdout,
          done.stdout)
    report = line.replay("-r", path, "--top")
    equal(report["asked_pps"], None, "asked of the top")
    equal(report["late"], 0, "late at the top")


def stolen_time_that_runs_back_is_none(t):
    """As some hypervisors tell it."""
    line = Line(t)
    stat = t.write("stat", b"cpu 1 1 1 1 1 1 1 900 0 0\n")
    child = t.spawn(["unshare", "-m", "sh", "-c", "mount --bind " + stat +
                     ' /proc/stat && exec "$@"', "sh", PB, "replay", "-r", "-",
                     "-i", "pb0", "--json"], line.out, stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE)
    with open(pcap(t, "a.pcap", numbered(10)), "rb") as f:
        child.stdin.write(f.read())
    child.stdin.flush()
    wait_until(lambda: t.sent(line.out, "pb0") == 10, "it sends")
    with open(stat, "w") as f:
        f.write("cpu 1 1 1 1 1 1 1 850 0 0\n")
    child.stdin.close()
    equal(json.loads(child.stdout.read())["steal_ns"], 0, "stolen")
    equal(child.wait(10 * SLACK), 0, "status")


def long_silences_are_cut(t):
    """An hour between two packets, in a file that goes out at once."""
    line = Line(t)
    packets = [(samples.T0 + n * 3600, 0, traffic.frame(n), 200)
               for n in range(10)]
    line.replay("-r", pcap(t, "gaps.pcap", packets), "--gap-max", "10ms")
    # And times that run backwards, or none at all.
    back = list(reversed(packets))
    line.replay("-r", pcap(t, "back.pcap", back))
    untimed = samples.shb("<") + samples.idb("<", 1) + b"".join(
        samples.spb("<", d) for d in frames(packets))
    line.replay("-r", t.write("untimed.pcapng", untimed))
    equal(line.arrived(), frames(packets) + frames(back) + frames(packets),
          "frames")


def what_is_far_away_is_told_once(t):
    """A packet of 1970 in the middle: who waits for years knows why."""
    line = Line(t)
    one, two, three = frames(numbered(3))
    path = pcap(t, "a.pcap", [(samples.T0, 0, one, 100), (0, 0, two, 100),
                              (samples.T0, 0, three, 100)])
    child = t.spawn([PB, "replay", "-r", path, "-i", "pb0", "--json"],
                    line.out, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = child.stderr.readline().decode()
    check(re.match(r"pb: note: the next packet is due in \d+ days; --gap-max "
                   r"cuts such silences\n$", said), said)
    child.send_signal(signal.SIGINT)
    out, said = child.communicate(timeout=10 * SLACK)
    equal((json.loads(out)["sent"], said), (2, b""), "sent, and said")
    line.replay("-r", path, "--gap-max", "10ms")
    equal(line.arrived(), [one, two] + [one, two, three], "frames")


# --- what does not fit -----------------------------------------------------

def what_is_too_long_is_refused_cut_or_left_out(t):
    line = Line(t, mtu=1500)
    packets = numbered(10, size=1514)
    packets[4] = (*packets[4][:2], traffic.frame(4, 1515), 1515)
    tagged = traffic.frame(7, 1518)
    tagged = tagged[:12] + bytes.fromhex("81000005") + tagged[12:1514]
    packets[7] = (*packets[7][:2], tagged, 1518)
    packets[8] = (*packets[8][:2], traffic.frame(8, 13 + 50)[:13], 60)
    path = pcap(t, "long.pcap", packets[:8])
    words = (r"packet 5 has 1515 bytes, and pb0 takes 1514 \(its MTU of 1500, "
             r"and the header\): raise the MTU, or give --truncate or --skip")
    line.refuses(1, words, "-r", path, "-i", "pb0")
    report = line.replay("-r", path, "--truncate")
    equal((report["sent"], report["truncated"]), (8, 1), "truncated")
    report = line.replay("-r", path, "--skip")
    equal((report["sent"], report["skipped"]), (7, 1), "skipped")
    short = pcap(t, "short.pcap", packets[8:])
    line.refuses(1, r"packet 1 has 13 bytes, less than an Ethernet header",
                 "-r", short, "-i", "pb0", "--truncate")
    report = line.replay("-r", short, "--skip")
    equal((report["sent"], report["skipped"]), (1, 1), "short")
    whole = frames(packets)
    equal(line.arrived(), whole[:4] + [whole[4][:1514]] + whole[5:8] +
          whole[:4] + whole[5:8] + whole[9:], "frames")
    # What was captured in part goes out so, and is counted.
    part = [(s, ns, d[:60], 1514) for s, ns, d, _ in packets[:3]]
    report = line.replay("-r", pcap(t, "part.pcap", part))
    equal((report["sent"], report["cut"]), (3, 3), "captured in part")


def addresses_and_tags_are_rewritten(t):
    line = Line(t)
    plain = samples.eth(1, 80)
    tagged = plain[:12] + bytes.fromhex("8100a007") + plain[12:]
    path = pcap(t, "a.pcap", [(samples.T0, n, d, len(d))
                              for n, d in enumerate((plain, tagged))])
    macs = bytes.fromhex("02aabbccddee" "02112233445a")
    line.replay("-r", path, "--dst-mac", "02:aa:bb:cc:dd:ee", "--src-mac",
                "02-11-22-33-44-5A")
    line.replay("-r", path, "--vlan", "291")
    line.replay("-r", path, "--vlan", "none")
    equal(line.arrived(), [
        macs + plain[12:], macs + tagged[12:],
        plain[:12] + bytes.fromhex("81000123") + plain[12:],
        plain[:12] + bytes.fromhex("8100a123") + plain[12:],
        plain, plain], "frames")


# --- a stream that goes on -------------------------------------------------

def what_is_captured_goes_out_live(t):
    """pb query --follow -w - | pb replay -r - -i pb0"""
    line = Line(t)
    source = t.netns("src")
    t.veth(source, "in0", line.out, "in1")
    near = t.node("near", netns=line.out, captures=["in1"])
    near.start_recorder()
    query = t.spawn([PB, "-c", near.conf, "query", "--follow", "-w", "-"],
                    stdout=subprocess.PIPE)
    replay = t.spawn([PB, "replay", "-r", "-", "-i", "pb0", "--json"],
                     line.out, stdin=query.stdout, stdout=subprocess.PIPE)
    query.stdout.close()
    want = []
    for turn in range(3):
        t.traffic(source, "in0", 100, 1000, first=turn * 100).wait()
        want += [traffic.frame(turn * 100 + n) for n in range(100)]
        # Nothing of it waits for what comes next.
        wait_until(lambda: t.sent(line.out, "pb0") == len(want),
                   "%d went out" % len(want))
    query.send_signal(signal.SIGTERM)
    out, _ = replay.communicate(timeout=20 * SLACK)
    equal(replay.returncode, 0, "status")
    equal(json.loads(out)["sent"], 300, "sent")
    equal(line.arrived(), want, "frames")


def an_interruption_reports_what_was_done(t):
    line = Line(t)
    path = pcap(t, "a.pcap", numbered(10000, gap_ns=10_000_000))
    for how, sig in ((["--pps", "1000"], signal.SIGINT),
                     ([], signal.SIGTERM),
                     (["--speed", "0.001"], signal.SIGINT),
                     (["--loop", "0", "--top"], signal.SIGINT)):
        before = t.sent(line.out, "pb0")
        child = t.spawn([PB, "replay", "-r", path, "-i", "pb0", "--json",
                         *how], line.out, stdout=subprocess.PIPE)
        wait_until(lambda: t.sent(line.out, "pb0") > before, "it sends")
        child.send_signal(sig)
        out, _ = child.communicate(timeout=10 * SLACK)
        equal(child.returncode, -sig, "ended by the signal")
        report = json.loads(out)
        equal(report["stopped"], True, "stopped")
        equal(report["sent"], t.sent(line.out, "pb0") - before, "sent")
    # One that waits for standard input as well.
    child = t.spawn([PB, "replay", "-r", "-", "-i", "pb0", "--json"],
                    line.out, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE)
    time.sleep(0.2 * SLACK)
    child.send_signal(signal.SIGINT)
    equal(child.stderr.read(), b"", "words, a sanitizer's as well")
    equal(child.wait(10 * SLACK), -signal.SIGINT, "ended by the signal")
    equal(json.loads(child.stdout.read())["sent"], 0, "sent")
    # And for somebody who writes to a FIFO, or comes late.
    fifo = t.path("fifo")
    os.mkfifo(fifo)
    for data in (b"", open(path, "rb").read()):
        child = t.spawn([PB, "replay", "-r", fifo, "-i", "pb0", "--json",
                         "--top"], line.out, stdout=subprocess.PIPE)
        time.sleep(0.2)
        if data:
            with open(fifo, "wb") as writer:
                writer.write(data)
        else:
            child.send_signal(signal.SIGINT)
        equal(child.wait(10 * SLACK), 0 if data else -signal.SIGINT, "status")
        equal(json.loads(child.stdout.read())["sent"], 10000 if data else 0,
              "sent")


# --- what goes wrong -------------------------------------------------------

def bad_input_is_a_line_and_a_status(t):
    line = Line(t)
    packets = numbered(1000)
    path = pcap(t, "a.pcap", packets)
    store = t.node("store")
    store.pb("import", path)
    line.refuses(1, r"no-such0", "-r", path, "-i", "no-such0")
    line.refuses(2, r"no interface; give -i IFACE", "-r", path)
    line.refuses(1, r"a\.pcapX", "-r", path + "X", "-i", "pb0")
    line.refuses(1, r"is a directory", "-r", t.dir, "-i", "pb0")
    said = line.refuses(1, r"neither|no capture|magic|not", "-r",
                        t.write("junk", b"x" * 100), "-i", "pb0")
    equal(said, b"", "the report of what is no capture")
    said = line.refuses(1, r"nothing was sent: no packet", "-r", path, "-i",
                        "pb0", "tcp port 99")
    equal(said, b"", "the report of nothing")
    line.refuses(1, r"nothing was sent: no packet", "-i", "pb0", "tcp",
                 store=store)
    line.refuses(1, r"nothing was sent: no packet", "-r", "-", "-i", "pb0",
                 stdin=open(path, "rb").read()[:24])
    line.refuses(2, r"^pb: filter 'port port': can't parse", "-r",
                 path, "-i", "pb0", "port port")
    line.refuses(2, r"filter", "-i", "pb0", "port port", store=store)
    for usage in (["--pps", "0"], ["--pps", "1", "--top"], ["--speed", "x"],
                  ["--gap-max", "1s", "--pps", "5"], ["--vlan", "5000"],
                  ["--dst-mac", "1:2"], ["--map", "eth0"], ["--limit", "0"],
                  ["--engine", "steam"], ["--on-down", "cry"],
                  ["--truncate", "--skip"], ["--after", "-5m"],
                  ["--loop", "-1"], ["-r", path]):
        line.refuses(2, r".", "-r", path, "-i", "pb0", *usage)
    line.refuses(2, r"standard input can be read once", "-r", "-", "-i",
                 "pb0", "--loop", "2", stdin=b"")


def a_file_that_is_cut_goes_out_up_to_there(t):
    line = Line(t)
    packets = numbered(500)
    data = samples.pcap("<", samples.MAGIC_NS, packets)
    path = t.write("cut.pcap", data[:-50])
    out = line.refuses(1, r"cut\.pcap: offset \d+", "-r", path, "-i", "pb0",
                       "--json", "--top", sent=499)
    equal(json.loads(out)["sent"], 499, "sent")
    equal(line.arrived(), frames(packets[:-1]), "frames")
    # A loop that ends before the cut hides it from nobody.
    for how in ([], ["--preload"]):
        line.refuses(1, r"cut\.pcap: offset \d+", "-r", path, "-i", "pb0",
                     "--top", "--loop", "2", *how, sent=998)


def a_link_without_carrier_is_said_or_waited_for(t):
    line = Line(t)
    packets = numbered(3000)
    path = pcap(t, "a.pcap", packets)

    def link(state):
        t.inside(line.inner, "ip", "link", "set", "pb1", state)
    link("down")
    line.refuses(1, r"pb0.*carrier", "-r", path, "-i", "pb0")
    for how, first in ((["--pps", "3000"], True), (["--top"], True),
                       (["--pps", "1000"], False)):
        if not first:
            link("up")
        before = t.sent(line.out, "pb0")
        child = t.spawn([PB, "replay", "-r", path, "-i", "pb0", "--json",
                         "--on-down", "wait", *how], line.out,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if not first:
            wait_until(lambda: t.sent(line.out, "pb0") > before, "it sends")
            link("down")
        said = b""
        while b"waiting for it" not in said:
            said = child.stderr.readline()
            check(said, "it did not wait")
        link("up")
        out, said = child.communicate(timeout=20 * SLACK)
        equal(child.returncode, 0, said)
        check(b"pb0 is up again" in said, said)
        equal(json.loads(out)["sent"], 3000, "sent")
        check(json.loads(out)["moved_ns"] > 0 or how == ["--top"], out)
        link("down")
    link("up")
    child = t.spawn([PB, "replay", "-r", path, "-i", "pb0", "--json", "--pps",
                     "100"], line.out, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE)
    before = t.sent(line.out, "pb0")
    wait_until(lambda: t.sent(line.out, "pb0") > before, "it sends")
    link("down")
    out, said = child.communicate(timeout=20 * SLACK)
    equal(child.returncode, 1, said)
    check(re.search(rb"pb: .*pb0.*(down|carrier)", said), said)
    check(0 < json.loads(out)["sent"] < 3000, out)


def what_a_link_that_goes_down_left_behind_was_not_sent(t):
    """Whichever engine has it: what the report says is what went out."""
    line = Line(t)
    path = pcap(t, "a.pcap", numbered(10000))
    for engine in ("sendmmsg", "ring", "xdp"):
        before = t.sent(line.out, "pb0")
        child = t.spawn([PB, "replay", "-r", path, "-i", "pb0", "--json",
                         "--top", "--loop", "0", "--engine", engine],
                        line.out, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE)
        wait_until(lambda: t.sent(line.out, "pb0") > before or
                   child.poll() is not None, "it sends")
        t.inside(line.out, "ip", "link", "set", "pb0", "down")
        out, said = child.communicate(timeout=20 * SLACK)
        t.inside(line.out, "ip", "link", "set", "pb0", "up")
        if child.returncode == 2:   # this kernel, or interface, has none
            continue
        equal(child.returncode, 1, said)
        equal(json.loads(out)["sent"], t.sent(line.out, "pb0") - before,
              "sent by " + engine)


def an_interface_that_vanishes_ends_it(t):
    line = Line(t)
    t.veth(line.out, "gone0", line.inner, "gone1")
    path = pcap(t, "a.pcap", numbered(3000))
    child = t.spawn([PB, "replay", "-r", path, "-i", "gone0", "--json",
                     "--pps", "100", "--on-down", "wait"], line.out,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: t.sent(line.out, "gone0") > 0, "it sends")
    t.inside(line.out, "ip", "link", "del", "gone0")
    out, said = child.communicate(timeout=20 * SLACK)
    equal(child.returncode, 1, said)
    check(b"gone0" in said, said)
    check(json.loads(out)["sent"] > 0, out)


def a_map_is_completed_on_both_sides(t):
    """Words as bash has them: `=` is one of its own."""
    script = t.write("complete.sh", b"""source cli/pb.bash
        _pb_interfaces() { echo eth0; echo lo; }
        compopt() { [[ $1$2 != -onospace ]] || space=no; }
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) space=yes
        _pb; echo "$space:${COMPREPLY[*]}" """)
    store = t.node("store")
    store.pb("import", "--node", "lon1", "--interface", "e0",
             pcap(t, "a.pcap", numbered(1)))
    for words, want in ((["--map", ""], "no:lon1/e0="),
                        (["--map", "lon1/e0", "="], "yes:eth0 lo"),
                        (["--map", "lon1/e0", "=", "e"], "yes:eth0"),
                        (["--engine", "r"], "yes:ring"),
                        (["host", "=", "e"], "yes:ether")):
        done = run(["bash", script, PB, "-c", store.conf, "replay", *words])
        equal(done.stdout.decode(), want + "\n", "completed %s" % words)


def who_may_send_may(t):
    """Root on the service user's store; a user with one capability; one
    without."""
    users.need_users(t)
    line = Line(t)
    store = users.owned_node(t, "store")
    packets = numbered(20)
    path = pcap(t, "a.pcap", packets)
    os.chmod(path, 0o644)
    store.pb("import", path)
    line.replay("--top", store=store)
    one = [*users.as_user(users.SERVICE), "--inh-caps", "+net_raw",
           "--ambient-caps", "+net_raw"]
    line.replay("--top", store=store, before=one)
    line.replay("-r", path, "--top", before=one)
    line.refuses(1, r"CAP_NET_RAW", "-r", path, "-i", "pb0",
                 before=users.as_user(users.SERVICE))
    equal(line.arrived(), frames(packets) * 3, "frames")


def what_does_not_fit_in_memory_is_not_preloaded(t):
    line = Line(t)
    packets = numbered(2000, size=9000) * 4
    path = pcap(t, "a.pcap", packets)
    limited = ["prlimit", "--as=%d" % (40 << 20)]
    done = line.run("-r", path, "-i", "pb0", "--preload", "--top",
                    before=limited)
    if b"sanit" in done.stderr.lower():
        skip("a sanitizer wants more memory than that")
    check(done.returncode == 1 and b"memory" in done.stderr, done.stderr)
    equal(t.sent(line.out, "pb0"), 0, "sent")


def make_cgroup(bytes_max):
    """The directory of a memory cgroup, of whichever version there is, below
    the one we are in or all of them."""
    with open("/proc/self/cgroup") as f:
        mine = [line.rstrip("\n").split(":", 2)[1:] for line in f]
    for top, name, limit in (
            ("/sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "", "memory.max")):
        for path in [p for names, p in mine if name in names.split(",")] + [
                "/"]:
            group = os.path.join(top + path, "pbsys-%d" % os.getpid())
            try:
                os.mkdir(group)
            except OSError:
                continue
            try:
                with open(os.path.join(group, limit), "r+") as f:
                    f.write(str(bytes_max))
                return group
            except OSError:
                os.rmdir(group)
    skip("no memory cgroup can be made here")


def what_does_not_fit_into_a_container_is_not_preloaded(t):
    if SLOW > 1:
        skip("sanitizers want more memory than that")
    line = Line(t)
    small = pcap(t, "small.pcap", numbered(500, size=9000))
    large = pcap(t, "large.pcap", numbered(2000, size=9000) * 5)
    group = make_cgroup(64 << 20)
    bounded = ["sh", "-c", 'echo $$ > "$0" && exec "$@"',
               os.path.join(group, "cgroup.procs")]
    try:
        report = line.replay("-r", small, "--preload", "--top",
                             before=bounded)
        equal(report["sent"], 500, "sent")
        line.refuses(1, r"the packets do not fit into the \S+ \S+ of memory",
                     "-r", large, "-i", "pb0", "--preload", "--top",
                     before=bounded)
    finally:
        os.rmdir(group)


main("410", what_goes_out_is_what_is_in_the_store,
     a_file_goes_out_as_it_is_or_not_at_all,
     filters_and_selections_say_what_goes,
     streams_go_out_merged_or_each_its_own_way,
     jumbo_frames_with_a_trailer_go_through, each_engine_sends_the_same,
     loops_and_limits_count_packets, rates_are_what_is_asked,
     stolen_time_that_runs_back_is_none, long_silences_are_cut,
     what_is_far_away_is_told_once,
     what_is_too_long_is_refused_cut_or_left_out,
     addresses_and_tags_are_rewritten, what_is_captured_goes_out_live,
     an_interruption_reports_what_was_done, bad_input_is_a_line_and_a_status,
     a_file_that_is_cut_goes_out_up_to_there,
     a_link_without_carrier_is_said_or_waited_for,
     what_a_link_that_goes_down_left_behind_was_not_sent,
     an_interface_that_vanishes_ends_it, a_map_is_completed_on_both_sides,
     who_may_send_may, what_does_not_fit_in_memory_is_not_preloaded,
     what_does_not_fit_into_a_container_is_not_preloaded,
     seconds=120)
