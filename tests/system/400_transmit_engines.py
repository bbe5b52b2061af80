"""What an outlet takes leaves in order, byte for byte, by each engine."""

from harness import *

SEND = os.path.join(BUILD, "tests", "bench", "send")
ENGINES = ("sendmmsg", "ring", "xdp")
SIZES = "60,64,1514,4096,4097,8192,9018,9114"   # MTU 9,100
NOBODY = 65534
NET_RAW = ["--inh-caps=-all,+net_raw", "--ambient-caps=-all,+net_raw",
           "--bounding-set=-all,+net_raw"]
SIOCETHTOOL, STSO, SGRO = 0x8946, 0x1f, 0x2c


def link(t, mtu=9100):
    """The namespaces of tx0 and rx0."""
    need("ip")
    tx, rx = t.netns("tx"), t.netns("rx")
    t.veth(tx, "tx0", rx, "rx0", mtu=mtu)
    return tx, rx


class Receiver:
    def __init__(self, t, ns, sizes, count, interface="rx0"):
        self.child = t.spawn(
            [sys.executable, os.path.join(HERE, "frames.py"), interface,
             sizes, str(count)], ns, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=dict(os.environ, PB_SLOW=str(SLOW)))
        equal(self.child.stdout.readline(), b"ready\n", "the receiver")

    def told(self, count=None):
        """What came; of `count` frames where that was not known before."""
        if count is not None:
            self.child.stdin.write(b"%d\n" % count)
            self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())


def sender(t, ns, *argv, before=(), **kw):
    return t.spawn([*before, SEND, *map(str, argv)], ns,
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)


def ended(child, status=0):
    """What it says in JSON, and in words."""
    out, words = child.communicate(timeout=30 * SLACK)
    words = words.decode()
    equal(child.returncode, status, "status of send: " + words)
    return json.loads(out) if out else None, words


def all_came(said, told, count, what):
    equal(said["packets"], count, what + ": sent")
    equal((told["packets"], told["wrong"], told["dropped"]), (count, [], 0),
          what + ": received")
    equal(said["left"], 0, what + ": not gone at the end")


def sends(t, tx, rx, engine, sizes, count, *more, before=()):
    got = Receiver(t, rx, sizes, count)
    said, _ = ended(sender(t, tx, "tx0", engine, sizes, count, *more,
                           before=before))
    all_came(said, got.told(), count, "%s, %s" % (engine, sizes))
    return said


def each_engine_sends_each_length_in_order(t):
    tx, rx = link(t)
    for engine in ENGINES:
        for sizes, batch in (("64", 256), ("9018", 256), (SIZES, 256),
                             (SIZES, 1)):
            said = sends(t, tx, rx, engine, sizes, 600, batch)
            equal((said["engine"], said["refused"]), (engine, 0),
                  "engine, and refused")


def auto_compares_engines_and_keeps_the_order(t):
    tx, rx = link(t)
    said = sends(t, tx, rx, "bulk", "60", 200000)
    check(re.match(r"\w+: \d+\.\d\d Mpps of 60 bytes; \w+ \d+\.\d\d, "
                   r"\w+ \d+\.\d\d$", said["why"]), "why:", said["why"])
    check(said["why"].startswith(said["engine"] + ":"), said)
    said = sends(t, tx, rx, "auto", "60", 100)
    equal(said["engine"], "sendmmsg", "without much to send")


def ethtool(t, ns, interface, command, value):
    t.inside(ns, sys.executable, "-c", (
        "import socket,fcntl,struct,array\n"
        "v = array.array('B', struct.pack('II', %d, %d))\n"
        "fcntl.ioctl(socket.socket(), %d, struct.pack('16sP8x', b'%s', "
        "v.buffer_info()[0]))" % (command, value, SIOCETHTOOL, interface)))


def slow_reader(t, tx, rx):
    """A thread takes the frames out of rx0, which has room for 256; on the
    sender's processor it has no turn until the sender waits."""
    need("unshare", "chrt", "taskset")
    ethtool(t, tx, "tx0", STSO, 0)
    ethtool(t, rx, "rx0", SGRO, 1)
    done = run([*enter(rx), "unshare", "-m", "sh", "-c", "mount -t sysfs "
                "none /sys && echo 1 > /sys/class/net/rx0/threaded"])
    threads = [pid for pid in os.listdir("/proc") if pid.isdigit() and
               comm(pid).startswith("napi/rx0-")]
    if done.returncode or not threads:
        skip("no thread reads a veth here: " + done.stderr.decode().strip())
    for pid in threads:
        must(["taskset", "-p", "1", pid])


