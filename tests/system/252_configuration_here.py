"""./packetbroker.conf, which nobody named, is taken only where nobody but
the caller and root could have put it."""

import pty

from users import *


def here(t, name, owner=0, mode=0o644, folder_owner=0, folder_mode=0o755):
    """A directory with a configuration, and its store."""
    folder = t.path(name)
    os.mkdir(folder)
    conf = os.path.join(folder, "packetbroker.conf")
    with open(conf, "w") as f:
        f.write("[node]\nname = a\n[store]\npath = %s/s\n" % folder)
    os.chmod(conf, mode)
    os.chown(conf, owner, owner)
    os.chmod(folder, folder_mode)
    os.chown(folder, folder_owner, folder_owner)
    return folder


def pb_in(folder, *args, uid=None):
    user = as_user(uid) if uid is not None else []
    return run([*user, os.path.join(BUILD, "pb"), *args], cwd=folder,
               env={"PB_CONFIG": ""})


def one_of_roots_or_the_callers_is_taken(t):
    need_users(t)
    equal(pb_in(here(t, "own"), "status").returncode, 0, "root's, by root")
    equal(pb_in(here(t, "roots"), "status", uid=STRANGER).returncode, 0,
          "root's, by a user")
    equal(pb_in(here(t, "mine", owner=STRANGER, folder_owner=STRANGER),
                "status", uid=STRANGER).returncode, 0, "a user's, by him")
    equal(pb_in(here(t, "group", owner=STRANGER, mode=0o664,
                     folder_owner=STRANGER, folder_mode=0o775),
                "status", uid=STRANGER).returncode, 0, "with his own group")


def one_that_another_could_have_put_there_is_refused(t):
    need_users(t)
    for name, uid, how in (
            ("another's file", None, {"owner": SERVICE}),
            ("another's directory", None, {"folder_owner": SERVICE}),
            ("another's, by a user", STRANGER, {"owner": SERVICE}),
            ("a file for all", None, {"mode": 0o666}),
            ("a file for the group", None, {"mode": 0o664}),
            ("a directory for all", None, {"folder_mode": 0o1777})):
        folder = here(t, name, **how)
        for program in ("pb", "pb-recorder", "pb-shipper"):
            done = (pb_in(folder, "import", capture(t), uid=uid)
                    if program == "pb" else
                    run([os.path.join(BUILD, program)], cwd=folder,
                        env={"PB_CONFIG": ""}))
            equal(done.returncode, 2, name + ": status")
            check(b"./packetbroker.conf is not taken" in done.stderr and
                  b"-c" in done.stderr, name, "says", done.stderr)
        check(not os.path.exists(os.path.join(folder, "s")), name,
              "made a store")
        # Named, it is what the caller wants.
        if uid is None:
            done = pb_in(folder, "-c", "packetbroker.conf", "status")
            equal(done.returncode, 0, "named: %s" % done.stderr)


def a_terminal_is_told_which_one_it_is(t):
    need_users(t)
    folder = here(t, "own")
    ours, theirs = pty.openpty()
    done = subprocess.run([os.path.join(BUILD, "pb"), "status"], cwd=folder,
                          stdout=subprocess.PIPE, stderr=theirs,
                          env=dict(os.environ, PB_CONFIG=""))
    os.close(theirs)
    equal(done.returncode, 0, "status")
    said = os.read(ours, 1000)
    check(b"configuration is ./packetbroker.conf" in said, "it says", said)
    os.close(ours)
    equal(pb_in(folder, "status").stderr, b"", "no terminal")


main("252", one_of_roots_or_the_callers_is_taken,
     one_that_another_could_have_put_there_is_refused,
     a_terminal_is_told_which_one_it_is)
