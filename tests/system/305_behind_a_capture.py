"""A search beside a capture leaves the machine to it.

What it reads of packets is in the page cache afterwards only where it was
before: whoever has something warm there keeps it.  The thread that makes flow
tables is the last at the disk and at the processor.
"""

import glob
import random

from harness import *
import samples

PACKETS = 20_000
DONTCACHE = 0x80        # RWF_DONTCACHE, preadv2(2)
HEADS = 256 << 10       # of a segment's file: its head is read as ever
QUERIES = (("-w", "-"), ("--count", "--no-index", "tcp"), ("tcp",),
           ("--reverse", "--limit", "9000", "udp"), ("udp port 4711",))


def store(t):
    """16 MB of packets, each 800 bytes."""
    node = t.node("n1", store=("segment_size = 4MiB",))
    node.pb("import", packets(t), seconds=120)
    return node


def packets(t):
    rnd = random.Random(5)
    return t.write("some.pcap", samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0 + n, 0, frame(rnd, n), 800) for n in range(PACKETS)]))


def frame(rnd, n):
    proto = 17 if n % 100 == 0 else 6
    return (bytes([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]) + b"\x08\0\x45\0" +
            (786).to_bytes(2, "big") + bytes([0, 0, 0, 0, 64, proto, 0, 0]) +
            bytes([10, 0, 0, n % 250, 10, 1, 0, 1]) +
            (4711 if n % 1000 == 0 else 2000).to_bytes(2, "big") +
            (80).to_bytes(2, "big") + bytes(8) + b"\x50" + bytes(7) +
            rnd.randbytes(746))


def segments(node):
    found = sorted(glob.glob(os.path.join(node.store, "segments", "*", "*",
                                          "*", "*.pcapng")))
    check(len(found) >= 3, "too few segments")
    return found


def knows_how(path):
    with open(path, "rb") as f:
        try:
            os.preadv(f.fileno(), [bytearray(4096)], 0, DONTCACHE)
        except OSError:
            skip("the kernel or the file system knows no RWF_DONTCACHE")


def make_cold(paths):
    for path in paths:
        with open(path, "rb") as f:
            os.fsync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    equal(resident(paths), 0, "bytes in the page cache to begin with")


def resident(paths):
    said = must(["fincore", "--bytes", "--noheadings", "--output", "RES",
                 *paths])
    return sum(int(line) for line in said.split())


def what_was_cold_is_cold_afterwards(t):
    node = store(t)
    files = segments(node)
    knows_how(files[0])
    node.start_recorder()
    for query in QUERIES:
        make_cold(files)
        node.pb("query", *query)
        check(resident(files) <= HEADS * len(files), query, "left",
              resident(files), "bytes in the page cache")


def what_was_warm_stays_warm(t):
    node = store(t)
    files = segments(node)
    knows_how(files[0])
    node.start_recorder()
    make_cold(files)
    with open(files[1], "rb") as f:
        warm = len(f.read())
    for query in QUERIES:
        node.pb("query", *query)
        check(resident(files[1:2]) >= warm, query, "dropped what was warm")


def alone_it_keeps_what_it_read(t):
    node = store(t)
    files = segments(node)
    make_cold(files)
    node.pb("query", "-w", "-")
    check(resident(files) >= sum(os.path.getsize(f) for f in files) // 2,
          "only", resident(files), "bytes are in the page cache")


def who_makes_tables_is_the_last_at_the_disk(t):
    node = t.node("n1", store=("segment_size = 4MiB",))
    daemon = node.start_recorder()
    node.pb("import", packets(t), seconds=120)

    def behind():
        tasks = os.listdir("/proc/%d/task" % daemon.pid)
        said = [(must(["ionice", "-p", task]).decode().strip(),
                 os.getpriority(os.PRIO_PROCESS, int(task)))
                for task in tasks]
        return ("best-effort: prio 7", 10) in said

    wait_until(behind, "a thread at the end of the line")


if __name__ == "__main__":
    main("305", what_was_cold_is_cold_afterwards, what_was_warm_stays_warm,
         alone_it_keeps_what_it_read,
         who_makes_tables_is_the_last_at_the_disk, seconds=120)
