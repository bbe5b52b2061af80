"""Two edges and a core's own capture in one core, merged by time."""

from harness import *
import pngread
import traffic


def two_edges_and_the_cores_own_capture_merge_in_time_order(t):
    nodes = []
    senders = []
    core_ns = t.netns("core")
    tx = t.netns("tx")
    t.veth(tx, "c0", core_ns, "c1")
    # The core captures in a namespace; what it listens on must be reachable
    # from the edges, so they ship from within the same one.
    core = t.node("core", listen=True, captures=["c1"], netns=core_ns)
    core.start()
    senders.append((tx, "c0"))
    for name in ("lon1", "par1"):
        rx = t.netns(name)
        t.veth(tx, name, rx, "eth0")
        edge = t.node(name, captures=["eth0"], netns=rx,
                      upstreams={"core": core})
        edge.start_recorder()
        edge.start_shipper(netns=core_ns)
        senders.append((tx, name))
        nodes.append(edge)
    jobs = [t.traffic(ns, interface, 300, 150, first=1000 * n)
            for n, (ns, interface) in enumerate(senders, 1)]
    for job in jobs:
        job.wait()
    wait_until(lambda: sorted(r["packets"] for r in core.streams().values())
               == [300, 300, 300], "all at the core", HEALED)
    capture = core.query()
    times = [p.time_ns for p in capture.packets]
    equal(times, sorted(times), "order of time")
    # The three run at once: a merge mixes them, a concatenation does not.
    names = [traffic.number_of(p.data) // 1000 for p in capture.packets]
    changes = sum(a != b for a, b in zip(names, names[1:]))
    check(changes > 100, "only", changes, "changes between streams")
    for n in (1, 2, 3):
        equal([traffic.number_of(p.data) for p in sorted(
                   capture.packets, key=lambda p: p.seq)
               if traffic.number_of(p.data) // 1000 == n],
              list(range(1000 * n, 1000 * n + 300)), "sender %d" % n)
    rows = core.rows("query")
    equal([parse_time(r["time"]) for r in rows], times, "pb query --json")
    equal({(r["node"], tuple(h["node"] for h in r["hops"])) for r in rows},
          {("core", ("core",)), ("lon1", ("lon1", "core")),
           ("par1", ("par1", "core"))}, "ways")
    for stream in ("lon1/*", "par1/eth0", "core/c1"):
        equal(core.pb("query", "--stream", stream, "--count").strip(),
              b"300", stream)


def imported_streams_merge_in_time_order_too(t):
    """No root needed: three files, times interleaved, one of them unsorted."""
    import samples
    core = t.node("core")
    for n in range(3):
        order = list(range(200))
        if n == 2:      # stamps that run backwards within a stream
            order = [i + 1 if i % 2 == 0 else i - 1 for i in order]
        path = t.write("f%d.pcap" % n, samples.pcap(
            "<", samples.MAGIC_NS,
            [(samples.T0, 3000 * i + 1000 * n, samples.eth(i), 60)
             for i in order]))
        core.pb("import", "--node", "n%d" % n, "--interface", "eth0", path)
    times = [p.time_ns for p in core.query().packets]
    equal(len(times), 600, "packets")
    equal(times, sorted(times), "order of time")


if __name__ == "__main__":
    main("040", two_edges_and_the_cores_own_capture_merge_in_time_order,
         imported_streams_merge_in_time_order_too)
