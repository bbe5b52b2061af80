/*
 * recorder/query/plan_table.c - what a flow table leaves of an index block
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/disk.h"
#include "base/list.h"
#include "recorder/flow/lane.h"
#include "recorder/query/ask.h"
#include "recorder/query/plan_impl.h"
#include "recorder/store/index/index_table.h"

#define AT_ONCE		64u	/* packets, where hardly one is wanted */
#define VERDICTS_AT_ONCE 65536u

static int	open_table(struct pb_plan *, struct pb_flow_table **,
		    struct pb_err *);
static int	read_table(void *, uint64_t, void *, size_t, struct pb_err *);
static int	ask_table(struct pb_plan *, struct pb_flow_table *, bool,
		    struct pb_err *);
static void	settle(struct pb_plan *, const struct pb_answer *);
static bool	take_verdicts(struct pb_plan *, uint64_t);
/* pieces */
static int	make_pieces(struct pb_plan *, struct pb_flow_table *,
		    const uint8_t *, uint64_t, struct pb_err *);
static uint32_t	next_wanted(const uint8_t *, uint32_t, uint32_t);
static bool	nothing_at(const uint8_t *);
static int	group_of(const struct pb_plan *, struct pb_flow_table *,
		    uint32_t, struct piece *, struct pb_err *);
static int	add_group(struct pb_plan *, const struct piece *,
		    struct pb_err *);

void
plan_look_into_table(struct pb_plan *plan, bool count)
{
	struct pb_explain *explain = plan->planner->explain;
	struct pb_flow_table *table = NULL;
	struct pb_err err;
	int rc = open_table(plan, &table, &err);

	if (rc == 0)
		rc = ask_table(plan, table, count, &err);
	pb_flow_table_close(table);
	if (rc < 0)
		plan->whole = PB_VERDICT_EACH;
	if (rc == PB_ENOENT)
		explain->no_table++;
	else if (rc < 0)
		explain->rotten++;
}

void
pb_planner_close(struct pb_planner *planner)
{
	if (planner->fd >= 0)
		pb_file_close(planner->fd);
	planner->fd = -1;
}

static int
open_table(struct pb_plan *plan, struct pb_flow_table **out, struct pb_err *err)
{
	struct pb_planner *planner = plan->planner;
	const struct pb_flows_info *row = &planner->row;
	int rc;

	if (row->table_bytes == 0)
		return pb_err_set(err, PB_ENOENT, "there is no table");
	if (row->packets > PLAN_PACKETS_MAX)
		return pb_err_set(err, PB_EFORMAT, "the index speaks of a "
		    "block of %llu packets", (unsigned long long)row->packets);
	if (planner->fd < 0 || planner->stream != plan->stream ||
	    planner->segment_seq != row->segment_seq) {
		pb_planner_close(planner);
		rc = pb_index_table_open(planner->store, &plan->key,
		    row->segment_seq, err);
		if (rc < 0)
			return rc;
		planner->fd = rc;
		planner->stream = plan->stream;
		planner->segment_seq = row->segment_seq;
	}
	planner->explain->tables++;
	rc = pb_flow_table_open_at(out, planner->room, read_table, planner,
	    row->table_bytes, err);
	/* One that was there before, or of another block. */
	if (rc == 0 && (pb_flow_table_digest(*out) != row->table_digest ||
	    pb_flow_table_packets(*out) != row->packets))
		rc = pb_err_set(err, PB_EFORMAT, "the table is of other "
		    "packets than its row");
	return rc;
}

static int
read_table(void *arg, uint64_t at, void *out, size_t len,
    struct pb_err *err)
{
	struct pb_planner *planner = arg;

	planner->explain->index_bytes += len;
	return pb_index_table_part(planner->fd, &planner->row, at, out, len,
	    err);
}

static int
ask_table(struct pb_plan *plan, struct pb_flow_table *table, bool count,
    struct pb_err *err)
{
	const struct pb_flows_info *row = &plan->planner->row;
	struct pb_answer answer;
	struct pb_ask ask = {
		.question = plan->question,
		.after_ns = plan->range.after_ns,
		.before_ns = plan->range.before_ns,
		.sure = count ? plan->sure : NULL,
		.arg = plan->arg,
	};
	int rc;

	/* Of these the times need not be asked for row by row. */
	if (row->first_time >= ask.after_ns && row->last_time < ask.before_ns) {
		ask.after_ns = 0;
		ask.before_ns = UINT64_MAX;
	}
	if (!take_verdicts(plan, row->packets))
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	ask.of_packet = plan->verdicts.of;
	rc = pb_ask_table(&ask, table, &answer, err);
	if (rc == 0)
		rc = make_pieces(plan, table, ask.of_packet, answer.put, err);
	if (rc < 0) {
		/* Whoever has heard of rows has heard too much. */
		plan->was_wrong |= answer.counted > 0 &&
		    plan->sure != pb_ask_count;
		/* It may have been said of packets that are in no piece. */
		free(plan->verdicts.of);
		plan->verdicts = (struct verdicts){ 0 };
		plan_drop_pieces(plan);
		return rc;
	}
	plan->counted += answer.counted;
	settle(plan, &answer);
	return 0;
}

/* All 0: where few packets are named, clearing those costs less than a fresh
 * one. */
