"""Packets that were captured elsewhere come out of a local interface.

The shipper runs in a namespace with pb0; a node of its own captures pb1, the
other end, in another one, and what it has is compared.
"""

import struct

from harness import *
import pngread
import samples
import traffic
from names import Names

CAP_NET_RAW = 1 << 13
MTU = 9100
UNITS = 256 << 10       # bytes of those of a stream with a pace
RAW = 101
SERVICE = 65534
SHORT = ["segment_age = 1s"]


class Outlet:
    """A core whose upstream `out` is pb0, and who is at the other end."""

    def __init__(self, t, *more, mtu=MTU, **kw):
        self.t = t
        self.ns, self.inner = t.netns("tx"), t.netns("rx")
        self.link(mtu)
        self.far = t.node("far", netns=self.inner, captures=["pb1"])
        self.far.start_recorder()
        t.sender = self.ns
        self.core = t.node("core", upstreams={
            "out": ["interface:pb0", *more]}, **kw)

    def link(self, mtu=MTU):
        self.t.veth(self.ns, "pb0", self.inner, "pb1", mtu)

    def ip(self, *args):
        self.t.inside(self.ns, "ip", *args)

    def take(self, interface, packets, node="lon1", **kw):
        """`packets` (time ns, data[, length on the wire]) were captured at
        `node`."""
        rows = [(p[0] // 10**9, p[0] % 10**9, p[1],
                 p[2] if len(p) > 2 else len(p[1])) for p in packets]
        path = self.t.write("%s-%s.pcap" % (node, interface),
                            samples.pcap("<", samples.MAGIC_NS, rows, **kw))
        self.core.pb("import", "--node", node, "--interface", interface,
                     path)

    def start(self, **kw):
        self.core.start_shipper(netns=self.ns, **kw)

    def rewrite(self, old, new):
        """In its configuration."""
        with open(self.core.conf) as f:
            text = f.read()
        with open(self.core.conf, "w") as f:
            f.write(text.replace(old, new))

    def status(self):
        return self.core.rows("status")[0]["upstreams"][0]

    def letters(self):
        return self.core.rows("dlq", "list")

    def came(self):
        """Frames that are stored at the other end, in their order."""
        return [traffic.number_of(p.data) for p in self.frames()]

    def frames(self):
        return sorted(self.far.query().packets, key=lambda p: p.seq)

    def count(self):
        return sum(self.far.ends().values())

    def idle(self, seconds=30.0):
        """It has nothing to send any more, and all is stored there."""
        wait_until(lambda: self.status()["state"] == "idle" and
                   self.status()["backlog"] == 0, "idle", seconds)
        sent = self.t.sent(self.ns, "pb0")
        wait_until(lambda: self.count() == sent, "%d frames there" % sent)

    def waits(self, words):
        """The status says why it does not go on."""
        wait_until(lambda: re.search(words, self.status()["last_error"]),
                   "'%s' in the status" % words)


def numbered(first, count, start_ns=samples.T0 * 10**9, gap_ns=1000,
             size=200, step=1):
    return [(start_ns + n * gap_ns, traffic.frame(first + n * step, size))
            for n in range(count)]


def twice(numbers):
    numbers = sorted(numbers)
    return [a for a, b in zip(numbers, numbers[1:]) if a == b]


def in_order(came, streams, count, first=0):
    """All of them once, those of each stream in their order."""
    for stream in range(streams):
        have = [n for n in came if n % streams == stream]
        want = [n for n in range(first, first + count)
                if n % streams == stream]
        wrong = [pair for pair in zip(have, want) if pair[0] != pair[1]]
        check(have == want, "of stream", stream, len(have), "frames came and",
              len(want), "are wanted; first wrong:", wrong[:1], "twice:",
              twice(have)[:3], "missing:", sorted(set(want) - set(have))[:3])


# --- what goes out ---------------------------------------------------------

