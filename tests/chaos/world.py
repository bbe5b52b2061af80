"""Five nodes, their disks, their network and their programs.

    tx1 ))) edge1 --\\
                      relay --- core ((( txcore
    tx2 ))) edge2 --/
                  \\-- lab

Over each link the node on the left pushes its packets, or the one on the right
dials it and pulls them, perhaps with a filter: the seed says which (Ways).
Each node lives in a network namespace of its own; what they say to each
other goes through a router in the namespace `hub`, where a way can be cut
in silence.  Each store lies on an ext4 image behind a loop device, so that
a disk can be really full and really read-only.

The programs run as the shipped units run them: by a user who is not root,
with the two capabilities of the recorder; each has its own wall clock, and
its standard error is a pipe.  `pb` is the operator's, who is root.

A program runs unless somebody holds it down.  Whoever ends without having
been killed here is a finding.
"""

import collections
import ctypes
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "system"))

from harness import *

RATE = max(40, int(300 / SLOW))     # frames a second, each sender
FRAME = 200                         # bytes
PORT = 7152
ADDRESS = {"edge1": 1, "edge2": 2, "relay": 3, "core": 4, "lab": 5}
EDGES = ("edge1", "edge2")
SENDERS = ("edge1", "edge2", "core")        # who captures
NODES = tuple(ADDRESS)
LINKS = (("edge1", "relay"), ("edge2", "relay"), ("relay", "core"),
         ("edge2", "lab"))
RECEIVERS = tuple(dict.fromkeys(above for _, above in LINKS))
# Small segments, so that many are sealed while something goes wrong.
STORE = ["segment_size = 1MiB", "segment_age = 3s"]
# No packet of a run is so old, whatever the clocks say.
STORE += ["retain_age = 1h"]
# What edges keep, by seed: what is acknowledged goes, oldest first.
RETAINS = ("2MiB", "3MiB", "6MiB", "0")
# Who pulls an edge may be there and take nothing, for its own disk is full:
# then there are dead letters only after its `answer_timeout`, and what is not
# acknowledged until then goes as well.
RETAINS_PULLED = ("8MiB", "0")
IMPORTED = 200          # packets, each time an operator does
USER = 65534            # who runs the programs
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
CAPABILITIES = {"recorder": "+net_raw,+net_admin", "shipper": "-all"}
CLOCK = os.path.join(BUILD, "tests", "system", "clock.so")
# What waits so long becomes a dead letter, and is sent again at the end.
UPSTREAM = ["retry_for = %ds" % max(1, SLOW)]
# Who pulls is away after so long, so that there are dead letters then, too.
PULLED = ["answer_timeout = %ds" % max(3, 3 * SLOW)]
FILTERS = 0.4           # of the links that are pushed, and of the others
FILTER = "filter = ether[14] & 3 != 0"      # the frame's number is there
BEGINS_S = 1.0          # for a program that was started a moment ago
AGAIN_S = 1.0           # after a start that a broken disk refused
GONE_S = 20             # for a killed program to be gone


def address(name):
    return "10.77.%d.2" % ADDRESS[name]


def url(name):
    return "http://%s:%d" % (address(name), PORT)


def as_user(which):
    """What the units say of user and capabilities."""
    caps = CAPABILITIES[which]
    return ["setpriv", "--reuid=%d" % USER, "--regid=%d" % USER,
            "--clear-groups", "--inh-caps=" + caps, "--ambient-caps=" + caps,
            "--pdeathsig=KILL"]


