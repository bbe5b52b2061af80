"""What reading the stamps of switches costs a packet: tests/bench/trailers.

Processor time of one thread, so that others on the machine count little; of
each list the fastest round, which nothing disturbed, and the one in the
middle.
"""

from kit import *

TRAILERS = os.path.join(BUILD, "tests", "bench", "trailers")
ROUNDS_FULL, ROUNDS_QUICK = 1001, 101
GOAL_NS = 30
OF_TWO = ("metamako,metamako", "exablaze,metamako", "exablaze,exablaze")


def measure(row):
    check(os.access(TRAILERS, os.X_OK), "no", TRAILERS, ": run 'make bench'")
    inner = row.amount(ROUNDS_FULL, ROUNDS_QUICK)
    row.scope = "%d times 10 passes over 1 MiB of frames a round" % inner
    for _ in row.rounds():
        quiet()
        for line in must([TRAILERS, str(inner)],
                         seconds=120).decode().splitlines():
            fastest, middle, name = line.split(None, 2)
            row.note(OURS + ", " + name, "CPU ns/packet", float(fastest))
            row.note(OURS + ", " + name, "of the middle round",
                     float(middle))
    for name in OF_TWO:
        row.goal("at most %d ns for %s" % (GOAL_NS, name),
                 row.median(OURS + ", " + name, "CPU ns/packet"),
                 most=GOAL_NS)


ROWS = (
    ("trailers", "Frames of 64 to 963 bytes with trailers, as they lie in a "
     "chunk of a capture: each is read by its list, and the innermost stamp "
     "chosen. `none` is what a packet costs without a trailer.", measure),
)
