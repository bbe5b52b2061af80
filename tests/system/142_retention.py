"""A store keeps its bounds: by size, by free space, and what the upstreams
have goes before what they wait for."""

from faults import *

MIB = 1 << 20
RUN, FRAME = 60, 9000       # of one push: some 545 KB, a segment of its own
FREE = "min_free = 0"       # what the harness writes


def rewrite(node, old, new):
    with open(node.conf) as f:
        text = f.read()
    check(old in text, old, "is not in", node.conf)
    with open(node.conf, "w") as f:
        f.write(text.replace(old, new))


def one_run(node, number, stream="x/eth0"):
    """Packets of push `number`, from 0."""
    return push(node, stream, number * RUN + 1, (number + 1) * RUN, FRAME)


def take(node, number, stream="x/eth0"):
    equal(one_run(node, number, stream)[0], 200, "push %d" % number)


def used(node):
    total = 0
    for path in node.files():
        if path.endswith((".pcapng", ".open")):
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(path).st_size
    return total


def retention(node):
    return status(node)["retention"]


def deleted(daemon):
    """(stream, first, last, bytes, reason, acked) of each line."""
    found = []
    for line in lines(daemon, "retention: deleted "):
        m = re.match(
            r"(info|warn) retention: deleted stream=(\S+) first=(\d+) "
            r"last=(\d+) bytes=(\d+) reason=(size|age|free) "
            r"acked=(yes|no|released) (?:stored=\d+ retain_size=\d+|"
            r"age_s=\d+ retain_age_s=\d+|free=\d+ min_free=\d+)$", line)
        check(m, "a line says", line)
        equal(m[1], "warn" if m[7] == "no" else "info", line)
        found.append((m[2], int(m[3]), int(m[4]), int(m[5]), m[6], m[7]))
    return found


def gaps(node):
    return [(r["interface"], r["first"], r["last"], r["reason"])
            for r in node.rows("gaps") if r["closed"] is None]


def the_sum_of_the_files_stays_within_retain_size(t):
    node = t.node("edge", store=["segment_size = 1MiB", "retain_size = 4MiB"])
    node.start_recorder()
    for n in range(14):
        take(node, n)
        wait_until(lambda: used(node) <= 4 * MIB, "the sum fits")
        largest = max(os.stat(f).st_size for f in node.files())
        check(n < 8 or used(node) > 4 * MIB - largest, "only", used(node),
              "bytes are left of", 4 * MIB)
    # A file that is gone is counted and told a moment later.
    wait_until(lambda: retention(node)["bytes"] == used(node), "bytes")
    now = retention(node)
    wait_until(lambda: len(deleted(node.recorder)) ==
               now["deleted_segments"], "a line for each segment")
    gone = deleted(node.recorder)
    equal(now["deleted_bytes"], sum(g[3] for g in gone), "bytes deleted")
    equal((now["retain_size"], now["why"]), (4 * MIB, ""), "status")
    equal([g[0:3] + g[4:] for g in gone], [
        ("x/eth0", i * RUN + 1, (i + 1) * RUN, "size", "yes")
        for i in range(len(gone))], "lines")
    first = len(gone) * RUN + 1
    row, = node.rows("streams")
    equal((row["first_seq"], row["last_seq"], row["packets"]),
          (first, 14 * RUN, 14 * RUN + 1 - first), "stream")
    rows = by_stream(node.query())["eth0"]
    equal([r[0] for r in rows], list(range(first, 14 * RUN + 1)), "numbers")
    equal(gaps(node), [], "gaps: nobody waits for what went")
    node.stop()
    equal(retention(node)["bytes"], used(node), "bytes, without a recorder")


