"""What may go wrong between a core and the nodes that it dials: whatever it is,
each packet comes once, as it was, and nothing is acknowledged that is not kept.
"""

from dialled import *

NO_SPACE = "No space left on device"
# A window of 1 MiB, and some; sanitizers keep what is freed.
RSS_GROWTH_MAX = 16 << 20 if SLOW == 1 else 1 << 30
SHORT = ["connect_timeout = 1s", "answer_timeout = 2s"]


class Wire:
    """Nodes in namespaces of their own, all on one bridge."""

    def __init__(self, t):
        self.t, self.hub, self.count = t, t.netns("hub"), 0
        t.inside(self.hub, "ip", "link", "add", "name", "br0", "type", "bridge")
        t.inside(self.hub, "ip", "link", "set", "br0", "up")

    def node(self, name, *lines, edges=(), upstreams=()):
        self.count += 1
        ns, address = self.t.netns(name), "10.67.0.%d" % self.count
        port = "to%d" % self.count
        self.t.veth(self.hub, port, ns, "out")
        self.t.inside(self.hub, "ip", "link", "set", port, "master", "br0")
        self.t.inside(ns, "ip", "addr", "add", address + "/24", "dev", "out")
        for kind, nodes in (("edge", edges), ("upstream", upstreams)):
            for other in nodes:
                lines += ("[%s %s]" % (kind, other.name), "url = " +
                          other.there, "tls = off", *SHORT)
        node = self.t.node(name, netns=ns, store=QUICK, extra="\n".join([
            "[listen]", "address = %s:7152" % address, "tls = off",
            "allow = *, relay:*, pull:core, pull:relay", *lines, ""]))
        node.there = "http://%s:7152" % address
        node.start_recorder()
        node.start_shipper(netns=ns)
        return node


@contextlib.contextmanager
def deaf(*nodes):
    """Nothing comes to them from outside, and nobody is told."""
    for n in nodes:
        n.t.inside(n.netns, "nft", "add table inet deaf; add chain inet deaf "
                   "c { type filter hook input priority 0; policy drop; }; "
                   "add rule inet deaf c iif lo accept")
    try:
        yield
    finally:
        for n in nodes:
            n.t.inside(n.netns, "nft", "delete table inet deaf")


def more(node, name, count):
    """Packets that come now get there, too: the way is open."""
    was = numbered(node, name)
    has(node, name, was + count)


def numbered(node, name):
    return max([v for k, v in node.ends().items() if k[0] == name],
               default=0)


def all_is_there(e, node):
    has(node, e.name, max(e.ends().values()))
    the_same(node, e)
    equal(node.rows("gaps"), [], "gaps")
    wait_until(lambda: waits_at(e) == 0, "nothing waits at the edge", HEALED)


def nothing_is_lost_whoever_hears_nothing(t):
    """The edge, the core, at last both of them for so long that what waits at
    the edge is dead."""
    need("nft")
    wire = Wire(t)
    e = wire.node("lon1", "[upstream core]", "url = pull:", "streams = *",
                  "retry_for = 3s", "answer_timeout = 1s")
    node = wire.node("core", edges=[e])
    with Feed(e) as feed:
        for who in (e, node):
            more(node, "lon1", 100)
            with deaf(who):
                began = feed.last
                time.sleep(2.5)
            check(feed.last > began, "the edge stands still")
        more(node, "lon1", 100)
        with deaf(e, node):
            wait_until(lambda: e.rows("dlq", "list"), "dead letters", HEALED)
        more(node, "lon1", 100)
        # An ack of before may arrive only now: the next one passes it.
        wait_until(lambda: not e.rows("dlq", "list"), "no letters", HEALED)
    all_is_there(e, node)


def a_slow_link_carries_next_to_nothing_twice(t):
    """All streams at a time would each come too slowly to be heard to its
    end."""
    e = edge(t, "lon1").start()
    names = ["eth%d" % i for i in range(7)]
    for name in names:
        own(e, 1, 2, name, 1000)
    stored = sum(os.path.getsize(p) for p in e.files())
    door = SlowDoor(e.port, 24000)
    node = t.node("core", store=QUICK, edges={"lon1": [door.url, *SHORT]})
    node.start()
    for name in names:
        has(node, "lon1", 2, name)
        the_same(node, e, name)
    check("no answer" not in status(node)["edges"][0]["last_error"],
          status(node)["edges"])
    check(door.sent[False] < 1.6 * stored, door.sent, "went for", stored)


