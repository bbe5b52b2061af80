/*
 * shipper/sink/sender.c - sends units out of a local interface, when due
 */
#include "shipper/sink/sender.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder/sift/sieve.h"
#include "recorder/transmit/engine/outlet.h"
#include "shipper/sink/mingle.h"
#include "shipper/sink/tempo.h"

#define BATCH		64u	/* frames offered by one call */
#define FULL_NS		20000000ull	/* a full queue is waited for */
#define STUCK_NS	(10 * PB_NS_PER_S)	/* and then it has failed */
#define NAMES_MS	100u		/* those in the filter, too */
#define UNFIT_NS	(60 * PB_NS_PER_S)	/* between two lines of it */

struct unit {
	const struct pb_sink_request *of;	/* NULL: none */
	bool		 mingled;	/* it is with the others */
	bool		 ended;
	uint64_t	 order;		/* of its end */
	uint64_t	 start_ns;	/* of its first frame; 0: not yet */
	unsigned	 pending;	/* of its frames, in the batch */
	struct pb_answer answer;
};

struct pb_sender {
	const struct pb_conf_upstream *conf;
	struct pb_outlet *outlet;	/* NULL: to be opened */
	struct pb_sieve	 sieve;
	struct pb_mingle *mingle;	/* NULL: to be made */
	struct pb_tempo	 tempo;
	struct unit	 unit[PB_SHIP_SLOTS];	/* by the request's number */
	struct pb_mingle_frame batch[BATCH];	/* to be sent, in order */
	unsigned	 frames;
	uint64_t	 ends;		/* of units, so far */
	uint64_t	 moved_ns;	/* when a frame was last taken */
	struct pb_sink_left_out left;
	uint64_t	 told_ns, told_unfit;
	uint64_t	 told_apart_ns;
};

static int	make_ready(struct pb_sender *, struct pb_err *);
static void	mingle_units(struct pb_sender *);
static uint64_t	fill(struct pb_sender *);
static int	send_batch(struct pb_sender *, struct pb_err *);
static int	wait_for_room(struct pb_sender *, struct pb_err *);
static void	refused(struct pb_sender *, const char *);
static void	passed(struct pb_sender *, unsigned);
static void	count_left(struct pb_sender *, const struct unit *,
		    const struct pb_mingle_left *);
static void	say_unfit(struct pb_sender *, const struct unit *,
		    const char *);
static void	end_units(struct pb_sender *);
static void	end_if_due(struct pb_sender *, unsigned, uint64_t);
static bool	follows(const struct unit *, const struct unit *);
static bool	leads(const struct pb_sender *, unsigned);
static void	end_all(struct pb_sender *, enum pb_outcome, const char *);
static void	end_unit(struct pb_sender *, unsigned, enum pb_outcome,
		    const char *);
static bool	at_hand(const struct unit *);
static bool	any_at_hand(const struct pb_sender *);
static void	tell_unfit(struct pb_sender *, uint64_t);
static void	count_apart(struct pb_sender *, uint64_t);

