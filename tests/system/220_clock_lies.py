"""A wall clock that is years ahead or behind, is set right, or steps while
programs run: nothing is deleted for it, kept for it, or waits for it.

The clocks are the test's (clock.c, preloaded): the wall clock, whether the
kernel vouches for it, how long the machine is up, and since which boot."""

import glob

from clocks import Clock
from faults import *

YEARS = 4 * 365 * 86400
HOUR = 3600
MIB = 1 << 20
RUN, FRAME = 60, 9000       # of one push: some 545 KB, a segment of its own
SMALL = ["segment_size = 1MiB", "segment_age = 1s"]


def bring(node, number, stream="x/eth0"):
    """Push `number`, from 0: a segment of its own."""
    answer = push(node, stream, number * RUN + 1, (number + 1) * RUN, FRAME)
    equal(answer[0], 200, "push %d (%s)" % (number, answer[2]))


def take(node, number):
    """And it is sealed when this returns."""
    bring(node, number)
    wait_until(lambda: not any(f.endswith(".open") for f in node.files()),
               "its segment is sealed", 20)


def firsts(node, interface="eth0"):
    return sorted(int(os.path.basename(f).split(".")[0]) // RUN
                  for f in node.files() if "/%s/" % interface in f)


def gone(node):
    return [int(re.search(r" first=(\d+) ", line)[1]) // RUN
            for line in lines(node.recorder, "retention: deleted ")]


def stays(node, numbers, what):
    """Retention looks each second."""
    time.sleep(1.5)
    equal(firsts(node), numbers, what)


def the_oldest_goes_though_the_clock_was_ahead_when_it_came(t):
    clock = Clock(t)
    node = t.node("edge", store=SMALL + ["retain_size = 4MiB"])
    clock.set(ahead=YEARS)
    clock.run(node)
    for n in range(5):
        bring(node, n)
    clock.rerun(node, ahead=0)
    for n in range(5, 9):
        bring(node, n)
        wait_until(lambda: n < 7 or firsts(node)[0] == n - 6,
                   "the oldest went, and it alone", 10)
    equal(firsts(node), list(range(2, 9)), "what is kept")
    # And by one that steps while it runs.
    for n, ahead in ((9, -YEARS), (10, YEARS), (11, 0)):
        clock.set(ahead=ahead)
        bring(node, n)
        wait_until(lambda: firsts(node)[0] == n - 6, "the oldest went", 10)
    equal(firsts(node), list(range(5, 12)), "what is kept")
    # An index made again has the same order.
    node.recorder.stop()
    node.pb("reindex", env=clock.env)
    clock.run(node)
    bring(node, 12)
    wait_until(lambda: len(firsts(node)) == 7, "one went", 10)
    equal(firsts(node), list(range(6, 13)), "what is kept")
    equal(status(node)["retention"]["why"], "", "trouble")
    node.recorder.stop()
    node.pb("verify")


def what_waits_is_not_deleted_by_a_step_of_the_clock(t):
    clock = Clock(t)
    away = "http://127.0.0.1:%d" % free_port()
    node = t.node("edge", upstreams={"core": away},
                  store=SMALL + ["retain_age = 1h"])
    clock.set(ahead=-YEARS)
    clock.run(node)
    take(node, 0)
    clock.set(ahead=0)
    stays(node, [0], "after the clock was set right")
    take(node, 1)
    clock.rerun(node, ahead=YEARS)
    take(node, 2)
    clock.rerun(node, ahead=-YEARS)
    stays(node, [0, 1, 2], "after restarts")
    said = node.pb("status", env=clock.env).decode()
    check(re.search(r"oldest \d+(\.\d+)? (s|min)\n", said), "status:", said)
    equal(gone(node), [], "deleted")
    # An hour later it goes, by a clock that is four years behind.
    clock.set(up=HOUR + 1)
    wait_until(lambda: firsts(node) == [], "all went by age", 10)
    check(lines(node.recorder, "reason=age acked=no age_s=36"), "says",
          node.recorder.tail())


