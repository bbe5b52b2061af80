"""Dead letters go again by themselves when their upstream takes fresh packets
again: behind those, oldest first, whatever ends meanwhile."""

import signal
import threading

from harness import *
import samples

PATIENCE = "retry_for = 1s"
KILLS_MAX = 4


def pcap(count, size=200):
    return samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0 + n, n, samples.eth(n, size), size)
        for n in range(count)])


def bring(t, edge, interface, count, size=200):
    edge.pb("import", "--interface", interface,
            t.write("a.pcap", pcap(count, size)))


def letters(node, *more):
    return node.rows("dlq", "list", *more)


def given_up(t, *more, core=None, interfaces=("eth0", "eth1"), count=100,
             size=200, store=()):
    """A core that is away, and an edge with letters for all it has."""
    core = core or t.node("core", listen=True)
    edge = t.node("edge", upstreams={"core": (core, PATIENCE, *more)},
                  store=store)
    for interface in interfaces:
        bring(t, edge, interface, count, size)
    edge.start()
    wait_until(lambda: sum(r["packets"] for r in letters(edge)) ==
               count * len(interfaces), "dead letters", 40, 0.1)
    return core, edge


def told(core, count):
    """The core lives and knows of so many gaps: what comes now is fresh."""
    wait_until(lambda: core.ends() and len(core.rows("gaps")) >= count,
               "%d gaps at the core" % count, HEALED, 0.05)


def fresh(t, edge, core, interface):
    bring(t, edge, interface, 10)
    wait_until(lambda: len(by_stream(core.query()).get(interface, [])) == 10,
               "what is fresh", HEALED, 0.05)


def all_there(edge, core, counts):
    wait_until(lambda: not letters(edge, "--all"), "no letter is left", 60,
               0.1)
    drained(edge, core, seconds=60)
    equal([r for r in core.rows("gaps") if not r["closed"]], [],
          "open gaps at the core")
    have = by_stream(core.query())     # fails where a number is there twice
    equal({name: [r[0] for r in rows] for name, rows in have.items()},
          {name: list(range(1, n + 1)) for name, n in counts.items()},
          "packets at the core")
    equal(list(os.walk(os.path.join(edge.store, "dead-letters")))[1:], [],
          "links")


def set_conf(node, old, new):
    with open(node.conf) as f:
        text = f.read()
    check(old in text, old, "is not in", node.conf)
    with open(node.conf, "w") as f:
        f.write(text.replace(old, new))


def hurry(edge, rate):
    """What is left goes without a bound."""
    set_conf(edge, "rate_limit = " + rate, "rate_limit = 0")
    edge.shipper.proc.send_signal(signal.SIGHUP)


def they_go_when_the_upstream_returns(t):
    core, edge = given_up(t)
    equal({(r["state"], r["reason"], r["next"]) for r in letters(edge)},
          {("dead", "stale", "auto")}, "before")
    core.start()
    all_there(edge, core, {"eth0": 100, "eth1": 100})
    check(core.rows("gaps"), "the core was never told")
    edge.shipper.says("2 dead letters, 200 packets, go again")


def fresh_packets_go_before_them(t):
    core, edge = given_up(t, "rate_limit = 4Mbit", interfaces=["eth0"],
                          count=3000, size=1300)
    core.start()
    told(core, 1)
    fresh(t, edge, core, "eth1")
    check(letters(edge), "4 MB of letters went first, at 4 Mbit/s")
    hurry(edge, "4Mbit")
    all_there(edge, core, {"eth0": 3000, "eth1": 10})


def a_shipper_that_is_killed_on_the_way_goes_on(t):
    core, edge = given_up(t, "rate_limit = 8Mbit", interfaces=["eth0"],
                          count=4000, size=1300, store=["segment_size = 1MiB"])
    core.start()
    kills = 0
    while letters(edge) and kills < KILLS_MAX:
        time.sleep(0.3 + 0.3 * random.random())
        edge.shipper.kill()
        kills += 1
        edge.start_shipper()
        time.sleep(0.5)
    check(kills >= 2, "killed", kills, "times only")
    hurry(edge, "8Mbit")
    all_there(edge, core, {"eth0": 4000})


def a_receiver_that_flaps_gets_them_in_the_end(t):
    core, edge = given_up(t, "rate_limit = 8Mbit", interfaces=["eth0"],
                          count=4000, size=1300, store=["segment_size = 1MiB"])
    for _ in range(4):
        core.start_recorder()
        time.sleep(1)
        core.recorder.kill()
        time.sleep(0.5)
    core.start_recorder()
    told(core, 1)
    hurry(edge, "8Mbit")
    bring(t, edge, "eth1", 10)
    all_there(edge, core, {"eth0": 4000, "eth1": 10})


def manual_stays_manual_until_it_is_set_to_auto(t):
    core, edge = given_up(t, "requeue = manual")
    equal({r["next"] for r in letters(edge)}, {"manual"}, "next")
    core.start()
    told(core, 2)
    fresh(t, edge, core, "eth2")
    time.sleep(2.5)                     # two looks at what may go
    equal({r["state"] for r in letters(edge)}, {"dead"}, "states")
    edge.pb("dlq", "requeue", "--stream", "*/eth0")
    wait_until(lambda: [r["interface"] for r in letters(edge)] == ["eth1"],
               "one goes by hand", 20, 0.1)
    set_conf(edge, "requeue = manual", "requeue = auto")
    edge.shipper.proc.send_signal(signal.SIGHUP)
    all_there(edge, core, {"eth0": 100, "eth1": 100, "eth2": 10})


def ages_and_bounds_go_on(t):
    core, edge = given_up(t, "dead_letters_age = 3s")
    wait_until(lambda: not letters(edge), "they are too old", 20, 0.1)
    core.start()
    wait_until(lambda: sorted((r["interface"], r["reason"]) for r in
                              core.rows("gaps")) ==
               [("eth0", "expired"), ("eth1", "expired")] if core.ends()
               else False, "the gaps at the core", HEALED, 0.1)


if __name__ == "__main__":
    main("211", they_go_when_the_upstream_returns,
         fresh_packets_go_before_them,
         a_shipper_that_is_killed_on_the_way_goes_on,
         a_receiver_that_flaps_gets_them_in_the_end,
         manual_stays_manual_until_it_is_set_to_auto,
         ages_and_bounds_go_on, seconds=90)
