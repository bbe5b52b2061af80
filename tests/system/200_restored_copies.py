"""An older copy of a store that goes on, and two nodes from one image, give
the same numbers to other packets: every packet of both arrives, once."""

import json
import os
import random
import shutil

from harness import *
import traffic

AA, BB, CC, DD = 1, 1001, 2001, 3001    # the first frame of each branch


def frames(node):
    """{frame number: how often}, over all streams of the store."""
    count = {}
    for rows in segment_packets(node).values():
        for row in rows:
            n = traffic.number_of(row[3])
            count[n] = count.get(n, 0) + 1
    return count


def want(*branches):
    return {n: 1 for first, many in branches
            for n in range(first, first + many)}


def send(t, first, many, ns=None, rate=400):
    t.traffic(ns or t.sender, "pb0", many, rate, first=first).wait()


def captured(node, many):
    """... packets durable at the node, over all streams."""
    wait_until(lambda: sum(node.ends().values()) >= many,
               "%d packets at %s" % (many, node.name))


def arrived(node, *branches):
    all_of_it = want(*branches)
    wait_until(lambda: node.ends() and frames(node) == all_of_it,
               "all of %s at %s" % (branches, node.name), HEALED, 0.1)


def has(node, upstream, many, stream="pb1"):
    wait_until(lambda: any(r["backlog"] == 0 and r["name"] == upstream
                           for r in node.rows("status")[0]["upstreams"]) and
               sum(node.ends().values()) >= many, "%s has it" % upstream,
               HEALED)


def copied(t, node, name="copy"):
    copy = t.path(name)
    shutil.copytree(node.store, copy, symlinks=True)
    return copy


def put_back(node, copy):
    shutil.rmtree(node.store)
    shutil.copytree(copy, node.store, symlinks=True)


def restored(node):
    """{(epoch, first number under it)} of its first upstream, by status."""
    return {(r["new_epoch"], r["first"])
            for r in node.rows("status")[0]["upstreams"][0]["restored"]}


def open_gaps(node):
    return sorted((r["epoch"], r["first"], r["last"], r["reason"])
                  for r in node.rows("gaps") if not r["closed"])


def branched(t, upstreams, bb=10, more=()):
    """An edge that sent aa; its copy; then it sent bb; then the copy is put
    back, with neither program running."""
    edge = t.edge_with_traffic(upstreams={u.name: (u, *more)
                                          for u in upstreams})
    edge.start()
    send(t, AA, 5)
    for node in upstreams:
        arrived(node, (AA, 5))
    edge.stop()
    copy = copied(t, edge)
    edge.start()
    send(t, BB, bb)
    for node in upstreams:
        arrived(node, (AA, 5), (BB, bb))
    edge.stop()
    put_back(edge, copy)
    return edge, copy


# The story of a virtual machine that is put back to a snapshot.
def a_copy_past_its_upstreams_number_loses_no_packet(t):
    core = t.node("core", listen=True).start()
    edge, _ = branched(t, [core])
    edge.start_recorder()
    send(t, CC, 20)
    captured(edge, 25)
    edge.start_shipper()
    arrived(core, (AA, 5), (BB, 10), (CC, 20))
    edge.shipper.says("was an older copy of the store put back")
    (epoch, first), = restored(edge)
    equal(first, 6, "first number")
    equal(open_gaps(core), [(epoch, 1, 5, "restored")], "gaps at the core")
    check("restored: edge/pb1 has other packets there; from 6 on ours are "
          "epoch " + epoch in edge.pb("status").decode(), "in words")
    has(edge, "core", 25)
    # It goes on there, and after a restart, without another question.
    edge.shipper.stop()
    send(t, DD, 30)
    edge.start_shipper()
    arrived(core, (AA, 5), (BB, 10), (CC, 20), (DD, 30))
    equal(restored(edge), {(epoch, 6)}, "epochs")
    for node in (core, edge):
        equal(node.pb("verify"), node.pb("verify"), "verify")
    # What the files and journals say is what the index says.
    before = open_gaps(core), sorted(core.ends().items())
    core.stop()
    core.pb("reindex")
    equal((open_gaps(core), sorted(core.ends().items())), before, "reindexed")


def a_copy_behind_its_upstreams_number_loses_no_packet(t):
    core = t.node("core", listen=True).start()
    edge, _ = branched(t, [core])
    edge.start()
    wait_until(lambda: "goes on when" in edge.pb("status").decode(),
               "status says that it waits")
    send(t, CC, 3)
    arrived(core, (AA, 5), (BB, 10), (CC, 3))
    edge.shipper.says("older copy")
    send(t, DD, 40)
    arrived(core, (AA, 5), (BB, 10), (CC, 3), (DD, 40))


