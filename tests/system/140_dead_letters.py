"""What an upstream does not take becomes dead letters: it is kept, told as
a gap, and fills that gap when it is sent again, at every hop."""

import glob
import re

from harness import *
import samples
import traffic

# They stay until they are asked for; 211 looks at those that do not.
PATIENCE = "retry_for = 2s\nrequeue = manual"
SOON = "retry_for = 1s\nrequeue = manual"


def pcap(count, size=200):
    return samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0 + n, n, samples.eth(n, size), size)
        for n in range(count)])


def bring(t, node, interface, count, *more, size=200):
    node.pb("import", "--interface", interface, *more,
            t.write("a.pcap", pcap(count, size)))


def letters(node, *more):
    return node.rows("dlq", "list", *more)


def packets(rows):
    return sum(r["packets"] for r in rows)


def link_files(node):
    found = glob.glob(os.path.join(node.store, "dead-letters", "**"),
                      recursive=True)
    return [f for f in found if os.path.isfile(f)]


def demoted(node, count, **want):
    """Wait until the letters hold so many packets; the rows."""
    wait_until(lambda: packets(letters(node)) == count,
               "%d packets in letters of %s" % (count, node.name), 20, 0.1)
    rows = letters(node)
    for row in rows:
        for key, value in want.items():
            equal(row[key], value, key)
    return rows


def numbers(node, interface):
    if not node.ends():
        return []
    return [r[0] for r in by_stream(node.query()).get(interface, [])]


def open_gaps(node, reason=None):
    if not node.ends():
        return []
    return sorted((r["interface"], r["first"], r["last"])
                  for r in node.rows("gaps")
                  if not r["closed"] and reason in (None, r["reason"]))


def everything(node, interface, count):
    wait_until(lambda: numbers(node, interface) ==
               list(range(1, count + 1)) and not open_gaps(node),
               "all %d packets at %s, no gap open" % (count, node.name),
               HEALED, 0.1)


def what_waits_too_long_is_kept_and_fresh_packets_go_on(t):
    core = t.node("core", listen=True)
    edge = t.edge_with_traffic(upstreams={"core": (core, PATIENCE)},
                               store=["segment_age = 1s"])
    edge.start()
    t.traffic(t.sender, "pb0", 150, 100).wait()
    rows = demoted(edge, 150, state="dead", reason="stale", upstream="core")
    check(len(rows) > 1, "one letter for several segments")
    # They cost nothing: each file is a segment's own.
    inodes = {os.stat(f).st_ino for f in edge.files()}
    for row in rows:
        check(os.stat(row["path"]).st_ino in inodes,
              row["path"], "is no link to a segment")
        check(row["error"] and row["attempts"], "no reason:", row)
    wait_until(lambda: "dead letters: no progress for 2 s" in
               edge.shipper.text(), "it is logged")
    edge.shipper.stop()
    edge.start_shipper()
    equal(letters(edge), rows, "letters after a restart")
    core.start()
    t.traffic(t.sender, "pb0", 50, 500, first=151).wait()
    wait_until(lambda: numbers(core, "pb1") == list(range(151, 201)),
               "the fresh packets at the core", HEALED)
    equal(open_gaps(core, "dead-lettered"), [("pb1", 1, 150)], "gaps")
    edge.pb("dlq", "requeue", "--all")
    everything(core, "pb1", 200)
    wait_until(lambda: not letters(edge), "no letters at the edge")
    wait_until(lambda: not link_files(edge), "no links at the edge")
    equal([traffic.number_of(r[3]) for r in by_stream(core.query())["pb1"]],
          list(range(1, 201)), "frames")


def late_packets_close_the_gap_at_every_hop(t):
    core = t.node("core", listen=True)
    relay = t.node("relay", listen=True, upstreams={"core": core})
    edge = t.node("edge", upstreams={"relay": (relay, SOON)})
    edge.start()
    bring(t, edge, "eth0", 3000)
    demoted(edge, 3000, state="dead")
    core.start()
    relay.start()
    for node in (relay, core):
        wait_until(lambda: open_gaps(node, "dead-lettered") ==
                   [("eth0", 1, 3000)], "the gap at " + node.name, HEALED)
    edge.pb("dlq", "requeue", "--upstream", "relay")
    everything(relay, "eth0", 3000)
    everything(core, "eth0", 3000)
    wait_until(lambda: not letters(relay), "no letters at the relay",
               HEALED)


