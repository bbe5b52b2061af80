/*
 * recorder/query/query.h - the packets of a store that are asked for, in the
 * order of their times
 *
 *	select   which streams, times and numbers
 *	search   those of them that the filter takes, stream by stream
 *	merge    all streams in one order
 *	query    round after round, of one index or of those that follow it
 *
 * What is done with them (lines.h, export.h) is the caller's, who asks for one
 * after the other when it suits.  A query has one round, which ends at what
 * was durable when it began; one that follows goes on with a round whenever
 * the index has grown.  One thread at a time.
 */
#ifndef PB_QUERY_QUERY_H
#define PB_QUERY_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/stop.h"
#include "recorder/query/batch.h"
#include "recorder/query/conversations.h"
#include "recorder/query/explain.h"
#include "recorder/query/seen/repeats.h"
#include "recorder/query/select.h"

/* What a file without packets has of interfaces: of the first streams. */
#define PB_QUERY_HEADS_MAX	256u

struct pb_payload;

struct pb_query_opts {			/* all of it borrowed */
	const char	*store;		/* held (base/below.h) */
	const struct pb_select *select;
	const char	*filter;	/* pcap-filter(7); "": all */
	bool		 inner;		/* at every depth: filter/inner.h */
	const struct pb_payload *payload;	/* carries it; NULL: any */
	bool		 follow;
	bool		 no_index;	/* look at each packet */
	bool		 reverse;	/* the latest first; not with follow */
	bool		 once;		/* leave the page cache to others */
	const uint64_t	*window_ns;	/* as of a merge; NULL: its own */
	const struct pb_repeats_opts *repeats;	/* are looked for; NULL: not.
						 * Not with reverse */
	const struct pb_stop *stop;	/* ends a round, and the waiting */
	/* The store's index; later another one that is at its path, where an
	 * error means that it is waited for. */
	int		(*open)(void *arg, struct pb_index **out,
			    struct pb_err *err);
	/* It is not read any more: it is not the store's, and `why`; or the
	 * query is closed, and NULL. */
	void		(*close)(void *arg, struct pb_index *index,
			    const char *why);
	void		*arg;
};

struct pb_query;

/* As pb_search_create(), or what `open` says; the first round begins. */
int	pb_query_open(struct pb_query **out, const struct pb_query_opts *opts,
	    struct pb_err *err);
void	pb_query_close(struct pb_query *query);

/* Of the round: how many streams; those that the filter says nothing of. */
size_t	pb_query_streams(const struct pb_query *query);
size_t	pb_query_passed_over(const struct pb_query *query);

/* Of all rounds: what was done so far. */
const struct pb_explain *pb_query_explain(const struct pb_query *query);

/*
 * The next packets of the round, as many as are a run, at most `packets_max`;
 * borrowed until the next call: 1.  With opts.repeats one at a time, and
 * without those that are left out.  0 at its end, at the limit, or once `stop`
 * was asked for.  PB_ESYS where the index was not the store's any more at the
 * end: what was handed out is not all.
 */
int	pb_query_run(struct pb_query *query, uint64_t packets_max,
	    struct pb_run *out, struct pb_err *err);

/* The next packet alone, likewise. */
int	pb_query_next(struct pb_query *query, struct pb_cursor_packet *out,
	    struct pb_err *err);

/* With opts.repeats: what the packet that came last is a duplicate of, or
 * NULL; and all there were. */
const struct pb_repeat *pb_query_repeat(const struct pb_query *query);
const struct pb_repeats *pb_query_repeats(const struct pb_query *query);

/* A look ahead: the time of the packet that is next, likewise; the one before
 * it stays.  Not with opts.repeats. */
int	pb_query_peek(struct pb_query *query, uint64_t *time_ns,
	    struct pb_err *err);

/* Of all rounds, and of what was read for them: packets out of order by more
 * than the window (pb_merge_late()). */
uint64_t pb_query_late(const struct pb_query *query);

/* In place of the round's packets: their number, without duplicates that are
 * left out. */
int	pb_query_count(struct pb_query *query, uint64_t *count,
	    struct pb_err *err);

/* Or who talked to whom (conversations.h), each with the stream below. */
int	pb_query_talks(struct pb_query *query, struct pb_conversations *out,
	    struct pb_err *err);
const struct pb_stream_info *pb_query_stream(const struct pb_query *query,
	    size_t stream);

/*
 * To follow: wait until there may be more, and begin a round: 1.  0 where
 * nobody reads `fd` any more (a pipe, which tells it without a write), at
 * the limit, or once `stop` was asked for.
 */
int	pb_query_wait(struct pb_query *query, int fd, struct pb_err *err);

/*
 * Call `each` for the heads of the streams that are named, whatever their
 * times and numbers: those of one link type, which the first has, and at most
 * PB_QUERY_HEADS_MAX.  An error from `each` ends it.
 */
int	pb_query_heads(struct pb_query *query, int (*each)(void *arg,
	    const struct pb_head *head, struct pb_err *err), void *arg,
	    struct pb_err *err);

#endif
