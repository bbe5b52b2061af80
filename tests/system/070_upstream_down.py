"""An upstream that is away, slow or mute costs disk space, never packets."""

import contextlib
import socket
import threading

from harness import *
import samples
import traffic


def pcap(first, count):
    return samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0 + n, n, samples.eth(n, 200), 200)
        for n in range(first, first + count)])


def numbers(node, interface):
    return [r[0] for r in by_stream(node.query())[interface]]


def everything_arrives_when_the_upstream_returns(t):
    core = t.node("core", listen=True)
    edge = t.edge_with_traffic(upstreams={"core": core})
    core.start()
    edge.start()
    t.traffic(t.sender, "pb0", 100, 1000).wait()
    wait_until(lambda: core.ends(), "the first packets at the core")
    core.stop()
    t.traffic(t.sender, "pb0", 300, 1000, first=101).wait()
    edge.stop()
    edge.start()
    t.traffic(t.sender, "pb0", 300, 1000, first=401).wait()
    wait_until(lambda: sum(edge.ends().values()) == 700, "all at the edge")
    core.start()
    drained(edge, core)
    rows = by_stream(core.query())["pb1"]
    equal([r[0] for r in rows], list(range(1, 701)), "numbers")
    equal([traffic.number_of(r[3]) for r in rows], list(range(1, 701)),
          "frames")
    equal(len(core.streams()), 1, "streams: a restart keeps the epoch")


def an_edge_ships_what_it_took_in_before_its_shipper_ran(t):
    core = t.node("core", listen=True)
    edge = t.node("edge", upstreams={"core": core})
    edge.pb("import", "--interface", "eth0", t.write("a.pcap", pcap(0, 500)))
    edge.start()
    core.start()
    drained(edge, core)
    equal(numbers(core, "eth0"), list(range(1, 501)), "numbers")


@contextlib.contextmanager
def counting(port):
    """A way to 127.0.0.1:port that counts what goes up it."""
    count = [0]

    def copy(source, sink, counts):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if counts:
                    count[0] += len(data)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve(listener):
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                for args in ((near, far, True), (far, near, False)):
                    threading.Thread(target=copy, args=args,
                                     daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1], count


def compressed_bodies_carry_the_same_packets(t):
    core = t.node("core", listen=True)
    with counting(core.port) as (port, count):
        compressed_through(t, core, port)
        stored = sum(r["bytes"] for r in core.rows("segments"))
        check(count[0] < stored / 2, count[0], "bytes went up for", stored)


def compressed_through(t, core, port):
    edge = t.node("edge", upstreams={"core": [
        "http://127.0.0.1:%d" % port, "compress = zstd"]})
    # Frames that shrink, and one whose bytes do not.
    noise = os.urandom(60000)
    edge.pb("import", "--interface", "eth0", t.write("a.pcap", samples.pcap(
        "<", samples.MAGIC_NS, [
            (samples.T0 + n, n, noise if n == 500 else samples.eth(n, 1400),
             60000 if n == 500 else 1400) for n in range(3000)])))
    core.start()
    edge.start()
    drained(edge, core)
    equal(by_stream(core.query())["eth0"], by_stream(edge.query())["eth0"],
          "packets")

@contextlib.contextmanager
def mute():
    """Takes connections, never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as s:
        yield s.getsockname()[1]


@contextlib.contextmanager
def black_hole():
    """Its queue is full: the kernel drops each further SYN, in silence."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as s:
        waiting = []
        for _ in range(4):
            c = socket.socket()
            c.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                c.connect(s.getsockname())
            waiting.append(c)
        time.sleep(0.1)
        try:
            yield s.getsockname()[1]
        finally:
            for c in waiting:
                c.close()


def a_dead_upstream_slows_no_other(t):
    core = t.node("core", listen=True)
    with mute() as silent, black_hole() as hole:
        edge = t.node("edge", upstreams={
            "closed": "http://127.0.0.1:%d" % free_port(),
            "silent": "http://127.0.0.1:%d" % silent,
            "hole": "http://127.0.0.1:%d" % hole,
            "core": core})
        core.start()
        edge.start()
        for n in range(10):
            edge.pb("import", "--interface", "e%d" % n,
                    t.write("a.pcap", pcap(n * 50, 50)))
            wait_until(lambda: sum(core.ends().values()) == (n + 1) * 50,
                       "round %d at the core" % n, 10)
        status = edge.rows("status")
        check(status, "pb status --json printed nothing")
        edge.stop()


def each_upstream_gets_the_streams_it_asked_for(t):
    one = t.node("one", listen=True)
    two = t.node("two", listen=True)
    edge = t.node("edge", upstreams={
        "one": (one, "streams = */eth0"),
        "two": (two, "streams = *, other/*")})
    for node in (one, two, edge):
        node.start()
    for interface in ("eth0", "eth1"):
        edge.pb("import", "--interface", interface,
                t.write("a.pcap", pcap(0, 20)))
    drained(edge, two)
    wait_until(lambda: sum(one.ends().values()) == 20, "eth0 at one")
    equal({k[1] for k in one.streams()}, {"eth0"}, "streams at one")
    equal({k[1] for k in two.streams()}, {"eth0", "eth1"}, "streams at two")


if __name__ == "__main__":
    main("070", everything_arrives_when_the_upstream_returns,
         an_edge_ships_what_it_took_in_before_its_shipper_ran,
         compressed_bodies_carry_the_same_packets,
         a_dead_upstream_slows_no_other,
         each_upstream_gets_the_streams_it_asked_for, seconds=120)
