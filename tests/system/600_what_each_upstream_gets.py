"""One edge, upstreams with different needs: each gets what its section says.

What of packets a filter leaves is compared with what tcpdump leaves of the
same file.
"""

import http.server
import json
import threading

from lessened import *

FILTER = "udp or arp"


class Scene(Taking):
    """An edge with the upstreams `all`, to a core of its own, and `some`,
    over a relay."""

    def __init__(self, t, *some, **kw):
        self.all = t.node("all", listen=True)
        self.core = t.node("core", listen=True)
        self.relay = t.node("relay", listen=True,
                            upstreams={"core": self.core})
        super().__init__(t, t.node("edge", listen=True, upstreams={
            "all": self.all, "some": [self.relay, *some]}), **kw)
        for node in (self.all, self.core, self.relay, self.edge):
            node.start_recorder()

    def start(self):
        self.relay.start_shipper()
        self.edge.start_shipper()

    def drained(self, *nodes):
        drained(self.edge, *(nodes or (self.all, self.relay, self.core)))


# --- filter ----------------------------------------------------------------

def filtered_alike(t, linktype, text):
    need("tcpdump")
    s = Scene(t, "filter = " + text, linktype=linktype)
    paths = [s.take(1500)]
    s.start()
    paths += [s.take(700) for _ in range(3)]
    s.drained()
    want = [p for path in paths for p in tcpdump(path, text)]
    check(100 < len(want) < s.count - 100, len(want), "of", s.count)
    for node in (s.relay, s.core):
        have = packets_of(node.query())
        check(have == want, node.name, "has", len(have), "packets and",
              len(want), "are wanted")
    equal(packets_of(s.all.query()),
          [p for path in paths for p in tcpdump(path, "")], "all of them")
    # With the index and without, whatever lies between its packets.
    for inner in ("udp", "less 100", "greater 100", "udp port 53"):
        found = [len(tcpdump(path, "(%s) and (%s)" % (text, inner)))
                 for path in paths]
        for how in ([], ["--no-index"]):
            equal(int(s.core.pb("query", "--count", *how, inner)),
                  sum(found), "'%s' at the core %s" % (inner, how))
    nothing_is_lost(s.edge, s.all, s.relay, s.core)
    equal(gaps(s.all), [], "gaps of who gets all")
    for node in (s.relay, s.core):
        every_number_is_here_or_filtered(node)
    wait_until(lambda: s.upstream("some")["filtered"] ==
               s.count - len(want), "what was filtered is counted")
    equal(metric(s.edge, "pb_upstream_filtered_packets_total"),
          s.count - len(want), "and in the metrics")
    equal(s.edge.rows("dlq", "list"), [], "dead letters")


def each_upstream_has_what_tcpdumps_filter_says(t):
    filtered_alike(t, mixes.ETHERNET, FILTER)


def packets_of_another_link_type_are_filtered_as_such(t):
    filtered_alike(t, mixes.RAW, "udp")


def what_was_filtered_stays_so_when_the_index_is_made_again(t):
    s = Scene(t, "filter = " + FILTER)
    s.take(2000)
    s.start()
    s.drained()
    before = s.core.rows("query"), s.core.rows("streams")
    there = [(g["reason"], g["packets"]) for g in gaps(s.core)]
    s.core.stop()
    s.core.pb("verify")
    s.core.pb("reindex")
    s.core.pb("verify")
    equal([(g["reason"], g["packets"]) for g in gaps(s.core)], there, "gaps")
    equal((s.core.rows("query"), [
        {**r, "first_time": 0, "last_time": 0}
        for r in s.core.rows("streams")]), (before[0], [
            {**r, "first_time": 0, "last_time": 0} for r in before[1]]),
        "what a reindexed store says")


def a_filter_changes_while_packets_flow(t):
    need("tcpdump")
    s = Scene(t, "filter = udp", linktype=mixes.ETHERNET)
    s.start()
    want, pid = [], s.edge.shipper.pid
    was = "udp"
    for now in ("tcp", "arp or icmp", "less 1", "not udp", ""):
        path = s.take(600)
        s.drained()
        want += tcpdump(path, was)
        s.rewrite("filter = " + was, "filter = " + now)
        was = now
    want += tcpdump(s.take(600), "")
    s.drained()
    equal(packets_of(s.core.query()), want, "packets")
    nothing_is_lost(s.relay, s.core)
    every_number_is_here_or_filtered(s.core)
    equal(s.edge.shipper.pid, pid, "the shipper's pid")
    nothing_was_sent_twice(s)
    equal(len({e[2] for e in s.core.streams()}), 1, "epochs")


def a_filter_that_is_none_is_refused_by_a_reload(t):
    s = Scene(t, "filter = udp")
    s.start()
    s.take(300)
    s.drained()
    text = open(s.edge.conf).read()
    with open(s.edge.conf, "w") as f:
        f.write(text.replace("filter = udp", "filter = udp prot 5"))
    os.kill(s.edge.shipper.pid, signal.SIGHUP)
    s.edge.shipper.says(r"stays as it was.*filter 'udp prot 5'")
    before = len(s.core.query().packets)
    path = s.take(300)
    s.drained()
    equal(len(s.core.query().packets) - before, len(tcpdump(path, "udp")),
          "packets by the filter as it was")


