"""A search of a store, beside `tcpdump -r` of the same packets.

The packets are made by mixed.c and imported; tcpdump reads the file that was
imported.  Each has what it reads in the page cache, and the other's is out of
it: both are more than many machines have room for.  The store grows from level to level, and with it the list of files that
tcpdump reads, so that what a search costs is seen against how much there is
that it need not touch.
"""

import threading

import steno
from kit import *

GB = 1_000_000_000
LEVELS = {"full": (1, 3, 10), "quick": (1,), "smoke": (0.01,)}  # GB
SIZE_FULL, SIZE_QUICK = GB, GB // 3         # where only shares are told
SOURCE_FULL, SOURCE_QUICK = 3 * GB, GB // 5  # copied until it is so large:
LARGE_FULL, LARGE_QUICK = 1000 * GB, 20 * GB
NOTHING_S_MAX = 0.5
BEGIN = 1_700_000_000
SECONDS_MAX = 600
SPREAD, BURST = "host 198.51.100.7", "host 198.51.100.9"    # see mixed.c
FLAGS = "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0"
NOTHING = "host 192.0.2.77"
AMONG = "host 203.12.34.56"     # which is none of the servers there
# What is asked, how, and how many times as fast as tcpdump it is to be.
QUESTIONS = (
    ("spread", "-w", SPREAD, 300),
    ("burst", "-w", BURST, 300),
    ("flags", "-w", FLAGS, 5),
    ("DNS", "-w", "udp port 53", None),
    ("net", "--count", "net 203.7.0.0/16 and tcp", None),
    ("nothing", "--count", NOTHING, 1000),
    ("all", "--count", "greater 40", 1),
    ("everything", "--count", "", None),
)
FIRST_S_MAX = 0.020
SHARE_MAX = {"mixed": 0.01, "small": 0.04}
BUILD_NS_MAX = 60
TCPDUMP, STENO = "tcpdump -r", "stenographer"


def mixed(path, size, seed, second, kind="mixed"):
    """(packets, the second behind the last)"""
    said = must([os.path.join(BUILD, "tests", "bench", "mixed"), path,
                 str(int(size)), str(seed), str(second), kind],
                seconds=SECONDS_MAX)
    return tuple(int(n) for n in said.split())


def took(argv):
    """Seconds until it has ended well, with nobody reading."""
    start = time.monotonic()
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    # wait() with a timeout looks again after up to 50 ms.
    late = threading.Timer(SECONDS_MAX, child.kill)
    late.start()
    status = child.wait()
    end = time.monotonic()
    late.cancel()
    equal(status, 0, "status of " + argv[0])
    return end - start


class Packets:
    """Some files of packets, and a store that has all of them."""

    def __init__(self, row, name="search", store=(), kind="mixed"):
        need("tcpdump")
        self.row, self.kind = row, kind
        self.node = row.t.node(name, store=store)
        self.list = row.t.path(name + ".list")
        self.files, self.packets, self.bytes = [], 0, 0
        self.second = BEGIN

    def grow(self, size):
        """To `size` bytes of files, by one; the CPU seconds of its import."""
        path = self.row.t.path("%s.%d.pcap" % (self.node.name,
                                               len(self.files)))
        say(self.row.name, "makes %.2f GB" % (size / GB))
        count, self.second = mixed(path, size - self.bytes, len(self.files),
                                   self.second, self.kind)
        self.files.append(path)
        self.packets += count
        self.bytes += os.path.getsize(path)
        with open(self.list, "a") as f:
            f.write(path + "\n")
        _, cpu = timed(self.pb("import", "--interface", "i", path))
        return cpu, count

    def pb(self, *args):
        return [os.path.join(BUILD, "pb"), "-c", self.node.conf, *args]

    def ours(self, how, text):
        return self.pb("query", *(("-w", "-") if how == "-w" else (how,)),
                       text)

    def peer(self, how, text):
        # It is no other user when it comes to the second file.
        return ["tcpdump", "-n", "-Z", "root", "-V", self.list,
                *(("-w", "-") if how == "-w" else (how,)), text]

    def store_files(self):
        return [os.path.join(where, n)
                for where, _, names in os.walk(self.node.store)
                for n in names]

    def index_bytes(self):
        """All that is there beside the packets."""
        return sum(os.stat(f).st_blocks * 512 for f in self.store_files()
                   if not f.endswith(".pcapng"))


def counted(argv):
    return int(must(argv, seconds=SECONDS_MAX).split()[0])


