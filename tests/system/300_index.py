"""What the index leaves out of a search is never what it looks for.

Each filter is asked with and without the index, of a store whose flow tables
are whole, missing, cut, rotten, or there for some segments alone; the answers
are the same bytes.
"""

import glob
import json
import os
import random
import re
import socket
import struct

from harness import *
import pngread
import samples

FILTERS = """

tcp
udp port 53
host 192.168.0.1
src net 10.0.0.0/8 or dst net 10.0.0.0/8
not ip
ip6
tcp[tcpflags] & tcp-syn != 0
tcp[tcpflags] & (tcp-rst|tcp-fin) != 0 and not port 80
icmp or icmp6 or arp
portrange 1-1023
vlan
greater 1000
less 64
ether broadcast or ether multicast
ip[8] < 64
udp and not port 53
port 4711 and host 203.0.113.99
ip and ip[6:2] & 0x1fff != 0
""".split("\n")[1:-1]


def captures():
    found = glob.glob(os.path.join(CAPTURES, "arkime", "**", "*.pcap*"),
                      recursive=True)
    return sorted(found)


def generated(t):
    """Some thousand conversations, so that a segment has many flows."""
    rnd = random.Random(7)
    packets = []
    for n in range(20000):
        a, b = rnd.randrange(1, 200), rnd.randrange(1, 200)
        packets.append((samples.T0 + n // 100, n % 100 * 10_000_000,
                        packet(rnd, a, b), 0))
    return t.write("mix.pcap", samples.pcap(
        "<", samples.MAGIC_NS,
        [(s, ns, data, len(data)) for s, ns, data, _ in packets]))


def packet(rnd, a, b):
    """TCP or UDP over IPv4 over Ethernet, some of it in a VLAN."""
    mac = bytes([2, 0, 0, 0, 0, b, 2, 0, 0, 0, 0, a])
    tag = b"\x81\0\0\x07" if a % 10 == 0 else b""
    payload = rnd.randbytes(rnd.randrange(4, 200))
    sport, dport = 1024 + a * 7, rnd.choice((53, 80, 443, 4711))
    if dport == 53:
        proto, l4 = 17, (sport.to_bytes(2, "big") + dport.to_bytes(2, "big") +
                         (8 + len(payload)).to_bytes(2, "big") + b"\0\0")
    else:
        proto, l4 = 6, (sport.to_bytes(2, "big") + dport.to_bytes(2, "big") +
                        rnd.randbytes(8) + bytes([0x50, rnd.choice(
                            (2, 16, 16, 16, 24, 24, 17, 4))]) + b"\1\0\0\0\0\0")
    ip = (bytes([0x45, 0]) + (20 + len(l4) + len(payload)).to_bytes(2, "big")
          + rnd.randbytes(2) + b"\0\0" + bytes([rnd.choice((63, 64, 128)),
                                                proto]) + b"\0\0"
          + bytes([10, 0, 0, a]) + bytes([192, 168, 0, b]))
    return mac + tag + b"\x08\0" + ip + l4 + payload


def store(t):
    node = t.node("n1", store=("segment_size = 1MiB",))
    node.pb("import", "--node", "mix", generated(t), seconds=120)
    for i, path in enumerate(captures()[:20] if os.path.isdir(CAPTURES)
                             else []):
        node.pb_run("import", "--node", "c%d" % i, path)
    node.pb("reindex", seconds=120)     # whatever made it has tables now
    return node


def tables(node):
    return sorted(glob.glob(os.path.join(node.store, "segments", "*", "*",
                                         "*", "*.flows")))


def same(node, what, filters=FILTERS, *more):
    """With the index and without: lines, number, file, backwards."""
    for f in filters:
        args = [*more, *f.split()]
        plain = node.pb("query", "--no-index", *args)
        name = "%s: '%s'" % (what, f)
        equal(node.pb("query", *args), plain, name)
        equal(int(node.pb("query", "--count", *args)),
              plain.count(b"\n"), name + " --count")
        equal(node.pb("query", "-w", "-", *args),
              node.pb("query", "--no-index", "-w", "-", *args), name + " -w")


def with_runs_left_out(t):
    """The same of two streams of which most packets, or every second one,
    were filtered on the way."""
    node = t.node("n1", listen=True, store=("segment_size = 4MiB",))
    node.start_recorder()
    seed = int(os.environ.get("PB_SEED", random.randrange(1 << 32)))
    rnd = random.Random(seed)
    print("PB_SEED=%d" % seed)
    packets = pngread.read(generated(t)).packets
    for name, longest in (("few", 400), ("half", 1)):
        post(node, rnd, name, packets, longest)
    node.stop()
    return node


