"""What can go wrong: one class a fault, and the plan of a run.

A fault is drawn from the seed before the run begins: what it hits, how,
when and for how long stand in the plan.  begin() causes it, end() heals
it.  To add one, write its class and name it in KINDS.
"""

import random
from urllib.parse import unquote

from world import *
import pngread
import traffic

FAULTS_PER_SECOND = 0.8
TRIES_MAX = 50          # to find a free moment for a fault of a disk
INJECTED_MAX = 40       # errors in each thread: some calls come again at once
YEAR_S = 31556952


class Fault:
    seconds = (0.5, 3.0)    # how long it lasts
    owns_disk = False       # of `node`: one at a time
    refuses_starts = False  # a program that starts there may end at once

    def __init__(self, rng, number, ways):
        self.number, self.ways = number, ways
        self.programs = ways.programs
        self.rng = random.Random(rng.getrandbits(64))
        self.at = 0.0
        self.lasts = rng.uniform(*self.seconds)
        self.node = None        # whose disk it is about
        self.choose(rng)

    def choose(self, rng):
        """Draw what it hits."""

    def begin(self, world):
        raise NotImplementedError

    def end(self, world):
        raise NotImplementedError

    def words(self):
        return self.node or ""

    def __str__(self):
        return "%s %s (%.2f s)" % (type(self).__name__, self.words(),
                                   self.lasts)

    def hold(self, world, targets):
        for target in targets:
            world.count["kills"] += world.program[target].hold(self)

    def release(self, world, targets):
        for target in targets:
            world.program[target].release(self)

    def both(self):
        return [t for t in self.programs if t[0] == self.node]


class Kill(Fault):
    """kill -9 of up to three programs at once, and a pause."""
    seconds = (0.05, 2.0)

    def choose(self, rng):
        self.targets = rng.sample(self.programs,
                                  rng.choice((1, 1, 1, 2, 3)))

    def words(self):
        return " ".join("/".join(t) for t in self.targets)

    def begin(self, world):
        self.hold(world, self.targets)

    def end(self, world):
        self.release(world, self.targets)


class Stop(Fault):
    """SIGSTOP, later SIGCONT: a machine that stands still."""
    seconds = (0.5, 4.0)

    def choose(self, rng):
        self.target = rng.choice(self.programs)

    def words(self):
        return "/".join(self.target)

    def begin(self, world):
        program = world.program[self.target]
        self.daemon = program.daemon
        world.count["stops"] += program.signal(signal.SIGSTOP)

    def end(self, world):
        program = world.program[self.target]
        if program.daemon is self.daemon:
            program.signal(signal.SIGCONT)


class Cut(Fault):
    """Packets between two nodes vanish on the way, in one direction or in
    both: connections stay half-open."""
    seconds = (0.5, 6.0)

    def choose(self, rng):
        a, b = rng.choice(LINKS)
        self.ways = rng.choice((((a, b),), ((b, a),), ((a, b), (b, a))))

    def words(self):
        return " ".join("%s>%s" % w for w in self.ways)

    def rules(self, world, verb):
        for a, b in self.ways:
            world.t.inside(world.hub, "ip", "rule", verb, "from", address(a),
                           "to", address(b), "blackhole", "pref",
                           str(100 + self.number))

    def begin(self, world):
        self.rules(world, "add")
        world.count["partitions"] += 1

    def end(self, world):
        self.rules(world, "del")


class Unplug(Fault):
    """A node's interface goes down: everybody there knows at once."""
    seconds = (0.5, 5.0)

    def choose(self, rng):
        self.whose = rng.choice(NODES)

    def words(self):
        return self.whose

    def begin(self, world):
        self.turn(world, +1)
        world.count["partitions"] += 1

    def end(self, world):
        self.turn(world, -1)

    def turn(self, world, by):
        """Several may overlap; the last one plugs it in."""
        world.unplugged[self.whose] += by
        down = world.unplugged[self.whose] > 0
        world.t.inside(world.spaces[self.whose], "ip", "link", "set", "net0",
                       "down" if down else "up")
        if not down:
            world.gateway(self.whose)


