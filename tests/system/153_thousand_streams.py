"""Many edges at once: all is stored once, and memory has a bound.

What is measured is memory, never time.
"""

import contextlib
import re
import socket
import struct
import threading

from harness import *
import samples

EPOCH = "0123456789abcdef"
EDGES = 300
PACKET_BYTES = 600
MIB = 1 << 20
MEMORY_MAX = 192 * MIB      # of a recorder with 300 edges
SECONDS = 60


def body(first, count):
    data = samples.eth(1, PACKET_BYTES)
    return b"".join(
        [samples.shb("<"), samples.idb("<", 1, (9, b"\x09"))] +
        [samples.epb("<", 0, samples.T0 * 10**9 + n, data,
                     (5, struct.pack("<Q", n)))
         for n in range(first, first + count)])


def status_of(pid, name):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"%s:\s+(\d+)" % name, f.read())[1]) << 10


def metric(node, name):
    _, _, text = node.http("GET", "/metrics")
    return int(re.search(r"^%s (\d+)$" % re.escape(name), text.decode(),
                         re.M)[1])


def node_of(t, *lines):
    node = t.node("core", listen=True, extra="".join(
        line + "\n" for line in lines))
    node.start_recorder()
    return node


class Edge:
    """A stream of its own, by a connection from an address of its own."""

    def __init__(self, node, number, host=None):
        self.name = "edge%d" % number
        self.sock = socket.socket()
        self.sock.bind((host or "127.1.%d.%d" % (number // 250,
                                                 number % 250 + 1), 0))
        self.sock.settimeout(SECONDS * SLACK)
        self.sock.connect(("127.0.0.1", node.port))
        self.answers = self.sock.makefile("rb")

    def head(self, length):
        self.sock.sendall((
            "POST /v1/streams/%s/eth0/%s/packets HTTP/1.1\r\nHost: core\r\n"
            "Content-Length: %d\r\n\r\n" % (self.name, EPOCH, length)
        ).encode())

    def answer(self):
        status = int(self.answers.readline().split()[1])
        length = 0
        while line := self.answers.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return status, self.answers.read(length)

    def close(self):
        self.answers.close()
        self.sock.close()


