"""Read a flow table, by docs/index.md alone:  flowread.py FILE

Prints what it says, a line each: of the table, of each shape, of each row
with its numbers, what it knows of the bytes and its packets, and of each mark.
XXH3 and zstd are those of the libraries the project needs anyway.
"""

import ctypes
import struct
import sys

KNOWN = 128
PIECE = 4096
GROUP = 64
RUN = 32
SHAPE, ENTRY, NUMBER = 420, 16, 9
PLACES_HEAD, MARKS_HEAD = 8, 16
EACH = 3   # numbers that rows of one packet have, too

_zstd = ctypes.CDLL("libzstd.so.1")
_zstd.ZSTD_decompress.restype = ctypes.c_size_t
_zstd.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t,
                                  ctypes.c_char_p, ctypes.c_size_t]
_xxhash = ctypes.CDLL("libxxhash.so.0")
_xxhash.XXH3_64bits.restype = ctypes.c_uint64
_xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


class Rotten(Exception):
    pass


def check(true, what):
    if not true:
        raise Rotten(what)


def digest(data):
    return _xxhash.XXH3_64bits(data, len(data))


def unpacked(data, size):
    check(len(data) <= size, "more is stored than there is")
    if len(data) == size:
        return data
    out = ctypes.create_string_buffer(size + 1)
    check(_zstd.ZSTD_decompress(out, size, data, len(data)) == size,
          "a frame of zstd")
    return out.raw[:size]


def unzigzag(number):
    return number >> 1 if number % 2 == 0 else -(number + 1 >> 1)


def varint(data, at, end):
    value = 0
    for n in range(5):
        check(at < end, "a varint without an end")
        value |= (data[at] & 0x7F) << 7 * n
        at += 1
        if data[at - 1] < 0x80:
            return value % 2**32, at
    raise Rotten("a varint that is too long")


