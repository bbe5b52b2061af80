"""What `make chaos` would say of stores that are not as they should be.

Its judge, tests/chaos/model.py, is given what five nodes hold after a run
that went well, in which edge2 was put back from a copy, and lab pulled from
it; then one thing at a time is made wrong, and it must say so.
"""

import types

from harness import *

sys.path.insert(1, os.path.join(ROOT, "tests", "chaos"))
import model
import world as places
from traffic import frame

SENT = 120              # frames, by each sender
COPIED = 40             # edge2's last number when its disk was copied
ACKED = 60              # what relay had of it when it was put back
DOWN = 10               # frames that came meanwhile
BEGAN_NS = 1_700_000_000 * 10**9
STEP_NS = 10**7         # between frames
E1, OLD, NEW, C, OP = (
    ("edge1", "cap0", "%016x" % 1), ("edge2", "cap0", "%016x" % 2),
    ("edge2", "cap0", "%016x" % 3), ("core", "cap0", "%016x" % 4),
    ("edge1", "op7", "%016x" % 5))


def sent_ns(number):
    return BEGAN_NS + number * STEP_NS


def row(number, dropped=None):
    """A packet with this frame, as a node has it."""
    packet = model.pngread.Packet(None, sent_ns(number), places.FRAME,
                                  frame(number, places.FRAME), [], 0)
    if dropped:
        packet.options.append((4, dropped.to_bytes(8, "little")))
    return model.Row(packet)


def rows(first, last, ahead=0):
    return {n: row(n + ahead) for n in range(first, last + 1)}


def gap(key, first, last, reason):
    return dict(zip(("node", "interface", "epoch"), key), first=first,
                last=last, reason=reason, closed=None)


class World:
    """As much of one as the judge looks at, after a run that went well."""

    def __init__(self, t):
        put_back = sent_ns(ACKED + 1)
        self.findings = []
        self.find = self.findings.append
        self.wiped = {}
        self.ways = places.Ways(1)
        self.ways.filtered = set()
        self.retain = "retain_size = 2MiB"
        self.emptied, self.forgot = {}, set()
        self.restored = [places.Restored("edge2", sent_ns(COPIED), put_back,
                                         {OLD: COPIED})]
        self.imported = {("edge1", "op7"): sent_ns(5)}
        self.nodes = {n: types.SimpleNamespace(store=t.path(n))
                      for n in places.NODES}
        self.program = {(n, "recorder"): types.SimpleNamespace(kills_ns=[])
                        for n in places.NODES}
        self.program["edge2", "recorder"].kills_ns = [put_back]
        sampler = types.SimpleNamespace(
            acked={n: {} for n in places.NODES},
            told=lambda name, key: sampler.acked[name][key])
        self.check = model.Check(self, sampler, SENT)
        self.check.have = self.have()
        self.check.gap_rows = {n: [] for n in places.NODES}
        for name in places.RECEIVERS:
            self.check.gap_rows[name] = [gap(NEW, 1, COPIED, "restored")]

    def have(self):
        ahead = ACKED + DOWN - COPIED       # of the frame to its number
        last = SENT - ahead
        edge1 = {E1: rows(1, SENT), OP: rows(1, places.IMPORTED)}
        again = rows(COPIED + 1, last, ahead)
        edge2 = {OLD: {**rows(1, COPIED), **again}}
        above = [{E1: rows(1, SENT), OP: rows(1, places.IMPORTED),
                  OLD: rows(1, ACKED), NEW: dict(again)} for _ in "rc"]
        above[1][C] = rows(1, SENT)
        lab = {OLD: rows(1, ACKED), NEW: dict(again)}
        return dict(zip(places.NODES, (edge1, edge2, *above, lab)))

    def filtered(self):
        """Edge2 has a filter for lab; the numbers of each stream that are
        told as left out."""
        self.ways.filtered = {("edge2", "lab")}
        for one in (OLD, NEW):
            have = self.check.have["lab"][one]
            self.check.left["lab"][one] |= {
                n for n, r in have.items() if places.left_out(r.frame)}
            for n in self.check.left["lab"][one]:
                del have[n]
        return self.check.left["lab"]

    def deleted(self, name, key, first, last):
        """Retention did it, says the stream's journal."""
        folder = os.path.join(self.nodes[name].store, "segments", *key)
        os.makedirs(folder)
        with open(os.path.join(folder, "journal"), "w") as f:
            f.write(json.dumps({"fact": "expired", "first": first,
                                "last": last}) + "\n")
        for n in range(first, last + 1):
            del self.check.have[name][key][n]

    def judged(self):
        self.check.judge()
        return self.findings


