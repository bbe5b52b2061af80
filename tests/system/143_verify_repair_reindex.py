"""A disk that rots, and an index that is lost: found, put right, told
upstream, and nothing that was whole is lost."""

import collections
import shutil
import threading

from faults import *

sys.path.insert(0, os.path.join(ROOT, "tests", "crash"))

import control

RUN, FRAME = 60, 9000       # of one push: some 545 KB, a segment of its own
GARBAGE = 100000


def verify(node, *args, want=0):
    done = node.pb_run("verify", *args)
    said = done.stdout.decode()
    equal(done.returncode, want, "pb verify %s: status (%s%s)" % (
        " ".join(args), said[-300:], done.stderr.decode()[-300:]))
    return said.splitlines()


def clean(node):
    lines = verify(node)
    check(len(lines) == 1 and lines[0].endswith("; 0 findings"), lines)


def change(path, at, data):
    """As rot does: the file's times stay."""
    was = os.stat(path)
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def flip(path, at):
    with open(path, "rb") as f:
        f.seek(at)
        byte = f.read(1)[0]
    change(path, at, bytes([byte ^ 0x10]))


def readable(node):
    """Each file, damaged ones aside, opens without a word."""
    if not shutil.which("tshark"):
        return
    for path in node.files():
        done = run(["tshark", "-nr", path, "-c", "100000"])
        said = [s for s in done.stderr.decode().splitlines()
                if not s.startswith("Running as user")]
        equal((done.returncode, said), (0, []), "tshark " + path)


def facts(node):
    """What the index says, but for where extents are cut."""
    return (node.rows("streams"), [
        {k: v for k, v in r.items() if k not in ("created", "extents")}
        for r in node.rows("segments")], node.rows("gaps"))


def core_with_packets(t, pushes=6, **kw):
    """A store with two streams, one of them with a name that has to be
    encoded, gaps, and a late arrival; stopped."""
    node = t.node("core", listen=True, store=["segment_size = 1MiB"], **kw)
    node.start_recorder()
    for n in range(pushes):
        take(node, "x/eth0", n)
    for n in (0, 1):
        take(node, "lon%2D1/a%2Fb%20%C3%A9.7", n)
    status, _, _ = gap(node, "x/eth0", pushes * RUN + 1, pushes * RUN + 50,
                       "dead-lettered")
    equal(status, 200, "gap")
    push(node, "x/eth0", pushes * RUN + 51, pushes * RUN + 60, FRAME)
    status, _, said = push(node, "x/eth0", pushes * RUN + 11,
                           pushes * RUN + 20, FRAME)
    equal(status, 200, "late: %s" % said)
    node.stop()
    return node


def take(node, stream, n):
    status, _, said = push(node, stream, n * RUN + 1, (n + 1) * RUN, FRAME)
    equal(status, 200, "push %d to %s: %s" % (n, stream, said))


def gap(node, stream, first, last, reason):
    c = Local(node)
    try:
        c.request("POST", "/v1/streams/%s/%s/gaps" % (stream, EPOCH),
                  json.dumps({"first": first, "last": last,
                              "reason": reason}))
        r = c.getresponse()
        return r.status, dict(r.getheaders()), r.read()
    finally:
        c.close()


def packets(node):
    return {k: rows for k, rows in segment_packets(node).items()}


