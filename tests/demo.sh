#!/bin/sh
# Three nodes on this machine: packets captured live at an edge, shipped
# over a relay to a core, searched there.  `make demo` runs it.
#
#	tests/demo.sh [BUILD]
#
# As root the traffic flows between two network namespaces made for it;
# otherwise on loopback, where capturing is allowed.  Ends by itself; status
# 0 only if the core holds exactly what the edge captured.  What it leaves:
# BUILD/demo/core.pcapng and the nodes' logs beside it.
set -u

cd "$(dirname "$0")/.." || exit 2
build=${1:-build}
out=$build/demo
work=$(mktemp -d) || exit 2
near=pbdemo-a-$$ far=pbdemo-b-$$	# the two namespaces
pids= spaces=
seconds_max=20				# that shipping may take

stop()			# PID...
{
	for pid; do kill "$pid" 2>/dev/null; done
	for pid; do wait "$pid" 2>/dev/null; done
}

finish()
{
	# shellcheck disable=SC2086
	stop $pids
	for space in $spaces; do ip netns del "$space" 2>/dev/null; done
	[ ! -d "$out" ] || cp "$work"/*.log "$out" 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

die()
{
	echo "demo: $*" >&2
	for log in "$work"/*.log; do
		[ ! -s "$log" ] || { echo "--- ${log##*/}" >&2
		    tail -n 5 "$log" >&2; }
	done
	exit 1
}

heading()
{
	printf '\n\033[1m== %s\033[0m\n' "$1"
}
[ -t 1 ] || heading() { printf '\n== %s\n' "$1"; }

free_ports()		# COUNT
{
	python3 -c '
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*[s.getsockname()[1] for s in held])' "$1"
}

# --- where the packets flow ----------------------------------------------

within()
{
	space=$1
	shift
	nsenter --net="/run/netns/$space" "$@"
}

# Two namespaces with a pair of interfaces between them.
make_network()
{
	[ "$(id -u)" -eq 0 ] || return 1
	ip netns add "$near" 2>/dev/null || return 1
	spaces=$near
	ip netns add "$far" || return 1
	spaces="$near $far"
	within "$near" ip link add eth0 type veth peer name eth0 \
	    netns "$far" || return 1
	for one in $spaces; do
		within "$one" ip link set lo up
		within "$one" ip link set eth0 up
	done
	within "$near" ip addr add 192.0.2.1/24 dev eth0
	within "$far" ip addr add 192.0.2.2/24 dev eth0
}

may_capture()
{
	python3 -c '
import socket
socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()' 2>/dev/null
}

if make_network; then
	interface=eth0 server=192.0.2.2 filter=
	here="nsenter --net=/run/netns/$near"
	there="nsenter --net=/run/netns/$far"
elif may_capture; then
	for space in $spaces; do ip netns del "$space"; done
	spaces= here= there= interface=lo server=127.0.0.1 filter=yes
else
	echo "demo: capturing packets needs root (or the capability" \
	    "CAP_NET_RAW): try 'sudo make demo'" >&2
	exit 1
fi

# --- three configurations ------------------------------------------------

