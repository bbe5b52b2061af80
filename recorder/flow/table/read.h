/*
 * recorder/flow/table/read.h - a flow table that is open
 */
#ifndef PB_FLOW_TABLE_READ_H
#define PB_FLOW_TABLE_READ_H

#include "recorder/flow/table/form.h"

struct plane {
	const uint8_t	*packed;	/* behind it: that of the next */
	const uint8_t	*bytes;		/* NULL: not asked for yet */
	const uint8_t	*column;	/* of all rows, as their packets have
					 * it; likewise */
};

struct piece {
	uint32_t	 at, stored, raw;
	uint32_t	 rows;		/* 0: it is no planes */
	uint64_t	 digest;
	const uint8_t	*data;		/* as it is stored; NULL: not asked
					 * for yet */
	struct plane	*plane;		/* of packed ones; NULL: likewise */
	uint32_t	 asked;		/* bytes of groups, one by one */
};

/* A plane of each byte of a set. */
struct side {
	const uint8_t	*set;		/* 128 bits */
	uint32_t	 rows;		/* of each plane, the first ones */
	uint32_t	 piece;		/* the first */
	/* Planes of the bytes in front of each eight, and of all. */
	uint8_t		 before[PB_FLOW_BYTES / 8];
	uint32_t	 planes;
};

struct shape {
	struct pb_flow_table_shape seen;
	const uint8_t	*record;	/* SHAPE_BYTES of the directory */
	uint32_t	 begin[RUNS + 1];	/* of its rows: each run's */
	uint32_t	 many;		/* those of more than one packet */
	struct pairs	 pairs;		/* none where no row is turned */
	struct side	 ones, unknown;	/* its columns */
	/* The first pieces of its numbers, of each row and of those many. */
	uint32_t	 numbers_each, numbers_many;
	uint32_t	 places;	/* their groups; themselves behind */
	struct pb_flow_table_row *row;	/* NULL: not asked for yet */
};

/* Rows whose places have been found. */
struct group {
	const struct shape *shape;	/* NULL: none */
	uint32_t	 group;
	uint32_t	 rows;
	const uint8_t	*begin;
	const uint8_t	*end;
	uint32_t	 first[GROUP_ROWS];
	uint32_t	 more[GROUP_ROWS];	/* packets behind it */
	uint32_t	 run[GROUP_ROWS];	/* from where on, in the
						 * group */
};

/* Marks likewise: `at` of packet `packet`, then of each `step` packets. */
struct marks {
	uint32_t	 group;
	uint32_t	 marks;		/* 0: none */
	uint32_t	 packet;
	uint32_t	 at[GROUP_MARKS];
	struct pb_flow_table_span behind;	/* .next, .end: the first mark
						 * behind them */
};

/* Memory in large parts, which stays for the next table. */
struct part {
	struct part	*next;
	size_t		 bytes, used;
	_Alignas(16) uint8_t room[];
};

struct pb_flow_table_room {
	struct part	*part;		/* the one that is used; full ones
					 * behind it */
};

struct pb_flow_table {
	const uint8_t	*bytes;		/* or, where NULL: */
	pb_flow_table_read	*read;
	void		*arg;
	uint32_t	 len;
	struct pb_flow_table_room *room, own;	/* where all is */
	const uint8_t	*directory;
	uint32_t	 packets, mark_groups, step, shapes, pieces;
	uint64_t	 time, digest;
	uint32_t	 unit;		/* of times: ns */
	struct shape	*shape;
	struct piece	*piece;
	uint32_t	 marks_piece;	/* their groups; themselves behind */
	uint8_t		*zeros;		/* NULL: not asked for yet; a shape's
					 * rows at most */
	struct group	 group;
	struct marks	 marks;
};

static inline bool
side_has(const struct side *side, uint32_t at)
{
	return (side->set[at / 8] >> at % 8 & 1) != 0;
}

/* The plane of a byte that it has. */
static inline uint32_t
side_plane(const struct side *side, uint32_t at)
{
	return side->before[at / 8] + (uint32_t)__builtin_popcount(
	    (uint32_t)side->set[at / 8] & ((1u << at % 8) - 1));
}

/* Until the table is closed; NULL: none is left. */
void	*table_room(struct pb_flow_table *table, size_t bytes);
/* Empty, but for one part of at most `keep` bytes. */
void	room_empty(struct pb_flow_table_room *room, size_t keep);
int	table_no_memory(struct pb_err *err);

/* `len` bytes of the table, borrowed until close. */
int	table_bytes(struct pb_flow_table *table, uint32_t at, uint32_t len,
	    const uint8_t **out, struct pb_err *err);
/* The same of what is packed by zstd, where it is not `raw` bytes. */
int	table_unpack(struct pb_flow_table *table, const uint8_t **data,
	    uint32_t stored, uint32_t raw, struct pb_err *err);

/* One that is no planes, unpacked. */
int	table_piece(struct pb_flow_table *table, uint32_t piece,
	    const uint8_t **out, struct pb_err *err);
/* Plane `which` of those that begin at `piece`, of `rows` bytes. */
int	table_plane(struct pb_flow_table *table, uint32_t piece, uint32_t which,
	    uint32_t rows, const uint8_t **out, struct pb_err *err);
/* The same, not unpacked; it lies before `*end`. */
int	table_plane_find(struct pb_flow_table *table, uint32_t piece,
	    uint32_t which, uint32_t rows, struct plane **out,
	    const uint8_t **end, struct pb_err *err);
/* The same of rows first .. first + rows - 1, in `room` where they are packed;
 * `all` is how many the plane has. */
int	table_plane_part(struct pb_flow_table *table, uint32_t piece,
	    uint32_t which, uint32_t all, uint32_t first, uint32_t rows,
	    uint8_t *room, const uint8_t **out, struct pb_err *err);
/* Bytes that are still to be read for it. */
uint32_t table_plane_weight(const struct pb_flow_table *table, uint32_t piece,
	    uint32_t which, uint32_t rows);
/* Group `group` of `groups`, whose heads, of `bytes` each, are `piece`. */
int	table_group(struct pb_flow_table *table, uint32_t piece, uint32_t bytes,
	    uint32_t group, uint32_t groups, const uint8_t **begin,
	    const uint8_t **end, struct pb_err *err);

int	table_rotten(struct pb_err *err, const char *what);

#endif
