/*
 * recorder/store/index/mdb.h - LMDB, the one place that knows it
 *
 * A transaction holds its own error: after the first failure later calls
 * do nothing and answer with it, and commit aborts.  Callers read straight
 * down and look once, at the commit.
 *
 * Values are views into the map: copy them out before the transaction
 * ends.  Keys are byte strings; integers in them are big-endian, so byte
 * order is sort order.
 */
#ifndef PB_STORE_MDB_H
#define PB_STORE_MDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PB_MDB_TABLES_MAX	16
#define PB_MDB_KEY_MAX		511	/* LMDB's own bound, bytes */
#define PB_MDB_READERS_MAX	510
#define PB_MDB_PATH_MAX		512	/* bytes of the directory's name */

struct pb_mdb;		/* an environment; open each path once a process */

struct pb_mdb_txn {
	struct pb_mdb	*mdb;
	void		*txn;		/* MDB_txn */
	struct pb_err	*err;		/* the caller's; first failure stays */
	int		 rc;		/* 0 while all went well */
	bool		 write;
};

struct pb_mdb_value {
	const void	*data;
	size_t		 len;
};

enum pb_mdb_how {
	PB_MDB_READ,
	PB_MDB_WRITE,
	/* One that is worth nothing before it is whole: commits are not
	 * durable until pb_mdb_sync(). */
	PB_MDB_BUILD,
};

/*
 * Open the environment in the directory `path`: to write it and its
 * `tables` are made where missing and dead readers are cleared.  To read,
 * PB_ENOENT where it does not exist; a table that is missing, from an older
 * version's, has no rows.  `map_size` bytes of address space
 * (writers; a reader takes the writer's).  Table numbers in the calls
 * below are indexes into `tables`, which is borrowed until close.
 */
int	pb_mdb_open(struct pb_mdb **out, const char *path, uint64_t map_size,
	    const char *const *tables, size_t count, enum pb_mdb_how how,
	    struct pb_err *err);
void	pb_mdb_close(struct pb_mdb *mdb);
int	pb_mdb_sync(struct pb_mdb *mdb, struct pb_err *err);

/*
 * Another size for the writer's map, once no transaction of the process is
 * under way; what is in use already is its least.  Readers take it over by
 * themselves.
 */
int	pb_mdb_resize(struct pb_mdb *mdb, uint64_t map_size,
	    struct pb_err *err);

/* Is its file shorter than its last page?  Then pages of it may be lost:
 * a look at one of those ends the process. */
bool	pb_mdb_short(struct pb_mdb *mdb);

/* Read every row there is, LMDB's own list of free pages included. */
int	pb_mdb_read_all(struct pb_mdb_txn *txn);

/*
 * Have `bytes` of the disk allocated behind the last page in use, so that
 * commits go on succeeding for a while when others have filled it.  No
 * system call while half of them are there.
 */
int	pb_mdb_reserve(struct pb_mdb *mdb, uint64_t bytes,
	    struct pb_err *err);

/* Have the rows of a table half of the map, or more?  As the transaction left
 * them; it writes. */
bool	pb_mdb_has_half(struct pb_mdb_txn *txn, unsigned table);

/* The number of the last commit that a read transaction begun now would
 * see; no system call. */
uint64_t pb_mdb_commits(struct pb_mdb *mdb);

/*
 * Begin; end with commit or abort, whatever happened between.  A thread has
 * one transaction at a time.  After a failure to write its own first pages
 * LMDB refuses everything until the environment is opened again, and after
 * the writer has taken a larger map until that is mapped here as well: this
 * does so, once no other transaction of the process is under way.
 */
int	pb_mdb_begin(struct pb_mdb *mdb, bool write, struct pb_mdb_txn *txn,
	    struct pb_err *err);
int	pb_mdb_commit(struct pb_mdb_txn *txn);	/* durable; or the error */
void	pb_mdb_abort(struct pb_mdb_txn *txn);

/* 1 found, 0 not there, or the transaction's error. */
int	pb_mdb_get(struct pb_mdb_txn *txn, unsigned table, const void *key,
	    size_t key_len, struct pb_mdb_value *out);
/* Insert or replace. */
int	pb_mdb_put(struct pb_mdb_txn *txn, unsigned table, const void *key,
	    size_t key_len, const void *data, size_t len);
/* 1 deleted, 0 was not there, or the error. */
int	pb_mdb_del(struct pb_mdb_txn *txn, unsigned table, const void *key,
	    size_t key_len);

/*
 * The first row whose key is >= `key` (find), the last whose key is <= it
 * (find_last): 1, 0, or the error.  `*found_key` is a view as well.
 * To iterate, ask again with the found key and a zero byte appended.
 */
int	pb_mdb_find(struct pb_mdb_txn *txn, unsigned table, const void *key,
	    size_t key_len, struct pb_mdb_value *found_key,
	    struct pb_mdb_value *out);
int	pb_mdb_find_last(struct pb_mdb_txn *txn, unsigned table,
	    const void *key, size_t key_len, struct pb_mdb_value *found_key,
	    struct pb_mdb_value *out);

/*
 * Walk rows from `key` (>=) on: calls `each` until it answers nonzero;
 * returns that, 0 at the end, or the error.
 */
int	pb_mdb_walk(struct pb_mdb_txn *txn, unsigned table, const void *key,
	    size_t key_len, int (*each)(void *arg,
	    const struct pb_mdb_value *key, const struct pb_mdb_value *value),
	    void *arg);

#endif
