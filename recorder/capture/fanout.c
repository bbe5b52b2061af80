/*
 * recorder/capture/fanout.c - several handles, each packet to one of them
 *
 * No PACKET_FANOUT_FLAG_DEFRAG: it hands out datagrams that nobody sent.
 * The first socket asks for an id that no group of the network namespace
 * has (since Linux 4.12), the others join by it; the group ends with the
 * last of them.
 */
#include "recorder/capture/pcap_open.h"

#include <linux/if_packet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "conf/conf.h"

#define ID_MASK		0xffffu
#define MODE_SHIFT	16
#define MODE		(PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_ROLLOVER)
/* PACKET_FANOUT_FLAG_IGNORE_OUTGOING of newer headers: the option of its
 * sockets does not count for a group. */
#define IN_ONLY		0x4000u
#define BATCH_PACKETS_MAX 65536	/* of one ring between two looks */
#define SETTLE_MS_MAX	1000u	/* for rings that fill while they are read */
#define TICK_MS		10u	/* of the slowest kernel's clock */

static int	join(int, unsigned, struct pb_err *);
static int	group_of(int, unsigned *, struct pb_err *);
static int	settle(const struct pb_pcap *, unsigned, unsigned,
		    struct pb_err *);
static int	read_away(const struct pb_pcap *, unsigned, struct pb_err *);
static void	discard(u_char *, const struct pcap_pkthdr *, const u_char *);

int
pb_fanout_join(const struct pb_pcap *opened, unsigned count,
    unsigned hold_ms, struct pb_err *err)
{
	unsigned id = 0, mode = MODE | (opened[0].in_only ? IN_ONLY : 0);
	int rc;

	rc = join(opened[0].fd, (mode | PACKET_FANOUT_FLAG_UNIQUEID) <<
	    MODE_SHIFT, err);
	if (rc == 0)
		rc = group_of(opened[0].fd, &id, err);
	for (unsigned i = 1; i < count && rc == 0; i++)
		rc = join(opened[i].fd, mode << MODE_SHIFT | id, err);
	return rc < 0 ? rc : settle(opened, count, hold_ms, err);
}

static int
join(int fd, unsigned group, struct pb_err *err)
{
	if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &group,
	    sizeof(group)) == 0)
		return 0;
	pb_err_sys(err, "PACKET_FANOUT");
	return PB_EINVAL;
}

static int
group_of(int fd, unsigned *id, struct pb_err *err)
{
	unsigned group = 0;
	socklen_t len = sizeof(group);

	if (getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &group, &len) < 0) {
		pb_err_sys(err, "PACKET_FANOUT");
		return PB_EINVAL;
	}
	*id = group & ID_MASK;
	return 0;
}

/*
 * A socket sees every packet until it is in the group.  Those stand in
 * blocks of the rings that the kernel gives out within twice hold_ms, each
 * rounded up.
 */
static int
settle(const struct pb_pcap *opened, unsigned count, unsigned hold_ms,
    struct pb_err *err)
{
	uint64_t until_ms = pb_clock_mono_ms() + 2 * (hold_ms + TICK_MS);
	struct pollfd fds[PB_CAPTURE_THREADS_MAX];
	uint64_t now_ms;
	int more;

	for (unsigned i = 0; i < count; i++)
		fds[i] = (struct pollfd){ .fd = opened[i].fd,
		    .events = POLLIN };
	do {
		poll(fds, count, (int)hold_ms);
		now_ms = pb_clock_mono_ms();
		more = read_away(opened, count, err);
		if (more < 0)
			return more;
	} while (now_ms < until_ms ||
	    (more > 0 && now_ms < until_ms + SETTLE_MS_MAX));
	return 0;
}

/* 1 where one of them may have more. */
static int
read_away(const struct pb_pcap *opened, unsigned count, struct pb_err *err)
{
	int more = 0;

	for (unsigned i = 0; i < count; i++) {
		int n = pcap_dispatch(opened[i].pcap, BATCH_PACKETS_MAX,
		    discard, NULL);

		if (n < 0)
			return pb_err_set(err, PB_ESYS, "%s",
			    pcap_geterr(opened[i].pcap));
		if (n >= BATCH_PACKETS_MAX)
			more = 1;
	}
	return more;
}

static void
discard(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	(void)user;
	(void)header;
	(void)data;
}
