/*
 * shipper/upstream/upstream_letters.c - the store as one upstream is to see it
 *
 * Dead letters lie over the store: where there is one, the upstream is
 * told a gap, or gets its packets from the letter's file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "shipper/upstream/upstream_impl.h"

/* Letters passed over by one call. */
#define LETTERS_MAX	64u
/* Letters told as one gap: a segment each. */
#define GAP_LETTERS_MAX	256u

struct place {			/* what the calls below are about */
	struct pb_upstream *u;
	struct upstream_part part;
	const struct pb_stream_info *stream;
	struct pb_feed_want want;
};

static int	find_stream(struct place *, struct pb_upstream *, uint32_t,
		    struct pb_err *);
static int	find_letter(const struct place *, uint64_t,
		    struct pb_letter *, struct pb_err *);
static int	late_part(const struct place *, uint64_t, uint64_t,
		    struct pb_piece *, struct pb_err *);
static int	look_part(const struct place *, uint64_t, struct pb_piece *,
		    struct pb_err *);
static int	look_dead(const struct place *, const struct pb_letter *,
		    uint64_t, struct pb_piece *);
static int	look_requeued(const struct place *, const struct pb_letter *,
		    uint64_t, struct pb_piece *, struct pb_err *);
static int	look_late(const struct place *, const struct pb_letter *,
		    uint64_t, struct pb_piece *, struct pb_err *);
static int	look_late_only(const struct place *,
		    const struct pb_letter *, uint64_t, struct pb_piece *,
		    struct pb_err *);
static bool	may_have(const struct pb_upstream *,
		    const struct pb_stream_info *);
static bool	spoiled(const struct pb_upstream *, int);

/* --- for the state machine ---------------------------------------------- */

int
upstream_look(void *arg, uint32_t id, uint64_t from,
    const struct pb_mark *mark, size_t bytes_max, bool begin,
    struct pb_piece *out, struct pb_err *err)
{
	struct place at = { .want = { .owner = arg, .id = id, .mark = mark,
	    .known = !begin, .bytes_max = bytes_max } };
	int rc;

	memset(out, 0, sizeof(*out));
	rc = find_stream(&at, arg, id, err);
	if (rc < 0)
		return rc;
	if (from <= at.part.base) {
		/* Those went under another epoch. */
		*out = (struct pb_piece){ .kind = PB_PIECE_GAP,
		    .first = from, .last = at.part.base, .recorded = true,
		    .reason = PB_GAP_RESTORED };
		return 0;
	}
	rc = look_part(&at, from, out, err);
	if (at.part.part > 0)
		out->epoch = at.part.key.epoch;
	return rc;
}

int
upstream_late(void *arg, uint32_t id, uint64_t acked, uint64_t from,
    const struct pb_mark *mark, size_t bytes_max, struct pb_piece *out,
    struct pb_err *err)
{
	struct place at = { .want = { .owner = arg, .id = id, .late = true,
	    .mark = mark, .bytes_max = bytes_max } };
	int rc;

	memset(out, 0, sizeof(*out));
	rc = find_stream(&at, arg, id, err);
	if (rc < 0)
		return rc;
	/* Who pulls is told numbers, for which no file is read. */
	if (at.u->sink->kind->way.pulled)
		at.want.mark = NULL;
	rc = late_part(&at, acked < at.part.top ? acked : at.part.top,
	    from > at.part.base ? from : at.part.base + 1, out, err);
	if (out->kind == PB_PIECE_PACKETS && at.part.part > 0)
		out->epoch = at.part.key.epoch;
	/* What is behind it is another part's. */
	if (out->kind == PB_PIECE_NONE && out->last >= at.part.top)
		out->last = acked;
	return rc;
}

void
upstream_spoiled(struct pb_upstream *u, const struct pb_action *action,
    int rc, const char *text)
{
	struct pb_ship_dead dead = { .first = action->piece.first,
	    .last = action->piece.last, .reason = PB_DEAD_MALFORMED,
	    .text = text };

	if (!spoiled(u, rc))
		return;
	if (action->piece.letter)
		(void)upstream_dead_again(u, action->stream, &dead);
	else
		upstream_settle(u, action->stream, dead.first, dead.last);
}

