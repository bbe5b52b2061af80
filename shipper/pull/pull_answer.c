/*
 * shipper/pull/pull_answer.c - what follows from answers about a stream
 *
 * Whoever answers late answers for nothing: a piece that was dropped is not
 * there, a stream that is unsure is asked about again.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "shipper/pull/pull_impl.h"

#define SLOW_MS		PB_SHIP_PIECE_MS	/* a fetch: halved */
#define NOTHING_MS	1000u	/* until it is asked for again */

static void	here(struct pb_pull *, struct pb_pull_stream *,
		    const struct pb_pull_answer *);
static void	there(struct pb_pull *, struct pb_pull_stream *,
		    const struct pb_pull_answer *);
static void	fetched(struct pb_pull *, struct pb_pull_stream *,
		    const struct pb_pull_action *, struct pb_pull_answer *);
static void	handed(struct pb_pull *, struct pb_pull_stream *,
		    struct pull_piece *, const struct pb_pull_answer *);
static void	acked(struct pb_pull *, struct pb_pull_stream *,
		    const struct pb_pull_action *,
		    const struct pb_pull_answer *);
static void	gone(struct pb_pull *, struct pb_pull_stream *);
static void	sure(struct pb_pull *, struct pb_pull_stream *);
static void	keep(struct pb_pull *, struct pb_pull_stream *,
		    struct pb_pull_piece *, bool);
static bool	fits(const struct pb_pull_stream *,
		    const struct pb_pull_action *,
		    const struct pb_pull_piece *);
static void	resize(struct pb_pull *, struct pb_pull_stream *,
		    const struct pb_pull_action *, size_t);
static void	trouble(struct pb_pull *, struct pb_pull_stream *,
		    const struct pb_pull_answer *);
static void	refuse(struct pb_pull *, struct pb_pull_stream *,
		    const char *, ...) __attribute__((format(printf, 3, 4)));
static void	wait_for(struct pb_pull *, struct pb_pull_stream *,
		    const char *, uint64_t);
static void	unsure(struct pb_pull_stream *);
static void	released(struct pb_pull_stream *);

void
pull_stream_answer(struct pb_pull *pull, const struct pb_pull_action *action,
    struct pb_pull_answer *answer)
{
	struct pb_pull_budget *budget = pull->opts.budget;
	struct pb_pull_stream *s = action->stream;

	if (action->kind == PB_PULL_HERE || action->kind == PB_PULL_HAND)
		budget->hands--;
	else
		pull->flights--;
	if (action->kind != PB_PULL_ACK)
		s->flights--;
	switch (action->kind) {
	case PB_PULL_HERE:
		here(pull, s, answer);
		break;
	case PB_PULL_THERE:
		there(pull, s, answer);
		break;
	case PB_PULL_FETCH:
		fetched(pull, s, action, answer);
		break;
	case PB_PULL_HAND:
		if (!action->late)
			handed(pull, s, (struct pull_piece *)(void *)
			    action->piece, answer);
		else if (!pull_late_handed(pull, s, answer))
			trouble(pull, s, answer);
		break;
	case PB_PULL_ACK:
		acked(pull, s, action, answer);
		break;
	case PB_PULL_LIST:
		break;
	}
	pull_wake(pull, s);
}

/* --- whose packets they are ----------------------------------------------- */

static void
here(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_answer *answer)
{
	struct pull_piece *piece;

	if (answer->outcome != PB_PULL_DONE) {
		trouble(pull, s, answer);
		return;
	}
	s->here = s->asked = answer->acked;
	s->last = answer->last;
	s->told = 0;
	while ((piece = TAILQ_FIRST(&s->pieces)) != NULL &&
	    piece->of.last <= s->here)
		pull_drop_piece(pull, s, piece);
	/* What is kept follows, or is of no use. */
	if (piece != NULL && piece->of.first > s->here + 1)
		pull_drop_pieces(pull, s);
	piece = TAILQ_LAST(&s->pieces, pull_pieces);
	if (piece != NULL)
		s->asked = piece->of.last;
	s->certainty = PULL_THERE;
	if (s->last.seq == 0)
		sure(pull, s);
}

/*
 * The same packet is what all is about.  One that the edge does not have any
 * more, though its numbers went on, tells nothing.
 */
