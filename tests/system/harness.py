"""What every system test shares: real programs, temp stores, namespaces.

    from harness import *

    def a_sentence_that_must_be_true(t):
        node = t.node("edge")
        ...

    main("070", a_sentence_that_must_be_true, ...)

Each check gets a fresh `t` (Test): what it starts, makes or mounts is ended
and removed when the check ends, whatever happened.  A check passes, fails
by an exception, or skips by skip("why").  One line is printed for each:
`ok NNN name`, `not ok NNN name: why`, `skip NNN name: why`.

The environment: BUILD (where the programs are), PB_WRAP (put before the
daemons, as valgrind), PB_SLOW (how slow the programs are; by itself 1, 4
with sanitizers, 10 with PB_WRAP), PB_CAPTURES, PB_SEED, PB_KEEP=1 (leave
the temp directory of a failed check).
"""

import contextlib
import ctypes
import http.client
import json
import os
import random
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import pngread

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.path.join(ROOT, os.environ.get("BUILD", "build")))
WRAP = shlex.split(os.environ.get("PB_WRAP", ""))
CAPTURES = os.path.abspath(os.path.join(
    ROOT, os.environ.get("PB_CAPTURES", "../shared/captures")))
SEED = int(os.environ.get("PB_SEED", "0")) or int(time.time())
FILE_SECONDS_MAX = 60       # of one test file, times SLOW


def _slow():
    if os.environ.get("PB_SLOW"):
        return float(os.environ["PB_SLOW"])
    if WRAP:
        return 10.0
    return 4.0 if "san" in os.path.relpath(BUILD, ROOT) else 1.0


SLOW = _slow()
SLACK = 3 * SLOW            # of patience: none too much on a busy machine
# Seconds of patience behind a fault that is over, where a shipper is to try
# again: the longest wait of backoff (30 s, PB_BACKOFF_MS_MAX), and more.
HEALED = 45.0
IS_ROOT = os.geteuid() == 0


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def skip(why):
    raise Skip(why)


def check(condition, *why):
    """Fail with the words of `why` unless `condition`."""
    if not condition:
        raise Failure(" ".join(str(w) for w in why))


def equal(have, want, what):
    if have != want:
        raise Failure("%s: have %s, want %s"
                      % (what, _short(have), _short(want)))


def _short(value):
    line = repr(value)
    return line if len(line) < 400 else line[:400] + "..."


def need_root():
    if not IS_ROOT:
        skip("needs root, for network namespaces and raw packets")


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            skip("needs %s, which is not installed" % tool)


def need_captures():
    if not os.path.isdir(CAPTURES):
        skip("no captures at %s (PB_CAPTURES names the folder)" % CAPTURES)


def wait_until(condition, what, seconds=10.0, pause=0.02):
    """Ask until `condition()` is true; returns what it returned."""
    end = time.monotonic() + seconds * SLACK
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("waited %gs in vain: %s" % (seconds * SLACK, what))
        time.sleep(pause)


def run(argv, seconds=30.0, stdin=None, env=None, cwd=None):
    """Run to the end; CompletedProcess with bytes."""
    try:
        return subprocess.run(argv, input=stdin, capture_output=True,
                              timeout=seconds * SLACK, cwd=cwd,
                              env=dict(os.environ, **(env or {})))
    except subprocess.TimeoutExpired:
        raise Failure("did not end within %gs: %s"
                      % (seconds * SLACK, " ".join(argv)))


def must(argv, **kw):
    """Run; status 0 or fail with what it said; returns its output."""
    done = run(argv, **kw)
    if done.returncode != 0:
        raise Failure("%s: status %d: %s" % (
            " ".join(argv), done.returncode,
            done.stderr.decode("utf-8", "replace").strip()[-600:]))
    return done.stdout


def free_port():
    """Below those that connections are given (ip_local_port_range): one that
    goes out meanwhile must not take it."""
    while True:
        port = 10000 + int.from_bytes(os.urandom(4), "little") % 22000
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def parse_time(stamp):
    """Nanoseconds of an RFC 3339 UTC time with nine decimals."""
    import calendar
    whole, _, frac = stamp.rstrip("Z").partition(".")
    sec = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return sec * 10**9 + int((frac + "0" * 9)[:9])


