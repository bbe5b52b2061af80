/*
 * recorder/query/target.h - the file that `-w` names
 *
 * A regular file appears whole or not at all: what is written goes to a
 * hidden neighbour that takes the name at the end, so that a query that
 * fails leaves neither half a file nor a spoilt old one.  A pipe, a
 * device, standard output (`-`), and any file that is to be read while it
 * grows, are written directly.
 *
 * The file is the caller's, whatever `pb` becomes meanwhile: a child that
 * stays who the caller was waits to give it its name, and takes it away
 * where its parent ends without having said so.
 */
#ifndef PB_QUERY_TARGET_H
#define PB_QUERY_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct pb_target {
	int	fd;
	char	path[PATH_MAX];		/* symbolic links resolved */
	char	hidden[PATH_MAX];	/* "" where written directly */
	pid_t	keeper;			/* 0: none */
	int	keeper_fd;
};

/*
 * Ended by commit or abandon, whatever happens.  A link is followed where
 * it is the caller's or root's; a file within `store` is refused.
 */
int	pb_target_open(struct pb_target *target, const char *name,
	    const char *store, bool directly, struct pb_err *err);
/* The first part of that: the path that is meant, without a link at its
 * end. */
int	pb_target_resolve(char out[static PATH_MAX], const char *name,
	    const char *store, struct pb_err *err);
/* The last one, of what appears whole: `target->path` is set already; `mode`
 * is that of a file that is new. */
int	pb_target_make(struct pb_target *target, mode_t mode,
	    struct pb_err *err);
/* The mode of a file that is made with the mask as it is now. */
mode_t	pb_target_mode(void);
/* The caller's rights are about to go. */
int	pb_target_keep(struct pb_target *target, struct pb_err *err);
/* What was there is overwritten from here on. */
int	pb_target_begin(struct pb_target *target, struct pb_err *err);
int	pb_target_commit(struct pb_target *target, struct pb_err *err);
void	pb_target_abandon(struct pb_target *target);

#endif
