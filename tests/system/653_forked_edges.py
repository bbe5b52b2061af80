"""Edges that are dialled, and give numbers again to other packets: an older
copy of the store that goes on, two from one image.  Every packet of both
arrives, once, under the epoch that it would have been pushed under."""

import json
import random
import shutil

from faults import *

FAST = ["connect_timeout = 1s", "answer_timeout = 4s"]
QUICK = ["flush_interval = 10ms"]
STREAM = "lon/eth0"


def edge(t, name="lon", **kw):
    node = t.node(name, listen=True, store=QUICK, **kw)
    with open(node.conf) as f:
        text = f.read().replace("[listen]\n", "[listen]\n"
                                "allow = pull:core\n")
    with open(node.conf, "w") as f:
        f.write(text)
    return node


def core(t, *edges):
    return t.node("core", store=QUICK, edges={
        "e%d" % i: [e.url, *FAST] for i, e in enumerate(edges)})


def own(node, first, last, size):
    """Packets that begin there; others have another size."""
    equal(push(node, STREAM, first, last, size, by=Local(node))[0], 200,
          "a push by the local door")


def packets(node):
    """{(number, its size): how often}"""
    count = {}
    for p in node.query("--stream", STREAM).packets:
        key = p.seq, len(p.data)
        count[key] = count.get(key, 0) + 1
    return count


def arrives(node, *runs):
    want = {(seq, size): 1 for first, last, size in runs
            for seq in range(first, last + 1)}
    wait_until(lambda: node.ends() and packets(node) == want,
               "%s at %s" % (runs, node.name), HEALED, 0.1)


def put_back(node, copy):
    shutil.rmtree(node.store)
    shutil.copytree(copy, node.store, symlinks=True)


def branched(t, many, **kw):
    """An edge with 80 packets; its copy; then with others up to `many`, which
    the core has; then the copy is put back."""
    lon = edge(t, **kw).start()
    node = core(t, lon).start()
    own(lon, 1, 80, 60)
    arrives(node, (1, 80, 60))
    lon.stop()
    copy = t.path("copy")
    shutil.copytree(lon.store, copy, symlinks=True)
    lon.start()
    own(lon, 81, many, 70)
    arrives(node, (1, 80, 60), (81, many, 70))
    lon.stop()
    put_back(lon, copy)
    return lon, node, copy


def what_a_copy_goes_on_with_arrives_as_it_would_be_pushed(t):
    hq = t.node("hq", listen=True).start()
    lon, node, copy = branched(t, 100, upstreams={"hq": hq})
    lon.start()
    own(lon, 81, 140, 90)
    arrives(node, (1, 80, 60), (81, 100, 70), (81, 140, 90))
    arrives(hq, (1, 80, 60), (81, 100, 70), (81, 140, 90))
    equal(node.ends(), hq.ends(), "streams, and how far they are")
    equal([(r["first"], r["last"], r["reason"]) for r in node.rows("gaps")],
          [(1, 80, "restored")], "gaps")
    wait_until(lambda: all(u["backlog"] == 0
                           for u in status(lon)["upstreams"]),
               "nothing waits at the edge")
    equal(lon.rows("dlq", "list", "--all"), [], "dead letters")
    ((_, _, epoch),) = lon.ends()
    told(node, (80, 60), epoch, lon)
    # Back again, and on with others still.
    lon.stop()
    put_back(lon, copy)
    lon.start()
    own(lon, 81, 150, 110)
    arrives(node, (1, 80, 60), (81, 100, 70), (81, 140, 90), (81, 150, 110))
    arrives(hq, (1, 80, 60), (81, 100, 70), (81, 140, 90), (81, 150, 110))
    equal(node.ends(), hq.ends(), "streams, and how far they are")
    told(node, (80, 70), epoch, lon)


def parts(node, whom):
    """What an audit finds to be the same: [(packets, epoch, epoch there)];
    and its status."""
    done = node.pb_run("audit", whom, "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [(r["same"], r["epoch"], r["epoch_there"]) for r in rows
            if r["row"] == "stream" and r["same"]], done.returncode


