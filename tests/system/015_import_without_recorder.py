"""Where no recorder runs `pb import` writes the store itself: what lands is
the same, and whatever happens meanwhile leaves a whole store."""

from faults import *
from imports import *
import pngread
import samples

NO_SPACE = "No space left on device"
RSS_MAX = 256 << 20
FILES_SOFT = 256            # that may be open, of which it needs more
DELAY_MS, DELAYS = 250, 8   # of the first syncs of an import


def begin_traced(t, node, inject, *files):
    """An import whose syncs meet something; leaks are not looked for, since
    that cannot be done under strace."""
    need("strace")
    options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    return t.spawn(["strace", "-f", "-qq", "-o", "/dev/null",
                    "-e", "trace=fdatasync", "-e",
                    "inject=fdatasync:" + inject, *pb_import(node, *files)],
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                   env=dict(os.environ, ASAN_OPTIONS=options))


def begin_slow(t, node, *files):
    """An import that has begun to write, and is kept from it for two seconds;
    and its pid."""
    child = begin_traced(t, node, "delay_enter=%d:when=1..%d" % (
        DELAY_MS * 1000, DELAYS), *files)
    wait_until(lambda: node.files() or child.poll() is not None,
               "it begins to write")
    if child.poll() is not None:
        said = child.stderr.read().decode()
        if "ptrace" in said.lower():
            skip("strace may not trace here: " + said.strip())
        raise Failure("it ended: " + said)
    with open(os.path.join(node.store, "recorder.lock")) as f:
        return child, int(f.read())


@contextlib.contextmanager
def standing(t, node, *files):
    """An import in the middle, which goes on behind the block; and its pid."""
    child, pid = begin_slow(t, node, *files)
    os.kill(pid, signal.SIGSTOP)
    check(child.poll() is None, "the import had ended")
    try:
        yield child, pid
    finally:
        os.kill(pid, signal.SIGCONT)


def blocks(node):
    """{(node, interface): files}, a file as its blocks, but for fillers and
    the section header, which has an epoch of its own each time."""
    out = {}
    for path in node.files():
        with open(path, "rb") as f:
            data = f.read()
        capture = pngread.read(data)
        me = pngread.identity(capture.sections[0])
        out.setdefault((*me["nodes"], me["interface"]), []).append(
            [o for o in capture.sections[0].options
             if not pngread.is_own(o)] +
            [data[at:at + size] for kind, at, size in capture.blocks
             if kind != pngread.SHB and
             not (kind == pngread.ISB and b"PB\x01\x03" in
                  data[at:at + 40])])
    return {key: sorted(files, key=lambda file: [
        part if isinstance(part, bytes) else repr(part).encode()
        for part in file]) for key, files in out.items()}


def either_way_into_the_store_lands_the_same(t):
    files = [t.write(name + ".cap", data)
             for name, data in samples.valid().items()]
    files.append(large_file(t, 2))
    files.append(t.write("many.pcapng", many_interfaces(
        300, 20, 12000, comment="c" * 50000)))
    direct, through = t.node("n1"), t.node("n2")
    through.start_recorder()
    for node in (direct, through):
        for n, path in enumerate(files):
            node.pb("import", "--node", "f%04d" % n, path)
    through.recorder.stop()
    one, two = blocks(direct), blocks(through)
    equal(sorted(one), sorted(two), "streams")
    for key in one:
        check(one[key] == two[key], key, "differs")
    what = ("node", "interface", "first_seq", "last_seq", "packets", "bytes",
            "dropped", "first_time", "last_time")
    equal(sorted([r[w] for w in what] for r in direct.rows("streams")),
          sorted([r[w] for w in what] for r in through.rows("streams")),
          "rows")