def die_with_parent():
    """In the child: an abandoned daemon ends with its test."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def enter(netns):
    """What to put before a command that runs in a network namespace.
    (`ip netns exec` wants to remount /, which a chroot or a container may
    refuse.)"""
    return ["nsenter", "--net=/run/netns/" + netns]


class LogPipe:
    """A program's standard error on its way to its log: a pipe, which can
    stand for a while, as that of a reader who hangs."""

    def __init__(self, log):
        self.log = log
        self.out, self.into = os.pipe()
        self.reading = threading.Lock()
        self.stands = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def begun(self):
        """The program has its own end of it."""
        os.close(self.into)

    def _read(self):
        with open(self.log, "ab", buffering=0) as log:
            while True:
                select.select([self.out], [], [])
                with self.reading:
                    data = os.read(self.out, 65536)
                if not data:
                    return
                log.write(data)

    def stand(self):
        """From here on nobody reads, and not one byte more has room."""
        if self.stands:
            return
        self.reading.acquire()
        self.stands = True
        into = os.open("/proc/self/fd/%d" % self.out,
                       os.O_WRONLY | os.O_NONBLOCK)
        for step in (4096, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(into, b"\n" * step)
        os.close(into)

    def flow(self):
        if self.stands:
            self.stands = False
            self.reading.release()

    def ended(self):
        """The program is gone: what it said last is in the log."""
        self.flow()
        self.thread.join(15 * SLACK)
        if not self.thread.is_alive() and self.out >= 0:
            os.close(self.out)
            self.out = -1


class Daemon:
    """One running program with its log, known by its pid.  `before` stands
    before the command, in its namespace; `piped` puts a LogPipe between the
    program and its log."""

    def __init__(self, t, name, argv, netns=None, env=None, ready=True,
                 before=(), piped=False):
        self.t, self.name, self.argv = t, name, argv
        self.log = os.path.join(t.dir, name + ".log")
        self.pipe = None
        full = [*before, *WRAP, *argv]
        if netns:
            full = enter(netns) + full
        notify = None
        env = dict(os.environ, **(env or {}))
        if ready:
            notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            path = os.path.join(t.dir, "notify.%d" % t.number())
            notify.bind(path)
            env["NOTIFY_SOCKET"] = path
        with open(self.log, "ab") as log:
            self.mark = log.tell()
            if piped:
                self.pipe = LogPipe(self.log)
            said = self.pipe.into if piped else log
            self.proc = subprocess.Popen(
                full, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                env=env, preexec_fn=die_with_parent)
        if piped:
            self.pipe.begun()
        t.daemons.append(self)
        self.said = b""
        if ready:
            self._wait_ready(notify)

    def _wait_ready(self, notify):
        notify.settimeout(0.05)
        end = time.monotonic() + 15 * SLACK
        try:
            while b"READY=1" not in self.said:
                if self.proc.poll() is not None:
                    raise Failure("%s ended with status %d: %s" % (
                        self.name, self.proc.returncode, self.tail()))
                if time.monotonic() > end:
                    raise Failure("%s never said READY=1: %s"
                                  % (self.name, self.tail()))
                with contextlib.suppress(socket.timeout):
                    self.said += notify.recv(4096) + b"\n"
        finally:
            os.unlink(notify.getsockname())
            notify.close()

    @property
    def pid(self):
        return self.proc.pid

    def alive(self):
        return self.proc.poll() is None

    def text(self):
        """What it has logged since it was started."""
        if self.pipe and not self.alive():
            self.pipe.ended()
        with open(self.log, "rb") as f:
            f.seek(self.mark)
            return f.read().decode("utf-8", "replace")

    def says(self, pattern, count=1):
        """The lines that match, once there are `count`: a thread writes them,
        a little after their cause.  More of them are a failure."""
        def found():
            return [line for line in self.text().splitlines()
                    if re.search(pattern, line)]
        wait_until(lambda: len(found()) >= count,
                   "%s logs '%s'" % (self.name, pattern))
        equal(len(found()), count, "lines of %s with '%s': %s"
              % (self.name, pattern, found()[:3]))
        return found()

    def tail(self):
        return " | ".join(self.text().strip().splitlines()[-6:]) or "(silent)"

    def stop(self, seconds=15.0):
        """SIGTERM; it ends by itself with status 0."""
        if self in self.t.daemons:
            self.t.daemons.remove(self)
        if self.alive():
            self.proc.send_signal(signal.SIGTERM)
        try:
            status = self.proc.wait(seconds * SLACK)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            raise Failure("%s did not end on SIGTERM: %s"
                          % (self.name, self.tail()))
        if status != 0:
            raise Failure("%s: status %d after SIGTERM: %s"
                          % (self.name, status, self.tail()))

    def kill(self):
        """kill -9 of a program that runs: one that has died by itself is a
        failure."""
        if not self.alive():
            raise Failure("%s had ended by itself, status %s: %s" % (
                self.name, self.proc.returncode, self.tail()))
        if self in self.t.daemons:
            self.t.daemons.remove(self)
        self.proc.kill()
        self.proc.wait()


class Node:
    """A node: a configuration, a store, its programs, and `pb` on it."""

    def __init__(self, t, name, description="", captures=(), listen=None,
                 upstreams=None, edges=None, netns=None, store=(), extra="",
                 where=None, env=None):
        self.t, self.name = t, name
        self.netns = netns
        self.env = env          # what `pb` is told besides
        self.captures = [c if isinstance(c, str) else c[0] for c in captures]
        self.port = None
        self.store = where or os.path.join(t.dir, name)
        self.conf = os.path.join(t.dir, name + ".conf")
        self.recorder = self.shipper = None
        lines = ["[node]", "name = " + name]
        if description:
            lines.append("description = " + description)
        lines += ["[store]", "path = " + self.store, "min_free = 0"]
        lines += list(store)
        for one in captures:
            interface, *more = [one] if isinstance(one, str) else one
            lines += ["[capture %s]" % interface] + more
        if listen:
            self.port = free_port() if listen is True else listen
            lines += ["[listen]", "address = 127.0.0.1:%d" % self.port,
                      "tls = off"]
        others = [("upstream", *up) for up in (upstreams or {}).items()]
        others += [("edge", *edge) for edge in (edges or {}).items()]
        for kind, other, where in others:
            url, *more = [where] if isinstance(where, (str, Node)) else where
            if isinstance(url, Node):
                url = "http://127.0.0.1:%d" % url.port
            lines += ["[%s %s]" % (kind, other), "url = " + url]
            if not url.startswith("interface:"):
                lines.append("tls = off")
            lines += more
        with open(self.conf, "w") as f:
            f.write("\n".join(lines) + "\n" + extra)

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def start_recorder(self, **kw):
        self.recorder = Daemon(
            self.t, self.name + "-recorder",
            [os.path.join(BUILD, "pb-recorder"), "-c", self.conf],
            netns=self.netns, **kw)
        self._wait_capturing()
        return self.recorder

    def _wait_capturing(self):
        """An absent interface hinders no start, so that being ready says
        nothing of a capture: those that can be are waited for."""
        for interface in self.captures:
            there = run([*enter(self.netns), "ip", "link", "show", interface])
            if there.returncode == 0:
                wait_until(lambda: "interface=%s " % interface in
                           self.recorder.text(),
                           "%s captures %s" % (self.name, interface))

    def start_shipper(self, **kw):
        # In the test's own namespace: it only needs the store and the net.
        self.shipper = Daemon(
            self.t, self.name + "-shipper",
            [os.path.join(BUILD, "pb-shipper"), "-c", self.conf], **kw)
        return self.shipper

    def start(self):
        self.start_recorder()
        if re.search(r"^\[(upstream|edge) ", open(self.conf).read(), re.M):
            self.start_shipper()
        return self

    def stop(self):
        for daemon in (self.recorder, self.shipper):
            if daemon and daemon.alive():
                daemon.stop()

    def pb_run(self, *args, **kw):
        kw.setdefault("env", self.env)
        return run([os.path.join(BUILD, "pb"), "-c", self.conf, *args], **kw)

    def pb(self, *args, **kw):
        """Status 0 or fail; what it printed."""
        kw.setdefault("env", self.env)
        return must([os.path.join(BUILD, "pb"), "-c", self.conf, *args], **kw)

    def rows(self, *args, **kw):
        """The JSON objects of `pb --json`-style output, one a line."""
        out = self.pb(*args, "--json", **kw)
        try:
            return [json.loads(line) for line in out.splitlines()]
        except ValueError as e:
            raise Failure("pb %s --json: %s: %s"
                          % (" ".join(args), e, _short(out)))

    def streams(self):
        return {(r["node"], r["interface"], r["epoch"]): r
                for r in self.rows("streams")}

    def ends(self):
        """Each stream's durable end."""
        if not os.path.isdir(os.path.join(self.store, "index")):
            return {}
        return {k: r["last_seq"] for k, r in self.streams().items()}

    def query(self, *args):
        """`pb query -w -`, read by our independent reader."""
        out = self.pb("query", *args, "-w", "-")
        return pngread.read(out)

    def files(self):
        """Every segment file in the store, open ones included."""
        found = []
        for folder, _, names in os.walk(os.path.join(self.store, "segments")):
            found += [os.path.join(folder, n) for n in names
                      if n.endswith((".pcapng", ".pcapng.open")) and
                      not n.startswith(".")]
        return sorted(found)

    def sockets(self):
        """{(index of its interface, inode)} of the packet sockets in its
        namespace."""
        rows = must([*enter(self.netns), "cat", "/proc/net/packet"])
        return {(int(row[4]), row[8]) for row in
                map(str.split, rows.decode().splitlines()[1:])}

    def captures_anew(self, before, count=1):
        """Wait until `count` sockets capture, and none of `before`, a set of
        sockets: the log tells late, of what was lost soon."""
        def anew():
            now = self.sockets()
            return len(now) == count and not now & before
        wait_until(anew, "%s captures anew by %d sockets" % (
            self.name, count))

    def http(self, method, path, body=None, headers=None):
        """One request; (status, headers, body)."""
        c = http.client.HTTPConnection("127.0.0.1", self.port,
                                       timeout=20 * SLACK)
        try:
            c.request(method, path, body=body, headers=headers or {})
            r = c.getresponse()
            return r.status, dict(r.getheaders()), r.read()
        finally:
            c.close()


