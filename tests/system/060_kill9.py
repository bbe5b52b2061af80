"""kill -9 of any of five daemons at random moments while packets flow.

PB_KILLS rounds (10); PB_SEED repeats the choices of a run.
"""

import os

from harness import *
import traffic

KILLS = int(os.environ.get("PB_KILLS", "10"))
RATE = 800              # frames a second
COUNT_MAX = 10**7


def compare(edge, other):
    """`other` has each packet of the edge's store once, the same bytes."""
    want, have = segment_packets(edge), segment_packets(other)
    equal(sorted(have), sorted(want), "streams at " + other.name)
    for key, rows in want.items():
        numbers = [r[0] for r in rows]
        equal(numbers, list(range(1, len(rows) + 1)),
              "the edge's numbers")
        equal([r[0] for r in have[key]], numbers, other.name + "'s numbers")
        for a, b in zip(rows, have[key]):
            check(a == b, other.name, "has other bytes under", a[0])


def nothing_is_lost_or_doubled(t):
    print("# PB_SEED=%d PB_KILLS=%d" % (SEED, KILLS), flush=True)
    small = ["segment_size = 1MiB", "segment_age = 2s"]
    core = t.node("core", listen=True, store=small)
    relay = t.node("relay", listen=True, upstreams={"core": core},
                   store=small)
    edge = t.edge_with_traffic(upstreams={"relay": relay}, store=small)
    for node in (core, relay, edge):
        node.start()
    five = [(edge, "recorder"), (edge, "shipper"), (relay, "recorder"),
            (relay, "shipper"), (core, "recorder")]
    sender = t.traffic(t.sender, "pb0", COUNT_MAX, RATE, 600)
    turn = []
    for n in range(KILLS):
        # Each of the five in turn, in a random order.
        turn = turn or random.sample(five, 5)
        # Now and then two at once.
        victims = [turn.pop()]
        if turn and n % 4 == 3:
            victims.append(turn.pop())
        time.sleep(random.uniform(0.05, 0.6))
        for node, which in victims:
            getattr(node, which).kill()
        time.sleep(random.uniform(0.0, 0.4))
        for node, which in victims:
            getattr(node, "start_" + which)()
    time.sleep(0.5)
    sender.kill()
    sender.wait()
    # What was caught is in the files, and from here on there is no more.
    edge.recorder.stop()
    drained(edge, relay, core, seconds=60)
    for node in (edge, relay, core):
        node.stop()
    compare(edge, relay)
    compare(edge, core)
    rows = [r for rows in segment_packets(edge).values() for r in rows]
    frames = [traffic.number_of(r[3]) for r in rows]
    check(len(frames) > 100, "only", len(frames), "packets flowed")
    check(all(a < b for a, b in zip(frames, frames[1:])),
          "the edge has a frame twice or out of order")
    for node in (relay, core):
        equal(node.query().packets and len(node.query().packets),
              len(rows), "pb query at " + node.name)
    gaps = core.rows("gaps") + relay.rows("gaps") + edge.rows("gaps")
    equal(gaps, [], "gaps")


if __name__ == "__main__":
    main("060", nothing_is_lost_or_doubled, seconds=120 + 6 * KILLS)
