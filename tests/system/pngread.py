"""An independent reader of pcapng and classic pcap.

Written from draft-ietf-opsawg-pcapng-05 and draft-ietf-opsawg-pcap-06, not
from the project's C code, so that the two can disagree.  Pure Python, whole
files in memory, integers only: no time is ever a float.

    capture = read("file.pcapng")
    capture.interfaces          every Interface, over all sections
    capture.packets             every Packet, in file order

Option lists are lists of (code, bytes) in one canonical form: the draft's
numeric options and the Private Enterprise Number of custom options are
little-endian whatever the file's order; octets stay as they are.
Malformed input raises Malformed with the offset.
"""

import struct
import sys

SHB, IDB, PB, SPB, NRB, ISB, EPB = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6
DSB, CB, CB_NOCOPY = 10, 0x0BAD, 0x40000BAD
CUSTOM = (2988, 2989, 19372, 19373)
BLOCK_MAX = 16 << 20

# Widths of the words in which the draft's numeric options are swapped.
SWAP = {
    IDB: {8: 8, 10: 4, 14: 8, 16: 8, 17: 8},
    EPB: {2: 4, 4: 8, 5: 8, 6: 4, 8: 4},
    ISB: {2: 4, 3: 4, 4: 8, 5: 8, 6: 8, 7: 8, 8: 8},
}


class Malformed(Exception):
    def __init__(self, offset, why):
        super().__init__("offset %d: %s" % (offset, why))
        self.offset = offset


class Section:
    def __init__(self, number, order, options, supported=True):
        self.number = number
        self.order = order          # "<" or ">"
        self.options = options
        self.supported = supported  # False: a version to be skipped
        self.interfaces = []


class Interface:
    def __init__(self, section, number, linktype, snaplen, options):
        self.section = section
        self.number = number
        self.linktype = linktype
        self.snaplen = snaplen      # 0: no limit
        self.options = options
        self.packets = []
        self.statistics = []        # (time_ns, options)
        resol = self.first(9)
        self.tsresol = resol[0] if resol else 6
        offset = self.first(14)
        self.tsoffset = (struct.unpack("<q", offset)[0]
                         if offset and len(offset) == 8 else 0)

    def first(self, code):
        for have, value in self.options:
            if have == code:
                return value
        return None

    @property
    def name(self):
        value = self.first(2)
        return None if value is None else text(value)

    def time_ns(self, ticks):
        """Nanoseconds since 1970, rounded down."""
        if self.tsresol & 0x80:
            ns = ticks * 10**9 // (1 << (self.tsresol & 0x7F))
        else:
            ns = ticks * 10**9 // 10**self.tsresol
        return ns + self.tsoffset * 10**9


class Packet:
    def __init__(self, interface, time_ns, origlen, data, options, offset):
        self.interface = interface
        self.time_ns = time_ns      # None: came without one
        self.origlen = origlen
        self.data = data
        self.options = options
        self.offset = offset

    def all(self, code):
        return [value for have, value in self.options if have == code]

    @property
    def seq(self):
        ids = self.all(5)
        return struct.unpack("<Q", ids[0])[0] if ids else None

    @property
    def dropcount(self):
        counts = self.all(4)
        return struct.unpack("<Q", counts[0])[0] if counts else None

    @property
    def comments(self):
        return [text(value) for value in self.all(1)]


class Capture:
    def __init__(self):
        self.sections = []
        self.packets = []
        self.blocks = []            # (type, offset, length) of all
        self.other = []             # (type, order, body) of unknown ones

    @property
    def interfaces(self):
        return [i for s in self.sections for i in s.interfaces]


def text(value):
    return value.split(b"\0")[0].decode("utf-8", "replace")


def read(source):
    """Read a path or bytes."""
    if isinstance(source, bytes):
        data = source
    else:
        with open(source, "rb") as f:
            data = f.read()
    if not data:
        raise Malformed(0, "empty file")
    if len(data) >= 4 and data[:4] == b"\x0a\x0d\x0d\x0a":
        return _read_pcapng(data)
    return _read_pcap(data)


# --- classic pcap --------------------------------------------------------

MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 6), b"\xa1\xb2\xc3\xd4": (">", 6),
    b"\x4d\x3c\xb2\xa1": ("<", 9), b"\xa1\xb2\x3c\x4d": (">", 9),
}


