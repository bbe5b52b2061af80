"""Capture at the sender's full rate, beside every recorder there is.

trafgen on CPU 0 sends frames over a veth pair as fast as it can; the
recorder under test has CPU 1 for itself, a ring of the same size as all,
and writes to the same disk.  What it kept is counted in the files it left.

CPU time is user and system time of the process with all its threads, from
the kernel's accounts, between the moment before the first packet and its
end: to seal and sync is in it, which PacketBroker does and most others do
not; to allocate the ring is not, which all do alike and which costs what the
machine's memory costs that day (`to start` tells it).  What the kernel does
for a recorder elsewhere (it writes the page cache to disk, and handles the
disk's interrupts) is only in `all CPU`: what the machine was busy in all,
without the sender, until the disk has everything.
"""

import contextlib
import math

from kit import *

RING_MIB = 256
FULL, QUICK = 3_000_000, 300_000
READY_S = 0.7           # for what a recorder still does once it listens
# Packets in a block of the ring that is not full reach the recorder when a
# timer says so: after 1 s for tcpdump, 10 s for stenographer.  What was there
# when it was stopped is in no file, and yet it was not lost by being slow.
RING_S = 1.3
CPU = "CPU ns/packet kept"
BARE = OURS + ", [store] flows = no"
INDEX_NS_MAX = 60


def frame(size):
    """An Ethernet frame of `size` bytes for trafgen: UDP to port 7152."""
    return ("{ 2,0,0,0,0,2, 2,0,0,0,0,1, c16(0x0800), "
            "0x45, 0, c16(%d), c16(1), c16(0), 64, 17, c16(0), "
            "10,0,0,1, 10,0,0,2, c16(9000), c16(7152), c16(%d), c16(0), "
            "fill(0x5a, %d) }" % (size - 14, size - 34, size - 42))


class Wire:
    """A veth pair between two namespaces, and the sender on one end."""

    def __init__(self, t, size):
        need("trafgen", "taskset", "capinfos")
        self.t, self.size = t, size
        self.tx, self.rx = t.netns("tx"), t.netns("rx")
        t.veth(self.tx, "pb0", self.rx, "pb1", mtu=1500)
        t.inside(self.rx, "ip", "link", "set", "pb1", "promisc", "on")
        self.conf = t.write("frame.cfg", frame(size) + "\n")

    def send(self, packets):
        """Frames that arrived, seconds the sender took, and its CPU's."""
        before = self.arrived()
        took, cpu = timed([*enter(self.tx), "taskset", "-c", SENDER_CPU,
                           "trafgen", "-P", "1", "-n", str(packets), "-o",
                           "pb0", "-c", self.conf, "-C"])
        return self.arrived() - before, took, cpu

    def arrived(self):
        """What the receiving end has taken in, whoever listens there."""
        out = self.t.inside(self.rx, "ip", "-j", "-s", "link", "show", "pb1")
        return json.loads(out)[0]["stats64"]["rx"]["packets"]

    def listening(self, pid):
        """Does this process have a packet socket?"""
        with open("/proc/%d/net/packet" % pid) as f:
            return len(f.readlines()) > 1


def pinned(wire, argv):
    return [*enter(wire.rx), "taskset", "-c", OTHER_CPU, *argv]


class Ours:
    """Our recorder on pb1, and a fresh store."""
    borne_out = False   # the files were counted, by another's reader
    EXTRA_S = 0         # for what it leaves in the ring longer than others

    def __init__(self, t, wire, name="edge", store=()):
        self.node = t.node(name, netns=wire.rx, store=store, captures=[
            ("pb1", "buffer = %dMiB" % RING_MIB)])
        with on_cpu(OTHER_CPU):
            self.node.start_recorder()
        self.proc = self.node.recorder.proc = \
            Reaped(self.node.recorder.proc)
        self.pid = self.proc.pid

    def stop(self):
        self.memory = memory_of(self.pid)
        self.node.recorder.stop(60)
        self.cpu = self.proc.cpu

    def on_disk(self):
        """Packets that are durable."""
        return sum(s["packets"] for s in self.node.streams().values())

    def kept(self):
        """What its index says; what the files hold is counted once."""
        said = self.on_disk()
        if not Ours.borne_out:
            equal(count(self.node.files()), said, "packets in the files")
            Ours.borne_out = True
        return said

    def clear(self):
        shutil.rmtree(self.node.store)