def time_between_two_boots_counts_where_the_kernel_vouches_for_it(t):
    clock = Clock(t)
    node = t.node("edge", store=SMALL + ["retain_age = 1h"])
    clock.run(node)
    take(node, 0)
    # Off for two hours, and for years, with nobody who knows.
    clock.rerun(node, boot=2, ahead=2 * HOUR)
    stays(node, [0], "where nobody vouches")
    clock.rerun(node, boot=3, ahead=YEARS)
    clock.set(vouched=True)
    stays(node, [0], "where only one end is vouched for")
    # Off for half an hour, vouched for: it is not that old.
    clock.rerun(node, boot=4, ahead=YEARS + HOUR // 2)
    take(node, 1)
    stays(node, [0, 1], "after half an hour")
    # Another boot, whose clock comes right only later.
    clock.rerun(node, boot=5, vouched=False, ahead=-YEARS)
    stays(node, [0, 1], "before the clock came right")
    clock.set(vouched=True, ahead=YEARS + HOUR + HOUR // 4)
    wait_until(lambda: firsts(node) == [1], "what is over an hour old went",
               10)
    stays(node, [1], "what is three quarters of an hour old")


def an_age_outlives_a_kill(t):
    clock = Clock(t)
    node = t.node("edge", store=SMALL + ["retain_age = 1h"])
    clock.run(node)
    take(node, 0)
    bring(node, 1)
    node.recorder.kill()
    clock.set(ahead=YEARS, up=HOUR // 2)
    clock.run(node)
    stays(node, [0, 1], "after half an hour")
    clock.set(ahead=-YEARS, up=HOUR + 60)
    wait_until(lambda: firsts(node) == [], "both went", 10)


def a_segment_is_rotated_while_the_clock_runs_back(t):
    clock = Clock(t)
    node = t.node("edge", store=["segment_age = 2s"])
    clock.set(ahead=YEARS)
    clock.run(node)
    equal(push(node, "x/eth0", 1, 10)[0], 200, "a push")
    check(node.files()[0].endswith(".open"), node.files())
    clock.set(ahead=-YEARS)
    wait_until(lambda: node.files()[0].endswith(".pcapng"), "it is sealed",
               10)
    row, = node.rows("segments")
    check(row["sealed"], row)


def letters(node):
    return node.rows("dlq", "list")


def link_files(node):
    return glob.glob(os.path.join(node.store, "dead-letters", "*", "*", "*",
                                  "*", "*.pcapng"))


def dead_letters_neither_vanish_nor_stay_for_ever(t):
    clock = Clock(t)
    away = "http://127.0.0.1:%d" % free_port()
    node = t.node("edge", store=SMALL, upstreams={
        "core": (away, "retry_for = 1s", "dead_letters_age = 1h")})
    clock.set(ahead=-YEARS)
    clock.run(node)
    node.start_shipper(env=clock.env)
    take(node, 0)
    wait_until(lambda: link_files(node), "a dead letter", 20)
    clock.set(ahead=0)
    time.sleep(2)
    equal(len(letters(node)), 1, "letters, after the clock was set right")
    # A newer one, by a clock that is ahead: it must not outlive the age.
    clock.set(ahead=YEARS, up=HOUR // 2)
    take(node, 1)
    wait_until(lambda: len(link_files(node)) == 2, "another", 20)
    node.shipper.stop()
    clock.set(ahead=0)
    node.start_shipper(env=clock.env)
    time.sleep(2)
    equal(len(letters(node)), 2, "letters, after a restart")
    clock.set(up=HOUR + 60)
    wait_until(lambda: len(link_files(node)) == 1, "the older one went", 10)
    equal([r["first"] for r in letters(node) if r["state"] == "dead"],
          [RUN + 1], "the newer one stays")
    clock.set(up=HOUR // 2 + HOUR + 60)
    wait_until(lambda: not link_files(node), "both went", 10)
    alive(node.recorder, node.shipper)


def times_that_run_back_are_found_by_a_query(t):
    """Within one segment, and from one to the next: years, both ways."""
    node = t.node("edge", store=["segment_size = 1MiB"])
    base = samples.T0
    steps = [0, YEARS, -YEARS, 10, 2 * YEARS, -2 * YEARS, 20]
    frames, want = [], []
    # Small runs share a segment; large ones have some each.
    for size, count in ((60, 50), (9000, 130)):
        for step in steps:
            for n in range(count):
                at = base + step + n
                frames.append((at, n, samples.eth(n, size), size))
                want.append(at)
    node.pb("import", "--interface", "eth0", t.write("a.pcap", samples.pcap(
        "<", samples.MAGIC_NS, frames)))
    check(len(node.files()) > len(steps), "segments:", len(node.files()))

    def found(*args):
        return int(node.pb("query", "--count", *args))

    for made_again in (False, True):
        for step in steps[:3] if made_again else steps:
            a, b = base + step + 40, base + step + 90
            equal(found("--after", str(a), "--before", str(b)),
                  sum(a <= at < b for at in want), "around %d" % step)
            equal(found("--before", str(base + step)),
                  sum(at < base + step for at in want), "before %d" % step)
            equal(found("--after", str(base + step)),
                  sum(at >= base + step for at in want), "after %d" % step)
        if not made_again:
            node.pb("reindex")


if __name__ == "__main__":
    main("220", the_oldest_goes_though_the_clock_was_ahead_when_it_came,
         what_waits_is_not_deleted_by_a_step_of_the_clock,
         time_between_two_boots_counts_where_the_kernel_vouches_for_it,
         an_age_outlives_a_kill,
         a_segment_is_rotated_while_the_clock_runs_back,
         dead_letters_neither_vanish_nor_stay_for_ever,
         times_that_run_back_are_found_by_a_query)
