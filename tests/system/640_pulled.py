"""A node that is pulled, by a client that is none of ours: Python's standard
library, written from docs/protocol.md and docs/format.md alone."""

import http.client
import json
import os
import signal
import socket
import ssl
import threading

from certificates import *
from puller import *


def what_is_pulled_is_what_the_store_has(t):
    node = edge(t)
    give(node, 1, 3000)
    give(node, 1, 500, "y/eth1")
    puller = Puller(node)
    streams = puller.streams()
    equal(sorted(streams.values()), [500, 3000], "durable")
    for stream in streams:
        puller.pull(stream, max_bytes=65536)
        all_of(puller, stream, node)
    wait_until(lambda: backlog(node) == 0, "nothing waits")
    equal(puller.streams(), {}, "streams that have grown")


def a_poll_is_answered_when_packets_are_durable(t):
    node = edge(t)
    give(node, 1, 10)
    puller = Puller(node)
    stream = one(puller)
    puller.pull(stream)
    later = threading.Timer(1, give, (node, 11, 20))
    later.start()
    equal(puller.streams(wait=60), {stream: 20}, "grown")
    later.join()
    later = threading.Timer(1, give, (node, 21, 30))
    later.start()
    puller.have[stream] = 20
    check(puller.step(stream, wait=60), "packets came")
    equal(puller.have[stream], 30, "pulled")
    later.join()
    equal(puller.packets(stream, 30, wait=1)[0], 204, "nothing came")
    puller.streams()
    give(node, 1, 10, "z/eth9")
    other = Puller(node, "core2")   # takes none of those streams
    equal(other.streams(wait=1), {}, "streams for core2")
    equal(list(puller.streams().values()), [10], "streams for core1")


def who_may_take_which_streams_is_what_allow_says(t):
    node = edge(t)
    give(node, 1, 10)
    give(node, 1, 10, "y/eth0")
    stream = [s for s in Puller(node).streams() if s.startswith("x/")][0]
    for name, want in (("core2", 403), ("core3", 403), ("core1", 200)):
        equal(Puller(node, name).packets(stream, 0)[0], want, name)
    equal([s[:2] for s in Puller(node, "core2").streams()], ["y/"],
          "streams for core2")
    equal(node.http("GET", "/v1/streams")[0], 400, "nobody")
    equal(node.http("GET", "/v1/streams", None, {"PB-Node": "x"})[0], 403,
          "who may only bring")
    puller = Puller(node)
    equal(puller.ask("GET", "/v1/streams/%s?at=3" % stream)[0], 200,
          "a question")
    equal(puller.packets("x/eth7/00000000000000aa", 0)[0], 404, "no stream")


def an_ack_that_cannot_be_is_refused(t):
    node = edge(t)
    give(node, 1, 10)
    puller = Puller(node)
    stream = one(puller)
    equal(puller.ack(stream, 11, 409)["acked"], 10, "past the end")
    puller.have[stream] = 0
    path = "/v1/streams/%s/acks" % stream
    for body, want in (
            ({"upstream": "core2", "acked": 1}, 403), ({"acked": 1}, 400),
            ({"upstream": ME}, 400), ({"upstream": ME, "acked": -1}, 400),
            ({"upstream": ME, "acked": 2, "first": 3}, 400)):
        equal(puller.ask("POST", path, json.dumps(body))[0], want, body)
    equal(puller.ask("POST", path, "{")[0], 400, "half a body")
    equal(puller.ask("POST", path)[0], 400, "no body")
    wait_until(lambda: backlog(node) == 10, "all waits")
    node.shipper.stop()
    code, head, _ = puller.ask("POST", path, json.dumps(
        {"upstream": ME, "acked": 10}))
    equal((code, "Retry-After" in head), (503, True), "without a shipper")
    node.start_shipper()
    wait_until(lambda: puller.ask("POST", path, json.dumps(
        {"upstream": ME, "acked": 10}))[0] == 200, "the ack is taken")
    wait_until(lambda: backlog(node) == 0, "nothing waits")


