"""Upstreams that are silent, babble, break off, redirect or forget.

Between the shipper and a real node stands a door that misbehaves as it is
told.  Each time the shipper says exactly what is wrong, another upstream
gets everything meanwhile, and once the door is good all is there, once.
"""

import contextlib
import json
import shutil
import socket
import struct
import threading

from harness import *
import samples

PATIENCE = ["connect_timeout = 1s", "answer_timeout = 1s"]


class Door:
    """A way to 127.0.0.1:port, or what `deed(door, socket, head)` does with
    each request whose head has come; None: forward all."""

    def __init__(self, port):
        self.port, self.deed = port, None
        self.lock, self.socks = threading.Lock(), set()
        self.requests = []              # when a deed met one
        self.frozen = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.keep(self.listener)
        self.spawn(self.serve)

    def keep(self, s):
        with self.lock:
            self.socks.add(s)
        return s

    def spawn(self, call, *args):
        def quiet():
            with contextlib.suppress(OSError, ValueError):
                call(*args)
        threading.Thread(target=quiet, daemon=True).start()

    def serve(self):
        while True:
            near, _ = self.listener.accept()
            self.spawn(self.one, self.keep(near))

    def one(self, near):
        try:
            while self.deed:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = near.recv(65536)
                    if not data:
                        return
                    head += data
                deed = self.deed
                if deed in ASKED and head.startswith(b"GET "):
                    near.sendall(self.ask(head))
                    continue
                self.requests.append(time.monotonic())
                deed(self, near, head)
                return
            far = self.keep(socket.create_connection(
                ("127.0.0.1", self.port)))
            self.spawn(self.copy, far, near)
            self.copy(near, far)
        finally:
            self.end(near)

    def ask(self, head):
        """What the node answers to a question."""
        with socket.create_connection(("127.0.0.1", self.port)) as far:
            far.sendall(head)
            said = b""
            while not said.endswith(b"}"):
                said += far.recv(4096)
        return said

    def copy(self, source, sink):
        try:
            while data := source.recv(65536):
                while self.frozen.is_set():
                    time.sleep(0.05)
                sink.sendall(data)
        finally:
            self.end(source)
            self.end(sink)

    def end(self, s):
        with contextlib.suppress(OSError):
            s.shutdown(socket.SHUT_RDWR)
        s.close()
        with self.lock:
            self.socks.discard(s)

    def become(self, deed):
        """From now on; what is open is broken off."""
        self.deed = deed
        self.requests = []
        self.frozen.clear()
        with self.lock:
            open_now = self.socks - {self.listener}
        for s in open_now:
            self.end(s)


# --- deeds ---------------------------------------------------------------

def say(*parts, pause=0.0):
    """Read it all, say this, close."""
    def deed(door, s, head):
        head, _, body = head.partition(b"\r\n\r\n")
        want = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                want = int(line.split(b":")[1])
        want -= len(body)
        while want > 0:
            want -= len(s.recv(65536)) or want
        for part in parts:
            s.sendall(part)
            time.sleep(pause)
    return deed


def answer(status, body, *headers):
    return say(("HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (
        status, len(body), "".join(h + "\r\n" for h in headers),
        body)).encode())


def silence(door, s, head):
    while s.recv(65536):
        pass


def for_ever(first, more, pause):
    def deed(door, s, head):
        s.sendall(first)
        while True:
            s.sendall(more)
            time.sleep(pause)
    return deed


def close_in_body(door, s, head):
    pass                                # with what it has read


def reset(door, s, head):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                 struct.pack("ii", 1, 0))
    s.close()


