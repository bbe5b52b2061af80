"""Stock tools read every file in the store at any moment, the open one too."""

import os
import threading

from harness import *
import traffic

# Said on standard error by a tool at work; anything else is a complaint.
FILE_NAMED = b"reading from file "
AS_ROOT = b'Running as user "root" and group "root". This could be dangerous.'
SEALED_SAMPLE = 10      # looked at by all tools after the end


def complaint(argv):
    """What a tool says against a file; "" for none."""
    done = run(argv)
    said = [line for line in done.stderr.splitlines()
            if line.strip() and line != AS_ROOT and
            not line.startswith(FILE_NAMED)]
    if done.returncode == 0 and not said:
        return ""
    return "%s: status %d: %s" % (" ".join(argv), done.returncode,
                                  b" | ".join(said).decode(errors="replace"))


def complaints(path):
    return [c for c in (
        complaint(["tcpdump", "-n", "-r", path, "-w", "/dev/null"]),
        complaint(["tshark", "-n", "-r", path, "-w", "/dev/null"]),
        complaint(["capinfos", path])) if c]


def look(path, looked):
    """One look at one file while it may grow, be sealed or be renamed."""
    bad = complaints(path)
    # Sealed meanwhile: it has its other name now.
    if bad and not os.path.exists(path):
        return
    check(not bad, "; ".join(bad))
    looked["open" if path.endswith(".open") else "sealed"] += 1


def stock_tools_read_every_file_at_any_moment(t):
    need("tcpdump", "tshark", "capinfos")
    edge = t.edge_with_traffic(store=["segment_size = 1MiB",
                                      "segment_age = 3s"])
    edge.start()
    looked = {"open": 0, "sealed": 0}
    done = set()
    # Slow: a few packets a flush.  Fast: many, and segments that change.
    # Again where the tools take so long that they have seen too few.
    kinds = [(40, 120, 100), (6000, 15000, 700), (0, 30000, 1400),
             (500, 1000, 1400)]
    while kinds or looked["open"] < 5 or looked["sealed"] < 2:
        rate, count, size = kinds.pop(0) if kinds else (500, 1000, 1400)
        job = t.traffic(t.sender, "pb0", count, rate, size)
        while job.poll() is None:
            for path in edge.files():
                if path.endswith(".open"):
                    look(path, looked)
            fresh = [f for f in edge.files()
                     if f.endswith(".pcapng") and f not in done]
            if fresh and job.poll() is None:
                look(fresh[-1], looked)
                done.add(fresh[-1])
    edge.stop()
    files = edge.files()
    check(all(f.endswith(".pcapng") for f in files), "left open:",
          [f for f in files if f.endswith(".open")])
    for path in random.sample(files, min(SEALED_SAMPLE, len(files))):
        look(path, looked)
    # tcpdump is quick enough for every one.
    for path in files:
        bad = complaint(["tcpdump", "-n", "-r", path, "-w", "/dev/null"])
        check(not bad, bad)


def a_tshark_that_follows_sees_every_packet(t):
    need("tshark", "tail")
    edge = t.edge_with_traffic()
    edge.start()
    t.traffic(t.sender, "pb0", 10, 100).wait()
    opened = wait_until(lambda: [f for f in edge.files()
                                 if f.endswith(".open")], "an open file")[0]
    tail = t.spawn(["tail", "-c", "+1", "-s", "0.1", "-f", opened],
                   stdout=subprocess.PIPE)
    shark = t.spawn(["tshark", "-n", "-l", "-r", "-", "-T", "fields",
                     "-e", "frame.packet_id"], stdin=tail.stdout,
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seen = []
    reader = threading.Thread(
        target=lambda: seen.extend(int(x) for x in shark.stdout), daemon=True)
    reader.start()
    total = 10
    for count, rate, size in ((50, 50, 90), (3000, 3000, 500), (20, 40, 60)):
        t.traffic(t.sender, "pb0", count, rate, size).wait()
        total += count
    wait_until(lambda: len(seen) >= total, "every packet at tshark (%d)"
               % total, 15)
    equal(seen, list(range(1, total + 1)), "numbers that tshark saw")
    check(os.path.exists(opened), "the segment was sealed too early")


def the_format_is_clean_by_tsharks_own_dissector(t):
    """tshark dissects the file itself: blocks, options, padding."""
    need("tshark")
    edge = t.edge_with_traffic()
    edge.start()
    for _ in range(5):
        t.traffic(t.sender, "pb0", 200, 4000, 333).wait()
    edge.stop()
    for path in edge.files():
        out = must(["tshark", "-X", "read_format:MIME Files Format", "-r",
                    path, "-Y", "pcapng.block_lengths_dont_match || "
                    "pcapng.block_length_not_multiple_of4 || "
                    "pcapng.invalid_option_length || pcapng.no_interfaces "
                    "|| pcapng.invalid_byte_order_magic"])
        equal(out, b"", path)


if __name__ == "__main__":
    main("050", stock_tools_read_every_file_at_any_moment,
         a_tshark_that_follows_sees_every_packet,
         the_format_is_clean_by_tsharks_own_dissector)
