/*
 * recorder/link/forward.c - what arrives at a captured interface goes out of
 * another
 *
 *	turn	what capture says is taken over
 *	 look	at both interfaces
 *	 drive	the rule to where it should be, one step after the other; what
 *		fails is tried again, later each time, and at once when an
 *		interface changed
 *	 count	what the rule came to
 *
 * A thread of its own, for the kernel's configuration has one lock, and a
 * driver that resets its card may hold it for seconds.
 */
#include "recorder/link/forward.h"

#include <assert.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder/filter/filter.h"
#include "recorder/link/link.h"
#include "recorder/link/rule.h"

#define ETHERNET_BYTES	14u	/* of a header, which the kernel leaves out */

/* What to forward, as capture said last. */
struct order {
	bool		 given;
	bool		 fresh;		/* not set up yet */
	unsigned	 index;		/* of the captured interface */
	struct sock_filter *code;
	unsigned	 count;		/* of instructions; 0: no memory */
};

struct pb_forward {
	char		 interface[PB_IFNAME_BYTES_MAX + 1];
	char		 outlet[PB_IFNAME_BYTES_MAX + 1];
	pthread_t	 thread;
	bool		 runs;
	int		 wake_fd, link_fd;

	/* The thread's own. */
	struct pb_rule	 rule;
	struct order	 has;
	struct pb_port	 from, to;	/* at the last look */
	uint64_t	 retry_ms, wait_ms;	/* as a source's */
	struct pb_rule_counts seen;	/* of this action */
	uint64_t	 offered;	/* packets, since start */
	uint64_t	 header;	/* bytes that it does not count */
	char		 logged[PB_ERR_TEXT_MAX];

	pthread_mutex_t	 lock;		/* of what follows */
	bool		 stopping;
	struct order	 said;
	struct pb_forward_stats stats;
};

static void	free_all(struct pb_forward *);
static void	*forward_main(void *);
static bool	take_over(struct pb_forward *);
static bool	same_order(const struct order *, const struct order *);
static void	wait_turn(struct pb_forward *);
static void	turn(struct pb_forward *);
static int	look(struct pb_forward *, struct pb_err *);
static bool	same_port(const struct pb_port *, const struct pb_port *);
static int	drive(struct pb_forward *, struct pb_err *);
static int	fits(const struct pb_forward *, struct pb_err *);
static void	note(const struct pb_forward *, struct pb_err *);
static int	count(struct pb_forward *, struct pb_err *);
static void	add_up(struct pb_forward *, const struct pb_rule_counts *);
static void	tell(struct pb_forward *, bool, const char *);
static void	end(struct pb_forward *);

int
pb_forward_start(struct pb_forward **out, const char *interface,
    const char *outlet, uint64_t owner, struct pb_err *err)
{
	struct pb_forward *fwd = calloc(1, sizeof(*fwd));
	int rc;

	if (fwd == NULL)
		return pb_err_set(err, PB_ENOMEM, "forward: no memory");
	snprintf(fwd->interface, sizeof(fwd->interface), "%s", interface);
	snprintf(fwd->outlet, sizeof(fwd->outlet), "%s", outlet);
	snprintf(fwd->stats.why, sizeof(fwd->stats.why), "%s is not captured "
	    "yet", interface);
	pthread_mutex_init(&fwd->lock, NULL);
	fwd->link_fd = pb_link_watch();
	fwd->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = pb_rule_init(&fwd->rule, owner, err);
	if (rc == 0 && fwd->wake_fd < 0)
		rc = pb_err_sys(err, "forward: eventfd");
	if (rc == 0) {
		errno = pthread_create(&fwd->thread, NULL, forward_main, fwd);
		if (errno != 0)
			rc = pb_err_sys(err, "forward: start a thread");
	}
	if (rc < 0) {
		free_all(fwd);
		return rc;
	}
	fwd->runs = true;
	*out = fwd;
	return 0;
}

void
pb_forward_take(struct pb_forward *fwd, unsigned index,
    const struct pb_filter *filter)
{
	struct sock_filter *code = calloc(PB_FILTER_CODE_MAX, sizeof(*code));
	uint64_t one = 1;
	unsigned length = 0;

	if (code != NULL)
		length = pb_filter_code(filter, code);
	pthread_mutex_lock(&fwd->lock);
	free(fwd->said.code);
	fwd->said = (struct order){ .given = true, .fresh = true,
	    .index = index, .code = code, .count = length };
	pthread_mutex_unlock(&fwd->lock);
	if (write(fwd->wake_fd, &one, sizeof(one)) != sizeof(one))
		assert(!"eventfd refused");
}

