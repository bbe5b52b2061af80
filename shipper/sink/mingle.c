/*
 * shipper/sink/mingle.c - packets of several units, as one row of frames
 *
 * Limit: as many units as an upstream has requests; few enough to look at
 * each of them for every frame.
 */
#include "shipper/sink/mingle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcapng/filtered.h"

#define MOVES_MAX	(2 * PB_SHIP_SLOTS)	/* for one frame */

enum taking { NONE, READY, WHOLE, BROKEN };

struct unit {
	struct pb_mingle_unit is;
	enum taking	 state;		/* NONE: not at hand */
	bool		 behind;	/* another one of its stream */
	size_t		 at;		/* behind the packet of `next` */
	uint64_t	 seq;		/* the last one passed */
	uint64_t	 time_ns;	/* common, of the last frame taken */
	uint64_t	 free_ns;	/* it may go from then on; 0: now */
	uint64_t	 silent_ns;	/* ahead: until then; 0: it is not */
	struct pb_mingle_frame next;	/* READY; else .left alone */
};

/* A stream whose next unit is waited for. */
struct hold {
	uint32_t	 stream;
	uint64_t	 time_ns;	/* what is later waits, */
	uint64_t	 until_ns;	/* until then; 0: no hold */
};

/* A stream, or what comes late of it, that is behind the common time. */
struct apart {
	uint64_t	 who;		/* 0: nobody */
	uint64_t	 by_ns;
};

struct pb_mingle {
	const struct pb_filter *filter;
	bool		 common;	/* there is a common time: */
	bool		 begun;		/* it has, */
	uint64_t	 high_ns;	/* and come so far */
	uint64_t	 now_ns;	/* when it was last asked for a
					 * frame, */
	uint64_t	 taken_ns;	/* and when one was last taken */
	struct pb_mingle_moved moved;
	struct apart	 apart[PB_MINGLE_APART_MAX];
	struct unit	 unit[PB_SHIP_SLOTS];
	struct hold	 hold[PB_SHIP_SLOTS];	/* by the unit's number */
	char		 unfit[PB_SHIP_TEXT_MAX];
};

static bool	same_stream(const struct unit *,
		    const struct pb_mingle_unit *);
static void	hold(struct pb_mingle *, unsigned, uint64_t);
static void	set_state(struct pb_mingle *, struct unit *, enum taking);
static enum taking advance(struct pb_mingle *, struct unit *);
static enum taking pass(struct unit *, const struct pb_block *);
static enum taking look(struct pb_mingle *, struct unit *,
		    const struct pb_block *);
static struct unit *earliest(struct pb_mingle *);
/* the common time */
static struct unit *in_common_time(struct pb_mingle *, uint64_t *);
static struct unit *waited(struct pb_mingle *);
static bool	is_fresh(const struct unit *);
static bool	is_ahead(struct pb_mingle *, const struct unit *);
static uint64_t	low_ns(const struct pb_mingle *);
static uint64_t	who(const struct unit *);
static struct apart *place(struct pb_mingle *, const struct unit *);
static uint64_t	common_ns(struct pb_mingle *, const struct unit *);
static bool	move(struct pb_mingle *, const struct unit *);
static uint64_t	held_until(struct pb_mingle *, uint64_t, uint64_t);

int
pb_mingle_create(struct pb_mingle **out, const struct pb_filter *filter,
    bool common, struct pb_err *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	(*out)->filter = filter;
	(*out)->common = common;
	return 0;
}

void
pb_mingle_destroy(struct pb_mingle *mingle)
{
	free(mingle);
}

