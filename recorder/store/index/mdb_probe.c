/*
 * recorder/store/index/mdb_probe.c - can this LMDB environment be looked at?
 */
#include "recorder/store/index/mdb_probe.h"

#include <signal.h>

#include "base/child.h"
#include "recorder/store/index/mdb.h"

struct what {
	const char	*path;
	const char *const *tables;
	size_t		 count;
	bool		 all;
};

static int	look(const void *, struct pb_err *);

enum pb_mdb_verdict
pb_mdb_probe(const char *path, const char *const *tables, size_t count,
    bool all)
{
	const struct what what = { path, tables, count, all };
	int sig;

	pb_child_run(look, &what, PB_MDB_PROBE_S, &sig, NULL);
	return sig == 0 ? PB_MDB_SOUND : sig == SIGALRM ? PB_MDB_STUCK :
	    PB_MDB_DAMAGED;
}

/* What it answers is nothing: that it lives to answer is all. */
static int
look(const void *arg, struct pb_err *err)
{
	const struct what *what = arg;
	struct pb_mdb_txn txn;
	struct pb_mdb *mdb;

	if (pb_mdb_open(&mdb, what->path, 0, what->tables, what->count,
	    PB_MDB_READ, err) < 0)
		return 0;
	if (pb_mdb_begin(mdb, false, &txn, err) == 0 &&
	    (what->all || pb_mdb_short(mdb)))
		(void)pb_mdb_read_all(&txn);
	/* A reader that is gone and was not put away holds back pages. */
	pb_mdb_abort(&txn);
	pb_mdb_close(mdb);
	return 0;
}