def what_is_right_is_found_right(t):
    world = World(t)
    equal(world.judged(), [], "findings")
    equal((world.check.lost, world.check.repeated, world.check.gone),
          (0, 0, 2 * DOWN), "lost, repeated, gone on the ways to core and lab")


def what_an_edge_may_delete_is_not_missed(t):
    world = World(t)
    world.deleted("edge1", E1, 1, 50)
    world.deleted("edge2", OLD, 1, ACKED)
    equal(world.judged(), [], "findings")


def what_went_with_a_disk_is_no_loss(t):
    """A dead letter that was made after the copy."""
    world = World(t)
    for name in ("relay", "core"):
        del world.check.have[name][OLD][ACKED - 5]
        world.check.gap_rows[name].append(
            gap(OLD, ACKED - 5, ACKED - 5, "dead-lettered"))
    equal(world.judged(), [], "findings")
    equal(world.check.gone, 2 * DOWN + 1, "gone")


def what_a_filter_leaves_out_is_not_missed(t):
    world = World(t)
    world.filtered()
    world.deleted("edge2", OLD, 1, ACKED)
    equal(world.judged(), [], "findings")
    equal(world.check.lost, 0, "lost")


def drop_one(name, key, number):
    def lie(world):
        del world.check.have[name][key][number]
    return "lost", lie


def drop_last_everywhere(world):
    for have in world.check.have.values():
        have.get(E1, {}).pop(SENT, None)


def drop_everywhere(world):
    """Nothing says so: the numbers go on without it."""
    for have in world.check.have.values():
        if E1 in have:
            have[E1] = {**rows(1, 49), **rows(50, SENT - 1, 1)}


def repeat(name, key, number):
    def lie(world):
        world.check.have[name][key][number] = row(30)
    return "repeated", lie


def repeat_in_another_epoch(world):
    world.check.have["relay"][OLD][ACKED + 1] = row(SENT)
    world.check.have["core"][OLD][ACKED + 1] = row(SENT)


def forget_gap(name):
    def lie(world):
        world.check.gap_rows[name] = []
    return "lost", lie


def gap_too_long(world):
    for name in ("relay", "core"):
        world.check.gap_rows[name] = [gap(NEW, 1, COPIED + 3, "restored")]
        for n in range(COPIED + 1, COPIED + 4):
            del world.check.have[name][NEW][n]


def gap_stays(world):
    for name in ("relay", "core"):
        del world.check.have[name][E1][7]
        world.check.gap_rows[name].append(gap(E1, 7, 7, "dead-lettered"))


def gap_stays_since(world):
    """Its dead letter did not go with the disk."""
    for name in ("relay", "core"):
        del world.check.have[name][NEW][COPIED + 9]
        world.check.gap_rows[name].append(
            gap(NEW, COPIED + 9, COPIED + 9, "dead-lettered"))


def behind_the_number(*names, deleted=False):
    """What was captured again up to what they had never came."""
    def lie(world):
        for name in names:
            have = world.check.have[name]
            have[OLD].update({n: r for n, r in have.pop(NEW).items()
                              if n > ACKED})
            world.check.gap_rows[name] = []
        if deleted:
            world.deleted("edge2", OLD, 1, ACKED + 5)
    return "lost", lie


def filtered_and_not_said(world):
    world.filtered()[OLD].remove(8)


def filtered_and_should_pass(world):
    world.filtered()[OLD].add(9)
    del world.check.have["lab"][OLD][9]


