"""Nodes that are pulled, and are odd: empty, wiped, put back, hostile.

The edge is one of ours in Python (pullable.py), so that it can lie.  What is
true of it arrives, once; what is not is refused in words, and nobody else's
packets wait for it.
"""

import json

from harness import *
import pullable
from pullable import EPOCH

LON = ("lon1", "eth0", EPOCH)
FAST = ["connect_timeout = 1s", "answer_timeout = 2s"]


def core(t, *edges, **kw):
    node = t.node("core", edges={"e%d" % i: [e.url, *FAST]
                                 for i, e in enumerate(edges)}, **kw)
    return node.start()


def holds(node, key, count):
    wait_until(lambda: node.ends().get(key, 0) >= count,
               "%s/%s arrives up to %d" % (key[0], key[1], count), HEALED)


def numbers(node, stream="lon1/eth0"):
    return sorted(p.seq for p in node.query("--stream", stream).packets)


def all_arrives_and_is_acknowledged(t):
    with pullable.Edge() as edge:
        edge.put(*LON, 1, 5000)
        node = core(t, edge)
        holds(node, LON, 5000)
        edge.put(*LON, 5001, 5010)
        holds(node, LON, 5010)
        wait_until(lambda: edge.acked(LON) == 5010, "all is acknowledged")
        equal(numbers(node), list(range(1, 5011)), "numbers")
        equal({a["upstream"] for a in edge.acks[LON]}, {"core"}, "who acks")
        equal({a[4] for a in edge.asked}, {"core"}, "PB-Node")
        line = json.loads(node.pb("query", "--json", "--limit", "1"))
        equal([h["node"] for h in line["hops"]], ["lon1", "core"], "the way")


def status(node, name="e0"):
    rows = json.loads(node.pb("status", "--json"))["edges"]
    return next(r for r in rows if r["name"] == name)


def says_in_status(node, *words, name="e0"):
    wait_until(lambda: all(w in status(node, name)["last_error"]
                           for w in words), "status says %s" % (words,))


def an_edge_that_comes_later_is_waited_for(t):
    port = free_port()
    with pullable.Edge() as other:
        other.put("par1", "eth0", EPOCH, 1, 10)
        node = t.node("core", edges={
            "e0": ["http://127.0.0.1:%d" % port, *FAST],
            "e1": [other.url, *FAST]}).start()
        holds(node, ("par1", "eth0", EPOCH), 10)
        says_in_status(node, "connect")
        check(status(node)["state"] == "backoff", "it backs off")
        check(status(node)["last_error_time"], "when that was")
        check("edge       e0 (http://127.0.0.1:%d): backoff" % port in
              node.pb("status").decode(), "the same for people")
        with pullable.Edge(port) as edge:
            edge.put(*LON, 1, 10)
            holds(node, LON, 10)
            wait_until(lambda: status(node)["state"] == "idle", "it is idle")
            equal(status(node)["backlog"], 0, "what waits")
            equal(status(node)["packets"], 10, "what was fetched")
            equal(status(node)["last_error"], "", "nothing is wrong")


def gaps_and_what_has_expired_are_told(t):
    with pullable.Edge() as edge:
        edge.put(*LON, 1, 50)
        edge.streams[LON].first = 11
        edge.gap(LON, 21, 30, "damaged")
        edge.gap(LON, 51, 60, "dead-lettered")
        edge.put(*LON, 61, 70)
        node = core(t, edge)
        holds(node, LON, 70)
        equal([(r["first"], r["last"], r["reason"])
               for r in node.rows("gaps")],
              [(1, 10, "expired"), (21, 30, "damaged"),
               (51, 60, "dead-lettered")], "gaps")
        wait_until(lambda: edge.acked(LON) == 70, "all is acknowledged")
        equal(numbers(node), [*range(11, 21), *range(31, 51),
                              *range(61, 71)], "numbers")


def a_wiped_edge_has_another_epoch(t):
    port = free_port()
    new = ("lon1", "eth0", "0badcafe00000001")
    with pullable.Edge(port) as edge:
        edge.put(*LON, 1, 20)
        node = core(t, edge)
        holds(node, LON, 20)
    with pullable.Edge(port) as edge:
        edge.put(*new, 1, 30)
        holds(node, new, 30)
        equal(node.ends(), {LON: 20, new: 30}, "both are there")
        wait_until(lambda: edge.acked(new) == 30, "it is acknowledged")
        check(LON not in edge.acks, "nothing of the old one is told")


def a_wiped_core_fetches_all_again(t):
    with pullable.Edge() as edge:
        edge.put(*LON, 1, 2000)
        node = core(t, edge)
        holds(node, LON, 2000)
        node.shipper.kill()
        node.recorder.kill()
        shutil.rmtree(node.store)
        node.start()
        holds(node, LON, 2000)
        equal(numbers(node), list(range(1, 2001)), "numbers")