void
pb_upstream_fill(struct pb_upstream *u, const struct pb_stream_info *stream,
    uint64_t first, uint64_t last, struct pb_lates *out)
{
	const struct pb_forks *forks = upstream_forks(u, stream->id);
	struct pb_late late = { .key = stream->key };

	if (!may_have(u, stream))
		return;
	strcpy(late.upstream, u->conf.name);
	for (unsigned part = 0; part <= forks->count; part++) {
		uint32_t id = PB_PART_ID(stream->id, part);
		uint64_t base = pb_forks_base(forks, part);
		uint64_t to = pb_forks_top(forks, part);
		uint64_t handed = pb_ship_handed(u->ship, id);

		late.first = first > base ? first : base + 1;
		if (to > last)
			to = last;
		if (late.first > to)
			continue;
		pb_ship_filled(u->ship, id, late.first);
		late.last = to < handed ? to : handed;
		/* What was not handed out goes in its turn. */
		if (late.first > late.last)
			continue;
		if (PB_LIST_ROOM(out->at, out->cap, out->count))
			out->at[out->count++] = late;
		else
			out->failed = true;
	}
}

/* --- letters ------------------------------------------------------------ */

static int
find_stream(struct place *at, struct pb_upstream *u, uint32_t id,
    struct pb_err *err)
{
	int rc = upstream_part(u, id, &at->part, err);

	at->u = u;
	at->stream = at->part.stream;
	return rc;
}

/* The next letter, but for what of it is another part's. */
static int
find_letter(const struct place *at, uint64_t from, struct pb_letter *out,
    struct pb_err *err)
{
	int rc = pb_letters_find(at->u->env.letters, at->u->conf.name,
	    &at->stream->key, from, out, err);

	if (rc == 1 && out->first > at->part.top)
		return 0;
	if (rc == 1 && out->last > at->part.top)
		out->last = at->part.top;
	return rc;
}

/* From `from` to `acked`, within the part. */
static int
late_part(const struct place *at, uint64_t acked, uint64_t from,
    struct pb_piece *out, struct pb_err *err)
{
	struct pb_letter letter;
	bool told = false;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < LETTERS_MAX && from <= acked; i++) {
		rc = find_letter(at, from, &letter, err);
		if (rc == 0 || (rc == 1 && letter.first > acked))
			from = acked + 1;
		if (rc <= 0 || letter.first > acked)
			break;
		rc = 0;
		if (from < letter.first)
			from = letter.first;
		if (letter.last > acked)
			letter.last = acked;
		if (letter.state == PB_LETTER_REQUEUED)
			rc = look_requeued(at, &letter, from, out, err);
		else if (letter.state == PB_LETTER_LATE)
			rc = look_late_only(at, &letter, from, out, err);
		else if (letter.state == PB_LETTER_GONE && !told)
			upstream_told(at->u, at->want.id,
			    at->part.base + 1, acked);
		told |= letter.state == PB_LETTER_GONE;
		if (rc < 0 || out->kind == PB_PIECE_PACKETS ||
		    out->kind == PB_PIECE_SOON)
			return rc;
		rc = 0;
		/* The store lost again what had come late. */
		if (out->kind == PB_PIECE_GAP) {
			letter.last = out->last;
			upstream_settle(at->u, at->want.id, from,
			    letter.last);
			memset(out, 0, sizeof(*out));
		}
		from = letter.last + 1;
	}
	out->last = from - 1;
	return rc < 0 ? rc : 0;
}

/* At `from`, within the part. */
static int
look_part(const struct place *at, uint64_t from, struct pb_piece *out,
    struct pb_err *err)
{
	struct pb_letter letter;
	uint64_t to = at->part.top;
	int rc = find_letter(at, from, &letter, err);

