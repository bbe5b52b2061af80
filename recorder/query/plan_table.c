/*
 * recorder/query/plan_table.c - what a flow table leaves of an index block
 */
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "recorder/query/ask.h"
#include "recorder/query/plan_impl.h"
#include "recorder/store/index/index_table.h"

static int	read_table(struct pb_plan *, struct pb_err *);
static int	ask_table(struct pb_plan *, struct pb_flow_table *, bool,
		    struct pb_err *);
static void	settle(struct pb_plan *, uint8_t *, const struct pb_answer *);
/* pieces */
static int	make_pieces(struct pb_plan *, struct pb_flow_table *,
		    const uint8_t *, uint64_t, struct pb_err *);
static uint32_t	next_wanted(const uint8_t *, uint32_t, uint32_t);
static bool	group_of(const struct pb_plan *, struct pb_flow_table *,
		    uint32_t, struct piece *);
static int	add_group(struct pb_plan *, const struct piece *,
		    struct pb_err *);

void
plan_look_into_table(struct pb_plan *plan, bool count)
{
	struct pb_explain *explain = plan->planner->explain;
	struct pb_flow_table *table = NULL;
	struct pb_err err;
	int rc = read_table(plan, &err);

	if (rc == 0)
		rc = pb_flow_table_open(&table, plan->planner->table.data,
		    plan->planner->table.len, &err);
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

static int
read_table(struct pb_plan *plan, struct pb_err *err)
{
	struct pb_planner *planner = plan->planner;
	const struct pb_flows_info *row = &planner->row;
	int rc;

	if (row->table_bytes == 0)
		return pb_err_set(err, PB_ENOENT, "there is no table");
	if (row->packets > PLAN_PACKETS_MAX)
		return pb_err_set(err, PB_EFORMAT, "the index speaks of a "
		    "block of %llu packets", (unsigned long long)row->packets);
	pb_buf_clear(&planner->table);
	rc = pb_index_table_read(&planner->table, planner->store, &plan->key,
	    row, err);
	if (rc == 0) {
		planner->explain->tables++;
		planner->explain->index_bytes += row->table_bytes;
	}
	return rc;
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

	if (pb_flow_table_packets(table) != row->packets)
		return pb_err_set(err, PB_EFORMAT, "the table has %u packets, "
		    "its row %llu", pb_flow_table_packets(table),
		    (unsigned long long)row->packets);
	ask.of_packet = calloc(1, row->packets);
	if (ask.of_packet == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	rc = pb_ask_table(&ask, table, &answer, err);
	if (rc == 0)
		rc = make_pieces(plan, table, ask.of_packet, answer.put, err);
	if (rc < 0) {
		/* Whoever has heard of rows has heard too much. */
		plan->was_wrong |= answer.counted > 0 &&
		    plan->sure != pb_ask_count;
		free(ask.of_packet);
		free(plan->piece);
		plan->piece = NULL;
		plan->pieces = plan->pieces_cap = 0;
		return rc;
	}
	plan->counted += answer.counted;
	settle(plan, ask.of_packet, &answer);
	return 0;
}

/* Where all or nothing is wanted nothing need be held. */
static void
settle(struct pb_plan *plan, uint8_t *of_packet,
    const struct pb_answer *answer)
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
		plan->verdict_of = of_packet;
		return;
	}
	free(of_packet);
	free(plan->piece);
	plan->piece = NULL;
	plan->pieces = plan->pieces_cap = 0;
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
		if (!group_of(plan, table, n, &group) || group.last < n)
			return pb_err_set(err, PB_EFORMAT, "the table's marks "
			    "make no sense");
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

	for (;; n++) {
		while (n + 8 <= packets &&
		    (memcpy(&eight, of_packet + n, 8), eight == 0))
			n += 8;
		if (n >= packets || of_packet[n] != 0)
			return n;
	}
}

/*
 * The packets around `n` of which it is known where they begin and end: from
 * the mark at or before it to one of those behind.  That is further away where
 * a chunk ended, or had no flows.  False where the marks do not ascend.
 */
static bool
group_of(const struct pb_plan *plan, struct pb_flow_table *table, uint32_t n,
    struct piece *out)
{
	const struct pb_flows_info *row = &plan->planner->row;
	uint32_t bytes = (uint32_t)(row->end - row->from), next = 0;
	uint32_t packets = pb_flow_table_packets(table);

	out->from = pb_flow_table_mark(table, n, &out->first);
	for (uint64_t by = PB_FLOW_MARK; next <= n; by *= 2) {
		if (n + by >= packets) {
			next = packets;
			out->end = bytes;
			break;
		}
		out->end = pb_flow_table_mark(table, (uint32_t)(n + by), &next);
	}
	out->last = next - 1;
	return out->first <= n && next > n && out->from < out->end &&
	    out->end <= bytes;
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
