/*
 * recorder/store/read/absent.h - why numbers are not there
 *
 * Open gaps have a reason.  What retention has deleted after all upstreams had
 * it leaves no gap: it lies below the stream's first number, or, where
 * packets came late, between others, as the journal says.
 */
#ifndef PB_STORE_ABSENT_H
#define PB_STORE_ABSENT_H

#include "recorder/store/index/lender.h"

#define PB_ABSENT_MAX	256u

/* Where several speak of a number the first one counts.  What a filter left
 * out is a run from segment to segment, with packets between: it speaks of
 * those numbers that are not there. */
struct pb_absent {
	uint64_t	first, last;
	enum pb_gap_reason reason;
	uint64_t	since_ns;	/* 0: not known */
};

/* What a store has of a stream; all 0 where it has none of that name. */
struct pb_holding {
	bool		known;
	uint64_t	first_seq;	/* lowest number kept; 0: none */
	uint64_t	last_seq;	/* durable end */
};
int	pb_holding_find(const struct pb_index_lender *lender,
	    const struct pb_stream_key *key, struct pb_holding *out,
	    struct pb_err *err);

/*
 * Reasons for numbers first .. *last, in `out`, their count; where there are
 * more than PB_ABSENT_MAX `*last` becomes the number up to which they are
 * all there, which is `first` + 63 or more.
 */
int	pb_absent(const struct pb_index_lender *lender,
	    const struct pb_stream_key *key, uint64_t first, uint64_t *last,
	    struct pb_absent out[static PB_ABSENT_MAX], struct pb_err *err);

#endif
