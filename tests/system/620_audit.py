"""`pb audit` proves that another node has the same packets, or says which
differ and why: over the wire by digests alone, and of a store at hand."""

import concurrent.futures
import glob
import json
import mmap
import shutil
import signal
import socket
import struct
import threading

from certificates import *
from faults import *
import samples

EPB = 6


def bring(t, node, count, first=0, interface="eth0", size=200):
    node.pb("import", "--interface", interface,
            t.write("a.pcap", samples.pcap("<", samples.MAGIC_NS, [
                (samples.T0 + n, n, samples.eth(n, size), size)
                for n in range(first, first + count)])))


def audit(node, *args):
    """(status, {what: [(first, last, why)]}, streams by interface and epoch,
    sum); the same in words says so, too."""
    done = node.pb_run("audit", *args, "--json", seconds=60)
    check(done.returncode in (0, 1) and not done.stderr, done.returncode,
          done.stderr)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    found, streams, last = {}, {}, rows.pop()
    equal(last["row"], "audit", "the last row")
    for row in rows:
        if row["row"] == "stream":
            streams[row["interface"], row["epoch"]] = row
            continue
        what = row["what"] if row["row"] == "difference" else "fine"
        found.setdefault(what, []).append(
            (row["first"], row["last"], row["why"]))
    equal(last["identical"], done.returncode == 0, "identical")
    words = node.pb_run("audit", *args, seconds=60)
    equal(words.returncode, done.returncode, "status in words")
    check(words.stdout.startswith(b"audit of " + node.store.encode()),
          words.stdout)
    lines = words.stdout.decode().splitlines()
    equal(len(lines), len(rows) + 2, "lines: " + words.stdout.decode())
    return done.returncode, found, streams, last


def both_ways(node, upstream, core):
    """By the wire and by the store at hand: the same is found."""
    wire = audit(node, upstream)
    store = audit(node, core.store)
    equal(wire[:2], store[:2], "by the wire, and at hand")
    return wire


def pair(t, count=0, more=()):
    core = t.node("core", listen=True).start()
    edge = t.node("edge", upstreams={"core": [core.url, *more]})
    if count:
        bring(t, edge, count)
    edge.start_shipper()
    if count:
        drained(edge, core)
    return edge, core


def two_nodes_with_the_same_packets_are_identical(t):
    edge, core = pair(t, 3000)
    bring(t, edge, 50, interface="eth1")
    drained(edge, core)
    status, found, streams, last = both_ways(edge, "core", core)
    equal((status, found), (0, {}), "status and findings")
    equal(sorted((r["interface"], r["state"], r["same"])
                 for r in streams.values()),
          [("eth0", "identical", 3000), ("eth1", "identical", 50)], "streams")
    equal(last["questions"], 4, "questions")
    # From the other side, too.
    equal(audit(core, edge.store)[0], 0, "status from the core")
    equal(audit(edge, "core", "--stream", "*/eth1")[3]["streams"], 1,
          "streams that are asked for")
    done = edge.pb_run("audit", "core", "--stream", "*/eht1")
    check(done.returncode == 1 and b"matches --stream */eht1" in done.stderr
          and b"identical" not in done.stdout, "a slip", done.returncode,
          done.stderr)
    # What is under way is no difference.
    edge.shipper.stop()
    bring(t, edge, 5, interface="eth2")
    status, found, streams, _ = audit(edge, "core")
    equal((status, found), (0, {}), "status and findings")
    equal(sorted((r["interface"], r["state"], r["here_only"])
                 for r in streams.values()),
          [("eth0", "identical", 0), ("eth1", "identical", 0),
           ("eth2", "not_sent", 5)], "with more to send")
    # Of a store at hand nobody knows what is on its way.
    status, _, streams, _ = audit(edge, core.store)
    equal((status, sorted(r["state"] for r in streams.values())),
          (1, ["identical", "identical", "only_here"]), "of the store")
    equal(sorted(r["state"] for r in audit(core, edge.store)[2].values()),
          ["identical", "identical", "only_there"], "from the core")


def forge(store, deeds):
    """Change packets in sealed files, {number: deed(map, offset)}."""
    for path in glob.glob(store + "/segments/*/*/*/*.pcapng"):
        number = int(os.path.basename(path).split(".")[0])
        with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as data:
            at = 0
            while at < len(data):
                kind, size = struct.unpack_from("<II", data, at)
                if kind == EPB:
                    deeds.get(number, lambda *_: None)(data, at)
                    number += 1
                at += size


