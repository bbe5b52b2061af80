#!/bin/sh
# Install what the benchmark measures against, without starting or enabling
# a service that was not there before.  Does nothing where all is there.
set -eu

packages="netsniff-ng wireshark-common tcpdump stenographer rsync iperf3
nginx curl openssl ethtool"
services="nginx stenographer rsync iperf3"
# Asked by Debian's maintainer scripts before they start anything.
policy=/usr/sbin/policy-rc.d

installed()		# PACKAGE
{
	dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null |
	    grep -qx installed
}

missing=
for p in $packages; do
	installed "$p" || missing="$missing $p"
done
here=$(dirname "$0")
if [ -z "$missing" ]; then
	exec "$here/../deps.sh" test
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "peers: need root to install$missing" >&2
	exit 1
fi
fresh=
for s in $services; do
	installed "$s" || fresh="$fresh $s"
done
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
# shellcheck disable=SC2086
"$here/../deps.sh" test $missing
for s in $fresh; do
	if [ -d /run/systemd/system ]; then
		systemctl --quiet disable --now "$s" 2>/dev/null || true
	elif [ -x /usr/sbin/update-rc.d ]; then
		update-rc.d "$s" disable >/dev/null 2>&1 || true
	fi
done
