"""An edge that packets of all kinds come to, and what of them others get.

    s = Taking(t, node)             # it runs
    path = s.take(300)              # the next numbers, in a file as well
    packets_of(core.query()) == tcpdump(path, "udp")
"""

import random
import signal
import struct

from harness import *
import mixes
import pngread
import samples

T0 = samples.T0
NODE, IFACE, APART = "lon1", "eth0", "eth9"
STREAM = "/v1/streams/lon1/eth0/0123456789abcdef"
READ_AGAIN = {"recorder": "reloaded configuration",
              "shipper": "configuration read again"}


def packets_of(capture):
    return [(p.time_ns, p.origlen, p.data) for p in
            sorted(capture.packets, key=lambda p: p.time_ns)]


def tcpdump(path, text):
    """What its filter leaves of the file, as packets_of() says it."""
    out = must(["tcpdump", "-n", "-r", path, "-w", "-",
                "--time-stamp-precision=nano", text])
    return [(p.time_ns, p.origlen, p.data) for p in pngread.read(out).packets]


def cut(packets, snaplen):
    return [(ns, origlen, data[:snaplen]) for ns, origlen, data in packets]


class Taking:
    read_by = ("shipper",)          # its configuration, while it runs

    def __init__(self, t, edge, seed=1, linktype=mixes.ETHERNET):
        self.t, self.edge, self.linktype = t, edge, linktype
        self.draw = random.Random(seed)
        self.count = self.seq = 0

    def file(self, count):
        """Some more packets, in a file of their own."""
        rows = []
        for data, origlen in mixes.mix(self.draw, self.linktype, count):
            rows.append((T0 + self.count // 1000,
                         self.count % 1000 * 1000000 + 7, data, origlen))
            self.count += 1
        return self.t.write("%d.pcap" % self.count, samples.pcap(
            "<", samples.MAGIC_NS, rows, link=self.linktype))

    def take(self, count):
        """They come as the next numbers of the edge's one stream."""
        path = self.file(count)
        body = samples.shb("<") + samples.idb("<", self.linktype, (9, b"\x09"))
        for p in pngread.read(path).packets:
            self.seq += 1
            body += samples.epb("<", 0, p.time_ns, p.data,
                                (5, struct.pack("<Q", self.seq)),
                                origlen=p.origlen)
        status, _, answer = self.edge.http("POST", STREAM + "/packets", body)
        equal(status, 200, "the edge takes them: %s" % answer)
        return path

    def take_apart(self, count):
        """They come as the next ones of another stream, of APART."""
        self.edge.pb("import", "--node", NODE, "--interface", APART,
                     self.file(count))

    def upstream(self, name):
        return [u for u in self.edge.rows("status")[0]["upstreams"]
                if u["name"] == name][0]

    def waits_until(self, name, schedule):
        """Its state says that it waits, and for what time."""
        wait_until(lambda: self.upstream(name)["state"] == "waits for " +
                   schedule[11:16], "the state of %s is: waits" % name)

    def is_open(self, name):
        wait_until(lambda: not self.upstream(name)["state"].startswith(
            "waits"), name + " is open")

    def rewrite_each(self, *changes):
        """Before each of the changes some more come; their files."""
        paths = []
        for old, new in changes:
            paths.append(self.take(600))
            self.rewrite(old, new)
        return paths

    def rewrite(self, old, new, said=READ_AGAIN):
        """A line of the edge's configuration, which its programs read."""
        text = open(self.edge.conf).read()
        check(old in text, old, "stands in the configuration")
        with open(self.edge.conf, "w") as f:
            f.write(text.replace(old, new))
        for who in self.read_by:
            daemon = getattr(self.edge, who)
            before = len(re.findall(said[who], daemon.text()))
            os.kill(daemon.pid, signal.SIGHUP)
            wait_until(lambda: len(re.findall(said[who], daemon.text())) >
                       before, "a reload of the " + who)


def clock(minutes):
    """The local time of day so many minutes from now."""
    return time.strftime("%H:%M", time.localtime(time.time() + 60 * minutes))


def ends_of(node, interface):
    """The last numbers that it has of this interface's streams."""
    return sum(end for key, end in node.ends().items() if key[1] == interface)


def gaps(node):
    return node.rows("gaps")


def nothing_is_lost(*nodes):
    for node in nodes:
        lost = [g for g in gaps(node) if g["reason"] != "filtered"]
        equal(lost, [], "gaps of %s that are loss" % node.name)


def every_number_is_here_or_filtered(node):
    for row in node.rows("streams"):
        left = sum(g["packets"] for g in gaps(node)
                   if g["epoch"] == row["epoch"])
        equal(row["packets"] + left, row["last_seq"],
              "packets and filtered numbers of " + node.name)


def no_repeats(*nodes):
    for node in nodes:
        equal(metric(node, "pb_ingest_repeats_total"), 0,
              "repeats at " + node.name)


def metric(node, name, of=""):
    text = node.http("GET", "/metrics")[2].decode()
    return sum(float(line.split()[-1]) for line in text.splitlines()
               if re.match(re.escape(name) + r"[ {]", line) and of in line)
