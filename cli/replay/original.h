/*
 * cli/replay/original.h - frames go out as they were before the first switch
 *
 * Without what their list names, stamps in the header included, and without
 * their FCS, which the card makes anew.  A frame whose trailers do not parse,
 * and one whose interface has no list, stays as it was captured.
 */
#ifndef PB_CLI_ORIGINAL_H
#define PB_CLI_ORIGINAL_H

#include "pcapng/block.h"
#include "recorder/trailer/trailer.h"
#include "recorder/transmit/ahead.h"

struct pb_original {
	/* the caller's, before it begins */
	bool		 given;		/* of all interfaces, in place of */
	struct pb_trailer_list list;	/* what each says itself */
	/* private; zeroed */
	uint64_t	 frames;
	uint64_t	 left;		/* of them, as they were captured */
	uint8_t		*frame;
	struct pb_trailer_context context;	/* of times, which nobody
						 * asks for here */
};

/* Zeroed memory is fine. */
void	pb_original_finish(struct pb_original *original);

/* What stands on the frames of an interface with these options. */
void	pb_original_list(const struct pb_original *original,
	    const uint8_t *options, size_t len, struct pb_trailer_list *out);

/* `out` is of `packet`, and becomes what it was; its bytes are borrowed until
 * the next call: PB_SOURCE_FRAME, or PB_ENOMEM. */
int	pb_original_frame(struct pb_original *original,
	    const struct pb_trailer_list *list,
	    const struct pb_packet *packet, struct pb_source_frame *out,
	    struct pb_err *err);

/* How many stayed as they were captured, on standard error, if any did. */
void	pb_original_told(const struct pb_original *original);

#endif