def alone_with_mounts():
    """A mount namespace of our own: a copy that a container makes of the
    machine's would keep a disk in use that is unmounted here."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(
            b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        skip("may not make a mount namespace here: " +
             os.strerror(ctypes.get_errno()))


def left_out(frame):
    """Whether FILTER leaves a frame of this number out."""
    return frame is not None and frame % 4 == 0


class Ways:
    """Which links are pulled, by seed: one at least; and which of all have a
    filter."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.pulled = set(rng.sample(LINKS, rng.randint(1, len(LINKS))))
        self.filtered = {link for link in LINKS if link not in self.pulled and
                         rng.random() < FILTERS}
        rng = random.Random(~seed)      # seeds of before push as before
        self.filtered |= {link for link in LINKS if link in self.pulled and
                          rng.random() < FILTERS}
        busy = {below for below, _ in LINKS} | {
            above for _, above in self.pulled}
        self.programs = [(n, "recorder") for n in NODES] + [
            (n, "shipper") for n in NODES if n in busy]

    def is_pulled(self, name):
        """From any side."""
        return any(below == name for below, _ in self.pulled)

    def forgetful(self):
        """Nodes whose shipper pushes nothing, and dials no edge: those may be
        put back, and of their forks nobody else knows."""
        busy = {below for below, above in LINKS
                if (below, above) not in self.pulled}
        busy |= {above for below, above in self.pulled if below in EDGES}
        return [n for n, which in self.programs
                if which == "shipper" and n not in busy]

    def filters(self, path):
        """Somewhere on the path."""
        return any(link in self.filtered for link in zip(path, path[1:]))

    def __str__(self):
        return ", ".join("%s %s%s %s" % (
            below, "filters, and " if (below, above) in self.filtered else "",
            "is pulled by" if (below, above) in self.pulled else "pushes to",
            above) for below, above in LINKS)


def paths(name):
    """Where packets of a node go, up to where they end."""
    above = [above for below, above in LINKS if below == name]
    return [(name, *path) for a in above for path in paths(a)] or [(name,)]


class Restored:
    """A node's store was put back from a copy."""

    def __init__(self, node, copied_ns, put_back_ns, ends):
        self.node = node
        self.copied_ns, self.put_back_ns = copied_ns, put_back_ns
        self.ends = ends        # of the copy, {stream: highest number}


class Program:
    """One daemon: it runs while `holds` is empty."""

    def __init__(self, world, node, which):
        self.world, self.node, self.which = world, node, which
        self.name = "%s/%s" % (node.name, which)
        self.daemon = None
        self.dying = False      # killed by us, not gone yet
        self.excused = False    # started while its disk was broken
        self.holds = set()
        self.not_before = 0.0
        self.kills_ns = []      # when it was killed
        self.unread = 0         # how often its log pipe stood

    def start(self):
        binary = os.path.join(BUILD, "pb-" + self.which)
        self.excused = self.node.name in self.world.broken_disks
        self.daemon = Daemon(self.world.t, "%s-%s" % (self.node.name,
                                                      self.which),
                             [binary, "-c", self.node.conf],
                             netns=self.node.netns, env=self.node.env,
                             before=as_user(self.which), piped=True,
                             ready=False)

    def bar(self, who):
        """It may run on; once it has ended, it is down until release()."""
        self.holds.add(who)

    def settled(self):
        """False where it is just being started, and may not be hindered:
        not before its socket is in its store."""
        with contextlib.suppress(Failure):  # its store may not be there yet
            wait_until(self.begun, self.name + " to begin", BEGINS_S)
            return True
        return False

    def begun(self):
        """It waits for requests, or does not run."""
        self.poll()
        if self.daemon is None or self.dying:
            return True
        path = os.path.join(self.node.store, self.which + ".sock")
        with contextlib.suppress(OSError), open(    # it ends meanwhile
                "/proc/%d/net/unix" % self.daemon.pid) as sockets:
            return any(line.split()[-1] == path for line in sockets)
        return False

    def hold(self, who):
        """kill -9, and down until release(); a program in the depths of a
        frozen disk is gone only later.  True if there was one to kill."""
        self.poll()
        self.holds.add(who)
        if self.daemon is None or self.dying:
            return False
        self.kills_ns.append(time.time_ns())
        self.dying = True
        self.daemon.proc.kill()
        return True

    def gone(self):
        """Wait until a held program is no more."""
        if self.daemon:
            wait_until(lambda: not self.daemon.alive(),
                       self.name + " to be gone", GONE_S)
            self.poll()

    def release(self, who):
        self.holds.discard(who)
        self.poll()

    def signal(self, number):
        if self.daemon and not self.dying and self.daemon.alive():
            self.daemon.proc.send_signal(number)
            return True
        return False

    def poll(self):
        """Take note of an end, and start what should run."""
        if self.daemon and not self.daemon.alive():
            self._ended()
        if (self.daemon is None and not self.holds and
                time.monotonic() >= self.not_before):
            self.start()

    def _ended(self):
        daemon, self.daemon = self.daemon, None
        self.world.t.daemons.remove(daemon)
        killed, self.dying = self.dying, False
        for line in daemon.text().splitlines():
            if "runtime error:" in line or "Sanitizer:" in line:
                self.world.find("%s: %s" % (self.name, line))
        if killed:
            return
        if self.which == "recorder":
            self.kills_ns.append(time.time_ns())
        self.not_before = time.monotonic() + AGAIN_S
        if self.excused:
            self.world.count["refused starts"] += 1
            self.world.say("%s could not start: %s"
                           % (self.name, daemon.tail()))
            return
        self.world.find("%s ended by itself, status %s: %s" % (
            self.name, daemon.proc.returncode, daemon.tail()))

    def finish(self):
        """SIGTERM, status 0, and whether its sanitizer was silent.  One
        whose log pipe stood during the run ends while it stands again."""
        daemon, self.daemon = self.daemon, None
        self.holds.add("finished")
        if daemon is None:
            self.world.find("%s did not run at the end" % self.name)
            return
        if self.unread:
            daemon.pipe.stand()
        try:
            daemon.stop(30)
        except Failure as e:
            self.world.find(str(e))
        daemon.pipe.ended()


