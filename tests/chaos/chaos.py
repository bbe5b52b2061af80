"""A run of chaos: `make chaos CHAOS_SECONDS=60 CHAOS_SEED=N`.

Packets flow from three senders over five nodes, pushed over some links and
pulled over others, while the faults of the plan come and go.  Then
everything is healed, has its time to drain, is stopped, and model.py looks
at what is left.  One seed is one plan; what the machine makes of it differs
a little each time.

    chaos.py [--plan]       prints the plan of CHAOS_SEED and ends

CHAOS_FAULTS="Vanish Kill" has faults of these kinds only.

Status 0: every promise held.  1: a line for each that did not, and the
temp directory stays, with the log of each program, chaos.log, and the
disks: mount -o loop,ro DIR/relay.img /mnt.
"""

import heapq
import os
import random
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from world import *
import model
import storm

STARTS_S = 20           # for all programs to run, at the start and the end
DRAINS_S = 90           # for all to arrive by itself, once all is healed
AFTER_S = 3             # the senders go on so long after the last fault
TICK_S = 0.02
POSTPONED_S = 0.2       # a fault whose disk another one has
SECONDS_MIN = 5
LEFT_OUT_NS = 2 * 10**9 // RATE     # a frame that a filter leaves out
ONLY = os.environ.get("CHAOS_FAULTS", "").split()
MEGABYTES = 96          # of a disk, and so many more for each second
MEGABYTES_PER_SECOND = 1
WORDS = ("kills", "stops", "partitions", "full disks", "read-only",
         "frozen disks", "injected errors", "torn writes", "wiped edges",
         "wiped cores", "forgetful shippers", "restored edges", "clock steps", "unread logs", "vanished stores",
         "repairs as root", "refused starts", "dead letters")


