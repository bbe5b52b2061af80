/*
 * recorder/store/index/index.h - reading the index
 *
 * The recorder writes it (index_write.h); the shipper and `pb` read it.
 * Every call below is one short read transaction that copies its rows
 * out: nothing is held between calls, so no reader can hold back the
 * writer's pages, and a pipe that blocks harms nobody.  Rows come in
 * key order.
 *
 * What a reader sees is durable: rows are committed after the bytes they
 * speak of are synced.
 */
#ifndef PB_STORE_INDEX_H
#define PB_STORE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/age.h"
#include "base/err.h"
#include "recorder/flow/summary.h"
#include "recorder/store/layout.h"

struct pb_index;	/* one per process: LMDB forbids two of one file */

/* Its name, key, and the structure of its rows. */
enum pb_index_table {
	PB_TABLE_META,		/* name -> u64; `age` -> pb_age */
	PB_TABLE_STREAMS,	/* node 0 interface 0 epoch: pb_stream_info */
	PB_TABLE_SEGMENTS,	/* stream first_seq: pb_segment_info */
	PB_TABLE_EXTENTS,	/* stream first_seq: pb_extent_info */
	PB_TABLE_GAPS,		/* stream first: pb_gap_info */
	PB_TABLE_DROPS,		/* stream seq: pb_drop_info */
	PB_TABLE_OPEN,		/* stream first_seq -> the stream's key: a
				 * segment that is not sealed, pb_open_info */
	PB_TABLE_IDS,		/* stream -> the stream's key */
	PB_TABLE_AGES,		/* sealed_at stream first_seq: pb_age_info;
				 * sealed segments, the oldest first */
	PB_TABLE_FILLS,		/* number: pb_fill_info, late arrivals */
	PB_TABLE_DOOMED,	/* as `open`: a file that is to go; its rows
				 * are gone.  Number 0: no file, but the
				 * journal does not know yet what went */
	PB_TABLE_FLOWS,		/* stream first_seq: pb_flows_info */
	PB_TABLES,
};

/*
 * Rows.  What is not the key of its table stands last in each, and is stored
 * as it lies in memory (index_rows.h): to add, take away or move a member
 * is another version of the index.
 */
struct pb_stream_info {
	struct pb_stream_key key;
	uint32_t	id;		/* in this store; key of other rows */
	uint16_t	linktype;
	bool		own : 1;	/* captured by this node */
	bool		unsteady : 1;	/* times have run back by 10 s */
	uint8_t		unused_flags;
	uint32_t	snaplen;	/* as at the origin; 0: unknown */
	uint32_t	unused;
	uint64_t	created_ns;	/* when this store first saw it */
	uint64_t	first_seq;	/* lowest number kept; 0: none */
	uint64_t	last_seq;	/* durable end: all up to it is here or
					 * a recorded gap; 0 when new */
	uint64_t	packets;	/* kept in the store */
	uint64_t	bytes;		/* captured bytes of those */
	uint64_t	dropped;	/* sum of the drop counts in those */
	uint64_t	dropped_before;	/* of packets deleted since */
	uint64_t	first_time;	/* lowest time of a packet, ns; no
					 * higher than that, where the stream
					 * is unsteady and long */
	uint64_t	last_time;	/* no lower than the highest */
};

/* Packets first .. last in time are about to be counted in; `behind` what
 * the stream has. */
void	pb_stream_add_times(struct pb_stream_info *stream, uint64_t first,
	    uint64_t last, bool behind);

struct pb_segment_info {
	uint32_t	stream;
	uint64_t	first_seq;
	uint64_t	last_seq;	/* durable; first_seq - 1 while empty */
	uint64_t	packets;
	uint64_t	bytes;		/* durable size of the file */
	uint64_t	packet_bytes;	/* captured bytes */
	uint64_t	first_time;	/* lowest, ns; 0 while empty */
	uint64_t	last_time;	/* highest */
	uint64_t	created_ns;
	uint64_t	sealed_at;	/* pb_age_key() by the store's age;
					 * of the file's mtime, where it is
					 * from before there were ages; 0
					 * while open */
	uint64_t	header_digest;	/* XXH3 64 of what stands before the
					 * first extent */
	uint32_t	header_bytes;	/* SHB and IDB */
	uint32_t	sealed;		/* 1, or 0 while open */
};

/* Has it no number?  One may have numbers and no packet: they were left out
 * (pcapng/filtered.h).  How many of its numbers were. */
static inline bool
pb_segment_empty(const struct pb_segment_info *segment)
{
	return segment->last_seq < segment->first_seq;
}

