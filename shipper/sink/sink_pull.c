/*
 * shipper/sink/sink_pull.c - packets for who comes for them: pull:
 *
 * Nothing is sent.  A question is answered by whether it is there.  Letters
 * whose numbers it has passed it has, for the recorder gave it their packets
 * in their turn.  What came late is under way until it says that it has it.
 */
#include "shipper/sink/sink_pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

enum slot_state { FREE, HELD, ENDED };

struct slot {
	enum slot_state	 state;
	uint32_t	 stream;
	uint64_t	 first, last;
	uint64_t	 until_ms;	/* HELD */
	struct pb_answer answer;
};

struct late {
	uint32_t	 stream;	/* 0: none */
	uint64_t	 first, last;
};

struct sink_pull {
	struct pb_sink	 sink;
	int		 wake;
	uint64_t	 patience_ms;
	uint64_t	 owes_ms_max;	/* before it counts as away */
	bool		 owes;		/* for too long, as of the last turn, */
	uint64_t	 owed_ns;	/* since then, on the wall clock */
	uint64_t	 now_ms;	/* of that turn */
	uint64_t	 until_ms;	/* it is there */
	uint64_t	 asked_ns;	/* when it asked last, on the wall
					 * clock; at first when this began */
	struct pb_sink_left_out left_out;
	char		 text[PB_SHIP_TEXT_MAX];
	struct slot	 slot[PB_SHIP_SLOTS];	/* by the request's number */
	struct late	 late[PB_SINK_LATES];	/* a ring */
	unsigned	 lates;
};

static int	pull_create(struct pb_sink **, const struct pb_sink_opts *,
		    struct pb_err *);
static void	pull_destroy(struct pb_sink *);
static int	pull_start(struct pb_sink *, const struct pb_sink_request *,
		    struct pb_err *);
static void	pull_collect(struct pb_sink *);
static void	pull_stop(struct pb_sink *);
static void	pull_change(struct pb_sink *,
		    const struct pb_conf_upstream *);
static void	pull_asks(struct pb_sink *, uint64_t, uint64_t);
static void	pull_leaves_out(struct pb_sink *, uint64_t);
static void	pull_left_out(struct pb_sink *, struct pb_sink_left_out *);
static void	pull_has_late(struct pb_sink *, uint32_t, uint64_t, uint64_t);
static const char *pull_away(struct pb_sink *, uint64_t, uint64_t);
static uint64_t	owes_ms_max(const struct pb_conf_upstream *);
static bool	came_for(const struct sink_pull *, const struct slot *);
static void	end(struct sink_pull *, struct slot *, enum pb_outcome);
static void	end_overdue(struct sink_pull *);

const struct pb_sink_kind pb_sink_pull = {
	.schemes = { PB_CONF_PULL },
	.way = { .unit = PB_UNIT_PIECE, .pulled = true },
	.create = pull_create, .destroy = pull_destroy, .start = pull_start,
	.collect = pull_collect, .stop = pull_stop, .change = pull_change,
	.asks = pull_asks, .leaves_out = pull_leaves_out,
	.has_late = pull_has_late, .away = pull_away,
	.left_out = pull_left_out,
};

static int
pull_create(struct pb_sink **out, const struct pb_sink_opts *opts,
    struct pb_err *err)
{
	struct sink_pull *pull = calloc(1, sizeof(*pull));

	if (pull == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for an upstream");
	pull->sink.kind = &pb_sink_pull;
	pull->wake = opts->wake;
	pull->patience_ms = opts->conf->answer_timeout_ms;
	pull->owes_ms_max = owes_ms_max(opts->conf);
	pull->now_ms = opts->now_ms;
	pull->asked_ns = pb_clock_real_ns();
	/* It may be waiting for an answer just now. */
	pull->until_ms = opts->now_ms + pull->patience_ms;
	*out = &pull->sink;
	return 0;
}

/* One that is slow may take as long for an answer. */
static uint64_t
owes_ms_max(const struct pb_conf_upstream *conf)
{
	uint64_t ms = conf->retry_for_ms;

	if (ms == 0 || ms > PB_SINK_OWES_MS)
		ms = PB_SINK_OWES_MS;
	return ms > conf->answer_timeout_ms ? ms : conf->answer_timeout_ms;
}

static void
pull_destroy(struct pb_sink *sink)
{
	free(sink);
}

static int
pull_start(struct pb_sink *sink, const struct pb_sink_request *request,
    struct pb_err *err)
{
	struct sink_pull *pull = (struct sink_pull *)sink;
	const struct pb_action *action = &request->action;
	struct slot *slot = &pull->slot[action->request];

