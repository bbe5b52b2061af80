"""The control file of the shim, and what a crash test starts programs with.

The layout stands in shim.c.  The file is mapped by both sides, so the
counter can be read when the process is gone.
"""

import ctypes
import mmap
import os
import shlex
import signal
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))

BUILD = os.path.abspath(os.path.join(ROOT, os.environ.get("BUILD", "build")))
SHIM = os.path.join(BUILD, "tests", "crash", "shim.so")
WORK = os.path.join(BUILD, "tests", "crash", "work")
SANITIZED = "san" in os.path.relpath(BUILD, ROOT)
SLOW = float(os.environ.get("PB_SLOW", "4" if SANITIZED else "1"))
# What some sanitizers need; valgrind would only see what is killed.
WRAP = shlex.split(os.environ.get("PB_WRAP", ""))
WRAP = WRAP if WRAP[:1] == ["setarch"] else []

BEFORE, AFTER, WITHIN, POWER = "before", "after", "within", "power"
# A power cut dies like `before`; what it does to the files comes then.
HOW = {BEFORE: 0, AFTER: 1, WITHIN: 2, POWER: 0}
CONTROL_BYTES = 8192


class Bad(Exception):
    """A promise that was not kept."""


def check(condition, *why):
    if not condition:
        raise Bad(" ".join(str(w) for w in why))


class Control:
    """n 0: only count.  `armed`: from the start, else by arm()."""

    def __init__(self, path, n=0, how=BEFORE, armed=False, boot=None):
        self.path, self.boot = path, boot
        with open(path, "wb") as f:
            f.write(struct.pack("<QQQ", armed, n, HOW[how]))
            f.truncate(CONTROL_BYTES)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), CONTROL_BYTES)

    def arm(self):
        self.map[0:8] = struct.pack("<Q", 1)

    @property
    def calls(self):
        return struct.unpack("<Q", self.map[24:32])[0]

    @property
    def dead(self):
        """The call it died at, 0 while it lives."""
        return struct.unpack("<Q", self.map[32:40])[0]

    @property
    def what(self):
        return self.map[40:256].split(b"\0")[0].decode("utf-8", "replace")

    def cuts(self):
        """The calls that can be cut in the middle."""
        return [n + 1 for n in range(min(self.calls, CONTROL_BYTES - 256))
                if self.map[256 + n]]

    def env(self):
        env = environment(self.boot)
        env["PB_CRASH"] = self.path
        return env


def environment(boot=None):
    """The shim is there also where nothing is killed, for the boot id."""
    env = dict(os.environ, LD_PRELOAD=SHIM)
    env.pop("PB_CRASH", None)
    if SANITIZED:
        # The shim comes before the sanitizer, and may.
        env["ASAN_OPTIONS"] = "verify_asan_link_order=0:detect_leaks=0"
    if boot:
        env["PB_CRASH_BOOT"] = boot
    return env


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def work(*args, env=None, seconds=60.0):
    """Run tests/crash/work; (status, what it printed, what it said)."""
    try:
        done = subprocess.run(WRAP + [WORK, *args], env=env,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=seconds * SLOW)
    except subprocess.TimeoutExpired:
        raise Bad("work %s did not end" % args[0])
    return (done.returncode, done.stdout.decode(),
            done.stderr.decode("utf-8", "replace").strip()[-600:])


def must(*args, env=None):
    status, out, said = work(*args, env=env)
    check(status == 0, "work", args[0], "status", status, said)
    return out
