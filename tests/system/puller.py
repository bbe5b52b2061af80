"""Who pulls from a node, and is none of ours: written from docs/protocol.md
and docs/format.md alone.

    node = edge(t)
    give(node, 1, 100)
    puller = Puller(node)
    puller.pull(one(puller))
"""

import json
import re

from faults import *
import pngread

ME = "core1"
EDGE = "allow = *, relay:*, pull:core1, pull:core2=y/*\n"
FRAME = 200


class Puller:
    """Keeps what it pulled in memory, which counts as durable here."""

    def __init__(self, node, name=ME):
        self.node, self.name = node, name
        self.cursor = ""
        self.rows = {}          # stream -> {number: bytes}
        self.gaps = {}          # stream -> [(first, last, reason)]
        self.have = {}          # stream -> the last number
        self.late = []          # (stream, first, last)

    def ask(self, method, path, body=None, **headers):
        headers = {"PB-Node": self.name, **headers}
        return self.node.http(method, path, body, headers)

    def streams(self, wait=0):
        """{stream: durable} of those that have grown."""
        status, _, body = self.ask("GET", "/v1/streams?wait=%d&since=%s" % (
            wait, self.cursor))
        equal(status, 200, "GET of the streams (%r)" % body)
        rows = [json.loads(line) for line in body.splitlines()]
        self.cursor = rows.pop()["cursor"]
        grown = {}
        for row in rows:
            stream = "%(node)s/%(interface)s/%(epoch)s" % row
            grown[stream] = row["durable"]
            self.late += [(stream, a, b) for a, b in row.get("late", [])]
        return grown

    def packets(self, stream, after, **query):
        query = {"after": after, **query}
        return self.ask("GET", "/v1/streams/%s/packets?%s" % (
            stream, "&".join("%s=%s" % kv for kv in query.items())))

    def take(self, stream, head, body):
        """What stands in a body: each number once, without a hole."""
        first, last = int(head["PB-First"]), int(head["PB-Last"])
        capture = pngread.read(body)
        me = pngread.identity(capture.sections[0])
        equal("%s/%s/%016x" % (me["nodes"][0][0], me["interface"],
                               me["epoch"]), stream, "whose packets")
        equal([p.seq for p in capture.packets],
              list(range(first, last + 1)), "numbers of a body")
        rows = self.rows.setdefault(stream, {})
        for p in capture.packets:
            check(p.seq not in rows, stream, "has", p.seq, "twice")
            rows[p.seq] = p.data
        return first, last

    def step(self, stream, **query):
        """One request; False where there is nothing more."""
        at = self.have.get(stream, 0)
        status, head, body = self.packets(stream, at, **query)
        if status == 204:
            return False
        gap = None
        if status == 410:
            gap = (at + 1, json.loads(body)["first"] - 1, "expired")
        elif "PB-Gap" in head:
            equal((status, body), (200, b""), "a gap")
            m = re.match(r"(\d+)-(\d+); reason=(\S+)$", head["PB-Gap"])
            gap = (int(m[1]), int(m[2]), m[3])
        if gap:
            equal(gap[0], at + 1, "a gap begins")
            self.gaps.setdefault(stream, []).append(gap)
            self.have[stream] = gap[1]
            return True
        equal(status, 200, "GET of packets (%r)" % body)
        first, last = self.take(stream, head, body)
        equal(first, at + 1, "a body begins")
        self.have[stream] = last
        return True

    def ack(self, stream, acked=None, status=200, **more):
        acked = self.have[stream] if acked is None else acked
        answer = self.ask("POST", "/v1/streams/%s/acks" % stream, json.dumps(
            {"upstream": self.name, "acked": acked, **more}))
        equal(answer[0], status, "POST of an ack (%r)" % answer[2])
        return json.loads(answer[2])

    def pull_to(self, stream, last):
        while self.have.get(stream, 0) < last:
            check(self.step(stream), "nothing more behind",
                  self.have.get(stream))
        self.ack(stream)

    def pull(self, stream, **query):
        """All that is there, acknowledged."""
        while self.step(stream, **query):
            self.ack(stream)


def edge(t, *lines, store=(), shipper=True):
    node = t.node("edge", listen=True, store=["flush_interval = 10ms",
                  *store], extra=EDGE + "\n".join(lines) + "\n")
    node.start_recorder()
    if shipper:
        node.start_shipper()
        # It is ready before it has looked for its store; until then acks are
        # refused (503).
        wait_until(lambda: os.path.exists(os.path.join(
            node.store, "pulls.sock")), "pb-shipper has the store")
    return node


def give(node, first, last, stream="x/eth0", size=FRAME):
    equal(push(node, stream, first, last, size)[0], 200, "push")


def declare(node, stream, first, last):
    code, _, _ = node.http("POST", "/v1/streams/%s/gaps" % stream, json.dumps(
        {"first": first, "last": last, "reason": "dead-lettered"}))
    equal(code, 200, "gap")


def upstream(node, name=ME):
    return {u["name"]: u for u in status(node)["upstreams"]}[name]


def backlog(node, name=ME):
    return upstream(node, name)["backlog"]


def one(puller):
    """The one stream there is."""
    streams = puller.streams()
    equal(len(streams), 1, "streams")
    return list(streams)[0]


def all_of(puller, stream, node):
    """Just what the store has."""
    want = {p.seq: p.data for p in node.query(
        "--stream", stream.rsplit("/", 1)[0]).packets}
    equal(sorted(puller.rows[stream]), sorted(want), "numbers pulled")
    equal(puller.rows[stream], want, "packets pulled")
