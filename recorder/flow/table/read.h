/*
 * recorder/flow/table/read.h - a flow table that is open
 */
#ifndef PB_FLOW_TABLE_READ_H
#define PB_FLOW_TABLE_READ_H

#include "recorder/flow/table/form.h"

struct plane {
	const uint8_t	*packed;	/* behind it: that of the next */
	const uint8_t	*bytes;		/* NULL: not asked for yet */
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

struct shape {
	struct pb_flow_table_shape seen;
	const uint8_t	*record;	/* SHAPE_BYTES of the directory */
	uint32_t	 piece;		/* of its columns, the first */
	/* Planes of the bytes in front of each eight, and of all. */
	uint8_t		 planes[PB_FLOW_BYTES / 8];
	uint32_t	 planes_all;
	uint32_t	 numbers;	/* the first of its numbers */
	uint32_t	 places;	/* their groups; themselves behind */
	struct pb_flow_table_row *row;	/* NULL: not asked for yet */
	uint64_t	*packets;	/* of each row; likewise */
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
	uint32_t	 run[GROUP_ROWS];	/* from where on, in the group */
};

/* Marks likewise: `at` of packet `packet`, then of each `step` packets. */
struct marks {
	uint32_t	 group;
	uint32_t	 marks;		/* 0: none */
	uint32_t	 packet;
	uint32_t	 at[GROUP_MARKS];
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
	struct shape	*shape;
	struct piece	*piece;
	uint32_t	 marks_piece;	/* their groups; themselves behind */
	uint8_t		*zeros;		/* NULL: not asked for yet; a shape's
					 * rows at most */
	struct group	 group;
	struct marks	 marks;
};

/* Of the bytes of an eight that `below` has, by the record. */
static inline uint32_t
planes_of_eight(const uint8_t *record, uint32_t eight, uint8_t below)
{
	return (uint32_t)__builtin_popcount(
	    (uint32_t)(record[SHAPE_COLUMNS + eight] & below) << 8 |
	    (record[SHAPE_BITS + eight] & below));
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
/* Plane `plane` of those that begin at `piece`, of `rows` bytes. */
int	table_plane(struct pb_flow_table *table, uint32_t piece, uint32_t plane,
	    uint32_t rows, const uint8_t **out, struct pb_err *err);
/* The same of `part.rows` of them, in `part.room` where they are packed. */
struct plane_part {
	uint32_t	 first, rows;
	uint8_t		*room;
};
int	table_plane_part(struct pb_flow_table *table, uint32_t piece,
	    uint32_t plane, uint32_t rows, const struct plane_part *part,
	    const uint8_t **out, struct pb_err *err);
/* Group `group` of `groups`, whose heads, of `bytes` each, are `piece`. */
int	table_group(struct pb_flow_table *table, uint32_t piece, uint32_t bytes,
	    uint32_t group, uint32_t groups, const uint8_t **begin,
	    const uint8_t **end, struct pb_err *err);

int	table_rotten(struct pb_err *err, const char *what);

#endif
