/*
 * recorder/store/index/mdb_probe.h - can this LMDB environment be looked at?
 *
 * LMDB trusts its pages: one that is rotten, or that is missing from a file
 * cut short, may end the process that reads it (SIGBUS, SIGSEGV).  And to
 * open an environment waits for who is just doing so, which is for ever
 * where that one was stopped.  So a child looks first.
 */
#ifndef PB_STORE_MDB_PROBE_H
#define PB_STORE_MDB_PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum pb_mdb_verdict {
	PB_MDB_SOUND,		/* or not there, or nothing can be known */
	PB_MDB_DAMAGED,		/* reading it ended the child */
	PB_MDB_STUCK,		/* it took longer than PB_MDB_PROBE_S */
};

#define PB_MDB_PROBE_S	2u

/* What to say of it, and its path. */
#define PB_MDB_STUCK_TEXT	"%s: whoever has its lock.mdb does not let "  \
	    "go of it; Fix: end what was stopped in the middle of it "	      \
	    "('fuser -v' names it)"

/*
 * Open the environment in the directory `path`, with its tables as
 * pb_mdb_open() wants them; with `all` read every row, without only where
 * the file is shorter than it should be.  Blocks for PB_MDB_PROBE_S at most.
 */
enum pb_mdb_verdict pb_mdb_probe(const char *path, const char *const *tables,
	    size_t count, bool all);

#endif
