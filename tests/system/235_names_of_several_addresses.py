"""A name that has several addresses: those that are silent hold up nobody for
ever, wherever in the list the one stands that answers."""

from harness import *
import samples

PACKETS = 100
NAME = "core.example"
PORT = 7152
LIVE = "10.99.0.200"
CONNECT = 4                     # seconds for all addresses together


def pcap(t):
    return t.write("a.pcap", samples.pcap("<", samples.MAGIC_NS, [
        (samples.T0 + n, n, samples.eth(n, 200), 200)
        for n in range(PACKETS)]))


def silent(number):
    """It is at the core's end of the link, where nobody has it."""
    return "10.99.0.%d" % (number + 2)


def link(t, dead):
    """Two namespaces; what goes to addresses that are silent is sent, and
    never answered.  The system gives the ones that are most like our own
    first: these."""
    near, far = t.netns("near"), t.netns("far")
    t.veth(near, "pb0", far, "pb1", mtu=1500)
    t.inside(near, "ip", "addr", "add", "10.99.0.1/24", "dev", "pb0")
    t.inside(far, "ip", "addr", "add", LIVE + "/24", "dev", "pb1")
    mac = json.loads(t.inside(far, "ip", "-j", "link", "show", "pb1"))
    for n in range(dead):
        t.inside(near, "ip", "neigh", "add", silent(n), "lladdr",
                 mac[0]["address"], "dev", "pb0")
    return near, far


def among(t, dead):
    """A core behind the last of `dead` + 1 addresses, and an edge."""
    near, far = link(t, dead)
    hosts = t.write("hosts", "127.0.0.1 localhost\n" + "".join(
        "%s %s\n" % (address, NAME)
        for address in [*map(silent, range(dead)), LIVE]))
    inside = ["unshare", "-m", "sh", "-c", 'mount --bind "$1" /etc/hosts && '
              'shift && exec "$@"', "sh", hosts]
    if run([*inside, "true"]).returncode:
        skip("may not make mount namespaces here")
    core = t.node("core", netns=far, extra="[listen]\naddress = %s:%d\n"
                  "tls = off\n" % (LIVE, PORT))
    core.start_recorder()
    edge = t.node("edge", upstreams={"core": [
        "http://%s:%d" % (NAME, PORT), "connect_timeout = %ds" % CONNECT]})
    edge.start_recorder()
    edge.pb("import", pcap(t))
    edge.shipper = Daemon(t, "edge-shipper", [
        os.path.join(BUILD, "pb-shipper"), "-c", edge.conf], netns=near,
        before=inside)
    return edge, core


def one_that_is_silent_hands_over_to_the_next(t):
    edge, core = among(t, 1)
    drained(edge, core)
    check(not re.search(r"\bwarn\b", edge.shipper.text()),
          "it took more than one connection:", edge.shipper.tail())


def more_than_there_is_time_for_are_all_tried(t):
    edge, core = among(t, 9)
    drained(edge, core, seconds=3 * HEALED)
    edge.shipper.says("no connection within %d s" % CONNECT)


main("235", one_that_is_silent_hands_over_to_the_next,
     more_than_there_is_time_for_are_all_tried, seconds=200)
