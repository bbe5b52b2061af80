/*
 * shipper/sink/sink_interface.c - packets out of a local interface
 *
 *	loop: start ──► GIVEN ──► thread: SENT (sender.c)
 *	loop: collect ◄── ENDED ◄──┘  wake
 *
 * One lock; never held while frames are sent.
 */
#include "shipper/sink/sink_interface.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "pcapng/block.h"
#include "shipper/sink/sender.h"

enum unit_state { FREE, GIVEN, SENT, ENDED };

struct unit {
	enum unit_state	 state;
	const struct pb_sink_request *request;	/* borrowed until collected */
	struct pb_answer answer;
	uint64_t	 order;		/* of its end */
	uint32_t	 stream;
	bool		 late;
};

struct sink_interface {
	struct pb_sink	 sink;
	struct pb_conf_upstream conf;
	int		 wake;
	pthread_t	 thread;
	bool		 runs;		/* the thread does; the loop's */
	struct pb_sender *sender;	/* the thread's, while it runs */
	pthread_mutex_t	 lock;		/* of all below */
	pthread_cond_t	 given;		/* or the end */
	bool		 ended;		/* it is to end */
	uint64_t	 ends;		/* of units, so far */
	struct unit	 unit[PB_SHIP_SLOTS];	/* by the request's number */
	struct pb_sink_left_out left_out;
};

static void	interface_fit(struct pb_ship_way *,
		    const struct pb_conf_upstream *);
static int	interface_create(struct pb_sink **,
		    const struct pb_sink_opts *, struct pb_err *);
static void	interface_destroy(struct pb_sink *);
static int	interface_start(struct pb_sink *,
		    const struct pb_sink_request *, struct pb_err *);
static void	interface_collect(struct pb_sink *);
static void	interface_stop(struct pb_sink *);
static void	interface_left_out(struct pb_sink *,
		    struct pb_sink_left_out *);
static int	start_thread(struct sink_interface *, struct pb_err *);
static void	end_thread(struct sink_interface *);
/* the thread */
static void	*thread_main(void *);
static void	take_given(struct sink_interface *);
static void	publish(struct sink_interface *);
static void	wait_until(struct sink_interface *, uint64_t);
static void	end(struct sink_interface *, struct unit *);
static void	end_behind(struct sink_interface *, const struct unit *);
static bool	is_behind_failed(const struct sink_interface *,
		    const struct pb_sink_request *);

const struct pb_sink_kind pb_sink_interface = {
	.schemes = { PB_CONF_INTERFACE },
	.way = { .unit = PB_UNIT_PIECE, .remembered = true,
	    .units = PB_SINK_UNITS, .unit_bytes = PB_SINK_UNIT_BYTES },
	.fit = interface_fit, .create = interface_create,
	.destroy = interface_destroy, .start = interface_start,
	.collect = interface_collect, .stop = interface_stop,
	.left_out = interface_left_out,
};

static void
interface_fit(struct pb_ship_way *way, const struct pb_conf_upstream *conf)
{
	way->once = conf->at_most_once;
	if (conf->pace_original || conf->rate_limit > 0)
		way->unit_bytes = PB_SINK_PACED_BYTES;
}

static int
interface_create(struct pb_sink **out, const struct pb_sink_opts *opts,
    struct pb_err *err)
{
	struct sink_interface *to = calloc(1, sizeof(*to));
	int rc;

	if (to == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for an upstream");
	to->sink.kind = &pb_sink_interface;
	to->conf = *opts->conf;
	to->wake = opts->wake;
	rc = pb_sender_create(&to->sender, &to->conf, err);
	if (rc == 0)
		rc = start_thread(to, err);
	if (rc < 0) {
		pb_sender_destroy(to->sender);
		free(to);
		return rc;
	}
	*out = &to->sink;
	return 0;
}

static void
interface_destroy(struct pb_sink *sink)
{
	struct sink_interface *to = (struct sink_interface *)sink;

	end_thread(to);
	pb_sender_destroy(to->sender);
	pthread_cond_destroy(&to->given);
	pthread_mutex_destroy(&to->lock);
	free(to);
}

/* --- requests: the loop ------------------------------------------------- */

static int
interface_start(struct pb_sink *sink, const struct pb_sink_request *request,
    struct pb_err *err)
{
	struct sink_interface *to = (struct sink_interface *)sink;
	struct unit *unit = &to->unit[request->action.request];

