"""A filter with a host name that nobody knows yet, or that takes long to be
looked up, holds up its own interface and nothing else."""

from names import *


TAGGED = ("import socket, struct, sys\n"
          "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"
          "s.bind((sys.argv[1], 0))\n"
          "for n in range(int(sys.argv[2])):\n"
          "    s.send(b'\\xff' * 6 + b'\\2\\0\\0\\0\\0\\1' + struct.pack(\n"
          "        '>HHH', 0x8100, int(sys.argv[3]), 0x88b5) + bytes(60))\n")


def a_node(t, names):
    t.veth(names.ns, "out0", names.ns, "in0")
    t.inside(names.ns, "ip", "addr", "add", "10.77.0.1/24", "dev", "out0")
    return t.node("edge", captures=[
        ("out0", "filter = udp and not host collector.pbtest"),
        ("lo", "filter = udp dst port 9")])


def count(node, interface):
    return sum(n for key, n in node.ends().items() if key[1] == interface)


def state(node, interface):
    live = node.rows("status", "--json")[0]["live"]
    return next(c for c in live["captures"] if c["interface"] == interface)


def packet_sockets(t, ns, interface):
    """How many there are at it."""
    link = json.loads(t.inside(ns, "ip", "-j", "link", "show", interface))
    rows = must([*enter(ns), "cat", "/proc/net/packet"]).splitlines()[1:]
    return sum(int(row.split()[4]) == link[0]["ifindex"] for row in rows)


def lines(daemon, words):
    return [line for line in daemon.text().splitlines() if words in line]


def a_name_that_is_not_known_is_waited_for(t):
    names = Names(t, "unknown")
    node = a_node(t, names)
    recorder = names.start(node, "recorder")
    wait_until(lambda: state(node, "lo")["up"], "lo is captured")
    why = "filter: unknown host 'collector.pbtest'"
    wait_until(lambda: why == state(node, "out0")["error"],
               "status says why: %s" % state(node, "out0"))
    check(b"waits: " + why.encode() in node.pb("status"), "pb status")
    udp(t, names.ns, "127.0.0.1", 9, 50)
    udp(t, names.ns, "10.77.0.7", 9, 50)
    wait_until(lambda: count(node, "lo") == 50, "50 packets of lo")
    recorder.proc.send_signal(signal.SIGHUP)
    wait_until(lambda: lines(recorder, "reloaded"), "a reload")
    equal(count(node, "out0"), 0, "packets captured without the filter")
    equal(packet_sockets(t, names.ns, "out0"), 0, "sockets opened in vain")
    check(packet_sockets(t, names.ns, "lo") > 0, "none is seen at lo")
    # It is there: the capture begins by itself, and leaves out what it must.
    names.says("10.77.0.9")
    wait_until(lambda: state(node, "out0")["up"], "out0 is captured", 30)
    t.inside(names.ns, "ip", "neigh", "replace", "10.77.0.9", "lladdr",
             "02:00:00:00:00:09", "dev", "out0")
    t.inside(names.ns, "ip", "neigh", "replace", "10.77.0.8", "lladdr",
             "02:00:00:00:00:08", "dev", "out0")
    udp(t, names.ns, "10.77.0.9", 9, 30)
    udp(t, names.ns, "10.77.0.8", 9, 20)
    wait_until(lambda: count(node, "out0") == 20, "20 packets of out0")
    recorder.stop()
    equal(count(node, "out0"), 20, "packets of out0")
    equal(len(lines(recorder, "not capturing interface=out0")), 1,
          "lines about what is waited for")


def an_interface_that_comes_again_waits_for_its_name_alone(t):
    names = Names(t, "10.77.0.9")
    node = a_node(t, names)
    recorder = names.start(node, "recorder")
    wait_until(lambda: state(node, "out0")["up"] and
               state(node, "lo")["up"], "both are captured")
    names.says("unknown")
    t.inside(names.ns, "ip", "link", "del", "out0")
    wait_until(lambda: not state(node, "out0")["up"], "it vanished")
    t.veth(names.ns, "out0", names.ns, "in0")
    wait_until(lambda: "unknown host" in state(node, "out0")["error"],
               "it waits for the name")
    udp(t, names.ns, "127.0.0.1", 9, 50)
    wait_until(lambda: count(node, "lo") == 50, "50 packets of lo")
    names.says("10.77.0.9")
    wait_until(lambda: state(node, "out0")["up"], "captured again", 30)
    recorder.stop()


