"""A link of 50 kbit/s makes steady progress, and sends next to nothing twice.

The numbers of an ordinary request do not fit such a link: 1 MiB takes
three minutes.
"""

import contextlib
import socket
import threading

from harness import *
import samples

COUNT = 130


class SlowDoor:
    """A way to 127.0.0.1:port: 50 kbit/s each way, all connections
    together, with small buffers."""

    RATE = 50000 / 8            # bytes a second

    def __init__(self, port):
        self.port, self.lock = port, threading.Lock()
        self.free = {True: 0.0, False: 0.0}     # up, down: from when on
        self.sent = 0                           # bytes, up
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(100)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.spawn(self.serve)

    def spawn(self, call, *args):
        def quiet():
            with contextlib.suppress(OSError):
                call(*args)
        threading.Thread(target=quiet, daemon=True).start()

    def serve(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(("127.0.0.1", self.port))
            self.spawn(self.copy, near, far, True)
            self.spawn(self.copy, far, near, False)

    def copy(self, source, sink, up):
        try:
            while data := source.recv(512):
                with self.lock:
                    now = time.monotonic()
                    self.free[up] = max(self.free[up], now) + \
                        len(data) / self.RATE
                    pause = self.free[up] - now
                    self.sent += len(data) if up else 0
                time.sleep(pause)
                sink.sendall(data)
        finally:
            for s in (source, sink):
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)


def a_slow_link_makes_steady_progress(t):
    core = t.node("core", listen=True,
                  extra="idle_timeout = 3s\nhead_timeout = 3s\n")
    door = SlowDoor(core.port)
    edge = t.node("edge", upstreams={"core": [
        door.url, "answer_timeout = 3s"]})
    core.start_recorder()
    edge.start_recorder()
    # 100 KB, 16 s of the link: in one request nothing would move for long.
    edge.pb("import", "--interface", "eth0", t.write(
        "a.pcap", samples.pcap("<", samples.MAGIC_NS, [
            (samples.T0 + n, n, samples.eth(n, 700), 700)
            for n in range(COUNT)])))
    bytes_all = sum(os.path.getsize(p) for p in edge.files())
    edge.start_shipper()
    begin = moved = time.monotonic()
    acked, longest = 0, 0.0
    while acked < COUNT:
        now = time.monotonic()
        has = sum(core.ends().values())
        if has > acked:
            acked, moved = has, now
        longest = max(longest, now - moved)
        check(now - begin < 40 * SLACK, "after 40 s it has", acked,
              "of", COUNT, "sent", door.sent, "of", bytes_all,
              edge.shipper.tail())
        time.sleep(0.1)
    check(longest < 13 * SLACK, "no progress for", longest, "s")
    check(door.sent < 1.3 * bytes_all, door.sent, "bytes went up for",
          bytes_all)
    check("backing off" not in edge.shipper.text(), edge.shipper.text())
    check("cause=408" not in core.recorder.text(), core.recorder.text())
    equal(by_stream(core.query()), by_stream(edge.query()), "packets")


if __name__ == "__main__":
    main("152", a_slow_link_makes_steady_progress)
