"""A store that goes beneath a running recorder: deleted, moved away, another
one put there.  It says so, makes nothing at the path, and begins anew; every
packet is at the core, in a store, or counted."""

from faults import *
import traffic

GONE = "error store: cannot write: the store .* "
ANEW = "store: begins anew: "
RATE = 1000


def edge_and_core(t, **kw):
    core = t.node("core", listen=True).start()
    edge = t.edge_with_traffic(upstreams={"core": core}, **kw)
    edge.start()
    return edge, core


def numbers(packets):
    """Of our frames, in the order of their sequence numbers."""
    packets = sorted(packets, key=lambda p: p.seq)
    return [traffic.number_of(p.data) for p in packets]


def query(node):
    return node.query("--stream", "edge/pb1").packets


def drops(packets):
    return sum(p.dropcount or 0 for p in packets)


def gaps(node):
    return [(g["first"], g["last"], g["reason"])
            for g in node.rows("gaps") if not g["closed"]]


def gap_size(node):
    return sum(last - first + 1 for first, last, _ in gaps(node))


def gone(*daemons, why=""):
    for daemon in daemons:
        wait_until(lambda: lines(daemon, "the store .* " + why),
                   daemon.name + " says that its store is gone")


def back(edge, times=1, seconds=10.0):
    wait_until(lambda: len(lines(edge.recorder, ANEW)) == times,
               "the recorder begins anew", seconds)
    wait_until(lambda: status(edge)["recorder"]["running"] and
               "captures" in status(edge)["live"], "pb status finds it")


def delete(path):
    """In one step: while rm works, files come."""
    os.rename(path, path + ".deleted")
    shutil.rmtree(path + ".deleted")


def told_once(edge):
    once(edge.recorder, GONE, "that the store is gone")
    once(edge.recorder, ANEW, "the new beginning")


def streams_of(node):
    return [r for r in node.rows("streams") if r["interface"] == "pb1"]


def captured(edge, last):
    """The frames up to that one; a flush may be behind the sender."""
    wait_until(lambda: last in numbers(query(edge)), "frame %d" % last)


def same_at_core(edge, core, sent):
    """One stream, all of it at the core, but for what it says is missing."""
    captured(edge, sent)
    drained(edge, core)
    equal(len(streams_of(core)), 1, "epochs of the stream at the core")
    there = query(core)
    last = streams_of(core)[0]["last_seq"]
    equal(len({p.seq for p in there}), len(there), "each number once")
    equal(len(there) + gap_size(core), last,
          "numbers at the core, as packets and as gaps")
    return there


def a_deleted_store_is_begun_anew_where_a_directory_is_made(t):
    edge, core = edge_and_core(t)
    sender = t.traffic(t.sender, "pb0", 3000, RATE)
    wait_until(lambda: len(query(core)) > 300, "packets arrive")
    delete(edge.store)
    gone(edge.recorder, edge.shipper, why="was (deleted|moved)")
    time.sleep(1)
    check(not os.path.exists(edge.store), "somebody made", edge.store)
    said = edge.pb_run("status")
    check(b"no store" in said.stdout + said.stderr, "pb status says", said)
    os.mkdir(edge.store)
    back(edge)
    sender.wait()
    told_once(edge)
    alive(edge.recorder, edge.shipper)
    there = same_at_core(edge, core, 3000)
    # What was in the store that was deleted is a gap, by number; what the
    # kernel gave meanwhile was kept, or is in a drop count.
    equal(len(there) + gap_size(core) + drops(there), 3000,
          "packets, gaps and drop counts")
    equal({reason for _, _, reason in gaps(edge)}, {"damaged"}, "reasons")
    equal(numbers(query(edge)), numbers(there)[-len(query(edge)):],
          "packets at the core")


def nothing_is_lost_where_the_same_store_comes_back(t):
    edge, core = edge_and_core(t)
    sender = t.traffic(t.sender, "pb0", 2500, RATE)
    wait_until(lambda: len(query(core)) > 300, "packets arrive")
    os.rename(edge.store, edge.store + ".away")
    gone(edge.recorder, edge.shipper, why="was moved away")
    before = tree(edge.store + ".away")
    time.sleep(1)
    check(not os.path.exists(edge.store), "somebody made", edge.store)
    equal(tree(edge.store + ".away"), before, "what is in the store")
    os.rename(edge.store + ".away", edge.store)
    back(edge)
    sender.wait()
    told_once(edge)
    there = same_at_core(edge, core, 2500)
    equal(gaps(core) + gaps(edge), [], "gaps")
    equal(numbers(there), list(range(1, 2501)), "packets at the core")
    equal(numbers(query(edge)), list(range(1, 2501)), "packets")
    equal(drops(there), 0, "drop counts")
    verified(edge)


