#!/usr/bin/env python3
"""Write seeds of the fuzz targets: run it in tests/fuzz.

Each seed is one small input that takes a branch of its own.
"""
import os
import random
import struct
import sys

sys.path.insert(0, os.path.join("..", "system"))
import trailers


def option(e, code, value):
    pad = b"\0" * (-len(value) % 4)
    return struct.pack(e + "HH", code, len(value)) + value + pad


END = b"\0\0\0\0"


def block(e, kind, body):
    size = len(body) + 12
    return (struct.pack(e + "II", kind, size) + body +
            struct.pack(e + "I", size))


def shb(e, major=1, minor=0, options=b""):
    return block(e, 0x0A0D0D0A,
                 struct.pack(e + "IHHq", 0x1A2B3C4D, major, minor, -1) +
                 options)


def idb(e, linktype=1, snaplen=0, options=b""):
    return block(e, 1, struct.pack(e + "HHI", linktype, 0, snaplen) + options)


def data_of(data):
    return data + b"\0" * (-len(data) % 4)


def epb(e, interface, ticks, data, options=b"", original=None):
    return block(e, 6, struct.pack(
        e + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data),
        len(data) if original is None else original) + data_of(data) +
        options)


def packet_block(e, drops, data, options=b""):
    return block(e, 2, struct.pack(
        e + "HHIIII", 0, drops, 0, 5, len(data), len(data)) +
        data_of(data) + options)


def isb(e, options=b""):
    return block(e, 5, struct.pack(e + "III", 0, 0, 7) + options)


def pcap(e, magic, minor, linktype, records):
    out = struct.pack(e + "IHHiIII", magic, 2, minor, 0, 0, 65535, linktype)
    for seconds, fraction, first, second, data in records:
        out += struct.pack(e + "IIII", seconds, fraction, first, second)
        out += data
    return out


def own(kind, rest=b"", e="<", pen=32473):
    return option(e, 2989, struct.pack(e + "I", pen) + b"PB\1" +
                  bytes([kind]) + rest)


def node(name, description):
    return bytes([len(name), len(description)]) + name + description


def identity(nodes, interface, epoch=1, first=1):
    return own(1, struct.pack("<QQB", epoch, first, len(nodes)) +
               b"".join(nodes) + bytes([len(interface)]) + interface)


def hops(count):
    return own(2, b"".join(struct.pack("<QQ", 1000 + i, i + 1)
                           for i in range(count)))


def clocked(e, tsresol):
    """A section whose one packet has the largest tick count."""
    return (shb(e) + idb(e, 1, 0, option(e, 9, tsresol)) +
            epb(e, 0, 2 ** 64 - 1, b"x"))


def packet_options(e):
    return (option(e, 1, b"comment") +
            option(e, 2, struct.pack(e + "I", 5)) +
            option(e, 3, b"\2hash") +
            option(e, 4, struct.pack(e + "Q", 9)) +
            option(e, 5, struct.pack(e + "Q", 77)) +
            option(e, 6, struct.pack(e + "I", 1)) +
            option(e, 7, b"\1" + struct.pack(e + "Q", 2)) +
            option(e, 8, struct.pack(e + "II", 1, 2)) +
            hops(2) + option(e, 99, b"unknown") + END)


def interface_options(e):
    bpf = b"\1" + struct.pack(e + "HBBI", 6, 0, 0, 1)
    return (option(e, 2, b"eth0") + option(e, 9, b"\x09") +
            option(e, 8, struct.pack(e + "Q", 10 ** 9)) +
            option(e, 11, bpf) +
            option(e, 14, struct.pack(e + "q", -3600)) + END)


def seeds_in_order(e):
    frame = bytes(range(60))
    start = (shb(e, options=option(e, 4, b"seed") + END) +
             idb(e, 1, 96, interface_options(e)))
    yield "packets", start + 2 * epb(e, 0, 4 * 10 ** 18, frame,
                                     packet_options(e))
    yield "simple", start + block(e, 3, struct.pack(e + "I", 60) + frame)
    yield "old", start + packet_block(e, 3, b"old",
                                      option(e, 2, b"\1\2\3\4"))
    yield "statistics", start + isb(
        e, option(e, 4, struct.pack(e + "Q", 5)) + END)
    yield "others", start + b"".join(
        block(e, kind, b"whatever")
        for kind in (4, 10, 0xBAD, 0x40000BAD, 0x80000001))
    yield "binary-clock", clocked(e, b"\xBF")
    yield "fine-clock", clocked(e, b"\x13")
    yield "pcap-us", pcap(e, 0xA1B2C3D4, 4, 1, [(1, 2, 4, 60, b"abcd")])
    yield "pcap-ns", pcap(e, 0xA1B23C4D, 4, 0x24000001,
                          [(1, 2, 4, 4, b"abcd")])
    yield "pcap-2.2", pcap(e, 0xA1B2C3D4, 2, 1, [(1, 2, 60, 4, b"abcd")])
    yield "other-version", (shb(e, 2) + block(e, 1, b"") + shb(e) + idb(e) +
                            epb(e, 0, 1, b"x"))


def reader_seeds():
    for order, e in (("le", "<"), ("be", ">")):
        for name, data in seeds_in_order(e):
            yield order + "-" + name, data
    yield "both-orders", (shb("<") + idb("<") + epb("<", 0, 1, b"a") +
                          shb(">") + idb(">") + epb(">", 0, 1, b"b"))
    yield "cut-short", shb("<") + idb("<") + epb("<", 0, 1, b"a")[:-3]
    yield "zero-tail", shb("<") + idb("<") + b"\0" * 64
    yield "option-leaves", shb("<", options=b"\1\0\xFF\xFFabcd")
    yield "caplen-leaves", (shb("<") + idb("<") + block("<", 6, struct.pack(
        "<IIIII", 0, 0, 1, 5000, 5000) + b"abcd"))
    yield "huge-block", (shb("<") + struct.pack("<II", 6, 0xFFFFFFF0) +
                         b"abcdefgh")
    yield "filler", (shb("<") + idb("<") +
                     isb("<", own(3, b"\0" * 16) + END))
    yield "empty", b""


