"""Stenographer as one that is asked: stenotype is fed from a file by way of a
veth pair, then its server answers from what it wrote.

The server wants to start a stenotype of its own: it is given a program that
sleeps.  It deletes files when the disk is nearly full; here it must not.
"""

import capture
from kit import *

CERTIFICATES = "/etc/stenographer/certs"
MEGABITS = 2000         # a second: all of it arrives
FRAME = 900             # bytes a packet at most, on average
READY_SECONDS = 30
QUERY_SECONDS_MAX = 300


class Server:
    """With the packets of `path`; `kept` of them."""

    def __init__(self, t, path, packets):
        need("stenographer", "stenotype", "tcpreplay", "curl")
        if not os.path.exists(os.path.join(CERTIFICATES, "client_key.pem")):
            skip("no certificates in %s: its package makes them"
                 % CERTIFICATES)
        self.t = t
        self.folder = tempfile.mkdtemp(prefix="steno-", dir=t.dir)
        for where in (t.dir, self.folder):
            os.chmod(where, 0o755)
        self.kept = self._feed(path, packets)
        self.port = free_port()
        self._serve()

    def _feed(self, path, packets):
        wire = capture.Wire(self.t, FRAME)
        writer = capture.Stenographer(self.t, wire, self.folder, packets)
        must([*enter(wire.tx), "tcpreplay", "-q", "-i", "pb0", "-M",
              str(MEGABITS), path], seconds=600)
        time.sleep(capture.RING_S + writer.EXTRA_S)
        writer.stop()
        return writer.kept()

    def _serve(self):
        program = self.t.write("sleeps", "#!/bin/sh\nexec sleep 86400\n")
        os.chmod(program, 0o755)
        conf = self.t.write("steno.conf", json.dumps({
            "Threads": [{
                "PacketsDirectory": os.path.join(self.folder, "PKT0"),
                "IndexDirectory": os.path.join(self.folder, "IDX0"),
                "MaxDirectoryFiles": 30000, "DiskFreePercentage": 0}],
            "StenotypePath": program, "Interface": "pb1",
            "Port": self.port, "Host": "127.0.0.1", "Flags": [],
            "CertPath": CERTIFICATES}))
        self.log = self.t.path("steno.log")
        with open(self.log, "wb") as log:
            self.child = self.t.spawn(
                ["stenographer", "-config=" + conf, "-syslog=false"],
                stdout=log, stderr=log)
        wait_until(self._answers, "stenographer to answer", READY_SECONDS,
                   pause=0.5)

    def _answers(self):
        check(self.child.poll() is None, "stenographer ended:",
              open(self.log).read()[-300:])
        return run(self.argv("host 192.0.2.1")).returncode == 0

    def argv(self, text):
        """The packets go to standard output."""
        def at(name):
            return os.path.join(CERTIFICATES, name)
        return ["curl", "-s", "--fail", "--max-time", str(QUERY_SECONDS_MAX),
                "--cert", at("client_cert.pem"), "--key",
                at("client_key.pem"), "--cacert", at("ca_cert.pem"),
                "--data-binary", text,
                "https://127.0.0.1:%d/query" % self.port]

    def close(self):
        self.child.kill()
        self.child.wait()
        shutil.rmtree(self.folder)
