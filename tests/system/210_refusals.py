"""A refusal is believed only if it is the upstream's own, and waits for
`retry_for` as a dead connection does."""

import contextlib
import http.server
import signal
import socket
import threading

from harness import *
import samples

FORBIDDEN = (403, {"Content-Type": "text/html"}, b"Forbidden")
REDIRECT = (302, {"Location": "http://portal.example/login"}, b"")
WELCOME = (200, {}, b"<html><title>Welcome to the hotel</title></html>")
LOGIN = (511, {}, b"<html>Network Authentication Required</html>")
TOO_LARGE = (413, {}, b"<html>413 Request Entity Too Large</html>")
OTHER_JSON = (404, {}, b'{"message": "no Route matched with those values"}')


class Front:
    """What stands where the upstream should be: it answers all there is as
    `say(method, length)` does; None: the node at `port` is asked."""

    def __init__(self, at, say, port=None):
        front = self
        self.answered, self.open = 0, set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                front.open.add(self.connection)

            def do_GET(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                said = say(self.command, length)
                if said:
                    front.answered += 1
                else:
                    said = front.ask(self, port, body)
                status, headers, body = said
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            do_POST = do_GET

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass
        self.server = Server(("127.0.0.1", at), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever,
                         kwargs={"poll_interval": 0.05}, daemon=True).start()

    def ask(self, handler, port, body):
        c = http.client.HTTPConnection("127.0.0.1", port,
                                       timeout=20 * SLACK)
        with contextlib.closing(c):
            c.request(handler.command, handler.path, body or None,
                      {k: v for k, v in handler.headers.items()
                       if k.startswith(("PB-", "Content-"))})
            r = c.getresponse()
            return r.status, {}, r.read()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for s in list(self.open):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)


def pcap(count, size):
    return samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0 + n, n, samples.eth(n, size), size)
        for n in range(count)])


def edge_with_backlog(t, port, *more, streams=3, count=5000, size=1300):
    edge = t.node("edge", upstreams={
        "core": ["http://127.0.0.1:%d" % port, "retry_for = 1h", *more]})
    for n in range(streams):
        edge.pb("import", "--interface", "if%d" % n,
                t.write("a.pcap", pcap(count, size)))
    return edge


def error_of(edge):
    return edge.rows("status")[0]["upstreams"][0]["last_error"]


def all_there(edge, core, streams=3, count=5000):
    drained(edge, core, seconds=60)
    equal(edge.rows("dlq", "list", "--all"), [], "dead letters")
    equal(core.rows("gaps"), [], "gaps at the core")
    have = by_stream(core.query())     # fails where a number is there twice
    equal({name: len(rows) for name, rows in have.items()},
          {"if%d" % n: count for n in range(streams)}, "packets at the core")


def what_a_proxy_says_for_three_seconds_costs_nothing(t):
    core = t.node("core", listen=True)
    edge = edge_with_backlog(t, core.port)
    front = Front(core.port, lambda *_: FORBIDDEN)
    edge.start_shipper()
    time.sleep(3)
    wait_until(lambda: front.answered, "the proxy is asked")
    equal(error_of(edge), "something in front of it answered 403: Forbidden",
          "last error")
    equal(edge.rows("status")[0]["upstreams"][0]["state"], "backoff", "state")
    front.close()
    core.start()
    all_there(edge, core)


def a_portal_that_catches_everything_is_waited_for(t):
    core = t.node("core", listen=True)
    edge = edge_with_backlog(t, core.port, streams=1, count=500)
    edge.start_shipper()
    for answer, words in (
            (REDIRECT, "status 302: redirects are not followed, correct url; "
             "it points to http://portal.example/login"),
            (WELCOME, "something in front of it answered 200: <html><title>"
             "Welcome to the hotel</title></html>"),
            (LOGIN, "something in front of it answered 511: <html>Network "
             "Authentication Required</html>"),
            (OTHER_JSON, "something in front of it answered 404: "
             '{"message": "no Route matched with those values"}')):
        front = Front(core.port, lambda *_: answer)
        edge.shipper.proc.send_signal(signal.SIGHUP)
        wait_until(lambda: error_of(edge) == words, words, HEALED, 0.1)
        front.close()
    core.start()
    edge.shipper.proc.send_signal(signal.SIGHUP)
    all_there(edge, core, streams=1, count=500)


def a_proxy_that_takes_small_bodies_only_gets_those(t):
    core = t.node("core", listen=True).start()
    front = Front(0, lambda method, length: TOO_LARGE if length > 100000
                  else None, core.port)
    edge = edge_with_backlog(t, front.port, streams=1)
    edge.start_shipper()
    all_there(edge, core, streams=1)
    check(front.answered, "nothing was too large")
    front.close()


def a_filter_that_dislikes_packets_stops_nothing_else(t):
    """As a web application firewall may: questions pass."""
    core = t.node("core", listen=True).start()
    other = t.node("other", listen=True).start()
    hostile = threading.Event()
    hostile.set()
    front = Front(0, lambda method, length: FORBIDDEN if hostile.is_set() and
                  method == "POST" else None, core.port)
    edge = edge_with_backlog(t, front.port, "[upstream other]",
                             "url = " + other.url, "tls = off", streams=1,
                             count=500)
    edge.start_shipper()
    drained(edge, other)
    wait_until(lambda: front.answered >= 3, "three tries")
    equal(core.ends(), {}, "at the core")
    hostile.clear()
    all_there(edge, core, streams=1, count=500)
    front.close()


def a_slip_in_allow_costs_nothing_once_it_is_mended(t):
    core = t.node("core", listen=True, extra="allow = egde\n")
    edge = edge_with_backlog(t, core.port, streams=2, count=500)
    core.start()
    edge.start_shipper()
    wait_until(lambda: "status 403: " in error_of(edge), "the refusal")
    equal(edge.rows("status")[0]["upstreams"][0]["state"], "refused",
          "state")
    with open(core.conf) as f:
        text = f.read()
    with open(core.conf, "w") as f:
        f.write(text.replace("egde", "edge"))
    core.recorder.stop()
    core.start_recorder()
    # No signal to the edge: it tries again soon by itself.
    all_there(edge, core, streams=2, count=500)
    edge.shipper.says("refused, next try in 2 s", 2)
    edge.shipper.says("dead letters", 0)


if __name__ == "__main__":
    main("210", what_a_proxy_says_for_three_seconds_costs_nothing,
         a_portal_that_catches_everything_is_waited_for,
         a_proxy_that_takes_small_bodies_only_gets_those,
         a_filter_that_dislikes_packets_stops_nothing_else,
         a_slip_in_allow_costs_nothing_once_it_is_mended, seconds=120)
