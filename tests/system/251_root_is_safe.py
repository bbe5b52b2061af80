"""A service user puts links, FIFOs and directories where files are expected
in his store, and root works on it: nothing outside is touched, nothing
hangs, and one line says what is wrong."""

import ctypes
import shutil
import struct

from users import *

SECRET = b"root:$6$secret:19000:0:::\n"
READING = (["status"], ["query", "--count"], ["dlq", "list"], ["verify"])
MORE = (["streams"], ["segments"], ["gaps"])     # that read as those do
WRITING = (["verify", "--repair"], ["dlq", "purge", "--all"], ["reindex"])
NAMES = ("recorder.lock", "shipper.lock", "recorder.sock", "shipper.sock",
         "index", "index/data.mdb", "index/lock.mdb", "index.new", "damaged",
         "segments", "segments/a", "segments/a/eth0", "EPOCH", "SEGMENT",
         "EPOCH/journal", "EPOCH/.journal", "EPOCH/.new", "shipper",
         "shipper/data.mdb", "shipper/lock.mdb", "dead-letters",
         "dead-letters/u")
SECONDS = 20.0


class Outside:
    """What must stay as it is: a file of root's and a directory of his."""

    def __init__(self, t):
        self.file = t.write("shadow", SECRET)
        self.dir = t.path("etc")
        os.mkdir(self.dir, 0o700)
        self.inner = os.path.join(self.dir, "data.mdb")
        for path in (self.inner, os.path.join(self.dir, "journal")):
            with open(path, "wb") as f:
                f.write(SECRET)
        for path in (self.file, self.inner):
            os.chmod(path, 0o600)
        self.was = self.look()

    def look(self):
        found = [(p, os.stat(p)[:6], open(p, "rb").read())
                 for p in (self.file, self.inner)]
        return found, sorted(os.listdir(self.dir)), os.stat(self.dir)[:6]

    def is_intact(self, after):
        equal(self.look(), self.was, "what lies outside, after " + after)


def a_store(t):
    """With all that there may be in one: packets, a shipper's environment,
    a dead letter."""
    node = owned_node(t, upstreams={"u": ["http://127.0.0.1:1",
                                          "retry_for = 1s"]})
    node.pb("import", "--interface", "eth0", capture(t))
    daemons = start(t, node), start(t, node, "pb-shipper")
    wait_until(lambda: node.rows("dlq", "list"), "a dead letter", 30)
    for one in daemons:
        one.stop()
    shutil.copytree(node.store, t.path("good"), symlinks=True)
    return node


def fresh(t, node):
    shutil.rmtree(node.store)
    must(["cp", "-a", t.path("good"), node.store])
    must(["chown", "-R", "%d:%d" % (SERVICE, SERVICE), node.store])


def place(node, name):
    epoch = os.path.dirname([p for p in node.files()][0])
    if name == "SEGMENT":
        return node.files()[0]
    return os.path.join(node.store, name.replace("EPOCH", epoch))


def replace(node, name, kind, outside):
    path = place(node, name)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    if kind == "link":
        os.symlink(outside.file, path)
    elif kind == "link to a directory":
        os.symlink(outside.dir, path)
    elif kind == "fifo":
        os.mkfifo(path, 0o666)
    else:
        os.makedirs(path)
    os.chown(path, SERVICE, SERVICE, follow_symlinks=False)


def every_command(t, node, outside, what, kind):
    late = capture(t, "late.pcap")
    for command in (READING + (MORE if kind == "link" else ()) + WRITING +
                    (["import", late],)):
        words = "%s, pb %s" % (what, " ".join(command))
        done = node.pb_run(*command, seconds=SECONDS)
        check(done.returncode in (0, 1), words, "status", done.returncode,
              done.stderr)
        outside.is_intact(words)
    equal(not_of(node), [], "of others in the store: " + what)


