/*
 * recorder/query/seen/latency.c - how long packets take from one tap to another
 *
 * Three kinds of items wait in the table, each for what its hash says:
 *
 *	FROM    a packet at `from`, for the same one at `to`
 *	TO      the other way round: the clock at `to` may be behind
 *	EARLY   a pair with the earlier time at `to`: clocks apart, or equal
 *	        packets of which one was lost.  One more at `to` within the
 *	        window takes the place of the earlier one where it is nearer;
 *	        else it waits.  Neither is certain.
 */
#include "recorder/query/seen/latency.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/query/seen/recent.h"
#include "recorder/query/seen/same.h"

enum kind { FROM, TO, EARLY };

struct waiting {
	struct pb_instant at;		/* a pair: at `from`, */
	struct pb_instant to;		/* and at `to` */
	uint8_t		 kind;
	bool		 doubtful;	/* another one could be meant */
};

/* Where the packets of a stream are seen. */
struct side {
	const struct pb_stamp_stream *stream;
	bool		 from, to;
};

struct pb_latency {
	struct pb_latency_opts opts;
	bool		 same_packet;	/* both times are of one packet */
	struct pb_stamper stamper;
	struct pb_same	 same;
	struct pb_recent *recent;
	void		*sides;		/* tsearch(3) */
	const struct side *last;	/* that was asked for, or NULL */
	struct pb_latency_report report;
};

static int	one_packet(struct pb_latency *, const struct pb_packet *,
		    const struct pb_stamped *);
static int	two_streams(struct pb_latency *, const struct side *,
		    const struct pb_packet *, const struct pb_stamped *,
		    uint64_t, struct pb_err *);
static int	no_memory(struct pb_err *);
static const struct side *side_of(struct pb_latency *,
		    const struct pb_stamp_stream *, struct pb_err *);
static bool	is_seen(const struct pb_latency *, const struct pb_tap *,
		    const struct pb_stamp_stream *, const char *);
static int	by_stream(const void *, const void *);
/* matching */
static int	at_from(struct pb_latency *, uint64_t, uint64_t,
		    const struct pb_instant *);
static int	at_to(struct pb_latency *, uint64_t, uint64_t,
		    const struct pb_instant *);
static int	wait_for(struct pb_latency *, enum kind, uint64_t, uint64_t,
		    const struct waiting *);
static struct waiting *first_of(struct pb_latency *, enum kind, uint64_t);
static struct waiting take(struct pb_latency *, struct waiting *);
static bool	is_nearer(const struct waiting *, const struct pb_instant *);
static void	gone(void *, void *, bool);
static uint64_t	key_of(enum kind, uint64_t);
/* what came of it */
static void	pair(struct pb_latency *, const struct pb_instant *,
		    const struct pb_instant *, bool);
static pb_i128	between(const struct pb_instant *, const struct pb_instant *);
static void	count_ticks(struct pb_timing *, pb_i128);

int
pb_latency_create(struct pb_latency **out, const struct pb_latency_opts *opts,
    struct pb_err *err)
{
	struct pb_latency *latency = calloc(1, sizeof(*latency));
	uint32_t most = opts->waiting_max > 0 ? opts->waiting_max :
	    PB_LATENCY_WAITING_MAX;

	*out = NULL;
	if (latency == NULL)
		return no_memory(err);
	latency->opts = *opts;
	pb_stamper_init(&latency->stamper, opts->trailers);
	latency->same_packet = pb_taps_join(&latency->opts.from,
	    &latency->opts.to);
	latency->recent = pb_recent_create(sizeof(struct waiting), most, gone,
	    latency);
	if (latency->recent == NULL) {
		pb_latency_destroy(latency);
		return no_memory(err);
	}
	*out = latency;
	return 0;
}

void
pb_latency_destroy(struct pb_latency *latency)
{
	if (latency == NULL)
		return;
	pb_recent_destroy(latency->recent);
	pb_same_finish(&latency->same);
	pb_stamper_finish(&latency->stamper);
	tdestroy(latency->sides, free);
	free(latency);
}

