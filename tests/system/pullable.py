"""A node that is pulled, made here: docs/protocol.md in Python, and hostile
where it is told to be.

    with Edge() as edge:
        edge.put("lon1", "eth0", EPOCH, 1, 100)

Streams are lists of packets in memory; what is acknowledged is kept by
stream.  `edge.deed(handler, what, stream)` is asked first: true where it has
answered a request itself.  XXH3 is libxxhash's, which our programs need.
"""

import ctypes
import http.server
import json
import socket
import struct
import threading
import time
import urllib.parse

import samples

EPOCH = "00c0ffee00c0ffee"
LINK = 1
XX = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
XX.restype, XX.argtypes = ctypes.c_uint64, (ctypes.c_char_p, ctypes.c_size_t)


def digest(data):
    return "xxh3=%016x" % XX(data, len(data))


def packet(seq, salt=0):
    """(number, time, bytes): others under another salt."""
    return seq, samples.T0 * 10**9 + seq, samples.eth(seq + salt)


def fingerprint(one):
    seq, stamp, data = one
    return digest(struct.pack("<QQII", seq, stamp, len(data), len(data)) +
                  data)


def forked(epoch, last, one):
    """What the packets behind `last` are called, of which `one` is first."""
    print_of = int(fingerprint(one)[5:], 16)
    return "%016x" % XX(struct.pack("<QQQ", int(epoch, 16), last, print_of),
                        24)


def section(node, name, packets, epoch=EPOCH, way=None):
    """As ours are: a segment option with the way, hop records."""
    way = way or [node]
    body = struct.pack("<QQB", int(epoch, 16), packets[0][0], len(way))
    for one in way:
        body += struct.pack("BB", len(one), 0) + one.encode()
    body += struct.pack("B", len(name)) + name.encode()
    own = struct.pack("<I", samples.PEN) + b"PB\1"
    out = samples.shb("<", (2989, own + b"\1" + body))
    out += samples.idb("<", LINK, (2, name), (9, b"\x09"))
    hops = b"".join(struct.pack("<QQ", samples.T0 * 10**9 + i, i)
                    for i in range(1, len(way)))
    for seq, stamp, data in packets:
        more = [(2989, own + b"\2" + hops)] if hops else []
        out += samples.epb("<", 0, stamp, data,
                           (5, struct.pack("<Q", seq)), *more)
    return out


class Stream:
    def __init__(self):
        self.packets, self.durable, self.first = {}, 0, 1
        self.gaps = []                      # (first, last, reason)
        self.way = None
        self.change = 0
        self.late = []