class FullDisk(Fault):
    """Not one block is free, until some are."""
    seconds = (1.0, 6.0)
    owns_disk = True
    refuses_starts = True

    def choose(self, rng):
        self.node = rng.choice(NODES)

    def begin(self, world):
        self.path = os.path.join(world.t.path(self.node), ".full")
        with open(self.path, "wb", buffering=0) as f:
            for step in (1 << 20, 1 << 12):
                self.grow(f, step)
        world.count["full disks"] += 1

    def grow(self, f, step):
        """Steps are real bytes: a hole takes no room."""
        free = os.fstatvfs(f.fileno())
        at = f.seek(0, os.SEEK_END)
        try:
            if free.f_bfree * free.f_bsize > step:
                os.posix_fallocate(f.fileno(), at,
                                   free.f_bfree * free.f_bsize - step)
            while True:
                os.posix_fallocate(f.fileno(), f.seek(0, os.SEEK_END), step)
        except OSError:
            pass

    def end(self, world):
        os.unlink(self.path)
        # An error of the device must not bring it back.
        must(["sync", "-f", world.t.path(self.node)])


class ReadOnly(Fault):
    """ext4 gives up, as after an error of the device: every write is
    refused with EROFS until the machine is rebooted."""
    seconds = (0.5, 3.0)
    owns_disk = True
    refuses_starts = True

    def choose(self, rng):
        self.node = rng.choice(NODES)

    def begin(self, world):
        must(["mount", "-o", "remount,abort", world.t.path(self.node)])
        world.count["read-only"] += 1

    def end(self, world):
        self.hold(world, self.both())
        for target in self.both():
            world.program[target].gone()
        world.remount(self.node)
        self.release(world, self.both())


class Frozen(Fault):
    """A disk that answers nothing for a while."""
    seconds = (0.3, 2.0)
    owns_disk = True
    refuses_starts = True

    def choose(self, rng):
        self.node = rng.choice(NODES)

    def begin(self, world):
        must(["fsfreeze", "-f", world.t.path(self.node)])
        world.count["frozen disks"] += 1

    def end(self, world):
        must(["fsfreeze", "-u", world.t.path(self.node)])


# Only calls that a kernel refuses in earnest: never write(2), by which the
# threads wake each other.  `/^` begins a pattern: the name differs between
# machines.
DISK = ("EIO", "ENOSPC", "ENOMEM", "EROFS")
CALLS = {
    "recorder": {"pwrite64": DISK, "pwritev": DISK, "writev": DISK,
                 "fdatasync": DISK, "fsync": DISK, "/^rename": DISK,
                 "ftruncate": ("EIO", "EROFS"), "/^mkdir": DISK,
                 "/^openat": DISK + ("EMFILE", "ENFILE"),
                 "accept4": ("EMFILE", "ENFILE", "ENOMEM", "ECONNABORTED"),
                 "recvfrom": ("ECONNRESET", "ETIMEDOUT")},
    "shipper": {"pwrite64": DISK, "fdatasync": DISK,
                "/^openat": ("EMFILE", "ENFILE", "EIO", "ENOMEM"),
                "pread64": ("EIO",),
                "socket": ("EMFILE", "ENFILE", "ENOBUFS"),
                "connect": ("ENETUNREACH", "ETIMEDOUT", "ECONNREFUSED"),
                "sendto": ("ECONNRESET", "EPIPE", "ETIMEDOUT"),
                "recvfrom": ("ECONNRESET", "ETIMEDOUT")},
}