def hop_seeds():
    two = [node(b"lon1", b"London, rack 4"), node(b"core", b"")]
    full = [node(b"n" * 64, b"d" * 255)] * 16
    yield "identity", option("<", 3, b"any") + identity(two, b"eth0")
    yield "identity-full", identity(full, b"i" * 80)
    yield "identity-no-epoch", identity(two, b"eth0", epoch=0)
    yield "identity-cut", own(1, struct.pack("<QQBBB", 1, 1, 2, 64, 255) +
                              b"lon")
    yield "identity-17-nodes", identity([node(b"a", b"")] * 17, b"eth0")
    yield "identity-bad-name", identity([node(b"../x", b"")], b"eth0")
    yield "identity-tail", own(1, struct.pack("<QQB", 1, 1, 1) +
                               node(b"a", b"") + b"\4eth0tail")
    for count in (0, 1, 2, 14, 15, 16):
        yield "hops-%d" % count, (option("<", 5, b"\1" + b"\0" * 7) +
                                  hops(count))
    yield "hops-then-more", hops(1) + option("<", 1, b"comment")
    yield "hops-uneven", own(2, b"\1" * 21)
    yield "hops-twice", hops(1) + hops(2)
    yield "hops-other-pen", own(2, b"\1" * 16, pen=70000)
    yield "untimed", own(4)
    yield "other-version", option("<", 2989, b"\xD9\x7E\0\0PB\2\2")
    yield "leaves", b"\xAD\x0B\x40\0\xD9\x7E\0\0PB\1\2"


def body(seqs, options=b"", e="<", shb_options=b""):
    """A section as a sender makes it; packets one byte long."""
    return (shb(e, options=shb_options) +
            idb(e, 1, 0, option(e, 9, b"\x09") + END) +
            b"".join(epb(e, 0, 10 ** 18 + seq, b"x",
                         option(e, 5, struct.pack(e + "Q", seq)) + options +
                         END) for seq in seqs))


def importer_seeds():
    """Byte 0: 1 keeps secrets, 2 forces the interface's name."""
    for order, e in (("le", "<"), ("be", ">")):
        for name, data in seeds_in_order(e):
            yield order + "-" + name, b"\0" + data
        yield order + "-names", (
            b"\1" + shb(e) + block(e, 4, b"names, no end") +
            block(e, 4, struct.pack(e + "HH", 1, 9) + b"\x7f\0\0\1lo\0\0" +
                  b"\0\0\0\0\0\0\0") +
            idb(e) + epb(e, 0, 1, b"x") +
            block(e, 10, struct.pack(e + "II", 0x544C534B, 4) + b"keys") +
            isb(e, option(e, 2, b"\1\2\3\4\5\6\7\x08") +
                option(e, 3, b"\1\2\3\4\5\6\7\x08") + END))
    two = (shb("<") + idb("<", options=option("<", 2, b"eth0") + END) +
           idb("<", 113, options=option("<", 9, b"\x94") + END))
    packets = b"".join(epb("<", i % 2, i, b"abcdef"[:i]) for i in range(6))
    yield "two-interfaces", b"\0" + two + packets
    yield "two-sections", b"\0" + (two + packets) * 2
    yield "forced-name", b"\2" + two + packets
    yield "statistics-first", (b"\0" + two + isb("<") + packets +
                               block("<", 0xBAD, b"tail"))
    yield "no-packets", b"\0" + two
    yield "late-interface", (b"\0" + two + packets + idb("<") +
                             epb("<", 2, 9, b"late"))
    yield "own-options", b"\0" + two + epb(
        "<", 0, 1, b"x", option("<", 5, b"\7" * 8) + hops(2) + own(4) + END)


CONF = b"""[node]
name = lon1
description = London, rack 4
[store]
path = /var/lib/packetbroker
"""
TLS = b"tls_cert = /a.pem\ntls_key = /a.key\ntls_ca = /ca.pem\n"


def conf_seeds():
    for name in ("edge", "relay", "core", "packetbroker"):
        with open("../../conf/%s.conf" % name, "rb") as sample:
            yield name, sample.read()
    yield "least", CONF
    yield "crlf", CONF.replace(b"\n", b"\r\n")
    yield "bom", b"\xef\xbb\xbf" + CONF
    yield "nul", CONF + b"min_free = 5\0%\n"
    yield "sizes", CONF + (b"segment_size = 1.5GiB\nsegment_age = 90m\n"
                           b"flush_interval = 1ms\nretain_size = 0\n"
                           b"retain_age = 7d\nmin_free = 99%\n"
                           b"index_size = 18446744073709551615\n")
    yield "captures", CONF + (b"[capture eth0]\nsnaplen = 96\n"
                              b"filter = tcp port 80 ; web\n[capture any]\n"
                              b"promiscuous = no\nbuffer = 2MiB\n")
    yield "capture-twice", CONF + b"[capture a]\n[capture a]\n"
    yield "circle", CONF + (
        b"[capture a]\nforward = b\n[capture b]\nforward = c\n"
        b"[capture c]\nforward = a\ndirection = in\n")
    yield "upstreams", CONF + (
        b"[upstream core]\nurl = https://core.example:7152/\n" + TLS +
        b"rate_limit = 100Mbit\ncompress = zstd\nstreams = a/*, b/?\n"
        b"[upstream b]\nurl = http://[::1]:7152\ntls = off\n")
    yield "listen", CONF + b"[listen]\naddress = [::]:7152\n" + TLS + (
        b"allow = lon*, relay:par1\n")
    yield "tls-half", CONF + b"[listen]\naddress = *:1\ntls = off\n" + TLS
    yield "key-twice", CONF + b"path = /b\n"
    yield "key-first", b"name = lon1\n" + CONF
    yield "key-unknown", CONF + b"segmentsize = 1MiB\n"
    yield "section-unknown", CONF + b"[captures eth0]\n"
    yield "section-open", CONF + b"[listen\naddress = a:1\n"
    yield "no-value", CONF + b"min_free\n"
    yield "continued", CONF + b"min_free =\n   5%\n"
    yield "long-line", CONF + b"path = /" + b"p" * 5200 + b"\n"
    yield "loose", b"; nothing\n# [node]\n\n" + CONF + b"   \n\t; end"


def answer(status, text):
    return struct.pack(">HH", status, len(text)) + text