def comm(pid):
    with contextlib.suppress(OSError), open("/proc/%s/comm" % pid) as f:
        return f.read()
    return ""


def a_full_queue_is_waited_for_and_counted(t):
    tx, rx = link(t)
    slow_reader(t, tx, rx)
    before = ["taskset", "1", "chrt", "-f", "1"]
    for engine in (*ENGINES, "bulk"):
        said = sends(t, tx, rx, engine, SIZES, 5000, before=before)
        check(said["full"] > 0, engine, "never found it full")
    stats = json.loads(t.inside(tx, "ip", "-j", "-s", "link", "show", "tx0"))
    check(stats[0]["stats64"]["tx"]["dropped"] > 0, "nothing was dropped")


def an_interface_that_is_down_is_told_and_waited_for(t):
    tx, rx = link(t)
    for engine in ENGINES:
        for ns, other, why in ((tx, "tx0", "is down"),
                               (rx, "rx0", "has no carrier")):
            got = Receiver(t, rx, "60", 0)
            child = sender(t, tx, "tx0", engine, "60", 0, 4, 60, 100)
            before = t.sent(tx, "tx0")
            wait_until(lambda: t.sent(tx, "tx0") > before, "frames go out")
            t.inside(ns, "ip", "link", "set", other, "down")
            words = child.stderr.readline().decode()
            equal(words, "down: interface tx0 %s\n" % why, engine)
            t.inside(ns, "ip", "link", "set", other, "up")
            before = t.sent(tx, "tx0")
            wait_until(lambda: t.sent(tx, "tx0") > before, "it goes on")
            child.send_signal(signal.SIGTERM)
            said, _ = ended(child)
            told = got.told(said["packets"])
            check(said["down"] > 0, said)
            equal(said["left"], 0, engine + ": not gone at the end")
            if ns is tx:        # What waits at an end that goes down is lost.
                all_came(said, told, said["packets"], engine)


def an_interface_that_is_deleted_ends_it(t):
    tx, rx = t.netns("tx"), t.netns("rx")
    for engine in (*ENGINES, "bulk"):
        t.veth(tx, "tx0", rx, "rx0")
        child = sender(t, tx, "tx0", engine, "60", 0, 256, 60, 100)
        time.sleep(0.1)
        t.inside(tx, "ip", "link", "del", "tx0")
        _, words = ended(child, 1)
        # The kernel downs it first: that may be met on the way.
        equal(words.splitlines()[-1:], ["send: interface tx0 is gone"],
              engine + ": " + words)


def a_frame_that_is_too_long_is_refused_and_the_others_go(t):
    tx, rx = link(t, mtu=1500)
    for engine in ENGINES:
        got = Receiver(t, rx, "60,1514", 10)
        child = sender(t, tx, "tx0", engine, "60,1515,1514", 3)
        said, words = ended(child)
        equal((said["packets"], said["refused"]), (2, 1), engine)
        equal(words, "skip: interface tx0: a frame of 1515 bytes is longer "
              "than its MTU of 1500 allows\n", engine)
        child = sender(t, tx, "tx0", engine, "13", 1)
        said, words = ended(child)
        check("shorter than an Ethernet header" in words, words)
        equal(got.told()["packets"], 2, engine + ": received")


def the_kernel_knows_of_a_shorter_mtu_first(t):
    tx, rx = link(t)
    for engine in ("sendmmsg", "ring"):
        t.inside(tx, "ip", "link", "set", "tx0", "mtu", "9100")
        before = t.sent(tx, "tx0")
        child = sender(t, tx, "tx0", engine, "1600", 0, 4, 60, 100)
        wait_until(lambda: t.sent(tx, "tx0") > before, "frames go out")
        t.inside(tx, "ip", "link", "set", "tx0", "mtu", "1500")
        words = child.stderr.readline().decode()
        equal(words, "skip: interface tx0: a frame of 1600 bytes is longer "
              "than its MTU of 1500 allows\n", engine)
        child.send_signal(signal.SIGTERM)
        said, _ = ended(child)
        equal(said["refused"], said["skipped"], engine)
        equal(t.sent(tx, "tx0") - before, said["packets"], engine)