int
pb_latency_packet(struct pb_latency *latency,
    const struct pb_cursor_packet *cp, uint64_t place_ns, struct pb_err *err)
{
	const struct pb_stamp_stream *stream = pb_stamper_stream(
	    &latency->stamper, cp->head);
	const struct side *side;
	struct pb_stamped stamped;

	if (stream == NULL || pb_stamper_read(&latency->stamper, cp->head,
	    &cp->packet, &stamped) < 0)
		return no_memory(err);
	side = side_of(latency, stream, err);
	if (side == NULL)
		return err->code;
	if (!side->from && !side->to)
		return 0;
	return latency->same_packet ?
	    one_packet(latency, &cp->packet, &stamped) :
	    two_streams(latency, side, &cp->packet, &stamped, place_ns, err);
}

const struct pb_latency_report *
pb_latency_end(struct pb_latency *latency)
{
	pb_recent_until(latency->recent, UINT64_MAX);
	return &latency->report;
}

/* --- who is where -------------------------------------------------------- */

static int
one_packet(struct pb_latency *latency, const struct pb_packet *packet,
    const struct pb_stamped *stamped)
{
	struct pb_latency_report *report = &latency->report;
	struct pb_instant from, to;
	bool left = pb_tap_instant(&latency->opts.from, packet, stamped,
	    &from);
	bool came = pb_tap_instant(&latency->opts.to, packet, stamped, &to);

	report->from += left;
	report->to += came;
	report->timeless += !left && !came;
	report->lost += left && !came;
	report->only_to += came && !left;
	if (left && came)
		pair(latency, &from, &to, false);
	return 0;
}

static int
two_streams(struct pb_latency *latency, const struct side *side,
    const struct pb_packet *packet, const struct pb_stamped *stamped,
    uint64_t place_ns, struct pb_err *err)
{
	uint64_t window_ns = latency->opts.window_ns, hash;
	struct pb_instant at;
	int rc = pb_same_packet(&latency->same, true, side->stream, packet,
	    &hash);

	if (rc == 0)
		return 0;
	if (!pb_tap_instant(side->from ? &latency->opts.from :
	    &latency->opts.to, packet, stamped, &at)) {
		latency->report.timeless++;
		return 0;
	}
	if (place_ns > window_ns)
		pb_recent_until(latency->recent, place_ns - window_ns);
	if (rc > 0)
		rc = side->from ? at_from(latency, hash, place_ns, &at) :
		    at_to(latency, hash, place_ns, &at);
	return rc < 0 ? no_memory(err) : 0;
}

static int
no_memory(struct pb_err *err)
{
	return pb_err_set(err, PB_ENOMEM, "no memory to match packets");
}

static const struct side *
side_of(struct pb_latency *latency, const struct pb_stamp_stream *stream,
    struct pb_err *err)
{
	const struct pb_identity *who = &stream->head->identity;
	struct side wanted = { .stream = stream }, **found, *side;
	char name[PB_STREAM_NAME_MAX];

	if (latency->last != NULL && latency->last->stream == stream)
		return latency->last;
	found = tsearch(&wanted, &latency->sides, by_stream);
	if (found != NULL && *found != &wanted)
		return latency->last = *found;
	side = found != NULL ? malloc(sizeof(*side)) : NULL;
	if (side == NULL) {
		tdelete(&wanted, &latency->sides, by_stream);
		no_memory(err);
		return NULL;
	}
	snprintf(name, sizeof(name), "%s/%s", who->node[0].name,
	    who->interface);
	*side = (struct side){
		.stream = stream,
		.from = is_seen(latency, &latency->opts.from, stream, name),
		.to = is_seen(latency, &latency->opts.to, stream, name),
	};
	*found = side;
	if (side->from && side->to && !latency->same_packet) {
		pb_err_set(err, PB_EINVAL, "stream %s is at both taps, %s and "
		    "%s; name them so that each stream is at one", name,
		    latency->opts.from.glob, latency->opts.to.glob);
		return NULL;
	}
	return latency->last = side;
}

static bool
is_seen(const struct pb_latency *latency, const struct pb_tap *tap,
    const struct pb_stamp_stream *stream, const char *name)
{
	const struct pb_latency_opts *opts = &latency->opts;

	return opts->seen != NULL ? opts->seen(opts->arg, tap, stream->head) :
	    pb_tap_sees(tap, name);
}

static int
by_stream(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct side *)a)->stream;
	uintptr_t y = (uintptr_t)((const struct side *)b)->stream;

	return x < y ? -1 : x > y;
}

/* --- matching ------------------------------------------------------------ */