int
pb_sender_create(struct pb_sender **out,
    const struct pb_conf_upstream *conf, struct pb_err *err)
{
	struct pb_sender *sender = calloc(1, sizeof(*sender));

	*out = sender;
	if (sender == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for an upstream");
	sender->conf = conf;
	pb_tempo_init(&sender->tempo, conf->pace_original, conf->rate_limit);
	return 0;
}

void
pb_sender_destroy(struct pb_sender *sender)
{
	if (sender == NULL)
		return;
	pb_outlet_close(sender->outlet);
	pb_mingle_destroy(sender->mingle);
	pb_sieve_finish(&sender->sieve);
	free(sender);
}

void
pb_sender_add(struct pb_sender *sender, const struct pb_sink_request *request)
{
	sender->unit[request->action.request] = (struct unit){
	    .of = request, .answer.ours = true };
}

uint64_t
pb_sender_work(struct pb_sender *sender)
{
	uint64_t until_ns = UINT64_MAX, cut_ns;
	struct pb_err err;
	int rc = 0;

	if (!any_at_hand(sender))
		return until_ns;
	rc = make_ready(sender, &err);
	if (rc == 0) {
		mingle_units(sender);
		until_ns = fill(sender);
	}
	if (rc == 0 && sender->frames > 0) {
		until_ns = 0;
		rc = send_batch(sender, &err);
	}
	if (rc < 0) {
		pb_outlet_close(sender->outlet);
		sender->outlet = NULL;
		end_all(sender, PB_OUTCOME_FAILED, err.text);
		return 0;
	}
	end_units(sender);
	/* They may be cut before anything else is due. */
	cut_ns = pb_clock_mono_ns() + PB_SENDER_UNIT_NS;
	return until_ns > cut_ns && any_at_hand(sender) ? cut_ns : until_ns;
}

void
pb_sender_stop(struct pb_sender *sender)
{
	end_all(sender, PB_OUTCOME_PART, "");
	if (sender->left.unfit > sender->told_unfit)
		tell_unfit(sender, pb_clock_mono_ns());
}

bool
pb_sender_ended(struct pb_sender *sender, unsigned *request,
    struct pb_answer *answer)
{
	struct unit *first = NULL;

	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		struct unit *unit = &sender->unit[i];

		if (unit->of != NULL && unit->ended &&
		    (first == NULL || unit->order < first->order))
			first = unit;
	}
	if (first == NULL)
		return false;
	*request = (unsigned)(first - sender->unit);
	*answer = first->answer;
	first->of = NULL;
	return true;
}

const struct pb_sink_left_out *
pb_sender_left_out(const struct pb_sender *sender)
{
	return &sender->left;
}

/* --- frames ------------------------------------------------------------- */

static int
make_ready(struct pb_sender *sender, struct pb_err *err)
{
	const char *name = pb_conf_interface(sender->conf);
	int rc = 0;

	if (sender->mingle == NULL) {
		rc = pb_sieve_make(&sender->sieve, sender->conf->filter,
		    PB_LINKTYPE_ETHERNET, NAMES_MS, err);
		if (rc == 0)
			rc = pb_mingle_create(&sender->mingle,
			    sender->sieve.filter, sender->conf->pace_original,
			    err);
	}
	if (rc == 0 && sender->outlet == NULL) {
		rc = pb_outlet_open(&sender->outlet, name, NULL, err);
		if (rc < 0)
			sender->outlet = NULL;
		else
			rc = pb_outlet_look(sender->outlet, err);
	}
	return rc;
}

static void
mingle_units(struct pb_sender *sender)
{
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		struct unit *unit = &sender->unit[i];
		const struct pb_sink_request *of = unit->of;

		if (of == NULL || unit->mingled || unit->ended)
			continue;
		/* On a wire nobody misses what is not there; but that it was
		 * told says that the interface is there. */
		if (of->action.kind == PB_ACTION_GAP) {
			end_unit(sender, i, PB_OUTCOME_HAS, "");
			continue;
		}
		unit->mingled = true;
		pb_mingle_add(sender->mingle, i, &(struct pb_mingle_unit){
		    .data = of->payload.data, .len = of->payload.len,
		    .stream = of->action.stream, .in_turn = !of->action.late,
		    .more = of->action.more, .coming = of->coming,
		    .first = of->action.piece.first,
		    .last = of->action.piece.last,
		    .real_ns = pb_clock_real_ns() }, pb_clock_mono_ns());
	}
}

/* What is due; when the next one is. */
static uint64_t
fill(struct pb_sender *sender)
{
	uint64_t now_ns = pb_clock_mono_ns(), until_ns = 0;

	if (sender->frames == 0)
		sender->moved_ns = now_ns;
	while (sender->frames < BATCH) {
		const struct pb_mingle_frame *next;
		struct unit *unit;

		next = pb_mingle_peek(sender->mingle, now_ns, &until_ns);
		count_apart(sender, now_ns);
		if (next == NULL)
			break;
		if (next->anew)
			pb_tempo_again(&sender->tempo);
		until_ns = pb_tempo_next(&sender->tempo, next->common_ns,
		    next->frame.len, now_ns);
		if (until_ns > now_ns)
			break;
		unit = &sender->unit[next->unit];
		unit->pending++;
		if (unit->start_ns == 0)
			unit->start_ns = now_ns;
		sender->batch[sender->frames++] = *next;
		pb_mingle_take(sender->mingle, next->unit);
	}
	return until_ns;
}