	(void)err;
	*slot = (struct slot){ .state = HELD, .stream = action->stream,
	    .first = action->piece.first, .last = action->piece.last,
	    .until_ms = pull->now_ms + PB_SINK_LATE_MS,
	    .answer = { .ours = true, .acked = action->piece.last } };
	if (action->kind == PB_ACTION_ASK &&
	    (pull->owes || pull->now_ms >= pull->until_ms))
		end(pull, slot, PB_OUTCOME_FAILED);
	else if (action->kind != PB_ACTION_PACKETS || action->piece.letter ||
	    came_for(pull, slot))
		end(pull, slot, PB_OUTCOME_HAS);
	return 0;
}

static void
pull_collect(struct pb_sink *sink)
{
	struct sink_pull *pull = (struct sink_pull *)sink;

	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		struct pb_answer answer = pull->slot[i].answer;

		if (pull->slot[i].state != ENDED)
			continue;
		pull->slot[i].state = FREE;
		sink->done(sink->arg, i, &answer);
	}
}

static void
pull_stop(struct pb_sink *sink)
{
	struct sink_pull *pull = (struct sink_pull *)sink;

	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		if (pull->slot[i].state == HELD)
			end(pull, &pull->slot[i], PB_OUTCOME_STOPPED);
	pull_collect(sink);
}

/* What it gets of packets is the recorder's to know. */
static void
pull_change(struct pb_sink *sink, const struct pb_conf_upstream *conf)
{
	(void)sink;
	(void)conf;
}

/* --- what it does --------------------------------------------------------- */

static void
pull_asks(struct pb_sink *sink, uint64_t wait_ms, uint64_t now_ms)
{
	struct sink_pull *pull = (struct sink_pull *)sink;
	uint64_t until_ms = now_ms + wait_ms + pull->patience_ms;

	pull->now_ms = now_ms;
	pull->asked_ns = pb_clock_real_ns();
	if (pull->until_ms < until_ms)
		pull->until_ms = until_ms;
}

static void
pull_leaves_out(struct pb_sink *sink, uint64_t packets)
{
	((struct sink_pull *)sink)->left_out.filtered += packets;
}

static void
pull_left_out(struct pb_sink *sink, struct pb_sink_left_out *out)
{
	*out = ((struct sink_pull *)sink)->left_out;
}

static void
pull_has_late(struct pb_sink *sink, uint32_t stream, uint64_t first,
    uint64_t last)
{
	struct sink_pull *pull = (struct sink_pull *)sink;

	pull->late[pull->lates++ % PB_SINK_LATES] = (struct late){ stream,
	    first, last };
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		if (pull->slot[i].state == HELD &&
		    came_for(pull, &pull->slot[i]))
			end(pull, &pull->slot[i], PB_OUTCOME_HAS);
}

static const char *
pull_away(struct pb_sink *sink, uint64_t owes_ms, uint64_t now_ms)
{
	struct sink_pull *pull = (struct sink_pull *)sink;
	bool owes = owes_ms >= pull->owes_ms_max;
	char time[PB_TIME_TEXT_MAX];

	pull->now_ms = now_ms;
	end_overdue(pull);
	if (owes && !pull->owes)
		pull->owed_ns = pb_clock_real_ns() - owes_ms * PB_NS_PER_MS;
	pull->owes = owes;
	if (now_ms >= pull->until_ms)
		snprintf(pull->text, sizeof(pull->text), "nobody has pulled "
		    "since %s", pb_time_format(pull->asked_ns, time));
	else if (owes)
		snprintf(pull->text, sizeof(pull->text), "it asks, but has "
		    "acknowledged nothing since %s",
		    pb_time_format(pull->owed_ns, time));
	else
		return NULL;
	return pull->text;
}

/* --- requests ------------------------------------------------------------- */

/* All of it, with what it said at several times. */
static bool
came_for(const struct sink_pull *pull, const struct slot *slot)
{
	uint64_t next = slot->first, before;

	do {
		before = next;
		for (unsigned i = 0; i < PB_SINK_LATES; i++)
			if (pull->late[i].stream == slot->stream &&
			    pull->late[i].first <= next &&
			    pull->late[i].last >= next)
				next = pull->late[i].last + 1;
	} while (next != before && next <= slot->last);
	return next > slot->last;
}

static void
end_overdue(struct sink_pull *pull)
{
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		struct slot *slot = &pull->slot[i];

		if (slot->state != HELD || pull->now_ms < slot->until_ms)
			continue;
		snprintf(slot->answer.text, sizeof(slot->answer.text),
		    "it has not come for packets that came late");
		end(pull, slot, PB_OUTCOME_STOPPED);
	}
}

static void
end(struct sink_pull *pull, struct slot *slot, enum pb_outcome outcome)
{
	uint64_t one = 1;

	slot->state = ENDED;
	slot->answer.outcome = outcome;
	if (outcome == PB_OUTCOME_FAILED)
		memcpy(slot->answer.text, pull->text, sizeof(pull->text));
	/* Refused only where it would go past 2^64 - 2: it is readable. */
	if (write(pull->wake, &one, sizeof(one)) < 0)
		return;
}
