"""What a store holds, and whether that is what was promised.

A State is read from the lines of `work look`, by the project's own code; the
files are read by an independent reader.  Promises are what was given to the
store, and what it said it has.
"""

import os

from control import *
import pngread

T0 = 1700000000 * 10**9
DROP_EVERY = 7              # see work.c

BESIDE = ("journal",)       # what stands among the segments

KEYS = {"lon1/eth0": 0x1122334455667701, "par2/eth1": 0x1122334455667702}


def bytes_of(stream, seq, length):
    """The same sum as fixture_packet() and bytes_of() of work.c."""
    start = (seq + (KEYS[stream] & 0xFF)) * 31 & 0xFF
    whole = bytes((start + i) & 0xFF for i in range(256))
    return (whole * (length // 256 + 1))[:length]


def dropped_before(seq):
    return seq if seq % DROP_EVERY == 0 else 0


class Promises:
    """By stream: numbers sent as packets, as left out by a filter, as gaps,
    and of all those that were acknowledged."""

    def __init__(self):
        self.sent, self.gone, self.have, self.gaps = {}, {}, {}, {}
        self.left, self.held = {}, {}
        self.reasons = {"expired"}
        # What retention may delete: nothing, what is acknowledged (nothing
        # is said of it then), or anything (then it is a gap).
        self.deletes = None
        self.damaged = {}           # numbers that had rotten, by stream

    def damage(self, damaged):
        """Those, and no others, may be missing, and are a gap then."""
        self.damaged = damaged
        if damaged:
            self.reasons = self.reasons | {"damaged"}

    def add(self, what, stream, first, last):
        where = {"sent": self.sent, "gone": self.gone, "have": self.have,
                 "gap": self.gaps, "left": self.left, "held": self.held}[what]
        where.setdefault(stream, set()).update(range(first, last + 1))

    def read(self, path):
        """The acks that work wrote; a last line may be cut."""
        with open(path) as f:
            for line in f.read().splitlines(keepends=True):
                if line.endswith("\n"):
                    what, stream, first, last = line.split()
                    self.add(what, stream, int(first), int(last))
        return self


class State:
    def __init__(self, text):
        self.text = text
        self.streams, self.drops, self.opens, self.bad = {}, {}, [], []
        self.segments, self.gaps, self.extents, self.runs = {}, {}, {}, {}
        self.flows, self.left = {}, {}
        lines = text.splitlines()
        check(lines and lines[-1] == "end", "work said nothing of the store")
        for line in lines[:-1]:
            kind, stream, *rest = line.split(" ")
            getattr(self, "_" + kind)(stream, rest)

    def _stream(self, stream, rest):
        names = ("first", "last", "packets", "bytes", "dropped")
        self.streams[stream] = dict(zip(names, map(int, rest[1:])),
                                    epoch=int(rest[0], 16))
        for rows in (self.segments, self.gaps, self.extents, self.runs,
                     self.drops, self.flows, self.left):
            rows[stream] = []

    def _segment(self, stream, rest):
        names = ("first", "last", "packets", "packet_bytes", "bytes",
                 "sealed")
        self.segments[stream].append(dict(zip(names, map(int, rest))))

    def _extent(self, stream, rest):
        names = ("first", "last", "segment", "offset", "bytes")
        row = dict(zip(names, map(int, rest[:5])), good=rest[5] == "ok")
        self.extents[stream].append(row)

    def _flows(self, stream, rest):
        names = ("first", "last", "segment", "end")
        row = dict(zip(names, map(int, rest[:4])), good=rest[4] == "ok")
        self.flows[stream].append(row)

    def _gap(self, stream, rest):
        self.gaps[stream].append((int(rest[0]), int(rest[1]), rest[2],
                                  rest[3] == "1"))

    def _drop(self, stream, rest):
        self.drops[stream].append((int(rest[0]), int(rest[1])))

    def _run(self, stream, rest):
        self.runs[stream].append((int(rest[0]), int(rest[1])))

    def _left(self, stream, rest):
        self.left[stream].append((int(rest[0]), int(rest[1])))
        if rest[2] != "1":
            self.bad.append((stream, "left " + " ".join(rest)))

    def _open(self, stream, rest):
        self.opens.append((stream, int(rest[0])))

    def _bad(self, stream, rest):
        self.bad.append((stream, " ".join(rest)))

    def numbers(self, stream):
        """All numbers a reader gets.  None may come twice."""
        out, last = set(), 0
        for a, b in self.runs.get(stream, []):
            check(last < a <= b, stream, "number", a, "comes after", last)
            out.update(range(a, b + 1))
            last = b
        return out

    def filtered(self, stream):
        """All numbers that were left out.  None may come twice."""
        out = set()
        for a, b in self.left.get(stream, []):
            numbers = set(range(a, b + 1))
            check(numbers and not numbers & out, stream, "left out twice:", a)
            out |= numbers
        return out

    def missing(self, stream):
        """All numbers in open gaps."""
        return {n for a, b, _, is_open in self.gaps.get(stream, []) if is_open
                for n in range(a, b + 1)}


def short(numbers):
    rows = sorted(numbers)
    return "%s%s" % (rows[:8], "..." if len(rows) > 8 else "")


def verify(state, promises, store):
    """All promises of a store that no program has open."""
    check(not state.bad, "a reader meets other bytes:", state.bad[:3])
    check(not state.opens, "not sealed:", state.opens)
    wanted = set(promises.have) | set(promises.held) | set(promises.gaps)
    check(wanted <= set(state.streams), "a stream is lost:",
          wanted - set(state.streams))
    for stream in state.streams:
        _promises_kept(state, promises, stream)
        _rows_agree(state, stream)
    _files_agree(state, store)
    _tables_have_segments(store)
    aside = os.path.join(store, "damaged")
    check(promises.damaged or not os.path.isdir(aside) or
          not os.listdir(aside), "set aside, and nothing had rotten")


def _promises_kept(state, promises, stream):
    row = state.streams[stream]
    have, missing = state.numbers(stream), state.missing(stream)
    left = state.filtered(stream)
    none = set()
    sent = promises.sent.get(stream, none)
    gone = promises.gone.get(stream, none)
    rotten = promises.damaged.get(stream, none)
    lost = (promises.have.get(stream, none) - have - rotten |
            promises.held.get(stream, none) - left - rotten)
    gone = gone | rotten
    if promises.deletes == "acked":
        check(all(n < row["first"] for n in lost), stream,
              "not the oldest went:", short(lost))
        missing |= lost
        gone = gone | lost
    elif promises.deletes == "any":
        check(lost <= missing, stream, "deleted and no gap:",
              short(lost - missing))
        gone = gone | lost
    else:
        check(not lost, stream, "acknowledged and lost:", short(lost))
    extra = have - sent
    check(not extra, stream, "never sent:", short(extra))
    extra = left - promises.left.get(stream, none)
    check(not extra, stream, "never said to be left out:", short(extra))
    check(not have & left, stream, "here and left out:", short(have & left))
    have = have | left
    lost = promises.gaps.get(stream, none) - have - missing
    check(not lost, stream, "a gap that is forgotten:", short(lost))
    check(not have & missing, stream, "here and in an open gap:",
          short(have & missing))
    hole = set(range(1, row["last"] + 1)) - have - missing
    check(not hole, stream, "neither here nor in a gap:", short(hole))
    check(missing <= gone, stream, "a gap nobody declared:",
          short(missing - gone))
    check(not (have | missing) or row["last"] == max(have | missing), stream,
          "ends at", row["last"])
    reasons = {g[2] for g in state.gaps[stream]}
    check(reasons <= promises.reasons, stream, "gaps", reasons)


def _rows_agree(state, stream):
    row, have = state.streams[stream], state.numbers(stream)
    all_there = have | state.filtered(stream)
    segments, extents = state.segments[stream], state.extents[stream]
    check(row["packets"] == len(have), stream, "counts", row["packets"],
          "packets and has", len(have))
    check(row["first"] == min(all_there, default=0), stream, "begins at",
          row["first"])
    check(row["bytes"] == sum(s["packet_bytes"] for s in segments), stream,
          "and its segments count other bytes")
    dropped = sum(map(dropped_before, have))
    check(row["dropped"] == dropped, stream, "counts", row["dropped"],
          "drops, its packets", dropped)
    rows = sum(count for _, count in state.drops[stream])
    check(rows == dropped, stream, "has rows of", rows, "drops of", dropped)
    inside = set()
    for s in segments:
        numbers = set(range(s["first"], s["last"] + 1))
        inside |= numbers
        check(s["packets"] == len(have & numbers), stream, "segment",
              s["first"], "counts", s["packets"])
        mine = [e for e in extents if e["segment"] == s["first"]]
        at, number = mine[0]["offset"] if mine else 0, s["first"]
        for e in mine:
            check(e["offset"] == at and e["first"] == number, stream,
                  "extent", e["first"], "leaves a hole")
            at, number = at + e["bytes"], e["last"] + 1
        check(number == s["last"] + 1 and at <= s["bytes"], stream,
              "extents of segment", s["first"], "end at", number - 1)
    check(inside == all_there, stream, "segments and packets differ")
    check(all(e["good"] for e in extents), stream, "an extent's digest")
    check(sum(1 for e in extents) == sum(
        1 for e in extents if any(e["segment"] == s["first"]
                                  for s in segments)),
          stream, "an extent without a segment")
    _flows_agree(stream, segments, state.flows[stream])


def _flows_agree(stream, segments, flows):
    """What has no index block is looked at; what has one is there."""
    check(all(f["good"] for f in flows), stream, "a flow table's bytes")
    behind = 0
    for f in flows:
        check(behind < f["first"] <= f["last"], stream, "index block",
              f["first"], "comes after", behind)
        behind = f["last"]
        check(any(s["first"] == f["segment"] <= f["first"] and
                  f["last"] <= s["last"] and f["end"] <= s["bytes"]
                  for s in segments), stream, "index block", f["first"],
              "is in no segment")


def segment_files(store):
    """{(node/interface, epoch, first): path} of every visible file, sealed
    or not; anything else there is a complaint, but hidden stumps."""
    found, top = {}, os.path.join(store, "segments")
    for folder, _, names in os.walk(top):
        for name in names:
            if name.startswith(".") or name in BESIDE:
                continue
            node, interface, epoch = os.path.relpath(folder, top).split("/")
            number, dot, end = name.partition(".")
            if end == "flows":
                continue
            check(end in ("pcapng", "pcapng.open"), "a file named", name)
            key = (node + "/" + interface, int(epoch, 16), int(number))
            check(key not in found, "two files of", key)
            found[key] = os.path.join(folder, name)
    return found


def _files_agree(state, store):
    files = segment_files(store)
    rows = {(stream, state.streams[stream]["epoch"], s["first"]): s
            for stream in state.streams for s in state.segments[stream]}
    check(set(rows) <= set(files), "no file of", short(set(rows) - set(files)))
    check(set(files) <= set(rows), "no row of", short(set(files) - set(rows)))
    for key, path in files.items():
        size = os.path.getsize(path)
        check(size == rows[key]["bytes"], path, "has", size,
              "bytes, its row says", rows[key]["bytes"])
        check(path.endswith(".pcapng") == bool(rows[key]["sealed"]), path,
              "and its row disagree on being sealed")
        _file_right(path, key, rows[key])


def _tables_have_segments(store):
    for folder, _, names in os.walk(os.path.join(store, "segments")):
        for name in names:
            check(not name.endswith(".flows") or
                  name.replace(".flows", ".pcapng") in names,
                  "flow tables without a segment:", name)


def _file_right(path, key, row):
    try:
        capture = pngread.read(path)
    except pngread.Malformed as e:
        raise Bad("%s: %s" % (path, e))
    stream, epoch, first = key
    me = pngread.identity(capture.sections[0])
    check((me["nodes"][0][0] + "/" + me["interface"], me["epoch"],
           me["first_seq"]) == key, path, "says it is", me)
    check(len(capture.sections) == 1 and len(capture.interfaces) == 1, path,
          "has several sections")
    left = pngread.filtered(capture.interfaces[0])
    check(sorted([p.seq for p in capture.packets] + [
        n for a, b, _, _ in left for n in range(a, b + 1)]) ==
          list(range(first, row["last"] + 1)), path, "holds other numbers")
    for p in capture.packets:
        check(p.data == bytes_of(stream, p.seq, len(p.data)) and
              p.time_ns == T0 + p.seq * 1000, path, "holds other bytes under",
              p.seq)
        check((p.dropcount or 0) == dropped_before(p.seq), path, "drops of",
              p.seq)
