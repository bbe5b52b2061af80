"""How the daemons behave: signals, options, notices, logs, locks."""

import os
import re

from harness import *
import samples

LOG_LINE = re.compile(r"^(debug|info|warn|error) [a-z][a-z0-9_/-]*: .+$")


def program(name, *args):
    return run(WRAP + [os.path.join(BUILD, name), *args])


def a_node(t, **kw):
    node = t.node("n1", listen=True, upstreams={
        "u": "http://127.0.0.1:%d" % free_port()}, **kw)
    node.start()
    return node


def sigterm_leaves_sealed_files_only(t):
    node = a_node(t)
    path = t.write("a.pcap", samples.valid()["pcap-us-le"])
    node.pb("import", "--interface", "eth0", path)
    check(any(f.endswith(".open") for f in node.files()),
          "no open segment while the recorder runs:", node.files())
    node.stop()
    check(node.files() and all(f.endswith(".pcapng") for f in node.files()),
          "left open:", node.files())
    check(all(r["sealed"] for r in node.rows("segments")), "not sealed")
    equal(len(node.query().packets), 20, "packets")


def sigint_ends_them_too(t):
    node = a_node(t)
    for daemon in (node.recorder, node.shipper):
        daemon.proc.send_signal(signal.SIGINT)
        equal(daemon.proc.wait(15 * SLACK), 0, daemon.name + "'s status")


def they_speak_to_the_service_manager(t):
    node = a_node(t)        # start() waits for READY=1 already
    for daemon in (node.recorder, node.shipper):
        check(b"READY=1" in daemon.said, daemon.name, "said", daemon.said)
    equal(node.http("GET", "/v1/health")[0], 200, "health when ready")


def sighup_keeps_them_running(t):
    node = a_node(t)
    for _ in range(3):
        for daemon in (node.recorder, node.shipper):
            daemon.proc.send_signal(signal.SIGHUP)
        time.sleep(0.2)
    path = t.write("a.pcap", samples.valid()["pcap-us-le"])
    node.pb("import", path)
    for daemon in (node.recorder, node.shipper):
        check(daemon.alive(), daemon.name, "ended:", daemon.tail())
    with open(node.conf, "a") as f:
        f.write("[nonsense]\nx = y\n")
    for daemon in (node.recorder, node.shipper):
        daemon.proc.send_signal(signal.SIGHUP)
    wait_until(lambda: "nonsense" in node.recorder.text() and
               "nonsense" in node.shipper.text(),
               "a complaint about the configuration")
    for daemon in (node.recorder, node.shipper):
        check(daemon.alive(), daemon.name, "ended:", daemon.tail())
    equal(node.http("GET", "/v1/health")[0], 200, "health")


def logs_are_one_line_an_event(t):
    node = a_node(t)
    node.pb("import", t.write("a.pcap", samples.valid()["pcap-us-le"]))
    time.sleep(0.3)
    node.stop()
    for daemon in (node.recorder, node.shipper):
        lines = [line for line in daemon.text().splitlines()
                 if not line.startswith(("==", "--"))]  # valgrind's own
        check(lines, daemon.name, "logs nothing")
        for line in lines:
            check(LOG_LINE.match(line), daemon.name, "logs", repr(line))


def options_answer(t):
    node = t.node("n1", listen=True)
    for name in ("pb-recorder", "pb-shipper"):
        done = program(name, "-V")
        equal(done.returncode, 0, name + " -V")
        check(re.search(rb"\d+\.\d+\.\d+", done.stdout), "no version in",
              done.stdout)
        done = program(name, "-h")
        equal(done.returncode, 0, name + " -h")
        check(b"-c" in done.stdout and b"-t" in done.stdout, name, "-h says",
              done.stdout)
        done = program(name, "-c", node.conf, "-t")
        equal(done.returncode, 0, name + " -t (%r)" % done.stderr)
        done = program(name, "-Z")
        equal(done.returncode, 2, name + " -Z")
        done = program(name, "-c", node.conf, "surplus")
        equal(done.returncode, 2, name + " surplus")
    check(not os.path.exists(node.store), "-t made a store")


def a_library_that_is_missing_is_told_before_the_start(t):
    """Method: a file of its name that is none comes first."""
    node = t.node("n1")
    folder = os.path.dirname(t.write("libcurl.so.4", b""))
    for options in (["-t"], []):
        done = run(WRAP + [os.path.join(BUILD, "pb-shipper"), "-c",
                           node.conf] + options,
                   env={"LD_LIBRARY_PATH": folder})
        equal(done.returncode, 1, "status of pb-shipper %s" % options)
        equal(done.stdout, b"", "output of pb-shipper %s" % options)
        equal(len([line for line in done.stderr.splitlines()
                   if b"a library is missing: " in line and
                   b"libcurl.so.4" in line]), 1, "lines about it")


def the_store_is_private(t):
    """What was captured is nobody else's business."""
    node = a_node(t)
    node.pb("import", t.write("a.pcap", samples.valid()["pcap-us-le"]))
    for folder, _, names in os.walk(node.store):
        for path in [folder] + [os.path.join(folder, n) for n in names]:
            mode = os.lstat(path).st_mode & 0o777
            check(mode & 0o007 == 0, "mode %o of" % mode, path)
    equal(os.stat(node.store + "/recorder.sock").st_mode & 0o777, 0o600,
          "mode of recorder.sock")


if __name__ == "__main__":
    main("120", sigterm_leaves_sealed_files_only, sigint_ends_them_too,
         they_speak_to_the_service_manager, sighup_keeps_them_running,
         logs_are_one_line_an_event, options_answer,
         a_library_that_is_missing_is_told_before_the_start,
         the_store_is_private)