static bool
take_verdicts(struct pb_plan *plan, uint64_t packets)
{
	struct verdicts *clean = &plan->planner->clean;

	if (clean->cap < packets) {
		free(clean->of);
		clean->cap = (uint32_t)pb_round_up(packets, VERDICTS_AT_ONCE);
		clean->of = calloc(1, clean->cap);
		if (clean->of == NULL)
			clean->cap = 0;
	}
	plan->verdicts = *clean;
	*clean = (struct verdicts){ 0 };
	return plan->verdicts.of != NULL;
}

void
plan_drop_pieces(struct pb_plan *plan)
{
	struct verdicts *clean = &plan->planner->clean;

	for (size_t i = 0; plan->verdicts.of != NULL && i < plan->pieces; i++)
		memset(plan->verdicts.of + plan->piece[i].first, 0,
		    plan->piece[i].last - plan->piece[i].first + 1);
	if (clean->cap < plan->verdicts.cap) {
		free(clean->of);
		*clean = plan->verdicts;
	} else {
		free(plan->verdicts.of);
	}
	free(plan->piece);
	plan->verdicts = (struct verdicts){ 0 };
	plan->piece = NULL;
	plan->pieces = plan->pieces_cap = plan->piece_at = 0;
}

/* Where all or nothing is wanted nothing need be held. */
static void
settle(struct pb_plan *plan, const struct pb_answer *answer)
{
	uint64_t packets = plan->planner->row.packets;

	if (answer->put == 0) {
		if (answer->counted > 0)
			plan->planner->explain->summed++;
		else
			plan->planner->explain->cut_by_table++;
		plan->whole = PB_VERDICT_NONE;
	} else if (answer->put == packets && answer->each == 0) {
		plan->whole = PB_VERDICT_ALL;
	} else if (answer->each == packets) {
		plan->whole = PB_VERDICT_EACH;
	} else {
		return;
	}
	plan_drop_pieces(plan);
}

/* `put` packets are wanted, each named by one row. */
static int
make_pieces(struct pb_plan *plan, struct pb_flow_table *table,
    const uint8_t *of_packet, uint64_t put, struct pb_err *err)
{
	uint32_t packets = pb_flow_table_packets(table), n = 0;
	struct piece group = { 0 };
	uint64_t wanted = 0;
	int rc = 0;

	while (rc == 0 &&
	    (n = next_wanted(of_packet, n, packets)) < packets) {
		rc = group_of(plan, table, n, &group, err);
		if (rc == 0)
			rc = add_group(plan, &group, err);
		for (; n <= group.last; n++)
			wanted += of_packet[n] != 0;
	}
	if (rc == 0 && wanted != put)
		rc = pb_err_set(err, PB_EFORMAT, "the table's rows have "
		    "packets in common");
	return rc;
}

/* The first packet from `n` on of which something is said. */
static uint32_t
next_wanted(const uint8_t *of_packet, uint32_t n, uint32_t packets)
{
	uint64_t eight;
	uint32_t end;

	for (;;) {
		while (n + AT_ONCE <= packets && nothing_at(of_packet + n))
			n += AT_ONCE;
		end = n + AT_ONCE < packets ? n + AT_ONCE : packets;
		while (n + sizeof(eight) <= end && (memcpy(&eight,
		    of_packet + n, sizeof(eight)), eight == 0))
			n += sizeof(eight);
		while (n < end && of_packet[n] == 0)
			n++;
		if (n < end || end == packets)
			return n;
	}
}

static bool
nothing_at(const uint8_t *of_packet)
{
	pb_lane any = { 0 };
	uint64_t some[2];

#pragma GCC unroll 4
	for (uint32_t i = 0; i < AT_ONCE; i += PB_LANE)
		any |= pb_lane_at(of_packet + i);
	memcpy(some, &any, sizeof(some));
	return (some[0] | some[1]) == 0;
}

/* The packets around `n` of which it is known where they begin and end: from
 * the mark at or before it to the one behind. */
static int
group_of(const struct pb_plan *plan, struct pb_flow_table *table, uint32_t n,
    struct piece *out, struct pb_err *err)
{
	const struct pb_flows_info *row = &plan->planner->row;
	uint32_t bytes = (uint32_t)(row->end - row->from);
	struct pb_flow_table_span span;
	int rc = pb_flow_table_span(table, n, &span, err);

	if (rc < 0)
		return rc;
	if (span.end == UINT32_MAX)
		span.end = bytes;
	if (span.next <= n || span.next > row->packets ||
	    span.from >= span.end || span.end > bytes)
		return pb_err_set(err, PB_EFORMAT, "the table's marks make no "
		    "sense");
	*out = (struct piece){ .first = span.first, .last = span.next - 1,
	    .from = span.from, .end = span.end };
	return 0;
}

/* To the piece before it, or as one more. */
static int
add_group(struct pb_plan *plan, const struct piece *group, struct pb_err *err)
{
	struct piece *piece = plan->pieces == 0 ? NULL :
	    &plan->piece[plan->pieces - 1];

	if (piece != NULL && (group->first < piece->first ||
	    group->from < piece->from || group->end < piece->end))
		return pb_err_set(err, PB_EFORMAT, "the table's marks run "
		    "back");
	if (piece != NULL && (group->first <= piece->last ||
	    (group->from - piece->end < PB_PLAN_NEAR_BYTES &&
	    group->end - piece->from <= PB_PLAN_READ_BYTES))) {
		piece->last = group->last;
		piece->end = group->end;
		return 0;
	}
	if (!PB_LIST_ROOM(plan->piece, plan->pieces_cap, plan->pieces))
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	plan->piece[plan->pieces++] = *group;
	return 0;
}
