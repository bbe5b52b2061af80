/*
 * recorder/transmit/engine/xsk.h - an AF_XDP socket that only sends
 *
 * Its memory and rings as Documentation/networking/af_xdp.rst of Linux has
 * them, by plain system calls.  No program is needed on the interface.
 */
#ifndef PB_TRANSMIT_XSK_H
#define PB_TRANSMIT_XSK_H

#include <linux/if_xdp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PB_XSK_CHUNK_BYTES	4096u	/* the most the kernel takes */
#define PB_XSK_CHUNKS		1024u	/* 4 MiB: half of RLIMIT_MEMLOCK */
#define PB_XSK_BUDGET		256u	/* descriptors that a call takes */
#define PB_XSK_RING		2048u	/* descriptors: never full */

/* One of the kernel's rings, as it is mapped here. */
struct pb_xsk_ring {
	uint32_t	*producer, *consumer, *flags;
	void		*entries;
	void		*map;
	size_t		 map_bytes;
};

struct pb_xsk {
	int		 fd;
	uint8_t		*memory;	/* PB_XSK_CHUNKS of them */
	struct pb_xsk_ring tx, done;	/* of xdp_desc; of addresses */
	bool		 zero_copy;
	bool		 large;		/* a frame may have several chunks */
	bool		 tells;		/* how far it came, after each call */
};

/*
 * On the first queue of the interface that no other socket has; with
 * `zero_copy` that way where its driver has it.  PB_EACCES: what is missing;
 * PB_EBUSY: all its queues are taken; PB_EINVAL: not on this system or
 * interface.
 */
int	pb_xsk_open(struct pb_xsk *xsk, unsigned index, bool zero_copy,
	    struct pb_err *err);
void	pb_xsk_close(struct pb_xsk *xsk);

#endif
