"""Mutual TLS: both sides show who they are, and nobody else gets in."""

import ssl

from certificates import *
import samples


def secure_core(t, ca, allow):
    port = free_port()
    core = t.node("core", extra="[listen]\naddress = 127.0.0.1:%d\n"
                  "allow = %s\n%s" % (port, allow,
                                      keys(*ca.issue("core"), ca.pem)))
    core.port = port
    return core


def secure_edge(t, name, core, issuer, ca):
    return t.node(name, extra="[upstream core]\n"
                  "url = https://127.0.0.1:%d\n%s" % (
                      core.port, keys(*issuer.issue(name), ca.pem)))


def pcap(t):
    return t.write("a.pcap", samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0 + n, n, samples.eth(n, 200), 200) for n in range(200)]))


def packets_travel_between_nodes_that_know_each_other(t):
    ca = Authority(t, "ca")
    core = secure_core(t, ca, "relay:edge")
    edge = secure_edge(t, "edge", core, ca, ca)
    edge.pb("import", "--interface", "eth0", pcap(t))
    # What was imported under another node's name goes by the relay's right.
    edge.pb("import", "--node", "lab7", "--interface", "eth0", pcap(t))
    core.start()
    edge.start()
    drained(edge, core)
    rows = core.streams().values()
    equal(sorted((r["node"], r["packets"]) for r in rows),
          [("edge", 200), ("lab7", 200)], "streams")


def a_node_of_another_authority_gets_nothing_in(t):
    ca, foreign = Authority(t, "ca"), Authority(t, "foreign")
    core = secure_core(t, ca, "*, relay:*")
    edge = secure_edge(t, "edge", core, foreign, ca)
    edge.pb("import", "--interface", "eth0", pcap(t))
    core.start()
    edge.start()
    wait_until(lambda: "401" in edge.shipper.text() or
               "certificate" in edge.shipper.text(), "the refusal is logged")
    equal(core.streams(), {}, "streams at the core")


def a_receiver_of_another_authority_gets_nothing(t):
    ca, foreign = Authority(t, "ca"), Authority(t, "foreign")
    core = secure_core(t, foreign, "*, relay:*")
    edge = secure_edge(t, "edge", core, ca, ca)
    edge.pb("import", "--interface", "eth0", pcap(t))
    core.start()
    edge.start()
    wait_until(lambda: "certificate" in edge.shipper.text(),
               "the refusal is logged")
    equal(core.streams(), {}, "streams at the core")


def a_node_that_is_not_allowed_is_told_so(t):
    ca = Authority(t, "ca")
    core = secure_core(t, ca, "par1")
    edge = secure_edge(t, "edge", core, ca, ca)
    edge.pb("import", "--interface", "eth0", pcap(t))
    core.start()
    edge.start()
    wait_until(lambda: "allow" in edge.shipper.text(), "the refusal")
    equal(core.streams(), {}, "streams at the core")


def without_a_certificate_every_question_is_401(t):
    ca = Authority(t, "ca")
    core = secure_core(t, ca, "*")
    core.start()
    context = ssl.create_default_context(cafile=ca.pem)
    c = http.client.HTTPSConnection("127.0.0.1", core.port, context=context,
                                    timeout=20 * SLACK)
    c.request("GET", "/v1/streams/edge/eth0/0000000000000001")
    equal(c.getresponse().status, 401, "status")
    c.close()


if __name__ == "__main__":
    main("130", packets_travel_between_nodes_that_know_each_other,
         a_node_of_another_authority_gets_nothing_in,
         a_receiver_of_another_authority_gets_nothing,
         a_node_that_is_not_allowed_is_told_so,
         without_a_certificate_every_question_is_401)
