/*
 * recorder/transmit/engine/xsk.c - an AF_XDP socket that only sends
 */
#include "recorder/transmit/engine/xsk.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "recorder/transmit/engine/packet.h"

#ifndef XDP_USE_SG
#define XDP_USE_SG	(1 << 4)	/* since Linux 6.6 */
#endif
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET	9	/* since Linux 6.17 */
#endif
#define QUEUES_MAX	256u		/* that are tried */
#define BUSY_TRIES	100u		/* of a queue that may become free */
#define BUSY_PAUSE_NS	2000000
#define UNUSED_RING	64u		/* nothing is ever received */

static int	make(struct pb_xsk *, struct pb_err *);
static int	give_memory(struct pb_xsk *, struct pb_err *);
static int	make_rings(struct pb_xsk *, struct pb_err *);
static int	set_number(int, int, uint32_t);
static int	map_ring(struct pb_xsk_ring *, int,
		    const struct xdp_ring_offset *, size_t, uint64_t);
static int	bind_somewhere(struct pb_xsk *, unsigned, bool,
		    struct pb_err *);
static int	bind_patiently(int, unsigned, uint16_t);
static int	bind_queue(int, unsigned, uint16_t);
static bool	wakes(int);

int
pb_xsk_open(struct pb_xsk *xsk, unsigned index, bool zero_copy,
    struct pb_err *err)
{
	int rc;

	do {
		rc = make(xsk, err);
		if (rc == 0)
			rc = bind_somewhere(xsk, index, zero_copy, err);
		if (rc != 0)
			pb_xsk_close(xsk);
		zero_copy = false;
	} while (rc > 0);
	return rc;
}

void
pb_xsk_close(struct pb_xsk *xsk)
{
	if (xsk->fd >= 0)
		close(xsk->fd);
	if (xsk->tx.map != NULL)
		munmap(xsk->tx.map, xsk->tx.map_bytes);
	if (xsk->done.map != NULL)
		munmap(xsk->done.map, xsk->done.map_bytes);
	if (xsk->memory != NULL)
		munmap(xsk->memory, (size_t)PB_XSK_CHUNKS *
		    PB_XSK_CHUNK_BYTES);
	memset(xsk, 0, sizeof(*xsk));
	xsk->fd = -1;
}

static int
make(struct pb_xsk *xsk, struct pb_err *err)
{
	int rc;

	memset(xsk, 0, sizeof(*xsk));
	xsk->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (xsk->fd < 0 && (errno == EPERM || errno == EACCES))
		return pb_err_set(err, PB_EACCES, "not permitted; run as root "
		    "or with CAP_NET_RAW");
	if (xsk->fd < 0) {
		pb_err_sys(err, "this system has no AF_XDP");
		return PB_EINVAL;
	}
	pb_packet_queue(xsk->fd);
	rc = give_memory(xsk, err);
	return rc < 0 ? rc : make_rings(xsk, err);
}

