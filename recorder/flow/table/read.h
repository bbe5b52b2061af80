/*
 * recorder/flow/table/read.h - a flow table that is open
 */
#ifndef PB_FLOW_TABLE_READ_H
#define PB_FLOW_TABLE_READ_H

#include "base/zip.h"
#include "recorder/flow/table/form.h"

struct piece {
	uint32_t	 at, stored, raw;
	uint64_t	 digest;
	uint32_t	 rows;		/* 0: it is no planes */
	const uint8_t	*data;		/* NULL: not asked for yet */
	uint8_t		*own;		/* it, where it is ours */
};

struct shape {
	struct pb_flow_table_shape seen;
	const uint8_t	*record;	/* SHAPE_BYTES of the directory */
	uint32_t	 piece;		/* of its columns, the first */
	uint32_t	 numbers;	/* the first of its numbers */
	uint32_t	 places;
	struct pb_flow_table_row *row;	/* NULL: not asked for yet */
};

/* Rows whose places have been found. */
struct group {
	const struct shape *shape;	/* NULL: none */
	uint32_t	 group;
	uint32_t	 rows;
	uint32_t	 first[GROUP_ROWS];
	uint32_t	 run[GROUP_ROWS + 1];	/* from where on, in the piece */
};

struct pb_flow_table {
	const uint8_t	*bytes;		/* or, where NULL: */
	pb_flow_table_read	*read;
	void		*arg;
	uint32_t	 len;
	uint8_t		*directory;
	uint32_t	 packets, marks, shapes, pieces;
	uint64_t	 time;
	struct shape	*shape;
	struct piece	*piece;		/* the marks' are the last */
	uint32_t	 marks_piece;
	const uint8_t	*marks_numbers;
	struct pb_flow_mark *mark;	/* NULL: not asked for yet */
	uint8_t		*zeros;		/* likewise; a shape's rows at most */
	struct pb_zip	*zip;
	struct group	 group;
};

/* `len` bytes of the table, borrowed; `*own` is to be freed. */
int	table_bytes(struct pb_flow_table *table, uint32_t at, uint32_t len,
	    const uint8_t **out, uint8_t **own, struct pb_err *err);
/* `stored` bytes that are `raw`: planes of so many rows, or, of 0, by zstd.
 * Both are in `*own`, where it is not NULL. */
int	table_unpack(struct pb_flow_table *table, const uint8_t *data,
	    uint32_t stored, uint32_t raw, uint32_t rows, const uint8_t **out,
	    uint8_t **own, struct pb_err *err);

/* Unpacked, borrowed until close. */
int	table_piece(struct pb_flow_table *table, uint32_t piece,
	    const uint8_t **out, struct pb_err *err);
/* Plane `plane` of those that begin at `piece`, of `rows` bytes. */
int	table_plane(struct pb_flow_table *table, uint32_t piece, uint32_t plane,
	    uint32_t rows, const uint8_t **out, struct pb_err *err);

int	table_rotten(struct pb_err *err, const char *what);

#endif
