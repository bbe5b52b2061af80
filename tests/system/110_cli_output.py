"""What `pb` prints: the fields of the contract, every option of query."""

import json
import os
import re
import signal

from harness import *
import pngread
import samples

STREAM_FIELDS = {"node", "interface", "epoch", "first_seq", "last_seq",
                 "packets", "bytes", "dropped", "first_time", "last_time"}
SEGMENT_FIELDS = {"path", "stream", "first_seq", "last_seq", "packets",
                  "bytes", "first_time", "last_time", "sealed"}
PACKET_FIELDS = {"time", "node", "interface", "epoch", "seq", "caplen",
                 "len", "hops"}
HOP_FIELDS = {"node", "description", "seq", "time"}


def store(t):
    """100 packets a second apart on lon/eth0, as many on lon/eth1, 10 on
    par/eth0; even ones on eth0 go to port 53 from 1000 + n."""
    node = t.node("n1")
    for who, interface, count, ns in (("lon", "eth0", 100, 0),
                                      ("lon", "eth1", 100, 500),
                                      ("par", "eth0", 10, 900)):
        path = t.write("a.pcap", samples.pcap("<", samples.MAGIC_NS, [
            (samples.T0 + n, ns, samples.eth(n), 60 + n)
            for n in range(count)]))
        node.pb("import", "--node", who, "--interface", interface, path)
    return node


def streams_segments_and_status_have_their_fields(t):
    node = store(t)
    rows = node.rows("streams")
    equal([(r["node"], r["interface"], r["first_seq"], r["last_seq"],
            r["packets"], r["bytes"], r["dropped"]) for r in rows],
          [("lon", "eth0", 1, 100, 100, 6000, 0),
           ("lon", "eth1", 1, 100, 100, 6000, 0),
           ("par", "eth0", 1, 10, 10, 600, 0)], "streams")
    for r in rows:
        check(STREAM_FIELDS <= set(r), "missing:", STREAM_FIELDS - set(r))
        check(len(r["epoch"]) == 16 and int(r["epoch"], 16), "epoch", r)
    equal(parse_time(rows[0]["first_time"]), samples.T0 * 10**9, "first_time")
    equal(parse_time(rows[0]["last_time"]), (samples.T0 + 99) * 10**9,
          "last_time")
    segments = node.rows("segments")
    equal(len(segments), 3, "segments")
    for r in segments:
        check(SEGMENT_FIELDS <= set(r), "missing:", SEGMENT_FIELDS - set(r))
        equal(r["sealed"], True, "sealed, as the import has ended")
        path = os.path.join(node.store, r["path"])
        check(os.path.isfile(path), "no such file:", r["path"])
        equal(os.path.getsize(path), r["bytes"], "bytes of " + r["path"])
        equal(len(pngread.read(path).packets), r["packets"], "packets")
    equal({r["stream"] for r in segments},
          {"lon/eth0", "lon/eth1", "par/eth0"}, "stream")
    status = node.rows("status")
    check(status and "n1" in json.dumps(status), "status", status)
    for command in ("status", "streams", "segments", "gaps"):
        node.pb(command)
    check("lon" in node.pb("streams").decode(), "no lon in pb streams")
    equal(node.rows("gaps"), [], "gaps")


def packets_have_their_fields(t):
    node = store(t)
    rows = node.rows("query")
    equal(len(rows), 210, "rows")
    for r in rows:
        equal(set(r) & PACKET_FIELDS, PACKET_FIELDS, "fields")
        equal(len(r["hops"]), 1, "hops")
        equal(set(r["hops"][0]) & HOP_FIELDS, HOP_FIELDS, "fields of a hop")
        equal(r["hops"][0]["node"], r["node"], "origin")
        equal(len(r["time"]), len("2026-11-21T10:00:00.000000000Z"), "time")
        equal((r["caplen"], r["len"]), (60, 59 + r["seq"]), "lengths")
    times = [r["time"] for r in rows]
    equal(times, sorted(times), "order")
    text = node.pb("query").decode().splitlines()
    equal(len([line for line in text if "lon/eth0" in line]), 100,
          "lines for people")
    check(any("10.0.0.1" in line and "10.0.0.2" in line for line in text),
          "no endpoints in", text[:2])


def a_packet_of_the_first_moment_of_1970_has_a_time(t):
    node = t.node("n1")
    node.pb("import", t.write("a.pcap", samples.pcap(
        "<", samples.MAGIC_NS, [(0, 0, samples.eth(1), 60)])))
    for command in ("query", "streams", "segments", "flows"):
        row, = node.rows(command)
        for name in ("time",) if command == "query" else ("first_time",
                                                          "last_time"):
            equal(parse_time(row[name]), 0, name + " of " + command)
    check(b" 1970-01-01T00:00:00" in node.pb("flows"), "for people")