def by_stream(capture):
    """{interface name: [(seq, time, origlen, data)] by seq}.  Every number
    once, or a failure."""
    out = {}
    for i in capture.interfaces:
        rows = out.setdefault(i.name, [])
        rows += [(p.seq, p.time_ns, p.origlen, p.data) for p in i.packets]
    for name, rows in out.items():
        rows.sort(key=lambda r: r[0])
        numbers = [r[0] for r in rows]
        check(len(set(numbers)) == len(numbers),
              "stream", name, "has a sequence number twice")
    return out


def segment_packets(node, stream=None):
    """{(origin, interface, epoch hex): [(seq, time, origlen, data)]}, read
    straight from the files of a store, which says nothing by way of `pb`."""
    out = {}
    for path in node.files():
        try:
            capture = pngread.read(path)
        except FileNotFoundError:       # sealed meanwhile: its other name
            capture = pngread.read(path.removesuffix(".open"))
        me = pngread.identity(capture.sections[0])
        check(me, path, "does not say whose it is")
        key = (me["nodes"][0][0], me["interface"], "%016x" % me["epoch"])
        out.setdefault(key, []).extend(
            (p.seq, p.time_ns, p.origlen, p.data) for p in capture.packets)
    for key, rows in out.items():
        rows.sort(key=lambda r: r[0])
        numbers = [r[0] for r in rows]
        check(len(set(numbers)) == len(numbers),
              node.name, key, "has a sequence number twice")
    return out


