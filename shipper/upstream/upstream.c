/*
 * shipper/upstream/upstream.c - one upstream: its machine, its requests
 */
#include "shipper/upstream/upstream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "conf/schedule.h"
#include "shipper/upstream/upstream_impl.h"

#define GAP_LINE_MAX	256

static int	perform(struct pb_upstream *, const struct pb_action *,
		    struct pb_err *);
static const char *away_for(struct pb_upstream *, uint64_t);
static void	hurry(struct pb_upstream *, uint64_t);
static void	unsent(struct slot *, int, const char *);
static void	look_at_clock(struct pb_upstream *);
static int	make_packets(struct slot *, const struct pb_stream_info *,
		    struct pb_err *);
static void	drop_sift(struct slot *);
static void	make(void *);
static void	made(void *);
static bool	kept_back(struct slot *);
static unsigned	coming(const struct slot *);
static void	say_unrecorded(struct slot *);
static void	done(void *, unsigned, struct pb_answer *);
static int	recall_left_out(struct pb_upstream *, struct pb_err *);
static void	fill_row(struct pb_upstream *, uint64_t, uint64_t,
		    struct pb_upstream_row *);
static void	fill_speed(struct pb_upstream *, uint64_t,
		    const struct pb_ship_status *, struct pb_upstream_row *);
static void	trim(struct pb_upstream *);

int
pb_upstream_create(struct pb_upstream **out,
    const struct pb_conf_upstream *conf, const struct pb_upstream_env *env,
    struct pb_sink *sink, struct pb_err *err)
{
	struct pb_upstream *u = calloc(1, sizeof(*u));
	const struct pb_sink_kind *kind = sink->kind;
	struct pb_ship_opts opts = { .way = kind->way,
	    .window = conf->window,
	    .rate_limit = conf->rate_limit,
	    .retry_for_ms = conf->retry_for_ms };
	struct pb_ship_source source = { .look = upstream_look,
	    .late = upstream_late, .demote = upstream_demote,
	    .sent = upstream_sent, .refuse = upstream_refuse,
	    .below = upstream_below, .fork = upstream_fork,
	    .stay = upstream_stay, .bytes = upstream_bytes,
	    .rank = upstream_rank, .event = upstream_event, .arg = u };
	int rc;

	*out = NULL;
	if (u == NULL) {
		pb_sink_destroy(sink);
		return pb_err_set(err, PB_ENOMEM, "no memory for an upstream");
	}
	if (kind->fit != NULL)
		kind->fit(&opts.way, conf);
	u->conf = *conf;
	u->env = *env;
	u->sink = sink;
	upstream_begins_init(u);
	sink->done = done;
	sink->arg = u;
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		u->slot[i].upstream = u;
	rc = pb_ship_create(&u->ship, &opts, &source, err);
	if (rc == 0 && kind->left_out != NULL)
		rc = recall_left_out(u, err);
	if (rc < 0) {
		pb_upstream_destroy(u);
		return rc;
	}
	*out = u;
	return 0;
}

void
pb_upstream_destroy(struct pb_upstream *u)
{
	if (u == NULL)
		return;
	pb_sink_destroy(u->sink);
	upstream_begins_end(u);
	pb_feed_cancel(u->env.feed, u);
	upstream_tasks_end(u);
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		pb_worker_cancel(u->env.worker, &u->slot[i].job);
		drop_sift(&u->slot[i]);
		pb_payload_finish(&u->slot[i].request.payload);
	}
	pb_ship_destroy(u->ship);
	free(u->fork);
	free(u);
}

const struct pb_conf_upstream *
pb_upstream_conf(const struct pb_upstream *u)
{
	return &u->conf;
}

void
pb_upstream_run(struct pb_upstream *u, uint64_t now_ms)
{
	struct pb_action action;
	const char *away = away_for(u, now_ms);
	struct pb_err err;

	look_at_clock(u);
	if (away != NULL)
		pb_ship_gone(u->ship, away, now_ms, pb_random64());
	while (pb_ship_next(u->ship, now_ms, pb_random64(), &action)) {
		int rc = perform(u, &action, &err);

		if (rc < 0)
			unsent(&u->slot[action.request], rc, err.text);
	}
}

