/*
 * shipper/ship/backoff.h - how long what failed is left alone
 *
 * Pure: the random number is an argument.
 */
#ifndef PB_SHIPPER_BACKOFF_H
#define PB_SHIPPER_BACKOFF_H

#include <stdint.h>

#define PB_BACKOFF_MS_MIN	200u
#define PB_BACKOFF_MS_MAX	30000u

/* `first`, doubled so many times, and `most` at most. */
uint64_t pb_doubled_ms(uint64_t first, unsigned times, uint64_t most);

/* After so many failures in a row (1 or more): 1 ms or more, at random up to
 * what doubles with each, so that many peers do not come all at once. */
uint64_t pb_backoff_ms(uint64_t random, unsigned attempts);

#endif