def told(node, same, there, lon):
    """Of both parts, by audits of the edge and of its store, and in the
    status."""
    found, code = parts(node, "e0")
    equal(code, 0, "the audit's status (%s)" % found)
    equal([(n, e) for n, _, e in found], [(n, there) for n in same],
          "what is the same, and its epoch there")
    # What the edge was before it was put back is at the core alone.
    equal(parts(node, lon.store), (found, int(len(node.ends()) > 2)),
          "the same by its store")
    equal(parts(lon, node.store)[0], [(n, e, h) for n, h, e in found],
          "from the edge's side")
    wait_until(lambda: status(node)["edges"][0]["forked"] == 1,
               "the status says so")
    check(b"goes under another epoch" in node.pb("status"), "in words")


def what_a_filter_leaves_out_of_it_makes_no_other_fork(t):
    """Not of the packets that it begins with, whatever of them an answer
    has: they are asked for while others come."""
    hq = t.node("hq", listen=True).start()
    lon, node, copy = branched(t, 100, upstreams={"hq": hq},
                               extra="[upstream core]\nurl = pull:\n"
                               "filter = less 85\n")
    lon.start()
    for i in range(8):
        own(lon, 81 + 400 * i, 480 + 400 * i, 90)
    own(lon, 3281, 3300, 60)
    arrives(node, (1, 80, 60), (81, 100, 70), (3281, 3300, 60))
    arrives(hq, (1, 80, 60), (81, 100, 70), (81, 3280, 90), (3281, 3300, 60))
    equal(node.ends(), hq.ends(), "streams, and how far they are")
    equal(sorted((r["reason"], r["packets"]) for r in node.rows("gaps")),
          [("filtered", 3200), ("restored", 80)], "gaps")


def whatever_is_killed_meanwhile_it_forks_once(t):
    lon, node, _ = branched(t, 900)
    rng = random.Random(SEED)
    node.shipper.kill()
    lon.start()
    lon.start_shipper()
    own(lon, 81, 1500, 90)
    node.start_shipper()
    for _ in range(10):
        time.sleep(rng.random() * 0.1 * SLOW)
        who = rng.choice((node, node, lon))
        if rng.random() < 0.6:
            who.shipper.kill()
            who.start_shipper()
        else:
            who.recorder.kill()
            who.start_recorder()
    arrives(node, (1, 80, 60), (81, 900, 70), (81, 1500, 90))
    equal(len(node.ends()), 2, "streams at the core (seed %d)" % SEED)
    wait_until(lambda: status(lon)["upstreams"][0]["backlog"] == 0,
               "nothing waits at the edge", HEALED)


def two_edges_from_one_image_both_lose_no_packet(t):
    one = edge(t).start()
    own(one, 1, 80, 60)
    one.stop()
    two = edge(t, "par")
    shutil.copytree(one.store, two.store, symlinks=True)
    with open(two.conf) as f:
        text = f.read().replace("name = par", "name = lon")
    with open(two.conf, "w") as f:
        f.write(text)
    one.start()
    two.start()
    node = core(t, one, two).start()
    for i in range(10):
        own(one, 81 + 20 * i, 100 + 20 * i, 70)
        own(two, 81 + 20 * i, 100 + 20 * i, 90)
    arrives(node, (1, 80, 60), (81, 280, 70), (81, 280, 90))
    equal(len(node.ends()), 2, "streams")
    # Both have the stream; of one of them a part has another name.
    names = []
    for lon in (one, two):
        found, _ = parts(node, lon.store)
        equal(sum(n for n, _, _ in found), 280, "the same as in " + lon.store)
        names.append({epoch for _, epoch, _ in found})
    equal(sorted(len(n) for n in names), [1, 2], "names of %s" % names)


main("653",
     what_a_copy_goes_on_with_arrives_as_it_would_be_pushed,
     what_a_filter_leaves_out_of_it_makes_no_other_fork,
     whatever_is_killed_meanwhile_it_forks_once,
     two_edges_from_one_image_both_lose_no_packet,
     seconds=240)