def flip(data, at):
    data[at + 28 + 100] ^= 0x10


def replace(data, at):
    data[at + 28 + 40:at + 28 + 90] = b"F" * 50


def move(data, at):
    ns, = struct.unpack_from("<I", data, at + 16)
    struct.pack_into("<I", data, at + 16, ns + 1)


def drop(data, at):
    struct.pack_into("<I", data, at, 0x0BADBAD1)


def what_a_store_believes_is_found_all_the_same(t):
    edge, core = pair(t, 4000)
    core.stop()
    forge(core.store, {17: flip, 2000: replace, 2001: move, 3333: drop})
    # The index is made of what the files say now.
    core.pb("reindex")
    core.start()
    check(b"; 0 findings" in core.pb("verify"), "it finds nothing wrong")
    status, found, streams, last = both_ways(edge, "core", core)
    equal((status, found), (1, {
        "differs": [(17, 17, "other bytes"), (2000, 2000, "other bytes"),
                    (2001, 2001, "another time")],
        "missing_there": [(3333, 3333, "damaged")]}), "findings")
    (row,) = streams.values()
    equal((row["state"], row["same"], row["differences"]),
          ("different", 3996, 4), "the stream")
    # Seen from there.
    equal(audit(core, edge.store)[1]["missing_here"],
          [(3333, 3333, "damaged")], "from the core")


def rot_is_told_with_its_segment(t):
    edge, core = pair(t, 1000)
    core.stop()
    core.start()
    forge(core.store, {400: flip})
    status, found, _, _ = both_ways(edge, "core", core)
    equal((status, found), (1, {"differs": [
        (400, 400, "other bytes; damaged there: segment 1")]}), "findings")


def dead_letters_are_missing_with_their_reason(t):
    core = t.node("core", listen=True)
    edge = t.node("edge", upstreams={"core": [
        core.url, "retry_for = 1s", "requeue = manual"]})
    bring(t, edge, 40)
    edge.start_shipper()
    wait_until(lambda: edge.rows("dlq", "list"), "dead letters", HEALED, 0.1)
    core.start()
    wait_until(lambda: core.ends() and core.rows("gaps"), "the gap at the "
               "core", HEALED, 0.1)
    bring(t, edge, 60, 40)
    drained(edge, core)
    # On a slow machine what came since may have been late as well.
    letters = [(r["first"], r["last"], "dead-lettered")
               for r in edge.rows("dlq", "list")]
    check((1, 40, "dead-lettered") in letters, letters)
    status, found, streams, _ = both_ways(edge, "core", core)
    equal((status, sorted(found["missing_there"])), (1, sorted(letters)),
          "findings")
    edge.pb("dlq", "requeue", "--all")
    wait_until(lambda: all(r["closed"] for r in core.rows("gaps")),
               "the gap is closed", HEALED, 0.1)
    equal(both_ways(edge, "core", core)[:2], (0, {}), "then")


def what_retention_deleted_is_no_difference(t):
    core = t.node("core", listen=True, store=["segment_size = 1MiB",
                                              "retain_size = 3MiB"]).start()
    edge = t.node("edge", upstreams={"core": [core.url]})
    edge.start_shipper()
    bring(t, edge, 5600, size=1400)
    drained(edge, core)
    wait_until(lambda: next(iter(core.streams().values()))["first_seq"] > 1,
               "retention has deleted", HEALED, 0.1)
    first = next(iter(core.streams().values()))["first_seq"]
    status, found, streams, _ = both_ways(edge, "core", core)
    equal((status, found), (0, {"fine": [(1, first - 1, "expired")]}),
          "findings")
    equal(audit(core, edge.store)[:2], (0, found), "from the core")


def an_upstream_that_lost_what_it_had_is_found(t):
    edge, core = pair(t, 500)
    edge.shipper.stop()
    core.stop()
    shutil.rmtree(core.store)
    core.start()
    status, found, streams, _ = audit(edge, "core")
    equal((status, found), (1, {"missing_there": [
        (1, 500, "was acknowledged once")]}), "findings")
    edge.start_shipper()
    drained(edge, core)
    equal(audit(edge, "core")[:2], (0, {}), "sent again")


def send(t, edge, core, first, count):
    """... frames that the edge captures and ships."""
    edge.start()
    t.traffic(t.sender, "pb0", count, 200, first=first).wait()
    t.all_stored(edge)
    wait_until(lambda: edge.rows("status")[0]["upstreams"][0]["backlog"] == 0
               and sum(core.ends().values()) >= count, "the core has it",
               HEALED, 0.1)
    edge.stop()