def each_packet_comes_once_whatever_is_killed(t):
    node = edge(t)
    puller = Puller(node)
    stop = threading.Event()
    last = [0]

    def feed():
        while not stop.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                first = last[0] + 1
                if push(node, "x/eth0", first, first + 99,
                        FRAME)[0] == 200:
                    last[0] = first + 99

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        for turn in range(6):
            time.sleep(0.5)
            daemon = (node.recorder, node.shipper)[turn % 2]
            with contextlib.suppress(OSError, http.client.HTTPException,
                                     Failure):
                puller.streams()
                for stream in puller.streams() or list(puller.have):
                    puller.step(stream, max_bytes=65536)
                    puller.ack(stream)
            daemon.kill()
            (node.start_recorder, node.start_shipper)[turn % 2]()
    finally:
        stop.set()
        thread.join()
    puller.cursor = ""
    stream = one(puller)
    puller.pull(stream)
    check(last[0] > 500, "only", last[0], "packets came")
    check(puller.have[stream] >= last[0], "not all that was acknowledged")
    all_of(puller, stream, node)
    wait_until(lambda: backlog(node) == 0, "nothing waits", HEALED)
    # The last ack was lost with a shipper: the next one is told again.
    node.shipper.kill()
    node.start_shipper()
    wait_until(lambda: backlog(node) == 0, "nothing waits", HEALED)


def letters_until_it_acknowledges(t, meanwhile, words):
    node = edge(t, "[upstream core1]", "url = pull:", "retry_for = 2s",
                "answer_timeout = 1s", "streams = x/*",
                store=["segment_size = 1MiB", "retain_size = 2MiB"])
    give(node, 1, 100, size=9000)
    puller = Puller(node)
    stream = one(puller)
    puller.pull(stream)

    def letters():
        meanwhile(puller, stream)
        return upstream(node)["dead_letters"]["packets"]

    for n in range(1, 4):
        give(node, n * 100 + 1, (n + 1) * 100, size=9000)
        wait_until(lambda: letters() >= n * 100, "dead letters", HEALED)

    def said():
        meanwhile(puller, stream)
        return words in upstream(node)["last_error"]

    wait_until(said, words, HEALED)
    gone = min(p.seq for p in node.query("--stream", "x/eth0").packets)
    check(gone > 101, "the store has all of it")
    puller.pull(stream)
    equal(sorted(puller.rows[stream]), list(range(1, 401)), "pulled")
    equal(puller.gaps, {}, "gaps")
    # More than once where a busy machine kept it from asking or acknowledging
    # for as long as makes one that is away.
    wait_until(lambda: lines(node.shipper, "answers again"), "it is back")

    def files():
        puller.streams()        # it is still there
        return [f for _, _, names in os.walk(os.path.join(
            node.store, "dead-letters")) for f in names]

    wait_until(lambda: not files() and letters() == 0, "no letters", HEALED)
    equal(backlog(node), 0, "what waits")


def who_is_away_gets_dead_letters_and_all_of_them_when_it_is_back(t):
    letters_until_it_acknowledges(t, lambda puller, stream: None,
                                  "nobody has pulled since")


def who_asks_and_acknowledges_nothing_is_as_good_as_away(t):
    def asks(puller, stream):
        puller.cursor = ""
        puller.streams(wait=60)     # it is there, even if this takes long
        puller.packets(stream, puller.have[stream])

    letters_until_it_acknowledges(t, asks, "it asks, but has acknowledged "
                                  "nothing since")


def with_a_gap(node, last, stream="x/eth0"):
    """Packets 1 to 10 and ten behind `last`; what is between is a gap."""
    give(node, 1, 10, stream)
    puller = Puller(node)
    gap = one(puller)
    declare(node, gap, 11, last)
    give(node, last + 1, last + 10, stream)
    return puller, gap


def requeued(node):
    return upstream(node)["dead_letters"]["requeued"]


def what_was_not_pulled_is_deleted_last(t):
    node = edge(t, store=["segment_size = 1MiB", "retain_size = 4MiB"])
    puller, late = with_a_gap(node, 30, "z/eth0")
    puller.pull(late)
    give(node, 15, 20, "z/eth0")
    wait_until(lambda: requeued(node) == 1, "what came late waits")
    for n in range(3):
        give(node, n * 100 + 1, (n + 1) * 100, size=9000)
    give(node, 1, 100, "y/eth0", size=9000)
    kept = [s for s in puller.streams() if s.startswith("y/")][0]
    puller.pull(kept)
    Puller(node, "core2").pull(kept)
    wait_until(lambda: backlog(node) == 300 and
               backlog(node, "core2") == 0, "what waits")
    time.sleep(1)
    for n in range(1, 4):
        give(node, n * 100 + 1, (n + 1) * 100, "y/eth0", size=9000)
        puller.streams()
        puller.pull(kept)
        Puller(node, "core2").ack(kept, (n + 1) * 100)
        wait_until(lambda: backlog(node) == 300, "what waits")
    equal(sorted(p.seq for p in node.query("--stream", "x/eth0").packets),
          list(range(1, 301)), "what was not pulled")
    numbers = [p.seq for p in node.query("--stream", "z/eth0").packets]
    check({*range(15, 21)} <= {*numbers} and 1 not in numbers,
          "what came late, and was not pulled:", numbers)