/* As many of them as the interface takes now. */
static int
send_batch(struct pb_sender *sender, struct pb_err *err)
{
	struct pb_frame frame[BATCH];
	uint32_t bytes_max;
	int rc;

	for (unsigned i = 0; i < sender->frames; i++)
		frame[i] = sender->batch[i].frame;
	rc = pb_outlet_send(sender->outlet, frame, sender->frames, err);
	if (rc > 0)
		passed(sender, (unsigned)rc);
	if (rc == 0)
		return wait_for_room(sender, err);
	if (rc != PB_EFORMAT)
		return rc < 0 ? rc : 0;
	/* Another MTU since it was last looked at? */
	bytes_max = pb_outlet_bytes_max(sender->outlet, false);
	rc = pb_outlet_look(sender->outlet, NULL);
	if (rc == 0 && bytes_max == pb_outlet_bytes_max(sender->outlet, false))
		refused(sender, err->text);
	return 0;
}

static int
wait_for_room(struct pb_sender *sender, struct pb_err *err)
{
	if (pb_clock_mono_ns() - sender->moved_ns >= STUCK_NS)
		return pb_err_set(err, PB_EBUSY, "interface %s has taken "
		    "nothing for %u s", pb_conf_interface(sender->conf),
		    (unsigned)(STUCK_NS / PB_NS_PER_S));
	return pb_outlet_wait(sender->outlet, FULL_NS, err);
}

/* The interface does not carry the first one. */
static void
refused(struct pb_sender *sender, const char *why)
{
	char text[PB_SHIP_TEXT_MAX];

	snprintf(text, sizeof(text), "packet %" PRIu64 ": %.200s",
	    sender->batch[0].seq, why);
	say_unfit(sender, &sender->unit[sender->batch[0].unit], text);
	sender->left.unfit++;
	passed(sender, 1);
}

/* The first `count` of the batch are done with. */
static void
passed(struct pb_sender *sender, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct pb_mingle_frame *frame = &sender->batch[i];
		struct unit *unit = &sender->unit[frame->unit];

		unit->pending--;
		unit->answer.acked = frame->seq;
		count_left(sender, unit, &frame->left);
	}
	sender->moved_ns = pb_clock_mono_ns();
	sender->frames -= count;
	memmove(sender->batch, sender->batch + count,
	    sender->frames * sizeof(sender->batch[0]));
}

static void
count_left(struct pb_sender *sender, const struct unit *unit,
    const struct pb_mingle_left *left)
{
	sender->left.filtered += left->filtered;
	sender->left.unfit += left->unfit;
	if (left->unfit > 0)
		say_unfit(sender, unit, pb_mingle_unfit(sender->mingle));
}

/* Numbers are a stream's. */
static void
say_unfit(struct pb_sender *sender, const struct unit *unit,
    const char *packet)
{
	const struct pb_stream_key *key = &unit->of->key;

	snprintf(sender->left.text, sizeof(sender->left.text),
	    "%s/%s %.100s", key->node, key->interface, packet);
}

/* --- the ends of units -------------------------------------------------- */

/* Those that are through; and those that take long, so that what of them has
 * gone is remembered. */
static void
end_units(struct pb_sender *sender)
{
	uint64_t now_ns = pb_clock_mono_ns(), before;

	do {
		before = sender->ends;
		for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
			if (at_hand(&sender->unit[i]) &&
			    sender->unit[i].pending == 0 && leads(sender, i))
				end_if_due(sender, i, now_ns);
	} while (sender->ends > before);
	if (sender->left.unfit > sender->told_unfit &&
	    (sender->told_ns == 0 || now_ns - sender->told_ns >= UNFIT_NS))
		tell_unfit(sender, now_ns);
}

