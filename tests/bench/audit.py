"""Whether another node has the same packets, over a slow link.

Ten million packets of 100 bytes, here and at a node behind a link of 10
Mbit/s (tbf, both ways); then a bit of one is flipped there, one is missing,
and one is another's, in a store that verifies.  Both have nothing of it in the
page cache.
"""

import glob
import struct

from kit import *
import samples

FULL, QUICK = 10_000_000, 500_000
BLOCK = 1000                    # packets that repeat in the file
SIZE, RATE = 100, "10mbit"
EPB = 6
SAME, THREE = "identical", "a bit, a packet missing, one forged"
KB_MOST = 100                   # on the link, whatever is found


def make(row, count):
    """The store here, and its copy there."""
    say(row.name, "makes two stores")
    edge = row.t.node("edge")
    path = row.t.path("load.pcap")
    head = samples.pcap("<", samples.MAGIC_NS, [])
    body = samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0 + n, n, samples.eth(n, SIZE), SIZE)
        for n in range(BLOCK)])[len(head):]
    with open(path, "wb") as f:
        f.write(head)
        for _ in range(max(count // BLOCK, 10)):
            f.write(body)
    edge.pb("import", "--interface", "eth0", path, seconds=600)
    os.unlink(path)
    shutil.copytree(edge.store, row.t.path("core"))
    (stream,) = edge.streams().values()
    return stream["packets"]


def forge(store):
    """Three packets of the file in the middle."""
    files = sorted(glob.glob(store + "/segments/*/*/*/*.pcapng"))
    with open(files[len(files) // 2], "r+b") as f, \
            mmap.mmap(f.fileno(), 0) as data:
        at = number = 0
        while number < 5000:
            kind, size = struct.unpack_from("<II", data, at)
            number += kind == EPB
            if kind == EPB and number == 17:
                data[at + 28 + 60] ^= 0x10
            elif kind == EPB and number == 2000:
                struct.pack_into("<I", data, at, 0x0BADBAD1)
            elif kind == EPB and number == 4000:
                data[at + 28 + 42:at + 28 + 100] = bytes(58)
            at += size


class Link:
    """Two namespaces, and what goes between them."""

    def __init__(self, t):
        self.t = t
        self.here, self.there = t.netns("here"), t.netns("there")
        t.veth(self.here, "near", self.there, "far")
        for ns, name, address in ((self.here, "near", "10.66.0.1/24"),
                                  (self.there, "far", "10.66.0.2/24")):
            t.inside(ns, "ip", "addr", "add", address, "dev", name)
            t.inside(ns, "tc", "qdisc", "add", "dev", name, "root", "tbf",
                     "rate", RATE, "burst", "16kb", "latency", "400ms")

    def bytes(self):
        (link,) = json.loads(self.t.inside(
            self.here, "ip", "-s", "-j", "link", "show", "near"))
        return sum(link["stats64"][way]["bytes"] for way in ("rx", "tx"))


def once(row, link, nodes, subject, status):
    edge, core = nodes
    quiet()
    drop_caches()
    before, cpu = link.bytes(), cpu_of(core.recorder.pid)
    start = time.monotonic()
    pb = Reaped(row.t.spawn([os.path.join(BUILD, "pb"), "-c", edge.conf,
                             "audit", "core"], link.here,
                            stdout=subprocess.DEVNULL))
    equal(pb.wait(600), status, "status of the audit")
    row.note(subject, "s", time.monotonic() - start)
    row.note(subject, "CPU s here", pb.cpu)
    row.note(subject, "there", cpu_of(core.recorder.pid) - cpu)
    row.note(subject, "KB on the link", (link.bytes() - before) / 1000)


def measure_audit(row):
    packets = make(row, row.amount(FULL, QUICK))
    row.scope = "%.2g million packets" % (packets / 1e6)
    link = Link(row.t)
    edge = row.t.node("edge", upstreams={"core": "http://10.66.0.2:7152"})
    core = row.t.node("core", netns=link.there, extra="[listen]\naddress = "
                      "10.66.0.2:7152\ntls = off\n")
    core.start()
    for _ in row.rounds():
        once(row, link, (edge, core), SAME, 0)
    core.stop()
    forge(core.store)
    core.pb("reindex", seconds=600)
    core.start()
    for _ in row.rounds():
        once(row, link, (edge, core), THREE, 1)
    row.goal("KB on the link for three differences",
             row.worst(THREE, "KB on the link"), most=KB_MOST)


ROWS = (
    ("audit", "`pb audit core` of a store of packets of 100 bytes and its "
     "copy at a node in another network namespace, over a veth pair with `tc "
     "qdisc add ... tbf rate 10mbit burst 16kb latency 400ms` at both ends. "
     "Nothing is in the page cache before. KB: what the kernel counts at the "
     "interface, both ways.", measure_audit),
)
