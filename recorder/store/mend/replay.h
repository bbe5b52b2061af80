/*
 * recorder/store/mend/replay.h - what a stream's journal comes to
 *
 * The facts are replayed in order.  Then the segments have the last word:
 * a number that a segment holds is no open gap, whatever the journal says
 * (it is written before the index, and that commit may have failed), and
 * one that nothing explains is a hole.
 */
#ifndef PB_MEND_REPLAY_H
#define PB_MEND_REPLAY_H

#include "recorder/store/facts/journal.h"
#include "recorder/store/mend/runs.h"

struct pb_replay {
	const char	*store;		/* given, and row.key */
	/* As the last STREAM fact has it; `id` 0 where there is none. */
	struct pb_stream_info row;
	bool		 has_row;
	bool		 has_journal;
	struct pb_journal_news news;
	struct pb_fact	*facts;		/* all others, in order */
	size_t		 count, cap;
};

/* Read the journal, or read it again. */
int	pb_replay_read(struct pb_replay *replay, struct pb_err *err);
void	pb_replay_finish(struct pb_replay *replay);
/* One fact more; false without memory. */
bool	pb_replay_add(struct pb_replay *replay, const struct pb_fact *fact);

/* Gap rows as the facts tell them, but for what segments hold.  What came
 * late may not have been passed on yet: it is offered again. */
int	pb_replay_gaps(const struct pb_replay *replay, struct pb_index *index,
	    uint32_t stream, const struct pb_runs *held, struct pb_err *err);

/* The numbers that the stream's segments hold, appended. */
int	pb_known_held(struct pb_index *index, uint32_t stream,
	    struct pb_runs *out, struct pb_err *err);
/*
 * What is in `held`, and numbers that are missing for a reason: expired, as
 * `replay` has it (NULL: not asked), or an open gap in the index.  Appended
 * to `out`, and put in order.  How many gaps, or an error.
 */
int	pb_known(struct pb_index *index, uint32_t stream,
	    const struct pb_runs *held, const struct pb_replay *replay,
	    struct pb_runs *out, struct pb_err *err);

#endif
