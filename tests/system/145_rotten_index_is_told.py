"""An index that is rotten, cut short or not let go of ends no command of `pb`
by a signal: it says what to do, in a line, or answers."""

import fcntl
import random
import shutil

from harness import *
import samples

PAGE = 4096
STREAMS, PACKETS = 40, 20
TRIES = 12                  # of each kind of rot
COMMANDS = (("query", "--count", "host 192.0.2.77"), ("query", "--count"),
            ("flows",), ("segments",), ("streams",), ("status",),
            ("upstreams",))


def store(t):
    """Of many streams, so that its tables have pages enough to rot."""
    node = t.node("edge")
    node.pb("import", *[t.write("%d.pcap" % n, samples.pcap(
        "<", samples.MAGIC_US, [(samples.T0, k, samples.eth(k, 100), 100)
                                for k in range(PACKETS)]))
        for n in range(STREAMS)])
    return node, os.path.join(node.store, "index", "data.mdb")


def told(node, seen, *command):
    """No signal, and what it says are lines of `pb`; which statuses and
    lines there were goes into `seen`."""
    done = node.pb_run(*command)
    said = done.stderr.decode()
    check(done.returncode in (0, 1), "status", done.returncode, command,
          said)
    equal([s for s in said.splitlines() if not s.startswith("pb: ")], [],
          "lines of others, " + command[0])
    equal(len([s for s in said.splitlines()
               if not s.startswith("pb: note: ")]), done.returncode,
          "lines of %s: %s" % (command[0], said))
    seen.add("corrupt" if "is corrupt: reading it ends in a signal; Fix: " in
             said else done.returncode)


def rots(rng, data):
    """Bytes of an index, each of them wrong in its way."""
    pages = len(data) // PAGE
    for n in range(TRIES):
        yield data[:rng.randrange(2, pages) * PAGE]
        for many in (pages // 3, 4):
            out = bytearray(data)
            for page in rng.sample(range(2, pages), many):
                keep = rng.choice((0, 0, 16, 64))
                out[page * PAGE + keep:(page + 1) * PAGE] = rng.choice(
                    (os.urandom, bytes))(PAGE - keep)
            yield bytes(out)


def rotten_pages_are_told_and_no_signal_ends_a_command(t):
    node, path = store(t)
    with open(path, "rb") as f:
        whole = f.read()
    rng, seen = random.Random(1), set()
    for n, data in enumerate(rots(rng, whole)):
        with open(path, "wb") as f:
            f.write(data)
        told(node, seen, *COMMANDS[n % len(COMMANDS)])
    check({"corrupt", 1} <= seen, "this test has nothing to tell", seen)
    # What the command has begun to write goes with it.
    with open(path, "wb") as f:
        f.write(whole[:2 * PAGE])
    seen = set()
    told(node, seen, "query", "-w", t.path("out.pcapng"))
    equal(seen, {"corrupt"}, "an index without its pages")
    equal([s for s in os.listdir(t.dir) if "out.pcapng" in s], [],
          "what it leaves")
    with open(path, "wb") as f:
        f.write(whole)
    seen = set()
    told(node, seen, *COMMANDS[0])
    equal(seen, {0}, "as it was")


def a_follower_waits_for_a_rotten_index_to_be_mended(t):
    node, path = store(t)
    with open(t.path("out"), "wb") as out, open(t.path("err"), "wb") as err:
        proc = t.spawn([os.path.join(BUILD, "pb"), "-c", node.conf, "query",
                        "--follow", "--json"], stdout=out, stderr=err)

    def shown():
        with open(t.path("out")) as f:
            return len(f.readlines())

    def said(words):
        with open(t.path("err")) as f:
            return f.read().count(words)

    wait_until(lambda: shown() == STREAMS * PACKETS, "it shows all")
    with open(path, "rb") as f, open(path + ".cut", "wb") as cut:
        cut.write(f.read(2 * PAGE))
    os.rename(path + ".cut", path)
    wait_until(lambda: said("is corrupt: reading it ends in a signal; Fix: "),
               "it says so")
    time.sleep(1.5)     # a look more
    equal((proc.poll(), said("is corrupt")), (None, 1), "it waits, and once")
    node.pb("reindex")
    node.pb("import", t.write("more.pcap", samples.pcap(
        "<", samples.MAGIC_US, [(samples.T0, 1, samples.eth(1), 60)])))
    wait_until(lambda: shown() == STREAMS * PACKETS + 1, "it goes on")
    proc.send_signal(signal.SIGINT)
    equal(proc.wait(20 * SLACK), 0, "status")


def a_lock_that_is_not_let_go_of_is_told(t):
    node, path = store(t)
    with open(os.path.join(os.path.dirname(path), "lock.mdb"), "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        done = node.pb_run("streams")
    said = done.stderr.decode()
    equal((done.returncode, done.stdout), (1, b""), "status and output")
    check(re.fullmatch("pb: .*/index: whoever has its lock.mdb does not let "
                       "go of it; Fix: .*\n", said), said)
    node.pb("streams")


if __name__ == "__main__":
    main(145,
         rotten_pages_are_told_and_no_signal_ends_a_command,
         a_follower_waits_for_a_rotten_index_to_be_mended,
         a_lock_that_is_not_let_go_of_is_told)
