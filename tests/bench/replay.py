"""What `pb replay` sends, from where it lies and when it is due.

At top speed: packets that lie in a store or a file, which the page cache has
or has not, and are read while they are sent.  Nobody listens at the other end,
as in transmit.py.

In time: a file of packets that are as far apart as 20,000 a second are.  Our
recorder captures the other end, and its stamps, the kernel's, are held
against the file's.  What the wire takes is no error: the median of all
differences is taken off.  What grows with time is drift: by least squares, of
the medians of parts, or what is late now and then would be taken for it.  In
turn with them a loop does nothing but look at the clock until each of the same
moments: what it is late the machine is, whoever sends.
"""

import struct

import capture
from kit import *
from transmit import HOW_APART, SEND, goals, one_turn, trafgen, wires
from transmit import TCPREPLAY as TCPREPLAY_TOP

PB = os.path.join(BUILD, "pb")
PIECE = 10_000              # packets of a file that repeat
FULL = {64: 2_000_000, 1500: 1_000_000}
QUICK = {64: 300_000, 1500: 100_000}
FILE, WARM = ", a file", ", from the page cache"
PPS, PPS_HIGH = 20_000, 150_000
MINUTE_S, SECONDS_FULL, SECONDS_QUICK = 60, 8, 5
PARTS = 60                  # that a drift is found in
MACHINE = "the machine: a loop that looks at the clock"
MINUTE = OURS + ", a minute"
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
        (TCPREPLAY_TOP, ["tcpreplay", "-q", "--topspeed", "-i", "pb0", path],
         [path])]


def senders_of(source, wire, how, packets):
    """(name, what it runs, its files, whether they are in memory).  Reading
    is the same, whoever takes the frames in: it is measured once."""
    memory = [(name, argv, [], True)
              for name, argv in trafgen(wire, packets)]
    warm = [(name + WARM, argv, files, True) for name, argv, files in source]
    cold = [(*one, False) for one in source]
    return memory + warm + ([] if how else cold)


def top_speed(row, size):
    need_root()
    need("tcpreplay")
    packets = row.amount(FULL[size], QUICK[size])
    row.scope = "%d packets a round" % packets
    pairs = wires(row, size)
    source = sources(row.t, size, packets)
    for _ in row.rounds():
        for how, wire in pairs:
            for name, argv, files, warm in row.turns(
                    senders_of(source, wire, how, packets)):
                quiet()
                if warm:
                    read_all(files)
                else:
                    drop_caches()
                one_turn(row, wire, name + how, argv, packets)
    goals(row, OURS + WARM, TCPREPLAY_TOP + WARM)
    row.goal("packets a second of tcpreplay, neither's file in memory",
             row.ratio("Mpps", TCPREPLAY_TOP), least=1)
    row.tell("of those from the page cache",
             row.ratio("Mpps", OURS + WARM))


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


def slope(values):
    """How much more a step."""
    n = len(values)
    mean_at, mean = (n - 1) / 2, sum(values) / n
    above = sum((at - mean_at) * (v - mean) for at, v in enumerate(values))
    return above / sum((at - mean_at) ** 2 for at in range(n))