void
pb_mingle_add(struct pb_mingle *mingle, unsigned at,
    const struct pb_mingle_unit *is, uint64_t now_ns)
{
	struct unit *unit = &mingle->unit[at];
	bool behind = false;

	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		struct unit *other = &mingle->unit[i];

		if (other->is.coming > 0 && --other->is.coming == 0)
			other->free_ns = 0;
		if (i != at && is->in_turn && same_stream(other, is) &&
		    other->state != NONE && other->state != WHOLE) {
			behind |= other->is.first < is->first;
			other->behind |= other->is.first > is->first;
		}
		if (is->in_turn && mingle->hold[i].stream == is->stream)
			mingle->hold[i].until_ns = 0;
	}
	*unit = (struct unit){ .is = *is, .seq = is->first - 1,
	    .behind = behind };
	unit->next.unit = at;
	if (is->coming > 0)
		unit->free_ns = now_ns + PB_MINGLE_HOLD_NS;
	set_state(mingle, unit, advance(mingle, unit));
}

void
pb_mingle_remove(struct pb_mingle *mingle, unsigned at, bool held,
    uint64_t now_ns)
{
	struct unit *unit = &mingle->unit[at];

	unit->state = NONE;
	mingle->hold[at].until_ns = 0;
	if (held)
		hold(mingle, at, now_ns);
}

const struct pb_mingle_frame *
pb_mingle_peek(struct pb_mingle *mingle, uint64_t now_ns, uint64_t *until_ns)
{
	struct unit *unit;

	*until_ns = UINT64_MAX;
	mingle->now_ns = now_ns;
	unit = mingle->common ? in_common_time(mingle, until_ns) :
	    earliest(mingle);
	if (unit == NULL)
		return NULL;
	unit->next.common_ns = common_ns(mingle, unit);
	/* Its place was another's: none goes back even so. */
	if (mingle->common && mingle->begun &&
	    unit->next.common_ns < low_ns(mingle))
		unit->next.common_ns = mingle->high_ns;
	*until_ns = held_until(mingle, unit->next.common_ns, now_ns);
	if (unit->free_ns > now_ns && unit->free_ns > *until_ns)
		*until_ns = unit->free_ns;
	if (*until_ns != 0)
		return NULL;
	*until_ns = UINT64_MAX;
	return &unit->next;
}

void
pb_mingle_take(struct pb_mingle *mingle, unsigned at)
{
	struct unit *unit = &mingle->unit[at];

	unit->time_ns = unit->next.common_ns;
	if (unit->time_ns > mingle->high_ns)
		mingle->high_ns = unit->time_ns;
	mingle->begun = true;
	mingle->taken_ns = mingle->now_ns;
	unit->silent_ns = 0;
	unit->next.anew = false;
	unit->next.left = (struct pb_mingle_left){ .filtered = 0 };
	set_state(mingle, unit, advance(mingle, unit));
	if (unit->state == WHOLE && unit->is.more)
		hold(mingle, at, mingle->now_ns);
}

bool
pb_mingle_ended(const struct pb_mingle *mingle, unsigned at,
    enum pb_mingle_end *how, struct pb_mingle_left *left)
{
	const struct unit *unit = &mingle->unit[at];

	*how = unit->state == BROKEN ? PB_MINGLE_BROKEN : PB_MINGLE_WHOLE;
	*left = unit->next.left;
	return unit->state == WHOLE || unit->state == BROKEN;
}

const char *
pb_mingle_unfit(const struct pb_mingle *mingle)
{
	return mingle->unfit;
}

const struct pb_mingle_moved *
pb_mingle_moved(const struct pb_mingle *mingle)
{
	return &mingle->moved;
}

/* In its turn. */
static bool
same_stream(const struct unit *unit, const struct pb_mingle_unit *is)
{
	return unit->is.in_turn && unit->is.stream == is->stream;
}

/* What is later than its frames waits for those that follow, unless they are
 * at hand. */
static void
hold(struct pb_mingle *mingle, unsigned at, uint64_t now_ns)
{
	const struct unit *unit = &mingle->unit[at];
	bool follows = false;

	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		follows |= i != at && mingle->unit[i].state != NONE &&
		    same_stream(&mingle->unit[i], &unit->is);
	if (!follows && unit->is.in_turn && unit->time_ns != 0)
		mingle->hold[at] = (struct hold){ .stream = unit->is.stream,
		    .time_ns = unit->time_ns,
		    .until_ns = now_ns + PB_MINGLE_HOLD_NS };
}

