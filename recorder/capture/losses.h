/*
 * recorder/capture/losses.h - what was received, what was lost, and how
 * much of that no packet has told yet
 *
 * libpcap counts in 32 bits from each opening of an interface; here the
 * sums run over all openings, in 64 bits.
 */
#ifndef PB_CAPTURE_LOSSES_H
#define PB_CAPTURE_LOSSES_H

#include <stdint.h>

struct pb_losses {
	uint64_t	received;	/* ps_recv */
	uint64_t	kernel;		/* ps_drop: the ring was full */
	uint64_t	interface;	/* ps_ifdrop */
	uint64_t	store;		/* read, but no chunk was free */
	uint64_t	pending;	/* lost and not yet in a drop count */
	struct { uint32_t received, kernel, interface; } last;
};

/* An interface was opened: libpcap counts from 0 again. */
void	pb_losses_opened(struct pb_losses *losses);

/*
 * Take libpcap's counters as they are now.  A counter that went past
 * 2^32 has wrapped; one that went back (an interface that vanished reads
 * as 0) has not lost four billion packets, and counts as unchanged.
 */
void	pb_losses_sample(struct pb_losses *losses, uint32_t received,
	    uint32_t kernel, uint32_t interface);

/* `packets` were read and could not be kept. */
void	pb_losses_store(struct pb_losses *losses, uint64_t packets);

#endif
