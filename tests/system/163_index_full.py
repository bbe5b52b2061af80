"""An index that is full says which key to raise; raising it needs no
restart, of nobody."""

import threading

from faults import *

FULL = "the map is full; Fix: raise [store] index_size"
SENDERS = 8
STREAMS_MAX = 5000
REFUSALS = 10       # then it is not the largest commit alone


def stream(n):
    """Long names: rows that fill pages."""
    return "n%060d/i%076d" % (n, n)


def fill_index(node):
    """Streams of two packets each until there is no room for any: those
    that are in, and a refusal."""
    lock = threading.Lock()
    taken, refusals = [], []
    todo = iter(range(1, STREAMS_MAX))

    def send():
        c = (http.client.HTTPConnection("127.0.0.1", node.port,
                                        timeout=20 * SLACK)
             if node.port else Local(node))
        with contextlib.closing(c):
            while len(refusals) < REFUSALS:
                with lock:
                    n = next(todo)
                answer = push(node, stream(n), 1, 2, by=c)
                (taken if answer[0] == 200 else refusals).append(
                    n if answer[0] == 200 else answer)

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return sorted(taken), refusals[0]


def index_size(node, size):
    with open(node.conf) as f:
        text = f.read()
    with open(node.conf, "w") as f:
        f.write(re.sub(r"index_size = \S+", "index_size = " + size, text))


def grow(node):
    index_size(node, "64MiB")
    node.recorder.proc.send_signal(signal.SIGHUP)
    wait_until(lambda: lines(node.recorder, "recorder: reloaded"),
               "the configuration is read again")
    line = once(node.recorder, "larger index", "the new size")
    check("index_size=67108864 before=1048576" in line, line)
    check(not lines(node.recorder, "restart pb-recorder"), "a restart is "
          "asked for:", node.recorder.tail())


def a_full_index_heals_by_a_reload(t):
    core = t.node("core", listen=True)
    edge = t.edge_with_traffic(
        upstreams={"core": (core, "streams = edge/*, *50??/*")},
        store=["index_size = 1MiB", "segment_age = 1s"])
    core.start()
    edge.start()
    sender = t.traffic(t.sender, "pb0", 20000, 200)
    taken, refusal = fill_index(edge)
    refused(refusal, FULL, "a push")
    check(FULL in writer(edge)["last_error"], writer(edge))
    check(FULL in once(edge.recorder, "cannot write", "the full index"), "")
    alive(edge.recorder, edge.shipper)
    grow(edge)
    more = range(STREAMS_MAX, STREAMS_MAX + 100)
    for n in more:
        equal(push(edge, stream(n), 1, 2)[0], 200, "a push after it")
    wait_until(lambda: lines(edge.recorder, "writing again"), "the end")
    sender.terminate()
    sender.wait()
    sent = t.all_stored(edge)
    mine = {k: v for k, v in edge.ends().items() if k[0] == "edge"}
    # The shipper has the old map open: that it ships these says that it
    # took the new one.
    wait_until(lambda: mine.items() <= core.ends().items() and
               sum(v == 2 for v in core.ends().values()) == len(more),
               "all of it is at the core", HEALED, pause=0.2)
    alive(edge.recorder, edge.shipper)
    whole = {k[0] + "/" + k[1] for k, v in edge.ends().items() if v == 2}
    equal({n for n in taken if stream(n) not in whole}, set(),
          "streams that were acknowledged and are not whole")
    equal(told_where_lost(frames(core), sent), 0, "lost")


def a_recorder_with_a_full_index_stops_and_starts(t):
    node = t.node("core", listen=True, store=["index_size = 1MiB"])
    node.start()
    taken, refusal = fill_index(node)
    refused(refusal, FULL, "a push")
    node.stop()
    index_size(node, "64MiB")
    node.start()
    ends = {k[0] + "/" + k[1]: v for k, v in node.ends().items()}
    equal({n for n in taken if ends.get(stream(n)) != 2}, set(),
          "streams that were acknowledged and are not whole")
    for n in range(max(taken) + 1, max(taken) + REFUSALS):
        equal(push(node, stream(n), 1, 2)[0], 200, "a push after it")


if __name__ == "__main__":
    main("163", a_full_index_heals_by_a_reload,
         a_recorder_with_a_full_index_stops_and_starts, seconds=120)
