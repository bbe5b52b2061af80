/*
 * recorder/store/facts/journal.h - what a stream's segments cannot say
 *
 * STORE/segments/NODE/IFACE/EPOCH/journal: one JSON object a line, only
 * appended to.  It makes the index a thing that can be lost: why numbers
 * are missing, since when, when late ones came, what retention deleted,
 * and the stream's own row.
 *
 *	{"fact":"stream","id":3,"link_type":1,"snap_length":262144,
 *	    "own":1,"time_ns":1700000000000000000,"xxh3":"..."}
 *	{"fact":"gap","first":5,"last":9,"reason":"expired","time_ns":...}
 *	{"fact":"fill","first":5,"last":9,"time_ns":...}
 *	{"fact":"expired","first":1,"last":4,"time_ns":...}
 *
 * each on one line, each ending in "xxh3": XXH3 64 of the bytes of the
 * line before that member, so that any flipped bit shows.
 *
 * Promise: a fact is on disk here before the index commits it.  So the
 *          journal may know more than the index (a commit that failed),
 *          never less; who replays it looks at the segments too.
 * Limit:   a line has at most PB_JOURNAL_LINE_MAX bytes.  A file past
 *          PB_JOURNAL_BYTES_MAX is written anew from the index when a
 *          segment is sealed (pb_journal_replace).
 */
#ifndef PB_STORE_JOURNAL_H
#define PB_STORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/store/index/index.h"

#define PB_JOURNAL_NAME		"journal"
#define PB_JOURNAL_LINE_MAX	512u
#define PB_JOURNAL_BYTES_MAX	(1u << 20)

enum pb_fact_kind {
	PB_FACT_STREAM = 1,	/* the stream's row; the last one counts */
	PB_FACT_GAP,		/* first .. last will not come, or not now */
	PB_FACT_FILL,		/* they came after all */
	PB_FACT_EXPIRED,	/* deleted on purpose, and acknowledged */
};

struct pb_fact {
	enum pb_fact_kind kind;
	uint64_t	first, last;	/* all but STREAM */
	uint64_t	time_ns;	/* since, filled, deleted, created */
	enum pb_gap_reason reason;	/* GAP */
	/* STREAM */
	uint32_t	id;
	uint16_t	linktype;
	uint32_t	snaplen;
	bool		own;
};

/* The STREAM fact of a row, and the GAP fact of an open gap. */
struct pb_fact pb_fact_of_stream(const struct pb_stream_info *info);
struct pb_fact pb_fact_of_gap(const struct pb_gap_info *gap);

/*
 * Append and sync; the directory and the file are made if need be.  After
 * an error the file is as it was, but for a torn last line at worst, which
 * the next append cuts.
 */
int	pb_journal_append(const char *store, const struct pb_stream_key *key,
	    const struct pb_fact *facts, size_t count, struct pb_err *err);

/* What is in it stays, also what an append has left that failed.  No file is
 * no error. */
int	pb_journal_sync(const char *store, const struct pb_stream_key *key,
	    struct pb_err *err);

/* Write it anew, in one step: a new file takes the place of the old. */
int	pb_journal_replace(const char *store, const struct pb_stream_key *key,
	    const struct pb_fact *facts, size_t count, struct pb_err *err);

struct pb_journal_news {
	uint64_t	lines;		/* good ones */
	uint64_t	rotten;		/* lines that are not what was
					 * written */
	uint64_t	rotten_at;	/* offset of the first of them */
	uint64_t	bytes;		/* of the file; 0: there is none */
	bool		torn;		/* the last line was cut short */
};

/*
 * Read it: `each` for every good line in order, until it answers nonzero
 * (which is returned).  No file is no error.  Bounded memory.
 */
int	pb_journal_read(const char *store, const struct pb_stream_key *key,
	    int (*each)(void *arg, const struct pb_fact *fact), void *arg,
	    struct pb_journal_news *news, struct pb_err *err);

/* Its size; 0 where there is none. */
uint64_t pb_journal_bytes(const char *store, const struct pb_stream_key *key);

/* STORE/segments/NODE/IFACE/EPOCH/journal */
int	pb_journal_path(char out[static PATH_MAX], const char *store,
	    const struct pb_stream_key *key, struct pb_err *err);

#endif
