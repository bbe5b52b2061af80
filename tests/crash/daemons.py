"""Crashes of the daemons: a recorder that takes in, a shipper that ships."""

import os

from control import *
from nodes import *
from truth import *
import pngread

ETH0, ETH1 = "lon1/eth0", "par2/eth1"


class Ingest:
    """A recorder is killed while a sender brings packets, a gap, late
    packets and some that are there already."""

    name, on = "ingest", "/dev/shm"
    hows = (BEFORE, AFTER, WITHIN)
    steps = (("push", ETH0, 1, 10, 200), ("push", ETH0, 11, 60, 5000),
             ("gap", ETH1, 1, 5), ("push", ETH1, 6, 10, 300),
             ("push", ETH1, 2, 3, 300), ("push", ETH0, 5, 12, 200),
             ("push", ETH0, 13, 62, 5000), ("push", ETH0, 63, 63, 60))
    gaps, packets = {1, 4, 5}, 63

    def attempt(self, folder, n, how):
        control = Control(os.path.join(folder, "control"), n, how, True)
        with Node(folder, "core", listen=True) as core:
            sender = Sender(core, self.steps)
            program = core.recorder(control)
            sender.run(program, core.recorder).stop()
            state = State(must("look", core.store, env=environment()))
            verify(state, sender.promises, core.store)
            check(state.missing(ETH1) == self.gaps, "gaps", state.gaps)
            check(len(state.numbers(ETH0)) == self.packets, "packets",
                  state.runs)
            numbers_right(core.store)
        return control


class IngestSome(Ingest):
    """The same of packets between numbers that were left out."""

    name = "ingest-filter"
    steps = (("some", ETH0, 1, 2, 0), ("some", ETH0, 3, 60, 5000),
             ("gap", ETH1, 1, 9), ("some", ETH1, 10, 20, 300),
             ("some", ETH1, 2, 2, 300), ("some", ETH1, 4, 8, 300),
             ("some", ETH0, 50, 62, 5000), ("push", ETH0, 63, 64, 60))
    gaps, packets = {1, 3, 9}, 22


def numbers_right(store):
    """A node's own running number is given once."""
    numbers = []
    for path in segment_files(store).values():
        for p in pngread.read(path).packets:
            numbers += [pngread.hops(p)[-1][1]]
    check(len(set(numbers)) == len(numbers), "a running number came twice:",
          short(n for n in set(numbers) if numbers.count(n) > 1))


class Hop:
    """An edge's store, filled by a scenario of work.c, goes to a core.
    `dies` is the one that is killed: the shipper of the edge, who has to
    learn again what was acknowledged, or the core's recorder.  With `filter`
    the core gets the packets whose first byte is even."""

    on = "/dev/shm"
    hows = (BEFORE, AFTER, WITHIN)

    def __init__(self, dies, what, filter=False):
        self.dies, self.what, self.filter = dies, what, filter
        self.name = "%s-%s%s" % (dies, what, "-filter" if filter else "")

    def attempt(self, folder, n, how):
        control = Control(os.path.join(folder, "control"), n, how, True)
        with Node(folder, "core", listen=True) as core, \
             Node(folder, "lon1", upstreams={"core": core.port},
                  upstream=("filter = ether[0] & 1 = 0",) if self.filter
                  else ()) as edge:
            promises, ends = fill(edge, self.what)
            if self.filter:
                left_out(promises, lambda stream, n:
                         bytes_of(stream, n, 1)[0] % 2)
            first = {"shipper": (None, control), "core": (control, None)}
            at_core, at_edge = first[self.dies]
            recorder = core.recorder(at_core)
            shipper = edge.start("pb-shipper", at_edge)
            # Whoever dies comes back; once more at the end it may die.
            while not arrived(core, ends, recorder, shipper):
                if shipper.gone():
                    shipper = edge.start("pb-shipper")
                elif recorder.gone():
                    recorder = core.recorder()
            shipper.stop()
            recorder.stop()
            state = State(must("look", core.store, env=environment()))
            verify(state, promises, core.store)
            numbers_right(core.store)
        return control


def left_out(promises, does_not_pass):
    """What is promised of packets that a filter leaves out."""
    for packets, others in ((promises.sent, promises.left),
                            (promises.have, promises.held)):
        for stream, numbers in packets.items():
            out = {n for n in numbers if does_not_pass(stream, n)}
            numbers -= out
            others.setdefault(stream, set()).update(out)


def arrived(core, ends, recorder, shipper):
    """True when the core has all, False when one of them was killed."""
    def over():
        return recorder.gone() or shipper.gone() or all(
            core.acked(s) == end for s, end in ends.items())

    wait_until(over, lambda: "all arrives: %s | %s" % (
        shipper.said(), recorder.said()))
    return not recorder.gone() and not shipper.gone()


def ingests():
    return [Ingest(), IngestSome()]


def shippers():
    return [Hop("shipper", what) for what in ("gap", "seal")] + [
        Hop("shipper", "seal", filter=True)]


def cores():
    return [Hop("core", what) for what in ("gap", "seal")] + [
        Hop("core", "late", filter=True)]
