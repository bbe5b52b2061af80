/*
 * recorder/query/seen/latency.h - how long packets take from one tap to another
 *
 * Two taps (tap.h) with the same streams are two times of one packet: stamps
 * in its stack, or its own.  Else a packet of the one's streams is looked for
 * among those of the other by its content (same.h, routed), as long as it may
 * still come: within a window before and behind.  Equal packets are matched in
 * their order, each once.  Where more than one could be meant the match is
 * ambiguous: it counts as one, and its time goes for nothing.
 *
 * What waits for its match is in a table of PB_LATENCY_WAITING_MAX packets of
 * both taps; where that is full the oldest waits no longer, which is counted.
 *
 * Told packet by packet in the order of times; one thread.
 */
#ifndef PB_QUERY_LATENCY_H
#define PB_QUERY_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/timing.h"
#include "pcapng/ticks.h"
#include "recorder/query/seen/tap.h"
#include "recorder/trailer/trailer.h"

#define PB_LATENCY_WINDOW_NS	PB_NS_PER_S
#define PB_LATENCY_WAITING_MAX	((1u << 20) - 1)	/* 96 bytes each */

/* A latency, in 1/2^32 of a nanosecond. */
#define PB_LATENCY_NS		((pb_i128)1 << 32)
/* A histogram counts ticks: 1/2^10 ns, so many bits more than that. */
#define PB_LATENCY_TICK		22

struct pb_latency_report {
	uint64_t	 from, to;	/* packets at each tap */
	uint64_t	 matched;	/* at both */
	uint64_t	 lost;		/* at `from`, not at `to` */
	uint64_t	 only_to;
	uint64_t	 ambiguous;	/* of those matched */
	uint64_t	 negative;	/* likewise, earlier at `to` */
	uint64_t	 given_up;	/* were not waited for: they are in no
					 * other count but those at the taps */
	uint64_t	 timeless;	/* packets of a tap's streams without
					 * its stamp, or without a time */
	/* Of those matched that are not ambiguous: */
	uint64_t	 count;
	pb_i128		 min, max, sum;
	struct pb_timing ahead, behind;	/* at least 0, and below: ticks from
					 * 0 on */
};

struct pb_latency_opts {
	struct pb_tap	 from, to;	/* one without a glob has the other's */
	uint64_t	 window_ns;
	const struct pb_trailer_list *trailers;	/* of all streams, borrowed;
						 * NULL: as they say */
	uint32_t	 waiting_max;	/* 0: PB_LATENCY_WAITING_MAX */
	/* Are packets with that head seen at the tap?  NULL: where the name of
	 * their stream is (pb_tap_sees()). */
	bool		(*seen)(void *arg, const struct pb_tap *tap,
			    const struct pb_head *head);
	void		*arg;
};

struct pb_latency;

int	pb_latency_create(struct pb_latency **out,
	    const struct pb_latency_opts *opts, struct pb_err *err);
void	pb_latency_destroy(struct pb_latency *latency);

/*
 * A packet at its place in the order of all: `place_ns` never runs back by
 * more than the window.  PB_EINVAL where its stream is at both taps and these
 * are two.
 */
int	pb_latency_packet(struct pb_latency *latency,
	    const struct pb_cursor_packet *cp, uint64_t place_ns,
	    struct pb_err *err);

/* No more come: what still waits is lost, or was seen at `to` alone. */
const struct pb_latency_report *pb_latency_end(struct pb_latency *latency);

/*
 * The latency that `share` thousandths of all are not above: of those above
 * 0 within 1 % above it, of those below within 1 % below; 0 of none.  What is
 * further from 0 than 2^54 ns (208 days), as clocks that were never set, is
 * the furthest of these.
 */
pb_i128	pb_latency_find(const struct pb_latency_report *report,
	    unsigned share);
/* 0 of none. */
pb_i128	pb_latency_mean(const struct pb_latency_report *report);

/* A histogram: how many were from `from` on and below `to`, which is at most
 * 1 % (or 1/2^10 ns) from it, but where all beyond 2^54 ns is in one; of those
 * below 0, above `from` and up to `to`. */
struct pb_latency_bucket {
	pb_i128		 from, to;
	uint64_t	 count;
};

/* The next one that counts some, upwards: `*i` begins with 0, and false is
 * behind the last. */
bool	pb_latency_next(const struct pb_latency_report *report, size_t *i,
	    struct pb_latency_bucket *out);

/* `12.3456789` nanoseconds with as many decimals, ten at most, as there are:
 * exact but for what is below 10^-10. */
#define PB_LATENCY_TEXT_MAX	64
const char *pb_latency_text(pb_i128 latency,
	    char out[static PB_LATENCY_TEXT_MAX]);

#endif