bool
pb_upstream_changes(const struct pb_upstream *u,
    const struct pb_conf_upstream *conf)
{
	return pb_conf_same(PB_CONF_UPSTREAM, conf, &u->conf, false) ||
	    (u->sink->kind->change != NULL &&
	    pb_conf_goes_on(PB_CONF_UPSTREAM, conf, &u->conf));
}

void
pb_upstream_change(struct pb_upstream *u, const struct pb_conf_upstream *conf)
{
	if (pb_conf_same(PB_CONF_UPSTREAM, conf, &u->conf, false))
		return;
	u->conf = *conf;
	u->looked = 0;
	u->sink->kind->change(u->sink, conf);
	pb_ship_rate(u->ship, conf->window, conf->rate_limit);
	pb_ship_rank(u->ship);
}

/* Once a second: is it sent to at this time of day? */
static void
look_at_clock(struct pb_upstream *u)
{
	uint64_t now_ns = pb_clock_real_ns();
	time_t now = (time_t)(now_ns / PB_NS_PER_S);
	char line[GAP_LINE_MAX];
	unsigned opens;

	if (now == u->looked)
		return;
	u->looked = now;
	opens = pb_schedule_waits(&u->conf.schedule, now_ns);
	if ((opens == 0) != (u->opens == 0)) {
		snprintf(line, sizeof(line), opens == 0 ? "its schedule lets "
		    "it be sent to" : "its schedule lets nothing be sent "
		    "before %02u:%02u", (opens - 1) / 60, (opens - 1) % 60);
		upstream_event(u, PB_LOG_INFO, 0, line);
	}
	u->opens = opens;
	pb_ship_pause(u->ship, opens != 0);
}

struct pb_ship *
pb_upstream_ship(struct pb_upstream *u)
{
	return u->ship;
}

void
pb_upstream_collect(struct pb_upstream *u)
{
	if (u->sink->kind->collect != NULL)
		u->sink->kind->collect(u->sink);
}

void
pb_upstream_asks(struct pb_upstream *u, uint64_t wait_ms, uint64_t now_ms)
{
	if (!u->sink->kind->way.pulled)
		return;
	u->sink->kind->asks(u->sink, wait_ms, now_ms);
	hurry(u, now_ms);
}

void
pb_upstream_stuck(struct pb_upstream *u, const struct pb_stream_info *stream,
    const char *text, uint64_t now_ms)
{
	const struct pb_forks *forks = upstream_forks(u, stream->id);

	if (u->sink->kind->way.pulled)
		pb_ship_stuck(u->ship, PB_PART_ID(stream->id, forks->count),
		    text, now_ms, pb_random64());
}

bool
pb_upstream_acked(struct pb_upstream *u, const struct pb_stream_info *stream,
    const struct pb_pull_news *news, uint64_t now_ms)
{
	const struct pb_forks *forks = upstream_forks(u, stream->id);
	struct pb_err err;

	/* It may be the first to see that the stream has grown. */
	if (!u->sink->kind->way.pulled ||
	    pb_upstream_stream(u, stream, &err) < 0)
		return true;
	if (news->first != 0 && upstream_settles_enough(u))
		return false;
	u->sink->kind->leaves_out(u->sink, news->filtered);
	u->sink->kind->asks(u->sink, 0, now_ms);
	for (unsigned part = 0; part <= forks->count; part++) {
		uint32_t id = PB_PART_ID(stream->id, part);

		if (news->first == 0)
			pb_ship_pulled(u->ship, id, news->acked, now_ms);
		else
			u->sink->kind->has_late(u->sink, id, news->first,
			    news->acked);
	}
	hurry(u, now_ms);
	/* Whether or not it is under way, in whatever order it says so. */
	if (news->first != 0)
		upstream_settle(u, PB_PART_ID(stream->id, forks->count),
		    news->first, news->acked);
	return true;
}

