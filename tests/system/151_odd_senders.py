"""Senders that drip, promise, flood or babble hold nothing for long.

Each attack runs beside a good sender, whose packets get in all the while;
the attackers come from other addresses of the loopback than it.
"""

import contextlib
import json
import re
import select
import signal
import socket
import struct
import threading

from harness import *
import samples

STREAM = "/v1/streams/good/eth0/0123456789abcdef"
BAD = "/v1/streams/bad/eth0/0123456789abcdef/packets"
SOON = 3.0              # seconds, for what a good sender asks
KIB, MIB = 1 << 10, 1 << 20


def section(number):
    return (samples.shb("<") + samples.idb("<", 1, (9, b"\x09")) +
            samples.epb("<", 0, samples.T0 * 10**9 + number,
                        samples.eth(number), (5, struct.pack("<Q", number))))


class Core:
    """A node with small bounds, and its good sender."""

    def __init__(self, t, *lines):
        given = {line.split(" ")[0] for line in lines}
        small = ("head_timeout = 1s", "idle_timeout = 1s")
        lines += tuple(s for s in small if s.split(" ")[0] not in given)
        self.node = t.node("core", listen=True,
                           extra="\n".join(lines) + "\n")
        self.recorder = self.node.start_recorder()
        self.sent = 0
        self.good()
        self.fds = self.fd_count()
        self.rss = self.memory()

    def good(self):
        """A good sender's packet is durable soon."""
        begin = time.monotonic()
        self.sent += 1
        status, _, body = self.node.http("POST", STREAM + "/packets",
                                         section(self.sent))
        took = time.monotonic() - begin
        equal((status, json.loads(body)), (200, {"acked": self.sent}),
              "the good sender's answer")
        check(took < SOON * SLACK, "the good sender waited", took, "s")

    def dial(self, host="127.0.0.2", **options):
        s = socket.socket()
        if "rcvbuf" in options:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                         options["rcvbuf"])
        s.bind((host, 0))
        s.settimeout(20 * SLACK)
        s.connect(("127.0.0.1", self.node.port))
        return s

    def fd_count(self):
        return len(os.listdir("/proc/%d/fd" % self.recorder.pid))

    def memory(self):
        with open("/proc/%d/status" % self.recorder.pid) as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * KIB

    def metric(self, name):
        _, _, body = self.node.http("GET", "/metrics")
        return int(re.search(r"^%s (\d+)$" % re.escape(name),
                             body.decode(), re.M)[1])

    def over(self, words=None, grown=16 * MIB):
        """The attack is over: nothing of it is left, and the log has one
        line about it."""
        self.good()
        wait_until(lambda: self.fd_count() <= self.fds,
                   "descriptors are given back", 10)
        equal(self.metric("pb_ingest_body_bytes"), 0, "body bytes left")
        if SLOW == 1.0:         # sanitizers keep what is freed
            check(self.memory() - self.rss < grown, "memory grew by",
                  self.memory() - self.rss)
        if words:
            line, = self.recorder.says(re.escape(words))
            check("peer=127.0.0.2" in line, "whose:", line)


def closed(s, seconds=0.0):
    """Has the other side ended it?  What it said before is thrown away."""
    end = time.monotonic() + seconds
    readable = select.poll()
    readable.register(s, select.POLLIN)
    while readable.poll(max(0, end - time.monotonic()) * 1000):
        try:
            if not s.recv(65536):
                return True
        except OSError:
            return True
    return False


def cut_after(core, drip, least, most):
    """Send `drip()`'s pieces on sockets until each is cut; in seconds."""
    begin = time.monotonic()
    socks = [core.dial() for _ in range(10)]
    with contextlib.ExitStack() as stack:
        for s in socks:
            stack.enter_context(s)
        pieces = drip()
        while socks:
            piece = next(pieces)
            for s in list(socks):
                with contextlib.suppress(OSError):
                    s.sendall(piece)
                if closed(s, 0.01):
                    socks.remove(s)
                    took = time.monotonic() - begin
                    check(took >= least, "cut after", took, "s already")
            core.good()
            check(time.monotonic() - begin < most * SLACK, len(socks),
                  "of 10 still hold a connection after", most, "s")


def connections_that_say_nothing_are_cut(t):
    core = Core(t)
    cut_after(core, lambda: iter(lambda: b"", None), 0.9, 3)
    core.over("no whole request head within 1000 ms: [listen] "
              "head_timeout")


def heads_that_drip_are_cut(t):
    core = Core(t)

    def drip():
        yield b"GET /v1/health HTTP/1.1\r\n"
        while True:
            yield b"X: 1\r\n"

    cut_after(core, drip, 0.9, 3)
    # On a kept connection the next head begins when the last answer was.
    with core.dial() as s:
        begin = time.monotonic()        # before its time begins
        s.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        check(s.recv(4096).startswith(b"HTTP/1.1 200"), "no answer")
        while not closed(s, 0.2):
            with contextlib.suppress(OSError):
                s.sendall(b"G")
            check(time.monotonic() - begin < 5 * SLACK, "it lives on")
        took = time.monotonic() - begin
        check(took > 1.5, "a kept connection was cut after", took, "s")
    core.over("no whole request head within 1000 ms: [listen] "
              "head_timeout")


