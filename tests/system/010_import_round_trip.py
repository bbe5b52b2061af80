"""What `pb import` takes in, `pb query -w` gives back: the same packets.

Each file is imported under a node name of its own, many files to a store.
Input and output are compared by pngread.py, which is not the project's
reader, and by tshark.
"""

import collections
import concurrent.futures
import os

from harness import *
import pngread
import samples

# What either side may have that is no part of the comparison: the packet's
# number becomes ours; time stamps become nanoseconds since 1970; an FCS
# length of 0 says nothing.
IDB_NOT_COMPARED = (9, 13, 14)
TSHARK_SAMPLE = 30
# Wrong by design, refused (020 looks at those) or taken at a reader's choice.
NOT_VALID = {"test006.ntar", "test007.ntar", "test010.ntar"}


def packet_form(packet):
    options = [(c, v) for c, v in packet.options
               if c != 5 and not pngread.is_own((c, v))]
    # Old Packet Blocks carry a drop count of 0 as "none dropped".
    options = [(c, v) for c, v in options if (c, v) != (4, b"\0" * 8)]
    options.sort(key=lambda o: o[0])        # stable: comments keep order
    timed = (packet.time_ns is not None and
             pngread.own(packet.options, pngread.UNTIMED) is None)
    return (packet.time_ns if timed else None, packet.origlen, packet.data,
            tuple(options))


def interface_form(interface, by_seq):
    packets = interface.packets
    if by_seq:
        packets = sorted(packets, key=lambda p: p.seq)
        seqs = [p.seq for p in packets]
        check(seqs == sorted(set(seqs)), "a number twice on", interface.name)
    return [packet_form(p) for p in packets]


def compare(name, want, have):
    """Each interface of `want` that has packets is in `have`, alike."""
    left = [(i, interface_form(i, True)) for i in have.interfaces if i.packets]
    for i in (i for i in want.interfaces if i.packets):
        packets = interface_form(i, False)
        found = None
        for one in left:
            if (one[0].linktype == i.linktype and one[1] == packets and
                    (i.name is None or one[0].name == i.name)):
                found = one
                break
        if found is None:
            raise Failure("%s: %s" % (name, difference(i, packets, left)))
        left.remove(found)
        for code, value in i.options:
            if code in IDB_NOT_COMPARED:
                continue
            check(any(c == code and value in v for c, v in found[0].options),
                  name, "interface", i.name, "lost its option", code, value)
    check(not left, name, "came back with more interfaces:",
          [(i.name, len(p)) for i, p in left])


def difference(interface, packets, left):
    what = "section %d interface %d (%s, link type %d, %d packets)" % (
        interface.section.number, interface.number, interface.name,
        interface.linktype, len(packets))
    near = [p for i, p in left if i.linktype == interface.linktype and
            (i.name == interface.name or interface.name is None)]
    if not near:
        return "%s did not come back; there are %s" % (
            what, [(i.name, i.linktype, len(p)) for i, p in left])
    for n, (w, h) in enumerate(zip(packets, near[0])):
        for part, x, y in zip(("time", "len", "bytes", "options"), w, h):
            if x != y:
                return "%s: packet %d: %s is %.200r, was %.200r" % (
                    what, n, part, y, x)
    return "%s: %d packets came back" % (what, len(near[0]))


def round_trip(node, files):
    """Import all, then compare all; [(path, input capture)]."""
    done = []
    for n, path in enumerate(files):
        name = "f%04d" % n
        result = node.pb_run("import", "--node", name, path)
        check(result.returncode == 0, path, "was refused:",
              result.stderr.decode("utf-8", "replace").strip())
        done.append((name, path))
    bad = []
    for name, path in done:
        want = pngread.read(path)
        have = node.query("--stream", name + "/*")
        try:
            compare(os.path.basename(path), want, have)
        except Failure as e:
            bad.append(str(e))
    check(not bad, "%d of %d files differ: " % (len(bad), len(files)) +
          "; ".join(bad[:5]))


def tshark_rows(path):
    out = must(["tshark", "-n", "-r", path, "-T", "fields",
                "-e", "frame.time_epoch", "-e", "frame.len",
                "-e", "frame.cap_len", "-e", "frame.encap_type",
                "-e", "frame.comment", "-e", "frame.packet_flags",
                "-e", "frame.interface_queue"])
    return out.splitlines()


