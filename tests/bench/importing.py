"""Import of a large capture file, beside what else turns one into pcapng.

The file is made once: sizes as the internet mixes them, some thousand flows,
bytes that nothing compresses; every run makes the same one.  It is in the
page cache before each subject, and what the subject before wrote is on disk
and gone.  When `pb import` ends, the packets are durable; the others leave
theirs in the page cache, so a `sync` of their file counts as well: both
times are told, and the goal is about what is durable.
"""

import random
import struct

from kit import *

FULL, QUICK = 2_000_000_000, 300_000_000    # bytes of the file
# Shares of sizes: requests and acknowledgements, full segments, the rest.
SIZES = (64,) * 7 + (1514,) * 5 + (590,) * 2 + (None,) * 2
SIZE_MIN, SIZE_MAX = 64, 1514
FLOWS = 2000
PERIOD = 10_000                             # packets made; then their bytes
GAP_US_MAX = 8                              # repeat with other time stamps
SECONDS_MAX = 600
DIRECT = OURS + ", through its recorder"
MAGIC_US, ETHERNET, BEGIN = 0xA1B2C3D4, 1, 1_700_000_000


def frame(flow, size, draw):
    """Ethernet, IPv4, TCP or UDP of one of the flows."""
    proto = 6 if flow % 4 else 17
    head = bytes.fromhex("020000000002" "020000000001" "0800")
    head += struct.pack(">BBHHHBBHII", 0x45, 0, size - 14, draw.randrange(
        65536), 0x4000, 64, proto, 0, 0x0A000000 + flow * 7, 0xC0A80001 +
        flow % 97)
    ports = struct.pack(">HH", 1024 + flow * 31 % 60000, (443, 53, 80)[
        flow % 3])
    if proto == 17:
        rest = struct.pack(">HH", size - 34, 0)
    else:
        rest = struct.pack(">IIBBHHH", draw.getrandbits(32),
                           draw.getrandbits(32), 0x50, 0x18, 65535, 0, 0)
    head += ports + rest
    return head + draw.randbytes(size - len(head))


def period():
    """Some thousand packets as pcap has them, and where each begins."""
    draw = random.Random(7152)
    block, places = bytearray(), []
    for _ in range(PERIOD):
        size = draw.choice(SIZES) or draw.randint(SIZE_MIN, SIZE_MAX)
        places.append(len(block))
        block += struct.pack("<IIII", 0, 0, size, size)
        block += frame(draw.randrange(FLOWS), size, draw)
    return block, places


def make(path, size):
    """A pcap file of about `size` bytes, in microseconds; its packets."""
    block, places = period()
    stamp = struct.Struct("<II").pack_into
    now, count = BEGIN * 10**6, 0
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", MAGIC_US, 2, 4, 0, 0, 262144,
                            ETHERNET))
        while count == 0 or f.tell() + len(block) <= size:
            for place in places:
                now += 1 + count % GAP_US_MAX
                stamp(block, place, now // 10**6, now % 10**6)
                count += 1
            f.write(block)
    return count


def warm(path):
    """All of it is in the page cache, and nothing waits to be written."""
    quiet()
    with open(path, "rb", buffering=0) as f:
        while f.read(MIB):
            pass


class Source:
    def __init__(self, row):
        need("capinfos")
        self.path = row.t.path("mixed.pcap")
        say(row.name, "makes the file")
        self.packets = make(self.path, row.amount(FULL, QUICK))
        self.bytes = os.path.getsize(self.path)
        row.scope = "{:.2f} GB, {:,} packets".format(self.bytes / 1e9,
                                                     self.packets)


def note(row, name, source, seconds, durable, cpu):
    row.note(name, "s", seconds)
    row.note(name, "s, durable", durable)
    row.note(name, "MB/s, durable", source.bytes / durable / 1e6)
    row.note(name, "CPU ns/packet", cpu * 1e9 / source.packets)


def complete(name, have, source):
    check(have == source.packets, name, "has", have, "of", source.packets,
          "packets")


def ours(row, source):
    """No recorder runs: pb writes the store itself, into a fresh one."""
    node = row.t.node("import")
    warm(source.path)
    took, cpu = timed([os.path.join(BUILD, "pb"), "-c", node.conf, "import",
                       source.path])
    complete(OURS, sum(s["packets"] for s in node.streams().values()), source)
    shutil.rmtree(node.store)
    note(row, OURS, source, took, took, cpu)


def through_recorder(row, source):
    """A recorder runs on the store: the packets go in through it."""
    node = row.t.node("local")
    recorder = node.start_recorder()
    before = cpu_exact(recorder.pid)
    warm(source.path)
    took, cpu = timed([os.path.join(BUILD, "pb"), "-c", node.conf, "import",
                       source.path])
    cpu += cpu_exact(recorder.pid) - before
    recorder.stop(60)
    complete(DIRECT, sum(s["packets"] for s in node.streams().values()),
             source)
    shutil.rmtree(node.store)
    note(row, DIRECT, source, took, took, cpu)


def tool(row, source, name, argv):
    """A peer that reads the file and writes another."""
    if not shutil.which(argv[0]):
        row.skip(name, "not installed")
        return
    out = row.t.path("out")
    warm(source.path)
    took, cpu = timed([a.replace("OUT", out) for a in argv])
    synced, more = timed(["sync", out])
    have = must(["capinfos", "-c", "-M", out], seconds=SECONDS_MAX).decode()
    complete(name, int(have.rpartition(":")[2]), source)
    os.unlink(out)
    note(row, name, source, took, took + synced, cpu + more)


EDITCAP, TCPDUMP = "editcap -F pcapng", "tcpdump -r -w"


def measure(row):
    source = Source(row)
    subjects = (
        (OURS, lambda: ours(row, source)),
        (EDITCAP, lambda: tool(row, source, EDITCAP, [
            "editcap", "-F", "pcapng", source.path, "OUT"])),
        (DIRECT, lambda: through_recorder(row, source)),
        (TCPDUMP, lambda: tool(row, source, TCPDUMP, [
            "tcpdump", "-r", source.path, "-w", "OUT"])),
    )
    for _ in row.rounds():
        for _, run_it in row.turns(subjects):
            run_it()
    for peer in (EDITCAP, TCPDUMP):
        row.goal("times as fast as %s and `sync` (at least 4)" % peer,
                 faster(row, peer, "s, durable"), least=4)
        row.tell("times as fast as %s alone, which is not durable" % peer,
                 faster(row, peer, "s"))


def faster(row, peer, figure):
    ratio = row.ratio("s, durable", peer, figure)
    return 1 / ratio if ratio else None


WHAT = ("A pcap file (64 to 1514 bytes a packet, %d flows), in the page "
        "cache: `pb import FILE` into an empty store, durable when it "
        "ends, without a recorder and with one running; `editcap -F pcapng "
        "FILE OUT` and `tcpdump -r FILE -w OUT`, as they are and with `sync "
        "OUT` behind them." % FLOWS)

ROWS = (("import", WHAT, measure),)
