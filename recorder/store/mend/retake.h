/*
 * recorder/store/mend/retake.h - a segment of the index, from what is there
 *
 * Its file is damaged, or gone.  As where the whole index is lost, the
 * files have the word: whole blocks of its numbers, whatever files they are
 * in by now, make its rows anew, and what is in none is lost.  So nothing
 * on disk has to say how far an earlier try has come.
 */
#ifndef PB_MEND_RETAKE_H
#define PB_MEND_RETAKE_H

#include "recorder/store/mend/salvage.h"
#include "recorder/store/mend/survey.h"

struct pb_retake {
	struct pb_survey *files;	/* rows of sealed files, in order */
	size_t		 count, cap;
	struct pb_runs	 held;		/* their numbers */
	uint64_t	 packets;
	char		 aside[PATH_MAX];	/* where the file is as it was
					 * found; "" where there was none */
};

/*
 * Take what there is of the numbers of `row`, a segment of `stream`, from
 * files that no other row of `index` speaks of.  The index itself stays as
 * it is.  `why` is one line for the note.  The caller calls
 * pb_retake_finish(), whatever is returned.
 */
int	pb_retake(struct pb_retake *out, const struct pb_mend *mend,
	    struct pb_index *index, struct pb_stream_info *stream,
	    const struct pb_segment_info *row, const char *why,
	    struct pb_err *err);
void	pb_retake_finish(struct pb_retake *retake);

#endif
