/*
 * recorder/capture/ring.c - what the kernel wrote beside each packet
 *
 * How far a packet is behind its header follows from the length of what the
 * interface puts in front of packets, tags included (tpacket_rcv() in Linux's
 * net/packet/af_packet.c):
 *
 *	TPACKET_ALIGN(HEAD_BYTES + max(length, 16)) + reserve - length
 *
 * Headers are aligned, so that a packet's address leaves four of these or
 * five, and mostly it is the one that it was last.
 */
#include "recorder/capture/ring.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define MAPS		"/proc/self/maps"	/* proc_pid_maps(5) */
#define RESERVE_MAX	4096u	/* more than libpcap ever wants */
#define LENGTH_MIN	16u	/* what the kernel keeps for headers */

#define HEAD_BYTES	(PB_RING_HEAD + (unsigned)sizeof(struct sockaddr_ll))

_Static_assert(PB_RING_HEAD + offsetof(struct sockaddr_ll, sll_pkttype) <
    HEAD_BYTES - PB_RING_TAG, "what is read lies before the packet");

static unsigned	farthest(const struct pb_ring *, unsigned);
static int	ask(int, int, int, unsigned *, struct pb_err *);
static int	find_mapping(int, uintptr_t *, uintptr_t *, struct pb_err *);
static bool	is_mapping(const char *, const struct stat *, uintptr_t *,
		    uintptr_t *);

int
pb_ring_find(struct pb_ring *out, int fd, struct pb_err *err)
{
	unsigned version = 0, head = 0, reserve = 0;
	uintptr_t start = 0, end = 0;

	memset(out, 0, sizeof(*out));
	if (ask(fd, PACKET_VERSION, 0, &version, err) < 0 ||
	    ask(fd, PACKET_HDRLEN, TPACKET_V3, &head, err) < 0 ||
	    ask(fd, PACKET_RESERVE, 0, &reserve, err) < 0)
		return PB_EINVAL;
	if (version != TPACKET_V3 || head != sizeof(struct tpacket3_hdr) ||
	    reserve > RESERVE_MAX)
		return pb_err_set(err, PB_EINVAL, "the kernel's ring is of "
		    "version %u, with headers of %u bytes and %u in reserve",
		    version + 1, head, reserve);
	if (find_mapping(fd, &start, &end, err) < 0)
		return PB_EINVAL;
	pb_ring_init(out, (const void *)start, end - start, reserve);
	return 0;
}

void
pb_ring_init(struct pb_ring *out, const void *start, size_t bytes,
    unsigned reserve)
{
	memset(out, 0, sizeof(*out));
	out->near = HEAD_BYTES + reserve - PB_RING_TAG;
	out->far = (unsigned)TPACKET_ALIGN((int)(HEAD_BYTES + LENGTH_MIN)) +
	    reserve;
	out->first = (uintptr_t)start + out->far;
	out->bytes = bytes > out->far ? bytes - out->far : 0;
	for (unsigned i = 0; i < PB_RING_ALIGN; i++)
		out->last[i] = farthest(out, i);
}

unsigned
pb_ring_search(struct pb_ring *ring, const struct pcap_pkthdr *packet,
    const uint8_t *data)
{
	unsigned align = (uintptr_t)data % PB_RING_ALIGN;

	for (unsigned distance = farthest(ring, align);
	    distance >= ring->near; distance -= PB_RING_ALIGN)
		if (pb_ring_fits(packet, data, distance)) {
			ring->last[align] = distance;
			return pb_ring_told(data, distance);
		}
	return PB_TYPE_NONE;
}

/* --- helpers ------------------------------------------------------------- */

/* Where the header of a packet so aligned can begin. */
static unsigned
farthest(const struct pb_ring *ring, unsigned align)
{
	return ring->far - (ring->far - align) % PB_RING_ALIGN;
}

/* A number of packet(7); of PACKET_HDRLEN `*out` is that of version `of`. */
static int
ask(int fd, int option, int of, unsigned *out, struct pb_err *err)
{
	int value = of;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, SOL_PACKET, option, &value, &len) < 0)
		return pb_err_sys(err, "the kernel's ring is not known");
	*out = (unsigned)value;
	return 0;
}

/* Where the socket is mapped, which libpcap does once and as a whole. */
static int
find_mapping(int fd, uintptr_t *start, uintptr_t *end, struct pb_err *err)
{
	char *line = NULL;
	unsigned found = 0;
	struct stat st;
	size_t room = 0;
	FILE *file;

	if (fstat(fd, &st) < 0)
		return pb_err_sys(err, "the kernel's ring");
	file = fopen(MAPS, "re");
	if (file == NULL)
		return pb_err_sys(err, MAPS);
	while (getline(&line, &room, file) > 0)
		found += is_mapping(line, &st, start, end);
	fclose(file);
	free(line);
	if (found == 1)
		return 0;
	return pb_err_set(err, PB_EINVAL, "the kernel's ring is mapped %u "
	    "times", found);
}

static bool
is_mapping(const char *line, const struct stat *st, uintptr_t *start,
    uintptr_t *end)
{
	unsigned long first, last, at, inode;
	unsigned int of, number;
	char access[5];

	if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu", &first, &last, access,
	    &at, &of, &number, &inode) != 7 || inode != st->st_ino ||
	    of != major(st->st_dev) || number != minor(st->st_dev) ||
	    access[0] != 'r' || at != 0)
		return false;
	*start = first;
	*end = last;
	return true;
}
