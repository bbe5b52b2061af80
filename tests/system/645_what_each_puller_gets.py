"""One edge, pullers with different needs: each gets what its section says.

As 600 for upstreams that are sent to.
"""

import json
import threading

from lessened import *
from puller import Puller, declare, give

FILTER = "udp or arp"
QUICK = ["flush_interval = 10ms"]


class Scene(Taking):
    """An edge that `two` pulls from, and `relay`, which `core` pulls from.
    What they get is in sections of the edge."""

    read_by = ("recorder", "shipper")

    def __init__(self, t, relay=(), two=(), extra=(), **kw):
        sections = "".join("[upstream %s]\nurl = pull:\n%s\n" % (
            name, "\n".join(lines)) for name, lines in (
                ("relay", relay), ("two", two)))
        super().__init__(t, t.node(
            "edge", listen=True, store=QUICK, extra="allow = *, relay:*, "
            "pull:relay, pull:two, pull:core1\n" + "\n".join(extra) + "\n" +
            sections), **kw)
        self.relay = t.node("relay", listen=True, store=QUICK,
                            extra="allow = pull:core\n[edge edge]\nurl = %s\n"
                            "tls = off\n" % self.edge.url)
        self.core = t.node("core", store=QUICK,
                           edges={"relay": self.relay.url})
        self.two = t.node("two", listen=True, store=QUICK,
                          edges={"edge": self.edge.url})

    def start(self):
        if self.edge.recorder is None:
            self.edge.start_recorder()
        self.edge.start_shipper()
        for node in (self.relay, self.core, self.two):
            node.start()
        return self

    def drained(self):
        drained(self.edge, self.relay, self.core, self.two)


