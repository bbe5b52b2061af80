"""Root works on a store of the service's user: the documented repair leaves
a recorder that runs, and what root did make there harms one thing only."""

from users import *

MIB = "segment_size = 1MiB"


def pages():
    """The commands of operations.md that mend."""
    with open(os.path.join(ROOT, "docs", "operations.md")) as f:
        return f.read()


def the_documented_repair_by_root_leaves_a_recorder_that_runs(t):
    check("pb verify --repair" in pages() and "pb reindex" in pages(),
          "the pages have another repair")
    node = owned_node(t)
    recorder = start(t, node)
    equal(pb_as(SERVICE, node, "import", "-", stdin=open(
        capture(t), "rb").read()).returncode, 0, "an import")
    recorder.stop()
    rot(node)
    os.umask(0o077)         # an operator's
    for command in (["verify", "--repair"], ["reindex"],
                    ["import", "--interface", "old", capture(t, "o.pcap")]):
        done = node.pb_run(*command)
        equal(done.returncode, 0, "pb %s: %s" % (command, done.stderr))
        equal(not_of(node), [], "not its user's after " + command[0])
        start(t, node).stop()
    os.umask(0o022)
    equal(len(node.query().packets), 20, "packets")
    equal(node.pb_run("verify").returncode, 0, "pb verify")


def an_import_by_root_into_a_store_to_come_is_its_directorys(t):
    node = owned_node(t)
    node.store += "/below/it"
    with open(node.conf, "w") as f:
        f.write("[node]\nname = a\n[store]\npath = %s\nmin_free = 0\n"
                % node.store)
    node.pb("import", capture(t))
    equal(os.stat(node.store).st_uid, SERVICE, "whose it is")
    equal(not_of(node), [], "not its user's")
    node.pb("import", "--interface", "again", capture(t))
    start(t, node).stop()


def what_root_imported_is_shipped_and_deleted(t):
    core = t.node("core", listen=True)
    core.start()
    node = owned_node(t, upstreams={"core": core},
                      store=[MIB, "retain_size = 4MiB"])
    node.pb("import", "--interface", "old", capture(t, "s", 1000, 1300))
    recorder, shipper = start(t, node), start(t, node, "pb-shipper")
    big = capture(t, "b", 8000, 1300)
    drained(node, core)
    node.pb("import", "--interface", "new", big)
    wait_until(lambda: node.rows("status")[0]["retention"]["bytes"] <=
               4 << 20, "retention keeps its bound", 30)
    drained(node, core)
    equal(not_of(node), [], "not its user's")
    equal(sorted(r["interface"] for r in core.rows("streams")),
          ["new", "old"], "streams of core")
    check("Permission" not in recorder.text() + shipper.text(),
          recorder.tail(), shipper.tail())


def retention_passes_over_what_it_cannot_delete_and_says_so_once(t):
    node = owned_node(t, store=[MIB, "retain_size = 8MiB"])
    for stream in ("old", "older"):
        node.pb("import", "--interface", stream, capture(t, "s", 1500, 1300))
        folder = os.path.join(node.store, "segments", "a", stream)
        for path, _, names in os.walk(folder):
            for one in [path] + [os.path.join(path, n) for n in names]:
                os.chown(one, 0, 0)
    recorder = start(t, node)
    wait_until(lambda: "chown -R" in recorder.text() and "segments/a/old" in
               recorder.text(), "it says so")
    for n in range(3):
        node.pb("import", "--interface", "new%d" % n,
                capture(t, "b", 4000, 1300))
    wait_until(lambda: node.rows("status")[0]["retention"]["bytes"] <=
               8 << 20, "retention keeps its bound", 30)
    for line in recorder.says("passed over", 2):
        check("is root's" in line and "Fix: 'chown -R" in line and
              node.store in line, "it says", line)
    equal(sum(r["packets"] for r in node.rows("streams")
              if r["interface"].startswith("old")), 3000, "old packets")
    # What can be neither kept nor deleted is told in the status.
    recorder.stop()
    must(["chown", "-R", "0:0", os.path.join(node.store, "segments", "a")])
    os.chown(os.path.join(node.store, "segments", "a"), SERVICE, SERVICE)
    with open(node.conf) as f:
        text = f.read().replace("8MiB", "2MiB")
    with open(node.conf, "w") as f:
        f.write(text)
    start(t, node)
    wait_until(lambda: "cannot be deleted by us" in
               node.rows("status")[0]["retention"]["why"] or "chown -R" in
               node.rows("status")[0]["retention"]["why"], "status says why")


def a_stream_in_a_directory_of_roots_is_refused_with_what_to_do(t):
    node = owned_node(t)
    node.pb("import", capture(t))
    os.mkdir(os.path.join(node.store, "segments", "b"), 0o755)
    recorder = start(t, node)
    done = node.pb_run("import", "--node", "b", capture(t),
                       seconds=60 * SLACK)
    equal(done.returncode, 1, "status")
    check(b"503" in done.stderr and b"segments/b is root's" in done.stderr
          and b"chown -R" in done.stderr, "it says", done.stderr)
    # Of others the number: a daemon's threads look no name up.
    os.mkdir(os.path.join(node.store, "segments", "c"), 0o755)
    os.chown(os.path.join(node.store, "segments", "c"), 1, 1)
    done = node.pb_run("import", "--node", "c", capture(t), seconds=60 * SLOW)
    check(b"segments/c is 1's" in done.stderr, "it says", done.stderr)
    node.pb("import", "--interface", "other", capture(t))
    equal(len(node.query().packets), 20, "packets of others")
    must(["chown", "-R", "%d:%d" % (SERVICE, SERVICE), node.store])
    node.pb("import", "--node", "b", capture(t))
    check(recorder.alive(), "it ended")


def an_index_of_roots_is_named_with_what_to_do(t):
    node = owned_node(t)
    node.pb("import", capture(t))
    index = os.path.join(node.store, "index")
    must(["chown", "-R", "0:0", index])
    done = run([*as_user(SERVICE), os.path.join(BUILD, "pb-recorder"), "-c",
                node.conf])
    equal(done.returncode, 1, "status")
    check(b"index is root's" in done.stderr and b"chown -R" in done.stderr,
          "it says", done.stderr)


def root_starts_no_daemon_on_the_store_of_another(t):
    node = owned_node(t, upstreams={"u": "http://127.0.0.1:1"})
    for program in ("pb-recorder", "pb-shipper"):
        done = run([os.path.join(BUILD, program), "-c", node.conf])
        equal(done.returncode, 2, program + ": status")
        check(b"systemctl start " + program.encode() in done.stderr and
              b"setpriv --reuid %d" % SERVICE in done.stderr, "it says",
              done.stderr)
        equal(os.listdir(node.store), [], "made in the store")


main("250", the_documented_repair_by_root_leaves_a_recorder_that_runs,
     an_import_by_root_into_a_store_to_come_is_its_directorys,
     what_root_imported_is_shipped_and_deleted,
     retention_passes_over_what_it_cannot_delete_and_says_so_once,
     a_stream_in_a_directory_of_roots_is_refused_with_what_to_do,
     an_index_of_roots_is_named_with_what_to_do,
     root_starts_no_daemon_on_the_store_of_another)
