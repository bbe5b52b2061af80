/*
 * tests/unit/stopped_shipper.h - a shipper that was stopped while it opened
 * its database: it holds LMDB's lock on it, and sleeps
 */
#ifndef PB_TESTS_STOPPED_SHIPPER_H
#define PB_TESTS_STOPPED_SHIPPER_H

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* `dir` is that of its database; shipper_ends() ends it. */
static inline pid_t
shipper_stops(const char *dir)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char file[PATH_MAX], byte;
	int pipes[2], fd;
	pid_t child;

	snprintf(file, sizeof(file), "%s/lock.mdb", dir);
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		fd = open(file, O_RDWR);
		_exit(fcntl(fd, F_SETLK, &all) < 0 || write(pipes[1], "", 1) !=
		    1 || pause());
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
	close(pipes[1]);
	return child;
}

static inline void
shipper_ends(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

#endif
