#!/usr/bin/env python3
"""Every measurement in one run, beside the peers, and one table of it.

    bench.py [--quick | --smoke] [--rounds N] [--only ROW,...] [--json FILE]
             [--against BUILD] [--list]

The rows come from the modules below: each has ROWS, a tuple of (name, what,
function), and the function takes a kit.Row.  The table goes to standard
output, progress to standard error, all figures to FILE (BUILD/bench.json).
All that is written on the way goes to TMPDIR (/var/tmp), which has to be on
a disk, and is removed; so is what was started, whatever ends the run.

--quick has fewer packets and one round; --smoke hardly any packets: it only
shows that each row still works.  Status: 0 all was measured (a goal that is
not reached is told, and is no error), 1 something could not be, 2 usage.
--against BUILD measures another build of ours instead of the peers
(against.py): status 1 where a figure is worse by more than 5 %.
"""

import argparse
import contextlib
import importlib

import against
import kit
from kit import *

MODULES = ("capture", "forwarding", "importing", "scale", "memory", "search",
           "ship", "relay", "pull", "audit", "wire", "transmit", "replay",
           "stamps")
ROUNDS = 3
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
DISK_GIB = {"full": 26, "quick": 4, "smoke": 1}     # what all may need
QUIET_SECONDS = {"full": 10, "quick": 2, "smoke": 0}    # patience for it
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs", "devtmpfs", "rootfs")
PACKAGES = ("netsniff-ng", "wireshark-common", "tcpdump", "stenographer",
            "rsync", "iperf3", "nginx", "curl", "tcpreplay")


def arguments():
    p = argparse.ArgumentParser(
        description="Measure PacketBroker beside its peers.")
    mode = p.add_mutually_exclusive_group()
    mode.add_argument("--quick", dest="mode", action="store_const",
                      const="quick", default="full",
                      help="fewer packets, one round; under two minutes")
    mode.add_argument("--smoke", dest="mode", action="store_const",
                      const="smoke", help="hardly any packets, one round: "
                      "does each row still work?")
    p.add_argument("--rounds", type=int, metavar="N",
                   help="rounds of each row (%d)" % ROUNDS)
    p.add_argument("--only", metavar="ROW,...", help="these rows alone; "
                   "all whose names begin so; =ROW that one")
    p.add_argument("--json", metavar="FILE", help="where the figures go "
                   "(BUILD/bench.json)")
    p.add_argument("--against", metavar="BUILD", help="side by side with "
                   "the programs in this folder, without the peers")
    p.add_argument("--list", action="store_true", help="name the rows")
    args = p.parse_args()
    if args.rounds is None:
        args.rounds = ROUNDS if args.mode == "full" else 1
    if args.rounds < 1:
        p.error("--rounds: at least 1")
    args.rows = wanted(p, args.only)
    return args


def collect():
    rows = []
    for name in MODULES:
        if os.path.exists(os.path.join(os.path.dirname(
                os.path.abspath(__file__)), name + ".py")):
            rows += importlib.import_module(name).ROWS
    return rows


def wanted(parser, only):
    rows = collect()
    if not only:
        return rows
    names = only.split(",")
    for name in names:
        if not any(named(r[0], name) for r in rows):
            parser.error("--only: no row '%s'; there are %s"
                         % (name, ", ".join(r[0] for r in rows)))
    return [r for r in rows if any(named(r[0], n) for n in names)]


def named(row, name):
    """`=NAME` is that one alone."""
    return row == name[1:] if name[:1] == "=" else row.startswith(name)


def file_system(path):
    """(type, mount point) of what `path` is on."""
    path = os.path.realpath(path)
    best = ("", "")
    with open("/proc/self/mounts") as f:
        for line in f:
            _, where, kind = line.split()[:3]
            inside = path == where or path.startswith(where.rstrip("/") + "/")
            if inside and len(where) >= len(best[1]):
                best = (kind, where)
    return best


def disk_or_die(folder):
    kind, where = file_system(folder)
    if kind in MEMORY_FILE_SYSTEMS:
        sys.exit("bench: %s is in memory (%s on %s): set TMPDIR to a folder "
                 "on the disk to measure" % (folder, kind, where))
    return kind