def peer_seeds():
    yield "landed", b"".join(answer(200, b'{"acked": %d}' % (10 * i))
                             for i in range(1, 11))
    yield "ahead", answer(200, b'{"acked": 9223372036854775807}') * 10
    yield "no-number", answer(200, b'{"acked": -1}')
    yield "huge-number", answer(200, b'{"acked": 9223372036854775808}')
    yield "busy", answer(503, b"") * 3 + answer(200, b'{"acked":100}') * 10
    yield "conflict", answer(409, b'{"acked":0,"error":"a hole"}') * 12
    yield "refused", answer(422, b'{"error":"PB-Last is 3\\n\\u001b[31m"}')
    yield "not-utf-8", answer(500, b"\xff\xfe\xed\xa0\x80 \xf4\x90\x80\x80")
    yield "html", answer(302, b"<html>\r\n<b>Moved</b>\x1b[2J\x07")
    yield "nul", answer(400, b'{"error":"a\\u0000b"}') + answer(
        200, b'{"acked":1}\0')
    yield "twice", answer(200, b'{"acked":1,"acked":100}')
    yield "deep", answer(200, b"[" * 3000)
    yield "long", answer(403, b'{"error":"' + b"e" * 2000 + b'"}')
    yield "cut", answer(200, b'{"acked": 100}' * 3)[:9]
    yield "status", answer(200, (
        b'{"captures":[{"interface":"eth0","error":"","up":true,"packets":1,'
        b'"bytes":2,"kernel_dropped":3,"interface_dropped":4,'
        b'"store_dropped":5,"pps":1.5e3,"bps":2},{"interface":"a\\"}"}]}'))
    yield "status-forward", answer(200, (
        b'{"captures":[{"interface":"eth0","error":"","up":true,"packets":1,'
        b'"bytes":2,"kernel_dropped":3,"interface_dropped":4,'
        b'"store_dropped":5,"forward":"eth1","forwarding":true,'
        b'"forwarded_packets":7,"forward_refused":8,"forward_bytes":9,'
        b'"outlet_dropped":0,"forward_error":"","pps":1.5e3,"bps":2}]}'))
    yield "digests", answer(200, (
        b'{"acked":250,"first":1,"absent":[{"first":7,"last":7,"reason":'
        b'"expired","since":"2026-11-30T10:00:00Z"}],"parts":[{"last":250,'
        b'"packets":1,"xxh3":"9f6ac3e95b54d2a1","damaged":7,"time":'
        b'"2026-11-30T10:00:00Z","captured":60,"length":60}]}'))
    yield "digests-alone", answer(200, (
        b'{"acked":7,"first":1,"absent":[],"parts":[{"last":7,"packets":1,'
        b'"xxh3":"9f6ac3e95b54d2a1","time":"2026-11-30T10:00:00Z",'
        b'"captured":60,"length":60}]}'))
    yield "status-open", answer(200, b'{"captures":[{"interface":"a\\')


def told(status, text=b"", head=b""):
    """An answer of a node that is dialled."""
    return b"S %d\n" % status + head + b"B %d\n\n" % len(text) + text


def row(durable, first=1, more=b""):
    return (b'{"node":"lon1","interface":"eth0","epoch":"0123456789abcdef",'
            b'"durable":%d,"first":%d,"link_type":1%s}\n' % (
                durable, first, more))


def listed(*rows):
    return told(200, b"".join(rows) + b'{"cursor":"6.2.0"}\n')


def pulled(first, last, data, head=b""):
    return told(200, data, b"F %d\nL %d\nD =\n" % (first, last) + head)


def edge_seeds():
    none, three = listed(), body((1, 2, 3))
    last = told(200, b'{"acked":6,"last":{"seq":3,"digest":'
                     b'"xxh3=9f6ac3e95b54d2a1"}}')
    ok = told(200, b'{"acked":6}')
    two = pulled(1, 3, three) + pulled(4, 6, body((4, 5, 6)))
    yield "pulled", listed(row(6)) + none + two + ok + none + ok
    parts = [pulled(n, n + 2, body((n, n + 1, n + 2)),
                    b"N %d/300, %d/300\n" % (n + 5, n + 8))
             for n in (1, 4, 7, 10)]
    yield "next", listed(row(12)) + none + b"".join(parts) + ok * 6
    yield "next-any-order", listed(row(12)) + none + parts[0] + (
        b"O 1\n" + parts[2] + b"O 0\n" + parts[1] + parts[3] + ok * 6)
    yield "next-breaks-off", listed(row(12)) + none + parts[0] + pulled(
        4, 6, b"", b"C\nN 9/300\n") + parts[1] * 2 + ok * 3
    yield "next-lies", listed(row(12)) + none + pulled(1, 3, three, (
        b"N 4/300, 4/1, 9/99999999, x\n")) + parts[1] + parts[2] + ok * 6
    yield "zstd", listed(row(3)) + none + pulled(
        1, 3, zstd(three), b"E zstd\n") + ok + none
    yield "filtered", listed(row(902)) + none + pulled(
        1, 902, body((1, 2)) + filtered("<", 3, 900) + body((901, 902))[
            len(body(())):]) + ok
    yield "filtered-all", listed(row(902)) + none + pulled(
        1, 902, body(()) + filtered("<", 1, 902)) + ok
    yield "digest-wrong", listed(row(3)) + none + told(
        200, three, b"F 1\nL 3\nD xxh3=0123456789abcdef\n") * 3
    yield "claims-wrong", listed(row(4)) + none + pulled(1, 4, three) * 3
    yield "claims-far", listed(row(2**63 - 1)) + none + pulled(
        1, 2**63 - 1, three) * 2
    yield "gap", listed(row(9)) + none + told(
        200, b"", b"G 1-7; reason=expired\n") + pulled(
            8, 9, body((8, 9))) + ok
    yield "gap-filtered", listed(row(9)) + none + told(
        200, b"", b"G 1-9;reason=filtered\n") + ok
    yield "gap-upside", listed(row(9)) + none + told(
        200, b"", b"G 7-1; reason=expired\n") * 2
    yield "gap-bored", listed(row(9)) + none + told(
        200, b"", b"G 1-9; reason=bored\n") * 2
    yield "expired", listed(row(9, 8)) + none + told(
        410, b'{"error":"these packets have expired","first":8}') + pulled(
            8, 9, body((8, 9))) + ok
    yield "expired-not", listed(row(9)) + none + told(
        410, b'{"error":"gone","first":1}') * 2
    yield "nothing", listed(row(9)) + none + told(204) * 3
    yield "no-stream", listed(row(9)) + none + told(
        404, b'{"error":"no such stream here"}') * 2
    yield "busy", listed(row(9)) + none + told(503, b'{"error":"busy"}') * 4
    yield "portal", told(200, b"<html>sign in</html>\n") * 3
    for fill in range(3):
        yield "error-long-%d" % fill, told(
            500, b"e" * fill + b"\0" * 117) + none + told(20, b"\0" * 117) * 3
    yield "list-cut", told(200, row(3)) + none
    yield "list-odd", told(200, b'{"node":"..","interface":"","epoch":"0"}\n'
                                b'{"cursor":"c"}\n') * 2
    yield "list-long", told(200, row(3) * 30 + b'{"cursor":"' + b"c" * 300 +
                            b'"}') * 2
    yield "list-many", listed(*(row(3).replace(b"eth0", b"eth%d" % n)
                                for n in range(30))) + none + two * 3
    yield "our-own", listed(row(3).replace(b"lon1", b"core")) + none * 2
    yield "late", listed(row(9)) + none + told(
        200, b"", b"G 1-9; reason=expired\n") + listed(
            row(9, 1, b',"late":[[4,6],[8,8]]')) + ok + pulled(
                4, 6, body((4, 5, 6))) + pulled(8, 8, body((8,))) + ok * 3
    yield "late-odd", listed(row(9, 1, b',"late":[[6,4],[0,0],[1]]')) * 2
    yield "fresh", listed(row(6)) + none + pulled(1, 3, three, b"R\n") + (
        last * 3) + pulled(4, 6, body((4, 5, 6)), b"R\n") + last * 2
    yield "restored", listed(row(6)) + none + two + listed(row(3)) * 2
    yield "ack-behind", listed(row(3)) + none + pulled(1, 3, three) + told(
        409, b'{"acked":2,"error":"past what was ever durable here"}') * 3
    yield "here-down", listed(row(3)) + none + b"H\n" + pulled(
        1, 3, three) + none * 3 + b"H\n" + ok * 3
    yield "huge-epb", listed(row(1)) + none + pulled(1, 1, body(()) + epb(
        "<", 0, 10**18, b"y" * 60000, option("<", 5, struct.pack("<Q", 1)) +
        END)) + ok


