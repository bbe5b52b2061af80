"""Memory of the recorder: at full rate, and with a thousand edges at once.

The most it ever had (VmHWM) counts, the kernel's ring and the program itself
included.  The thousand edges are streams.py: a thousand connections, each
from an address of its own, each with its own stream, all sending as fast as
they are answered.
"""

from capture import *

FULL, QUICK = 2_000_000, 300_000        # packets captured
BEYOND_RING_MIB_MAX = 64
STREAMS, STREAMS_SMOKE = 1000, 5
STREAMS_MIB_MAX = 256
PACKET_BYTES = 600
LOADS = (       # name, packets a request, requests of each stream
    ("requests of 64 KB", 100, 20, 3),
    ("requests of 1 MB", 1600, 2, 1),
)
LOAD_SECONDS_MAX = 300


def ring_bytes(pid):
    """What of the kernel's ring is in this process's memory."""
    total, ring = 0, False
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            word, *more = line.split()
            if not word.endswith(":"):
                ring = bool(more) and more[-1].startswith("socket:")
            elif ring and word == "Rss:":
                total += int(more[0]) * 1024
    return total


def at_full_rate(row):
    packets = row.amount(FULL, QUICK)
    row.scope = "{:,} packets".format(packets)
    wire = Wire(row.t, 1500)
    for _ in row.rounds():
        quiet()
        recorder = Ours(row.t, wire)
        arrived, took, _ = wire.send(packets)
        settle(recorder.pid)
        ring = ring_bytes(recorder.pid)
        recorder.stop()
        kept = recorder.kept()
        row.note(OURS, "most memory MiB", recorder.memory / MIB)
        row.note(OURS, "of it ring", ring / MIB)
        row.note(OURS, "rest", (recorder.memory - ring) / MIB)
        row.note(OURS, "sent Mpps", packets / took / 1e6)
        row.note(OURS, "lost %", 100 * (arrived - kept) / arrived)
        recorder.clear()
    row.goal("MiB beyond a ring of %d, in the worst round (at most %d)"
             % (RING_MIB, BEYOND_RING_MIB_MAX),
             row.worst(OURS, "most memory MiB") - RING_MIB,
             most=BEYOND_RING_MIB_MAX)


def thousand_streams(row):
    need("taskset")
    for _ in row.rounds():
        for load in row.turns(LOADS):
            one_load(row, *load)
    row.goal("MiB in the worst round (below %d)" % STREAMS_MIB_MAX,
             max(row.worst(name, "most memory MiB")
                 for name, *_ in LOADS), most=STREAMS_MIB_MAX)


def one_load(row, name, packets, requests, requests_quick):
    streams = STREAMS_SMOKE if row.mode == "smoke" else STREAMS
    requests = requests_quick if row.quick else requests
    quiet()
    node = row.t.node("core", listen=True)
    with on_cpu(OTHER_CPU):
        recorder = node.start_recorder()
    cpu, commits = cpu_exact(recorder.pid), commits_of(node)
    said = json.loads(must([
        "taskset", "-c", SENDER_CPU, sys.executable, "-B",
        os.path.join(os.path.dirname(os.path.abspath(__file__)),
                     "streams.py"), str(node.port), str(streams),
        str(requests), str(packets), str(PACKET_BYTES)],
        seconds=LOAD_SECONDS_MAX))
    cpu = cpu_exact(recorder.pid) - cpu
    sent = streams * requests * packets
    commits = commits_of(node) - commits
    memory = memory_of(recorder.pid)
    threads = len(os.listdir("/proc/%d/task" % recorder.pid))
    recorder.stop(120)
    have = sum(s["packets"] for s in node.streams().values())
    check(have == sent, name, "has", have, "of", sent, "packets")
    shutil.rmtree(node.store)
    row.note(name, "most memory MiB", memory / MIB)
    row.note(name, "packets/s", sent / said["seconds"])
    row.note(name, "MB/s", said["bytes"] / said["seconds"] / 1e6)
    row.note(name, "CPU ns/packet", cpu * 1e9 / sent)
    row.note(name, "requests", said["requests"])
    row.note(name, "of them told to wait (503)", said["busy"])
    row.note(name, "commits", commits)
    row.note(name, "threads", threads)


def commits_of(node):
    """Of the index, as the recorder counts them."""
    _, _, body = node.http("GET", "/metrics")
    for line in body.decode().splitlines():
        if line.startswith("pb_writer_commits_total "):
            return int(line.split()[1])
    raise Failure("no pb_writer_commits_total in /metrics")


WHAT_CAPTURE = ("VmHWM of a recorder that captures 1500-byte frames at the "
                "sender's full rate (as in capture-1500); the ring is what "
                "/proc/PID/smaps says of the socket.")
WHAT_STREAMS = ("VmHWM of a recorder to which %d connections, each from its "
                "own address and with its own stream, POST packets of %d "
                "bytes (docs/protocol.md), one request at a time each, all at "
                "once: tests/bench/streams.py on CPU %s, the recorder on CPU "
                "%s." % (STREAMS, PACKET_BYTES, SENDER_CPU, OTHER_CPU))

ROWS = (
    ("memory-capture", WHAT_CAPTURE, at_full_rate),
    ("memory-streams", WHAT_STREAMS, thousand_streams),
)
