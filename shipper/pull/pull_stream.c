/*
 * shipper/pull/pull_stream.c - what is next for a stream of an edge
 */
#include <stdlib.h>
#include <string.h>

#include "shipper/pull/pull_impl.h"

static bool	ack(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_pull_action *);
static bool	ask(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_pull_action *);
static bool	ask_there(struct pb_pull *, struct pb_pull_stream *, uint64_t,
		    uint32_t, struct pb_pull_action *);
static bool	ask_here(struct pb_pull *, struct pb_pull_stream *, uint64_t,
		    struct pb_pull_action *);
static bool	pass(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_pull_action *);
static bool	fork(struct pb_pull_stream *, struct pb_pull_action *);
static bool	hand(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_pull_action *);
static bool	fetch(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_pull_action *);
static bool	some_to_hand(const struct pb_pull_stream *);
static struct pull_piece *next_to_hand(const struct pb_pull_stream *);

bool
pull_step(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_action *out)
{
	if (ack(pull, s, out))
		return true;
	if (!pull_is_due(pull, &s->retry_ms))
		return false;
	if (s->certainty == PULL_SURE && s->doubt && s->flights == 0 &&
	    !some_to_hand(s) && (s->ask || s->there > s->here ||
	    pull_late_waits(s)))
		s->certainty = PULL_UNSURE;
	switch (s->certainty) {
	case PULL_SURE:
		break;
	case PULL_PAST:
		return s->flights == 0 && pass(pull, s, out);
	case PULL_KEEP:
		return s->flights == 0 && fork(s, out);
	default:
		return s->flights == 0 && ask(pull, s, out);
	}
	return hand(pull, s, out) || fetch(pull, s, out);
}

bool
pull_is_due(struct pb_pull *pull, uint64_t *when_ms)
{
	if (pull->now_ms >= *when_ms) {
		*when_ms = 0;
		return true;
	}
	pull_at(pull, *when_ms);
	return false;
}

void
pull_begin(const struct pb_pull_stream *s, enum pb_pull_kind kind,
    uint64_t number, struct pb_pull_action *out)
{
	*out = (struct pb_pull_action){ .kind = kind, .key = &s->key,
	    .stream = (struct pb_pull_stream *)s, .linktype = s->linktype,
	    .epoch = pull_epoch(s, pull_forks(s)->count), .number = number };
}

/* --- what is durable ------------------------------------------------------ */

/* The newest number, one request at a time. */
static bool
ack(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_action *out)
{
	bool late = s->late_ack.last != 0;

	if (s->acking || s->certainty != PULL_SURE || !pull->up ||
	    (s->told >= s->here && !late) || !pull_is_due(pull, &s->ack_ms) ||
	    !pull_may_ask(pull, s))
		return false;
	pull_begin(s, PB_PULL_ACK, late ? s->late_ack.last : s->here, out);
	out->late = late;
	out->first = late ? s->late_ack.first : 0;
	s->acking = true;
	pull->flights++;
	return true;
}

/* --- whose packets they are ----------------------------------------------- */

/* Nothing is under way while it is asked, so that both answers are of now. */
static bool
ask(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_action *out)
{
	if (!s->listed || !pull->up)
		return false;
	switch (s->certainty) {
	case PULL_THERE:
		return ask_there(pull, s, s->last.seq, s->last.captured, out);
	case PULL_PIECE:
		return ask_there(pull, s, TAILQ_FIRST(&s->pieces)->of.last, 0,
		    out);
	case PULL_SEEN:
		return ask_there(pull, s, s->search.ours.seq,
		    s->search.ours.captured, out);
	case PULL_SEEK:
		return ask_here(pull, s, s->search.look, out);
	case PULL_MINE:
		return ask_here(pull, s, s->search.first.seq, out);
	default:
		break;
	}
	if (!ask_here(pull, s, 0, out))
		return false;
	s->certainty = PULL_HERE;
	s->doubt = s->ask = false;
	return true;
}

static bool
ask_there(struct pb_pull *pull, struct pb_pull_stream *s, uint64_t number,
    uint32_t captured, struct pb_pull_action *out)
{
	if (!pull_may_ask(pull, s))
		return false;
	pull_begin(s, PB_PULL_THERE, number, out);
	out->captured = captured;
	s->search.questions++;
	s->flights++;
	pull->flights++;
	return true;
}

/* Where a number is given, under the epoch that it has. */
static bool
ask_here(struct pb_pull *pull, struct pb_pull_stream *s, uint64_t number,
    struct pb_pull_action *out)
{
	if (!pull_may_hand(pull, s))
		return false;
	pull_begin(s, PB_PULL_HERE, number, out);
	if (number != 0)
		out->epoch = pull_epoch(s, pull_part(s, number));
	pull_hand_begins(pull, s);
	return true;
}

/* The first packet there that is not here. */
static bool
pass(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_action *out)
{
	size_t bytes = pull_bytes(pull, s);

	if (!s->listed || !pull->up || !pull_may_ask(pull, s) ||
	    !pull_may_bring(pull, s, bytes))
		return false;
	pull_begin(s, PB_PULL_FETCH, s->search.past, out);
	out->epoch = s->key.epoch;
	pull_bring(pull, out, bytes);
	return true;
}

static bool
fork(struct pb_pull_stream *s, struct pb_pull_action *out)
{
	pull_begin(s, PB_PULL_FORK, 0, out);
	out->forks = s->next;
	s->flights++;
	return true;
}

