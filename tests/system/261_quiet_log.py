"""Ordinary work is no trouble: nobody is warned of anything."""

import ssl

from harness import *
import samples

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2")


def certificate(t, name):
    """One that is its own authority; the lines of a configuration."""
    pem, key = t.path(name + ".pem"), t.path(name + ".key")
    must(["openssl", "req", "-x509", *CURVE, "-subj", "/CN=" + name,
          "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
          "-out", pem])
    return pem, key


def says_nothing_unusual(*daemons):
    for daemon in daemons:
        bad = [line for line in daemon.text().splitlines()
               if not line.startswith(("info ", "=="))]
        equal(bad, [], "what %s says besides" % daemon.name)


def ask(node):
    for command in (["status"], ["status", "--json"], ["streams"], ["gaps"],
                    ["dlq", "list"]):
        node.pb(*command)


def work(t, edge, core):
    """What a day brings, and its end."""
    for n in range(3):
        edge.pb("import", "--interface", "e%d" % n, t.write(
            "a.pcap", samples.pcap("<", samples.MAGIC_NS, [
                (samples.T0 + i, i, samples.eth(i, 1400), 1400)
                for i in range(1000)])))
        ask(edge)
        ask(core)
    drained(edge, core)
    for daemon in (edge.recorder, edge.shipper, core.recorder):
        daemon.proc.send_signal(signal.SIGHUP)
        wait_until(lambda: ": reloaded" in daemon.text() or
                   "read again" in daemon.text(), "it reloads")
    ask(edge)
    daemons = edge.recorder, edge.shipper, core.recorder
    edge.stop()
    core.stop()
    says_nothing_unusual(*daemons)


def local_questions_and_plain_http_are_quiet(t):
    core = t.node("core", listen=True).start()
    edge = t.node("edge", upstreams={"core": core}).start()
    for path in ("/v1/health", "/metrics"):
        equal(core.http("GET", path)[0], 200, path)
    work(t, edge, core)


def mutual_tls_is_quiet(t):
    need("openssl")
    pem, key = certificate(t, "edge")
    port = free_port()
    lines = "tls_cert = %s\ntls_key = %s\ntls_ca = %s\n" % (pem, key, pem)
    core = t.node("core", extra="[listen]\naddress = 127.0.0.1:%d\n"
                  "allow = *\n%s" % (port, lines)).start()
    edge = t.node("edge", extra="[upstream core]\n"
                  "url = https://127.0.0.1:%d\n%s" % (port, lines)).start()
    context = ssl.create_default_context(cafile=pem)
    context.load_cert_chain(pem, key)
    with contextlib.closing(http.client.HTTPSConnection(
            "127.0.0.1", port, context=context, timeout=20 * SLACK)) as c:
        c.request("GET", "/v1/health")
        equal(c.getresponse().status, 200, "health")
    work(t, edge, core)


def a_capture_is_quiet(t):
    edge = t.edge_with_traffic()
    edge.start()
    t.traffic(t.sender, "pb0", 500, 1000).wait()
    t.all_stored(edge)
    ask(edge)
    recorder = edge.recorder
    edge.stop()
    says_nothing_unusual(recorder)


if __name__ == "__main__":
    main("261", local_questions_and_plain_http_are_quiet,
         mutual_tls_is_quiet, a_capture_is_quiet)