def what_an_edge_captured_comes_out_of_a_relays_port(t):
    out = Outlet(t, listen=True)
    sender, edge_ns = t.netns("from"), t.netns("edge")
    t.veth(sender, "pb2", edge_ns, "pb3")
    edge = t.node("edge", netns=edge_ns, captures=["pb3"],
                  upstreams={"core": out.core})
    out.core.start_recorder()
    out.start()
    edge.start()
    t.traffic(sender, "pb2", 2000, 2000, size=700).wait()
    wait_until(lambda: out.count() == 2000, "all at the far end", 30)
    in_order(out.came(), 1, 2000, 1)
    have = [p.data for p in out.frames()]
    equal(have, [traffic.frame(n, 700) for n in range(1, 2001)], "frames")
    equal([p.data for p in sorted(edge.query().packets,
                                  key=lambda p: p.seq)], have, "as captured")


def streams_mingle_by_the_times_of_their_packets(t):
    out = Outlet(t)
    each = 4000
    for i in range(3):
        out.take("eth%d" % i, numbered(i, each, step=3, gap_ns=3000,
                                       start_ns=samples.T0 * 10**9 + i * 1000))
    out.start()
    out.idle()
    came = out.came()
    in_order(came, 3, 3 * each)
    # Units are waited for a moment, which may be too short for slow ones.
    if SLOW == 1:
        equal(came, list(range(3 * each)), "frames")


def clocks_that_are_apart_go_side_by_side_and_are_told(t):
    out = Outlet(t, "pace = original")
    out.take("eth0", numbered(1, 100))
    out.start()
    out.idle()
    out.take("eth1", numbered(101, 100, start_ns=5))    # of 1970
    out.idle()
    equal(out.came(), list(range(1, 201)), "frames")
    equal(out.status()["clocks_apart"], 1, "clocks apart")
    check(out.status()["last_apart_ns"] > 1.6e18, out.status())
    check("clocks apart: a stream was given one of its own, 1 times; the last "
          "is 1700000000." in out.core.pb("status").decode(),
          "status for people")
    out.core.shipper.says("by a clock of their own; the last: lon1/eth1")


def jumbo_frames_and_what_is_behind_them_go_as_they_are(t):
    out = Outlet(t)
    # 9,018 bytes, and a trailer of sixteen with the FCS in it.
    packets = numbered(1, 50, size=9034) + numbered(51, 1, size=14 + 9)
    packets += numbered(52, 1, size=9114)
    out.take("eth0", packets)
    out.start()
    out.idle()
    equal([p.data for p in out.frames()], [data for _, data in packets],
          "frames")


def what_it_cannot_carry_is_told_and_never_cut(t):
    out = Outlet(t, mtu=1500)
    packets = []
    for n in range(1, 301):
        packets.append(numbered(n, 1)[0])
    at = samples.T0 * 10**9
    packets[9] = (at, traffic.frame(10, 1515))
    packets[19] = (at, traffic.frame(20, 1514))
    packets[29] = (at, traffic.frame(30, 96), 200)
    packets[39] = (at, traffic.frame(40)[:13])
    out.take("eth0", packets)
    out.start()
    out.idle()
    want = [n for n in range(1, 301) if n not in (10, 30, 40)]
    equal(out.came(), want, "frames")
    equal(out.status()["unfit"], 3, "unfit")
    check("packet 40: " in out.status()["last_unfit"],
          out.status()["last_unfit"])
    out.core.shipper.says("packets were not sent, as the interface cannot")
    check("cannot carry them as they were: 3 packets" in
          out.core.pb("status").decode(), "status for people")
    equal(out.letters(), [], "letters")
    out.core.shipper.kill()
    out.take("eth0", [(at + 10**9, traffic.frame(301, 1515))])
    out.start()
    out.idle()
    wait_until(lambda: out.status()["unfit"] == 4, "all that was unfit")
    check("lon1/eth0 packet 1: interface" in out.status()["last_unfit"],
          out.status()["last_unfit"])
    # What follows within a minute is told at the end.
    out.take("eth0", [(at + 2 * 10**9, traffic.frame(302, 1516))])
    wait_until(lambda: out.status()["unfit"] == 5, "one more")
    out.core.shipper.stop()
    out.core.shipper.says("1 packets were not sent.*frame of 1516 bytes")


