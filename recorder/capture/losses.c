/*
 * recorder/capture/losses.c - counters of received and lost packets
 */
#include "recorder/capture/losses.h"

static uint64_t	step(uint32_t *, uint32_t);

void
pb_losses_sample(struct pb_losses *last, struct pb_counts *counts,
    const struct pb_losses *now)
{
	uint64_t kernel = step(&last->kernel, now->kernel);
	uint64_t interface = step(&last->interface, now->interface);

	pb_count(&counts->received, step(&last->received, now->received));
	if (kernel + interface == 0)
		return;
	pb_count(&counts->kernel, kernel);
	pb_count(&counts->interface, interface);
	pb_count(&counts->untold, kernel + interface);
}

void
pb_losses_store(struct pb_counts *counts, uint64_t packets)
{
	pb_count(&counts->store, packets);
	pb_count(&counts->untold, packets);
}

uint64_t
pb_losses_tell(struct pb_counts *counts)
{
	if (pb_counted(&counts->untold) == 0)
		return 0;
	return atomic_exchange_explicit(&counts->untold, 0,
	    memory_order_relaxed);
}

/* How far a 32-bit counter moved on; half its range and more is backwards. */
static uint64_t
step(uint32_t *last, uint32_t now)
{
	uint32_t moved = now - *last;

	*last = now;
	return moved < UINT32_C(1) << 31 ? moved : 0;
}
