/*
 * pcapng/ticks.h - an interface's own clock, in nanoseconds
 *
 * Source: draft 4.2, if_tsresol and if_tsoffset.  128-bit arithmetic, rounded
 * down.
 */
#ifndef PB_PCAPNG_TICKS_H
#define PB_PCAPNG_TICKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct pb_ticks {
	uint64_t	mul;		/* ns = ticks * mul / div >> shift */
	uint64_t	div;
	unsigned	shift;
	int64_t		offset_s;
};

/*
 * The clock of an interface with these options (option.h); microseconds
 * where they say nothing.  PB_EFORMAT where they are not those of the draft,
 * or so fine that 64 bits of ticks span less than a second.
 */
int	pb_ticks_read(struct pb_ticks *out, const uint8_t *options,
	    size_t len, struct pb_err *err);

__extension__ typedef unsigned __int128 pb_u128;
__extension__ typedef __int128 pb_i128;

/* False where it is not within 1970 to 2554: 64 bits of nanoseconds. */
static inline bool
pb_ticks_ns(const struct pb_ticks *clock, uint64_t ticks, uint64_t *ns)
{
	pb_u128 scaled = (pb_u128)ticks * clock->mul;
	pb_i128 at;

	if (clock->div > 1)	/* rare, and slow in 128 bits */
		scaled /= clock->div;
	at = (pb_i128)(scaled >> clock->shift) +
	    (pb_i128)clock->offset_s * (pb_i128)PB_NS_PER_S;
	*ns = (uint64_t)at;
	return at >= 0 && at <= (pb_i128)UINT64_MAX;
}

#endif
