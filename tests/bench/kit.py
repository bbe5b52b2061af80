"""What every measurement shares: subjects, their CPU time, one table.

A *row* is one piece of work; its *subjects* (PacketBroker and its peers) do
it in turn, round after round, so that what the machine does meanwhile meets
all of them.  Of each figure the median counts, and a goal is a ratio of two
medians of the same run.

A measurement is a function of a Row.  It asks `row.rounds()` for its
rounds and `row.turns(subjects)` for who is next, `row.amount(...)` for how
much, says `row.note(subject, figure, value)` for each value, and ends with
`row.goal(...)`.  What cannot run here says row.skip(subject, why).
"""

import contextlib
import json
import mmap
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "system"))

from harness import *

OURS = "PacketBroker"
SENDER_CPU, OTHER_CPU = "0", "1"
MODES = ("full", "quick", "smoke")
VERDICT = {True: "reached", False: "NOT reached", None: "no goal"}
TICK = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20
SETTLE_SECONDS_MAX = 60
SETTLE_S, IDLE = 0.25, 0.02     # idle: so little of a CPU for so long
QUIET_S, QUIET_BUSY_S = 0.25, 0.04
QUIET_SECONDS_MAX = 5           # patience; 0: does not look
disturbed = []          # when it was not quiet
SMOKE = 100             # what a quick amount is divided by


