/*
 * tests/sim/ship_branches.h - other packets under the same numbers; a part
 * of ship_world.h
 *
 * Which packet a number has, here and there, is a small integer.
 */
#ifndef PB_TESTS_SIM_SHIP_BRANCHES_H
#define PB_TESTS_SIM_SHIP_BRANCHES_H

static inline struct pb_fingerprint
world_print(uint64_t seq, unsigned which)
{
	return (struct pb_fingerprint){ .seq = seq,
	    .digest = seq * 256 + which };
}

/* The same of a packet of which so many bytes are there; 0: all. */
static inline struct pb_fingerprint
world_cut(struct pb_fingerprint print, uint32_t captured)
{
	print.captured = captured;
	print.digest ^= (uint64_t)captured << 56;
	return print;
}

/* The receiver's last packet, up to `at` where that is not 0. */
static inline struct pb_fingerprint
world_theirs(struct world_stream *s, uint64_t at)
{
	uint64_t seq = at != 0 && at < s->at.acked ? at : s->at.acked;

	while (seq > 0 && world_number(s, seq)->got == 0)
		seq--;
	return seq == 0 ? world_print(0, 0) : world_cut(world_print(seq,
	    world_number(s, seq)->theirs), world_number(s, seq)->captured);
}

static inline int
world_below(void *arg, uint32_t id, uint64_t at, uint32_t captured,
    struct pb_fingerprint *out, struct pb_err *err)
{
	struct world_stream *s = &((struct world *)arg)->stream[id];

	s->belows++;
	if (s->broken)
		return pb_err_set(err, PB_ESYS, "the disk is gone");
	if (at > s->end)
		at = s->end;
	while (at > 0 && world_missing(s, at))
		at--;
	if (at > 0)
		*out = world_cut(world_print(at, world_number(s, at)->ours),
		    captured);
	return at > 0 ? 1 : 0;
}

/* The new stream has all of it; below its base it is a gap. */
static inline int
world_stay(void *arg, uint32_t id)
{
	(void)arg, (void)id;
	return 0;
}

static inline int
world_fork(void *arg, uint32_t id, uint64_t last, struct pb_err *err)
{
	struct world *w = arg;
	struct world_stream *s = &w->stream[id], *f;
	uint64_t seq = last + 1;

	if (w->cannot_fork)
		return pb_err_set(err, PB_ELIMIT, "too many epochs");
	while (seq <= s->end && world_missing(s, seq))
		seq++;
	if (seq > s->end)
		return 0;
	s->fork = ++w->streams;
	s->fork_last = last;
	f = &w->stream[s->fork];
	*f = (struct world_stream){ .own = s->own, .first = s->first,
	    .end = s->end, .packet_bytes = s->packet_bytes,
	    .gap_first = s->gap_first, .gap_last = s->gap_last,
	    .gap_recorded = s->gap_recorded, .base = last };
	f->at.tells = s->at.tells;
	if (f->first <= last)
		f->first = last + 1;
	for (seq = 1; seq <= s->end; seq++)
		world_number(f, seq)->ours = world_number(s, seq)->ours;
	if (pb_ship_stream(w->ship, s->fork, f->own, f->end, err) < 0)
		abort();
	pb_ship_part(w->ship, s->fork, last, false);
	return 1;
}

/* Numbers first .. last hold packet `which` here. */
static inline void
world_ours(struct world *w, uint32_t id, uint64_t first, uint64_t last,
    unsigned which)
{
	for (uint64_t seq = first; seq <= last; seq++)
		world_number(&w->stream[id], seq)->ours = (unsigned char)which;
}

/* ... and there, where it has all up to them. */
static inline void
world_has(struct world *w, uint32_t id, uint64_t first, uint64_t last,
    unsigned which)
{
	struct world_stream *s = &w->stream[id];

	for (uint64_t seq = first; seq <= last; seq++) {
		struct number *n = world_number(s, seq);

		n->got = 1;
		n->theirs = (unsigned char)which;
		s->at.packets++;
	}
	if (last > s->at.acked)
		s->at.acked = last;
}

#endif
