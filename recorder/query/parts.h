/*
 * recorder/query/parts.h - the files of `-w --split`
 *
 * As with one file (target.h) each appears whole or not at all, and all are
 * the caller's: whoever he is makes and names them, a child that stays him
 * where `pb` becomes another.  The child is asked for a word in the name that
 * `-w` has, nothing else: no other file can be made by way of it.
 */
#ifndef PB_QUERY_PARTS_H
#define PB_QUERY_PARTS_H

#include <limits.h>

#include "base/err.h"

#define PB_PARTS_OPEN_MAX	1024u	/* without a name yet, at once */

struct pb_parts;

/* Those of `name`, as for pb_target_open(); none is made yet. */
int	pb_parts_create(struct pb_parts **out, const char *name,
	    const char *store, struct pb_err *err);
/* What has no name yet goes. */
void	pb_parts_destroy(struct pb_parts *parts);	/* NULL is fine */
/* The caller's rights are about to go. */
int	pb_parts_keep(struct pb_parts *parts, struct pb_err *err);

/* The path of the one with this word in its name. */
int	pb_parts_path(const struct pb_parts *parts, const char *word,
	    char out[static PATH_MAX], struct pb_err *err);

/*
 * Make it, under a name that is hidden: its descriptor, the caller's, and
 * `*part`, by which it is called; PB_ELIMIT past PB_PARTS_OPEN_MAX.
 */
int	pb_parts_make(struct pb_parts *parts, const char *word,
	    unsigned *part, struct pb_err *err);
/* It is whole, and closed: it gets its name. */
int	pb_parts_name(struct pb_parts *parts, unsigned part,
	    struct pb_err *err);

#endif