/* 0, or PB_ENOMEM. */
static int
at_from(struct pb_latency *latency, uint64_t hash, uint64_t place,
    const struct pb_instant *at)
{
	struct waiting *to = first_of(latency, TO, hash);
	struct waiting both = { .at = *at }, came;

	latency->report.from++;
	if (to == NULL)
		return wait_for(latency, FROM, hash, place, &both);
	came = take(latency, to);
	both.to = came.at;
	both.doubtful = came.doubtful;
	return wait_for(latency, EARLY, hash, place, &both);
}

static int
at_to(struct pb_latency *latency, uint64_t hash, uint64_t place,
    const struct pb_instant *at)
{
	struct waiting *from = first_of(latency, FROM, hash);
	struct waiting *early = first_of(latency, EARLY, hash);
	struct waiting alone = { .at = *at }, left;

	latency->report.to++;
	if (early != NULL && is_nearer(early, at)) {
		left = take(latency, early);
		pair(latency, &left.at, &left.to, true);
		alone.doubtful = true;
		early = NULL;
	}
	if (from == NULL && early == NULL)
		return wait_for(latency, TO, hash, place, &alone);
	if (from != NULL && (early != NULL || alone.doubtful))
		from->doubtful = true;
	left = take(latency, early != NULL ? early : from);
	latency->report.only_to += early != NULL;
	pair(latency, &left.at, at, left.doubtful || early != NULL);
	return 0;
}

static int
wait_for(struct pb_latency *latency, enum kind kind, uint64_t hash,
    uint64_t place, const struct waiting *what)
{
	struct waiting *waiting = pb_recent_add(latency->recent,
	    key_of(kind, hash), place);

	if (waiting == NULL)
		return PB_ENOMEM;
	*waiting = *what;
	waiting->kind = (uint8_t)kind;
	return 0;
}

static struct waiting *
first_of(struct pb_latency *latency, enum kind kind, uint64_t hash)
{
	return pb_recent_first(latency->recent, key_of(kind, hash));
}

/* Of several equal ones the first is taken; it could have been the next, and
 * so on with that. */
static struct waiting
take(struct pb_latency *latency, struct waiting *first)
{
	struct waiting taken = *first;
	struct waiting *next = pb_recent_next(latency->recent, first);

	if (next != NULL)
		next->doubtful = taken.doubtful = true;
	pb_recent_remove(latency->recent, first);
	return taken;
}

/* Is the one at `to` of a pair that is early nearer than this later one? */
static bool
is_nearer(const struct waiting *early, const struct pb_instant *later)
{
	return between(&early->to, &early->at) <= between(&early->at, later);
}

static void
gone(void *arg, void *data, bool full)
{
	struct pb_latency *latency = arg;
	const struct waiting *waiting = data;

	if (waiting->kind == EARLY)
		pair(latency, &waiting->at, &waiting->to, waiting->doubtful);
	else if (full)
		latency->report.given_up++;
	else if (waiting->kind == FROM)
		latency->report.lost++;
	else
		latency->report.only_to++;
}

/* Each kind is found by itself. */
static uint64_t
key_of(enum kind kind, uint64_t hash)
{
	return hash + (uint64_t)kind * UINT64_C(0x9e3779b97f4a7c15);
}

/* --- what came of it ----------------------------------------------------- */

static void
pair(struct pb_latency *latency, const struct pb_instant *from,
    const struct pb_instant *to, bool doubtful)
{
	struct pb_latency_report *report = &latency->report;
	pb_i128 took = between(from, to);

	report->matched++;
	report->ambiguous += doubtful;
	if (doubtful)
		return;
	report->negative += took < 0;
	if (report->count == 0 || took < report->min)
		report->min = took;
	if (report->count == 0 || took > report->max)
		report->max = took;
	report->count++;
	report->sum += took;
	if (took < 0)
		count_ticks(&report->behind, -took);
	else
		count_ticks(&report->ahead, took);
}

static pb_i128
between(const struct pb_instant *from, const struct pb_instant *to)
{
	return ((pb_i128)to->ns - (pb_i128)from->ns) * PB_LATENCY_NS +
	    (pb_i128)to->fraction - (pb_i128)from->fraction;
}

static void
count_ticks(struct pb_timing *timing, pb_i128 size)
{
	pb_i128 ticks = size >> PB_LATENCY_TICK;

	pb_timing_add(timing, ticks < (pb_i128)UINT64_MAX ? (uint64_t)ticks :
	    UINT64_MAX);
}
