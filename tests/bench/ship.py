"""Shipping a store from edge to core, beside what else moves files.

One store of sealed segments is made once a run and shipped by all: ours to
a core whose store is empty, the peers as files, to the same disk.  A core
has all when it says so: what it acknowledges is synced and in its index.
The peers' bytes are in the page cache when they end; what a sync adds is a
figure of its own.

Segments are written past the page cache, so what is shipped comes from the
disk: the source is dropped from the cache before each subject.  `warm` is
the same once more with all of it in the cache.

Where a machine gives free memory back to its host, as virtual ones do, the
next one to use it waits for it, up to ten times as long as for a page of its
own; who comes later would find it ready.  So before each subject as much is
taken, and let go, as two copies of the files take.
"""

import importlib
import mmap

from kit import *
import importing

# The way certificates are made, as the tests of TLS do.
tls = importlib.import_module("130_mutual_tls")

FULL, QUICK = 4_000_000_000, 400_000_000    # bytes, as a pcap file
EDGE, INTERFACE = "edge", "eth0"
SPARE = 1 << 30                 # memory, beside what the files take
DURABLE = "GB/s, durable"
IPERF_S, IPERF_QUICK_S = 5, 2
SHIP_S, LOOK_S = 300, 0.01      # patience; between two looks at the core
NGINX = "curl -T to nginx, WebDAV PUT"
RSYNC, IPERF = "rsync -a to rsync daemon", "iperf3, one TCP stream"

_made = {}                      # the store of this run


# --- what is shipped -------------------------------------------------------

class Load:
    """The edge's store: `where` it is, its files, and what it holds."""

    def __init__(self, row):
        say(row.name, "makes the edge's store")
        node = row.t.node(EDGE)
        pcap = row.t.path("load.pcap")
        importing.make(pcap, row.amount(FULL, QUICK))
        node.pb("import", "--interface", INTERFACE, pcap, seconds=600)
        os.unlink(pcap)
        (key, stream), = node.streams().items()
        self.path = "/v1/streams/%s/%s/%s" % key
        self.packets = stream["packets"]
        # Rows come and go; it stays until the run's folder goes.
        self.store = os.path.join(tempfile.mkdtemp(prefix="load-"), EDGE)
        os.rename(node.store, self.store)
        node.store = self.store
        self.files = node.files()
        self.bytes = sum(os.path.getsize(f) for f in self.files)

    def lend(self, t):
        """It stands where a node called `edge` of this test has its store,
        and no shipper has ever run on it."""
        shutil.rmtree(os.path.join(self.store, "shipper"), ignore_errors=True)
        if not os.path.islink(t.path(EDGE)):
            os.symlink(self.store, t.path(EDGE))

    def cold(self):
        quiet()
        drop_caches()
        take_memory(2 * self.bytes + SPARE)

    def warm(self):
        self.cold()
        for path in self.files:
            with open(path, "rb", buffering=0) as f:
                while f.read(MIB):
                    pass


def take_memory(size):
    """Take it, touch it, and let it go."""
    with open("/proc/meminfo") as f:
        there = dict(line.split(":") for line in f)["MemAvailable"]
    size = min(size, int(there.split()[0]) * 1024 // 2)
    with mmap.mmap(-1, size) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, size, mmap.PAGESIZE):
            memory[at] = 1


def load(row):
    size = row.amount(FULL, QUICK)
    if size not in _made:
        _made[size] = Load(row)
    of = _made[size]
    row.scope = "%.2f GB in %d files, %.1f million packets" % (
        of.bytes / 1e9, len(of.files), of.packets / 1e6)
    return of


# --- ours ------------------------------------------------------------------

class Asker:
    """Asks a recorder on this machine what of a stream is durable, by one
    connection to its local socket."""

    def __init__(self, node, path):
        self.request = ("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
                        % path).encode()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20 * SLOW)
        self.socket.connect(os.path.join(node.store, "recorder.sock"))

    def acked(self):
        self.socket.sendall(self.request)
        said = b""
        while not said.endswith(b"}"):
            more = self.socket.recv(4096)
            check(more, "the recorder closed the connection")
            said += more
        check(b" 200 " in said[:16], "the recorder said", said[:200])
        return json.loads(said.partition(b"\r\n\r\n")[2])["acked"]

    def close(self):
        self.socket.close()


