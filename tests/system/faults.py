"""Faults that an operator knows, made and taken away again.

    with small_disk(t, "edge", 96) as disk:     # mounted at t.dir/edge
        disk.fill(); ...; disk.empty()

    with failing(t, pid, "fdatasync:error=EIO"):    # strace, attached
        ...

    with descriptors(pid, 0):                   # none is left to open
        ...
"""

import contextlib
import http.client
import re
import resource
import socket
import struct
import threading

from harness import *
import samples
import traffic

EPOCH = "00c0ffee00c0ffee"


# --- packets by HTTP --------------------------------------------------------

def section(name, first, last, size=60):
    """A body: packets first..last of an interface, each with its number."""
    out = samples.shb("<")
    out += samples.idb("<", 1, (2, name.encode()), (9, b"\x09"))
    return out + b"".join(
        samples.epb("<", 0, samples.T0 * 10**9 + n, samples.eth(n, size),
                    (5, struct.pack("<Q", n)))
        for n in range(first, last + 1))


class Local(http.client.HTTPConnection):
    """To a recorder by its socket."""

    def __init__(self, node):
        super().__init__("node", timeout=20 * SLACK)
        self.path = os.path.join(node.store, "recorder.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def push(node, stream, first, last, size=60, by=None):
    """One push; (status, headers, the answer's members)."""
    c = by or (http.client.HTTPConnection("127.0.0.1", node.port,
                                          timeout=20 * SLACK)
               if node.port else Local(node))
    try:
        c.request("POST", "/v1/streams/%s/%s/packets" % (stream, EPOCH),
                  section(stream.partition("/")[2], first, last, size),
                  {"PB-First": str(first), "PB-Last": str(last)})
        r = c.getresponse()
        return r.status, dict(r.getheaders()), json.loads(r.read())
    finally:
        if by is None:
            c.close()


def refused(answer, words, what):
    """503, when to try again, and the reason."""
    status, headers, body = answer
    equal(status, 503, "%s: status (%s)" % (what, body))
    check(int(headers.get("Retry-After", 0)) > 0, what, headers)
    check(words in body["error"], what, "says", body)


def status(node):
    return node.rows("status")[0]


def writer(node):
    return status(node)["live"]["writer"]


# --- frames that were captured ----------------------------------------------

def frames(node):
    """(number of the frame, drop count) in order of arrival."""
    capture = node.query("--stream", "edge/pb1")
    packets = sorted(capture.packets, key=lambda p: p.seq)
    equal([p.seq for p in packets], list(range(1, len(packets) + 1)),
          "sequence numbers")
    return [(traffic.number_of(p.data), p.dropcount or 0) for p in packets]


def told_where_lost(rows, sent):
    """Each hole in what was sent is told, exactly, by a packet beside it;
    how many were lost."""
    lost = sum(drops for _, drops in rows)
    equal(len(rows) + lost, sent, "stored and lost")
    for (a, told_before), (b, told_after) in zip(rows, rows[1:]):
        hole = b - a - 1
        check(hole in (0, told_after, told_before), "hole of", hole,
              "between frames", a, "and", b, "told", told_before, told_after)
    return lost


# --- daemons ----------------------------------------------------------------

def lines(daemon, pattern):
    return [line for line in daemon.text().splitlines()
            if re.search(pattern, line)]


def alive(*daemons):
    for daemon in daemons:
        check(daemon.alive(), daemon.name, "ended:", daemon.tail())


def once(daemon, pattern, what):
    """The one line that says so."""
    try:
        return daemon.says(pattern)[0]
    except Failure as e:
        raise Failure("%s: %s" % (what, e)) from e


def rss(pid):
    """Resident bytes."""
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) << 10


