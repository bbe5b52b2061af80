"""A full disk: capture reads on and counts, ingest answers 503, the shipper
waits; all of it goes on when there is room."""

from faults import *
import samples

NO_SPACE = "No space left on device"
FRAME = 8900
# The chunks of a capture, and as much again; sanitizers keep what is freed.
RSS_GROWTH_MAX = 64 << 20 if SLOW == 1 else 1 << 30


def capture(node):
    return status(node)["live"]["captures"][0]


def begin_import(t, node):
    """It gives up when nothing was taken for ten seconds."""
    return t.spawn([os.path.join(BUILD, "pb"), "-c", node.conf, "import",
                    "--interface", "late", t.write("late.pcap", samples.pcap(
                        "<", samples.MAGIC_NS, [
                            (samples.T0 + n, n, samples.eth(n, 1400), 1400)
                            for n in range(2000)]))],
                   stderr=subprocess.PIPE)


def imports_clearly_not(child):
    _, said = child.communicate(timeout=20 * SLACK)
    said = said.decode()
    equal(child.returncode, 1, "status of pb import: " + said)
    check(len(said.splitlines()) == 1 and NO_SPACE in said,
          "pb import says", said)


def capture_counts_what_a_full_disk_cannot_keep(t):
    core = t.node("core", listen=True)
    with small_disk(t, "edge", 160) as disk:
        edge = t.edge_with_traffic(
            upstreams={"core": core},
            captures=[("pb1", "buffer = 128MiB")])
        core.start()
        edge.start()
        t.traffic(t.sender, "pb0", 200, 1000).wait()
        drained(edge, core)
        lost = capture_through_full_disk(t, edge, disk)
        alive(edge.recorder, edge.shipper)
        once(edge.recorder, "store: writing again", "the end")
        drained(edge, core)
        rows = frames(edge)
        equal(told_where_lost(rows, 6300), lost, "lost")
        check(lost > 0, "nothing was lost")
        equal(rows, frames(core), "packets at the core")
        shipper_caught_up(edge, rows)


def capture_through_full_disk(t, edge, disk):
    """6000 frames, 53 MB, on a disk without room; how many are lost."""
    disk.fill()
    before = rss(edge.recorder.pid)
    importing = begin_import(t, edge)
    t.traffic(t.sender, "pb0", 6000, 3000, FRAME, 201).wait()

    def all_read():
        now = capture(edge)
        return now if now["packets"] + now["store_dropped"] + \
            now["kernel_dropped"] == 6200 else None
    now = wait_until(all_read, "all frames are read and counted")
    check(now["store_dropped"] > 0, "nothing was lost:", now)
    said = writer(edge)
    check(NO_SPACE in said["last_error"], "status:", said)
    check(b"cannot write: " in edge.pb("status"), "people are not told")
    check(said["failures"] > 0, "failures:", said)
    check(NO_SPACE in once(edge.recorder, "store: cannot write: ",
                           "the full disk"), edge.recorder.tail())
    refused(push(edge, "x/eth0", 1, 10), NO_SPACE, "a push")
    imports_clearly_not(importing)
    check(rss(edge.recorder.pid) - before < RSS_GROWTH_MAX, "memory",
          before, rss(edge.recorder.pid))
    equal(len(lines(edge.recorder, "cannot write")), 1, "lines")
    disk.empty()
    wait_until(lambda: lines(edge.recorder, "writing again"),
               "the recorder writes again")
    t.traffic(t.sender, "pb0", 100, 1000, 200, 6201).wait()
    wait_until(lambda: capture(edge)["packets"] + now["store_dropped"] +
               now["kernel_dropped"] == 6300, "the last frames")
    wait_until(lambda: writer(edge)["last_error"] == "", "status heals")
    # Counted when it is read, in the store a flush later.
    wait_until(lambda: sum(s["packets"] for s in edge.rows(
        "streams", "--stream", "edge/pb1")) == capture(edge)["packets"],
               "all that was read and not lost is stored")
    equal(push(edge, "x/eth0", 1, 10)[0], 200, "a push")
    return capture(edge)["store_dropped"] + capture(edge)["kernel_dropped"]


def shipper_caught_up(edge, rows):
    def level():
        up = status(edge)["upstreams"][0]
        return up["backlog"] == 0 and up["last_error"] == ""
    wait_until(level, "the shipper's own account is level", HEALED)
    said = lines(edge.shipper, NO_SPACE)
    check(len(said) <= 2, "the shipper says", len(said), "times", said[:3])


