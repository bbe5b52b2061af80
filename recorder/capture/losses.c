/*
 * recorder/capture/losses.c - counters of received and lost packets
 */
#include "recorder/capture/losses.h"

#include <string.h>

static uint64_t	step(uint32_t *, uint32_t);

void
pb_losses_opened(struct pb_losses *losses)
{
	memset(&losses->last, 0, sizeof(losses->last));
}

void
pb_losses_sample(struct pb_losses *losses, uint32_t received,
    uint32_t kernel, uint32_t interface)
{
	uint64_t by_kernel = step(&losses->last.kernel, kernel);
	uint64_t by_interface = step(&losses->last.interface, interface);

	losses->received += step(&losses->last.received, received);
	losses->kernel += by_kernel;
	losses->interface += by_interface;
	losses->pending += by_kernel + by_interface;
}

void
pb_losses_store(struct pb_losses *losses, uint64_t packets)
{
	losses->store += packets;
	losses->pending += packets;
}

/* How far a 32-bit counter moved on; half its range and more is backwards. */
static uint64_t
step(uint32_t *last, uint32_t now)
{
	uint32_t moved = now - *last;

	*last = now;
	return moved < UINT32_C(1) << 31 ? moved : 0;
}
