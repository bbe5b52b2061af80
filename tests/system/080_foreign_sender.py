"""A sender that is none of ours: Python's standard library, and curl.

Written from docs/protocol.md and docs/format.md alone.
"""

import json
import os
import struct

from harness import *
import pngread
import samples

EPOCH = "00c0ffee00c0ffee"


def section(first, last, name="eth0", link=1, nodes=None, corrupt=None):
    """One section: packets first..last, each with its number."""
    head = [(4, "a foreign sender")]
    if nodes:
        body = struct.pack("<QQB", int(EPOCH, 16), first, len(nodes))
        for node in nodes:
            body += struct.pack("BB", len(node), 0) + node.encode()
        body += struct.pack("B", len(name)) + name.encode()
        head.append((2989, struct.pack("<I", samples.PEN) + b"PB\1\1" + body))
    out = samples.shb("<", *head)
    out += samples.idb("<", link, (2, name), (9, b"\x09"))
    # A record for each node after the origin.
    hops = b"".join(struct.pack("<QQ", samples.T0 * 10**9 + 10**6 * i, i)
                    for i in range(1, len(nodes or [1])))
    more = [(2989, struct.pack("<I", samples.PEN) + b"PB\1\2" + hops)]
    for n in range(first, last + 1):
        out += samples.epb("<", 0, samples.T0 * 10**9 + n, samples.eth(n),
                           (5, struct.pack("<Q", n)), *(more if hops else []))
    return corrupt(out) if corrupt else out


def push(node, first, last, body=None, path="x/eth0", headers=None, **kw):
    given = {"PB-First": str(first), "PB-Last": str(last)}
    given.update(headers or {})
    status, _, answer = node.http(
        "POST", "/v1/streams/%s/%s/packets" % (path, EPOCH),
        section(first, last, **kw) if body is None else body, given)
    return status, answer


def acked(node, path="x/eth0"):
    status, _, body = node.http("GET", "/v1/streams/%s/%s" % (path, EPOCH))
    equal(status, 200, "GET of a stream")
    return json.loads(body)["acked"]


def core(t, *lines):
    node = t.node("core", listen=True, extra="\n".join(lines) + "\n"
                  if lines else "")
    node.start()
    return node


def expect(have, status, number, what):
    equal(have[0], status, what + ": status (%r)" % have[1])
    if number is not None:
        equal(json.loads(have[1])["acked"], number, what)


def kept(node, count, interface="eth0"):
    rows = by_stream(node.query()).get(interface, [])
    equal([r[0] for r in rows], list(range(1, count + 1)), "numbers kept")
    for seq, stamp, origlen, data in rows:
        equal((stamp, origlen, data),
              (samples.T0 * 10**9 + seq, 60, samples.eth(seq)), "packet")


def packets_are_taken_and_repeats_dropped(t):
    node = core(t)
    equal(acked(node), 0, "a new stream")
    expect(push(node, 1, 10), 200, 10, "first push")
    equal(acked(node), 10, "acked")
    expect(push(node, 1, 10), 200, 10, "the same again")
    expect(push(node, 5, 15), 200, 15, "half of it new")
    expect(push(node, 16, 1000), 200, 1000, "many")
    equal(acked(node), 1000, "acked")
    kept(node, 1000)
    hops = node.rows("query", "--limit", "1")[0]["hops"]
    equal([h["node"] for h in hops], ["x", "core"], "the way")
    node.recorder.kill()
    node.start()
    equal(acked(node), 1000, "acked after kill -9")
    kept(node, 1000)


def holes_are_refused_with_the_number_wanted(t):
    node = core(t)
    expect(push(node, 1, 10), 200, 10, "first push")
    expect(push(node, 12, 20), 409, 10, "a hole")
    kept(node, 10)
    expect(push(node, 2, 9, path="y/eth0"), 409, 0, "a new stream from 2")


