/*
 * recorder/link/link.c - watching network interfaces
 */
#include "recorder/link/link.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool	ask(const char *, unsigned long, struct ifreq *);

int
pb_link_watch(void)
{
	struct sockaddr_nl self = { .nl_family = AF_NETLINK,
	    .nl_groups = RTMGRP_LINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    NETLINK_ROUTE);

	if (fd < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&self, sizeof(self)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

bool
pb_link_changed(int fd)
{
	char message[8192];
	bool changed = false;

	/* ENOBUFS: messages were lost, which is news as well. */
	while (recv(fd, message, sizeof(message), 0) >= 0 || errno == ENOBUFS)
		changed = true;
	return changed;
}

void
pb_link_state(const char *interface, struct pb_link_state *out)
{
	struct ifreq request = { .ifr_flags = 0 };

	out->index = if_nametoindex(interface);
	out->up = true;
	if (out->index != 0 && ask(interface, SIOCGIFFLAGS, &request))
		out->up = (request.ifr_flags & IFF_UP) != 0;
}

int
pb_link_phc(const char *interface)
{
	struct ethtool_ts_info info = { .cmd = ETHTOOL_GET_TS_INFO };
	struct ifreq request = { .ifr_data = (void *)&info };

	return ask(interface, SIOCETHTOOL, &request) ? info.phc_index : -1;
}

/* ioctl(2) on the interface; false where it is refused. */
static bool
ask(const char *interface, unsigned long what, struct ifreq *request)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool told;

	if (fd < 0 || strlen(interface) >= sizeof(request->ifr_name)) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	strcpy(request->ifr_name, interface);
	told = ioctl(fd, what, request) == 0;
	close(fd);
	return told;
}
