"""The address, name or key of [listen], and the name of an upstream, that is
not there yet: capture and the other upstreams go on, and it is taken when it
comes."""

from certificates import *
from names import *
import samples

PORT = 7152


def listener(t, ns, address):
    t.veth(ns, "out0", ns, "in0")
    node = t.node("core", captures=["out0"], netns=ns)
    with open(node.conf, "a") as f:
        f.write("[listen]\naddress = %s:%d\ntls = off\n" % (address, PORT))
    return node


def sender(t, ns, url, *more):
    """A node of packets that were imported, and its upstream."""
    node = t.node("edge", netns=ns, upstreams={"core": (url, *more)})
    path = t.write("a.pcap", samples.valid()["pcap-us-le"])
    node.pb("import", path)
    return node


def start(t, names, node, program):
    return names.start(node, program) if names else Daemon(
        t, "%s-%s" % (node.name, program),
        [os.path.join(BUILD, "pb-" + program), "-c", node.conf],
        netns=node.netns)


def waits(node):
    return node.rows("status", "--json")[0]["live"]["ingest"]["waits"]


def it_waits_and_captures(t, ns, node, recorder, why, key="address"):
    wait_until(lambda: why in waits(node), "status says why")
    check(b"not listening: [listen] " + key.encode() in node.pb("status"),
          node.pb("status"))
    t.traffic(ns, "in0", 50, 1000).wait()
    wait_until(lambda: sum(node.ends().values()) == 50, "50 frames")
    time.sleep(1)
    equal(len([line for line in recorder.text().splitlines()
               if "not listening" in line]), 1, "lines about it")


def it_takes_a_push(t, names, ns, node):
    wait_until(lambda: waits(node) == "", "it listens", 20)
    edge = sender(t, ns, "http://10.77.0.1:%d" % PORT)
    shipper = start(t, names, edge, "shipper")
    wait_until(lambda: sum(node.ends().values()) == 70, "20 packets pushed")
    shipper.stop()


def an_address_that_comes_later_is_listened_at(t):
    ns = t.netns("late")
    node = listener(t, ns, "10.77.0.1")
    recorder = start(t, None, node, "recorder")
    it_waits_and_captures(t, ns, node, recorder, "Cannot assign requested")
    t.inside(ns, "ip", "addr", "add", "10.77.0.1/24", "dev", "out0")
    it_takes_a_push(t, None, ns, node)
    recorder.stop()


def a_name_that_comes_later_is_listened_at(t):
    names = Names(t, "unknown")
    node = listener(t, names.ns, "core.pbtest")
    t.inside(names.ns, "ip", "addr", "add", "10.77.0.1/24", "dev", "out0")
    recorder = start(t, names, node, "recorder")
    it_waits_and_captures(t, names.ns, node, recorder, "not known")
    names.says("10.77.0.1")
    it_takes_a_push(t, names, names.ns, node)
    recorder.stop()


def check_it(node):
    return run([os.path.join(BUILD, "pb-recorder"), "-t", "-c", node.conf])


def a_key_that_comes_later_is_used(t):
    ns, ca = t.netns("key"), Authority(t, "ca")
    pem, key = ca.issue("core")
    t.veth(ns, "out0", ns, "in0")
    node = t.node("core", captures=["out0"], netns=ns,
                  extra="[listen]\naddress = 127.0.0.1:%d\n" % PORT +
                  keys(pem, key, ca.pem))
    os.rename(key, key + ".later")
    done = check_it(node)
    equal(done.returncode, 2, "status of -t without the key")
    check(b"[listen] tls_key: open " + key.encode() in done.stderr,
          done.stderr)
    recorder = start(t, None, node, "recorder")
    it_waits_and_captures(t, ns, node, recorder, key, "tls_key")
    # Half a renewal: the key of another certificate.
    os.link(ca.key, key)
    wait_until(lambda: "tls_cert" in waits(node), "status says why", 20)
    equal(check_it(node).returncode, 2, "status of -t with another key")
    os.rename(key + ".later", key)
    equal(check_it(node).returncode, 0, "status of -t")
    wait_until(lambda: waits(node) == "", "it listens", 20)
    edge = t.node("edge", netns=ns, extra="[upstream core]\n"
                  "url = https://127.0.0.1:%d\n" % PORT +
                  keys(*ca.issue("edge"), ca.pem))
    edge.pb("import", t.write("a.pcap", samples.valid()["pcap-us-le"]))
    shipper = start(t, None, edge, "shipper")
    wait_until(lambda: sum(node.ends().values()) == 70, "20 packets pushed")
    shipper.stop()
    recorder.stop()


def a_silent_name_server_holds_up_neither_start_nor_end(t):
    names = Names(t, "silent")
    node = listener(t, names.ns, "core.pbtest")
    recorder = start(t, names, node, "recorder")    # it is ready
    it_waits_and_captures(t, names.ns, node, recorder, "looked up")
    recorder.stop()


def an_upstream_without_a_name_holds_up_no_other(t):
    names = Names(t, "silent")
    node = listener(t, names.ns, "127.0.0.1")
    recorder = start(t, names, node, "recorder")
    edge = sender(t, names.ns, "http://127.0.0.1:%d" % PORT)
    with open(edge.conf, "a") as f:
        f.write("[upstream lost]\nurl = http://core.pbtest:%d\ntls = off\n"
                "connect_timeout = 1s\n" % PORT)
    shipper = start(t, names, edge, "shipper")
    wait_until(lambda: sum(node.ends().values()) == 20, "20 packets pushed")
    time.sleep(2.5)             # more than one connection is given up
    edge.pb("import", "--interface", "more",
            t.write("b.pcap", samples.valid()["pcap-us-le"]))
    wait_until(lambda: sum(node.ends().values()) == 40, "40 packets pushed")
    lost = {u["name"]: u for u in
            edge.rows("status", "--json")[0]["upstreams"]}["lost"]
    equal(lost["state"], "backoff", "state of the other")
    shipper.stop()
    recorder.stop()


if __name__ == "__main__":
    main("233",
         an_address_that_comes_later_is_listened_at,
         a_name_that_comes_later_is_listened_at,
         a_key_that_comes_later_is_used,
         a_silent_name_server_holds_up_neither_start_nor_end,
         an_upstream_without_a_name_holds_up_no_other)
