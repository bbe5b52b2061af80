"""Run test files side by side: mostly they wait.

    together.py JOBS SECONDS FILE...

Prints what each file said when it has ended.  A file that does not end
within SECONDS, or fails without saying of what, gets a line `not ok`.
"""

import concurrent.futures
import os
import signal
import subprocess
import sys

running = set()


def run(path, seconds):
    """(path, what it said)"""
    child = subprocess.Popen(
        [sys.executable, "-B", path], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    running.add(child)
    try:
        said, status = child.communicate(timeout=seconds)[0], child.wait()
    except subprocess.TimeoutExpired:
        child.kill()
        said, status = child.communicate()[0], "%d s are over" % seconds
    running.discard(child)
    said = said.decode("utf-8", "replace")
    lines = said.splitlines()
    name = os.path.basename(path).partition("_")[0]
    if status != 0 and not any(x.startswith("not ok ") for x in lines):
        said += "not ok %s %s: status %s\n" % (name, path, status)
    elif not any(x.startswith(("ok ", "not ok ", "skip ")) for x in lines):
        said += "not ok %s %s: no test ran\n" % (name, path)
    return path, said


def stop(number, frame):
    for child in list(running):
        child.terminate()
    os._exit(128 + number)


def main(jobs, seconds, *paths):
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with concurrent.futures.ThreadPoolExecutor(int(jobs)) as pool:
        work = [pool.submit(run, path, int(seconds)) for path in paths]
        for one in concurrent.futures.as_completed(work):
            path, said = one.result()
            print("== %s\n%s" % (path, said), end="", flush=True)


main(*sys.argv[1:])
