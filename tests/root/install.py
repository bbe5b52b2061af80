"""The install of README.md and the repairs of docs/operations.md, command by
command as they stand there, in a Debian made fresh and booted in a
container, with the shipped units and user.  `make test-root` runs it.

Each step goes on where the one before it ended.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from machine import *

STORE = "/var/lib/packetbroker"
CONF = "/etc/packetbroker/packetbroker.conf"
SOURCE = "/root/packetbroker"
SHOW = blocks("README.md", "Try it")[0]
INSTALL, START = blocks("README.md", "Install")[:2]
REPAIR = blocks("docs/operations.md", "Files rot")[0]
REINDEX = blocks("docs/operations.md", "The index is lost or corrupt")[0]
RAW, ADMIN = 13, 12         # CAP_NET_RAW, CAP_NET_ADMIN


# --- what the steps share ---------------------------------------------------

def main_pid(m, unit="pb-recorder"):
    return int(m.sh("systemctl show -P MainPID " + unit))


def active(m, unit="pb-recorder"):
    said = m.run("systemctl is-active " + unit).stdout.strip()
    check(said == b"active", unit, "is", said, journal(m, unit))


def journal(m, unit="pb-recorder"):
    return m.sh("journalctl -q -o cat -n 30 -u " + unit)


def count(m, *query):
    return int(m.sh(" ".join(("pb query --count",) + query)))


def network(m):
    m.sh("ip link add eth0 type veth peer name eth1; "
         "ip link set eth0 up; ip link set eth1 up")


def capture(m, frames=200):
    """Frames that come in are stored: this many more."""
    wait_until(lambda: m.status()["live"]["captures"][0]["up"],
               "eth0 is captured")
    before = count(m)
    m.traffic("eth1", frames, 1000)
    wait_until(lambda: count(m) >= before + frames, "frames are stored")


def all_is_the_users(m):
    """Nothing in the store that the recorder could not write."""
    foreign = m.sh("find %s ! -user packetbroker" % STORE).split()
    equal(foreign, [], "what is not the user's in the store")


def fill_in(m, line, text):
    m.sh("grep -q '^%s$' %s; sed -i 's|^%s$|%s|' %s" % (
        line, CONF, line, text, CONF))


def process(m, unit="pb-recorder"):
    """User, and capabilities as a number, of a unit's process."""
    said = m.sh("cat /proc/%d/status; stat -c 'User: %%U' /proc/%d"
                % ((main_pid(m, unit),) * 2))
    fields = dict(line.split(":", 1) for line in said.splitlines())
    return fields["User"].strip(), int(fields["CapEff"], 16)


# --- installing -------------------------------------------------------------

def readme_installs_on_a_fresh_system(m):
    m.sh("command -v make", status=127)
    for line in INSTALL:
        m.sh(line, cwd=SOURCE, seconds=600)
    equal(m.sh("stat -c '%U:%G %a' /etc/packetbroker " + STORE).split("\n"),
          ["root:packetbroker 750", "packetbroker:packetbroker 750", ""],
          "the directories")
    m.sh("runuser -u packetbroker -- cat " + CONF)
    check("nologin" in m.sh("getent passwd packetbroker"), "it can log in")


def nothing_is_installed_that_running_does_not_need(m):
    there = m.sh("dpkg-query -W -f '${Package}\\n'").split()
    for package in ("python3", "tshark", "wireshark-common", "tcpdump",
                    "tcpreplay", "valgrind", "strace", "libcmocka-dev"):
        check(package not in there, package, "is installed")


def systemd_finds_no_fault_in_the_units(m):
    said = m.run("systemd-analyze verify --man=no "
                 "/usr/local/lib/systemd/system/pb-*.service")
    equal((said.returncode, said.stdout + said.stderr), (0, b""), "verify")


def the_configuration_says_what_to_fill_in(m):
    check(m.run("systemctl start pb-recorder").returncode != 0, "it starts")
    check("[node] name: '' is no node name" in journal(m), journal(m))
    equal(m.sh("systemctl show -P ActiveState pb-recorder").strip(),
          "failed", "state")
    fill_in(m, "name =", "name = lon1")
    said = m.run("pb-recorder -t").stderr.decode()
    check("[capture]: needs a name; write it like [capture eth0]" in said,
          said)
    fill_in(m, r"\[capture\]", "[capture eth0]")


# --- running ----------------------------------------------------------------

def readme_starts_what_captures(m):
    network(m)
    *before, last = START
    for line in before:
        m.sh(line)
    capture(m)
    said = m.sh(last)
    check("lon1" in said and "eth0" in said, said)
    user, capabilities = process(m)
    equal((user, capabilities), ("packetbroker", 1 << RAW | 1 << ADMIN),
          "user, capabilities")
    all_is_the_users(m)


def a_member_of_the_group_can_look(m):
    m.sh("useradd --groups packetbroker watcher")
    for command in ("pb status", "pb streams", "pb gaps",
                    "pb query --limit 3"):
        m.sh("runuser -u watcher -- " + command)


