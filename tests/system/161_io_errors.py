"""System calls that fail on a disk that dies or is read-only: what cannot be
written is held or refused, nothing exits, and all of it is there later."""

from faults import *

EIO = "Input/output error"
EROFS = "Read-only file system"
# The chunks of a capture, and as much again; sanitizers keep what is freed.
RSS_GROWTH_MAX = 64 << 20 if SLOW == 1 else 1 << 30
ENOENT = "No such file or directory"
FAULTS = (
    ("fdatasync:error=EIO",),
    ("pwrite64:error=EIO", "pwritev:error=EIO"),
    ("pwrite64:error=EIO", "ftruncate:error=EIO"),
    ("/^openat:error=EIO",),
    ("/^rename:error=EIO",),
    ("fsync:error=EIO",),
    ("/^mkdir:error=EIO",),
    # No word of a path or a body: it is 503 as well.
    ("/^openat:error=ENOENT",),
)


def troubles(recorder):
    return len(lines(recorder, "store: cannot write")), \
        len(lines(recorder, "store: writing again"))


def fail_and_heal(edge, fault, number, words):
    """Within `fault`: one line, 503; behind it: all goes on."""
    recorder = edge.recorder
    stream = "x/f%d" % number
    with fault:
        refused(push(edge, stream, 1, 10), words, "push %d" % number)
        wait_until(lambda: words in writer(edge)["last_error"],
                   "pb status tells fault %d" % number)
        refused(push(edge, stream, 1, 10), words, "again %d" % number)
        check(words in lines(recorder, "store: cannot write")[-1],
              recorder.tail())
        alive(recorder)
    wait_until(lambda: push(edge, stream, 1, 10)[0] == 200,
               "a push after fault %d" % number)
    wait_until(lambda: troubles(recorder) == (number, number),
               "one line for fault %d and one for its end: %s"
               % (number, recorder.tail()))


def nothing_is_lost_when_system_calls_of_the_recorder_fail(t):
    core = t.node("core", listen=True)
    edge = t.edge_with_traffic(upstreams={"core": core},
                               store=["segment_age = 1s"])
    core.start()
    edge.start()
    sender = t.traffic(t.sender, "pb0", 6000, 400)
    before = rss(edge.recorder.pid)
    for number, faults in enumerate(FAULTS, 1):
        fail_and_heal(edge, failing(t, edge.recorder.pid, *faults), number,
                      ENOENT if "ENOENT" in faults[0] else EIO)
    sender.terminate()
    sender.wait()
    alive(edge.recorder, edge.shipper)
    check(rss(edge.recorder.pid) - before < RSS_GROWTH_MAX, "memory")
    wait_until(lambda: writer(edge)["last_error"] == "", "status heals")
    sent = t.all_stored(edge)
    drained(edge, core)
    equal(told_where_lost(frames(edge), sent), 0, "lost")
    equal(by_stream(core.query()), by_stream(edge.query()), "packets")
    for number in range(1, len(FAULTS) + 1):
        equal(len(edge.query("--stream", "x/f%d" % number).packets), 10,
              "packets of push %d" % number)


def a_segment_that_could_not_be_begun_leaves_nothing(t):
    """Also where its numbers never come: the next one begins behind them."""
    node = t.node("core", listen=True, store=["segment_age = 1s"]).start()
    equal(push(node, "x/eth0", 1, 10)[0], 200, "a push")
    wait_until(lambda: not any(f.endswith(".open") for f in node.files()),
               "the first segment is sealed")
    with failing(t, node.recorder.pid, "fsync:error=EIO"):
        refused(push(node, "x/eth0", 11, 20), EIO, "a push")
    equal(node.http("POST", "/v1/streams/x/eth0/%s/gaps" % EPOCH,
                    b'{"first":11,"last":20,"reason":"expired"}')[0], 200,
          "a gap")
    equal(push(node, "x/eth0", 21, 30)[0], 200, "another push")
    node.stop()
    equal([os.path.basename(f) for f in node.files()],
          ["%020d.pcapng" % n for n in (1, 21)], "files")


def a_file_system_that_turns_read_only_is_got_over(t):
    core = t.node("core", listen=True)
    edge = t.edge_with_traffic(upstreams={"core": core},
                               store=["segment_age = 1s"])
    core.start()
    edge.start()
    sender = t.traffic(t.sender, "pb0", 4000, 400)
    # A part of it: the store itself is held by who works on it.
    os.makedirs(edge.store + "/segments", exist_ok=True)
    fail_and_heal(edge, read_only(edge.store + "/segments"), 1,
                  EROFS)
    # What is open for writing, too.
    fail_and_heal(edge, failing(
        t, edge.recorder.pid, "pwrite64:error=EROFS", "pwritev:error=EROFS",
        "ftruncate:error=EROFS"), 2, EROFS)
    sender.terminate()
    sender.wait()
    alive(edge.recorder, edge.shipper)
    sent = t.all_stored(edge)
    drained(edge, core)
    equal(told_where_lost(frames(core), sent), 0, "lost")


