"""Who is in the group of a store reads it, beside the programs that write
it; so does who has a copy that nobody writes."""

import copy
import shutil

from users import *

READING = (["status"], ["streams"], ["segments"], ["gaps"], ["dlq", "list"],
           ["query", "--count"], ["verify"])


def a_running_node(t):
    node = owned_node(t, upstreams={"u": ["http://127.0.0.1:1",
                                          "retry_for = 1s"]})
    node.recorder = start(t, node)
    node.shipper = start(t, node, "pb-shipper")
    node.pb("import", "--interface", "eth0", capture(t))
    wait_until(lambda: node.rows("dlq", "list"), "a dead letter", 30)
    return node


def reads_as(uid, node, gid=SERVICE, count=b"10\n"):
    for command in READING:
        done = pb_as(uid, node, *command, gid=gid)
        equal(done.returncode, 0, "pb %s: %s" % (command, done.stderr))
        equal(done.stderr, b"", "said by " + command[0])
        if command[0] == "query":
            equal(done.stdout, count, "packets")


def a_member_of_the_group_reads_beside_a_recorder(t):
    node = a_running_node(t)
    reads_as(MEMBER, node)
    rows = json.loads(pb_as(MEMBER, node, "status", "--json",
                            gid=SERVICE).stdout)
    equal(rows["recorder"]["running"], True, "recorder")
    equal(rows["recorder"]["pid"], node.recorder.pid, "its pid")
    equal(rows["upstreams"][0]["dead_letters"]["packets"], 10, "letters")
    # What a reader holds is let go, whoever he is.
    node.pb("import", "--interface", "eth1", capture(t))
    reads_as(MEMBER, node, count=b"20\n")
    text = pb_as(MEMBER, node, "status", gid=SERVICE).stdout
    check(b"recorder.sock" in text, "it does not say what it cannot see",
          text)


def a_member_of_the_group_does_not_write(t):
    node = a_running_node(t)
    for command in (["import", capture(t)], ["reindex"],
                    ["verify", "--repair"], ["dlq", "purge", "--all"],
                    ["dlq", "move", "--all", "--to", "u"]):
        done = pb_as(MEMBER, node, *command, gid=SERVICE)
        equal(done.returncode, 1, "status of %s" % command)
        check(len(done.stderr.splitlines()) == 1 and b"sudo pb" in
              done.stderr and b"may not write" in done.stderr, "it says",
              done.stderr)
    reads_as(MEMBER, node)


def others_are_told_whose_it_is(t):
    node = a_running_node(t)
    for command in READING + (["import", capture(t)],):
        done = pb_as(STRANGER, node, *command)
        equal(done.returncode, 1, "status of %s" % command)
        check(len(done.stderr.splitlines()) == 1 and b"sudo pb" in
              done.stderr and node.store.encode() in done.stderr,
              "it says", done.stderr)


def of_copy(node, path):
    with open(node.conf) as f:
        text = f.read().replace(node.store, path)
    with open(path + ".conf", "w") as f:
        f.write(text)
    os.chmod(path + ".conf", 0o644)
    other = copy.copy(node)
    other.store, other.conf = path, path + ".conf"
    return other


def a_copy_that_its_reader_may_not_write_is_read(t):
    node = a_running_node(t)
    node.recorder.stop()
    node.shipper.stop()
    path = t.path("copy")
    shutil.copytree(node.store, path, ignore=lambda _, names: [
        n for n in names if n.endswith((".sock", "lock.mdb"))])
    must(["chmod", "-R", "a+rX,go-w", path])
    must(["chown", "-R", "0:0", path])
    there = of_copy(node, path)
    before = sorted(os.listdir(os.path.join(path, "index")))
    reads_as(STRANGER, there, gid=STRANGER)
    equal(sorted(os.listdir(os.path.join(path, "index"))), before, "files")


@contextlib.contextmanager
def read_only(t, source, name):
    path = t.path(name)
    os.mkdir(path)
    made = run(["mount", "--bind", source, path])
    if made.returncode:
        skip("may not mount: %s" % made.stderr.decode().strip())
    try:
        must(["mount", "-o", "remount,bind,ro", path])
        yield path
    finally:
        run(["umount", "-l", path])


def a_read_only_mount_is_read_where_nobody_writes(t):
    node = a_running_node(t)
    with read_only(t, node.store, "mounted") as path:
        there = of_copy(node, path)
        # Beside a recorder that is no safe way, and pb says so.
        done = there.pb_run("streams")
        equal(done.returncode, 1, "status")
        check(b"lock.mdb" in done.stderr and b"%d" % node.recorder.pid in
              done.stderr, "it says", done.stderr)
        node.recorder.stop()
        node.shipper.stop()
        for command in READING:
            done = there.pb_run(*command)
            equal(done.returncode, 0, "pb %s: %s" % (command, done.stderr))
        equal(there.pb("query", "--count"), b"10\n", "packets")
        done = there.pb_run("reindex")
        equal(done.returncode, 1, "status")
        check(b"ead-only" in done.stderr, "it says", done.stderr)


def a_copy_where_its_owner_may_not_go_is_read_by_root(t):
    """Root has a copy among his own: whose it is, he becomes."""
    node = a_running_node(t)
    node.recorder.stop()
    node.shipper.stop()
    case = t.path("case")
    os.mkdir(case, 0o700)
    path = os.path.join(case, "store")
    must(["cp", "-a", node.store, path])
    os.chmod(case, 0o700)
    there = of_copy(node, path)
    for command in READING + (["query"],):
        done = there.pb_run(*command)
        equal(done.returncode, 0, "pb %s: %s" % (command, done.stderr))
        equal(done.stderr, b"", "said by %s" % command)
    equal(there.pb("query", "--count"), b"10\n", "packets")
    check(json.loads(there.pb("status", "--json"))["disk"]["size"] > 0,
          "the size of the disk")
    equal(len(there.rows("dlq", "list")), 1, "dead letters")


main("253", a_member_of_the_group_reads_beside_a_recorder,
     a_member_of_the_group_does_not_write, others_are_told_whose_it_is,
     a_copy_that_its_reader_may_not_write_is_read,
     a_copy_where_its_owner_may_not_go_is_read_by_root,
     a_read_only_mount_is_read_where_nobody_writes)
