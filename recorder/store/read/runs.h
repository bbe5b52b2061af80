/*
 * recorder/store/read/runs.h - extents whose packets go as they are
 *
 * A *run*: an extent's packets as blocks that lie one behind the other, in
 * the order of their times.  Who wants all of them takes them as a whole;
 * nothing is asked of a single one.  Whatever hinders it (times that run
 * back, bytes that do not match their digest, a file that has gone) makes it
 * no run: a cursor reads it then, and says what is wrong.
 */
#ifndef PB_STORE_RUNS_H
#define PB_STORE_RUNS_H

#include "recorder/store/read/cursor.h"

/* So many extents are looked ahead for packets that are earlier. */
#define PB_RUNS_AHEAD	16

struct pb_run {
	const struct pb_head *head;	/* as the blocks: until the next call */
	uint8_t		*blocks;	/* EPBs of interface 0; may be
					 * written to */
	size_t		 len;
	uint64_t	 first_seq, last_seq;
	uint64_t	 first_time, last_time;
};

/* An extent as the index has it. */
struct pb_run_ahead {
	uint64_t	 first_seq, last_seq;
	uint64_t	 first_time, last_time;
	/* The lowest time of those behind it, PB_RUNS_AHEAD or more of them;
	 * UINT64_MAX at the durable end. */
	uint64_t	 floor;
};

struct pb_runs;

/* Those of a stream; all arguments are borrowed until destroy. */
int	pb_runs_create(struct pb_runs **out, struct pb_index *index,
	    const char *store, const struct pb_stream_info *stream,
	    struct pb_err *err);
void	pb_runs_destroy(struct pb_runs *runs);	/* NULL is fine */
/* As pb_cursor_once(). */
void	pb_runs_once(struct pb_runs *runs);
/* Give up descriptor and buffer until the next read. */
void	pb_runs_park(struct pb_runs *runs);

/* The extent that has packet `seq`, or the first one behind it. */
bool	pb_runs_look(struct pb_runs *runs, uint64_t seq,
	    struct pb_run_ahead *out);

/* Read the one that was looked at: true where it is a run. */
bool	pb_runs_read(struct pb_runs *runs, struct pb_run *out);

/*
 * One packet after the other of a run, borrowed from it: 1, 0 at its end, or
 * PB_EFORMAT.  `*at` begins with 0.
 */
int	pb_run_packet(const struct pb_run *run, size_t *at,
	    struct pb_cursor_packet *out, struct pb_err *err);

#endif