def a_declared_gap_is_taken_and_filled_later(t):
    node = core(t)
    expect(push(node, 1, 10), 200, 10, "first push")
    status, _, answer = node.http(
        "POST", "/v1/streams/x/eth0/%s/gaps" % EPOCH,
        json.dumps({"first": 11, "last": 20, "reason": "dead-lettered"}))
    expect((status, answer), 200, 20, "gap")
    expect(push(node, 21, 30), 200, 30, "past the gap")
    rows = node.rows("gaps")
    equal([(r["node"], r["interface"], r["epoch"], r["first"], r["last"],
            r["reason"]) for r in rows],
          [("x", "eth0", EPOCH, 11, 20, "dead-lettered")], "pb gaps")
    check(not rows[0]["closed"], "the gap is closed:", rows[0])
    equal(push(node, 11, 20)[0], 200, "late packets")
    wait_until(lambda: all(r["closed"] for r in node.rows("gaps")),
               "the gap closes")
    kept(node, 30)


def malformed_requests_keep_nothing(t):
    node = core(t)
    expect(push(node, 1, 10), 200, 10, "first push")
    good = section(11, 20)
    bad = {
        "empty": b"",
        "text": b"hello",
        "cut short": good[:-4],
        "a bad length": good[:-4] + b"\xff\xff\xff\x7f",
        "no packets": samples.shb("<") + samples.idb("<", 1),
        "two sections": good + section(21, 21),
        "another number inside": section(11, 14) +
            samples.epb("<", 0, 0, b"x" * 60, (5, struct.pack("<Q", 16))),
        "no number": samples.shb("<") + samples.idb("<", 1) +
            samples.epb("<", 0, 0, b"x" * 60),
        "caplen leaves the block": section(11, 20, corrupt=lambda b:
            b[:-120] + b"\xff" * 40 + b[-80:]),
    }
    wrong = []
    for what, body in bad.items():
        status, answer = push(node, 11, 20, body)
        if status not in (400, 422):
            wrong.append("%s: %d %r" % (what, status, answer))
    status, answer = push(node, 11, 19, good)
    if status not in (400, 422):
        wrong.append("PB-Last is another: %d %r" % (status, answer))
    for first, last in (("x", "y"), ("20", "11"), ("-1", "5"), ("0", "5"),
                        ("11", "99999999999999999999999")):
        status, answer = push(node, 11, 20, good, headers={
            "PB-First": first, "PB-Last": last})
        if status not in (400, 422):
            wrong.append("numbers %s-%s: %d %r" % (first, last, status,
                                                   answer))
    check(not wrong, "; ".join(wrong))
    status, answer = push(node, 11, 20, good,
                          headers={"PB-Digest": "xxh3=0123456789abcdef"})
    check(status in (400, 422), "a wrong digest:", status, answer)
    equal(acked(node), 10, "acked")
    kept(node, 10)
    check(node.recorder.alive(), "the recorder ended")
    expect(push(node, 11, 20), 200, 20, "a good one after them")


def a_loop_is_told(t):
    node = core(t)
    status, answer = push(node, 1, 5, nodes=["x", "core", "y"])
    equal(status, 508, "own name on the way (%r)" % answer)
    equal(acked(node), 0, "acked")
    expect(push(node, 1, 5, nodes=["x", "y"]), 200, 5, "another way")


def names_are_percent_encoded(t):
    node = core(t)
    expect(push(node, 1, 3, path="x/a%2Fb%20c", name="a/b c"), 200, 3, "push")
    equal(acked(node, "x/a%2Fb%20c"), 3, "acked")
    equal({k[:2] for k in node.streams()}, {("x", "a/b c")}, "streams")
    for path in ("..%2F..%2Fetc/eth0", "%2e%2e/eth0", "x%00y/eth0", "/eth0",
                 "x%zz/eth0"):
        status, answer = push(node, 1, 3, path=path)
        check(400 <= status < 500, path, "got", status, answer)
    for path in node.files():
        check(os.path.realpath(path).startswith(
            os.path.realpath(node.store) + "/segments/"), path)


def too_large_is_413(t):
    node = core(t)
    c = http.client.HTTPConnection("127.0.0.1", node.port,
                                   timeout=20 * SLACK)
    c.putrequest("POST", "/v1/streams/x/eth0/%s/packets" % EPOCH)
    c.putheader("Content-Length", str(1 << 30))
    c.putheader("PB-First", "1")
    c.putheader("PB-Last", "10")
    c.endheaders()
    equal(c.getresponse().status, 413, "a body of 1 GiB")
    c.close()
    expect(push(node, 1, 5), 200, 5, "after it")


