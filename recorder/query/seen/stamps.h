/*
 * recorder/query/seen/stamps.h - what switches stamped on stored packets
 *
 * Which trailers stand on a packet its interface says (pcapng/stamp.h), or
 * who asks; where a format needs what frames before told, a stream has a
 * context, and its packets are to come in the order of their numbers.
 */
#ifndef PB_QUERY_STAMPS_H
#define PB_QUERY_STAMPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pcapng/block.h"
#include "recorder/store/head.h"
#include "recorder/trailer/trailer.h"

/*
 * What the text of an interface says of trailers.  1 where it has a list or
 * an FCS, else 0 and an empty list: also where another version wrote what
 * this one does not know.
 */
int	pb_stamps_list(const char *interface_text, struct pb_trailer_list *out);

/*
 * The stamps of a packet in the order of the way: the records that stand
 * beside it, else what its frame says, as pb_stamps_read().  1; 0 where there
 * are none: then `out` has the capture's time alone.  A malformed option
 * counts as none: one peer's packet spoils no answer.
 */
int	pb_stamps_of(const struct pb_packet *packet,
	    const struct pb_trailer_list *list,
	    struct pb_trailer_context *context, struct pb_stamped *out);

/*
 * What the frame says by `list`, read as of the capture's time; records that
 * stand beside it go for nothing.  `context` is of the packet's stream, or
 * NULL: then a list that needs one reads nothing.
 */
int	pb_stamps_read(const struct pb_packet *packet,
	    const struct pb_trailer_list *list,
	    struct pb_trailer_context *context, struct pb_stamped *out);

/* When it was captured: the packet's time, unless that is a stamp's. */
uint64_t pb_stamps_captured(const struct pb_packet *packet);

/* The first that is of that time, from 1 on; 0: none. */
unsigned pb_stamps_of_time(const struct pb_stamped *stamped,
	    uint64_t time_ns);

/* What is known of a stream whose packets are read. */
struct pb_stamp_stream {
	struct pb_head	*head;		/* the last packet's; a reference */
	char		 text[PB_INTERFACE_TEXT_MAX];	/* of its interface */
	struct pb_trailer_list list;
	struct pb_trailer_context context;
};

/* Of all streams of an answer. */
struct pb_stamper {
	const struct pb_trailer_list *given;	/* for all of them; NULL:
						 * as their interfaces say */
	void		*tree;		/* of streams: tsearch(3) */
	struct pb_stamp_stream *last;	/* that was asked for, or NULL */
};

/* `given` is borrowed until finish; zeroed memory is one without. */
void	pb_stamper_init(struct pb_stamper *stamper,
	    const struct pb_trailer_list *given);
void	pb_stamper_finish(struct pb_stamper *stamper);

/* The stream of packets with this head, borrowed: NULL where there is no
 * memory. */
struct pb_stamp_stream *pb_stamper_stream(struct pb_stamper *stamper,
	    const struct pb_head *head);

/* The stamps of a packet with this head: of pb_stamps_of(), or, where a list
 * is given, of pb_stamps_read(); or PB_ENOMEM. */
int	pb_stamper_read(struct pb_stamper *stamper, const struct pb_head *head,
	    const struct pb_packet *packet, struct pb_stamped *out);

/* For people and machines: RFC 3339 as pb_time_format(), and behind its nine
 * decimals as many as the fraction of a nanosecond has, ten at most. */
#define PB_STAMP_TIME_MAX	(PB_TIME_TEXT_MAX + 10)
const char *pb_stamp_time(const struct pb_stamp *stamp,
	    char out[static PB_STAMP_TIME_MAX]);

/* The words for the bits of its flags that people are told, each one; NULL
 * past the last.  An invalid time is one that is not TIMED. */
const char *pb_stamp_word(const struct pb_stamp *stamp, unsigned n);

/*
 * One stamp of a packet's way as a comment, `n` counted from 1 at the first
 * switch; what is not known is left out, `time=packet` stands where the
 * packet's time is this one's:
 *   pb.stamp n=1 trailer=metamako device=3 port=7 seq=12
 *   ts=1700000001.500000000 flags=fcs_valid,degraded time=packet
 */
int	pb_stamp_comment(struct pb_buf *out, unsigned n,
	    const struct pb_stamped *stamped);

#endif
