/*
 * recorder/store/mend/tables.h - flow tables of a segment that is there
 *
 * For packets that came without: from before there were tables, behind the
 * last one when a crash came, or where the index was made again.  A file that
 * is sealed is read, packet by packet, and index blocks are made of it as the
 * writer makes them of chunks.
 *
 * Limit: one index block, and a survey's window.
 */
#ifndef PB_MEND_TABLES_H
#define PB_MEND_TABLES_H

#include "recorder/store/index/index.h"

struct pb_tables {
	const char	*store;
	const struct pb_stream_info *stream;
	const struct pb_segment_info *segment;
	/* One is ready for the index: its table is synced.  Nonzero ends it,
	 * and is returned. */
	int		(*each)(void *arg, const struct pb_flows_info *row,
			    struct pb_err *err);
	/* Asked with each packet; false ends it with PB_EBUSY.  Or NULL. */
	bool		(*goes_on)(void *arg);
	void		*arg;
};

/*
 * Packets first .. last of the segment; `extent` is one of its extents, and
 * begins with `first` or before.  They have no rows.  Packets that cannot be
 * read, and those behind them, have none afterwards either.
 */
int	pb_tables_make(const struct pb_tables *tables,
	    const struct pb_extent_info *extent, uint64_t first,
	    uint64_t last, struct pb_err *err);

/*
 * The first packets of the segment, from number `from` on, that no row of the
 * index speaks of, *first .. *last: 1, 0 where there are none, or an error.
 */
int	pb_tables_missing(struct pb_index *index,
	    const struct pb_segment_info *segment, uint64_t from,
	    uint64_t *first, uint64_t *last, struct pb_err *err);

#endif
