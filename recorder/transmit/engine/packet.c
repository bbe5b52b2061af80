/*
 * recorder/transmit/engine/packet.c - a packet(7) socket that only sends
 */
#include "recorder/transmit/engine/packet.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define QUEUE_BYTES	(4 << 20)	/* as far as the system allows it */
#define REFUSED_NS	50000u		/* until an interface is asked again */

static int	set_up(int);

int
pb_packet_open(int *fd, struct pb_err *err)
{
	/* Protocol 0: nothing is received. */
	*fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (*fd < 0 && (errno == EPERM || errno == EACCES))
		return pb_err_set(err, PB_EACCES, "not permitted; run as root "
		    "or with CAP_NET_RAW");
	if (*fd < 0)
		return pb_err_sys(err, "packet socket");
	if (set_up(*fd) == 0)
		return 0;
	pb_err_sys(err, "PACKET_QDISC_BYPASS");
	close(*fd);
	*fd = -1;
	return PB_EINVAL;
}

int
pb_packet_bind(int fd, unsigned index, struct pb_err *err)
{
	const struct sockaddr_ll self = { .sll_family = AF_PACKET,
	    .sll_ifindex = (int)index };

	if (bind(fd, (const struct sockaddr *)&self, sizeof(self)) < 0)
		return pb_err_sys(err, "bind");
	return 0;
}

void
pb_packet_queue(int fd)
{
	int bytes = QUEUE_BYTES;

	/* More than the system's bound is CAP_NET_ADMIN's: no need. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes,
	    sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

int
pb_packet_wait(int fd, bool refused, uint64_t ns_max)
{
	struct pollfd poll_for = { .fd = fd, .events = POLLOUT };
	struct timespec time;

	if (refused && ns_max > REFUSED_NS)
		ns_max = REFUSED_NS;
	time.tv_sec = (time_t)(ns_max / PB_NS_PER_S);
	time.tv_nsec = (long)(ns_max % PB_NS_PER_S);
	if (ppoll(&poll_for, refused ? 0 : 1, &time, NULL) < 0 &&
	    errno != EINTR)
		return -errno;
	return 0;
}

int
pb_packet_pending(int fd)
{
	int bytes = 0;

	return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? -errno : bytes > 0;
}

static int
set_up(int fd)
{
	int one = 1;

	pb_packet_queue(fd);
	return setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one,
	    sizeof(one));
}
