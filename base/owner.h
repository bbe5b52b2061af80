/*
 * base/owner.h - whose a store is, and whose rights it is worked on with
 *
 * A store belongs to one user, the service's, and all in it is to be his:
 * what root made there he could neither write nor delete.  And he can put
 * there what he likes, which must not be dealt with by root's rights.  So
 * root, on a store of another, becomes that one before anything in it is
 * opened, or does not begin.
 */
#ifndef PB_BASE_OWNER_H
#define PB_BASE_OWNER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define PB_OWNER_NAME_MAX	64

struct pb_owner {
	uid_t	uid;
	gid_t	gid;
	mode_t	mode;
	bool	there;				/* not the one above it */
	char	user[PB_OWNER_NAME_MAX];	/* of pb_owner_name(), or "" */
	char	group[PB_OWNER_NAME_MAX];
};

/*
 * Of the directory `store`: the one that is held (base/below.h) where it
 * is, else the one that is there, else the nearest one above it, in which it
 * would be made.
 */
int	pb_owner_find(struct pb_owner *out, const char *store,
	    struct pb_err *err);

/* Its names, or the numbers where there are none.  Who only works on a store
 * need not know them: a look-up reads files, and may ask the network. */
void	pb_owner_name(struct pb_owner *owner);

/*
 * Root alone is told: what others may put in the place of `store`, or in
 * it, is not to be dealt with by his rights.  PB_EACCES where it is a link
 * that he did not make, or behind one that neither he nor its owner made, not
 * the directory that is held, or his and writable by others: who takes it by
 * its owner's rights would keep root's.
 */
int	pb_owner_safe(const char *store, struct pb_err *err);

/* Are we root, and it is another's? */
bool	pb_owner_is_other(const struct pb_owner *owner);

/*
 * Where that is so: be that user, and the directory's group alone, for
 * good; $TMPDIR, which may be root's alone, is forgotten.  Nobody else may
 * look at this process from then on (it is not dumpable), for it has files
 * open that root opened.
 */
int	pb_owner_become(const struct pb_owner *owner, struct pb_err *err);

/*
 * May we read the held `store`, or with `write` write it?  PB_EACCES names
 * who may, and what to type.
 */
int	pb_owner_allows(const struct pb_owner *owner, const char *store,
	    bool write, struct pb_err *err);

/*
 * For the daemons, which want more rights than the owner has, or fewer:
 * root does not begin on another's store, or one that is not safe.
 * PB_EINVAL with what to type, or PB_EACCES;
 * `ambient` are the capabilities that `program` is to have, or "".  Before
 * there are threads: no name is looked up after it, for that may wait for a
 * server; others than the owner found here are said by number.
 */
int	pb_owner_refuses(const char *store, const char *program,
	    const char *ambient, struct pb_err *err);

/*
 * `err` is why something at `path`, below `store`, could not be done.  Where
 * the system does not allow it (EACCES, EPERM), and a directory or file on
 * the way is neither ours nor whoever's the store is, say whose, and what to
 * type.  Returns err->code.
 */
int	pb_owner_explain(const char *store, const char *path,
	    struct pb_err *err);

/* The first thing on the way from `store` to `path` that is another user's
 * than the store: 1 with its name and his, or 0. */
int	pb_owner_stranger(const char *store, const char *path,
	    char out[static PATH_MAX], char user[static PB_OWNER_NAME_MAX]);

/* What pb_owner_allows() says where we may not. */
int	pb_owner_denies(const struct pb_owner *owner, const char *store,
	    bool write, struct pb_err *err);

#endif
