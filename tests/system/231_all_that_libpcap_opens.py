"""Interfaces that are no network interfaces: libpcap opens them, so they are
captured, and `pb interfaces` offers nothing that is not."""

from harness import *

UDP = ("import socket, sys, time\n"
       "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
       "for n in range(int(sys.argv[1])):\n"
       "    s.sendto(b'packet %05d' % n, ('127.0.0.1', int(sys.argv[2])))\n"
       "    float(sys.argv[3]) and time.sleep(float(sys.argv[3]))\n")


def send_udp(t, ns, count, port=9999, pause=0.001):
    t.inside(ns, sys.executable, "-c", UDP, str(count), str(port), str(pause))


def count(node):
    return sum(node.ends().values())


def log_group(t, ns, statement):
    """What goes to UDP port 9999 also goes to netfilter's log or queue."""
    need("nft")
    done = run([*enter(ns), "nft", "add table inet t; add chain inet t o { "
                "type filter hook output priority 0; }; add rule inet t o "
                "udp dport 9999 " + statement])
    if done.returncode:
        skip("nft: " + done.stderr.decode("utf-8", "replace").split("\n")[0])


def lines_with(node, words):
    return [line for line in node.recorder.text().splitlines()
            if words in line]


def each_packet_of_a_netfilter_log_is_captured(t):
    ns = t.netns("log")
    log_group(t, ns, "log group 5")
    node = t.node("edge", captures=[("nflog:5", "threads = 3")], netns=ns)
    node.start()
    wait_until(lambda: lines_with(node, "capturing"), "it is captured")
    time.sleep(1)               # nothing comes: that is no failure
    send_udp(t, ns, 350)
    wait_until(lambda: count(node) == 350, "350 packets")
    # The kernel gathers these for a second: they are waited for at the end.
    send_udp(t, ns, 50, pause=0)
    node.stop()
    row = node.rows("streams")[0]
    equal((row["packets"], row["dropped"]), (400, 0), "packets, dropped")
    payloads = [p.data[-12:] for p in node.query().packets]
    equal(payloads, [b"packet %05d" % n for n in range(350)] +
          [b"packet %05d" % n for n in range(50)], "payloads")
    equal(node.query().sections[0].interfaces[0].linktype, 239, "link type")
    check(b" 239" in node.pb("query"), "pb query does not show its link type")
    equal(len(lines_with(node, "capturing")), 1, "openings")
    equal(lines_with(node, "lost"), [], "lost")


def what_a_netfilter_log_had_to_drop_is_counted(t):
    ns = t.netns("drops")
    log_group(t, ns, "log group 5")
    node = t.node("edge", captures=[("nflog:5", "buffer = 1MiB")], netns=ns)
    node.start()
    wait_until(lambda: lines_with(node, "capturing"), "it is captured")
    node.recorder.proc.send_signal(signal.SIGSTOP)
    send_udp(t, ns, 60000, pause=0)
    node.recorder.proc.send_signal(signal.SIGCONT)
    wait_until(lambda: count(node) > 0, "packets")
    send_udp(t, ns, 1)
    node.stop()
    row = node.rows("streams")[0]
    check(row["dropped"] > 0, "nothing was dropped of 60000:", row)
    equal(sum(p.dropcount or 0 for p in node.query().packets),
          row["dropped"], "drops told by packets")
    equal(lines_with(node, "capture: lost "), [], "lost")


def a_queue_lets_its_packets_pass(t):
    ns = t.netns("queue")
    log_group(t, ns, "queue num 3 bypass")
    node = t.node("edge", captures=["nfqueue:3"], netns=ns)
    node.start()
    wait_until(lambda: lines_with(node, "capturing"), "it is captured")
    send_udp(t, ns, 100)
    wait_until(lambda: count(node) == 100, "100 packets")
    node.stop()


def groups_opened_side_by_side_are_all_captured(t):
    """libpcap numbers what it asks netfilter by one counter of the process,
    and waits for ever for the answer to a number counted on meanwhile."""
    groups = 16
    node = t.node("edge", netns=t.netns("beside"),
                  captures=["nflog:%d" % n for n in range(groups)])
    for _ in range(3):
        node.start_recorder()
        wait_until(lambda: len(lines_with(node, "capturing interface")) ==
                   groups, "all of them")
        node.stop()