/* Of one that is pulled: why it is not there, or NULL. */
static const char *
away_for(struct pb_upstream *u, uint64_t now_ms)
{
	const struct pb_sink_kind *kind = u->sink->kind;

	return kind->way.pulled ? kind->away(u->sink, pb_ship_owes_ms(u->ship),
	    now_ms) : NULL;
}

/* It is there again: that need not wait for its time to be seen. */
static void
hurry(struct pb_upstream *u, uint64_t now_ms)
{
	struct pb_ship_status status;

	pb_ship_status(u->ship, &status);
	if (status.state == PB_SHIP_BACKOFF && away_for(u, now_ms) == NULL)
		pb_ship_hurry(u->ship);
}

void
pb_upstream_stop(struct pb_upstream *u)
{
	if (u->sink->kind->stop != NULL)
		u->sink->kind->stop(u->sink);
}

/* --- reports ------------------------------------------------------------ */

bool
pb_upstream_report(struct pb_upstream *u, struct pb_news *news,
    uint64_t now_ms, uint64_t now_ns)
{
	struct pb_upstream_row row, before = u->row;
	struct pb_ship_cursor cursor;
	unsigned at = 0;
	bool any;

	fill_row(u, now_ms, now_ns, &row);
	/* That time passes is no news. */
	before.written_ns = row.written_ns;
	before.since_ns = row.since_ns;
	before.progress_ns = row.progress_ns;
	before.retry_ns = row.retry_ns;
	before.error_ns = row.failures == before.failures ? row.error_ns :
	    before.error_ns;
	any = u->row.written_ns == 0 ||
	    memcmp(&row, &before, sizeof(row)) != 0;
	while (pb_ship_changed(u->ship, &at, &cursor)) {
		upstream_report_cursor(u, news, &cursor, now_ns);
		any = true;
	}
	if (!any)
		return false;
	u->row = row;
	pb_news_upstream(news, &row);
	if (pb_ship_flights(u->ship) == 0)
		trim(u);
	return true;
}

void
pb_upstream_report_again(struct pb_upstream *u)
{
	u->row.written_ns = 0;
	pb_ship_touch(u->ship, false);
}

bool
pb_upstream_turned(const struct pb_upstream *u)
{
	struct pb_ship_status status;

	pb_ship_status(u->ship, &status);
	return (status.state == PB_SHIP_BACKOFF) !=
	    (u->row.state == PB_SHIP_BACKOFF);
}

static void
fill_row(struct pb_upstream *u, uint64_t now_ms, uint64_t now_ns,
    struct pb_upstream_row *row)
{
	struct pb_sink_left_out left_out = { .text = "" };
	struct pb_ship_status status;

	pb_ship_status(u->ship, &status);
	if (u->sink->kind->left_out != NULL)
		u->sink->kind->left_out(u->sink, &left_out);
	memset(row, 0, sizeof(*row));
	snprintf(row->name, sizeof(row->name), "%s", u->conf.name);
	snprintf(row->url, sizeof(row->url), "%.255s", u->conf.url);
	snprintf(row->last_error, sizeof(row->last_error), "%s",
	    status.last_error);
	row->state = status.state;
	row->since_ns = now_ns - (now_ms - status.since_ms) * PB_NS_PER_MS;
	if (status.progress_ms != 0)
		row->progress_ns = now_ns -
		    (now_ms - status.progress_ms) * PB_NS_PER_MS;
	if (status.state == PB_SHIP_BACKOFF)
		row->retry_ns = now_ns + (status.retry_ms > now_ms ?
		    status.retry_ms - now_ms : 0) * PB_NS_PER_MS;
	row->written_ns = now_ns;
	row->opens = u->opens;
	row->attempts = status.attempts;
	row->streams = status.streams;
	row->refused = status.refused;
	row->flight_bytes = status.flight_bytes;
	row->sent_bytes = status.sent_bytes;
	row->acked_bytes = status.acked_bytes;
	row->acked_packets = status.acked_packets;
	row->failures = status.failures;
	if (status.failures > 0)
		row->error_ns = now_ns -
		    (now_ms - status.error_ms) * PB_NS_PER_MS;
	fill_speed(u, now_ms, &status, row);
	row->filtered = u->before.filtered + left_out.filtered;
	row->unfit = u->before.unfit + left_out.unfit;
	snprintf(row->unfit_text, sizeof(row->unfit_text), "%s",
	    left_out.unfit > 0 ? left_out.text : u->before.text);
	row->apart = left_out.apart;
	row->apart_ns = left_out.apart_ns;
}

