"""What `pb replay` sends, from where it lies and when it is due.

At top speed: packets that lie in a store or a file, which the page cache has
or has not, and are read while they are sent.  Nobody listens at the other end,
as in transmit.py.

In time: a file of packets that are as far apart as 20,000 a second are.  Our
recorder captures the other end, and its stamps, the kernel's, are held
against the file's.  What the wire takes is no error: the median of all
differences is taken off.  What grows with time is drift, by least squares.
"""

import struct

import capture
from kit import *

PB = os.path.join(BUILD, "pb")
PIECE = 10_000              # packets of a file that repeat
FULL = {64: 3_000_000, 1500: 1_000_000}
QUICK = {64: 300_000, 1500: 100_000}
TOPSPEED = "tcpreplay --topspeed"
FILE, WARM = ", a file", ", from the page cache"
PPS, PPS_HIGH = 20_000, 150_000
SECONDS_FULL, SECONDS_QUICK = 60, 5
TCPREPLAY = "tcpreplay"
NO_SPIN, AT_RATE = " --no-spin", " --pps %d" % PPS_HIGH
ERRORS = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))


def write_pcap(t, size, packets, gap_us=0):
    """Of frames like trafgen's, so far apart."""
    head = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1)
    data = bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]) + bytes(
        size - 14)
    path = t.path("frames.pcap")
    with open(path, "wb") as f:
        f.write(head)
        for first in range(0, packets, PIECE):
            piece = []
            for n in range(first, min(first + PIECE, packets)):
                s, us = divmod(n * gap_us, 10**6)
                piece.append(struct.pack("<IIII", 1_700_000_000 + s, us, size,
                                         size) + data)
            f.write(b"".join(piece))
    return path


# --- at top speed ----------------------------------------------------------

def read_all(paths):
    for path in paths:
        with open(path, "rb") as f:
            while f.read(MIB):
                pass


def sources(t, size, packets):
    """(name, what it runs, the files it reads); `packets` each."""
    path = write_pcap(t, size, packets)
    store = t.node("store")
    store.pb("import", path, seconds=600)
    ours = [PB, "replay", "-i", "pb0", "--top", "--json"]
    return [
        (OURS, [PB, "-c", store.conf, *ours[1:]], store.files()),
        (OURS + FILE, [*ours, "-r", path], [path]),
        (TOPSPEED, ["tcpreplay", "-q", "--topspeed", "-i", "pb0", path],
         [path])]


def top_speed(row, size):
    need_root()
    need("tcpreplay")
    packets = row.amount(FULL[size], QUICK[size])
    row.scope = "%d packets a round" % packets
    wire = capture.Wire(row.t, size)
    all_of = [(name + how, argv, files) for name, argv, files in
              sources(row.t, size, packets) for how in ("", WARM)]
    for _ in row.rounds():
        for name, argv, files in row.turns(all_of):
            quiet()
            drop_caches()
            if name.endswith(WARM):
                read_all(files)
            before = wire.arrived()
            took, cpu = timed([*enter(wire.tx), *argv])
            arrived = wire.arrived() - before
            row.note(name, "Mpps", arrived / took / 1e6)
            row.note(name, "MB/s of frames", arrived * size / took / 1e6)
            row.note(name, "CPU ns/packet", 1e9 * cpu / max(arrived, 1))
            row.note(name, "sent, of those asked for", arrived / packets)
    row.goal("packets a second of tcpreplay, neither's file in memory",
             row.ratio("Mpps", TOPSPEED), least=1)
    row.tell("of those from the page cache",
             row.ratio("Mpps", OURS + WARM))
    row.tell("of tcpreplay's from the page cache",
             row.ratio("Mpps", TOPSPEED + WARM))


# --- in time ---------------------------------------------------------------

def stamps(data):
    """Nanoseconds of each packet of a pcapng file of ours, in its order."""
    at, out = 0, []
    head = struct.Struct("<II").unpack_from
    time_of = struct.Struct("<II").unpack_from
    while at < len(data):
        kind, length = head(data, at)
        if kind == 6:
            high, low = time_of(data, at + 12)
            out.append(high << 32 | low)
        at += length
    return out


