"""tcpdump filters: those of the manuals, and any that the grammar has.

    some = Filters(draw, linktype, packets)
    some.manual()       those of pcap-filter(7) and tcpdump(8)
    some.any()          one at random

What they ask for (addresses, ports, tags, bytes) is drawn from `packets`, so
that they find something, and from elsewhere.  `draw` is a random.Random: a
seed is a list of filters.  Which ones a link type has tcpdump must say;
left out are those that need more than the packets: names of hosts, gateways.
Left out are those of which libpcap 1.10.3
makes programs that have no answer: `protochain`, which never ends on packets
with an authentication header that leads back to itself, and `geneve` where
memory is read that was not written: over headers of varying length, and behind
`or`.
"""

import ipaddress
import struct

import mixes

# Where the ethertype stands, or the IP header itself.
TYPE_AT = {mixes.ETHERNET: 12, mixes.SLL: 14, mixes.SLL2: 0}
HEADER_BYTES = {mixes.ETHERNET: 14, mixes.SLL: 16, mixes.SLL2: 20}
IP_AT = {mixes.RAW: 0, mixes.IPV4: 0, mixes.IPV6: 0, mixes.NULL: 4,
         mixes.LOOP: 4}
TAGS = (0x8100, 0x88A8, 0x9100)
WIRELESS = (mixes.IEEE802_11, mixes.RADIOTAP)
WITH_MACS = (mixes.ETHERNET, *WIRELESS)
DEPTH_MAX = 4