def only_the_allowed_may_push(t):
    node = core(t, "allow = x, relay:z")
    expect(push(node, 1, 5), 200, 5, "x, allowed")
    status, answer = push(node, 1, 5, path="w/eth0")
    check(status in (401, 403), "w, not allowed:", status, answer)
    equal(push(node, 1, 5, path="w/eth0", nodes=["w", "z"])[0], 200,
          "w by way of z")


def health_and_metrics_answer(t):
    node = core(t)
    expect(push(node, 1, 5), 200, 5, "push")
    equal(node.http("GET", "/v1/health")[0], 200, "health")
    status, headers, body = node.http("GET", "/metrics")
    equal(status, 200, "metrics")
    check(headers.get("Content-Type", "").startswith("text/plain"),
          "type", headers.get("Content-Type"))
    for line in body.decode().splitlines():
        if line and not line.startswith("#"):
            float(line.rsplit(" ", 1)[1])
    equal(node.http("GET", "/v1/nothing")[0], 404, "an unknown path")
    equal(node.http("DELETE", "/v1/health")[0], 405, "an unknown method")


def curl_can_push_a_file(t):
    need("curl")
    node = core(t)
    for first, last, path in ((1, 10, "x/eth0"), (1, 20000, "big/eth0")):
        body = t.write("body.pcapng", section(first, last))
        out = must(["curl", "-sS", "--fail", "-H", "PB-First: %d" % first,
                    "-H", "PB-Last: %d" % last, "--data-binary", "@" + body,
                    "%s/v1/streams/%s/%s/packets" % (node.url, path, EPOCH)])
        equal(json.loads(out)["acked"], last, "acked")


def a_segment_of_a_store_can_be_pushed_as_it_is(t):
    need("curl")
    one, two = t.node("one"), t.node("two", listen=True)
    two.start()
    one.pb("import", "--interface", "eth0", t.write("a.pcap", samples.pcap(
        "<", samples.MAGIC_NS,
        [(samples.T0, n, samples.eth(n), 60) for n in range(1, 51)])))
    (node, interface, epoch), = one.streams()
    url = "%s/v1/streams/%s/%s/%s" % (two.url, node, interface, epoch)
    out = must(["curl", "-sS", "--fail", "--data-binary",
                "@" + one.files()[0], url + "/packets"])
    equal(json.loads(out)["acked"], 50, "acked")
    equal(list(two.streams()), [(node, interface, epoch)], "streams")
    kept(two, 50)
    # By TCP under another name, it contradicts itself.
    out = run(["curl", "-sS", "--data-binary", "@" + one.files()[0],
               url.replace("/eth0/", "/eth9/") + "/packets"])
    check(b"error" in out.stdout, "another interface:", out.stdout)
    equal(len(two.streams()), 1, "streams")


def either_byte_order_and_any_resolution_are_taken(t):
    node = core(t)
    o = ">"
    body = samples.shb(o) + samples.idb(o, 1, (2, "eth0"), (9, b"\x06"),
                                        (14, struct.pack(">q", -5)))
    for n in range(1, 6):
        body += samples.epb(o, 0, samples.T0 * 10**6 + n, samples.eth(n),
                            (5, struct.pack(">Q", n)), (1, "a comment"))
    expect(push(node, 1, 5, body), 200, 5, "big-endian, microseconds")
    for p in node.query().packets:
        equal((p.time_ns, p.data, p.comments),
              ((samples.T0 - 5) * 10**9 + p.seq * 1000,
               samples.eth(p.seq), ["a comment"]), "packet")


def headers_are_optional(t):
    node = core(t)
    status, _, answer = node.http(
        "POST", "/v1/streams/x/eth0/%s/packets" % EPOCH, section(1, 9))
    expect((status, answer), 200, 9, "without PB-First and PB-Last")
    c = http.client.HTTPConnection("127.0.0.1", node.port,
                                   timeout=20 * SLACK)
    whole = section(10, 2000)
    c.request("POST", "/v1/streams/x/eth0/%s/packets" % EPOCH,
              body=(whole[i:i + 999] for i in range(0, len(whole), 999)),
              encode_chunked=True,
              headers={"Transfer-Encoding": "chunked"})
    r = c.getresponse()
    expect((r.status, r.read()), 200, 2000, "chunked")
    # The connection goes on.
    c.request("GET", "/v1/streams/x/eth0/" + EPOCH)
    equal(json.loads(c.getresponse().read())["acked"], 2000, "the next one")
    c.close()
    kept(node, 2000)


