"""A store that is unmounted beneath its programs, and an index that is made
again beneath a shipper and a `pb query --follow`."""

import importlib

from faults import *
import traffic

vanish = importlib.import_module("240_store_vanishes")
from_edge, numbers, drops = vanish.query, vanish.numbers, vanish.drops
gone, back = vanish.gone, vanish.back


def unmount(path):
    must(["umount", "-l", path])


def mount_again(t, name):
    """Where it has not been let go (by another mount namespace) it is the
    device that is mounted: two of them on one image would ruin it."""
    image = t.path(name + ".img")

    def mounted():
        there = must(["losetup", "-n", "-O", "NAME", "-j", image])
        what = there.decode().split()[:1] or ["-o", "loop", image]
        return run(["mount", *what, t.path(name)]).returncode == 0
    wait_until(mounted, "it can be mounted")    # it may just be going


def open_on(pid, dev):
    """Files of the device that a process has open or mapped."""
    found = []
    folder = "/proc/%d/fd/" % pid
    for fd in os.listdir(folder):
        with contextlib.suppress(OSError):
            if os.stat(folder + fd).st_dev == dev:
                found.append(os.readlink(folder + fd))
    name = "%02x:%02x" % (os.major(dev), os.minor(dev))
    with open("/proc/%d/maps" % pid) as f:
        return found + [line for line in f if line.split()[3] == name]


def untouched(path):
    """Nothing was ever made in it."""
    equal(os.listdir(path), [], "what is at the mount point")


class Follower:
    """`pb query --follow`, and the frames that it has shown."""

    def __init__(self, t, node):
        self.out, self.said = t.path("follow.out"), t.path("follow.err")
        with open(self.out, "wb") as out, open(self.said, "wb") as said:
            self.proc = t.spawn(
                [os.path.join(BUILD, "pb"), "-c", node.conf, "query",
                 "--follow", "--json", "--stream", "*/*"], stdout=out,
                stderr=said)

    def seqs(self):
        with open(self.out, "rb") as f:
            return [json.loads(line)["seq"] for line in f.read().splitlines()]

    def text(self):
        with open(self.said) as f:
            return f.read()

    def wait(self, last):
        wait_until(lambda: self.seqs()[-1:] == [last],
                   "--follow shows packet %d" % last)

    def showed(self, first, last):
        """All of these, once, in order."""
        seqs = self.seqs()
        equal([(a, b) for a, b in zip(seqs, seqs[1:]) if b != a + 1], [],
              "--follow showed one behind another")
        equal((seqs[0], seqs[-1]), (first, last), "what --follow showed")

    def end(self):
        self.proc.send_signal(signal.SIGINT)
        equal(self.proc.wait(20 * SLACK), 0, "status of --follow: " +
              self.text())


def an_unmounted_store_is_waited_for(t):
    core = t.node("core", listen=True)
    with small_disk(t, "edge", 96):
        core.start()
        edge = t.edge_with_traffic(upstreams={"core": core})
        edge.start()
        follower = Follower(t, edge)
        sender = t.traffic(t.sender, "pb0", 3000, 1000)
        wait_until(lambda: len(from_edge(core)) > 300, "packets arrive")
        unmount(edge.store)
        gone(edge.recorder, edge.shipper, why="was unmounted")
        wait_until(lambda: "waiting for it" in follower.text(),
                   "--follow says so")
        check(b"no store there" in edge.pb("status"), "pb status lies")
        equal(edge.rows("status")[0]["store_there"], False, "store_there")
        time.sleep(1)
        untouched(edge.store)
        once(edge.recorder, "waiting for the store", "what it waits for")
        mount_again(t, "edge")
        back(edge)
        sender.wait()
        vanish.told_once(edge)
        vanish.same_at_core(edge, core, 3000)
        equal(numbers(from_edge(core)), list(range(1, 3001)), "at the core")
        equal(drops(from_edge(edge)), 0, "drop counts")
        follower.wait(3000)
        follower.showed(1, 3000)
        follower.end()
        vanish.verified(edge)
        unmount(edge.store)
        untouched(edge.store)
        mount_again(t, "edge")


def no_file_of_it_stays_open(t):
    """Whoever unmounted it wants the device back."""
    with small_disk(t, "edge", 32):
        edge = t.node("edge", upstreams={"core": "http://127.0.0.1:1"})
        edge.start()
        equal(push(edge, "x/eth0", 1, 100)[0], 200, "a push")
        wait_until(lambda: lines(edge.shipper, "shipping store="), "it ships")
        follower = Follower(t, edge)
        follower.wait(100)
        dev = os.stat(edge.store).st_dev
        pids = [edge.recorder.pid, edge.shipper.pid, follower.proc.pid]
        check(all(open_on(pid, dev) for pid in pids), "nothing is open")
        unmount(edge.store)
        gone(edge.recorder, edge.shipper, why="was unmounted")
        for pid in pids:
            wait_until(lambda: not open_on(pid, dev), "all is closed")
        mount_again(t, "edge")
        back(edge)
        equal(push(edge, "x/eth0", 101, 200)[0], 200, "a push")
        follower.wait(200)
        follower.end()


