/*
 * recorder/query/trailing.h - frames with trailers on them, after the fact
 *
 *	packet --> the list of its interface, or one that is given
 *	       --> stamps beside it; its FCS, checked; the frame as it was
 *
 * Stands between the packets of a query (query.h) and what is made of them
 * (lines.h, output.h).  A frame that is to be as it was before the first
 * switch loses all that its list names, stamps in its header included, and its
 * FCS; its stamps stay beside it as an option (pcapng/stamp.h).  One whose
 * trailers do not parse stays as it was captured, and is counted.
 *
 * What is said of an interface changes with its frames (if_fcslen, the text of
 * pcapng/stamp.h): frames that stay and frames that do not are of two
 * interfaces in a file.
 *
 * One thread.  Packets of a stream come in the order of their numbers where
 * its list needs what frames before told; else such stamps are not timed.
 */
#ifndef PB_QUERY_TRAILING_H
#define PB_QUERY_TRAILING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/store/read/cursor.h"
#include "recorder/trailer/trailer.h"

struct pb_trailing_opts {
	const struct pb_trailer_list *list;	/* in place of all others,
						 * copied; NULL: their own */
	bool		 strip;		/* frames become as they were, */
	bool		 with_fcs;	/* with their FCS where it is there */
	bool		 check_fcs;
	uint32_t	 pen;		/* of the options that are written */
};

/* The original FCS of a frame. */
enum pb_fcs {
	PB_FCS_UNKNOWN,		/* it is not there, or was not asked for */
	PB_FCS_RIGHT,
	PB_FCS_WRONG,
};

struct pb_trailing_counts {
	uint64_t	 packets;
	uint64_t	 unlisted;	/* no list for them */
	uint64_t	 unread;	/* their trailers do not parse */
	char		 first[PB_STREAM_NAME_MAX]; /* the first of those: its
						     * stream, */
	uint64_t	 first_seq;	/* and number */
	uint64_t	 fcs_right, fcs_wrong;
};

struct pb_trailing;

int	pb_trailing_create(struct pb_trailing **out,
	    const struct pb_trailing_opts *opts, struct pb_err *err);
void	pb_trailing_destroy(struct pb_trailing *trailing);

/*
 * `cp` becomes what is asked for, with a head and options to match; it is
 * borrowed until the next call, of what was handed over as well.  PB_ENOMEM.
 */
int	pb_trailing_packet(struct pb_trailing *trailing,
	    struct pb_cursor_packet *cp, enum pb_fcs *fcs,
	    struct pb_err *err);

/* The head of its frames as they will be, borrowed; NULL: no memory. */
const struct pb_head *pb_trailing_head(struct pb_trailing *trailing,
	    const struct pb_head *head, struct pb_err *err);

const struct pb_trailing_counts *pb_trailing_counts(
	    const struct pb_trailing *trailing);

/*
 * What the options of an interface say stands on its frames: the text of
 * pcapng/stamp.h, or an if_fcslen of four octets.  False, and an empty list,
 * where that is nothing.
 */
bool	pb_trailing_list(const uint8_t *options, size_t len,
	    struct pb_trailer_list *out);

/* Append the options of an interface, changed to say that this stands on its
 * frames, and nothing else: 0, or as pb_option_copy(). */
int	pb_trailing_options(struct pb_buf *out, const uint8_t *options,
	    size_t len, const struct pb_trailer_list *list, uint32_t pen);

#endif
