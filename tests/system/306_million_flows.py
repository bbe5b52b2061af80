"""`pb flows` of a million conversations is exact, in bounded memory."""

import struct

from harness import *
import samples

FLOWS = 1_000_000
BUSY = 1000             # of them: flow n has BUSY - n packets more
TOP = 300
RSS_MAX = 256 << 20     # 1,048,576 rows, their slots, and what is read
SIZE = 42               # Ethernet, IPv4, UDP and nothing


def address(n):
    return "10.%d.%d.%d" % (n >> 16, n >> 8 & 255, n & 255)


def packets_of(n):
    return 1 + max(BUSY - n, 0)


def back_of(n):
    return max(BUSY - n, 0) if n % 3 == 0 else 0


def packets():
    """(flow, whether it is the way back): each flow's first packet, and after
    a thousand of them one more of each busy flow that wants some."""
    for n in range(FLOWS):
        yield n, False
        if n % 1000 == 999:
            for busy in range(BUSY - n // 1000):
                yield busy, busy % 3 == 0


def capture(t):
    link = bytes.fromhex("020000000002" "020000000001" "0800")
    ip = link + struct.pack(">BBHHHBBH", 0x45, 0, SIZE - 14, 0, 0, 64, 17, 0)
    server = bytes([192, 168, 0, 1])
    forth, back = (struct.pack(">HHHH", *ports, 8, 0)
                   for ports in ((4000, 53), (53, 4000)))
    record = struct.Struct("<IIII").pack
    path = t.path("flows.pcap")
    with open(path, "wb") as f:
        f.write(samples.pcap("<", samples.MAGIC_NS, []))
        for at, (n, is_back) in enumerate(packets()):
            client = (10 << 24 | n).to_bytes(4, "big")
            f.write(record(samples.T0 + at // 1000, at % 1000 * 1000, SIZE,
                           SIZE) + ip)
            f.write(server + client + back if is_back else
                    client + server + forth)
    return path


def flows(t, node, *args):
    """What it prints, in the memory it may have.  What we had when it began
    counts as its own."""
    path = t.path("flows.csv")
    with open(path, "wb") as f:
        child = subprocess.Popen([os.path.join(BUILD, "pb"), "-c", node.conf,
                                  "flows", "--csv", *args], stdout=f)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    equal(child.returncode, 0, "status of pb flows")
    check(SLOW > 1 or used.ru_maxrss << 10 < RSS_MAX, "it took",
          used.ru_maxrss, "KiB of memory")
    with open(path) as f:
        next(f)
        return [line.split(",")[3:12] for line in f]


def row(n, packets, back):
    """As `--csv` has it, from the protocol to bytes_back."""
    return ["udp", address(n), "4000", "192.168.0.1", "53", str(packets),
            str(SIZE * packets), str(back), str(SIZE * back)]


def whole(n):
    return row(n, packets_of(n), back_of(n))


def they_are_counted_exactly_in_bounded_memory(t):
    node = t.node("n1")
    node.pb("import", capture(t), seconds=300)
    equal(flows(t, node, "--top", str(TOP)), [whole(n) for n in range(TOP)],
          "the largest")
    equal(flows(t, node, "--by", "packets", "--top", "5", "src", "net",
                "10.0.0.0/29"),
          [row(n, packets_of(n), 0) for n in (1, 2, 4, 5, 7)], "one way")
    equal(sorted(flows(t, node)), sorted(whole(n) for n in range(FLOWS)),
          "all")


if __name__ == "__main__":
    main("306", they_are_counted_exactly_in_bounded_memory, seconds=300)
