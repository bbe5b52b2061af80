"""A Debian of its own, made fresh and booted in a container.

    with Machine() as machine:
        machine.boot()
        machine.sh("systemctl is-active pb-recorder")

What debootstrap made, and the packages that are asked for in it, are kept
in build/root for the next time; each Machine begins with that, and what it
changes is gone with it (an overlay).  Nothing in it reaches a network.
"""

import fcntl
import os
import re
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
from harness import *

KEPT = os.path.join(ROOT, "build", "root")
# What a small Debian has: an init, and `ip` to make interfaces with.
PACKAGES = "systemd-sysv,iproute2"
DOWNLOAD_SECONDS = 900.0
PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def os_release():
    with open("/etc/os-release") as f:
        return dict(line.strip().replace('"', "").split("=", 1)
                    for line in f if "=" in line)


def mirror():
    """Where this machine has its own packages from."""
    found = []
    for folder, _, names in os.walk("/etc/apt"):
        for name in sorted(names):
            if name.endswith((".list", ".sources")):
                with open(os.path.join(folder, name)) as f:
                    found += re.findall(
                        r"^(?:URIs:|deb(?: \[.*?\])?) *(https?://\S+)",
                        f.read(), re.M)
    return next((url for url in found if re.search(
        r"/(debian|ubuntu)/?$", url)), "http://deb.debian.org/debian")


class Machine:
    def __init__(self):
        self.base = os.path.join(KEPT, "base")
        self.dir = None
        self.container = None
        self.pid = None

    def __enter__(self):
        os.makedirs(KEPT, exist_ok=True)
        # One at a time, so that what a killed run left can go.
        self.lock = open(os.path.join(KEPT, "lock"), "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        for name in os.listdir(KEPT):
            if name.startswith("run-"):
                self._remove(os.path.join(KEPT, name))
        self._make_base()
        self.dir = tempfile.mkdtemp(prefix="run-", dir=KEPT)
        self.root, upper, work = (os.path.join(self.dir, name)
                                  for name in ("root", "upper", "work"))
        for folder in (self.root, upper, work):
            os.mkdir(folder)
        made = run(["mount", "-t", "overlay", "overlay", "-o", "lowerdir=%s,"
                    "upperdir=%s,workdir=%s" % (self.base, upper, work),
                    self.root])
        if made.returncode:
            skip("may not mount here: " + made.stderr.decode().strip())
        self._copy_source()
        return self

    def __exit__(self, *_):
        if self.container and self.container.poll() is None:
            self.container.terminate()
            self.container.wait()
        self._remove(self.dir)
        self.lock.close()

    def _remove(self, folder):
        root = os.path.join(folder, "root")
        if os.path.ismount(root) and run(["umount", root]).returncode:
            run(["umount", "-l", root])
        shutil.rmtree(folder, ignore_errors=True)

    def _make_base(self):
        if not os.path.isdir(self.base):
            print("# making a %s, once" % os_release()["VERSION_CODENAME"],
                  flush=True)
            made = self.base + ".new"
            shutil.rmtree(made, ignore_errors=True)
            more = ",universe" if os_release()["ID"] == "ubuntu" else ""
            must(["debootstrap", "--variant=minbase",
                  "--components=main" + more, "--include=" + PACKAGES,
                  os_release()["VERSION_CODENAME"], made, mirror()],
                 seconds=DOWNLOAD_SECONDS)
            os.rename(made, self.base)
        # Fetched beforehand: the machine has no network.
        script = os.path.join(self.base, "root", "deps.sh")
        shutil.copy(os.path.join(ROOT, "tests", "deps.sh"), script)
        must(["chroot", self.base, "/root/deps.sh", "demo"],
             seconds=DOWNLOAD_SECONDS, env={"DEPS_APT": "--download-only"})
        os.unlink(script)

    def _copy_source(self):
        """What a clone has."""
        into = self.root + "/root/packetbroker"
        os.mkdir(into)
        must(["sh", "-c", 'tar -C "$0" --exclude=./build --exclude=./.git '
              '-c . | tar -C "$1" -x --no-same-owner', ROOT, into])

    # --- running -----------------------------------------------------------

    def boot(self):
        log = open(os.path.join(self.dir, "console"), "ab")
        self.container = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--boot", "--private-network",
             "--register=no", "--keep-unit", "--machine=pb-root",
             "--directory", self.root],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            preexec_fn=die_with_parent)
        log.close()
        self.pid = wait_until(self._first_process, "the container starts")
        wait_until(lambda: self.run("systemctl is-system-running").stdout
                   .strip() in (b"running", b"degraded"),
                   "the machine boots", 60, pause=0.2)

    def power_off(self):
        self.run("systemctl poweroff")
        wait_until(lambda: self.container.poll() is not None,
                   "the machine goes off", 60)

    def _first_process(self):
        """Its number here, of what is number 1 there."""
        if self.container.poll() is not None:
            skip("no container boots here: " +
                 " | ".join(self.console().split("\n")[-4:]))
        below = [self.container.pid]
        for pid in below:
            with contextlib.suppress(OSError):
                with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
                    below += [int(child) for child in f.read().split()]
                with open("/proc/%d/status" % pid) as f:
                    if re.search(r"^NSpid:.*\t1$", f.read(), re.M):
                        return pid
        return None

    def console(self):
        with open(os.path.join(self.dir, "console"), "rb") as f:
            return f.read()[-2000:].decode("utf-8", "replace")

    def inside(self, *what):
        """What to put before a command that runs in these namespaces."""
        return ["nsenter", "--target=%d" % self.pid,
                *("--" + w for w in what)]

    def run(self, script, cwd="/root", seconds=120.0):
        return run([*self.inside("mount", "uts", "ipc", "net", "pid",
                                 "cgroup", "root"),
                    "env", "-i", "PATH=" + PATHS, "HOME=/root", "LANG=C",
                    "sh", "-ec", 'cd "$0"; ' + script, cwd], seconds=seconds)

    def sh(self, script, status=0, **kw):
        """As root; what it printed.  Any other status is a failure."""
        done = self.run(script, **kw)
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        check(done.returncode == status, "%s: status %d: %s" % (
            script, done.returncode, said.strip()[-1500:]))
        return done.stdout.decode("utf-8", "replace")

    def status(self):
        return json.loads(self.sh("pb status --json"))

    def traffic(self, interface, count, rate, first=1):
        must([*self.inside("net"), sys.executable, os.path.join(
            ROOT, "tests", "system", "traffic.py"), interface, str(count),
            str(rate), "200", str(first)], seconds=60)


def blocks(page, heading):
    """The commands below a heading of a page, block by block; what is said
    beside one, behind three blanks, is not part of it."""
    with open(os.path.join(ROOT, page)) as f:
        section = f.read().split("\n## %s\n" % heading)[1].split("\n## ")[0]
    found = re.findall(r"(?:^    .+\n)+", section, re.M)
    return [[line.strip().split("   ")[0] for line in block.splitlines()]
            for block in found]