def at_once(edges, work):
    """work(edge) for all of them at the same time; what they returned."""
    out = [None] * len(edges)

    def one(i):
        try:
            out[i] = work(edges[i])
        except Exception as e:
            out[i] = e

    threads = [threading.Thread(target=one, args=(i,))
               for i in range(len(edges))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return out


def edges_of(stack, node, count, hosts=None):
    return [stack.enter_context(contextlib.closing(Edge(
        node, n, hosts[n % len(hosts)] if hosts else None)))
        for n in range(count)]


def post_all(edges, bodies):
    """Each edge posts all of the bodies, again where it is told to."""
    def work(edge):
        for part in bodies:
            status = 503
            while status == 503:
                edge.head(len(part))
                edge.sock.sendall(part)
                status, said = edge.answer()
            check(status == 200, edge.name, status, said)
        return "ok"

    equal([str(a) for a in at_once(edges, work)], ["ok"] * len(edges),
          "what the edges were told")


def all_stored_once(node, edges, packets):
    node.recorder.stop(30)
    kept = segment_packets(node)
    equal(len(kept), len(edges), "streams")
    for edge in edges:
        rows = kept[edge.name, "eth0", EPOCH]
        equal([r[0] for r in rows], list(range(1, packets + 1)),
              "numbers of " + edge.name)


def bounded(node):
    most = status_of(node.recorder.pid, "VmHWM")
    if SLOW == 1.0:         # sanitizers and valgrind have their own
        check(most < MEMORY_MAX, "memory rose to", most / MIB, "MiB")


def bodies_of_64_kb_of_many_edges(t):
    node = node_of(t)
    with contextlib.ExitStack() as stack:
        edges = edges_of(stack, node, EDGES)
        post_all(edges, [body(1, 100), body(101, 100), body(201, 100)])
    bounded(node)
    all_stored_once(node, edges, 300)


def bodies_of_1_mb_of_many_edges(t):
    node = node_of(t)
    with contextlib.ExitStack() as stack:
        edges = edges_of(stack, node, EDGES)
        post_all(edges, [body(1, 1600)])
    bounded(node)
    equal(metric(node, "pb_ingest_body_bytes"), 0, "body bytes left")
    equal(metric(node, "pb_ingest_bodies_waiting"), 0, "bodies that wait")
    all_stored_once(node, edges, 1600)


def bodies_that_begin_together_all_end(t):
    """Twice what there is memory for, and half of each comes first: no
    beginnings that fill it and wait for each other, and no 503."""
    node = node_of(t, "memory_max = 64MiB")
    whole = body(1, 1600)
    half = len(whole) // 2
    with contextlib.ExitStack() as stack:
        edges = edges_of(stack, node, 130,
                         ["127.0.1.%d" % n for n in range(1, 11)])

        def begin(edge):
            edge.head(len(whole))
            edge.sock.sendall(whole[:half])

        def end(edge):
            edge.sock.sendall(whole[half:])
            return edge.answer()[0]

        at_once(edges, begin)
        check(metric(node, "pb_ingest_body_bytes") <= 64 * MIB, "too much")
        equal(at_once(edges, end), [200] * len(edges), "the answers")
    all_stored_once(node, edges, 1600)


def promises_hold_no_memory(t):
    node = node_of(t)
    before = status_of(node.recorder.pid, "VmRSS")
    with contextlib.ExitStack() as stack:
        silent = edges_of(stack, node, EDGES)
        for edge in silent:
            edge.head(16 * MIB)
        wait_until(lambda: metric(node, "pb_ingest_connections") > EDGES,
                   "all are there")
        equal(metric(node, "pb_ingest_body_bytes"), 0, "bytes held")
        for edge in silent:
            edge.sock.sendall(b"x")
        wait_until(lambda: metric(node, "pb_ingest_body_bytes") >=
                   EDGES << 14, "all have begun")
        # A first step each.
        equal(metric(node, "pb_ingest_body_bytes"), EDGES << 14,
              "bytes held")
        grown = status_of(node.recorder.pid, "VmRSS") - before
        if SLOW == 1.0:
            check(grown < 16 * MIB, "memory grew by", grown / MIB, "MiB")
        # And they are in nobody's way.
        good = stack.enter_context(contextlib.closing(Edge(node, 999)))
        post_all([good], [body(1, 1600)])
    wait_until(lambda: metric(node, "pb_ingest_body_bytes") == 0,
               "what they held is given back")


def one_who_is_gone_while_he_waits_is_forgotten(t):
    node = node_of(t, "memory_max = 64MiB", "idle_timeout = 2s")
    whole = body(1, 1600)
    with contextlib.ExitStack() as stack:
        # 64 bodies that lack a byte, of two addresses that may hold that.
        full = edges_of(stack, node, 64, ["127.0.1.1", "127.0.1.2"])
        for edge in full:
            edge.head(len(whole) + 1)
        at_once(full, lambda edge: edge.sock.sendall(whole))
        gone = [Edge(node, n) for n in range(100, 120)]
        for edge in gone:
            edge.head(len(whole))
        at_once(gone, lambda edge: edge.sock.sendall(whole[:100000]))
        for edge in gone:
            edge.close()
    good = Edge(node, 999)
    post_all([good], [whole])
    good.close()
    wait_until(lambda: metric(node, "pb_ingest_connections") <= 1,
               "only who asks is left", 15)
    equal(metric(node, "pb_ingest_body_bytes"), 0, "body bytes left")
    equal(metric(node, "pb_ingest_bodies_waiting"), 0, "bodies that wait")


if __name__ == "__main__":
    main("153", bodies_of_64_kb_of_many_edges, bodies_of_1_mb_of_many_edges,
         bodies_that_begin_together_all_end, promises_hold_no_memory,
         one_who_is_gone_while_he_waits_is_forgotten)
