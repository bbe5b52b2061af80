/*
 * tests/sim/ship_letters.h - what a fake store and fake letters answer to
 * the shipper's state machine; a part of ship_world.h
 *
 * Every number has its own state, so that what must hold of each of them
 * can be looked at.  Calls are bounded, as the real ones are.
 */
#ifndef PB_TESTS_SIM_SHIP_LETTERS_H
#define PB_TESTS_SIM_SHIP_LETTERS_H

/* What is known of one number; numbers start at 1. */
static inline struct number *
world_number(struct world_stream *s, uint64_t seq)
{
	uint64_t want = s->numbers > 0 ? s->numbers : 1024;

	if (seq < s->numbers)
		return &s->number[seq];
	while (want <= seq)
		want *= 2;
	s->number = realloc(s->number, want * sizeof(*s->number));
	if (s->number == NULL)
		abort();
	memset(s->number + s->numbers, 0, (want - s->numbers) *
	    sizeof(*s->number));
	s->numbers = want;
	return &s->number[seq];
}

static inline enum letter
world_letter(struct world_stream *s, uint64_t seq)
{
	return (enum letter)world_number(s, seq)->letter;
}

/* As many numbers from `from` on as are like it, up to `last`. */
static inline uint64_t
world_run_of(struct world_stream *s, uint64_t from, uint64_t last)
{
	enum letter like = world_letter(s, from);
	uint64_t seq = from;

	world_number(s, last);		/* all of them are there */
	while (seq < last && s->number[seq + 1].letter == like)
		seq++;
	return seq;
}

/* Not in the store, and no letter has it. */
static inline bool
world_missing(const struct world_stream *s, uint64_t seq)
{
	return seq < s->first || (s->gap_first != 0 && seq >= s->gap_first &&
	    seq <= s->gap_last);
}

/* One segment holds all; extents are runs of EXTENT_PACKETS.  Or, where
 * those are sent, segments are runs of SEGMENT_PACKETS. */
static inline int
world_look(void *arg, uint32_t id, uint64_t from, const struct pb_mark *mark,
    size_t bytes_max, struct pb_piece *out, struct pb_err *err)
{
	struct world *w = arg;
	struct world_stream *s = &w->stream[id];
	bool segments = w->opts.way.unit == PB_UNIT_SEGMENT;
	uint64_t unit = segments ? SEGMENT_PACKETS : EXTENT_PACKETS;
	uint64_t extent_first, last, fit, like, end = world_end(s);
	enum letter letter;

	memset(out, 0, sizeof(*out));
	s->looks++;
	if (s->broken)
		return pb_err_set(err, PB_ESYS, "the disk is gone");
	if (from > end)
		return 0;
	letter = world_letter(s, from);
	like = world_run_of(s, from, from + 4 * EXTENT_PACKETS < end ?
	    from + 4 * EXTENT_PACKETS : end);
	if (letter == DEAD || letter == GONE) {
		out->kind = PB_PIECE_GAP;
		out->first = from;
		out->last = like;
		out->reason = letter == DEAD ? PB_GAP_DEAD_LETTERED :
		    PB_GAP_EXPIRED;
		out->recorded = true;
		return 0;
	}
	out->letter = letter == REQUEUED;
	out->settles = letter == REQUEUED || letter == LATE;
	if (letter != REQUEUED && world_missing(s, from)) {
		out->kind = PB_PIECE_GAP;
		out->first = from;
		out->last = from < s->first ? s->first - 1 : s->gap_last;
		if (out->last > like)
			out->last = like;
		out->reason = PB_GAP_EXPIRED;
		out->recorded = from >= s->first && s->gap_recorded;
		return 0;
	}
	extent_first = (from - 1) / unit * unit + 1;
	last = extent_first + unit - 1;
	if (last <= end)
		out->complete = true;
	else
		last = end;
	if (last > like) {
		last = like;
		out->complete = true;
	}
	if (s->gap_first > from && last >= s->gap_first)
		last = s->gap_first - 1;
	if (mark != NULL && from != extent_first && (mark->seq != from ||
	    mark->offset != world_offset(s, from)))
		s->walks++;
	fit = bytes_max > HEADER_BYTES ?
	    (bytes_max - HEADER_BYTES) / s->packet_bytes : 0;
	if (fit == 0)
		fit = 1;
	if (last - from + 1 > fit) {
		last = from + fit - 1;
		out->complete = true;
	}
	/* It is not sealed yet. */
	if (segments && !out->complete)
		return 0;
	out->kind = PB_PIECE_PACKETS;
	out->first = from;
	out->last = last;
	out->segment_seq = segments ? extent_first : 1;
	out->offset = world_offset(s, from);
	out->bytes = (uint32_t)((last - from + 1) * s->packet_bytes);
	out->header_bytes = HEADER_BYTES;
	return 0;
}

