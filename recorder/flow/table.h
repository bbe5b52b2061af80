/*
 * recorder/flow/table.h - a flow table, as it lies beside its segment
 *
 * What the packets of an index block have in common, flow by flow, in few
 * bytes: written once, read in parts.  Flows are grouped by header shape; of a
 * shape's flows each byte of the headers is a column, of which only those are
 * kept that say something for what they cost.  docs/index.md has the bytes.
 *
 * A table is hostile until it is opened: all in it is checked against its
 * bounds then, or when that part is asked for.
 */
#ifndef PB_FLOW_TABLE_H
#define PB_FLOW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "recorder/filter/verdict.h"
#include "recorder/flow/flows.h"

/* What a table comes to at most, and what is in it. */
#define PB_FLOW_TABLE_BYTES_MAX		(32u << 20)
#define PB_FLOW_TABLE_PACKETS_MAX	(2u << 20)
#define PB_FLOW_TABLE_ROWS_MAX		(96u << 10)	/* without the rest */
#define PB_FLOW_TABLE_SHAPES_MAX	1024u	/* more go to the rest */

/*
 * The bytes of the table of these flows, appended to `out`.  PB_ELIMIT where
 * it comes to more than the above, or than `out` takes; PB_ENOMEM.
 */
int	pb_flow_table_encode(struct pb_buf *out, const struct pb_flows *flows,
	    struct pb_err *err);

/* The same in memory that is kept from one to the next, some MiB: pages made
 * anew cost as much as half the work.  One thread at a time; NULL is fine to
 * destroy. */
struct pb_flow_table_work;	/* opaque */
int	pb_flow_table_work_create(struct pb_flow_table_work **out,
	    struct pb_err *err);
void	pb_flow_table_work_destroy(struct pb_flow_table_work *work);
int	pb_flow_table_encode_in(struct pb_flow_table_work *work,
	    struct pb_buf *out, const struct pb_flows *flows,
	    struct pb_err *err);

struct pb_flow_table;	/* opaque; one thread at a time */

/*
 * `bytes` are borrowed until close.  PB_EFORMAT: it is rotten.  What has been
 * asked for stays in memory until close: at most some 510 bytes a row.
 */
int	pb_flow_table_open(struct pb_flow_table **out, const uint8_t *bytes,
	    size_t len, struct pb_err *err);

/* The same where only the parts that are asked for are read: `read` puts the
 * `len` bytes at `at` of the table into `out`; 0, or a negative code, which
 * whoever asked gets.  By their digests the parts are those of the head, and
 * pb_flow_table_digest() tells whose that is. */
typedef int pb_flow_table_read(void *arg, uint64_t at, void *out, size_t len,
	    struct pb_err *err);
struct pb_flow_table_room;	/* opaque */
int	pb_flow_table_open_at(struct pb_flow_table **out,
	    struct pb_flow_table_room *room, pb_flow_table_read *read,
	    void *arg, size_t len, struct pb_err *err);

/* Memory for what is read, kept from one table to the next; one table at a
 * time.  open_at() takes NULL: then it is the table's own.  So does
 * destroy(). */
int	pb_flow_table_room_create(struct pb_flow_table_room **out,
	    struct pb_err *err);
void	pb_flow_table_room_destroy(struct pb_flow_table_room *room);

void	pb_flow_table_close(struct pb_flow_table *table);

/* Packets are numbered from 0 on, in the order of the file. */
uint32_t pb_flow_table_packets(const struct pb_flow_table *table);

/* The digest that its head ends with, at PB_FLOW_TABLE_DIGEST_AT of its bytes:
 * as that has the directory's, and this one those of all pieces, it stands for
 * the whole table. */
#define PB_FLOW_TABLE_DIGEST_AT		56u
uint64_t pb_flow_table_digest(const struct pb_flow_table *table);
/* Are all pieces what was written?  0, PB_EFORMAT, or another error. */
int	pb_flow_table_check(struct pb_flow_table *table, struct pb_err *err);

