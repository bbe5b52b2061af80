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

enum taking { NONE, READY, WHOLE, BROKEN };

struct unit {
	struct pb_mingle_unit is;
	enum taking	 state;		/* NONE: not at hand */
	bool		 behind;	/* another one of its stream */
	size_t		 at;		/* behind the packet of `next` */
	uint64_t	 seq;		/* the last one passed */
	uint64_t	 time_ns;	/* of the last frame taken */
	uint64_t	 free_ns;	/* it may go from then on; 0: now */
	struct pb_mingle_frame next;	/* READY; else .left alone */
};

/* A stream whose next unit is waited for. */
struct hold {
	uint32_t	 stream;
	uint64_t	 time_ns;	/* what is later waits, */
	uint64_t	 until_ns;	/* until then; 0: no hold */
};

struct pb_mingle {
	const struct pb_filter *filter;
	struct unit	 unit[PB_SHIP_SLOTS];
	struct hold	 hold[PB_SHIP_SLOTS];	/* by the unit's number */
	char		 unfit[PB_SHIP_TEXT_MAX];
};

static bool	same_stream(const struct unit *,
		    const struct pb_mingle_unit *);
static void	set_state(struct pb_mingle *, struct unit *, enum taking);
static enum taking advance(struct pb_mingle *, struct unit *);
static enum taking pass(struct unit *, const struct pb_block *);
static enum taking look(struct pb_mingle *, struct unit *,
		    const struct pb_block *);
static struct unit *earliest(struct pb_mingle *);
static uint64_t	held_until(struct pb_mingle *, uint64_t, uint64_t);

int
pb_mingle_create(struct pb_mingle **out, const struct pb_filter *filter,
    struct pb_err *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	(*out)->filter = filter;
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
		behind |= i != at && is->in_turn && same_stream(other, is) &&
		    other->state != NONE && other->state != WHOLE;
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
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		held &= mingle->unit[i].state == NONE ||
		    !same_stream(&mingle->unit[i], &unit->is);
	if (held && unit->is.in_turn && unit->time_ns != 0)
		mingle->hold[at] = (struct hold){ .stream = unit->is.stream,
		    .time_ns = unit->time_ns,
		    .until_ns = now_ns + PB_MINGLE_HOLD_NS };
}

const struct pb_mingle_frame *
pb_mingle_peek(struct pb_mingle *mingle, uint64_t now_ns, uint64_t *until_ns)
{
	struct unit *unit = earliest(mingle);

	*until_ns = UINT64_MAX;
	if (unit == NULL)
		return NULL;
	*until_ns = held_until(mingle, unit->next.time_ns, now_ns);
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

	unit->time_ns = unit->next.time_ns;
	unit->next.left = (struct pb_mingle_left){ .filtered = 0 };
	set_state(mingle, unit, advance(mingle, unit));
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

/* In its turn. */
static bool
same_stream(const struct unit *unit, const struct pb_mingle_unit *is)
{
	return unit->is.in_turn && unit->is.stream == is->stream;
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
		    unit->next.time_ns < first->next.time_ns))
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