def wait_durable(node, path, number, seconds=SHIP_S):
    """Until packet `number` of the stream is durable at the node."""
    asker = Asker(node, path)
    try:
        wait_until(lambda: asker.acked() >= number, "%s has all"
                   % node.name, seconds, pause=LOOK_S)
    finally:
        asker.close()


class Pair:
    """Edge and core, plain or with mutual TLS."""

    def __init__(self, t, ca=None):
        if ca:
            self.core = tls.secure_core(t, ca, EDGE)
            self.edge = tls.secure_edge(t, EDGE, self.core, ca, ca)
        else:
            self.core = t.node("core", listen=True)
            self.edge = t.node(EDGE, upstreams={"core": self.core})

    def ship(self, of, prepare):
        """(seconds, CPU seconds of shipper and the core's recorder)."""
        of.lend(self.core.t)
        self.core.start_recorder()
        prepare()
        start = time.monotonic()
        self.edge.start_shipper()
        wait_durable(self.core, of.path, of.packets)
        took = time.monotonic() - start
        cpu = cpu_of(self.edge.shipper.pid) + cpu_of(self.core.recorder.pid)
        self.edge.stop()
        self.core.stop()
        kept = [s["packets"] for s in self.core.streams().values()]
        equal(kept, [of.packets], "packets at the core")
        shutil.rmtree(self.core.store)
        return took, cpu


def ours(row, of, ca):
    pair = Pair(row.t, ca)

    def once(prepare):
        took, cpu = pair.ship(of, prepare)
        return took, took, cpu
    return once


# --- the peers -------------------------------------------------------------

def family_cpu(pid):
    """CPU seconds of a process, its children, and those it has reaped."""
    total = 0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            with open("/proc/%s/stat" % name) as f:
                fields = f.read().rpartition(")")[2].split()
            if pid in (int(name), int(fields[1])):
                total += sum(int(n) for n in fields[11:15])
    return total / TICK


def sync_folder(folder):
    must(["sync", "-f", folder], seconds=600)


class Server:
    """A peer's server, and the client that sends it the files."""

    def __init__(self, row, tool, argv, port):
        self.row, self.of = row, load(row)
        self.log = open(row.t.path(tool + ".log"), "wb")
        self.proc = row.t.spawn(argv, stdout=self.log, stderr=self.log)
        wait_until(lambda: self.listens(port), tool + " listens")

    def listens(self, port):
        check(self.proc.poll() is None, "ended:", self.proc.args,
              open(self.log.name).read()[-400:])
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def send(self, argv, folder, prepare):
        """(seconds, the same with a sync at the end, CPU seconds)."""
        prepare()
        before = family_cpu(self.proc.pid)
        start = time.monotonic()
        _, cpu = timed(argv)
        took = time.monotonic() - start
        sync_folder(folder)
        synced = time.monotonic() - start
        cpu += family_cpu(self.proc.pid) - before
        self.check_and_clear(folder)
        return took, synced, cpu

    def check_and_clear(self, folder):
        have = 0
        for inside, _, names in os.walk(folder):
            have += sum(os.path.getsize(os.path.join(inside, n))
                        for n in names if n.endswith(".pcapng"))
        equal(have, self.of.bytes, "bytes that arrived")
        shutil.rmtree(folder)
        os.mkdir(folder)

    def stop(self):
        self.proc.terminate()
        self.proc.wait()
        self.log.close()


NGINX_CONF = """daemon off; user root; worker_processes 1;
pid {dir}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000;
    client_max_body_size 0; client_body_buffer_size 1m;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port}{ssl};
        location / {{ root {dir}/root; dav_methods PUT; }}
        {keys}
    }}
}}
"""
NGINX_TLS = ("ssl_certificate %s; ssl_certificate_key %s; "
             "ssl_client_certificate %s; ssl_verify_client on;")


