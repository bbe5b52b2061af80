/*
 * recorder/store/mend/place.h - files change places, whole or not at all
 *
 * The runs of a segment that is salvaged are written into a hidden folder
 * beside it, `.salvage-FIRST.new`.  One rename, to `.salvage-FIRST`, says
 * that all of them are there and durable; from then on they take the
 * original's place, which has a second name under STORE/damaged/.
 *
 * Promise: a crash before that rename has changed nothing, one after it
 *          leaves what pb_place_finish() brings to its end.
 */
#ifndef PB_MEND_PLACE_H
#define PB_MEND_PLACE_H

#include "base/err.h"
#include "recorder/store/layout.h"

#define PB_PLACE_HIDDEN	".salvage-"

/*
 * Give `path` a second name under STORE/damaged/ (STREAM_FIRST[.N].pcapng),
 * durably, and write `note` beside it (.txt).  `out` is that name.
 */
int	pb_set_aside(const char *store, const struct pb_stream_key *key,
	    uint64_t first_seq, const char *path, const char *note,
	    char out[static PATH_MAX], struct pb_err *err);

/* The same, and its first name goes. */
int	pb_move_aside(const char *store, const struct pb_stream_key *key,
	    uint64_t first_seq, const char *path, const char *note,
	    char out[static PATH_MAX], struct pb_err *err);

/* An empty `.salvage-FIRST.new`; what an earlier try left there goes. */
int	pb_place_begin(const char *store, const struct pb_stream_key *key,
	    uint64_t first_seq, char dir[static PATH_MAX],
	    struct pb_err *err);
/* Its files have their names durably. */
int	pb_place_sync(const char *store, const struct pb_stream_key *key,
	    uint64_t first_seq, struct pb_err *err);
/* They are to take the original's place: the rename.  No folder of that
 * name is no error: it has been done. */
int	pb_place_commit(const char *store, const struct pb_stream_key *key,
	    uint64_t first_seq, struct pb_err *err);
/* They do.  1, or 0 where there is no such folder.  A file that stands
 * where one of them goes is set aside. */
int	pb_place_finish(const char *store, const struct pb_stream_key *key,
	    uint64_t first_seq, struct pb_err *err);
/* The folder goes, with all that is in it; none is no error. */
int	pb_place_drop(const char *store, const struct pb_stream_key *key,
	    uint64_t first_seq, struct pb_err *err);
/* The segment's file goes, under either name. */
int	pb_place_remove(const char *store, const struct pb_stream_key *key,
	    uint64_t first_seq, struct pb_err *err);

#endif