def alike(packets, text):
    """Both find as many."""
    equal(counted(packets.ours("--count", text)),
          counted(packets.peer("--count", text)), "packets of " + repr(text))


def first_packet(packets, text):
    """Seconds until the first line is there."""
    start = time.monotonic()
    child = packets.row.t.spawn(packets.pb("query", text),
                                stdout=subprocess.PIPE)
    line = child.stdout.readline()
    end = time.monotonic()
    child.stdout.close()
    child.wait(SECONDS_MAX)
    check(line, "no packet of", text)
    return end - start


def only(files, others):
    """`files` are in the page cache, `others` are not."""
    for path in others:
        with open(path, "rb") as f:
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    for path in files:
        with open(path, "rb", buffering=0) as f:
            while f.read(MIB):
                pass


def level_name(size):
    return "%g GB" % (size / GB)


def ask(row, packets, size):
    """All questions, in turn with tcpdump."""
    level = level_name(size)
    if not os.environ.get("PB_ALONE"):
        for _, _, text, _ in QUESTIONS:
            alike(packets, text)
    store, files = packets.store_files(), packets.files
    for _ in row.rounds():
        for subject, argv, mine, others in row.turns((
                (OURS, packets.ours, store, files),
                (TCPDUMP, packets.peer, files, store))):
            only(mine, others)
            took(argv(*QUESTIONS[0][1:3]))      # the program, too
            for name, how, text, _ in QUESTIONS:
                row.note("%s, %s" % (subject, level), name + " s",
                         took(argv(how, text)))
            if subject == OURS:
                row.note("%s, %s" % (OURS, level), "first packet s",
                         first_packet(packets, SPREAD))


def measure(row):
    packets = Packets(row)
    sizes = [gb * GB for gb in LEVELS[row.mode]]
    for size in sizes:
        packets.grow(size)
        quiet()
        ask(row, packets, size)
        row.note("%s, %s" % (OURS, level_name(size)),
                 "index, % of the data",
                 100 * packets.index_bytes() / packets.bytes)
        if size == sizes[0]:
            beside_steno(row, packets, size)
    row.scope = "{:.2f} GB, {:,} packets".format(packets.bytes / GB,
                                                 packets.packets)
    for name, _, text, least in QUESTIONS:
        compare(row, name, text, least, level_name(sizes[-1]))
    row.goal("s until the first packet of '%s' (at most 0.02)" % SPREAD,
             row.median("%s, %s" % (OURS, level_name(sizes[-1])),
                        "first packet s"), most=FIRST_S_MAX)
    for name in ("nothing", "burst") if len(sizes) > 1 else ():
        small, large = (row.median("%s, %s" % (OURS, level_name(size)),
                                   name + " s") for size in (
                                       sizes[0], sizes[-1]))
        row.tell("time of '%s' with %s, to that with %s" % (
            name, level_name(sizes[-1]), level_name(sizes[0])), large / small)


def compare(row, name, text, least, level):
    ours, theirs = (row.median("%s, %s" % (subject, level), name + " s")
                    for subject in (OURS, TCPDUMP))
    ratio = theirs / ours if theirs else None
    words = "times as fast as %s with %s: %s" % (
        TCPDUMP, level, repr(text) if text else "all, without a filter")
    if least is None:
        row.tell(words, ratio)
    else:
        row.goal("%s (at least %d)" % (words, least), ratio, least=least)


def beside_steno(row, packets, size):
    """What it can be asked as well."""
    if os.environ.get("PB_ALONE"):
        return
    try:
        server = steno.Server(row.t, packets.files[0], packets.packets)
    except (Skip, Failure, subprocess.SubprocessError) as e:
        end_children(row.t)
        row.skip(STENO, str(e))
        return
    level = level_name(size)
    subject = "%s, %s (%.1f %% of the packets)" % (
        STENO, level, 100 * server.kept / packets.packets)
    asked = [(name, text) for name, how, text, _ in QUESTIONS
             if how == "-w" and text != FLAGS and name != "DNS"]
    asked.append(("DNS", "udp and port 53"))
    for _ in row.rounds():
        for name, text in asked:
            row.note(subject, name + " s", took(server.argv(text)))
    server.close()
    for name, text in asked:
        row.goal("times as fast as %s with %s: %r (at least 1)" % (
            STENO, level, text), row.median(subject, name + " s") /
            row.median("%s, %s" % (OURS, level), name + " s"), least=1)