def cpu(pid):
    """Seconds of processor time so far."""
    with open("/proc/%d/stat" % pid) as f:
        rest = f.read().rpartition(")")[2].split()
    return (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")


def end_all(t, failed):
    """What runs on a disk has to end before the disk can go."""
    for daemon in list(t.daemons):
        if failed and daemon.alive():
            daemon.kill()
        elif not failed:
            daemon.stop()


# --- disks ------------------------------------------------------------------

class Disk:
    def __init__(self, path):
        self.path = path
        self.ballast = os.path.join(path, "ballast")

    def free(self):
        at = os.statvfs(self.path)
        return at.f_bavail * at.f_frsize

    def fill(self, leave=0):
        """Take what is free but for `leave` bytes."""
        with open(self.ballast, "wb") as f:
            with contextlib.suppress(OSError):
                while self.free() > leave:
                    at = f.seek(0, os.SEEK_END)
                    step = self.free() - leave
                    while step >= 4096:
                        try:
                            os.posix_fallocate(f.fileno(), at, step)
                            break
                        except OSError:
                            step //= 2
                    if step < 4096:
                        break
            os.fsync(f.fileno())

    def empty(self):
        os.unlink(self.ballast)


@contextlib.contextmanager
def small_disk(t, name, mib):
    """An ext4 of its own, `mib` large, mounted at t.dir/name."""
    need_root()
    need("mkfs.ext4", "mount", "umount", "losetup")
    image, path = t.path(name + ".img"), t.path(name)
    with open(image, "wb") as f:
        f.truncate(mib << 20)
    must(["mkfs.ext4", "-q", "-m", "0", "-b", "4096", "-J", "size=4",
          image])
    os.mkdir(path)
    made = run(["mount", "-o", "loop", image, path])
    if made.returncode:
        skip("may not mount a loop device here: "
             + made.stderr.decode("utf-8", "replace").strip())
    failed = True
    try:
        yield Disk(path)
        failed = False
    finally:
        # The device goes with the mount.
        try:
            end_all(t, failed)
        finally:
            if run(["umount", path]).returncode:
                run(["umount", "-l", path])


@contextlib.contextmanager
def read_only(path):
    """What is opened below `path` from now on cannot be written.  (A whole
    file system cannot be made so while files in it are open for writing:
    what is open stays writable here.)"""
    need_root()
    need("mount", "umount")
    # Made beside it, since the programs open files all the time.
    beside = path + ".ro"
    os.mkdir(beside)
    made = run(["mount", "--bind", path, beside])
    if made.returncode:
        skip("may not mount here: "
             + made.stderr.decode("utf-8", "replace").strip())
    mounted = [beside]
    try:
        must(["mount", "-o", "remount,bind,ro", beside])
        must(["mount", "--bind", beside, path])
        mounted.append(path)
        yield
    finally:
        for one in reversed(mounted):
            if run(["umount", one]).returncode:
                run(["umount", "-l", one])
        os.rmdir(beside)


# --- links -------------------------------------------------------------------

class SlowDoor:
    """A way to 127.0.0.1:port: `rate` bits a second each way, all
    connections together, with small buffers."""

    def __init__(self, port, rate=50000):
        self.port, self.lock = port, threading.Lock()
        self.rate = rate / 8                    # bytes a second
        self.free = {True: 0.0, False: 0.0}     # up, down: from when on
        self.sent = {True: 0, False: 0}         # bytes
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(100)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.spawn(self.serve)

    def spawn(self, call, *args):
        def quiet():
            with contextlib.suppress(OSError):
                call(*args)
        threading.Thread(target=quiet, daemon=True).start()

    def serve(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.socket()
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            far.connect(("127.0.0.1", self.port))
            self.spawn(self.copy, near, far, True)
            self.spawn(self.copy, far, near, False)

    def copy(self, source, sink, up):
        try:
            while data := source.recv(512):
                with self.lock:
                    now = time.monotonic()
                    self.free[up] = max(self.free[up], now) + \
                        len(data) / self.rate
                    pause = self.free[up] - now
                    self.sent[up] += len(data)
                time.sleep(pause)
                sink.sendall(data)
        finally:
            for s in (source, sink):
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)


# --- system calls -----------------------------------------------------------

@contextlib.contextmanager
def failing(t, pid, *faults, path=None):
    """The system calls named fail in all threads of `pid`; where `path` is
    given, only those on files below it that are open now."""
    need("strace")
    names = [f.split(":")[0] for f in faults]
    argv = ["strace", "-f", "-q", "-o", "/dev/null", "-p", str(pid),
            "-e", "trace=" + ",".join(names)]
    for fault in faults:
        argv += ["-e", "inject=" + fault]
    for one in path or []:
        argv += ["-P", one]
    tracer = t.spawn(argv, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: tracer.poll() is not None or _traced(pid),
                   "strace attaches")
        if tracer.poll() is not None:
            why = tracer.stderr.read().decode("utf-8", "replace").strip()
            skip("strace may not attach here: " + why)
        yield
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(20 * SLACK)
        tracer.stderr.close()


def _traced(pid):
    """All threads of it."""
    def one(task):
        with contextlib.suppress(OSError):
            with open("/proc/%d/task/%s/status" % (pid, task)) as f:
                return "TracerPid:\t0\n" not in f.read()
        return True
    return all(one(task) for task in os.listdir("/proc/%d/task" % pid))


@contextlib.contextmanager
def descriptors(pid, spare):
    """The process may open `spare` more files."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(fd) for fd in os.listdir("/proc/%d/fd" % pid)}
    limit = 0
    while spare >= 0:
        spare -= limit not in used
        limit += spare >= 0
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