def audited(node, name, filtered, cut=0):
    """It says that all is the same, but for what was left out."""
    done = node.pb_run("audit", name, "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    why = [r for r in rows if r["row"] == "reason"]
    equal(done.returncode, 0, "the audit's status (%s)" % rows)
    equal(sum(r["packets"] for r in why if r["why"] == "filtered"), filtered,
          "packets that were filtered")
    equal(rows[-1].get("cut", 0), cut, "packets that were cut")


def two_pullers_have_what_tcpdumps_filters_say_over_two_hops(t):
    need("tcpdump")
    s = Scene(t, relay=["filter = " + FILTER],
              two=["filter = not udp", "snaplen = 64"])
    s.edge.start_recorder()
    paths = [s.take(1500)]
    s.start()
    paths += [s.take(500) for _ in range(3)]
    s.drained()
    want = [p for path in paths for p in tcpdump(path, FILTER)]
    other = [p for path in paths for p in tcpdump(path, "not udp")]
    check(100 < len(want) < s.count - 100, len(want), "of", s.count)
    for node in (s.relay, s.core):
        check(packets_of(node.query()) == want, node.name, "has others")
    equal(packets_of(s.two.query()), cut(other, 64), "packets of two")
    nothing_is_lost(s.edge, s.relay, s.core, s.two)
    for node in (s.relay, s.core, s.two):
        every_number_is_here_or_filtered(node)
        node.pb("verify")
    for name, left in (("relay", want), ("two", other)):
        filtered = s.count - len(left)
        wait_until(lambda: s.upstream(name)["backlog"] == 0, "nothing waits")
        wait_until(lambda: s.upstream(name)["filtered"] == filtered,
                   "what was filtered for %s is counted" % name)
        wait_until(lambda: metric(s.edge, "pb_upstream_filtered_packets_total",
                                  '"%s"' % name) == filtered, "and told")
    equal(s.edge.rows("dlq", "list"), [], "dead letters")
    audited(s.relay, "edge", s.count - len(want))
    audited(s.core, "relay", 0)
    audited(s.two, "edge", s.count - len(other),
            sum(len(data) > 64 for _, _, data in other))


def filter_and_snaplen_change_while_packets_flow(t):
    need("tcpdump")
    s = Scene(t, relay=["filter = udp", "snaplen = 100"]).start()
    want, pids = [], (s.edge.recorder.pid, s.edge.shipper.pid)
    was = ("udp", 100)
    for now in (("tcp", 100), ("less 1", 100), ("", 30), ("not udp", 262144),
                ("arp", 54)):
        path = s.take(400)
        s.drained()
        want += cut(tcpdump(path, was[0]), was[1])
        s.rewrite("filter = %s\nsnaplen = %d" % was,
                  "filter = %s\nsnaplen = %d" % now)
        # Asked anew whose the last packet is, which was cut, or left out.
        if was[1] != now[1]:
            s.relay.shipper.kill()
            s.relay.start_shipper()
        was = now
    want += cut(tcpdump(s.take(400), was[0]), was[1])
    s.drained()
    for node in (s.relay, s.core):
        equal(packets_of(node.query()), want, "packets of " + node.name)
        equal(len(node.streams()), 1, "streams of " + node.name)
    nothing_is_lost(s.relay, s.core)
    every_number_is_here_or_filtered(s.core)
    no_repeats(s.relay)
    equal((s.edge.recorder.pid, s.edge.shipper.pid), pids, "pids")
    before = len(s.core.query().packets)
    wrong = {"recorder": "not reloaded: .*filter 'arp prot 5'",
             "shipper": "stays as it was.*filter 'arp prot 5'"}
    s.rewrite("filter = arp", "filter = arp prot 5", wrong)
    path = s.take(200)
    s.drained()
    equal(len(s.core.query().packets) - before, len(tcpdump(path, "arp")),
          "packets by the filter as it was")


def where_nothing_passes_a_puller_goes_on_and_nothing_grows(t):
    s = Scene(t, relay=["filter = less 1"]).start()
    for _ in range(3):
        s.take(1000)
        s.drained()
    equal(len(s.core.query().packets), 0, "packets")
    every_number_is_here_or_filtered(s.core)
    equal(len(s.core.rows("segments")), 1, "segments")
    wait_until(lambda: s.upstream("relay")["filtered"] == 3000 and
               s.upstream("relay")["backlog"] == 0, "all is counted")
    # What is left out is news, and does not take an answer for each little.
    puller = Puller(s.edge, "relay")
    stream = list(puller.streams())[0]
    timer = threading.Timer(0.5, s.take, (1000,))
    timer.start()
    puller.have[stream] = 3000
    status, head, body = puller.packets(stream, 3000, wait=60)
    timer.join()
    equal((status, int(head["PB-First"])), (200, 3001), "an answer")
    status, head, body = puller.packets(stream, 0, max_bytes=65536)
    check(int(head["PB-Last"]) > 900 and len(body) < 1000, "packets 1 to",
          head["PB-Last"], "in", len(body), "bytes")


def kills_make_no_fork_and_lose_nothing(t):
    need("tcpdump")
    s = Scene(t, relay=["filter = " + FILTER, "snaplen = 70"]).start()
    paths = []
    for turn in range(6):
        paths.append(s.take(300))
        if turn % 2:
            drained(s.edge, s.relay)
        who = (s.edge.shipper, s.relay.shipper, s.edge.recorder,
               s.relay.recorder)[turn % 4]
        who.kill()
        node = (s.edge, s.relay)[turn % 2]
        (node.start_shipper if turn % 4 < 2 else node.start_recorder)()
    s.drained()
    want = cut([p for path in paths for p in tcpdump(path, FILTER)], 70)
    equal(packets_of(s.core.query()), want, "packets")
    equal(len({e[2] for e in s.core.streams()}), 1, "epochs at the core")
    nothing_is_lost(s.relay, s.core)


# --- when and how fast -------------------------------------------------------

class Dialled(Scene):
    """The edge, and `two` alone, which dials it."""

    def start(self):
        self.edge.start_recorder()
        self.edge.start_shipper()
        self.two.start()
        return self

    def drained(self):
        drained(self.edge, self.two)


def rates_change_while_packets_flow(t):
    s = Dialled(t, two=["rate_limit = 2Mbit", "rate_burst = 0"]).start()
    pids = s.edge.recorder.pid, s.edge.shipper.pid
    paths = [s.take(1200), *s.rewrite_each(
        ("rate_limit = 2Mbit", "rate_limit = 8Mbit"),
        ("rate_burst = 0", "rate_burst = 64KiB"),
        ("rate_limit = 8Mbit", "rate_limit = 4Mbit"),
        ("rate_limit = 4Mbit", "rate_limit = 0"))]
    s.drained()
    equal(packets_of(s.two.query()),
          [p for path in paths for p in tcpdump(path, "")], "packets")
    equal((s.edge.recorder.pid, s.edge.shipper.pid), pids, "pids")
    no_repeats(s.two)
    nothing_is_lost(s.two)


def out_of_its_hours_a_puller_gets_nothing_and_waits(t):
    closed = "schedule = %s-%s" % (clock(120), clock(240))
    open_ = "schedule = %s-%s" % (clock(-60), clock(60))
    s = Dialled(t, relay=["streams = */*"],
                two=[closed, "retry_for = 1s", "answer_timeout = 1s"]).start()
    path = s.take(300)
    s.waits_until("two", closed)
    puller, other = Puller(s.edge, "two"), Puller(s.edge, "relay")
    stream = list(other.streams())[0]
    equal(puller.streams(wait=1), {stream: 300}, "what is there")
    give(s.edge, 1, 10, "x/eth0")
    late = list(puller.streams())[0]
    declare(s.edge, late, 11, 30)
    give(s.edge, 15, 20, "x/eth0")
    equal(puller.streams(), {late: 30}, "what is there")
    equal(puller.late, [], "what came late is told when it may be had")
    equal(puller.packets(stream, 0, wait=1)[0], 204, "its packets")
    equal(other.packets(stream, 0)[0], 200, "those of another")
    s.two.stop()
    time.sleep(2 * SLOW)            # twice its patience
    equal(s.two.ends(), {}, "what it has")
    equal(s.edge.rows("dlq", "list"), [], "dead letters")
    equal(s.upstream("two")["backlog"], 330, "what waits")
    s.two.start()
    wait_until(lambda: s.two.rows("status")[0]["edges"][0]["backlog"] == 330,
               "it knows what it has not")
    s.rewrite(closed, open_)
    s.drained()
    puller.streams()
    equal(puller.late, [(late, 15, 20)], "what came late is told")
    wait_until(lambda: len(s.two.query("--stream", "x/eth0").packets) == 16,
               "it comes for it", HEALED)
    s.is_open("two")
    s.rewrite(open_, closed)
    s.waits_until("two", closed)
    more = s.take(100)
    s.rewrite(closed, "")
    s.drained()
    equal(packets_of(s.two.query("--stream", "lon1/*")),
          tcpdump(path, "") + tcpdump(more, ""), "packets")
    # What was late is in its turn here, and told besides.
    check(metric(s.two, "pb_ingest_repeats_total") <= 6, "repeats")


def streams_with_priority_are_answered_first(t):
    s = Dialled(t, two=["rate_limit = 400kbit", "priority = lon1/eth9, *"])
    s.start()
    s.take(4000)                    # of minutes
    s.take_apart(20)
    wait_until(lambda: ends_of(s.two, APART) == 20, "it arrives", HEALED)
    # Three others wait for what has begun: it goes before them.
    pullers = [Puller(s.edge, "two") for _ in range(5)]
    streams = pullers[0].streams()
    bulk = [name for name in streams if name.split("/")[1] == IFACE][0]
    quick = [name for name in streams if name.split("/")[1] == APART][0]
    ends = []

    def ask(puller, stream):
        equal(puller.packets(stream, 0, max_bytes=65536)[0], 200, "status")
        ends.append(stream)

    threads = []
    for puller, stream in zip(pullers, [bulk] * 4 + [quick]):
        threads.append(threading.Thread(target=ask, args=(puller, stream)))
        threads[-1].start()
        time.sleep(0.2)
    s.rewrite("rate_limit = 400kbit", "rate_limit = 1Mbit")
    for thread in threads:
        thread.join()
    check(quick in ends[:3], "its answer is among", ends)
    check(ends_of(s.two, IFACE) < 4000, "and the rest still waits")
    s.rewrite("rate_limit = 1Mbit", "rate_limit = 0")
    s.rewrite("priority = lon1/eth9, *", "priority = *")
    s.drained()
    no_repeats(s.two)


main(645,
     two_pullers_have_what_tcpdumps_filters_say_over_two_hops,
     filter_and_snaplen_change_while_packets_flow,
     where_nothing_passes_a_puller_goes_on_and_nothing_grows,
     kills_make_no_fork_and_lose_nothing,
     rates_change_while_packets_flow,
     out_of_its_hours_a_puller_gets_nothing_and_waits,
     streams_with_priority_are_answered_first)