def drained(edge, *others, seconds=HEALED):
    """Wait until each of `others` has all that `edge` has.  Packets of its
    own capture may still come: see Test.all_stored()."""
    def level():
        want = edge.ends()
        return all(all(o.ends().get(k, 0) >= v for k, v in want.items())
                   for o in others) and want == edge.ends()
    try:
        wait_until(level, "drain", seconds, pause=0.1)
    except Failure:
        raise Failure("not drained: %s" % "; ".join(
            "%s %s" % (n.name, sorted(n.ends().items()))
            for n in (edge,) + others))


class Test:
    """What one check may use; close() undoes all of it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="pb-sys-")
        self.daemons = []
        self.namespaces = []
        self.children = []
        self._number = 0

    def number(self):
        self._number += 1
        return self._number

    def node(self, name, **kw):
        return Node(self, name, **kw)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        path = self.path(name)
        with open(path, "wb" if isinstance(data, bytes) else "w") as f:
            f.write(data)
        return path

    # --- the network -----------------------------------------------------

    def netns(self, tag):
        """A fresh network namespace, silent: no IPv6, only what is sent."""
        need_root()
        need("ip")
        name = "pbsys-%d-%d-%s" % (os.getpid(), self.number(), tag)
        made = run(["ip", "netns", "add", name])
        said = made.stderr.decode("utf-8", "replace").strip()
        if made.returncode and ("not permitted" in said or
                                "denied" in said):
            skip("may not make network namespaces here: " + said)
        check(made.returncode == 0, "ip netns add:", said)
        self.namespaces.append(name)
        self.inside(name, "sh", "-c", "for f in all default; do echo 1 > "
                    "/proc/sys/net/ipv6/conf/$f/disable_ipv6; done "
                    "2>/dev/null || true; ip link set lo up")
        return name

    def veth(self, ns_a, a, ns_b, b, mtu=9000):
        """A pair of interfaces, up, `a` in ns_a and `b` in ns_b."""
        must([*enter(ns_a), "ip", "link", "add", a, "mtu", str(mtu), "type",
              "veth", "peer", "name", b, "mtu", str(mtu), "netns", ns_b])
        must([*enter(ns_a), "ip", "link", "set", a, "up"])
        must([*enter(ns_b), "ip", "link", "set", b, "up"])

    def inside(self, ns, *argv, **kw):
        return must(enter(ns) + list(argv), **kw)

    def spawn(self, argv, ns=None, **kw):
        """A helper process, ended with the check."""
        if ns:
            argv = enter(ns) + argv
        child = subprocess.Popen(argv, preexec_fn=die_with_parent, **kw)
        self.children.append(child)
        return child

    def traffic(self, ns, interface, count, rate, size=200, first=1):
        """Numbered frames, `rate` a second; see traffic.py."""
        return self.spawn([sys.executable, os.path.join(HERE, "traffic.py"),
                           interface, str(count), str(rate), str(size),
                           str(first)], ns)

    def sent(self, ns, interface):
        """Frames that were sent on it so far."""
        said = self.inside(ns, "ip", "-j", "-s", "link", "show", interface)
        return json.loads(said)[0]["stats64"]["tx"]["packets"]

    def all_stored(self, edge, seconds=20.0):
        """Wait until `edge`, a node of edge_with_traffic() whose recorder
        ran all the while, has each frame that was sent on pb0, or has told
        that it was dropped; how many were sent.

        For when nothing is sent any more.  What is durable at a moment, or
        has been read, tells nothing of frames in the kernel's ring: they
        come when the capturing thread has its turn, and on a busy machine
        that is later than any sleep."""
        sent = self.sent(self.sender, "pb0")

        def stored():
            return sum(r["packets"] + r["dropped"] for r in edge.rows(
                "streams", "--stream", edge.name + "/pb1"))
        wait_until(lambda: stored() == sent, "the %d frames that were sent "
                   "are stored" % sent, seconds, pause=0.1)
        return sent

    def edge_with_traffic(self, **kw):
        """A node `edge` that captures pb1 in a namespace of its own; what
        is sent on pb0 in the namespace .sender arrives there."""
        self.sender = self.netns("tx")
        inner = self.netns("rx")
        self.veth(self.sender, "pb0", inner, "pb1")
        kw.setdefault("captures", [("pb1", "description = ToR uplink")])
        return self.node("edge", description="London, rack 4", netns=inner,
                         **kw)

    # --- the end ---------------------------------------------------------

    def close(self, failed):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        for daemon in list(self.daemons):
            if daemon.alive():
                daemon.kill()
        for ns in self.namespaces:
            run(["ip", "netns", "del", ns])
        if failed and os.environ.get("PB_KEEP"):
            print("# kept: " + self.dir, flush=True)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


def _stop(signum, frame):
    raise SystemExit(128 + signum)


def _too_long(signum, frame):
    raise Failure("the file's %d s are over" % (FILE_SECONDS_MAX * SLACK))


def _cleanup_quietly(t, failed):
    # A second signal must not leave a namespace behind.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.alarm(0)
    t.close(failed)
    signal.signal(signal.SIGTERM, _stop)


def main(number, *checks, seconds=FILE_SECONDS_MAX):
    """Run the checks named on the command line, or all."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGALRM, _too_long)
    for program in ("pb-recorder", "pb-shipper", "pb"):
        if not os.access(os.path.join(BUILD, program), os.X_OK):
            print("not ok %s: no %s in %s" % (number, program, BUILD))
            sys.exit(1)
    end = time.monotonic() + seconds * SLACK
    failed = 0
    wanted = sys.argv[1:]
    for one in checks:
        if wanted and one.__name__ not in wanted:
            continue
        name = "%s %s" % (number, one.__name__)
        t = Test()
        bad = True
        signal.alarm(max(1, int(end - time.monotonic())))
        try:
            random.seed(SEED)
            one(t)
            for daemon in list(t.daemons):
                daemon.stop()
            bad = False
            line = "ok " + name
        except Skip as e:
            bad = False
            line = "skip %s: %s" % (name, e)
        except (Failure, OSError, KeyError, ValueError, IndexError,
                TypeError, pngread.Malformed, http.client.HTTPException) as e:
            why = str(e) if isinstance(e, Failure) else repr(e)
            at = [f for f in traceback.extract_tb(e.__traceback__)
                  if os.path.dirname(f.filename) == HERE and
                  os.path.basename(f.filename)[0].isdigit()]
            line = "not ok %s: line %d: %s" % (
                name, at[-1].lineno if at else 0, why.replace("\n", " | "))
            if os.environ.get("PB_TRACE"):
                traceback.print_exc()
        finally:
            _cleanup_quietly(t, bad)
        failed += bad
        print(line, flush=True)
    sys.exit(1 if failed else 0)
