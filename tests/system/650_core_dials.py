"""A core that accepts nothing, and dials edges that may not call out.

The edges are ours.  What one has arrives, each packet once and with its way,
whatever is killed, cut off or wiped.
"""

from certificates import *
from dialled import *


def what_edges_have_is_gathered_and_acknowledged(t):
    edges = [edge(t, "lon%d" % i).start() for i in range(3)]
    for e in edges:
        e.start_shipper()
        own(e, 1, 2000)
    node = core(t, *edges).start()
    for e in edges:
        has(node, e.name, 2000)
        own(e, 2001, 2010)
    for e in edges:
        has(node, e.name, 2010)
        the_same(node, e)
        equal(ways(node, e.name), {(e.name, "core")}, "the way")
        wait_until(lambda: waits_at(e) == 0, "nothing waits at the edge")
    equal(node.rows("gaps"), [], "gaps")
    told = {r["name"]: r for r in status(node)["edges"]}
    equal(sorted(told), ["lon0", "lon1", "lon2"], "edges in the status")
    wait_until(lambda: all(r["state"] == "idle" and r["backlog"] == 0 and
                           r["packets"] == 2010
                           for r in status(node)["edges"]), "all is told")


def edges_in_namespaces_that_may_not_call_out_are_gathered(t):
    """The core's firewall drops what comes in, an edge's what goes out, but
    for answers."""
    need("nft")
    inside = t.netns("core")
    edges = {}
    for i in range(3):
        ns = t.netns("edge")
        t.veth(inside, "to%d" % i, ns, "out")
        t.inside(inside, "ip", "addr", "add", "10.66.%d.1/24" % i, "dev",
                 "to%d" % i)
        t.inside(ns, "ip", "addr", "add", "10.66.%d.2/24" % i, "dev", "out")
        firewall(t, ns, "output")
        name = "lon%d" % i
        node = t.node(name, store=QUICK, netns=ns, extra="[listen]\n"
                      "address = 10.66.%d.2:7152\ntls = off\n"
                      "allow = pull:core\n" % i)
        node.start_recorder()
        node.start_shipper()
        own(node, 1, 500)
        edges[name] = node
    firewall(t, inside, "input")
    node = t.node("core", store=QUICK, netns=inside, edges={
        name: ["http://10.66.%d.2:7152" % i, *FAST]
        for i, name in enumerate(edges)})
    node.start_recorder()
    node.start_shipper(netns=inside)
    for name, e in edges.items():
        called = run([*enter(e.netns), sys.executable, "-c",
                      "import socket; socket.create_connection(('10.66.%s.1'"
                      ", 7152), 1)" % name[3:]])
        check(b"timed out" in called.stderr, "it may call out:",
              called.stderr)
        has(node, name, 500)
        own(e, 501, 510)
        has(node, name, 510)
        the_same(node, e)
        wait_until(lambda: waits_at(e) == 0, "nothing waits at the edge")


def firewall(t, ns, hook):
    t.inside(ns, "nft", "add table inet f; add chain inet f c { type filter "
             "hook %s priority 0; policy drop; }; add rule inet f c ct state "
             "established,related accept; add rule inet f c iif lo accept"
             % hook)


def each_packet_comes_once_whatever_is_killed(t):
    e = edge(t, "lon1").start()
    e.start_shipper()
    node = core(t, e).start()
    with Feed(e) as feed:
        for turn in range(8):
            time.sleep(0.7)
            who = (e, node)[turn % 2]
            if turn % 4 < 2:
                who.recorder.kill()
                who.start_recorder()
            else:
                who.shipper.kill()
                who.start_shipper()
    check(feed.last > 500, "only", feed.last, "packets came")
    end = max(e.ends().values())
    has(node, "lon1", end)
    the_same(node, e)
    equal(node.rows("gaps"), [], "gaps")
    wait_until(lambda: waits_at(e) == 0, "nothing waits at the edge", HEALED)


def an_edge_whose_recorder_is_down_is_waited_for(t):
    e, other = edge(t, "lon1").start(), edge(t, "par1").start()
    own(e, 1, 100)
    own(other, 1, 100)
    node = core(t, e, other).start()
    has(node, "lon1", 100)
    e.recorder.stop()
    wait_until(lambda: [r["state"] for r in status(node)["edges"]
                        if r["name"] == "lon1"] == ["backoff"], "it is told")
    own(other, 101, 200)
    has(node, "par1", 200)
    e.start_recorder()
    own(e, 101, 200)
    has(node, "lon1", 200)
    the_same(node, e)


