"""`pb dlq` lists, shows, requeues and purges, with a shipper and without."""

import os
import re

from harness import *
import samples

MEMBERS = ["upstream", "node", "interface", "epoch", "first", "last",
           "packets", "bytes", "state", "reason", "since", "attempts",
           "status", "error", "path", "next"]


def pcap(first, count):
    return samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0 + n, n, samples.eth(n, 200), 200)
        for n in range(first, first + count)])


def letters(node, *args):
    return node.rows("dlq", "list", *args)


def given_up(t, port=None, interfaces=("eth0", "eth1"), **kw):
    """An edge whose upstream is away: all it has is dead letters."""
    edge = t.node("edge", upstreams={"core": [
        "http://127.0.0.1:%d" % (port or free_port()), "retry_for = 1s",
        "requeue = manual"]},
        **kw)
    for interface in interfaces:
        edge.pb("import", "--interface", interface,
                t.write("a.pcap", pcap(0, 100)))
    edge.start()
    wait_until(lambda: sum(r["packets"] for r in letters(edge)) ==
               100 * len(interfaces), "dead letters", 30)
    return edge


def usage(node, words, *args):
    done = node.pb_run("dlq", *args)
    equal(done.returncode, 2, "status of dlq %s" % " ".join(args))
    check(words in done.stderr.decode(), words, "is not in", done.stderr)
    equal(done.stdout, b"", "output")


def without_dead_letters_nothing_is_printed(t):
    node = t.node("n1")
    done = node.pb_run("dlq", "list")
    equal(done.returncode, 1, "status without a store")
    check(b"there is no store" in done.stderr, done.stderr)
    node.pb("import", t.write("a.pcap", pcap(0, 3)))
    for word in ("list", "show"):
        for args in ([], ["--json"], ["--all"]):
            equal(node.pb("dlq", word, *args), b"", word)
    equal(node.pb("dlq", "requeue", "--all"),
          b"no dead letters to requeue\n", "requeue")
    equal(node.rows("dlq", "purge", "--all"),
          [{"letters": 0, "packets": 0}], "purge")
    check(not os.path.exists(os.path.join(node.store, "shipper")),
          "a question made the shipper's tables")


def wrong_usage_says_what_would_be_right(t):
    node = t.node("n1")
    usage(node, "list, show, requeue, purge or move")
    usage(node, "did you mean 'requeue'?", "requeu", "--all")
    usage(node, "list, show, requeue, purge and move are known", "everything")
    usage(node, "not 'core'", "list", "core")
    for word in ("requeue", "purge"):
        usage(node, "--upstream GLOB, --stream GLOB, --first N, or --all",
              word)
        usage(node, "--all leaves nothing to select", word, "--all",
              "--first", "3")
    usage(node, "--first", "purge", "--first", "0")


def a_letter_is_told_with_all_that_is_known(t):
    edge = given_up(t)
    rows = letters(edge)
    equal([list(r) for r in rows], [MEMBERS] * 2, "members")
    for row, interface in zip(rows, ("eth0", "eth1")):
        equal((row["upstream"], row["node"], row["interface"], row["first"],
               row["last"], row["packets"], row["state"], row["reason"]),
              ("core", "edge", interface, 1, 100, 100, "dead", "stale"),
              "the letter")
        check(row["attempts"] > 0 and row["error"], "no reason:", row)
        parse_time(row["since"])
        equal(os.path.getsize(row["path"]), row["bytes"], "bytes")
        with open(row["path"], "rb") as f:
            equal(f.read(4), b"\x0a\x0d\x0d\x0a", "a pcapng's first bytes")
    segments = {os.stat(r["path"]).st_ino for r in edge.rows("segments")}
    equal({os.stat(r["path"]).st_ino for r in rows}, segments, "hard links")
    equal(letters(edge, "--stream", "*/eth1"), rows[1:], "by stream")
    equal(letters(edge, "--upstream", "co?e", "--first", "1"), rows,
          "by upstream and number")
    equal(letters(edge, "--first", "2"), [], "by another number")
    table = edge.pb("dlq", "list").decode().splitlines()
    equal(len(table), 3, "lines of the table")
    check(all(len(line) <= 80 for line in table), "wide:", table)
    shown = edge.pb("dlq", "show", "--stream", "*/eth0").decode()
    for name in MEMBERS[:8] + ["state", "reason", "since", "path", "next"]:
        check(re.search("^%s: ." % name, shown, re.M), name, "in", shown)
    check("open: wireshark '%s'" % rows[0]["path"] in shown, shown)
    dead = edge.rows("status")[0]["upstreams"][0]["dead_letters"]
    equal((dead["letters"], dead["packets"], dead["bytes"], dead["oldest"]),
          (2, 200, sum(r["bytes"] for r in rows),
           min(r["since"] for r in rows)), "pb status")
    check(b"dead letters: 2, 200 packets" in edge.pb("status"),
          "not in pb status")


