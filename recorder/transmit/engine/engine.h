/*
 * recorder/transmit/engine/engine.h - ways to hand frames to the kernel
 *
 * An engine knows neither names nor words of an interface: it is given an
 * index, and says what happened as a negative errno, which outlet.c turns
 * into the errors of outlet.h.  All are used by one thread.
 */
#ifndef PB_TRANSMIT_ENGINE_H
#define PB_TRANSMIT_ENGINE_H

#include <stdint.h>

#include "base/err.h"
#include "recorder/transmit/engine/outlet.h"

#define PB_ENGINE_BATCH_MAX	256u	/* frames handed over by one call */

struct pb_engine_ask {
	unsigned	 index;		/* of the interface */
	uint32_t	 bytes_max;	/* the longest frame that may come */
	bool		 asked;		/* for this engine, by name */
};

struct pb_engine_ops {
	const char	*name;
	/* The engine's own words in `err`, which name no interface;
	 * PB_EACCES: what is missing; PB_EINVAL: it does not work here. */
	int	(*open)(void **state, const struct pb_engine_ask *ask,
		    struct pb_err *err);
	void	(*close)(void *state);
	/* How many were taken, in order: 0 is full; or -errno, of frames[0]
	 * or the interface.  What an earlier call left behind goes first. */
	int	(*send)(void *state, const struct pb_frame *frames,
		    unsigned count);
	/* Sleep, `ns_max` at most, until there may be room; 0 or -errno. */
	int	(*wait)(void *state, uint64_t ns_max);
	/* Pushes what was taken on; 0: all is gone, 1: the interface has it,
	 * 2: some waits here, or -errno. */
	int	(*pending)(void *state);
	/* Frames that were taken and wait here, and their bytes.  NULL: of
	 * this engine none ever do. */
	unsigned (*waiting)(const void *state, uint64_t *bytes);
};

extern const struct pb_engine_ops pb_engine_sendmmsg;
extern const struct pb_engine_ops pb_engine_xdp;
extern const struct pb_engine_ops pb_engine_ring;

#endif