def freeze(door, s, head):
    """Half a request goes on, and then nothing, in neither direction."""
    far = door.keep(socket.create_connection(("127.0.0.1", door.port)))
    far.sendall(head[:len(head) // 2])
    door.frozen.set()
    door.copy(s, far)


def silence_at_packets(door, s, head):
    silence(door, s, head)


# These meet packets alone: questions are answered by the node.
ASKED = (close_in_body, reset, freeze, silence_at_packets)


# --- the nodes -----------------------------------------------------------

class Net:
    """An edge, a good upstream, and `count` odd ones behind doors."""

    def __init__(self, t, count=1):
        self.t, self.batches = t, 0
        self.good = t.node("good", listen=True)
        self.odd = [t.node("odd%d" % n, listen=True) for n in range(count)]
        self.doors = [Door(node.port) for node in self.odd]
        ways = {node.name: [door.url, *PATIENCE]
                for node, door in zip(self.odd, self.doors)}
        self.edge = t.node("edge", upstreams={**ways, "good": self.good})
        for node in (*self.odd, self.good, self.edge):
            node.start_recorder()
        self.edge.start_shipper()

    def batch(self, count=50, size=200):
        """`count` more packets, of a stream of their own."""
        first = self.batches * 1000
        self.batches += 1
        self.edge.pb("import", "--interface", "b%d" % self.batches,
                     self.t.write("a.pcap", samples.pcap(
                         "<", samples.MAGIC_NS, [
                             (samples.T0 + n, n, samples.eth(n, size), size)
                             for n in range(first, first + count)])))

    def status(self):
        """{name: what `pb status` says of that upstream}"""
        return {u["name"]: u for u in
                self.edge.rows("status")[0]["upstreams"]}

    def errors(self, *rows):
        """The odd ones have these last errors; of several words, one."""
        left = [(node.name, words) for node, words in zip(self.odd, rows)]

        def said():
            status = self.status()
            left[:] = [(name, words, status[name]["last_error"])
                       for name, words, *_ in left
                       if status[name]["last_error"] not in words]
            return not left
        try:
            wait_until(said, "errors", HEALED, pause=0.1)
        except Failure:
            raise Failure("; ".join(
                "%s: have '%s', want '%s'" % (name, have, "' or '".join(
                    words)) for name, words, have in left))

    def meets(self, *rows):
        """Each row's deed meets packets: its words are said, they go
        elsewhere, and here too once the door is good."""
        for door, (deed, *_) in zip(self.doors, rows):
            door.become(deed)
        self.batch()
        self.errors(*(words for _, *words in rows))
        drained(self.edge, self.good, seconds=10)
        self.heal()

    def heal(self):
        for door in self.doors:
            door.become(None)
        drained(self.edge, *self.odd, self.good, seconds=HEALED)
        self.errors(*([""] for _ in self.odd))
        check(self.edge.shipper.alive(), "the shipper ended:",
              self.edge.shipper.tail())
        # by_stream() fails where a number is there twice.
        want = by_stream(self.edge.query())
        for node in (*self.odd, self.good):
            equal(by_stream(node.query()), want, "packets at " + node.name)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SILENT = "no answer, and no byte taken for 1 s"
IN_FRONT = "something in front of it answered "


def silence_and_babble_are_named_and_survived(t):
    rows = (
        (silence, SILENT),
        (silence_at_packets, SILENT),
        (say(b"220 mail.example ESMTP\r\n"), "its answer is not HTTP"),
        (answer("200 OK", "well done"), IN_FRONT + "200: well done"),
        (answer("200 OK", '{"ack": 5}'), IN_FRONT + '200: {"ack": 5}'),
        (say(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"acked\""),
         "it closed the connection in the middle of its answer"),
        (for_ever(CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n", 0),
         "its answer is too large"),
        (for_ever(CHUNKED, b"1\r\nx\r\n", 0.1), SILENT),
        (for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1), SILENT))
    net = Net(t, len(rows))
    net.meets(*rows)


def connections_that_break_cost_nothing(t):
    net = Net(t, 3)
    net.meets((close_in_body, "it reset the connection",
               "it closed the connection without an answer"),
              (reset, "it reset the connection"),
              (freeze, SILENT))


def redirects_are_named_and_not_followed(t):
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        url = "http://127.0.0.1:%d/there" % elsewhere.getsockname()[1]
        net = Net(t, 3)
        net.meets(*((
            answer(status, "", "Location: " + url),
            "status %s: redirects are not followed, correct url; it points "
            "to %s" % (status[:3], url))
            for status in ("301 Moved", "307 Look", "308 There")))
        elsewhere.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            elsewhere.accept()
            raise Failure("somebody followed the redirect")


def who_asks_for_time_gets_it(t):
    net = Net(t)
    net.doors[0].become(answer("503 Full", '{"error": "no space left"}',
                               "Retry-After: 2"))
    net.batch()
    net.errors(["status 503: no space left"])
    whens = net.doors[0].requests
    wait_until(lambda: len(whens) >= 2, "it asks again", 8)
    check(whens[1] - whens[0] >= 2.0, "asked again after",
          whens[1] - whens[0], "s")
    drained(net.edge, net.good, seconds=10)
    net.heal()


def who_asks_for_a_certificate_is_left_in_peace(t):
    net = Net(t)
    net.doors[0].become(answer("401 Who", '{"error": "a certificate is '
                               'needed"}'))
    net.batch()
    net.errors(["status 401: a certificate is needed"])
    drained(net.edge, net.good, seconds=10)
    equal(net.status()["odd0"]["state"], "refused", "state")
    # It is asked again after 2, 4, 8 ... seconds.
    check(len(net.doors[0].requests) <= 4 * SLOW, "requests")
    net.doors[0].become(None)
    net.heal()


def a_store_that_went_back_or_is_new_gets_all_again(t):
    net = Net(t)
    odd = net.odd[0]
    net.batch()
    net.heal()
    odd.recorder.stop()
    older = t.path("older")
    shutil.copytree(odd.store, older)
    odd.start_recorder()
    net.batch()
    net.heal()
    odd.recorder.stop()
    shutil.rmtree(odd.store)
    shutil.copytree(older, odd.store)
    net.batch()
    odd.start_recorder()
    net.heal()
    said = "it has packets up to 0 only and had 50: sending again"
    net.edge.shipper.says(said)
    odd.recorder.stop()
    shutil.rmtree(odd.store)
    net.batch()
    odd.start_recorder()
    net.heal()
    equal(sum(odd.ends().values()), 200, "packets in the new store")
    net.edge.shipper.says(said, 4)


if __name__ == "__main__":
    main("150", silence_and_babble_are_named_and_survived,
         connections_that_break_cost_nothing,
         redirects_are_named_and_not_followed,
         who_asks_for_time_gets_it,
         who_asks_for_a_certificate_is_left_in_peace,
         a_store_that_went_back_or_is_new_gets_all_again, seconds=120)