def a_running_shipper_does_as_it_is_asked(t):
    edge = given_up(t)
    socket = os.path.join(edge.store, "shipper.sock")
    equal(os.stat(socket).st_mode & 0o777, 0o600, "mode of the socket")
    equal(edge.pb("dlq", "requeue", "--stream", "*/eth0"),
          b"requeued 1 dead letter, 100 packets\n", "requeue")
    equal({r["interface"]: r["state"] for r in letters(edge)},
          {"eth0": "requeued", "eth1": "dead"}, "states")
    # Asked for once, it is done once.
    equal(edge.rows("dlq", "requeue", "--stream", "*/eth0"),
          [{"letters": 0, "packets": 0}], "again")
    paths = [r["path"] for r in letters(edge)]
    equal(edge.pb("dlq", "purge", "--upstream", "core"),
          b"purged 2 dead letters, 200 packets, for core\n", "purge")
    equal(letters(edge), [], "letters left")
    wait_until(lambda: not any(os.path.exists(p) for p in paths),
               "their files go")
    check(os.path.isdir(os.path.join(edge.store, "segments")), "segments")
    # The upstream has still to be told.
    equal({r["state"] for r in letters(edge, "--all")}, {"gone"}, "states")
    edge.stop()
    check(not os.path.exists(socket), "the socket is left")


def without_a_shipper_pb_does_it_and_says_so(t):
    edge = given_up(t)
    edge.shipper.stop()
    done = edge.pb_run("dlq", "requeue", "--stream", "*/eth1")
    equal(done.returncode, 0, "status (%r)" % done.stderr)
    equal(done.stdout, b"requeued 1 dead letter, 100 packets\n", "output")
    check(b"pb-shipper does not run" in done.stderr, done.stderr)
    done = edge.pb_run("dlq", "purge", "--stream", "*/eth0", "--json")
    equal(done.stdout, b'{"letters":1,"packets":100}\n', "output")
    # What was done survives, also a kill right after it.
    edge.start_shipper()
    equal([(r["interface"], r["state"]) for r in letters(edge)],
          [("eth1", "requeued")], "letters")
    edge.shipper.kill()
    equal(len(letters(edge)), 1, "letters after a kill")


def a_requeued_letter_fills_the_gap_upstream(t):
    core = t.node("core", listen=True)
    edge = given_up(t, core.port, ["eth0"])
    core.start()
    wait_until(lambda: core.rows("gaps"), "the gap at the core", HEALED)
    gap, = core.rows("gaps")
    equal((gap["first"], gap["last"], gap["reason"], gap["closed"]),
          (1, 100, "dead-lettered", None), "gap")
    path = letters(edge)[0]["path"]
    edge.pb("dlq", "requeue", "--all")
    # It may close in pieces, each of them with a row.
    wait_until(lambda: all(r["closed"] for r in core.rows("gaps")),
               "the gap closed", HEALED)
    equal([r[0] for r in by_stream(core.query())["eth0"]],
          list(range(1, 101)), "numbers at the core")
    wait_until(lambda: not letters(edge), "the letter to go", HEALED)
    wait_until(lambda: not os.path.exists(path), "its file to go")


if __name__ == "__main__":
    main("141", without_dead_letters_nothing_is_printed,
         wrong_usage_says_what_would_be_right,
         a_letter_is_told_with_all_that_is_known,
         a_running_shipper_does_as_it_is_asked,
         without_a_shipper_pb_does_it_and_says_so,
         a_requeued_letter_fills_the_gap_upstream, seconds=90)
