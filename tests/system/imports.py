"""What the tests of `pb import` share: files to bring in, and what of them
has to be there afterwards."""

import struct

from harness import *
import samples

FRAME = 8000
PIECE = 500                 # frames that repeat
PIECES = 30                 # more bytes than the writer may have at once


def large_file(t, pieces=PIECES, torn=0):
    """A pcap of PIECE * pieces frames; cut short by `torn` bytes."""
    one = samples.eth(0, FRAME)
    head = samples.pcap("<", samples.MAGIC_NS, [])
    piece = samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0, n, one[:42] + struct.pack(">Q", n) + one[50:], FRAME)
        for n in range(PIECE)])[len(head):]
    data = head + piece * pieces
    return t.write("large.pcap", data[:len(data) - torn])


def many_interfaces(count, each, size, comment=""):
    """`each` packets of `count` interfaces in turn, then the statistics of
    each interface."""
    data = [samples.shb("<", *[(1, comment)] if comment else [])]
    data += [samples.idb("<", 1, (2, "port%d" % i)) for i in range(count)]
    data += [samples.epb("<", i, n, samples.eth(n * count + i, size))
             for n in range(each) for i in range(count)]
    data += [samples.isb("<", i, each, (5, struct.pack("<Q", 7)))
             for i in range(count)]
    return b"".join(data)


def are_the_files(node, stream, whole=True, pieces=PIECES):
    """The packets of a stream are those of a large file, or its first."""
    packets = sorted(node.query("--stream", stream).packets,
                     key=lambda p: p.seq)
    equal([p.seq for p in packets], list(range(1, len(packets) + 1)),
          "sequence numbers")
    for n, p in enumerate(packets):
        check(p.data[42:50] == struct.pack(">Q", n % PIECE) and
              p.time_ns == samples.T0 * 10**9 + n % PIECE,
              "packet", n, "is another")
    equal(len(packets) < PIECE * pieces, not whole, "some are missing")
    return len(packets)


def nothing_of_two_files(node):
    """A good file and a malformed one leave the store as it was."""
    before = node.rows("streams") if os.path.exists(node.store) else None
    done = node.pb_run("import", node.t.write(
        "good.pcap", samples.valid()["pcap-us-le"]), large_file(
            node.t, 2, torn=1))
    equal(done.returncode, 1, "status")
    check(len(done.stderr.splitlines()) == 1 and
          b"large.pcap: offset " in done.stderr, "it says", done.stderr)
    if before is None:
        check(not os.path.exists(node.store), "there is a store")
    else:
        equal(node.rows("streams"), before, "streams")


def is_whole(node):
    """After what a crash may need: nothing open, nothing damaged."""
    node.pb("import", "--interface", "after", node.t.write(
        "after.pcap", samples.valid()["pcap-us-le"]))
    node.pb("verify")
    if node.recorder is None or not node.recorder.alive():
        equal([f for f in node.files() if f.endswith(".open")], [],
              "open files")
    equal(node.rows("gaps"), [], "gaps")


def pb_import(node, *files):
    return [os.path.join(BUILD, "pb"), "-c", node.conf, "import", *files]


def ends_with(child, status, *words, seconds=60):
    try:
        _, said = child.communicate(timeout=seconds * SLACK)
    except subprocess.TimeoutExpired:
        raise Failure("pb import does not end within %gs" % (seconds * SLACK))
    said = said.decode("utf-8", "replace")
    equal(child.returncode, status, "status of pb import: " + said)
    check(len(said.splitlines()) == (1 if words else 0) and
          all(word in said for word in words), "it says", said)