def a_stream_of_another_link_type_is_refused_alone(t):
    out = Outlet(t, "retry_for = 1s")
    out.take("ppp0", [(samples.T0 * 10**9, b"\x45" * 40)], link=RAW)
    out.take("eth0", numbered(1, 100))
    out.start()
    wait_until(lambda: out.letters(), "a dead letter")
    equal(out.came(), list(range(1, 101)), "frames")
    letter = out.letters()[0]
    equal((letter["interface"], letter["reason"]), ("ppp0", "stale"),
          "letter")
    check("link type 101" in letter["error"], letter)


def only_what_the_filter_wants_goes_out(t):
    out = Outlet(t, "filter = len = 300")
    packets = [(samples.T0 * 10**9 + n, traffic.frame(
        n, 300 if n % 3 == 0 else 200)) for n in range(1, 1001)]
    out.take("eth0", packets)
    out.start()
    out.idle()
    equal(out.came(), [n for n in range(1, 1001) if n % 3 == 0], "frames")
    equal(out.status()["filtered"], 667, "filtered")
    check("left out by its filter: 667 packets" in
          out.core.pb("status").decode(), "status for people")


# --- what stands in its way ------------------------------------------------

def while_it_is_down_packets_wait_and_go_once(t):
    out = Outlet(t)
    out.take("eth0", numbered(1, 3000))
    out.start()
    out.idle()
    out.ip("link", "set", "pb0", "down")
    out.take("eth0", numbered(3001, 3000, start_ns=samples.T0 * 10**9 + 10**9))
    out.waits("interface pb0 is down")
    equal(out.status()["state"], "backoff", "state")
    out.ip("link", "set", "pb0", "up")
    wait_until(lambda: out.count() >= 6000, "all of them", 40)
    equal(out.came(), list(range(1, 6001)), "frames")


def an_interface_that_is_made_again_is_opened_anew(t):
    out = Outlet(t)
    out.take("eth0", numbered(1, 100))
    out.start()
    out.idle()
    before = out.far.sockets()
    out.ip("link", "del", "pb0")
    out.take("eth0", numbered(101, 100, start_ns=samples.T0 * 10**9 + 10**9))
    out.waits("interface pb0|'pb0'")
    # Down from its first moment: else it is sent out of before anybody is
    # there to see it.
    out.ip("link", "add", "pb0", "mtu", str(MTU), "type", "veth", "peer",
           "name", "pb1", "mtu", str(MTU), "netns", out.inner)
    t.inside(out.inner, "ip", "link", "set", "pb1", "up")
    out.far.captures_anew(before)
    out.ip("link", "set", "pb0", "up")
    wait_until(lambda: out.count() == 200, "those after it", 40)
    equal(out.came(), list(range(1, 201)), "frames")


def what_waited_too_long_goes_out_when_it_is_requeued(t):
    out = Outlet(t, "retry_for = 2s", "requeue = manual")
    out.take("eth0", numbered(1, 500))
    out.ip("link", "set", "pb0", "down")
    out.start()
    wait_until(lambda: out.letters(), "dead letters", 20)
    check("pb0 is down" in out.letters()[0]["error"], out.letters())
    # What is fresh is to wait for the next try, however late that is.
    out.rewrite("retry_for = 2s", "retry_for = 5m")
    out.core.shipper.proc.send_signal(signal.SIGHUP)
    out.core.shipper.says("configuration read again")
    out.ip("link", "set", "pb0", "up")
    out.take("eth0", numbered(501, 500, start_ns=samples.T0 * 10**9 + 10**9))
    out.idle(60)
    equal(out.came(), list(range(501, 1001)), "what is fresh")
    out.core.pb("dlq", "requeue", "--all")
    wait_until(lambda: out.count() == 1000, "the dead letters", 30)
    equal(out.came(), list(range(501, 1001)) + list(range(1, 501)), "frames")
    wait_until(lambda: not out.letters(), "no letters")


def what_waited_too_long_goes_out_when_the_link_is_up_though_nothing_comes(t):
    out = Outlet(t, "retry_for = 2s")
    out.take("eth0", numbered(1, 500))
    out.ip("link", "set", "pb0", "down")
    out.start()
    wait_until(lambda: out.letters(), "dead letters", 20)
    out.ip("link", "set", "pb0", "up")
    wait_until(lambda: out.count() == 500, "the dead letters", HEALED)
    wait_until(lambda: not out.letters(), "no letters")
    equal(out.came(), list(range(1, 501)), "frames")
    out.core.shipper.says("answers again after ")
    equal(out.core.shipper.text().count("answers again"), 1, "answers")


