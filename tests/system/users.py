"""What the tests share that have more than one user: uid 65534 stands for
the service's, as `packetbroker` in its units; a test is root."""

import contextlib
import os
import stat
import struct

from harness import *
import samples

SERVICE = 65534
STRANGER, MEMBER = 61001, 61002     # MEMBER: of the service's group


def as_user(uid, gid=None):
    return ["setpriv", "--reuid", str(uid), "--regid",
            str(uid if gid is None else gid), "--clear-groups",
            "--pdeathsig", "SIGKILL"]


def need_users(t):
    need_root()
    need("setpriv")
    # What has changed its user may not be looked at by LeakSanitizer.
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
    os.chmod(t.dir, 0o755)
    pb = os.path.join(BUILD, "pb")
    if run([*as_user(SERVICE), "test", "-x", pb]).returncode:
        skip("another user cannot run " + pb)


def owned_node(t, name="a", **kw):
    """A node whose store is the service user's, as StateDirectory= has it."""
    need_users(t)
    node = t.node(name, **kw)
    os.chmod(node.conf, 0o644)
    os.mkdir(node.store, 0o750)
    os.chown(node.store, SERVICE, SERVICE)
    return node


def start(t, node, program="pb-recorder"):
    """As the service user; ready when it says so, which a log tells."""
    daemon = Daemon(t, "%s-%s" % (node.name, program), [
        *as_user(SERVICE), os.path.join(BUILD, program), "-c", node.conf],
        ready=False)
    sock = os.path.join(node.store, program[3:] + ".sock")

    def is_up():
        if not daemon.alive():
            raise Failure("%s ended: %s" % (program, daemon.tail()))
        return os.path.exists(sock)
    wait_until(is_up, program + " listens", 20)
    return daemon


def pb_as(uid, node, *args, gid=None, **kw):
    return run([*as_user(uid, gid), os.path.join(BUILD, "pb"), "-c",
                node.conf, *args], **kw)


def capture(t, name="t.pcap", packets=10, size=60):
    one = samples.eth(0, size)
    return t.write(name, b"".join(
        [samples.pcap("<", samples.MAGIC_NS, [])] +
        [struct.pack("<IIII", samples.T0, n, size, size) + one
         for n in range(packets)]))


def rot(node):
    """A bit of the first packet that the first sealed segment holds."""
    path = [p for p in node.files() if p.endswith(".pcapng")][0]
    with open(path, "r+b") as f:
        data = f.read()
        at = data.index(pngread.read(path).packets[0].data) + 40
        f.seek(at)
        f.write(bytes([data[at] ^ 1]))


def not_of(node, uid=SERVICE):
    """Paths in the store that are not that user's."""
    found = []
    for folder, dirs, names in os.walk(node.store):
        found += [p for p in (os.path.join(folder, n) for n in dirs + names)
                  if os.lstat(p).st_uid != uid]
    return found
