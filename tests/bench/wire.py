"""From the wire to durable at the core, on an idle link.

Single packets at random intervals are sent on a veth pair, captured by the
edge's recorder, shipped over loopback, and made durable at the core.  The
clock starts right before the packet is handed to the kernel.

When it is durable is asked of the recorders, by `GET /v1/streams/...` on a
connection kept open to their local sockets: `acked` moves when a commit has
been synced.  They are asked again and again, LOOK_S apart, only while a
packet is on its way: the core, as long as the edge has what it has not.  So
each time is too long by up to one look (the figure `a look, ms`), and never
too short.  An answer costs the recorder some 0.05 ms.
"""

from kit import *
import samples
import ship

FULL, QUICK = 500, 100          # packets
WARM_UP = 20                    # more, before them, that do not count
GAP_MS = (20, 50)               # between two packets, at random
FRAME_BYTES = 200
LOOK_S = 0.0003
PATIENCE_S = 10                 # for a packet to arrive
FLUSH = "flush_interval = 10ms"
INTERFACE = "pb1"
PULLED = OURS + ", pulled by the core"


def socket_inside(netns, interface):
    """A socket that sends frames on an interface of a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open("/run/netns/" + netns, os.O_RDONLY)
    try:
        check(libc.setns(there, 0) == 0, "setns", netns)
        try:
            out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            out.bind((interface, 0))
        finally:
            check(libc.setns(here, 0) == 0, "setns back")
    finally:
        os.close(here)
        os.close(there)
    return out


class Stage:
    """One node's end of the stream, and when each packet got there; the
    first, which made the stream, is there."""

    def __init__(self, node, path):
        self.asker = ship.Asker(node, path)
        self.times = [0.0]

    def look(self):
        number = self.asker.acked()
        now = time.monotonic()
        self.times += [now] * (number - len(self.times))


def watch(send, edge, core, count):
    """Send up to packet `count`; when each was sent, and how long a look
    took, in the mean."""
    sent, due, looks, waited = [0.0], time.monotonic(), 0, 0.0
    while len(core.times) < count:
        now = time.monotonic()
        if now >= due and len(sent) < count:
            sent.append(now)
            send(len(sent))
            due = now + random.uniform(*GAP_MS) / 1000
        if len(core.times) == len(sent):
            time.sleep(max(due - time.monotonic(), 0))
            continue
        check(now < sent[len(core.times)] + PATIENCE_S * SLOW, "packet",
              len(core.times) + 1, "never arrived at the core")
        if len(edge.times) < len(sent):
            edge.look()
        if len(core.times) < len(edge.times):
            core.look()
        pause = min(LOOK_S, max(due - time.monotonic(), 0))
        time.sleep(pause)
        looks, waited = looks + 1, waited + time.monotonic() - now
    return sent, waited / looks


def at(values, part):
    """The value below which `part` of them are."""
    values = sorted(values)
    return values[min(int(len(values) * part), len(values) - 1)]


class Link:
    """The edge, the core that it pushes to, and the wire."""

    def __init__(self, t):
        tx, self.netns = t.netns("tx"), t.netns("rx")
        t.veth(tx, "pb0", self.netns, INTERFACE)
        self.out = socket_inside(tx, "pb0")
        self.make(t)

    def make(self, t):
        self.core = t.node("core", listen=True, store=[FLUSH])
        self.edge = t.node("edge", captures=[INTERFACE], netns=self.netns,
                           upstreams={"core": self.core}, store=[FLUSH])

    def run(self):
        self.core.start()
        self.edge.start()

    def send(self, number):
        self.out.send(samples.eth(number, FRAME_BYTES))

    def start(self):
        """The first packet makes the stream, at both ends."""
        self.run()
        self.send(0)
        wait_until(lambda: self.core.ends(), "the stream at the core")
        (key, _), = self.core.streams().items()
        return "/v1/streams/%s/%s/%s" % key

    def stop(self, packets):
        for node in (self.edge, self.core):
            node.stop()
            kept = [s["packets"] for s in node.streams().values()]
            equal(kept, [packets], "packets at " + node.name)
            shutil.rmtree(node.store)


class Pulled(Link):
    """A core that dials the edge, where that is."""

    def make(self, t):
        self.edge = t.node("dialled", captures=[INTERFACE],
                           netns=self.netns, listen=True, store=[FLUSH],
                           extra="allow = pull:dialling\n")
        self.core = t.node("dialling", edges={"dialled": [self.edge.url]},
                           store=[FLUSH])

    def run(self):
        self.edge.start_recorder()
        self.core.start_recorder()
        self.core.start_shipper(netns=self.netns)


def measure_round(row, link, name):
    count = row.amount(FULL, QUICK) + WARM_UP
    path = link.start()
    edge, core = Stage(link.edge, path), Stage(link.core, path)
    sent, look = watch(link.send, edge, core, 1 + count)
    edge.asker.close()
    core.asker.close()
    link.stop(1 + count)
    for what, times in ((name, core.times),
                        ("of it, until durable at the edge", edge.times)):
        took = [1000 * (b - a) for a, b in zip(sent, times)][1 + WARM_UP:]
        row.note(what, "median ms", statistics.median(took))
        row.note(what, "p99 ms", at(took, 0.99))
        row.note(what, "max ms", max(took))
    row.note(name, "a look, ms", 1000 * look)


def measure_wire(row):
    need_root()
    random.seed(SEED)
    row.scope = "%d packets a round" % row.amount(FULL, QUICK)
    links = [(OURS, Link(row.t)), (PULLED, Pulled(row.t))]
    for _ in row.rounds():
        for name, link in row.turns(links):
            measure_round(row, link, name)
    for name, link in links:
        link.out.close()
        row.goal("median under 30 ms: " + name,
                 row.median(name, "median ms"), most=30)
        row.goal("99th percentile under 60 ms: " + name,
                 row.median(name, "p99 ms"), most=60)


ROWS = (
    ("wire", "Single packets, 20 to 50 ms apart at random, sent on a veth "
     "pair, captured at the edge, shipped over loopback, or pulled, until "
     "the core has acknowledged, so synced, each; flush_interval = 10ms at both. The "
     "recorders are asked over their local sockets while a packet is on its "
     "way: times are too long by up to a look, never too short. 20 packets "
     "before them do not count.", measure_wire),
)