def a_lost_index_is_made_again_by_the_recorder(t):
    node = core_with_packets(t)
    before, held = facts(node), packets(node)
    data = os.path.join(node.store, "index", "data.mdb")
    clean(node)

    def lose():
        shutil.rmtree(os.path.dirname(data))

    def cut():
        os.truncate(data, os.path.getsize(data) // 2)

    def rubbish():
        with open(data, "wb") as f:
            f.write(os.urandom(GARBAGE))

    for how, reason in ((lose, "is lost"), (cut, ""), (rubbish, "")):
        how()
        if how != cut:      # LMDB does not look at what is behind
            for asked in (("query", "--count"), ("status",), ("upstreams",)):
                said = node.pb_run(*asked)
                check(said.returncode == 1 and b"`pb reindex` makes it again"
                      in said.stderr and b"no store" not in said.stdout,
                      how.__name__, asked, said)
        node.start_recorder()
        node.recorder.says("^error store: .*%s.*: making the index again "
                           "from the files$" % reason)
        node.recorder.says("store: the index is made again streams=2 "
                           "segments=%d packets=%d gaps=2 damaged=0" % (
                               len(before[1]), sum(map(len, held.values()))))
        node.stop()
        equal(facts(node), before, "after %s: the index" % how.__name__)
        equal(packets(node), held, "packets")
        clean(node)
    # And by hand.
    lose()
    done = verify(node, want=1)
    equal(done, ["%s: index: %s is lost: `pb reindex` makes it again" % (
        data, data), "0 segments, 0 packets, 0 bytes checked; 1 findings"],
        "verify without an index")
    said = node.pb("reindex").decode()
    check(said.startswith("2 streams, %d segments, %d packets, " % (
        len(before[1]), sum(map(len, held.values())))) and said.endswith(
        " bytes, 2 gaps; 0 files were damaged\n"), said)
    equal(facts(node), before, "after reindex: the index")


def rotten_pages_of_the_index_do_not_keep_the_recorder_down(t):
    node = t.node("edge", listen=True, store=["segment_size = 1MiB"])
    node.start_recorder()
    data = os.path.join(node.store, "index", "data.mdb")
    for n in range(6):
        take(node, "x/eth0", n)
        take(node, "x/eth1", n)
        node.recorder.kill()
        held = packets(node)
        pages = range(2, os.path.getsize(data) // 4096)
        for page in random.sample(pages, len(pages) // 3):
            change(data, page * 4096, os.urandom(4096))
        node.start_recorder()
        equal(packets(node), held, "packets")
    for name in ("eth0", "eth1"):
        equal(node.streams()["x", name, EPOCH]["last_seq"], 6 * RUN, name)
    node.stop()
    clean(node)


def what_an_operators_disk_does_is_found_and_put_right(t):
    node = core_with_packets(t)
    files = [f for f in node.files() if "/x/eth0/" in f]
    held = packets(node)
    key = next(k for k in held if k[0] == "x")
    first = {int(os.path.basename(f)[:20]): f for f in files}
    numbers = sorted(first)
    check(len(numbers) >= 6, numbers)
    rot, torn, gone, head, extra = (first[n] for n in numbers[:5])
    size = os.path.getsize(torn)
    flip(rot, os.path.getsize(rot) // 2)            # within a packet's data
    os.truncate(torn, size - 20000)                 # two packets and more
    os.unlink(gone)
    change(head, 8, b"\0" * 60)
    copy = os.path.join(os.path.dirname(extra), "%020d.pcapng" % (
        numbers[4] + 7))
    shutil.copy2(extra, copy)
    # What cannot be read of a search is said, and is no answer.
    for args in (("udp",), ("-w", t.path("o.pcapng")), ("--reverse", "udp")):
        done = node.pb_run("query", "--seq", str(numbers[2]), *args)
        equal((done.returncode, done.stderr), (1, b"pb: stream x/eth0, segment "
              b"%d: the index has it, and its file is gone; see `pb verify`\n"
              % numbers[2]), args)
    lines = verify(node, want=1)
    ends = {p: n for p, n in zip(files, numbers[1:] + [None])}

    def found(path, flaw, text):
        line, = [s for s in lines if s.startswith("%s: %s: " % (path, flaw))]
        check(re.fullmatch(text, line[len(path) + len(flaw) + 4:]), line)

    found(rot, "digest", r"packets %d to %d do not match their digest" % (
        numbers[0], ends[rot] - 1))
    found(torn, "size", r"it has %d bytes, the index says %d" % (
        size - 20000, size))
    found(torn, "block", r"a block is cut short at offset \d+, in packets "
          r"%d to %d" % (numbers[1], ends[torn] - 1))
    found(gone, "missing", r"the index has %d packets of it and there is no "
          r"file" % (ends[gone] - numbers[2]))
    found(head, "header", r"its section and interface cannot be read: .*")
    found(copy, "extra", "the index does not know it")
    check(lines[-1].endswith("; 6 findings"), lines)
    rows = [json.loads(s) for s in verify(node, "--json", want=1)]
    equal(rows[-1]["findings"], 6, "findings")
    row, = [r for r in rows if r.get("flaw") == "digest"]
    equal((row["node"], row["interface"], row["epoch"], row["path"],
           row["first"], row["last"]), ("x", "eth0", EPOCH, rot, numbers[0],
                                        ends[rot] - 1), "as JSON")
    check(verify(node, "--stream", "lon*/*")[0].endswith("; 0 findings"),
          "the other stream")

    said = verify(node, "--repair")
    check(re.fullmatch(r"repaired: \d+ segments, \d+ packets, \d+ gaps; what "
                       r"was not whole is in damaged/", said[-1]), said)
    clean(node)
    readable(node)
    now = packets(node)
    left = {r[0] for r in now[key]}
    lost = {r[0] for r in held[key]} - left
    check(set(range(numbers[2], ends[gone])) < lost, "lost", sorted(lost))
    check(lost <= set(range(numbers[1], ends[gone])), "lost", sorted(lost))
    check(len(lost) - (ends[gone] - numbers[2]) <= 3, "lost", sorted(lost))
    same = [r for r in held[key] if r[0] in left and r[0] >= numbers[1]]
    equal([r for r in now[key] if r[0] >= numbers[1]], same, "what is left")
    gaps = [r for r in node.rows("gaps") if r["reason"] == "damaged"]
    equal({n for r in gaps for n in range(r["first"], r["last"] + 1)}, lost,
          "the gaps")
    check(all(r["since"] and r["closed"] is None for r in gaps), gaps)
    aside = sorted(os.listdir(os.path.join(node.store, "damaged")))
    notes = "".join(open(os.path.join(node.store, "damaged", n)).read()
                    for n in aside if n.endswith(".txt"))
    check("kept, and doubtful: packets %d to %d do not match" % (
        numbers[0], ends[rot] - 1) in notes, notes)
    check("it is damaged" in notes and "its numbers are in another" in notes,
          notes)
    # It goes on where it was, and what comes late closes the gap.
    node.start_recorder()
    last = node.streams()["x", "eth0", EPOCH]["last_seq"]
    equal(push(node, "x/eth0", last + 1, last + 5)[0], 200, "goes on")
    wanted = sorted(lost & set(range(numbers[2], ends[gone])))
    equal(push(node, "x/eth0", wanted[0], wanted[-1], FRAME)[0], 200, "late")
    check(all(r["closed"] for r in node.rows("gaps")
              if wanted[0] <= r["first"] <= wanted[-1]), "closed")
    clean(node)


def a_damaged_gap_of_the_edge_travels_upstream(t):
    core = t.node("core", listen=True).start()
    edge = t.node("edge", store=["segment_size = 1MiB"],
                  upstreams={"core": core})
    edge.start_recorder()
    for n in range(4):
        take(edge, "x/eth0", n)
    edge.stop()
    files = edge.files()
    numbers = [int(os.path.basename(f)[:20]) for f in files]
    os.unlink(files[1])
    verify(edge, "--repair")
    edge.start_recorder()
    edge.start_shipper()
    drained(edge, core)
    row, = core.rows("gaps")
    equal((row["first"], row["last"], row["reason"], row["closed"]),
          (numbers[1], numbers[2] - 1, "damaged", None), "the core's gap")
    equal(sorted(r[0] for r in by_stream(core.query())["eth0"]),
          [n for n in range(1, 4 * RUN + 1)
           if not numbers[1] <= n < numbers[2]], "numbers")
    # The edge's index goes while its shipper runs: both go on.
    edge.recorder.stop()
    shutil.rmtree(os.path.join(edge.store, "index"))
    edge.start_recorder()
    take(edge, "x/eth0", 4)
    drained(edge, core)
    check(edge.shipper.alive(), "the shipper ended")
    equal(core.ends()["x", "eth0", EPOCH], 5 * RUN, "the core's end")
    clean(core)


def a_relay_with_foreign_blocks_is_rebuilt_as_it_was(t):
    """Packets with hops and drop counts, names and secrets among them."""
    o = "<"
    body = samples.shb(o) + samples.idb(o, 1, (2, b"eth0"), (9, b"\x09"))
    for n in range(1, 1200):
        body += samples.epb(o, 0, (samples.T0 + n) * 10**9,
                            samples.eth(n, 1400),
                            (4, struct.pack("<Q", n % 3)))
        if n % 50 == 0:
            body += samples.block(o, 4, struct.pack("<HH", 0, 0))
            body += samples.block(o, 10, struct.pack("<II", 0x544C534B, 8) +
                                  b"key %04d" % n)
        if n % 70 == 0:
            body += samples.block(o, 0x00000bad, b"what this is nobody knows")
    core = t.node("core", listen=True, store=["segment_size = 1MiB"])
    edge = t.node("edge", store=["segment_size = 1MiB"],
                  upstreams={"core": core})
    core.start_recorder()
    edge.start()
    for name in ("first", "second"):
        edge.pb("import", "--secrets", "--interface", "eth0",
                t.write(name + ".pcapng", body))
    drained(edge, core)
    for node in (edge, core):
        node.stop()
        clean(node)
        before, held = facts(node), packets(node)
        check(sum(r["dropped"] for r in before[0]) > 700, before[0])
        node.pb("reindex")
        equal(facts(node), before, node.name)
        clean(node)
    # On the core a header can only come from a sibling: packets have hops.
    files = core.files()
    folder = collections.Counter(os.path.dirname(f) for f in files)
    several = [f for f in files if folder[os.path.dirname(f)] > 1]
    check(several, "one segment each", files)
    change(several[0], 8, b"\0" * 60)
    shutil.rmtree(os.path.join(core.store, "index"))
    core.start_recorder()
    core.stop()
    equal(packets(core), held, "packets, with a header anew")
    clean(core)
    readable(core)


def what_mends_is_finished_by_the_next_when_it_is_killed(t):
    """At every call of it that changes the world, or at some of them."""
    for what in (("reindex",), ("verify", "--repair")):
        node = t.node("killed-" + what[0], listen=True,
                      store=["segment_size = 1MiB"])
        node.start_recorder()
        for n in range(3):
            take(node, "x/eth0", n)
        node.stop()
        path = node.files()[1]
        change(path, os.path.getsize(path) // 8 * 4, b"\0" * 20000)
        if what[0] == "reindex":
            shutil.rmtree(os.path.join(node.store, "index"))
        kept = t.path("kept-" + what[0])
        os.rename(node.store, kept)
        calls = killed_at(t, node, kept, what, 0)
        want = packets(node)
        equal(sum(map(len, want.values())), 3 * RUN - 3, "packets kept")
        step = 1 if os.environ.get("PB_FULL") else max(1, calls // 15)
        for n in range(random.randrange(step) + 1, calls + 1, step):
            killed_at(t, node, kept, what, n)
            equal(packets(node), want, "packets, %s killed at call %d of %d"
                  % (what[0], n, calls))


def killed_at(t, node, kept, what, n):
    """Killed at its n-th call and done again; how many there are."""
    shutil.rmtree(node.store, ignore_errors=True)
    must(["cp", "-a", kept, node.store])
    how = (control.BEFORE, control.AFTER, control.WITHIN)[n % 3]
    crash = control.Control(t.path("control"), n, how, True)
    done = node.pb_run(*what, env=dict(
        crash.env(), TMPDIR=t.dir))
    equal(done.returncode, -9 if crash.dead else 0, "status: %s"
          % done.stderr[-300:])
    node.pb(*what)
    clean(node)
    return crash.calls


def verify_beside_a_recorder_finds_nothing(t):
    node = t.node("edge", store=[
        "segment_size = 1MiB", "retain_size = 6MiB", "segment_age = 1s"])
    node.start_recorder()
    stop = threading.Event()
    failed = []

    def traffic():
        n = 0
        while not stop.is_set():
            status, _, said = push(node, "x/eth0", n * 10 + 1, n * 10 + 10,
                                   FRAME)
            if status == 200:
                n += 1
                if n % 20 == 0:
                    gap(node, "x/eth0", n * 10 + 1, n * 10 + 10, "expired")
                    n += 1
            else:
                failed.append(said)

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        for _ in range(20):
            clean(node)
        pid = node.recorder.pid
        for args in (("verify", "--repair"), ("reindex",)):
            done = node.pb_run(*args)
            equal(done.returncode, 1, " ".join(args))
            check(str(pid) in done.stderr.decode() and
                  "pb-recorder" in done.stderr.decode(), done.stderr)
    finally:
        stop.set()
        thread.join()
    check(not failed, failed[:1])


def a_store_that_was_killed_is_verified_repaired_and_rebuilt(t):
    for what in (("verify",), ("verify", "--repair"), ("reindex",)):
        name = "-".join(w.strip("-") for w in what)
        node = t.node(name, listen=True)
        node.start_recorder()
        take(node, "x/eth0", 0)
        take(node, "x/eth1", 0)
        node.recorder.kill()
        check(any(f.endswith(".open") for f in node.files()), node.files())
        held = packets(node)
        done = node.pb_run(*what)
        equal(done.returncode, 0, "%s: %s" % (name, done.stdout))
        node.start_recorder()
        equal(packets(node), held, "packets")
        take(node, "x/eth0", 1)
        node.stop()
        clean(node)
    nowhere, bare = t.node("nowhere"), t.node("bare")
    os.mkdir(bare.store)
    for none in (nowhere, bare):
        for what in (("verify",), ("verify", "--repair"), ("reindex",)):
            done = none.pb_run(*what)
            equal((done.returncode, done.stdout, done.stderr.decode()),
                  (1, b"", "pb: there is no store in %s\n" % none.store),
                  what)
    check(not os.path.exists(nowhere.store), "made a store")
    equal(os.listdir(bare.store), [], "made a store")


if __name__ == "__main__":
    main(143,
         a_lost_index_is_made_again_by_the_recorder,
         rotten_pages_of_the_index_do_not_keep_the_recorder_down,
         what_an_operators_disk_does_is_found_and_put_right,
         a_damaged_gap_of_the_edge_travels_upstream,
         a_relay_with_foreign_blocks_is_rebuilt_as_it_was,
         what_mends_is_finished_by_the_next_when_it_is_killed,
         verify_beside_a_recorder_finds_nothing,
         a_store_that_was_killed_is_verified_repaired_and_rebuilt)