class Inject(Fault):
    """One system call of one program fails now and then."""
    seconds = (0.5, 3.0)

    def choose(self, rng):
        self.target = rng.choice(self.programs)
        calls = CALLS[self.target[1]]
        self.call = rng.choice(sorted(calls))
        self.error = rng.choice(calls[self.call])
        first, step = rng.randint(1, 2), rng.randint(1, 3)
        self.when = "%d..%d+%d" % (first, first + step * INJECTED_MAX, step)

    def words(self):
        return "%s %s=%s when=%s" % ("/".join(self.target), self.call,
                                     self.error, self.when)

    def begin(self, world):
        self.strace = None
        program = world.program[self.target]
        if not program.settled() or program.daemon is None or program.dying:
            return              # a start that fails ends it, rightly
        self.out = world.t.path("inject.%d" % self.number)
        self.strace = world.t.spawn(
            ["strace", "-f", "-q", "-p", str(program.daemon.pid),
             "-o", self.out, "-e", "trace=" + self.call, "-e",
             "inject=%s:error=%s:when=%s" % (self.call, self.error,
                                             self.when)],
            stderr=subprocess.DEVNULL)

    def end(self, world):
        if self.strace is None:
            return
        self.strace.send_signal(signal.SIGINT)
        try:
            self.strace.wait(5 * SLOW)
        except subprocess.TimeoutExpired:
            self.strace.kill()
            self.strace.wait()
        if os.path.exists(self.out):
            with open(self.out, errors="replace") as f:
                hits = f.read().count("(INJECTED)")
            world.count["injected errors"] += hits
            world.say(self.words(), "hit %d times" % hits)


class Torn(Fault):
    """A recorder dies in the middle of a write: what is behind the durable
    end of its open segments is cut, or goes on as nonsense."""
    seconds = (0.05, 1.0)
    owns_disk = True

    def choose(self, rng):
        self.node = rng.choice(NODES)
        self.target = (self.node, "recorder")

    def begin(self, world):
        self.hold(world, [self.target])
        world.program[self.target].gone()
        for path, durable in self.open_segments(world):
            self.tear(world, path, durable)

    def open_segments(self, world):
        """[(path, durable bytes)], as the recorder will find them.  Readers
        go by a number in LMDB's lock file.  Where the kill came between a
        commit and that number they see the commit before, and their durable
        end lies too low: so the index is read without its lock file, beside
        files of the same names, which `pb` looks for."""
        store = world.store(self.node)
        copy = world.t.path("index.%d" % self.number)
        index = os.path.join(store, "index", "data.mdb")
        if not os.path.exists(index):
            return []           # wiped, and killed before it began
        os.makedirs(os.path.join(copy, "index"))
        shutil.copy(index, os.path.join(copy, "index"))
        for path in world.nodes[self.node].files():
            stub = os.path.join(copy, os.path.relpath(path, store))
            os.makedirs(os.path.dirname(stub), exist_ok=True)
            open(stub, "w").close()
        told = run([os.path.join(BUILD, "pb"), "--store", copy, "segments",
                    "--json"])
        shutil.rmtree(copy)
        # An index that was only just made has no tables to read.
        rows = [json.loads(line) for line in told.stdout.splitlines()]
        return [(os.path.join(store, os.path.relpath(r["path"], copy)),
                 r["bytes"]) for r in rows if r["path"].endswith(".open")]

    def tear(self, world, path, durable):
        if not os.path.exists(path):
            return
        size = os.path.getsize(path)
        if size < durable:
            world.find("%s: %d bytes, %d of them were durable"
                       % (path, size, durable))
            return
        cut = self.rng.randint(durable, size)
        rest = self.nonsense()
        with open(path, "r+b") as f:
            f.truncate(cut)
            f.seek(cut)
            f.write(rest)
        world.count["torn writes"] += 1
        world.say("torn: %s durable %d, %d behind it, cut to %d, %d of "
                  "nonsense" % (path, durable, size - durable,
                                cut - durable, len(rest)))

    def nonsense(self):
        """What may follow the cut; nothing that could be a packet."""
        return self.rng.choice((
            b"",
            self.rng.randbytes(self.rng.randint(1, 9000)),
            b"\0" * self.rng.randint(1, 9000),
            b"\6\0\0\0\xfc\xff\xff\x7f" + b"\1" * 100,   # never ends
            b"\6\0\0\0\xf0\0\0\0" + self.rng.randbytes(50)))

    def end(self, world):
        self.release(world, [self.target])


