/*
 * recorder/query/plan_impl.h - what a plan is made of
 */
#ifndef PB_QUERY_PLAN_IMPL_H
#define PB_QUERY_PLAN_IMPL_H

#include "recorder/query/plan.h"

/* Packets of an index block that has a table. */
#define PLAN_PACKETS_MAX	PB_FLOW_TABLE_PACKETS_MAX

/* Of a file, what is read at once: packets of the index block, counted from
 * 0, and the bytes of their blocks behind where it begins. */
struct piece {
	uint32_t	 first, last;
	uint32_t	 from, end;
};

/* What is said of each packet of an index block, enum pb_verdict; 0 outside
 * of the pieces. */
struct verdicts {
	uint8_t		*of;		/* NULL: there are none */
	uint32_t	 cap;
};

struct pb_planner {
	const char	*store;
	struct pb_explain *explain;
	struct pb_flows_info row;	/* the last that was found */
	/* The file of tables that was asked last: of a stream's segment. */
	int		 fd;		/* -1: none */
	uint32_t	 stream;
	uint64_t	 segment_seq;
	struct pb_flow_table_room *room;	/* of the table in hand */
	struct verdicts	 clean;		/* of the block before: all 0 */
};

struct pb_plan {
	struct pb_planner *planner;
	struct pb_index	*index;
	struct pb_stream_key key;
	uint32_t	 stream;
	struct pb_range	 range;
	struct pb_question *question;
	pb_ask_sure	*sure;
	void		*arg;
	bool		 was_wrong;
	uint64_t	 counted;
	/* The index block in hand; last_seq 0: none. */
	uint64_t	 first_seq, last_seq;
	uint64_t	 segment_seq, from;
	enum pb_verdict	 whole;		/* of all its packets */
	/* Or what is said of each, where it is not `whole` that counts, and
	 * where they are. */
	struct verdicts	 verdicts;
	struct piece	*piece;
	size_t		 pieces, pieces_cap;
	size_t		 piece_at;	/* given last */
	/* Where numbers were left out: how many packets it has instead; 0:
	 * one a number.  Which a piece has is known once it was read: up to
	 * this one, of the piece given last; 0: not yet.  Pieces from `until`
	 * on are not given. */
	uint64_t	 packets;
	uint64_t	 piece_last;
	uint64_t	 until;
};

/* The block in hand is the planner's row: ask its table.  With `count`, what
 * the filter takes need not be handed out. */
void	plan_look_into_table(struct pb_plan *plan, bool count);

/* Nothing is said of single packets any more, and no piece is there. */
void	plan_drop_pieces(struct pb_plan *plan);

/* plan_piece.c.  The first piece that may have number `seq` or a later one
 * becomes `piece_at`: 1, 0 where there is none, or an error.  And the run that
 * it is. */
int	plan_find_piece(struct pb_plan *plan, uint64_t seq,
	    struct pb_err *err);
void	plan_give_piece(const struct pb_plan *plan,
	    struct pb_cursor_run *out);

#endif