/*
 * Where the block of packet `packet` is, one of the table's: `first` is the
 * last packet at or before it that has a mark, 0 if none has; `next` the first
 * one behind it, or how many packets there are.  Their blocks begin at `from`
 * and `end`, bytes behind packet 0's chunk; `end` is UINT32_MAX where it is not
 * known.  0, or an error.
 */
struct pb_flow_table_span {
	uint32_t	 first, next;
	uint32_t	 from, end;
};
int	pb_flow_table_span(struct pb_flow_table *table, uint32_t packet,
	    struct pb_flow_table_span *out, struct pb_err *err);

/* The flows of one header shape. */
struct pb_flow_table_shape {
	struct pb_flow_key key;		/* PB_FLOW_SHAPE_BYTES of it */
	uint32_t	 rows;
	uint64_t	 packets;
	uint64_t	 bytes;		/* on the wire */
	bool		 rest;		/* one row, of which nothing is known */
	struct pb_alike	 alike;		/* what all of its flows know */
};

size_t	pb_flow_table_shapes(const struct pb_flow_table *table);
const struct pb_flow_table_shape *pb_flow_table_shape(
	    const struct pb_flow_table *table, size_t shape);

/* Of a shape's rows the byte `at` of their packets: row i has
 * ones[i * stride], unknown[i * stride].  Borrowed until close. */
struct pb_flow_table_column {
	const uint8_t	*ones, *unknown;
	size_t		 stride;	/* 0: all have the same; or 1 */
	bool		 known;		/* no row has unknown bits in it */
};
int	pb_flow_table_column(struct pb_flow_table *table, size_t shape,
	    uint32_t at, struct pb_flow_table_column *out, struct pb_err *err);

/* The same of `rows` of them from row `first` on, a multiple of 8; `room` has
 * 2 * rows bytes, is borrowed by `out`, and may be used.  Where all is known
 * `unknown` may be NULL. */
int	pb_flow_table_column_part(struct pb_flow_table *table, size_t shape,
	    uint32_t at, uint32_t first, uint32_t rows, uint8_t *room,
	    struct pb_flow_table_column *out, struct pb_err *err);

/* From row `*row` on, a multiple of 8, the first of which the byte `at` may be
 * `value`; or how many rows there are.  Seldom one of which it is another. */
int	pb_flow_table_column_find(struct pb_flow_table *table, size_t shape,
	    uint32_t at, uint8_t value, uint32_t *row, struct pb_err *err);

/* Bytes that are to be read for a column, 0 where they have been, or all rows
 * have the same: who asks for light ones first may need no others. */
uint32_t pb_flow_table_column_weight(const struct pb_flow_table *table,
	    size_t shape, uint32_t at);

/* Of a row, beside its bytes. */
struct pb_flow_table_row {
	uint64_t	 packets;
	uint64_t	 bytes;			/* on the wire */
	uint64_t	 first_time, last_time;	/* ns */
	uint32_t	 caplen_min, caplen_max;
	uint32_t	 len_min, len_max;
};
/* All of a shape's, borrowed until close. */
int	pb_flow_table_rows(struct pb_flow_table *table, size_t shape,
	    const struct pb_flow_table_row **out, struct pb_err *err);

/* The packets of those of a shape's rows of which `of_row` is `which`, a byte
 * a row. */
int	pb_flow_table_packets_of(struct pb_flow_table *table, size_t shape,
	    const uint8_t *of_row, uint8_t which, uint64_t *out,
	    struct pb_err *err);

/* It has no more packets than that. */
int	pb_flow_table_most(struct pb_flow_table *table, size_t shape,
	    uint32_t row, uint32_t *packets, struct pb_err *err);

/* Its packets: of_packet[n] |= bits for each packet n of the row;
 * `of_packet` has pb_flow_table_packets() bytes.  How many, or an error. */
int	pb_flow_table_put(struct pb_flow_table *table, size_t shape,
	    uint32_t row, uint8_t *of_packet, uint8_t bits, struct pb_err *err);

#endif