class Wipe(Fault):
    """An edge loses its store, and starts with an empty one."""
    seconds = (0.1, 1.0)
    counts = "wiped edges"
    owns_disk = True

    def choose(self, rng):
        self.node = rng.choice(EDGES)

    def begin(self, world):
        self.hold(world, self.both())
        for target in self.both():
            world.program[target].gone()
        now = time.time_ns()
        for key in world.streams_on_disk(self.node):
            if key[0] == self.node:
                world.wiped[key] = now
        world.emptied[self.node] = now
        where = world.store(self.node)
        empty(where)
        world.count[self.counts] += 1

    def end(self, world):
        self.release(world, self.both())


class WipeCore(Wipe):
    """The core loses its store: the relay, which keeps all, has it all again,
    but what was captured there."""
    counts = "wiped cores"

    def choose(self, rng):
        self.node = "core"


class Forget(Fault):
    """A shipper loses what it had written down.  Of one that pushes, letters
    would go with it; who is pulled, or pulls, has to lose nothing."""
    seconds = (0.05, 1.0)
    owns_disk = True

    def choose(self, rng):
        self.node = rng.choice(self.ways.forgetful() or [None])

    def begin(self, world):
        if self.node is None:
            return
        self.target = (self.node, "shipper")
        self.hold(world, [self.target])
        world.program[self.target].gone()
        shutil.rmtree(os.path.join(world.store(self.node), "shipper"),
                      ignore_errors=True)
        world.forgot.add(self.node)
        world.count["forgetful shippers"] += 1

    def end(self, world):
        if self.node is not None:
            self.release(world, [self.target])


class Restore(Fault):
    """An edge is put back from a copy of its running disk, which is some
    seconds old: what was captured since is given its numbers again.  The
    shipper may come so late that the recorder is past its upstream."""
    seconds = (1.0, 5.0)
    owns_disk = True

    def choose(self, rng):
        self.node = rng.choice(EDGES)
        self.shipper_late_s = rng.choice((0.0, 0.3, 1.5)) * self.lasts

    def words(self):
        return "%s shipper %.2f s late" % (self.node, self.shipper_late_s)

    def begin(self, world):
        self.image = world.t.path(self.node + ".img")
        self.copied_ns = time.time_ns()
        must(["fsfreeze", "-f", world.t.path(self.node)])
        try:
            must(["cp", "--sparse=always", self.image, self.image + ".copy"])
        finally:
            must(["fsfreeze", "-u", world.t.path(self.node)])

    def end(self, world):
        self.hold(world, self.both())
        for target in self.both():
            world.program[target].gone()
        thrown_away = world.streams_on_disk(self.node)
        world.umount(self.node)
        os.rename(self.image + ".copy", self.image)
        world.mount(self.node)
        now, ends = time.time_ns(), self.ends(world)
        world.restored.append(Restored(self.node, self.copied_ns, now, ends))
        for key in thrown_away:
            if key not in ends:     # as if the edge had been wiped
                world.wiped[key] = now
        world.say("restored:", self.node, ends)
        world.count["restored edges"] += 1
        world.program[self.node, "shipper"].not_before = (
            time.monotonic() + self.shipper_late_s)
        self.release(world, self.both())

    def ends(self, world):
        ends = {}
        for path in world.nodes[self.node].files():
            key = tuple(unquote(part) for part in path.split(os.sep)[-4:-1])
            ends[key] = max([ends.get(key, 0), *numbers_in(path)])
        return ends


def numbers_in(path):
    """Of the packets in a file, up to where it is torn."""
    with open(path, "rb") as f:
        data = f.read()
    try:
        return [p.seq for p in pngread.read(data).packets]
    except pngread.Malformed as e:
        whole = data[:e.offset]
        return [p.seq for p in pngread.read(whole).packets] if whole else []