/* One that has no frame any more stands before no other. */
static void
set_state(struct pb_mingle *mingle, struct unit *unit, enum taking state)
{
	unit->state = state;
	for (unsigned i = 0; state == WHOLE && i < PB_SHIP_SLOTS; i++)
		if (&mingle->unit[i] != unit && unit->is.in_turn &&
		    same_stream(&mingle->unit[i], &unit->is))
			mingle->unit[i].behind = false;
}

/* --- one unit ----------------------------------------------------------- */

/* On to its next frame. */
static enum taking
advance(struct pb_mingle *mingle, struct unit *unit)
{
	enum taking taking = NONE;
	struct pb_block block;

	while (taking == NONE) {
		if (unit->at == unit->is.len)
			return unit->seq == unit->is.last ? WHOLE : BROKEN;
		if (pb_scan_block(unit->is.data + unit->at,
		    unit->is.len - unit->at, &block) != 1)
			return BROKEN;
		unit->at += block.len;
		taking = block.type == PB_BLOCK_EPB ?
		    look(mingle, unit, &block) : pass(unit, &block);
	}
	return taking;
}

/* NONE: its numbers, if it has some, were left out earlier. */
static enum taking
pass(struct unit *unit, const struct pb_block *block)
{
	uint64_t first, last;
	int rc = pb_scan_numbers(block, &first, &last);

	if (rc < 0 || (rc == 1 && first != unit->seq + 1))
		return BROKEN;
	if (rc == 1)
		unit->seq = last;
	return NONE;
}

/* NONE: its packet is left out. */
static enum taking
look(struct pb_mingle *mingle, struct unit *unit, const struct pb_block *block)
{
	struct pb_mingle_frame *next = &unit->next;
	struct pb_packet packet;
	uint64_t seq;

	if (pb_scan_epb(block, &packet) < 0 ||
	    !pb_packet_seq(&packet, &seq) || seq != unit->seq + 1)
		return BROKEN;
	unit->seq = seq;
	if (mingle->filter != NULL && !pb_filter_match(mingle->filter,
	    &packet)) {
		next->left.filtered++;
		return NONE;
	}
	if (packet.caplen < packet.origlen) {
		next->left.unfit++;
		snprintf(mingle->unfit, sizeof(mingle->unfit), "packet %" PRIu64
		    ": %" PRIu32 " of its %" PRIu32 " bytes were captured",
		    seq, packet.caplen, packet.origlen);
		return NONE;
	}
	next->frame = (struct pb_frame){ .data = packet.data,
	    .len = packet.caplen };
	next->time_ns = packet.time_ns;
	next->seq = seq;
	return READY;
}

/* --- all of them -------------------------------------------------------- */

static struct unit *
earliest(struct pb_mingle *mingle)
{
	struct unit *first = NULL;

	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		struct unit *unit = &mingle->unit[i];

		if (unit->state == READY && !unit->behind && (first == NULL ||
		    common_ns(mingle, unit) < common_ns(mingle, first)))
			first = unit;
	}
	return first;
}

/* How long a frame of this time is to wait for a stream's next unit, which
 * may have an earlier one; 0: it need not. */
static uint64_t
held_until(struct pb_mingle *mingle, uint64_t time_ns, uint64_t now_ns)
{
	uint64_t until_ns = 0;

	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		struct hold *hold = &mingle->hold[i];

		if (hold->until_ns <= now_ns)
			hold->until_ns = 0;
		else if (time_ns > hold->time_ns && hold->until_ns > until_ns)
			until_ns = hold->until_ns;
	}
	return until_ns;
}

/* --- the common time ---------------------------------------------------- */

