/*
 * cli/common/progress.h - a bar on standard error, where that is a terminal
 *
 * Nothing is printed elsewhere, and never more than ten times a second.
 */
#ifndef PB_CLI_PROGRESS_H
#define PB_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct pb_progress {
	bool		 shown;		/* standard error is a terminal */
	bool		 dirty;		/* a bar stands on its line */
	const char	*what;		/* borrowed; such as "checking" */
	uint64_t	 total;		/* bytes, or things; 0: nobody knows */
	bool		 things;	/* counted one by one */
	uint64_t	 next_ms;	/* not before */
};

void	pb_progress_begin(struct pb_progress *progress, const char *what,
	    uint64_t total);
/* So much of the total is done. */
void	pb_progress_at(struct pb_progress *progress, uint64_t done);
/* Takes the bar away. */
void	pb_progress_end(struct pb_progress *progress);

#endif