def an_empty_disk_is_taken_at_the_operators_word(t):
    with small_disk(t, "edge", 32):
        edge = t.edge_with_traffic()
        edge.start_recorder()
        t.traffic(t.sender, "pb0", 100, 500).wait()
        wait_until(lambda: len(from_edge(edge)) == 100, "packets arrive")
        unmount(edge.store)
        gone(edge.recorder, why="was unmounted")
        must(["mount", "-t", "tmpfs", "-o", "size=32m,mode=0755", "pb-test",
              edge.store])
        t.traffic(t.sender, "pb0", 50, 500, 200, 101).wait()
        time.sleep(1)
        untouched(edge.store)
        edge.recorder.proc.send_signal(signal.SIGHUP)
        back(edge)
        t.traffic(t.sender, "pb0", 50, 500, 200, 151).wait()
        wait_until(lambda: len(from_edge(edge)) == 100, "packets arrive")
        equal(numbers(from_edge(edge)), list(range(101, 201)), "packets")
        equal(vanish.gaps(edge), [(1, 100, "damaged")], "gaps")


def a_reindex_loses_and_repeats_nothing(t):
    core = t.node("core", listen=True)
    core.start_recorder()
    edge = t.node("edge", upstreams={"core": core})
    edge.start()
    follower = Follower(t, edge)
    equal(push(edge, "x/eth0", 1, 300)[0], 200, "a push")
    drained(edge, core)
    core.recorder.stop()
    equal(push(edge, "x/eth0", 301, 600)[0], 200, "a push")
    follower.wait(600)
    edge.recorder.stop()
    edge.pb("reindex")
    wait_until(lambda: lines(edge.shipper, "was replaced"), "it notices")
    edge.start_recorder()
    core.start_recorder()
    for first in range(601, 2001, 100):
        equal(push(edge, "x/eth0", first, first + 99)[0], 200, "a push")
    drained(edge, core)
    follower.wait(2000)
    follower.showed(1, 2000)
    there = core.query("--stream", "x/eth0").packets
    equal(sorted(p.seq for p in there), list(range(1, 2001)), "at the core")
    equal(core.rows("gaps"), [], "gaps at the core")
    follower.end()
    alive(edge.shipper)


def a_follower_goes_on_with_the_store_that_comes(t):
    edge = t.edge_with_traffic()
    edge.start_recorder()
    follower = Follower(t, edge)
    sender = t.traffic(t.sender, "pb0", 2000, 1000)
    wait_until(lambda: len(follower.seqs()) > 200, "--follow shows packets")
    vanish.delete(edge.store)
    gone(edge.recorder, why="was (deleted|moved)")
    wait_until(lambda: "waiting for it" in follower.text(), "--follow says so")
    os.mkdir(edge.store)
    back(edge)
    sender.wait()
    there = wait_until(lambda: numbers(from_edge(edge))[-1:] == [2000] and
                       from_edge(edge), "the last one is in the store")
    follower.wait(there[-1].seq)
    shown = follower.seqs()
    equal(len(set(shown)), len(shown), "each number once")
    equal([s for s in shown if s >= there[0].seq],
          [p.seq for p in there], "what --follow showed of the new store")
    follower.end()


def an_import_into_it_ends_with_a_line(t):
    edge = t.node("edge")
    record = samples.eth(1, 1400)
    packets = [(samples.T0, n, record, 1400) for n in range(100)]
    body = samples.pcap("<", samples.MAGIC_NS, packets)
    path = t.write("big.pcap", body[:24] + body[24:] * 2000)
    child = t.spawn([os.path.join(BUILD, "pb"), "-c", edge.conf, "import",
                     "--interface", "i", path], stderr=subprocess.PIPE)
    wait_until(lambda: edge.files(), "it writes", pause=0.001)
    child.send_signal(signal.SIGSTOP)
    check(child.poll() is None, "the import was faster")
    vanish.delete(edge.store)
    child.send_signal(signal.SIGCONT)
    _, said = child.communicate(timeout=30 * SLACK)
    equal(child.returncode, 1, "status of pb import: " + said.decode())
    check(len(said.splitlines()) == 1 and b"the store" in said, said)
    check(not os.path.exists(edge.store), "somebody made", edge.store)


if __name__ == "__main__":
    main("241", an_unmounted_store_is_waited_for,
         no_file_of_it_stays_open,
         an_empty_disk_is_taken_at_the_operators_word,
         a_reindex_loses_and_repeats_nothing,
         a_follower_goes_on_with_the_store_that_comes,
         an_import_into_it_ends_with_a_line, seconds=120)