def filtered_and_sent(world):
    world.filtered()[OLD].remove(8)
    world.check.have["lab"][OLD][8] = row(8)


def filtered_where_no_filter_is(world):
    world.check.left["core"][E1].add(8)
    del world.check.have["core"][E1][8]


def filtered_and_there(world):
    world.filtered()[OLD].add(9)


def other_bytes(name, key):
    def lie(world):
        world.check.have[name][key][9] = row(9)
        world.check.have[name][key][9].time_ns += 1
    return "lost", lie


def deleted_at_core(world):
    world.deleted("core", C, 1, 30)


def deleted_the_newest(world):
    world.deleted("edge1", E1, SENT - 30, SENT - 1)


def acknowledged_more(name, key):
    def lie(world):
        world.check.sampler.acked[name][key] = SENT + 1
    return "lost", lie


def running_number_twice(world):
    for n in (3, 4):
        world.check.have["core"][E1][n].running = 17


def import_lost(world):
    for have in world.check.have.values():
        have.get(OP, {}).pop(places.IMPORTED, None)


LIES = {
    "one less at core": drop_one("core", E1, 50),
    "one less at lab, which pulls": drop_one("lab", NEW, COPIED + 9),
    "one less at relay": drop_one("relay", E1, 50),
    "one less of core's own": drop_one("core", C, 50),
    "one less at an edge": drop_one("edge1", E1, 50),
    "one less at core, captured again": drop_one("core", NEW, 70),
    "one less at core, before the copy": drop_one("core", OLD, 20),
    "one less at core, after the copy": drop_one("core", OLD, COPIED + 9),
    "the last of all": ("lost", drop_last_everywhere),
    "never captured": ("lost", drop_everywhere),
    "one twice at the end": repeat("core", C, SENT + 1),
    "one twice at lab, which pulls": repeat("lab", OLD, ACKED + 1),
    "one twice in another epoch": ("repeated", repeat_in_another_epoch),
    "a gap forgotten at core": forget_gap("core"),
    "a gap forgotten at relay": forget_gap("relay"),
    "a gap forgotten at lab": forget_gap("lab"),
    "a gap of more than was copied": ("lost", gap_too_long),
    "a dead letter that never came": ("lost", gap_stays),
    "a dead letter of what was captured again": ("lost", gap_stays_since),
    "captured again behind the number": behind_the_number("relay", "core"),
    "the same, and deleted": behind_the_number("relay", "core", deleted=True),
    "the same at lab": behind_the_number("lab"),
    "the same at lab, and deleted": behind_the_number("lab", deleted=True),
    "filtered, and not said": ("lost", filtered_and_not_said),
    "filtered, and should pass": ("lost", filtered_and_should_pass),
    "to be filtered, and sent": (None, filtered_and_sent),
    "filtered, and no filter": ("lost", filtered_where_no_filter_is),
    "filtered, and there": ("repeated", filtered_and_there),
    "another packet": other_bytes("core", E1),
    "another packet at lab": other_bytes("lab", OLD),
    "deleted at core": ("lost", deleted_at_core),
    "deleted the newest": (None, deleted_the_newest),
    "acknowledged, and not there": acknowledged_more("core", E1),
    "acknowledged by lab, and not there": acknowledged_more("lab", OLD),
    "a running number twice": (None, running_number_twice),
    "an import that lost one": ("lost", import_lost),
}


def each_lie_is_found(t):
    for name, (what, lie) in LIES.items():
        world = World(t)
        lie(world)
        check(world.judged(), "not found:", name)
        check(what is None or getattr(world.check, what) > 0,
              name, "is no", what, world.findings)
        for node in places.NODES:
            shutil.rmtree(world.nodes[node].store, ignore_errors=True)


if __name__ == "__main__":
    main("191", what_is_right_is_found_right,
         what_an_edge_may_delete_is_not_missed,
         what_went_with_a_disk_is_no_loss,
         what_a_filter_leaves_out_is_not_missed, each_lie_is_found)
