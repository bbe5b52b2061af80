#!/bin/sh
# What installing is beside copying: the user, the directories, and a
# configuration where there is none yet.  `make install` runs it.
#
#	conf/setup.sh PREFIX [DESTDIR]
#
# With DESTDIR the user is left to sysusers.d, and whose the directories are
# to tmpfiles.d, where what lies in DESTDIR is booted.  Without it, and
# without root's rights, nothing is done.
set -eu

prefix=$1 dest=${2:-}
user=packetbroker
etc=$dest/etc/packetbroker state=$dest/var/lib/packetbroker

make_user()
{
	getent passwd $user >/dev/null && return
	if command -v systemd-sysusers >/dev/null; then
		systemd-sysusers "$prefix/lib/sysusers.d/packetbroker.conf"
	else
		useradd --system --user-group --no-create-home \
		    --home-dir "$state" --shell /usr/sbin/nologin $user
	fi
}

if [ -z "$dest" ] && [ "$(id -u)" -ne 0 ]; then
	echo "install: not root: no user and no $etc made" >&2
	exit 0
fi
install -d -m 750 "$etc" "$state"
if [ -z "$dest" ]; then
	make_user
	chgrp $user "$etc"
	chown $user:$user "$state"
fi
# Its directory keeps others out.
conf=$etc/packetbroker.conf
if [ ! -e "$conf" ]; then
	sed "s|@PREFIX@|$prefix|g" "$(dirname "$0")/packetbroker.conf.in" \
	    >"$conf.new"
	chmod 644 "$conf.new"
	mv "$conf.new" "$conf"
	echo "Fill in: $conf"
fi
if [ -z "$dest" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
