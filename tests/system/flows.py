"""Send numbered UDP datagrams:  flows.py INTERFACE COUNT RATE FIRST

Frame n is frame(n).  Flow n % FLOWS has two directions that take turns; of
every fourth flow each datagram comes in two fragments, a frame each.  So
the numbers of a flow say in which order its frames were sent.  RATE is
frames a second; 0 sends as fast as the interface takes them.
"""

import socket
import struct
import sys
import time

FLOWS = 48
PATTERN = bytes(range(256)) * 8
HEAD = 14 + 20 + 8      # Ethernet, IPv4, UDP or as many bytes of a fragment


def flow_of(number):
    return number % FLOWS


def is_fragment(number):
    return flow_of(number) % 4 == 3


def _sum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def frame(number):
    flow, turn = flow_of(number), number // FLOWS
    ends = [(socket.inet_aton("10.1.%d.1" % flow), 1024 + flow),
            (socket.inet_aton("10.2.0.%d" % flow), 53)]
    if is_fragment(number):
        # Four turns make a datagram each way.
        second, back = turn % 2, turn // 2 % 2
    else:
        second, back = 0, turn % 2
    (source, sport), (to, dport) = ends[::-1] if back else ends
    size = 64 + number * 7 % 900 // 8 * 8
    body = struct.pack("!Q", number) + PATTERN[number % 256:][:size - 16]
    udp = struct.pack("!HHHH", sport, dport, 8 + len(body), 0)
    fragment = 0
    if is_fragment(number):
        fragment = 1 if second else 0x2000
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(body),
                     turn // 2 & 0xFFFF, fragment, 64, 17, 0, source, to)
    ip = ip[:10] + struct.pack("!H", _sum(ip)) + ip[12:]
    sides = [bytes.fromhex("020000000001"), bytes.fromhex("020000000002")]
    return (sides[1 - back] + sides[back] + b"\x08\x00" + ip +
            (PATTERN[:8] if second else udp) + body)


def number_of(data):
    return struct.unpack("!Q", data[HEAD:HEAD + 8])[0]


def main():
    interface = sys.argv[1]
    count, rate, first = (int(a) for a in sys.argv[2:5])
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((interface, 0))
    frames = [frame(first + n) for n in range(count)] if not rate else None
    start = time.monotonic()
    for n in range(count):
        if rate:
            wait = start + n / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
        data = frames[n] if frames else frame(first + n)
        while True:
            try:
                s.send(data)
                break
            except OSError:         # the queue is full, or the link is down
                time.sleep(0.002)


if __name__ == "__main__":
    main()
