"""A bridge that records, at the sender's full rate and at a quiet one.

As in capture.py, with a second veth pair behind the recorder: what arrives at
pb1 goes out of pb2 and comes in at pb3.  At full rate everything is counted
at both ends.  Latency is from the time stamp of the kernel at pb1 to that at
pb3, which tcpdump takes at both, on the same clock: the rule, the outlet's
driver and the wire's other end are in it.
"""

import struct

import capture
from kit import *

FULL, QUICK = 2_000_000, 200_000
PACED_FULL, PACED_QUICK = 50_000, 5_000
GAP_US = 100            # 10,000 packets a second
ALONE = OURS + ", without forward"
P50_US_MAX = 100
PCAP_HEAD, PACKET_HEAD = 24, 16


class Wires(capture.Wire):
    """And what leaves pb2 comes in at pb3."""

    def __init__(self, t):
        super().__init__(t, 1500)
        self.end = t.netns("end")
        t.veth(self.rx, "pb2", self.end, "pb3", mtu=1500)

    def came_out(self):
        out = self.t.inside(self.end, "ip", "-j", "-s", "link", "show",
                            "pb3")
        return json.loads(out)[0]["stats64"]["rx"]["packets"]

    def paced(self, packets):
        must([*enter(self.tx), "taskset", "-c", SENDER_CPU, "trafgen", "-P",
              "1", "-n", str(packets), "-t", "%dus" % GAP_US, "-o", "pb0",
              "-c", self.conf, "-C"], seconds=600)


class Stamps:
    """When packets came in at an interface, as the kernel says."""

    def __init__(self, t, netns, interface):
        self.file = t.path(interface + ".pcap")
        self.proc = t.spawn(
            ["tcpdump", "-i", interface, "-Q", "in", "-n", "-s", "60", "-B",
             "65536", "-Z", "root", "--time-stamp-precision=nano", "-w",
             self.file], netns, stderr=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(self.file), "tcpdump to listen")
        time.sleep(capture.READY_S)

    def stop(self):
        time.sleep(capture.RING_S)
        self.proc.send_signal(signal.SIGINT)
        self.proc.wait(60)
        with open(self.file, "rb") as f:
            data = f.read()
        times, at = [], PCAP_HEAD
        while at + PACKET_HEAD <= len(data):
            s, ns, caplen, _ = struct.unpack_from("=IIII", data, at)
            times.append(s * 10**9 + ns)
            at += PACKET_HEAD + caplen
        return times


class Forwards(capture.Ours):
    """Our recorder, with or without `forward`."""

    def __init__(self, t, wire, *lines):
        self.node = t.node("edge%d" % t.number(), netns=wire.rx, captures=[
            ("pb1", "buffer = %dMiB" % capture.RING_MIB, *lines)])
        with capture.on_cpu(OTHER_CPU):
            self.node.start_recorder()
        self.proc = self.node.recorder.proc = Reaped(self.node.recorder.proc)
        self.pid = self.proc.pid
        if lines:
            self.node.recorder.says("forwarding interface=pb1")

    def settle(self):
        settle(self.pid, capture.RING_S)

    def counted(self):
        """(forwarded, refused), as it says when it has ended."""
        said = self.node.recorder.says("forward: stopped interface=pb1")[0]
        return tuple(int(n) for n in re.search(
            r"packets=(\d+) refused=(\d+)", said).groups())


class Netsniff(capture.Peer):
    """It sends from one ring to another, and records nothing."""

    def __init__(self, t, wire, folder):
        super().__init__(t, wire, folder, [
            "netsniff-ng", "--in", "pb1", "--out", "pb2", "--silent",
            "--ring-size", "%dMiB" % capture.RING_MIB, "--no-hwtimestamp"])

    def settle(self):
        """It looks for packets all the time."""
        time.sleep(capture.RING_S)


SUBJECTS = (
    (OURS, lambda t, w, d: Forwards(t, w, "forward = pb2")),
    (ALONE, lambda t, w, d: Forwards(t, w)),
    ("netsniff-ng", lambda t, w, d: Netsniff(t, w, d)),
)


def full_rate(row, wire, name, subject, packets):
    before, out, busy = cpu_exact(subject.pid), wire.came_out(), cpu_busy()
    arrived, took, sender = wire.send(packets)
    subject.settle()
    subject.stop()
    os.sync()
    busy = cpu_busy() - busy - sender
    out = wire.came_out() - out
    row.note(name, "sent Mpps", packets / took / 1e6)
    row.note(name, "CPU ns/packet",
             (subject.cpu - before) * 1e9 / arrived)
    row.note(name, "all CPU ns/packet", busy * 1e9 / arrived)
    if name != ALONE:
        row.note(name, "not out %", 100 * (arrived - out) / arrived)
    if name == "netsniff-ng":
        return
    row.note(name, "lost in the record %",
             100 * (arrived - subject.kept()) / arrived)
    if name == OURS:
        forwarded, refused = subject.counted()
        row.note(name, "counted wrong",
                 abs(out - forwarded) + abs(arrived - forwarded - refused))


def latency(row, wire, name, packets):
    stamps = [Stamps(row.t, wire.rx, "pb1"), Stamps(row.t, wire.end, "pb3")]
    wire.paced(packets)
    came, went = [s.stop() for s in stamps]
    row.note(name, "not out at 10,000/s %",
             100 * (len(came) - len(went)) / len(came))
    # Which of them went is known where all did.
    if len(came) != len(went):
        return
    took = sorted(b - a for a, b in zip(came, went))
    for words, part in (("p50 us", 0.5), ("p99 us", 0.99),
                        ("p99.9 us", 0.999)):
        row.note(name, words, took[min(int(len(took) * part),
                                       len(took) - 1)] / 1000)


def measure(row):
    packets = row.amount(FULL, QUICK)
    paced = row.amount(PACED_FULL, PACED_QUICK)
    row.scope = "{:,} packets, then {:,}".format(packets, paced)
    need("tcpdump")
    wire = Wires(row.t)
    for _ in row.rounds():
        for name, start in row.turns(SUBJECTS):
            if name == "netsniff-ng" and not shutil.which(name):
                row.skip(name, "not installed")
                continue
            folder = tempfile.mkdtemp(prefix="bench-", dir=row.t.dir)
            quiet()
            subject = start(row.t, wire, folder)
            full_rate(row, wire, name, subject, packets)
            subject.clear()
            if name != ALONE:
                subject = start(row.t, wire, folder)
                latency(row, wire, name, paced)
                subject.stop()
                subject.clear()
            shutil.rmtree(folder)
    row.goal("percent lost in the record, in the worst round",
             row.worst(OURS, "lost in the record %"), most=0)
    row.goal("packets counted wrong, in the worst round",
             row.worst(OURS, "counted wrong"), most=0)
    row.goal("median from in to out, us (under %d)" % P50_US_MAX,
             row.median(OURS, "p50 us"), most=P50_US_MAX)


WHAT = ("Frames of 1,500 bytes from trafgen at full rate over a veth pair to "
        "pb1, as in capture-1500, and out of pb2 over another: `[capture "
        "pb1] forward = pb2`, which records as well; `netsniff-ng --in pb1 "
        "--out pb2`, which does not.  `not out`: of what arrived; `counted "
        "wrong`: packets by which our counts differ from those of the "
        "interfaces.  Then 10,000 a second (`trafgen -t 100us`): from the "
        "kernel's time stamp at pb1 to that at pb3, by tcpdump at both.")

ROWS = (("forward", WHAT, measure),)
