/*
 * recorder/store/index/mdb_probe.c - can this LMDB environment be looked at?
 */
#include "recorder/store/index/mdb_probe.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/store/index/mdb.h"
#include "recorder/store/mend/rebuild.h"

static void	look(const char *, const char *const *, size_t, bool)
		    __attribute__((noreturn));

enum pb_mdb_verdict
pb_mdb_probe(const char *path, const char *const *tables, size_t count,
    bool all)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		look(path, tables, count, all);
	if (child < 0)
		return PB_MDB_SOUND;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return PB_MDB_SOUND;
	if (!WIFSIGNALED(status))
		return PB_MDB_SOUND;
	if (WTERMSIG(status) == SIGALRM)
		return PB_MDB_STUCK;
	return pb_rebuild_deadly(WTERMSIG(status)) ? PB_MDB_DAMAGED :
	    PB_MDB_SOUND;
}

/* What it answers is nothing: that it lives to answer is all. */
static void
look(const char *path, const char *const *tables, size_t count, bool all)
{
	struct pb_mdb_txn txn;
	struct pb_mdb *mdb;
	sigset_t set;

	pb_rebuild_brace();
	signal(SIGALRM, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	alarm(PB_MDB_PROBE_S);
	if (pb_mdb_open(&mdb, path, 0, tables, count, false, NULL) < 0)
		_exit(0);
	if (pb_mdb_begin(mdb, false, &txn, NULL) == 0 &&
	    (all || pb_mdb_short(mdb)))
		(void)pb_mdb_read_all(&txn);
	/* A reader that is gone and was not put away holds back pages. */
	pb_mdb_abort(&txn);
	pb_mdb_close(mdb);
	_exit(0);
}