LATE = ("the body stopped for 1000 ms or comes slower than 8000 bit/s: "
        "[listen] idle_timeout, body_rate_min")


def bodies_that_drip_are_cut(t):
    core = Core(t)

    def drip():
        yield (b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n"
               b"\r\n" % BAD.encode())
        while True:
            yield b"x"

    cut_after(core, drip, 0.9, 4)
    core.over(LATE)


def bodies_that_stop_are_cut(t):
    core = Core(t)

    def drip():
        yield (b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n"
               b"\r\n" % BAD.encode() + bytes(30000))
        while True:
            yield b""

    cut_after(core, drip, 0.9, 4)
    core.over(LATE)


def trailers_that_drip_are_cut(t):
    core = Core(t)

    def drip():
        yield (b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
               b"\r\n\r\n5\r\nhello\r\n0\r\n" % BAD.encode())
        while True:
            yield b"X: 1\r\n"

    cut_after(core, drip, 0.9, 4)
    core.over(LATE)


def a_body_past_the_bound_is_told_so(t):
    core = Core(t, "body_max = 64KiB")
    for more in ("", "Expect: 100-continue\r\n"):
        with core.dial() as s:
            s.sendall(("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: "
                       "65537\r\n%s\r\n" % (BAD, more)).encode())
            answer = b""
            while not answer.endswith(b"}"):
                answer += s.recv(4096)
        check(answer.startswith(b"HTTP/1.1 413 "), answer)
        equal(json.loads(answer.split(b"\r\n\r\n")[1]), {
            "error": "65537 bytes; a body here has 65536 at most"}, "error")
    # Where its size shows late, as it comes.
    status, _, body = core.node.http(
        "POST", BAD, (bytes(8192) for _ in range(9)))
    equal((status, json.loads(body)["error"]), (
        413, "a body here has 65536 bytes at most"), "a chunked one")
    core.over("65537 bytes; a body here has 65536 at most")


def a_body_without_end_is_cut(t):
    core = Core(t, "body_max = 64KiB")
    with core.dial() as s:
        s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                  b"chunked\r\n\r\n" % BAD.encode())
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 100 * MIB:
                s.sendall(b"2000\r\n" + bytes(8192) + b"\r\n")
                sent += 8192
        # What is past four bodies went into buffers.
        check(256 * KIB <= sent < 16 * MIB, "cut after", sent, "bytes")
    core.over("a body here has 65536 bytes at most")


def one_address_cannot_take_all_connections(t):
    core = Core(t, "connections_per_peer = 20", "connections_max = 64",
                "head_timeout = 60s", "idle_timeout = 60s")
    with contextlib.ExitStack() as stack:
        socks = []
        for n in range(2000):
            socks.append(stack.enter_context(core.dial()))
            if n % 100 == 99:
                core.good()
        wait_until(lambda: core.metric("pb_ingest_connections") <= 21,
                   "only 20 of the 2000 stay")
        check(core.fd_count() <= core.fds + 22, core.fd_count(),
              "descriptors")
        equal(sum(not closed(s) for s in socks), 20, "connections alive")
        core.good()
    core.over("more than 20 connections from one address are closed: "
              "[listen] connections_per_peer")


def a_good_sender_gets_in_between_many_addresses(t):
    core = Core(t, "connections_max = 30", "connections_per_peer = 0")
    stop = threading.Event()

    def flood(host):
        while not stop.is_set():
            with contextlib.suppress(OSError), core.dial(host) as s:
                closed(s, 5)

    floods = [threading.Thread(target=flood, args=("127.0.1.%d" % n,))
              for n in range(1, 61)]
    for one in floods:
        one.start()
    try:
        wait_until(lambda: "connections_max" in core.recorder.text(),
                   "all connections are taken")
        for _ in range(2):
            begin = time.monotonic()
            core.sent += 1
            equal(core.node.http("POST", STREAM + "/packets",
                                 section(core.sent))[0], 200, "status")
            check(time.monotonic() - begin < 6 * SLACK, "it waits too long")
    finally:
        stop.set()
        for one in floods:
            one.join()
    core.over()


def promised_bodies_take_no_memory(t):
    core = Core(t, "memory_max = 64MiB", "idle_timeout = 60s")
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            s = stack.enter_context(core.dial())
            s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: "
                      b"16777216\r\n\r\nx" % BAD.encode())
        core.good()
        wait_until(lambda: core.metric("pb_ingest_body_bytes") >= 200 * 16 *
                   KIB, "all have come")
        # 16 KiB each, at most: 200 times 16 MiB were promised.
        equal(core.metric("pb_ingest_body_bytes"), 200 * 16 * KIB,
              "bytes held")
        core.good()
    core.over()


