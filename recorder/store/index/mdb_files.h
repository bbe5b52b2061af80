/*
 * recorder/store/index/mdb_files.h - the files below LMDB
 *
 * LMDB opens a directory by name, follows links, trusts what it finds and
 * writes its lock file through a map.  So its files are looked at before, and
 * made ready.
 */
#ifndef PB_STORE_MDB_FILES_H
#define PB_STORE_MDB_FILES_H

#include <stdbool.h>

#include "base/err.h"

/*
 * The directory `path`, which stands below the store's, open: a descriptor
 * that is the caller's to close, or an error.  To write: a file that could
 * not be made whole is away, and the lock file has its blocks.  To read:
 * PB_ENOENT where nobody has written yet; `*unlocked`: lock.mdb cannot be
 * written, and LMDB is to do without.
 */
int	pb_mdb_files_open(const char *path, bool write, bool *unlocked,
	    struct pb_err *err);

/* 0 where nobody writes there; else what is to be done: PB_EACCES. */
int	pb_mdb_files_unwritten(const char *path, struct pb_err *err);

#endif
