"""An interface that vanishes, or appears only later, needs no restart."""

from harness import *
import traffic


def count(node):
    return sum(node.ends().values())


def until_captured(t, node, tx, first):
    """Frames until one is captured: the interface is open from here on, and
    may have more of these to come."""
    before = count(node)

    def one():
        t.traffic(tx, "tx0", 1, 0, first=first).wait()
        time.sleep(0.2)
        return count(node) > before
    wait_until(one, "a frame captured", 20)


def until_stored(node, interface, number):
    """The frame `number` and, as they keep their order, all before it."""
    wait_until(lambda: number in [traffic.number_of(r[3]) for r in
                                  by_stream(node.query())[interface]],
               "frame %d is stored" % number, pause=0.1)


def an_interface_that_comes_late_and_goes_is_captured_without_restart(t):
    tx, rx = t.netns("tx"), t.netns("rx")
    node = t.node("edge", captures=["late0"], netns=rx)
    node.start()
    for turn in range(3):
        t.veth(tx, "tx0", rx, "late0")
        until_captured(t, node, tx, first=10**6)
        t.traffic(tx, "tx0", 200, 2000, first=1000 * turn).wait()
        until_stored(node, "late0", 1000 * turn + 199)
        t.inside(rx, "ip", "link", "del", "late0")
        time.sleep(0.5)
        check(node.recorder.alive(), "the recorder ended")
    rows = by_stream(node.query())["late0"]
    equal(len(node.streams()), 1, "streams: it stays the same one")
    equal([r[0] for r in rows], list(range(1, len(rows) + 1)), "numbers")
    numbers = [traffic.number_of(r[3]) for r in rows]
    for turn in range(3):
        equal([n for n in numbers if n // 1000 == turn],
              list(range(1000 * turn, 1000 * turn + 200)),
              "frames of turn %d" % turn)


def an_interface_that_goes_down_and_up_goes_on(t):
    tx, rx = t.netns("tx"), t.netns("rx")
    t.veth(tx, "tx0", rx, "rx0")
    node = t.node("edge", captures=["rx0"], netns=rx)
    node.start()
    t.traffic(tx, "tx0", 100, 2000, first=0).wait()
    wait_until(lambda: count(node) == 100, "100 frames")
    t.inside(rx, "ip", "link", "set", "rx0", "down")
    time.sleep(0.5)
    t.inside(rx, "ip", "link", "set", "rx0", "up")
    until_captured(t, node, tx, first=10**6)
    t.traffic(tx, "tx0", 100, 2000, first=1000).wait()
    until_stored(node, "rx0", 1099)
    rows = by_stream(node.query())["rx0"]
    equal([r[0] for r in rows], list(range(1, len(rows) + 1)), "numbers")


def one_absent_interface_hinders_no_other(t):
    tx, rx = t.netns("tx"), t.netns("rx")
    t.veth(tx, "tx0", rx, "rx0")
    node = t.node("edge", captures=["never0", "rx0"], netns=rx)
    node.start()
    t.traffic(tx, "tx0", 100, 2000).wait()
    wait_until(lambda: count(node) == 100, "100 frames of the other one")
    check("never0" in node.pb("status").decode(), "pb status is silent")


if __name__ == "__main__":
    main("100",
         an_interface_that_comes_late_and_goes_is_captured_without_restart,
         an_interface_that_goes_down_and_up_goes_on,
         one_absent_interface_hinders_no_other)
