"""A section [upstream] that is renamed or removed leaves letters: status names
them, `pb dlq` gives them to another upstream or purges them, with a shipper
and without, and what ends in the middle leaves them whole."""

import signal

from clocks import Clock
from harness import *
import samples

DAY = 86400
ORPHANS = "dead letters of upstreams that are not configured: "


def pcap(count, size=200):
    return samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0 + n, n, samples.eth(n, size), size)
        for n in range(count)])


def letters(node, *more):
    return node.rows("dlq", "list", *more)


def set_conf(node, old, new):
    with open(node.conf) as f:
        text = f.read()
    check(old in text, old, "is not in", node.conf)
    with open(node.conf, "w") as f:
        f.write(text.replace(old, new))


def left_behind(t, interfaces=("eth0", "eth1"), count=100, store=(),
                renamed=True, size=200, env=None):
    """An edge whose upstream `old` was away, and is `new` now."""
    core = t.node("core", listen=True)
    edge = t.node("edge", upstreams={"old": (core, "retry_for = 1s")},
                  store=store)
    for interface in interfaces:
        edge.pb("import", "--interface", interface,
                t.write("a.pcap", pcap(count, size)))
    edge.start_shipper(env=env)
    wait_until(lambda: sum(r["packets"] for r in letters(edge)) ==
               count * len(interfaces), "dead letters", 40, 0.1)
    if renamed:
        # It may wait for ever now: the letters shall not be its own.
        set_conf(edge, "retry_for = 1s", "retry_for = 1h")
        set_conf(edge, "[upstream old]", "[upstream new]")
        edge.shipper.proc.send_signal(signal.SIGHUP)
        wait_until(lambda: [u["name"] for u in
                            edge.rows("status")[0]["upstreams"]] == ["new"],
                   "the new name")
    return core, edge


def refuses(edge, words, *args):
    done = edge.pb_run("dlq", *args)
    equal(done.returncode, 1, "status of dlq %s" % " ".join(args))
    check(words in done.stderr.decode(), words, "is not in", done.stderr)
    equal(done.stdout, b"", "output")


def all_there(edge, core, counts):
    drained(edge, core)
    wait_until(lambda: not letters(edge, "--all"), "no letter is left", HEALED,
               0.1)
    equal([r for r in core.rows("gaps") if not r["closed"]], [],
          "open gaps at the core")
    have = by_stream(core.query())     # fails where a number is there twice
    equal({name: [r[0] for r in rows] for name, rows in have.items()},
          {name: list(range(1, n + 1)) for name, n in counts.items()},
          "packets at the core")
    equal(list(os.walk(os.path.join(edge.store, "dead-letters")))[1:], [],
          "links")


def status_and_list_name_them(t):
    _, edge = left_behind(t)
    status, = edge.rows("status")
    said, = status["unconfigured"]
    equal((said["upstream"], said["dead_letters"]["letters"],
           said["dead_letters"]["packets"]), ("old", 2, 200), "status --json")
    line = [row for row in edge.pb("status").decode().splitlines()
            if row.startswith(ORPHANS)]
    equal([row[len(ORPHANS):].split(" letters ")[0] for row in line],
          ["old 2"], "pb status")
    equal({r["next"] for r in letters(edge)}, {"nobody"}, "next")
    check(b"pb dlq move" in edge.pb("dlq", "show"), "show does not help")
    # Letters of an upstream that is there are no orphans' letters.
    set_conf(edge, "[upstream new]", "[upstream old]")
    edge.shipper.proc.send_signal(signal.SIGHUP)
    wait_until(lambda: [u["name"] for u in
                        edge.rows("status")[0]["upstreams"]] == ["old"],
               "the old name")
    equal(edge.rows("status")[0]["unconfigured"], [], "of none")
    equal({r["next"] for r in letters(edge)}, {"auto"}, "next")


def requeue_and_move_say_why_not(t):
    _, edge = left_behind(t)
    for shipper in (True, False):
        refuses(edge, "is not configured, so nobody would send them; "
                "'pb dlq move --to NAME'", "requeue", "--upstream", "old")
        refuses(edge, "there is no [upstream old]", "move", "--all", "--to",
                "old")
        equal({r["state"] for r in letters(edge)}, {"dead"}, "states")
        if shipper:
            edge.shipper.stop()
    set_conf(edge, "[upstream new]", "[upstream new]\nstreams = */eth7")
    refuses(edge, "2 letters stay where they are", "move", "--upstream",
            "old", "--to", "new")