# shellcheck disable=SC2046
set -- $(free_ports 3)
[ $# -eq 3 ] || die "no free ports"
relay_port=$1 core_port=$2 web_port=$3
mkdir -p "$out" || die "cannot make $out"
rm -f "$out"/*.log "$out"/core.pcapng

cat >"$work/edge.conf" <<END
[node]
name = edge
description = London, rack 4
[store]
path = $work/edge
min_free = 0
[capture $interface]
description = ToR uplink
${filter:+filter = port $web_port or icmp}
[upstream relay]
url = http://127.0.0.1:$relay_port
tls = off
END
cat >"$work/relay.conf" <<END
[node]
name = relay
description = Paris, meet-me room
[store]
path = $work/relay
min_free = 0
[listen]
address = 127.0.0.1:$relay_port
tls = off
[upstream core]
url = http://127.0.0.1:$core_port
tls = off
END
cat >"$work/core.conf" <<END
[node]
name = core
description = Frankfurt, the archive
[store]
path = $work/core
min_free = 0
[listen]
address = 127.0.0.1:$core_port
tls = off
END

pb()			# NODE ARGUMENTS...
{
	node=$1
	shift
	"$build/pb" -c "$work/$node.conf" "$@"
}

# --- three nodes ---------------------------------------------------------

start()			# PROGRAM NODE [PREFIX...]
{
	program=$1 node=$2
	shift 2
	"$@" "$build/$program" -c "$work/$node.conf" \
	    2>"$work/$node-$program.log" &
	pid=$!
	pids="$pids $pid"
}

ready()			# NODE CURL-ARGUMENTS...
{
	node=$1
	shift
	tries=0
	until curl -fs -o /dev/null --max-time 2 "$@"; do
		tries=$((tries + 1))
		[ $tries -lt 50 ] || die "$node does not answer"
		sleep 0.1
	done
}

heading "Three nodes: edge -> relay -> core"
start pb-recorder core
start pb-recorder relay
# shellcheck disable=SC2086
start pb-recorder edge $there
edge_recorder=$pid
ready core "http://127.0.0.1:$core_port/v1/health"
ready relay "http://127.0.0.1:$relay_port/v1/health"
ready edge --unix-socket "$work/edge/recorder.sock" http://edge/v1/health
start pb-shipper relay
start pb-shipper edge
echo "edge captures $interface${spaces:+ in a network namespace}," \
    "relay listens on $relay_port, core on $core_port"

# --- real traffic --------------------------------------------------------

heading "Real traffic for some seconds"
mkdir -p "$work/www"
head -c 300000 /dev/urandom >"$work/www/file"
# shellcheck disable=SC2086
$there python3 -m http.server --directory "$work/www" "$web_port" \
    >/dev/null 2>&1 &
web=$!
pids="$pids $web"
tries=0
# shellcheck disable=SC2086
until $here curl -fs -o /dev/null --max-time 2 \
    "http://$server:$web_port/file"; do
	tries=$((tries + 1))
	[ $tries -lt 50 ] || die "the web server does not answer"
	sleep 0.1
done
if command -v ping >/dev/null; then
	# shellcheck disable=SC2086
	$here ping -q -c 10 -i 0.2 "$server" >/dev/null 2>&1 &
	pids="$pids $!"
fi
n=0
while [ $n -lt 10 ]; do
	# shellcheck disable=SC2086
	$here curl -fs -o /dev/null "http://$server:$web_port/file"
	# shellcheck disable=SC2086
	$here curl -s -o /dev/null "http://$server:$web_port/missing-$n"
	n=$((n + 1))
	sleep 0.2
done
stop "$web"
echo "downloads over HTTP, some not found$(
    command -v ping >/dev/null && echo ', pings')"

# --- shipping ends -------------------------------------------------------

sleep 0.5
# It ends with everything flushed: from here on the edge's store is final.
kill "$edge_recorder" && wait "$edge_recorder" ||
    die "the edge's recorder ended with status $?"
want=$(pb edge query --count) || die "cannot read the edge's store"
[ "$want" -gt 0 ] || die "nothing was captured"
tries=0
while have=$(pb core query --count 2>/dev/null); [ "$have" != "$want" ]; do
	tries=$((tries + 1))
	[ $tries -lt $((seconds_max * 5)) ] ||
	    die "the core has ${have:-none} of $want packets"
	sleep 0.2
done

# --- what there is to see ------------------------------------------------

heading "pb status, at the core"
pb core status || die "pb status failed"

heading "pb streams, at the core"
pb core streams || die "pb streams failed"

heading "pb query --limit 5 tcp, at the core: each packet's way"
pb core query --json --limit 5 tcp >"$work/ways" || die "pb query failed"
python3 - "$work/ways" <<'END' || die "cannot show the ways"
import json, sys

def ns(stamp):
    clock, _, frac = stamp[11:].rstrip("Z").partition(".")
    h, m, s = (int(x) for x in clock.split(":"))
    return ((h * 60 + m) * 60 + s) * 10**9 + int(frac)

for line in open(sys.argv[1]):
    p = json.loads(line)
    first = p["hops"][0]
    way = ["%s %s" % (first["node"], first["time"][11:])]
    for hop in p["hops"][1:]:
        late = (ns(hop["time"]) - ns(first["time"])) % (86400 * 10**9)
        way.append("%s +%.1f ms" % (hop["node"], late / 1e6))
    print("%s/%s #%-4d %5d bytes  %s" % (
        p["node"], p["interface"], p["seq"], p["len"], " -> ".join(way)))
END

heading "pb query --comments -w $out/core.pcapng"
pb core query --comments -w "$out/core.pcapng" || die "pb query -w failed"
echo "Open it:       wireshark $out/core.pcapng"
echo "One node's:    frame.comment contains \"node=relay \""

heading "Does the core hold exactly what the edge captured?"
pb edge query -w "$work/edge.pcapng" || die "cannot read the edge's store"
python3 -B - "$work/edge.pcapng" "$out/core.pcapng" <<'END' || exit 1
import sys
sys.path.insert(0, "tests/system")
import pngread

def packets(path):
    return [(p.interface.name, p.seq, p.time_ns, p.origlen, p.data)
            for p in sorted(pngread.read(path).packets, key=lambda p: p.seq)]

edge, core = packets(sys.argv[1]), packets(sys.argv[2])
if edge != core or not edge or [p[1] for p in edge] != list(
        range(1, len(edge) + 1)):
    sys.exit("NO: %d packets at the edge, %d at the core" %
             (len(edge), len(core)))
print("Yes: %d packets, %d bytes, each once, byte for byte."
      % (len(core), sum(len(p[4]) for p in core)))
END
