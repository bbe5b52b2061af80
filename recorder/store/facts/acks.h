/*
 * recorder/store/facts/acks.h - what the upstreams have, as retention sees it
 *
 * The shipper writes one row per upstream and stream into the table
 * `acks` of its own LMDB environment (STORE/shipper); retention reads it,
 * to delete what is acknowledged before what is not.  Two numbers:
 *
 *	acked      the upstream has all up to it (or was told of a gap)
 *	released   all up to it is acked or a dead letter with a file of
 *	           its own: the store's copy is not needed for shipping
 *
 * Besides, a row for each run of numbers that the upstream is still to get
 * though they are below `acked`, as they came late: the key of the stream's row
 * and the first one (u64, big-endian), of the last one (u64, little-endian).
 * And a row an upstream, its name and the NUL, of the number (u64,
 * little-endian) of the last of the recorder's fills (PB_TABLE_FILLS) that
 * these rows know of.  What fills have a higher one counts as late, too: no
 * shipper has seen it yet.  So have all, where that one is not in the list.
 *
 * The row is what was true when it was written: both numbers may be lower
 * than the truth, which only keeps a segment longer.  (An upstream whose
 * store went back makes them too high; what it needs again and is gone
 * becomes a gap, with its reason.)
 */
#ifndef PB_STORE_ACKS_H
#define PB_STORE_ACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/store/layout.h"

#define PB_ACKS_TABLE		"acks"
#define PB_ACKS_ROW_BYTES	16	/* acked, released: u64 little-endian */
/* upstream \0 node \0 interface \0 epoch (big-endian) */
#define PB_ACKS_LATE_BYTES	8	/* last: u64 little-endian */
#define PB_ACKS_KEY_MAX		(PB_NAME_BYTES_MAX + 1 + PB_NAME_BYTES_MAX + \
				1 + PB_IFNAME_BYTES_MAX + 1 + 8)

struct pb_ack {
	uint64_t	acked;
	uint64_t	released;	/* >= acked */
};

/* The key of a row; its length. */
size_t	pb_acks_key(uint8_t out[static PB_ACKS_KEY_MAX], const char *upstream,
	    const struct pb_stream_key *key);
/* And back; false for bytes that are no such key. */
bool	pb_acks_key_parse(char upstream[static PB_NAME_BYTES_MAX + 1],
	    struct pb_stream_key *key, const void *bytes, size_t len);
void	pb_acks_encode(uint8_t out[static PB_ACKS_ROW_BYTES],
	    const struct pb_ack *ack);

/* Of the row of the last fill seen; its length. */
size_t	pb_acks_seen_key(uint8_t out[static PB_ACKS_KEY_MAX],
	    const char *upstream);

struct pb_acks;		/* for reading; one per process; one thread */

/* A store that never shipped has no table, and each read looks again.  Nothing
 * is looked at yet.  `store` is copied. */
int	pb_acks_create(struct pb_acks **out, const char *store,
	    struct pb_err *err);
/* Look, and wait until it is known whether it can be read, seconds at most:
 * where no packet waits. */
void	pb_acks_wait(struct pb_acks *acks);
/* Waits for a look that is under way, left or not, seconds at most.  NULL is
 * fine. */
void	pb_acks_destroy(struct pb_acks *acks);

/* Close what is open, and wait for nobody; the next read looks again, once a
 * look that is under way is done.  NULL is fine. */
void	pb_acks_leave(struct pb_acks *acks);

/*
 * False while it is being looked at whether the shipper's file can be read:
 * then nothing counts as acknowledged, and soon it may.  That takes seconds at
 * most, and is no call's to wait for, this one's included: a thread of its own
 * has a child read all of it.
 */
bool	pb_acks_known(struct pb_acks *acks);

/*
 * What `upstream` has of the stream: 1; 0 where nothing is known (no
 * shipper yet, no row, a row that cannot be read): nothing is acked then.
 * PB_EBUSY while it is not known yet (pb_acks_known): ask later.  No other
 * error: retention works without the shipper.  One that is damaged is found by
 * that child, before it is looked at, and is as good as none; so is one that
 * cannot be read twice.
 */
int	pb_acks_get(struct pb_acks *acks, const char *upstream,
	    const struct pb_stream_key *key, struct pb_ack *out);

/* The last fill that the upstream's rows know of: 1; 0: none; PB_EBUSY
 * likewise.  Ask for late rows behind it: with the fill they are there. */
int	pb_acks_seen(struct pb_acks *acks, const char *upstream,
	    uint64_t *number);
/* The lowest number of first .. last that came late, and is still to get
 * there: 1; 0: there is none; PB_EBUSY likewise. */
int	pb_acks_late(struct pb_acks *acks, const char *upstream,
	    const struct pb_stream_key *key, uint64_t first, uint64_t last,
	    uint64_t *out);

/* Grows when the shipper commits; 0 while there is nothing to read. */
uint64_t pb_acks_commits(struct pb_acks *acks);

#endif
