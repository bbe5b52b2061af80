"""`forward = eth1`: what arrives at a captured interface goes out of another.

Sender tx0 - in0 [recorder] out0 - end0, a node of its own that records what
comes out.  The rules are the kernel's; tc(8) shows whose they are.
"""

import socket
import struct

from harness import *
import faults
import traffic

VLAN = bytes.fromhex("81000064")        # 100


class Bridge:
    """A node between two wires; `sink` records what it sends out."""

    def __init__(self, t, *lines, mtu=9000, back=(), outlet=True):
        need("tc")
        self.t = t
        self.tx, self.mid, self.end = (t.netns(n) for n in
                                       ("tx", "mid", "end"))
        t.veth(self.tx, "tx0", self.mid, "in0", mtu=mtu)
        if outlet:
            self.wire_outlet(mtu)
        captures = [("in0", "forward = out0", *lines)]
        if back:
            captures.append(("out0", "forward = in0", *back))
        self.node = t.node("mid", netns=self.mid, captures=captures)
        self.sink = t.node("end", netns=self.end, captures=["end0"])

    def wire_outlet(self, mtu=9000):
        self.t.veth(self.mid, "out0", self.end, "end0", mtu=mtu)

    def start(self):
        self.sink.start()
        self.node.start()
        self.until_forwarding()
        return self

    def until_forwarding(self):
        wait_until(lambda: self.status()["forwarding"], "it forwards", 20)

    def status(self, interface="in0"):
        return next(c for c in faults.status(self.node)["live"]["captures"]
                    if c["interface"] == interface)

    def sunk(self):
        """Does the sink capture?"""
        return faults.status(self.sink)["live"]["captures"][0]["up"]

    def send(self, frames, ns=None, interface="tx0"):
        send(self.t, ns or self.tx, interface, frames)

    def until_counted(self, forwarded, refused):
        """In `pb status`, exactly."""
        def counted():
            now = self.status()
            return now["forwarded_packets"] + now["forward_refused"] >= \
                forwarded + refused
        wait_until(counted, "%d packets counted" % (forwarded + refused))
        now = self.status()
        equal((now["forwarded_packets"], now["forward_refused"]),
              (forwarded, refused), "forwarded and refused")

    def rules(self, interface="in0", side="ingress"):
        return self.t.inside(self.mid, "tc", "filter", "show", "dev",
                             interface, side).decode()

    def actions(self):
        out = self.t.inside(self.mid, "tc", "actions", "ls", "action",
                            "mirred").decode()
        return out.count("cookie 504266")

    def qdiscs(self, interface="in0"):
        return self.t.inside(self.mid, "tc", "qdisc", "show", "dev",
                             interface).decode()

    def tc(self, *args):
        self.t.inside(self.mid, "tc", *args)

    def reload(self, old, new):
        with open(self.node.conf) as f:
            text = f.read()
        check(old in text, old, "in the configuration")
        with open(self.node.conf, "w") as f:
            f.write(text.replace(old, new))
        self.node.recorder.proc.send_signal(signal.SIGHUP)
        self.node.recorder.says("reloaded configuration")


SENDER = """
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
data = sys.stdin.buffer.read()
while data:
    n = int.from_bytes(data[:4], "big")
    while True:
        try:
            s.send(data[4:4 + n])
            break
        except OSError:
            time.sleep(0.002)
    data = data[4 + n:]
"""


def send(t, ns, interface, frames):
    t.inside(ns, sys.executable, "-c", SENDER, interface,
             stdin=b"".join(struct.pack(">I", len(f)) + f for f in frames))


def numbered(count, size=200, first=1):
    return [traffic.frame(n, size) for n in range(first, first + count)]


def tagged(frame, tag=VLAN):
    return frame[:12] + tag + frame[12:]


def udp(port, size=100):
    """An Ethernet frame with a datagram in it."""
    body = struct.pack(">HHHH", 9, port, size - 34, 0) + bytes(size - 42)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, 17,
                     0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    return bytes.fromhex("020000000002020000000001") + b"\x08\x00" + ip + body


