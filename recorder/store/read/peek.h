/*
 * recorder/store/read/peek.h - one packet at a number, or next to it
 *
 * For proofs that two nodes have the same packets: a bounded look, at one
 * extent mostly, from any thread and any process.
 */
#ifndef PB_STORE_PEEK_H
#define PB_STORE_PEEK_H

#include "recorder/store/fingerprint.h"
#include "recorder/store/index/index.h"

/* What cannot be read is passed over so often; then it is an error. */
#define PB_PEEK_EXTENTS_MAX	4u

/*
 * The packet with the highest number <= `at` that is in the store and can
 * be read.  `checked`: its extent is read whole and matches its digest;
 * else some KiB are read where they do, and are taken as they are.
 * 1; 0 where there is none; or an error.
 */
int	pb_peek_below(struct pb_index *index, const char *store,
	    const struct pb_stream_key *key, uint32_t stream, uint64_t at,
	    bool checked, struct pb_fingerprint *out, struct pb_err *err);

/* The same, checked, as if so many of its bytes had been captured, where they
 * are more; 0: as it is. */
int	pb_peek_cut(struct pb_index *index, const char *store,
	    const struct pb_stream_key *key, uint32_t stream, uint64_t at,
	    uint32_t captured, struct pb_fingerprint *out,
	    struct pb_err *err);

/* As pb_index_extent_below(), of the stream that `arg` means. */
typedef int	pb_peek_find(void *arg, uint64_t at,
	    struct pb_extent_info *out, struct pb_err *err);
/* Both for who must not hold the index while a file is read. */
int	pb_peek_below_by(pb_peek_find *find, void *arg, const char *store,
	    const struct pb_stream_key *key, uint64_t at, bool checked,
	    uint32_t captured, struct pb_fingerprint *out,
	    struct pb_err *err);

/* The packet with the lowest number >= `from`, checked; likewise. */
int	pb_peek_above(struct pb_index *index, const char *store,
	    const struct pb_stream_key *key, uint32_t stream, uint64_t from,
	    struct pb_fingerprint *out, struct pb_err *err);

#endif
