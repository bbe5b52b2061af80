/*
 * recorder/capture/losses.h - what was received, what was kept, what was
 * lost, and how much of that no packet has told yet
 *
 * One set of counts an interface: each of its threads adds what its own
 * socket and chunks say, and whoever writes a statistics block or a drop
 * count reads the sum.  They move once a chunk or less often, never for a
 * packet that is kept.
 */
#ifndef PB_CAPTURE_LOSSES_H
#define PB_CAPTURE_LOSSES_H

#include <stdatomic.h>
#include <stdint.h>

struct pb_counts {
	uint64_t	 start_ns;	/* since when, CLOCK_REALTIME */
	_Atomic uint64_t received;	/* ps_recv */
	_Atomic uint64_t kernel;	/* ps_drop: the ring was full */
	_Atomic uint64_t interface;	/* ps_ifdrop */
	_Atomic uint64_t store;		/* read, but no chunk was free */
	_Atomic uint64_t packets;	/* kept */
	_Atomic uint64_t bytes;		/* captured bytes of those */
	_Atomic uint64_t untold;	/* lost and not yet in a drop count */
};

/*
 * libpcap's counters of one handle as they were last seen.  They have 32
 * bits and begin at 0 with each opening.
 */
struct pb_losses {
	uint32_t	received, kernel, interface;
};

static inline void
pb_count(_Atomic uint64_t *counter, uint64_t more)
{
	atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

static inline uint64_t
pb_counted(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* How far a 32-bit counter moved on; half its range and more is backwards. */
static inline uint64_t
pb_counter_step(uint32_t *last, uint32_t now)
{
	uint32_t moved = now - *last;

	*last = now;
	return moved < UINT32_C(1) << 31 ? moved : 0;
}

/*
 * Take libpcap's counters as they are now: what they moved on since `last`
 * is added.  A counter that went past 2^32 has wrapped; one that went back
 * (an interface that vanished reads as 0) has not lost four billion
 * packets, and counts as unchanged.
 */
static inline void
pb_losses_sample(struct pb_losses *last, struct pb_counts *counts,
    const struct pb_losses *now)
{
	uint64_t kernel = pb_counter_step(&last->kernel, now->kernel);
	uint64_t interface = pb_counter_step(&last->interface,
	    now->interface);

	pb_count(&counts->received, pb_counter_step(&last->received,
	    now->received));
	if (kernel + interface == 0)
		return;
	pb_count(&counts->kernel, kernel);
	pb_count(&counts->interface, interface);
	pb_count(&counts->untold, kernel + interface);
}

/* `packets` were read and could not be kept. */
static inline void
pb_losses_store(struct pb_counts *counts, uint64_t packets)
{
	pb_count(&counts->store, packets);
	pb_count(&counts->untold, packets);
}

/* What no packet has told yet; the caller tells it. */
static inline uint64_t
pb_losses_tell(struct pb_counts *counts)
{
	if (pb_counted(&counts->untold) == 0)
		return 0;
	return atomic_exchange_explicit(&counts->untold, 0,
	    memory_order_relaxed);
}

#endif