def what_has_expired_is_told_as_that(t):
    node = edge(t, store=["segment_size = 1MiB", "retain_size = 2MiB"])
    for n in range(8):
        give(node, n * 100 + 1, (n + 1) * 100, size=9000)
    puller = Puller(node)
    stream = one(puller)
    puller.pull(stream)
    gaps = puller.gaps[stream]
    equal((gaps[0][0], {g[2] for g in gaps}), (1, {"expired"}), "gaps")
    check(len(puller.rows[stream]) >= 100, "the last ones are there")
    equal(sorted([*puller.rows[stream], *(
        n for g in gaps for n in range(g[0], g[1] + 1))]),
        list(range(1, 801)), "numbers pulled, or expired")
    wait_until(lambda: backlog(node) == 0, "nothing waits")


def packets_that_come_late_are_told_and_pulled(t):
    node = edge(t)
    puller, stream = with_a_gap(node, 30)
    puller.pull(stream)
    equal(puller.gaps[stream], [(11, 30, "dead-lettered")], "gaps")
    puller.streams()
    give(node, 15, 20)
    give(node, 25, 30)
    while len(puller.late) < 2:
        check(puller.streams(wait=20) != {}, "nothing came late")
    wait_until(lambda: requeued(node) == 2, "they wait")
    for where, first, last in puller.late:
        _, head, body = puller.packets(where, first - 1)
        equal(puller.take(where, head, body), (first, last), "late")
        puller.ack(where, last, first=first)
    wait_until(lambda: puller.streams() == {} and requeued(node) == 0,
               "none wait", HEALED)
    all_of(puller, stream, node)


def what_comes_late_before_its_gap_is_acknowledged_waits(t):
    node = edge(t)
    puller, stream = with_a_gap(node, 20)
    puller.pull_to(stream, 10)
    check(puller.step(stream), "it is told of the gap")
    give(node, 11, 20)
    puller.pull_to(stream, 30)
    wait_until(lambda: backlog(node) == 0 and requeued(node) == 1,
               "what came late waits")
    puller.ack(stream, 20, first=11)
    wait_until(lambda: requeued(node) == 0, "none waits", HEALED)


def what_came_late_is_settled_in_any_order_whoever_is_killed(t):
    node = edge(t)
    puller, stream = with_a_gap(node, 600)
    puller.pull(stream)
    late = range(600, 10, -2)
    for n in late:
        give(node, n, n)

    def waits():
        puller.streams()        # it is there
        return requeued(node)

    wait_until(lambda: waits() == len(late), "they wait", HEALED)
    for n in late[:-1]:
        wait_until(lambda: puller.ask(
            "POST", "/v1/streams/%s/acks" % stream, json.dumps(
                {"upstream": ME, "first": n, "acked": n}))[0] == 200, "an ack")
    wait_until(lambda: waits() == 1, "all but one are settled", HEALED)
    node.shipper.proc.send_signal(signal.SIGSTOP)
    puller.ack(stream, late[-1], first=late[-1])
    node.shipper.kill()
    node.start_shipper()
    wait_until(lambda: waits() == 0, "none waits", HEALED)


def a_puller_that_lost_all_gets_all_again(t):
    node = edge(t)
    give(node, 1, 1000)
    puller = Puller(node)
    stream = one(puller)
    puller.pull(stream)
    wait_until(lambda: backlog(node) == 0, "nothing waits")
    again = Puller(node)
    equal(one(again), stream, "the stream")
    again.ack(stream, 0)
    wait_until(lambda: backlog(node) == 1000, "all waits")
    node.shipper.says("it has packets up to 0 only and had 1000")
    again.pull(stream)
    all_of(again, stream, node)
    wait_until(lambda: backlog(node) == 0, "nothing waits")