class Edge:
    """Also a context."""

    def __init__(self, port=0):
        self.streams, self.acks, self.asked = {}, {}, []
        self.deed, self.connections = None, []
        self.changes = 1
        self.born = time.time_ns()          # the cursor's: one a process
        self.news = threading.Condition()
        edge = self

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 100
            block_on_close = False

            def process_request(self, request, client):
                edge.connections.append(request)
                super().process_request(request, client)

            def handle_error(self, request, client):
                pass

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args):
                pass

            def do_GET(self):
                edge.get(self)

            def do_POST(self):
                edge.post(self)

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = "http://127.0.0.1:%d" % self.port
        threading.Thread(target=self.server.serve_forever,
                         kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for one in self.connections:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        with self.news:
            self.changes += 1
            self.news.notify_all()

    # --- what it has ------------------------------------------------------

    def changed(self, stream):
        self.changes += 1
        stream.change = self.changes
        self.news.notify_all()

    def put(self, node, name, epoch, first, last, salt=0, way=None):
        with self.news:
            s = self.streams.setdefault((node, name, epoch), Stream())
            for seq in range(first, last + 1):
                s.packets[seq] = packet(seq, salt)
            s.durable = max(s.durable, last)
            s.way = way
            self.changed(s)

    def gap(self, key, first, last, reason):
        with self.news:
            s = self.streams.setdefault(key, Stream())
            for seq in range(first, last + 1):
                s.packets.pop(seq, None)
            s.gaps.append((first, last, reason))
            s.durable = max(s.durable, last)
            self.changed(s)

    # --- requests ---------------------------------------------------------

    def get(self, h):
        url = urllib.parse.urlsplit(h.path)
        query = {k: v[0] for k, v in urllib.parse.parse_qs(
            url.query, keep_blank_values=True).items()}
        parts = [urllib.parse.unquote(p) for p in url.path.split("/")[3:]]
        what = "list" if not parts else "question" if len(parts) == 3 \
            else parts[3]
        self.asked.append((time.monotonic(), what, tuple(parts[:3]), query,
                           h.headers.get("PB-Node")))
        if self.deed and self.deed(h, what, tuple(parts[:3]), query):
            return
        if what == "list":
            self.list(h, query)
        elif what == "question":
            self.question(h, tuple(parts), int(query.get("at", 1 << 62)))
        else:
            self.fetch(h, tuple(parts[:3]), int(query["after"]),
                       int(query["max_bytes"]), float(query.get("wait", 0)),
                       int(query.get("to", 1 << 62)), query.get("as"))

    def list(self, h, query):
        since = query.get("since", "")
        born, _, change = since.partition(".")
        change = int(change) if born == str(self.born) else 0
        with self.news:
            self.news.wait_for(lambda: self.changes > change,
                               float(query.get("wait", 0)))
            rows = [{"node": k[0], "interface": k[1], "epoch": k[2],
                     "durable": s.durable, "first": s.first,
                     "link_type": LINK,
                     **({"late": s.late} if s.late else {})}
                    for k, s in self.streams.items() if s.change > change]
            rows.append({"cursor": "%d.%d" % (self.born, self.changes)})
        self.answer(h, 200, "".join(json.dumps(r) + "\n" for r in rows))

    def question(self, h, key, at):
        with self.news:
            s = self.streams.get(key, Stream())
            numbers = [n for n in s.packets if n <= at]
            said = {"acked": s.durable}
            if numbers:
                last = max(numbers)
                said["last"] = {"seq": last,
                                "digest": fingerprint(s.packets[last])}
        self.answer(h, 200, json.dumps(said))

    def fetch(self, h, key, after, room, wait, to, name):
        with self.news:
            s = self.streams.get(key)
            if s is None:
                return self.answer(h, 404, json.dumps({"error": "no"}))
            self.news.wait_for(lambda: s.durable > after, wait)
            if after + 1 < s.first:
                return self.answer(h, 410, json.dumps(
                    {"error": "expired", "first": s.first}))
            for first, last, reason in s.gaps:
                if first <= after + 1 <= last and after + 1 not in s.packets:
                    return self.answer(h, 200, "", {"PB-Gap": "%d-%d; "
                                       "reason=%s" % (after + 1, last,
                                                      reason)})
            out, size = [], 200
            for seq in range(after + 1, min(s.durable, to) + 1):
                if seq not in s.packets:
                    break
                size += len(s.packets[seq][2]) + 200
                if size > room and out:
                    break
                out.append(s.packets[seq])
        if not out:
            return self.answer(h, 204, "")
        body = section(key[0], key[1], out, name or key[2], s.way)
        self.answer(h, 200, body, {"PB-First": str(out[0][0]),
                    "PB-Last": str(out[-1][0]), "PB-Digest": digest(body)})

    def post(self, h):
        body = h.rfile.read(int(h.headers["Content-Length"]))
        parts = [urllib.parse.unquote(p) for p in h.path.split("/")[3:]]
        key = tuple(parts[:3])
        self.asked.append((time.monotonic(), parts[3], key, {},
                           h.headers.get("PB-Node")))
        if self.deed and self.deed(h, parts[3], key, body):
            return
        said = json.loads(body)
        s = self.streams.get(key, Stream())
        if said["acked"] > s.durable:
            return self.answer(h, 409, json.dumps(
                {"error": "never handed out", "acked": s.durable}))
        self.acks.setdefault(key, []).append(said)
        self.answer(h, 200, json.dumps({"acked": said["acked"]}))

    def answer(self, h, status, body, headers=None, length=None):
        body = body.encode() if isinstance(body, str) else body
        try:
            h.send_response(status)
            for name, value in (headers or {}).items():
                h.send_header(name, value)
            if status != 204:
                h.send_header("Content-Length", str(len(body) if length is
                                                    None else length))
            h.end_headers()
            h.wfile.write(body)
        except OSError:
            h.close_connection = True

    def acked(self, key):
        return max([a["acked"] for a in self.acks.get(key, [])], default=0)
