"""Nodes of ours that are dialled, and the one that dials them.

    e = edge(t, "lon1").start()
    own(e, 1, 100)
    node = core(t, e).start()
    has(node, "lon1", 100)
"""

import contextlib
import threading

from faults import *

FAST = ["connect_timeout = 1s", "answer_timeout = 4s"]
QUICK = ["flush_interval = 10ms"]


def edge(t, name, *lines, allow="*, relay:*, pull:core", **kw):
    return t.node(name, listen=True, store=QUICK, extra="allow = %s\n" %
                  allow + "\n".join(lines) + "\n", **kw)


def core(t, *edges, name="core", **kw):
    return t.node(name, store=QUICK, edges={e.name: [e.url, *FAST]
                                            for e in edges}, **kw)


def own(node, first, last, interface="eth0", size=60):
    """Packets that begin at the node, durable when this returns."""
    answer = push(node, "%s/%s" % (node.name, interface), first, last, size,
                  by=Local(node))
    equal(answer[0], 200, "a push by the local door (%r)" % (answer,))


def has(node, name, last, interface="eth0", seconds=HEALED):
    def end():
        return max([v for k, v in node.ends().items()
                    if k[:2] == (name, interface)], default=0)
    wait_until(lambda: end() >= last, "%s has %s/%s up to %d"
               % (node.name, name, interface, last), seconds)


def the_same(node, edge, interface="eth0"):
    """Number by number, byte by byte."""
    glob = "%s/%s" % (edge.name, interface)
    want = {p.seq: p.data for p in edge.query("--stream", glob).packets}
    rows = [(p.seq, p.data) for p in node.query("--stream", glob).packets]
    equal(len(rows), len(want), "packets of " + glob)
    equal(dict(rows) == want, True, "the same packets of " + glob)


def ways(node, name):
    return {tuple(h["node"] for h in row["hops"]) for row in node.rows(
        "query", "--stream", name + "/*")}


def waits_at(edge, name="core"):
    return {u["name"]: u for u in status(edge)["upstreams"]}[name]["backlog"]


class Feed:
    """Brings packets in at a node for as long as it is open; what was
    acknowledged is in `last`."""

    def __init__(self, node, size=300):
        self.node, self.size, self.last = node, size, 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stop.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                first = self.last + 1
                if push(self.node, self.node.name + "/eth0", first,
                        first + 49, self.size,
                        by=Local(self.node))[0] == 200:
                    self.last = first + 49
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *why):
        self.stop.set()
        self.thread.join()
