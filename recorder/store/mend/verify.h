/*
 * recorder/store/mend/verify.h - is every bit as it was written?
 *
 * Reads all that is durable and compares: each segment's file with its
 * rows (size, header, every extent's digest, every block, numbers, times,
 * counters, flow tables), each journal with its own digests and with the gap
 * rows, the index with itself (sums, ages, ids, numbers that nothing explains),
 * and the folders with the index (files it does not know).  It changes nothing
 * and works beside a running recorder: what is behind the durable end is
 * not looked at.
 *
 * Limit: memory for one extent and for the runs of one stream's numbers.
 */
#ifndef PB_MEND_VERIFY_H
#define PB_MEND_VERIFY_H

#include "base/err.h"
#include "recorder/store/index/index.h"

enum pb_flaw {
	PB_FLAW_INDEX = 1,	/* LMDB's file cannot be read */
	PB_FLAW_MISSING,	/* a row and no file */
	PB_FLAW_SIZE,		/* the file is shorter or longer */
	PB_FLAW_HEADER,		/* not the section and interface it had */
	PB_FLAW_DIGEST,		/* whole blocks, other bytes */
	PB_FLAW_BLOCK,		/* a block that is none */
	PB_FLAW_ROW,		/* the index says otherwise than the file */
	PB_FLAW_JOURNAL,	/* a line that is not what was written */
	PB_FLAW_GAP,		/* gap rows and journal differ */
	PB_FLAW_HOLE,		/* numbers that nothing explains */
	PB_FLAW_SUMS,		/* the index differs from itself */
	PB_FLAW_EXTRA,		/* a file that the index does not know */
	PB_FLAW_LEFTOVER,	/* of work that was cut short */
	PB_FLAW_FLOWS,		/* a flow table that cannot be used */
};
const char *pb_flaw_name(enum pb_flaw flaw);

struct pb_finding {
	enum pb_flaw	flaw;
	struct pb_stream_key key;	/* epoch 0: of no stream */
	uint64_t	segment_seq;	/* 0: of no segment */
	uint64_t	offset, bytes;	/* where in the file; 0, 0: nowhere */
	uint64_t	first, last;	/* numbers concerned; 0, 0: none */
	uint16_t	path_bytes, text_bytes;	/* repair's own */
	char		path[PATH_MAX];	/* the file, or "" */
	char		text[256];	/* what, as one line */
};

struct pb_verify_opts {
	const char	*store;
	const char	*streams;	/* glob on node/interface; NULL: all,
					 * and the index as a whole */
	bool		 alone;		/* no recorder runs on it */
	/* Nonzero ends the verification, and is returned. */
	int		(*each)(void *arg, const struct pb_finding *finding);
	void		(*progress)(void *arg, uint64_t bytes,
			    uint64_t bytes_all);	/* or NULL */
	void		*arg;
};

struct pb_verify_sum {
	uint64_t	streams, segments, packets, bytes;
	uint64_t	findings;
};

int	pb_verify(const struct pb_verify_opts *opts,
	    struct pb_verify_sum *sum, struct pb_err *err);

#endif
