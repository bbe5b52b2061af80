/*
 * recorder/store/mend/rebuild_impl.h - what rebuild*.c share
 *
 * rebuild.c walks the folders and swaps the index; rebuild_stream.c makes
 * the rows of one stream; rebuild_facts.c what its journal says.
 */
#ifndef PB_MEND_REBUILD_IMPL_H
#define PB_MEND_REBUILD_IMPL_H

#include "recorder/store/facts/journal.h"
#include "recorder/store/mend/rebuild.h"
#include "recorder/store/mend/runs.h"
#include "recorder/store/mend/salvage.h"

struct rebuild {
	const struct pb_rebuild_opts *opts;
	struct pb_mend	 mend;
	struct pb_rebuild_sum *sum;
	uint64_t	 numbers;	/* highest running number seen */
	uint32_t	 last_id;	/* highest stream id */
	uint64_t	 files, files_all;
};

/* One stream: its facts and what its files hold. */
struct rebuild_stream {
	struct rebuild	*rebuild;
	struct pb_stream_info info;
	bool		 has_head;	/* link type and so on are known */
	bool		 has_journal;
	bool		 has_row;	/* the journal tells it */
	struct pb_journal_news news;
	struct pb_fact	*facts;
	size_t		 fact_count, fact_cap;
	struct pb_runs	 held;		/* numbers of its segments */
};

/* The facts of a stream; its row as the last STREAM fact has it. */
int	rebuild_read_facts(struct rebuild_stream *stream, struct pb_err *err);
/* Gap rows as the facts tell them, but for numbers that segments hold. */
int	rebuild_replay(struct rebuild_stream *stream, struct pb_err *err);
/* Gap rows from facts and from what the segments hold. */
int	rebuild_gaps(struct rebuild_stream *stream, struct pb_err *err);

/* Every stream's folder under STORE/segments, until `visit` answers
 * nonzero, which is returned.  `path` is the folder's. */
typedef int rebuild_visitor(void *arg, const struct pb_stream_key *key,
    const char *path, struct pb_err *err);
int	rebuild_walk(const char *store, rebuild_visitor *visit, void *arg,
	    struct pb_err *err);

/* All of one stream's rows. */
int	rebuild_one(struct rebuild *rebuild, const struct pb_stream_key *key,
	    struct pb_err *err);

#endif