def a_wiped_core_fetches_what_there_is(t):
    e = edge(t, "lon1").start()
    e.start_shipper()
    own(e, 1, 1000)
    node = core(t, e).start()
    has(node, "lon1", 1000)
    node.shipper.kill()
    node.recorder.kill()
    shutil.rmtree(node.store)
    node.start()
    has(node, "lon1", 1000)
    the_same(node, e)
    own(e, 1001, 1100)
    has(node, "lon1", 1100)
    wait_until(lambda: waits_at(e) == 0, "nothing waits at the edge", HEALED)


def a_relay_is_pulled_from_one_side_and_pushes_on_the_other(t):
    """The same through a second wall: edge -> relay pulls, relay -> core
    pushes; and a relay that others push to is pulled by a core."""
    near = edge(t, "lon1", allow="pull:relay1").start()
    far = t.node("hub", listen=True, store=QUICK).start()
    relay = t.node("relay1", store=QUICK, listen=True,
                   edges={"lon1": [near.url, *FAST]},
                   upstreams={"hub": far}).start()
    own(near, 1, 300)
    has(far, "lon1", 300)
    the_same(far, near)
    equal(ways(far, "lon1"), {("lon1", "relay1", "hub")}, "the way")
    # It goes on to a core that pulls the hub's neighbour.
    gate = edge(t, "gate", allow="*, relay:*, pull:core").start()
    pusher = t.node("par1", store=QUICK, upstreams={"gate": gate}).start()
    own(pusher, 1, 300)
    node = core(t, gate).start()
    has(node, "par1", 300)
    equal(ways(node, "par1"), {("par1", "gate", "core")}, "the way")
    check(relay.shipper.alive(), "the relay runs")


def a_ring_of_pulls_goes_round_once(t):
    """a pulls b, b pulls a: nobody takes its own packets back."""
    a = t.node("a", listen=True, store=QUICK)
    b = t.node("b", listen=True, store=QUICK)
    for one, other in ((a, b), (b, a)):
        with open(one.conf, "a") as f:
            f.write("allow = pull:%s\n[edge %s]\nurl = %s\ntls = off\n"
                    % (other.name, other.name, other.url))
    for one in (a, b):
        one.start()
        own(one, 1, 100)
    has(a, "b", 100)
    has(b, "a", 100)
    time.sleep(1)
    equal(ways(a, "b"), {("b", "a")}, "the way")
    equal(ways(a, "a"), {("a",)}, "the way")


def gaps_close_here_when_packets_come_late_there(t):
    e = edge(t, "lon1").start()
    e.start_shipper()
    stream = "x/eth0"
    equal(push(e, stream, 1, 100)[0], 200, "push")
    gap = e.http("POST", "/v1/streams/%s/%s/gaps" % (stream, EPOCH),
                 json.dumps({"first": 101, "last": 200,
                             "reason": "dead-lettered"}))
    equal(gap[0], 200, "a gap")
    equal(push(e, stream, 201, 300)[0], 200, "push")
    node = core(t, e).start()
    has(node, "x", 300)
    equal([(r["first"], r["last"]) for r in node.rows("gaps")
           if not r.get("closed")], [(101, 200)], "gaps")
    equal(push(e, stream, 101, 200)[0], 200, "they come late")
    wait_until(lambda: len(node.query("--stream", stream).packets) == 300,
               "they come here, too", HEALED)
    equal(sorted(p.seq for p in node.query("--stream", stream).packets),
          list(range(1, 301)), "numbers")
    wait_until(lambda: waits_at(e) == 0, "nothing waits at the edge", HEALED)


def a_core_that_was_away_gets_its_dead_letters(t):
    e = edge(t, "lon1", "[upstream core]", "url = pull:", "retry_for = 2s",
             "answer_timeout = 1s", "streams = *").start()
    if not e.shipper:
        e.start_shipper()
    own(e, 1, 100)
    node = core(t, e).start()
    has(node, "lon1", 100)
    node.shipper.stop()
    own(e, 101, 200)
    wait_until(lambda: e.rows("dlq", "list"), "dead letters", HEALED)
    own(e, 201, 300)
    node.start_shipper()
    has(node, "lon1", 300)
    the_same(node, e)
    wait_until(lambda: not e.rows("dlq", "list"), "no letters", HEALED)


