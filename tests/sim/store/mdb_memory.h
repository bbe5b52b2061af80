/*
 * tests/sim/store/mdb_memory.h - recorder/store/index/mdb.h in memory
 */
#ifndef PB_TESTS_MDB_MEMORY_H
#define PB_TESTS_MDB_MEMORY_H

/* All versions of all environments go: no handle is open, and no data.mdb
 * that was made before can be opened any more. */
void	mdb_memory_forget(void);

#endif
