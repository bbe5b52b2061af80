"""What must hold, whatever was done.

Sampler asks all recorders, while the run goes on, what they have
acknowledged.  Check reads every file of every store when all is over, with
the tests' own reader, and says each promise that was broken:

  - every file is a whole, sealed pcapng file;
  - a stream's numbers are there once, or lie in a gap with a reason, or
    were deleted because they were acknowledged; dead letters have arrived
    after all, and their gaps are closed;
  - what was acknowledged is there; the acknowledged end never went back;
  - what an edge holds is at each node above it, the same bytes and loss
    counts under the same number, pushed or pulled;
  - what is filtered is what the filter of a link leaves out, and said so;
  - each frame sent is at a node once, whatever its epoch, in its stream in
    order, unless it was counted as a drop, or came while its recorder was
    dead or not yet flushed, or went with a wiped store;
  - an edge that was put back from a copy gives numbers twice.  What it
    captured since it was put back, and what the copy had, is at the node
    above under its number in one of the epochs of its interface; what it had
    captured after the copy is there if it was acknowledged, and else went
    with the disk.  An epoch that the node above alone knows begins with a
    gap, `restored`, of numbers that the others have;
  - retention deletes at edges only, by size, from the lowest number on:
    nothing is as old as its bound, whatever the clocks say;
  - the index says what the files say, and `pb verify` finds nothing.
"""

import contextlib
import json
import math
import os
import socket
import threading
from urllib.parse import quote

from world import *
import pngread
import traffic

SAMPLE_S = 0.3
FACTS_MAX = 20          # said of one run
FILTERED = 7            # an option of ours: docs/format.md
# A count of drops stands in the next packet kept.  So long it may have
# been under way when its recorder was killed.
COUNT_UNDER_WAY_NS = 2 * 10**9