def a_stream_in_two_epochs_is_compared_as_one(t):
    core = t.node("core", listen=True).start()
    edge = t.edge_with_traffic(upstreams={"core": core})
    send(t, edge, core, 1, 30)
    copy = t.path("copy")
    shutil.copytree(edge.store, copy, symlinks=True)
    edge.start()
    t.traffic(t.sender, "pb0", 10, 200, first=1001).wait()
    drained(edge, core)
    wait_until(lambda: sum(core.ends().values()) == 40, "40 at the core")
    edge.stop()
    # The older copy is put back, and goes on with other packets.
    shutil.rmtree(edge.store)
    shutil.copytree(copy, edge.store, symlinks=True)
    edge.start()
    t.traffic(t.sender, "pb0", 20, 200, first=2001).wait()
    wait_until(lambda: sum(core.ends().values()) == 40 + 50,
               "the core has both", HEALED, 0.1)
    edge.stop()
    ((_, _, epoch),) = edge.streams()
    for with_whom in ("core", core.store):
        done = edge.pb_run("audit", with_whom, "--json")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        equal([(r["row"], r["epoch"] == epoch, r["epoch_there"] == epoch,
                r["same"], r["there_only"]) for r in rows[:-1]],
              [("stream", True, True, 30, 0),
               ("stream", True, False, 20, 0)], "parts")
        equal(done.returncode, 0, "status")
    # From the core's side the two are one, too.
    equal(audit(core, edge.store)[:2], (0, {}), "from the core")


def packets_that_come_meanwhile_are_no_difference(t):
    core = t.node("core", listen=True).start()
    edge = t.edge_with_traffic(upstreams={"core": core}, store=[
        "segment_age = 1s"])
    edge.start()
    sending = t.traffic(t.sender, "pb0", 3000, 600)
    wait_until(lambda: core.ends(), "something at the core")
    rounds = 0
    while sending.poll() is None or rounds < 3:
        for node, other in ((edge, "core"), (edge, core.store),
                            (core, edge.store)):
            done = node.pb_run("audit", other)
            equal((done.returncode, done.stderr), (0, b""),
                  "audit of %s: %s" % (node.name, done.stdout.decode()))
        rounds += 1
    t.all_stored(edge)
    drained(edge, core)
    (row,) = audit(edge, "core")[2].values()
    equal((row["state"], row["here_only"]), ("identical", 0), "at the end")


def shorter_packets_are_the_same_as_far_as_they_go(t):
    edge, core = pair(t)
    bring(t, edge, 100)
    drained(edge, core)
    short = t.node("short")
    short.pb("import", "--node", "edge", "--interface", "eth0",
             t.write("b.pcap", samples.pcap("<", samples.MAGIC_NS, [
                 (samples.T0 + n, n, samples.eth(n, 200)[:96], 200)
                 for n in range(100)])))
    # Under one name: as if they had been sent with a snap length.
    (mine,) = edge.streams()
    (other,) = short.streams()
    rename(short, other, mine)
    status, found, _, _ = audit(edge, short.store)
    equal((status, found), (1, {
        "cut": [(1, 100, "96 bytes of it there")]}), "findings")
    equal(audit(edge, short.store, "--snaplen", "96")[:2], (0, {}),
          "as if all were so short")


def rename(node, have, want):
    """Its one stream gets another epoch, in files, journal and index."""
    folder, = glob.glob(node.store + "/segments/*/*/*")
    old, new = (struct.pack("<Q", int(k[2], 16)) for k in (have, want))
    for path in glob.glob(folder + "/*.pcapng"):
        with open(path, "r+b") as f:
            data = f.read()
            check(old in data[:4096], "no epoch in the head")
            f.seek(0)
            f.write(data[:4096].replace(old, new) + data[4096:])
    for path in glob.glob(folder + "/journal") + glob.glob(
            folder + "/*.flows"):
        os.unlink(path)
    os.rename(folder, os.path.join(os.path.dirname(folder), want[2]))
    node.pb("reindex")


# --- what the sections say --------------------------------------------------

def mixed(t, node, count, first=0):
    """Packets of 80 and 200 bytes in turn."""
    node.pb("import", "--interface", "eth0", t.write(
        "c.pcap", samples.pcap("<", samples.MAGIC_NS, [
            (samples.T0 + n, n, samples.eth(n, 80 + n % 2 * 120),
             80 + n % 2 * 120) for n in range(first, first + count)])))