static void
fill_speed(struct pb_upstream *u, uint64_t now_ms,
    const struct pb_ship_status *status, struct pb_upstream_row *row)
{
	const uint64_t counts[PB_SPEED_WHATS] = {
		[PB_SPEED_PACKETS] = status->acked_packets,
		[PB_SPEED_BYTES] = status->acked_bytes,
		[PB_SPEED_COMES] = status->came_packets,
	};

	pb_speed_look(&u->speed, now_ms, counts);
	row->pps = u->speed.per_s[PB_SPEED_PACKETS];
	row->byteps = u->speed.per_s[PB_SPEED_BYTES];
	row->comes_pps = u->speed.per_s[PB_SPEED_COMES];
}

/* A restart forgets no packet that was not sent. */
static int
recall_left_out(struct pb_upstream *u, struct pb_err *err)
{
	struct pb_upstream_row row;
	int rc = pb_state_upstream(u->env.state, u->conf.name, &row, err);

	if (rc == 1) {
		u->before.filtered = row.filtered;
		u->before.unfit = row.unfit;
		strcpy(u->before.text, row.unfit_text);
	}
	return rc < 0 ? rc : 0;
}

void
upstream_report_left_out(struct pb_upstream *u, struct pb_news *news,
    uint64_t now_ns)
{
	struct pb_upstream_row row;

	fill_row(u, pb_clock_mono_ms(), now_ns, &row);
	if (row.filtered == u->row.filtered && row.unfit == u->row.unfit)
		return;
	u->row = row;
	pb_news_upstream(news, &row);
}

void
upstream_report_cursor(const struct pb_upstream *u, struct pb_news *news,
    struct pb_ship_cursor *cursor, uint64_t now_ns)
{
	const struct pb_stream_info *stream =
	    u->env.stream(u->env.arg, PB_PART_STREAM(cursor->stream));
	struct pb_cursor_row row;

	if (stream == NULL)
		return;
	if (upstream_forks(u, stream->id)->count > 0)
		upstream_cursor(u, stream->id, cursor);
	row = (struct pb_cursor_row){ .key = stream->key,
	    .state = cursor->state, .acked = cursor->acked,
	    .sent = cursor->sent, .released = cursor->released,
	    .wait_seq = cursor->wait_seq, .wait_ms = cursor->wait_ms,
	    .written_ns = now_ns, .sure = cursor->sure };
	memcpy(row.unsure, cursor->unsure, sizeof(row.unsure));
	snprintf(row.text, sizeof(row.text), "%s", cursor->text);
	pb_news_cursor(news, u->conf.name, &row);
}

/* Nothing is under way: give back the memory of what was. */
static void
trim(struct pb_upstream *u)
{
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		pb_payload_finish(&u->slot[i].request.payload);
}

/* --- requests ----------------------------------------------------------- */

static int
perform(struct pb_upstream *u, const struct pb_action *action,
    struct pb_err *err)
{
	struct slot *slot = &u->slot[action->request];
	struct upstream_part part;
	int rc;

	slot->request.action = *action;
	rc = upstream_part(u, action->stream, &part, err);
	if (rc < 0)
		return rc;
	slot->request.key = part.key;
	slot->request.linktype = part.stream->linktype;
	if (action->kind == PB_ACTION_PACKETS && !u->sink->kind->way.pulled)
		return make_packets(slot, part.stream, err);
	if (action->kind == PB_ACTION_GAP && !action->piece.recorded)
		say_unrecorded(slot);
	return u->sink->kind->start(u->sink, &slot->request, err);
}

