"""The benchmark measures, tells what it could not, and leaves nothing.

The rows here need no peer that is not installed for the other tests, and
have hardly any packets: no figure means anything, and none is looked at.
With PB_FULL=1 every row is run so, where its peers are installed.
"""

import glob

from harness import *

BENCH = os.path.join(ROOT, "tests", "bench", "bench.py")
CHEAP = "import,memory-streams"
TOOLS = ("capinfos", "tcpdump", "sync", "taskset", "ip", "nsenter", "sh")


class Disk:
    """A folder for the benchmark's files, which wants no memory file
    system."""

    def __init__(self, t):
        need_root()
        self.json = t.path("bench.json")
        self.top = tempfile.mkdtemp(dir="/var/tmp")
        self.env = {"TMPDIR": self.top, "BUILD": BUILD}

    def __enter__(self):
        kind = must(["stat", "-f", "-c", "%T", self.top]).decode().strip()
        if kind in ("tmpfs", "ramfs"):
            shutil.rmtree(self.top)
            skip("/var/tmp is in memory: " + kind)
        return self

    def __exit__(self, *why):
        shutil.rmtree(self.top)

    def argv(self, *args):
        return [sys.executable, "-B", BENCH, "--json", self.json, *args]

    def bench(self, *args, **env):
        done = run(self.argv(*args), seconds=50, env=dict(self.env, **env))
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def rows(self):
        with open(self.json) as f:
            return {row["row"]: row for row in json.load(f)["rows"]}

    def left(self):
        """Files and processes of a run, by name and command line."""
        out = os.listdir(self.top)
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            with contextlib.suppress(OSError), open(path, "rb") as f:
                line = f.read().decode("utf-8", "replace")
                if self.top in line:
                    out.append(line.replace("\0", " "))
        return out


def namespaces():
    return set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") \
        else set()


def every_row_has_its_figures_in_table_and_json(t):
    need("editcap", *TOOLS)
    with Disk(t) as disk:
        status, table, said = disk.bench("--smoke", "--only", CHEAP)
        equal(status, 0, "status, having said " + said)
        rows = disk.rows()
        equal(sorted(rows), sorted(CHEAP.split(",")), "rows")
        for name, row in rows.items():
            check("### " + name in table, name, "is not in the table")
            check(row["subjects"] and row["goals"], name, "is empty")
            for subject, figures in row["subjects"].items():
                check("| %s |" % subject in table, subject, "has no line")
                for figure, of in figures.items():
                    check(of["values"] and of["median"] >= 0, name, subject,
                          figure, of)
            for goal in row["goals"]:
                check(goal["have"] is not None, name, "lacks", goal)
        equal(disk.left(), [], "left behind")


def a_missing_peer_is_told_and_the_rest_is_measured(t):
    need(*TOOLS)
    tools = t.path("tools")
    os.mkdir(tools)
    # What daemons are wrapped in is no peer.
    for name in (*TOOLS, *os.environ.get("PB_WRAP", "").split()[:1]):
        os.symlink(shutil.which(name), os.path.join(tools, name))
    with Disk(t) as disk:
        status, table, said = disk.bench("--smoke", "--only", "import,scale",
                                         PATH=tools)
        equal(status, 1, "status")
        check("not all was measured: import, scale" in said, said)
        row = disk.rows()["import"]
        equal(row["skipped"], {"editcap -F pcapng": "not installed"}, "skipped")
        check("tcpdump -r -w" in row["subjects"], "tcpdump was not measured")
        check("- not measured: editcap -F pcapng: not installed" in table,
              table)
        row = disk.rows()["scale"]
        check("trafgen" in row["failed"], row)
        check("- not measured: " + row["failed"] in table, table)


def a_signal_ends_it_and_nothing_is_left(t):
    with Disk(t) as disk:
        for number in (signal.SIGINT, signal.SIGTERM):
            child = t.spawn(disk.argv("--smoke", "--only", "memory-streams"),
                            env=dict(os.environ, **disk.env),
                            stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
            wait_until(lambda: child.poll() is not None or
                       any("pb-recorder" in one for one in disk.left()),
                       "it starts a recorder")
            equal(child.poll(), None, "status before the signal")
            child.send_signal(number)
            equal(child.wait(20 * SLACK), 128 + number, "status")
            equal(disk.left(), [], "left behind by %s" % number.name)
            equal([n for n in namespaces() if "-%d-" % child.pid in n], [],
                  "namespaces left behind")
            check(not os.path.exists(disk.json), "it wrote", disk.json)


def what_it_cannot_use_is_refused(t):
    with Disk(t) as disk:
        status, _, said = disk.bench("--only", "nonsense")
        equal(status, 2, "status of an unknown row")
        check("no row 'nonsense'; there are capture-1500" in said, said)
        if os.path.ismount("/dev/shm"):
            done = run(disk.argv(), env=dict(disk.env, TMPDIR="/dev/shm"))
            equal(done.returncode, 1, "status of files in memory")
            check(b"/dev/shm is in memory" in done.stderr, done.stderr)


def every_row_still_works(t):
    if not os.environ.get("PB_FULL"):
        skip("with PB_FULL=1")
    need("trafgen", "stenotype", "nginx", "rsync", "iperf3", "ethtool")
    with Disk(t) as disk:
        done = run(disk.argv("--smoke"), seconds=300, env=disk.env)
        equal(done.returncode, 0, "status, having said " +
              done.stderr.decode())
        equal(disk.left(), [], "left behind")


main(170, every_row_has_its_figures_in_table_and_json,
     a_missing_peer_is_told_and_the_rest_is_measured,
     a_signal_ends_it_and_nothing_is_left,
     what_it_cannot_use_is_refused,
     every_row_still_works,
     seconds=400 if os.environ.get("PB_FULL") else FILE_SECONDS_MAX)