def _read_pcap(data):
    if len(data) < 24 or data[:4] not in MAGIC:
        raise Malformed(0, "neither pcapng nor pcap")
    order, resol = MAGIC[data[:4]]
    major, minor, _, _, snaplen, network = struct.unpack(
        order + "HHiIII", data[4:24])
    if (major, minor) != (2, 4):
        raise Malformed(4, "version %d.%d" % (major, minor))
    if network & 0x03FF0000:
        raise Malformed(20, "reserved bits of the link type are set")
    capture = Capture()
    section = Section(0, order, [])
    interface = Interface(section, 0, network & 0xFFFF, snaplen,
                          [(9, bytes([resol]))])
    section.interfaces.append(interface)
    capture.sections.append(section)
    at = 24
    while at < len(data):
        if len(data) - at < 16:
            raise Malformed(at, "record header cut short")
        sec, frac, caplen, origlen = struct.unpack(
            order + "IIII", data[at:at + 16])
        body = data[at + 16:at + 16 + caplen]
        if len(body) < caplen:
            raise Malformed(at, "record cut short")
        time_ns = sec * 10**9 + frac * 10**(9 - resol)
        packet = Packet(interface, time_ns, origlen, body, [], at)
        interface.packets.append(packet)
        capture.packets.append(packet)
        at += 16 + caplen
    return capture


# --- pcapng --------------------------------------------------------------

def _options(data, base, order, kind):
    """The canonical list of the option bytes `data`, found at `base`."""
    out = []
    at = 0
    while at < len(data):
        if len(data) - at < 4:
            raise Malformed(base + at, "option header cut short")
        code, length = struct.unpack(order + "HH", data[at:at + 4])
        if code == 0:
            break
        value = data[at + 4:at + 4 + length]
        if len(value) < length:
            raise Malformed(base + at, "option %d of %d bytes leaves its "
                            "block" % (code, length))
        out.append((code, _canonical(kind, code, value, order)))
        at += 4 + (length + 3) // 4 * 4
    return out


def _canonical(kind, code, value, order):
    if order == "<":
        return value
    if code in CUSTOM and len(value) >= 4:
        return value[3::-1] + value[4:]
    width = SWAP.get(kind, {}).get(code)
    if width and len(value) % width == 0:
        return b"".join(value[i:i + width][::-1]
                        for i in range(0, len(value), width))
    return value


