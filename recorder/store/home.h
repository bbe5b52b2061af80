/*
 * recorder/store/home.h - is the store still where it was opened?
 *
 * A store is the directory that was opened, not its path: that may be
 * deleted, moved away or unmounted beneath a running program, and another
 * one may be put there.  A *home* remembers one file of it, which stands or
 * falls with the store (index/data.mdb), by device and inode, and holds it
 * open, so that its number is nobody else's meanwhile.
 *
 * Not here: what to do about it (vanish.c, the shipper's loop, `pb query`).
 * What is entered is the directory that is held (base/below.h), where it is;
 * all else goes by the path as everybody else sees it, links included.
 */
#ifndef PB_STORE_HOME_H
#define PB_STORE_HOME_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define PB_HOME_INDEX	"index/data.mdb"
#define PB_HOME_SHIPPER	"shipper/data.mdb"

struct pb_home {
	char	store[PATH_MAX];
	char	file[PATH_MAX];
	int	fd;		/* of the file, O_PATH; -1: not at home */
	dev_t	dev;		/* of the file, also when it was left */
	ino_t	ino;
	dev_t	dir_dev;	/* of the store's directory */
	bool	deleted;	/* when it was left it had no name, or was
				 * about to lose it */
	dev_t	own_dev;	/* of a directory where it was begun anew,
				 * and */
	ino_t	own_ino;	/* could not be; 0: none */
};

/* Nowhere yet.  `file` is one of those above. */
int	pb_home_init(struct pb_home *home, const char *store,
	    const char *file, struct pb_err *err);

/* The store was opened: this is its home, below what is held (base/below.h)
 * and not whatever has its path by now.  PB_ENOENT: it is gone already. */
int	pb_home_enter(struct pb_home *home, struct pb_err *err);

/* Lets the file go; does nothing where it is not at home. */
void	pb_home_leave(struct pb_home *home);

/* Does the path lead to the file that was entered?  A stat(2).  Where we may
 * not walk it, has that file a name? */
bool	pb_home_same(const struct pb_home *home);

/* Why it does not, for people: "was deleted", "was moved away", ... */
const char *pb_home_why(const struct pb_home *home);

/* What is at the path, for one that was left. */
enum pb_home_offer {
	PB_HOME_NOTHING,	/* or what cannot be looked at */
	PB_HOME_ROOM,		/* nothing, where a deleted store was: its
				 * parent is there, on the same device */
	PB_HOME_EMPTY,		/* an empty directory on the same device */
	PB_HOME_OTHER,		/* a directory, of another device or not
				 * empty, without an index */
	PB_HOME_STORE,		/* a directory with an index */
};
enum pb_home_offer pb_home_offer(const struct pb_home *home);

/* It was begun anew in the directory that is held (base/below.h), and failed:
 * that may be half of a store now, and counts as an empty one. */
void	pb_home_keep_trying(struct pb_home *home);

/* For people: "an empty directory is there", ... */
const char *pb_home_offer_text(enum pb_home_offer offer);

#endif