# Of the manual pages.  {a} and {b} are hosts, {n} a net, {p} and {q} ports,
# {v} and {w} tags, {m} and {l} labels, {e} and {f} stations, {s} and {t} IPv6.
MANUAL = """
host {a}
host {a} and ( {b} or 10.0.0.2 )
ip host {a} and not {b}
net {n}
tcp port 21 or 20
ip and not net {n}
tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net {n}
tcp[tcpflags] & (tcp-rst|tcp-ack) == (tcp-rst|tcp-ack)
tcp port {p} and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)
ip[2:2] > 576
ether[0] & 1 = 0 and ip[16] >= 224
icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply
tcp[13] == 2
tcp[13] & 2 == 2
tcp[13] == 18
tcp[tcpflags] == tcp-syn
tcp[tcpflags] & tcp-syn != 0
tcp[tcpflags] & tcp-push != 0
tcp[tcpflags] & (tcp-ece|tcp-cwr) != 0
tcp[tcpflags] & tcp-urg != 0
ether[0] & 1 != 0
ip[0] & 0xf != 5
ip[6:2] & 0x1fff = 0
ip[6] & 0x20 != 0
not host {a} and not port {p} and not port {q}
not host {a} and not host {b}
host {a} and host {b}
tcp dst port 21 or 20 or 53
tcp dst port 21 or tcp dst port 20 or tcp dst port 53
src {a}
dst {b}
src or dst port 20
src and dst {a}
src or dst net {n}
src net {n} and dst net {n}
net {n} and not host {a}
dst host {a}
src host {b}
host {s}
ip6 host {t}
src host {s} and dst host {t}
ip6 net 2001:db8::/32
src net 2001:db8:1::/48
ip6 net ff00::/8
net 10.0.0.0 mask 255.255.254.0
net 10
net 192.168.1
net 0.0.0.0/0
ether dst {e}
ether src {f}
ether host {e}
ether host {e} and ip
ether src host {e} or ether dst host {f}
dst port {p}
src port {q}
port {p}
udp port {p}
tcp src port {p}
sctp port {p}
port {p} or port {q}
dst portrange 20-1024
src portrange {q}-{p}
portrange 6000-6008
tcp portrange 0-65535
udp src portrange 1024-65535
less 64
greater 1000
len <= 60
len >= 1514
len = 60
len - 14 > 40
ip proto \\tcp
ip6 proto 6
proto \\udp
ip proto 47
ip6 proto 44
ether broadcast
ether multicast
ip broadcast
ip multicast
ip6 multicast
ether proto 0x0806
ether proto \\ip
ether proto \\ip6
ether proto 0x88cc
ether proto 512
ip
ip6
arp
rarp
atalk
aarp
decnet
iso
stp
ipx
netbeui
lat
moprc
mopdl
ah
esp
pim
vrrp
igmp
igrp
sctp
icmp
icmp6
tcp
udp
arp or rarp
not arp
clnp
esis
isis
l1
l2
iih
lsp
snp
csnp
psnp
iso proto \\isis
iso proto 0x82
llc
llc i
llc s
llc u
llc rr
llc ui
llc sabme
vlan
vlan {v}
vlan and vlan {v}
vlan {v} && vlan {w}
vlan && vlan 300 && ip
vlan and tcp
vlan {v} and host {a}
not vlan
not vlan and tcp
tcp and not vlan
vlan and not tcp
ip or (vlan and ip)
tcp or (vlan and tcp)
vlan or ip
mpls
mpls {m}
mpls 100000 && mpls 1024
mpls and mpls
mpls && mpls {l} && host {a}
mpls and ip
mpls and ip6
mpls and tcp port {p}
not mpls and udp
pppoed
pppoes
pppoes 0x27
pppoes && ip
pppoes 0x27 && ip
pppoes and tcp port {p}
vlan and pppoes and ip
geneve
geneve 0xb
geneve 0xb && ip
geneve and tcp port {p}
not geneve and tcp
(arp or geneve) and host {a}
icmp[icmptype] = icmp-unreach
icmp[icmpcode] = 3
icmp6[icmp6type] = icmp6-neighborsolicit
icmp6[0] = 128
icmp6[icmp6type] = icmp6-echo or icmp[icmptype] = icmp-echo
udp[8:4] = 0x08000000
udp[2:2] = 4789 and udp[8] & 8 != 0
udp[4:2] > 100
tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420
ip[8] < 5
ip[9] = 6 and ip[12:4] = 0x0a000001
ip[1] & 0xfc == 0xb8
ip[1] & 3 != 0
ip6[6] = 0
ip6[7] = 255
ip6[40] = 6
ip6[4:2] > 200
ether[12:2] > 1500
ether[12:2] = 0x8100 and ether[16:2] = 0x0800
ether[0:4] = 0xffffffff and ether[4:2] = 0xffff
arp[6:2] = 2
arp[14:4] = 0x0a000001
host {a} or arp host {b}
arp host {a}
arp net {n}
link[0] & 1 = 1
link[0:2] = 0
ppp[0:2] = 0x21
inbound
outbound
not inbound
ifindex 2
wlan type mgt
wlan type ctl
wlan type data
type data subtype qos-data
type mgt subtype beacon
subtype ack
wlan addr1 {e}
wlan addr2 {f}
wlan ra {e}
wlan ta {f}
wlan host {e}
wlan src {e} and wlan dst {f}
dir tods
dir fromds
dir nods
wlan[0] & 0x0c = 0x08
wlan[0] != 0x80
radio[2:2] > 8
"""


def number(draw, value):
    return draw.choice(("%d", "%d", "0x%x")) % value


def view(linktype, data):
    """(where the IP header is, which one, where the transport's is, the
    protocol, tags); None for what has none."""
    tags = []
    at = IP_AT.get(linktype)
    if at is None and linktype in TYPE_AT:
        where, at = TYPE_AT[linktype], HEADER_BYTES[linktype]
        kind = int.from_bytes(data[where:where + 2], "big")
        while kind in TAGS and len(data) >= at + 4:
            tags.append(int.from_bytes(data[at:at + 2], "big") & 4095)
            kind = int.from_bytes(data[at + 2:at + 4], "big")
            at += 4
        if kind not in (0x0800, 0x86DD):
            return None
    if at is None or len(data) < at + 20:
        return None
    if data[at] >> 4 == 4:
        return at, 4, at + data[at] % 16 * 4, data[at + 9], tags
    if data[at] >> 4 == 6 and len(data) >= at + 40:
        return at, 6, at + 40, data[at + 6], tags
    return None