class Row:
    """One piece of work, and what was measured of it.  `mode` is full,
    quick, or smoke, which has hardly any work and means nothing."""

    def __init__(self, t, name, what, rounds, mode="full"):
        check(mode in MODES, "mode", mode)
        self.t, self.name, self.what = t, name, what
        self.count, self.mode = rounds, mode
        self.quick = mode != "full"
        self.round = 0
        self.scope = ""         # how much was done, in words
        self.failed = None      # why nothing, or not all, was measured
        self.seconds = 0.0
        self.disturbed = 0      # how often something else used the CPU
        self.figures = {}       # subject -> figure -> values
        self.skipped = {}       # subject -> why
        self.goals = []

    def rounds(self):
        for self.round in range(self.count):
            say(self.name, "round", self.round + 1, "of", self.count)
            yield self.round

    def turns(self, subjects):
        """In another order each round: nobody always comes first.  With
        PB_ALONE those of ours alone."""
        if os.environ.get("PB_ALONE"):
            ours = [s for s in subjects if str(s[0]).startswith(OURS)]
            subjects = ours or subjects
        first = self.round % len(subjects)
        return subjects[first:] + subjects[:first]

    def amount(self, full, quick):
        """How many packets or bytes, by mode."""
        return {"full": full, "quick": quick}.get(
            self.mode, max(quick // SMOKE, 1))

    def note(self, subject, figure, value):
        of = self.figures.setdefault(subject, {})
        of.setdefault(figure, []).append(value)

    def skip(self, subject, why):
        self.skipped[subject] = why

    def median(self, subject, figure):
        values = self.figures.get(subject, {}).get(figure)
        return statistics.median(values) if values else None

    def worst(self, subject, figure):
        """The largest of all rounds."""
        values = self.figures.get(subject, {}).get(figure)
        return max(values) if values else None

    def goal(self, words, have, most=None, least=None):
        """`have` is a figure or None where it could not be measured."""
        met = have is not None and (most is None or have <= most) and \
            (least is None or have >= least)
        self.goals.append({"goal": words, "have": have, "met": met})

    def tell(self, words, have):
        """A ratio that no goal is about."""
        self.goals.append({"goal": words, "have": have, "met": None})

    def ratio(self, figure, peer, other=None):
        """Ours to the peer's (of its figure `other`)."""
        ours = self.median(OURS, figure)
        theirs = self.median(peer, other or figure)
        return ours / theirs if ours is not None and theirs else None

    def as_json(self):
        return {"row": self.name, "what": self.what, "rounds": self.count,
                "scope": self.scope, "disturbed": self.disturbed,
                "failed": self.failed, "seconds": round(self.seconds, 1),
                "subjects": {s: {f: {"median": statistics.median(v),
                                     "values": v} for f, v in of.items()}
                             for s, of in self.figures.items()},
                "skipped": self.skipped, "goals": self.goals}


def say(*words):
    """Progress, for who waits."""
    print("bench:", *words, file=sys.stderr, flush=True)


def quiet():
    """The disk has what was written, and nobody uses the CPU; where somebody
    does for long, it is said, and counted in `disturbed`."""
    os.sync()
    end = time.monotonic() + QUIET_SECONDS_MAX
    while QUIET_SECONDS_MAX:
        busy = cpu_busy()
        time.sleep(QUIET_S)
        if cpu_busy() - busy < QUIET_BUSY_S:
            return
        if time.monotonic() > end:
            disturbed.append(time.time())
            say("something else uses the CPU: what follows is disturbed")
            return


def drop_caches():
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3\n")


def timed(argv, **kw):
    """(seconds, CPU seconds of it and its children); status 0 or fail."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    must(argv, seconds=600, **kw)
    took = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, (after.ru_utime - before.ru_utime +
                  after.ru_stime - before.ru_stime)


class Reaped:
    """A Popen whose CPU seconds (`cpu`: all threads, those that ended and
    children it waited for as well) are known once it has ended."""

    def __init__(self, proc):
        self.proc, self.pid = proc, proc.pid
        self.returncode = self.cpu = None

    def poll(self):
        if self.returncode is None:
            self._reap(os.WNOHANG)
        return self.returncode

    def wait(self, timeout=60.0):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.proc.args, timeout)
            time.sleep(0.005)
        return self.returncode

    def _reap(self, flags):
        pid, status, usage = os.wait4(self.pid, flags)
        if pid:
            self.cpu = usage.ru_utime + usage.ru_stime
            self.returncode = self.proc.returncode = \
                os.waitstatus_to_exitcode(status)

    def send_signal(self, number):
        self.proc.send_signal(number)

    def kill(self):
        self.proc.kill()


def end_children(t):
    """What a subject that failed has left running."""
    for child in t.children:
        if child.poll() is None:
            child.kill()
            child.wait()
    t.children.clear()


def settle(pid, least=0.0):
    """Wait until a process has nothing to do any more, `least` seconds."""
    end = time.monotonic() + least + SETTLE_SECONDS_MAX
    time.sleep(least)
    was = cpu_exact(pid)
    while True:
        time.sleep(SETTLE_S)
        now = cpu_exact(pid)
        if now - was < IDLE * SETTLE_S:
            return
        check(time.monotonic() < end, "process", pid, "is still busy")
        was = now


def cpu_busy():
    """CPU seconds of the whole machine, the kernel's own as well."""
    with open("/proc/stat") as f:
        # user nice system idle iowait irq softirq
        ticks = [int(n) for n in f.readline().split()[1:8]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICK


def cpu_of(pid):
    """CPU seconds of a running process, all its threads."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def cpu_exact(pid):
    """The same in nanoseconds' exactness, of the threads that live."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), \
                open("/proc/%d/task/%s/schedstat" % (pid, task)) as f:
            total += int(f.read().split()[0])
    return total / 1e9


def memory_of(pid, field="VmHWM"):
    """Bytes: the most it ever had in memory."""
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def machine():
    model = ""
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {"kernel": platform.release(), "cpus": os.cpu_count(),
            "cpu": model, "page_ns": page_ns(),
            "date": time.strftime("%Y-%m-%d", time.gmtime())}


def page_ns():
    """What it costs to touch a fresh page of memory.  On a machine whose
    memory another one lends it may be ten times as much as elsewhere, and
    whoever writes through the page cache pays it."""
    size, page = 128 * MIB, os.sysconf("SC_PAGESIZE")
    with mmap.mmap(-1, size) as memory:
        took = []
        for _ in range(2):
            start = time.monotonic_ns()
            for at in range(0, size, page):
                memory[at] = 1
            took.append(time.monotonic_ns() - start)
    return max(took[0] - took[1], 0) * page // size


def show(value):
    if value is None:
        return "-"
    if value == 0 or abs(value) >= 100:
        return "%.0f" % value
    return "%.3g" % value


def table(rows):
    """The rows for people, as Markdown."""
    out = []
    for row in rows:
        figures = []
        for of in row["subjects"].values():
            figures += [f for f in of if f not in figures]
        scope = row["scope"] and "%s; " % row["scope"]
        out += ["", "### " + row["row"], "",
                "%s  This run: %smedians of %d." % (row["what"], scope,
                                                    row["rounds"])]
        if figures:
            out += ["", "| | " + " | ".join(figures) + " |",
                    "| --- |" + " --- |" * len(figures)]
        for subject, of in row["subjects"].items():
            out.append("| %s | %s |" % (subject, " | ".join(
                show(of[f]["median"]) if f in of else "" for f in figures)))
        missing = [row["failed"]] if row["failed"] else []
        for subject, why in row["skipped"].items():
            missing.append("%s: %s" % (subject, why))
        out.append("")
        for why in missing:
            out.append("- not measured: " + why.replace("\n", " "))
        if row["disturbed"]:
            out.append("- disturbed: something else used the CPU before %d "
                       "of the measurements" % row["disturbed"])
        for goal in row["goals"]:
            out.append("- %s: %s: %s" % (VERDICT[goal["met"]], goal["goal"],
                                         show(goal["have"])))
    return "\n".join(out) + "\n"