def over_tls_each_shows_who_it_is(t):
    """Both ways; an edge whose certificate another authority signed, and a
    core that its allow does not name, stay apart."""
    ca, other = Authority(t, "ca"), Authority(t, "other")
    nodes = {}
    for name, by, allow in (("lon1", ca, "core"), ("par1", ca, "core2"),
                            ("fra1", other, "core")):
        port = free_port()
        node = t.node(name, store=QUICK, extra="[listen]\naddress = "
                      "127.0.0.1:%d\nallow = pull:%s\n%s" % (
                          port, allow, keys(*by.issue(name), ca.pem)))
        node.start_recorder()
        own(node, 1, 100)
        nodes[name] = "[edge %s]\nurl = https://127.0.0.1:%d\ncompress = " \
            "zstd\n%s" % (name, port, keys(*ca.issue("core"), ca.pem))
    node = t.node("core", store=QUICK, extra="".join(nodes.values())).start()
    has(node, "lon1", 100)
    errors = {}

    def told():
        errors.update((r["name"], r["last_error"])
                      for r in status(node)["edges"])
        return "403" in errors["par1"] and "certificate" in errors["fra1"]
    wait_until(told, "why the others are not pulled")
    equal({k[0] for k in node.ends()}, {"lon1"}, "whose packets are here")


def a_reload_takes_edges_and_leaves_the_others(t):
    one, two = edge(t, "lon1").start(), edge(t, "par1").start()
    own(one, 1, 100)
    own(two, 1, 100)
    node = core(t, one).start()
    has(node, "lon1", 100)
    with open(node.conf, "a") as f:
        f.write("[edge par1]\nurl = %s\ntls = off\n" % two.url)
    os.kill(node.shipper.pid, signal.SIGHUP)
    has(node, "par1", 100)
    text = open(node.conf).read()
    with open(node.conf, "w") as f:
        f.write(text.replace("[edge lon1]", "[edge other]")
                .replace(one.url, one.url + "/nothing"))
    os.kill(node.shipper.pid, signal.SIGHUP)
    wait_until(lambda: sorted(r["name"] for r in status(node)["edges"]) ==
               ["other", "par1"], "the status has what there is")
    own(two, 101, 200)
    has(node, "par1", 200)
    wait_until(lambda: [r["state"] for r in status(node)["edges"]
                        if r["name"] == "other"] == ["refused"],
               "a wrong path is told")


def figures(node):
    """What GET /metrics says, {name and labels: value}; each sample follows
    the head of its family, and none is there twice."""
    found, family = {}, None
    for line in node.http("GET", "/metrics")[2].decode().splitlines():
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
        elif line.startswith("# TYPE "):
            family = line.split(" ")[2]
            equal(helped, family, "the family that is described")
        else:
            sample, value = line.rsplit(" ", 1)
            equal(sample.split("{")[0], family, "the family of a sample")
            check(sample not in found, sample, "is there twice")
            found[sample] = float(value)
    return found


def rows(node):
    return {r["name"]: r for r in node.rows("upstreams")}