class World:
    """Everything that exists during a run; close() undoes it."""

    def __init__(self, t, megabytes, seed):
        self.t = t
        self.megabytes, self.seed = megabytes, seed
        self.ways = Ways(seed)
        self.retain = "retain_size = " + random.Random(seed).choice(
            RETAINS_PULLED if any(map(self.ways.is_pulled, EDGES)) else
            RETAINS)
        self.count = collections.Counter()
        self.findings = []
        self.broken_disks = collections.Counter()   # node name: faults
        self.unplugged = collections.Counter()      # node name: faults
        self.wiped = {}         # (node, interface, epoch): ns
        self.emptied = {}       # node: ns, when its store was last
        self.forgot = set()     # nodes whose shipper did, once
        self.restored = []      # Restored, in their order
        self.imported = {}      # (node, interface): ns
        self.mounted = []
        self.senders = []
        self.began = time.monotonic()
        self.log = open(t.path("chaos.log"), "w")
        self.nodes = {}
        self.program = {}

    def build(self):
        need("mkfs.ext4", "losetup", "fsfreeze", "strace", "setpriv")
        check(os.path.exists(CLOCK), "no", CLOCK, "(make chaos makes it)")
        alone_with_mounts()
        os.chmod(self.t.dir, 0o755)     # the programs' user comes by
        self._network()
        for name in NODES:
            self._disk(name)
            self.set_clock(name, 0)
            self.nodes[name] = self._node(name)
        for name, which in self.ways.programs:
            self.program[name, which] = Program(self, self.nodes[name],
                                                which)

    def say(self, *words):
        line = "%8.3f %s" % (time.monotonic() - self.began,
                             " ".join(str(w) for w in words))
        self.log.write(line + "\n")
        self.log.flush()

    def find(self, fact):
        """A broken promise; one that is broken again and again is said
        once."""
        if fact not in self.findings:
            self.findings.append(fact)
            self.say("FOUND", fact)

    # --- network ---------------------------------------------------------

    def _network(self):
        self.hub = self.t.netns("hub")
        self.t.inside(self.hub, "sh", "-c",
                      "echo 1 > /proc/sys/net/ipv4/ip_forward")
        self.spaces = {}
        for name, number in ADDRESS.items():
            space = self.spaces[name] = self.t.netns(name)
            port = "p%d" % number
            self.t.veth(self.hub, port, space, "net0")
            self.t.inside(self.hub, "ip", "addr", "add",
                          "10.77.%d.1/24" % number, "dev", port)
            self.t.inside(space, "ip", "addr", "add",
                          address(name) + "/24", "dev", "net0")
            self.gateway(name)
        self.outside = {}
        for name in SENDERS:
            self.outside[name] = self.t.netns("tx")
            self.t.veth(self.outside[name], "pb0", self.spaces[name], "cap0")

    def gateway(self, name):
        """The way out, which goes with its interface."""
        self.t.inside(self.spaces[name], "ip", "route", "replace", "default",
                      "via", "10.77.%d.1" % ADDRESS[name])

    def send(self, seconds):
        """Numbered frames for so long; returns how many each sends."""
        for name in SENDERS:
            self.senders.append(self.t.traffic(
                self.outside[name], "pb0", seconds * RATE, RATE, FRAME))
        return seconds * RATE

    # --- disks -----------------------------------------------------------

    def _disk(self, name):
        image, where = self.t.path(name + ".img"), self.t.path(name)
        with open(image, "wb") as f:
            f.truncate(self.megabytes << 20)
        must(["mkfs.ext4", "-q", "-F", "-m", "0", image])
        os.mkdir(where)
        os.chown(where, USER, USER)     # who could fill it, unmounted
        made = run(["mount", "-o", "loop", image, where])
        if made.returncode and not self.mounted:
            skip("may not mount a loop device here: " +
                 made.stderr.decode("utf-8", "replace").strip())
        check(made.returncode == 0, "mount:", made.stderr)
        self.mounted.append(where)
        os.chown(where, USER, USER)
        os.mkdir(self.store(name))
        os.chown(self.store(name), USER, USER)

    def store(self, name):
        """On the node's disk, which is at t.path(name)."""
        return os.path.join(self.t.path(name), "store")

    def mount(self, name):
        """libmount takes the loop device that the image has, if it has."""
        must(["mount", "-o", "loop", self.t.path(name + ".img"),
              self.t.path(name)])

    def remount(self, name):
        """As after a reboot.  Nobody may have a file open there."""
        self.umount(name)
        self.mount(name)

    def umount(self, name):
        """Who has ended lets go of the last file a moment later."""
        where = self.t.path(name)
        wait_until(lambda: run(["umount", where]).returncode == 0,
                   where + " is let go of")

    # --- clocks ----------------------------------------------------------

    def set_clock(self, name, seconds, vouched=True):
        """So far is a node's wall clock from the machine's, from now on, and
        whether the kernel vouches for it: see tests/system/clock.c."""
        path = self.t.path(name + ".clock")
        with open(path, "r+b" if os.path.exists(path) else "wb") as f:
            f.write(struct.pack("<qqqq", int(seconds), 0, vouched, 1))

    # --- nodes -----------------------------------------------------------

    def _node(self, name):
        upstreams, edges, allow, extra = {}, {}, [], []
        for link in LINKS:
            below, above = link
            pulled = link in self.ways.pulled
            if below == name and pulled:
                allow.append("pull:" + above)
                extra += ["[upstream %s]" % above, "url = pull:", *UPSTREAM,
                          *PULLED] + [FILTER] * (
                              link in self.ways.filtered)
            elif below == name:
                upstreams[above] = [url(above), *UPSTREAM] + [
                    FILTER] * (link in self.ways.filtered)
            elif above == name and pulled:
                edges[below] = [url(below), *PULLED]
            elif above == name:
                allow += ["*", "relay:*"]
        if allow:
            extra += ["[listen]", "address = %s:%d" % (address(name), PORT),
                      "tls = off", "allow = " + ", ".join(allow)]
        store = STORE + [self.retain] * (name in EDGES)
        env = {"LD_PRELOAD": CLOCK, "PB_CLOCK": self.t.path(name + ".clock")}
        if "san" in os.path.relpath(BUILD, ROOT):
            # The clock comes before the sanitizer, and may.
            env["ASAN_OPTIONS"] = (os.environ.get("ASAN_OPTIONS", "") +
                                   ":verify_asan_link_order=0")
        return self.t.node(name, netns=self.spaces[name], store=store,
                           captures=["cap0"] if name in SENDERS else [],
                           upstreams=upstreams, edges=edges, env=env,
                           extra="\n".join(extra) + "\n",
                           where=self.store(name))

    def streams_on_disk(self, name):
        """Keys of the streams whose folders are in a node's store."""
        found = []
        top = os.path.join(self.store(name), "segments")
        for folder, _, _ in os.walk(top):
            key = os.path.relpath(folder, top).split(os.sep)
            if len(key) == 3:
                found.append(tuple(key))
        return found

    def programs_of(self, name):
        return [p for (n, _), p in self.program.items() if n == name]

    def poll(self):
        for program in self.program.values():
            program.poll()

    def all_run(self):
        self.poll()
        return all(p.daemon for p in self.program.values())

    def close(self):
        for sender in self.senders:
            sender.kill()
            sender.wait()
        for where in self.mounted:
            run(["fsfreeze", "-u", where])
        for program in self.program.values():
            if program.daemon:
                program.daemon.proc.kill()
                program.daemon.proc.wait()
                program.daemon.pipe.ended()
        for where in self.mounted:
            if run(["umount", where]).returncode:
                run(["umount", "-l", where])
        self.log.close()
