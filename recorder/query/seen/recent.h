/*
 * recorder/query/seen/recent.h - what came a short while ago, by its hash
 *
 * A table of bounded size: each item has a hash and a place in time, and as
 * many bytes as its user wants.  Items of one hash are a row of their own, the
 * oldest first, so that a flood of equal packets costs no more than others.
 * What is older than the user wants to know, and the oldest where the table is
 * full, goes and is told.  Pure.
 */
#ifndef PB_QUERY_RECENT_H
#define PB_QUERY_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pb_recent;

/* It goes: `full` where there was no room for it any more. */
typedef void pb_recent_gone(void *arg, void *data, bool full);

/* At most `items_max` (less than UINT32_MAX) items with `bytes` of data each;
 * memory grows as they come.  NULL where there is none. */
struct pb_recent *pb_recent_create(size_t bytes, uint32_t items_max,
	    pb_recent_gone *gone, void *arg);
void	pb_recent_destroy(struct pb_recent *recent);	/* tells nobody */

/*
 * One more at a place that is not before those of the others: its data, all
 * zeros, aligned for any type, borrowed until the next item is added.  NULL
 * where there is no memory.
 */
void	*pb_recent_add(struct pb_recent *recent, uint64_t hash,
	    uint64_t place);

/* The oldest of a hash, the next of the same hash; or NULL. */
void	*pb_recent_first(struct pb_recent *recent, uint64_t hash);
void	*pb_recent_next(struct pb_recent *recent, const void *data);

/* A name for an item that outlives it: NULL once it has gone. */
struct pb_recent_name {
	uint64_t	 serial;
	uint32_t	 slot;
};
struct pb_recent_name pb_recent_name(const struct pb_recent *recent,
	    const void *data);
void	*pb_recent_named(struct pb_recent *recent,
	    struct pb_recent_name name);

/* Without it; nobody is told. */
void	pb_recent_remove(struct pb_recent *recent, void *data);

/* It is the newest from now on, with that place. */
void	pb_recent_touch(struct pb_recent *recent, void *data, uint64_t place);

/* Those that are before `place` go, and all of them at UINT64_MAX. */
void	pb_recent_until(struct pb_recent *recent, uint64_t place);

uint32_t pb_recent_count(const struct pb_recent *recent);

#endif