def whatever_stands(t, kind, names=NAMES):
    node = a_store(t)
    outside = Outside(t)
    for name in names:
        fresh(t, node)
        replace(node, name, kind, outside)
        every_command(t, node, outside, "%s is a %s" % (name, kind),
                      kind)


def a_link_to_a_file_anywhere_leads_nowhere(t):
    whatever_stands(t, "link")


def a_link_to_a_directory_anywhere_leads_nowhere(t):
    whatever_stands(t, "link to a directory")


def no_daemon_hangs_or_is_led_out_by_what_stands_there(t):
    node = a_store(t)
    outside = Outside(t)
    for kind in ("link", "fifo"):
        for name in ("recorder.lock", "index/lock.mdb", "segments/a",
                     "SEGMENT", "EPOCH/journal", "shipper/data.mdb",
                     "damaged"):
            fresh(t, node)
            replace(node, name, kind, outside)
            what = "%s is a %s" % (name, kind)
            recorder = Daemon(t, "odd", [*as_user(SERVICE), os.path.join(
                BUILD, "pb-recorder"), "-c", node.conf], ready=False)
            sock = os.path.join(node.store, "recorder.sock")
            wait_until(lambda: not recorder.alive() or os.path.exists(sock),
                       what + ": it starts or ends", 20)
            if recorder.alive():
                recorder.stop()
            else:
                check("error recorder: " in recorder.text(), what,
                      recorder.tail())
                t.daemons.remove(recorder)
            outside.is_intact(what)


def a_fifo_anywhere_hangs_nothing(t):
    whatever_stands(t, "fifo")


def a_directory_anywhere_harms_nothing(t):
    whatever_stands(t, "directory", [n for n in NAMES if "." in n or
                                     n in ("SEGMENT", "EPOCH/journal")])


def no_race_is_won_for_the_winner_has_no_more_rights_than_before(t):
    """Names change between a file and a link while root is at work."""
    node = a_store(t)
    outside = Outside(t)
    swapper = t.spawn([*as_user(SERVICE), sys.executable, "-c", SWAP,
                       node.store, outside.file])
    end = time.monotonic() + 4
    while time.monotonic() < end:
        for command in (["streams"], ["reindex"], ["verify", "--repair"],
                        ["import", capture(t)]):
            node.pb_run(*command, seconds=SECONDS * 2)
            outside.is_intact("a race, pb " + command[0])
    check(swapper.poll() is None, "the swapper ended")


SWAP = """
import os, sys
store, target = sys.argv[1:]
names = [os.path.join(store, n) for n in ("recorder.lock", "index/lock.mdb",
                                          "damaged", "index.new")]
while True:
    for name in names:
        try:
            os.symlink(target, name + ".x")
            os.rename(name + ".x", name)
            os.unlink(name)
            open(name, "x").close()
        except OSError:
            pass
"""


def nonsense_in_a_lock_file_ends_or_holds_up_nobody(t):
    node = a_store(t)
    lock = os.path.join(node.store, "index", "lock.mdb")
    node.pb("streams")
    with open(lock, "rb") as f:
        was = f.read()
    held = open(lock, "r+b")
    fcntl_lock(held)        # as another reader: nobody makes it anew
    lies = was[:56] + struct.pack("<I", 0x7FFFFFFF) + was[60:128] + \
        b"\x7f" * (len(was) - 128)
    stuck = was[:8] + struct.pack("<I", 1) + was[12:]   # held by pid 1
    for text, what in ((lies, "lies"), (stuck, "held by pid 1")):
        os.pwrite(held.fileno(), text, 0)
        for command in (["streams"], ["status"], ["query", "--count"]):
            done = node.pb_run(*command, seconds=SECONDS)
            check(done.returncode in (0, 1), what, command,
                  done.returncode)
            check(done.returncode == 0 or b"lock.mdb" in done.stderr or
                  b"Fix:" in done.stderr, what, done.stderr)
    held.close()