def requests_that_overtake_each_other_are_put_in_order(t):
    """Several connections, sent backwards: the held ones wait their turn."""
    import threading
    node = core(t)
    results = {}

    def one(first):
        results[first] = push(node, first, first + 99)

    # The first starts, and stops short of its end, so that the others wait.
    whole = section(1, 100)
    c = http.client.HTTPConnection("127.0.0.1", node.port,
                                   timeout=20 * SLACK)
    c.putrequest("POST", "/v1/streams/x/eth0/%s/packets" % EPOCH)
    for name, value in (("Content-Length", len(whole)), ("PB-First", 1),
                        ("PB-Last", 100)):
        c.putheader(name, str(value))
    c.endheaders()
    c.send(whole[:-100])
    threads = [threading.Thread(target=one, args=(first,))
               for first in (401, 301, 201, 101)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    c.send(whole[-100:])
    equal(c.getresponse().status, 200, "the first one")
    for thread in threads:
        thread.join()
    equal({first: r[0] for first, r in results.items()},
          {101: 200, 201: 200, 301: 200, 401: 200}, "status of the others")
    kept(node, 500)


def the_sender_in_the_documentation_works(t):
    """The sender in docs/protocol.md, as it is printed."""
    node = core(t)
    page = open(os.path.join(ROOT, "docs", "protocol.md")).read()
    page = page[page.index("## A whole sender"):page.index("## A whole puller")]
    lines = page[page.index("import http.client"):].splitlines()
    program = "\n".join(line[4:] if n else line
                        for n, line in enumerate(lines))
    program = program.replace('"core.example", 7152',
                              '"127.0.0.1", %d' % node.port)
    path = t.write("sender.py", program + "\n")
    for n in (3, 6):
        out = must([sys.executable, path]).decode()
        equal(out.strip(), "200 {'acked': %d}" % n, "what it printed")
    equal(node.pb("query", "--count").strip(), b"6", "packets")


def a_stream_may_begin_with_a_gap_of_any_link_type(t):
    """As a shipper declares it for a stream that is not Ethernet."""
    node = core(t)
    status, _, answer = node.http(
        "POST", "/v1/streams/x/eth0/%s/gaps" % EPOCH, json.dumps(
            {"first": 1, "last": 4, "reason": "expired", "link_type": 101}))
    expect((status, answer), 200, 4, "gap")
    expect(push(node, 5, 9, link=101), 200, 9, "packets, link type RAW")


def a_query_can_be_pushed_with_curl(t):
    """What `pb query -w` wrote at the origin is one section to push."""
    need("curl")
    one, two = t.node("one"), t.node("two", listen=True)
    two.start()
    one.pb("import", "--interface", "eth0", t.write("a.pcap", samples.pcap(
        "<", samples.MAGIC_NS,
        [(samples.T0, n, samples.eth(n), 60) for n in range(1, 51)])))
    path = t.path("q.pcapng")
    one.pb("query", "-w", path)
    out = must(["curl", "-sS", "--fail", "-H", "PB-First: 1", "-H",
                "PB-Last: 50", "--data-binary", "@" + path,
                "%s/v1/streams/x/eth0/%s/packets" % (two.url, EPOCH)])
    equal(json.loads(out)["acked"], 50, "acked")
    kept(two, 50)


if __name__ == "__main__":
    main("080", packets_are_taken_and_repeats_dropped,
         holes_are_refused_with_the_number_wanted,
         a_declared_gap_is_taken_and_filled_later,
         malformed_requests_keep_nothing, a_loop_is_told,
         names_are_percent_encoded, too_large_is_413,
         only_the_allowed_may_push, health_and_metrics_answer,
         curl_can_push_a_file,
         a_segment_of_a_store_can_be_pushed_as_it_is,
         either_byte_order_and_any_resolution_are_taken,
         headers_are_optional,
         requests_that_overtake_each_other_are_put_in_order,
         the_sender_in_the_documentation_works,
         a_stream_may_begin_with_a_gap_of_any_link_type,
         a_query_can_be_pushed_with_curl, seconds=120)