def what_waits_and_why_is_told_alike_everywhere(t):
    """Of an upstream that is pushed to, one that pulls, and the edge that is
    dialled, while packets flow and while nothing does."""
    hub = t.node("hub", listen=True, store=QUICK).start()
    e = edge(t, "lon1", "[upstream hub]", "url = " + hub.url,
             "tls = off").start()
    if not e.shipper:
        e.start_shipper()
    node = core(t, e, listen=True).start()
    with Feed(e, size=500) as feed:
        wait_until(lambda: all(r["pps"] > 0 and r["bps"] > 500 * r["pps"]
                               for r in rows(e).values()), "speeds", HEALED)
        wait_until(lambda: figures(node).get(
            'pb_edge_packets_per_second{edge="lon1"}', 0) > 0, "the edge's",
            HEALED)
    end = max(feed.last, *e.ends().values())
    wait_until(lambda: all(r["acked_packets"] == end and r["backlog"] == 0
                           for r in rows(e).values()), "all is acked", HEALED)
    size = sum(r["bytes"] for r in e.rows("segments"))
    for r in rows(e).values():
        check(size * 0.9 < r["acked_bytes"] < size * 1.1, r["name"],
              "acked", r["acked_bytes"], "bytes of", size)
        equal((r["waits"], r["caught_up_in"]), (0, 0), "of what does not wait")
    hub.recorder.stop()
    node.shipper.stop()
    own(e, end + 1, end + 1000, size=500)
    wait_until(lambda: all(r["backlog"] == 1000 and r["waits"] > 0 and
                           500e3 < r["backlog_bytes"] < 700e3
                           for r in rows(e).values()), "what waits")
    wait_until(lambda: rows(e)["hub"]["state"] == "backoff", "it backs off")
    told, text = rows(e)["hub"], e.pb("upstreams").decode()
    check(told["failures"] > 0 and told["last_error_time"], told)
    check(re.search(r"hub .* backoff +1000 .*" +
                    re.escape(told["last_error"]), text), text)
    for r in status(e)["upstreams"]:
        equal((r["backlog"], set(r)), (1000, set(told)), r["name"])
    said = figures(e)
    equal(said["pb_shipper_up"], 1, "the shipper")
    for name in ("hub", "core"):
        of = '{upstream="%s"}' % name
        equal(said["pb_upstream_backlog_packets" + of], 1000, name)
        check(500e3 < said["pb_upstream_backlog_bytes" + of] < 700e3, said)
        check(said["pb_upstream_acked_packets_total" + of] == end, said)
        equal(said["pb_upstream_filtered_packets_total" + of], 0, name)
    equal(said['pb_upstream_state{upstream="hub",state="backoff"}'], 1, "hub")
    equal(said['pb_upstream_state{upstream="hub",state="idle"}'], 0, "hub")
    check(said['pb_upstream_failures_total{upstream="hub"}'] > 0, said)
    check(said['pb_upstream_last_error_time_seconds{upstream="hub"}'] >
          time.time() - 3600, said)
    # One that is stopped is not waited for.
    os.kill(e.shipper.pid, signal.SIGSTOP)
    said = figures(e)
    equal(said["pb_shipper_up"], 0, "a shipper that does not answer")
    check(said["pb_ingest_packets_total"] > 0, "what the recorder has")
    os.kill(e.shipper.pid, signal.SIGCONT)
    # Without a shipper: as it stood, and what has come since.
    e.shipper.stop()
    own(e, end + 1001, end + 1500, size=500)
    for r in rows(e).values():
        equal((r["state"], r["backlog"], r["pps"]), ("not running", 1500, 0),
              r["name"])
    check(b"pb-shipper does not run" in e.pb_run("upstreams").stderr, "it")
    said = figures(e)
    equal((said["pb_shipper_up"], [n for n in said if "pb_upstream" in n]),
          (0, []), "without a shipper")
    # The other side.
    node.start_shipper()
    has(node, "lon1", end + 1500)
    wait_until(lambda: figures(node).get(
        'pb_edge_packets_total{edge="lon1"}') == 1500, "what it stored")
    e.recorder.stop()
    wait_until(lambda: status(node)["edges"][0]["failures"] > 0, "it fails")
    wait_until(lambda: figures(node)[
        'pb_edge_state{edge="lon1",state="backoff"}'] == 1, "and backs off")
    check(figures(node)['pb_edge_failures_total{edge="lon1"}'] > 0, "edge")


main("650",
     what_edges_have_is_gathered_and_acknowledged,
     edges_in_namespaces_that_may_not_call_out_are_gathered,
     each_packet_comes_once_whatever_is_killed,
     an_edge_whose_recorder_is_down_is_waited_for,
     a_wiped_core_fetches_what_there_is,
     a_relay_is_pulled_from_one_side_and_pushes_on_the_other,
     a_ring_of_pulls_goes_round_once,
     gaps_close_here_when_packets_come_late_there,
     a_core_that_was_away_gets_its_dead_letters,
     over_tls_each_shows_who_it_is,
     a_reload_takes_edges_and_leaves_the_others,
     what_waits_and_why_is_told_alike_everywhere,
     seconds=240)