def a_core_whose_disk_is_full_takes_no_more_than_it_keeps(t):
    with small_disk(t, "core", 48) as disk:
        e = edge(t, "lon1", "[upstream core]", "url = pull:",
                 "retry_for = 3s", "answer_timeout = 3s").start()
        own(e, 1, 100)
        # Very fast; it counts what comes.
        door = SlowDoor(e.port, 1 << 40)
        node = t.node("core", store=QUICK, edges={
            "lon1": [door.url, *FAST, "window = 1MiB"]}).start()
        has(node, "lon1", 100)
        wait_until(lambda: waits_at(e) == 0, "nothing waits at the edge")
        disk.fill()
        before = rss(node.shipper.pid)
        for first in range(101, 5101, 1000):
            own(e, first, first + 999, size=1400)
        wait_until(lambda: lines(node.recorder, NO_SPACE + ".* peer=lon1 "
                                 "cause=503"), "it is refused")
        time.sleep(1)
        alive(node.recorder, node.shipper, e.recorder, e.shipper)
        equal(waits_at(e), 5100 - numbered(node, "lon1"),
              "what is not acknowledged")
        check(door.sent[False] < 4 << 20, "came for nothing:", door.sent)
        check(rss(node.shipper.pid) - before < RSS_GROWTH_MAX, "memory")
        once(node.recorder, "store: cannot write: .*" + NO_SPACE,
             "the full disk")
        check(len(lines(node.shipper, "")) < 10, "the log is flooded:",
              node.shipper.tail())
        # It asks on; at the edge it is as good as away.
        wait_until(lambda: e.rows("dlq", "list"), "dead letters at the edge",
                   HEALED)
        e.shipper.says("backing off: it asks, but has acknowledged nothing ")
        disk.empty()
        all_is_there(e, node)
        wait_until(lambda: not e.rows("dlq", "list"), "they are delivered",
                   HEALED)
        wait_until(lambda: not status(node)["edges"][0]["last_error"],
                   "the status heals")


def an_edge_whose_disk_is_full_gives_what_it_has(t):
    with small_disk(t, "lon1", 48) as disk:
        e = edge(t, "lon1").start()
        e.start_shipper()
        own(e, 1, 2000, size=1400)
        disk.fill()
        node = core(t, e).start()
        has(node, "lon1", 2000)
        refused(push(e, "lon1/eth0", 2001, 4000, 1400, by=Local(e)), NO_SPACE,
                "a push")
        alive(node.recorder, node.shipper, e.recorder, e.shipper)
        disk.empty()
        wait_until(lambda: push(e, "lon1/eth0", 2001, 4000, 1400,
                                by=Local(e))[0] == 200, "there is room")
        has(node, "lon1", 4000)
        all_is_there(e, node)


def a_relay_that_dies_or_hears_nothing_loses_nothing(t):
    """It pulls on one side, and pushes on the other."""
    need("nft")
    wire = Wire(t)
    e = wire.node("lon1")
    hub = wire.node("hub")
    relay = wire.node("relay", edges=[e], upstreams=[hub])
    with Feed(e) as feed:
        for turn in range(4):
            more(hub, "lon1", 100)
            if turn % 2 == 0:
                with deaf(*((relay,), (hub, e))[turn // 2]):
                    time.sleep(2.5)
                continue
            relay.recorder.kill()
            relay.shipper.kill()
            time.sleep(0.3)
            relay.start_recorder()
            relay.start_shipper(netns=relay.netns)
    last = feed.last
    has(hub, "lon1", last)
    the_same(hub, e)
    the_same(relay, e)
    equal(ways(hub, "lon1"), {("lon1", "relay", "hub")}, "the way")
    equal(relay.rows("gaps") + hub.rows("gaps"), [], "gaps")
    for node, name in ((e, "relay"), (relay, "hub")):
        wait_until(lambda: waits_at(node, name) == 0, "nothing waits at " +
                   node.name, HEALED)


CORE, EDGE = 0, 1
FAULTS = (
    (CORE, "shipper", "recvfrom:error=ECONNRESET", "socket:error=EMFILE"),
    (CORE, "recorder", "fdatasync:error=EIO"),
    (CORE, "recorder", "pwrite64:error=EIO", "pwritev:error=EIO"),
    (CORE, "recorder", "recvfrom:error=EIO", "accept4:error=EMFILE"),
    (EDGE, "recorder", "pread64:error=EIO", "/^openat:error=EMFILE"),
    (EDGE, "recorder", "/^send:error=ENOBUFS", "writev:error=ENOBUFS"),
    (EDGE, "shipper", "pwrite64:error=EIO", "pwritev:error=EIO",
     "fdatasync:error=EIO"),
)


def system_calls_that_fail_lose_nothing(t):
    """The core's, and the edge's, while packets come."""
    e = edge(t, "lon1").start()
    e.start_shipper()
    node = core(t, e).start()
    with Feed(e) as feed:
        for whose, daemon, *faults in FAULTS:
            has(node, "lon1", feed.last)
            one = getattr((node, e)[whose], daemon)
            with failing(t, one.pid, *faults):
                used, began = cpu(one.pid), time.monotonic()
                time.sleep(0.8)
            check(cpu(one.pid) - used < (time.monotonic() - began) * 0.7,
                  one.name, "spins with", faults)
            alive(node.recorder, node.shipper, e.recorder, e.shipper)
    all_is_there(e, node)
    for one in (node.recorder, node.shipper, e.recorder, e.shipper):
        check(len(lines(one, "")) < 60, "the log is flooded:", one.tail())


main("652",
     nothing_is_lost_whoever_hears_nothing,
     a_slow_link_carries_next_to_nothing_twice,
     a_core_whose_disk_is_full_takes_no_more_than_it_keeps,
     an_edge_whose_disk_is_full_gives_what_it_has,
     a_relay_that_dies_or_hears_nothing_loses_nothing,
     system_calls_that_fail_lose_nothing,
     seconds=240)