def numbers(data, at, count, width):
    """(so many, each of as many bits, what is behind)"""
    end = at + -(-count * width // 8)
    check(width <= 32 and end <= len(data), "numbers past the end")
    all_of_them = int.from_bytes(data[at:end], "little")
    return [all_of_them >> n * width & (1 << width) - 1
            for n in range(count)], end


def bits(data):
    return [n for n in range(KNOWN) if data[n // 8] >> n % 8 & 1]


def plane(data, at, rows):
    """(it, what is behind)"""
    check(at + 2 <= len(data), "a plane past the end")
    width, values = data[at], data[at + 1] + 1
    if width == 8:
        return data[at + 1:][:rows], at + 1 + rows
    check(width <= 7 and values <= 128, "a plane")
    value, at = data[at + 2:][:values], at + 2 + values
    end = at + -(-rows // 8) * width
    check(end <= len(data), "a plane past the end")
    number = int.from_bytes(data[at:end], "little")
    value = value.ljust(128, b"\0")
    return bytes(value[number >> row * width & (1 << width) - 1]
                 for row in range(rows)), end


class Pieces:
    """Those of a table, in their order."""

    def __init__(self, entries, body):
        self.left, self.body = list(entries), body

    def _next(self):
        check(self.left, "too few pieces")
        stored, raw, want = self.left.pop(0)
        check(stored <= len(self.body), "a piece past the end")
        data, self.body = self.body[:stored], self.body[stored:]
        check(digest(data) == want, "the digest of a piece")
        return data, raw

    def groups(self, head):
        """The heads of groups, and of each what it has."""
        heads, body = unpacked(*self._next()), unpacked(*self._next())
        check(len(heads) % head == 0, "heads of groups")
        heads = [heads[at:at + head] for at in range(0, len(heads), head)]
        begins = [struct.unpack_from("<II", head) for head in heads]
        ends = [at for at, _ in begins[1:]] + [len(body)]
        out = []
        for head, (begin, want), end in zip(heads, begins, ends):
            check(begin <= end <= len(body), "where a group is")
            check(digest(body[begin:end]) % 2**32 == want,
                  "the digest of a group")
            out.append((head, body[begin:end]))
        return out

    def planes(self, count, rows):
        check(rows or not count, "planes of no rows")
        each = -(-PIECE // rows) if rows else 1
        out = []
        while len(out) < count:
            now = min(each, count - len(out))
            data, raw = self._next()
            check(raw == now * rows, "the length of a piece")
            at = 0
            for n in range(now):
                if len(data) == raw:
                    its, at = data[at:at + rows], at + rows
                else:
                    its, at = plane(data, at, rows)
                out.append(its)
            check(at == len(data), "a piece longer than its planes")
        return out


def columns_of_numbers(pieces, what, rows):
    """Of each column its numbers."""
    heads = [struct.unpack_from("<QB", what, at)
             for at in range(0, len(what), NUMBER)]
    check(all(count <= 8 for _, count in heads), "a number of planes")
    planes = pieces.planes(sum(count for _, count in heads), rows)
    out = []
    for least, count in heads:
        its, planes = planes[:count], planes[count:]
        out.append([(least + sum(p[row] << 8 * k for k, p in enumerate(its)))
                    % 2**64 for row in range(rows)])
    return out


def ends_of(key):
    """Of each byte of a connection's end that of the other end."""
    link, ethertype, network, transport, _, its = key
    six = ethertype == 0x86dd or its & 32
    out = {}
    for at, size, end in (
            (0, 6, network if link == 1 else 0),
            (network + (8 if six else 12), 16 if six else 4, transport),
            (transport, 2, transport + 4)):
        if at + 2 * size <= end and its & 16 and transport + 4 <= KNOWN:
            for n in range(at, at + size):
                out[n], out[n + size] = n + size, n
    return out


class Shape:
    def __init__(self, record, pieces, start, unit):
        self.key = struct.unpack_from("<HHBBBB", record)
        self.rest, *self.runs = struct.unpack_from("<IIIII", record, 8)
        self.packets, self.wire = struct.unpack_from("<QQ", record, 28)
        self.lengths = struct.unpack_from("<IIII", record, 44)
        self.ones, self.unknown = record[92:220], record[220:348]
        self.many, self.count = sum(self.runs[:2]), sum(self.runs)
        check(self.count > 0, "a shape without rows")
        self._columns(pieces, bits(record[60:76]), bits(record[76:92]))
        self._numbers(columns_of_numbers(pieces, record[348:348 + EACH *
                                                        NUMBER], self.count),
                      columns_of_numbers(pieces, record[348 + EACH *
                                                        NUMBER:], self.many),
                      start, unit)
        self._places(pieces.groups(PLACES_HEAD))

    def _columns(self, pieces, columns, partly):
        check(set(partly) <= set(columns), "unknown bits of no column")
        turned = self.runs[1] or self.runs[3]
        self.ends = ends_of(self.key) if turned else {}
        for its in columns, partly:
            check(all((a in its) == (b in its) for a, b in
                      self.ends.items()), "a column of one end alone")
        self.columns = dict(zip(columns, pieces.planes(
            len(columns), self.count)))
        self.partly = dict(zip(partly, pieces.planes(
            len(partly), self.many)))

    def _numbers(self, each, many, start, unit):
        begins = [sum(self.runs[:n]) for n in range(len(self.runs))]
        self.rows = []
        for row, (least, cut, first) in enumerate(zip(*each)):
            time = start if row in begins else time
            time = (time + unit * unzigzag(first)) % 2**64
            least %= 2**32
            packets, more, cut_most, wire, last = 1, 0, cut, 0, 0
            if row < self.many:
                packets, more, cut_most, wire, last = (
                    column[row] for column in many)
            most = (least + more) % 2**32
            self.rows.append((
                packets, (wire + packets * least) % 2**64, time,
                (time + unit * last) % 2**64, (least - cut) % 2**32,
                (most - cut_most) % 2**32, least, most))

    def _places(self, groups):
        self.places = []
        check(len(groups) == -(-self.count // GROUP), "groups of places")
        for (_, data), first in zip(groups, range(0, self.count, GROUP)):
            at, number, heads = 0, 0, []
            for _ in range(min(GROUP, self.count - first)):
                more = 0
                if first + len(heads) < self.many:
                    more, at = varint(data, at, len(data))
                step, at = varint(data, at, len(data))
                number = (number + step) % 2**32
                heads.append((more, number))
            for more, number in heads:
                run, at = self._run(data, at, more, number)
                self.places.append(run)

    @staticmethod
    def _run(data, at, more, number):
        out = [number]
        while more > 0:
            check(at < len(data), "a run past the end")
            between, at = numbers(data, at + 1, min(more, RUN), data[at])
            for n in between:
                out.append(out[-1] + n + 1)
            more -= len(between)
        return out, at

    def row(self, row):
        """What it knows of the bytes: ones, unknown."""
        ones, unknown = bytearray(self.ones), bytearray(self.unknown)
        one, many, turned = self.runs[0], self.many, self.runs[2] + self.many
        ends = self.ends if one <= row < many or row >= turned else {}
        for at in self.columns:
            its = ends.get(at, at)
            ones[at] = self.columns[its][row]
            unknown[at] = self.partly[its][row] if (
                its in self.partly and row < many) else 0
        return bytes(ones), bytes(unknown)


class Table:
    def __init__(self, data):
        check(len(data) >= 64 and data[:4] == b"PBFT", "no table")
        (version, length, self.packets, marks, shapes, pieces, stored,
         start, its, self.step, unit,
         head) = struct.unpack_from("<IIIIIIIQQIIQ", data, 4)
        check(version == 3 and length == len(data), "version or length")
        check(digest(data[:56]) == head, "the digest of the head")
        check(stored <= length - 64, "the directory's length")
        directory = data[length - stored:]
        check(digest(directory) == its, "the digest of the directory")
        directory = unpacked(directory, shapes * SHAPE + pieces * ENTRY)
        rest = Pieces(struct.iter_unpack("<IIQ", directory[shapes * SHAPE:]),
                      data[64:length - stored])
        self.shapes = [Shape(directory[n * SHAPE:][:SHAPE], rest, start, unit)
                       for n in range(shapes)]
        check(sum(shape.packets for shape in self.shapes) == self.packets,
              "packets that no shape has")
        groups = rest.groups(MARKS_HEAD)
        check(len(groups) == marks, "groups of marks")
        self.marks = [mark for group in groups for mark in self._marks(*group)]
        check(not rest.left and not rest.body, "more pieces than parts")

    def _marks(self, head, data):
        packet, at = struct.unpack_from("<II", head, 8)
        yield packet, at
        check(len(data) >= 2 and data[0] < GROUP, "marks")
        apart, end = numbers(data, 2, data[0], data[1])
        check(end == len(data), "the length of marks")
        for n in apart:
            packet += self.step
            at += 4 * n
            check(packet < self.packets, "a mark of no packet")
            yield packet, at


def lines(table):
    yield "table %d packets" % table.packets
    for shape in table.shapes:
        yield "shape %s rest %d rows %d packets %d bytes %d lengths %s" % (
            " ".join(map(str, shape.key)), shape.rest, shape.count,
            shape.packets, shape.wire, " ".join(map(str, shape.lengths)))
        yield "all %s %s" % (shape.ones.hex(), shape.unknown.hex())
        for n, numbers in enumerate(shape.rows):
            yield "row " + " ".join(map(str, numbers))
            yield "known %s %s" % tuple(b.hex() for b in shape.row(n))
            yield "packets " + " ".join(map(str, shape.places[n]))
    for mark in table.marks:
        yield "mark %d %d" % mark


def main():
    with open(sys.argv[1], "rb") as f:
        data = f.read()
    try:
        print("\n".join(lines(Table(data))))
    except (Rotten, struct.error) as e:
        print("rotten:", e)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
