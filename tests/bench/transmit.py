"""Frames out of an interface as fast as it goes, beside those who do that.

All from memory: what reads packets is another row's.  Nobody listens at the
other end, so that what is measured is the sender, with the kernel's own way
through the pair, which on veth is walked on the sender's processor.
"""

import struct

from capture import Wire
from kit import *

SEND = os.path.join(BUILD, "tests", "bench", "send")
FULL, QUICK = 3_000_000, 300_000
PCAP_FRAMES = 10_000            # of tcpreplay's file, again and again
ENGINES = ("sendmmsg", "ring", "xdp")
TCPREPLAY, TRAFGEN = "tcpreplay --topspeed", "trafgen"


def pcap(t, size):
    """A file of frames like trafgen's."""
    data = bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]) + bytes(
        size - 14)
    out = [struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1)]
    out += [struct.pack("<IIII", 1, n, size, size) + data
            for n in range(PCAP_FRAMES)]
    return t.write("frames.pcap", b"".join(out))


def subjects(wire, packets):
    """(name, what it runs); `packets` each."""
    ours = [SEND, "pb0"]
    rest = [str(wire.size), str(packets)]
    loops = max(packets // PCAP_FRAMES, 1)
    trafgen = ["trafgen", "-n", str(packets), "-o", "pb0", "-c", wire.conf,
               "-C"]
    return [(OURS, [*ours, "bulk", *rest])] + [
        (OURS + ", " + engine, [*ours, engine, *rest])
        for engine in ENGINES] + [
        (TCPREPLAY, ["tcpreplay", "-q", "--topspeed", "--preload-pcap",
                     "--loop", str(loops), "-i", "pb0", wire.pcap]),
        (TRAFGEN, trafgen),
        (TRAFGEN + " -P 1", [*trafgen, "-P", "1"])]


def measure(row, size):
    need_root()
    need("tcpreplay")
    check(os.access(SEND, os.X_OK), "no", SEND, ": run 'make bench'")
    packets = row.amount(FULL, QUICK)
    row.scope = "%d packets a round" % packets
    wire = Wire(row.t, size)
    wire.pcap = pcap(row.t, size)
    for _ in row.rounds():
        for name, argv in row.turns(subjects(wire, packets)):
            quiet()
            before = wire.arrived()
            took, cpu = timed([*enter(wire.tx), *argv])
            arrived = wire.arrived() - before
            row.note(name, "Mpps", arrived / took / 1e6)
            row.note(name, "CPU ns/packet", 1e9 * cpu / max(arrived, 1))
            row.note(name, "sent, of those asked for", arrived / packets)
    row.goal("2.5 times the packets a second of tcpreplay",
             row.ratio("Mpps", TCPREPLAY), least=2.5)
    row.goal("1.3 times those of trafgen", row.ratio("Mpps", TRAFGEN),
             least=1.3)
    row.tell("times those of trafgen -P 1, one process as we are",
             row.ratio("Mpps", TRAFGEN + " -P 1"))


WHAT = ("Frames of %d bytes out of one end of a veth pair, as fast as it "
        "goes; nobody listens at the other. Ours by tests/bench/send: an "
        "outlet, whose engine is found by itself or given. Beside it "
        "`tcpreplay -q --topspeed --preload-pcap --loop N -i pb0 F`, a file "
        "of %d frames, and `trafgen -n N -o pb0 -c frame.cfg -C`, which has "
        "a process on each processor and keeps no order between them. "
        "Start-up is in it.")

ROWS = (
    ("transmit-64", WHAT % (64, PCAP_FRAMES),
     lambda row: measure(row, 64)),
    ("transmit-1500", WHAT % (1500, PCAP_FRAMES),
     lambda row: measure(row, 1500)),
)
