#!/bin/sh
# Install what building, testing and running need, and the packages that
# are named beside it.  Asks nothing; does nothing where all is there.
#
#	tests/deps.sh [PACKAGE...]
set -eu

packages="gcc make pkg-config libc6-dev libpcap-dev liblmdb-dev
libcurl4-openssl-dev libmicrohttpd-dev libgnutls28-dev libinih-dev
libxxhash-dev libzstd-dev libjansson-dev libcmocka-dev tshark wireshark-common tcpdump
tcpreplay iproute2 procps curl openssl python3 strace valgrind $*"

missing=
for p in $packages; do
	dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null |
	    grep -qx installed || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps: no apt-get here; install these yourself:$missing" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	if ! sudo -n true 2>/dev/null; then
		echo "deps: need root to run: apt-get install$missing" >&2
		exit 1
	fi
	sudo=sudo
else
	sudo=
fi
export DEBIAN_FRONTEND=noninteractive
echo "deps: installing$missing"
# shellcheck disable=SC2086
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 || {
	$sudo apt-get update -qq
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    --no-install-recommends $missing >/dev/null
}
