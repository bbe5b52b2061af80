/*
 * recorder/store/layout.h - where things are in a store
 *
 *	STORE/index/                      LMDB, written by the recorder
 *	STORE/segments/NODE/IFACE/EPOCH/%020u.pcapng[.open]
 *	STORE/segments/NODE/IFACE/EPOCH/%020u.flows   that segment's flow tables
 *	STORE/shipper/                    LMDB, written by the shipper
 *	STORE/segments/NODE/IFACE/EPOCH/journal
 *	STORE/dead-letters/UPSTREAM/NODE/IFACE/EPOCH/%020u.pcapng
 *	STORE/damaged/                    what could not be read, with notes
 *	STORE/recorder.lock  STORE/recorder.sock
 *	STORE/shipper.lock   STORE/shipper.sock    STORE/pulls.sock
 *
 * NODE and IFACE are percent-encoded, EPOCH is 16 hex digits, the file's
 * name is the first sequence number.  All functions that make a path
 * return PB_ELIMIT where it would exceed PATH_MAX.
 */
#ifndef PB_STORE_LAYOUT_H
#define PB_STORE_LAYOUT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

/* Of the disk: what goes past the page cache begins and ends on its edge. */
#define PB_PAGE_BYTES		4096u
/* An extent is closed before it would grow past this. */
#define PB_EXTENT_BYTES_MAX	((1u << 20) + (16u << 10))
/* One that is made from a file anew is larger where blocks that are none
 * stand between two packets: readers take so much. */
#define PB_EXTENT_READ_MAX	(6u << 20)

struct pb_stream_key {
	char		node[PB_NAME_BYTES_MAX + 1];
	char		interface[PB_IFNAME_BYTES_MAX + 1];
	uint64_t	epoch;
};

static inline bool
pb_stream_key_same(const struct pb_stream_key *a,
    const struct pb_stream_key *b)
{
	return a->epoch == b->epoch && strcmp(a->node, b->node) == 0 &&
	    strcmp(a->interface, b->interface) == 0;
}

/* By node, interface, epoch. */
static inline int
pb_stream_key_order(const struct pb_stream_key *a,
    const struct pb_stream_key *b)
{
	int order = strcmp(a->node, b->node);

	if (order == 0)
		order = strcmp(a->interface, b->interface);
	return order != 0 ? order : (a->epoch > b->epoch) -
	    (a->epoch < b->epoch);
}

/* Of a stream's folder: a segment that is not whole yet.  There is one at
 * most, and what a crash leaves of it the next one writes over. */
#define PB_LAYOUT_NEW		".new"

/* STORE/name; or any directory and a name. */
int	pb_layout_path(char out[static PATH_MAX], const char *store,
	    const char *name, struct pb_err *err);
/* STORE/segments/NODE/IFACE/EPOCH */
int	pb_layout_stream(char out[static PATH_MAX], const char *store,
	    const struct pb_stream_key *key, struct pb_err *err);
/* ... /%020u.pcapng, with `.open` while `open` */
int	pb_layout_segment(char out[static PATH_MAX], const char *store,
	    const struct pb_stream_key *key, uint64_t first_seq, bool open,
	    struct pb_err *err);

/* ... /%020u.flows */
int	pb_layout_flows(char out[static PATH_MAX], const char *store,
	    const struct pb_stream_key *key, uint64_t first_seq,
	    struct pb_err *err);
/* The number of what pb_layout_flows() calls one, without the folders; false
 * for any other name. */
bool	pb_layout_parse_flows(const char *name, uint64_t *first_seq);

/* STORE/dead-letters/UPSTREAM/NODE/IFACE/EPOCH, and of it the file of the
 * segment that begins at a number: /%020u.pcapng */
int	pb_layout_letters(char out[static PATH_MAX], const char *store,
	    const char *upstream, const struct pb_stream_key *key,
	    struct pb_err *err);
int	pb_layout_letter(char out[static PATH_MAX], const char *store,
	    const char *upstream, const struct pb_stream_key *key,
	    uint64_t segment_seq, struct pb_err *err);

/* A segment's file, as its name tells. */
struct pb_segment_name {
	uint64_t	first;
	bool		open;		/* `.open` */
};
/* What pb_layout_segment() calls one, without the folders; false for any
 * other name. */
bool	pb_layout_parse(const char *name, struct pb_segment_name *out);

/* `node/interface`, percent-encoded parts: what globs and people see is
 * the unencoded form, this one is for URLs: NODE/IFACE/EPOCH. */
int	pb_layout_url(char out[static PATH_MAX],
	    const struct pb_stream_key *key, struct pb_err *err);

/* The unencoded `node/interface`, for globs, logs and people. */
#define PB_STREAM_NAME_MAX (PB_NAME_BYTES_MAX + PB_IFNAME_BYTES_MAX + 2)
const char *pb_stream_name(char out[static PB_STREAM_NAME_MAX],
	    const struct pb_stream_key *key);

#endif