class Nginx(Server):
    """WebDAV: the body goes to a file beside, which is then renamed."""

    def __init__(self, row, ca):
        folder, port = row.t.path("nginx"), free_port()
        self.root = os.path.join(folder, "root")
        os.makedirs(self.root, exist_ok=True)
        self.keys = []
        secret = ""
        if ca:
            pem, key = ca.issue("client")
            self.keys = ["--cacert", ca.pem, "--cert", pem, "--key", key]
            secret = NGINX_TLS % (*ca.issue("nginx"), ca.pem)
        conf = row.t.write("nginx.conf", NGINX_CONF.format(
            dir=folder, port=port, ssl=" ssl" if ca else "", keys=secret))
        self.url = "http%s://127.0.0.1:%d/" % ("s" if ca else "", port)
        super().__init__(row, "nginx", ["nginx", "-p", folder, "-e",
                                        "stderr", "-c", conf], port)

    def once(self, prepare):
        return self.send(["curl", "-sS", "-f", *self.keys, "-T", "{%s}"
                          % ",".join(self.of.files), self.url], self.root,
                         prepare)


class Rsync(Server):
    def __init__(self, row, ca):
        self.root, port = row.t.path("rsync"), free_port()
        os.makedirs(self.root, exist_ok=True)
        conf = row.t.write("rsyncd.conf", "uid = root\ngid = root\n"
                           "use chroot = no\n[to]\npath = %s\n"
                           "read only = no\n" % self.root)
        self.url = "rsync://127.0.0.1:%d/to/" % port
        super().__init__(row, "rsync", [
            "rsync", "--daemon", "--no-detach", "--config=" + conf,
            "--address=127.0.0.1", "--port=%d" % port], port)

    def once(self, prepare):
        return self.send(["rsync", "-a", os.path.join(
            self.of.store, "segments", ""), self.url],
                         self.root, prepare)


def iperf(row):
    """Nothing but TCP: one stream, one way, from memory to nowhere."""
    port = str(free_port())
    server = row.t.spawn(["iperf3", "-s", "-1", "-p", port],
                         stdout=subprocess.DEVNULL)
    wait_until(lambda: ":%04X " % int(port) in open("/proc/net/tcp").read()
               + open("/proc/net/tcp6").read(), "iperf3 listens")
    took = str(IPERF_QUICK_S if row.quick else IPERF_S)
    out = json.loads(must(["iperf3", "-c", "127.0.0.1", "-p", port, "-t",
                           took, "-J"], seconds=60))
    server.wait()
    row.note(IPERF, "GB/s",
             out["end"]["sum_received"]["bits_per_second"] / 8e9)


# --- the disk --------------------------------------------------------------

DISK = "dd on the same disk, past the page cache"
DISK_BYTES, DISK_QUICK = 1 << 30, 1 << 28


