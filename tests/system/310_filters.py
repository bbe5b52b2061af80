"""Any tcpdump filter finds what `tcpdump -r` finds, with an index or without.

Public captures and mixes made here are sorted by link type: each sort is a
pcap file for tcpdump and a stream for `pb query`.  A packet's time is its
number in the file, so that answers can be compared packet by packet.  With
PB_FULL=1 all captures are in it, and ten times as many filters are asked;
PB_SEED repeats the filters.
"""

import collections
import concurrent.futures
import os
import struct
import zlib

from harness import *
import filters
import mixes
import pngread
import samples

# How many of the manuals' filters and how many others each sort is asked.
ASKED = {("mix", mixes.ETHERNET): (1000, 130),
         ("captures", mixes.ETHERNET): (60, 130),
         ("mix", mixes.SLL): (30, 20)}
ASKED_ELSE = (12, 8)
ASKED_MIN = 500
FULL = bool(os.environ.get("PB_FULL"))
TIMES = 10 if FULL else 1
PACKETS = 1500                  # of a mix
OF_A_CAPTURE_MAX = 10**6 if FULL else 150
SORT_BYTES_MAX = 64 << 20
LINKTYPES_MAX = 64              # of the captures
FLOOD = 80_000                  # more than an index block has flows
PAD = 2048                      # no load is further
NEITHER_MAX = 300
PACKETS_SAID = re.compile(rb"^(\d+) packets?$", re.M)


class Sort:
    """Packets of one link type: as a file, and as a stream of `node`."""

    def __init__(self, t, node, kind, linktype, packets):
        self.kind, self.linktype, self.packets = kind, linktype, packets
        self.name = "%s%d" % (kind, linktype)
        self.node = node
        self.path = t.write(self.name + ".pcap", as_pcap(linktype, packets))
        self.seed = SEED + zlib.crc32(self.name.encode())
        node.pb("import", "--node", self.name, "--interface", "i", self.path)

    def filters(self):
        """The manuals' and any others, without end."""
        made = filters.Filters(random.Random(self.seed), self.linktype,
                               self.packets)
        manual, others = ASKED.get((self.kind, self.linktype), ASKED_ELSE)
        yield from made.manual()[:manual * TIMES]
        for _ in range(others * TIMES):
            yield made.any()

    def some(self, count):
        """At random, such as this link type has."""
        made = filters.Filters(random.Random(self.seed + 1), self.linktype,
                               self.packets)
        either = made.manual()
        while count:
            text = either.pop() if random.random() < 0.3 and either else \
                made.any()
            if tcpdump_count(self.path, text) is not None and \
                    has_answer(self.path, text):
                count -= 1
                yield text

    def query(self, text, *options):
        done = self.node.pb_run("query", "--stream", self.name + "/*",
                                *options, text)
        if done.returncode == 0:
            return done.stdout
        check(done.returncode == 2 and b"filter" in done.stderr,
              "pb query %r: status %d: %s" % (text, done.returncode,
                                              done.stderr))
        return None

    def count(self, text, *options):
        """None where the filter is refused."""
        said = self.query(text, "--count", *options)
        return None if said is None else int(said)


def as_pcap(linktype, packets):
    return samples.pcap("<", samples.MAGIC_US, [], linktype) + b"".join(
        struct.pack("<IIII", samples.T0 + n // 10**6, n % 10**6, len(data),
                    length) + data
        for n, (data, length) in enumerate(packets))


def tcpdump_count(path, text):
    """None where the filter is refused."""
    done = run(["tcpdump", "-n", "-r", path, "--count", text])
    found = PACKETS_SAID.search(done.stdout)
    return int(found[1]) if done.returncode == 0 and found else None


def tcpdump(path, text):
    return pngread.read(must(["tcpdump", "-n", "-r", path, "-w", "-", text]))


