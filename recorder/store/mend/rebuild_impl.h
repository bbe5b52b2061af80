/*
 * recorder/store/mend/rebuild_impl.h - what rebuild*.c share
 *
 * rebuild.c walks the folders and swaps the index; rebuild_stream.c makes
 * the rows of one stream.
 */
#ifndef PB_MEND_REBUILD_IMPL_H
#define PB_MEND_REBUILD_IMPL_H

#include "recorder/store/mend/rebuild.h"
#include "recorder/store/mend/salvage.h"

struct rebuild {
	const struct pb_rebuild_opts *opts;
	struct pb_mend	 mend;
	struct pb_index	*index;		/* being built */
	struct pb_rebuild_sum *sum;
	uint64_t	 numbers;	/* highest running number seen */
	uint32_t	 last_id;	/* highest stream id */
	uint64_t	 files, files_all;
};

/* Every stream's folder under STORE/segments, until `visit` answers
 * nonzero, which is returned.  `path` is the folder's. */
typedef int rebuild_visitor(void *arg, const struct pb_stream_key *key,
    const char *path, struct pb_err *err);
int	rebuild_walk(const char *store, rebuild_visitor *visit, void *arg,
	    struct pb_err *err);

/* All of one stream's rows. */
int	rebuild_one(struct rebuild *rebuild, const struct pb_stream_key *key,
	    struct pb_err *err);

/* The folder of an index that was being built goes; none is no error. */
int	rebuild_remove(const char *path, struct pb_err *err);

#endif
