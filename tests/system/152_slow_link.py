"""A link of 50 kbit/s makes steady progress, and sends next to nothing twice.

The numbers of an ordinary request do not fit such a link: 1 MiB takes
three minutes.
"""

from faults import *
import samples

COUNT = 130


def a_slow_link_makes_steady_progress(t):
    core = t.node("core", listen=True,
                  extra="idle_timeout = 3s\nhead_timeout = 3s\n")
    door = SlowDoor(core.port)
    edge = t.node("edge", upstreams={"core": [
        door.url, "answer_timeout = 3s"]})
    core.start_recorder()
    edge.start_recorder()
    # 100 KB, 16 s of the link: in one request nothing would move for long.
    edge.pb("import", "--interface", "eth0", t.write(
        "a.pcap", samples.pcap("<", samples.MAGIC_NS, [
            (samples.T0 + n, n, samples.eth(n, 700), 700)
            for n in range(COUNT)])))
    bytes_all = sum(os.path.getsize(p) for p in edge.files())
    edge.start_shipper()
    begin = moved = time.monotonic()
    acked, longest = 0, 0.0
    while acked < COUNT:
        now = time.monotonic()
        has = sum(core.ends().values())
        if has > acked:
            acked, moved = has, now
        longest = max(longest, now - moved)
        check(now - begin < 40 * SLACK, "after 40 s it has", acked,
              "of", COUNT, "sent", door.sent[True], "of", bytes_all,
              edge.shipper.tail())
        time.sleep(0.1)
    check(longest < 13 * SLACK, "no progress for", longest, "s")
    check(door.sent[True] < 1.3 * bytes_all, door.sent[True], "bytes went up for",
          bytes_all)
    check("backing off" not in edge.shipper.text(), edge.shipper.text())
    check("cause=408" not in core.recorder.text(), core.recorder.text())
    equal(by_stream(core.query()), by_stream(edge.query()), "packets")


if __name__ == "__main__":
    main("152", a_slow_link_makes_steady_progress)
