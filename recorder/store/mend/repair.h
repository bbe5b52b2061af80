/*
 * recorder/store/mend/repair.h - put right what verify finds
 *
 * Every structurally whole block stays.  What does not is set aside under
 * STORE/damaged/ with a note, its numbers become a gap, `damaged`:
 *
 *	digest       the packets stay (nobody knows which bit is wrong); the
 *	             file as it is goes to damaged/ too, with the numbers
 *	             that are doubtful
 *	block, size, header   salvaged
 *	missing      a gap
 *	extra        taken in where its numbers are in no other segment,
 *	             else set aside
 *	journal      written anew from the index
	             (whole lines have digests, rows have none: where both
	             are whole and differ, the journal is believed)
 *	row, gap, sums, hole, flows   made again from the files
 *
 * Order:   everything is first written into the journals and damaged/;
 *          then the index is rebuilt from the files (rebuild.h).
 * Reason:  so a repair that is cut short is finished by doing it again.
 */
#ifndef PB_MEND_REPAIR_H
#define PB_MEND_REPAIR_H

#include "recorder/store/mend/rebuild.h"
#include "recorder/store/mend/verify.h"

struct pb_repair;

/* The store's lock is the caller's; `opts` is borrowed. */
int	pb_repair_create(struct pb_repair **out,
	    const struct pb_rebuild_opts *opts, struct pb_err *err);
void	pb_repair_destroy(struct pb_repair *repair);

/* One finding of pb_verify(); it is kept in a temporary file. */
int	pb_repair_note(struct pb_repair *repair,
	    const struct pb_finding *finding, struct pb_err *err);

/* After the last one: put all of it right.  Nothing is done where there
 * was none. */
int	pb_repair_finish(struct pb_repair *repair,
	    struct pb_rebuild_sum *sum, struct pb_err *err);

/*
 * Write the journals that retention owes (PB_TABLE_DOOMED), before the index
 * that knows of it goes.
 */
int	pb_repair_owed(struct pb_index *index, const char *store,
	    struct pb_err *err);

/*
 * Write a stream's journal anew, from what the index says: its row, its
 * gaps, and numbers that are neither held nor missing for a reason as
 * expired.
 */
int	pb_repair_journal(struct pb_index *index, const char *store,
	    const struct pb_stream_info *stream, struct pb_err *err);

#endif
