/*
 * recorder/store/mend/take.h - files of a stream, taken in by their numbers
 *
 * One after the other, the lowest number first: a whole file is sealed, if
 * it was not, and its rows are kept; a damaged one is salvaged, and what
 * that makes is taken in its place.  Of two files that hold the same
 * numbers the one that begins first is right, of the other what lies behind
 * is taken.
 */
#ifndef PB_MEND_TAKE_H
#define PB_MEND_TAKE_H

#include "recorder/store/mend/salvage.h"
#include "recorder/store/mend/survey.h"

struct pb_take {
	/* Given. */
	const struct pb_mend *mend;
	struct pb_stream_info *stream;	/* its key, id and link type */
	bool		 has_head;	/* else those of the first file's head
					 * are put there */
	const char	*node;		/* this node's name for that, or NULL */
	uint64_t	 taken;		/* numbers up to this one are */
	uint64_t	 last;		/* none above it is wanted */
	const char	*who;		/* takes them, for the log */
	/* Results. */
	struct pb_survey *files;	/* rows of those taken, in order */
	size_t		 count, cap;
	struct pb_runs	 held;		/* their numbers */
	uint64_t	 damaged;	/* files salvaged or set aside */
};

/* Forget the rows, whoever has put them into an index; the numbers stay. */
void	pb_take_clear(struct pb_take *take);
void	pb_take_finish(struct pb_take *take);

/* The names of the stream's files in order, of two with one number the
 * sealed one first; what a salvage left is tidied up before.  free(3) it. */
int	pb_take_list(const struct pb_mend *mend,
	    const struct pb_stream_key *key, struct pb_segment_name **names,
	    size_t *count, struct pb_err *err);

/* Take one of them, unless it is one that has just been made. */
int	pb_take_file(struct pb_take *take, const struct pb_segment_name *name,
	    struct pb_err *err);

/*
 * A segment that the index knows, `row`, whose file is damaged or gone, for
 * the reason `why`.  As where the whole index is lost, the files have the
 * word: whole blocks of its numbers are taken, whatever files they are in
 * by now that no other row of `index` speaks of.  So nothing on disk has
 * to say how far an earlier try has come.  `aside` is where the file is as it
 * was found; "" where there is none.
 */
int	pb_take_known(struct pb_take *take, struct pb_index *index,
	    const struct pb_segment_info *row, const char *why,
	    char aside[static PATH_MAX], struct pb_err *err);

/* Cut the file to `bytes`, sync it, and give it its sealed name, durably,
 * if it has not got it. */
int	pb_take_seal(const struct pb_mend *mend,
	    const struct pb_stream_key *key, uint64_t first_seq, int fd,
	    uint64_t bytes, struct pb_err *err);

#endif