def what_cannot_be_kept_meanwhile_is_counted(t):
    edge = t.edge_with_traffic()
    edge.start_recorder()
    t.traffic(t.sender, "pb0", 100, RATE, 8900).wait()
    wait_until(lambda: len(query(edge)) == 100, "packets are in the store")
    os.rename(edge.store, edge.store + ".away")
    gone(edge.recorder, why="was moved away")
    # More than the chunks of a capture hold, by half.
    t.traffic(t.sender, "pb0", 6000, 2500, 8900, 101).wait()
    time.sleep(1.5)
    os.rename(edge.store + ".away", edge.store)
    back(edge)
    t.traffic(t.sender, "pb0", 100, RATE, 8900, 6101).wait()
    wait_until(lambda: numbers(query(edge))[-1:] == [6200],
               "the last one is in the store")
    there = query(edge)
    equal(len(there) + drops(there), 6200, "packets and drop counts")
    check(drops(there) > 0, "all of it was kept")
    once(edge.recorder, "capturing into the store again not_kept=%d;"
         % (status(edge)["live"]["captures"][0]["store_dropped"]), "it")
    verified(edge)


def tree(path):
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            if name.endswith(".sock"):
                continue        # whoever listened there does no more
            st = os.stat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (st.st_size, st.st_mtime_ns)
    return found


def verified(node):
    node.stop()
    node.pb("verify")


def another_store_at_the_path_is_taken(t):
    edge, core = edge_and_core(t)
    other = t.node("other")
    other.start_recorder()
    equal(push(other, "x/eth0", 1, 50)[0], 200, "a push")
    other.stop()
    sender = t.traffic(t.sender, "pb0", 2000, RATE)
    wait_until(lambda: len(query(core)) > 300, "packets arrive")
    os.rename(edge.store, edge.store + ".away")
    os.rename(other.store, edge.store)
    gone(edge.recorder, edge.shipper, why="was moved away")
    back(edge)
    check("another store is there" in once(edge.recorder, ANEW, "it"),
          edge.recorder.tail())
    sender.wait()
    there = same_at_core(edge, core, 2000)
    equal(len(core.query("--stream", "x/eth0").packets), 50, "of the other")
    # What is not at the core is in the store that was moved away.
    edge.stop()
    os.rename(edge.store, other.store)
    os.rename(edge.store + ".away", edge.store)
    edge.pb("verify", "--repair")
    old = query(edge)
    equal(len(set(numbers(old) + numbers(there))) + drops(there), 2000,
          "packets at the core, in the old store, or counted")


def a_store_without_a_directory_is_made_again_after_a_while(t):
    edge = t.edge_with_traffic()
    edge.start_recorder()
    t.traffic(t.sender, "pb0", 200, RATE).wait()
    wait_until(lambda: len(query(edge)) == 200, "packets are in the store")
    # One that takes its time: the index goes after the recorder has.
    shutil.rmtree(os.path.join(edge.store, "segments"))
    gone(edge.recorder, why="lost a file")
    shutil.rmtree(edge.store)
    t.traffic(t.sender, "pb0", 200, RATE, 200, 201).wait()
    back(edge, seconds=20.0)
    wait_until(lambda: len(query(edge)) == 200, "packets are in the store")
    equal(numbers(query(edge)), list(range(201, 401)), "packets")
    equal(gaps(edge), [(1, 200, "damaged")], "gaps")
    told_once(edge)
    verified(edge)


def ingest_answers_503_and_senders_send_again(t):
    core = t.node("core", listen=True)
    core.start_recorder()
    equal(push(core, "x/eth0", 1, 100)[0], 200, "a push")
    delete(core.store)
    wait_until(lambda: push(core, "x/eth0", 101, 110)[0] == 503, "503")
    refused(push(core, "x/eth0", 101, 110), "the store ", "a push")
    os.mkdir(core.store)
    wait_until(lambda: lines(core.recorder, ANEW), "it begins anew")
    wait_until(lambda: push(core, "x/eth0", 101, 110)[0] == 409,
               "a sender hears that all of it is wanted")
    equal(push(core, "x/eth0", 1, 110)[0], 200, "a push")
    equal(len(core.query("--stream", "x/eth0").packets), 110, "packets")


