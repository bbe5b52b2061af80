/*
 * cli/common/capture_file.h - a capture file, or a pipe, read event by event
 *
 * pcap and pcapng, as pcapng/reader.h takes them.  A pipe is read as it comes:
 * nothing is kept of it, and what is there goes on before it is waited for.
 *
 * What cannot be read ends it, like its end: the events before are not lost
 * for that, and pb_capture_file_error() says it.
 */
#ifndef PB_CLI_CAPTURE_FILE_H
#define PB_CLI_CAPTURE_FILE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/stop.h"
#include "pcapng/hop.h"
#include "pcapng/reader.h"
#include "recorder/store/layout.h"

struct pb_capture_file {	/* zeroed; private but for its name */
	const char	*name;		/* for people */
	int		 fd;
	bool		 opened;
	bool		 regular;	/* never waited for; can be read
					 * twice */
	bool		 told;		/* that it is waited for */
	const struct pb_stop *stop;
	struct pb_reader *reader;
	struct pb_buf	 window;
	size_t		 at;		/* in it: what comes next */
	size_t		 used;		/* by the last event, from there */
	bool		 eof;
	struct pb_identity identity;	/* of the section, */
	bool		 identified;	/* where it has one */
	struct pb_err	 err;		/* what could not be read */
	int		 rc;		/* its code, or 0 */
};

/* `-` is standard input; `name` is borrowed.  The words of an error name the
 * file. */
int	pb_capture_file_open(struct pb_capture_file *file, const char *name,
	    struct pb_err *err);
/* Zeroed memory is fine. */
void	pb_capture_file_finish(struct pb_capture_file *file);

/* From its start, also once more where it is regular; `stop` is borrowed. */
int	pb_capture_file_begin(struct pb_capture_file *file,
	    const struct pb_stop *stop, struct pb_err *err);

/*
 * The next event, which borrows until the next call: PB_CAPTURE_FILE_EVENT;
 * PB_CAPTURE_FILE_IDLE where the next call waits for a pipe;
 * PB_CAPTURE_FILE_END at its end, once `stop` was asked for, or where it
 * cannot be understood; or an error: the system's, or PB_ENOMEM.
 */
enum {
	PB_CAPTURE_FILE_END = 0,
	PB_CAPTURE_FILE_EVENT = PB_READ_EVENT,
	PB_CAPTURE_FILE_IDLE = 3,
};
int	pb_capture_file_next(struct pb_capture_file *file,
	    struct pb_event *event, struct pb_err *err);

/*
 * What an interface that was just read is called, by what is told most:
 * node/interface, where its section says whose it is; its own name; and its
 * number in the section.  How many of them there are.
 */
#define PB_CAPTURE_NAMES_MAX	3
typedef char	pb_capture_names[PB_CAPTURE_NAMES_MAX][PB_STREAM_NAME_MAX];
unsigned pb_capture_file_names(const struct pb_capture_file *file,
	    const struct pb_event *event, pb_capture_names out);

/* Once nothing more is read: 0, or why it ended before its end; `err` may be
 * NULL. */
int	pb_capture_file_error(const struct pb_capture_file *file,
	    struct pb_err *err);

#endif