def any_is_all_interfaces(t):
    ns = t.netns("any")
    node = t.node("edge", captures=[("any", "filter = udp port 9999",
                                     "threads = 2")], netns=ns)
    node.start()
    wait_until(lambda: lines_with(node, "capturing"), "it is captured")
    send_udp(t, ns, 100)
    wait_until(lambda: count(node) == 100, "100 packets")
    equal(node.query().sections[0].interfaces[0].linktype, 276, "link type")
    node.stop()


class Bus:
    def __init__(self, t):
        need("dbus-daemon", "dbus-send")
        self.t = t
        self.address = "unix:path=" + t.path("bus")
        self.env = dict(os.environ, DBUS_SESSION_BUS_ADDRESS=self.address)
        self.start()

    def start(self):
        self.child = self.t.spawn(["dbus-daemon", "--session", "--nofork",
                                   "--address=" + self.address],
                                  stderr=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(self.t.path("bus")), "the bus")

    def kill(self):
        self.child.kill()
        self.child.wait()
        os.unlink(self.t.path("bus"))

    def send(self, word, count):
        for n in range(count):
            must(["dbus-send", "--session", "--type=signal", "/pb/test",
                  "pb.test.Signal", "string:%s%02d" % (word, n)],
                 env=self.env)


def signals(node, word):
    return sum(word in p.data for p in node.query().packets)


def a_bus_is_captured_and_its_end_ends_nothing_else(t):
    bus = Bus(t)
    node = t.node("edge", captures=["dbus-session"], netns=t.netns("bus"))
    node.start_recorder(env={"DBUS_SESSION_BUS_ADDRESS": bus.address})
    wait_until(lambda: lines_with(node, "capturing"), "it is captured")
    told = must([os.path.join(BUILD, "pb"), "interfaces", "--json"], env=dict(
        os.environ, DBUS_SESSION_BUS_ADDRESS=bus.address))
    equal([r["link_type"] for r in map(json.loads, told.splitlines())
           if r["name"] == "dbus-session"], ["DBUS"], "it is offered as")
    bus.send("before", 20)
    wait_until(lambda: signals(node, b"before") == 20, "20 signals")
    bus.kill()
    wait_until(lambda: lines_with(node, "lost"), "its end is said")
    check(node.recorder.alive(), "the recorder ended with the bus")
    bus.start()

    def one_more():
        bus.send("between", 1)
        return signals(node, b"between") > 0
    wait_until(one_more, "captured again", 30)
    bus.send("after", 20)
    wait_until(lambda: signals(node, b"after") == 20, "20 signals more")
    equal(node.query().sections[0].interfaces[0].linktype, 231, "link type")
    node.stop()


def what_is_offered_can_be_captured(t):
    ns = t.netns("offer")
    t.inside(ns, "ip", "link", "add", "v0", "type", "veth", "peer", "name",
             "v1")
    node = t.node("edge", netns=ns)
    done = must([*enter(ns), os.path.join(BUILD, "pb"), "-c", node.conf,
                 "interfaces", "--json"])
    rows = {r["name"]: r for r in map(json.loads, done.splitlines())}
    equal(rows["lo"]["trouble"], "", "trouble with lo")
    equal(rows["any"]["link_type"], "LINUX_SLL2", "link type of any")
    equal(rows["v0"]["trouble"], "down", "trouble with an interface down")
    offered = [n for n, r in rows.items() if r["trouble"] == ""]
    node = t.node("all", captures=offered, netns=ns)
    node.start_recorder()

    def up():
        return {c["interface"]: c["up"] for c in
                node.rows("status", "--json")[0]["live"]["captures"]}
    try:
        wait_until(lambda: all(up().values()), "all that is offered")
    except Failure as e:
        raise Failure("%s: %s %s" % (e, up(), node.recorder.tail())) from e
    node.stop()


def one_that_always_fails_is_tried_less_and_told_once(t):
    node = t.node("edge", captures=["dbus-session", "not-there0"],
                  netns=t.netns("less"))
    node.start_recorder(env={"DBUS_SESSION_BUS_ADDRESS": "unix:path=" +
                             t.path("none")})
    time.sleep(3)
    for interface in node.captures:
        equal(len(lines_with(node, "not capturing interface=" + interface)),
              1, "lines about " + interface)
    node.stop()


if __name__ == "__main__":
    main("231",
         each_packet_of_a_netfilter_log_is_captured,
         what_a_netfilter_log_had_to_drop_is_counted,
         a_queue_lets_its_packets_pass,
         groups_opened_side_by_side_are_all_captured,
         any_is_all_interfaces,
         a_bus_is_captured_and_its_end_ends_nothing_else,
         what_is_offered_can_be_captured,
         one_that_always_fails_is_tried_less_and_told_once)
