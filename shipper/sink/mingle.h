/*
 * shipper/sink/mingle.h - packets of several units, as one row of frames
 *
 * A unit is a section of one stream's packets, by number (payload.h).  Of
 * the units at hand the frame with the lowest time comes first, so that
 * streams mingle as they did on their wires; those of one unit come in its
 * order, whatever their times, and two units of one stream follow one another
 * by their numbers, in whichever order they were added before a frame is asked
 * for.  Units that are on their way are given a moment to come; and where one
 * has others behind it, the next one is waited for before anything later goes.
 *
 * Where distances are kept, frames have a common time, the latest that went
 * out, and what is far from it goes by a clock of its own.  What is later by
 * more than PB_TEMPO_SILENCE_NS waits until nothing earlier has been there for
 * that long; or, if it was captured just now, for that long, whatever else
 * goes meanwhile.  Then it brings the common time there.  A stream that is
 * behind by more than a step is moved to it once, and from then on keeps its
 * distances from there.
 *
 * What a frame cannot be made of is left out, and counted: packets that the
 * filter does not want, and those of which a part was captured.
 * Pure but for memory: time is an argument.  One thread.
 */
#ifndef PB_SHIPPER_MINGLE_H
#define PB_SHIPPER_MINGLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/filter/filter.h"
#include "recorder/transmit/engine/outlet.h"
#include "shipper/ship/ship.h"
#include "shipper/sink/tempo.h"

/* What is waited for is waited for so long. */
#define PB_MINGLE_HOLD_NS	200000000ull
/* What is not older was captured just now. */
#define PB_MINGLE_FRESH_NS	(60 * PB_NS_PER_S)
/* Streams that are behind the common time and known for it; of one more
 * another is moved to it anew. */
#define PB_MINGLE_APART_MAX	1024u

/* Packets that were left out. */
struct pb_mingle_left {
	uint64_t	filtered;
	uint64_t	unfit;
};

struct pb_mingle_frame {
	struct pb_frame	 frame;
	uint64_t	 time_ns;	/* of its packet */
	uint64_t	 common_ns;	/* the same in the common time, */
	bool		 anew;		/* which begins anew with it */
	uint64_t	 seq;
	unsigned	 unit;
	struct pb_mingle_left left;	/* right before it */
};

struct pb_mingle_unit {
	const uint8_t	*data;		/* borrowed while it is at hand */
	size_t		 len;
	uint32_t	 stream;
	bool		 in_turn;	/* not late */
	bool		 more;		/* others follow right behind it */
	unsigned	 coming;	/* units are on their way, behind it */
	uint64_t	 first, last;	/* numbers */
	uint64_t	 real_ns;	/* since 1970, when it came to hand */
};

/* Streams that were moved to the common time, and by how much the last one. */
struct pb_mingle_moved {
	uint64_t	streams;
	uint32_t	stream;
	uint64_t	by_ns;
};

/* How a unit ended: whole, or it holds what no section of ours does. */
enum pb_mingle_end {
	PB_MINGLE_WHOLE = 1,
	PB_MINGLE_BROKEN,
};

struct pb_mingle;

/* `filter` is borrowed, and may be NULL.  `common`: distances are kept. */
int	pb_mingle_create(struct pb_mingle **out, const struct pb_filter *filter,
	    bool common, struct pb_err *err);
void	pb_mingle_destroy(struct pb_mingle *mingle);

/* Unit number `at`, below PB_SHIP_SLOTS, is at hand; it was not. */
void	pb_mingle_add(struct pb_mingle *mingle, unsigned at,
	    const struct pb_mingle_unit *unit, uint64_t now_ns);
/* It is not any more.  `held`: the rest of it comes again, soon. */
void	pb_mingle_remove(struct pb_mingle *mingle, unsigned at, bool held,
	    uint64_t now_ns);

/*
 * The frame that is next, which stays so until pb_mingle_take() or another
 * unit is there: NULL where none is, or something is waited for until
 * `*until_ns` (else UINT64_MAX).
 */
const struct pb_mingle_frame *pb_mingle_peek(struct pb_mingle *mingle,
	    uint64_t now_ns, uint64_t *until_ns);
void	pb_mingle_take(struct pb_mingle *mingle, unsigned at);

/* Has it no frame any more?  Then what was left out behind the last one. */
bool	pb_mingle_ended(const struct pb_mingle *mingle, unsigned at,
	    enum pb_mingle_end *how, struct pb_mingle_left *left);

/* Of the last packet that was unfit: its number, and why. */
const char *pb_mingle_unfit(const struct pb_mingle *mingle);

/* So far; borrowed. */
const struct pb_mingle_moved *pb_mingle_moved(const struct pb_mingle *mingle);

#endif