def moved_letters_reach_the_new_upstream(t):
    core, edge = left_behind(t)
    equal(edge.pb("dlq", "move", "--upstream", "old", "--to", "new"),
          b"moved 2 dead letters, 200 packets, to new\n", "move")
    equal({(r["upstream"], r["state"], r["next"]) for r in letters(edge)},
          {("new", "requeued", "sends")}, "letters")
    equal(os.listdir(os.path.join(edge.store, "dead-letters")), ["new"],
          "folders")
    core.start()
    all_there(edge, core, {"eth0": 100, "eth1": 100})
    equal(edge.rows("status")[0]["unconfigured"], [], "of none")


def they_fill_what_the_new_one_was_told_is_a_gap(t):
    """Renamed in earnest: the receiver is the same, knows of the gap, and has
    what is fresh."""
    core, edge = left_behind(t, renamed=False)
    set_conf(edge, "retry_for = 1s", "retry_for = 1h\nrequeue = manual")
    edge.shipper.proc.send_signal(signal.SIGHUP)
    core.start()
    wait_until(lambda: core.ends() and len(core.rows("gaps")) == 2, "gaps",
               HEALED, 0.1)
    set_conf(edge, "[upstream old]", "[upstream new]")
    edge.shipper.stop()
    equal(edge.rows("dlq", "move", "--all", "--to", "new"),
          [{"letters": 2, "packets": 200}], "without a shipper")
    edge.start_shipper()
    all_there(edge, core, {"eth0": 100, "eth1": 100})


def what_expired_here_arrives_from_its_letter(t):
    core, edge = left_behind(t, interfaces=["eth0"], count=3000, size=1300,
                             store=["segment_size = 1MiB",
                                    "segment_age = 1s", "retain_size = 2MiB"])
    edge.start_recorder()
    wait_until(lambda: edge.rows("gaps"), "retention takes its part", 30, 0.1)
    edge.pb("dlq", "move", "--all", "--to", "new")
    core.start()
    all_there(edge, core, {"eth0": 3000})


def a_kill_in_the_middle_leaves_them_whole(t):
    core, edge = left_behind(t, interfaces=["eth%d" % n for n in range(40)],
                             count=3)
    for n in range(6):
        if n % 2 == 0:
            mover = t.spawn([os.path.join(BUILD, "pb"), "-c", edge.conf,
                             "dlq", "move", "--all", "--to", "new"],
                            stderr=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL)
            time.sleep(random.random() * 0.01)
            edge.shipper.kill()
            mover.wait()
        else:
            # Without a shipper pb does it, and is killed.
            mover = t.spawn([os.path.join(BUILD, "pb"), "-c", edge.conf,
                             "dlq", "move", "--all", "--to", "new"],
                            stderr=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL)
            time.sleep(random.random() * 0.02)
            mover.kill()
            mover.wait()
            edge.start_shipper()
        rows = letters(edge)
        equal(sum(r["packets"] for r in rows), 120, "packets in letters")
        for row in rows:
            check(os.path.exists(row["path"]), row["path"], "is not there")
    if any(r["upstream"] == "old" for r in letters(edge)):
        edge.pb("dlq", "move", "--all", "--to", "new")
    core.start()
    all_there(edge, core, {"eth%d" % n: 3 for n in range(40)})


def purged_ones_leave_nothing(t):
    _, edge = left_behind(t)
    equal(edge.pb("dlq", "purge", "--upstream", "old"),
          b"purged 2 dead letters, 200 packets, for old\n", "purge")
    equal(letters(edge, "--all"), [], "letters")
    equal(list(os.walk(os.path.join(edge.store, "dead-letters")))[1:], [],
          "links")
    equal(edge.rows("status")[0]["unconfigured"], [], "of none")


def they_expire_by_the_default_age(t):
    clock = Clock(t)
    _, edge = left_behind(t, env=clock.env)
    clock.set(up=31 * DAY)
    wait_until(lambda: not letters(edge, "--all"), "they are dropped")
    wait_until(lambda: "the 2 oldest dead letters of an upstream that is not "
               "configured were dropped" in edge.shipper.text(), "it says so")
    equal(edge.rows("status")[0]["unconfigured"], [], "of none")


if __name__ == "__main__":
    main("212", status_and_list_name_them, requeue_and_move_say_why_not,
         moved_letters_reach_the_new_upstream,
         they_fill_what_the_new_one_was_told_is_a_gap,
         what_expired_here_arrives_from_its_letter,
         a_kill_in_the_middle_leaves_them_whole, purged_ones_leave_nothing,
         they_expire_by_the_default_age, seconds=120)
