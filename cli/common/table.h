/*
 * cli/common/table.h - rows for people (aligned columns) or for machines (JSON)
 *
 * A command names its columns once and then fills rows; whether they
 * come out as a table or as one JSON object a line is decided here.  The
 * widths come from the first PB_TABLE_ROWS_HELD rows; later rows keep to
 * them, so that memory does not grow with the number of rows.
 *
 * What nodes call themselves is printed without control characters, so
 * that no name can steer a terminal.
 */
#ifndef PB_CLI_TABLE_H
#define PB_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/out.h"

#define PB_TABLE_COLUMNS_MAX	16
#define PB_TABLE_ROWS_HELD	512	/* measured for their widths */
#define PB_TABLE_CELL_MAX	4200	/* bytes of a cell: a path fits */

struct pb_table {
	struct pb_out	*out;		/* borrowed */
	const char	*const *names;	/* of the columns; borrowed */
	size_t		 count;
	bool		 json;
	size_t		 width[PB_TABLE_COLUMNS_MAX];
	bool		 right[PB_TABLE_COLUMNS_MAX];	/* it has numbers */
	struct pb_buf	 held;		/* cells, each ended by a NUL */
	size_t		 rows;		/* held */
	bool		 started;	/* widths are fixed */
	size_t		 column;	/* of the row being filled */
	struct pb_json	 object;
	struct pb_buf	 line;		/* JSON */
};

/* `names` are members in JSON, headings for people; NULL ends them. */
void	pb_table_init(struct pb_table *table, struct pb_out *out,
	    const char *const *names, bool json);
void	pb_table_finish(struct pb_table *table);

/* The cells of a row, in the order of the columns. */
void	pb_table_text(struct pb_table *table, const char *text);
void	pb_table_u64(struct pb_table *table, uint64_t value);
/* 16 hex digits, as an epoch. */
void	pb_table_hex(struct pb_table *table, uint64_t value);
/* Bytes: a plain number in JSON, `1.5 GiB` for people. */
void	pb_table_size(struct pb_table *table, uint64_t bytes);
/* A moment, or null / `-` where `known` is false. */
void	pb_table_time(struct pb_table *table, uint64_t ns, bool known);
/* true/false in JSON, yes/no for people. */
void	pb_table_bool(struct pb_table *table, bool value);

/* Ends the row. */
int	pb_table_row(struct pb_table *table, struct pb_err *err);
/* Prints what is held; 0 or the error of the descriptor or of memory. */
int	pb_table_end(struct pb_table *table, struct pb_err *err);

#endif