static inline uint64_t
pb_segment_filtered(const struct pb_segment_info *segment)
{
	return segment->last_seq - segment->first_seq + 1 - segment->packets;
}

struct pb_extent_info {
	uint32_t	stream;
	uint64_t	first_seq;
	uint64_t	last_seq;
	uint64_t	segment_seq;	/* first_seq of its segment */
	uint64_t	offset;		/* in the file */
	uint64_t	first_time;	/* lowest, ns */
	uint64_t	last_time;	/* highest */
	uint64_t	digest;		/* XXH3 64 of the bytes */
	uint32_t	bytes;		/* durable */
	uint32_t	unused;
};

/*
 * An index block: a run of a segment's packets that have a summary and, as
 * bytes of STORE/segments/.../%020u.flows, a flow table (recorder/flow).  What
 * no row speaks of is looked at packet by packet; so is what a row speaks of
 * whose table is missing or rotten.
 */
/* Of the segment's file: half of a usual segment of 256 MiB, and two chunks
 * more, so that it ends with no small one, which costs a search as much as a
 * large one.  In larger ones a row has more packets; but as many bytes of a
 * stream may have no table yet, and are read. */
#define PB_INDEX_BLOCK_BYTES	(130u << 20)
struct pb_flows_info {
	uint32_t	stream;
	uint64_t	first_seq;	/* of packet 0; they ascend by one, but
					 * where it has fewer packets: numbers
					 * were left out, maybe the first */
	uint64_t	last_seq;
	uint64_t	segment_seq;	/* first_seq of its segment */
	uint64_t	from, end;	/* in its file: where the first chunk
					 * begins (marks count from there), and
					 * behind the last one */
	uint64_t	first_time;	/* lowest, ns */
	uint64_t	last_time;	/* highest */
	uint64_t	packets;
	uint64_t	table_at;	/* in NNN.flows */
	uint64_t	table_digest;	/* pb_flow_table_digest() of it */
	uint32_t	table_bytes;	/* 0: it has none */
	uint32_t	summary_bytes;
	uint8_t		summary[PB_SUMMARY_BYTES_MAX];	/* stored as long as
					 * summary_bytes says */
};

enum pb_gap_reason {
	PB_GAP_DEAD_LETTERED = 1,
	PB_GAP_EXPIRED = 2,
	PB_GAP_DAMAGED = 3,
	PB_GAP_RESTORED = 4,	/* in the epoch that the stream had before */
	PB_GAP_FILTERED = 5,	/* left out by a filter: none is lost */
};
const char *pb_gap_reason_name(enum pb_gap_reason reason);
/* 0 where `name` is none of `dead-lettered`, `expired`, `damaged`, `restored`,
 * `filtered`. */
enum pb_gap_reason pb_gap_reason_parse(const char *name);

struct pb_gap_info {
	uint32_t	stream;
	uint64_t	first;
	uint64_t	last;
	uint64_t	since_ns;
	uint64_t	closed_ns;	/* 0 while open */
	enum pb_gap_reason reason;
	uint32_t	fill;		/* of a closed one, the lower half of
					 * its number in PB_TABLE_FILLS; 0: of
					 * an older version, not known */
};

/* Packets that the kernel or the interface dropped before number `seq`. */
struct pb_drop_info {
	uint32_t	stream;
	uint64_t	seq;		/* the packet that carries the count */
	uint64_t	count;
	uint64_t	time_ns;
};

/* A sealed segment, as retention meets it. */
struct pb_age_info {
	uint64_t	sealed_at;	/* likewise */
	uint32_t	stream;
	uint64_t	first_seq;
	uint64_t	bytes;
};

/*
 * Packets that came late and filled a gap: the shipper passes them on.
 * Numbers grow from 1, in an index that was rebuilt from above those of the one
 * before; the last PB_FILLS_MAX are kept.
 */
#define PB_FILLS_MAX	65536u
struct pb_fill_info {
	uint64_t	number;
	uint64_t	first;
	uint64_t	last;
	uint32_t	stream;
	uint32_t	unused;
};

/* A segment that is not sealed, or a file that is to go (index_write.h). */
struct pb_open_info {
	uint32_t	stream;
	uint64_t	first_seq;
	struct pb_stream_key key;	/* all empty where the row was rotten */
};

struct pb_index_totals {
	uint64_t	segments;
	uint64_t	bytes;		/* of their files */
};

/* What is said of an index that ends who reads it, and its path. */
#define PB_INDEX_ROTTEN_TEXT	"index %s: is corrupt: reading it ends in a " \
	    "signal; Fix: stop pb-recorder, 'pb reindex', start it again"

