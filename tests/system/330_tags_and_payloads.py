"""`--inner` and `--payload`: what tags hide, what packets carry."""

import glob
import itertools
import re
import struct

from harness import *
import samples

MACS = bytes.fromhex("020000000002" "020000000001")
HOSTS = [bytes([10, 0, 0, n]) for n in (1, 2, 3)]
FAR = [bytes.fromhex("20010db8" + "00" * 11 + "0%d" % n) for n in (1, 2)]
CAPTURES_WITH_TAGS = ("arkime/tests/pcap/twovlan.pcap",
                      "arkime/tests/pcap/dot1ad.pcap",
                      "arkime/tests/pcap/mpls-basic.pcap",
                      "arkime/tests/pcap/pppoe.pcap",
                      "libpcap/tests/filter/pppoes.pcap",
                      "libpcap/tests/filter/pppoe.pcap")
FILTERS = ("host 10.0.0.1", "src host 10.0.0.2 and dst port 80", "udp",
           "tcp[tcpflags] & tcp-syn != 0", "net 10.0.0.2/31", "ip6",
           "ip6 host 2001:db8::1", "port 443 or port 53", "icmp", "arp",
           "not ip", "ip[8] = 64 and not tcp", "portrange 1000-2000",
           "src net 2001:db8::/32 and tcp", "ip proto 47", "ether[12:2] = 8")
# What tcpdump has to be asked to see what is behind tags.
TAGS = ("vlan", "mpls", "pppoes")


def ipv4(n, protocol, body):
    return 0x0800, struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), n, 0, 64, protocol, 0,
        HOSTS[n % 3], HOSTS[(n + 1) % 3]) + body


def ipv6(n, protocol, body):
    return 0x86DD, struct.pack(
        ">IHBB16s16s", 6 << 28, len(body), protocol, 64, FAR[n % 2],
        FAR[(n + 1) % 2]) + body


def tcp(n, carried):
    return struct.pack(">HHIIBBHHH", 1000 + 300 * n, (80, 443)[n % 2], n, 0,
                       0x50, (2, 16, 24)[n % 3], 512, 0, 0) + carried


def udp(n, carried):
    return struct.pack(">HHHH", 2000 + n, 53, 8 + len(carried), 0) + carried


def vlan(kind, typed):
    return kind, struct.pack(">HH", 7, typed[0]) + typed[1]


def labels(count, typed):
    return 0x8847, b"".join(
        struct.pack(">I", (16 + n) << 12 | (n + 1 == count) << 8 | 64)
        for n in range(count)) + typed[1]


def session(typed):
    ppp = {0x0800: 0x21, 0x86DD: 0x57, 0x8847: 0x281}[typed[0]]
    return 0x8864, struct.pack(">BBHHH", 0x11, 0, 9, 2 + len(typed[1]),
                               ppp) + typed[1]


def frame(typed):
    return (MACS + struct.pack(">H", typed[0]) + typed[1]).ljust(60, b"\0")


WAYS = (lambda p: p, lambda p: vlan(0x8100, p),
        lambda p: vlan(0x88A8, vlan(0x8100, p)), lambda p: labels(1, p),
        lambda p: labels(2, p), session,
        lambda p: vlan(0x8100, labels(1, p)),
        lambda p: vlan(0x8100, vlan(0x8100, session(p))),
        lambda p: vlan(0x8100, session(labels(1, p))))


def made():
    """Packets of each kind behind each kind of tags; some are cut."""
    out = []
    for n, way in itertools.product(range(6), WAYS):
        say = b"GET /%d\r\nhost: x" % n + bytes(400)
        for packet in (ipv4(n, 6, tcp(n, say)), ipv4(n, 17, udp(n, say)),
                       ipv6(n, 6, tcp(n, say)), ipv6(n, 17, udp(n, say)),
                       ipv4(n, 1, b"\x08\0\0\0" + say), ipv4(n, 47, say)):
            out.append(frame(way(packet)))
    arp = 0x0806, struct.pack(">HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, MACS[6:],
                              HOSTS[0], MACS[:6], HOSTS[1])
    out += [frame(arp), frame(vlan(0x8100, arp))]
    return [(data, len(data)) for data in out] + [
        (data[:18 + n % 40], len(data)) for n, data in enumerate(out)]


def of_captures():
    for name in CAPTURES_WITH_TAGS:
        with open(os.path.join(CAPTURES, name), "rb") as f:
            data = f.read()
        at = 24
        while at + 16 <= len(data):
            _, _, caplen, size = struct.unpack_from("<IIII", data, at)
            yield data[at + 16:at + 16 + caplen], size
            at += 16 + caplen


def store(t, packets):
    """A node with the packets, the n-th n microseconds after T0, and their
    file."""
    node = t.node("n1")
    path = t.write("a.pcap", samples.pcap("<", samples.MAGIC_US, [
        (samples.T0, n, data, size)
        for n, (data, size) in enumerate(packets)]))
    node.pb("import", path)
    node.pb("reindex")
    return node, path


def found(node, *args):
    """Which packets `pb query` finds; the n-th is n."""
    return {p.time_ns // 1000 - samples.T0 * 10**6
            for p in node.query(*args).packets}