def what_the_core_has_goes_first_and_the_rest_becomes_a_gap(t):
    core = t.node("core", listen=True)
    edge = t.node("edge", store=["segment_size = 1MiB", "retain_size = 2MiB"],
                  upstreams={"core": (core, "streams = */eth0"), "gone": (
                      "http://127.0.0.1:%d" % free_port(),
                      "streams = */eth1")})
    core.start()
    edge.start()

    def has_all():
        up, = [u for u in status(edge)["upstreams"] if u["name"] == "core"]
        return up["streams"] > 0 and up["backlog"] == 0 and core.ends() and \
            list(core.ends().values())[0] == edge.streams()[
                ("x", "eth0", EPOCH)]["last_seq"]

    def expect(gone):
        wait_until(lambda: len(deleted(edge.recorder)) >= len(gone),
                   "%d are deleted" % len(gone))
        equal([(d[0][2:], d[1], d[5]) for d in deleted(edge.recorder)], gone,
              "what went")

    # Three fit.  Nobody takes eth1, whose sealed one is the oldest.
    take(edge, 0, "x/eth1")
    take(edge, 1, "x/eth1")
    gone = []
    for n in range(3):
        take(edge, n)
        wait_until(has_all, "the core has eth0")
        expect(gone)
        gone.append(("eth0", n * RUN + 1, "yes"))
    core.stop()
    take(edge, 3)
    expect(gone)
    equal(gaps(edge), [], "gaps while what was acknowledged goes")
    take(edge, 4)
    gone.append(("eth1", 1, "no"))
    expect(gone)
    for n in (5, 6):
        take(edge, n)
        gone.append(("eth0", (n - 2) * RUN + 1, "no"))
        expect(gone)
    wait_until(lambda: len(gaps(edge)) == 2, "both gaps")
    equal(sorted(gaps(edge)), [("eth0", 181, 300, "expired"),
                               ("eth1", 1, 60, "expired")], "gaps")
    wait_until(lambda: retention(edge)["expired_unacked_packets"] == 180,
               "180 packets are told as expired")
    check("180 packets not acknowledged" in edge.pb("status").decode(),
          "pb status says", edge.pb("status"))
    core.start()
    drained_to(core, 7 * RUN)
    equal(gaps(core), [("eth0", 181, 300, "expired")], "gaps at the core")
    rows = by_stream(core.query())["eth0"]
    equal([r[0] for r in rows], [*range(1, 181), *range(301, 421)],
          "numbers at the core")


def declare(node, first, last):
    """A gap of x/eth0."""
    door = Local(node)
    try:
        door.request("POST", "/v1/streams/x/eth0/%s/gaps" % EPOCH, json.dumps(
            {"first": first, "last": last, "reason": "dead-lettered"}))
        equal(door.getresponse().status, 200, "a gap")
    finally:
        door.close()


def what_comes_late_while_no_shipper_runs_is_still_sent(t):
    core = t.node("core", listen=True)
    edge = t.node("edge", store=["segment_size = 1MiB", "retain_size = 2MiB"],
                  upstreams={"core": core})
    core.start()
    edge.start()
    take(edge, 0)
    declare(edge, RUN + 1, 2 * RUN)
    take(edge, 2)
    drained_to(core, 3 * RUN)
    wait_until(lambda: [(u["streams"], u["backlog"]) for u in
                        status(edge)["upstreams"]] == [(1, 0)],
               "nothing waits")
    edge.shipper.kill()
    take(edge, 1)
    for n in (3, 4):
        take(edge, n)
    wait_until(lambda: len(deleted(edge.recorder)) >= 2, "two are deleted")
    equal([(d[1], d[5]) for d in deleted(edge.recorder)],
          [(1, "yes"), (2 * RUN + 1, "yes")], "what went")
    edge.start_shipper()
    drained_to(core, 5 * RUN)
    wait_until(lambda: gaps(core) == [], "the gap is filled")
    rows = by_stream(core.query())["eth0"]
    equal([r[0] for r in rows], list(range(1, 5 * RUN + 1)),
          "numbers at the core")


def drained_to(core, last):
    wait_until(lambda: list(core.ends().values()) == [last],
               "the core is told of %d" % last, HEALED, 0.1)