def it_says_what_is_missing(t):
    out = Outlet(t)
    out.take("eth0", numbered(1, 10))
    with open(out.core.conf) as f:
        text = f.read()
    for wrong, words in (("pb9", "no such interface: pb9|pb9: no such|pb9"),
                         ("tun9", "carries no Ethernet")):
        if wrong == "tun9" and run([*enter(out.ns), "ip", "tuntap", "add",
                                    "tun9", "mode", "tun"]).returncode:
            continue
        with open(out.core.conf, "w") as f:
            f.write(text.replace("interface:pb0", "interface:" + wrong))
        out.start()
        out.waits(words)
        out.core.shipper.stop()
    with open(out.core.conf, "w") as f:
        f.write(text)
    out.start(before=("setpriv", "--bounding-set=-net_raw"))
    out.waits("CAP_NET_RAW")
    equal(out.count(), 0, "frames")
    out.core.shipper.stop()
    out.start()
    out.idle()
    equal(out.came(), list(range(1, 11)), "frames")


def it_keeps_one_capability(t):
    out = Outlet(t)
    out.start()
    with open("/proc/%d/status" % out.core.shipper.pid) as f:
        sets = dict(line.split(":", 1) for line in f)
    for name in ("CapPrm", "CapEff", "CapBnd"):
        equal(int(sets[name], 16), CAP_NET_RAW, name)
    for name in ("CapInh", "CapAmb"):
        equal(int(sets[name], 16), 0, name)


def capabilities(thread):
    with open(thread + "/status") as f:
        sets = dict(line.split(":", 1) for line in f)
    return int(sets["CapPrm"], 16), sets["Name"].strip()


def whose_store_it_is_is_asked_with_all_rights(t):
    out = Outlet(t)
    out.take("eth0", numbered(1, 10))
    must(["chown", "-R", "%d:%d" % (SERVICE, SERVICE), out.core.store])
    os.chmod(out.core.store, 0o700)
    done = run([os.path.join(BUILD, "pb-shipper"), "-c", out.core.conf])
    equal(done.returncode, 2, done.stderr)
    check(b"not root's" in done.stderr and b"--ambient-caps +net_raw" in
          done.stderr, done.stderr)


def no_thread_keeps_more(t):
    names = Names(t, "silent")
    node = t.node("core", upstreams={
        "out": ["interface:lo", "filter = host slow.example"]})
    shipper = names.start(node, "shipper")
    tasks = "/proc/%d/task/" % shipper.pid
    threads = [capabilities(tasks + n) for n in os.listdir(tasks)]
    check("aside" in [name for _, name in threads], threads)
    equal([c for c, _ in threads], [CAP_NET_RAW] * len(threads), threads)


def a_filter_that_is_none_is_refused_at_the_start(t):
    out = Outlet(t, "filter = no such thing")
    for more in (["-t"], []):
        done = run([os.path.join(BUILD, "pb-shipper"), "-c", out.core.conf,
                    *more])
        equal(done.returncode, 2, done.stderr)
        check(b"[upstream out]: filter 'no such thing': " in done.stderr,
              done.stderr)


def a_filter_that_is_none_is_refused_by_a_reload(t):
    out = Outlet(t)
    out.take("eth0", numbered(1, 100))
    out.start()
    out.idle()
    with open(out.core.conf) as f:
        text = f.read()
    for filter, words in (("no such thing", "stays as it was"),
                          ("len = 300", "configuration read again")):
        with open(out.core.conf, "w") as f:
            f.write(text.replace("interface:pb0",
                                 "interface:pb0\nfilter = " + filter))
        out.core.shipper.proc.send_signal(signal.SIGHUP)
        out.core.shipper.says(words)
    out.core.shipper.says(r"was: \S+:\d+: .upstream out.: "
                          "filter 'no such thing': ")
    equal(out.came(), list(range(1, 101)), "frames")


