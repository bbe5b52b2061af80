/*
 * cli/import/input.h - a capture file that can be read twice
 *
 * The second time it is what it was the first time: what was added since is
 * left out, and one that is shorter or another by now is refused.
 *
 * A regular file is read where it is; a pipe or standard input (`-`) is
 * first copied to a nameless temporary file, in $TMPDIR or /tmp.  A
 * regular file is closed between two passes, so that thousands can be
 * named on one command line, unless it is to be kept open.
 */
#ifndef PB_CLI_INPUT_H
#define PB_CLI_INPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "pcapng/reader.h"

struct pb_input {
	const char	*name;		/* for people; borrowed */
	bool		 standard;	/* standard input */
	int		 fd;		/* of it, or of the temporary file; -1:
					 * it is opened to be read */
	uint64_t	 size;		/* bytes, when it was looked at */
	bool		 known;		/* all of it was read; then: */
	uint64_t	 end;		/* bytes there were */
	dev_t		 dev;		/* which file it was */
	ino_t		 ino;
};

/*
 * Look at the file; spool what cannot be read twice.  A signal ends that.
 * With `keep` it can be read when it could not be opened any more.
 */
int	pb_input_init(struct pb_input *input, const char *name, bool keep,
	    struct pb_err *err);
void	pb_input_finish(struct pb_input *input);

/*
 * Read all of it from the start: `event` for each event of the reader and
 * `done` (may be NULL) at every mebibyte with the bytes read.  Nonzero from
 * either ends it and is returned.  Errors begin with the file's name; of
 * malformed bytes, and of a file that has become shorter, they say the
 * offset.
 */
struct pb_input_calls {
	int	(*event)(void *arg, const struct pb_event *event,
		    struct pb_err *err);
	int	(*done)(void *arg, uint64_t bytes, struct pb_err *err);
	void	*arg;
};
int	pb_input_read(struct pb_input *input,
	    const struct pb_input_calls *calls, struct pb_err *err);

#endif
