/*
 * recorder/filter/rows.h - a filter asked about many rows at once
 *
 * A row is what is known of some packets (struct pb_alike), and the rows are
 * kept by columns: of each byte of the packets, what all rows know.  The test
 * of a filter is done on a column, for a run of rows, before the next one.
 */
#ifndef PB_FILTER_ROWS_H
#define PB_FILTER_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/filter/filter.h"
#include "recorder/filter/verdict.h"

/* Instructions of the machine that rows asked one by one may take: to look at
 * their packets costs less than more. */
#define PB_ROWS_STEPS(rows)	(65536u + (uint64_t)64u * (rows))

/* Rows that are looked at together, at most. */
#define PB_ROWS_RUN	256u

/* One byte of the packets: of a run's row i ones[i * stride], unknown[i *
 * stride] (pb_alike of verdict.h). */
struct pb_column {
	const uint8_t	*ones;
	const uint8_t	*unknown;	/* NULL: nothing is */
	size_t		 stride;	/* 0: all have the same; or 1 */
};

/* Least and greatest, as in pb_alike. */
struct pb_lengths {
	uint32_t	 caplen_min, caplen_max;
	uint32_t	 len_min, len_max;	/* on the wire */
};

struct pb_row_set {
	size_t		 rows;
	/* Of the byte `at` a run of `rows` rows, from row `first` on, a
	 * multiple of PB_ROWS_RUN; asked for when verdicts depend on it.
	 * False: nothing is known of it.  `out` may use `room`, of 2 * rows
	 * bytes. */
	bool		(*column)(void *arg, uint32_t at, size_t first,
			    size_t rows, uint8_t *room,
			    struct pb_column *out);
	/* Bytes that are yet to be read for the byte `at`: of a test for
	 * equality the lightest is asked first. */
	uint32_t	(*weight)(void *arg, uint32_t at);
	/* From row `first` on, a multiple of PB_ROWS_RUN, the first of which
	 * the byte `at` may be `value`; or `rows`.  May be one of which it is
	 * not. */
	size_t		(*find)(void *arg, uint32_t at, uint8_t value,
			    size_t first);
	/* The lengths of row 0; of each further row `lengths_stride` bytes
	 * behind.  NULL: there are none, and each verdict is
	 * PB_VERDICT_EACH. */
	const struct pb_lengths *(*lengths)(void *arg);
	void		*arg;
	size_t		 lengths_stride;
	uint32_t	 caplen_min;	/* no row has less */
	/* So many may be left open, as PB_VERDICT_EACH, where that spares
	 * what weighs. */
	uint32_t	 spare;
};

/*
 * verdict[i] is the filter's PB_VERDICT_* of row i: what pb_filter_verdict()
 * says of it, or, seldom, PB_VERDICT_EACH.  Fast where `filter` was folded for
 * the shape of the rows (question.h); never much slower than a look at packets.
 * Returns how many were left open, of the `spare` ones, or some more.
 */
uint32_t pb_row_set_verdict(uint8_t *verdict, const struct pb_filter *filter,
	    const struct pb_row_set *rows);

#endif