void
pb_forward_stop(struct pb_forward *fwd)
{
	uint64_t one = 1;

	if (fwd == NULL || !fwd->runs)
		return;
	pthread_mutex_lock(&fwd->lock);
	fwd->stopping = true;
	pthread_mutex_unlock(&fwd->lock);
	if (write(fwd->wake_fd, &one, sizeof(one)) != sizeof(one))
		assert(!"eventfd refused");
	pthread_join(fwd->thread, NULL);
	fwd->runs = false;
}

void
pb_forward_destroy(struct pb_forward *fwd)
{
	if (fwd == NULL)
		return;
	pb_forward_stop(fwd);
	free_all(fwd);
}

void
pb_forward_stats(struct pb_forward *fwd, struct pb_forward_stats *out)
{
	pthread_mutex_lock(&fwd->lock);
	*out = fwd->stats;
	pthread_mutex_unlock(&fwd->lock);
}

static void
free_all(struct pb_forward *fwd)
{
	pb_rule_finish(&fwd->rule);
	if (fwd->link_fd >= 0)
		close(fwd->link_fd);
	if (fwd->wake_fd >= 0)
		close(fwd->wake_fd);
	free(fwd->has.code);
	free(fwd->said.code);
	pthread_mutex_destroy(&fwd->lock);
	free(fwd);
}

/* --- the thread ---------------------------------------------------------- */

static void *
forward_main(void *arg)
{
	struct pb_forward *fwd = arg;

	pthread_setname_np(pthread_self(), "forward");
	while (take_over(fwd)) {
		if (fwd->has.given)
			turn(fwd);
		wait_turn(fwd);
	}
	end(fwd);
	return NULL;
}

/* What capture said meanwhile; false where this is the end. */
static bool
take_over(struct pb_forward *fwd)
{
	bool goes_on;

	pthread_mutex_lock(&fwd->lock);
	goes_on = !fwd->stopping;
	if (fwd->said.given) {
		if (same_order(&fwd->said, &fwd->has))
			fwd->said.fresh = fwd->has.fresh;
		free(fwd->has.code);
		fwd->has = fwd->said;
		memset(&fwd->said, 0, sizeof(fwd->said));
		fwd->retry_ms = 0;
	}
	pthread_mutex_unlock(&fwd->lock);
	return goes_on;
}

/* An interface that was opened again has its rule still. */
static bool
same_order(const struct order *a, const struct order *b)
{
	return a->given == b->given && a->index == b->index && a->count > 0 &&
	    a->count == b->count &&
	    memcmp(a->code, b->code, a->count * sizeof(a->code[0])) == 0;
}

static void
wait_turn(struct pb_forward *fwd)
{
	struct pollfd fds[2] = {
		{ .fd = fwd->wake_fd, .events = POLLIN },
		{ .fd = fwd->link_fd, .events = POLLIN },
	};
	uint64_t now_ms = pb_clock_mono_ms(), wait = PB_FORWARD_LOOK_MS;
	uint64_t gap = PB_FORWARD_GAP_MS, wakes;

	if (fwd->retry_ms > now_ms && fwd->retry_ms - now_ms < wait)
		wait = fwd->retry_ms - now_ms;
	if (gap > wait)
		gap = wait;
	/* What changes all the time is neither asked for nor told each time. */
	if (poll(fds, 1, (int)gap) == 0)
		poll(fds, 2, (int)(wait - gap));
	/* Nothing there is no error: it does not block. */
	if (read(fwd->wake_fd, &wakes, sizeof(wakes)) < 0)
		wakes = 0;
	if (fwd->link_fd >= 0)
		(void)pb_link_changed(fwd->link_fd);
}

