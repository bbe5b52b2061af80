"""Crashes of what keeps and gives up packets: retention, dead letters."""

import contextlib
import os

from control import *
from nodes import *
from truth import *
import pngread

RETAIN_BYTES = 2 << 20    # no less is accepted


def stored(node):
    """Bytes of all segments of a node, and of the largest."""
    sizes = []
    for folder, _, names in os.walk(os.path.join(node.store, "segments")):
        for name in names:
            if ".pcapng" in name and not name.startswith("."):
                with contextlib.suppress(FileNotFoundError):
                    sizes.append(os.path.getsize(os.path.join(folder, name)))
    return sum(sizes), max(sizes, default=0)


class Retention:
    """A recorder finds twice as much as it may keep, and is killed while it
    deletes.  With an upstream that has acknowledged nothing all that goes
    is a gap; without one nothing waits for it."""

    on = "/dev/shm"
    hows = (BEFORE, AFTER)

    def __init__(self, unacked):
        self.unacked = unacked
        self.name = "retention-unacked" if unacked else "retention"

    def attempt(self, folder, n, how):
        control = Control(os.path.join(folder, "control"), n, how, True)
        acks = os.path.join(folder, "acks")
        upstreams = {"core": free_port()} if self.unacked else None
        with Node(folder, "lon1", listen=True, upstreams=upstreams,
                  store=("retain_size = %d" % RETAIN_BYTES,)) as node:
            must("fill", node.store, acks, env=environment())
            check(stored(node)[0] > 2 * RETAIN_BYTES, "too little to delete")
            program = self.until_kept(node, node.recorder(control))
            program.stop()
            size, largest = stored(node)
            check(size + largest > RETAIN_BYTES, "kept only", size)
            promises = Promises().read(acks)
            promises.deletes = "any" if self.unacked else "acked"
            state = State(must("look", node.store, env=environment()))
            verify(state, promises, node.store)
        return control

    def until_kept(self, node, program):
        def over():
            return program.gone() or stored(node)[0] <= RETAIN_BYTES

        wait_until(over, lambda: "retention: " + program.said())
        if program.gone():
            program = node.recorder()
            wait_until(over, lambda: "retention again: " + program.said())
        return program


class DeadLetters:
    """An edge's upstream is dead: all its packets become dead letters, the
    upstream returns and is told of the gap, they are sent again after all.
    `dies` is what is killed: the shipper that demotes, `pb dlq requeue` with
    no shipper beside it, or the shipper that sends them again."""

    on = "/dev/shm"
    hows = (BEFORE, AFTER)
    what = "seal"

    def __init__(self, dies):
        self.dies = dies
        self.name = "dead-letters-" + dies

    def attempt(self, folder, n, how):
        control = Control(os.path.join(folder, "control"), n, how, True)
        with Node(folder, "core", listen=True) as core, \
             Node(folder, "lon1", upstreams={"core": core.port},
                  upstream=("retry_for = 200ms",)) as edge:
            promises, ends = fill(edge, self.what)
            promises.reasons = {"dead-lettered"}
            self.demote(edge, promises, self.mine("demote", control))
            self.requeue(edge, self.mine("requeue", control))
            recorder = core.recorder()
            self.send_again(edge, self.mine("send", control))
            check(all(core.acked(s) == end for s, end in ends.items()),
                  "the core has", [core.acked(s) for s in ends])
            recorder.stop()
            state = State(must("look", core.store, env=environment()))
            verify(state, promises, core.store)
            check(not any(map(state.missing, ends)), "gaps did not close")
        return control

    def mine(self, dies, control):
        return control if self.dies == dies else None

    def demote(self, edge, promises, control):
        """With the core away."""
        wanted = {s: set(numbers) for s, numbers in promises.have.items()}
        shipper = edge.start("pb-shipper", control)
        shipper = again_until(edge, shipper, "all are dead letters",
                              lambda: letters_of(edge) == wanted)
        letters_right(edge)
        shipper.stop()

    def requeue(self, edge, control):
        status = edge.pb_run("dlq", "requeue", "--all",
                             env=control and control.env()).returncode
        if control and control.dead:
            check(status == -9, "pb: status", status)
        else:
            check(status == 0, "pb dlq requeue: status", status)
        edge.pb("dlq", "requeue", "--all")
        letters_right(edge)

    def send_again(self, edge, control):
        shipper = edge.start("pb-shipper", control)
        again_until(edge, shipper, "all letters are sent",
                    lambda: not edge.rows("dlq", "list", "--all")).stop()
        if control and control.dead and letter_files(edge):
            # Killed behind the commit that the rows were gone with.
            shipper = edge.start("pb-shipper")
            wait_until(lambda: not letter_files(edge), shipper.said)
            shipper.stop()
        check(not letter_files(edge), "files without a letter:",
              letter_files(edge))


def again_until(node, program, what, condition):
    """The program runs until `condition`; where it was killed, it runs
    again.  (Asking costs a process: not too often.)"""
    def over():
        return program.gone() or condition()

    wait_until(over, lambda: what + ": " + program.said(), pause=0.05)
    if program.gone():
        program = node.start(program.what)
        wait_until(over, lambda: what + " again: " + program.said(),
                   pause=0.05)
    return program


def letters_of(edge):
    """By stream, all numbers in dead letters.  None may be in two."""
    out = {}
    for row in edge.rows("dlq", "list"):
        stream = row["node"] + "/" + row["interface"]
        have = out.setdefault(stream, set())
        numbers = set(range(row["first"], row["last"] + 1))
        check(not have & numbers, stream, "in two letters:",
              short(have & numbers))
        have |= numbers
    return out


def letter_files(edge):
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(
        os.path.join(edge.store, "dead-letters")) for name in names)


def letters_right(edge):
    """Each letter has its file, a link of the segment, which holds its
    numbers; each file has its letter."""
    rows = edge.rows("dlq", "list")
    check({r["path"] for r in rows} == set(letter_files(edge)),
          "letters and files differ:", letter_files(edge))
    inodes = {os.stat(path).st_ino
              for path in segment_files(edge.store).values()}
    for row in rows:
        check(os.stat(row["path"]).st_ino in inodes, row["path"],
              "is no link of a segment")
        there = {p.seq for p in pngread.read(row["path"]).packets}
        check(there >= set(range(row["first"], row["last"] + 1)),
              row["path"], "has not all of its letter")


def retentions():
    return [Retention(False), Retention(True)]


def dead_letters():
    return [DeadLetters(dies) for dies in ("demote", "requeue", "send")]
