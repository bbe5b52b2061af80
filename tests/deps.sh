#!/bin/sh
# Install what is needed, and the packages that are named beside it.  Asks
# nothing; does nothing where all is there.
#
#	tests/deps.sh build|demo|test|root [PACKAGE...]
#
# What building and running needs, what `make demo` needs beside it, what
# the tests need beside that; what `make test-root` needs beside the demo's.
# DEPS_APT=--download-only fetches the packages and installs none.
set -eu

build="gcc make pkg-config libc6-dev libpcap-dev liblmdb-dev
libcurl4-openssl-dev libmicrohttpd-dev libgnutls28-dev
libxxhash-dev libzstd-dev zlib1g-dev libjansson-dev"
# Hyperscan is for amd64 alone, Vectorscan is the same elsewhere.
case $(dpkg --print-architecture 2>/dev/null) in
amd64 | "") build="$build libhyperscan-dev" ;;
*) build="$build libvectorscan-dev" ;;
esac
demo="$build iproute2 curl python3"
test="$demo libcmocka-dev tshark wireshark-common tcpdump tcpreplay procps
openssl e2fsprogs strace valgrind nftables dbus-daemon dbus-bin"
root="$demo debootstrap systemd-container"

case ${1:-} in
build) packages=$build ;;
demo) packages=$demo ;;
test) packages=$test ;;
root) packages=$root ;;
*)
	echo "usage: tests/deps.sh build|demo|test|root [PACKAGE...]" >&2
	exit 2 ;;
esac
shift

missing=
for p in $packages "$@"; do
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
install="$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq
--no-install-recommends ${DEPS_APT:-}"
echo "deps: installing$missing"
# shellcheck disable=SC2086
$install $missing >/dev/null 2>&1 || {
	$sudo apt-get update -qq
	$install $missing >/dev/null
}