# --- crashes ---------------------------------------------------------------

def half_sent(t, *more):
    """Two streams, of which about half has gone out."""
    out = Outlet(t, "rate_limit = 8Mbit", *more)
    for i in range(2):
        out.take("eth%d" % i, numbered(1 + i, 4000, step=2, size=500,
                                       gap_ns=2000))
    out.start()
    wait_until(lambda: out.count() > 1500, "some of them", 30)
    return out


def at_least_once_repeats_no_more_than_was_under_way(t):
    out = half_sent(t)
    out.core.shipper.kill()
    out.rewrite("rate_limit = 8Mbit", "rate_limit = 80Mbit")
    out.start()
    out.idle(60)
    came = out.came()
    equal(sorted(set(came)), list(range(1, 8001)), "all of them")
    for stream in range(2):
        again = [n for n in twice(came) if n % 2 == stream]
        check(len(again) * 500 <= UNITS, len(again), "of a stream went twice")
    for n in set(came):
        check(came.count(n) <= 2, n, "went", came.count(n), "times")


def at_most_once_sends_nothing_twice_and_says_what_it_did_not(t):
    out = half_sent(t, "delivery = at-most-once")
    check("at most once: " in out.core.pb("status").decode(), "status")
    out.core.shipper.kill()
    out.rewrite("rate_limit = 8Mbit", "rate_limit = 80Mbit")
    out.start()
    out.idle(60)
    came = out.came()
    equal(twice(came), [], "sent twice")
    letters = out.letters()
    check(letters, "no letters")
    unsure = []
    for letter in letters:
        equal(letter["reason"], "unsure", "reason")
        odd = letter["interface"] == "eth0"
        unsure += [2 * n - (1 if odd else 0) for n in
                   range(letter["first"], letter["last"] + 1)]
    missing = set(range(1, 8001)) - set(came)
    check(missing <= set(unsure), "missing, and nobody says so:",
          sorted(missing - set(unsure))[:5])
    # They do not go by themselves: as much was promised.
    equal([r["state"] for r in letters], ["dead"] * len(letters), "states")
    out.core.pb("dlq", "requeue", "--all")
    wait_until(lambda: not out.letters(), "all letters sent", 60)
    out.idle(60)
    equal(sorted(set(out.came())), list(range(1, 8001)), "all of them")


def who_is_told_to_end_knows_how_far_it_came(t):
    out = half_sent(t, "delivery = at-most-once")
    out.core.shipper.stop()
    out.start()
    wait_until(lambda: out.count() > 3000, "some more", 30)
    with open(out.core.conf, "a") as f:
        f.write("pace = none\nrate_limit = 100Mbit\n".replace(
            "rate_limit", "window = 8MiB\n;"))
    out.core.shipper.proc.send_signal(signal.SIGHUP)
    out.core.shipper.says("configuration read again")
    out.idle(60)
    in_order(out.came(), 2, 8000, 1)
    equal(out.letters(), [], "letters")


if __name__ == "__main__":
    main("430", what_an_edge_captured_comes_out_of_a_relays_port,
         streams_mingle_by_the_times_of_their_packets,
         clocks_that_are_apart_go_side_by_side_and_are_told,
         jumbo_frames_and_what_is_behind_them_go_as_they_are,
         what_it_cannot_carry_is_told_and_never_cut,
         a_stream_of_another_link_type_is_refused_alone,
         only_what_the_filter_wants_goes_out,
         while_it_is_down_packets_wait_and_go_once,
         an_interface_that_is_made_again_is_opened_anew,
         what_waited_too_long_goes_out_when_it_is_requeued,
         what_waited_too_long_goes_out_when_the_link_is_up_though_nothing_comes,
         it_says_what_is_missing,
         it_keeps_one_capability,
         whose_store_it_is_is_asked_with_all_rights,
         no_thread_keeps_more,
         a_filter_that_is_none_is_refused_at_the_start,
         a_filter_that_is_none_is_refused_by_a_reload,
         at_least_once_repeats_no_more_than_was_under_way,
         at_most_once_sends_nothing_twice_and_says_what_it_did_not,
         who_is_told_to_end_knows_how_far_it_came, seconds=240)