def dead_letters_of_a_copy_go_again_by_themselves(t):
    core = t.node("core", listen=True).start()
    edge, _ = branched(t, [core], more=["retry_for = 1s"])
    edge.start()
    send(t, CC, 20)
    arrived(core, (AA, 5), (BB, 10), (CC, 20))
    core.stop()
    send(t, DD, 10)
    wait_until(lambda: edge.rows("dlq", "list"), "dead letters", 30, 0.1)
    core.start()
    wait_until(lambda: any(r["reason"] == "dead-lettered"
                           for r in core.rows("gaps")), "their gap", HEALED,
               0.1)
    send(t, DD + 10, 10)
    arrived(core, (AA, 5), (BB, 10), (CC, 20), (DD, 20))
    wait_until(lambda: not edge.rows("dlq", "list", "--all"), "no letters",
               HEALED)


# They were told as a gap by the store that was put back to before them.
def a_gap_that_the_copy_never_told_takes_none_of_its_packets(t):
    core = t.node("core", listen=True).start()
    edge = t.edge_with_traffic(upstreams={"core": core})
    edge.start()
    send(t, AA, 5)
    arrived(core, (AA, 5))
    edge.stop()
    epoch, = {r["epoch"] for r in core.rows("streams")}
    equal(core.http("POST", "/v1/streams/edge/pb1/%s/gaps" % epoch,
                    json.dumps({"first": 6, "last": 15, "link_type": 1,
                                "reason": "dead-lettered"}))[0], 200, "gap")
    edge.start_recorder()
    send(t, CC, 20)
    captured(edge, 25)
    edge.start_shipper()
    arrived(core, (AA, 5), (CC, 20))
    (new, first), = restored(edge)
    equal(first, 6, "first number")
    equal(sorted(open_gaps(core)), sorted([(epoch, 6, 15, "dead-lettered"),
                                           (new, 1, 5, "restored")]), "gaps")


def a_copy_put_back_twice_and_a_copy_of_it_lose_no_packet(t):
    core = t.node("core", listen=True).start()
    edge, copy = branched(t, [core])
    edge.start()
    send(t, CC, 20)
    arrived(core, (AA, 5), (BB, 10), (CC, 20))
    edge.stop()
    first = restored(edge)
    second = copied(t, edge, "second")
    # The first copy again: it knows of no fork.
    put_back(edge, copy)
    edge.start()
    send(t, DD, 25)
    arrived(core, (AA, 5), (BB, 10), (CC, 20), (DD, 25))
    edge.stop()
    check(restored(edge) != first, "the same epoch for other packets")
    # And one that went on under an epoch of its own, and is behind itself.
    put_back(edge, second)
    edge.start()
    send(t, 4001, 5)
    arrived(core, (AA, 5), (BB, 10), (CC, 20), (DD, 25), (4001, 5))
    edge.stop()
    put_back(edge, second)
    edge.start()
    send(t, 5001, 30)
    arrived(core, (AA, 5), (BB, 10), (CC, 20), (DD, 25), (4001, 5),
            (5001, 30))
    equal(len(restored(edge)), 2, "forks")


def two_upstreams_get_the_same_epoch(t):
    one = t.node("one", listen=True).start()
    two = t.node("two", listen=True).start()
    edge, _ = branched(t, [one, two])
    two.stop()
    edge.start()
    send(t, CC, 20)
    arrived(one, (AA, 5), (BB, 10), (CC, 20))
    two.start()
    arrived(two, (AA, 5), (BB, 10), (CC, 20))
    equal(sorted(one.ends().items()), sorted(two.ends().items()), "streams")


# Its database of what went where is gone as well: the packets show it.
def a_shipper_that_knows_nothing_finds_the_same_epoch_again(t):
    core = t.node("core", listen=True).start()
    edge, _ = branched(t, [core])
    edge.start()
    send(t, CC, 20)
    arrived(core, (AA, 5), (BB, 10), (CC, 20))
    edge.shipper.stop()
    epochs = restored(edge)
    shutil.rmtree(os.path.join(edge.store, "shipper"))
    send(t, DD, 10)
    edge.start_shipper()
    arrived(core, (AA, 5), (BB, 10), (CC, 20), (DD, 10))
    equal(restored(edge), epochs, "epochs")


def a_shipper_killed_at_any_moment_forks_once(t):
    core = t.node("core", listen=True).start()
    edge, _ = branched(t, [core], bb=700)
    rng = random.Random(SEED)
    # Nothing to guess by: it asks by halves.
    shutil.rmtree(os.path.join(edge.store, "shipper"))
    edge.start_recorder()
    send(t, CC, 900, rate=2000)
    captured(edge, 905)
    for _ in range(12):
        edge.start_shipper()
        time.sleep(rng.random() * 0.08 * SLOW)
        edge.shipper.kill()
    edge.start_shipper()
    arrived(core, (AA, 5), (BB, 700), (CC, 900))
    equal(len(core.ends()), 2, "streams at the core (seed %d)" % SEED)
    equal(len(restored(edge)), 1, "forks (seed %d)" % SEED)


