"""No descriptor is left to open: nothing exits, nothing spins, and all goes
on when there are some again."""

from faults import *

TOO_MANY = "Too many open files"
CPU_SHARE_MAX = 0.5     # of one processor, by a daemon with nothing to do


def is_idle(daemon, what):
    """It waits for what it lacks, and does not ask all the time."""
    begun, used = time.monotonic(), cpu(daemon.pid)
    time.sleep(1)
    share = (cpu(daemon.pid) - used) / (time.monotonic() - begun)
    check(share < CPU_SHARE_MAX, what, "takes", share, "of a processor")
    alive(daemon)


def a_recorder_without_descriptors_answers_503_and_captures(t):
    core = t.node("core", listen=True)
    edge = t.edge_with_traffic(upstreams={"core": core},
                               store=["segment_age = 1s"])
    core.start()
    edge.start()
    sender = t.traffic(t.sender, "pb0", 4000, 400)
    kept = Local(edge)
    equal(push(edge, "x/eth0", 1, 10, by=kept)[0], 200, "a push")
    with descriptors(edge.recorder.pid, 0):
        refused(push(edge, "x/eth1", 1, 10, by=kept), TOO_MANY, "a push")
        # One that comes new is answered, too.
        refused(push(edge, "x/eth2", 1, 10), TOO_MANY, "another's push")
        wait_until(lambda: lines(edge.recorder, "cannot write: .*" +
                                 TOO_MANY), "it says why")
        is_idle(edge.recorder, "the recorder")
    equal(push(edge, "x/eth1", 1, 10, by=kept)[0], 200, "a push")
    equal(push(edge, "x/eth2", 1, 10)[0], 200, "another's push")
    kept.close()
    wait_until(lambda: lines(edge.recorder, "writing again"), "the end")
    once(edge.recorder, "cannot write", "the lack")
    once(edge.recorder, "writing again", "the end")
    sender.terminate()
    sender.wait()
    sent = t.all_stored(edge)
    drained(edge, core)
    equal(told_where_lost(frames(core), sent), 0, "lost")


def connections_that_cannot_be_taken_wait_and_do_not_spin(t):
    node = t.node("core", listen=True).start()
    equal(push(node, "x/eth0", 1, 10)[0], 200, "a push")
    with descriptors(node.recorder.pid, 0), contextlib.ExitStack() as held:
        waiting = [held.enter_context(socket.create_connection(
            ("127.0.0.1", node.port))) for _ in range(20)]
        is_idle(node.recorder, "the recorder")
        wait_until(lambda: lines(node.recorder, TOO_MANY), "it says why")
        check(len(lines(node.recorder, "")) < 20, "the log is flooded:",
              node.recorder.tail())
        waiting[-1].sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        # The first ones are still open, and busy for all the node knows.
        resource.prlimit(node.recorder.pid, resource.RLIMIT_NOFILE,
                         (1024, resource.prlimit(
                             node.recorder.pid, resource.RLIMIT_NOFILE)[1]))
        waiting[-1].settimeout(5 * SLACK)
        check(b"200 OK" in waiting[-1].recv(4096), "the last in line")
        equal(push(node, "x/eth0", 11, 20)[0], 200, "a push")
    equal(len(node.query().packets), 20, "packets")


def a_shipper_without_descriptors_waits(t):
    core = t.node("core", listen=True)
    edge = t.node("edge", upstreams={"core": core})
    core.start()
    edge.start()
    equal(push(edge, "x/eth0", 1, 10)[0], 200, "a push")
    drained(edge, core)
    with descriptors(edge.shipper.pid, 0):
        equal(push(edge, "x/eth0", 11, 20)[0], 200, "a push")
        equal(push(edge, "x/eth1", 1, 10)[0], 200, "a push")
        wait_until(lambda: lines(edge.shipper, TOO_MANY), "it says why")
        is_idle(edge.shipper, "the shipper")
        # Its connections go, and new ones cannot be made.
        core.recorder.stop()
        core.start_recorder()
        equal(push(edge, "x/eth2", 1, 10)[0], 200, "a push")
        is_idle(edge.shipper, "the shipper")
        check(len(lines(edge.shipper, "")) < 30, "the log is flooded:",
              edge.shipper.tail())
    drained(edge, core)
    alive(edge.shipper)
    equal(by_stream(core.query()), by_stream(edge.query()), "packets")


if __name__ == "__main__":
    main("162", a_recorder_without_descriptors_answers_503_and_captures,
         connections_that_cannot_be_taken_wait_and_do_not_spin,
         a_shipper_without_descriptors_waits)
