"""`pb query -w`: every form that it writes is read by the tools people have,
and has the same packets."""

import glob
import gzip
import os
import struct

from harness import *
import pngread
import samples

PCAP_HEAD, RECORD = 24, 16
HIDDEN = "files that are hidden"


def store(t):
    """3,000 packets of lon/eth0, one each 0.1 s, with one of par/eth1 in
    between now and then, and 2,000 of lon/eth0 in order alone."""
    node = t.node("n1")
    for who, interface, first, count, step in (
            ("lon", "eth0", 0, 3000, 1), ("par", "eth1", 0, 5, 600),
            ("lon", "eth0", 3000, 2000, 1)):
        path = t.write("a.pcap", samples.pcap("<", samples.MAGIC_NS, [
            (samples.T0 + n // 10, n % 10 * 10**8 + n % 7,
             samples.eth(n, 60 + n % 1000), 2000)
            for n in range(first, first + count * step, step)]))
        node.pb("import", "--node", who, "--interface", interface, path)
    return node


def frames(path):
    """What tshark says of each packet."""
    return must(["tshark", "-n", "-r", path, "-T", "fields", "-e",
                 "frame.time_epoch", "-e", "frame.len", "-e",
                 "frame.cap_len", "-e", "udp.payload"]).splitlines()


def packets(data):
    return [(p.time_ns, p.origlen, p.data) for p in
            pngread.read(data).packets]


def pcap_packets(data):
    magic, = struct.unpack("<I", data[:4])
    equal(magic, samples.MAGIC_NS, "magic")
    at, out = PCAP_HEAD, []
    while at < len(data):
        sec, ns, caplen, origlen = struct.unpack("<IIII",
                                                 data[at:at + RECORD])
        at += RECORD
        out.append((sec * 10**9 + ns, origlen, data[at:at + caplen]))
        at += caplen
    equal(at, len(data), "length of the file")
    return out


def read(path):
    with open(path, "rb") as f:
        return f.read()


def parts(t, name):
    """The files of --split, in order, and nothing beside them."""
    equal([n for n in os.listdir(t.dir) if n.startswith(".")], [], HIDDEN)
    return sorted(glob.glob(t.path(name)))


def each_form_is_read_and_has_the_same_packets(t):
    need("tshark", "capinfos", "tcpdump", "editcap")
    node = store(t)
    want = packets(node.pb("query", "-w", "-"))
    equal(len(want), 5005, "packets")
    plain = t.path("plain.pcapng")
    node.pb("query", "-w", plain)
    said = frames(plain)
    for name, *args in (("o.pcapng.gz",), ("o.pcapng.zst",),
                        ("o.pcap", "--format", "pcap"),
                        ("o.pcap.gz", "--format", "pcap"),
                        ("o.pcap.zst", "--format", "pcap"),
                        ("o.gz", "--format", "pcapng")):
        path = t.path(name)
        node.pb("query", "-w", path, *args)
        equal(frames(path), said, "tshark of " + name)
        told = must(["capinfos", "-Mc", path]).decode()
        check(" 5005" in told, "capinfos of", name, "says", told)
        must(["editcap", "-F", "nsecpcap", path, t.path("edited")])
        equal(frames(t.path("edited")), said, "editcap of " + name)
        check(os.path.getsize(path) < os.path.getsize(plain), name,
              "is no smaller")
        if name.endswith(".gz"):
            data = gzip.decompress(read(path))
            equal(pcap_packets(data) if args[-1:] == ["pcap"] else
                  packets(data), want, "packets of " + name)
    equal(pcap_packets(read(t.path("o.pcap"))), want, "packets of pcap")
    for name in ("plain.pcapng", "o.pcap"):
        told = must(["tcpdump", "-n", "-r", t.path(name), "--count"])
        check(b"5005 packets" in told, "tcpdump of", name, "says", told)
    done = node.pb_run("query", "-w", "-", "--format", "pcap")
    equal(done.stdout, read(t.path("o.pcap")), "pcap on standard output")
    equal(done.stderr.count(b"pcap keeps"), 1, "what pcap cannot keep")


def extents_as_a_whole_are_what_single_packets_are(t):
    """A filter that all packets pass has them go one by one."""
    node = store(t)
    t0 = samples.T0
    for cut in ([], ["--stream", "lon/*"], ["--limit", "4000"],
                ["--after", str(t0 + 77)], ["--before", "%d.5" % (t0 + 400)],
                ["--seq", "1000-2500"]):
        equal(node.pb("query", "-w", "-", *cut),
              node.pb("query", "-w", "-", *cut, "greater 0"), "bytes %s" % cut)


def files_of_a_size_are_as_full_as_can_be(t):
    need("capinfos")
    node = store(t)
    want = packets(node.pb("query", "-w", "-"))
    for ending, *args in (("pcapng",), ("pcap", "--format", "pcap"),
                          ("pcapng.gz",)):
        name = t.path("size." + ending)
        node.pb("query", "-w", name, "--split", "100KiB", *args)
        found, files = [], parts(t, "size_*." + ending)
        check(len(files) > 20, "files:", files)
        for n, path in enumerate(files):
            check(os.path.basename(path).startswith("size_%05u_2023111" %
                                                    (n + 1)), path)
            must(["capinfos", path])
            data = read(path)
            data = gzip.decompress(data) if ending.endswith("gz") else data
            check(len(data) <= 100 << 10, path, "has", len(data))
            check(len(data) > 98 << 10 or n + 1 == len(files), path, "has",
                  len(data))
            found += pcap_packets(data) if args else packets(data)
        equal(found, want, "packets of all")


