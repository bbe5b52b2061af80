"""Send given frames by a packet socket:  sender.py INTERFACE FILE

FILE has them one after the other, each behind its length (32 bits, little-
endian); `send(t, frames)` makes it, and sends from the namespace t.sender.
"""

import errno
import os
import socket
import struct
import sys


def send(t, frames, interface="pb0"):
    """All of them, in order."""
    path = t.write("frames.%d" % t.number(), b"".join(
        struct.pack("<I", len(f)) + f for f in frames))
    t.inside(t.sender, sys.executable, os.path.abspath(__file__), interface,
             path)


def main(interface, path):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((interface, 0))
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at < len(data):
        size = struct.unpack_from("<I", data, at)[0]
        frame = data[at + 4:at + 4 + size]
        at += 4 + size
        while True:
            try:
                s.send(frame)
                break
            except OSError as e:
                if e.errno != errno.ENOBUFS:        # the queue is full
                    raise


if __name__ == "__main__":
    main(*sys.argv[1:])
