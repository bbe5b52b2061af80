"""A thousand edges in one program:

    streams.py PORT STREAMS REQUESTS PACKETS SIZE

Each of STREAMS connections comes from an address of its own, and POSTs
REQUESTS bodies of PACKETS packets of SIZE bytes to a stream of its own, one
after the other, to 127.0.0.1:PORT.  All are connected before the first one
sends.  A request that is told to wait (503) is sent again.  Prints one JSON
object: seconds, requests, busy (answers 503), bytes (of the bodies taken).
"""

import asyncio
import json
import os
import resource
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "system"))

import samples

EPOCH = "0123456789abcdef"
PIECE = 1 << 16             # bytes given to a connection at a time
WAIT_S = 0.2                # before a refused request is sent again
ANSWER_SECONDS_MAX = 60


def bodies(requests, packets, size):
    """The same for every stream: nothing in them says whose they are."""
    out, number = [], 0
    data = samples.eth(1, size)
    for _ in range(requests):
        parts = [samples.shb("<"), samples.idb("<", 1, (9, b"\x09"))]
        for _ in range(packets):
            number += 1
            parts.append(samples.epb(
                "<", 0, samples.T0 * 10**9 + number, data,
                (5, struct.pack("<Q", number))))
        out.append((number - packets + 1, number, b"".join(parts)))
    return out


class Edge:
    """One stream and its connection."""

    def __init__(self, port, number):
        self.port, self.number = port, number
        self.address = "127.1.%d.%d" % (number // 250, number % 250 + 1)
        self.sent = self.busy = 0

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(self.address, 0))

    def head(self, first, last, body):
        return ("POST /v1/streams/edge%d/eth0/%s/packets HTTP/1.1\r\n"
                "Host: core\r\nPB-First: %d\r\nPB-Last: %d\r\n"
                "Content-Length: %d\r\n\r\n" % (
                    self.number, EPOCH, first, last, len(body))).encode()

    async def post(self, first, last, body):
        """The status."""
        self.sent += 1
        self.writer.write(self.head(first, last, body))
        view = memoryview(body)
        for at in range(0, len(body), PIECE):
            self.writer.write(view[at:at + PIECE])
            await self.writer.drain()
        return await asyncio.wait_for(self.answer(), ANSWER_SECONDS_MAX)

    async def answer(self):
        status = int((await self.reader.readline()).split()[1])
        length, close = 0, False
        while True:
            line = (await self.reader.readline()).strip().lower()
            if not line:
                break
            name, _, value = line.partition(b":")
            if name == b"content-length":
                length = int(value)
            close |= name == b"connection" and value.strip() == b"close"
        await self.reader.readexactly(length)
        if close:
            await self.again()
        return status

    async def again(self):
        self.writer.close()
        await self.connect()

    async def run(self, bodies):
        for first, last, body in bodies:
            while True:
                try:
                    status = await self.post(first, last, body)
                except (ConnectionError, IndexError,
                        asyncio.IncompleteReadError):
                    # It was refused, and closed before all was read.
                    status = 503
                    await self.again()
                if status == 200:
                    break
                if status != 503:
                    sys.exit("streams: edge%d: status %d"
                             % (self.number, status))
                self.busy += 1
                await asyncio.sleep(WAIT_S)


async def main():
    port, streams, requests, packets, size = (int(a) for a in sys.argv[1:6])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load = bodies(requests, packets, size)
    edges = [Edge(port, n) for n in range(streams)]
    for edge in edges:
        await edge.connect()
    start = time.monotonic()
    await asyncio.gather(*(edge.run(load) for edge in edges))
    print(json.dumps({
        "seconds": time.monotonic() - start,
        "requests": sum(e.sent for e in edges),
        "busy": sum(e.busy for e in edges),
        "bytes": streams * sum(len(b) for _, _, b in load)}))


if __name__ == "__main__":
    asyncio.run(main())