static int
give_memory(struct pb_xsk *xsk, struct pb_err *err)
{
	size_t bytes = (size_t)PB_XSK_CHUNKS * PB_XSK_CHUNK_BYTES;
	struct xdp_umem_reg reg = { .len = bytes,
	    .chunk_size = PB_XSK_CHUNK_BYTES };

	xsk->memory = pb_pages_map(bytes, PROT_READ | PROT_WRITE, 0);
	if (xsk->memory == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	reg.addr = (uintptr_t)xsk->memory;
	if (setsockopt(xsk->fd, SOL_XDP, XDP_UMEM_REG, &reg,
	    sizeof(reg)) == 0)
		return 0;
	if (errno == ENOBUFS)
		return pb_err_set(err, PB_EACCES, "%zu MiB may not be locked; "
		    "raise LimitMEMLOCK= or ulimit -l, or run with "
		    "CAP_IPC_LOCK", bytes >> 20);
	pb_err_sys(err, "XDP_UMEM_REG");
	return PB_EINVAL;
}

static int
make_rings(struct pb_xsk *xsk, struct pb_err *err)
{
	struct xdp_mmap_offsets at;
	socklen_t len = sizeof(at);

	/* Nobody binds without a ring to receive by. */
	if (set_number(xsk->fd, XDP_UMEM_FILL_RING, UNUSED_RING) == 0 &&
	    set_number(xsk->fd, XDP_UMEM_COMPLETION_RING, PB_XSK_RING) == 0 &&
	    set_number(xsk->fd, XDP_TX_RING, PB_XSK_RING) == 0 &&
	    getsockopt(xsk->fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &len) == 0 &&
	    len == sizeof(at) &&
	    map_ring(&xsk->tx, xsk->fd, &at.tx, sizeof(struct xdp_desc),
	    XDP_PGOFF_TX_RING) == 0 &&
	    map_ring(&xsk->done, xsk->fd, &at.cr, sizeof(uint64_t),
	    XDP_UMEM_PGOFF_COMPLETION_RING) == 0) {
		/* The same Linux writes back how far it came each time. */
		xsk->tells = set_number(xsk->fd, XDP_MAX_TX_SKB_BUDGET,
		    PB_XSK_BUDGET) == 0;
		return 0;
	}
	pb_err_sys(err, "its rings");
	return PB_EINVAL;
}

static int
set_number(int fd, int option, uint32_t number)
{
	return setsockopt(fd, SOL_XDP, option, &number, sizeof(number));
}

static int
map_ring(struct pb_xsk_ring *ring, int fd, const struct xdp_ring_offset *at,
    size_t entry_bytes, uint64_t offset)
{
	size_t bytes = at->desc + PB_XSK_RING * entry_bytes;
	uint8_t *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);

	if (map == MAP_FAILED)
		return -1;
	ring->map = map;
	ring->map_bytes = bytes;
	ring->producer = (uint32_t *)(void *)(map + at->producer);
	ring->consumer = (uint32_t *)(void *)(map + at->consumer);
	ring->flags = (uint32_t *)(void *)(map + at->flags);
	ring->entries = map + at->desc;
	return 0;
}

/* Where it is refused, less is asked for: no zero copy, no large frames. */
static int
bind_somewhere(struct pb_xsk *xsk, unsigned index, bool zero_copy,
    struct pb_err *err)
{
	static const uint16_t ways[] = {
		XDP_USE_NEED_WAKEUP | XDP_USE_SG | XDP_ZEROCOPY,
		XDP_USE_NEED_WAKEUP | XDP_USE_SG | XDP_COPY,
		XDP_USE_NEED_WAKEUP | XDP_COPY,
	};
	int sys = 0;

	for (unsigned i = zero_copy ? 0 : 1; i < 3; i++) {
		sys = bind_patiently(xsk->fd, index, ways[i]);
		xsk->zero_copy = (ways[i] & XDP_ZEROCOPY) != 0;
		xsk->large = (ways[i] & XDP_USE_SG) != 0;
		if (sys == 0 && (!xsk->zero_copy || wakes(xsk->fd)))
			return 0;
		if (sys == 0)	/* Bound for good: another socket copies. */
			return 1;
		if (sys == EBUSY)
			return pb_err_set(err, PB_EBUSY, "other AF_XDP "
			    "sockets have all its queues");
	}
	if (sys == EPERM || sys == EACCES)
		return pb_err_set(err, PB_EACCES, "not permitted; run as root "
		    "or with CAP_NET_RAW and CAP_NET_ADMIN");
	errno = sys;
	pb_err_sys(err, "bind");
	return PB_EINVAL;
}

/* A queue is free again some time after its socket was closed. */
static int
bind_patiently(int fd, unsigned index, uint16_t flags)
{
	const struct timespec pause = { .tv_nsec = BUSY_PAUSE_NS };
	int sys = bind_queue(fd, index, flags);

	for (unsigned i = 0; i < BUSY_TRIES && sys == EBUSY; i++) {
		nanosleep(&pause, NULL);
		sys = bind_queue(fd, index, flags);
	}
	return sys;
}

/* On the first queue that no other socket has; 0 or errno. */
static int
bind_queue(int fd, unsigned index, uint16_t flags)
{
	struct sockaddr_xdp self = { .sxdp_family = AF_XDP,
	    .sxdp_flags = flags, .sxdp_ifindex = index };

	for (unsigned queue = 0; queue < QUEUES_MAX; queue++) {
		self.sxdp_queue_id = queue;
		if (bind(fd, (const struct sockaddr *)&self,
		    sizeof(self)) == 0)
			return 0;
		/* No such queue: all that there are are taken. */
		if (errno != EBUSY)
			return errno == EINVAL && queue > 0 ? EBUSY : errno;
	}
	return EBUSY;
}

/* Some drivers take the memory, and send only beside a program. */
static bool
wakes(int fd)
{
	return sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) == 0 ||
	    errno == ENETDOWN || errno == EAGAIN || errno == EBUSY;
}
