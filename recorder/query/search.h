/*
 * recorder/query/search.h - the selected packets of a store, filtered
 *
 * Lists the streams of the index that can hold what is asked for, and
 * reads them: one by one for counting, or as the source of a merge.  One
 * round ends at what was durable when it began, so that a query of a busy
 * store ends; the next round goes on from there.
 */
#ifndef PB_QUERY_SEARCH_H
#define PB_QUERY_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/stop.h"
#include "recorder/query/ask.h"
#include "recorder/query/explain.h"
#include "recorder/query/merge.h"
#include "recorder/query/select.h"
#include "recorder/store/read/cursor.h"
#include "recorder/store/index/index.h"

#define PB_SEARCH_STREAMS_MAX	262144u	/* of one round */

struct pb_payload;
struct pb_search;

struct pb_search_opts {			/* all of it borrowed until destroy */
	const char	*store;
	const struct pb_select *select;
	const char	*filter;
	const struct pb_stop *stop;	/* or NULL */
	bool		 no_index;	/* use is made of extents alone */
	bool		 backwards;	/* the latest first */
	bool		 inner;		/* as pb_inner_match() */
	bool		 once;		/* packets are read as by
					 * pb_pread_once() */
	const struct pb_payload *payload;	/* also in it; or NULL */
	const uint64_t	*window_ns;	/* of the merge; NULL: its own */
};

/*
 * With its first round begun.  `index` is borrowed until the next round.
 * What reads packets ends early, as if there were no more, once `stop` was
 * asked for.
 * PB_EINVAL with libpcap's words where `filter` compiles for no link type of
 * the selected streams; where it compiles for some, the streams of the
 * others are passed over and pb_search_passed_over() counts them.
 */
int	pb_search_create(struct pb_search **out, struct pb_index *index,
	    const struct pb_search_opts *opts, struct pb_err *err);
void	pb_search_destroy(struct pb_search *search);

/* Begin a round: list the streams of `index` with packets that no round had.
 * It may be another index than that of the rounds before: what was dealt with
 * is known by the streams' keys. */
int	pb_search_round(struct pb_search *search, struct pb_index *index,
	    struct pb_err *err);

/* `packets` more of input `input` of the merge have been dealt with, all up to
 * number `seq`: they are found. */
void	pb_search_dealt(struct pb_search *search, size_t input, uint64_t seq,
	    uint64_t packets);
/* The round was cut short: the next one goes on behind what was dealt with. */
void	pb_search_cut_short(struct pb_search *search);

/* Of this round. */
size_t	pb_search_streams(const struct pb_search *search);
size_t	pb_search_passed_over(const struct pb_search *search);

/* Of all rounds: what it has done so far. */
const struct pb_explain *pb_search_explain(const struct pb_search *search);

/* The round's packets by time: a merge over the search, the caller's. */
int	pb_search_merge(struct pb_search *search, struct pb_merge **out,
	    struct pb_err *err);

/* How many packets the round has, up to `limit`. */
int	pb_search_count(struct pb_search *search, uint64_t limit,
	    uint64_t *count, struct pb_err *err);

/* The stream of an input of the round. */
const struct pb_stream_info *pb_search_stream(const struct pb_search *search,
	    size_t input);

/*
 * Stream by stream: `begin`, then all that is found, in whatever order, as
 * rows of flow tables to `sure` (recorder/query/ask.h) or as packets, by
 * number.  Where the index turns out to have been wrong the stream is begun
 * anew, once.  Nonzero from one of them ends it and is returned.
 */
struct pb_search_each {
	int	(*begin)(void *arg, size_t input,
		    const struct pb_stream_info *info);
	int	(*packet)(void *arg, const struct pb_cursor_packet *cp,
		    struct pb_err *err);
	pb_ask_sure *sure;
	void	*arg;
};
int	pb_search_each(struct pb_search *search,
	    const struct pb_search_each *each, struct pb_err *err);

#endif
