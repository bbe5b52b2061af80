"""What tests of names share: a namespace whose name server does as told."""

from harness import *


class Names:
    """In a network namespace of its own, and seen by its daemons alone."""

    def __init__(self, t, word):
        self.t = t
        self.ns = t.netns("names")
        self.word = t.path("word")
        self.says(word)
        # A silent one is waited for ten times as long as any test waits.
        self.resolv = t.write("resolv.conf", "nameserver 127.0.0.1\n"
                              "options timeout:30 attempts:5\n")
        probe = run(self.argv(["true"]))
        if probe.returncode:
            skip("may not make mount namespaces here: " +
                 probe.stderr.decode("utf-8", "replace").strip())
        t.spawn([sys.executable, os.path.join(HERE, "dns.py"), self.word],
                self.ns)
        wait_until(lambda: os.path.exists(self.word + ".up"), "the server")

    def says(self, word):
        with open(self.word + ".new", "w") as f:
            f.write(word)
        os.rename(self.word + ".new", self.word)

    def argv(self, argv):
        return ["unshare", "-m", "sh", "-c", 'mount --bind "$1" '
                '/etc/resolv.conf && shift && exec "$@"', "sh", self.resolv,
                *argv]

    def start(self, node, program):
        return Daemon(self.t, "%s-%s" % (node.name, program), self.argv(
            [os.path.join(BUILD, "pb-" + program), "-c", node.conf]),
            netns=self.ns)


def udp(t, ns, address, port, count, size=20):
    t.inside(ns, sys.executable, "-c",
             "import socket, sys; a, p, n, s = sys.argv[1:]\n"
             "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
             "for i in range(int(n)): u.sendto(bytes(int(s)), (a, int(p)))",
             address, str(port), str(count), str(size))