void
pull_doubt(struct pb_pull *pull, struct pb_pull_stream *s)
{
	s->doubt = true;
	pull_wake(pull, s);
}

bool
pull_may_ask(struct pb_pull *pull, struct pb_pull_stream *s)
{
	if (pull->flights < PB_PULL_FLIGHTS_MAX)
		return true;
	pull_starve(pull, s);
	return false;
}

/* --- to our recorder ------------------------------------------------------ */

static bool
hand(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_action *out)
{
	struct pull_piece *piece = next_to_hand(s);

	if (piece == NULL || !pull_may_hand(pull, s))
		return false;
	pull_begin(s, PB_PULL_HAND, piece->of.last, out);
	out->piece = &piece->of;
	piece->handing = true;
	pull_hand_begins(pull, s);
	return true;
}

bool
pull_may_hand(struct pb_pull *pull, struct pb_pull_stream *s)
{
	if (pull->hands < PB_PULL_HANDS_MAX &&
	    pull->opts.budget->hands < pull->opts.budget->hands_max)
		return true;
	pull_starve(pull, s);
	return false;
}

void
pull_hand_begins(struct pb_pull *pull, struct pb_pull_stream *s)
{
	s->flights++;
	pull->hands++;
	pull->opts.budget->hands++;
}

static struct pull_piece *
next_to_hand(const struct pb_pull_stream *s)
{
	struct pull_piece *piece;

	TAILQ_FOREACH(piece, &s->pieces, link)
		if (!piece->handing)
			return piece->sure && !piece->coming ? piece : NULL;
	return NULL;
}

static bool
some_to_hand(const struct pb_pull_stream *s)
{
	return next_to_hand(s) != NULL;
}

/* --- from the edge -------------------------------------------------------- */

/*
 * What is known of is expected at once, so that many come at a time however
 * long each takes; else its head is waited for.  Who has some on their way
 * lets others go first, once: then it has waited as they have.
 */
static bool
fetch(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_action *out)
{
	size_t bytes = pull_bytes(pull, s);
	bool known = s->knows > 0 && s->known[0].bytes <= bytes;

	if (s->fetching || s->doubt || !s->listed || !pull->up ||
	    s->asked >= s->there || s->coming >= PB_PULL_AHEAD_MAX)
		return false;
	if (known)
		bytes = s->known[0].bytes > PB_PULL_BYTES_MIN ?
		    s->known[0].bytes : PB_PULL_BYTES_MIN;
	if (s->coming > 0 && !pull->waited && !TAILQ_EMPTY(&pull->starved)) {
		pull_starve(pull, s);
		return false;
	}
	if (!pull_may_ask(pull, s) || !pull_may_bring(pull, s, bytes))
		return false;
	pull_begin(s, PB_PULL_FETCH, s->asked, out);
	pull_bring(pull, out, bytes);
	if (known && pull_expect(s, s->known[0].last))
		return true;
	s->fetching = true;
	s->fetch_from = s->asked;
	return true;
}

bool
pull_expect(struct pb_pull_stream *s, uint64_t last)
{
	struct pull_piece *piece = pull_add_piece(s, s->asked + 1, last);

	if (piece == NULL)
		return false;
	piece->coming = true;
	s->coming++;
	return true;
}

void
pull_take_bytes(struct pb_pull *pull, size_t bytes)
{
	pull->bytes += bytes;
	pull->opts.budget->bytes += bytes;
}

void
pull_give_bytes(struct pb_pull *pull, size_t bytes)
{
	pull->bytes -= bytes;
	pull->opts.budget->bytes -= bytes;
}

void
pull_drop_piece(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pull_piece *piece)
{
	TAILQ_REMOVE(&s->pieces, piece, link);
	s->coming -= piece->coming;
	pull_give_bytes(pull, piece->of.body.len);
	pb_buf_finish(&piece->of.body);
	free(piece);
}

struct pull_piece *
pull_add_piece(struct pb_pull_stream *s, uint64_t first, uint64_t last)
{
	struct pull_piece *piece = calloc(1, sizeof(*piece));

	if (piece == NULL)
		return NULL;
	piece->of.first = first;
	piece->of.last = last;
	TAILQ_INSERT_TAIL(&s->pieces, piece, link);
	s->asked = last;
	while (s->knows > 0 && s->known[0].last <= last)
		memmove(s->known, s->known + 1, --s->knows * sizeof(*s->known));
	return piece;
}

void
pull_drop_from(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pull_piece *piece)
{
	struct pull_piece *next;

	pull_ask_behind(s, piece->of.first - 1);
	for (; piece != NULL; piece = next) {
		next = TAILQ_NEXT(piece, link);
		pull_drop_piece(pull, s, piece);
	}
}

void
pull_end_piece(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pull_piece *piece, uint64_t last)
{
	struct pull_piece *behind = TAILQ_NEXT(piece, link);

	if (piece->of.last == last)
		return;
	if (behind != NULL)
		pull_drop_from(pull, s, behind);
	piece->of.last = last;
	pull_ask_behind(s, last);
}

void
pull_ask_behind(struct pb_pull_stream *s, uint64_t number)
{
	s->asked = number;
	s->knows = 0;
	s->fetching = false;
}

void
pull_drop_pieces(struct pb_pull *pull, struct pb_pull_stream *s)
{
	struct pull_piece *piece;

	while ((piece = TAILQ_FIRST(&s->pieces)) != NULL)
		pull_drop_piece(pull, s, piece);
}