static void
turn(struct pb_forward *fwd)
{
	uint64_t now_ms = pb_clock_mono_ms();
	struct pb_err err = { .text = "" };
	int rc = look(fwd, &err);

	if (rc == 0)
		rc = count(fwd, &err);
	if (rc == 0 && now_ms < fwd->retry_ms)
		return;		/* what it waits for stands in the status */
	if (rc == 0)
		rc = drive(fwd, &err);
	if (rc < 0) {
		fwd->wait_ms = fwd->wait_ms == 0 ? PB_FORWARD_RETRY_MS :
		    2 * fwd->wait_ms;
		if (fwd->wait_ms > PB_FORWARD_RETRY_MS_MAX)
			fwd->wait_ms = PB_FORWARD_RETRY_MS_MAX;
		fwd->retry_ms = now_ms + fwd->wait_ms;
		tell(fwd, false, err.text);
		return;
	}
	fwd->wait_ms = 0;
	fwd->retry_ms = 0;
	note(fwd, &err);
	tell(fwd, fwd->to.up, err.text);
}

/* What changed is reason to try at once. */
static int
look(struct pb_forward *fwd, struct pb_err *err)
{
	struct pb_port from, to;
	int rc = pb_rule_port(&fwd->rule, fwd->interface, &from, err);

	if (rc == 0)
		rc = pb_rule_port(&fwd->rule, fwd->outlet, &to, err);
	if (rc < 0)
		return rc;
	if (!same_port(&from, &fwd->from) || !same_port(&to, &fwd->to))
		fwd->retry_ms = 0;
	/* Another of its name begins anew. */
	pthread_mutex_lock(&fwd->lock);
	if (to.index == fwd->to.index && to.dropped > fwd->to.dropped)
		fwd->stats.dropped += to.dropped - fwd->to.dropped;
	pthread_mutex_unlock(&fwd->lock);
	fwd->from = from;
	fwd->to = to;
	return 0;
}

static bool
same_port(const struct pb_port *a, const struct pb_port *b)
{
	return a->index == b->index && a->type == b->type &&
	    a->mtu == b->mtu && a->up == b->up;
}

/* What is set up already stays as it is.  Where the outlet is gone the rule
 * stays: what it cannot take is counted.  Where one of the two has another
 * name by now the rule goes. */
static int
drive(struct pb_forward *fwd, struct pb_err *err)
{
	struct pb_rule *rule = &fwd->rule;
	int rc = fits(fwd, err);

	if (rc == PB_EINVAL)
		(void)pb_rule_unbind(rule, NULL);
	else if (rc == 0 && fwd->has.fresh)
		rc = pb_rule_unbind(rule, err);
	if (rc == 0 && (rule->action == 0 || rule->outlet != fwd->to.index))
		rc = pb_rule_aim(rule, fwd->to.index, err);
	if (rc == 0 && rule->at != fwd->has.index) {
		fwd->header = fwd->from.type == ARPHRD_ETHER ?
		    ETHERNET_BYTES : 0;
		rc = pb_rule_bind(rule, fwd->has.index, fwd->has.code,
		    fwd->has.count, err);
	}
	if (rc == 0)
		fwd->has.fresh = false;
	return rc;
}

/* PB_EINVAL where nothing may go out; PB_ENOENT where nothing can. */
static int
fits(const struct pb_forward *fwd, struct pb_err *err)
{
	if (fwd->has.index == 0)
		return pb_err_set(err, PB_EINVAL, "%s is no network "
		    "interface; take forward out, or capture one",
		    fwd->interface);
	if (fwd->has.count == 0)
		return pb_err_set(err, PB_EINVAL, "no memory for the filter, "
		    "or it is longer than %u instructions",
		    PB_FILTER_CODE_MAX);
	if (fwd->from.index != fwd->has.index)
		return pb_err_set(err, PB_EINVAL, "%s is %s", fwd->interface,
		    fwd->from.index == 0 ? "not there" : "not captured yet");
	if (fwd->to.index == 0)
		return pb_err_set(err, fwd->rule.outlet != 0 ? PB_EINVAL :
		    PB_ENOENT, "%s is not there", fwd->outlet);
	if (fwd->to.index == fwd->from.index)
		return pb_err_set(err, PB_EINVAL, "%s is the captured "
		    "interface itself; name another", fwd->outlet);
	if (fwd->to.type != fwd->from.type)
		return pb_err_set(err, PB_EINVAL, "%s and %s have different "
		    "link types (%u and %u of ARPHRD); name one of the same "
		    "type", fwd->interface, fwd->outlet, fwd->from.type,
		    fwd->to.type);
	return 0;
}