def ranges_and_limits_cut(t):
    node = store(t)
    t0 = samples.T0
    iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t0 + 50))
    for want, args in (
            (210, []),
            (10, ["--stream", "par/*"]),
            (110, ["--stream", "*/eth0"]),
            (0, ["--stream", "no/such"]),
            (7, ["--limit", "7"]),
            (210, ["--limit", "100000"]),
            (11, ["--seq", "90-100", "--stream", "lon/eth0"]),
            (1, ["--seq", "5-5", "--stream", "par/eth0"]),
            (100, ["--after", str(t0 + 50)]),
            (100, ["--after", iso]),
            (110, ["--before", str(t0 + 50)]),
            (20, ["--after", str(t0 + 50), "--before", str(t0 + 60)]),
            (10, ["--after", "%d.000000100" % (t0 + 50), "--before",
                  "%d.000000100" % (t0 + 60), "--stream", "lon/eth0"]),
            (0, ["--after", "-5m"]),
            (210, ["udp"]),
            (0, ["tcp"]),
            (110, ["udp port 53", "--before", str(t0 + 50)]),
            (3, ["udp", "src", "port", "1003"]),
            (3, ["udp src port 1003 and host 10.0.0.1"]),
            (2, ["src", "portrange", "1050-1054", "--limit", "2"]),
            (5, ["--stream", "lon/eth1", "--after", str(t0 + 10),
                 "src portrange 1010-1014"])):
        out = node.pb("query", *args, "--count")
        equal(out.strip(), b"%d" % want, "pb query %s" % " ".join(args))
        capture = node.query(*args)
        equal(len(capture.packets), want, "packets of %s" % args)
        equal(len(capture.sections), 1, "sections")
        equal(len(node.rows("query", *args)), want, "rows of %s" % args)
    equal([p.time_ns for p in node.query("--limit", "3").packets],
          [t0 * 10**9 + n for n in (0, 500, 900)], "the first three by time")