def letters_beyond_the_bound_are_dropped_and_told(t):
    core = t.node("core", listen=True)
    edge = t.node("edge", upstreams={"core": (
        core, SOON, "dead_letters_max = 200KiB")})
    edge.start()
    for n in range(5):
        bring(t, edge, "e%d" % n, 300)
    wait_until(lambda: edge.shipper.text().count(": no progress for") == 5,
               "all are given up", 20)
    wait_until(lambda: "oldest dead letters were dropped" in
               edge.shipper.text(), "the bound is kept", 20)
    wait_until(lambda: sum(os.stat(f).st_size for f in link_files(edge)) <=
               200 << 10, "few files", 20)
    core.start()
    wait_until(lambda: len(open_gaps(core)) == 5, "five gaps", HEALED)
    kept = {r["interface"] for r in letters(edge) if r["state"] == "dead"}
    check(1 <= len(kept) <= 4, "letters kept:", kept)
    # Nothing is lost without the core being told of it.
    for n in range(5):
        check(("e%d" % n, 1, 300) in open_gaps(core), "no gap of e%d" % n)
    edge.pb("dlq", "requeue", "--all")
    wait_until(lambda: len(open_gaps(core)) == 5 - len(kept),
               "the kept letters at the core", HEALED)


def what_is_dropped_without_an_index_is_told_too(t):
    core = t.node("core", listen=True)
    edge = t.node("edge", upstreams={"core": (core, SOON)},
                  extra="dead_letters_max = 1GiB\n")
    edge.start()
    for n in range(3):
        bring(t, edge, "e%d" % n, 300)
    wait_until(lambda: edge.shipper.text().count(": no progress for") == 3,
               "all are given up", 20)
    edge.stop()
    os.rename(os.path.join(edge.store, "index"), t.path("index"))
    with open(edge.conf) as f:
        text = f.read()
    t.write("edge.conf", text.replace("1GiB", "100KiB"))
    edge.start_shipper()
    wait_until(lambda: re.search("the [0-9]+ oldest dead letters were "
                                 "dropped: dead_letters_max is 102400 bytes, "
                                 "dead_letters_age [0-9]+ s upstream=core",
                                 edge.shipper.text()), "it is told", 20)
    check("no index yet" in edge.shipper.text(), "there is no index")


def a_forbidden_stream_is_kept_and_blocks_no_other(t):
    core = t.node("core", listen=True, extra="allow = edge\n")
    edge = t.node("edge", upstreams={"core": (core, PATIENCE)})
    core.start()
    edge.start_recorder()
    bring(t, edge, "eth9", 400, "--node", "par1")
    bring(t, edge, "eth0", 500)
    edge.start_shipper()
    everything(core, "eth0", 500)
    rows = demoted(edge, 400, state="dead", reason="stale")
    equal({r["node"] for r in rows}, {"par1"}, "nodes")
    check("status 403: " in rows[0]["error"], "error:", rows[0]["error"])
    bring(t, edge, "eth1", 100)
    wait_until(lambda: numbers(core, "eth1") == list(range(1, 101)),
               "fresh packets of another stream", 20)


def purged_letters_are_told_as_expired(t):
    core = t.node("core", listen=True)
    edge = t.node("edge", upstreams={"core": (core, SOON)})
    edge.start()
    bring(t, edge, "eth0", 100)
    demoted(edge, 100)
    edge.pb("dlq", "purge", "--all")
    equal(letters(edge), [], "letters")
    core.start()
    wait_until(lambda: open_gaps(core, "expired") == [("eth0", 1, 100)],
               "the gap at the core", HEALED)


if __name__ == "__main__":
    main("140", what_waits_too_long_is_kept_and_fresh_packets_go_on,
         late_packets_close_the_gap_at_every_hop,
         letters_beyond_the_bound_are_dropped_and_told,
         what_is_dropped_without_an_index_is_told_too,
         a_forbidden_stream_is_kept_and_blocks_no_other,
         purged_letters_are_told_as_expired, seconds=120)
