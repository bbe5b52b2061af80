"""Run test programs side by side, and count what they say: see run.sh.

What a program said is printed when it has ended, so that nothing is mixed:
of unit and sim programs that passed the counts, of all others everything.
Who is not ready in time is told to end, and killed with all of its group.
"""

import concurrent.futures
import glob
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

BUILD = os.environ["BUILD"]
WRAP = shlex.split(os.environ.get("PB_WRAP", ""))
PROGRAM_SECONDS_MAX = 900   # of one unit, sim or fuzz program
SYSTEM_SECONDS_MAX = 1800   # of one file; it stops itself much earlier
END_SECONDS_MAX = 10        # from SIGTERM to SIGKILL

running = set()


def end(children):
    """They clean up where they can; nothing of them is left."""
    until = time.monotonic() + END_SECONDS_MAX
    for child in children:
        child.terminate()
    while time.monotonic() < until and any(c.poll() is None
                                           for c in children):
        time.sleep(0.05)
    for child in children:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def stop(number, frame):
    end(list(running))
    os._exit(128 + number)


def run(command, seconds):
    """(status as a shell has it, what it said)"""
    with tempfile.TemporaryFile() as out:
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as e:
            return 127, "%s\n" % e
        running.add(child)
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            end([child])
            status = 124
        running.discard(child)
        out.seek(0)
        said = out.read().decode("utf-8", "replace")
    if said and not said.endswith("\n"):
        said += "\n"
    return 128 - status if status < 0 else status, said


# Each: what it said, how many passed, failed and were skipped, and what is
# to be repeated at the end.

def cmocka_program(source):
    program = "%s/%s" % (BUILD, source[:-2])
    status, said = run(WRAP + [program], PROGRAM_SECONDS_MAX)
    passed, failed, skipped = (
        sum(int(n) for n in re.findall(
            r"^\[  %s *\] (\d+) test\(s\)" % kind, said, re.M))
        for kind in ("PASSED", "FAILED", "SKIPPED"))
    if status != 0 or failed > 0:
        return (said, passed, max(failed, 1), skipped,
                ["%s: status %d" % (program, status)])
    if passed + skipped == 0:
        return "no test ran\n", 0, 1, 0, ["%s: no test ran" % program]
    return ("".join(x + "\n" for x in said.splitlines() if re.match(
        r"\[(==========|  (PASSED|SKIPPED) *)\] \d+ test"
        r"|\[  SKIPPED \] \D", x)), passed, 0, skipped, [])


def fuzz_program(source):
    program = "%s/%s" % (BUILD, source[:-2])
    seeds = sorted(glob.glob(
        "tests/fuzz/seeds/%s/*" % program.rpartition("/fuzz_")[2]))
    if not seeds:
        return "no seeds\n", 0, 1, 0, ["%s: no seeds" % program]
    status, said = run(WRAP + [program] + seeds, PROGRAM_SECONDS_MAX)
    if status != 0:
        return said, 0, 1, 0, ["%s: status %d on its seeds" %
                               (program, status)]
    return "%d seeds survived\n" % len(seeds), 0, 0, 0, []


def system_file(path):
    status, said = run([sys.executable, "-B", path], SYSTEM_SECONDS_MAX)
    lines = said.splitlines()
    name = os.path.basename(path).partition("_")[0]
    if status != 0 and not any(x.startswith("not ok ") for x in lines):
        lines.append("not ok %s %s: status %d" % (name, path, status))
    elif not any(x.startswith(("ok ", "not ok ", "skip ")) for x in lines):
        lines.append("not ok %s %s: no test ran" % (name, path))
    passed, failed, skipped = (
        sum(x.startswith(word) for x in lines)
        for word in ("ok ", "not ok ", "skip "))
    return ("".join(x + "\n" for x in lines), passed, failed, skipped,
            [x[len("not ok "):] for x in lines if x.startswith("not ok ")])


def timed(kind, path):
    start = time.monotonic()
    done = kind(path)
    return time.monotonic() - start, done


def patience(path):
    """Seconds that a system test gives itself: main(..., seconds=N)."""
    with open(path) as f:
        found = re.search(r"seconds=(\d+)", f.read().rpartition("main(")[2])
    return int(found[1]) if found else 0


def files(names, *patterns):
    return [path for pattern in patterns for path in sorted(glob.glob(pattern))
            if not names or any(name in path for name in names)]


def main(*names):
    jobs = int(os.environ.get("PB_JOBS") or 0)
    sums, bad = [0, 0, 0], []
    for kind, workers, paths in (
            (cmocka_program, jobs or (2 if WRAP else 4),
             files(names, "tests/unit/test_*.c", "tests/sim/test_*.c")),
            (fuzz_program, jobs or 2, files(names, "tests/fuzz/fuzz_*.c")),
            # The longest first, so that none of them ends alone.
            (system_file, jobs or 3, sorted(files(
                names, "tests/system/[0-9]*.py"), key=patience,
                reverse=True))):
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            work = {pool.submit(timed, kind, path): path for path in paths}
            for one in concurrent.futures.as_completed(work):
                seconds, (said, *counts, what) = one.result()
                print("== %s (%.0f s)\n%s" % (
                    work[one].removesuffix(".c"), seconds, said), end="",
                    flush=True)
                sums = [a + b for a, b in zip(sums, counts)]
                bad += what
    if bad:
        print("\nfailed:\n  " + "\n  ".join(bad))
    print("\n%d passed, %d failed, %d skipped" % tuple(sums))
    return 0 if sums[1] == 0 else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sys.exit(main(*sys.argv[1:]))
