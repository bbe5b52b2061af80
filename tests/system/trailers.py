"""Frames as switches make them, from the layouts in docs/trailers.md.

    from trailers import *

A frame on the wire is bytes that end with its FCS, and so are those that
these functions take and give: a switch keeps the FCS inside what it puts on,
or drops it, and writes a new one.  What a card leaves of it is `captured()`.

    frame = metamako(host(b"payload"), 1700000000, 999, device=7, port=3)
    frame = exablaze(frame, 1700000001, 1 << 39, device=1, port=2)
    write(path, [(time_ns, captured(frame)), ...])
"""

import struct
import zlib

MINIMUM = 60                # of a frame without its FCS
FCS = 4


def with_fcs(data):
    return data + struct.pack("<I", zlib.crc32(data))


def without_fcs(frame):
    return frame[:-FCS]


def captured(frame, fcs=False):
    """What a card leaves, which may leave the FCS."""
    return frame if fcs else without_fcs(frame)


def host(payload=b"", destination="020000000002", source="020000000001",
         ethertype=0x88B5):
    """What a host sends, padded to the least that a frame has."""
    data = (bytes.fromhex(destination) + bytes.fromhex(source) +
            struct.pack(">H", ethertype) + payload)
    return with_fcs(data.ljust(MINIMUM, b"\0"))


def ip_checksum(data):
    total = sum(struct.unpack(">%dH" % ((len(data) + 1) // 2),
                              data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(payload, source=(0x0A000001, 4000), destination=(0x0A000002, 5000),
        ttl=64, number=0, **kw):
    """The same with IPv4 and UDP (without its checksum) in front."""
    body = struct.pack(">HHHH", source[1], destination[1], 8 + len(payload),
                       0) + payload
    return host(ip4(17, body, source[0], destination[0], ttl, number),
                ethertype=0x0800, **kw)


def ip4(protocol, body, source, destination, ttl=64, number=0):
    head = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(body), number, 0, ttl,
                       protocol, 0, source, destination)
    return (head[:10] + struct.pack(">H", ip_checksum(head)) + head[12:] +
            body)


# --- trailers that keep the FCS inside ---------------------------------------

def extension(tag, value=0, words=b""):
    """One of metamako's: 24 bits in its head, words before it."""
    return words + struct.pack(">I", value << 8 | len(words) // 4 << 6 | tag)


def secondary(tag, words):
    return words + struct.pack(">I", tag << 16 | (len(words) // 4 - 1) << 6 |
                               31)


def sequence(number):
    return extension(0, number)


def fraction(part):
    """Of a nanosecond, in 1/2^24."""
    return extension(1, part)


def egress_sequence(number):
    return extension(3, number)


def crc_hash(value):
    return extension(2, 0, struct.pack(">Q", value))


def metamako(frame, seconds, ns, flags=1, device=0, port=0, extensions=()):
    """`extensions` from the seconds inwards; the last one is the final."""
    inside = list(extensions)
    if inside:
        flags |= 2
        inside[-1] = inside[-1][:-1] + bytes([inside[-1][-1] | 0x20])
    return with_fcs(frame + b"".join(reversed(inside)) + struct.pack(
        ">IIBHB", seconds, ns, flags, device, port))


def exablaze(frame, seconds, part, device=0, port=0, flags=0):
    """`part` of a second, in 1/2^40."""
    return with_fcs(frame + struct.pack(">BBI", device, port, seconds) +
                    part.to_bytes(5, "big") + bytes([flags]))


# --- trailers that do not ----------------------------------------------------

def vss(frame, seconds, ns, source=3, port=None, port_bytes=1):
    """`source` of the clock: 0 none, 1 NTP, 2 GPS, 3 PTP."""
    stamp = b"" if port is None else port.to_bytes(port_bytes, "big")
    return with_fcs(without_fcs(frame) + struct.pack(
        ">II", seconds, source << 30 | ns) + stamp)


def ixia_time(seconds, ns, kind=6):
    """A field; `kind` 3 local, 4 NTP, 5 GPS, 6 PTP, 7 holdover."""
    return struct.pack(">BBII", kind, 8, seconds, ns)


def ixia(frame, *fields):
    data = b"".join(fields)
    data += bytes([len(data)]) + b"\xaf\x12"
    return with_fcs(without_fcs(frame) + data + struct.pack(
        ">H", ip_checksum(data)))


def arista7150(frame, tick, replace=False):
    word = struct.pack(">I", (tick & 0x7FFFFF80) << 1 | tick & 0x7F)
    data = without_fcs(frame) + word
    return data if replace else with_fcs(data)


def keyframe(tick, utc_ns, device=0, port=0, mode=1, skew=None, drops=0):
    """What the switch sends out of the port, so that ticks have a time."""
    body = struct.pack(">QQQ", tick, utc_ns, 0)
    body += struct.pack(">QQ", *skew) if skew else b""
    body += struct.pack(">QQHHBB", tick, drops, device, port, mode, 0)
    return host(ip4(253, body, 0x0A000001, 0xE0000001),
                destination="01005e000001", ethertype=0x0800)


def ttag(frame, ns, ethertype=None):
    """At the end, or behind an EtherType of its own."""
    stamp = (ns & (1 << 48) - 1).to_bytes(6, "big")
    if ethertype is None:
        return with_fcs(without_fcs(frame) + stamp)
    return header(frame, struct.pack(">H", ethertype) + stamp)


def broadcom(frame, seconds, ns, origin=0):
    stamp = (seconds & (1 << 18) - 1) << 30 | ns
    return with_fcs(without_fcs(frame) + stamp.to_bytes(6, "big") + b"\0" +
                    origin.to_bytes(3, "big"))


def raw(frame, data):
    return with_fcs(without_fcs(frame) + data)


# --- headers -----------------------------------------------------------------

def header(frame, data):
    """In front of the EtherType."""
    return with_fcs(frame[:12] + data + without_fcs(frame)[12:])


def vlan(frame, number, ethertype=0x8100):
    return header(frame, struct.pack(">HH", ethertype, number))


def arista7280(frame, seconds, ns, bits=64, utc=False, generation=0):
    """`seconds` in TAI, or with `utc` in that."""
    version = utc << 8 | (1 if bits == 64 else 2) << 4 | generation
    time = struct.pack(">II" if bits == 64 else ">HI",
                       seconds & (1 << bits - 32) - 1, ns)
    return header(frame, struct.pack(">HHH", 0xD28B, 1, version) + time)


def mac48(frame, seconds, ns):
    data = without_fcs(frame)
    return with_fcs(data[:6] + struct.pack(">HI", seconds & 0xFFFF, ns) +
                    data[12:])


# --- files -------------------------------------------------------------------

def as_pcap(packets, linktype=1):
    """Of (time_ns, bytes) or (time_ns, bytes, bytes on the wire)."""
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, linktype)]
    for time_ns, data, *length in packets:
        out.append(struct.pack("<IIII", *divmod(time_ns, 10**9), len(data),
                               length[0] if length else len(data)) + data)
    return b"".join(out)


def write(path, packets):
    with open(path, "wb") as f:
        f.write(as_pcap(packets))
