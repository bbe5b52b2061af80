"""Daemons that are killed by the shim, and a client that does what a sender
does: asks, sends, and sends again."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time

from control import *
from truth import *
import samples

WAIT_SECONDS = 20.0


def wait_until(condition, what, seconds=WAIT_SECONDS, pause=0.005):
    """`what` may be a function: what is said then."""
    end = time.monotonic() + seconds * SLOW
    while not condition():
        check(time.monotonic() < end, "waited in vain:",
              what() if callable(what) else what)
        time.sleep(pause)


def free_port():
    """Below those that connections are given, as in the system tests."""
    while True:
        port = 10000 + int.from_bytes(os.urandom(4), "little") % 22000
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Node:
    """A node in `folder`, of one store and what runs on it; use as a
    context: what still runs at its end is killed."""

    def __init__(self, folder, name, listen=False, upstreams=None, store=(),
                 upstream=()):
        self.folder, self.name = folder, name
        self.store = os.path.join(folder, name)
        self.conf = os.path.join(folder, name + ".conf")
        self.port = free_port() if listen else None
        self.running = []
        lines = ["[node]", "name = " + name, "[store]",
                 "path = " + self.store, "segment_size = 1MiB",
                 "flush_interval = 5ms", "index_size = 64MiB", *store]
        if not any(line.startswith("min_free") for line in store):
            lines.append("min_free = 0")
        if listen:
            lines += ["[listen]", "address = 127.0.0.1:%d" % self.port,
                      "tls = off"]
        for up, port in (upstreams or {}).items():
            lines += ["[upstream %s]" % up, "tls = off",
                      "url = http://127.0.0.1:%d" % port, *upstream]
        with open(self.conf, "w") as f:
            f.write("\n".join(lines) + "\n")

    def __enter__(self):
        return self

    def __exit__(self, *why):
        for program in self.running:
            program.end()

    def start(self, what, control=None):
        program = Program(self, what, control)
        self.running.append(program)
        return program

    def recorder(self, control=None):
        """Started, and up unless it was killed before."""
        program = self.start("pb-recorder", control)
        wait_until(lambda: program.gone() or self.answers(),
                   lambda: self.name + " answers: " + program.said())
        return program

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def acked(self, stream):
        """What it has of a stream; None where it does not answer."""
        c = http.client.HTTPConnection("127.0.0.1", self.port,
                                       timeout=WAIT_SECONDS * SLOW)
        try:
            c.request("GET", path_of(stream))
            return json.loads(c.getresponse().read())["acked"]
        except (OSError, http.client.HTTPException):
            return None
        finally:
            c.close()

    def pb_run(self, *args, env=None):
        return subprocess.run(
            WRAP + [os.path.join(BUILD, "pb"), "-c", self.conf, *args],
            stdin=subprocess.DEVNULL, capture_output=True, env=env,
            timeout=WAIT_SECONDS * SLOW)

    def pb(self, *args):
        """Status 0 or bad; what it printed."""
        done = self.pb_run(*args)
        check(done.returncode == 0, "pb", *args, "status", done.returncode,
              done.stderr.decode("utf-8", "replace")[-300:])
        return done.stdout.decode()

    def rows(self, *args):
        return [json.loads(line)
                for line in self.pb(*args, "--json").splitlines()]


class Program:
    """One daemon.  It may die where `control` says, and nowhere else."""

    def __init__(self, node, what, control):
        self.what, self.control = what, control
        self.log = os.path.join(node.folder, "%s-%s.log" % (node.name, what))
        env = control.env() if control else dict(os.environ)
        with open(self.log, "ab") as log:
            self.mark = log.tell()
            self.process = subprocess.Popen(
                WRAP + [os.path.join(BUILD, what), "-c", node.conf],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                preexec_fn=die_with_parent)

    def said(self):
        with open(self.log, "rb") as f:
            f.seek(self.mark)
            return " | ".join(f.read().decode("utf-8", "replace")
                              .splitlines()[-4:])

    def gone(self):
        """True where it was killed; any other end is bad."""
        status = self.process.poll()
        if status is None:
            return False
        check(status == -signal.SIGKILL and self.control and
              self.control.dead, self.what, "ended with status", status,
              self.said())
        return True

    def stop(self):
        """SIGTERM: it ends in order, or dies where it was to die."""
        # Its first line says that it knows what to do with signals.
        wait_until(lambda: self.process.poll() is not None or self.said(),
                   self.what + " says something")
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(WAIT_SECONDS * SLOW)
        except subprocess.TimeoutExpired:
            self.end()
            raise Bad("%s did not end: %s" % (self.what, self.said()))
        killed = self.control and self.control.dead
        check(status == (-signal.SIGKILL if killed else 0), self.what,
              "ended with status", status, self.said())

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def fill(edge, what):
    """A scenario of work.c fills the edge's store.  What another node will
    have of it, and the ends of its streams."""
    acks = os.path.join(edge.folder, "acks")
    env = environment()
    must(what, edge.store, acks, env=env)
    state = State(must("look", edge.store, env=env))
    return (Promises().read(acks),
            {s: row["last"] for s, row in state.streams.items()})


# --- a sender ------------------------------------------------------------


def path_of(stream):
    return "/v1/streams/%s/%016x" % (stream, KEYS[stream])


def section(stream, first, last, size, left=()):
    """Packets first .. last of `size` bytes each, but for those that were
    left out, as one pcapng section."""
    o = "<"
    out = [samples.shb(o), samples.idb(o, 1, (9, b"\x09"), (
        2, stream.split("/")[1]))]
    for seq in range(first, last + 1):
        if seq in left:
            out.append(samples.filtered(o, seq, seq, T0 + seq * 1000, seq))
            continue
        options = [(5, seq.to_bytes(8, "little"))]
        if dropped_before(seq):
            options.append((4, dropped_before(seq).to_bytes(8, "little")))
        out.append(samples.epb(o, 0, T0 + seq * 1000,
                               bytes_of(stream, seq, size), *options))
    return b"".join(out)


class Sender:
    """Brings `steps` to a node: (what, stream, first, last, size), what
    being `push`, `some` (of three numbers one is a packet, the others were
    left out) or `gap`.  Each goes again until it is answered with 200."""

    def __init__(self, node, steps):
        self.node, self.steps = node, steps
        self.promises = Promises()
        self.told = {}              # the highest `acked` of a stream

    def run(self, program, restart):
        """All steps; where `program` dies, restart() gives another one."""
        while self.steps:
            try:
                self.step(*self.steps[0])
                self.steps = self.steps[1:]
            except (OSError, http.client.HTTPException) as e:
                wait_until(program.gone, "%r, and the recorder lives" % e)
                program = restart()
                self.ask()
        return program

    def ask(self):
        for stream, told in self.told.items():
            acked = self.node.acked(stream)
            check(acked is not None and acked >= told, stream, "had", told,
                  "and now has", acked)

    def step(self, what, stream, first, last, size=0):
        if what in ("push", "some"):
            left = {n for n in range(first, last + 1)
                    if what == "some" and n % 3}
            self.promise("sent", "left", stream, first, last, left)
            self.post(stream, "/packets",
                      section(stream, first, last, size, left))
            self.promise("have", "held", stream, first, last, left)
        else:
            self.promises.add("gone", stream, first, last)
            self.post(stream, "/gaps", json.dumps(
                {"first": first, "last": last, "reason": "expired"}).encode())
            self.promises.add("gap", stream, first, last)

    def promise(self, packets, others, stream, first, last, left):
        for n in range(first, last + 1):
            self.promises.add(others if n in left else packets, stream, n, n)

    def post(self, stream, door, body):
        c = http.client.HTTPConnection("127.0.0.1", self.node.port,
                                       timeout=WAIT_SECONDS * SLOW)
        try:
            c.request("POST", path_of(stream) + door, body)
            answer = c.getresponse()
            text = answer.read()
            check(answer.status == 200, door, answer.status, text)
            self.told[stream] = max(self.told.get(stream, 0),
                                    json.loads(text)["acked"])
        finally:
            c.close()