static void
there(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_answer *answer)
{
	const struct pb_fingerprint *last = &answer->last;

	if (answer->outcome != PB_PULL_DONE)
		trouble(pull, s, answer);
	else if (answer->acked == 0)
		gone(pull, s);
	else if (answer->acked < s->here)
		refuse(pull, s, "its numbers went back to %" PRIu64 ", and "
		    "packets up to %" PRIu64 " are here: nothing more is taken "
		    "of this epoch; it goes on once the edge has passed that "
		    "with the same packets, or numbers them under another "
		    "epoch", answer->acked, s->here);
	else if (last->seq == s->last.seq && last->digest != s->last.digest)
		refuse(pull, s, "packet %" PRIu64 " is another one than here, "
		    "so that those behind it are, too: nothing more is taken "
		    "of this epoch; was it put back from a copy, or is it one "
		    "of two that have the same?", last->seq);
	else
		sure(pull, s);
}

/* It was wiped, and begins under another epoch. */
static void
gone(struct pb_pull *pull, struct pb_pull_stream *s)
{
	if (s->there > s->here)
		pull_event(pull, PB_LOG_WARN, s, "it has nothing of this "
		    "epoch any more; packets %" PRIu64 " to %" PRIu64 " were "
		    "not fetched", s->here + 1, s->there);
	s->listed = false;
	s->there = s->here;
	unsure(s);
	released(s);
}

/*
 * What had been sure before, and was kept, is not what was compared: those
 * packets go first, and then it is asked again.  They may be of an edge whose
 * place another one has taken, that has the same packets up to `here` only.
 */
static void
sure(struct pb_pull *pull, struct pb_pull_stream *s)
{
	struct pull_piece *piece = TAILQ_FIRST(&s->pieces);

	s->certainty = PULL_SURE;
	if (piece != NULL && piece->sure) {
		s->doubt = s->ask = true;
	} else {
		TAILQ_FOREACH(piece, &s->pieces, link)
			piece->sure = true;
		if (s->late_piece != NULL)
			s->late_piece->sure = true;
	}
	if (s->there <= s->here)
		released(s);
	pull_wake(pull, s);
}

/* --- from the edge -------------------------------------------------------- */

static void
fetched(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_action *action, struct pb_pull_answer *answer)
{
	pull_give_bytes(pull, pull_reserve(action->bytes_max));
	if (answer->outcome == PB_PULL_DONE && answer->piece.first == 0)
		answer->piece.first = action->number + 1;
	if (action->late) {
		if (!pull_late_fetched(pull, s, action, answer))
			trouble(pull, s, answer);
		return;
	}
	s->fetching = false;
	switch (answer->outcome) {
	case PB_PULL_DONE:
		if (fits(s, action, &answer->piece)) {
			resize(pull, s, action, answer->piece.body.len);
			keep(pull, s, &answer->piece, answer->fresh);
			return;
		}
		pb_buf_finish(&answer->piece.body);
		answer->text = "it answers other packets than it was asked "
		    "for";
		trouble(pull, s, answer);
		return;
	case PB_PULL_NOTHING:
		s->retry_ms = pull->now_ms + NOTHING_MS;
		return;
	case PB_PULL_GONE:
		gone(pull, s);
		return;
	case PB_PULL_TOO_LARGE:
		if (s->bytes_max < PB_PULL_BYTES_MAX) {
			s->bytes_max *= 2;
			return;
		}
		break;
	case PB_PULL_REFUSED:
		refuse(pull, s, "%s", answer->text);
		return;
	default:
		break;
	}
	trouble(pull, s, answer);
}

static bool
fits(const struct pb_pull_stream *s, const struct pb_pull_action *action,
    const struct pb_pull_piece *piece)
{
	return piece->first == action->number + 1 &&
	    piece->last >= piece->first && piece->last <= INT64_MAX &&
	    s->asked == action->number;
}

/* Of another connection than those before: it waits until the edge has shown
 * that it is the same. */
static void
keep(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pb_pull_piece *of, bool fresh)
{
	struct pull_piece *piece = calloc(1, sizeof(*piece));

	if (piece == NULL) {
		pb_buf_finish(&of->body);
		return;		/* it is fetched again */
	}
	piece->of = *of;
	piece->sure = !fresh && s->certainty == PULL_SURE && !s->doubt;
	TAILQ_INSERT_TAIL(&s->pieces, piece, link);
	pull_take_bytes(pull, of->body.len);
	s->asked = of->last;
	if (!piece->sure) {
		s->ask = true;
		pull_doubt(pull, s);
	}
}

static void
resize(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_action *action, size_t came)
{
	uint64_t took_ms = pull->now_ms - s->fetch_began_ms;

	if (took_ms > SLOW_MS && s->bytes_max > PB_PULL_BYTES_MIN)
		s->bytes_max = action->bytes_max / 2;
	else if (took_ms < SLOW_MS / 2 && came > action->bytes_max / 2 &&
	    s->bytes_max < PB_PULL_BYTES_MAX)
		s->bytes_max = action->bytes_max * 2;
}

