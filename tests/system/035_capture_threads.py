"""Several threads capture one interface: one stream, nothing lost or twice."""

import os
import re
import signal

from harness import *
import faults
import flows

THREADS = 4
PINGS_MAX = 40


def edge_with_threads(t, *more, **kw):
    return t.edge_with_traffic(captures=[
        ("pb1", "threads = %d" % THREADS) + more], **kw)


def send(t, count, rate, first=1, interface="pb0", ns=None):
    return t.spawn([sys.executable, os.path.join(HERE, "flows.py"), interface,
                    str(count), str(rate), str(first)], ns or t.sender)


def packets_of(node):
    capture = node.query()
    return sorted(capture.packets, key=lambda p: p.seq)


def count(node):
    return sum(node.ends().values())


def whole(node):
    """Numbers without a hole, frames at most once and with their own bytes,
    those of a flow in the order in which they were sent; their numbers."""
    packets = packets_of(node)
    equal([p.seq for p in packets], list(range(1, len(packets) + 1)),
          "sequence numbers")
    numbers = [flows.number_of(p.data) for p in packets]
    check(len(set(numbers)) == len(numbers), "a frame is stored twice")
    last = {}
    for p, n in zip(packets, numbers):
        check(p.data == flows.frame(n), "frame", n, "has other bytes")
        flow = flows.flow_of(n)
        check(last.get(flow, -1) < n, "flow", flow, "has", last.get(flow),
              "before", n)
        last[flow] = n
    return numbers


def threads_of(daemon):
    """Names of its capture threads."""
    names = []
    for task in os.listdir("/proc/%d/task" % daemon.pid):
        try:
            with open("/proc/%d/task/%s/comm" % (daemon.pid, task)) as f:
                names.append(f.read().strip())
        except FileNotFoundError:
            pass    # it has ended since it was listed
    return sorted(n for n in names if n.startswith("cap"))


def captured(node, before, count=THREADS):
    """Anew, by so many threads, with sockets that are none of `before`."""
    node.captures_anew(before, count)
    wait_until(lambda: len(threads_of(node.recorder)) == count,
               "%d threads" % count)


def every_frame_is_stored_once_and_flows_keep_their_order(t):
    edge = edge_with_threads(t)
    edge.start()
    equal(threads_of(edge.recorder),
          ["cap-pb1", "cap1-pb1", "cap2-pb1", "cap3-pb1"], "threads")
    send(t, 20000, 12000).wait()
    wait_until(lambda: count(edge) >= 20000, "20000 frames durable")
    equal(sorted(whole(edge)), list(range(1, 20001)), "frames")
    row = next(iter(edge.streams().values()))
    equal((row["packets"], row["dropped"]), (20000, 0), "the stream's row")
    # The kernel did share them out, and time tells: it runs back between
    # threads, by no more than the flush interval and what a busy machine keeps
    # one waiting.
    times = [p.time_ns for p in packets_of(edge)]
    back = [a - b for a, b in zip(times, times[1:]) if a > b]
    check(back, "one thread did it all")
    latest, worst = 0, 0
    for at in times:
        latest = max(latest, at)
        worst = max(worst, latest - at)
    check(worst <= 1e9 * SLOW, "time runs back by", worst, "ns")


def what_is_dropped_is_counted_exactly(t):
    edge = edge_with_threads(t, "buffer = 4MiB")
    edge.start()
    # It cannot read while it is stopped, and the rings hold a quarter.
    edge.recorder.proc.send_signal(signal.SIGSTOP)
    send(t, 30000, 0).wait()
    edge.recorder.proc.send_signal(signal.SIGCONT)
    sent = 30000
    for _ in range(PINGS_MAX):
        send(t, 50, 500, first=sent + 1).wait()
        sent += 50
        row = next(iter(edge.streams().values()), None)
        if row and row["packets"] + row["dropped"] == sent:
            break
        time.sleep(0.2 * SLOW)
    packets = packets_of(edge)
    dropped = sum(p.dropcount or 0 for p in packets)
    check(dropped > 5000, "only", dropped, "were dropped")
    equal(len(packets) + dropped, sent, "packets and drop counts")
    row = next(iter(edge.streams().values()))
    equal(row["dropped"], dropped, "the stream's row")
    live = faults.status(edge)["live"]["captures"][0]
    equal(live["kernel_dropped"], dropped, "pb status")
    numbers = [flows.number_of(p.data) for p in packets]
    check(len(set(numbers)) == len(numbers), "a frame is stored twice")