def far_end(row, name, gap_ns, captured):
    """Figures of how far they came from their times."""
    count = len(captured)
    off = [at - captured[0] - n * gap_ns for n, at in enumerate(captured)]
    middle = statistics.median(off)
    errors = sorted(abs(one - middle) for one in off)
    for part, share in ERRORS:
        row.note(name, "far end %s us" % part,
                 errors[min(int(share * count), count - 1)] / 1e3)
    times = [n * gap_ns for n in range(count)]
    mean_t, mean_off = sum(times) / count, sum(off) / count
    above = sum((x - mean_t) * (y - mean_off) for x, y in zip(times, off))
    below = sum((x - mean_t) ** 2 for x in times)
    row.note(name, "drift us/min", abs(above / below) * 60e6)


def senders(path):
    """(name, packets a second, what it runs)"""
    ours = [PB, "replay", "-i", "pb0", "--json", "-r", path]
    theirs = ["tcpreplay", "-q", "-i", "pb0"]
    return [
        (OURS, PPS, ours),
        (OURS + NO_SPIN, PPS, [*ours, "--no-spin"]),
        (TCPREPLAY, PPS, [*theirs, path]),
        (OURS + AT_RATE, PPS_HIGH, [*ours, "--pps", str(PPS_HIGH)]),
        (OURS + NO_SPIN + AT_RATE, PPS_HIGH,
         [*ours, "--no-spin", "--pps", str(PPS_HIGH)]),
        (TCPREPLAY + AT_RATE, PPS_HIGH,
         [*theirs, "--pps=%d" % PPS_HIGH, path])]


def sent_in_time(row, wire, name, pps, argv, packets):
    recorder = capture.Ours(row.t, wire, "edge%d" % row.t.number())
    quiet()
    start = time.monotonic()
    said = must([*enter(wire.tx), *argv], seconds=600)
    took = time.monotonic() - start
    settle(recorder.pid, capture.RING_S)
    recorder.stop()
    row.note(name, "asked pps", pps)
    row.note(name, "reached, of it", packets / pps / took)
    if name.startswith(OURS):
        told = json.loads(said)
        for part, key in zip(ERRORS, ("p50", "p99", "p999")):
            row.note(name, "sender %s us" % part[0],
                     told["error_ns"][key] / 1e3)
    captured = stamps(recorder.node.pb("query", "-w", "-", seconds=600))
    row.note(name, "captured, of all", len(captured) / packets)
    if len(captured) == packets:
        far_end(row, name, 1e9 / pps, captured)
    recorder.clear()


def in_time(row):
    need_root()
    need("tcpreplay")
    packets = row.amount(PPS * SECONDS_FULL, PPS * SECONDS_QUICK)
    row.scope = "%d packets a round" % packets
    wire = capture.Wire(row.t, 64)
    path = write_pcap(row.t, 64, packets, 10**6 // PPS)
    for _ in row.rounds():
        for name, pps, argv in row.turns(senders(path)):
            sent_in_time(row, wire, name, pps, argv, packets)
    for how in ("", AT_RATE):
        for part in ("p50", "p99"):
            figure = "far end %s us" % part
            ours = row.median(OURS + how, figure)
            theirs = row.median(TCPREPLAY + how, figure)
            row.tell("%s at the far end, of tcpreplay's%s" % (part, how),
                     ours / theirs if ours is not None and theirs else None)


WHAT = ("Packets of %d bytes out of one end of a veth pair as fast as it "
        "goes, read meanwhile; nobody listens at the other. Ours by `pb "
        "replay -i pb0 --top` from a store, and with `-r` from a file; "
        "beside it `tcpreplay -q --topspeed -i pb0 F`, the same file. "
        "Nothing of either is in memory before, but where it says so. "
        "Start-up is in it.")
IN_TIME = ("Packets of 64 bytes, 20,000 a second by their own times, out of "
           "one end of a veth pair by `pb replay -i pb0 -r F`, and by "
           "`tcpreplay -q -i pb0 F`; and at 150,000 a second. `sender` is "
           "how far a packet was from its time as the report says, `far end` "
           "as the stamps of our recorder at the other end do, beside their "
           "median. Start-up is in what was reached.")

ROWS = (
    ("replay-64", WHAT % 64, lambda row: top_speed(row, 64)),
    ("replay-1500", WHAT % 1500, lambda row: top_speed(row, 1500)),
    ("replay-timing", IN_TIME, in_time),
)