def _read_pcapng(data):
    capture = Capture()
    section = None
    at = 0
    while at < len(data):
        if len(data) - at < 12:
            raise Malformed(at, "block header cut short")
        if data[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            section = _section(capture, data, at)
        elif section is None:
            raise Malformed(at, "no Section Header Block first")
        kind, length = struct.unpack(section.order + "II", data[at:at + 8])
        if length < 12 or length % 4 or length > BLOCK_MAX:
            raise Malformed(at, "block length %d" % length)
        if len(data) - at < length:
            raise Malformed(at, "block cut short")
        trailer, = struct.unpack(section.order + "I",
                                 data[at + length - 4:at + length])
        if trailer != length:
            raise Malformed(at, "block lengths %d and %d differ"
                            % (length, trailer))
        capture.blocks.append((kind, at, length))
        if section.supported:
            _block(capture, section, kind, at,
                   data[at + 8:at + length - 4])
        at += length
    return capture


def _section(capture, data, at):
    magic = data[at + 8:at + 12]
    if magic == b"\x4d\x3c\x2b\x1a":
        order = "<"
    elif magic == b"\x1a\x2b\x3c\x4d":
        order = ">"
    else:
        raise Malformed(at, "byte-order magic " + magic.hex())
    length, = struct.unpack(order + "I", data[at + 4:at + 8])
    if length < 28 or len(data) - at < length:
        raise Malformed(at, "Section Header Block cut short")
    major, minor = struct.unpack(order + "HH", data[at + 12:at + 16])
    supported = (major, minor) in ((1, 0), (1, 2))
    options = []
    if supported:
        options = _options(data[at + 24:at + length - 4], at + 24, order, SHB)
    section = Section(len(capture.sections), order, options, supported)
    capture.sections.append(section)
    return section


def _block(capture, section, kind, at, body):
    order = section.order
    if kind == IDB:
        if len(body) < 8:
            raise Malformed(at, "Interface Description Block too short")
        linktype, _, snaplen = struct.unpack(order + "HHI", body[:8])
        interface = Interface(section, len(section.interfaces), linktype,
                              snaplen, _options(body[8:], at + 16, order, IDB))
        section.interfaces.append(interface)
    elif kind in (EPB, PB):
        _packet(capture, section, kind, at, body)
    elif kind == SPB:
        if len(body) < 4:
            raise Malformed(at, "Simple Packet Block too short")
        interface = _interface(section, 0, at)
        origlen, = struct.unpack(order + "I", body[:4])
        caplen = min(origlen, interface.snaplen or origlen)
        if caplen > len(body) - 4:
            raise Malformed(at, "captured length leaves its block")
        _add(capture, Packet(interface, None, origlen, body[4:4 + caplen],
                             [], at))
    elif kind == ISB:
        if len(body) < 12:
            raise Malformed(at, "Interface Statistics Block too short")
        number, high, low = struct.unpack(order + "III", body[:12])
        interface = _interface(section, number, at)
        interface.statistics.append(
            (interface.time_ns(high << 32 | low),
             _options(body[12:], at + 20, order, ISB)))
    elif kind != SHB:
        capture.other.append((kind, order, body))


def _packet(capture, section, kind, at, body):
    order = section.order
    if len(body) < 20:
        raise Malformed(at, "packet block too short")
    extra = []
    if kind == EPB:
        number, high, low, caplen, origlen = struct.unpack(
            order + "IIIII", body[:20])
    else:
        number, drops, high, low, caplen, origlen = struct.unpack(
            order + "HHIIII", body[:20])
        if drops != 0xFFFF:
            extra = [(4, struct.pack("<Q", drops))]
    interface = _interface(section, number, at)
    padded = (caplen + 3) // 4 * 4
    if 20 + padded > len(body):
        raise Malformed(at, "captured length %d leaves its block" % caplen)
    # pack_flags and pack_hash have the codes of their EPB twins.
    options = _options(body[20 + padded:], at + 28 + padded, order, EPB)
    _add(capture, Packet(interface, interface.time_ns(high << 32 | low),
                         origlen, body[20:20 + caplen], options + extra, at))


def _interface(section, number, at):
    if number >= len(section.interfaces):
        raise Malformed(at, "interface %d of %d"
                        % (number, len(section.interfaces)))
    return section.interfaces[number]


def _add(capture, packet):
    packet.interface.packets.append(packet)
    capture.packets.append(packet)


# --- our own options, from the comment of pcapng/hop.h --------------------

SEGMENT, HOPS, FILLER, UNTIMED, FILTERED = 1, 2, 3, 4, 7


def own(options, kind):
    """The payload of our option of this kind (after PEN and mark)."""
    for code, value in options:
        if is_own((code, value), kind):
            return value[8:]
    return None


def is_own(option, kind=None):
    code, value = option
    return (code == 2989 and len(value) >= 8 and value[4:6] == b"PB" and
            value[6] == 1 and (kind is None or value[7] == kind))


def filtered(interface):
    """Runs of numbers that were left out: (first, last, digest, time)."""
    return [struct.unpack("<QQQ", own(options, FILTERED)[:24]) + (time_ns,)
            for time_ns, options in interface.statistics
            if own(options, FILTERED)]


def hops(packet):
    """[(arrival time ns, running number)], one per node after the origin."""
    body = own(packet.options, HOPS)
    if body is None:
        return []
    if len(body) % 16:
        raise ValueError("hops option of %d bytes" % len(body))
    return [struct.unpack("<QQ", body[i:i + 16])
            for i in range(0, len(body), 16)]


def identity(section):
    """{epoch, first_seq, nodes: [(name, description)], interface}."""
    body = own(section.options, SEGMENT)
    if body is None:
        return None
    epoch, first, count = struct.unpack("<QQB", body[:17])
    at = 17
    nodes = []
    for _ in range(count):
        name_len, text_len = body[at], body[at + 1]
        at += 2
        nodes.append((body[at:at + name_len].decode(),
                      body[at + name_len:at + name_len + text_len].decode()))
        at += name_len + text_len
    length = body[at]
    name = body[at + 1:at + 1 + length].decode()
    if at + 1 + length != len(body):
        raise ValueError("segment option of %d bytes, %d used"
                         % (len(body), at + 1 + length))
    return {"epoch": epoch, "first_seq": first, "nodes": nodes,
            "interface": name}


def main():
    """Print what is in the given files, for people."""
    for path in sys.argv[1:]:
        capture = read(path)
        for section in capture.sections:
            print(path, "section", section.number, section.order,
                  identity(section))
            for i in section.interfaces:
                print("  interface", i.number, "link", i.linktype,
                      "snaplen", i.snaplen, "name", i.name,
                      "packets", len(i.packets))
        for p in capture.packets:
            print("  %s seq %s len %d/%d options %s hops %s" % (
                p.time_ns, p.seq, len(p.data), p.origlen,
                [code for code, _ in p.options], hops(p)))


if __name__ == "__main__":
    main()
