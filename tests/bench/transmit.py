"""Frames out of an interface as fast as it goes, beside those who do that.

All from memory: what reads packets is another row's.  Nobody listens at the
other end, so that what is measured is the sender, with the kernel's own way
through the pair.  On veth as it comes that is walked on the sender's processor
to its end; and, on a second pair, by a thread of the kernel from where the
frame reaches the other end on, as a card would have it (`apart`).
"""

import struct

from capture import Wire
from kit import *

SEND = os.path.join(BUILD, "tests", "bench", "send")
FULL, QUICK = 3_000_000, 300_000
PCAP_FRAMES = 10_000            # of tcpreplay's file, again and again
ENGINES = ("sendmmsg", "ring", "xdp")
TCPREPLAY, TRAFGEN, ONE = "tcpreplay --topspeed", "trafgen", " -P 1"
APART = "; receiving apart"


def pcap(t, size):
    """A file of frames like trafgen's."""
    data = bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]) + bytes(
        size - 14)
    out = [struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1)]
    out += [struct.pack("<IIII", 1, n, size, size) + data
            for n in range(PCAP_FRAMES)]
    return t.write("frames.pcap", b"".join(out))


def apart(wire):
    """The other end takes frames in by a thread of its own, for which there
    is the other processor.  veth does so only for what it might join to
    longer ones (GRO), so that the sender may not have those done for it."""
    need("ethtool", "pgrep", "taskset")
    wire.t.inside(wire.tx, "ethtool", "-K", "pb0", "tso", "off")
    wire.t.inside(wire.rx, "ethtool", "-K", "pb1", "gro", "on")
    wire.t.inside(wire.rx, "unshare", "-m", "sh", "-c",
                  "mount -t sysfs sysfs /sys && "
                  "echo 1 > /sys/class/net/pb1/threaded && "
                  "taskset -cp %s $(pgrep -n ^napi/pb1-)" % OTHER_CPU)
    return wire


def wires(row, size):
    """(what is said behind a name, the pair)"""
    pairs = [("", Wire(row.t, size))]
    try:
        pairs.append((APART, apart(Wire(row.t, size))))
    except (Skip, Failure) as e:
        row.skip(APART[2:], str(e))
    return pairs


def trafgen(wire, packets):
    """(name, what it runs)"""
    argv = ["trafgen", "-n", str(packets), "-o", "pb0", "-c", wire.conf, "-C"]
    return [(TRAFGEN, argv), (TRAFGEN + ONE, [*argv, "-P", "1"])]


def one_turn(row, wire, name, argv, packets):
    """trafgen ends with an error where the other end has no room: of what
    did not end well there is no speed."""
    before, done = wire.arrived(), True
    try:
        took, cpu = timed([*enter(wire.tx), *argv])
    except Failure:
        if not name.startswith(TRAFGEN):
            raise
        done = False
    arrived = wire.arrived() - before
    if done:
        row.note(name, "Mpps", arrived / took / 1e6)
        row.note(name, "MB/s of frames", arrived * wire.size / took / 1e6)
        row.note(name, "CPU ns/packet", 1e9 * cpu / max(arrived, 1))
    row.note(name, "sent, of those asked for", arrived / packets)


def goals(row, ours, theirs):
    """The names of each, as they stand in the table."""
    for how in "", APART:
        def times(peer):
            have = row.median(ours + how, "Mpps")
            other = row.median(peer + how, "Mpps")
            return have / other if have and other else None

        if how[2:] in row.skipped:
            continue
        row.goal("2.5 times the packets a second of tcpreplay" + how,
                 times(theirs), least=2.5)
        if times(TRAFGEN) is not None:
            row.goal("1.3 times those of trafgen" + how, times(TRAFGEN),
                     least=1.3)
        row.tell("times those of %s%s, one process as we are, 1.3 asked" %
                 (TRAFGEN + ONE, how), times(TRAFGEN + ONE))


def subjects(wire, packets):
    """(name, what it runs); `packets` each."""
    ours = [SEND, "pb0"]
    rest = [str(wire.size), str(packets)]
    loops = max(packets // PCAP_FRAMES, 1)
    return [(OURS, [*ours, "bulk", *rest])] + [
        (OURS + ", " + engine, [*ours, engine, *rest])
        for engine in ENGINES] + [
        (TCPREPLAY, ["tcpreplay", "-q", "--topspeed", "--preload-pcap",
                     "--loop", str(loops), "-i", "pb0", wire.pcap]),
        *trafgen(wire, packets)]


def measure(row, size):
    need_root()
    need("tcpreplay")
    check(os.access(SEND, os.X_OK), "no", SEND, ": run 'make bench'")
    packets = row.amount(FULL, QUICK)
    row.scope = "%d packets a round" % packets
    pairs = wires(row, size)
    for _, wire in pairs:
        wire.pcap = pcap(row.t, size)
    for _ in row.rounds():
        for how, wire in pairs:
            for name, argv in row.turns(subjects(wire, packets)):
                quiet()
                one_turn(row, wire, name + how, argv, packets)
    goals(row, OURS, TCPREPLAY)


HOW_APART = ("`receiving apart`: another pair, where the kernel takes frames "
             "in by a thread (`ethtool -K pb0 tso off`, `ethtool -K pb1 gro "
             "on`, `echo 1 > /sys/class/net/pb1/threaded`) that has CPU 1 "
             "(`taskset -cp 1 $(pgrep -n ^napi/pb1-)`), and not on the "
             "sender's processor; trafgen gives up where that falls behind.")

WHAT = ("Frames of %d bytes out of one end of a veth pair, as fast as it "
        "goes; nobody listens at the other. Ours by tests/bench/send: an "
        "outlet, whose engine is found by itself or given. Beside it "
        "`tcpreplay -q --topspeed --preload-pcap --loop N -i pb0 F`, a file "
        "of %d frames, and `trafgen -n N -o pb0 -c frame.cfg -C`, which has "
        "a process on each processor and keeps no order between them. "
        "Start-up is in it. " + HOW_APART)

ROWS = (
    ("transmit-64", WHAT % (64, PCAP_FRAMES),
     lambda row: measure(row, 64)),
    ("transmit-1500", WHAT % (1500, PCAP_FRAMES),
     lambda row: measure(row, 1500)),
)