def files_of_a_time_begin_when_it_does(t):
    node = store(t)
    want = packets(node.pb("query", "-w", "-"))
    node.pb("query", "-w", t.path("time.pcapng"), "--split", "1m")
    found, last = [], 0
    for path in parts(t, "time_*.pcapng"):
        rows = packets(read(path))
        minutes = {row[0] // (60 * 10**9) for row in rows}
        equal(len(minutes), 1, "minutes of " + path)
        check(last < min(minutes), path, "is not the next minute")
        last = max(minutes)
        stamp = time.strftime("%Y%m%d%H%M%S",
                              time.gmtime(rows[0][0] // 10**9))
        check(path.endswith("_%s.pcapng" % stamp), path, "is of", stamp)
        found += rows
    equal(found, want, "packets of all")


def files_of_streams_have_their_names(t):
    node = store(t)
    node.pb("query", "-w", t.path("all.pcapng"), "--split", "stream")
    equal([os.path.basename(p) for p in parts(t, "all_*")],
          ["all_lon+eth0.pcapng", "all_par+eth1.pcapng"], "names")
    for one, other in (("lon+eth0", "lon/eth0"), ("par+eth1", "par/eth1")):
        equal(packets(read(t.path("all_%s.pcapng" % one))),
              packets(node.pb("query", "--stream", other, "-w", "-")), other)


def where_one_fails_those_before_stay(t):
    """A limit on a file's size is a disk that is full."""
    node = store(t)
    pb = os.path.join(BUILD, "pb")
    # The first minute has two seconds.
    first = str(samples.T0 + 98)
    for split, stay in (("1m", 1), ("stream", 0)):
        done = run(["bash", "-c", 'trap "" XFSZ; ulimit -f 64; exec "$0" '
                    '"$@"', pb, "-c", node.conf, "query", "--after", first,
                    "-w", t.path("full.pcapng"), "--split", split])
        equal(done.returncode, 1, "status (%r)" % done.stderr)
        check(b"File too large" in done.stderr, "it says", done.stderr)
        files = parts(t, "full_*")
        equal(len(files), stay, "files that stay")
        for path in files:
            check(packets(read(path)), path, "is empty")
            os.unlink(path)


def two_link_types_are_no_pcap_and_both_are_named(t):
    node = store(t)
    node.pb("import", "--node", "raw", t.write("r.pcap", samples.pcap(
        "<", samples.MAGIC_NS, [(samples.T0, 0, samples.eth(1)[14:], 46)],
        link=101)))
    path = t.path("o.pcap")
    done = node.pb_run("query", "-w", path, "--format", "pcap")
    equal(done.returncode, 2, "status")
    for word in (b"EN10MB (1)", b"RAW (101)", b"--stream", b"pcapng"):
        check(word in done.stderr, word, "is not in", done.stderr)
    equal(parts(t, "o*"), [], "files")
    node.pb("query", "-w", path, "--format", "pcap", "--split", "stream")
    equal(len(parts(t, "o_*")), 3, "files by stream")


def what_makes_no_sense_is_wrong_usage(t):
    node = store(t)
    path = t.path("o.pcapng")
    for args in (["--format", "pcap"], ["--split", "1m"],
                 ["-w", "-", "--split", "1m"], ["-w", path, "--split", "0"],
                 ["-w", path, "--split", "often"], ["-w", ""],
                 ["-w", "", "--split", "1m"],
                 ["-w", path, "--format", "erf"],
                 ["-w", path, "--format", "pcap", "--comments"],
                 ["-w", os.path.join(node.store, "o"), "--split", "1m"],
                 ["-w", t.dir, "--split", "1m"]):
        done = node.pb_run("query", *args)
        equal(done.returncode, 2, "pb query %s (%r)" % (args, done.stderr))
        check(done.stderr.strip(), args, "says nothing")
    equal(parts(t, "o*"), [], "files")
    node.pb("query", "-w", path, "--split", "1m", "--after", "-1m")
    equal(parts(t, "o*"), [], "files without packets")


def a_split_goes_on_while_packets_come(t):
    node = t.node("n1")
    node.start_recorder()
    child = t.spawn([os.path.join(BUILD, "pb"), "-c", node.conf, "query",
                     "--follow", "--split", "1m", "-w",
                     t.path("live.pcapng.gz")])
    for n in range(3):
        node.pb("import", "--interface", "i%d" % n, t.write(
            "a.pcap", samples.pcap("<", samples.MAGIC_NS, [
                (samples.T0 + 60 * n, i, samples.eth(i), 60)
                for i in range(50)])))
        wait_until(lambda: len(glob.glob(t.path("live_*"))) == n,
                   "%d files" % n)
    # The last one has no name before the query ends.
    wait_until(lambda: len(glob.glob(t.path(".live_00003*"))) == 1,
               "the third file")
    child.send_signal(signal.SIGINT)
    equal(child.wait(10 * SLACK), 0, "status")
    files = parts(t, "live_*")
    counts = [len(packets(gzip.decompress(read(p)))) for p in files]
    equal(counts[:2], [50, 50], "packets of the first two")
    check(len(counts) == 3 and 0 < counts[2] <= 50, "packets", counts)


if __name__ == "__main__":
    main("265", each_form_is_read_and_has_the_same_packets,
         extents_as_a_whole_are_what_single_packets_are,
         files_of_a_size_are_as_full_as_can_be,
         files_of_a_time_begin_when_it_does,
         files_of_streams_have_their_names,
         where_one_fails_those_before_stay,
         two_link_types_are_no_pcap_and_both_are_named,
         what_makes_no_sense_is_wrong_usage,
         a_split_goes_on_while_packets_come, seconds=120)