@contextlib.contextmanager
def on_cpu(cpu):
    """What is started meanwhile has this CPU alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(cpu)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def count(paths):
    """Packets in these files, by a reader that is neither's own."""
    if not paths:
        return 0
    out = must(["capinfos", "-c", "-M", *paths], seconds=300).decode()
    return sum(int(line.split(":")[1]) for line in out.splitlines()
               if line.startswith("Number of packets:"))


class Peer:
    """A recorder that writes into `folder` until it is interrupted."""
    EXTRA_S = 0

    def __init__(self, t, wire, folder, argv):
        self.folder = folder
        self.log = os.path.join(t.dir, "peer.log")
        with open(self.log, "wb") as log:
            self.proc = Reaped(t.spawn(pinned(wire, argv), stdout=log,
                                       stderr=log, cwd=folder))
        self.pid = self.proc.pid
        wait_until(lambda: self.proc.poll() is not None or
                   wire.listening(self.pid), argv[0] + " to listen")
        time.sleep(READY_S)
        check(self.proc.poll() is None, "did not start:", self.said()[-300:])

    def said(self):
        with open(self.log, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def stop(self):
        self.memory = memory_of(self.pid)
        self.proc.send_signal(signal.SIGINT)
        self.proc.wait(60)
        self.cpu = self.proc.cpu

    def kept(self):
        return count([os.path.join(self.folder, name)
                      for name in os.listdir(self.folder)])

    def clear(self):
        """The folder is all there is."""


def tcpdump(t, wire, folder, packets):
    return Peer(t, wire, folder, [
        "tcpdump", "-i", "pb1", "-n", "-s", "0", "-B", str(RING_MIB * 1024),
        "-Z", "root", "-w", os.path.join(folder, "t.pcap")])


def dumpcap(t, wire, folder, packets):
    return Peer(t, wire, folder, [
        "dumpcap", "-q", "-i", "pb1", "-B", str(RING_MIB), "-s", "262144",
        "-w", os.path.join(folder, "d.pcapng")])


def netsniff(t, wire, folder, packets):
    return Peer(t, wire, folder, [
        "netsniff-ng", "--in", "pb1", "--out",
        os.path.join(folder, "n.pcap"), "--silent", "--ring-size",
        "%dMiB" % RING_MIB, "--no-hwtimestamp"])


class Stenographer(Peer):
    """Its writer, stenotype.  It wants its files of a known size."""
    FILE_MB_MAX, HEADER, AIOPS = 4000, 100, 128
    EXTRA_S = 10

    def __init__(self, t, wire, folder, packets):
        for name in ("PKT0", "IDX0"):
            os.makedirs(os.path.join(folder, name))
            # The files are written by an account without privileges.
            os.chmod(os.path.join(folder, name), 0o777)
        need_mb = packets * (wire.size + self.HEADER) / MIB + 16
        files = math.ceil(need_mb / self.FILE_MB_MAX)
        megabytes = max(math.ceil(need_mb / files), self.AIOPS)
        super().__init__(t, wire, folder, [
            "stenotype", "-v", "-v", "--iface=pb1", "--dir=" + folder,
            "--threads=1", "--blocks=%d" % RING_MIB, "--aiops=%d" % self.AIOPS,
            "--uid=nobody", "--gid=nogroup", "--seccomp=none",
            "--fileage_sec=3600", "--filesize_mb=%d" % megabytes,
            "--preallocate_file_mb=%d" % megabytes])

    def stop(self):
        """It writes its indexes when it is interrupted, and then never ends
        (1.0.1): it is looked at until it is silent, and killed."""
        self.proc.send_signal(signal.SIGINT)
        wait_until(lambda: "Finishing thread" in self.said(),
                   "stenotype to write its index", 60)
        was = None
        while was != (self.said(), cpu_of(self.pid)):
            was = self.said(), cpu_of(self.pid)
            time.sleep(0.5)
        self.memory = memory_of(self.pid)
        self.proc.kill()
        self.proc.wait(60)
        self.cpu = self.proc.cpu

    def kept(self):
        """Its files are no pcap: it says how many it has indexed."""
        return sum(int(line.split("Stored ")[1].split()[0])
                   for line in self.said().splitlines() if "Stored " in line)


SUBJECTS = (
    (OURS, None, lambda t, w, f, n: Ours(t, w)),
    (BARE, None, lambda t, w, f, n: Ours(t, w, store=["flows = no"])),
    ("dumpcap", "dumpcap", dumpcap),
    ("tcpdump", "tcpdump", tcpdump),
    ("netsniff-ng", "netsniff-ng", netsniff),
    ("stenographer", "stenotype", Stenographer),
)


def measure(row, size, only=None):
    """Every subject in every round; `only` names some."""
    packets = row.amount(FULL, QUICK)
    row.scope = "{:,} packets".format(packets)
    wire = Wire(row.t, size)
    # What runs as nobody has to get to its folder.
    os.chmod(row.t.dir, 0o755)
    for _ in row.rounds():
        for name, tool, start in row.turns(SUBJECTS):
            if only and name not in only:
                continue
            if tool and not shutil.which(tool):
                row.skip(name, "not installed")
                continue
            try:
                one(row, wire, name, start, packets)
            except (Failure, subprocess.SubprocessError) as e:
                if name in (OURS, BARE):
                    raise
                row.skip(name, str(e))
                end_children(row.t)


def one(row, wire, name, start, packets):
    folder = tempfile.mkdtemp(prefix="bench-", dir=row.t.dir)
    os.chmod(folder, 0o777)
    try:
        quiet()
        recorder = start(row.t, wire, folder, packets)
        watch(row, wire, name, recorder, packets)
        recorder.clear()
    finally:
        shutil.rmtree(folder)


def watch(row, wire, name, recorder, packets):
    """Send, stop, count."""
    started, busy = cpu_exact(recorder.pid), cpu_busy()
    arrived, took, sender = wire.send(packets)
    settle(recorder.pid, RING_S +
           (0 if row.mode == "quick" else recorder.EXTRA_S))
    recorder.stop()
    os.sync()
    cpu, busy = recorder.cpu - started, cpu_busy() - busy - sender
    kept = recorder.kept()
    check(0 < kept <= arrived, name, "has", kept, "of", arrived, "packets")
    row.note(name, "sent Mpps", packets / took / 1e6)
    if not (row.mode == "quick" and recorder.EXTRA_S):
        row.note(name, "lost %", 100 * (arrived - kept) / arrived)
    row.note(name, CPU, cpu * 1e9 / kept)
    row.note(name, "all " + CPU, busy * 1e9 / kept)
    row.note(name, "CPU s", cpu)
    row.note(name, "CPU s to start", started)
    row.note(name, "memory MiB", recorder.memory / MIB)


def index_cost(row):
    row.goal("CPU ns a packet for flow tables (at most %d)" % INDEX_NS_MAX,
             row.median(OURS, CPU) - row.median(BARE, CPU),
             most=INDEX_NS_MAX)


def capture_1500(row):
    measure(row, 1500)
    index_cost(row)
    row.goal("percent lost, in the worst round", row.worst(OURS, "lost %"),
             most=0)
    row.goal("CPU per packet kept, to dumpcap's (at most 1/3)",
             row.ratio(CPU, "dumpcap"), most=1 / 3)
    row.goal("CPU per packet kept, to stenographer's (below 1)",
             row.ratio(CPU, "stenographer"), most=1)


def capture_64(row):
    measure(row, 64)
    index_cost(row)
    row.goal("percent lost, in the worst round", row.worst(OURS, "lost %"),
             most=0)
    row.goal("CPU per packet, to dumpcap's (at most 1/6)",
             row.ratio(CPU, "dumpcap"), most=1 / 6)
    row.goal("CPU per packet, to tcpdump's (at most 1)",
             row.ratio(CPU, "tcpdump"), most=1)


WHAT = ("Frames of %d bytes from `trafgen -P 1 -n N` on CPU " +
        SENDER_CPU + ", at full rate over a veth pair to a recorder on CPU " +
        OTHER_CPU + " (`taskset -c " + OTHER_CPU + "`) with a ring of " +
        "%d MiB: `dumpcap -i pb1 -B 256 -w F`, `tcpdump -i pb1 -s 0 -B "
        "262144 -w F`, `netsniff-ng --in pb1 --out F --ring-size 256MiB`, "
        "`stenotype --iface=pb1 --threads=1 --blocks=256 --aiops=128 "
        "--preallocate_file_mb=N`; ours with metadata, digests and index, "
        "synced, others not.  Packets kept: `capinfos -c` of the files, for "
        "stenographer what it says to have indexed.  CPU: user and system "
        "time of the process from before the first packet to its end (`to "
        "start`: up to then); `all CPU`: what the machine was busy but for "
        "the sender, until the disk has everything.")

ROWS = (
    ("capture-1500", WHAT % (1500, RING_MIB), capture_1500),
    ("capture-64", WHAT % (64, RING_MIB), capture_64),
)