/* Which frame is next; NULL: none, or it is ahead and waits, until then. */
static struct unit *
in_common_time(struct pb_mingle *mingle, uint64_t *until_ns)
{
	struct unit *unit = waited(mingle);

	/* Two streams may have one place, and move each other out of it. */
	for (unsigned n = 0; unit == NULL && n < MOVES_MAX; n++)
		if (!move(mingle, earliest(mingle)))
			break;
	if (unit == NULL)
		unit = earliest(mingle);
	if (unit == NULL)
		return NULL;
	unit->next.anew = is_ahead(mingle, unit);
	if (!unit->next.anew)
		return unit;
	/* What follows in another stream is on its way. */
	*until_ns = held_until(mingle, common_ns(mingle, unit), mingle->now_ns);
	if (unit->silent_ns == 0 && *until_ns == 0)
		unit->silent_ns = mingle->taken_ns + PB_TEMPO_SILENCE_NS;
	if (unit->silent_ns != 0 && unit->silent_ns <= mingle->now_ns)
		return unit;
	if (unit->silent_ns != 0)
		*until_ns = unit->silent_ns;
	return NULL;
}

/* Who was ahead and has waited does not wait for those who go meanwhile. */
static struct unit *
waited(struct pb_mingle *mingle)
{
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		struct unit *unit = &mingle->unit[i];

		if (unit->state != READY || unit->behind ||
		    !is_ahead(mingle, unit))
			continue;
		if (unit->silent_ns == 0 && is_fresh(unit))
			unit->silent_ns = mingle->taken_ns +
			    PB_TEMPO_SILENCE_NS;
		if (unit->silent_ns != 0 && unit->silent_ns <= mingle->now_ns)
			return unit;
	}
	return NULL;
}

/* Was its frame captured just now, by clocks that are right or ahead? */
static bool
is_fresh(const struct unit *unit)
{
	return unit->is.real_ns <= PB_MINGLE_FRESH_NS ||
	    unit->next.time_ns >= unit->is.real_ns - PB_MINGLE_FRESH_NS;
}

/* By more than a silence? */
static bool
is_ahead(struct pb_mingle *mingle, const struct unit *unit)
{
	uint64_t at_ns = common_ns(mingle, unit);

	return mingle->begun && at_ns > mingle->high_ns &&
	    at_ns - mingle->high_ns > PB_TEMPO_SILENCE_NS;
}

/* What is earlier is behind. */
static uint64_t
low_ns(const struct pb_mingle *mingle)
{
	return mingle->high_ns > PB_PACE_STEP_NS ?
	    mingle->high_ns - PB_PACE_STEP_NS : 0;
}

/* In its turn, and late, a stream has two. */
static uint64_t
who(const struct unit *unit)
{
	return (uint64_t)unit->is.stream * 2 + (unit->is.in_turn ? 2 : 1);
}

/* Its place, which another may have. */
static struct apart *
place(struct pb_mingle *mingle, const struct unit *unit)
{
	return &mingle->apart[who(unit) % PB_MINGLE_APART_MAX];
}

static uint64_t
common_ns(struct pb_mingle *mingle, const struct unit *unit)
{
	const struct apart *apart = place(mingle, unit);
	uint64_t time_ns = unit->next.time_ns;

	if (apart->who != who(unit))
		return time_ns;
	return apart->by_ns > UINT64_MAX - time_ns ? UINT64_MAX :
	    time_ns + apart->by_ns;
}

/* To the common time, if it is behind; back, if it was and its own is that
 * again, as after a clock was set right. */
static bool
move(struct pb_mingle *mingle, const struct unit *unit)
{
	struct apart *apart;

	if (unit == NULL || !mingle->begun)
		return false;
	apart = place(mingle, unit);
	if (is_ahead(mingle, unit)) {
		if (apart->who != who(unit) ||
		    unit->next.time_ns < low_ns(mingle))
			return false;
		apart->who = 0;
		return true;
	}
	if (common_ns(mingle, unit) >= low_ns(mingle))
		return false;
	*apart = (struct apart){ .who = who(unit),
	    .by_ns = mingle->high_ns - unit->next.time_ns };
	mingle->moved.streams++;
	mingle->moved.stream = unit->is.stream;
	mingle->moved.by_ns = apart->by_ns;
	return true;
}