def fcntl_lock(f):
    import fcntl
    fcntl.lockf(f, fcntl.LOCK_SH, 1, 0, 0)


def files_of_the_callers_are_read_and_made_by_his_rights(t):
    node = owned_node(t)
    secret = t.path("root")
    os.mkdir(secret, 0o700)
    shutil.move(capture(t, "in.pcap"), secret)
    os.chmod(os.path.join(secret, "in.pcap"), 0o600)
    inside = {"cwd": secret}
    node.pb("import", "in.pcap", **inside)
    node.pb("import", "-", stdin=open(os.path.join(secret, "in.pcap"),
                                      "rb").read(), **inside)
    node.pb("query", "-w", "out.pcapng", **inside)
    out = os.path.join(secret, "out.pcapng")
    equal(os.stat(out).st_uid, 0, "whose it is")
    with open(out, "rb") as f:
        equal(len(pngread.read(f.read()).packets), 20, "packets")
    equal(sorted(os.listdir(secret)), ["in.pcap", "out.pcapng"], "files")
    # What fails leaves the old file, and no other.
    before = os.stat(out).st_mtime_ns
    done = node.pb_run("query", "-w", "out.pcapng", "no such filter",
                       **inside)
    check(done.returncode != 0, "a wrong filter")
    equal(os.stat(out).st_mtime_ns, before, "when it was written")
    equal(sorted(os.listdir(secret)), ["in.pcap", "out.pcapng"], "files")


def a_target_that_another_chose_is_refused(t):
    node = owned_node(t)
    node.pb("import", capture(t))
    outside = Outside(t)
    link = t.path("out.pcapng")
    os.symlink(outside.file, link)
    os.chown(link, SERVICE, SERVICE, follow_symlinks=False)
    for name in (link, os.path.join(node.store, "out.pcapng"),
                 os.path.join(node.store, "segments", "x")):
        done = node.pb_run("query", "-w", name)
        equal(done.returncode, 2, name + ": status")
        check(os.fsencode(name) in done.stderr, "it says", done.stderr)
        outside.is_intact(name)
        check(not os.path.isfile(name) or name == link, "it is there", name)


def a_link_made_after_the_look_at_a_target_is_not_followed(t):
    """As many links are made as taken away while root begins."""
    node = owned_node(t)
    node.pb("import", capture(t))
    outside = Outside(t)
    folder = t.path("his")
    must(["install", "-d", "-o", str(SERVICE), folder])
    name = os.path.join(folder, "out.pcapng")
    t.spawn([*as_user(SERVICE), sys.executable, "-c", FLIP, name,
             outside.file])
    for n in range(150):
        done = node.pb_run("query", "--follow", "--limit", "1", "-w", name,
                           seconds=SECONDS)
        check(done.returncode in (0, 1, 2), "status", done.returncode)
        outside.is_intact("try %d: %s" % (n, done.stderr))


FLIP = """
import os, sys
name, target = sys.argv[1:]
while True:
    try:
        os.symlink(target, name)
    except OSError:
        pass
    try:
        os.unlink(name)
    except OSError:
        pass
"""


def a_target_that_has_no_name_is_written(t):
    node = owned_node(t)
    node.pb("import", capture(t))
    for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        for more in ([], ["--follow", "--limit", "10"]):
            done = node.pb_run("query", "-w", name, *more)
            equal(done.returncode, 0, "%s: %s" % (name, done.stderr))
            equal(len(pngread.read(done.stdout).packets), 10, name)


