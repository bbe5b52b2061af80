/*
 * recorder/store/index/count.c - packets into the rows that tell of them
 */
#include "recorder/store/index/count.h"

void
pb_extent_count(struct pb_extent_info *extent, uint64_t last,
    const struct pb_tally *packets)
{
	bool empty = extent->last_seq < extent->first_seq;

	if (packets->packets == 0)
		return;
	if (empty || packets->first_time < extent->first_time)
		extent->first_time = packets->first_time;
	if (empty || packets->last_time > extent->last_time)
		extent->last_time = packets->last_time;
	extent->last_seq = last;
}

void
pb_segment_count(struct pb_segment_info *segment, uint64_t last,
    const struct pb_tally *packets)
{
	struct pb_tally all = {
		.packets = segment->packets,
		.bytes = segment->packet_bytes,
		.first_time = segment->first_time,
		.last_time = segment->last_time,
	};

	pb_tally_merge(&all, packets);
	segment->packets = all.packets;
	segment->packet_bytes = all.bytes;
	segment->first_time = all.first_time;
	segment->last_time = all.last_time;
	if (packets->packets > 0)
		segment->last_seq = last;
}

void
pb_stream_count(struct pb_stream_info *stream, uint64_t first, uint64_t last,
    const struct pb_tally *packets, bool behind)
{
	if (packets->packets == 0)
		return;
	pb_stream_add_times(stream, packets->first_time, packets->last_time,
	    behind);
	if (stream->packets == 0 || first < stream->first_seq)
		stream->first_seq = first;
	if (behind)
		stream->last_seq = last;
	stream->packets += packets->packets;
	stream->bytes += packets->bytes;
	stream->dropped += packets->dropped;
}