def hostile_pullers_are_bounded_and_hurt_nobody(t):
    node = edge(t, shipper=False)
    give(node, 1, 4000, size=1000)
    puller = Puller(node)
    stream = one(puller)
    path = "/v1/streams/%s/packets?" % stream
    head = "GET %s HTTP/1.1\r\nHost: x\r\nPB-Node: core1\r\n\r\n"
    held = []

    def connect(target):
        c = socket.create_connection(("127.0.0.1", node.port))
        c.settimeout(20 * SLACK)
        c.sendall((head % target).encode())
        held.append(c)
        return c

    # With those below fewer than one address may have open (256), though none
    # of these has been seen to close by then.
    polls = [connect("/v1/streams?wait=60&since=" + puller.cursor)
             for _ in range(150)]
    refused = 0
    for c in polls:
        with contextlib.suppress(socket.timeout):
            c.settimeout(0.05)
            refused += b" 503 " in c.recv(64)
    check(refused >= 150 - 32, refused, "of 150 polls were refused")
    give(node, 4001, 4010)
    equal(b" 200 " in polls[0].recv(64), True, "the first is answered")
    for c in held:
        c.close()
    del held[:]
    # They ask for all and read nothing.
    for n in range(60):
        connect(path + "max_bytes=99999999&after=%d" % n)
    for n in range(10):
        give(node, 4011 + 10 * n, 4020 + 10 * n)
    equal(node.http("GET", "/v1/health")[0], 200, "health")
    for c in held:
        c.close()
    for query, want in (("after=-1", 400), ("after=x", 400),
                        ("after=99999999999999999999", 400),
                        ("max_bytes=0", 400), ("wait=soon", 400),
                        ("after=9223372036854775806", 204),
                        ("after=0&max_bytes=1", 200),
                        ("after=5&to=5", 400), ("after=5&to=x", 400),
                        ("after=5&as=0", 400),
                        ("after=5&as=0000000000000000", 400),
                        ("after=5&as=000000000000000x", 400)):
        wait_until(lambda: puller.ask("GET", path + query)[0] == want,
                   "%s is answered with %d" % (query, want))
    for cursor in ("x", "0.0.0", "%00", "f" * 5000, "1.2", "-1.-1.-1"):
        code, _, body = puller.ask("GET", "/v1/streams?since=" + cursor)
        equal((code, body.count(b"\n")), (200, 2), "cursor " + cursor[:9])


# What a puller needs that has other packets of the stream.
def packets_are_told_up_to_a_number_and_under_another_epoch(t):
    node, puller = edge(t), None
    give(node, 1, 10)
    give(node, 11, 20)
    puller = Puller(node)
    stream = one(puller)
    status, head, body = puller.packets(stream, 3, to=7, **{
        "as": "0badcafe00000001"})
    equal((status, head["PB-First"], head["PB-Last"]), (200, "4", "7"), "4-7")
    capture = pngread.read(body)
    equal(pngread.identity(capture.sections[0])["epoch"], 0x0badcafe00000001,
          "epoch")
    equal([p.seq for p in capture.packets], [4, 5, 6, 7], "numbers")
    equal(puller.packets(stream, 20, to=25)[0], 204, "nothing is there")
    # The same packet, cut to some bytes of it.
    path = "/v1/streams/%s?at=7" % stream
    said = [json.loads(puller.ask("GET", path + q)[2])["last"]
            for q in ("", "&captured=30", "&captured=262144")]
    equal([s.get("captured") for s in said], [None, 30, None], "captured")
    check(said[0] == said[2] != said[1], "fingerprints", said)
    equal(puller.ask("GET", path + "&captured=0")[0], 400, "captured=0")


def what_is_said_to_follow_packets_is_what_comes(t):
    node = edge(t, "[upstream core1]", "url = pull:")
    for first in range(1, 1001, 100):
        give(node, first, first + 99, size=9000)
    puller = Puller(node)
    stream = one(puller)
    after, told = 0, []
    while after < 900:
        if told:
            last, most = told.pop(0)
            status, head, body = puller.packets(stream, after,
                                                max_bytes=max(most, 65536))
            equal(int(head["PB-Last"]), last, "it ends")
            check(len(body) <= most, len(body), "bytes, not", most)
        else:
            status, head, body = puller.packets(stream, after)
            told = follows(head)
            check(after > 0 or len(told) > 2, "told", head)
        equal(status, 200, "packets")
        equal(int(head["PB-First"]), after + 1, "it begins")
        after = int(head["PB-Last"])
    # Nothing past what was asked for, nor more than a rate gives in a second.
    first = follows(puller.packets(stream, 0)[1])
    head = puller.packets(stream, 0, to=first[0][0])[1]
    equal(follows(head), first[:1], "up to a number")

    def told_at(rate, was=""):
        text = open(node.conf).read().replace(was, "")
        with open(node.conf, "w") as f:
            f.write(text.replace("url = pull:", "url = pull:" + rate))
        node.recorder.proc.send_signal(signal.SIGHUP)
        return lambda: follows(puller.packets(stream, 0)[1])

    told = told_at("\nrate_limit = 16Mbit")
    wait_until(lambda: told() == first[:2], "two pieces are told")
    told = told_at("\nrate_limit = 4Mbit", "\nrate_limit = 16Mbit")
    wait_until(lambda: not told(), "nothing is told")