/* It could not be made, or not be given to the sink. */
static void
unsent(struct slot *slot, int rc, const char *why)
{
	struct pb_upstream *u = slot->upstream;
	const struct pb_action *action = &slot->request.action;

	if (action->piece.settles)
		upstream_spoiled(u, action, rc, why);
	pb_ship_unsent(u->ship, action->request, why, pb_clock_mono_ms(),
	    pb_random64());
}

static int
make_packets(struct slot *slot, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct pb_upstream *u = slot->upstream;
	struct pb_payload *payload = &slot->request.payload;
	struct pb_sift *sift = NULL;
	int rc = u->sink->kind->sift == NULL ? 0 :
	    u->sink->kind->sift(u->sink, stream->linktype, &sift, err);

	if (rc < 0)
		return rc;
	payload->sift = pb_sift_ref(sift);
	payload->store = u->env.store;
	payload->key = stream->key;
	payload->piece = slot->request.action.piece;
	payload->upstream = u->conf.name;
	payload->level = u->conf.compress_level > 0 &&
	    pb_packing_try(&u->packing, stream->id) ?
	    u->conf.compress_level : 0;
	slot->making = true;
	slot->job = (struct pb_job){ .run = make, .done = made, .arg = slot };
	pb_worker_give(u->env.worker, &slot->job);
	return 0;
}

static void
drop_sift(struct slot *slot)
{
	pb_sift_unref(slot->request.payload.sift);
	slot->request.payload.sift = NULL;
}

static void
make(void *arg)
{
	struct slot *slot = arg;

	pb_payload_make(&slot->request.payload);
}

static void
made(void *arg)
{
	struct slot *slot = arg;
	struct pb_payload *payload = &slot->request.payload;

	drop_sift(slot);
	if (payload->rc == 0 && payload->level > 0)
		pb_packing_tell(&slot->upstream->packing, PB_PART_STREAM(
		    slot->request.action.stream), payload->packed);
	if (payload->rc == 0 && slot->upstream->sink->kind->way.remembered)
		upstream_begin(slot);
	else
		upstream_submit(slot, payload->rc, &payload->err);
}

void
upstream_submit(struct slot *slot, int rc, struct pb_err *err)
{
	struct pb_sink *sink = slot->upstream->sink;

	if (rc == 0 && kept_back(slot))
		return;
	slot->making = false;
	slot->request.coming = coming(slot);
	if (rc == 0)
		rc = sink->kind->start(sink, &slot->request, err);
	if (rc < 0)
		unsent(slot, rc, err->text);
}

/* One of its stream before it has failed. */
static bool
kept_back(struct slot *slot)
{
	struct pb_upstream *u = slot->upstream;
	unsigned request = slot->request.action.request;
	struct pb_answer answer = { .outcome = PB_OUTCOME_PART, .ours = true };

	if (!u->sink->kind->way.remembered ||
	    pb_ship_stands(u->ship, request))
		return false;
	slot->making = false;
	pb_ship_answer(u->ship, request, &answer, pb_clock_mono_ms(),
	    pb_random64());
	return true;
}

/* Packets of other streams that are not the sink's yet. */
static unsigned
coming(const struct slot *slot)
{
	const struct pb_upstream *u = slot->upstream;
	unsigned count = 0;

	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		count += u->slot[i].making && u->slot[i].request.action.stream
		    != slot->request.action.stream;
	return count;
}

static void
say_unrecorded(struct slot *slot)
{
	const struct pb_action *action = &slot->request.action;
	char line[GAP_LINE_MAX];

	snprintf(line, sizeof(line), "packets %" PRIu64 " to %" PRIu64
	    " are not in the store and no gap says why: declared expired",
	    action->piece.first, action->piece.last);
	upstream_event(slot->upstream, PB_LOG_WARN,
	    PB_PART_STREAM(action->stream), line);
}

static void
done(void *arg, unsigned request, struct pb_answer *answer)
{
	struct pb_upstream *u = arg;
	const struct pb_sink_request *of = &u->slot[request].request;

	if (of->action.kind == PB_ACTION_PACKETS)
		answer->sent = of->payload.last;
	pb_ship_answer(u->ship, request, answer, pb_clock_mono_ms(),
	    pb_random64());
}