def ask(path, request):
    """GET by a recorder's unix socket; the JSON, or None."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(1.0)
        try:
            s.connect(path)
            s.sendall(b"GET %s HTTP/1.1\r\nHost: n\r\n"
                      b"Connection: close\r\n\r\n" % request.encode())
            answer = b""
            while data := s.recv(65536):
                answer += data
            head, _, body = answer.partition(b"\r\n\r\n")
            return json.loads(body) if head.split()[1] == b"200" else None
        except (OSError, ValueError, IndexError):
            return None


class Sampler:
    """Remembers the highest acknowledged number of each stream at each
    node; a thread a node, so that one that hangs hides no other."""

    def __init__(self, world):
        self.world = world
        self.acked = {name: {} for name in NODES}   # {stream: (number, ns)}
        self.samples = 0
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.watch, args=(name,),
                                         daemon=True) for name in NODES]
        for thread in self.threads:
            thread.start()

    def watch(self, name):
        path = os.path.join(self.world.store(name), "recorder.sock")
        while not self.over.wait(SAMPLE_S):
            for key in self.world.streams_on_disk(name):
                self.sample(name, path, key)

    def sample(self, name, path, key):
        asked_ns = time.time_ns()
        answer = ask(path, "/v1/streams/" + "/".join(
            quote(part, safe="") for part in key))
        if answer is None or "acked" not in answer:
            return
        have, before = answer["acked"], self.told(name, key)
        self.samples += 1
        if have > before:
            self.acked[name][key] = (have, asked_ns)
        elif have < before and not (key in self.world.wiped and
                                    key[0] == name):
            self.world.find("%s: the acknowledged end of %s went back from "
                            "%d to %d" % (name, "/".join(key), before, have))

    def told(self, name, key):
        """The highest end it has acknowledged, since its store was put back
        where it was."""
        number, asked_ns = self.acked[name].get(key, (0, 0))
        gone_ns = max([r.put_back_ns for r in self.world.restored
                       if r.node == name],
                      default=self.world.emptied.get(name, 0))
        return 0 if asked_ns <= gone_ns else number

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        if not self.samples:
            self.world.find("no recorder ever told what it acknowledged")


class Row:
    """A packet at one node."""
    __slots__ = ("frame", "time_ns", "dropped", "running")

    def __init__(self, packet):
        number = traffic.number_of(packet.data)
        if number and packet.data == traffic.frame(number, FRAME):
            self.frame = number
        else:
            self.frame = None
        self.time_ns = packet.time_ns
        self.dropped = packet.dropcount or 0
        hops = pngread.hops(packet)
        self.running = hops[-1][1] if hops else None

    def same(self, other):
        return (self.frame, self.time_ns, self.dropped) == (
            other.frame, other.time_ns, other.dropped)


def ranges(numbers, most=6):
    """`3-7, 9` of sorted numbers, for people."""
    out = []
    for n in numbers:
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    words = ["%d" % a if a == b else "%d-%d" % (a, b) for a, b in out[:most]]
    if len(out) > most:
        words.append("and %d ranges more" % (len(out) - most))
    return ", ".join(words)


class Check:
    def __init__(self, world, sampler, sent):
        self.world, self.sampler, self.sent = world, sampler, sent
        self.lost = self.repeated = 0
        self.unflushed = self.gone = self.dropped = 0
        self.have = {}          # node: {stream: {number: Row}}
        # The same, of numbers that were filtered on the way there.
        self.left = collections.defaultdict(
            lambda: collections.defaultdict(set))

    def run(self):
        for name in NODES:
            self.have[name] = self.read(name)
            self.index(name)
        self.judge()
        self.wireshark()

    def judge(self):
        """Of what has been read."""
        for name in NODES:
            for key in self.have[name]:
                self.numbers(name, key)
            self.acknowledged(name)
            self.running_numbers(name)
        for below, above in LINKS:
            self.arrived(below, above)
            if below in EDGES:
                self.put_back(below, above)
        for name in SENDERS:
            for path in paths(name):
                self.frames(path)
        for (name, interface), at_ns in self.world.imported.items():
            self.import_arrived(name, interface, at_ns)

    def find(self, *words):
        self.world.find(" ".join(str(w) for w in words))

    @property
    def packets(self):
        return sum(len(rows) for rows in self.have.get("core", {}).values())

    # --- one store -------------------------------------------------------

    def read(self, name):
        """Every packet of every file of a stopped store."""
        streams = {}
        for path in self.world.nodes[name].files():
            if not path.endswith(".pcapng"):
                self.find(path, "is not sealed")
            try:
                capture = pngread.read(path)
                me = pngread.identity(capture.sections[0])
            except (pngread.Malformed, ValueError) as e:
                self.find(path, "cannot be read:", e)
                continue
            if me is None or len(capture.sections) != 1:
                self.find(path, "does not say whose it is, in one section")
                continue
            key = (me["nodes"][0][0], me["interface"], "%016x" % me["epoch"])
            self.take(name, key, capture.packets, streams)
            self.take_filtered(name, key, capture)
        return streams

    def take_filtered(self, name, key, capture):
        """The runs of numbers that a filter left out."""
        left = self.left[name][key]
        for interface in capture.interfaces:
            for _, options in interface.statistics:
                run = pngread.own(options, FILTERED)
                if run:
                    first, last, _ = struct.unpack("<QQQ", run)
                    numbers = set(range(first, last + 1))
                    if left & numbers:
                        self.repeated += len(left & numbers)
                        self.find(name, "/".join(key), "says twice what was "
                                  "filtered:", ranges(sorted(left & numbers)))
                    left |= numbers

    def take(self, name, key, packets, streams):
        rows = streams.setdefault(key, {})
        twice, strange = [], []
        for packet in packets:
            if packet.seq in rows:
                twice.append(packet.seq)
            rows[packet.seq] = row = Row(packet)
            if row.frame is None:
                strange.append(packet.seq)
        if twice:
            self.repeated += len(twice)
            self.find(name, "/".join(key), "has twice:", ranges(twice))
        if strange:
            self.find(name, "/".join(key), "has bytes that nobody sent:",
                      ranges(strange))

    def gaps(self, name, key):
        return [g for g in self.gap_rows[name] if not g["closed"] and
                g["reason"] != "filtered" and
                (g["node"], g["interface"], g["epoch"]) == key]

    def numbers(self, name, key):
        """From 1 to the end: each there, filtered, or in a gap with a
        reason."""
        rows, left = self.have[name][key], self.left[name][key]
        missing = set(range(1, max([*rows, *left]) + 1)) - rows.keys() - left
        missing -= self.retention(name, key)
        if both := left & rows.keys():
            self.repeated += len(both)
            self.find(name, "/".join(key), "has what it says was filtered:",
                      ranges(sorted(both)))
        for gap in self.gaps(name, key):
            span = range(gap["first"], gap["last"] + 1)
            here = [n for n in span if n in rows]
            if here:
                self.find(name, "/".join(key), "has packets in a gap:",
                          ranges(here))
            missing.difference_update(span)
            if not self.reason(name, key, gap):
                self.lost += len(span)
                self.find(name, "/".join(key), "has a gap without cause:",
                          "%(first)d-%(last)d %(reason)s" % gap)
        if missing:
            self.lost += len(missing)
            self.find(name, "/".join(key), "misses, and records no gap:",
                      ranges(sorted(missing)))

    def reason(self, name, key, gap):
        """Whether its numbers may be missing at the end.  No fault touches
        what is durable; but an edge may delete what is a dead letter, and
        the dead letters of a store that was wiped or put back went with
        it."""
        if gap["reason"] == "restored":
            return self.branches(name, key, gap)
        if gap["reason"] == "expired":
            return name in self.world.forgot and self.is_above(name, key, gap)
        return gap["reason"] == "dead-lettered" and (
            name in EDGES or key in self.world.wiped or
            self.buried_with_disk(name, key, gap))

    def is_above(self, name, key, gap):
        """What an edge deleted as not acknowledged, for its shipper had
        forgotten that it was, all nodes above have."""
        numbers = set(range(gap["first"], gap["last"] + 1))
        return name in EDGES and all(
            numbers <= self.filtered_numbers(above, key).union(
                *(self.have[above][k] for k in self.family(above, key)))
            for below, above in LINKS if below == name)

    def restores(self, key):
        """Those after which a stream's numbers may have been given twice."""
        return [r for r in self.world.restored if r.node == key[0] and
                any(k[1] == key[1] for k in r.ends)]

    def buried_with_disk(self, name, key, gap):
        """A dead letter of an edge that was put back may have gone with its
        disk; not one of what was captured since then, which lies in the
        epoch that goes on."""
        restores = self.restores(key)
        if not restores:
            return False
        last = restores[-1]
        wiped = any(k[:2] == key[:2] and at > last.put_back_ns
                    for k, at in self.world.wiped.items())
        copied = 0 if wiped else max(end for k, end in last.ends.items()
                                     if k[1] == key[1])
        newest = {k: max((row.time_ns for row in self.have[name][k].values()),
                         default=0) for k in self.family(name, key)}
        return (gap["first"] <= copied or
                newest.get(key, 0) < max(newest.values()))

    def branches(self, name, key, gap):
        """An epoch that no edge's disk ever had, of an edge that was put
        back: its numbers go on where those of another one had been copied."""
        if name in EDGES or key in self.world.wiped or (
                key in self.have[key[0]]) or gap["first"] != 1:
            return False
        others = self.family(name, key) - {key}
        known = set().union(*(self.have[name][k].keys() |
                              self.left[name][k] for k in others))
        for other in others:
            for g in self.gaps(name, other):
                known.update(range(g["first"], g["last"] + 1))
        return (known.issuperset(range(1, gap["last"] + 1)) and
                any(gap["last"] <= end for r in self.restores(key)
                    for k, end in r.ends.items() if k[1] == key[1]))

    def family(self, name, key):
        """All epochs of a stream's interface that a node has."""
        return {k for k in self.have[name] if k[:2] == key[:2]}

    def retention(self, name, key):
        """What retention deleted, where it may: what lies lowest, of a store
        that has a bound of size and of which more is left."""
        numbers = self.deleted(name, key)
        if not numbers:
            return numbers
        if name not in EDGES or self.world.retain.endswith(" 0"):
            self.lost += len(numbers)
            self.find(name, "/".join(key), "deleted what is not old:",
                      ranges(sorted(numbers)))
        left = sorted(n for n in self.have[name][key] if n < max(numbers))
        if left:
            self.find(name, "/".join(key), "deleted up to", max(numbers),
                      "and kept what is older:", ranges(left))
        return numbers

    def deleted(self, name, key):
        """What retention deleted because it was acknowledged: the stream's
        journal says so."""
        numbers = set()
        path = os.path.join(self.world.nodes[name].store, "segments",
                            *(quote(part, safe="") for part in key),
                            "journal")
        with contextlib.suppress(FileNotFoundError), open(path) as lines:
            for line in lines:
                fact = json.loads(line)
                if fact["fact"] == "expired":
                    numbers.update(range(fact["first"], fact["last"] + 1))
        return numbers

    def acknowledged(self, name):
        """Nothing below the highest end it ever told is missing; numbers()
        has looked at what lies below the end it has now."""
        for key in self.sampler.acked[name]:
            acked = self.sampler.told(name, key)
            if key in self.world.wiped and key[0] == name:
                continue
            rows = self.have[name].get(key, {})
            end = max([0, *rows, *self.left[name][key],
                       *(g["last"] for g in self.gaps(name, key))])
            if end < acked:         # an import may be gone as a whole
                end = max([end, *self.deleted(name, key)])
            if end < acked:
                self.lost += acked - end
                self.find(name, "/".join(key), "acknowledged", acked,
                          "and ends at", end)

    def index(self, name):
        """What `pb` says is what the files hold."""
        node, files = self.world.nodes[name], self.have[name]
        told = {k: r["packets"] for k, r in node.streams().items()
                if r["packets"]}
        real = {k: len(rows) for k, rows in files.items() if rows}
        if told != real:
            self.find(name, "pb streams:", told, "the files:", real)
        count = int(node.pb("query", "--count"))
        if count != sum(real.values()):
            self.find(name, "pb query --count:", count, "the files:",
                      sum(real.values()))

        self.verify(name, node.pb_run("verify", "--json", seconds=120))

    def verify(self, name, done):
        """A `.new` of a segment that could not be begun stays until the
        next one of its stream, and so for ever in an epoch that has ended:
        docs/architecture.md knows it, and it holds no packet."""
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        if not rows or done.returncode not in (0, 1):
            self.find(name, "pb verify: status", done.returncode,
                      done.stderr.decode("utf-8", "replace")[-300:])
        flaws = [r for r in rows if "flaw" in r and not (
            r["flaw"] == "leftover" and r["path"].endswith("/.new"))]
        for row in flaws[:FACTS_MAX]:
            self.find(name, "pb verify:", row["flaw"], row.get("path", ""),
                      row.get("text", ""))

    def running_numbers(self, name):
        """A node gives each number of its own to one packet."""
        seen = set()
        for key, rows in self.have[name].items():
            for number, row in rows.items():
                if row.running is None:
                    continue
                if row.running in seen:
                    self.find(name, "gave its running number", row.running,
                              "twice, to", "/".join(key), number)
                    return
                seen.add(row.running)

    # --- two stores ------------------------------------------------------

    def arrived(self, below, above):
        """All that a node has is at the next, the same, unless the link's
        filter leaves it out; where numbers were given twice, in one of the
        epochs of its interface."""
        for key, want in self.have[below].items():
            have, gaps = [self.have[above].get(key, {})], set()
            left = self.left[above][key]
            if below in EDGES and self.restores(key):
                have = [self.have[above][k] for k in self.family(above, key)]
                left = self.filtered_numbers(above, key)
                gaps = self.buried_numbers(above, key)
            want = self.passed(below, above, key, want, left, have)
            missing = sorted(n for n in want if n not in gaps and
                             not any(n in rows for rows in have))
            if missing:
                self.lost += len(missing)
                self.find(above, "misses of", below + "'s", "/".join(key),
                          ranges(missing))
            wrong = [n for n, row in want.items() if n not in gaps and
                     any(n in rows for rows in have) and
                     not any(n in rows and row.same(rows[n])
                             for rows in have)]
            if wrong:
                self.lost += len(wrong)
                self.find(above, "has other packets than", below,
                          "/".join(key), "under", ranges(sorted(wrong)))

    def passed(self, below, above, key, want, left, have):
        """What the link's filter lets pass of the packets wanted.  The rest
        is told as filtered, and nothing else is."""
        if (below, above) not in self.world.ways.filtered:
            return want
        out = {n for n, row in want.items() if left_out(row.frame)}
        there = sorted(n for n in out for rows in have
                       if n in rows and want[n].same(rows[n]))
        if there:
            self.find(above, "has of", below + "'s", "/".join(key),
                      "what the filter leaves out:", ranges(there))
        return {n: row for n, row in want.items() if n not in out & left}

    def filtered_numbers(self, name, key):
        """Those of a stream, in any epoch."""
        return set().union(*(self.left[name][k]
                             for k in self.family(name, key)))

    def buried_numbers(self, name, key):
        """Those of a stream, in any epoch, that went as dead letters of a
        disk that is gone: recorded, and never filled."""
        return {n for k in self.family(name, key) for g in self.gaps(name, k)
                if g["reason"] == "dead-lettered" and
                self.buried_with_disk(name, k, g)
                for n in range(g["first"], g["last"] + 1)}

    def put_back(self, name, above):
        """What an edge deleted because its upstreams had it: each of them has
        a packet of that number that was captured after the edge was last put
        back to a lower one."""
        for key in self.have[name]:
            restores = self.restores(key)
            gone = self.deleted(name, key) if restores else set()
            gone -= self.buried_numbers(above, key)
            if (name, above) in self.world.ways.filtered:
                gone -= self.filtered_numbers(above, key)
            have = [self.have[above][k] for k in self.family(above, key)]
            missing = []
            for n in sorted(gone):
                since = max([r.put_back_ns for r in restores
                             if r.ends.get(key, 0) < n], default=0)
                if not any(n in rows and rows[n].time_ns > since
                           for rows in have):
                    missing.append(n)
            if missing:
                self.lost += len(missing)
                self.find(name, "/".join(key), "deleted, and", above,
                          "never had:", ranges(missing))

    def import_arrived(self, name, interface, imported_ns):
        """What an operator imported has come as far as it can, unless the
        disk went."""
        if any(k[:2] == (name, interface) for k in self.world.wiped) or any(
                r.node == name and r.copied_ns < imported_ns < r.put_back_ns
                for r in self.world.restored):
            return
        for path in paths(name):
            end = path[-1]
            have = [row.frame for key, rows in self.have[end].items()
                    if key[:2] == (name, interface) for row in rows.values()]
            missing = set(self.owed(path, range(1, IMPORTED + 1))) - set(have)
            if missing:
                self.lost += len(missing)
                self.find(end, "misses of what was imported as", name,
                          interface, ranges(sorted(missing)))

    # --- from the wire ---------------------------------------------------

    def frames(self, path):
        """What a sender sent, followed through the epochs of its node on one
        of its paths."""
        name, at = path[0], {}  # frame: its row, nearest to the path's end
        for where in path:
            at.update(self.once(where, name))
        self.kills = self.world.program[name, "recorder"].kills_ns
        self.losses = sorted(
            [at for key, at in self.world.wiped.items() if key[0] == name] +
            [r.put_back_ns for r in self.world.restored if r.node == name])
        self.buried = self.dead_letters(path)
        self.runs(path, [row for _, row in sorted(at.items())])

    def once(self, where, name):
        """{frame: row} of what a sender sent, at one node: each once, and in
        the order of the numbers of its stream."""
        at = {}
        for key, rows in self.have[where].items():
            if key[:2] != (name, "cap0"):
                continue
            before, twice = 0, []
            for number, row in sorted(rows.items()):
                if row.frame is None:
                    continue
                if row.frame in at:
                    twice.append(row.frame)
                elif row.frame <= before:
                    self.find(where, "/".join(key), "has frame", row.frame,
                              "after", before)
                at[row.frame], before = row, row.frame
            if twice:
                self.repeated += len(twice)
                self.find(where, "/".join(key), "has frames a second time:",
                          ranges(sorted(twice)))
        return at

    def owed(self, path, frames):
        """Those that no filter on the path leaves out."""
        if not self.world.ways.filters(path):
            return list(frames)
        return [f for f in frames if not left_out(f)]

    def runs(self, path, walk):
        """Frames that are missing, run by run of the recorder."""
        before, before_ns = 0, 0
        owed, owed_ns, counted = [], 0, 0
        for row in walk:
            missed = list(range(before + 1, row.frame))
            counted += row.dropped
            if self.between(self.kills, before_ns, row.time_ns):
                self.settle(path, owed, owed_ns, counted, before_ns)
                owed, counted = [], row.dropped
                self.excuse(self.owed(path, missed), before_ns, row.time_ns)
            elif missed:
                buried = self.buried.get(row.frame, 0)
                self.gone += min(buried, len(missed))
                owed += self.owed(path, missed[buried:])
                owed_ns = row.time_ns
            before, before_ns = row.frame, row.time_ns
        self.settle(path, owed, owed_ns, counted, None)
        if self.between(self.kills, before_ns, math.inf):
            # A fault that came late: it was not back before the last.
            self.excuse(range(before, self.sent), before_ns, math.inf)
        elif before != self.sent:
            self.lost += self.sent - before
            self.find(">".join(path), "sent", self.sent, "frames; the last "
                      "stored is", before, "though nothing was killed after "
                      "it")

    def dead_letters(self, path):
        """How many numbers right before a frame went as dead letters of a
        store that was wiped or put back before they were sent again; with
        those that a filter left out between them."""
        buried = {}
        for key in {k for where in path[1:] for k in self.have[where]}:
            if key[:2] != (path[0], "cap0") or (
                    key not in self.world.wiped and not self.restores(key)):
                continue
            # The first frame behind them may be one that a filter left out.
            rows = {n: row for where in path[1:]
                    for n, row in self.have[where].get(key, {}).items()}
            numbers = sorted(rows)
            spans = [(g["first"], g["last"])
                     for where in path[1:] for g in self.gaps(where, key)
                     if g["reason"] == "dead-lettered"]
            left = set().union(*(self.left[w][key] for w in path[1:]))
            for before, number in zip([0] + numbers, numbers):
                gone = {n for n in range(before + 1, number)
                        if any(first <= n <= last for first, last in spans)}
                if gone:
                    gone |= left.intersection(range(before + 1, number))
                buried[rows[number].frame] = len(gone)
        return buried

    @staticmethod
    def between(moments, after_ns, until_ns):
        return any(after_ns <= at <= until_ns for at in moments)

    def excuse(self, missed, after_ns, until_ns):
        if self.between(self.losses, after_ns, until_ns):
            self.gone += len(missed)
        else:
            self.unflushed += len(missed)

    def settle(self, path, owed, owed_ns, counted, killed_ns):
        """The frames missed in one run are not more than its drop counts
        tell."""
        self.dropped += min(len(owed), counted)
        if len(owed) <= counted:
            return
        if killed_ns and killed_ns - owed_ns < COUNT_UNDER_WAY_NS:
            return
        self.lost += len(owed) - counted
        self.find(">".join(path), "captured all the time, counted", counted,
                  "drops and misses the frames", ranges(owed))

    # --- other programs --------------------------------------------------

    def wireshark(self):
        """tshark reads a file of each store, any one, without a word."""
        if not shutil.which("tshark"):
            return
        for name in NODES:
            files = self.world.nodes[name].files()
            for path in random.Random(self.world.seed).sample(
                    files, min(1, len(files))):
                done = run(["tshark", "-r", path, "-T", "fields", "-e",
                            "frame.number"], seconds=60)
                said = [line for line in done.stderr.decode(
                    "utf-8", "replace").splitlines()
                    if line and "Running as user" not in line]
                count = len(done.stdout.split())
                if done.returncode or said or (
                        count != len(pngread.read(path).packets)):
                    self.find("tshark:", path, "status", done.returncode,
                              "packets", count, *said)