def one_address_cannot_take_all_memory(t):
    core = Core(t, "memory_max = 64MiB", "idle_timeout = 5s")
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(core.dial()) for _ in range(60)]
        for s in socks:
            s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: "
                      b"%d\r\n\r\n" % (BAD.encode(), MIB + 1) + bytes(MIB))
        wait_until(lambda: core.metric("pb_ingest_body_bytes") > 28 * MIB,
                   "what there is for one address is taken")
        core.good()
        held = core.metric("pb_ingest_body_bytes")
        check(held <= 32 * MIB, held, "bytes held")
        # Who came too late for it is told when his body ends.
        socks[-1].sendall(b"x")
        answer = socks[-1].recv(4096)
        check(answer.startswith(b"HTTP/1.1 503 "), answer)
        check(b"Retry-After: 1\r\n" in answer, answer)
        check(b"may hold half" in answer, answer)
        core.good()
    core.over("half of the memory for them: [listen] memory_max",
              grown=80 * MIB)


def a_peer_that_takes_no_answer_is_cut(t):
    core = Core(t, "body_rate_min = 1Mbit")
    with core.dial(rcvbuf=2048) as s:
        s.setblocking(False)
        more = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100
        begin = time.monotonic()
        while True:
            try:
                s.send(more)
            except BlockingIOError:
                time.sleep(0.05)
            except ConnectionError:
                break
            core.good()
            check(time.monotonic() - begin < 8 * SLACK, "it lives on")
    core.over("it did not take its answer in time: [listen] idle_timeout",
              grown=24 * MIB)


def what_is_not_http_is_refused(t):
    core = Core(t)
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(200)
    for words, most in ((b"\0" * 1000, 5), (os.urandom(5000), 5),
                        (hello, 5), (b"GET\r\n\r\n", 5),
                        (b"\r\n" * 1000 + b"x" * 3000, 5),
                        (b"GET / HTTP/9.9\r\n\r\n", 5),
                        (b"GET /" + b"a" * 300000 + b" HTTP/1.1\r\n\r\n", 5),
                        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 60000, 5),
                        (b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: "
                         b"99999999999999999999\r\n\r\n" % BAD.encode(), 5),
                        (b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding"
                         b": chunked\r\n\r\nzzz\r\n" % BAD.encode(), 5)):
        with core.dial() as s:
            with contextlib.suppress(ConnectionError):
                s.sendall(words)
            answer = b""
            begin = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while data := s.recv(65536):
                    answer += data
            took = time.monotonic() - begin
            check(took < most * SLACK, words[:40], "held for", took, "s")
            check(answer == b"" or re.match(br"HTTP/1\.[01] (4|5)\d\d ",
                                            answer), words[:40], answer)
        core.good()
    core.over()


def tls_handshakes_that_drip_are_cut(t):
    need("openssl")
    cert, key = t.path("core.pem"), t.path("core.key")
    must(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
          "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
          "/CN=core", "-keyout", key, "-out", cert])
    port = free_port()
    node = t.node("core", extra="[listen]\naddress = 127.0.0.1:%d\n"
                  "tls_cert = %s\ntls_key = %s\ntls_ca = %s\n"
                  "head_timeout = 1s\nidle_timeout = 1s\n" % (
                      port, cert, key, cert))
    recorder = node.start_recorder()
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(bytes.fromhex("16030100c8010000c40303"))
        while not closed(s, 0.1):
            with contextlib.suppress(OSError):
                s.sendall(b"x")
            check(time.monotonic() - begin < 4 * SLACK, "it lives on")
    check(time.monotonic() - begin > 0.9, "cut too early")
    recorder.says("no whole request head within 1000 ms")


def new_bounds_wait_for_a_restart(t):
    core = Core(t, "hold = 1s")
    with open(core.node.conf) as f:
        text = f.read()
    t.write("core.conf", text.replace("hold = 1s", "hold = 2s"))
    core.recorder.proc.send_signal(signal.SIGHUP)
    wait_until(lambda: "restart" in core.recorder.text(), "it says so")
    core.good()


if __name__ == "__main__":
    main("151", connections_that_say_nothing_are_cut,
         heads_that_drip_are_cut, bodies_that_drip_are_cut,
         bodies_that_stop_are_cut, trailers_that_drip_are_cut,
         a_body_past_the_bound_is_told_so, a_body_without_end_is_cut,
         one_address_cannot_take_all_connections,
         a_good_sender_gets_in_between_many_addresses,
         promised_bodies_take_no_memory, one_address_cannot_take_all_memory,
         a_peer_that_takes_no_answer_is_cut, what_is_not_http_is_refused,
         tls_handshakes_that_drip_are_cut, new_bounds_wait_for_a_restart)
