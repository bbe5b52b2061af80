"""Where a recorder runs `pb import` goes through it: whoever of the two ends
in the middle, it is one clear line, and the store is whole.

In the middle is where the recorder is held (SIGSTOP) after the first packets
are in a file.
"""

from faults import *
from imports import *

LONG = 60                   # pieces: both are at work for a moment


def begin_held(t, node, *files):
    """An import, and its recorder held in the middle of it."""
    child = t.spawn(pb_import(node, *files), stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE)
    wait_until(lambda: node.files() or child.poll() is not None,
               "it begins to write", pause=0.002)
    node.recorder.proc.send_signal(signal.SIGSTOP)
    check(child.poll() is None, "it ended before its recorder was held")
    return child


def go_on(node):
    node.recorder.proc.send_signal(signal.SIGCONT)


def started(t):
    node = t.node("n1")
    node.start_recorder()
    return node


def a_malformed_file_keeps_out_the_one_before(t):
    node = started(t)
    node.pb("import", "--interface", "first", t.write(
        "first.pcap", samples.valid()["pcap-us-le"]))
    nothing_of_two_files(node)


def many_imports_go_side_by_side(t):
    node = started(t)
    path = large_file(t, 4)
    children = [t.spawn(pb_import(node, "--interface", "if%d" % n, path),
                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                for n in range(6)]
    for child in children:
        ends_with(child, 0)
    equal(sorted(r["interface"] for r in node.rows("streams")),
          ["if%d" % n for n in range(6)], "streams")
    for n in range(6):
        are_the_files(node, "n1/if%d" % n, pieces=4)
    is_whole(node)


def a_recorder_that_is_held_is_waited_for(t):
    node = started(t)
    child = begin_held(t, node, large_file(t, LONG))
    time.sleep(1)
    check(child.poll() is None, "it did not wait")
    go_on(node)
    ends_with(child, 0)
    are_the_files(node, "n1/large.pcap", pieces=LONG)
    is_whole(node)


def a_signal_ends_it_though_the_recorder_does_not_answer(t):
    for sig in (signal.SIGINT, signal.SIGTERM):
        node = t.node("n%d" % sig)
        node.start_recorder()
        child = begin_held(t, node, large_file(t, LONG))
        child.send_signal(sig)
        try:
            ends_with(child, 1, "large.pcap: interrupted", seconds=10)
        finally:
            go_on(node)
        are_the_files(node, node.name + "/large.pcap", False, LONG)
        is_whole(node)
        node.stop()


def killed_in_the_middle_it_leaves_the_recorder_well(t):
    node = started(t)
    child = begin_held(t, node, large_file(t, LONG))
    child.kill()
    child.wait(20 * SLACK)
    go_on(node)
    is_whole(node)
    are_the_files(node, "n1/large.pcap", False, LONG)
    node.pb("import", "--interface", "again", large_file(t))
    are_the_files(node, "n1/again")
    check(node.recorder.alive(), "the recorder ended")


def a_recorder_that_is_killed_in_the_middle_is_one_clear_line(t):
    node = started(t)
    child = begin_held(t, node, large_file(t, LONG))
    node.recorder.kill()
    ends_with(child, 1, "large.pcap", "recorder.sock")
    is_whole(node)
    are_the_files(node, "n1/large.pcap", False, LONG)


def a_disk_that_fills_is_one_clear_line(t):
    """The recorder says 503 until there is room; that is not for ever."""
    with small_disk(t, "n1", 480) as disk:
        node = started(t)
        path = large_file(t)
        disk.fill(100 << 20)
        ends_with(t.spawn(pb_import(node, path), stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE), 1, "large.pcap",
                  "No space left on device")
        are_the_files(node, "n1/large.pcap", whole=False)
        disk.empty()
        node.pb("import", "--interface", "again", path)
        are_the_files(node, "n1/again")
        is_whole(node)


if __name__ == "__main__":
    main("016", a_malformed_file_keeps_out_the_one_before,
         many_imports_go_side_by_side,
         a_recorder_that_is_held_is_waited_for,
         a_signal_ends_it_though_the_recorder_does_not_answer,
         killed_in_the_middle_it_leaves_the_recorder_well,
         a_recorder_that_is_killed_in_the_middle_is_one_clear_line,
         a_disk_that_fills_is_one_clear_line,
         seconds=120)
