"""Packets of all kinds that a tcpdump filter can tell apart, made here.

    mix(draw, linktype, count)  [(data, length on the wire)]
    flood(draw, count)          Ethernet, as many flows as packets

Headers of every layer are put together at random: tags and labels, IPv4 with
options and fragments, IPv6 with extension headers, tunnels, and what carries
no IP.  Addresses and ports come from few, so that filters meet; a tenth is cut
short by a snap length.  `draw` is a random.Random: a seed is a mix.
"""

import ipaddress
import struct

ETHERNET, NULL, PPP, RAW, IEEE802_11, LOOP = 1, 0, 9, 101, 105, 108
SLL, RADIOTAP, SLL2, IPV4, IPV6 = 113, 127, 276, 228, 229
LINKTYPES = (ETHERNET, SLL, SLL2, RAW, RADIOTAP, PPP, IEEE802_11, NULL, LOOP,
             IPV4, IPV6)

MACS = [bytes([2, 0, 0, 0, i // 4, i]) for i in range(1, 12)] + [
    b"\xff" * 6, bytes.fromhex("01005e000001"), bytes.fromhex("333300000001"),
    bytes.fromhex("0180c2000000")]
V4 = [ipaddress.ip_address(a).packed for a in (
    "10.0.0.1", "10.0.0.2", "10.0.1.9", "10.1.2.3", "172.16.5.4",
    "192.168.1.1", "192.168.1.254", "198.51.100.7", "224.0.0.251",
    "255.255.255.255", "0.0.0.0", "127.0.0.1")]
V6 = [ipaddress.ip_address(a).packed for a in (
    "2001:db8::1", "2001:db8::2", "2001:db8:1::10", "fe80::1", "ff02::1",
    "ff02::fb", "::1", "2001:db8:ffff:1::7")]
PORTS = (53, 80, 443, 22, 123, 67, 1024, 1194, 4789, 6081, 5353, 33434, 60001,
         65535, 0)
TAGS = (0, 1, 7, 100, 200, 300, 4094)
LABELS = (0, 3, 16, 1024, 100000, 1048575)
SESSIONS = (0, 1, 39, 65535)

VLAN, SVLAN, OLD_SVLAN = 0x8100, 0x88A8, 0x9100
IP, ARP, IP6, MPLS, PPP_DISC, PPP_SES = (0x0800, 0x0806, 0x86DD, 0x8847,
                                         0x8863, 0x8864)
ICMP, IGMP, TCP, UDP, GRE, ESP, AH, ICMP6, OSPF, PIM, VRRP, SCTP = (
    1, 2, 6, 17, 47, 50, 51, 58, 89, 103, 112, 132)
HOPS, ROUTING, FRAGMENT, NONE, DESTINATION = 0, 43, 44, 59, 60
PPP_OF = {IP: 0x0021, IP6: 0x0057, MPLS: 0x0281}
SIZES = (0, 1, 7, 18, 40, 100, 300, 536, 1200, 1460)


def u16(*values):
    return struct.pack(">%dH" % len(values), *values)


def payload(draw):
    return draw.randbytes(draw.choice(SIZES[:6] * 4 + SIZES))


# --- over IP ---------------------------------------------------------------

def tcp(draw):
    options = bytes([1]) * draw.choice((0, 0, 0, 4, 12, 40))
    flags = draw.choice((2, 18, 16, 16, 24, 24, 17, 4, 20, 0, 0x52, 0xC2,
                         0x29, 255))
    return u16(draw.choice(PORTS), draw.choice(PORTS)) + struct.pack(
        ">IIBBHHH", draw.getrandbits(32), draw.getrandbits(32),
        (20 + len(options)) // 4 << 4 | draw.getrandbits(1), flags,
        draw.choice((0, 512, 65535)), draw.getrandbits(16), 0
    ) + options + payload(draw)


def udp(draw, inside=None, port=None):
    inside = payload(draw) if inside is None else inside
    to = draw.choice(PORTS) if port is None else port
    return u16(draw.choice(PORTS), to, (8 + len(inside)) & 0xFFFF,
               draw.getrandbits(16)) + inside


def icmp(draw):
    return bytes([draw.choice((0, 3, 5, 8, 11, 13, 255)),
                  draw.choice((0, 1, 3, 13))]) + draw.randbytes(
                      draw.choice((2, 6, 30, 60)))


def icmp6(draw):
    return bytes([draw.choice((1, 2, 3, 128, 129, 133, 134, 135, 136, 143)),
                  draw.choice((0, 1, 4))]) + draw.randbytes(26)


def gre(draw, depth):
    flags = draw.choice((0, 0, 0x2000, 0x8000, 0xB000))
    optional = draw.randbytes(4 * bin(flags).count("1"))
    kind, inside = network(draw, depth)
    if draw.random() < 0.3:
        kind, inside = 0x6558, ether(draw, depth)
    return u16(flags, kind) + optional + inside


def vxlan(draw, depth):
    return udp(draw, struct.pack(">II", 0x08000000, draw.choice(
        (1, 42, 0xFFFFFF)) << 8) + ether(draw, depth), 4789)


def geneve(draw, depth):
    options = draw.randbytes(4 * draw.choice((0, 0, 1, 3)))
    inside = ether(draw, depth)
    return udp(draw, bytes([len(options) // 4, 0]) + u16(0x6558) + struct.pack(
        ">I", draw.choice((0xB, 42)) << 8) + options + inside, 6081)


def transport(draw, ip, depth):
    """(protocol, its bytes)"""
    kinds = [(TCP, tcp), (TCP, tcp), (TCP, tcp), (UDP, udp), (UDP, udp),
             (ICMP6, icmp6) if ip == 6 else (ICMP, icmp),
             (SCTP, lambda d: u16(d.choice(PORTS), d.choice(PORTS)) +
              d.randbytes(24)),
             (draw.choice((IGMP, ESP, OSPF, PIM, VRRP, 99, 255)),
              lambda d: d.randbytes(d.choice((0, 8, 40))))]
    if depth > 0:
        kinds += [(GRE, lambda d: gre(d, depth - 1)),
                  (UDP, lambda d: vxlan(d, depth - 1)),
                  (UDP, lambda d: geneve(d, depth - 1)),
                  (4, lambda d: ip4(d, depth - 1)),
                  (41, lambda d: ip6(d, depth - 1))]
    kind, make = draw.choice(kinds)
    return kind, make(draw)


def ip4(draw, depth=1):
    kind, inside = transport(draw, 4, depth)
    if draw.random() < 0.06:
        inside = bytes([kind, 4]) + draw.randbytes(22) + inside
        kind = AH
    options = bytes([1]) * draw.choice((0,) * 8 + (4, 12, 40))
    fragment = draw.choice((0, 0, 0x4000, 0x4000, 0x4000, 0x2000, 0x2001,
                            0x00B9, 0x1FFF))
    return struct.pack(
        ">BBHHHBBH", 0x40 | (20 + len(options)) // 4,
        draw.choice((0, 0, 0x10, 0xB8, 3)),
        (20 + len(options) + len(inside)) & 0xFFFF, draw.getrandbits(16),
        fragment, draw.choice((64, 64, 128, 255, 1, 63)), kind,
        draw.getrandbits(16)) + draw.choice(V4) + draw.choice(V4) + \
        options + inside


def extension(draw, kind, follows):
    if kind == FRAGMENT:
        return bytes([follows, 0]) + u16(draw.choice((0, 1, 0x5A8, 0xFFF9))) + \
            draw.randbytes(4)
    if kind == AH:
        return bytes([follows, 4]) + draw.randbytes(22)
    more = draw.choice((0, 0, 1, 3))
    return bytes([follows, more]) + bytes(6 + 8 * more)


def ip6(draw, depth=1):
    kind, inside = transport(draw, 6, depth)
    for _ in range(draw.choice((0, 0, 0, 0, 1, 1, 2, 4))):
        one = draw.choice((HOPS, ROUTING, FRAGMENT, DESTINATION, AH))
        inside = extension(draw, one, kind) + inside
        kind = one
    return struct.pack(">IHBB", 6 << 28 | draw.getrandbits(28),
                       len(inside) & 0xFFFF, kind, draw.choice(
                           (64, 255, 1))) + draw.choice(V6) + \
        draw.choice(V6) + inside


# --- below IP --------------------------------------------------------------

def arp(draw):
    return u16(1, IP, 0x0604, draw.choice((1, 2, 3, 4))) + \
        draw.choice(MACS) + draw.choice(V4) + bytes(6) + draw.choice(V4) + \
        bytes(18)


def mpls(draw, depth):
    labels = [draw.choice(LABELS) for _ in range(draw.choice((1, 1, 2, 3)))]
    out = b"".join(struct.pack(">I", label << 12 | (n == len(labels) - 1) << 8
                               | 64) for n, label in enumerate(labels))
    return out + draw.choice((ip4, ip4, ip6))(draw, depth)


def ppp(draw, depth):
    """The protocol's two bytes, and what follows."""
    kind, inside = network(draw, depth)
    if kind not in PPP_OF:
        return u16(draw.choice((0xC021, 0x8021, 0xC223))) + payload(draw)
    return u16(PPP_OF[kind]) + inside


def pppoe(draw, depth):
    inside = ppp(draw, depth)
    return struct.pack(">BBHH", 0x11, 0, draw.choice(SESSIONS),
                       len(inside) & 0xFFFF) + inside


def network(draw, depth):
    """(ethertype, its bytes)"""
    pick = draw.random()
    if pick < 0.55:
        return IP, ip4(draw, depth)
    if pick < 0.78:
        return IP6, ip6(draw, depth)
    if pick < 0.84:
        return ARP, arp(draw)
    if pick < 0.90:
        return MPLS, mpls(draw, depth)
    return draw.choice((0x88CC, 0x88B5, 0x8035, 0x6003, 0x809B, 0x80F3)), \
        draw.randbytes(draw.choice((2, 46, 90)))


def tagged(draw, depth):
    """What stands behind a link header that ends with an ethertype."""
    kind, inside = network(draw, depth)
    if draw.random() < 0.10:
        kind, inside = PPP_SES, pppoe(draw, depth)
    elif draw.random() < 0.02:
        kind, inside = PPP_DISC, struct.pack(">BBHH", 0x11, 9, 0, 4) + bytes(4)
    out = u16(kind) + inside
    for _ in range(draw.choice((0,) * 6 + (1, 1, 2, 3))):
        out = u16(draw.choice((VLAN, VLAN, SVLAN, OLD_SVLAN)),
                  draw.choice((0, 0x6000, 0x1000)) |
                  draw.choice(TAGS)) + out
    return out


def llc(draw):
    """802.2 behind a length: STP, IS-IS, SNAP, IPX, NetBEUI."""
    pick = draw.choice((b"\x42\x42\x03", b"\xfe\xfe\x03\x83" + draw.randbytes(
        2) + b"\1\0" + bytes([draw.choice((15, 16, 17, 18, 20, 24, 25, 26,
                                           27))]),
                        b"\xe0\xe0\x03", b"\xf0\xf0\x03",
                        b"\xaa\xaa\x03" + bytes(3) + tagged(draw, 0)))
    return pick + draw.randbytes(draw.choice((3, 40)))


def ether(draw, depth=1):
    out = draw.choice(MACS) + draw.choice(MACS)
    if draw.random() < 0.04:
        inside = llc(draw)
        return out + u16(len(inside)) + inside
    return out + tagged(draw, depth)


def wlan(draw):
    """A frame of 802.11: data with LLC and SNAP, management, control."""
    pick = draw.random()
    macs = [draw.choice(MACS) for _ in range(4)]
    ways = draw.choice((0, 1, 2, 3))
    order = draw.choice((0, 0, 0x40, 0x08))
    if pick < 0.2:
        return bytes([draw.choice((0x80, 0x40, 0xB0, 0xC0)), order, 0, 0]) + \
            macs[0] + macs[1] + macs[2] + draw.randbytes(32)
    if pick < 0.3:
        return bytes([draw.choice((0xD4, 0xB4, 0xC4)), 0, 0, 0]) + macs[0] + \
            macs[1]
    quality = draw.getrandbits(1)
    head = bytes([0x88 if quality else 0x08, ways | order, 0, 0]) + \
        macs[0] + macs[1] + macs[2] + draw.randbytes(2)
    if ways == 3:
        head += macs[3]
    if quality:
        head += draw.randbytes(2)
    return head + b"\xaa\xaa\x03" + bytes(3) + tagged(draw, 1)


def radiotap(draw):
    more = draw.choice((0, 4, 10, 16, 28))
    return struct.pack("<BBHI", 0, 0, 8 + more, 0) + draw.randbytes(more) + \
        wlan(draw)


def cooked(draw):
    return u16(draw.choice((0, 1, 2, 3, 4)), 1, 6) + draw.choice(MACS) + \
        bytes(2) + tagged(draw, 1)


def cooked2(draw):
    inside = tagged(draw, 1)
    return inside[:2] + bytes(2) + struct.pack(
        ">IHBB", draw.choice((1, 2, 7)), 1, draw.choice((0, 1, 2, 3, 4)), 6
    ) + draw.choice(MACS) + bytes(2) + inside[2:]


def either(draw):
    return draw.choice((ip4, ip4, ip6))(draw)


def with_family(order):
    def make(draw):
        inside = either(draw)
        family = 2 if inside[0] >> 4 == 4 else draw.choice((24, 28, 30))
        return struct.pack(order + "I", draw.choice((family,) * 9 + (99,))) + \
            inside
    return make


MAKE = {ETHERNET: ether, NULL: with_family("<"), LOOP: with_family(">"),
        PPP: lambda d: b"\xff\x03" * (d.random() < 0.8) + ppp(d, 1),
        RAW: either, IPV4: ip4, IPV6: ip6, IEEE802_11: wlan, SLL: cooked,
        RADIOTAP: radiotap, SLL2: cooked2}


def cut(draw, data):
    """(what was captured, length on the wire)"""
    pick = draw.random()
    if pick < 0.01:
        return data[:draw.randrange(20)], len(data)
    if pick < 0.10:
        return data[:draw.choice((34, 40, 54, 64, 68, 96))], len(data)
    if pick < 0.12:
        return data + bytes(8), len(data) + 8       # a trailer
    return data, len(data)


def mix(draw, linktype, count):
    return [cut(draw, MAKE[linktype](draw)) for _ in range(count)]


def flood(draw, count):
    """A scan: each packet a flow of its own, or nearly."""
    head = MACS[0] + MACS[1] + u16(IP)
    ip = struct.Struct(">BBHHHBBHII")
    rest = struct.Struct(">HHIIBBHHH")
    out = []
    for n in range(count):
        data = head + ip.pack(0x45, 0, 40, n & 0xFFFF, 0, 64, TCP, 0,
                              draw.getrandbits(32), 0x0A000001) + \
            rest.pack(1024 + n * 7 % 60000, draw.choice((80, 443, 22)),
                      draw.getrandbits(32), 0, 0x50, 2, 1024, 0, 0)
        out.append((data, len(data)))
    return out