def twins(t, core):
    """Two edges from one image, each with a wire of its own."""
    edge = t.edge_with_traffic(upstreams={"core": core})
    edge.start()
    send(t, AA, 5)
    arrived(core, (AA, 5))
    edge.stop()
    sender, inner = t.netns("tx2"), t.netns("rx2")
    t.veth(sender, "pb0", inner, "pb1")
    twin = t.node("twin", netns=inner, captures=["pb1"],
                  upstreams={"core": core})
    shutil.copytree(edge.store, twin.store, symlinks=True)
    with open(twin.conf) as f:
        text = f.read().replace("name = twin", "name = edge")
    with open(twin.conf, "w") as f:
        f.write(text)
    return edge, twin, sender


def two_edges_from_one_image_both_lose_no_packet(t):
    core = t.node("core", listen=True).start()
    edge, twin, sender = twins(t, core)
    edge.start()
    twin.start()
    one = t.traffic(t.sender, "pb0", 600, 150, first=BB)
    two = t.traffic(sender, "pb0", 600, 150, first=CC)
    one.wait()
    two.wait()
    arrived(core, (AA, 5), (BB, 600), (CC, 600))
    # The one that came second has an epoch of its own; they meet no more.
    ends = core.ends()
    equal(len(ends), 2, "streams")
    time.sleep(1)
    send(t, DD, 20)
    send(t, 4001, 20, ns=sender)
    arrived(core, (AA, 5), (BB, 600), (CC, 600), (DD, 20), (4001, 20))
    equal(len(core.ends()), 2, "streams")
    equal(len(restored(edge)) + len(restored(twin)), 1, "forks")


def a_relay_that_is_put_back_gets_its_packets_again(t):
    core = t.node("core", listen=True).start()
    relay = t.node("relay", listen=True, upstreams={"core": core}).start()
    edge = t.edge_with_traffic(upstreams={"relay": relay})
    edge.start()
    send(t, AA, 50)
    arrived(core, (AA, 50))
    relay.stop()
    copy = copied(t, relay)
    relay.start()
    send(t, BB, 50)
    arrived(core, (AA, 50), (BB, 50))
    relay.stop()
    put_back(relay, copy)
    relay.start()
    send(t, CC, 10)
    arrived(core, (AA, 50), (BB, 50), (CC, 10))
    arrived(relay, (AA, 50), (BB, 50), (CC, 10))
    equal(len(core.ends()), 1, "streams at the core")
    equal(open_gaps(core), [], "gaps at the core")
    for node in (edge, relay):
        check("older copy" not in node.shipper.text(), node.name, "forked")


def a_relay_passes_both_branches_of_its_edge_on(t):
    core = t.node("core", listen=True).start()
    relay = t.node("relay", listen=True, upstreams={"core": core}).start()
    edge, _ = branched(t, [relay])
    edge.start()
    send(t, CC, 20)
    arrived(core, (AA, 5), (BB, 10), (CC, 20))
    (epoch, _), = restored(edge)
    equal(open_gaps(core), [(epoch, 1, 5, "restored")], "gaps at the core")


# The receiver's number goes back: what is still here is sent again.
def an_upstream_that_is_put_back_gets_what_it_lost(t):
    core = t.node("core", listen=True).start()
    edge = t.edge_with_traffic(upstreams={"core": core})
    edge.start()
    send(t, AA, 50)
    arrived(core, (AA, 50))
    core.stop()
    copy = copied(t, core)
    core.start()
    send(t, BB, 50)
    arrived(core, (AA, 50), (BB, 50))
    core.stop()
    put_back(core, copy)
    core.start()
    send(t, CC, 10)
    arrived(core, (AA, 50), (BB, 50), (CC, 10))
    equal(len(core.ends()), 1, "streams at the core")
    core.stop()
    shutil.rmtree(core.store)
    core.start()
    send(t, DD, 10)
    arrived(core, (AA, 50), (BB, 50), (CC, 10), (DD, 10))


main("200",
     a_copy_past_its_upstreams_number_loses_no_packet,
     a_copy_behind_its_upstreams_number_loses_no_packet,
     dead_letters_of_a_copy_go_again_by_themselves,
     a_gap_that_the_copy_never_told_takes_none_of_its_packets,
     a_copy_put_back_twice_and_a_copy_of_it_lose_no_packet,
     two_upstreams_get_the_same_epoch,
     a_shipper_that_knows_nothing_finds_the_same_epoch_again,
     a_shipper_killed_at_any_moment_forks_once,
     two_edges_from_one_image_both_lose_no_packet,
     a_relay_that_is_put_back_gets_its_packets_again,
     a_relay_passes_both_branches_of_its_edge_on,
     an_upstream_that_is_put_back_gets_what_it_lost, seconds=120)