class Run:
    def __init__(self, t, seed, seconds):
        self.seed, self.seconds = seed, seconds
        self.plan = storm.plan(seed, seconds, ONLY)
        self.world = World(t, MEGABYTES + MEGABYTES_PER_SECOND * seconds,
                           seed)
        self.sampler = self.check = None
        self.told = 0.0
        self.disks = set()      # that a fault has in hand

    def run(self):
        world = self.world
        try:
            world.build()
            wait_until(world.all_run, "all programs to run", STARTS_S)
            for name in SENDERS:
                self.captures(name)
            self.sampler = model.Sampler(world)
            sent = world.send(self.seconds + AFTER_S)
            self.storm()
            self.heal()
            self.drain()
            self.sampler.stop()
            self.finish(sent)
        finally:
            if self.sampler:
                self.sampler.stop()
            world.close()

    def captures(self, name):
        recorder = self.world.program[name, "recorder"]
        wait_until(lambda: "interface=cap0 " in recorder.daemon.text(),
                   name + " to capture", STARTS_S)

    # --- the storm -------------------------------------------------------

    def storm(self):
        """Begin and end each fault at its time."""
        start = time.monotonic()
        todo = [(f.at, n, f, True) for n, f in enumerate(self.plan)]
        heapq.heapify(todo)
        while todo or time.monotonic() - start < self.seconds:
            self.tell(time.monotonic() - start)
            self.world.poll()
            now = time.monotonic() - start
            if not todo or todo[0][0] > now:
                time.sleep(TICK_S)
                continue
            _, n, fault, begins = heapq.heappop(todo)
            # The plan keeps faults of one disk apart; a late one may not.
            if begins and fault.owns_disk and fault.node in self.disks:
                heapq.heappush(todo, (now + POSTPONED_S, n, fault, True))
                continue
            self.turn(fault, begins)
            if begins:
                # What begins late ends late: it lasts as long as planned.
                late = time.monotonic() - start
                heapq.heappush(todo, (late + fault.lasts, n, fault, False))

    def turn(self, fault, begins):
        broken = self.world.broken_disks
        self.world.say("begin" if begins else "end", fault)
        if fault.owns_disk:
            (self.disks.add if begins else self.disks.discard)(fault.node)
        if begins:
            if fault.refuses_starts:
                broken[fault.node] += 1
                self.excuse(fault.node)
            fault.begin(self.world)
            return
        fault.end(self.world)
        if fault.refuses_starts:
            broken[fault.node] -= 1
            broken += collections.Counter()     # forgets the zeros

    def excuse(self, name):
        """Programs that are just being started may meet it as well."""
        for program in self.world.programs_of(name):
            program.excused |= not program.begun()

    def tell(self, now):
        """A line that goes on, on a terminal."""
        if sys.stderr.isatty() and time.monotonic() - self.told > 0.5:
            self.told = time.monotonic()
            sys.stderr.write("\r\033[K%3d/%d s: %s" % (
                now, self.seconds, self.counts()))

    def counts(self):
        return ", ".join("%d %s" % (self.world.count[w], w) for w in WORDS)

    # --- the calm --------------------------------------------------------

    def heal(self):
        world = self.world
        world.say("healed")
        wait_until(world.all_run, "all programs to run again", STARTS_S)
        for sender in world.senders:
            wait_until(lambda: self.ended(sender), "the senders to end",
                       AFTER_S + self.seconds)
        # What was captured is in the store when its recorder has stopped.
        for name in EDGES:
            recorder = world.program[name, "recorder"]
            recorder.finish()
            if world.ways.is_pulled(name):      # it hands out what waits
                recorder.release("finished")

    def ended(self, process):
        self.world.poll()
        return process.poll() is not None

    def drain(self):
        """Each node has all that the one below it has, no dead letter is
        left, every gap is closed that can be: without an operator."""
        try:
            wait_until(self.level, "all to arrive", DRAINS_S, pause=0.3)
        except Failure:
            for name in NODES:
                node = self.world.nodes[name]
                self.world.say(name, node.ends(), self.letters(name),
                               node.rows("gaps"))
            self.world.find("not all arrived within %d s: %s" % (
                DRAINS_S * SLOW, self.waits))

    def level(self):
        self.world.poll()
        rows = {n: self.streams(n) for n in NODES}
        self.gaps = {n: self.world.nodes[n].rows("gaps") for n in NODES}
        self.waits = ["%s of %s" % ("/".join(key), below)
                      for below, above in LINKS
                      for key, row in rows[below].items()
                      if not self.has(rows[above], key, row, below)]
        self.waits += ["%d dead letters of %s" % (len(letters), below)
                       for below, _ in LINKS
                       if (letters := self.letters(below))]
        self.waits += ["a gap of %s" % name for name in RECEIVERS
                       if self.open_gaps(name)]
        return not self.waits

    def streams(self, name):
        node = self.world.nodes[name]
        return node.streams() if os.path.isdir(
            os.path.join(node.store, "index")) else {}

    def letters(self, name):
        return self.world.nodes[name].rows("dlq", "list")

    def has(self, rows, key, row, below):
        """By number; where numbers were given twice, by when the last packet
        was captured, in whatever epoch it came."""
        if any(r.node == below for r in self.world.restored):
            last = row["packets"] and (
                parse_time(row["last_time"]) - LEFT_OUT_NS *
                bool(self.world.ways.filtered))
            return row["packets"] == 0 or any(
                k[:2] == key[:2] and r["packets"] and
                parse_time(r["last_time"]) >= last for k, r in rows.items())
        return key in rows and rows[key]["last_seq"] >= row["last_seq"]

    def open_gaps(self, name):
        """Those that somebody could fill who still is."""
        return [g for g in self.gaps[name]
                if not g["closed"] and g["reason"] != "filtered" and
                not self.stays(name, g)]

    def stays(self, name, gap):
        """Its packets went with the store of its edge, and the node below has
        none of them either."""
        key = gap["node"], gap["interface"], gap["epoch"]
        if key not in self.world.wiped and all(
                r.node != key[0] for r in self.world.restored):
            return False
        numbers = set(range(gap["first"], gap["last"] + 1))
        for below, above in LINKS:
            if above == name and below not in EDGES:
                for g in self.gaps[below]:
                    if not g["closed"] and key == (
                            g["node"], g["interface"], g["epoch"]):
                        numbers -= set(range(g["first"], g["last"] + 1))
                return not numbers
        return True

    def finish(self, sent):
        world = self.world
        for name in NODES:
            for program in reversed(world.programs_of(name)):
                if "finished" not in program.holds:
                    program.finish()
        self.check = model.Check(world, self.sampler, sent)
        self.check.gap_rows = {n: world.nodes[n].rows("gaps") for n in NODES}
        world.count["dead letters"] = sum(
            g["reason"] == "dead-lettered" for n in RECEIVERS
            for g in self.check.gap_rows[n])
        self.check.run()

    def summary(self):
        check = self.check
        if check is None:
            return "chaos seed=%d seconds=%d: broken off: %s" % (
                self.seed, self.seconds, self.counts())
        return ("chaos seed=%d seconds=%d: %s packets, %s; not flushed when "
                "killed %d, dropped and counted %d, wiped %d; lost %d, "
                "repeated %d" % (
                    self.seed, self.seconds, format(check.packets, ","),
                    self.counts(), check.unflushed, check.dropped,
                    check.gone, check.lost, check.repeated))

    def verdict(self):
        """Raises unless every promise held."""
        found = self.world.findings
        if found:
            raise Failure("%d promises broken:\n  %s\nagain: make chaos "
                          "CHAOS_SEED=%d CHAOS_SECONDS=%d" % (
                              len(found), "\n  ".join(
                                  found[:model.FACTS_MAX]),
                              self.seed, self.seconds))


def play(t, seed, seconds):
    """One run, told in a line; raises unless every promise held."""
    one = Run(t, seed, seconds)
    try:
        one.run()
    finally:
        if one.sampler:
            print("\r\033[K" * sys.stderr.isatty() + one.summary(),
                  flush=True)
    one.verdict()


def interrupted(signum, frame):
    raise KeyboardInterrupt


def main():
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(1, 10**6))
    seconds = max(SECONDS_MIN, int(os.environ.get("CHAOS_SECONDS") or 60))
    if "--plan" in sys.argv[1:]:
        print(Ways(seed))
        for fault in storm.plan(seed, seconds, ONLY):
            print("%8.2f %s" % (fault.at, fault))
        return 0
    signal.signal(signal.SIGTERM, interrupted)
    print("chaos: CHAOS_SEED=%d CHAOS_SECONDS=%d: %s" % (
        seed, seconds, Ways(seed)), flush=True)
    t = Test()
    keep = bool(os.environ.get("PB_KEEP"))
    status = 1
    try:
        play(t, seed, seconds)
        status = 0
    except Skip as e:
        print("chaos: nothing was shown: %s" % e)
    except KeyboardInterrupt:
        print("chaos: interrupted")
    except Failure as e:
        keep = True
        print("chaos: %s" % e)
    except Exception:
        keep = True
        traceback.print_exc()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.environ["PB_KEEP"] = "1"
        t.close(keep)
    return status


if __name__ == "__main__":
    sys.exit(main())