def a_file_deleted_while_it_is_written_becomes_a_gap(t):
    edge = t.edge_with_traffic()
    edge.start_recorder()
    sender = t.traffic(t.sender, "pb0", 1500, RATE)
    wait_until(lambda: len(query(edge)) > 200, "packets are in the store")
    shutil.rmtree(os.path.join(edge.store, "segments"))
    gone(edge.recorder, why="lost a file")
    back(edge)
    sender.wait()
    wait_until(lambda: edge.streams() and
               streams_of(edge)[0]["last_seq"] >= 1500, "all is written")
    there = query(edge)
    equal(len(there) + gap_size(edge) + drops(there), 1500,
          "packets, gaps and drop counts")
    equal({reason for _, _, reason in gaps(edge)}, {"damaged"}, "reasons")


def a_store_that_could_not_be_opened_is_left_for_the_one_in_its_place(t):
    core = t.node("core", listen=True).start()
    edge = t.node("edge", upstreams={"core": core})
    edge.pb("import", "--interface", "eth0", t.write("a.pcap", samples.pcap(
        "<", samples.MAGIC_NS, [(samples.T0 + n, n, samples.eth(n, 200), 200)
                                for n in range(50)])))
    good = edge.store + ".good"
    shutil.copytree(edge.store, good)
    open(os.path.join(edge.store, "shipper"), "w").close()
    edge.start_shipper()
    wait_until(lambda: "shipper:" in edge.shipper.text() and
               "warn" in edge.shipper.text(), "it cannot be opened")
    shutil.rmtree(edge.store)
    os.rename(good, edge.store)
    wait_until(lambda: sum(core.ends().values()) == 50, "50 packets", HEALED)


def killed_while_it_begins_anew_it_gives_no_number_twice(t):
    edge, core = edge_and_core(t)
    sender = t.traffic(t.sender, "pb0", 8000, RATE)
    wait_until(lambda: len(query(core)) > 200, "packets arrive")
    for delay in (0.5, 0.52, 0.55, 0.6):
        delete(edge.store)
        gone(edge.recorder, why="was (deleted|moved)")
        os.mkdir(edge.store)
        time.sleep(delay * SLOW ** 0.5)
        edge.recorder.kill()
        edge.start_recorder()
    sender.kill()
    t.traffic(t.sender, "pb0", 200, RATE, 200, 10001).wait()
    wait_until(lambda: query(edge) and numbers(query(edge))[-1] == 10200,
               "the last one is in the store")
    drained(edge, core)
    seen = {}
    for p in query(core):
        n = traffic.number_of(p.data)
        check(n not in seen, "frame", n, "is at the core twice")
        seen[n] = p
    missing = [n for n in numbers(query(edge)) if n not in seen]
    equal(missing, [], "frames at the edge that the core has not")


def it_ends_cleanly_while_its_store_is_gone(t):
    edge = t.edge_with_traffic()
    edge.start_recorder()
    t.traffic(t.sender, "pb0", 100, 0).wait()
    delete(edge.store)
    gone(edge.recorder, why="was (deleted|moved)")
    t.traffic(t.sender, "pb0", 70, 0, 200, 101).wait()
    time.sleep(0.5)     # for the kernel to give them out
    edge.recorder.stop()
    check(not os.path.exists(edge.store), "somebody made", edge.store)
    check("70 packets lost, the store could not take them" in
          edge.recorder.text(), edge.recorder.tail())


if __name__ == "__main__":
    main("240", a_deleted_store_is_begun_anew_where_a_directory_is_made,
         nothing_is_lost_where_the_same_store_comes_back,
         what_cannot_be_kept_meanwhile_is_counted,
         another_store_at_the_path_is_taken,
         a_store_without_a_directory_is_made_again_after_a_while,
         ingest_answers_503_and_senders_send_again,
         a_file_deleted_while_it_is_written_becomes_a_gap,
         a_store_that_could_not_be_opened_is_left_for_the_one_in_its_place,
         killed_while_it_begins_anew_it_gives_no_number_twice,
         it_ends_cleanly_while_its_store_is_gone, seconds=120)