class Step(Fault):
    """A node's wall clock goes wrong by years, and is set right again."""
    seconds = (1.0, 6.0)

    def choose(self, rng):
        self.whose = rng.choice(NODES)
        self.years = rng.choice((-9, -4, -1, -0.001, 0.001, 1, 4, 9))
        self.vouched = rng.choice((False, True))

    def words(self):
        return "%s %+g years%s" % (self.whose, self.years,
                                   ", vouched for" * self.vouched)

    def begin(self, world):
        world.set_clock(self.whose, self.years * YEAR_S, self.vouched)
        world.count["clock steps"] += 1

    def end(self, world):
        world.set_clock(self.whose, 0)
        world.count["clock steps"] += 1


class Unread(Fault):
    """Nobody reads what a program logs, and its pipe is full.  SIGHUP gives
    it something to say."""
    seconds = (0.5, 5.0)

    def choose(self, rng):
        self.target = rng.choice(self.programs)

    def words(self):
        return "/".join(self.target)

    def begin(self, world):
        program = world.program[self.target]
        self.daemon = program.daemon
        if self.daemon is None or program.dying:
            return
        self.daemon.pipe.stand()
        program.unread += 1
        world.count["unread logs"] += 1
        if catches(self.daemon.pid, signal.SIGHUP):
            program.signal(signal.SIGHUP)

    def end(self, world):
        if self.daemon:
            self.daemon.pipe.flow()


def catches(pid, number):
    """Whether a process has a handler for a signal."""
    with contextlib.suppress(OSError), open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


class Vanish(Fault):
    """The store is taken away beneath its programs, and comes back; where
    it was is nothing, or what is somebody else's.  They run on, and make
    nothing there; one that is killed meanwhile starts when the store is
    back, as RequiresMountsFor= would have it."""
    seconds = (0.5, 5.0)
    owns_disk = True

    def choose(self, rng):
        self.node = rng.choice(NODES)
        self.way = rng.choice(("moved", "replaced", "unmounted"))

    def words(self):
        return "%s %s" % (self.node, self.way)

    def begin(self, world):
        for target in self.both():
            # One that starts takes whatever is at the path, rightly.
            world.program[target].bar(self)
            world.program[target].settled()
        self.path = store = world.store(self.node)
        if self.way == "unmounted":
            self.path = world.t.path(self.node)
            must(["umount", "-l", self.path])
        else:
            os.rename(store, store + ".away")
        if self.way == "replaced":
            os.mkdir(store)
            os.chown(store, USER, USER)
            world.t.write(os.path.join(store, "not ours"), "")
        world.count["vanished stores"] += 1

    def end(self, world):
        made = set()
        if os.path.lexists(self.path):
            made = set(os.listdir(self.path)) - {"not ours"}
        if made or (self.way == "moved" and os.path.lexists(self.path)):
            world.find("%s: made where the store was (%s): %s" % (
                self.node, self.way, self.path + " " + " ".join(made)))
        if self.way == "unmounted":
            empty(self.path)
            world.mount(self.node)
        else:
            shutil.rmtree(self.path, ignore_errors=True)
            os.rename(self.path + ".away", self.path)
        self.release(world, self.both())


def empty(folder):
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


