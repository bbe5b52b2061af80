"""Send numbered Ethernet frames:  traffic.py INTERFACE COUNT RATE SIZE FIRST

Frame n is frame(n, size): experimental EtherType 0x88B5, its number, and
bytes that follow from it, so that a test can tell which frame it sees.
RATE is frames a second; 0 sends as fast as the interface takes them.
"""

import socket
import struct
import sys
import time

HEADER = bytes.fromhex("020000000002" "020000000001" "88b5")
PATTERN = bytes(range(256)) * 300


def frame(number, size=200):
    head = HEADER + struct.pack("<Q", number)
    start = number * 7 & 0xFF
    return head + PATTERN[start:start + size - len(head)]


def number_of(data):
    """The number in a frame, or None where it is not one of ours."""
    if len(data) < 22 or data[:14] != HEADER:
        return None
    return struct.unpack("<Q", data[14:22])[0]


def main():
    interface = sys.argv[1]
    count, rate, size, first = (int(a) for a in sys.argv[2:6])
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((interface, 0))
    start = time.monotonic()
    for n in range(count):
        if rate:
            wait = start + n / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
        while True:
            try:
                s.send(frame(first + n, size))
                break
            except OSError:         # the queue is full, or the link is down
                time.sleep(0.002)


if __name__ == "__main__":
    main()