class Filters:
    def __init__(self, draw, linktype, packets):
        self.draw, self.linktype = draw, linktype
        self.packets = [data for data, _ in packets if data]
        self.views = []
        self.hosts, self.hosts6, self.ports = [], [], []
        self.macs, self.tags = list(mixes.MACS), list(mixes.TAGS)
        for data in self.packets:
            self._see(data)
        self.lengths = [length for _, length in packets]
        self.hosts += mixes.V4[:6]
        self.hosts6 += mixes.V6[:4]
        self.ports += mixes.PORTS[:6]

    def _see(self, data):
        if self.linktype == mixes.ETHERNET and len(data) >= 12:
            self.macs += [data[:6], data[6:12]]
        seen = view(self.linktype, data)
        if seen is None:
            return
        at, ip, transport, protocol, tags = seen
        self.views.append((data, *seen))
        self.tags += tags
        size = 4 if ip == 4 else 16
        first = at + (12 if ip == 4 else 8)
        (self.hosts if ip == 4 else self.hosts6).extend(
            (data[first:first + size], data[first + size:first + 2 * size]))
        if protocol in (6, 17, 132) and len(data) >= transport + 4:
            self.ports += struct.unpack_from(">HH", data, transport)

    # --- what is asked for ------------------------------------------------

    def host(self):
        if self.draw.random() < 0.15:
            return "203.0.113.%d" % self.draw.randrange(256)
        return str(ipaddress.ip_address(self.draw.choice(self.hosts)))

    def host6(self):
        if self.draw.random() < 0.15:
            return "2001:db8:dead::%x" % self.draw.randrange(1, 65536)
        return str(ipaddress.ip_address(self.draw.choice(self.hosts6)))

    def net(self, ip=4):
        bits = self.draw.choice((8, 12, 16, 20, 23, 24, 25, 30, 31, 32)
                                if ip == 4 else (3, 16, 32, 33, 48, 64, 127,
                                                 128))
        host = self.draw.choice(self.hosts if ip == 4 else self.hosts6)
        return str(ipaddress.ip_network((host, bits), strict=False))

    def port(self):
        if self.draw.random() < 0.1:
            return self.draw.randrange(65536)
        return self.draw.choice(self.ports)

    def mac(self):
        if self.draw.random() < 0.1:
            return "02:de:ad:00:00:%02x" % self.draw.randrange(256)
        return ":".join("%02x" % b for b in self.draw.choice(self.macs))

    def tag(self):
        return self.draw.choice(self.tags)

    def label(self):
        return self.draw.choice(mixes.LABELS)

    def way(self):
        return self.draw.choice(("", "", "src ", "dst ", "src or dst ",
                                 "src and dst "))

    def manual(self):
        """All of them, in an order of their own each time."""
        low, high = sorted((self.port(), self.port()))
        words = dict(
            a=self.host(), b=self.host(), n=self.net(), p=high, q=low,
            v=self.tag(), w=self.tag(), m=self.label(), l=self.label(),
            e=self.mac(), f=self.mac(), s=self.host6(), t=self.host6())
        out = [line.format(**words) for line in MANUAL.strip().splitlines()
               if "geneve" not in line or self.linktype == mixes.ETHERNET]
        self.draw.shuffle(out)
        return out

    # --- primitives -------------------------------------------------------

    def _address(self):
        pick = self.draw.random()
        way = self.way()
        if pick < 0.4:
            return "%shost %s" % (way, self.host())
        if pick < 0.55:
            return "%shost %s" % (way, self.host6())
        if pick < 0.85:
            return "%snet %s" % (way, self.net())
        return "%s%snet %s" % (self.draw.choice(("", "ip6 ")), way,
                               self.net(6))

    def _ports(self):
        over = self.draw.choice(("", "", "tcp ", "udp ", "sctp "))
        if self.draw.random() < 0.6:
            return "%s%sport %d" % (over, self.way(), self.port())
        low, high = sorted((self.port(), self.port()))
        return "%s%sportrange %d-%d" % (over, self.way(), low, high)

    def _protocol(self):
        draw = self.draw
        return draw.choice((
            "ip", "ip6", "tcp", "udp", "icmp", "icmp6", "arp", "sctp", "esp",
            "ah", "igmp", "pim", "vrrp", "rarp", "iso", "stp",
            "ip proto %d" % draw.choice((1, 6, 17, 47, 50, 89, 132, 255)),
            "ip6 proto %d" % draw.choice((0, 6, 17, 43, 44, 58, 60)),
            "proto %d" % draw.choice((6, 17, 47)),
            "ip multicast", "ip6 multicast",
            "ether proto %s" % number(draw, draw.choice(
                (0x800, 0x806, 0x86DD, 0x8847, 0x8864, 0x88CC, 0x8100)))))

    def _station(self):
        draw = self.draw
        if self.linktype in WIRELESS and draw.random() < 0.5:
            return draw.choice((
                "wlan addr%d %s" % (draw.randint(1, 4), self.mac()),
                "wlan type %s" % draw.choice(("mgt", "ctl", "data")),
                "type mgt subtype %s" % draw.choice(("beacon", "deauth",
                                                     "probe-req")),
                "dir %s" % draw.choice(("nods", "tods", "fromds", "dstods"))))
        if self.linktype not in WITH_MACS:
            return self._protocol()
        return draw.choice(("ether host %s", "ether src %s", "ether dst %s",
                            "ether src or dst %s")) % self.mac() \
            if draw.random() < 0.7 else draw.choice((
                "ether multicast", "ether broadcast"))

    def _size(self):
        size = self.draw.choice(self.lengths) + self.draw.choice((-1, 0, 1))
        size = max(size, 0)
        return self.draw.choice((
            "greater %d" % size, "less %d" % size, "len = %d" % size,
            "len != %d" % size, "len > %d" % size, "len <= %d" % size,
            "len & %d = 0" % self.draw.choice((1, 3, 64)),
            "len - %d >= %d" % (self.draw.choice((14, 34, 54)), size // 2)))

    def _shift(self):
        """What changes where all that follows looks."""
        draw = self.draw
        if self.linktype != mixes.ETHERNET and draw.random() < 0.8:
            return draw.choice(("mpls", "mpls %d" % self.label()))
        pick = draw.random()
        if pick < 0.5:
            return "vlan" if draw.random() < 0.5 else "vlan %d" % self.tag()
        if pick < 0.7:
            return "mpls" if draw.random() < 0.5 else "mpls %d" % self.label()
        if pick < 0.9:
            return "pppoes" if draw.random() < 0.5 else "pppoes %d" % \
                draw.choice(mixes.SESSIONS)
        return "pppoed"

    def _value(self, base, offset, size):
        """A value that stands there in some packet, or any."""
        draw = self.draw
        if draw.random() < 0.75 and self.packets:
            for _ in range(8):
                where = self._where(base)
                if where and len(where[0]) >= where[1] + offset + size:
                    at = where[1] + offset
                    return int.from_bytes(where[0][at:at + size], "big")
        return draw.choice((0, 1, draw.getrandbits(8 * size),
                            (1 << 8 * size) - 1))

    def _where(self, base):
        draw = self.draw
        if base in ("ether", "link", "ppp", "wlan", "radio", "arp"):
            return draw.choice(self.packets), 14 if base == "arp" else 0
        if not self.views:
            return None
        data, at, ip, transport, protocol, _ = draw.choice(self.views)
        if base == "ip":
            return (data, at) if ip == 4 else None
        if base == "ip6":
            return (data, at) if ip == 6 else None
        want = {"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "sctp": 132}
        return (data, transport) if protocol == want.get(base) else None

    def _load(self):
        """(text, base, offset, size)"""
        draw = self.draw
        bases = ["ip"] * 4 + ["tcp"] * 4 + ["udp"] * 2 + ["ip6"] * 2 + [
            "icmp", "icmp6", "sctp", "arp", "link", "link"]
        if self.linktype in WITH_MACS:
            bases += ["ether"] * 3
        if self.linktype in WIRELESS:
            bases += ["wlan"] * 3
        base = draw.choice(bases)
        size = draw.choice((1, 1, 1, 2, 2, 4))
        most = {"ip": 24, "ip6": 44, "tcp": 24, "udp": 16}.get(base, 20)
        offset = draw.randrange(most)
        if draw.random() < 0.05:
            offset = draw.choice((60, 100, 127, 128, 129, 400, 1480))
        return "%s[%d%s]" % (base, offset, "" if size == 1 else ":%d" % size
                             ), base, offset, size

    def _bytes(self):
        draw = self.draw
        text, base, offset, size = self._load()
        value = self._value(base, offset, size)
        relation = draw.choice(("=", "=", "!=", ">", "<", ">=", "<="))
        pick = draw.random()
        if pick < 0.4:
            return "%s %s %s" % (text, relation, number(draw, value))
        if pick < 0.7:
            mask = draw.choice((1, 2, 0xF, 0xF0, 0x3F, 0xFC, 0xFF00, 0x1FFF,
                                0xFFFFFF00, 1 << draw.randrange(8 * size)))
            return "%s & %s %s %s" % (
                text, number(draw, mask), draw.choice(("=", "!=")),
                number(draw, draw.choice((0, value & mask))))
        if pick < 0.85:
            how, by = draw.choice((
                ("+", 7), ("-", 5), ("*", 3), ("/", 10), ("%", 3), ("|", 0x11),
                ("^", 0x55), ("<<", 2), (">>", 4)))
            after = {"+": value + by, "-": value - by, "*": value * by,
                     "/": value // by, "%": value % by, "|": value | by,
                     "^": value ^ by, "<<": value << by,
                     ">>": value >> by}[how] & 0xFFFFFFFF
            return "(%s %s %d) %s %d" % (text, how, by, relation, after)
        return draw.choice((
            "%s %s %s" % (text, relation, self._load()[0]),
            "ip[2:2] - ((ip[0] & 0xf) << 2) %s %d" % (relation, value & 1023),
            "ip[(ip[0] & 0xf) << 2] = %d" % (value & 255),
            "tcp[(tcp[12] & 0xf0) >> 2] = %d" % (value & 255),
            "%s[%s & 15] > %d" % (base, text, value & 255),
            "len - 14 %s ip[2:2]" % relation))

    # --- together ---------------------------------------------------------

    def any(self):
        return self._expression(self.draw.choice((0, 1, 1, 2, 2, 3, DEPTH_MAX)))

    def _expression(self, depth):
        draw = self.draw
        if depth == 0:
            make = draw.choice((self._address,) * 4 + (self._ports,) * 4 + (
                self._bytes,) * 5 + (self._protocol,) * 3 + (
                self._station, self._size, self._size, self._shift,
                self._shift))
            return make()
        pick = draw.random()
        if pick < 0.2:
            return "not (%s)" % self._expression(depth - 1)
        one = self._expression(depth - 1)
        two = self._expression(draw.randrange(depth))
        word = draw.choice(("and", "and", "or", "&&", "||"))
        if draw.random() < 0.5:
            return "(%s) %s (%s)" % (one, word, two)
        return "%s %s %s" % (one, word, two)