static inline int
world_late(void *arg, uint32_t id, uint64_t acked, uint64_t from,
    const struct pb_mark *mark, size_t bytes_max, struct pb_piece *out,
    struct pb_err *err)
{
	struct world *w = arg;
	struct world_stream *s = &w->stream[id];
	uint64_t seq = from, last = acked < s->end ? acked : s->end;
	struct number *n;
	int rc;

	memset(out, 0, sizeof(*out));
	s->lates++;
	out->last = acked;
	world_number(s, last);		/* all of them are there */
	for (n = s->number + seq; seq <= last && n->letter != REQUEUED &&
	    (n->letter != LATE || world_missing(s, seq)); seq++, n++) {
		if (n->letter == LATE)
			n->letter = NO_LETTER;
		if (seq - from < LATE_LOOK_MAX)
			continue;
		out->last = seq;
		return 0;
	}
	if (seq > last)
		return 0;
	rc = world_look(arg, id, seq, mark, bytes_max, out, err);
	if (rc == 0 && out->last > last) {
		out->last = last;
		out->bytes = (uint32_t)((last - seq + 1) * s->packet_bytes);
	}
	return rc;
}

static inline int
world_demote(void *arg, uint32_t id, const struct pb_ship_dead *dead,
    uint64_t *done, struct pb_err *err)
{
	struct world *w = arg;
	struct world_stream *s = &w->stream[id];
	uint64_t seq = dead->first;

	s->demotes++;
	w->demotes++;
	if (w->cannot_demote)
		return pb_err_set(err, PB_ESYS, "no space left on device");
	for (; seq <= dead->last && seq - dead->first < w->demote_max; seq++) {
		if (world_letter(s, seq) == LATE)
			world_number(s, seq)->letter = NO_LETTER;
		if (world_letter(s, seq) != REQUEUED &&
		    (world_letter(s, seq) != NO_LETTER ||
		    world_missing(s, seq)))
			continue;
		world_number(s, seq)->letter = DEAD;
		world_number(s, seq)->reason = (unsigned char)dead->reason;
	}
	*done = seq - 1;
	s->dead = *dead;
	snprintf(s->dead_text, sizeof(s->dead_text), "%s", dead->text);
	return 0;
}

static inline void
world_sent_now(struct world *w, uint32_t id, uint64_t first, uint64_t last)
{
	struct world_stream *s = &w->stream[id];

	for (uint64_t seq = first; seq <= last; seq++)
		if (world_letter(s, seq) == REQUEUED ||
		    world_letter(s, seq) == LATE)
			world_number(s, seq)->letter = NO_LETTER;
}

static inline void
world_refuse_now(struct world *w, uint32_t id,
    const struct pb_ship_dead *dead)
{
	struct world_stream *s = &w->stream[id];

	for (uint64_t seq = dead->first; seq <= dead->last; seq++) {
		struct number *n = world_number(s, seq);

		if (n->letter == REQUEUED)
			n->reason = (unsigned char)dead->reason;
		n->letter = n->letter == REQUEUED ? DEAD : n->letter == LATE ?
		    NO_LETTER : n->letter;
	}
	s->dead = *dead;
}

/* All dead letters of first .. last are to be sent again. */
static inline void
world_requeue(struct world *w, uint32_t id, uint64_t first, uint64_t last)
{
	struct world_stream *s = &w->stream[id];

	for (uint64_t seq = first; seq <= last; seq++)
		if (world_letter(s, seq) == DEAD)
			world_number(s, seq)->letter = REQUEUED;
	pb_ship_late(w->ship, id, true);
}

/* Letters in this state. */
static inline uint64_t
world_letters(struct world *w, uint32_t id, enum letter letter)
{
	struct world_stream *s = &w->stream[id];
	uint64_t count = 0;

	for (uint64_t seq = 1; seq < s->numbers; seq++)
		count += s->number[seq].letter == letter;
	return count;
}

#endif
