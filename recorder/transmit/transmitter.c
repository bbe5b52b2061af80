/*
 * recorder/transmit/transmitter.c - frames out of their interfaces, each when
 * it is due
 *
 *	fetch       the frame that is next, and when it is due
 *	keep_time   until then
 *	gather      with it, what is due at the same time
 *	send        all of it, or what the queue takes
 *
 * Moments of a pace are counted from its first frame; `base` is when that
 * was.
 */
#include "recorder/transmit/transmitter.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "recorder/transmit/until.h"

#define STEP_MS		100
#define STEP_NS		(STEP_MS * PB_NS_PER_MS)
#define LEAD_NS		200000u	/* before the first frame */
#define DRAIN_NS	PB_NS_PER_S

struct transmitter {
	const struct pb_transmit_opts *opts;
	struct pb_ahead	*ahead;
	struct pb_transmit_report *report;
	struct pb_pace	 pace;
	struct pb_until	 until;
	uint64_t	 base;
	uint64_t	 tick_ns;	/* the next one */
	struct pb_load	*load;
	unsigned	 at;		/* in it: the next frame, */
	uint64_t	 due;		/* which is due then, */
	bool		 known;		/* where that is known yet */
	uint64_t	 first_due;
	uint64_t	 full_ns;	/* since when nothing is taken, or 0 */
	unsigned	 gathered;
	uint64_t	 due_of[PB_TRANSMIT_BATCH];
};

static int	fetch(struct transmitter *, struct pb_err *);
static uint64_t	begin(const struct transmitter *);
static int	fetch_load(struct transmitter *, uint64_t *,
		    struct pb_err *);
static void	move(struct transmitter *, uint64_t, uint64_t);
static uint64_t	next_due(struct transmitter *, unsigned);
static void	keep_time(struct transmitter *);
static void	gather(struct transmitter *);
static int	send_all(struct transmitter *, struct pb_err *);
static int	send_some(struct transmitter *, const struct pb_way *,
		    unsigned *, struct pb_err *);
static void	count(struct transmitter *, unsigned, unsigned, uint64_t,
		    uint64_t);
static void	count_time(struct transmitter *, uint64_t, uint64_t);
static int	wait_room(struct transmitter *, const struct pb_way *,
		    struct pb_err *);
static int	wait_link(struct transmitter *, const struct pb_way *,
		    struct pb_err *);
static uint64_t	slept(struct transmitter *);
static void	drain(struct transmitter *);
static void	tick(struct transmitter *, uint64_t);
static uint64_t	distance(uint64_t, uint64_t);
static bool	stolen_ns(uint64_t *);

int
pb_transmit(const struct pb_transmit_opts *opts, struct pb_ahead *ahead,
    struct pb_transmit_report *report, struct pb_err *err)
{
	struct transmitter t = {
		.opts = opts, .ahead = ahead, .report = report,
	};
	uint64_t stolen, now;
	int rc = 1;

	memset(report, 0, sizeof(*report));
	report->steal_known = stolen_ns(&stolen);
	pb_pace_init(&t.pace, &opts->pace);
	pb_until_begin(&t.until, opts->no_spin);
	while (rc > 0 && !pb_stopped(opts->stop)) {
		rc = fetch(&t, err);
		if (rc <= 0)
			break;
		keep_time(&t);
		gather(&t);
		rc = send_all(&t, err);
	}
	pb_until_end(&t.until);
	pb_ahead_done(ahead, t.load);
	drain(&t);
	if (report->steal_known && stolen_ns(&now) && now > stolen)
		report->steal_ns = now - stolen;
	return rc < 0 ? rc : 0;
}

double
pb_transmit_rate(uint64_t packets, uint64_t ns)
{
	return packets < 2 || ns == 0 ? 0 :
	    (double)(packets - 1) * (double)PB_NS_PER_S / (double)ns;
}

/* The next frame, and when it is due: 1; 0 at the end or with a stop. */
static int
fetch(struct transmitter *t, struct pb_err *err)
{
	uint64_t since = 0;
	int rc = 1;

	if (t->load == NULL || t->at == t->load->count)
		rc = fetch_load(t, &since, err);
	if (rc <= 0)
		return rc;
	if (!t->known) {
		t->due = next_due(t, t->at);
		t->known = true;
	}
	if (t->base == 0) {
		t->base = begin(t);
		t->first_due = t->due;
	} else if (since > 0) {
		move(t, since, slept(t));
	}
	return 1;
}

