/*
 * tests/sim/store/mdb_memory.h - recorder/store/index/mdb.h in memory
 */
#ifndef PB_TESTS_MDB_MEMORY_H
#define PB_TESTS_MDB_MEMORY_H

#include <stdbool.h>

/* All versions of all environments go: no handle is open, and no data.mdb
 * that was made before can be opened any more. */
void	mdb_memory_forget(void);

/*
 * Called, where it is set, around the writes of a commit: while `on` no call
 * may fail by chance, though all may stop.  A commit that failed on its way
 * to the disk might be on it after a power cut; by its word it is not.
 */
extern void (*mdb_memory_hush)(bool on);

#endif