def room_stays_free_and_when_others_take_it_that_is_said(t):
    with small_disk(t, "edge", 32) as disk:
        edge = t.node("edge", store=["segment_size = 1MiB"])
        rewrite(edge, FREE, "min_free = 20%")
        edge.start_recorder()
        size = retention(edge)["min_free"]
        for n in range(44):
            take(edge, n)
            wait_until(lambda: disk.free() >= size, "a fifth is free")
        left = disk.free()
        check(left < size + 2 * MIB, "too much went:", left, "is free of",
              size)
        gone = deleted(edge.recorder)
        equal({g[4:] for g in gone}, {("free", "yes")}, "reasons")
        ballast = others_take_it(disk, edge)
        wait_until(lambda: retention(edge)["why"], "status says why")
        why = retention(edge)["why"]
        check(re.match(r"min_free: \d+\.\d % free, 20 % wanted; the store's "
                       r"sealed segments are 0 bytes, 1 open ones \d+$",
                       why), "why:", why)
        check(why.split(";")[1] in edge.pb("status").decode(), "pb status")
        once(edge.recorder, "retention: nothing can be deleted: min_free",
             "the warning")
        for path in ballast:
            os.unlink(path)
        wait_until(lambda: retention(edge)["why"] == "", "all is well again")
        once(edge.recorder, "retention: within its bounds again", "the end")
        wait_until(lambda: one_run(edge, 44)[0] == 200, "a push is taken")
        alive(edge.recorder)


def others_take_it(disk, node):
    """Whatever room retention makes, until no sealed segment is left."""
    made = []

    def all_gone():
        if disk.free() > MIB:
            disk.ballast = os.path.join(disk.path, "ballast%d" % len(made))
            disk.fill()
            made.append(disk.ballast)
        return [f for f in node.files() if f.endswith(".pcapng")] == []
    wait_until(all_gone, "all that is sealed goes")
    return made


def a_disk_filled_to_the_brim_is_freed_by_a_new_bound(t):
    with small_disk(t, "edge", 32) as disk:
        edge = t.node("edge", store=["segment_size = 1MiB"])
        edge.start_recorder()
        for n in range(80):
            answer = one_run(edge, n)
            if answer[0] != 200:
                break
        refused(answer, "No space left on device", "the push that is too much")
        disk.fill()
        check(disk.free() < 4096, disk.free(), "bytes are free")
        refused(one_run(edge, n), "No space left on device", "one more")
        equal(deleted(edge.recorder), [], "without a bound, deleted")
        rewrite(edge, FREE, FREE + "\nretain_size = 8MiB")
        edge.recorder.proc.send_signal(signal.SIGHUP)
        wait_until(lambda: used(edge) <= 8 * MIB, "the new bound is kept")
        check(used(edge) > 7 * MIB, "too much went:", used(edge), "are left")
        wait_until(lambda: one_run(edge, n)[0] == 200, "a push is taken")
        wait_until(lambda: used(edge) <= 8 * MIB, "the bound is kept")
        row, = edge.rows("streams")
        equal(row["last_seq"], (n + 1) * RUN, "the stream's end")
        rows = by_stream(edge.query())["eth0"]
        equal([r[0] for r in rows],
              list(range(row["first_seq"], (n + 1) * RUN + 1)), "numbers")
        check(not [line for line in lines(edge.recorder, "restart")],
              "a restart was asked for")
        alive(edge.recorder)


def impossible_bounds_are_refused_with_one_clear_line(t):
    for line, want in (
            ("segment_size = 1MiB\nretain_size = 2047KiB",
             "[store] retain_size: less than two segments"),
            ("retain_age = 10s", "[store] retain_age: less than segment_age"),
            ("min_free = 100%", "[store] min_free: all of the file system"),
            ("min_free = 900TiB", "[store] min_free: 900.0 TiB, but the file "
             "system of %s has " % t.path("edge")),
            ("min_free = 0\nindex_size = 1TiB\nretain_size = 900TiB",
             "[store] retain_size: 900.0 TiB, but the file system of ")):
        node = t.node("edge")
        rewrite(node, FREE, line)
        done = run([os.path.join(BUILD, "pb-recorder"), "-c", node.conf, "-t"])
        said = done.stderr.decode()
        equal(done.returncode, 2, line + ": " + said)
        check(want in said and "write" in said and said.count("\n") == 1,
              line, "is answered with", said)


if __name__ == "__main__":
    main("142", the_sum_of_the_files_stays_within_retain_size,
         what_the_core_has_goes_first_and_the_rest_becomes_a_gap,
         what_comes_late_while_no_shipper_runs_is_still_sent,
         room_stays_free_and_when_others_take_it_that_is_said,
         a_disk_filled_to_the_brim_is_freed_by_a_new_bound,
         impossible_bounds_are_refused_with_one_clear_line, seconds=120)
