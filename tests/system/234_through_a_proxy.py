"""What stands between a node and its upstream: a proxy that is asked to
CONNECT, one in front of the upstream that has it below a path, and those of
the environment, which are never asked."""

import base64
import contextlib
import http.client
import http.server
import socket
import threading

from certificates import *
import samples

PACKETS = 500
USER = "lon1:a p4ss:word"
PREFIX = "/packets/of"


def pcap(t):
    return t.write("a.pcap", samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0 + n, n, samples.eth(n, 200), 200)
        for n in range(PACKETS)]))


def copy(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


class Proxy(http.server.BaseHTTPRequestHandler):
    """It connects those who say who they are; `asked` is whom to, and `wrong`
    how often somebody did not say it."""

    def log_message(self, *args):
        pass

    def do_CONNECT(self):
        want = "Basic " + base64.b64encode(USER.encode()).decode()
        if self.headers.get("Proxy-Authorization") != want:
            self.server.wrong += 1
            self.send_error(407)
            return
        self.server.asked.append(self.path)
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as far:
            self.send_response(200)
            self.end_headers()
            threading.Thread(target=copy, args=(far, self.connection),
                             daemon=True).start()
            copy(self.connection, far)


class Talker(http.server.BaseHTTPRequestHandler):
    """It refuses, at great length."""

    def log_message(self, *args):
        pass

    def do_CONNECT(self):
        self.send_response(407)
        self.send_header("Content-Length", str(1 << 40))
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(bytes(65536))


class Front(http.server.BaseHTTPRequestHandler):
    """It has a node below PREFIX."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.startswith(PREFIX + "/v1/"):
            self.send_error(404)
            return
        node = http.client.HTTPConnection("127.0.0.1", self.server.node)
        node.request(self.command, self.path[len(PREFIX):], body or None,
                     {k: v for k, v in self.headers.items()
                      if k.startswith("PB-")})
        answer = node.getresponse()
        data = answer.read()
        node.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = pass_on


@contextlib.contextmanager
def serving(handler, **facts):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    vars(server).update(facts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def all_arrives(core, edge):
    drained(edge, core)
    equal(by_stream(core.query())["eth0"], by_stream(edge.query())["eth0"],
          "packets")


def packets_go_through_a_proxy_that_knows_us(t):
    core = t.node("core", listen=True)
    with serving(Proxy, asked=[], wrong=0) as proxy:
        edge = t.node("edge", upstreams={"core": [
            "http://127.0.0.1:%d" % core.port,
            "proxy = http://127.0.0.1:%d" % proxy.server_port,
            "proxy_auth = " + t.write("auth", USER + "\n")]})
        edge.pb("import", "--interface", "eth0", pcap(t))
        core.start()
        edge.start()
        all_arrives(core, edge)
        equal(set(proxy.asked), {"127.0.0.1:%d" % core.port}, "asked for")
        equal(proxy.wrong, 0, "times it did not know us")


def the_peer_behind_a_proxy_is_proved_all_the_same(t):
    ca = Authority(t, "ca")
    port = free_port()
    core = t.node("core", extra="[listen]\naddress = 127.0.0.1:%d\n"
                  "allow = edge\n%s" % (port, keys(*ca.issue("core"),
                                                   ca.pem)))
    with serving(Proxy, asked=[], wrong=0) as proxy:
        edge = t.node("edge", extra="[upstream core]\n"
                      "url = https://127.0.0.1:%d\n"
                      "proxy = http://127.0.0.1:%d\nproxy_auth = %s\n%s" % (
                          port, proxy.server_port,
                          t.write("auth", USER + "\n"),
                          keys(*ca.issue("edge"), ca.pem)))
        edge.pb("import", "--interface", "eth0", pcap(t))
        core.start()
        edge.start()
        all_arrives(core, edge)
        check(proxy.asked, "the proxy was not asked")


def a_proxy_that_refuses_is_told_and_waited_for(t):
    core = t.node("core", listen=True)
    with serving(Proxy, asked=[], wrong=0) as proxy:
        auth = t.write("auth", "lon1:old\n")
        edge = t.node("edge", upstreams={"core": [
            "http://127.0.0.1:%d" % core.port,
            "proxy = http://127.0.0.1:%d" % proxy.server_port,
            "proxy_auth = " + auth]})
        edge.pb("import", "--interface", "eth0", pcap(t))
        core.start()
        edge.start()
        wait_until(lambda: "407" in edge.rows("status")[0]["upstreams"][0][
            "last_error"], "the status says why", HEALED)
        equal(core.streams(), {}, "streams at the core")
        check("old" not in edge.shipper.text(), "the log has the password")
        t.write("auth", USER + "\n")
        edge.shipper.stop()
        edge.start_shipper()
        all_arrives(core, edge)


def a_proxy_that_talks_on_and_on_keeps_no_other_upstream(t):
    core = t.node("core", listen=True)
    with serving(Talker) as proxy:
        edge = t.node("edge", upstreams={"core": core, "far": [
            "http://127.0.0.1:1",
            "proxy = http://127.0.0.1:%d" % proxy.server_port]})
        edge.pb("import", "--interface", "eth0", pcap(t))
        edge.start()
        wait_until(lambda: "answer is too large" in {
            u["name"]: u for u in edge.rows("status")[0]["upstreams"]}[
                "far"]["last_error"], "the status says why", HEALED)
        core.start()
        wait_until(lambda: by_stream(core.query()) == by_stream(
            edge.query()), "all is at the core", HEALED)


def proxies_of_the_environment_are_never_asked(t):
    core = t.node("core", listen=True)
    with serving(Proxy, asked=[], wrong=0) as proxy:
        edge = t.node("edge", upstreams={"core": core})
        edge.pb("import", "--interface", "eth0", pcap(t))
        core.start()
        edge.start_recorder()
        edge.start_shipper(env=dict(os.environ, **{
            name: "http://127.0.0.1:%d" % proxy.server_port
            for name in ("http_proxy", "https_proxy", "all_proxy",
                         "ALL_PROXY")}))
        all_arrives(core, edge)
        equal((proxy.asked, proxy.wrong), ([], 0), "what the proxy heard")


def a_node_may_stand_below_a_path(t):
    core = t.node("core", listen=True)
    with serving(Front, node=core.port) as front:
        edge = t.node("edge", upstreams={"core": [
            "http://127.0.0.1:%d%s/" % (front.server_port, PREFIX)]})
        edge.pb("import", "--interface", "eth0", pcap(t))
        core.start()
        edge.start()
        all_arrives(core, edge)


def refused(t, *lines):
    node = t.node("wrong", upstreams={"core": ["http://127.0.0.1:1",
                                               *lines]})
    done = run([os.path.join(BUILD, "pb-shipper"), "-t", "-c", node.conf])
    equal(done.returncode, 2, "status with %s" % (lines,))
    return done.stderr.decode()


def what_is_no_proxy_is_refused(t):
    for text in ("socks5://127.0.0.1:1080", "http://user:pw@proxy:3128",
                 "http://proxy", "http://:3128", "proxy:3128",
                 "http://proxy:3128/path"):
        check("no address of a proxy" in refused(t, "proxy = " + text), text)
    way = "proxy = http://127.0.0.1:3128"
    for name, text in (("none", None), ("empty", ""), ("bare", "password\n"),
                       ("long", "u:" + "x" * 600)):
        path = t.path(name) if text is None else t.write(name, text)
        said = refused(t, way, "proxy_auth = " + path)
        check(path in said and "[upstream core] proxy_auth" in said, said)
    check("there is no proxy" in refused(t, "proxy_auth = /dev/null"))


if __name__ == "__main__":
    main("234",
         packets_go_through_a_proxy_that_knows_us,
         the_peer_behind_a_proxy_is_proved_all_the_same,
         a_proxy_that_refuses_is_told_and_waited_for,
         a_proxy_that_talks_on_and_on_keeps_no_other_upstream,
         proxies_of_the_environment_are_never_asked,
         a_node_may_stand_below_a_path,
         what_is_no_proxy_is_refused)