	if (!to->runs)
		return pb_err_set(err, PB_EBUSY, "the upstream ends");
	pthread_mutex_lock(&to->lock);
	*unit = (struct unit){ .state = GIVEN, .request = request,
	    .answer = { .ours = true, .outcome = PB_OUTCOME_HAS },
	    .stream = request->action.stream, .late = request->action.late };
	if (is_behind_failed(to, request)) {
		unit->state = ENDED;
		unit->answer.outcome = PB_OUTCOME_PART;
	}
	if (request->action.kind == PB_ACTION_PACKETS &&
	    request->linktype != PB_LINKTYPE_ETHERNET) {
		unit->state = ENDED;
		unit->answer.outcome = PB_OUTCOME_REFUSED;
		snprintf(unit->answer.text, sizeof(unit->answer.text),
		    "interface %s carries Ethernet frames, and these packets "
		    "are of link type %u", pb_conf_interface(&to->conf),
		    request->linktype);
	}
	if (unit->state == GIVEN)
		pthread_cond_signal(&to->given);
	else
		end(to, unit);
	pthread_mutex_unlock(&to->lock);
	return 0;
}

static void
interface_collect(struct pb_sink *sink)
{
	struct sink_interface *to = (struct sink_interface *)sink;
	struct pb_answer answer;

	for (;;) {
		struct unit *first = NULL;

		pthread_mutex_lock(&to->lock);
		for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
			if (to->unit[i].state == ENDED && (first == NULL ||
			    to->unit[i].order < first->order))
				first = &to->unit[i];
		if (first != NULL) {
			answer = first->answer;
			first->state = FREE;
		}
		pthread_mutex_unlock(&to->lock);
		if (first == NULL)
			return;
		sink->done(sink->arg, (unsigned)(first - to->unit), &answer);
	}
}

static void
interface_stop(struct pb_sink *sink)
{
	end_thread((struct sink_interface *)sink);
	interface_collect(sink);
}

static void
interface_left_out(struct pb_sink *sink, struct pb_sink_left_out *out)
{
	struct sink_interface *to = (struct sink_interface *)sink;

	pthread_mutex_lock(&to->lock);
	*out = to->left_out;
	pthread_mutex_unlock(&to->lock);
}

static int
start_thread(struct sink_interface *to, struct pb_err *err)
{
	pthread_condattr_t clock;
	int rc = 0;

	pthread_mutex_init(&to->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&to->given, &clock);
	pthread_condattr_destroy(&clock);
	errno = pthread_create(&to->thread, NULL, thread_main, to);
	if (errno != 0)
		rc = pb_err_sys(err, "start a thread");
	to->runs = rc == 0;
	if (rc < 0) {
		pthread_cond_destroy(&to->given);
		pthread_mutex_destroy(&to->lock);
	}
	return rc;
}

static void
end_thread(struct sink_interface *to)
{
	if (!to->runs)
		return;
	pthread_mutex_lock(&to->lock);
	to->ended = true;
	pthread_cond_signal(&to->given);
	pthread_mutex_unlock(&to->lock);
	pthread_join(to->thread, NULL);
	to->runs = false;
}

/* --- the thread --------------------------------------------------------- */

static void *
thread_main(void *arg)
{
	struct sink_interface *to = arg;
	uint64_t until_ns;

	pthread_setname_np(pthread_self(), "outlet");
	/* As exact as a sleep can be: no one waits for less than this. */
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	pthread_mutex_lock(&to->lock);
	while (!to->ended) {
		take_given(to);
		pthread_mutex_unlock(&to->lock);
		until_ns = pb_sender_work(to->sender);
		pthread_mutex_lock(&to->lock);
		publish(to);
		if (until_ns != 0)
			wait_until(to, until_ns);
	}
	take_given(to);
	pb_sender_stop(to->sender);
	publish(to);
	pthread_mutex_unlock(&to->lock);
	return NULL;
}

static void
take_given(struct sink_interface *to)
{
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		if (to->unit[i].state == GIVEN) {
			to->unit[i].state = SENT;
			pb_sender_add(to->sender, to->unit[i].request);
		}
}

/* What has ended is the loop's. */
static void
publish(struct sink_interface *to)
{
	struct pb_answer answer;
	unsigned request;

	to->left_out = *pb_sender_left_out(to->sender);
	while (pb_sender_ended(to->sender, &request, &answer)) {
		to->unit[request].answer = answer;
		end(to, &to->unit[request]);
		if (answer.outcome != PB_OUTCOME_HAS)
			end_behind(to, &to->unit[request]);
	}
}

/* Those that were given meanwhile are not to be sent. */
static void
end_behind(struct sink_interface *to, const struct unit *failed)
{
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		struct unit *unit = &to->unit[i];

		if (unit->state != GIVEN || unit->late || failed->late ||
		    unit->stream != failed->stream)
			continue;
		unit->answer.outcome = PB_OUTCOME_PART;
		end(to, unit);
	}
}

/* With the lock. */
static void
end(struct sink_interface *to, struct unit *unit)
{
	uint64_t one = 1;

	unit->state = ENDED;
	unit->order = ++to->ends;
	/* Refused only where it would go past 2^64 - 2: it is readable. */
	if (write(to->wake, &one, sizeof(one)) < 0)
		return;
}

/* With the lock: one of its stream has failed, and the loop has not heard of
 * it yet: this one is not to be sent. */
static bool
is_behind_failed(const struct sink_interface *to,
    const struct pb_sink_request *request)
{
	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++) {
		const struct unit *unit = &to->unit[i];

		if (unit->state == ENDED && !request->action.late &&
		    !unit->late && unit->stream == request->action.stream &&
		    unit->answer.outcome != PB_OUTCOME_HAS)
			return true;
	}
	return false;
}

/* Until then, or until something was given, or the end. */
static void
wait_until(struct sink_interface *to, uint64_t until_ns)
{
	struct timespec until = {
	    .tv_sec = (time_t)(until_ns / PB_NS_PER_S),
	    .tv_nsec = (long)(until_ns % PB_NS_PER_S) };

	for (unsigned i = 0; i < PB_SHIP_SLOTS; i++)
		if (to->unit[i].state == GIVEN)
			return;
	if (to->ended)
		return;
	if (until_ns == UINT64_MAX)
		pthread_cond_wait(&to->given, &to->lock);
	else
		(void)pthread_cond_timedwait(&to->given, &to->lock, &until);
}
