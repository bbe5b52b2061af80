/*
 * recorder/query/explain.h - what a search had to do, and what it was spared
 */
#ifndef PB_QUERY_EXPLAIN_H
#define PB_QUERY_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Sums of all rounds. */
struct pb_explain {
	bool		 no_index;	/* it was not to be used */
	/* Streams: of the store, and those that names, numbers or times
	 * leave out. */
	uint64_t	 streams, streams_cut;
	uint64_t	 segments_cut;	/* by their times */
	/* Index blocks that were met, and what became of them. */
	uint64_t	 blocks;
	uint64_t	 cut_by_time;
	uint64_t	 cut_by_summary, cut_by_table;
	uint64_t	 whole;		/* taken as a whole */
	uint64_t	 summed;	/* by their table: nothing was left to
					 * look at */
	uint64_t	 no_table;	/* missing */
	uint64_t	 rotten;	/* table or row */
	uint64_t	 wrong;		/* the file was not as the table says */
	/* Bytes read, some of them perhaps ahead, or backwards again. */
	uint64_t	 tables;
	uint64_t	 index_bytes;	/* rows and tables */
	uint64_t	 packet_bytes;	/* of segments */
	/* Packets, of those that were read. */
	uint64_t	 asked;		/* by the filter: they were open */
	uint64_t	 taken;		/* that the index takes */
	/* And of all. */
	uint64_t	 counted;	/* by the index, and not read */
	uint64_t	 found;		/* handed out or counted */
};

/* `more` comes on top. */
void	pb_explain_add(struct pb_explain *explain,
	    const struct pb_explain *more);

/* In words, some lines; or as a JSON object and a newline. */
void	pb_explain_text(const struct pb_explain *explain, struct pb_buf *out);
void	pb_explain_json(const struct pb_explain *explain, struct pb_buf *out);

#endif