def a_store_that_others_may_exchange_is_not_dealt_with_by_roots_rights(t):
    node = owned_node(t)
    node.pb("import", capture(t))
    outside = Outside(t)
    top, good = t.path("pb"), t.path("good")
    os.rename(node.store, good)
    must(["install", "-d", "-o", str(SERVICE), top])
    store = os.path.join(top, "store")
    open_to_all = t.path("shm")     # as /dev/shm: root's, for all
    os.mkdir(open_to_all)
    os.chmod(open_to_all, 0o1777)
    shared = t.path("shared")
    os.mkdir(shared)
    os.chown(shared, 0, SERVICE)
    os.chmod(shared, 0o2770)

    def refused(path, says):
        for command in READING + WRITING + (["import", capture(t)],
                                            ["query", "-w", t.path("o")]):
            done = run([os.path.join(BUILD, "pb"), "--store", path,
                        *command])
            equal(done.returncode, 1, "%s, %s" % (command, path))
            check(says in done.stderr and len(done.stderr.splitlines()) == 1,
                  command, "says", done.stderr)
        for program in ("pb-recorder", "pb-shipper"):
            conf = t.write("odd.conf", "[node]\nname = a\n[store]\npath = %s"
                           "\n[upstream u]\nurl = http://127.0.0.1:1\n"
                           "tls = off\n" % path)
            done = run([os.path.join(BUILD, program), "-c", conf])
            equal(done.returncode, 2, program + ", " + path)
            check(says in done.stderr, program, "says", done.stderr)
        equal(os.listdir(open_to_all) + os.listdir(shared), [], "made")
        check(not os.path.exists(t.path("o")), "it wrote")
        outside.is_intact(path)

    for target in (outside.dir, open_to_all, good, t.path("nothing")):
        os.symlink(target, store)
        os.chown(store, SERVICE, SERVICE, follow_symlinks=False)
        refused(store, b"is a link that")
        refused(store + "/", b"is a link that")
        os.unlink(store)
    # Further up as well, but for who leads to what is his.
    os.rename(good, os.path.join(outside.dir, "pb"))
    outside.was = outside.look()
    between = os.path.join(top, "between")
    for target, name in ((outside.dir, "new"), (t.dir, "etc")):
        os.symlink(target, between)
        os.chown(between, SERVICE, SERVICE, follow_symlinks=False)
        refused(os.path.join(between, name), b"is behind ")
        if target != outside.dir:
            os.unlink(between)
            continue
        done = run([os.path.join(BUILD, "pb"), "--store",
                    os.path.join(between, "pb"), "query", "--count"])
        equal(done.stdout, b"10\n", "his own: %s" % done.stderr)
        os.unlink(between)
    os.rename(os.path.join(outside.dir, "pb"), good)
    outside.was = outside.look()
    refused(open_to_all, b"others may write in it; Fix: 'chown' it")
    refused(shared, b"others may write in it; Fix: 'chown' it")
    refused(os.path.join(shared, "new"), b"others may write in it")
    # Root's links are the way things are moved, and /tmp is as ever.
    os.symlink(good, store)
    done = run([os.path.join(BUILD, "pb"), "--store", store, "query",
                "--count"])
    equal(done.stdout, b"10\n", "by a link of root's: %s" % done.stderr)
    new = os.path.join(open_to_all, "new")
    must([os.path.join(BUILD, "pb"), "--store", new, "import", capture(t)])
    equal(os.stat(new).st_uid, 0, "whose the new one is")


main("251", a_link_to_a_file_anywhere_leads_nowhere,
     a_link_to_a_directory_anywhere_leads_nowhere,
     no_daemon_hangs_or_is_led_out_by_what_stands_there,
     a_fifo_anywhere_hangs_nothing, a_directory_anywhere_harms_nothing,
     no_race_is_won_for_the_winner_has_no_more_rights_than_before,
     nonsense_in_a_lock_file_ends_or_holds_up_nobody,
     files_of_the_callers_are_read_and_made_by_his_rights,
     a_target_that_another_chose_is_refused,
     a_link_made_after_the_look_at_a_target_is_not_followed,
     a_target_that_has_no_name_is_written,
     a_store_that_others_may_exchange_is_not_dealt_with_by_roots_rights)