/* Can it be looked at, for a program that is not to end or to wait for ever
 * by it?  0, also where there is none; PB_EFORMAT, PB_EBUSY: what to do. */
int	pb_index_readable(const char *store, struct pb_err *err);

/*
 * Open the index of `store` for reading.  PB_ENOENT where there is no
 * store yet.  The calls below may come from any thread.
 */
int	pb_index_open(struct pb_index **out, const char *store,
	    struct pb_err *err);
void	pb_index_close(struct pb_index *index);

/* A number that grows with every commit: cheap to poll (no system call). */
uint64_t pb_index_commits(struct pb_index *index);

/*
 * All rows of a kind, one after the other:
 *
 *	struct pb_rows rows;
 *	const struct pb_gap_info *gap;
 *
 *	pb_rows_of(&rows, index, PB_TABLE_GAPS, stream, 1, err);
 *	while ((gap = pb_rows_next(&rows)) != NULL)
 *		...
 *	return rows.rc;
 *
 * Rows are read a page at a time, each page in a transaction of its own that
 * has ended when the first row of it is given: between two rows anything may
 * be done, writing included, and the walk be left without a word.  No row is
 * given twice, however it grows meanwhile; one that is put while the walk is
 * under way may be met or not.  A rotten row is passed over.
 */
#define PB_ROWS_PAGE_BYTES	12288u
#define PB_ROWS_KEY_BYTES	512u
struct pb_rows {
	int		 rc;		/* why it ended: 0, or the error */
	/* The rest is the walk's own. */
	struct pb_index	*index;
	struct pb_err	*err;
	unsigned	 table;
	bool		 of_stream;	/* it ends with the stream's rows */
	bool		 reaches;	/* begin with what reaches `key` */
	bool		 ended;		/* there is no page behind this one */
	int		 at, count;	/* in `page` */
	size_t		 key_len;
	uint8_t		 key[PB_ROWS_KEY_BYTES]; /* the next page: from it on */
	uint64_t	 page[PB_ROWS_PAGE_BYTES / sizeof(uint64_t)];
};

/* All of the table, or those behind the row `after`, of which the key alone
 * is looked at (a stream's begins with it). */
void	pb_rows_all(struct pb_rows *rows, struct pb_index *index,
	    enum pb_index_table table, const void *after, struct pb_err *err);
/* Where the key is a stream and a number: the stream's from number `from` on,
 * and the one before that which reaches it, where rows have a last number. */
void	pb_rows_of(struct pb_rows *rows, struct pb_index *index,
	    enum pb_index_table table, uint32_t stream, uint64_t from,
	    struct pb_err *err);

/* The next row, a view until the next call; NULL at the end, or on failure:
 * rows->rc tells which. */
const void *pb_rows_next(struct pb_rows *rows);

/* The first `max` of them alone; their count, or an error. */
int	pb_index_rows(struct pb_index *index, enum pb_index_table table,
	    const void *after, void *out, size_t max, struct pb_err *err);
int	pb_index_rows_of(struct pb_index *index, enum pb_index_table table,
	    uint32_t stream, uint64_t from, void *out, size_t max,
	    struct pb_err *err);

/* The segment that begins at `first_seq`: 1, 0, or an error; PB_EFORMAT where
 * its row is rotten. */
int	pb_index_segment(struct pb_index *index, uint32_t stream,
	    uint64_t first_seq, struct pb_segment_info *out,
	    struct pb_err *err);

/* Where rows have a first and a last number: the stream's last one that begins
 * at or before `at`, rotten ones passed over.  1, 0, or an error. */
int	pb_index_row_below(struct pb_index *index, enum pb_index_table table,
	    uint32_t stream, uint64_t at, void *out, struct pb_err *err);

/* The last extent that begins at or before `at`: 1, 0, or an error. */
int	pb_index_extent_below(struct pb_index *index, uint32_t stream,
	    uint64_t at, struct pb_extent_info *out, struct pb_err *err);

/* The store's age as it was last committed; all zero where none was. */
int	pb_index_age(struct pb_index *index, struct pb_age *out,
	    struct pb_err *err);

/* What all segments sum up to: one read, whatever the store holds. */
int	pb_index_totals(struct pb_index *index, struct pb_index_totals *out,
	    struct pb_err *err);

/* The key of a stream: 1 found, 0 not, or an error. */
int	pb_index_stream_key(struct pb_index *index, uint32_t stream,
	    struct pb_stream_key *out, struct pb_err *err);

/* One stream by its key: 1 found, 0 not, or an error. */
int	pb_index_stream(struct pb_index *index,
	    const struct pb_stream_key *key, struct pb_stream_info *out,
	    struct pb_err *err);

#endif