def kill_loses_nothing_durable_and_repeats_nothing(t):
    edge = edge_with_threads(t, store=["segment_size = 1MiB",
                                       "segment_age = 2s"])
    edge.start()
    job = send(t, 10**6, 4000)
    for _ in range(3):
        time.sleep(random.uniform(0.3, 0.7))
        wait_until(lambda: count(edge) > 0, "a durable packet")
        durable = count(edge)
        edge.recorder.kill()
        # What is there, straight from the files.
        before = next(iter(segment_packets(edge).values()))
        check(before[-1][0] >= durable, "durable", durable, "but files end",
              before[-1][0])
        edge.start_recorder()
        time.sleep(0.2)
        after = next(iter(segment_packets(edge).values()))
        equal(after[:durable], before[:durable], "durable packets")
    job.kill()
    job.wait()
    edge.stop()
    check(len(whole(edge)) > 3000, "too few packets flowed")


def a_signal_hands_everything_over(t):
    edge = edge_with_threads(t)
    edge.start()
    for first in (1, 5001):
        send(t, 5000, 0, first=first).wait()
        edge.recorder.stop()
        equal(sorted(whole(edge)), list(range(1, first + 5000)), "frames")
        edge.start_recorder()


def an_interface_made_again_is_captured_by_all_threads(t):
    tx, rx = t.netns("tx"), t.netns("rx")
    node = t.node("edge", netns=rx, captures=[
        ("late0", "threads = %d" % THREADS)])
    node.start()
    first, before = 1, set()
    for turn in range(4):
        t.veth(tx, "tx0", rx, "late0")
        node.recorder.proc.send_signal(signal.SIGCONT)
        captured(node, before)
        before = node.sockets()
        equal(len(threads_of(node.recorder)), THREADS, "threads")
        send(t, 3000, 6000, first=first, interface="tx0", ns=tx).wait()
        first += 3000
        # Every other time the recorder sees the new one at once; the last
        # packets of the old one are in its rings.
        if turn % 2 == 1:
            node.recorder.proc.send_signal(signal.SIGSTOP)
        t.inside(rx, "ip", "link", "del", "late0")
        if turn % 2 == 0:
            wait_until(lambda: len(threads_of(node.recorder)) == 1,
                       "the further threads end")
    node.recorder.proc.send_signal(signal.SIGCONT)
    wait_until(lambda: count(node) >= first - 1, "all frames")
    equal(len(node.streams()), 1, "streams: it stays the same one")
    equal(sorted(whole(node)), list(range(1, first)), "frames")


def an_interface_that_goes_down_and_up_keeps_its_threads(t):
    edge = edge_with_threads(t)
    edge.start()
    send(t, 2000, 8000).wait()
    wait_until(lambda: count(edge) == 2000, "2000 frames")
    t.inside(edge.netns, "ip", "link", "set", "pb1", "down")
    time.sleep(0.5)
    t.inside(edge.netns, "ip", "link", "set", "pb1", "up")
    wait_until(lambda: faults.lines(edge.recorder, "up again"), "it is up")
    send(t, 2000, 8000, first=5001).wait()
    wait_until(lambda: count(edge) >= 4000, "2000 frames more")
    equal(sorted(whole(edge)),
          list(range(1, 2001)) + list(range(5001, 7001)), "frames")
    equal(len(threads_of(edge.recorder)), THREADS, "threads")


def a_reload_changes_the_number_of_threads(t):
    edge = edge_with_threads(t)
    edge.start()
    send(t, 2000, 8000).wait()
    with open(edge.conf) as f:
        text = f.read()
    with open(edge.conf, "w") as f:
        f.write(text.replace("threads = 4", "threads = 2"))
    edge.recorder.proc.send_signal(signal.SIGHUP)
    wait_until(lambda: faults.lines(
        edge.recorder, "capturing interface=pb1.*threads=2 "), "two threads")
    equal(threads_of(edge.recorder), ["cap-pb1", "cap1-pb1"], "threads")
    send(t, 2000, 8000, first=2001).wait()
    wait_until(lambda: count(edge) >= 4000, "4000 frames")
    equal(sorted(whole(edge)), list(range(1, 4001)), "frames")
    equal(len(edge.streams()), 1, "streams: it stays the same one")


def start_traced(t, edge, *options):
    """The recorder, with strace at it from its first call on."""
    edge.recorder = Daemon(
        t, edge.name + "-recorder",
        ["strace", "-D", "-f", "-q", *options,
         os.path.join(BUILD, "pb-recorder"), "-c", edge.conf],
        netns=edge.netns,
        env={"ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": ""})
    edge._wait_capturing()


