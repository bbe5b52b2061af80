/*
 * tests/fuzz/scratch.h - a folder for the files of a target
 *
 * In $TMPDIR, else in memory where there is /dev/shm.  It goes when the
 * program ends; where a target aborts, `make fuzz` sees to it.
 */
#ifndef PB_FUZZ_SCRATCH_H
#define PB_FUZZ_SCRATCH_H

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "tests/fuzz/fuzz.h"

static char	scratch_root[128];

static inline void
scratch_remove(void)
{
	char command[sizeof(scratch_root) + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", scratch_root);
	if (system(command) != 0)
		fprintf(stderr, "%s stays\n", scratch_root);
}

static inline void
scratch_make(void)
{
	const char *dir = getenv("TMPDIR");

	if (dir == NULL)
		dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	MUST(strlen(dir) < sizeof(scratch_root) - 32);
	snprintf(scratch_root, sizeof(scratch_root), "%s/pb-fuzz-XXXXXX", dir);
	MUST(mkdtemp(scratch_root) != NULL);
	atexit(scratch_remove);
}

static inline void
scratch_write(const char *path, const uint8_t *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	MUST(fd >= 0 && pb_pwrite_all(fd, data, len, 0, NULL) == 0);
	close(fd);
}

#endif