def tree(path):
    """Every file below, with what would show a change."""
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            at = os.stat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (at.st_size, at.st_mtime_ns,
                                                 at.st_ino)
    return found


def a_recorder_does_not_start_on_a_read_only_store(t):
    node = t.node("edge", listen=True)
    node.start()
    equal(push(node, "x/eth0", 1, 100)[0], 200, "a push")
    node.stop()
    before = tree(node.store)
    with read_only(node.store):
        done = run([os.path.join(BUILD, "pb-recorder"), "-c", node.conf])
        said = [line for line in done.stderr.decode().splitlines()
                if "error" in line]
        equal(done.returncode, 1, "status: %s" % said)
        check(len(said) == 1 and EROFS in said[0], "it says", said)
        equal(tree(node.store), before, "files")
        equal(len(node.query().packets), 100, "packets that can be read")
    node.start()
    equal(push(node, "x/eth0", 101, 200)[0], 200, "a push")


def a_shipper_that_cannot_read_or_write_waits(t):
    core = t.node("core", listen=True)
    edge = t.node("edge", upstreams={"core": core})
    core.start()
    edge.start()
    equal(push(edge, "x/eth0", 1, 10)[0], 200, "a push")
    drained(edge, core)
    with failing(t, edge.shipper.pid, "pread64:error=EIO"):
        equal(push(edge, "x/eth0", 11, 20)[0], 200, "a push")
        wait_until(lambda: lines(edge.shipper, EIO), "it says why")
        alive(edge.shipper)
        equal(list(core.ends().values()), [10], "at the core")
    drained(edge, core)
    with failing(t, edge.shipper.pid, "pwrite64:error=EIO",
                 "pwritev:error=EIO", "fdatasync:error=EIO"):
        equal(push(edge, "x/eth0", 21, 30)[0], 200, "a push")
        wait_until(lambda: lines(edge.shipper, "/shipper: .*" + EIO),
                   "it says why")
        alive(edge.shipper)
    equal(push(edge, "x/eth0", 31, 40)[0], 200, "a push")
    drained(edge, core)
    used, begun = cpu(edge.shipper.pid), time.monotonic()
    with failing(t, edge.shipper.pid, "poll:error=ENOMEM"):
        wait_until(lambda: lines(edge.shipper, "wait for the network"),
                   "it says why")
        time.sleep(0.5)
        alive(edge.shipper)
    check(cpu(edge.shipper.pid) - used < (time.monotonic() - begun) / 2,
          "the shipper spins")
    equal(push(edge, "x/eth0", 41, 50)[0], 200, "a push")
    drained(edge, core)
    wait_until(lambda: status(edge)["upstreams"][0]["backlog"] == 0,
               "its account is level", HEALED)
    check(len(lines(edge.shipper, EIO)) < 10, "the log is flooded:",
          lines(edge.shipper, EIO))
    equal(by_stream(core.query()), by_stream(edge.query()), "packets")


def a_query_tells_what_it_could_not_read(t):
    need("strace")
    node = t.node("edge").start()
    equal(push(node, "x/eth0", 1, 100)[0], 200, "a push")
    argv = ["strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=pread64",
            "-e", "inject=pread64:error=EIO"]
    for path in node.files():
        argv += ["-P", path]
    done = run(argv + [os.path.join(BUILD, "pb"), "-c", node.conf, "query",
                       "-w", t.path("out.pcapng")],
               env={"ASAN_OPTIONS": "detect_leaks=0"})
    said = done.stderr.decode()
    equal(done.returncode, 1, "status of pb query: " + said)
    check(len(said.splitlines()) == 1 and EIO in said and
          "x/eth0" in said, "it says", said)
    equal(len(node.query().packets), 100, "packets without the fault")


if __name__ == "__main__":
    main("161", nothing_is_lost_when_system_calls_of_the_recorder_fail,
         a_segment_that_could_not_be_begun_leaves_nothing,
         a_file_system_that_turns_read_only_is_got_over,
         a_recorder_does_not_start_on_a_read_only_store,
         a_shipper_that_cannot_read_or_write_waits,
         a_query_tells_what_it_could_not_read, seconds=120)
