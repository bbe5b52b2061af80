"""Starting costs nothing that grows with the store: a recorder, a shipper
and `pb status` on many segments are ready as soon, and with as few calls,
files and bytes of memory, as on few.

The files are made here, each with one packet, in a memory file system, and
the index by `pb reindex`.  PB_FULL=1 takes the 100,000.
"""

import re
import shutil
import struct

from faults import *

FULL = bool(os.environ.get("PB_FULL"))
STREAMS = 20
FEW, MANY = (1000, 100000) if FULL else (400, 4000)
SECONDS_MAX = 900 if FULL else 60
RSS_MAX, FDS_MAX = 64 << 20, 64
# What may differ between two starts of one program: a thread that finds
# work a moment sooner, a deeper tree, a page of rows more.
CALLS_MORE_MAX = 300
OPENS_MORE_MAX = 10
PEN, MARK = 32473, b"PB"


def segment(name, epoch, seq):
    """A sealed segment of one packet."""
    me = struct.pack("<I2sBBQQB", PEN, MARK, 1, 1, epoch, seq, 1)
    me += bytes([4, 0]) + b"many" + bytes([len(name)]) + name.encode()
    return (samples.shb("<", (4, "test"), (2989, me)) +
            samples.idb("<", 1, (9, b"\x09"), (2, name.encode())) +
            samples.epb("<", 0, samples.T0 * 10**9 + seq,
                        samples.eth(seq, 60), (5, struct.pack("<Q", seq))))


def make(node, count):
    each = count // STREAMS
    for s in range(STREAMS):
        folder = os.path.join(node.store, "segments", "many", "eth%d" % s,
                              "%016x" % (s + 1))
        os.makedirs(folder)
        for seq in range(1, each + 1):
            with open(os.path.join(folder, "%020d.pcapng" % seq), "wb") as f:
                f.write(segment("eth%d" % s, s + 1, seq))
    start = time.monotonic()
    said = node.pb("reindex", seconds=SECONDS_MAX).decode()
    check(said.startswith("%d streams, %d segments, %d packets" % (
        STREAMS, count, count)), said)
    print("# %d segments: reindex %.1f s" % (
        count, time.monotonic() - start), flush=True)


def figures(pid):
    text = open("/proc/%d/status" % pid).read()
    return (int(re.search(r"VmRSS:\s+(\d+)", text)[1]) << 10,
            int(re.search(r"VmHWM:\s+(\d+)", text)[1]) << 10,
            len(os.listdir("/proc/%d/fd" % pid)))


class Traced:
    """A program under strace -f: its calls until it is ready."""

    def __init__(self, t, name):
        self.log = t.path("strace." + name)
        # LeakSanitizer traces, too, and two cannot.
        self.wrap = ["strace", "-f", "-qq", "-o", self.log,
                     "-E", "ASAN_OPTIONS=detect_leaks=0"]

    def calls(self):
        names = [re.match(r"\d+\s+(\w+)\(", line) for line in
                 open(self.log, errors="replace")]
        names = [m[1] for m in names if m]
        waits = ("futex", "poll", "epoll_wait", "clock_nanosleep",
                 "restart_syscall", "nanosleep")
        return (sum(n not in waits for n in names),
                sum(n in ("open", "openat", "creat") for n in names))


def times_and_memory(t, node, count):
    """Each program's start, untraced; bounded in memory and files."""
    said = []

    def timed(what, call):
        start = time.monotonic()
        out = call()
        said.append("%s %.2f s" % (what, time.monotonic() - start))
        return out

    recorder = timed("recorder", node.start_recorder)
    shipper = timed("shipper", node.start_shipper)
    timed("status", lambda: node.rows("status"))
    timed("core has all", lambda: wait_until(
        lambda: drained_to_core(node, count), "the core has all"))
    for daemon in (recorder, shipper):
        rss, most, fds = figures(daemon.pid)
        said.append("%s: %.1f MiB (most %.1f), %d files" % (
            daemon.name, rss / 2**20, most / 2**20, fds))
        check(most < RSS_MAX, daemon.name, "takes", most, "bytes")
        check(fds < FDS_MAX, daemon.name, "has", fds, "files open")
    print("# %d segments: %s" % (count, ", ".join(said)), flush=True)
    node.stop()


def work(t, node, tag):
    """Calls and files until each is ready, traced."""
    out = {}
    for what in ("recorder", "shipper"):
        traced = Traced(t, "%s-%s" % (tag, what))
        start_traced(node, what, traced)
        out[what] = traced.calls()
    traced = Traced(t, tag + "-status")
    done = run(traced.wrap + [os.path.join(BUILD, "pb"), "-c", node.conf,
                              "status", "--json"])
    equal(done.returncode, 0, "status")
    out["status"] = traced.calls()
    return out


def start_traced(node, what, traced):
    daemon = Daemon(node.t, "%s-%s-traced" % (node.name, what),
                    traced.wrap + [os.path.join(BUILD, "pb-" + what), "-c",
                                   node.conf])
    # strace passes on no signal: the program is its child.
    child = int(open("/proc/%d/task/%d/children" % (
        daemon.pid, daemon.pid)).read().split()[0])
    os.kill(child, signal.SIGTERM)
    node.t.daemons.remove(daemon)
    equal(daemon.proc.wait(30 * SLACK), 0, "%s ends" % what)


def many_segments_start_as_few_do(t):
    need("strace")
    shm = tempfile.mkdtemp(prefix="pb-many-", dir="/dev/shm")
    try:
        answers = {FEW: look(t, shm, FEW), MANY: look(t, shm, MANY)}
    finally:
        shutil.rmtree(shm, ignore_errors=True)
    for what in ("recorder", "shipper", "status"):
        few, many = answers[FEW][what], answers[MANY][what]
        print("# %s: %d calls, %d files opened of %d segments; %d, %d of %d"
              % (what, *few, FEW, *many, MANY), flush=True)
        check(many[0] <= few[0] + CALLS_MORE_MAX, what, "makes", many[0],
              "calls of", MANY, "segments,", few[0], "of", FEW)
        check(many[1] <= few[1] + OPENS_MORE_MAX, what, "opens", many[1])


def look(t, shm, count):
    """One upstream has everything, the other nothing."""
    core = t.node("core%d" % count, listen=True)
    node = t.node("n%d" % count, upstreams={
        "core": core, "gone": "http://127.0.0.1:%d" % free_port()})
    for one in (core, node):
        os.rename(move(one, shm), one.conf)
        make(one, count)
    core.start()
    times_and_memory(t, node, count)
    found = work(t, node, str(count))
    core.stop()
    return found


def drained_to_core(node, count):
    up = {u["name"]: u for u in status(node)["upstreams"]}
    return up["core"]["backlog"] == 0 and up["core"]["streams"] == STREAMS \
        and up["gone"]["backlog"] == count


def move(node, shm):
    """Its store goes into `shm`; a configuration that says so."""
    old, node.store = node.store, os.path.join(shm, node.name)
    os.mkdir(node.store)
    with open(node.conf) as f:
        text = f.read()
    with open(node.conf + ".new", "w") as f:
        f.write(text.replace(old, node.store))
    return node.conf + ".new"


if __name__ == "__main__":
    main(144, many_segments_start_as_few_do, seconds=SECONDS_MAX)