def a_kernel_without_groups_leaves_one_thread(t):
    need("strace")
    if WRAP:
        skip("strace does not go with " + WRAP[0])
    edge = edge_with_threads(t)
    log = t.path("calls")
    start_traced(t, edge, "-e", "trace=setsockopt", "-o", log)
    edge.recorder.stop()
    calls = {}
    at = None
    for line in open(log):
        pid = line.split()[0]
        if "setsockopt(" not in line:
            continue
        calls[pid] = calls.get(pid, 0) + 1
        if "PACKET_FANOUT" in line and at is None:
            at = calls[pid]
    check(at, "no group was asked for")
    # The second member: those before it are in the group already.
    for n in (at, at + 1):
        start_traced(t, edge, "-e", "trace=setsockopt", "-o", "/dev/null",
                     "-e", "inject=setsockopt:error=ENOPROTOOPT:when=%d" % n)
        faults.once(edge.recorder, "one thread instead of 4.*PACKET_FANOUT",
                    "the refusal")
        check(faults.lines(edge.recorder, "capturing.*threads=1 "),
              edge.recorder.tail())
        equal(threads_of(edge.recorder), ["cap-pb1"], "threads")
        first = count(edge) + 1
        send(t, 2000, 8000, first=first).wait()
        wait_until(lambda: count(edge) >= first + 1999, "2000 frames")
        equal(sorted(whole(edge)), list(range(1, first + 2000)), "frames")
        edge.recorder.stop()


def fewer_threads_capture_where_the_system_gives_no_more(t):
    if WRAP:
        skip("strace does not go with " + WRAP[0])
    tx, rx = t.netns("tx"), t.netns("rx")
    node = t.node("edge", netns=rx, captures=[
        ("late0", "threads = %d" % THREADS)])
    node.start()
    for n, left in ((2, 2), (1, 1)):
        with faults.failing(t, node.recorder.pid,
                            "clone3:error=EAGAIN:when=%d+" % n):
            t.veth(tx, "tx0", rx, "late0")
            # Sockets come and go until it is known how many there can be.
            wait_until(lambda: faults.lines(
                node.recorder, "capturing.*threads=%d " % left),
                "late0 is captured by %d threads" % left)
        equal(len(threads_of(node.recorder)), left, "threads")
        first = count(node) + 1
        send(t, 2000, 8000, first=first, interface="tx0", ns=tx).wait()
        wait_until(lambda: count(node) >= first + 1999, "2000 frames")
        t.inside(rx, "ip", "link", "del", "late0")
        wait_until(lambda: len(threads_of(node.recorder)) == 1,
                   "the further threads end")
    equal(sorted(whole(node)), list(range(1, first + 2000)), "frames")
    node.recorder.says("2 threads instead of 4")


def a_thread_that_cannot_read_opens_the_interface_again(t):
    need("strace")
    if WRAP:
        skip("strace does not go with " + WRAP[0])
    edge = edge_with_threads(t)
    edge.start()
    before = edge.sockets()
    job = send(t, 10**6, 3000)
    wait_until(lambda: count(edge) > 1000, "1000 frames")
    tasks = "/proc/%d/task" % edge.recorder.pid
    thread = next(task for task in os.listdir(tasks) if open(
        "%s/%s/comm" % (tasks, task)).read().strip() == "cap2-pb1")
    # In this thread alone, libpcap's poll(2) among others.
    tracer = t.spawn(["strace", "-q", "-o", "/dev/null", "-p", thread,
                      "-e", "trace=poll", "-e",
                      "inject=poll:error=ENOMEM:when=1..8"],
                     stderr=subprocess.DEVNULL)
    wait_until(lambda: faults.lines(edge.recorder, "lost interface=pb1") or
               tracer.poll() not in (None, 0), "it cannot read", 20)
    if not faults.lines(edge.recorder, "lost interface=pb1"):
        skip("strace may not attach here")
    captured(edge, before)
    faults.once(edge.recorder, "lost interface=pb1", "the failure")
    stored = count(edge)
    wait_until(lambda: count(edge) > stored + 1000, "it goes on")
    equal(len(threads_of(edge.recorder)), THREADS, "threads")
    job.kill()
    job.wait()
    edge.stop()
    whole(edge)


if __name__ == "__main__":
    main("035", every_frame_is_stored_once_and_flows_keep_their_order,
         what_is_dropped_is_counted_exactly,
         kill_loses_nothing_durable_and_repeats_nothing,
         a_signal_hands_everything_over,
         an_interface_made_again_is_captured_by_all_threads,
         an_interface_that_goes_down_and_up_keeps_its_threads,
         a_reload_changes_the_number_of_threads,
         a_kernel_without_groups_leaves_one_thread,
         fewer_threads_capture_where_the_system_gives_no_more,
         a_thread_that_cannot_read_opens_the_interface_again,
         seconds=120)