def follows(head):
    return [tuple(map(int, item.split("/"))) for item in
            head.get("PB-Next", "").split(",") if item]


def with_tls_the_certificate_says_who_pulls(t):
    ca = Authority(t, "ca")
    port = free_port()
    node = t.node("edge", extra="[listen]\naddress = 127.0.0.1:%d\n%s%s" % (
        port, EDGE, keys(*ca.issue("edge"), ca.pem)))
    node.pb("import", "--interface", "eth0", t.write("a.pcap", samples.pcap(
        "<", samples.MAGIC_NS,
        [(samples.T0, n, samples.eth(n), 60) for n in range(1, 51)])))
    node.start_recorder()

    def ask(who, path, claims=None):
        context = ssl.create_default_context(cafile=ca.pem)
        context.load_cert_chain(*ca.issue(who))
        c = http.client.HTTPSConnection("127.0.0.1", port, context=context,
                                        timeout=20 * SLACK)
        c.request("GET", path, None, {"PB-Node": claims} if claims else {})
        r = c.getresponse()
        body = r.read()
        c.close()
        return r.status, body

    status, body = ask("core1", "/v1/streams")
    equal((status, body.count(b"\n")), (200, 2), "of core1")
    row = json.loads(body.splitlines()[0])
    path = "/v1/streams/%(node)s/%(interface)s/%(epoch)s/packets" % row
    status, body = ask("core1", path, "core2")
    equal(status, 200, "packets for core1")
    equal(len(pngread.read(body).packets), 50, "packets")
    equal(ask("core2", path, "core1")[0], 403, "of core2, who says core1")
    equal(ask("other", "/v1/streams", "core1")[0], 403, "of another")


def which_streams_it_may_take_is_what_a_reload_says(t):
    node = edge(t, "[upstream core1]", "url = pull:", "streams = x/*")
    give(node, 1, 10)
    give(node, 1, 10, "y/eth0")
    x, y = ("%s/eth0/%s" % (n, EPOCH) for n in "xy")
    puller = Puller(node)

    def say(old, new):
        text = open(node.conf).read()
        with open(node.conf, "w") as f:
            f.write(text.replace("streams = " + old, "streams = " + new))
        node.recorder.proc.send_signal(signal.SIGHUP)

    equal(puller.streams(), {x: 10}, "streams")
    puller.pull(x)
    equal(puller.packets(y, 0)[0], 403, "of others")
    # Who waits is told at once, though nothing has come.
    threading.Timer(1, say, ("x/*", "*/eth0")).start()
    equal(puller.streams(wait=60), {x: 10, y: 10}, "streams, after a reload")
    puller.pull(y)
    equal(puller.streams(), {}, "streams that have grown")
    threading.Timer(1, say, ("*/eth0", "y/*")).start()
    equal(puller.streams(wait=60), {y: 10}, "streams, after another")
    equal(puller.packets(x, 0)[0], 403, "of those that it had")
    check(not [line for line in lines(node.recorder, "restart")],
          "a restart was asked for")


def what_is_damaged_holds_up_until_it_is_given_up(t):
    node = edge(t, "[upstream core1]", "url = pull:", "retry_for = 3s",
                store=["segment_size = 1MiB"])
    for n in range(4):
        give(node, n * 100 + 1, (n + 1) * 100, size=9000)
    puller = Puller(node)
    stream = one(puller)
    node.stop()
    with open([f for f in node.files() if "0101.pcapng" in f][0],
              "r+b") as f:
        f.seek(5000)
        f.write(b"\0damage\0")
    node.start()
    puller.pull_to(stream, 100)
    code, _, body = puller.packets(stream, 100)
    equal(code, 503, body)
    check(b"damaged" in body, body)
    wait_until(lambda: "damaged" in upstream(node)["last_error"] or
               puller.packets(stream, 100) is None, "the reason is told")
    wait_until(lambda: puller.packets(stream, 100)[1].get("PB-Gap") ==
               "101-200; reason=dead-lettered", "it is given up", HEALED)
    puller.pull(stream)
    equal(sorted(puller.rows[stream]), [*range(1, 101), *range(201, 401)],
          "what is whole")


