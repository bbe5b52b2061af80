/*
 * base/rot.h - what a program says whom a rotten page ends
 *
 * LMDB trusts its pages: one that is rotten, or missing from a file cut short,
 * may end by a signal whoever reads it, at any time.  A daemon has a child
 * look before (base/child.h).  A command, which reads and ends, says what was
 * rotten, and ends with a status: wherever it met the page, and without a
 * second process.
 */
#ifndef PB_BASE_ROT_H
#define PB_BASE_ROT_H

/* What a rotten page does to the process that reads it. */
#define PB_ROT_SIGNALS	{ SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL }

/* All of it stays as long as the process does. */
struct pb_rot_words {
	const char	*path;		/* what is read */
	const char	*rotten, *stuck; /* a line each, with its end */
	int		 status;	/* to end with */
};

/*
 * From now on one of these signals that comes of a fault or abort(3), while
 * its thread reads `path`, has `rotten` written to standard error and ends the
 * process: no core file, no handlers.  In other places it does what it did.
 * Again: with these words.
 */
void	pb_rot_watch(const struct pb_rot_words *words);

/* This thread reads `path` from now on, which stays until the next call; NULL:
 * nothing of that kind.  Costs nothing. */
void	pb_rot_reads(const char *path);

/* The reader itself found that it is rotten: the process ends, where `path` is
 * watched. */
void	pb_rot_found(void);

/* Unless the next call, with 0, comes within so many seconds, `stuck` is
 * written, and the process ends in the same way.  One thread at a time. */
void	pb_rot_patience(unsigned seconds);

/* A file that goes with a process that ends so, and stays where it is until
 * the next call; NULL: none. */
void	pb_rot_unlinks(const char *path);
/* It goes now: for a handler of a signal that ends the process as well. */
void	pb_rot_unlink(void);

#endif