/* It is set up; what does not go out all the same. */
static void
note(const struct pb_forward *fwd, struct pb_err *err)
{
	err->text[0] = '\0';
	if (!fwd->to.up)
		pb_err_set(err, PB_EBUSY, "%s is down", fwd->outlet);
	else if (fwd->to.mtu < fwd->from.mtu)
		pb_err_set(err, PB_ELIMIT, "%s has an MTU of %u and %s one of "
		    "%u: larger packets do not go out", fwd->outlet,
		    fwd->to.mtu, fwd->interface, fwd->from.mtu);
}

/* Somebody may have taken away the rule, or parts of it. */
static int
count(struct pb_forward *fwd, struct pb_err *err)
{
	struct pb_rule *rule = &fwd->rule;
	struct pb_rule_counts counts;
	int rc;

	if (rule->action == 0)
		return 0;
	rc = pb_rule_look(rule, &counts, err);
	if (rc == 0)
		add_up(fwd, &counts);
	if (rc == PB_ENOENT || (rc == 0 && !counts.bound)) {
		fwd->retry_ms = 0;
		rc = pb_rule_unbind(rule, err);
	}
	if (rc == 0 && (rule->action == 0 || counts.outlet == 0))
		rule->outlet = 0;
	if (rule->action == 0)
		memset(&fwd->seen, 0, sizeof(fwd->seen));
	return rc;
}

static void
add_up(struct pb_forward *fwd, const struct pb_rule_counts *counts)
{
	struct pb_forward_stats *stats = &fwd->stats;
	uint64_t packets = counts->packets - fwd->seen.packets, went;
	uint32_t refused = counts->refused - fwd->seen.refused;

	pthread_mutex_lock(&fwd->lock);
	stats->bytes += counts->bytes - fwd->seen.bytes +
	    packets * fwd->header;
	stats->refused += refused;
	fwd->offered += packets;
	/* The kernel reads the second counter a little later. */
	went = fwd->offered > stats->refused ?
	    fwd->offered - stats->refused : 0;
	if (went > stats->packets)
		stats->packets = went;
	pthread_mutex_unlock(&fwd->lock);
	fwd->seen = *counts;
}

/* A line in the log where it is another reason than the last that was, or
 * goes on. */
static void
tell(struct pb_forward *fwd, bool on, const char *why)
{
	bool was;

	pthread_mutex_lock(&fwd->lock);
	was = fwd->stats.on;
	fwd->stats.on = on;
	snprintf(fwd->stats.why, sizeof(fwd->stats.why), "%s", why);
	pthread_mutex_unlock(&fwd->lock);
	if (on && (!was || (why[0] == '\0' && fwd->logged[0] != '\0')))
		pb_log(PB_LOG_INFO, "forward", "forwarding interface=%s "
		    "outlet=%s", fwd->interface, fwd->outlet);
	if (why[0] != '\0' && strcmp(fwd->logged, why) != 0)
		pb_log(PB_LOG_WARN, "forward", "%s interface=%s outlet=%s: "
		    "%s%s", on ? "not all goes out" : "not forwarding",
		    fwd->interface, fwd->outlet, why, on ? "" :
		    "; it is tried again until it works");
	snprintf(fwd->logged, sizeof(fwd->logged), "%s", why);
}

/* Take it all down, and count the last packets. */
static void
end(struct pb_forward *fwd)
{
	struct pb_rule_counts last = { .packets = 0 };
	bool was = fwd->rule.action != 0;
	struct pb_forward_stats stats;
	struct pb_err err;
	int rc = pb_rule_remove(&fwd->rule, &last, &err);

	if (was && rc == 0)
		add_up(fwd, &last);
	if (rc < 0)
		pb_log(PB_LOG_ERROR, "forward", "a rule is left interface=%s "
		    "outlet=%s: %s; Fix: start pb-recorder once more",
		    fwd->interface, fwd->outlet, err.text);
	pb_forward_stats(fwd, &stats);
	pb_log(PB_LOG_INFO, "forward", "stopped interface=%s outlet=%s "
	    "packets=%llu refused=%llu", fwd->interface, fwd->outlet,
	    (unsigned long long)stats.packets,
	    (unsigned long long)stats.refused);
}
