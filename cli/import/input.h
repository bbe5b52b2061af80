/*
 * cli/import/input.h - a capture file that can be read twice
 *
 * A regular file is read where it is; a pipe or standard input (`-`) is
 * first copied to a nameless temporary file, in $TMPDIR or /tmp.  A
 * regular file is closed between two passes, so that thousands can be
 * named on one command line.
 */
#ifndef PB_CLI_INPUT_H
#define PB_CLI_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "pcapng/reader.h"

struct pb_input {
	const char	*name;		/* for people; borrowed */
	bool		 standard;	/* standard input */
	int		 spool;		/* the temporary file, or -1 */
	uint64_t	 size;		/* bytes, when it was looked at */
};

/* Look at the file; spool what cannot be read twice. */
int	pb_input_init(struct pb_input *input, const char *name,
	    struct pb_err *err);
void	pb_input_finish(struct pb_input *input);

/*
 * Read all of it from the start: `event` for each event of the reader and
 * `done` (may be NULL) now and then with the bytes read.  Nonzero from
 * `event` ends it and is returned.  Errors begin with the file's name; of
 * malformed bytes they say the offset.
 */
struct pb_input_calls {
	int	(*event)(void *arg, const struct pb_event *event,
		    struct pb_err *err);
	void	(*done)(void *arg, uint64_t bytes);
	void	*arg;
};
int	pb_input_read(const struct pb_input *input,
	    const struct pb_input_calls *calls, struct pb_err *err);

#endif