STREAM = b"/v1/streams/lon1/eth0/0123456789abcdef"


def push(data, head=b""):
    return (b"M POST\nP " + STREAM + b"/packets\nB %d\n" % len(data) + head +
            b"\n" + data)


def gap(text):
    return (b"M POST\nP " + STREAM + b"/gaps\nB %d\n\n" % len(text) + text)


def request_seeds():
    get = b"M GET\nP " + STREAM + b"\nB 0\n\n"
    three = body((1, 2, 3))
    relayed = body((1, 2), hops(1), shb_options=identity(
        [node(b"lon1", b""), node(b"par1", b"Paris")], b"eth0",
        0x0123456789abcdef) + END)
    for name, path in (
            ("health", b"/v1/health"), ("metrics", b"/metrics"),
            ("status", b"/v1/status\nI"), ("nowhere", b"/v2"),
            ("encoded", b"/v1/streams/lon%31/eth%2f0/0123456789ABCDEF"),
            ("dots", b"/v1/streams/%2e%2e/eth0/0123456789abcdef"),
            ("escape", b"/v1/streams/lon1/a%0/0123456789abcdef"),
            ("epoch-0", b"/v1/streams/lon1/a/0000000000000000"),
            ("too-deep", STREAM + b"/packets/1")):
        yield "get-" + name, b"M GET\nP " + path + b"\n\n"
    yield "delete", b"M DELETE\nP " + STREAM + b"\n\n"
    yield "pushed", get + push(three) + b"W\n" + get
    yield "repeated", push(three) + push(three) + b"W\n" + push(three)
    yield "overtaken", push(body((3, 4))) + push(body((1, 2)))
    yield "hole", push(body((5, 6)))
    yield "claims", push(three, b"F 1\nL 3\nK\n")
    yield "claims-wrong", push(three, b"F 1\nL 4\n")
    yield "claims-far", push(three, b"F 1\nL 9223372036854775807\n")
    yield "digest-wrong", push(three, b"D xxh3=0123456789abcdef\n")
    yield "encoding", push(three, b"E gzip\n")
    yield "not-zstd", push(three, b"E zstd\n")
    yield "zstd", push(zstd(three), b"E zstd\n") + b"W\n" + get
    yield "disk-full", push(three) + b"Z\n" + push(three) + b"W\n" + get
    yield "stopping", push(three) + b"Q\n" + push(three)
    yield "slow", push(three, b"S 99000\n")
    yield "broken-off", push(three, b"N 100000\n") + push(three)
    yield "too-large", push(three, b"N 99999999999\nX\n")
    yield "local", push(three, b"I\n")
    yield "relayed", push(relayed, b"A relay:par*\n")
    yield "relay-refused", push(relayed, b"A lon1\n")
    yield "tls", push(three, b"C lon1\n") + push(three, b"C par1\nA lon1\n")
    yield "tls-nobody", push(three, b"T\n")
    yield "loop", push(body((1,)), b"P /v1/streams/core/eth0/1\n")
    yield "gap", gap(b'{"first":1,"last":9,"reason":"expired"}') + push(
        body((10, 11))) + b"W\n" + push(body((3, 4))) + push(
            body(range(1, 13)))
    yield "gap-far", gap(b'{"first":1,"last":9223372036854775807,'
                         b'"reason":"dead-lettered","link_type":101}') + get
    yield "gap-reason", gap(b'{"first":1,"last":2,"reason":"bored"}')
    yield "gap-upside", gap(b'{"first":3,"last":2,"reason":"expired"}')
    yield "gap-cut", gap(b'{"first":1,"last":2,')