def where_nothing_passes_numbers_go_on_and_nothing_grows(t):
    s = Scene(t, "filter = less 1")
    s.start()
    for _ in range(5):
        s.take(400)
        s.drained()
    equal(len(s.core.query().packets), 0, "packets")
    every_number_is_here_or_filtered(s.core)
    equal(len(s.core.rows("segments")), 1, "segments")
    journal = glob_one(s.core.store, "journal")
    check(os.path.getsize(journal) < 1024, "the journal has",
          os.path.getsize(journal), "bytes")


def every_second_packet_costs_no_row(t):
    # tcpdump counts from the frame's first byte: odd and even last ones.
    s = Scene(t, "filter = ether[5] & 1 = 0")
    rows = [(T0 + n // 1000, n % 1000 * 1000000,
             bytes([2, 0, 0, 0, 0, n & 1]) + samples.eth(n, 60)[6:], 60)
            for n in range(20000)]
    path = t.write("alternate.pcap", samples.pcap("<", samples.MAGIC_NS, rows))
    s.edge.pb("import", "--node", NODE, "--interface", IFACE, path)
    s.start()
    s.drained()
    equal(len(s.core.query().packets), 10000, "packets")
    check(len(gaps(s.core)) <= len(s.core.rows("segments")), "rows of gaps:",
          len(gaps(s.core)))
    check(os.path.getsize(glob_one(s.core.store, "journal")) < 1024,
          "the journal has", os.path.getsize(glob_one(s.core.store,
                                                      "journal")), "bytes")
    bytes_in = metric(s.relay, "pb_ingest_bytes_total")
    print("# 1 of 2 packets of 60 bytes: %.0f bytes of packets in, "
          "%d of segments at the core" % (bytes_in, sum(
              os.path.getsize(f) for f in s.core.files())), flush=True)


def glob_one(folder, name):
    for where, _, names in os.walk(folder):
        if name in names:
            return os.path.join(where, name)
    raise Failure("no %s below %s" % (name, folder))


def kills_make_no_fork_and_lose_nothing(t):
    need("tcpdump")
    s = Scene(t, "filter = " + FILTER)
    paths = []
    for turn in range(6):
        s.start()
        paths.append(s.take(500))
        if turn % 2:
            s.drained()
        s.edge.shipper.kill()
        s.relay.shipper.kill()
    s.start()
    s.drained()
    want = [p for path in paths for p in tcpdump(path, FILTER)]
    equal(packets_of(s.core.query()), want, "packets")
    equal(len({e[2] for e in s.core.streams()}), 1, "epochs at the core")
    nothing_is_lost(s.relay, s.core)