# --- what the index takes, and what it costs -------------------------------

def measure_size(row):
    for kind, most in SHARE_MAX.items():
        packets = Packets(row, kind, kind=kind)
        packets.grow(row.amount(SIZE_FULL, SIZE_QUICK))
        subject = "%s, %.0f bytes a packet" % (
            kind, packets.bytes / packets.packets - 16)
        share = packets.index_bytes() / packets.bytes
        row.note(subject, "index, % of the data", 100 * share)
        row.note(subject, "index, bytes a packet",
                 packets.index_bytes() / packets.packets)
        row.goal("index, %% of the data, %s (at most %g)" % (
            subject, 100 * most), 100 * share, most=100 * most)
        shutil.rmtree(packets.node.store)


def measure_build(row):
    path, on, off = row.t.path("build.pcap"), "with flow tables", "without"
    count, _ = mixed(path, row.amount(SIZE_FULL, SIZE_QUICK), 1, BEGIN)
    row.scope = "{:,} packets".format(count)
    for _ in row.rounds():
        for subject, words in row.turns(((on, "yes"), (off, "no"))):
            node = row.t.node("build", store=["flows = " + words])
            quiet()
            done = run([os.path.join(BUILD, "pb"), "-c", node.conf, "status"])
            if b"flows" in done.stderr:
                row.skip(subject, "no such key: [store] flows")
                return
            _, cpu = timed([os.path.join(BUILD, "pb"), "-c", node.conf,
                            "import", path])
            row.note(subject, "CPU ns/packet", cpu * 1e9 / count)
            shutil.rmtree(node.store)
    row.goal("CPU ns a packet for the index (at most %d)" % BUILD_NS_MAX,
             row.median(on, "CPU ns/packet") - row.median(
                 off, "CPU ns/packet"), most=BUILD_NS_MAX)


# --- a store that is larger than the disk ----------------------------------

def sparse_store(row):
    """A node, and the bytes and packets that its index tells of."""
    packets = Packets(row, "source")
    packets.grow(row.amount(SOURCE_FULL, SOURCE_QUICK))
    copies = max(row.amount(LARGE_FULL, LARGE_QUICK) // packets.bytes, 1)
    node = row.t.node("large")
    say(row.name, "makes %d copies" % copies)
    must([os.path.join(BUILD, "tests", "bench", "sparse"),
          packets.node.store, node.store, str(copies)], seconds=SECONDS_MAX)
    shutil.rmtree(packets.node.store)
    os.unlink(packets.files[0])
    return node, copies * packets.bytes, copies * packets.packets


def measure_large(row):
    node, size, count = sparse_store(row)
    row.scope = "{:.2f} TB, {:,} packets".format(size / 1e12, count)
    argv, among = ([os.path.join(BUILD, "pb"), "-c", node.conf, "query",
                    "--count", text] for text in (NOTHING, AMONG))
    for _ in row.rounds():
        quiet()
        drop_caches()
        row.note(OURS, "s, cold", took(argv))
        row.note(OURS, "s, warm", took(argv))
        row.note(OURS, "s, among the addresses", took(among))
    for text in (argv, among):
        equal(counted(text), 0, "packets that match nothing")
    row.goal("s, cold, for a filter that matches nothing (at most 0.5 with "
             "1 TB)", row.median(OURS, "s, cold"), most=NOTHING_S_MAX)


WHAT = ("Mixed packets (`mixed.c`), imported: `pb query -w -` or `--count` "
        "with a filter, beside `tcpdump -V LIST -w -` or `--count` of the "
        "imported files, warm, nobody reading what comes out; the time until "
        "the first line of `pb query FILTER` is there.")
WHAT_SIZE = ("Mixed packets of 660 bytes and of 100, imported into an empty "
             "store: what the store has beside its segments.")
WHAT_BUILD = ("`pb import` of mixed packets into an empty store, with flow "
              "tables (`[store] flows`) and without: CPU time of all its "
              "threads.")
WHAT_LARGE = ("A store made large by copying the index rows and flow tables "
              "of a real one under other numbers (`sparse.c`; its segments "
              "have no packets): `pb query --count '%s'` with nothing in the "
              "page cache, and again; and `%s`, which lies among the "
              "addresses that are there." % (NOTHING, AMONG))

ROWS = (("search", WHAT, measure),
        ("search-size", WHAT_SIZE, measure_size),
        ("search-build", WHAT_BUILD, measure_build),
        ("search-large", WHAT_LARGE, measure_large))
