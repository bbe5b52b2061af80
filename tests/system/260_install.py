"""What `make install` puts where; tests/root has it in a fresh system."""

from harness import *

PROGRAMS = ("sbin/pb-recorder", "sbin/pb-shipper", "bin/pb")
DATA = ("share/man/man1/pb.1", "share/man/man5/packetbroker.conf.5",
        "share/man/man8/pb-recorder.8", "share/man/man8/pb-shipper.8",
        "share/doc/packetbroker/README.md",
        "share/doc/packetbroker/examples/edge.conf",
        "share/bash-completion/completions/pb",
        "lib/systemd/system/pb-recorder.service",
        "lib/systemd/system/pb-shipper.service",
        "lib/sysusers.d/packetbroker.conf",
        "lib/tmpfiles.d/packetbroker.conf")
CONF = "etc/packetbroker/packetbroker.conf"


def install(t):
    """Into a folder of the test, for /usr."""
    into = t.path("image")
    must(["make", "-s", "-C", ROOT, "BUILD=" + os.path.relpath(BUILD, ROOT),
          "PREFIX=/usr", "DESTDIR=" + into, "install"], seconds=120)
    return into


def all_is_put_below_destdir(t):
    need("make")
    into = install(t)
    for path in PROGRAMS:
        check(os.access(os.path.join(into, "usr", path), os.X_OK), path)
    for path in DATA:
        with open(os.path.join(into, "usr", path)) as f:
            text = f.read()
        check(text and "@PREFIX@" not in text, "unfinished:", path)
    mode = os.stat(os.path.join(into, os.path.dirname(CONF))).st_mode
    equal(mode & 0o777, 0o750, "mode of /etc/packetbroker")


def the_configuration_says_what_to_fill_in_and_is_never_replaced(t):
    need("make")
    conf = os.path.join(install(t), CONF)
    for line, text, words in (
            ("name =", "name = lon1", "[node] name: '' is no node name; "
             "write 1 to 64 letters, digits, . _ -"),
            ("[capture]", "[capture eth0]", "[capture]: needs a name; write "
             "it like [capture eth0]")):
        done = run([os.path.join(BUILD, "pb-recorder"), "-c", conf, "-t"])
        said = done.stderr.decode()
        equal((done.returncode, said.count("\n")), (2, 1), said)
        check(words in said, "it says", said)
        with open(conf) as f:
            before = f.read()
        with open(conf, "w") as f:
            f.write(before.replace("\n%s\n" % line, "\n%s\n" % text))
    must([os.path.join(BUILD, "pb-recorder"), "-c", conf, "-t"])
    with open(conf) as f:
        filled = f.read()
    install(t)
    with open(conf) as f:
        equal(f.read(), filled, "the configuration, installed over")


def no_unit_gives_up_or_has_a_right_that_nothing_uses(t):
    for unit, rights in (("pb-recorder", "CAP_NET_RAW CAP_NET_ADMIN"),
                         ("pb-shipper", "")):
        with open(os.path.join(ROOT, "conf", unit + ".service.in")) as f:
            keys = dict(line.strip().split("=", 1) for line in f
                        if "=" in line and not line.startswith("#"))
        equal(keys["StartLimitIntervalSec"], "0", unit + " gives up")
        equal(keys["Restart"], "on-failure", unit)
        equal((keys["CapabilityBoundingSet"], keys["AmbientCapabilities"]),
              (rights, rights), unit + "'s rights")


if __name__ == "__main__":
    main("260", all_is_put_below_destdir,
         the_configuration_says_what_to_fill_in_and_is_never_replaced,
         no_unit_gives_up_or_has_a_right_that_nothing_uses)
