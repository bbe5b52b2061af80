/*
 * recorder/query/seen/repeats.h - packets that several taps have seen
 *
 * A packet is a duplicate of one of another stream that came before it, no
 * longer ago than the window, and has the same content (same.h): as it is, or
 * routed.  Within a stream equal packets are no duplicates: its second one is
 * a duplicate of the second one kept, and so on, so that packets sent twice
 * are kept twice, whichever tap saw which.
 *
 * What is remembered is bounded by PB_REPEATS_MAX; duplicates of what had to
 * be forgotten before its time are none.  Told packet by packet in the order
 * of times; of one that comes behind what is later by more than the window, as
 * a stream that lags while others are followed, nothing is remembered that it
 * could be a duplicate of.  One thread.
 */
#ifndef PB_QUERY_REPEATS_H
#define PB_QUERY_REPEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "recorder/store/read/cursor.h"
#include "recorder/trailer/trailer.h"

#define PB_REPEATS_WINDOW_NS	PB_NS_PER_MS
/* Packets kept, and for each of them the streams that have seen it: 96 bytes
 * each. */
#define PB_REPEATS_MAX		((1u << 20) - 1)

struct pb_repeats_opts {
	uint64_t	 window_ns;
	bool		 routed;	/* what is changed on the way apart */
	bool		 keep;		/* duplicates are told, not left out */
	const struct pb_trailer_list *trailers;	/* of all streams, borrowed;
						 * NULL: as they say */
	uint32_t	 most;		/* 0: PB_REPEATS_MAX */
};

/* Of which packet it is a duplicate. */
struct pb_repeat {
	const struct pb_head *head;	/* borrowed until the next packet */
	uint64_t	 seq;
};

struct pb_repeats;

int	pb_repeats_create(struct pb_repeats **out,
	    const struct pb_repeats_opts *opts, struct pb_err *err);
void	pb_repeats_destroy(struct pb_repeats *repeats);

/* Is it a duplicate?  1, and of which one; 0, or PB_ENOMEM.  `place_ns` is its
 * place in the order of all. */
int	pb_repeats_packet(struct pb_repeats *repeats,
	    const struct pb_cursor_packet *cp, uint64_t place_ns,
	    struct pb_repeat *of, struct pb_err *err);

/* So far: duplicates, and packets that were forgotten before their time. */
uint64_t pb_repeats_count(const struct pb_repeats *repeats);
uint64_t pb_repeats_forgotten(const struct pb_repeats *repeats);

#endif
