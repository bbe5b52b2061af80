/*
 * cli/replay/from_file.h - a capture file, or a pipe, as a source of frames
 *
 * Read as cli/common/capture_file.h does it, which says at the end what could
 * not be read.  --map knows a packet's interface in the file by any of the
 * names that are there.
 */
#ifndef PB_CLI_FROM_FILE_H
#define PB_CLI_FROM_FILE_H

#include "cli/common/capture_file.h"
#include "cli/replay/original.h"
#include "cli/replay/ways.h"

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
	struct pb_capture_file file;	/* which the caller opens */
	/* private; zeroed */
	struct pb_from_file_interface *interface;	/* of the section */
	size_t		 interfaces, room;
	uint32_t	 last;		/* the last packet's interface */
};

/* Zeroed memory is fine. */
void	pb_from_file_finish(struct pb_from_file *from);

/* As a source: `begin` and `next` of a struct pb_source. */
int	pb_from_file_begin(void *from, const struct pb_stop *stop,
	    struct pb_err *err);
int	pb_from_file_next(void *from, struct pb_source_frame *out,
	    struct pb_err *err);

#endif