def what_the_section_leaves_out_and_cuts_is_no_difference(t):
    edge, core = pair(t)
    mixed(t, edge, 1000)
    drained(edge, core)
    edge.shipper.stop()
    with open(edge.conf, "a") as f:
        f.write("filter = greater 150\nsnaplen = 96\n")
    edge.start_shipper()
    mixed(t, edge, 4400, 1000)
    drained(edge, core)
    status, found, streams, last = audit(edge, "core")
    equal((status, sorted(w for _, _, w in found.pop("fine")), found),
          (0, ["cut by snaplen 96", "filtered"], {}), "status and findings")
    equal(sorted((r["state"], r["same"], r["filtered"], r["cut"])
                 for r in streams.values()),
          [("identical", 1000, 0, 0), ("identical", 2200, 2200, 2200)],
          "streams")
    equal((last["filtered"], last["cut"], last["snaplen"], last["filter"]),
          (2200, 2200, 96, "greater 150"), "the sum")
    check(last["questions"] < 20, last["questions"], "questions")
    check(b"(2200 packets): cut by snaplen 96; no difference" in
          edge.pb_run("audit", "core").stdout, "it is told in words")
    # What the section lets through must be there, whatever is said.
    core.stop()
    # Each second number has no packet there.
    forge(core.store, {1002: drop, 2004: replace})
    core.pb("reindex")
    core.start()
    status, found, streams, _ = audit(edge, "core")
    found.pop("fine")
    equal((status, sorted(found), [f[:2] for f in found["differs"]],
           [f[:2] for f in found["missing_there"]]),
          (1, ["differs", "missing_there"], [(4008, 4008)],
           [(2004, 2004)]), "findings")


def streams_that_the_upstream_alone_has_are_found(t):
    edge, core = pair(t, 100)
    ((_, _, lost),) = edge.streams()
    bring(t, core, 5)           # another node's
    edge.shipper.stop()
    shutil.rmtree(edge.store)
    bring(t, edge, 50)
    edge.start_shipper()
    ((_, _, epoch),) = edge.streams()
    wait_until(lambda: core.ends().get(("edge", "eth0", epoch)) == 50,
               "the core has the new one", HEALED)
    status, found, streams, last = audit(edge, "core")
    equal((status, found), (1, {"missing_here": [
        (1, 100, "this store does not know the stream")]}), "findings")
    equal({k[1]: r["state"] for k, r in streams.items()},
          {lost: "only_there", epoch: "identical"}, "streams")
    equal((last["listed"], last["streams_identical"]), (True, 1), "the sum")


def own(node, first, last):
    equal(push(node, node.name + "/eth0", first, last, 200,
               by=Local(node))[0], 200, "a push by the local door")


def an_edge_is_audited_by_who_dials_it(t):
    edge = t.node("edge", listen=True, extra="allow = pull:core\n").start()
    edge.start_shipper()
    core = t.node("core", edges={"lon1": edge}, upstreams={
        "lon1": "interface:lo"}).start()
    own(edge, 1, 2000)
    bring(t, edge, 30, interface="eth1")
    drained(edge, core)
    status, found, streams, last = both_ways(core, "lon1", edge)
    equal((status, found, sorted(r["same"] for r in streams.values())),
          (0, {}, [30, 2000]), "status and findings")
    equal((last["with"], last["there"], last["questions"]),
          ("edge", "lon1", 4), "the sum")
    # What is not fetched yet is no difference, a stream that is not here is.
    core.shipper.stop()
    own(edge, 2001, 2010)
    bring(t, edge, 7, interface="eth2")
    status, found, streams, _ = audit(core, "edge:lon1")
    equal((status, found), (1, {"missing_here": [
        (1, 7, "this store does not know the stream")]}), "findings")
    equal(sorted((k[0], r["state"], r["there_only"])
                 for k, r in streams.items()),
          [("eth0", "identical", 10), ("eth1", "identical", 0),
           ("eth2", "only_there", 7)], "streams")
    for name in ("eth0", "eth1"):
        equal(core.pb_run("audit", "lon1", "--stream", "*/" + name).returncode,
              0, "status of " + name)
    # At the edge it is said where to ask; and who may not, is told.
    done = edge.pb_run("audit", "core")
    check(done.returncode == 2 and b"cannot be asked; type `pb audit` at core"
          in done.stderr, done.returncode, done.stderr)
    done = t.node("mallory", edges={"lon1": edge}, where=core.store).pb_run(
        "audit", "lon1")
    check(done.returncode == 1 and b"pb: edge lon1: status 403: mallory may "
          b"not pull" in done.stderr, done.returncode, done.stderr)
    core.stop()
    forge(core.store, {17: flip})
    core.pb("reindex")
    equal(audit(core, "lon1", "--stream", "*/eth0")[1],
          {"differs": [(17, 17, "other bytes")]}, "a bit")


