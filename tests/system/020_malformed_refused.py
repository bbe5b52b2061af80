"""A malformed file is refused: status 1, file and offset, nothing kept."""

import os
import re

from harness import *
import samples

# What is wrong by design in the public captures.
PUBLIC = [
    ("python-pcapng/test_data/test007.ntar", 96),
    ("python-pcapng/test_data/test010.ntar", 96),
    ("libpcap/tests/shb-option-too-long.pcapng", 0),
    ("libpcap/tests/pcap-invalid-version-1.pcap", None),
    ("libpcap/tests/pcap-invalid-version-2.pcap", None),
    ("libpcap/tests/pcapng-invalid-vers-1.pcapng", None),
    ("libpcap/tests/pcapng-invalid-vers-2.pcapng", None),
    ("libpcap/tests/linktype-reserved-field-not-zero.pcap", None),
]


def store_of(node):
    """All that can be told of the store, times of creation aside."""
    return (node.rows("streams"), node.rows("segments"),
            [(f, os.path.getsize(f)) for f in node.files()])


def refused(node, path, offset):
    """What is wrong with how `path` is refused; "" when all is right."""
    before = store_of(node)
    done = node.pb_run("import", path)
    said = done.stderr.decode("utf-8", "replace").strip()
    name = os.path.basename(path)
    if done.returncode != 1:
        return "%s: status %d: %s" % (name, done.returncode, said)
    if name not in said:
        return "%s: the message does not name the file: %s" % (name, said)
    if not re.search(r"\d", said.replace(name, "")):
        return "%s: the message has no offset: %s" % (name, said)
    if offset and not any(offset <= int(n) < offset + 64 for n in
                          re.findall(r"\d+", said.replace(path, ""))):
        return "%s: the fault is at %d: %s" % (name, offset, said)
    if store_of(node) != before:
        return "%s: the store is not as it was" % name
    return ""


def all_refused(node, t, files):
    node.pb("import", t.write("good.pcap", samples.valid()["pcap-us-le"]))
    check(node.rows("streams"), "the good file made no stream")
    bad = [w for w in (refused(node, p, o) for p, o in files) if w]
    check(not bad, "%d of %d: %s" % (len(bad), len(files), "; ".join(bad[:6])))


def made_here(t):
    return [(t.write(name + ".cap", data), offset)
            for name, (data, offset) in samples.malformed().items()]


def files_broken_here_are_refused(t):
    all_refused(t.node("n1"), t, made_here(t))


def files_are_refused_by_a_running_recorder_too(t):
    node = t.node("n1")
    node.start_recorder()
    all_refused(node, t, made_here(t))
    check(node.recorder.alive(), "the recorder ended")


def public_files_malformed_by_design_are_refused(t):
    need_captures()
    files = [(os.path.join(CAPTURES, p), o) for p, o in PUBLIC
             if os.path.exists(os.path.join(CAPTURES, p))]
    if not files:
        skip("none of them is in %s" % CAPTURES)
    all_refused(t.node("n1"), t, files)


def a_file_that_is_not_there_is_refused(t):
    node = t.node("n1")
    done = node.pb_run("import", t.path("no-such.pcap"))
    equal(done.returncode, 1, "status")
    check(b"no-such.pcap" in done.stderr, "said", done.stderr)


if __name__ == "__main__":
    main("020", files_broken_here_are_refused,
         files_are_refused_by_a_running_recorder_too,
         public_files_malformed_by_design_are_refused,
         a_file_that_is_not_there_is_refused)
