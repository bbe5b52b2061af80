"""A thousand nodes that are pulled, in one program:

    edges.py EDGES PIECES PACKETS SIZE

Listens on a port of 127.0.0.1, which it prints.  Edge number N is what lies
below the path /edgeN: one stream, PIECES of PACKETS packets of SIZE bytes, of
which an answer has as many as were asked for (docs/protocol.md).  When all is
acknowledged it prints one JSON object: seconds since the first request,
connections (the most at once), requests (for packets), polls (for news),
bytes (of bodies given).
"""

import asyncio
import json
import os
import resource
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "system"))

import pullable
import samples

EPOCH = pullable.EPOCH
WHO, WHERE = "edge%d", "eth0"


def blocks(pieces, packets, size):
    """What is the same for all: (first, last, bytes) of each piece."""
    data = samples.eth(1, size)
    out = []
    for first in range(1, pieces * packets + 1, packets):
        some = [(n, samples.T0 * 10**9 + n, data)
                for n in range(first, first + packets)]
        whole = pullable.section("e", WHERE, some)
        head = pullable.section("e", WHERE, some[:1])
        one = len(pullable.section("e", WHERE, some[:1] * 2)) - len(head)
        out.append((first, first + packets - 1, whole[len(head) - one:]))
    return out


def head(name, first):
    """The blocks in front of those."""
    one = [(first, 0, b"")]
    return pullable.section(name, WHERE, one)[
        :-(len(pullable.section(name, WHERE, one * 2)) -
           len(pullable.section(name, WHERE, one)))]


class Edges:
    def __init__(self, edges, pieces):
        self.pieces = pieces
        self.last = pieces[-1][1]
        self.acked = [0] * edges
        self.waits = edges
        self.begun = None
        self.open = self.most = self.polls = 0
        self.requests = self.bytes = 0
        self.done = asyncio.Event()

    async def serve(self, reader, writer):
        self.begun = self.begun or time.monotonic()
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            while await self.one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, IndexError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def one(self, reader, writer):
        method, target, _ = (await reader.readline()).decode().split(" ")
        length = 0
        while (line := (await reader.readline()).strip().lower()):
            name, _, value = line.partition(b":")
            if name == b"content-length":
                length = int(value)
        body = await reader.readexactly(length)
        url = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(url.query))
        _, edge, _, _, *rest = url.path.split("/")
        status, fields, said = await self.answer(
            int(edge[len(WHO) - 2:]), rest, query, body)
        writer.write(("HTTP/1.1 %d OK\r\n%sContent-Length: %d\r\n\r\n" % (
            status, "".join("%s: %s\r\n" % f for f in fields),
            len(said))).encode())
        writer.write(said)
        await writer.drain()
        return True

    async def answer(self, edge, rest, query, body):
        if not rest:
            return await self.list(edge, query)
        if len(rest) == 3:
            return 200, (), json.dumps({"acked": self.last}).encode()
        if rest[3] == "acks":
            return self.ack(edge, json.loads(body)["acked"])
        return self.packets(edge, int(query["after"]),
                            int(query["max_bytes"]))

    async def list(self, edge, query):
        self.polls += 1
        cursor = json.dumps({"cursor": "1"}) + "\n"
        if query.get("since"):
            await asyncio.sleep(float(query.get("wait", 0)))
            return 200, (), cursor.encode()
        return 200, (), (json.dumps({
            "node": WHO % edge, "interface": WHERE, "epoch": EPOCH,
            "durable": self.last, "first": 1,
            "link_type": pullable.LINK}) + "\n" + cursor).encode()

    def packets(self, edge, after, room):
        first, last = after + 1, after
        data = head(WHO % edge, first)
        for begin, end, more in self.pieces:
            if begin <= after:
                continue
            if last > after and len(data) + len(more) > room:
                break
            data += more
            last = end
        if last == after:
            return 204, (), b""
        self.requests += 1
        self.bytes += len(data)
        return 200, (("PB-First", first), ("PB-Last", last),
                     ("PB-Digest", pullable.digest(data))), data

    def ack(self, edge, number):
        if number == self.last and self.acked[edge] != number:
            self.waits -= 1
        self.acked[edge] = number
        if self.waits == 0:
            self.done.set()
        return 200, (), json.dumps({"acked": number}).encode()


async def main():
    edges, pieces, packets, size = (int(a) for a in sys.argv[1:5])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    all_of_them = Edges(edges, blocks(pieces, packets, size))
    server = await asyncio.start_server(all_of_them.serve, "127.0.0.1", 0,
                                        backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await all_of_them.done.wait()
    print(json.dumps({
        "seconds": time.monotonic() - all_of_them.begun,
        "connections": all_of_them.most,
        "requests": all_of_them.requests, "polls": all_of_them.polls,
        "bytes": all_of_them.bytes}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