def for_all(t):
    """The program, where nobody may run it."""
    program = t.path("send")
    shutil.copy(SEND, program)
    os.chmod(program, 0o755)
    os.chmod(t.dir, 0o755)
    return program


def as_nobody(*caps, lock=""):
    """What stands before a command."""
    need("setpriv")
    limit = ["sh", "-c", "ulimit -l %s && exec \"$@\"" % lock, "sh"] \
        if lock else []
    return [*limit, "setpriv", "--reuid", str(NOBODY), "--regid",
            str(NOBODY), "--clear-groups", *caps]


def cap_net_raw_is_all_it_needs(t):
    tx, rx = link(t)
    program = for_all(t)
    for engine in (*ENGINES, "auto"):
        child = t.spawn([*as_nobody(*NET_RAW), program, "tx0", engine,
                         "60", "1000"], tx, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE)
        said, _ = ended(child)
        equal(said["packets"], 1000, engine)
        child = t.spawn([*as_nobody("--bounding-set=-all",
                                    "--inh-caps=-all"), program, "tx0",
                         engine, "60", "1000"], tx, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE)
        _, words = ended(child, 1)
        equal(words, "send: interface tx0: %s: not permitted; run as root or "
              "with CAP_NET_RAW\n" % engine.replace("auto", "sendmmsg"),
              engine)


def auto_does_without_an_engine_that_is_not_there(t):
    tx, rx = link(t)
    program = for_all(t)
    before = as_nobody(*NET_RAW, lock="64")
    child = t.spawn([*before, program, "tx0", "xdp", "60", "10"], tx,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, words = ended(child, 1)
    equal(words, "send: interface tx0: xdp: 4 MiB may not be locked; raise "
          "LimitMEMLOCK= or ulimit -l, or run with CAP_IPC_LOCK\n", "xdp")
    child = t.spawn([*before, program, "tx0", "bulk", "60", "100000"], tx,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, _ = ended(child)
    equal(said["packets"], 100000, "sent")
    check("; xdp: 4 MiB may not be locked" in said["why"], said)


def an_interface_has_one_socket_a_queue(t):
    tx, rx = link(t)
    first = sender(t, tx, "tx0", "xdp", "60", 0, 1, 60, 1000)
    time.sleep(0.3)
    _, words = ended(sender(t, tx, "tx0", "xdp", "60", 10), 1)
    equal(words, "send: interface tx0: xdp: other AF_XDP sockets have all "
          "its queues\n", "the second one")
    first.kill()
    first.wait()
    # It is free again by and by.
    for _ in range(5):
        ended(sender(t, tx, "tx0", "xdp", "60", 10))


def what_cannot_be_sent_on_says_so(t):
    tx, rx = link(t)
    _, words = ended(sender(t, tx, "nosuch", "auto", "60", 1), 1)
    equal(words, "send: interface nosuch: there is none of this name; `pb "
          "interfaces` lists them\n", "none of this name")
    made = run([*enter(tx), "ip", "tuntap", "add", "tun9", "mode", "tun"])
    if made.returncode:
        skip("no other kind of interface: " + made.stderr.decode().strip())
    _, words = ended(sender(t, tx, "tun9", "auto", "60", 1), 1)
    equal(words, "send: interface tun9 carries no Ethernet frames\n", "tun")


if __name__ == "__main__":
    main("400",
         each_engine_sends_each_length_in_order,
         auto_compares_engines_and_keeps_the_order,
         a_full_queue_is_waited_for_and_counted,
         an_interface_that_is_down_is_told_and_waited_for,
         an_interface_that_is_deleted_ends_it,
         a_frame_that_is_too_long_is_refused_and_the_others_go,
         the_kernel_knows_of_a_shorter_mtu_first,
         cap_net_raw_is_all_it_needs,
         auto_does_without_an_engine_that_is_not_there,
         an_interface_has_one_socket_a_queue,
         what_cannot_be_sent_on_says_so)