def ingest_answers_503_until_there_is_room(t):
    with small_disk(t, "core", 48) as disk:
        core = t.node("core", listen=True)
        edge = t.node("edge", upstreams={"core": core})
        core.start()
        edge.start()
        equal(push(edge, "x/eth0", 1, 100)[0], 200, "at the edge")
        drained(edge, core)
        before = core.files()
        disk.fill()
        refused(push(core, "y/eth0", 1, 2000, 1400), NO_SPACE, "a push")
        for n in range(5):
            equal(push(edge, "x/eth0", 101 + n * 1000, 1100 + n * 1000,
                       1400)[0], 200, "at the edge")
        wait_until(lambda: NO_SPACE in status(edge)["upstreams"][0]
                   ["last_error"], "the edge is told why")
        equal(core.http("GET", "/v1/health")[0], 200, "health")
        once(core.recorder, "store: cannot write: .*" + NO_SPACE,
             "the full disk")
        check(len(lines(core.recorder, "")) < 30, "the log is flooded:",
              len(lines(core.recorder, "")), core.recorder.tail())
        equal([f for f in core.files() if f in before], before, "files")
        disk.empty()
        drained(edge, core)
        wait_until(lambda: lines(core.recorder, "writing again"), "the end")
        once(core.recorder, "store: writing again", "the end")
        equal(by_stream(core.query("--stream", "x/eth0")),
              by_stream(edge.query()), "packets")
        equal(push(core, "y/eth0", 1, 2000, 1400)[0], 200, "the push again")
        equal(len(by_stream(core.query("--stream", "y/eth0"))["eth0"]), 2000,
              "packets of y")
        alive(core.recorder, edge.recorder, edge.shipper)


def small_writes_between_large_ones_that_fail_heal_nothing(t):
    with small_disk(t, "core", 32) as disk:
        core = t.node("core", listen=True).start()
        equal(push(core, "x/eth0", 1, 10)[0], 200, "a push")
        disk.fill(512 << 10)
        taken = 0
        for n in range(1, 11):
            refused(push(core, "y/eth0", 1, 1000, 1400), NO_SPACE, "large")
            taken += push(core, "x/eth0", n * 10 + 1, n * 10 + 10)[0] == 200
        check(taken > 0, "no small one was taken")
        # A second without a failure is healing, here too: a slow machine
        # may have one.
        said = lines(core.recorder, "cannot write")
        check(len(said) <= 3, "the log is flooded:", said)
        disk.empty()
        equal(push(core, "y/eth0", 1, 1000, 1400)[0], 200, "the large one")
        wait_until(lambda: len(lines(core.recorder, "writing again")) ==
                   len(said), "the end")


def programs_start_on_a_full_disk_and_wait_for_room(t):
    with small_disk(t, "edge", 32) as disk:
        core = t.node("core", listen=True).start()
        edge = t.node("edge", upstreams={"core": core})
        edge.start_recorder()
        equal(push(edge, "x/eth0", 1, 100)[0], 200, "a push")
        edge.recorder.stop()
        disk.fill()
        edge.start_shipper()
        wait_until(lambda: lines(edge.shipper, NO_SPACE), "it says why")
        edge.start_recorder()
        refused(push(edge, "x/eth0", 101, 2000, 1400), NO_SPACE, "a push")
        alive(edge.shipper, edge.recorder)
        disk.empty()
        equal(push(edge, "x/eth0", 101, 2000, 1400)[0], 200, "a push")
        drained(edge, core)


def a_new_store_on_a_full_disk_is_one_clear_line(t):
    with small_disk(t, "edge", 32) as disk:
        edge = t.node("edge", listen=True, upstreams={
            "core": "http://127.0.0.1:%d" % free_port()})
        disk.fill()
        starts_not(edge)
        # With the directories there, the index's own files are the first
        # that find no room; they are written through a map.
        disk.empty()
        for name in ("index", "shipper"):
            os.mkdir(os.path.join(edge.store, name))
        for name in ("recorder.lock", "shipper.lock"):
            with open(os.path.join(edge.store, name), "w") as f:
                f.write("1\n")
        disk.fill()
        starts_not(edge)
        edge.start_shipper()
        wait_until(lambda: lines(edge.shipper, NO_SPACE), "it says why")
        disk.empty()
        edge.start_recorder()
        equal(push(edge, "x/eth0", 1, 100)[0], 200, "a push")
        wait_until(lambda: lines(edge.shipper, "shipping store="),
                   "it begins to ship")


def starts_not(node):
    done = run([os.path.join(BUILD, "pb-recorder"), "-c", node.conf])
    equal(done.returncode, 1, "status: " + done.stderr.decode())
    said = [line for line in done.stderr.decode().splitlines()
            if "error" in line]
    check(len(said) == 1 and NO_SPACE in said[0], "it says", said)


if __name__ == "__main__":
    main("160", capture_counts_what_a_full_disk_cannot_keep,
         ingest_answers_503_until_there_is_room,
         small_writes_between_large_ones_that_fail_heal_nothing,
         programs_start_on_a_full_disk_and_wait_for_room,
         a_new_store_on_a_full_disk_is_one_clear_line, seconds=120)