# --- the wire ---------------------------------------------------------------

class Counted:
    """A way to a port that counts what goes over it."""

    def __init__(self, port):
        self.port, self.bytes = port, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.spawn(self.serve)

    def spawn(self, call, *args):
        def quiet():
            with contextlib.suppress(OSError):
                call(*args)
        threading.Thread(target=quiet, daemon=True).start()

    def serve(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(("127.0.0.1", self.port))
            self.spawn(self.copy, near, far)
            self.spawn(self.copy, far, near)

    def copy(self, source, sink):
        while data := source.recv(65536):
            self.bytes += len(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def it_costs_bytes_by_what_differs(t):
    edge, core = pair(t, 20000)
    way = Counted(core.port)
    far = t.node("far", upstreams={"core": [way.url]}, where=edge.store)
    equal(far.pb_run("audit", "core").returncode, 0, "status")
    same = way.bytes
    check(same < 10000, same, "bytes of 20,000 packets that are the same")
    core.stop()
    forge(core.store, {10000: flip})
    core.pb("reindex")
    core.start()
    way.bytes = 0
    equal(far.pb_run("audit", "core").returncode, 1, "status")
    check(way.bytes < 30000, way.bytes, "bytes for one that differs")


def with_tls_it_asks_as_the_shipper_does(t):
    ca = Authority(t, "ca")
    port = free_port()
    core = t.node("core", extra="[listen]\naddress = 127.0.0.1:%d\n"
                  "allow = edge\n%s" % (port, keys(*ca.issue("core"),
                                                   ca.pem)))
    edge = t.node("edge", extra="".join(
        "[upstream %s]\nurl = https://127.0.0.1:%d\n%s" % (
            name, port, keys(*ca.issue(cn), ca.pem))
        for name, cn in (("core", "edge"), ("stranger", "mallory"))))
    bring(t, edge, 100)
    core.start()
    edge.start_shipper()
    wait_until(lambda: sum(core.ends().values()) == 100, "it is there",
               HEALED)
    equal(audit(edge, "core")[:2], (0, {}), "status and findings")
    done = edge.pb_run("audit", "stranger")
    check(done.returncode == 1 and b"pb: upstream stranger: status 403: "
          b"mallory may not" in done.stderr, done.returncode, done.stderr)


def hostile(t, answer, kind="upstreams"):
    """A node with an upstream, or edge, that answers each request so."""
    listener = socket.create_server(("127.0.0.1", 0))

    def one(peer):
        with contextlib.suppress(OSError):
            while peer.recv(65536):
                for data in answer():
                    peer.sendall(data)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=listener.accept()[:1],
                                 daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()
    node = t.node("edge%d" % t.number(), **{kind: {"core": [
        "http://127.0.0.1:%d" % listener.getsockname()[1],
        "answer_timeout = %ds" % (2 if kind == "edges" else 1)]}})
    bring(t, node, 300)
    return node


def body(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data),
            data]


def drip():
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"
    for _ in range(100000):
        yield b" "
        time.sleep(0.05)


def endless():
    yield b"HTTP/1.1 200 OK\r\n\r\n"
    for _ in range(10000):
        yield b"{" * 65536


ROW = (b'{"node":"x","interface":"\\u001b[2J","epoch":"%016x","durable":1,'
       b'"first":1,"link_type":1}\n')
CURSOR = b'{"cursor":"1"}\n'


def audits(*cases):
    """All at once, (node, words in which it ends), each in one line."""
    def one(case):
        node, why = case
        done = node.pb_run("audit", "core", seconds=100)
        check(done.returncode == 1 and why in done.stderr.decode() and
              len(done.stderr.splitlines()) == 1 and not done.stdout,
              why, done.returncode, done.stderr, done.stdout)
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
        list(pool.map(one, cases))


def lying_nodes_are_found_out_in_words(t):
    some = {"acked": 300, "first": 1}
    digest = "0123456789abcdef"

    def says(said, why):
        return hostile(t, lambda: body(said)), why

    def lists(said, why):
        return hostile(t, lambda: body(said), "edges"), why
    audits(
        says(b"rubbish", "upstream core: something in front of it answered"),
        says({"acked": 300}, "not what was asked for"),
        says(dict(some, parts=[]), "says nothing of numbers"),
        says(dict(some, parts=[{"last": 2 ** 62, "packets": 1,
                                "xxh3": digest}]), "behind the last number"),
        says(dict(some, parts=[{"last": 1, "packets": 9, "xxh3": digest}]),
             "a part's numbers"),
        says(dict(some, parts=[{"last": 1, "packets": 0}] * 300),
             "more parts"),
        (hostile(t, endless), "too large"), (hostile(t, drip), "no answer"),
        # One that is of an older version.
        (hostile(t, lambda: [
            b"HTTP/1.1 404 No\r\nContent-Length: 24\r\n\r\n",
            b'{"error":"no such path"}']), "older version"),
        # Edges.
        lists(b"rubbish\n" + CURSOR, "list of streams cannot be read"),
        lists(ROW % 1, "list of streams has no cursor"),
        lists(b"".join(ROW % n for n in range(1, 65540)) + CURSOR,
              "lists more than 65536 streams"),
        lists(ROW % 1 + CURSOR, "something in front of it answered 200"))
    # One that offers what is not to be fetched has nothing.
    own = ROW.replace(b'"x"', b'"edge14"') % 1 + CURSOR
    node, _ = lists(own, "")
    equal(node.name, "edge14", "its own name")
    equal(audit(node, "core")[3]["streams"], 0, "streams")
    check(b"identical: there is nothing to compare" in
          node.pb_run("audit", "core").stdout, "it is told")


def who_is_interrupted_ends_by_the_signal_and_tells_nothing(t):
    asked = threading.Event()

    def silent():
        asked.set()
        time.sleep(30)
        return []
    node = hostile(t, silent)
    for args in ((), ("--json",)):
        asked.clear()
        with subprocess.Popen([os.path.join(BUILD, "pb"), "-c", node.conf,
                               "audit", "core", *args],
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as pb:
            check(asked.wait(30), "it asks")
            pb.send_signal(signal.SIGINT)
            out, err = pb.communicate(timeout=30)
        equal((pb.returncode, out, err), (-signal.SIGINT, b"", b""),
              "status and output")


def wrong_usage_is_told(t):
    edge = t.node("edge", listen=True, upstreams={
        "core": ["http://127.0.0.1:1"], "both": ["http://127.0.0.1:1"],
        "tap": ["interface:lo"]}, edges={"both": "http://127.0.0.1:1"})
    with open(edge.conf) as f:
        text = f.read()
    with open(edge.conf, "w") as f:
        f.write(text.replace("[listen]", "[listen]\nallow = pull:far"))
    bring(t, edge, 3)
    for args, why in ((["nowhere"], "neither the name of an [upstream]"),
                      ([], "say with whom"), (["core", "core"], "say with"),
                      (["tap"], "is a local interface"),
                      (["far"], "comes for its packets itself"),
                      (["both"], "write upstream:both or edge:both"),
                      (["edge:core"], "neither the name of"),
                      (["upstream:nowhere"], "neither the name of"),
                      ([""], "neither the name of"),
                      ([edge.store], "is this very store"),
                      (["core", "--snaplen", "0"], "--snaplen")):
        done = edge.pb_run("audit", *args)
        check(done.returncode == 2 and why in done.stderr.decode(), args,
              done.returncode, done.stderr)
    done = edge.pb_run("audit", t.dir)
    check(done.returncode == 1 and b"there is no store in" in done.stderr,
          done.returncode, done.stderr)


if __name__ == "__main__":
    main("620", two_nodes_with_the_same_packets_are_identical,
         what_a_store_believes_is_found_all_the_same,
         rot_is_told_with_its_segment,
         dead_letters_are_missing_with_their_reason,
         what_retention_deleted_is_no_difference,
         an_upstream_that_lost_what_it_had_is_found,
         a_stream_in_two_epochs_is_compared_as_one,
         packets_that_come_meanwhile_are_no_difference,
         shorter_packets_are_the_same_as_far_as_they_go,
         what_the_section_leaves_out_and_cuts_is_no_difference,
         streams_that_the_upstream_alone_has_are_found,
         an_edge_is_audited_by_who_dials_it,
         it_costs_bytes_by_what_differs,
         with_tls_it_asks_as_the_shipper_does,
         lying_nodes_are_found_out_in_words,
         who_is_interrupted_ends_by_the_signal_and_tells_nothing,
         wrong_usage_is_told)