/* When the first frame is due. */
static uint64_t
begin(const struct transmitter *t)
{
	uint64_t ns = pb_clock_mono_ns() + LEAD_NS;

	return t->opts->pace.kind == PB_PACE_TOP ? ns :
	    pb_until_behind_tick(ns);
}

/* `*since` is when it was found that none is there. */
static int
fetch_load(struct transmitter *t, uint64_t *since, struct pb_err *err)
{
	int rc;

	pb_ahead_done(t->ahead, t->load);
	t->load = NULL;
	t->at = 0;
	rc = pb_ahead_next(t->ahead, 0, &t->load, err);
	if (rc == PB_LOADS_NONE_YET)
		*since = pb_clock_mono_ns();
	while (rc == PB_LOADS_NONE_YET && !pb_stopped(t->opts->stop)) {
		rc = pb_ahead_next(t->ahead, STEP_MS, &t->load, err);
		tick(t, pb_clock_mono_ns());
	}
	if (rc == PB_LOADS_END)
		t->report->skipped += pb_ahead_left(t->ahead);
	return rc == PB_LOADS_NONE_YET ? 0 : rc;
}

/* Nothing could be sent from `since` to `now`: what was due in that time is
 * due now. */
static void
move(struct transmitter *t, uint64_t since, uint64_t now)
{
	uint64_t due = t->due > UINT64_MAX - t->base ? UINT64_MAX :
	    t->base + t->due;

	if (t->opts->pace.kind == PB_PACE_TOP)
		return;
	if (due > since)
		since = due;
	if (since >= now)
		return;
	t->base += now - since;
	t->report->moved_ns += now - since;
}

static uint64_t
next_due(struct transmitter *t, unsigned at)
{
	const struct pb_ready *ready = &t->load->ready[at];

	if (ready->again)
		pb_pace_again(&t->pace);
	return pb_pace_next(&t->pace, ready->time_ns, ready->timed,
	    t->load->frame[at].len);
}

/* In steps, between which one can be told to stop. */
static void
keep_time(struct transmitter *t)
{
	uint64_t due = t->due > UINT64_MAX - t->base ? UINT64_MAX :
	    t->base + t->due;
	uint64_t now = pb_clock_mono_ns();

	if (due > now && due - now > PB_TRANSMIT_FAR_NS)
		t->opts->far(t->opts->arg, due - now);
	do {
		tick(t, now);
		now = pb_until(&t->until, due > now + STEP_NS ?
		    now + STEP_NS : due);
	} while (now < due && !pb_stopped(t->opts->stop));
}

/* The next frame and those behind it that are due with it, out of the same
 * outlet. */
static void
gather(struct transmitter *t)
{
	const struct pb_load *load = t->load;
	uint64_t now = pb_clock_mono_ns() + PB_TRANSMIT_TOGETHER_NS;
	uint64_t by = now > t->base ? now - t->base : 0;
	unsigned n = 1;

	t->due_of[0] = t->due;
	t->known = false;
	while (n < PB_TRANSMIT_BATCH && t->at + n < load->count &&
	    load->ready[t->at + n].outlet == load->ready[t->at].outlet) {
		t->due = next_due(t, t->at + n);
		t->known = t->due > by;
		if (t->known)
			break;
		t->due_of[n++] = t->due;
	}
	t->gathered = n;
}

/* 1, or an error; some are left where one was told to stop. */
static int
send_all(struct transmitter *t, struct pb_err *err)
{
	const struct pb_way *way =
	    &t->opts->way[t->load->ready[t->at].outlet];
	unsigned sent = 0;
	int rc = 1;

	while (rc > 0 && sent < t->gathered && !pb_stopped(t->opts->stop))
		rc = send_some(t, way, &sent, err);
	t->at += t->gathered;
	return rc;
}

static int
send_some(struct transmitter *t, const struct pb_way *way, unsigned *sent,
    struct pb_err *err)
{
	uint64_t before = pb_clock_mono_ns();
	int rc = pb_outlet_send(way->outlet, &t->load->frame[t->at + *sent],
	    t->gathered - *sent, err);

	if (rc > 0) {
		count(t, *sent, (unsigned)rc, before, pb_clock_mono_ns());
		*sent += (unsigned)rc;
		t->full_ns = 0;
	} else if (rc == 0) {
		rc = wait_room(t, way, err);
	} else if (rc == PB_EFORMAT) {
		t->report->failed++;
		t->report->skipped += t->load->ready[t->at + *sent].skipped;
		++*sent;
		rc = 1;
	}
	if (rc == PB_EBUSY && t->opts->wait_down)
		rc = wait_link(t, way, err);
	return rc;
}

/* Frames from..from+taken of those gathered went out, one after the other,
 * between two moments. */
