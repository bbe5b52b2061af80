/*
 * recorder/trailer/trailer.h - what switches put on frames, read
 *
 * Pure: bytes in, stamps out; no allocation, no lock, no global that changes.
 * A *list* names what stands on the frames of an interface, from the wire's
 * end inwards; each name is a row in one table (formats.c), and what reads it
 * a file of its own.  Everything of a frame is hostile: a reader never looks
 * past what was captured, and frames that were cut have stamps in the header
 * alone.
 */
#ifndef PB_TRAILER_H
#define PB_TRAILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "pcapng/stamp.h"

#define PB_TRAILER_RAW_MAX	64u	/* bytes of raw:N */
#define PB_TRAILER_TEXT_MAX	128	/* a list as text, and its NUL */
#define PB_TAI_UTC		37	/* seconds ahead, since 2017 */

struct pb_trailer_format;		/* a row of the table: formats.h */

struct pb_trailer {
	const struct pb_trailer_format *format;
	uint16_t	 argument;	/* N of raw:N; else the format's */
	bool		 tai;		/* its clock keeps TAI */
	/* What follows of these: */
	bool		 keeps_fcs;	/* inside it the frame ends with its
					 * FCS */
	uint8_t		 tail;		/* bytes at the end, at least */
};

struct pb_trailer_list {
	unsigned	 count;		/* 0: none */
	struct pb_trailer at[PB_STAMPS_MAX];	/* the outermost first */
	unsigned	 stamps;	/* that all of it makes, and from the
					 * innermost on the place of each in
					 * the list, from 1 */
	uint8_t		 place[PB_STAMPS_MAX];
	bool		 fcs;		/* the card leaves the frame's last
					 * FCS at its end */
	int		 tai_utc;	/* seconds that TAI is ahead of UTC */
	bool		 needs_context;	/* a stamp needs more than its frame:
					 * resolved stamps are stored */
	bool		 headers;	/* all stand in the header: frames
					 * that were cut have them, too */
};

/*
 * Parse `metamako, raw:4`, or `none`, or "".  A word is NAME, NAME:NUMBER
 * where the format takes one, and `@tai` behind it where its clock keeps TAI
 * and the frame does not say so (docs/trailers.md).  `fcs` and `tai_utc` of
 * `*out` are the caller's to set, before or after.  PB_EINVAL names the word,
 * what would be right, and the nearest known name; `*out` is then untouched.
 */
int	pb_trailer_list_parse(struct pb_trailer_list *out, const char *text,
	    struct pb_err *err);

/* The same as text, without blanks. */
void	pb_trailer_list_text(const struct pb_trailer_list *list,
	    char out[static PB_TRAILER_TEXT_MAX]);

/* The names there are: NULL past the last. */
const char *pb_trailer_name(size_t n);

/* As in files, `metamako`; "?" for a number that is none. */
const char *pb_stamp_format_name(uint8_t format);

/*
 * What frames before told, which later ones need (keyframes): one for each
 * list and run of frames in order, zeroed at the start.  One thread.
 */
struct pb_trailer_context {
	struct pb_trailer_key {
		bool	 seen;		/* one was */
		bool	 adrift;	/* it did not follow the one before */
		uint8_t	 fcs_mode;
		uint16_t device, port;
		uint64_t tick, utc_ns;
		uint64_t seen_ns;	/* the capture's time of it */
	} key[PB_STAMPS_MAX];
};

/* What was read of one frame. */
struct pb_trailers {
	unsigned	 read;		/* trailers of the list that parsed */
	bool		 whole;		/* all of the list did */
	bool		 keyframe;	/* it is one: it has no stamp */
	unsigned	 count;		/* stamps, in the order of the way, the
					 * innermost first; raw bytes: none */
	struct pb_stamp	 at[PB_STAMPS_MAX];
	uint8_t		 place[PB_STAMPS_MAX];	/* as in the list */
	/* The frame as it was before the first switch, as far as it was
	 * captured: */
	uint32_t	 len;		/* without its FCS */
	bool		 has_fcs;	/* its original FCS is in the frame: */
	uint32_t	 fcs_at;	/* offset of the 4 bytes */
	struct {			/* what stamps in the header take out of
					 * its middle, ascending */
		uint16_t at, bytes;
	}		 hole[PB_STAMPS_MAX];
	unsigned	 holes;
};

