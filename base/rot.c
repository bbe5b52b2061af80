/*
 * base/rot.c - what a program says whom a rotten page ends
 */
#include "base/rot.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const int deadly[] = PB_ROT_SIGNALS;
#define DEADLY	(sizeof(deadly) / sizeof(deadly[0]))

static struct pb_rot_words words;
static struct sigaction before[DEADLY];
static const char *volatile hidden;
static _Thread_local const char *volatile reading;

static bool	is_watched(void);
static void	on_fault(int, siginfo_t *, void *);
static void	on_alarm(int);
static void	end(const char *);

void
pb_rot_watch(const struct pb_rot_words *said)
{
	struct sigaction act = { .sa_sigaction = on_fault,
	    .sa_flags = SA_SIGINFO };
	struct sigaction late = { .sa_handler = on_alarm };
	bool first = words.path == NULL;

	words = *said;
	if (!first)
		return;
	for (size_t i = 0; i < DEADLY; i++)
		sigaction(deadly[i], &act, &before[i]);
	sigaction(SIGALRM, &late, NULL);
}

void
pb_rot_reads(const char *path)
{
	reading = path;
}

void
pb_rot_found(void)
{
	if (is_watched())
		end(words.rotten);
}

void
pb_rot_patience(unsigned seconds)
{
	alarm(seconds);
}

void
pb_rot_unlinks(const char *path)
{
	hidden = path;
}

void
pb_rot_unlink(void)
{
	const char *file = hidden;

	if (file != NULL)
		unlink(file);
}

static bool
is_watched(void)
{
	const char *at = reading;

	return at != NULL && words.path != NULL && strcmp(at, words.path) == 0;
}

/* Of a fault, or an abort(), and not of what somebody sent. */
static void
on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (is_watched() && (info->si_code > 0 ||
	    (sig == SIGABRT && info->si_pid == getpid())))
		end(words.rotten);
	/* It is as it was: an instruction is tried again, and what somebody
	 * sent is sent once more. */
	for (size_t i = 0; i < DEADLY; i++)
		if (deadly[i] == sig)
			sigaction(sig, &before[i], NULL);
	if (info->si_code <= 0)
		raise(sig);
}

static void
on_alarm(int sig)
{
	(void)sig;
	end(words.stuck);
}

/* Nothing here but what a handler may call: signal-safety(7). */
static void
end(const char *line)
{
	ssize_t told = write(STDERR_FILENO, line, strlen(line));

	/* Who could not be told has the status. */
	(void)told;
	pb_rot_unlink();
	_exit(words.status);
}
