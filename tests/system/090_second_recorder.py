"""Two recorders never share a store; a wrong configuration is explained."""

import os
import re

from harness import *


def program(node, name, *args):
    return run(WRAP + [os.path.join(BUILD, name), "-c", node.conf, *args])


def a_second_recorder_is_told_the_first_ones_pid(t):
    node = t.node("n1")
    first = node.start_recorder()
    done = program(node, "pb-recorder")
    equal(done.returncode, 1, "status (%r)" % done.stderr)
    check(re.search(rb"\b%d\b" % first.pid, done.stderr),
          "the pid %d is not in" % first.pid, done.stderr)
    check(first.alive(), "the first one ended")
    first.kill()
    node.start_recorder()       # a dead one's lock is no lock


def a_second_shipper_is_told_too(t):
    node = t.node("n1", upstreams={"u": "http://127.0.0.1:%d" % free_port()})
    node.start()
    done = program(node, "pb-shipper")
    equal(done.returncode, 1, "status (%r)" % done.stderr)
    check(re.search(rb"\b%d\b" % node.shipper.pid, done.stderr),
          "the pid is not in", done.stderr)


GOOD = "[node]\nname = a\n[store]\npath = %s\n"

# What is wrong, the line it stands on, and a word the message must have.
WRONG = [
    ("[nodes]\nname = a\n", 1, "node"),
    ("[node]\nname = a\n[store]\npath = %s\nsegmnt_size = 1MiB\n", 5,
     "segment_size"),
    ("[node]\nname = a\n[store]\npath = %s\nsegment_size = big\n", 5,
     "segment_size"),
    ("[node]\nname = a/b\n[store]\npath = %s\n", 2, "name"),
    (GOOD + "[listen]\naddress = 127.0.0.1:99999\ntls = off\n", 6,
     "address"),
    (GOOD + "[upstream u]\nurl = ftp://x\ntls = off\n", 6, "url"),
    (GOOD + "[capture eth0]\npromiscuous = maybe\n", 6, "promiscuous"),
    (GOOD + "[capture eth0]\nfilter = this is no filter\n", None, "filter"),
    (GOOD + "[upstream u]\nurl = http://x:1\n", None, "tls"),
    (GOOD + "[listen]\naddress = 127.0.0.1:7152\n", None, "tls"),
    (GOOD + "nonsense\n", 5, ""),
]


def a_wrong_configuration_is_explained_with_status_2(t):
    bad = []
    node = t.node("n1")
    for text, line, word in WRONG:
        with open(node.conf, "w") as f:
            f.write(text % (node.store,) if "%s" in text else text)
        done = program(node, "pb-recorder", "-t")
        said = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode != 2:
            bad.append("%r: status %d: %s" % (text, done.returncode, said))
        elif line and "%s:%d" % (node.conf, line) not in said:
            bad.append("%r: not told as :%d: %s" % (text, line, said))
        elif word not in said:
            bad.append("%r: no %r in: %s" % (text, word, said))
    check(not bad, "; ".join(bad))


def a_missing_configuration_is_status_2(t):
    node = t.node("n1")
    os.unlink(node.conf)
    for name in ("pb-recorder", "pb-shipper"):
        done = program(node, name)
        equal(done.returncode, 2, name + "'s status (%r)" % done.stderr)
        check(node.conf.encode() in done.stderr, name, "said", done.stderr)
    done = run([os.path.join(BUILD, "pb"), "-c", node.conf, "status"])
    equal(done.returncode, 2, "pb's status (%r)" % done.stderr)


def an_address_in_use_is_told_and_waited_for(t):
    one = t.node("one", listen=True).start()
    two = t.node("two", listen=one.port).start()
    check(b"127.0.0.1:%d: Address already in use" % one.port in
          two.pb("status"), two.pb("status"))
    one.stop()

    def who_answers():
        try:
            return json.loads(two.http("GET", "/v1/health")[2])["node"]
        except OSError:
            return None
    wait_until(lambda: who_answers() == "two", "the second one listens", 20)


if __name__ == "__main__":
    main("090", a_second_recorder_is_told_the_first_ones_pid,
         a_second_shipper_is_told_too,
         a_wrong_configuration_is_explained_with_status_2,
         a_missing_configuration_is_status_2,
         an_address_in_use_is_told_and_waited_for)