def an_upstream_of_before_is_sent_nothing_it_would_misread(t):
    pushed = []

    class Before(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = json.dumps({"acked": 0}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer()

        def do_POST(self):
            pushed.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Before)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    edge = t.node("edge", listen=True, upstreams={"old": [
        "http://127.0.0.1:%d" % server.server_port, "filter = less 1"]})
    edge.start_recorder()
    path = t.write("one.pcap", samples.pcap("<", samples.MAGIC_NS, [
        (T0, n, samples.eth(n, 60), 60) for n in range(50)]))
    edge.pb("import", "--node", NODE, "--interface", IFACE, path)
    edge.start_shipper()
    edge.shipper.says("takes no streams of which packets were filtered")
    wait_until(lambda: "takes no streams" in
               edge.rows("status")[0]["upstreams"][0]["last_error"],
               "the status says so")
    equal(pushed, [], "requests with packets or gaps")
    server.shutdown()


def a_sender_of_another_make_may_declare_what_it_filtered(t):
    core = t.node("core", listen=True)
    core.start_recorder()
    stream = "/v1/streams/far/eth0/0123456789abcdef"
    status, _, body = core.http("POST", stream + "/gaps", json.dumps(
        {"first": 1, "last": 70, "reason": "filtered"}))
    equal((status, json.loads(body)), (200, {"acked": 70}), "the answer")
    equal([(g["first"], g["last"], g["reason"], g["packets"])
           for g in gaps(core)], [(1, 70, "filtered", 70)], "gaps")


def an_audit_takes_what_was_filtered_for_no_difference(t):
    s = Scene(t, "filter = tcp or arp")
    s.start()
    s.take(300)
    s.drained()
    done = s.edge.pb_run("audit", "some", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    why = [r for r in rows if r["row"] == "reason"]
    equal(done.returncode, 0, "the audit's status")
    equal({r["why"] for r in why}, {"filtered"}, "reasons")
    equal(sum(r["packets"] for r in why), sum(g["packets"] for g in
          gaps(s.relay)), "packets that were filtered")


# --- snaplen ---------------------------------------------------------------

def over_a_slow_link_headers_alone_go_and_lengths_stay(t):
    s = Scene(t, "snaplen = 64", "filter = " + FILTER)
    paths = [s.take(1500)]
    s.start()
    s.drained()
    want = cut([p for path in paths for p in tcpdump(path, FILTER)], 64)
    for node in (s.relay, s.core):
        equal(packets_of(node.query()), want, "packets of " + node.name)
    rows = s.core.rows("query")
    equal([(r["caplen"], r["len"]) for r in rows],
          [(len(data), origlen) for _, origlen, data in want], "lengths")
    equal(packets_of(s.all.query()), tcpdump(paths[0], ""), "who gets all")
    s.core.pb("verify")


def a_snap_length_that_changes_makes_no_other_stream(t):
    s = Scene(t, "snaplen = 100")
    s.start()
    want, was = [], "100"
    for now in ("30", "262144", "54", "1", "2000"):
        path = s.take(300)
        s.drained()
        want += cut(tcpdump(path, ""), int(was))
        s.rewrite("snaplen = " + was, "snaplen = " + now)
        # Started anew, it asks whose the last packet is; which was cut.
        if now in ("30", "54", "2000"):
            s.edge.shipper.kill()
            s.edge.start_shipper()
        was = now
    want += cut(tcpdump(s.take(300), ""), int(was))
    s.drained()
    equal(packets_of(s.core.query()), want, "packets")
    equal(len(s.core.streams()), 1, "streams at the core")
    no_repeats(s.relay, s.core)
    nothing_is_lost(s.relay, s.core)


# --- how it is sent ----------------------------------------------------------

def nothing_was_sent_twice(s):
    no_repeats(s.all, s.relay, s.core)


def rates_and_compression_change_while_packets_flow(t):
    s = Scene(t, "rate_limit = 2Mbit", "compress = none", "rate_burst = 0")
    s.start()
    pid = s.edge.shipper.pid
    paths = [s.take(1200), *s.rewrite_each(
        ("rate_limit = 2Mbit", "rate_limit = 8Mbit"),
        ("compress = none", "compress = zstd:3"),
        ("rate_burst = 0", "rate_burst = 64KiB"),
        ("rate_limit = 8Mbit", "rate_limit = 0"),
        ("compress = zstd:3", "compress = zstd"))]
    s.drained()
    equal(packets_of(s.core.query()),
          [p for path in paths for p in tcpdump(path, "")], "packets")
    equal(s.edge.shipper.pid, pid, "the shipper's pid")
    nothing_was_sent_twice(s)
    nothing_is_lost(s.relay, s.core)


def outside_its_schedule_an_upstream_waits(t):
    closed = "schedule = %s-%s" % (clock(120), clock(240))
    open_ = "schedule = %s-%s, %s" % (clock(300), clock(310), "%s-%s" % (
        clock(-60), clock(60)))
    s = Scene(t, closed, "retry_for = 1s")
    s.start()
    path = s.take(300)
    s.drained(s.all)
    s.waits_until("some", closed)
    time.sleep(3 * SLOW)            # three times its patience
    equal(s.relay.ends(), {}, "what came outside of the schedule")
    equal(s.edge.rows("dlq", "list"), [], "dead letters")
    equal(s.upstream("some")["backlog"], 300, "what waits")
    s.rewrite(closed, open_)
    s.drained()
    s.is_open("some")
    s.rewrite(open_, closed)
    s.waits_until("some", closed)
    more = s.take(100)
    s.drained(s.all)
    s.rewrite(closed, "")
    s.drained()
    equal(packets_of(s.core.query()), tcpdump(path, "") + tcpdump(more, ""),
          "packets")
    nothing_was_sent_twice(s)


def streams_with_priority_are_served_first(t):
    s = Scene(t, "rate_limit = 160kbit", "priority = lon1/eth9, *")
    s.start()
    s.take(4000)                    # of minutes

    for turn in range(1, 3):
        s.take_apart(20)
        wait_until(lambda: ends_of(s.relay, APART) == 20 * turn,
                   "what has priority arrives", HEALED)
        check(ends_of(s.relay, IFACE) < 4000, "and the rest still waits")
    s.rewrite("rate_limit = 160kbit", "rate_limit = 0")
    s.rewrite("priority = lon1/eth9, *", "priority = *")
    s.drained()
    nothing_was_sent_twice(s)


main(600,
     each_upstream_has_what_tcpdumps_filter_says,
     packets_of_another_link_type_are_filtered_as_such,
     what_was_filtered_stays_so_when_the_index_is_made_again,
     a_filter_changes_while_packets_flow,
     a_filter_that_is_none_is_refused_by_a_reload,
     where_nothing_passes_numbers_go_on_and_nothing_grows,
     every_second_packet_costs_no_row,
     kills_make_no_fork_and_lose_nothing,
     an_upstream_of_before_is_sent_nothing_it_would_misread,
     a_sender_of_another_make_may_declare_what_it_filtered,
     an_audit_takes_what_was_filtered_for_no_difference,
     over_a_slow_link_headers_alone_go_and_lengths_stay,
     a_snap_length_that_changes_makes_no_other_stream,
     rates_and_compression_change_while_packets_flow,
     outside_its_schedule_an_upstream_waits,
     streams_with_priority_are_served_first, seconds=600)
