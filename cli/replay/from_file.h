/*
 * cli/replay/from_file.h - a capture file, or a pipe, as a source of frames
 *
 * pcap and pcapng, as pcapng/reader.h takes them.  A pipe is read as it comes:
 * nothing is kept of it, and what is there goes on before it is waited for.
 * --map knows a packet's interface in a file by node/interface, where the
 * section says whose it is, by the interface's name, and by its number.
 *
 * What cannot be read ends it, like its end: the packets before are not lost
 * for that, and pb_from_file_error() says it.
 */
#ifndef PB_CLI_FROM_FILE_H
#define PB_CLI_FROM_FILE_H

#include "base/buf.h"
#include "cli/replay/original.h"
#include "cli/replay/ways.h"
#include "pcapng/hop.h"
#include "pcapng/reader.h"

struct pb_filter;

struct pb_from_file_interface {
	uint16_t	 linktype;
	int		 way;
	struct pb_trailer_list list;
};

struct pb_from_file {
	/* the caller's, before it begins; all of it borrowed */
	struct pb_ways	*ways;
	const struct pb_filter *filter;	/* of Ethernet; NULL: all */
	bool		 skip;		/* leave other link types out */
	struct pb_original *original;	/* what they become; NULL: nothing */
	/* private; zeroed */
	int		 fd;
	const char	*name;
	bool		 opened;
	bool		 regular;	/* never waited for */
	bool		 told;		/* that it is waited for */
	const struct pb_stop *stop;
	struct pb_reader *reader;
	struct pb_buf	 window;
	size_t		 at;		/* in it: what comes next */
	size_t		 used;		/* by the last event, from there */
	bool		 eof;
	struct pb_identity identity;	/* of the section, */
	bool		 identified;	/* where it has one */
	struct pb_from_file_interface *interface;	/* of the section */
	size_t		 interfaces, room;
	uint32_t	 last;		/* the last packet's interface */
	struct pb_err	 err;		/* what could not be read */
	int		 rc;		/* its code, or 0 */
};

/* `-` is standard input.  The words of an error name the file. */
int	pb_from_file_open(struct pb_from_file *from, const char *name,
	    struct pb_err *err);
/* Zeroed memory is fine. */
void	pb_from_file_finish(struct pb_from_file *from);

/* Can it be read twice? */
bool	pb_from_file_again(const struct pb_from_file *from);

/* As a source: `begin` and `next` of a struct pb_source. */
int	pb_from_file_begin(void *from, const struct pb_stop *stop,
	    struct pb_err *err);
int	pb_from_file_next(void *from, struct pb_source_frame *out,
	    struct pb_err *err);

/* Once nothing more is read: 0, or why it ended before its end. */
int	pb_from_file_error(const struct pb_from_file *from,
	    struct pb_err *err);

#endif
