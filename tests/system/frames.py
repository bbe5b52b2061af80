"""Numbered frames as tests/bench/send sends them, received and judged:

    frames.py IFACE BYTES COUNT

Says `ready`, then, when the frame COUNT - 1 has come or none for some
seconds, a line of JSON: `packets`, `wrong` (what differs from the frame that
was due, the first few), `dropped` (by our own socket).  With COUNT 0 it is
told on standard input how many frames there are.
"""

import json
import os
import select
import socket
import struct
import sys

HEAD = bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5])
BODY = bytes(i * 7 & 255 for i in range(65535))
SECONDS = 9 * float(os.environ.get("PB_SLOW") or 1)
BUFFER = 256 << 20
WRONG_MAX = 5
SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS = 33, 263, 6


def frame(number, size):
    data = HEAD + struct.pack(">I", number)
    return (data + BODY[len(data):size])[:size]


def main(interface, sizes, count):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    s.bind((interface, 0))
    print("ready", flush=True)
    packets, wrong, told = 0, [], count > 0
    while not told or packets < count:
        ready = select.select([s] if told else [s, sys.stdin], [], [],
                              SECONDS)[0]
        if not ready:
            break
        if sys.stdin in ready:
            count, told = int(sys.stdin.readline()), True
            continue
        try:
            data = s.recv(70000)
        except OSError:         # ENETDOWN, told once
            continue
        if data[12:14] != HEAD[12:14]:
            continue
        want = frame(packets, sizes[packets % len(sizes)])
        if data != want and len(wrong) < WRONG_MAX:
            wrong.append("number %d, %d bytes, for number %d, %d bytes" % (
                struct.unpack(">I", data[14:18])[0], len(data), packets,
                len(want)))
        packets += 1
    dropped = struct.unpack("II", s.getsockopt(SOL_PACKET, PACKET_STATISTICS,
                                               8))[1]
    print(json.dumps({"packets": packets, "wrong": wrong,
                      "dropped": dropped}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], [int(n) for n in sys.argv[2].split(",")],
         int(sys.argv[3]))