def post(node, rnd, name, packets, longest):
    """Up to `longest` are left out in front of half of them."""
    head = samples.shb("<") + samples.idb("<", 1, (9, b"\x09"))
    seq, at = 0, 0
    while at < len(packets):
        body = head
        for p in packets[at:at + 3000]:
            if rnd.random() < 0.5:
                left = rnd.randint(1, longest)
                body += samples.filtered("<", seq + 1, seq + left, p.time_ns)
                seq += left
            seq += 1
            body += samples.epb("<", 0, p.time_ns, p.data,
                                (5, struct.pack("<Q", seq)))
        at += 3000
        status, _, answer = node.http(
            "POST", "/v1/streams/%s/eth0/0123456789abcdef/packets" % name,
            body)
        equal(status, 200, "it takes them: %s" % answer)


def explained(node, *args):
    done = node.pb_run("query", "--explain", "--json", "--count", *args)
    return json.loads(done.stderr.splitlines()[-1])


def the_index_finds_what_a_look_at_each_packet_finds(t):
    node = store(t)
    check(len(tables(node)) >= 2, "there are no flow tables")
    same(node, "whole")
    same(node, "numbers", ["udp port 53", "tcp"], "--seq", "777-15000")
    same(node, "times", ["udp port 53", "tcp", ""], "--after",
         str(samples.T0 + 50), "--before", str(samples.T0 + 150))


