/*
 * shipper/ship/backoff.c - how long what failed is left alone
 */
#include "shipper/ship/backoff.h"

uint64_t
pb_doubled_ms(uint64_t first, unsigned times, uint64_t most)
{
	uint64_t ms = first;

	for (unsigned i = 0; i < times && ms < most; i++)
		ms *= 2;
	return ms < most ? ms : most;
}

uint64_t
pb_backoff_ms(uint64_t random, unsigned attempts)
{
	return 1 + random % pb_doubled_ms(PB_BACKOFF_MS_MIN, attempts - 1,
	    PB_BACKOFF_MS_MAX);
}