def numbers(capture):
    return {p.time_ns // 1000 - samples.T0 * 10**6 for p in capture.packets}


def found(sort, text):
    """By `pb`; none where it takes none at all, and is refused for it."""
    said = sort.query(text, "-w", "-")
    return set() if said is None else numbers(pngread.read(said))


def small_store(t, name="small"):
    """Of many segments, so of many index blocks."""
    return t.node(name, store=["segment_size = 1MiB"])


def of_mixes(t, linktypes=mixes.LINKTYPES, count=PACKETS):
    node = small_store(t, "mixes")
    return [Sort(t, node, "mix", linktype, mixes.mix(
        random.Random(SEED + linktype), linktype,
        count * (3 if linktype == mixes.ETHERNET else 1)))
        for linktype in linktypes]


def of_captures(t):
    """The public ones; none where there are none."""
    packets, total = {}, collections.Counter()
    for where, _, names in sorted(os.walk(CAPTURES)):
        for name in sorted(names):
            for one in capture_of(os.path.join(where, name)):
                kind = one.interface.linktype
                total[kind] += len(one.data)
                if total[kind] < SORT_BYTES_MAX:
                    packets.setdefault(kind, []).append(
                        (one.data, one.origlen))
    node = small_store(t, "captures")
    return [Sort(t, node, "captures", kind, some)
            for kind, some in sorted(packets.items())[:LINKTYPES_MAX]]


def capture_of(path):
    try:
        return pngread.read(path).packets[:OF_A_CAPTURE_MAX]
    except pngread.Malformed:
        return []


def has_answer(path, text):
    """False where the program that libpcap makes of it reads memory on a way
    that never wrote it: over headers of varying length it does now and then.
    What tcpdump finds then is chance."""
    program = must(["tcpdump", "-n", "-r", path, "-d", text]).decode()
    written = {0: frozenset()}
    for line in program.splitlines():
        at, op, *rest = line.replace("(", "").replace(")", "").split()
        if int(at) not in written:
            continue
        have = written[int(at)]
        cell = rest[0] if rest and rest[0].startswith("M[") else None
        if cell and op in ("ld", "ldx") and cell not in have:
            return False
        if cell and op in ("st", "stx"):
            have |= {cell}
        jumps = [int(word) for way, word in zip(rest, rest[1:])
                 if way in ("jt", "jf")]
        if op == "ja":
            jumps = [int(rest[0])]
        if op != "ret":
            for to in jumps or [int(at) + 1]:
                written[to] = written.get(to, have) & have
    return True


def has_no_index(node):
    return b"--no-index" in node.pb("query", "--help")


def differs(sort, text, no_index):
    """(1 where it was asked, what is wrong or None)"""
    want = tcpdump_count(sort.path, text)
    have = sort.count(text)
    if want is None or have is None:
        return 0, None if want == have else "%s %r: %s, tcpdump %s" % (
            sort.name, text, have, want)
    opposite = "not (%s)" % text
    for asked, have, want in (
            (text, have, want),
            (opposite, sort.count(opposite),
             tcpdump_count(sort.path, opposite))):
        if have != want and has_answer(sort.path, asked):
            return 1, "%s %r: %s, tcpdump %s" % (sort.name, asked, have, want)
        again = sort.count(asked, "--no-index") if no_index else have
        if have != again:
            return 1, "%s %r: %s, with --no-index %s" % (sort.name, asked,
                                                          have, again)
    return 1, None


def ask(sorts):
    """Every filter of every sort; how many were."""
    no_index = has_no_index(sorts[0].node)
    bad, asked = [], 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for count, wrong in pool.map(
                lambda one: differs(*one, no_index),
                [(sort, text) for sort in sorts for text in sort.filters()]):
            asked += count
            if wrong:
                bad.append(wrong)
    check(not bad, "PB_SEED=%d: %d answers differ: %s" % (
        SEED, len(bad), "; ".join(bad[:5])))
    return asked


def filters_find_what_tcpdump_finds_in_mixes(t):
    need("tcpdump")
    sorts = of_mixes(t)
    check(any(name.endswith(".flows") for _, _, names in os.walk(
        sorts[0].node.store) for name in names), "no flow table to ask")
    asked = ask(sorts)
    check(asked >= ASKED_MIN // 2, "only %d filters were asked" % asked)


def filters_find_what_tcpdump_finds_in_captures(t):
    need("tcpdump")
    need_captures()
    asked = ask([sort for sort in of_captures(t)
                 if tcpdump_count(sort.path, "len >= 0") is not None])
    check(asked >= ASKED_MIN // 2, "only %d filters were asked" % asked)


def a_wrong_answer_is_told(t):
    """Were a packet lost on the way, this would know."""
    need("tcpdump")
    sort = of_mixes(t, (mixes.RAW,))[0]
    t.write(sort.name + ".pcap", as_pcap(sort.linktype, sort.packets + [
        sort.packets[0]]))
    try:
        ask([sort])
    except Failure as e:
        check("answers differ" in str(e), e)
        return
    raise Failure("a packet too few was not noticed")


def in_a_flood_filters_find_what_tcpdump_finds(t):
    need("tcpdump")
    draw = random.Random(SEED)
    packets = mixes.flood(draw, FLOOD) + mixes.mix(draw, mixes.ETHERNET,
                                                   PACKETS)
    draw.shuffle(packets)
    ask([Sort(t, t.node("large"), "flood", mixes.ETHERNET, packets)])


def the_packets_found_are_the_same_bytes(t):
    need("tcpdump")
    sorts = of_mixes(t)
    no_index = has_no_index(sorts[0].node)
    for sort in sorts:
        for text in sort.some(6 * TIMES):
            said = sort.query(text, "-w", "-")
            want = [(p.time_ns, p.origlen, p.data)
                    for p in tcpdump(sort.path, text).packets]
            have = [(p.time_ns, p.origlen, p.data)
                    for p in pngread.read(said).packets]
            check(have == want, sort.name, repr(text), "gives other packets:",
                  len(have), "for", len(want))
            if no_index:
                check(sort.query(text, "-w", "-", "--no-index") == said,
                      sort.name, repr(text), "differs from --no-index")


def several_threads_find_what_one_finds(t):
    """A long stream is read by as many as there are processors."""
    processors = os.sched_getaffinity(0)
    if len(processors) < 2:
        skip("there is but one processor")
    draw = random.Random(SEED)
    packets = mixes.flood(draw, FLOOD) + mixes.mix(draw, mixes.ETHERNET,
                                                   9 * PACKETS)
    draw.shuffle(packets)
    sort = Sort(t, small_store(t, "several"), "several", mixes.ETHERNET,
                packets)
    for text in sort.some(20 * TIMES):
        several = sort.query(text, "-w", "-")
        os.sched_setaffinity(0, {min(processors)})
        try:
            one = sort.query(text, "-w", "-")
        finally:
            os.sched_setaffinity(0, processors)
        check(several == one, repr(text), "gives other packets")


def cuts_by_time_and_number_are_exact(t):
    need("tcpdump")
    for sort in of_mixes(t, (mixes.ETHERNET, mixes.SLL2, mixes.RAW)):
        for text in sort.some(15 * TIMES):
            all_there = numbers(tcpdump(sort.path, text))
            low, high = sorted(random.sample(range(len(sort.packets)), 2))
            among = sum(low <= n < high for n in all_there)
            stamps = ["%d.%06d" % (samples.T0, n) for n in (low, high)]
            equal(sort.count(text, "--after", stamps[0], "--before",
                             stamps[1]), among, "%s %r, times %d to %d" % (
                                 sort.name, text, low, high))
            equal(sort.count(text, "--seq", "%d-%d" % (low + 1, high)),
                  among, "%s %r, numbers above %d, to %d" % (
                      sort.name, text, low, high))


def what_a_filter_and_its_opposite_leave_is_too_short(t):
    """The program ends without an answer where it loads behind the end: were
    there zeros, each packet would be in one of the two."""
    need("tcpdump")
    for sort in of_mixes(t, (mixes.ETHERNET, mixes.SLL, mixes.PPP)):
        for text in sort.some(20 * TIMES):
            opposite = "not (%s)" % text
            one, other = (found(sort, x) for x in (text, opposite))
            check(not one & other, sort.name, repr(text),
                  "and its opposite both have", sorted(one & other)[:5])
            left = sorted(set(range(len(sort.packets))) - one - other)
            if not left:
                continue
            padded = t.write("padded.pcap", as_pcap(sort.linktype, [
                (sort.packets[n][0] + bytes(PAD), sort.packets[n][1])
                for n in left[:NEITHER_MAX]]))
            equal((tcpdump_count(padded, text) or 0) + (tcpdump_count(
                padded, opposite) or 0), len(left[:NEITHER_MAX]),
                  "%s: those of %r and of its opposite, made longer" % (
                      sort.name, text))


main("310", filters_find_what_tcpdump_finds_in_mixes,
     filters_find_what_tcpdump_finds_in_captures,
     a_wrong_answer_is_told,
     in_a_flood_filters_find_what_tcpdump_finds,
     the_packets_found_are_the_same_bytes,
     several_threads_find_what_one_finds,
     cuts_by_time_and_number_are_exact,
     what_a_filter_and_its_opposite_leave_is_too_short,
     seconds=550 if FULL else 120)