/* --- to our recorder ------------------------------------------------------ */

static void
handed(struct pb_pull *pull, struct pb_pull_stream *s,
    struct pull_piece *piece, const struct pb_pull_answer *answer)
{
	piece->handing = false;
	switch (answer->outcome) {
	case PB_PULL_DONE:
		if (answer->acked < piece->of.last)
			break;
		if (piece->of.reason == 0)
			pull->packets += piece->of.last - piece->of.first + 1;
		pull->body_bytes += piece->of.body.len;
		pull->progress_ms = pull->now_ms;
		if (s->here < piece->of.last)
			s->here = piece->of.last;
		pull_drop_piece(pull, s, piece);
		released(s);
		return;
	case PB_PULL_BROKEN:
		pull_drop_piece(pull, s, piece);
		unsure(s);
		refuse(pull, s, "what it sent is not taken: %s",
		    answer->text);
		return;
	case PB_PULL_REFUSED:
		unsure(s);
		refuse(pull, s, "%s", answer->text);
		return;
	case PB_PULL_BEHIND:
		if (s->troubles == 0) {
			s->troubles++;
			unsure(s);
			return;
		}
		break;
	default:
		break;
	}
	trouble(pull, s, answer);
}

static void
acked(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_action *action, const struct pb_pull_answer *answer)
{
	uint64_t wait;

	s->acking = false;
	if (answer->outcome == PB_PULL_DONE) {
		s->ack_troubles = 0;
		if (action->late)
			s->late_ack.last = 0;
		else if (action->number > s->told)
			s->told = action->number;
		return;
	}
	/* It has not that many: another one than it was. */
	if (answer->outcome == PB_PULL_BEHIND)
		pull_doubt(pull, s);
	pull_error(pull, answer->text);
	wait = pull_doubled_ms(NOTHING_MS, s->ack_troubles++,
	    PB_BACKOFF_MS_MAX);
	if (answer->retry_after_ms > wait)
		wait = answer->retry_after_ms < PB_RETRY_AFTER_MS_MAX ?
		    answer->retry_after_ms : PB_RETRY_AFTER_MS_MAX;
	s->ack_ms = pull->now_ms + wait;
}

/* --- what goes wrong ------------------------------------------------------ */

static void
unsure(struct pb_pull_stream *s)
{
	s->certainty = PULL_UNSURE;
	s->doubt = false;
}

/* Not this time. */
static void
trouble(struct pb_pull *pull, struct pb_pull_stream *s,
    const struct pb_pull_answer *answer)
{
	uint64_t wait;

	unsure(s);
	s->troubles++;
	wait = pull_backoff_ms(pull, s->troubles);
	if (answer->retry_after_ms > wait)
		wait = answer->retry_after_ms < PB_RETRY_AFTER_MS_MAX ?
		    answer->retry_after_ms : PB_RETRY_AFTER_MS_MAX;
	if (s->troubles == PB_TROUBLES_MAX)
		pull_event(pull, PB_LOG_WARN, s, "%s", answer->text);
	wait_for(pull, s, answer->text, wait);
}

/* As long as something stays as it is: less and less often. */
static void
refuse(struct pb_pull *pull, struct pb_pull_stream *s, const char *fmt, ...)
{
	char text[PB_SHIP_TEXT_MAX * 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	unsure(s);
	if (s->text == NULL || strcmp(s->text, text) != 0)
		pull_event(pull, PB_LOG_ERROR, s, "%s", text);
	wait_for(pull, s, text, pull_doubled_ms(PB_REFUSED_MS_FIRST,
	    s->troubles++, PB_REFUSED_MS_MAX));
}

static void
wait_for(struct pb_pull *pull, struct pb_pull_stream *s, const char *text,
    uint64_t ms)
{
	char stream[PB_STREAM_NAME_MAX], line[PB_SHIP_TEXT_MAX * 2];
	char clean[PB_SHIP_TEXT_MAX];

	free(s->text);
	s->text = strdup(text);		/* without memory it has none */
	s->refused = true;
	s->retry_ms = pull->now_ms + ms;
	snprintf(line, sizeof(line), "%s: %s", pb_stream_name(stream, &s->key),
	    text);
	/* Whatever an interface is called there. */
	pb_utf8_clean(clean, sizeof(clean), line, strlen(line) <
	    sizeof(clean) ? strlen(line) : sizeof(clean) - 1);
	pull_error(pull, clean);
}

static void
released(struct pb_pull_stream *s)
{
	free(s->text);
	s->text = NULL;
	s->refused = false;
	s->troubles = 0;
}