def many_interfaces_fill_their_chunks_side_by_side(t):
    count = 400
    node = t.node("n1")
    child = t.spawn(["sh", "-c", 'ulimit -Sn %d && exec "$@"' % FILES_SOFT,
                     "sh", *pb_import(node, t.write(
                         "many.pcapng", many_interfaces(count, 5, 200)))],
                    stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    equal(child.returncode, 0, "status of pb import")
    # A chunk has a mebibyte, and few of its bytes are used.
    check(SLOW > 1 or used.ru_maxrss << 10 < RSS_MAX, "memory",
          used.ru_maxrss)
    got = by_stream(node.query())
    equal(len(got), count, "streams")
    for i in range(count):
        equal([row[3] for row in got["port%d" % i]],
              [samples.eth(n * count + i, 200) for n in range(5)],
              "packets of port%d" % i)


def statistics_behind_chunks_that_left_early_stay(t):
    """More than 64 MiB in the chunks of many interfaces."""
    count, each, size = 200, 45, 8000
    node = t.node("n1")
    path = t.write("many.pcapng", many_interfaces(count, each, size))
    done = node.pb_run("import", path)
    equal((done.returncode, done.stderr), (0, b""), "pb import")
    got = by_stream(node.query())
    for i in range(count):
        equal([row[3] for row in got["port%d" % i]],
              [samples.eth(n * count + i, size) for n in range(each)],
              "packets of port%d" % i)
    for key, files in blocks(node).items():
        last = files[-1][-1]
        check(len(files) == 1 and last[:4] == struct.pack("<I", pngread.ISB),
              key, "does not end with its statistics")
    node.pb("verify")


def a_pipe_is_imported_like_a_file(t):
    data = samples.valid()["sections-le"]
    one, two, three = t.node("n1"), t.node("n2"), t.node("n3")
    path, fifo = t.write("a.pcapng", data), t.path("fifo")
    os.mkfifo(fifo)
    one.pb("import", "--node", "n", path)
    two.pb("import", "--node", "n", "-", stdin=data)
    child = t.spawn(pb_import(three, "--node", "n", fifo),
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with open(fifo, "wb") as f:
        f.write(data)
    ends_with(child, 0)
    want = blocks(one)
    check(want == blocks(two), "standard input differs")
    check(want == blocks(three), "a pipe differs")
    done = run(pb_import(t.node("n4"), "-"), stdin=data[:-1])
    equal(done.returncode, 1, "status of a torn pipe")
    check(b"standard input: offset " in done.stderr, "said", done.stderr)
    check(not os.path.exists(t.path("n4")), "there is a store")


def a_malformed_file_keeps_out_the_one_before(t):
    nothing_of_two_files(t.node("n1"))


def a_large_file_with_a_torn_end_leaves_nothing(t):
    node = t.node("n1")
    done = node.pb_run("import", large_file(t, torn=1))
    equal(done.returncode, 1, "status")
    check(b"large.pcap: offset " in done.stderr, "said", done.stderr)
    check(not os.path.exists(node.store), "there is a store")


def another_import_is_waited_for(t):
    node = t.node("n1")
    with standing(t, node, large_file(t)) as (first, pid):
        second = t.spawn(pb_import(node, "--interface", "second", t.write(
            "b.pcap", samples.valid()["pcap-us-le"])),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said = second.stderr.readline().decode()
        check("waiting for another import, pid %d" % pid in said, said)
    ends_with(second, 0)
    ends_with(first, 0)
    are_the_files(node, "n1/large.pcap")
    equal(len(node.query("--stream", "n1/second").packets), 20, "second")
    is_whole(node)


def many_imports_at_once_take_turns(t):
    node = t.node("n1")
    children = [t.spawn(pb_import(node, "--interface", "if%d" % n, t.write(
        "%d.pcap" % n, samples.valid()["pcap-us-le"])),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for n in range(6)]
    for child in children:
        _, said = child.communicate(timeout=60 * SLACK)
        equal(child.returncode, 0, "status: %s" % said)
        check(all(b"waiting for another import" in line
                  for line in said.splitlines()), "it says", said)
    equal(sorted(r["interface"] for r in node.rows("streams")),
          ["if%d" % n for n in range(6)], "streams")
    equal({r["packets"] for r in node.rows("streams")}, {20}, "packets")
    is_whole(node)


def a_file_that_grows_meanwhile_is_read_to_its_old_end(t):
    node = t.node("n1")
    path = large_file(t)
    with standing(t, node, path) as (child, _), open(path, "ab") as f:
        f.write(b"the first bytes of a packet")
    ends_with(child, 0)
    are_the_files(node, "n1/large.pcap")
    is_whole(node)


def a_file_that_shrinks_meanwhile_is_told_with_the_offset(t):
    node = t.node("n1")
    path = large_file(t)
    end = 24 + (PIECES - 4) * PIECE * (16 + FRAME)
    with standing(t, node, path) as (child, _):
        os.truncate(path, end)
    ends_with(child, 1, "large.pcap: offset %d: " % end, "when it was checked")
    check(are_the_files(node, "n1/large.pcap", False) > 0,
          "the first ones are not there")
    is_whole(node)


def a_file_that_is_written_anew_meanwhile_is_told(t):
    node = t.node("n1")
    path = large_file(t)
    with standing(t, node, path) as (child, _), \
            open(path, "r+b") as f:     # two packets become one
        f.seek(24 + (PIECES * PIECE - 2) * (16 + FRAME) + 8)
        f.write(struct.pack("<II", 2 * FRAME + 16, 2 * FRAME + 16))
    ends_with(child, 1, "large.pcap: changed while it was imported")
    is_whole(node)


def a_recorder_that_starts_meanwhile_is_told_who_has_the_store(t):
    node = t.node("n1")
    with standing(t, node, large_file(t)) as (child, pid):
        done = run([os.path.join(BUILD, "pb-recorder"), "-c", node.conf])
        equal(done.returncode, 1, "status")
        check(b"%d" % pid in done.stderr, "it says", done.stderr)
        node.pb("status")
    ends_with(child, 0)
    are_the_files(node, "n1/large.pcap")


def killed_in_the_middle_it_leaves_a_whole_store(t):
    node = t.node("n1")
    child, pid = begin_slow(t, node, large_file(t))
    wait_until(lambda: os.path.getsize(node.files()[0]) > 8 << 20,
               "some of it is written")
    os.kill(pid, signal.SIGKILL)
    child.wait(20 * SLACK)
    is_whole(node)
    are_the_files(node, "n1/large.pcap", whole=False)


def interrupted_it_keeps_what_went_before(t):
    node = t.node("n1")
    child, pid = begin_slow(t, node, large_file(t))
    os.kill(pid, signal.SIGINT)
    ends_with(child, 1, "interrupted; what went before was imported")
    equal([f for f in node.files() if f.endswith(".open")], [], "open files")
    is_whole(node)
    check(are_the_files(node, "n1/large.pcap", whole=False) > 0, "nothing")


def a_sync_that_fails_is_one_clear_line(t):
    node = t.node("n1")
    # The writer's sixth is of the second flush, whatever the disk's speed.
    child = begin_traced(t, node, "error=EIO:when=6+", large_file(t))
    ends_with(child, 1, "large.pcap", "Input/output error")
    is_whole(node)
    are_the_files(node, "n1/large.pcap", whole=False)


def a_disk_that_fills_is_one_clear_line(t):
    with small_disk(t, "n1", 480) as disk:
        node = t.node("n1")
        path = large_file(t)
        disk.fill(100 << 20)
        ends_with(t.spawn(pb_import(node, path), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE), 1, "large.pcap",
                  NO_SPACE)
        node.pb("verify")
        are_the_files(node, "n1/large.pcap", whole=False)
        disk.empty()
        node.pb("import", "--node", "again", path)
        are_the_files(node, "again/large.pcap")
        is_whole(node)


if __name__ == "__main__":
    main("015", either_way_into_the_store_lands_the_same,
         many_interfaces_fill_their_chunks_side_by_side,
         statistics_behind_chunks_that_left_early_stay,
         a_pipe_is_imported_like_a_file,
         a_malformed_file_keeps_out_the_one_before,
         a_large_file_with_a_torn_end_leaves_nothing,
         another_import_is_waited_for,
         many_imports_at_once_take_turns,
         a_file_that_grows_meanwhile_is_read_to_its_old_end,
         a_file_that_shrinks_meanwhile_is_told_with_the_offset,
         a_file_that_is_written_anew_meanwhile_is_told,
         a_recorder_that_starts_meanwhile_is_told_who_has_the_store,
         killed_in_the_middle_it_leaves_a_whole_store,
         interrupted_it_keeps_what_went_before,
         a_sync_that_fails_is_one_clear_line,
         a_disk_that_fills_is_one_clear_line, seconds=180)
