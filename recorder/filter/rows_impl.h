/*
 * recorder/filter/rows_impl.h - how a program is run for many rows at once
 */
#ifndef PB_FILTER_ROWS_IMPL_H
#define PB_FILTER_ROWS_IMPL_H

#include "recorder/filter/filter_impl.h"
#include "recorder/filter/rows.h"

#define LINES_MAX	96u	/* of a program done so */
#define LOADS_MAX	24u	/* different ones, likewise */
#define LOAD_BYTES_MAX	4u

/* What is in A. */
enum what { NOTHING = 0, BYTES, LENGTH, OTHER };

struct content {
	enum what	 what;
	uint32_t	 load;		/* which, of BYTES */
	uint32_t	 mask;
};

struct load {
	uint32_t	 at, bytes;
	uint8_t		 order[LOAD_BYTES_MAX];	/* for equality */
};

/* The first row from the run's on that may have a byte; seldom one before. */
struct ahead {
	size_t		 row;
	unsigned	 near;		/* in how many runs it was at once */
};

struct plan {
	const struct bpf_insn *insn;
	unsigned	 lines;
	const struct pb_row_set *rows;
	struct load	 load[LOADS_MAX];
	unsigned	 loads;
	struct content	 before[LINES_MAX];	/* each line: what is in A */
	/* Of tests for equality, for each byte of the load. */
	struct ahead	 ahead[LINES_MAX][LOAD_BYTES_MAX];
	uint32_t	 spare;		/* rows that may be left open; 0:
					 * none */
	uint32_t	 open;		/* are, so far */
	const struct pb_lengths *lengths;	/* NULL: not asked for yet */
	bool		 failed;	/* there are none */
};

/* What is in A at each line, and what is loaded.  False: it is no program that
 * can be done so. */
bool	rows_plan(struct plan *plan, const struct pb_filter *filter);

#endif
