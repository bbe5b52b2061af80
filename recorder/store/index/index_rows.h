/*
 * recorder/store/index/index_rows.h - the index's tables, keys and rows
 *
 * Private to the store.  Keys are big-endian, so that byte order is sort
 * order; values are the structs below in the machine's own layout (an
 * LMDB file does not travel between kinds of machine anyway; files do,
 * and the index can be rebuilt from them).
 */
#ifndef PB_STORE_INDEX_ROWS_H
#define PB_STORE_INDEX_ROWS_H

#include "recorder/store/index/index.h"
#include "recorder/store/index/mdb.h"

/* Version 2 had no ages: its rows are read as they are, and an index of it
 * becomes one of 3 when it is opened for writing. */
#define PB_INDEX_VERSION	3u
#define PB_INDEX_VERSION_READ	2u	/* from this one on */

enum pb_index_table {
	PB_TABLE_META,		/* name -> u64; `age` -> pb_age */
	PB_TABLE_STREAMS,	/* node 0 interface 0 epoch -> row_stream */
	PB_TABLE_SEGMENTS,	/* stream first_seq -> row_segment */
	PB_TABLE_EXTENTS,	/* stream first_seq -> row_extent */
	PB_TABLE_GAPS,		/* stream first -> row_gap */
	PB_TABLE_DROPS,		/* stream seq -> row_drop */
	PB_TABLE_OPEN,		/* stream first_seq -> the stream's key: a
				 * segment that is not sealed */
	PB_TABLE_IDS,		/* stream -> the stream's key */
	PB_TABLE_AGES,		/* sealed_at stream first_seq -> bytes: sealed
				 * segments, the oldest first */
	PB_TABLE_FILLS,		/* number -> row_fill: late arrivals */
	PB_TABLE_DOOMED,	/* stream first_seq -> the stream's key: a
				 * file that is to go; its rows are gone */
	PB_TABLES,
};
extern const char *const pb_index_tables[PB_TABLES];

#define PB_KEY_ROW_BYTES	12	/* stream u32, number u64 */
#define PB_KEY_AGE_BYTES	20	/* age u64, stream u32, number u64 */
#define PB_KEY_STREAM_MAX \
	(PB_NAME_BYTES_MAX + 1 + PB_IFNAME_BYTES_MAX + 1 + 8)

/* row_stream.flags */
#define PB_STREAM_OWN		1u
#define PB_STREAM_UNSTEADY	2u

struct row_stream {
	uint32_t	id;
	uint16_t	linktype;
	uint16_t	flags;
	uint32_t	snaplen;
	uint32_t	unused;
	uint64_t	created_ns;
	uint64_t	first_seq;
	uint64_t	last_seq;
	uint64_t	packets;
	uint64_t	bytes;
	uint64_t	dropped;
	uint64_t	dropped_before;
	uint64_t	first_time;
	uint64_t	last_time;
};

/* `last` stands first in each row that has a range: paging relies on it. */
struct row_segment {
	uint64_t	last;
	uint64_t	packets;
	uint64_t	bytes;
	uint64_t	packet_bytes;
	uint64_t	first_time;
	uint64_t	last_time;
	uint64_t	created_ns;
	uint64_t	sealed_at;	/* 0 while open */
	uint64_t	header_digest;
	uint32_t	header_bytes;
	uint32_t	sealed;
};

struct row_extent {
	uint64_t	last;
	uint64_t	segment_seq;
	uint64_t	offset;
	uint64_t	first_time;
	uint64_t	last_time;
	uint64_t	digest;
	uint32_t	bytes;
	uint32_t	unused;
};

struct row_gap {
	uint64_t	last;
	uint64_t	since_ns;
	uint64_t	closed_ns;
	uint32_t	reason;
	uint32_t	unused;
};

struct row_fill {
	uint64_t	first;
	uint64_t	last;
	uint32_t	stream;
	uint32_t	unused;
};

struct row_drop {
	uint64_t	count;
	uint64_t	time_ns;
};

/* The store's age: a struct pb_age in `meta`. */
#define PB_META_AGE		"age"
/* Named numbers; 0 where there is none. */
#define PB_META_SEGMENTS	"segments"
#define PB_META_BYTES		"bytes"
uint64_t pb_meta_get(struct pb_mdb_txn *txn, const char *name);

struct pb_index {
	struct pb_mdb	*mdb;
};

/* Keys.  The stream's returns its length. */
void	pb_key_row(uint8_t out[static PB_KEY_ROW_BYTES], uint32_t stream,
	    uint64_t number);
size_t	pb_key_stream(uint8_t out[static PB_KEY_STREAM_MAX],
	    const struct pb_stream_key *key);
void	pb_key_age(uint8_t out[static PB_KEY_AGE_BYTES], uint64_t sealed_at,
	    uint32_t stream, uint64_t first_seq);
/* And back: false for bytes that are no such key. */
bool	pb_key_stream_parse(struct pb_stream_key *out, const void *key,
	    size_t len);

#endif