def recorded(node, interface, count):
    """The packets of a stream, once there are `count`: no more, no fewer."""
    def durable():
        return sum(end for key, end in node.ends().items()
                   if key[1] == interface)
    wait_until(lambda: durable() >= count, "%d packets at %s, not %d"
               % (count, interface, durable()))
    rows = by_stream(node.query()).get(interface, [])
    equal(len(rows), count, "packets at " + interface)
    return [r[3] for r in rows]


def all_go_out_in_order_byte_for_byte(t):
    bridge = Bridge(t).start()
    frames = []
    for n, frame in enumerate(numbered(3000)):
        frames.append([frame, tagged(frame), tagged(tagged(frame), VLAN),
                       tagged(frame, bytes.fromhex("88a800c8"))][n % 4])
        frames.append(traffic.frame(10000 + n, 64 + n % 1400))
    bridge.send(frames)
    equal(recorded(bridge.node, "in0", 6000), frames, "the record")
    equal(recorded(bridge.sink, "end0", 6000), frames, "what came out")
    bridge.until_counted(6000, 0)
    now = bridge.status()
    equal((now["forward"], now["forward_error"]), ("out0", ""), "status")
    said = bridge.node.pb("status").decode()
    check("to out0      6000 packets went out, 0 it did not take\n" in said,
          said)


def jumbo_frames_and_what_is_behind_them_go_through(t):
    bridge = Bridge(t, mtu=9100).start()
    # Whole ones, and such as three taps and an FCS are behind.
    frames = numbered(150, 9018) + numbered(150, 9018 + 3 * 16 + 4, 151)
    bridge.send(frames)
    equal(recorded(bridge.node, "in0", 300), frames, "the record")
    equal(recorded(bridge.sink, "end0", 300), frames, "what came out")
    bridge.until_counted(300, 0)
    equal(bridge.status()["forward_bytes"], sum(map(len, frames)),
          "bytes")


def only_what_the_filter_takes_goes_out_and_whole(t):
    """In the kernel's rule as on the capture's socket: the card has taken
    the tag off.  The snap length cuts the record alone."""
    bridge = Bridge(t, "filter = vlan 100 and udp and greater 90",
                    "snaplen = 40").start()
    want = [tagged(udp(n, 90 + n % 700)) for n in range(1, 501)]
    other = [udp(9), tagged(udp(9), bytes.fromhex("81000065")),
             tagged(traffic.frame(1)), tagged(udp(9, 60))]
    bridge.send([f for n, frame in enumerate(want)
                 for f in (other[n % 4], frame)])
    equal(recorded(bridge.node, "in0", 500), [f[:40] for f in want],
          "the record")
    equal(recorded(bridge.sink, "end0", 500), want, "what came out")
    bridge.until_counted(500, 0)