	if (rc < 0)
		return rc;
	if (rc == 1 && letter.first > from)
		to = letter.first - 1;
	if (rc == 0 || letter.first > from)
		return pb_feed_look(at->u->env.feed, at->stream, from, to,
		    &at->want, out, err);
	switch (letter.state) {
	case PB_LETTER_REQUEUED:
		rc = look_requeued(at, &letter, from, out, err);
		/* One that cannot be read is dead again. */
		return rc == 1 ? look_dead(at, &letter, from, out) : rc;
	case PB_LETTER_LATE:
		return look_late(at, &letter, from, out, err);
	case PB_LETTER_DEAD:
	case PB_LETTER_GONE:
		break;
	}
	return look_dead(at, &letter, from, out);
}

/* A gap, with those letters that follow right behind for the same reason. */
static int
look_dead(const struct place *at, const struct pb_letter *letter,
    uint64_t from, struct pb_piece *out)
{
	bool gone = letter->state == PB_LETTER_GONE;
	struct pb_letter next;
	struct pb_err err;

	*out = (struct pb_piece){ .kind = PB_PIECE_GAP, .first = from,
	    .last = letter->last, .recorded = true,
	    .reason = gone ? PB_GAP_EXPIRED : PB_GAP_DEAD_LETTERED };
	for (unsigned i = 0; i < GAP_LETTERS_MAX; i++) {
		if (find_letter(at, out->last + 1, &next, &err) != 1 ||
		    next.first != out->last + 1 || next.state !=
		    (gone ? PB_LETTER_GONE : PB_LETTER_DEAD))
			break;
		out->last = next.last;
	}
	return 0;
}

/* The piece; 1 where the file cannot be read: it is dead again. */
static int
look_requeued(const struct place *at, const struct pb_letter *letter,
    uint64_t from, struct pb_piece *out, struct pb_err *err)
{
	char text[PB_SHIP_TEXT_MAX];
	struct pb_ship_dead dead = { .first = letter->first,
	    .last = letter->last, .reason = PB_DEAD_MALFORMED,
	    .text = text };
	int rc;

	rc = pb_feed_letter(at->u->env.feed, &at->stream->key, letter, from,
	    &at->want, out, err);
	if (rc == 0) {
		out->letter = out->settles = true;
		return 0;
	}
	if (!spoiled(at->u, rc))
		return rc;
	memset(out, 0, sizeof(*out));
	snprintf(text, sizeof(text), "%.200s", err->text);
	if (upstream_dead_again(at->u, at->want.id, &dead))
		upstream_event(at->u, PB_LOG_WARN, at->stream->id, text);
	return 1;
}

/* What came late stands in the store; or a gap, if it went again. */
static int
look_late(const struct place *at, const struct pb_letter *letter,
    uint64_t from, struct pb_piece *out, struct pb_err *err)
{
	int rc = pb_feed_look(at->u->env.feed, at->stream, from, letter->last,
	    &at->want, out, err);

	out->settles = rc == 0 && out->kind == PB_PIECE_PACKETS;
	return rc;
}

/* The same; what cannot be read any more is as good as a gap. */
static int
look_late_only(const struct place *at, const struct pb_letter *letter,
    uint64_t from, struct pb_piece *out, struct pb_err *err)
{
	int rc = look_late(at, letter, from, out, err);

	if (!spoiled(at->u, rc))
		return rc;
	upstream_event(at->u, PB_LOG_WARN, at->stream->id, err->text);
	*out = (struct pb_piece){ .kind = PB_PIECE_GAP, .first = from,
	    .last = letter->last };
	return 0;
}

/* One that it is not to have may be one that it had, and will have again:
 * `streams` can change. */
static bool
may_have(const struct pb_upstream *u, const struct pb_stream_info *stream)
{
	char name[PB_STREAM_NAME_MAX];
	struct pb_cursor_row row;
	struct pb_err err;

	return pb_glob_list_match(u->conf.streams, pb_stream_name(name,
	    &stream->key)) || pb_state_cursor(u->env.state, u->conf.name,
	    &stream->key, &row, &err) == 1;
}

/* Trying again would not help. */
static bool
spoiled(const struct pb_upstream *u, int rc)
{
	return rc == PB_EFORMAT || rc == PB_EDIGEST ||
	    (rc == PB_ENOENT && u->env.there(u->env.arg));
}