def what_query_writes_opens_in_stock_tools(t):
    need("tshark", "tcpdump", "capinfos")
    node = store(t)
    path = t.path("q.pcapng")
    for extra in ([], ["--comments"]):
        node.pb("query", "-w", path, *extra)
        for argv in (["tcpdump", "-n", "-r", path, "-w", "/dev/null"],
                     ["capinfos", path]):
            must(argv)
        names = must(["tshark", "-r", path, "-T", "fields", "-e",
                      "frame.interface_name"]).split()
        equal(len(names), 210, "rows in tshark")
    capture = pngread.read(path)
    equal({i.snaplen for i in capture.interfaces}, {262144}, "snap length")
    for packet in capture.packets:
        ways = [c for c in packet.comments if c.startswith("pb.hop ")]
        equal(len(ways), 1, "comments")
        check(ways[0].startswith("pb.hop n=1 node=%s seq=%d ts=%d." % (
            "par" if packet.time_ns % 1000 == 900 else "lon", packet.seq,
            packet.time_ns // 10**9)), "comment", ways[0])


def follow_shows_what_comes_later(t):
    node = t.node("n1")
    node.start_recorder()
    out = t.path("followed")
    with open(out, "wb") as f:
        child = t.spawn([os.path.join(BUILD, "pb"), "-c", node.conf, "query",
                         "--follow", "--json"], stdout=f)
    for n in range(3):
        path = t.write("a.pcap", samples.pcap("<", samples.MAGIC_NS, [
            (samples.T0 + n, i, samples.eth(i), 60) for i in range(50)]))
        node.pb("import", "--node", "lon", "--interface", "eth0", path)
        wait_until(lambda: open(out, "rb").read().count(b"\n") >= 50 * (n + 1),
                   "%d rows" % (50 * (n + 1)))
    check(child.poll() is None, "pb query --follow ended")
    child.send_signal(signal.SIGINT)
    child.wait(10 * SLACK)
    rows = [json.loads(line) for line in open(out)]
    # Each import is an origin of its own: a new epoch, numbers from 1.
    equal([r["seq"] for r in rows], list(range(1, 51)) * 3, "numbers")
    equal(len({r["epoch"] for r in rows}), 3, "epochs")


def a_closed_pipe_is_no_error(t):
    node = store(t)
    pb = "%s -c %s" % (os.path.join(BUILD, "pb"), node.conf)
    for args, reader in (("query", "head -1"), ("query --json", "head -1"),
                         ("query -w -", "head -c 100"),
                         ("streams", "true")):
        done = run(["bash", "-c", "set -o pipefail; %s %s | %s >/dev/null"
                    % (pb, args, reader)])
        equal((done.returncode, done.stderr), (0, b""), args + " | " + reader)


def output_that_cannot_be_written_is_a_failure_and_a_line(t):
    node = store(t)
    pb = "%s -c %s" % (os.path.join(BUILD, "pb"), node.conf)
    for args in ("query", "query --count", "streams --json", "flows --csv",
                 "query -w -", "--help", "query --help", "--version"):
        done = run(["bash", "-c", "%s %s >/dev/full" % (pb, args)])
        equal((done.returncode, done.stderr.splitlines()),
              (1, [b"pb: write standard output: No space left on device"]),
              args)


def wrong_usage_is_status_2(t):
    node = store(t)
    for args in ([], ["no-such-command"], ["query", "--no-such-option"],
                 ["query", "--seq", "x"], ["query", "--after", "yesterdayish"],
                 ["query", "--limit", "-1"], ["query", "--seq", "9-3"],
                 ["import"], ["streams", "surplus"], ["upstreams", "surplus"],
                 ["query", "no such filter at all"]):
        done = node.pb_run(*args)
        equal(done.returncode, 2, "pb %s (%r)" % (args, done.stderr[:200]))
        check(done.stderr.strip(), "pb", args, "says nothing")
    for args, words in ((["--count", "-5m"], b"unknown option '-5'; see"),
                        (["--count", "--cuont"], b"'--cuont'; did you mean "
                         b"'--count'?"),
                        (["--count=5"], b"option '--count' takes no value"),
                        (["--count", "-w"], b"option '-w' needs a value")):
        done = node.pb_run("query", *args)
        check(done.returncode == 2 and words in done.stderr, args,
              done.stderr)
    done = node.pb_run("qurey")
    check(b"query" in done.stderr, "no suggestion:", done.stderr)
    for args in (["-h"], ["-V"], ["query", "-h"]):
        done = node.pb_run(*args)
        equal(done.returncode, 0, "pb %s (%r)" % (args, done.stderr[:200]))
        check(done.stdout.strip(), "pb", args, "says nothing")


def what_is_no_file_to_read_or_write_is_told_at_once(t):
    node = t.node("n1")
    name = t.write("a.pcap", samples.pcap("<", samples.MAGIC_US, [
        (samples.T0, 1, samples.eth(1), 60)]))
    other = t.write("b.pcap", samples.pcap("<", samples.MAGIC_US, []))
    nameless = "a file to read has no name"
    for status, words, command in (
            (2, nameless, ("import", "")),
            (2, nameless, ("replay", "-i", "lo", "-r", "")),
            # It never ends.
            (1, "/dev/zero: offset 0: neither a pcapng nor a pcap file",
             ("import", "/dev/zero")),
            (2, "is one of the files that -r reads",
             ("latency", "-r", name, "-r", other, "--plot",
              t.path("./a.pcap")))):
        args = ["-c", node.conf] if command[0] == "import" else []
        done = run([os.path.join(BUILD, "pb"), *args, *command])
        said = done.stderr.decode()
        equal((done.returncode, said.count("\n")), (status, 1), said)
        check(words in said, said)
    with open(name, "rb") as f:
        equal(f.read(4), b"\xd4\xc3\xb2\xa1", "the file that was read")


def catches(pid, sig):
    with open("/proc/%d/status" % pid) as f:
        mask = re.search(r"SigCgt:\s*([0-9a-f]+)", f.read())
    return mask and int(mask[1], 16) >> (sig - 1) & 1


def a_fifo_that_nobody_has_open_is_not_waited_for_when_interrupted(t):
    node = t.node("n1")
    node.pb("import", t.write("a.pcap", samples.pcap(
        "<", samples.MAGIC_US, [(samples.T0, 1, samples.eth(1), 60)])))
    fifo = t.path("fifo")
    os.mkfifo(fifo)
    for status, words, command in (
            (-signal.SIGINT, "", ("query", "-w", fifo)),
            (1, "fifo: interrupted; nothing was imported",
             ("import", fifo))):
        with open(t.path("said"), "wb") as said:
            proc = t.spawn([os.path.join(BUILD, "pb"), "-c", node.conf,
                            *command], stderr=said)
        wait_until(lambda: catches(proc.pid, signal.SIGINT), "it is ready")
        # The first one may come before it waits in open(2).
        wait_until(lambda: proc.send_signal(signal.SIGINT) or
                   proc.poll() is not None, "it ends")
        equal(proc.returncode, status, command)
        with open(t.path("said")) as said:
            text = said.read()
        check(words in text and text.count("\n") == (words != ""), text)


def a_store_can_be_named_without_a_configuration(t):
    node = store(t)
    out = must([os.path.join(BUILD, "pb"), "--store", node.store, "query",
                "--count"], cwd=t.dir)
    equal(out.strip(), b"210", "--store DIR")
    out = must([os.path.join(BUILD, "pb"), "query", "--count"], cwd=t.dir,
               env={"PB_CONFIG": node.conf})
    equal(out.strip(), b"210", "$PB_CONFIG")
    os.rename(node.conf, t.path("packetbroker.conf"))
    out = must([os.path.join(BUILD, "pb"), "query", "--count"], cwd=t.dir)
    equal(out.strip(), b"210", "./packetbroker.conf")
    done = run([os.path.join(BUILD, "pb"), "--store", t.path("none"),
                "streams"])
    check(done.returncode in (1, 2) and done.stderr,
          "a store that is not there:", done.returncode, done.stderr)


def a_store_can_be_moved(t):
    node = store(t)
    before = node.query()
    os.rename(node.store, t.path("elsewhere"))
    out = must([os.path.join(BUILD, "pb"), "--store", t.path("elsewhere"),
                "query", "-w", "-"])
    equal([(p.time_ns, p.data) for p in pngread.read(out).packets],
          [(p.time_ns, p.data) for p in before.packets], "packets")


UPSTREAM_FIELDS = {"name", "url", "state", "since", "streams", "refused",
                   "backlog", "backlog_bytes", "waits", "lag", "pps", "bps",
                   "caught_up_in", "acked_packets", "acked_bytes", "failures",
                   "last_error", "last_error_time", "filtered", "unfit",
                   "dead_letters"}


def upstreams_are_listed_before_any_shipper_has_run(t):
    node = t.node("n1", upstreams={"far": ["http://127.0.0.1:1"]},
                  extra="[upstream out]\nurl = interface:nowhere\n")
    rows = node.rows("upstreams")
    equal([(r["name"], r["url"], r["state"], r["backlog"]) for r in rows],
          [("far", "http://127.0.0.1:1", "not running", 0),
           ("out", "interface:nowhere", "not running", 0)], "upstreams")
    for r in rows:
        check(UPSTREAM_FIELDS <= set(r), "missing:", UPSTREAM_FIELDS - set(r))
    text = node.pb_run("upstreams")
    equal(text.returncode, 0, "for people")
    check(b"pb-shipper does not run" in text.stderr, text.stderr)
    equal([line.split()[0] for line in text.stdout.decode().splitlines()],
          ["NAME", "far", "out"], "rows")
    none = t.node("n2")
    equal((none.pb("upstreams"), none.rows("upstreams")), (b"", []), "none")


def an_upstream_that_was_never_met_has_its_way_to_requeue(t):
    node = t.node("n1", upstreams={
        name: ["http://127.0.0.1:1", "requeue = " + name]
        for name in ("auto", "manual")})
    status = node.rows("status")[0]
    equal([(up["name"], up["requeue"]) for up in status["upstreams"]],
          [("auto", "auto"), ("manual", "manual")], "requeue")


def interfaces_are_listed(t):
    need_root()
    node = t.node("n1")
    rows = node.rows("interfaces")
    check(any(r.get("name", r.get("interface")) == "lo" for r in rows),
          "no lo in", rows)
    check(b"lo" in node.pb("interfaces"), "no lo for people")


if __name__ == "__main__":
    main("110", streams_segments_and_status_have_their_fields,
         packets_have_their_fields,
         a_packet_of_the_first_moment_of_1970_has_a_time, ranges_and_limits_cut,
         what_query_writes_opens_in_stock_tools,
         follow_shows_what_comes_later, a_closed_pipe_is_no_error,
         output_that_cannot_be_written_is_a_failure_and_a_line,
         wrong_usage_is_status_2,
         what_is_no_file_to_read_or_write_is_told_at_once,
         a_fifo_that_nobody_has_open_is_not_waited_for_when_interrupted,
         a_store_can_be_named_without_a_configuration,
         a_store_can_be_moved,
         upstreams_are_listed_before_any_shipper_has_run,
         an_upstream_that_was_never_met_has_its_way_to_requeue,
         interfaces_are_listed, seconds=120)