def pull_seeds():
    """For fuzz_request: what pullers ask."""
    hub, get = b"U hub\n", b"M GET\nP " + STREAM
    packets = get + b"/packets\n" + hub
    listed = b"M GET\nP /v1/streams\n" + hub
    yield "pull-list", listed + b"J 1\nO 0123456789abcdef.1.0\n\n"
    yield "pull-list-cursor", listed + b"O x.y.z\nJ 99999\n\n"
    yield "pull-list-wait", listed + b"J soon\n\n"
    yield "pull-nobody", b"M GET\nP /v1/streams\n\n"
    yield "pull-stranger", b"M GET\nP /v1/streams\nU par1\n\n"
    yield "pull-tls", b"M GET\nP /v1/streams\nC hub\n\n"
    yield "pull-packets", packets + b"G 2\nH 70000\nJ 3\nV zstd\n\n"
    yield "pull-packets-far", packets + b"G 9223372036854775807\nH 0\n\n"
    yield "pull-packets-end", packets + (b"G 9223372036854775806\n"
                                         b"H 18446744073709551615\n\n")
    yield "pull-not-theirs", packets.replace(b"lon1", b"par1") + b"\n"
    yield "pull-stopping", packets + b"J 60\nQ\n\n"
    for name, text in (
            ("", b'{"upstream":"hub","acked":3}'),
            ("late", b'{"upstream":"hub","acked":9,"first":4}'),
            ("upside", b'{"upstream":"hub","acked":3,"first":4}'),
            ("other", b'{"upstream":"par1","acked":3}'),
            ("far", b'{"upstream":"hub","acked":9223372036854775808}'),
            ("cut", b'{"upstream":"hub"'), ("empty", b"")):
        yield "pull-ack-" + name, (
            b"M POST\nP " + STREAM + b"/acks\n" + hub +
            b"B %d\n\n" % len(text) + text)
    yield "relay", push(body((1, 2)), b"I\nR lon1\nb 0123456789abcdef\n")
    yield "relay-name", push(body((1, 2)), b"I\nR ..\n")
    yield "asked-at", get + b"\n" + hub + b"Y 3\n\n"
    yield "digests-asked", get + (b"/digests\n" + hub + b"f 1\nl 9\np 4\n"
                                  b"s 96\ny 1\n\n")


def offer_seeds():
    packets = b"K packets\n"
    yield "all", b"".join(packets + b"G %d\n\n" % n
                          for n in (0, 40, 300, 320, 324, 327, 330, 340))
    yield "small", packets + b"G 300\nH 70000\n\n" + (
        packets + b"G 150\nH 1\nV gzip, zstd\n\n")
    yield "waits", packets + b"G 340\nJ 1\n\n" + packets + b"G 340\n\n"
    yield "far", packets + b"G 9223372036854775806\n\n" + (
        packets + b"G 9223372036854775807\n\n")
    yield "odd", packets + b"G -1\nH x\nJ soon\n\n"
    yield "few", b"".join(packets + b"N few\nG %d\n\n" % n
                          for n in (0, 20, 40, 300, 310, 327, 330))
    yield "list", b"K list\n\n" + b"K list\nN few\n\n" + b"K list\nJ 1\nO 1.2.3\n\n"
    yield "acks", b"".join(b"K acks\nB %d\n\n" % len(text) + text for text in (
        b'{"upstream":"hub","acked":340}', b'{"upstream":"hub","acked":341}',
        b'{"upstream":"hub","acked":9,"first":10}', b'{"upstream":"x"}', b"{"))


def zstd(data):
    """A zstd frame (RFC 8878) of one raw block: its bytes stay as they
    are, so that a fuzzer can change them."""
    return (struct.pack("<IB", 0xFD2FB528, 0xA0) +
            struct.pack("<I", len(data)) +
            struct.pack("<I", len(data) << 3 | 1)[:3] + data)


def packed_seeds():
    """For fuzz_body: bit 2 of byte 0 says that the body is packed."""
    frame = zstd(body((1, 2, 3)))
    yield "packed", b"\4" + frame
    yield "packed-cut", b"\4" + frame[:-5]
    yield "packed-lies", b"\4" + frame[:5] + b"\xff\xff\xff\0" + frame[9:]
    yield "packed-unstated", (b"\4" + struct.pack("<IBB", 0xFD2FB528, 0, 0) +
                              frame[9:])
    # One byte, 128 KiB times, in each of many blocks: small and huge.
    yield "packed-bomb", (b"\4" + struct.pack("<IBB", 0xFD2FB528, 0, 0x38) +
                          (struct.pack("<I", 131072 << 3 | 2)[:3] + b"x") *
                          300)


def filtered(e, first, last):
    """Numbers that were left out, where they would stand."""
    return isb(e, own(7, struct.pack("<QQQ", first, last, 77), e) + END)


def filtered_seeds():
    """For fuzz_body: which numbers are kept is up to byte 0."""
    for order, e in (("le", "<"), ("be", ">")):
        head, two = body((), e=e), body((3, 4), e=e)[len(body((), e=e)):]
        holed = head + filtered(e, 1, 2) + two + filtered(e, 5, 900)
        for flags in range(4):
            yield "filtered-%s-%d" % (order, flags), bytes([flags]) + holed
        yield "filtered-all-" + order, b"\0" + head + filtered(e, 1, 2**62)
        yield "filtered-overlaps-" + order, (b"\0" + head + two +
                                             filtered(e, 4, 9))
        yield "filtered-senseless-" + order, (b"\0" + head + two +
                                              filtered(e, 9, 5))


def head_seeds():
    """For fuzz_hop: a segment's head, whole."""
    one = identity([node(b"lon1", b"London")], b"eth0", 5, 7)
    for order, e in (("le", "<"), ("be", ">")):
        yield "head-" + order, shb(e, options=one + END) + idb(
            e, 1, 0, interface_options(e))
    yield "head-no-identity", shb("<") + idb("<")
    yield "head-cut", (shb("<", options=one + END) + idb("<"))[:-4]


def stored(seq, data=b"x", options=b""):
    return epb("<", 0, 1700000000 * 10 ** 9 + seq, data,
               option("<", 5, struct.pack("<Q", seq)) + options + END)