class Operate(Fault):
    """What docs/operations.md has an operator do, who is root: the recorder
    is down, `pb` works on the store, the recorder starts again."""
    seconds = (0.05, 1.0)
    owns_disk = True

    def choose(self, rng):
        self.node = rng.choice(NODES)
        self.what = rng.choice(("verify", "reindex", "import"))

    def words(self):
        return "%s %s" % (self.node, self.what)

    def begin(self, world):
        # A shipper that met what rot() does would say so, rightly.
        self.targets = (self.both() if self.what == "verify" else
                        [(self.node, "recorder")])
        self.hold(world, self.targets)
        world.program[self.node, "recorder"].gone()

    def end(self, world):
        done = {"verify": self.verify, "reindex": self.reindex,
                "import": self.import_}[self.what](
                    world, world.nodes[self.node])
        world.say(self, "status", done.returncode, done.stdout[-200:],
                  done.stderr[-400:])
        if done.returncode != 0:
            world.find("%s: status %d: %s" % (
                self, done.returncode, done.stderr.decode()[-400:]))
        foreign = run(["find", world.store(self.node), "!", "-user",
                       str(USER)]).stdout.decode().split()
        if foreign:
            world.find("%s: left what is not the store's user's: %s" % (
                self, " ".join(foreign[:5])))
        world.count["repairs as root"] += 1
        self.release(world, self.targets)

    def verify(self, world, node):
        """A file is not as it was written, though every packet in it is."""
        self.rot(world, node)
        return node.pb_run("verify", "--repair")

    def rot(self, world, node):
        """Flip a bit of a filler, which no one ships, of a sealed file."""
        sealed = [p for p in node.files() if p.endswith(".pcapng")]
        self.rng.shuffle(sealed)
        for path in sealed:
            with open(path, "r+b") as f:
                data = f.read()
                at = filler_in(data)
                if at:
                    f.seek(at)
                    f.write(bytes([data[at] ^ 1]))
                    world.say("rot: %s at %d" % (path, at))
                    return

    def reindex(self, world, node):
        return node.pb_run("reindex")

    def import_(self, world, node):
        interface = "op%d" % self.number
        path = world.t.path(interface + ".pcap")
        with open(path, "wb") as f:
            f.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
            for n in range(1, IMPORTED + 1):
                sec, ns = divmod(time.time_ns(), 10**9)
                f.write(struct.pack("<IIII", sec, ns, FRAME, FRAME) +
                        traffic.frame(n, FRAME))
        done = node.pb_run("import", "--interface", interface, path)
        if done.returncode == 0:
            world.imported[self.node, interface] = time.time_ns()
        return done


def filler_in(data):
    """The offset of a byte of zeros that fills a page, behind a packet; None
    where there is none."""
    packets = False
    for kind, at, length in pngread.read(data).blocks:
        packets = packets or kind == pngread.EPB
        middle = at + length // 2
        if (packets and kind == pngread.ISB and length >= 100 and
                not any(data[middle:middle + 8])):
            return middle
    return None


# Each with its weight; a run has at least one of each.
KINDS = {Kill: 10, Stop: 4, Cut: 4, Unplug: 2, FullDisk: 3, ReadOnly: 1,
         Frozen: 2, Inject: 8, Torn: 3, Wipe: 0.5,
         WipeCore: 0.5, Forget: 1, Restore: 1, Step: 3,
         Unread: 3, Vanish: 2, Operate: 2}


def plan(seed, seconds, only=()):
    """The faults of a run, in the order of their beginnings; `only` names
    kinds, to look for one thing."""
    rng, ways = random.Random(seed), Ways(seed)
    kinds = [k for k in KINDS if not only or k.__name__ in only]
    extra = max(0, int(seconds * FAULTS_PER_SECOND) - len(kinds))
    drawn = kinds + rng.choices(kinds, [KINDS[k] for k in kinds], k=extra)
    rng.shuffle(drawn)
    faults = [kind(rng, n, ways) for n, kind in enumerate(drawn)]
    # The rare ones find their moment first.
    placed = []
    for fault in sorted(faults, key=lambda f: KINDS[type(f)]):
        for _ in range(TRIES_MAX):
            fault.at = rng.uniform(1.0, max(1.1, seconds - 1.0))
            if not any(clash(fault, other) for other in placed):
                placed.append(fault)
                break
    return sorted(placed, key=lambda f: f.at)


def clash(a, b):
    """Two faults of one disk at one time."""
    margin = 0.3
    return (a.owns_disk and b.owns_disk and a.node == b.node and
            a.at < b.at + b.lasts + margin and
            b.at < a.at + a.lasts + margin)
