/*
 * recorder/store/index/count.h - packets into the rows that tell of them
 *
 * An extent is empty while its last number is below its first, a segment
 * and a stream while they have no packets: then the row's times mean
 * nothing yet.  A tally without packets changes no row.
 */
#ifndef PB_INDEX_COUNT_H
#define PB_INDEX_COUNT_H

#include "recorder/store/index/index.h"
#include "recorder/store/tally.h"

/* Packets up to number `last`, behind those that the row has. */
void	pb_extent_count(struct pb_extent_info *extent, uint64_t last,
	    const struct pb_tally *packets);
void	pb_segment_count(struct pb_segment_info *segment, uint64_t last,
	    const struct pb_tally *packets);

/* Packets first .. last in number: `behind` what the stream has, or in a
 * gap of it. */
void	pb_stream_count(struct pb_stream_info *stream, uint64_t first,
	    uint64_t last, const struct pb_tally *packets, bool behind);

#endif