def recover_seeds():
    """Byte 0 of fuzz_recover: its bits choose the crash; see there."""
    who = identity([node(b"lon1", b"London")], b"eth0",
                   0x0123456789abcdef, 6)
    head = shb("<", options=who + END) + idb(
        "<", 1, 262144, option("<", 9, b"\x09") + END)
    for image in range(3):
        for how in range(3):
            first = (6, 6, 8)[image] if how else 6
            first += 4 if how == 1 and image == 0 else 0
            data = b"".join(stored(first + i) for i in range(3))
            yield "image-%d-how-%d" % (image, how), bytes(
                [image | how << 3]) + (head if how == 0 else b"") + data
            yield "image-%d-how-%d-power" % (image, how), bytes(
                [image | 4 | how << 3]) + (head if how == 0
                                           else b"") + data
    tail = stored(10) + isb("<", END)
    yield "torn", b"\x08" + tail + stored(11)[:-5]
    yield "torn-inside", b"\x08" + tail + stored(11)[:20] + stored(12)
    yield "number-wrong", b"\x08" + stored(11)
    yield "no-number", b"\x08" + epb("<", 0, 1, b"x")
    yield "zeros", b"\x08" + b"\0" * 4096
    yield "drops", b"\x08" + stored(10, options=option(
        "<", 4, struct.pack("<Q", 2 ** 64 - 1)))
    yield "again", b"\x48" + tail
    yield "sealed-name", b"\x20"
    yield "sealed-name-more", b"\x28" + tail
    yield "rot-head", b"\x18" + b"\x30\0" + b"\xff"
    yield "rot-options", b"\x18" + b"\x48\1" + b"\xff\xff"
    yield "rot-packet", b"\x18" + b"\x00\2" + b"\xff" * 16
    yield "names", b"\x08" + block("<", 4, b"names") + stored(10)
    yield "simple", b"\x08" + block("<", 3, b"\1\0\0\0x\0\0\0") + stored(10)
    yield "custom", b"\x08" + block("<", 0xBAD, b"\xD9\x7E\0\0") + stored(10)
    yield "bad-statistics", b"\x08" + isb("<", b"\3\0\xff\0") + stored(10)
    yield "second-section", b"\x08" + shb("<") + idb("<") + stored(10)
    yield "other-stream", b"\x00" + head.replace(b"lon1", b"par1") + stored(6)
    yield "empty", b"\0"


def fact(kind, rest):
    return b'{"fact":"' + kind + b'",' + rest + b',"time_ns":17'


def journal_seeds():
    """Byte 0 of fuzz_journal: 1 puts a digest behind every line."""
    lines = [fact(b"stream", b'"id":3,"link_type":1,"snap_length":96,"own":1'),
             fact(b"gap", b'"first":5,"last":9,"reason":"expired"'),
             fact(b"fill", b'"first":6,"last":6'),
             fact(b"expired", b'"first":1,"last":4')]
    yield "facts", b"\1" + b"\n".join(lines) + b"\n"
    yield "torn", b"\1" + b"\n".join(lines)
    yield "no-digest", b"\0" + b"}\n".join(lines) + b"\n"
    yield "no-reason", b"\1" + fact(b"gap", b'"first":1,"last":1') + b"\n"
    yield "upside", b"\1" + fact(b"fill", b'"first":4,"last":3') + b"\n"
    yield "not-known", b"\1" + fact(b"moved", b'"first":1,"last":3') + b"\n"
    yield "late", b"\1" + fact(b"fill", b'"first":1,"last":1')[:-2] + (
        b"18446744073709551615\n")
    yield "long", b"\1" + lines[1] + b" " * 600 + b"\n" + lines[2] + b"\n"
    yield "long-torn", b"\1" + lines[1] + b"\n" + b"x" * 600
    yield "empty-lines", b"\0\n\n\n"


def dissect_seeds():
    macs = bytes.fromhex("ffffffffffff020000000001")
    ip4 = bytes.fromhex("450000280001000040060000c0000201c0000209")
    ip6 = bytes.fromhex("60000000001400402001" + "0d" * 14 + "2001" +
                        "0e" * 14)
    ports = bytes.fromhex("01bbc822")
    extensions = bytes.fromhex(
        "2b00000000000000" "3c00000000000000" "3300000000000000"
        "2c01000000000000" "1100000000000001" "0035003500000000")

    def packet(linktype, *parts):
        return struct.pack("<H", linktype) + b"".join(parts)

    yield "ip4-tcp", packet(1, macs, b"\x08\0", ip4, ports)
    yield "ip4-options", packet(1, macs, b"\x08\0\x46", ip4[1:], b"\1" * 4,
                                ports)
    yield "ip4-fragment", packet(101, ip4[:6], b"\0\3", ip4[8:], ports)
    yield "ip4-short-header", packet(1, macs, b"\x08\0\x44", ip4[1:])
    yield "ip4-long-header", packet(1, macs, b"\x08\0\x4f", ip4[1:], ports)
    yield "ip6-udp", packet(1, macs, b"\x86\xdd", ip6[:6], b"\x11", ip6[7:],
                            ports)
    yield "ip6-extensions", packet(229, ip6, extensions)
    yield "ip6-cut", packet(229, ip6, extensions[:12])
    yield "tags", packet(1, macs, b"\x88\xa8\0\7\x81\0\0\x64\x08\0", ip4,
                         ports)
    yield "tags-many", packet(1, macs, b"\x91\0\0\7" * 6, b"\x08\0", ip4)
    yield "labels", packet(1, macs, b"\x88\x47\0\1\0\x40\0\2\1\x40", ip4,
                           ports)
    yield "session", packet(1, macs, b"\x81\0\0\7\x88\x64\x11\0\0\1\0\x2e"
                            b"\2\x81\0\1\1\x40", ip6, ports)
    yield "ppp-labels", packet(9, b"\xff\3\2\x81\0\1\1\x40", ip4, ports)
    yield "arp", packet(1, macs, bytes.fromhex(
        "08060001080006040001020000000001c0000201000000000000c0000209"))
    yield "llc", packet(1, macs, b"\0\x27\x42\x42\3")
    yield "sll", packet(113, bytes(14), b"\x08\0", ip4, ports)
    yield "sll2", packet(276, b"\x86\xdd", bytes(18), ip6)
    yield "null", packet(0, b"\2\0\0\0", ip4, ports)
    yield "loop", packet(108, b"\0\0\0\2", ip4, ports)
    yield "foreign", packet(147, ip4)


# --- flow tables: docs/index.md; their digests are made right by the target

