/*
 * base/child.c - work that may end the process, done by a child
 */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rot.h"

static const int deadly[] = PB_ROT_SIGNALS;

static bool	take_words(int, struct pb_err *);
static void	brace(unsigned);
static bool	tells(int);

int
pb_child_run(int (*work)(const void *arg, struct pb_err *err),
    const void *arg, unsigned seconds, int *sig, struct pb_err *err)
{
	struct pb_err said = { .code = 0 };
	bool told = false;
	int ends[2], status = 0, rc;
	pid_t child;

	*sig = 0;
	if (err != NULL && pipe2(ends, O_CLOEXEC) < 0)
		return pb_err_sys(err, "make a pipe");
	child = fork();
	if (child == 0) {
		brace(seconds);
		said.code = rc = work(arg, &said);
		if (err != NULL && write(ends[1], &said, sizeof(said)) < 0)
			rc = PB_ESYS;
		_exit(-rc);
	}
	rc = child < 0 ? pb_err_sys(err, "start a process") : 0;
	if (err != NULL) {
		close(ends[1]);
		if (rc == 0)
			told = take_words(ends[0], &said);
		close(ends[0]);
	}
	if (rc < 0)
		return rc;
	do
		rc = waitpid(child, &status, 0);
	while (rc < 0 && errno == EINTR);
	if (rc > 0 && WIFEXITED(status)) {
		/* Its status is also of what looks after it: valgrind has
		 * one for what it finds in the end. */
		rc = told ? said.code : -WEXITSTATUS(status);
		if (err != NULL && rc != 0)
			*err = said;
		return rc;
	}
	if (rc > 0 && WIFSIGNALED(status) && tells(WTERMSIG(status)))
		*sig = WTERMSIG(status);
	return pb_err_set(err, PB_ESYS, "the process that does was ended");
}

/* False where it told nothing. */
static bool
take_words(int fd, struct pb_err *said)
{
	ssize_t got;

	do
		got = read(fd, said, sizeof(*said));
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(*said))
		memset(said, 0, sizeof(*said));
	return got == (ssize_t)sizeof(*said);
}

/* No core file, no handlers, and an end. */
static void
brace(unsigned seconds)
{
	struct rlimit no_core = { 0, 0 };
	sigset_t set;

	setrlimit(RLIMIT_CORE, &no_core);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		signal(deadly[i], SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	alarm(seconds);
}

static bool
tells(int sig)
{
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		if (deadly[i] == sig)
			return true;
	return sig == SIGALRM;
}