def dd(source, target, block, size):
    """A child that reads or writes so much, and syncs what it wrote."""
    argv = ["dd", "if=" + source, "of=" + target, "bs=%d" % block,
            "count=%d" % (size // block), "status=none"]
    argv += ["iflag=direct"] if target == "/dev/null" else \
        ["oflag=direct", "conv=fdatasync"]
    return subprocess.Popen(argv)


def seconds_of(*children):
    """Until all have ended."""
    start = time.monotonic()
    for child in children:
        check(child.wait(300) == 0, "status of", child.args)
    return time.monotonic() - start


def disk(row):
    """What bounds everything here: each packet is read once and written
    once.  `both`: of a read and a write of as much, at the same time."""
    size = row.amount(DISK_BYTES, DISK_QUICK) & -(4 * MIB) or 4 * MIB
    one, two = row.t.path("one"), row.t.path("two")
    quiet()
    writes = seconds_of(dd("/dev/zero", one, 4 * MIB, size))
    drop_caches()
    reads = seconds_of(dd(one, "/dev/null", MIB, size))
    both = seconds_of(dd(one, "/dev/null", MIB, size),
                      dd("/dev/zero", two, 4 * MIB, size))
    for path in (one, two):
        os.unlink(path)
    row.note(DISK, "write GB/s", size / writes / 1e9)
    row.note(DISK, "read GB/s", size / reads / 1e9)
    row.note(DISK, "both GB/s", size / both / 1e9)


# --- the rows --------------------------------------------------------------

def measure_one(row, name, once):
    of = load(row)
    states = ((of.cold, ""), (of.warm, " warm"))
    for prepare, state in states[:1] if row.quick else states:
        took, synced, cpu = once(prepare)
        row.note(name, "GB/s" + state, of.bytes / took / 1e9)
        row.note(name, DURABLE + state, of.bytes / synced / 1e9)
        row.note(name, "CPU s" + state, cpu)


def peer(row, name, tools, kind, ca):
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        row.skip(name, "not installed: " + ", ".join(missing))
        return
    server = kind(row, ca)
    try:
        measure_one(row, name, server.once)
    finally:
        server.stop()


def subjects(row, ca):
    """What is done in turn, each a name and how."""
    out = [(OURS, lambda: measure_one(row, OURS, ours(row, load(row), ca))),
           (NGINX, lambda: peer(row, NGINX, ("curl", "nginx"), Nginx, ca))]
    if not ca:
        out.append((RSYNC, lambda: peer(row, RSYNC, ("rsync",), Rsync, ca)))
    return out


def in_turn(row, of):
    for _ in row.rounds():
        for name, go in row.turns(of):
            say(row.name, name)
            go()


def measure_ship(row):
    load(row)
    what = subjects(row, None)
    if shutil.which("iperf3"):
        what.append((IPERF, lambda: iperf(row)))
    else:
        row.skip(IPERF, "not installed")
    what.append((DISK, lambda: disk(row)))
    in_turn(row, what)
    row.goal("at least 1.0 times curl to nginx, which syncs nothing",
             row.ratio("GB/s", NGINX), least=1.0)
    row.goal("at least 3 times rsync", row.ratio("GB/s", RSYNC), least=3.0)
    row.goal("at least a third of iperf3", row.ratio("GB/s", IPERF),
             least=1 / 3)
    row.tell("times curl to nginx and a sync", row.ratio(DURABLE, NGINX))
    row.tell("times the disk, which reads and writes as much at once",
             row.ratio("GB/s", DISK, "both GB/s"))
    tell_warm(row, "times curl to nginx, source in the page cache")


def tell_warm(row, words):
    if not row.quick:
        row.tell(words, row.ratio("GB/s warm", NGINX))


def measure_tls(row):
    need("openssl")
    load(row)
    in_turn(row, subjects(row, tls.Authority(row.t, "ca")))
    row.goal("at least 1.0 times curl to nginx with TLS, which syncs "
             "nothing", row.ratio("GB/s", NGINX), least=1.0)
    row.tell("times curl to nginx with TLS and a sync",
             row.ratio(DURABLE, NGINX))
    tell_warm(row, "times curl to nginx with TLS, source in the page cache")


HOW = ("A store of sealed segments (as `pb import` of the import row's file "
       "leaves them), edge to core over loopback%s, on one disk: from the "
       "start of pb-shipper until the core has acknowledged, so synced, the "
       "last packet. Peers: %s. GB/s: bytes of the files; `durable`: with a "
       "sync of the file system at the end. The source is dropped from the "
       "page cache before, or (warm) all in it. CPU: both ends' programs.")

ROWS = (
    ("ship", HOW % ("", "one `curl -T` of all files to nginx (one worker, "
     "body buffers of 1 MiB); `rsync -a` to a daemon, without ssh; iperf3, "
     "from memory to nowhere"), measure_ship),
    ("ship-tls", HOW % (" with mutual TLS, ECDSA P-256 keys", "the same with "
     "curl and nginx"), measure_tls),
)