def a_name_server_that_is_silent_holds_up_nothing_else(t):
    names = Names(t, "silent")
    node = a_node(t, names)
    recorder = names.start(node, "recorder")    # it is ready
    wait_until(lambda: state(node, "lo")["up"], "lo is captured")
    udp(t, names.ns, "127.0.0.1", 9, 50)
    wait_until(lambda: count(node, "lo") == 50, "50 packets of lo")
    wait_until(lambda: "looked up" in state(node, "out0")["error"],
               "status says that it is looked up")
    equal(packet_sockets(t, names.ns, "out0"), 0, "sockets opened in vain")
    with open(node.conf) as f:
        text = f.read()
    with open(node.conf, "w") as f:
        f.write(text.replace("not host", "not src host"))
    recorder.proc.send_signal(signal.SIGHUP)
    wait_until(lambda: lines(recorder, "reloaded"), "a reload")
    udp(t, names.ns, "127.0.0.1", 9, 50)
    wait_until(lambda: count(node, "lo") == 100, "100 packets of lo")
    recorder.stop()


def a_queue_holds_up_no_question_of_its_own_filter(t):
    need("nft")
    names = Names(t, "10.77.0.9")
    done = run([*enter(names.ns), "nft", "add table inet t; add chain inet t "
                "o { type filter hook output priority 0; }; add rule inet t "
                "o meta l4proto udp queue num 3 bypass"])
    if done.returncode:
        skip("nft: " + done.stderr.decode("utf-8", "replace").split("\n")[0])
    node = t.node("edge", captures=[
        ("nfqueue:3", "filter = udp port 9 and not host collector.pbtest")],
        netns=names.ns)
    recorder = names.start(node, "recorder")
    wait_until(lambda: state(node, "nfqueue:3")["up"], "it is captured", 20)
    udp(t, names.ns, "127.0.0.1", 9, 50)
    wait_until(lambda: count(node, "nfqueue:3") == 50, "50 packets")
    recorder.stop()


def all_words_of_a_filter_do_with_names(t):
    """A tag that the card, or the kernel for it, has taken off included."""
    names = Names(t, "10.77.0.9")
    t.veth(names.ns, "out0", names.ns, "in0")
    node = t.node("edge", captures=[
        ("out0", "filter = vlan 7 and not host collector.pbtest",
         "threads = 2")], netns=names.ns)
    recorder = names.start(node, "recorder")
    wait_until(lambda: state(node, "out0")["up"], "it is captured")
    t.inside(names.ns, sys.executable, "-c", TAGGED, "in0", "50", "8")
    t.inside(names.ns, sys.executable, "-c", TAGGED, "in0", "50", "7")
    wait_until(lambda: count(node, "out0") >= 50, "50 frames")
    recorder.stop()
    equal(count(node, "out0"), 50, "frames of out0")


def a_wrong_filter_is_refused_and_a_missing_name_is_not(t):
    names = Names(t, "unknown")
    node = a_node(t, names)
    check_it = names.argv([os.path.join(BUILD, "pb-recorder"), "-t", "-c",
                           node.conf])
    done = run([*enter(names.ns), *check_it])
    equal(done.returncode, 0, "status with a name that is not known")
    check(b"unknown host 'collector.pbtest'" in done.stderr, done.stderr)
    with open(node.conf, "a") as f:
        f.write("[capture other0]\nfilter = port port\n")
    done = run([*enter(names.ns), *check_it])
    equal(done.returncode, 2, "status with a filter that is wrong")
    check(b"port port" in done.stderr, done.stderr)


if __name__ == "__main__":
    main("232",
         a_name_that_is_not_known_is_waited_for,
         an_interface_that_comes_again_waits_for_its_name_alone,
         a_name_server_that_is_silent_holds_up_nothing_else,
         a_queue_holds_up_no_question_of_its_own_filter,
         all_words_of_a_filter_do_with_names,
         a_wrong_filter_is_refused_and_a_missing_name_is_not)