def an_edge_put_back_from_a_copy_goes_on_under_another_epoch(t):
    port = free_port()
    with pullable.Edge(port) as edge:
        edge.put(*LON, 1, 100)
        node = core(t, edge)
        holds(node, LON, 100)
    # Its numbers went back, and go on with other packets.
    with pullable.Edge(port) as edge:
        edge.put(*LON, 1, 80)
        node.shipper.says("its numbers went back to 80")
        wait_until(lambda: status(node)["refused"] == 1, "it waits")
        edge.put("lon1", "eth1", EPOCH, 1, 10)
        holds(node, ("lon1", "eth1", EPOCH), 10)
        edge.put(*LON, 81, 120, salt=5000)
        new = ("lon1", "eth0", pullable.forked(EPOCH, 80,
                                               pullable.packet(81, 5000)))
        holds(node, new, 120)
        wait_until(lambda: edge.acked(LON) == 120, "it is acknowledged")
        node.shipper.says("From 81 on they are epoch " + new[2])
        wait_until(lambda: status(node)["refused"] == 0, "nothing is refused")
        equal(node.ends()[LON], 100, "what there was")
        equal([(r["epoch"], r["first"], r["last"], r["reason"])
               for r in node.rows("gaps")], [(new[2], 1, 80, "restored")],
              "gaps")
        equal(len(numbers(node)), 140, "packets")
        # And after a restart, without what it was found by.
        node.shipper.kill()
        with edge.news:
            edge.streams[LON].first = 110
            for seq in range(1, 110):
                del edge.streams[LON].packets[seq]
        edge.put(*LON, 121, 130, salt=5000)
        node.start_shipper()
        holds(node, new, 130)
        equal(len(numbers(node)), 150, "packets")


def another_edge_behind_the_address_is_found_out(t):
    """The list stays where it was; a new connection leads elsewhere."""
    with pullable.Edge() as edge:
        edge.put(*LON, 1, 100)
        node = core(t, edge)
        holds(node, LON, 100)
        # Each answer closes: each request is over a new connection.
        def deed(h, what, key, query):
            h.close_connection = True
        edge.deed = deed
        edge.put(*LON, 101, 200)
        holds(node, LON, 200)
        with edge.news:
            for seq in range(150, 301):
                edge.streams[LON].packets[seq] = pullable.packet(seq, 5000)
            edge.streams[LON].durable = 300
            edge.changed(edge.streams[LON])
        holds(node, ("lon1", "eth0", pullable.forked(
            EPOCH, 149, pullable.packet(150, 5000))), 300)
        equal(len(numbers(node)), 200 + 151, "packets")


def at_once(node):
    """What is refused is tried again, now."""
    os.kill(node.shipper.pid, signal.SIGHUP)
    time.sleep(0.3)
    return True


def lies(h, edge, body, headers):
    edge.answer(h, 200, body, headers)
    return True


def what_an_edge_makes_up_is_refused(t):
    """Of a stream that it was not asked for, under a wrong digest, with other
    numbers, no pcapng, without an end: each time in words; another edge's
    packets, and other streams of this one, arrive meanwhile."""
    good = pullable.section("lon1", "eth0", [pullable.packet(1)])
    other = pullable.section("par1", "eth0", [pullable.packet(1)])
    second = pullable.section("lon1", "eth0", [pullable.packet(2)])
    loop = pullable.section("lon1", "eth0", [pullable.packet(1)],
                            way=["lon1", "core"])

    def head(body, first=1, last=1, digest=None):
        return {"PB-First": str(first), "PB-Last": str(last),
                "PB-Digest": digest or pullable.digest(body)}

    lies_told = [
        (other, head(other), "the section header says par1/eth0"),
        (good, head(good, digest="xxh3=0123456789abcdef"),
         "PB-Digest does not match"),
        (second, head(second), "PB-First is 1, the first packet's"),
        (second, head(second, 2, 2), "it answers other packets"),
        (b"garbage", head(b"garbage"), "status 4"),
        (good, {"PB-First": "1"}, "without PB-First, PB-Last and"),
        (good, head(good, 1, 2 ** 70), "without PB-First, PB-Last and"),
        (loop, head(loop), "508"),
        (b"", {"PB-Gap": "7-3; reason=none"}, "its PB-Gap is not"),
        (b"", {"PB-Gap": "5-9; reason=expired"}, "it answers other packets"),
        (b"x" * (8 << 20), head(b"x"), "its answer is too large"),
    ]
    with pullable.Edge() as edge, pullable.Edge() as honest:
        edge.put(*LON, 1, 10)
        honest.put("par1", "eth0", EPOCH, 1, 1)
        told = [None]

        def deed(h, what, key, query):
            if what == "packets" and key == LON and told[0]:
                return lies(h, edge, *told[0][:2])
        edge.deed = deed
        told[0] = lies_told[0]
        node = core(t, edge, honest)
        for i, lie in enumerate(lies_told):
            told[0] = lie
            wait_until(lambda: at_once(node) and
                       lie[2] in status(node)["last_error"], lie[2], HEALED)
            equal(node.ends().get(LON, 0), 0, "nothing is taken")
            edge.put("lon1", "eth1", EPOCH, i + 1, i + 1)
            holds(node, ("lon1", "eth1", EPOCH), i + 1)
            honest.put("par1", "eth0", EPOCH, i + 2, i + 2)
            holds(node, ("par1", "eth0", EPOCH), i + 2)
        told[0] = None
        wait_until(lambda: at_once(node) and node.ends().get(LON) == 10,
                   "it arrives once it is true", HEALED)
        equal(numbers(node), list(range(1, 11)), "numbers")


main("651",
     all_arrives_and_is_acknowledged,
     an_edge_that_comes_later_is_waited_for,
     gaps_and_what_has_expired_are_told,
     a_wiped_edge_has_another_epoch,
     a_wiped_core_fetches_all_again,
     an_edge_put_back_from_a_copy_goes_on_under_another_epoch,
     another_edge_behind_the_address_is_found_out,
     what_an_edge_makes_up_is_refused,
     seconds=240)