def enough_disk(folder, mode):
    """With what earlier rows have left there for later ones."""
    there = os.statvfs(folder)
    free = there.f_bavail * there.f_frsize
    for inside, _, names in os.walk(folder):
        free += sum(os.lstat(os.path.join(inside, n)).st_size for n in names)
    if free < DISK_GIB[mode] << 30:
        skip("%s has room for %.1f GiB, %d are needed: make room, or set "
             "TMPDIR" % (folder, free / (1 << 30), DISK_GIB[mode]))


def versions():
    """Of the peers, where there is a package manager to ask."""
    out = {}
    if shutil.which("dpkg-query"):
        for name in PACKAGES:
            done = run(["dpkg-query", "-W", "-f", "${Version}", name])
            if done.returncode == 0 and done.stdout:
                out[name] = done.stdout.decode()
    return out


def measure(spec, args):
    """One row, with all it starts and makes gone afterwards."""
    name, what, function = spec
    t = Test()
    row = Row(t, name, what, args.rounds, args.mode)
    bad, before = None, len(disturbed)
    start = time.monotonic()
    try:
        enough_disk(tempfile.tempdir, args.mode)
        function(row)
    except Skip as e:
        bad = str(e)
    except (Failure, OSError, KeyError, ValueError, IndexError, TypeError,
            AttributeError, subprocess.SubprocessError,
            http.client.HTTPException) as e:
        bad = str(e) if isinstance(e, Failure) else repr(e)
        if os.environ.get("PB_TRACE"):
            traceback.print_exc()
    finally:
        with undisturbed():
            t.close(False)
    if bad:
        say(name, "NOT MEASURED:", bad.replace("\n", " | "))
    row.failed, row.disturbed = bad, len(disturbed) - before
    row.seconds = time.monotonic() - start
    return row


@contextlib.contextmanager
def undisturbed():
    """A signal that comes meanwhile waits: it must leave nothing behind."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def head(about):
    versions = ", ".join("%s %s" % v for v in about["versions"].items())
    return ("## Benchmark of %s\n\n%s, %d CPUs, Linux %s, %s; a fresh page "
            "of memory costs %d ns.  %s run, %d rounds.%s\n" % (
                about["date"], about["cpu"], about["cpus"], about["kernel"],
                about["file_system"], about["page_ns"],
                about["mode"].capitalize(), about["rounds"],
                "  Peers: %s." % versions if versions else ""))


def main():
    args = arguments()
    if args.list:
        for name, what, _ in args.rows:
            print("%-16s %s" % (name, what))
        return 0
    if not IS_ROOT:
        sys.exit("bench: needs root, for network namespaces and raw packets")
    for program in ("pb-recorder", "pb-shipper", "pb"):
        if not os.access(os.path.join(BUILD, program), os.X_OK):
            sys.exit("bench: no %s in %s: run 'make'" % (program, BUILD))
    for number in SIGNALS:
        signal.signal(number, stopped)
    args.json = args.json or os.path.join(BUILD, "bench.json")
    if args.against:
        return against.report(args, against.measure(args, BUILD))
    kit.QUIET_SECONDS_MAX = QUIET_SECONDS[args.mode]
    top = os.environ.get("TMPDIR") or "/var/tmp"
    about = dict(machine(), file_system=disk_or_die(top), mode=args.mode,
                 rounds=args.rounds, versions=versions())
    tempfile.tempdir = tempfile.mkdtemp(prefix="pb-bench-", dir=top)
    try:
        os.chmod(tempfile.tempdir, 0o755)
        rows = [measure(one, args) for one in args.rows]
    finally:
        with undisturbed():
            shutil.rmtree(tempfile.tempdir, ignore_errors=True)
    return report(about, rows, args.json)


def stopped(number, frame):
    raise SystemExit(128 + number)


def report(about, rows, path):
    about["rows"] = [row.as_json() for row in rows]
    with open(path + ".new", "w") as f:
        json.dump(about, f, indent=1)
        f.write("\n")
    os.rename(path + ".new", path)
    print(head(about) + table(about["rows"]), end="")
    missing = [r.name for r in rows if r.failed or r.skipped]
    if missing:
        print("bench: not all was measured: " + ", ".join(missing),
              file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