/*
 * Read the trailers of a frame of `caplen` captured bytes that had `len` on
 * the wire.  `capture_ns` is the capture's time of it, by which stamps
 * without upper bits are extended.  Reads from the wire's end inwards and
 * stops at the first that does not parse: `read` says how far it came, and
 * stamps of those outside it are there.  `context` may be NULL where
 * needs_context is false; else stamps that need it are then adrift.  The
 * frame is one of Ethernet.  Never fails: a frame can be anything.
 */
void	pb_trailers_read(const struct pb_trailer_list *list,
	    struct pb_trailer_context *context, const uint8_t *frame,
	    uint32_t caplen, uint32_t len, uint64_t capture_ns,
	    struct pb_trailers *out);

/* Which stamp gives the packet's time. */
enum pb_stamp_choice {
	PB_STAMP_CAPTURE = 0,		/* none */
	PB_STAMP_INNERMOST = -1,
	PB_STAMP_OUTERMOST = -2,
	/* n > 0: trailer n of the list, 1 the outermost */
};

/* `capture`, `trailer` (the innermost), `outermost`, `trailer:N`; PB_EINVAL
 * says which there are. */
int	pb_stamp_choice_parse(int *out, const char *text, struct pb_err *err);

/* The index into `read->at` of the chosen stamp that is TIMED, or -1.  The
 * innermost is the first that is TIMED, as the outermost is the last. */
int	pb_trailers_choose(const struct pb_trailers *read, int choice);

/*
 * Copy the frame as it was before the first switch to `out` (room for
 * `caplen`); with `fcs` its original FCS behind it, where it is there.
 * Returns its length.  `read->whole`.
 */
uint32_t pb_trailers_strip(const struct pb_trailers *read,
	    const uint8_t *frame, bool fcs, uint8_t *out);

/* Is the original FCS right?  1, 0, or -1 where there is none (IEEE 802.3,
 * 3.2.9: CRC-32 of the frame as it was). */
int	pb_trailers_check_fcs(const struct pb_trailers *read,
	    const uint8_t *frame);

/*
 * Find lists that fit.  Frames are shown one after the other; of each, every
 * list of up to PB_STAMPS_MAX trailers is looked for that parses it and that
 * random bytes would hardly parse: a checksum that is right, an original FCS
 * that is right, or a time near to the capture's.  Whether the last FCS is
 * there, it tells itself.  Memory and work of a frame are bounded.  Not found
 * are raw bytes, and cPacket's, which are shown as metamako.
 */
struct pb_trailer_guess;

int	pb_trailer_guess_create(struct pb_trailer_guess **out,
	    struct pb_err *err);
void	pb_trailer_guess_destroy(struct pb_trailer_guess *guess);
void	pb_trailer_guess_frame(struct pb_trailer_guess *guess,
	    const uint8_t *frame, uint32_t caplen, uint32_t len,
	    uint64_t capture_ns);

struct pb_trailer_fit {
	struct pb_trailer_list list;	/* tai_utc is PB_TAI_UTC */
	uint64_t	 frames, fits;	/* shown, and parsed as a whole */
};

/* The n-th best, 0 the best: false past the last.  Better is what explains
 * more: the product of frames and of trailers and one, then what has right
 * FCSs and times near to the capture's.  An empty list is one where frames
 * end with an FCS. */
bool	pb_trailer_guess_fit(const struct pb_trailer_guess *guess, size_t n,
	    struct pb_trailer_fit *out);

#endif