def numbers_that_were_left_out_have_tables_around_them(t):
    node = with_runs_left_out(t)
    check(len(tables(node)) >= 2, "there are no flow tables")
    some = ["udp port 53", "", "vlan and host 192.168.0.7", "ip[8] < 64"]
    last = max(r["last_seq"] for r in node.rows("streams"))
    for made in ("by the writer", "again"):
        same(node, made, some)
        same(node, made + ", numbers", some[:1], "--seq", "%d-%d" % (
            last // 9, last // 2))
        same(node, made + ", times", some[:2], "--after",
             str(samples.T0 + 50), "--before", str(samples.T0 + 150))
        for f in some:
            lines = node.pb("query", "--stream", "few/*", *f.split())
            back = node.pb("query", "--reverse", "--stream", "few/*",
                           *f.split())
            equal(back.splitlines(), lines.splitlines()[::-1],
                  "%s, reverse of '%s'" % (made, f))
            equal(sum(r["packets"] for r in node.rows("flows", *f.split())),
                  int(node.pb("query", "--count", *f.split())), "flows")
        node.pb("verify")
        node.pb("reindex", seconds=120)
    done = explained(node, "host 203.0.113.99")
    equal((done["packets_asked"], done["packet_bytes"]), (0, 0), "asked")
    said = node.pb_run("query", "--explain", "--json", "src host 10.0.0.5 "
                       "and dst net 192.168.0.0/28")
    equal(said.returncode, 0, "status, and %s" % said.stderr[-300:])
    done = json.loads(said.stderr.splitlines()[-1])
    equal(done["blocks_damaged"], 0, "damaged")
    check(0 < done["packet_bytes"] < 200000, "not all is read", done)


def what_cannot_be_there_is_not_read(t):
    node = store(t)
    done = explained(node, "host", "203.0.113.99", "and", "port", "4711")
    equal(done["packets_asked"], 0, "packets asked")
    equal(done["packet_bytes"], 0, "bytes of packets")
    check(done["blocks"] > 0, "no index block was met", done)
    done = explained(node, "tcp")
    equal(done["packets_asked"] + done["packets_counted"] >=
          int(node.pb("query", "--count", "tcp")), True, "counted")
    for f in FILTERS:
        said = node.pb_run("query", "--explain", "--json", *f.split()).stderr
        done = json.loads(said.splitlines()[-1])
        equal(done["blocks_damaged"], 0, "damaged, of '%s'" % f)
    # What was read ahead, or again, is not found.
    for args in ((), ("--reverse",), ("--count",)):
        said = node.pb_run("query", "--explain", "--json", "--limit", "3",
                           *args, "udp").stderr
        equal(json.loads(said.splitlines()[-1])["packets_found"], 3,
              "found, with " + " ".join(args))
    words = node.pb_run("query", "--explain", "--count", "tcp").stderr
    check(re.search(rb"index blocks: \d+", words), "in words", words)
    check(b"not used" in node.pb_run("query", "--explain", "--no-index",
                                     "--count", "tcp").stderr, "no index")


def backwards_it_is_the_same_list_from_its_end(t):
    node = store(t)
    for args in (["udp", "port", "53"], [], ["--seq", "100-9000", "tcp"]):
        lines = node.pb("query", *args, "--stream", "mix/*").splitlines()
        for how in ([], ["--no-index"]):
            back = node.pb("query", "--reverse", *how, *args, "--stream",
                           "mix/*").splitlines()
            equal(back, lines[::-1], "reverse of %s %s" % (args, how))
    equal(node.pb("query", "--reverse", "--limit", "3", "--stream",
                  "mix/*").splitlines(), lines[::-1][:3] if not args else
          node.pb("query", "--stream", "mix/*").splitlines()[::-1][:3],
          "the last three")


def the_first_lines_wait_for_no_others(t):
    # Each write is a message of its own.
    node = store(t)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = t.spawn([os.path.join(BUILD, "pb"), "-c", node.conf, "query",
                     "--limit", "200", "udp"], stdout=theirs)
    theirs.close()
    for i in range(64):
        equal(ours.recv(1 << 20).count(b"\n"), 1, "lines, write %d" % i)
    rest = 0
    while got := ours.recv(1 << 20):
        rest += got.count(b"\n")
    equal(rest, 200 - 64, "lines behind them")
    equal(child.wait(10 * SLACK), 0, "status")


def tables_that_are_damaged_cost_nothing_but_time(t):
    node = store(t)
    rnd = random.Random(11)
    some = ["udp port 53", "tcp[tcpflags] & tcp-syn != 0", "vlan", "not ip"]
    for path in tables(node)[::2]:
        os.unlink(path)
    same(node, "every other one missing", some)
    for path in tables(node)[::2]:
        os.truncate(path, os.path.getsize(path) // 2)
    same(node, "some cut", some)
    for path in tables(node):
        with open(path, "r+b") as f:
            data = bytearray(f.read())
            for _ in range(1 + len(data) // 5000):
                data[rnd.randrange(len(data))] ^= 1 << rnd.randrange(8)
            f.seek(0)
            f.write(data)
    same(node, "flipped", some)
    for path in tables(node):
        with open(path, "wb") as f:
            f.write(rnd.randbytes(100000))
    same(node, "noise", some)
    for path in tables(node):
        os.unlink(path)
        os.mkfifo(path)
    same(node, "no files", some)


def flows_come_to_what_the_packets_are(t):
    node = store(t)
    for args in ([], ["tcp"], ["udp", "port", "53"], ["vlan"],
                 ["--after", str(samples.T0 + 50), "--before",
                  str(samples.T0 + 151)]):
        rows = node.rows("flows", *args)
        packets = node.rows("query", *args)
        equal(sum(r["packets"] for r in rows), len(packets),
              "packets of %s" % args)
        equal(sum(r["bytes"] for r in rows), sum(p["len"] for p in packets),
              "bytes of %s" % args)
        directed = node.rows("flows", "--directed", *args)
        equal(sum(r["packets"] for r in directed), len(packets), "directed")
        equal(sum(r["packets_back"] for r in directed), 0, "directed, back")
        check(len(directed) >= len(rows), "fewer with a row a direction")
        equal([r["bytes"] for r in rows],
              sorted((r["bytes"] for r in rows), reverse=True), "order")
    for text, open_ in (("tcp", False), ("len > 100", True)):
        equal(b"packets were looked at one by one" in node.pb_run(
            "flows", "--stream", "mix/*", text).stderr, open_, text)
    whole = node.rows("flows", "--stream", "mix/*")
    for path in tables(node):
        os.unlink(path)
    equal(sorted(map(repr, node.rows("flows", "--stream", "mix/*"))),
          sorted(map(repr, whole)), "flows without tables")


def flows_can_be_ordered_and_cut(t):
    node = store(t)
    rows = node.rows("flows", "--by", "packets", "--top", "5")
    equal(len(rows), 5, "--top")
    equal([r["packets"] for r in rows],
          sorted((r["packets"] for r in rows), reverse=True), "by packets")
    rows = node.rows("flows", "--by", "time", "--stream", "mix/*")
    equal([r["last_time"] for r in rows],
          sorted((r["last_time"] for r in rows), reverse=True), "by time")
    lines = node.pb("flows", "--csv", "--stream", "mix/*").decode()
    lines = lines.splitlines()
    equal(lines[0].split(",")[:5], ["node", "interface", "epoch", "protocol",
                                    "source"], "names")
    equal(len(lines) - 1, len(rows), "rows of csv")
    check("10.0.0." in node.pb("flows").decode(), "for people")
    for wrong in (["--by", "size"], ["--top", "0"], ["--json", "--csv"]):
        equal(node.pb_run("flows", *wrong).returncode, 2, wrong)


def beside_a_recorder_it_is_behind_all_others(t):
    node = t.node("n1")
    node.start_recorder()
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    for more in (0, 15):
        child = t.spawn(["nice", "-n", str(more),
                         os.path.join(BUILD, "pb"), "-c", node.conf, "query",
                         "--follow"], stdout=subprocess.DEVNULL)
        wait_until(lambda: b"idle" in must(["ionice", "-p", str(child.pid)]),
                   "it to be idle at the disk")
        equal(os.getpriority(os.PRIO_PROCESS, child.pid),
              max(10, min(19, ours + more)), "nice, begun with %d" % more)
        child.send_signal(signal.SIGINT)
        child.wait(10 * SLACK)


if __name__ == "__main__":
    main("300", the_index_finds_what_a_look_at_each_packet_finds,
         numbers_that_were_left_out_have_tables_around_them,
         what_cannot_be_there_is_not_read,
         backwards_it_is_the_same_list_from_its_end,
         the_first_lines_wait_for_no_others,
         tables_that_are_damaged_cost_nothing_but_time,
         flows_come_to_what_the_packets_are, flows_can_be_ordered_and_cut,
         beside_a_recorder_it_is_behind_all_others, seconds=300)