static void
end_if_due(struct pb_sender *sender, unsigned i, uint64_t now_ns)
{
	struct unit *unit = &sender->unit[i];
	struct pb_mingle_left left;
	enum pb_mingle_end how;

	if (pb_mingle_ended(sender->mingle, i, &how, &left)) {
		count_left(sender, unit, &left);
		end_unit(sender, i, how == PB_MINGLE_WHOLE ? PB_OUTCOME_HAS :
		    PB_OUTCOME_MALFORMED,
		    "it is not as a section of ours is");
	} else if (unit->start_ns != 0 &&
	    now_ns - unit->start_ns >= PB_SENDER_UNIT_NS) {
		end_unit(sender, i, PB_OUTCOME_PART, "");
	}
	/* What is behind it is not to be sent. */
	if (unit->ended && unit->answer.outcome != PB_OUTCOME_HAS)
		for (unsigned j = 0; j < PB_SHIP_SLOTS; j++)
			if (at_hand(&sender->unit[j]) &&
			    follows(&sender->unit[j], unit))
				end_unit(sender, j, PB_OUTCOME_PART, "");
}

/* Of one stream, in its turn? */
static bool
follows(const struct unit *unit, const struct unit *before)
{
	const struct pb_action *a = &unit->of->action;
	const struct pb_action *b = &before->of->action;

	return !a->late && !b->late && a->stream == b->stream &&
	    a->piece.first > b->piece.first;
}

/* Are all units of its stream before it through? */
static bool
leads(const struct pb_sender *sender, unsigned i)
{
	for (unsigned j = 0; j < PB_SHIP_SLOTS; j++)
		if (at_hand(&sender->unit[j]) &&
		    follows(&sender->unit[i], &sender->unit[j]))
			return false;
	return true;
}

/* All of them. */
static void
end_all(struct pb_sender *sender, enum pb_outcome outcome, const char *text)
{
	sender->frames = 0;
	/* At most so many of a stream. */
	for (unsigned n = 0; n < PB_SHIP_SLOTS && any_at_hand(sender); n++)
		for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
			if (at_hand(&sender->unit[i]) && leads(sender, i))
				end_unit(sender, i, outcome, text);
}

static void
end_unit(struct pb_sender *sender, unsigned i, enum pb_outcome outcome,
    const char *text)
{
	struct unit *unit = &sender->unit[i];

	unit->ended = true;
	unit->order = ++sender->ends;
	unit->answer.outcome = outcome;
	if (outcome != PB_OUTCOME_HAS)
		snprintf(unit->answer.text, sizeof(unit->answer.text), "%s",
		    text);
	if (unit->mingled)
		pb_mingle_remove(sender->mingle, i,
		    outcome == PB_OUTCOME_PART ||
		    (outcome == PB_OUTCOME_HAS && unit->of->action.more),
		    pb_clock_mono_ns());
}

static void
tell_unfit(struct pb_sender *sender, uint64_t now_ns)
{
	pb_log(PB_LOG_WARN, "shipper", "%" PRIu64 " packets were not sent, as "
	    "the interface cannot carry them as they were; the last one was "
	    "%s upstream=%s", sender->left.unfit - sender->told_unfit,
	    sender->left.text, sender->conf->name);
	sender->told_ns = now_ns;
	sender->told_unfit = sender->left.unfit;
}

/* Streams whose clocks are apart, a line a minute. */
static void
count_apart(struct pb_sender *sender, uint64_t now_ns)
{
	const struct pb_mingle_moved *moved = pb_mingle_moved(sender->mingle);
	struct pb_sink_left_out *left = &sender->left;
	const struct pb_stream_key *key = NULL;

	if (moved->streams == left->apart)
		return;
	left->apart = moved->streams;
	left->apart_ns = moved->by_ns;
	if (sender->told_apart_ns != 0 &&
	    now_ns - sender->told_apart_ns < UNFIT_NS)
		return;
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		if (at_hand(&sender->unit[i]) &&
		    sender->unit[i].of->action.stream == moved->stream)
			key = &sender->unit[i].of->key;
	sender->told_apart_ns = now_ns;
	pb_log(PB_LOG_WARN, "shipper", "packets are too far behind those that "
	    "went before, and keep their distances by a clock of their own; "
	    "the last: %s/%s, %.1f s behind upstream=%s", key == NULL ? "" :
	    key->node, key == NULL ? "" : key->interface,
	    (double)moved->by_ns / PB_NS_PER_S, sender->conf->name);
}

static bool
at_hand(const struct unit *unit)
{
	return unit->of != NULL && !unit->ended;
}

static bool
any_at_hand(const struct pb_sender *sender)
{
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		if (at_hand(&sender->unit[i]))
			return true;
	return false;
}