static void
count(struct transmitter *t, unsigned from, unsigned taken, uint64_t before,
    uint64_t after)
{
	struct pb_transmit_report *report = t->report;
	const struct pb_load *load = t->load;
	uint64_t at = before, each = (after - before) / taken;

	if (report->sent == 0)
		report->first_ns = before;
	for (unsigned i = from; i < from + taken; i++, at += each) {
		const struct pb_ready *ready = &load->ready[t->at + i];

		report->bytes += load->frame[t->at + i].len;
		report->skipped += ready->skipped;
		report->truncated += ready->truncated;
		report->cut += ready->cut;
		if (t->opts->pace.kind != PB_PACE_TOP)
			count_time(t, t->base + t->due_of[i], at);
	}
	report->sent += taken;
	report->last_ns = at - each;
	report->last_bytes = load->frame[t->at + from + taken - 1].len;
	report->due_ns = t->due_of[from + taken - 1] - t->first_due;
}

static void
count_time(struct transmitter *t, uint64_t due, uint64_t at)
{
	pb_timing_add(&t->report->error, distance(due, at));
	if (at > due && at - due > PB_TRANSMIT_LATE_NS)
		t->report->late++;
}

/* The queue is full: 1 when it may have room. */
static int
wait_room(struct transmitter *t, const struct pb_way *way,
    struct pb_err *err)
{
	uint64_t now = pb_clock_mono_ns();
	int rc;

	if (t->full_ns == 0)
		t->full_ns = now;
	if (now - t->full_ns > PB_TRANSMIT_STUCK_NS)
		return pb_err_set(err, PB_ELIMIT, "the queue of %s has taken "
		    "nothing for %llu seconds", way->name, (unsigned long long)
		    (PB_TRANSMIT_STUCK_NS / PB_NS_PER_S));
	t->report->full++;
	tick(t, now);
	rc = pb_outlet_wait(way->outlet, STEP_NS, err);
	slept(t);
	return rc < 0 ? rc : 1;
}

/* 1 once it is up, or with a stop. */
static int
wait_link(struct transmitter *t, const struct pb_way *way,
    struct pb_err *err)
{
	const struct timespec step = { .tv_nsec = STEP_NS };
	uint64_t since = pb_clock_mono_ns(), now;
	int rc;

	t->opts->link(t->opts->arg, way, err);
	do {
		nanosleep(&step, NULL);
		tick(t, pb_clock_mono_ns());
		rc = pb_outlet_look(way->outlet, err);
	} while (rc == PB_EBUSY && !pb_stopped(t->opts->stop));
	if (rc < 0)
		return rc == PB_EBUSY ? 1 : rc;
	now = slept(t);
	t->base += now - since;
	t->report->moved_ns += now - since;
	t->full_ns = 0;
	t->opts->link(t->opts->arg, way, NULL);
	return 1;
}

/* It was not awake, for whatever reason, up to now: when that is. */
static uint64_t
slept(struct transmitter *t)
{
	return t->until.slept_ns = pb_clock_mono_ns();
}

/* What was taken and waits for an interface that does not take it, whatever
 * the reason, was not sent. */
static void
drain(struct transmitter *t)
{
	struct pb_transmit_report *report = t->report;

	for (size_t i = 0; i < t->opts->ways && report->sent > 0; i++) {
		struct pb_outlet *outlet = t->opts->way[i].outlet;
		uint64_t bytes;
		unsigned left;

		(void)pb_outlet_drain(outlet, DRAIN_NS, NULL);
		left = pb_outlet_waiting(outlet, &bytes);
		report->sent -= left;
		report->bytes -= bytes;
		report->failed += left;
	}
}

static void
tick(struct transmitter *t, uint64_t now)
{
	if (now < t->tick_ns)
		return;
	t->tick_ns = now + PB_TRANSMIT_TICK_NS;
	t->opts->tick(t->opts->arg, t->report);
}

static uint64_t
distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* What other machines had of our processors: proc_stat(5), the eighth number
 * of its first line, in ticks. */
static bool
stolen_ns(uint64_t *out)
{
	long each = sysconf(_SC_CLK_TCK);
	unsigned long long ticks;
	FILE *file = fopen("/proc/stat", "re");
	bool known = file != NULL && each > 0 && fscanf(file, "cpu %*u %*u "
	    "%*u %*u %*u %*u %*u %llu", &ticks) == 1;

	if (file != NULL)
		fclose(file);
	if (known)
		*out = (uint64_t)ticks * (PB_NS_PER_S / (uint64_t)each);
	return known;
}