def tcpdump(path, text):
    """Which ones tcpdump finds; none where it knows no such filter."""
    done = run(["tcpdump", "-n", "-tt", "-r", path, text])
    check(done.returncode == 0 or b"support" in done.stderr or
          b"no VLAN match after" in done.stderr, text, done.stderr)
    return {int(n) for n in re.findall(rb"^%d\.(\d{6}) " % samples.T0,
                                       done.stdout, re.M)}


def behind_tags(path, text):
    """What tcpdump finds if it is asked behind each row of tags."""
    out = tcpdump(path, text)
    for depth in (1, 2, 3, 4):
        for row in itertools.product(TAGS, repeat=depth):
            tags = " and ".join(row)
            # What has not these tags need not be asked again.
            if row[:-1] and not _some(path, row[:-1]):
                continue
            out |= tcpdump(path, "%s and (%s)" % (tags, text))
    return out


def _some(path, row, known={}):
    if (path, row) not in known:
        known[path, row] = tcpdump(path, " and ".join(row))
    return known[path, row]


def inner_is_what_tcpdump_finds_behind_each_row_of_tags(t):
    need("tcpdump")
    node, path = store(t, made())
    hidden = 0
    told = node.pb_run("query", "--inner", "--count", "--explain",
                       "tcp port 80").stderr
    check(int(re.search(rb"(\d+) tables", told)[1]) > 0 and
          int(re.search(rb"(\d+) counted", told)[1]) > 0, "the index said "
          "nothing of packets with tags:", told)
    for text in FILTERS:
        wanted = behind_tags(path, text)
        equal(found(node, "--inner", text), wanted, "--inner " + text)
        equal(int(node.pb("query", "--inner", "--count", text)), len(wanted),
              "--inner --count " + text)
        equal(found(node, "--inner", "--no-index", text), wanted,
              "--inner --no-index " + text)
        outside = tcpdump(path, text)
        equal(found(node, text), outside, text)
        hidden += len(wanted - outside)
    check(hidden > 1000, "only", hidden, "were hidden by tags")


def in_captures_with_tags_likewise(t):
    need("tcpdump")
    need_captures()
    node, path = store(t, list(of_captures()))
    for text in ("tcp", "udp or icmp", "net 192.168.0.0/16", "ip6", "not arp",
                 "port 80", "net 10.0.0.0/8 and not port 53"):
        wanted = behind_tags(path, text)
        equal(found(node, "--inner", text), wanted, "--inner " + text)


def flows_behind_tags_are_those_of_what_the_query_finds(t):
    node, _ = store(t, made())
    with_tables = {}
    for text in FILTERS:
        rows = with_tables[text] = node.rows("flows", "--inner", text)
        packets = node.rows("query", "--inner", text)
        equal(sum(r["packets"] for r in rows), len(packets),
              "packets of " + text)
        equal(sum(r["bytes"] for r in rows), sum(p["len"] for p in packets),
              "bytes of " + text)
    inside = with_tables["host 10.0.0.1"]
    outside = node.rows("flows", "host 10.0.0.1")
    check(sum(r["packets"] for r in inside) >
          2 * sum(r["packets"] for r in outside), "tags hid few of them")
    tables = glob.glob(os.path.join(node.store, "segments", "*", "*", "*",
                                    "*.flows"))
    check(tables, "there are no flow tables")
    for path in tables:
        os.unlink(path)
    for text in FILTERS:
        equal(sorted(map(repr, node.rows("flows", "--inner", text))),
              sorted(map(repr, with_tables[text])), "without tables: " + text)


def what_packets_carry_is_searched(t):
    frames = made()
    node, _ = store(t, frames)
    say = re.compile(rb"GET /[35]\r\nhost")
    wanted = {n for n, (data, _) in enumerate(frames) if say.search(data)}
    check(len(wanted) > 100, "only", len(wanted), "say it")
    equal(found(node, "--payload", r"GET /[35]..host"), wanted, "a dot")
    equal(found(node, "--payload", r"(?i)get /[35]\r\nHOST"), wanted,
          "any case")
    equal(found(node, "--payload", r"(?-s)GET /[35]..host"), set(),
          "a dot that is no newline")
    equal(int(node.pb("query", "--count", "--payload", "GET /[35]")),
          len({n for n, (data, _) in enumerate(frames)
               if re.search(rb"GET /[35]", data)}), "--count")
    # Behind the headers, whatever tags are in front.
    tcp_or_udp = found(node, "--inner", "tcp or udp")
    equal(found(node, "--payload", r"^GET /[35]\r\nhost", "--inner",
                "tcp or udp"), wanted & tcp_or_udp, "at the beginning")
    equal(found(node, "--payload", r"GET /[35]\r\nhost", "tcp"),
          wanted & found(node, "tcp"), "over what the filter left")
    equal(found(node, "--payload", r"^$", "tcp") & wanted, set(), "nothing")


def a_bad_expression_is_status_2(t):
    node, _ = store(t, made()[:1])
    for bad, says in (("a(b", b"Missing close parenthesis for group started "
                       b"at index 1"), (r"(a)\1", b"Back-references")):
        done = node.pb_run("query", "--payload", bad)
        equal(done.returncode, 2, "status")
        check(says in done.stderr, "it says", done.stderr)
        equal(done.stdout, b"", "output")


if __name__ == "__main__":
    main("330", inner_is_what_tcpdump_finds_behind_each_row_of_tags,
         in_captures_with_tags_likewise,
         flows_behind_tags_are_those_of_what_the_query_finds,
         what_packets_carry_is_searched,
         a_bad_expression_is_status_2, seconds=300)