def a_filter_as_long_as_they_come_goes_as_well(t):
    hosts = " or ".join("host 10.9.%d.%d" % (n // 200, 1 + n % 200)
                        for n in range(0, 4000, 20))
    bridge = Bridge(t, "filter = udp port 7 or " + hosts).start()
    check(len(bridge.rules()) > 5000, "the program is short")
    bridge.send([udp(7), udp(8), udp(7)])
    equal(recorded(bridge.sink, "end0", 2), [udp(7)] * 2, "what came out")
    bridge.reload("udp port 7", "udp port 8")
    bridge.until_forwarding()
    bridge.send([udp(7), udp(8), udp(7)])
    recorded(bridge.sink, "end0", 3)
    bridge.node.stop()
    equal((bridge.rules(), bridge.actions()), ("", 0), "rules left")


def a_bridge_records_each_packet_once(t):
    """Two ways, with one thread and with several."""
    for threads in (1, 3):
        lines = ["direction = in", "threads = %d" % threads]
        bridge = Bridge(t, *lines, back=lines)
        bridge.sink = t.node("end", netns=bridge.end, captures=[
            ("end0", "direction = in")], where=t.path("end%d" % threads))
        bridge.node = t.node("mid%d" % threads, netns=bridge.mid, captures=[
            ("in0", "forward = out0", *lines),
            ("out0", "forward = in0", *lines)])
        back = t.node("tx%d" % threads, netns=bridge.tx, captures=[
            ("tx0", "direction = in")])
        back.start()
        bridge.start()
        wait_until(lambda: bridge.status("out0")["forwarding"], "both ways")
        bridge.node.recorder.says("capturing.*threads=%d " % threads, 2)
        there, here = numbered(2000), numbered(1500, first=50001)
        bridge.send(there)
        bridge.send(here, bridge.end, "end0")
        equal(sorted(recorded(bridge.node, "in0", 2000)), sorted(there),
              "one way")
        equal(sorted(recorded(bridge.node, "out0", 1500)), sorted(here),
              "the other")
        equal(recorded(bridge.sink, "end0", 2000), there, "what came out")
        equal(recorded(back, "tx0", 1500), here, "what came back")
        for node in (bridge.node, bridge.sink, back):
            node.stop()


def both_directions_are_captured_unless_one_is_asked_for(t):
    bridge = Bridge(t, outlet=False)
    for n, (line, count) in enumerate((("direction = both", 200),
                                       ("direction = in", 100))):
        node = t.node("n%d" % n, netns=bridge.mid, captures=[("in0", line)])
        node.start()
        bridge.send(numbered(100))
        bridge.send(numbered(100, first=1001), bridge.mid, "in0")
        recorded(node, "in0", count)
        node.stop()


def what_an_outlet_does_not_take_is_counted_exactly(t):
    bridge = Bridge(t).start()
    frames = numbered(4000, 1000)
    # Slow: 10 Mbit/s and room for 30 packets.
    bridge.tc("qdisc", "add", "dev", "out0", "root", "tbf", "rate", "10mbit",
              "burst", "3000", "limit", "30000")
    bridge.send(frames[:2000])
    equal(recorded(bridge.node, "in0", 2000), frames[:2000], "the record")
    wait_until(lambda: "backlog 0b 0p" in t.inside(
        bridge.mid, "tc", "-s", "qdisc", "show", "dev", "out0").decode(),
        "the queue is empty")
    out = t.sent(bridge.mid, "out0")
    check(30 <= out < 2000, out, "packets of 2000 went out")
    bridge.until_counted(out, 2000 - out)
    came = recorded(bridge.sink, "end0", out)
    equal(came, [f for f in frames[:2000] if f in set(came)], "their order")
    bridge.tc("qdisc", "del", "dev", "out0", "root")
    # Down, and without a carrier.
    for ns, name, why in ((bridge.mid, "out0", "out0 is down"),
                          (bridge.end, "end0", "out0 is down")):
        t.inside(ns, "ip", "link", "set", name, "down")
        wait_until(lambda: bridge.status()["forward_error"] == why, why)
        before = bridge.status()["forward_refused"]
        bridge.send(frames[2000:2500])
        bridge.until_counted(out, before + 500)
        check("not forwarding: " + why in bridge.node.pb("status").decode(),
              "it is not told")
        t.inside(ns, "ip", "link", "set", name, "up")
        bridge.until_forwarding()
    equal(len(faults.lines(bridge.node.recorder, "out0 is down")), 2, "lines")
    bridge.send(frames[3000:])
    bridge.until_counted(out + 1000, 3000 - out)
    equal(recorded(bridge.node, "in0", 4000),
          frames[:2000] + 2 * frames[2000:2500] + frames[3000:],
          "the record")
    end = re.search("stopped interface=in0 outlet=out0 (.*)",
                    (bridge.node.stop(), bridge.node.recorder.text())[1])
    equal(end[1], "packets=%d refused=%d" % (out + 1000, 3000 - out), "log")


def an_outlet_comes_goes_and_comes_again(t):
    bridge = Bridge(t, outlet=False)
    bridge.node.start()
    faults.once(bridge.node.recorder, "not forwarding.*out0 is not there",
                "it is told")
    bridge.send(numbered(100))
    bridge.wire_outlet()
    bridge.sink.start()
    bridge.until_forwarding()
    bridge.send(numbered(200, first=101))
    recorded(bridge.sink, "end0", 200)
    bridge.until_counted(200, 0)
    t.inside(bridge.mid, "ip", "link", "del", "out0")
    wait_until(lambda: not bridge.status()["forwarding"] and
               not bridge.sunk(), "it is noticed")
    bridge.send(numbered(50, first=301))
    bridge.until_counted(200, 50)
    bridge.wire_outlet()
    bridge.until_forwarding()
    wait_until(bridge.sunk, "the sink is back", 20)
    bridge.send(numbered(200, first=401))
    equal(recorded(bridge.sink, "end0", 400),
          numbered(200, first=101) + numbered(200, first=401), "came out")
    equal(recorded(bridge.node, "in0", 550), numbered(350) +
          numbered(200, first=401), "the record")
    bridge.until_counted(400, 50)


def an_outlet_that_flaps_floods_no_log(t):
    bridge = Bridge(t).start()
    flaps = 1000
    batch = t.write("flaps", "link set out0 down\nlink set out0 up\n" * flaps)
    t.inside(bridge.mid, "ip", "-batch", batch)
    bridge.until_forwarding()
    bridge.send(numbered(100))
    recorded(bridge.sink, "end0", 100)
    bridge.until_counted(100, 0)
    told = len(faults.lines(bridge.node.recorder, "out0 is down"))
    check(told < flaps // 5, told, "lines of", flaps)


def a_captured_interface_that_comes_again_has_its_rule(t):
    bridge = Bridge(t).start()
    for turn in range(3):
        bridge.send(numbered(100, first=1 + 100 * turn))
        recorded(bridge.sink, "end0", 100 + 100 * turn)
        bridge.until_counted(100 + 100 * turn, 0)
        t.inside(bridge.mid, "ip", "link", "del", "in0")
        wait_until(lambda: "in0 is not there" in
                   bridge.status()["forward_error"], "it is noticed")
        t.veth(bridge.tx, "tx0", bridge.mid, "in0")
        bridge.until_forwarding()
    recorded(bridge.node, "in0", 300)
    equal(bridge.rules().count("mirred"), 1, "rules")
    bridge.node.stop()
    equal(bridge.actions(), 0, "actions left")


def an_interface_with_another_name_is_another(t):
    """Neither does anything go out of it, nor what arrives there."""
    bridge = Bridge(t).start()
    sent = 0
    for name in ("out0", "in0"):
        bridge.send(numbered(100))
        sent += 100
        bridge.until_counted(sent, 0)
        t.inside(bridge.mid, "ip", "link", "set", name, "name", "lan0")
        wait_until(lambda: name + " is not there" in
                   bridge.status()["forward_error"], "it is noticed")
        wait_until(lambda: not bridge.rules("in0" if name == "out0" else
                                            "lan0"), "the rule goes")
        bridge.send(numbered(50))
        equal(t.sent(bridge.mid, "lan0" if name == "out0" else "out0"), sent,
              "packets went out")
        t.inside(bridge.mid, "ip", "link", "set", "lan0", "name", name)
        bridge.until_forwarding()
    bridge.send(numbered(100))
    bridge.until_counted(sent + 100, 0)
    bridge.node.stop()
    equal((bridge.rules(), bridge.actions(), "clsact" in bridge.qdiscs()),
          ("", 0, False), "left")


def a_killed_recorder_leaves_no_second_rule(t):
    bridge = Bridge(t).start()
    for turn in range(3):
        bridge.node.recorder.kill()
        equal(bridge.rules().count("mirred"), 1, "it goes on by itself")
        bridge.send(numbered(10, first=1 + 20 * turn))
        bridge.node.start_recorder()
        bridge.node.recorder.says("removed what an earlier recorder left "
                                  "rules=1")
        bridge.until_forwarding()
        bridge.send(numbered(10, first=11 + 20 * turn))
        equal(recorded(bridge.sink, "end0", 20 + 20 * turn),
              numbered(20 + 20 * turn), "what came out")
        equal((bridge.rules().count("mirred"), bridge.actions()), (1, 1),
              "rules")
    # And one whose configuration has nothing of it any more.
    bridge.node.recorder.kill()
    with open(bridge.node.conf) as f:
        text = f.read()
    with open(bridge.node.conf, "w") as f:
        f.write(text.replace("forward = out0\n", ""))
    bridge.node.start_recorder()
    wait_until(lambda: bridge.actions() == 0, "it is removed")
    equal((bridge.rules(), "clsact" in bridge.qdiscs()), ("", False), "left")


def a_rule_that_cannot_be_removed_keeps_no_other(t):
    """Somebody's own filter uses an action of ours."""
    bridge = Bridge(t)
    other = t.netns("other")
    t.veth(bridge.mid, "oth0", other, "oth1")
    bridge.node = t.node("two", netns=bridge.mid, captures=[
        ("in0", "forward = out0"), ("oth0", "forward = out0")])
    bridge.start()
    wait_until(lambda: bridge.status("oth0")["forwarding"], "both")
    bridge.node.recorder.kill()
    first = t.inside(bridge.mid, "tc", "actions", "ls", "action",
                     "mirred").decode()
    bridge.tc("qdisc", "add", "dev", "out0", "clsact")
    bridge.tc("filter", "add", "dev", "out0", "ingress", "protocol", "all",
              "u32", "match", "u32", "0", "0", "action", "mirred", "index",
              re.search(r"index (\d+)", first)[1])
    with open(bridge.node.conf) as f:
        text = f.read()
    with open(bridge.node.conf, "w") as f:
        f.write(text.replace("forward = out0\n", ""))
    bridge.node.start_recorder()
    bridge.node.recorder.says("may go on: action mirred: a filter of "
                              "somebody else uses it")
    equal((bridge.rules() + bridge.rules("oth0"), bridge.actions()), ("", 1),
          "rules left")
    # And when that one has gone, the next start takes the rest.
    bridge.node.recorder.kill()
    bridge.tc("qdisc", "del", "dev", "out0", "clsact")
    bridge.node.start_recorder()
    wait_until(lambda: bridge.actions() == 0, "it is removed")


def rules_of_others_stay_and_see_each_packet(t):
    bridge = Bridge(t)
    other, third = t.netns("other"), t.netns("third")
    t.veth(bridge.mid, "oth0", other, "oth1")
    t.veth(bridge.mid, "thr0", third, "thr1")
    bridge.tc("qdisc", "add", "dev", "in0", "clsact")
    # One before ours, one behind, one with the number that is ours.
    for pref, out in (("10", "oth0"), ("7152", "thr0"), ("60000", "oth0")):
        bridge.tc("filter", "add", "dev", "in0", "ingress", "pref", pref,
                  "protocol", "all", "u32", "match", "u32", "0", "0",
                  "action", "mirred", "egress", "mirror", "dev", out,
                  "continue")
    before = bridge.rules()
    bridge.start()
    check("pref 7153 bpf" in bridge.rules(), bridge.rules())
    bridge.send(numbered(100))
    recorded(bridge.sink, "end0", 100)
    equal((t.sent(bridge.mid, "oth0"), t.sent(bridge.mid, "thr0")),
          (200, 100), "packets of others")
    bridge.node.recorder.kill()
    bridge.node.start_recorder()
    bridge.until_forwarding()
    bridge.node.stop()
    equal(re.findall("^filter.*|action order.*", bridge.rules(), re.M),
          re.findall("^filter.*|action order.*", before, re.M),
          "rules of others")
    equal(bridge.actions(), 0, "actions left")
    check("clsact" in bridge.qdiscs(), "the qdisc of others is gone")


def two_recorders_share_an_interface(t):
    bridge = Bridge(t).start()
    other = t.netns("other")
    t.veth(bridge.mid, "oth0", other, "oth1")
    second = t.node("second", netns=bridge.mid, captures=[
        ("in0", "forward = oth0")])
    second.start()
    wait_until(lambda: bridge.rules().count("mirred") == 2, "two rules")
    bridge.node.recorder.kill()
    bridge.node.start_recorder()
    bridge.until_forwarding()
    bridge.send(numbered(100))
    recorded(bridge.sink, "end0", 100)
    equal(t.sent(bridge.mid, "oth0"), 100, "packets of the other")
    bridge.node.stop()
    equal((bridge.rules().count("mirred"), bridge.actions()), (1, 1), "rules")
    bridge.send(numbered(100))
    recorded(second, "in0", 200)
    equal(t.sent(bridge.mid, "oth0"), 200, "packets of the other")
    second.stop()
    equal((bridge.rules(), bridge.actions()), ("", 0), "rules")


def traced(t, node, inject):
    """Its recorder, to whose calls something happens."""
    need("strace")
    if WRAP:
        skip("strace does not go with " + WRAP[0])
    return Daemon(
        t, node.name + "-traced", ["strace", "-D", "-f", "-qq", "-o",
                                   "/dev/null", "-e", "inject=" + inject,
                                   os.path.join(BUILD, "pb-recorder"), "-c",
                                   node.conf],
        netns=node.netns, env={"ASAN_OPTIONS": "detect_leaks=0",
                               "TSAN_OPTIONS": ""})


def two_that_start_at_once_have_a_number_each(t):
    """One looks which is free, and before it goes on the other has it."""
    bridge = Bridge(t)
    other = t.netns("other")
    t.veth(bridge.mid, "oth0", other, "oth1")
    slow = t.node("slow", netns=bridge.mid, captures=[
        ("in0", "forward = oth0")])
    slow.recorder = traced(t, slow, "sendto:delay_enter=500000")
    wait_until(lambda: re.search("cookie 50426601........1bf0", t.inside(
        bridge.mid, "tc", "actions", "ls", "action", "mirred").decode()),
        "it has found one", 20)
    equal(bridge.rules(), "", "rules")
    bridge.start()
    slow.recorder.says("forwarding interface=in0")
    equal(sorted(re.findall(r"pref (\d+) bpf chain 0 handle",
                            bridge.rules())), ["7152", "7153"], "numbers")
    bridge.node.stop()
    equal(bridge.rules().count("mirred"), 1, "rules")


def the_end_takes_all_down(t):
    bridge = Bridge(t).start()
    check("clsact" in bridge.qdiscs(), "no qdisc")
    # To the last packet, with more of them coming.
    job = t.traffic(bridge.tx, "tx0", 10**6, 20000)
    time.sleep(0.5)
    bridge.node.stop()
    said = bridge.node.recorder.says("stopped interface=in0 outlet")[0]
    equal((bridge.rules(), bridge.actions(), "clsact" in bridge.qdiscs()),
          ("", 0, False), "left")
    job.kill()
    job.wait()
    out = t.sent(bridge.mid, "out0")
    check("packets=%d refused=0" % out in said, out, "went out:", said)
    came = recorded(bridge.sink, "end0", out)
    had = [r[3] for r in by_stream(bridge.node.query())["in0"]]
    check(len(had) >= out, "went out, and were not recorded")
    first = had.index(came[0])
    equal(had[first:first + out], came, "what went out is in the record")


def a_reload_forwards_elsewhere_or_not_at_all(t):
    bridge = Bridge(t).start()
    other = t.netns("other")
    t.veth(bridge.mid, "oth0", other, "oth1")
    bridge.send(numbered(100))
    recorded(bridge.sink, "end0", 100)
    bridge.reload("forward = out0", "forward = oth0")
    wait_until(lambda: bridge.status()["forward"] == "oth0", "the new one")
    bridge.until_forwarding()
    bridge.send(numbered(100))
    recorded(bridge.node, "in0", 200)
    equal((t.sent(bridge.mid, "out0"), t.sent(bridge.mid, "oth0")),
          (100, 100), "packets went out")
    with open(bridge.node.conf) as f:
        text = f.read()
    with open(bridge.node.conf, "w") as f:
        f.write(text.replace("forward = oth0\n", ""))
    bridge.node.recorder.proc.send_signal(signal.SIGHUP)
    bridge.node.recorder.says("reloaded configuration", 2)
    equal((bridge.rules(), bridge.actions()), ("", 0), "rules left")
    equal(bridge.status()["forward"], "", "status")


def what_somebody_took_away_is_set_up_again(t):
    bridge = Bridge(t).start()
    for turn, args in enumerate((
            ("filter", "del", "dev", "in0", "ingress", "pref", "7152"),
            ("qdisc", "del", "dev", "in0", "clsact"))):
        bridge.tc(*args)
        wait_until(lambda: "mirred" in bridge.rules(), "it is back")
        bridge.until_forwarding()
        bridge.send(numbered(100))
        bridge.until_counted(100 + 100 * turn, 0)
    bridge.node.stop()
    equal((bridge.actions(), "clsact" in bridge.qdiscs()), (0, False), "left")


def what_goes_while_it_is_taken_down_is_no_error(t):
    """The kernel lets go of the action a little later than of the rest."""
    bridge = Bridge(t)
    bridge.sink.start()
    for args in ("qdisc del dev in0 clsact", "filter del dev in0 ingress"):
        bridge.node.start_recorder()
        bridge.until_forwarding()
        t.inside(bridge.mid, "sh", "-c", "tc %s; kill %d" % (
            args, bridge.node.recorder.proc.pid))
        bridge.node.recorder.stop()
        check("rule is left" not in bridge.node.recorder.text(),
              bridge.node.recorder.tail())
        equal(bridge.actions(), 0, "actions left")


def an_action_of_another_is_never_taken_for_ours(t):
    """All is flushed, and somebody's own rule gets our action's number."""
    bridge = Bridge(t)
    other = t.netns("other")
    t.veth(bridge.mid, "oth0", other, "oth1")
    bridge.start()
    bridge.send(numbered(100))
    bridge.until_counted(100, 0)
    t.inside(bridge.mid, "sh", "-c", """
tc filter del dev in0 ingress
until tc actions flush action mirred 2>&-; do :; done
tc filter add dev in0 ingress pref 5 protocol all u32 match u32 0 0 \\
    action mirred egress mirror dev oth0 continue""")
    wait_until(lambda: "pref 7152" in bridge.rules(), "it is set up again")
    bridge.until_forwarding()
    bridge.send(numbered(50))
    bridge.until_counted(150, 0)
    equal(bridge.status()["forward_bytes"], 150 * 200, "bytes")
    equal((t.sent(bridge.mid, "out0"), t.sent(bridge.mid, "oth0")),
          (150, 50), "packets went out")
    bridge.node.stop()
    equal((bridge.actions(), bridge.rules().count("device oth0")), (0, 1),
          "rules")


def what_cannot_be_forwarded_is_told_and_captured(t):
    need("setpriv")
    bridge = Bridge(t)
    t.inside(bridge.mid, "ip", "link", "set", "out0", "mtu", "1000")
    bridge.start()
    check("MTU of 1000" in bridge.status()["forward_error"],
          bridge.status())
    bridge.send(numbered(10, 800) + numbered(10, 1500))
    recorded(bridge.node, "in0", 20)
    bridge.node.stop()
    # Another link type; itself by its other name is one that is not there.
    bridge.node = t.node("lo", netns=bridge.mid, captures=[
        ("in0", "forward = lo")])
    bridge.node.start()
    faults.once(bridge.node.recorder, "not forwarding.*in0 and lo have "
                "different link types", "it is told")
    bridge.send(numbered(10))
    recorded(bridge.node, "in0", 10)
    bridge.node.stop()
    # Without the right to.
    bridge.node = t.node("weak", netns=bridge.mid, captures=[
        ("in0", "forward = out0")])
    bridge.node.recorder = Daemon(
        t, "weak-recorder", ["setpriv", "--bounding-set", "-net_admin",
                             "--inh-caps", "-net_admin",
                             os.path.join(BUILD, "pb-recorder"), "-c",
                             bridge.node.conf], netns=bridge.mid)
    bridge.node._wait_capturing()
    faults.once(bridge.node.recorder, "not forwarding.*CAP_NET_ADMIN",
                "it is told")
    bridge.send(numbered(10))
    recorded(bridge.node, "in0", 10)
    equal(bridge.rules(), "", "rules")


def metrics_tell_of_it(t):
    bridge = Bridge(t)
    bridge.node = t.node("mid", netns=bridge.mid, captures=[
        ("in0", "forward = out0"), "out0"], listen=True)
    bridge.start()
    bridge.send(numbered(10, 100))
    bridge.until_counted(10, 0)
    out = t.inside(bridge.mid, sys.executable, "-c", """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1] + "/metrics").read().decode())
""", bridge.node.url).decode()
    for line in ('pb_capture_forwarding{interface="in0"} 1',
                 'pb_capture_forwarded_packets_total{interface="in0"} 10',
                 'pb_capture_forward_refused_total{interface="in0"} 0',
                 'pb_capture_forward_bytes_total{interface="in0"} 1000',
                 'pb_capture_outlet_dropped_total{interface="in0"} 0'):
        check(line + "\n" in out, line, "is not in", out)
    check('pb_capture_forwarding{interface="out0"}' not in out,
          "a capture that does not forward is told")


def circles_and_what_is_no_interface_are_refused(t):
    for captures, why in (
            ([("a", "forward = b"), ("b", "forward = a")],
             "[capture b] forward: packets go in a circle, a -> b -> a"),
            ([("a", "forward = a", "direction = in")], "itself"),
            ([("any", "forward = b")], "any is no network interface"),
            ([("a", "forward = any")], "'any' is no network interface")):
        node = t.node("n%d" % t.number(), captures=captures)
        ran = run([os.path.join(BUILD, "pb-recorder"), "-t", "-c",
                   node.conf])
        equal(ran.returncode, 2, "status")
        check(why in ran.stderr.decode(), ran.stderr)
        check(re.search(r"conf:\d+: \[", ran.stderr.decode()), ran.stderr)


if __name__ == "__main__":
    main("420", all_go_out_in_order_byte_for_byte,
         jumbo_frames_and_what_is_behind_them_go_through,
         only_what_the_filter_takes_goes_out_and_whole,
         a_filter_as_long_as_they_come_goes_as_well,
         a_bridge_records_each_packet_once,
         both_directions_are_captured_unless_one_is_asked_for,
         what_an_outlet_does_not_take_is_counted_exactly,
         an_outlet_comes_goes_and_comes_again,
         an_outlet_that_flaps_floods_no_log,
         a_captured_interface_that_comes_again_has_its_rule,
         an_interface_with_another_name_is_another,
         a_killed_recorder_leaves_no_second_rule,
         a_rule_that_cannot_be_removed_keeps_no_other,
         rules_of_others_stay_and_see_each_packet,
         two_recorders_share_an_interface,
         two_that_start_at_once_have_a_number_each, the_end_takes_all_down,
         a_reload_forwards_elsewhere_or_not_at_all,
         what_somebody_took_away_is_set_up_again,
         what_goes_while_it_is_taken_down_is_no_error,
         an_action_of_another_is_never_taken_for_ours,
         what_cannot_be_forwarded_is_told_and_captured, metrics_tell_of_it,
         circles_and_what_is_no_interface_are_refused, seconds=180)
