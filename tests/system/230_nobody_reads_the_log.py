"""Standard error that nobody reads: neither capture nor shipping nor the end
waits for it, and what was left out is counted."""

import fcntl
import threading

from harness import *

SETPIPE = 1031                  # F_SETPIPE_SZ
ABSENT = ["%s%02d" % ("absent" * 12, n) for n in range(40)]


def open_fifo(t, name):
    """A pipe of 4 KiB that has a reader who does not read."""
    path = t.path(name)
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(fd, SETPIPE, 4096)
    return path, fd


def open_socket(t, name):
    """A unix socket, as journald has; who connects is never read from."""
    path = t.path(name)
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)
    return path, server


PIPE = ["sh", "-c", 'fifo=$1; shift; exec "$@" 2>"$fifo"', "sh"]
SOCKET = [sys.executable, "-c",
          "import os, socket, sys; s = socket.socket(socket.AF_UNIX); "
          "s.connect(sys.argv[1]); os.dup2(s.fileno(), 2); "
          "os.execv(sys.argv[2], sys.argv[2:])"]


def start(t, node, program, how, where, netns=None):
    return Daemon(t, "%s-%s" % (node.name, program),
                  how + [where, os.path.join(BUILD, "pb-" + program), "-c",
                         node.conf], netns=netns)


def read_lines(fd):
    """What comes until nothing does for a while."""
    data, end = b"", time.monotonic() + 0.5 * SLOW
    while time.monotonic() < end:
        try:
            data += os.read(fd, 65536)
            end = time.monotonic() + 0.5 * SLOW
        except BlockingIOError:
            time.sleep(0.01)
    return data.decode("utf-8", "replace").splitlines()


def read_until(fd, words):
    lines, end = read_lines(fd), time.monotonic() + 20 * SLACK
    while words not in " ".join(lines[-1:]) and time.monotonic() < end:
        lines += read_lines(fd)
    return lines or [""]


def captures_change(node, described):
    """Each SIGHUP restarts the captures of what is not there, at length."""
    with open(node.conf) as f:
        text = f.read().split("[capture absent")[0]
    for name in ABSENT:
        text += "[capture %s]\ndescription = %s\n" % (name, described)
    with open(node.conf + ".new", "w") as f:
        f.write(text)
    os.rename(node.conf + ".new", node.conf)


def left_out(node):
    return node.rows("status", "--json")[0]["live"]["log_lines_left_out"]


def flood(node, recorder):
    """Until lines had to be left out."""
    turn = 0
    end = time.monotonic() + 40 * SLACK
    while left_out(node) == 0:
        check(time.monotonic() < end, "never was a line left out")
        turn += 1
        captures_change(node, "turn %d" % turn)
        recorder.proc.send_signal(signal.SIGHUP)
        time.sleep(0.05)


def captured_though_nobody_reads(t, how, opened):
    node = t.edge_with_traffic()
    where, log = opened(t, "log")
    recorder = start(t, node, "recorder", how, where, node.netns)
    t.traffic(t.sender, "pb0", 100, 2000).wait()
    wait_until(lambda: sum(node.ends().values()) == 100, "100 frames")
    flood(node, recorder)
    t.traffic(t.sender, "pb0", 100, 2000, first=101).wait()
    wait_until(lambda: sum(node.ends().values()) == 200, "200 frames")
    said = node.pb("status").decode()
    check(" lines of its log were left out" in said, "status says", said)
    return node, recorder, log


def a_full_pipe_stops_no_capture_and_what_was_left_out_is_told(t):
    node, recorder, log = captured_though_nobody_reads(t, PIPE, open_fifo)
    metrics = node_metrics(node)
    check(re_number(metrics, "pb_log_lines_left_out_total") > 0, metrics)
    lines = read_lines(log)
    told = [line for line in lines if "lines were left out here" in line]
    check(told, "no line tells how many are missing", lines[-3:])
    ended = []
    reader = threading.Thread(target=lambda: ended.extend(read_until(
        log, "recorder: stopped")))
    reader.start()
    recorder.stop()
    reader.join()
    check("recorder: stopped" in ended[-1], "the last line is", ended[-1])
    os.close(log)


def node_metrics(node):
    import http.client
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(os.path.join(node.store, "recorder.sock"))
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


def re_number(text, name):
    for line in text.splitlines():
        if line.startswith(name + " "):
            return int(line.split()[1])
    return -1


def a_socket_that_stalls_does_not_either_and_the_end_comes(t):
    node, recorder, log = captured_though_nobody_reads(t, SOCKET, open_socket)
    recorder.stop()
    equal(len(node.query().packets), 200, "packets")
    log.close()


def a_shipper_whose_log_stands_ships_on_and_ends(t):
    core = t.node("core", listen=True).start()
    edge = t.edge_with_traffic(upstreams={"core": core})
    where, log = open_fifo(t, "log")
    edge.start_recorder()
    shipper = start(t, edge, "shipper", PIPE, where)
    for _ in range(100):
        shipper.proc.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    t.traffic(t.sender, "pb0", 200, 2000).wait()
    wait_until(lambda: sum(core.ends().values()) >= 200, "all at the core")
    equal(sum(core.ends().values()), 200, "frames of the core")
    shipper.stop()
    os.close(log)


def a_closed_one_gives_its_number_to_no_file_of_ours(t):
    node = t.edge_with_traffic()
    recorder = Daemon(t, "edge-recorder", [
        "sh", "-c", 'exec "$@" 2>&- >&- <&-', "sh",
        os.path.join(BUILD, "pb-recorder"), "-c", node.conf],
        netns=node.netns)
    for fd in (0, 1, 2):
        equal(os.readlink("/proc/%d/fd/%d" % (recorder.pid, fd)),
              "/dev/null", "descriptor %d" % fd)
    t.traffic(t.sender, "pb0", 100, 2000).wait()
    wait_until(lambda: sum(node.ends().values()) == 100, "100 frames")
    check(left_out(node) > 0, "what could not be written is not counted")
    recorder.stop()
    node.pb("verify")


if __name__ == "__main__":
    main("230",
         a_full_pipe_stops_no_capture_and_what_was_left_out_is_told,
         a_socket_that_stalls_does_not_either_and_the_end_comes,
         a_shipper_whose_log_stands_ships_on_and_ends,
         a_closed_one_gives_its_number_to_no_file_of_ours)