def joined(t, files):
    """Files of one kind as one, for tshark takes half a second to start: a
    pcapng file is sections, and a pcap one a head and packets."""
    kinds = {}
    for path in files:
        with open(path, "rb") as f:
            data = f.read()
        head = b"" if data[:4] == b"\n\r\r\n" else data[:24]
        kinds.setdefault(head, [head]).append(data[len(head):])
    return [t.write("joined%d" % n, b"".join(kind))
            for n, kind in enumerate(kinds.values())]


def tshark_can_compare(capture):
    """Packets without a time become packets with one; a Custom Block is a
    packet to tshark, and not imported."""
    return (all(p.time_ns is not None and p.origlen >= len(p.data)
                for p in capture.packets) and
            not any(kind in (pngread.CB, pngread.CB_NOCOPY)
                    for kind, _, _ in capture.blocks))


def tshark_agrees(node, t, files):
    """tshark sees the same rows in the files and in what came back."""
    need("tshark")
    for path in files:
        node.pb("import", "--node", "s", path)
    out = t.path("all.pcapng")
    node.pb("query", "--stream", "s/*", "-w", out)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        before = collections.Counter()
        for rows in pool.map(tshark_rows, joined(t, files)):
            before.update(rows)
    after = collections.Counter(tshark_rows(out))
    lost, new = before - after, after - before
    check(not lost and not new, "tshark sees other packets: lost",
          list(lost)[:3], "new", list(new)[:3])


def captures(*folders):
    need_captures()
    found = []
    for folder in folders:
        for where, _, names in os.walk(os.path.join(CAPTURES, folder)):
            found += [os.path.join(where, n) for n in names
                      if n.endswith((".pcap", ".pcapng", ".ntar"))]
    if not found:
        skip("no captures in %s" % CAPTURES)
    return sorted(p for p in found if os.path.basename(p) not in NOT_VALID
                  and not os.path.dirname(p).endswith("libpcap/tests"))


def files_made_here_come_back_the_same(t):
    node = t.node("n1")
    round_trip(node, [t.write(name + ".cap", data)
                      for name, data in samples.valid().items()])


def files_come_back_the_same_through_a_running_recorder(t):
    node = t.node("n1")
    node.start_recorder()
    round_trip(node, [t.write(name + ".cap", data)
                      for name, data in samples.valid().items()])


def the_format_suite_comes_back_the_same(t):
    round_trip(t.node("n1"), captures("pcapng-test-generator", "gopacket",
                                      "python-pcapng"))


def real_traffic_comes_back_the_same(t):
    round_trip(t.node("n1"), captures("arkime", "libpcap"))


def tshark_sees_the_same_packets(t):
    files = []
    for name, data in samples.valid().items():
        if name.startswith(("pcap-", "offsets-", "sections-", "raw-")):
            files.append(t.write(name + ".cap", data))
    if os.path.isdir(CAPTURES):
        found = [p for p in captures("pcapng-test-generator/output_le",
                                     "arkime", "gopacket/layers")
                 if tshark_can_compare(pngread.read(p))]
        if not os.environ.get("PB_FULL"):
            found = random.sample(found, min(TSHARK_SAMPLE, len(found)))
        files += found
    tshark_agrees(t.node("n1"), t, files)


def an_interface_name_can_be_given(t):
    node = t.node("n1")
    path = t.write("a.pcap", samples.valid()["pcap-us-le"])
    node.pb("import", "--node", "tokyo", "--interface", "tap7", path)
    rows = node.rows("streams")
    equal([(r["node"], r["interface"], r["packets"]) for r in rows],
          [("tokyo", "tap7", 20)], "streams")
    equal([i.name for i in node.query().interfaces], ["tap7"], "if_name")


if __name__ == "__main__":
    main("010", files_made_here_come_back_the_same,
         files_come_back_the_same_through_a_running_recorder,
         the_format_suite_comes_back_the_same,
         real_traffic_comes_back_the_same,
         tshark_sees_the_same_packets,
         an_interface_name_can_be_given, seconds=120)