def plane_pieces(planes, rows):
    each = -(-4096 // rows) if rows else 1
    return [b"".join(planes[n:n + each])
            for n in range(0, len(planes), each)]


def numbers(count, rows):
    """What the directory says of so many columns, and their planes."""
    what, planes = b"", []
    for column in list(zip(*rows)) or [(0,)] * count:
        least, most = min(column), max(column)
        count = (most - least).bit_length() + 7 >> 3
        what += struct.pack("<QB", least, count)
        planes += [bytes(n - least >> 8 * k & 255 for n in column)
                   for k in range(count)]
    return what, planes


def groups(heads, body):
    """Two pieces; the digests in heads are made right as well."""
    return [b"".join(struct.pack("<II", head[0], 0) +
                     struct.pack("<%dI" % len(head[1:]), *head[1:])
                     for head in heads), body]


def table_shape(rest, runs, columns, partly, each, many, heads, places):
    """A shape's record and pieces.  `each` and `many` are the numbers of all
    rows, and of those with more than one packet, as docs/index.md has them."""
    what, planes = numbers(3, each)
    more, others = numbers(5, many)
    kept, some, ones, unknown = bytearray(16), bytearray(16), [], []
    for at, its, doubt in columns:
        kept[at // 8] |= 1 << at % 8
        ones.append(its)
        if at in partly:
            some[at // 8] |= 1 << at % 8
            unknown.append(doubt)
    record = struct.pack("<HHBBBBIIIIIQQIIII", 1, 0x800, 14, 34, 6, 16, rest,
                         *runs, sum(row[0] for row in many) + sum(runs[2:]),
                         60 * len(each), 60, 60, 60, 60)
    record += bytes(kept + some) + bytes(range(128)) + bytes(128)
    return record + what + more, (
        plane_pieces(ones, len(each)) + plane_pieces(unknown, len(many)) +
        plane_pieces(planes, len(each)) + plane_pieces(others, len(many)) +
        groups([(at,) for at in heads], places))


def table(packets, marks, *shapes, raw={}, unit=1):
    """`marks` are heads and groups; `raw` says how long packed pieces are."""
    pieces = [p for _, its in shapes for p in its] + groups(*marks)
    directory = b"".join(record for record, _ in shapes) + b"".join(
        struct.pack("<IIQ", len(p), raw.get(p, len(p)), 0)
        for p in pieces)
    body = b"".join(pieces)
    head = struct.pack("<4sIIIIIIIQQIIQ", b"PBFT", 3,
                       64 + len(body) + len(directory), packets,
                       len(marks[0]), len(shapes), len(pieces),
                       len(directory), 1000, 0, 4, unit, 0)
    return b"\0" + head + body + directory


def table_seeds():
    row, more = (60, 0, 4), (2, 9, 2, 300, 7)
    none = [], b""
    marks = [(0, 0, 0)], b"\0\0"
    one = table_shape(0, (0, 0, 1, 0), [], (), [row], [], [0], b"\0")
    two = table_shape(
        0, (1, 0, 1, 0), [(26, b"\1\2", b""), (47, b"\2\x10", b"\x08")],
        {47}, [row, (61, 1, 9)], [more], [0], b"\1\1\1\1\1")
    rest = table_shape(1, (0, 0, 1, 0), [], (), [row], [], [0], b"\0")
    yield "none", table(0, none)
    yield "one", table(1, marks, one)
    yield "one-unit", table(1, marks, one, unit=0)
    yield "two", table(4, ([(0, 0, 0), (2, 2, 700)], b"\0\0\0\0"), two, rest)
    yield "two-cut", table(4, marks, two)[:-9]
    yield "two-few", table(2, marks, two, rest)
    ends = [(at, bytes((at,)) * 4, b"") for at in (
        26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37)]
    for name, its in ("turned", ends), ("turned-half", ends[:-1]):
        yield name, table(6, marks, table_shape(
            0, (1, 1, 1, 1), its, (), [row] * 4, [more, more], [0],
            b"\1\0\1\1\3\4" b"\1\1" b"\0"), unit=1000)
    yield "runs-large", table(1, none, table_shape(
        0, (2**32 - 1, 2, 0, 0), [], (), [row], [more], [0], b"\1\0"))
    many = [(60 + n, 0, n) for n in range(130)]
    yield "groups", table(130, (
        [(0, 0, 0), (9, 31, 9000), (17, 126, 700000)],
        b"\7\7" + b"\x12\3" * 3 + b"\x55" + b"\6\x08" + b"\xee" * 6 +
        b"\0\x20"), table_shape(
        0, (0, 0, 130, 0), [(at, bytes(range(130)), b"")
                            for at in range(20)], (), many, [],
        [0, 64, 128], (b"\0" + b"\1" * 63) * 2 + b"\0\1"))
    yield "places-far", table(1, none, table_shape(
        0, (0, 0, 1, 0), [], (), [row], [], [255], b"\0"))
    long = [(40,) + more[1:]]
    for name, run in (
            ("places-run", b"\x27\0\0" + b"\3" + bytes(3)),
            ("places-run-wide", b"\x27\0\x21" + bytes(140)),
            ("places-run-cut", b"\x27\0\7" + bytes(28) + b"\7" + bytes(6)),
            ("places-run-many", b"\xff\xff\xff\xff\x0f\0\0\0\0")):
        yield name, table(40, none, table_shape(
            0, (1, 0, 0, 0), [], (), [row], long, [0], run))
    packed = (b"\1\1\x40\x80" + b"\xa5" * 9 + b"\x08" + bytes(range(70)) +
              b"\0\0\x77")
    yield "packed", table(70, none, table_shape(
        0, (0, 0, 70, 0), [(22, packed, b""), (23, b"", b""), (24, b"", b"")],
        (), [row] * 70, [], [0, 64],
        b"\0" + b"\1" * 63 + b"\x40" + b"\1" * 5), raw={packed: 210})
    packet = bytes.fromhex("020000000002020000000001080045000028000100004006"
                           "0000c0000201c000020901bbc822") + bytes(20)
    yield "packets", b"\1" + (bytes([len(packet)]) + packet) * 3 + (
        bytes([0x80 | len(packet)]) + packet[len(packet) // 2:]) * 20
    yield "packets-short", b"\1" + b"\0\1x\2xy" + bytes(range(1, 60))


# --- what is changed of two index blocks: a kind, where, a byte

FLOWS, NUMBER, ROW, CUT, OTHER_ROW = 0, 1, 2, 3, 6


def flows_seeds():
    """Each change with digests left wrong, and made right again."""
    changes = {
        "none": [], "head": [(FLOWS, 14, 1)], "version": [(FLOWS, 4, 3)],
        "packets": [(NUMBER, 12, 129)], "step": [(NUMBER, 48, 132)],
        "marks": [(NUMBER, 16, 127)], "shapes": [(NUMBER, 20, 127)],
        "piece": [(FLOWS, at, 0x55) for at in range(64, 500, 9)],
        "middle": [(FLOWS, at, 1) for at in range(2000, 9000, 150)],
        "end": [(NUMBER, at, 129) for at in range(9000, 9160, 4)],
        "cut": [(CUT, 100, 0)], "gone": [(CUT, 0, 0)],
        "cut-late": [(CUT, 20000, 0)],
    }
    for n, at in enumerate((0, 16, 24, 32, 40, 48, 56, 64, 72, 80, 84, 90,
                            120, 300)):
        changes["row-%d" % at] = [((ROW, OTHER_ROW)[n % 2], at, 1)]
    for n, (name, its) in enumerate(changes.items()):
        body = b"".join(struct.pack("<BHB", *change) for change in its)
        for right in (0, 1):
            yield "%s-%s" % (name, ("wrong", "right")[right]), bytes(
                [right | n % 2 << 1 | n % 11 << 2, n % 4]) + body


def summary_seeds():
    """A filter's number, and a summary without its digest."""
    ports = b"\1\2\0\x21\x50\x6a\1"                # 80, 443
    hosts = b"\2\3\0\x33\1\0\0\x0a\7\0\0\0" + b"\x01\5"
    fuse = struct.pack("<BBBHIII", 3, 8, 4, 3, 1, 0x0A000001,
                       0x0A00FFFF) + bytes(range(49))
    sets = b"".join(struct.pack("<H", len(s)) + s
                    for s in (ports, hosts, fuse))
    lengths = b"\x36\x2e\x36\xc8\7"
    # Twelve bytes not known, twelve that are, one of which bits are.
    runs = (b"\3\x0b\x4b" + bytes.fromhex("080045000028000000004006") +
            b"\x80\x50\x0f")
    places = b"\4\0\x22\2\0\x24\2\1\x1a\4\2\x1e\4"

    def shape(protocol, bits, rest):
        return struct.pack("<HHBBBB", 1, 0x0800, 14, 34, protocol,
                           bits) + lengths + rest
    tcp = shape(6, 16, runs + places)
    again = shape(6, 18, b"\1\xff\xff")
    fragment = shape(17, 1, b"\0\0")
    for i in range(6):
        yield "filter-%d" % i, (bytes([i, 1, 3, 3]) + sets + tcp + again +
                                fragment)
    yield "none", b"\0\1\0\0"
    yield "cut", b"\0\1\3\1" + sets + tcp[:-3]
    yield "sets-many", b"\1\1\xff\1" + sets
    yield "fuse-cut", b"\0\1\1\1" + struct.pack("<H", 30) + fuse[:30]


def trailer_seeds():
    """Flags, the list, frames of 3 bytes of lengths each."""
    s, ns = 1700000000, 123456789
    host = trailers.udp(b"payload" * 6)

    def seed(text, *frames, flags=1, missing=0):
        return bytes([flags, len(text)]) + text.encode() + b"".join(
            struct.pack("<HB", len(f), missing) + f for f in frames)

    deep = trailers.metamako(host, s, ns, extensions=[
        trailers.sequence(7), trailers.fraction(1 << 23),
        trailers.crc_hash(1), trailers.egress_sequence(9),
        trailers.extension(2, 0, b"wordword")])
    deep = trailers.metamako(deep, s, ns, extensions=[
        trailers.secondary(5, b"word" * 3)])
    yield "metamako", seed("metamako", trailers.metamako(host, s, ns))
    yield "deep", seed("exablaze,metamako,cpacket",
                       trailers.exablaze(deep, s, 1 << 39))
    yield "snapped", seed("metamako,metamako", deep, missing=4)
    yield "vss", seed("vss:1 vss:2", trailers.vss(trailers.vss(
        host, s, ns, port=9, port_bytes=2), s, ns, port=1))
    yield "ixia", seed("ixia", trailers.ixia(
        host, b"\1\2\0\x50", trailers.ixia_time(s, ns)))
    yield "arista7280", seed("arista7280,arista7280", trailers.vlan(
        trailers.arista7280(trailers.arista7280(host, s, ns), s, ns, bits=48),
        7), flags=75)
    yield "arista7150", seed(
        "metamako,arista7150",
        *(trailers.metamako(f, s, ns) for f in (
            trailers.arista7150(host, 0),
            trailers.keyframe(3500, s * 10**9, skew=(1, 1)),
            trailers.arista7150(host, 3507),
            trailers.keyframe(3500 + 35 * 10**6, s * 10**9 + 10**8),
            trailers.arista7150(host, 35 * 10**6))))
    yield "headers", seed("ttag:0x88b5@tai,mac48", trailers.ttag(
        trailers.mac48(host, s, ns), s * 10**9, 0x88B5))
    yield "wrapped", seed("ttag,broadcom,broadcom@tai,raw:5", trailers.ttag(
        trailers.broadcom(trailers.raw(trailers.broadcom(
            trailers.raw(host, b"12345"), s, ns), b"\0" * 4), s, ns),
        s * 10**9))
    yield "none", seed("none", host, host[:-4])
    yield "wrong", seed("metamako,raw:65")
    stamp = struct.pack("<QIIHHBBH", s * 10**9, 1, 2, 3, 4, 1, 0xC1, 0)
    yield "options", (own(5, struct.pack("<QBB6x", s * 10**9, 1, 2) +
                          2 * stamp) + own(6, b"trailers=vss fcs=yes"))
    yield "options-cut", own(5, struct.pack("<QBB6x", 1, 3, 2) + 2 * stamp)


def verdict_seeds():
    """Bytes to draw from."""
    for n in range(12):
        yield str(n), random.Random(n).randbytes(600)


def main():
    for folder, seeds in (
            ("reader", reader_seeds()), ("hop", hop_seeds()),
            ("hop", head_seeds()), ("body", packed_seeds()),
            ("body", filtered_seeds()),
            ("importer", importer_seeds()), ("conf", conf_seeds()),
            ("peer", peer_seeds()), ("edge", edge_seeds()),
            ("offer", offer_seeds()),
            ("request", request_seeds()), ("request", pull_seeds()),
            ("recover", recover_seeds()), ("journal", journal_seeds()),
            ("dissect", dissect_seeds()), ("table", table_seeds()),
            ("flows", flows_seeds()),
            ("summary", summary_seeds()), ("trailer", trailer_seeds()),
            ("verdict", verdict_seeds())):
        path = os.path.join("seeds", folder)
        os.makedirs(path, exist_ok=True)
        for name, data in seeds:
            with open(os.path.join(path, name), "wb") as out:
                out.write(data)


main()