def the_shipper_runs_without_any_right(m):
    m.sh("printf '[upstream away]\\nurl = http://away.example:7152\\n"
         "tls = off\\n' >> " + CONF)
    m.sh("systemctl reload pb-recorder; systemctl enable --now pb-shipper")
    equal(process(m, "pb-shipper"), ("packetbroker", 0),
          "user, capabilities")
    check("away" in m.sh("pb status"), "no upstream in pb status")


def however_often_it_is_killed_it_starts_again(m):
    for _ in range(7):
        pid = main_pid(m)
        m.sh("kill -9 %d" % pid)
        wait_until(lambda: main_pid(m) not in (0, pid), "a new one")
    wait_until(lambda: m.run("systemctl is-active pb-recorder").returncode
               == 0, "it is active")
    capture(m)


def installing_again_keeps_the_configuration(m):
    before = m.sh("cat %s; stat -c '%%U:%%G %%a' %s" % (CONF, CONF))
    m.sh("make install", cwd=SOURCE)
    equal(m.sh("cat %s; stat -c '%%U:%%G %%a' %s" % (CONF, CONF)), before,
          "the configuration")
    m.sh("systemctl restart pb-recorder pb-shipper")
    capture(m)


def it_captures_after_a_boot(m):
    m.power_off()
    m.boot()
    active(m)
    active(m, "pb-shipper")
    network(m)
    capture(m)


# --- repairing --------------------------------------------------------------

def rotten_files_are_mended_as_operations_says(m):
    m.sh("systemctl restart pb-recorder")       # seals
    path = m.sh("find %s/segments -name '*.pcapng' | head -n 1"
                % STORE).strip()
    with open(m.root + path, "r+b") as f:
        f.seek(os.path.getsize(m.root + path) * 2 // 3)
        f.write(b"\xff" * 64)
    verify, *rest = REPAIR
    m.sh(verify, status=1)
    for line in rest:
        # Findings are mended: that is what its status tells.
        m.run(line) if "--repair" in line else m.sh(line)
    active(m)
    capture(m)
    m.sh("pb verify")
    all_is_the_users(m)


def an_index_is_made_again_as_operations_says(m):
    before = count(m)
    for line in REINDEX:
        m.sh(line)
    active(m)
    check(count(m) >= before, count(m), "packets of", before)
    capture(m)
    all_is_the_users(m)


def root_imports_beside_the_recorder_and_without_it(m):
    m.sh("pb query --limit 50 -w /root/old.pcap")
    before = count(m)
    m.sh("pb import --interface old1 /root/old.pcap")
    m.sh("systemctl stop pb-recorder; "
         "pb import --interface old2 /root/old.pcap; "
         "systemctl start pb-recorder")
    active(m)
    equal(count(m, "--stream 'lon1/old*'"), 100, "packets imported")
    check(count(m) >= before + 100, count(m), "packets of", before, "+ 100")
    capture(m)
    all_is_the_users(m)


def retention_goes_on_after_all_of_it(m):
    m.sh("systemctl stop pb-shipper")
    m.sh("sed -i '/^.upstream/,$d; s|^path = .*|&\\nsegment_age = 1s\\n"
         "retain_age = 5s|' " + CONF)
    m.sh("systemctl restart pb-recorder")
    wait_until(lambda: not count(m, "--stream 'lon1/old*'"),
               "what root imported is deleted", 30, pause=0.2)
    # Else what was captured before still counts, and goes meanwhile.
    wait_until(lambda: not count(m), "all of it is deleted", 30, pause=0.2)
    active(m)
    capture(m, 20)
    for unit in ("pb-recorder", "pb-shipper"):
        check("ermission" not in m.sh("journalctl -q -b -u " + unit),
              journal(m, unit))


# --- the demo, which needs a little more ------------------------------------

def readme_shows_it_on_a_fresh_system(m):
    said = m.sh(SHOW[0], cwd=SOURCE, seconds=300)
    check("each once, byte for byte" in said, said[-1000:])


STEPS = (
    readme_installs_on_a_fresh_system,
    nothing_is_installed_that_running_does_not_need,
    systemd_finds_no_fault_in_the_units,
    the_configuration_says_what_to_fill_in,
    readme_starts_what_captures,
    a_member_of_the_group_can_look,
    the_shipper_runs_without_any_right,
    however_often_it_is_killed_it_starts_again,
    installing_again_keeps_the_configuration,
    it_captures_after_a_boot,
    rotten_files_are_mended_as_operations_says,
    an_index_is_made_again_as_operations_says,
    root_imports_beside_the_recorder_and_without_it,
    retention_goes_on_after_all_of_it,
    readme_shows_it_on_a_fresh_system,
)


def play(machine):
    """How many steps fail."""
    failed = 0
    for step in STEPS:
        try:
            step(machine)
            line = "ok root " + step.__name__
        except (Failure, OSError, ValueError, LookupError) as e:
            failed += 1
            line = "not ok root %s: %s" % (step.__name__,
                                           str(e).replace("\n", " | "))
        print(line, flush=True)
    return failed


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        need_root()
        need("debootstrap", "systemd-nspawn", "nsenter")
        with Machine() as machine:
            machine.boot()
            return 1 if play(machine) else 0
    except Skip as e:
        print("skip root: %s" % e)
        return 0


if __name__ == "__main__":
    sys.exit(main())