def the_puller_in_the_documentation_works(t):
    """The program at the end of docs/protocol.md, as it is printed."""
    node = edge(t)
    give(node, 1, 5000)
    page = open(os.path.join(ROOT, "docs", "protocol.md")).read()
    page = page[page.index("## A whole puller"):]
    lines = page[page.index("import http.client"):].splitlines()
    program = "\n".join(line[4:] if n else line
                        for n, line in enumerate(lines))
    program = program.replace('"lon1.example", 7152',
                              '"127.0.0.1", %d' % node.port)
    path = t.write("puller.py", program + "\n")
    os.mkdir(t.path("pulled"))
    child = t.spawn([sys.executable, path], cwd=t.path("pulled"),
                    stderr=subprocess.DEVNULL)

    def numbers():
        found = []
        for name in os.listdir(t.path("pulled")):
            with contextlib.suppress(pngread.Malformed):
                found += [p.seq for p in pngread.read(os.path.join(
                    t.path("pulled"), name)).packets]
        return sorted(found)

    wait_until(lambda: numbers() == list(range(1, 5001)), "it pulls", 20)
    give(node, 5001, 5100)
    wait_until(lambda: numbers() == list(range(1, 5101)), "it goes on", 20)
    equal(child.poll(), None, "it still runs")
    wait_until(lambda: upstream(node)["state"] == "idle" and
               backlog(node) == 0, "nothing waits")


def a_configuration_that_contradicts_itself_is_told(t):
    for lines, words in (
            ((), None),
            (("[upstream core1]", "url = pull:", "streams = x/*"), None),
            (("[upstream core1]", "url = https://a:1", "tls_cert = a",
              "tls_key = b", "tls_ca = c"), "pull:core1"),
            (("[upstream other]", "url = pull:"), "nobody may pull"),
            (("[upstream core2]", "url = pull:", "streams = z/*"), "pull:core2"),
            (("[upstream core1]", "url = pull:", "requeue = manual"),
             "requeue: given, but it pulls"),
            (("[upstream core1]", "url = pull:", "rate_limit = 1Mbit",
              "rate_burst = 1MiB", "schedule = 20:00-06:00",
              "priority = x/eth0, *"), None),
            (("[upstream core1]", "url = pull:", "filter = tcp prot 5"),
             "[upstream core1]: filter 'tcp prot 5'"),
            (("[upstream core1]", "url = pull:", "filter = tcp",
              "snaplen = 96"), None),
            (("[upstream core1]", "url = pull:", "tls = off"), "tls")):
        node = t.node("edge", listen=True,
                      extra=EDGE + "\n".join(lines) + "\n")
        for program in ("pb-recorder", "pb-shipper"):
            done = run([os.path.join(BUILD, program), "-t", "-c", node.conf])
            said = done.stderr.decode()
            equal(done.returncode, 2 if words else 0, said)
            check(not words or words in said, said, "without", words)


if __name__ == "__main__":
    main("640", what_is_pulled_is_what_the_store_has,
         a_poll_is_answered_when_packets_are_durable,
         who_may_take_which_streams_is_what_allow_says,
         an_ack_that_cannot_be_is_refused,
         each_packet_comes_once_whatever_is_killed,
         who_is_away_gets_dead_letters_and_all_of_them_when_it_is_back,
         who_asks_and_acknowledges_nothing_is_as_good_as_away,
         what_was_not_pulled_is_deleted_last,
         what_has_expired_is_told_as_that,
         packets_that_come_late_are_told_and_pulled,
         what_comes_late_before_its_gap_is_acknowledged_waits,
         what_came_late_is_settled_in_any_order_whoever_is_killed,
         a_puller_that_lost_all_gets_all_again,
         hostile_pullers_are_bounded_and_hurt_nobody,
         packets_are_told_up_to_a_number_and_under_another_epoch,
         what_is_said_to_follow_packets_is_what_comes,
         with_tls_the_certificate_says_who_pulls,
         which_streams_it_may_take_is_what_a_reload_says,
         what_is_damaged_holds_up_until_it_is_given_up,
         the_puller_in_the_documentation_works,
         a_configuration_that_contradicts_itself_is_told, seconds=180)
