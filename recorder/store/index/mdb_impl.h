/*
 * recorder/store/index/mdb_impl.h - inside an environment of LMDB
 *
 * mdb_env.c opens and maps it, mdb.c has the transactions.
 */
#ifndef PB_STORE_MDB_IMPL_H
#define PB_STORE_MDB_IMPL_H

#include <lmdb.h>
#include <pthread.h>

#include "recorder/store/index/mdb.h"

#define NO_TABLE	UINT32_MAX	/* of LMDB's numbers */
#define IDLE_MAX	8	/* readers that are kept */

struct pb_mdb {
	/* Held for reading by each transaction, for writing while the
	 * environment is opened again or gets another map. */
	pthread_rwlock_t lock;
	MDB_env		*env;		/* NULL: could not be opened again */
	MDB_dbi		 table[PB_MDB_TABLES_MAX];
	const char	*const *names;
	size_t		 tables;
	/*
	 * Read transactions that rest, and keep their slots.  LMDB takes a
	 * lock that all processes share to give a slot, not to use it again:
	 * a reader stopped at the wrong moment must not stop the recorder.
	 */
	pthread_mutex_t	 idle_lock;
	MDB_txn		*idle[IDLE_MAX];
	size_t		 idle_count;
	uint64_t	 map_size;
	uint64_t	 reserved;	/* bytes of the file allocated, or 0 */
	enum pb_mdb_how	 how;
	bool		 unlocked;	/* read past lock.mdb: nobody writes */
	char		 path[PB_MDB_PATH_MAX];
};

/* The one mapper of LMDB's codes. */
int	mdb_error(struct pb_err *err, int rc, const char *path,
	    const char *what);

/* One that rests, or NULL. */
MDB_txn	*mdb_take_idle(struct pb_mdb *mdb);
/* A read transaction has ended: it sees nothing and holds no page back. */
void	mdb_rest(struct pb_mdb *mdb, MDB_txn *txn);

/*
 * Give the map another size, 0: the writer's.  With the lock held for
 * writing: no transaction of this process may look at the map meanwhile.
 * Where it cannot be mapped again LMDB is left without one, so it goes; the
 * next begin opens it again.
 */
int	mdb_set_size(struct pb_mdb *mdb, uint64_t map_size);
/* After LMDB has refused everything. */
int	mdb_open_again(struct pb_mdb *mdb, struct pb_err *err);

#endif