def far_end(row, name, pps, captured):
    """Figures of how far they came from their times."""
    count, gap_ns = len(captured), 1e9 / pps
    off = [at - captured[0] - n * gap_ns for n, at in enumerate(captured)]
    middle = statistics.median(off)
    errors = sorted(abs(one - middle) for one in off)
    for part, share in ERRORS:
        row.note(name, "far end %s us" % part,
                 errors[min(int(share * count), count - 1)] / 1e3)
    part = max(count // PARTS, 1)
    medians = [statistics.median(off[at:at + part])
               for at in range(0, count - part + 1, part)]
    row.note(name, "drift us/min",
             abs(slope(medians)) / 1e3 * 60 * pps / part)
    reached = (count - 1) * 1e9 / (captured[-1] - captured[0])
    row.note(name, "rate off by %", abs(reached / pps - 1) * 100)


def senders(path, packets, more):
    """(name, packets, packets a second, what it runs)"""
    ours = [PB, "replay", "-i", "pb0", "--json", "-r", path, "--limit"]
    theirs = ["tcpreplay", "-q", "-i", "pb0"]
    rate = ["--pps", str(PPS_HIGH)]
    return [
        (MACHINE, packets, PPS, [SEND, "--spin", str(10**9 // PPS),
                                 str(packets)]),
        (OURS, packets, PPS, [*ours, str(packets)]),
        (OURS + NO_SPIN, packets, PPS, [*ours, str(packets), "--no-spin"]),
        (TCPREPLAY, packets, PPS,
         [*theirs, "--limit=%d" % packets, path]),
        (OURS + AT_RATE, more, PPS_HIGH, [*ours, str(more), *rate]),
        (OURS + NO_SPIN + AT_RATE, more, PPS_HIGH,
         [*ours, str(more), *rate, "--no-spin"]),
        (TCPREPLAY + AT_RATE, more, PPS_HIGH,
         [*theirs, "--pps=%d" % PPS_HIGH, "--limit=%d" % more, path])]


def stolen_ms():
    """What the machine's host took of its processors, in all."""
    with open("/proc/stat") as f:
        return int(f.readline().split()[8]) / TICK * 1e3


def note_sender(row, name, said):
    """What it says of itself."""
    if name != MACHINE and not name.startswith(OURS):
        return
    told = json.loads(said)
    for part, key in zip(ERRORS, ("p50", "p99", "p999")):
        row.note(name, "sender %s us" % part[0],
                 told.get("error_ns", told)[key] / 1e3)


def sent_in_time(row, wire, name, packets, pps, argv):
    recorder = capture.Ours(row.t, wire, "edge%d" % row.t.number())
    quiet()
    stolen = stolen_ms()
    note_sender(row, name, must([*enter(wire.tx), *argv], seconds=600))
    row.note(name, "steal ms", stolen_ms() - stolen)
    settle(recorder.pid, capture.RING_S)
    recorder.stop()
    if name != MACHINE:
        captured = stamps(recorder.node.pb("query", "-w", "-", seconds=600))
        row.note(name, "captured, of all", len(captured) / packets)
        if len(captured) == packets:
            far_end(row, name, pps, captured)
    recorder.clear()


def in_time(row):
    need_root()
    need("tcpreplay")
    check(os.access(SEND, os.X_OK), "no", SEND, ": run 'make bench'")
    packets = row.amount(PPS * SECONDS_FULL, PPS * SECONDS_QUICK)
    minute = PPS * MINUTE_S if row.mode == "full" else packets
    row.scope = "%d packets a round" % packets
    wire = capture.Wire(row.t, 64)
    path = write_pcap(row.t, 64, minute, 10**6 // PPS)
    for _ in row.rounds():
        for one in row.turns(senders(path, packets,
                                     min(3 * packets, minute))):
            sent_in_time(row, wire, *one)
    if minute > packets:
        ours = [PB, "replay", "-i", "pb0", "--json", "-r", path]
        sent_in_time(row, wire, MINUTE, minute, PPS, ours)
    timing_goals(row)


def timing_goals(row):
    for where in "sender", "far end":
        for (part, _), most in zip(ERRORS, (2, 10, 50)):
            figure = "%s %s us" % (where, part)
            row.goal("%s (at most %d)" % (figure, most),
                     row.median(OURS, figure), most=most)
    for part, _ in ERRORS:
        row.tell("us of it the machine's own, %s" % part,
                 row.median(MACHINE, "sender %s us" % part))
    row.goal("sender p99 us without spinning (at most 50)",
             row.median(OURS + NO_SPIN, "sender p99 us"), most=50)
    if row.mode == "full":
        row.goal("us a minute of drift (below 1)",
                 row.median(MINUTE, "drift us/min"), most=1)
    for how in "", NO_SPIN:
        row.goal("%% that %d a second%s was off by (at most 0.1)" %
                 (PPS_HIGH, how),
                 row.median(OURS + how + AT_RATE, "rate off by %"), most=0.1)
    row.tell("% that tcpreplay was off by",
             row.median(TCPREPLAY + AT_RATE, "rate off by %"))
    for how in "", AT_RATE:
        for part in "p50", "p99":
            figure = "far end %s us" % part
            ours = row.median(OURS + how, figure)
            theirs = row.median(TCPREPLAY + how, figure)
            row.tell("%s at the far end, of tcpreplay's%s" % (part, how),
                     ours / theirs if ours is not None and theirs else None)


WHAT = ("Packets of %d bytes out of one end of a veth pair as fast as it "
        "goes, read meanwhile; nobody listens at the other. Ours by `pb "
        "replay -i pb0 --top` from a store, and with `-r` from a file; "
        "beside it `tcpreplay -q --topspeed -i pb0 F`, the same file, and "
        "`trafgen -n N -o pb0 -c frame.cfg -C`, which reads nothing, has a "
        "process on each processor and keeps no order between them. "
        "Nothing of a file is in memory before, but where it says so. "
        "Start-up is in it. " + HOW_APART)
IN_TIME = ("Packets of 64 bytes, 20,000 a second by their own times, out of "
           "one end of a veth pair by `pb replay -i pb0 -r F`, and by "
           "`tcpreplay -q -i pb0 F`; and at 150,000 a second. `sender` is "
           "how far a packet was from its time as the report says, `far end` "
           "as the stamps of our recorder at the other end do, beside their "
           "median; the rate is that of those stamps, from the first to the "
           "last. `the machine`: `send --spin`, which looks at the clock "
           "until each of the same moments and sends nothing, in turn with "
           "them; steal: of /proc/stat. Once, for a minute: the drift.")

ROWS = (
    ("replay-64", WHAT % 64, lambda row: top_speed(row, 64)),
    ("replay-1500", WHAT % 1500, lambda row: top_speed(row, 1500)),
    ("replay-timing", IN_TIME, in_time),
)
