"""Crashes of the store itself, by the scenarios of work.c."""

import os
import shutil
import struct

from control import *
from truth import *
import pngread

TMPFS, DISK = "/dev/shm", "/tmp"
PAGE = 4096


class StoreScenario:
    """One scenario of work.c, killed, then recovered twice, then gone on
    with."""

    hows = (BEFORE, AFTER, WITHIN, POWER)

    def __init__(self, what, on=TMPFS):
        self.what, self.on = what, on
        self.name = what
        if on == DISK:
            # What differs are direct writes; they take longer.
            self.name, self.hows = what + "@disk", (BEFORE, WITHIN)

    def attempt(self, folder, n, how):
        control = Control(os.path.join(folder, "control"), n, how)
        crash(self.what, folder, control)
        boot = cut_power(folder) if how == POWER else None
        afterwards(folder, boot)
        return control


class RecoveryScenario:
    """Recovery itself is killed, of what a kill at part `part` in six of
    another scenario's calls has left."""

    hows = (BEFORE, AFTER, WITHIN)
    parts = 6

    def __init__(self, what, part, power=False, rot=None, on=TMPFS):
        self.what, self.part, self.on = what, part, on
        self.power, self.rot = power, rot
        self.name = "recover-%s-%d%s%s%s" % (
            what, part, "-power" if power else "",
            "-rot-" + rot.__name__ if rot else "",
            "" if on == TMPFS else "@disk")

    def attempt(self, folder, n, how):
        count = Control(os.path.join(folder, "control"), 0)
        crash(self.what, folder, count)
        for left in ("store", "acks"):
            remove(os.path.join(folder, left))
        at = count.calls * self.part // self.parts
        crash(self.what, folder, Control(
            os.path.join(folder, "control"), max(at, 1), BEFORE))
        boot = cut_power(folder) if self.power else None
        lost = damage(folder, self.rot) if self.rot else {}
        control = Control(os.path.join(folder, "control"), n, how, True, boot)
        status, _, said = work("look", os.path.join(folder, "store"),
                               env=control.env())
        check_end(control, status, said)
        afterwards(folder, boot, lost)
        return control


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.unlink(path)


def crash(what, folder, control):
    status, _, said = work(what, os.path.join(folder, "store"),
                           os.path.join(folder, "acks"), env=control.env())
    check_end(control, status, said)


def check_end(control, status, said):
    """It died where it was to die, or came to its end."""
    check(status == (-9 if control.dead else 0), "ended with status", status,
          said)


def afterwards(folder, boot, damaged={}):
    """What the promises say of a store after a crash, in which the packets
    `damaged` had rotten."""
    store, acks = (os.path.join(folder, n) for n in ("store", "acks"))
    env = environment(boot)
    promises = Promises().read(acks)
    promises.damage(damaged)
    first = State(must("look", store, env=env))
    verify(first, promises, store)
    # Twice recovered is once recovered; then it goes on.
    text = must("more", store, acks, env=env)
    again, _, rest = text.partition("end\n")
    check(again + "end\n" == first.text, "a second recovery finds more to do")
    last = State(rest)
    promises.read(acks)
    verify(last, promises, store)
    check(sorted(last.streams) == sorted(KEYS), "streams", list(last.streams))
    for stream in last.streams:
        check(not last.missing(stream), stream, "gaps did not close")


def cut_power(folder):
    """What the index does not promise may be torn in the middle, where no
    length shows it: pages that never came are zeros.  Another boot id says
    that the power was out."""
    store, boot = (os.path.join(folder, n) for n in ("store", "boot"))
    promised = {}
    for line in must("ends", store, env=environment()).splitlines():
        _, stream, first, _, _, _, size, _ = line.split()
        promised[stream, int(first)] = int(size)
    for (stream, _, first), path in segment_files(store).items():
        tear(path, promised.get((stream, first), header_bytes(path)))
    with open(boot, "w") as f:
        f.write("another boot\n")
    return boot


def tear(path, at):
    """Zeros for the bytes of the first packet behind `at`."""
    with open(path, "r+b") as f:
        while True:
            f.seek(at)
            head = f.read(28)
            if len(head) < 28:
                return
            kind, size, _, _, _, length, _ = struct.unpack("<7I", head)
            if kind == 6:
                f.seek(at + 28)
                f.write(bytes(min(length, size - 32)))
                return
            at += max(size, 12)


def last(n):
    return [n - 1]


def some(n):
    return [0, n // 2, n - 1]


def damage(folder, which):
    """In each open segment packets that the index promises are no blocks
    any more, for their last length is wrong: those, of n, that `which`
    names.  Their numbers, by stream."""
    store, out = os.path.join(folder, "store"), {}
    files = {(stream, first): path
             for (stream, _, first), path in segment_files(store).items()}
    for line in must("ends", store, env=environment()).splitlines():
        _, stream, first, _, packets, _, _, sealed = line.split()
        if int(packets) == 0 or int(sealed):
            continue
        path = files[stream, int(first)]
        blocks = [(at + length - 4) for kind, at, length in
                  pngread.read(path).blocks if kind == 6][:int(packets)]
        for n in sorted(set(which(len(blocks)))):
            with open(path, "r+b") as f:
                f.seek(blocks[n])
                f.write(bytes(4))
            out.setdefault(stream, set()).add(int(first) + n)
    return out


def header_bytes(path):
    """Of SHB and IDB, which are synced before the file has its name."""
    with open(path, "rb") as f:
        first, = struct.unpack("<4xI", f.read(8))
        f.seek(first)
        return first + struct.unpack("<4xI", f.read(8))[0]


def names():
    return must("list").split()


def plain():
    return [StoreScenario(n, on) for on in (TMPFS, DISK) for n in names()]


def recoveries():
    out = [RecoveryScenario(n, part) for n in names()
           for part in range(1, RecoveryScenario.parts)]
    out += [RecoveryScenario(n, part, power=True)
            for n in ("flush", "seal", "late") for part in (1, 3, 5)]
    out += [RecoveryScenario(n, part, rot=rot)
            for n in ("flush", "seal") for part in (2, 4)
            for rot in (last, some)]
    return out + [RecoveryScenario(n, 3, on=DISK)
                  for n in ("flush", "seal", "late")]
