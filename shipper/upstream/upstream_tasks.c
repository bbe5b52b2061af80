/*
 * shipper/upstream/upstream_tasks.c - what is written down: letters, forks
 *
 * Each is a task for the keeper, in the order given; what the state machine
 * waits for it is told when that is durable.  An upstream that ends forgets
 * those that were not begun: what was sent is sent again, as a repeat.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "shipper/upstream/upstream_impl.h"

/* What the state machine waits for, and cannot be written down, is tried
 * again after the first, and then after double the time. */
#define KEEP_MS_FIRST	1000u
#define KEEP_MS_MAX	60000u
/* Acks of late packets that are being kept. */
#define SETTLES_MAX	64u

enum kind { DEMOTE, SENT, REFUSED, TOLD, REVIVE, FORK, STAY };

struct upstream_task {
	LIST_ENTRY(upstream_task) link;
	struct pb_job	 job;
	struct pb_upstream *u;
	enum kind	 kind;
	bool		 answered;	/* it is what came of a request */
	uint32_t	 id;		/* of the stream there */
	struct pb_stream_info stream;	/* as it was */
	struct pb_ship_dead dead;	/* or its numbers alone */
	char		 text[PB_SHIP_TEXT_MAX];
	struct pb_letter *letter;	/* REVIVE: so many, and there may be */
	size_t		 letters;	/* more behind them */
	bool		 more;
	struct pb_forks	 forks;		/* STAY; FORK: and one behind them */
	/* What came of it. */
	struct pb_letters_sum sum;
	uint64_t	 done;
	bool		 ended;		/* FORK: to be asked for again */
	unsigned	 wait_ms;	/* it failed, and waits, */
	uint64_t	 again_ms;	/* until then; 0: it is the keeper's */
	int		 rc;
	struct pb_err	 err;
};

static struct upstream_task *task_create(struct pb_upstream *, uint32_t,
		    const struct pb_ship_dead *);
static bool	give(struct pb_upstream *, enum kind, uint32_t,
		    const struct pb_ship_dead *, bool);
static struct upstream_task *find(const struct pb_upstream *, enum kind,
		    uint32_t);
static int	name_fork(struct pb_upstream *, uint32_t, uint64_t,
		    struct pb_err *);
static void	run(void *);
static int	keep_fork(struct upstream_task *);
static struct pb_demotion demotion_of(const struct upstream_task *);
static void	done(void *);
static void	hold_back(struct upstream_task *);
static void	try_again(struct pb_upstream *);
static void	tell_failure(const struct upstream_task *);
static void	begin(struct pb_upstream *, struct upstream_task *, enum kind);
static void	revived(const struct upstream_task *);
static void	say_revived(struct pb_upstream *);
static bool	is_passed(const struct pb_upstream *,
		    const struct pb_letter *);

int
upstream_demote(void *arg, uint32_t id, const struct pb_ship_dead *dead,
    uint64_t *end, struct pb_err *err)
{
	*end = dead->first - 1;
	if (give(arg, DEMOTE, id, dead, true))
		return PB_SHIP_SOON;
	return pb_err_set(err, PB_ENOMEM, "no memory");
}

bool
upstream_sent(void *arg, uint32_t id, uint64_t first, uint64_t last)
{
	struct pb_ship_dead dead = { .first = first, .last = last };

	return give(arg, SENT, id, &dead, true);
}

bool
upstream_refuse(void *arg, uint32_t id, const struct pb_ship_dead *dead)
{
	return give(arg, REFUSED, id, dead, true);
}

void
upstream_settle(struct pb_upstream *u, uint32_t id, uint64_t first,
    uint64_t last)
{
	struct pb_ship_dead dead = { .first = first, .last = last };

	if (give(u, SENT, id, &dead, false))
		pb_ship_keeping(u->ship, id);
}

bool
upstream_settles_enough(const struct pb_upstream *u)
{
	const struct upstream_task *task;
	unsigned count = 0;

	LIST_FOREACH(task, &u->tasks, link)
		count += task->kind == SENT;
	return count >= SETTLES_MAX;
}

bool
upstream_dead_again(struct pb_upstream *u, uint32_t id,
    const struct pb_ship_dead *dead)
{
	struct upstream_task *task;

	LIST_FOREACH(task, &u->tasks, link)
		if (task->kind == REFUSED && task->id == id &&
		    task->dead.first == dead->first)
			return false;
	if (give(u, REFUSED, id, dead, false))
		pb_ship_keeping(u->ship, id);
	return true;
}

void
upstream_told(struct pb_upstream *u, uint32_t id, uint64_t first,
    uint64_t last)
{
	struct pb_ship_dead dead = { .first = first, .last = last };

	if (find(u, TOLD, id) == NULL)
		give(u, TOLD, id, &dead, false);
}

/*
 * The list is durable before the part is there for the state machine; so
 * nothing is sent under an epoch that a crash could make us forget.
 */
int
upstream_fork(void *arg, uint32_t id, uint64_t last, struct pb_err *err)
{
	struct pb_upstream *u = arg;
	struct upstream_task *task = find(u, FORK, id);
	int rc;

	if (find(u, STAY, id) != NULL || (task != NULL && !task->ended))
		return PB_SHIP_SOON;
	if (task == NULL || (task->rc == 0 && task->dead.first != last + 1))
		return name_fork(u, id, last, err);
	LIST_REMOVE(task, link);
	rc = task->rc;
	if (rc < 0)
		*err = task->err;
	else
		rc = upstream_take_fork(u, id, &task->forks, err);
	free(task);
	return rc;
}

/*
 * What is kept is what a restart goes by: a fork that was named when the
 * receiver was in doubt, and is not taken, is forgotten before anything is
 * sent past it, as it would be sent a second time under that epoch.
 */
int
upstream_stay(void *arg, uint32_t id)
{
	struct pb_upstream *u = arg;
	struct upstream_task *task = find(u, FORK, id);

	if (task == NULL)
		return find(u, STAY, id) != NULL ? PB_SHIP_SOON : 0;
	if (!task->ended)
		return PB_SHIP_SOON;
	LIST_REMOVE(task, link);
	task->forks = *upstream_forks(u, PB_PART_STREAM(id));
	begin(u, task, STAY);
	return PB_SHIP_SOON;
}

int
pb_upstream_again(struct pb_upstream *u, struct pb_err *err)
{
	struct upstream_task *task;
	struct pb_letter *found;
	size_t count = 0, kept = 0;
	int more;

	try_again(u);
	if (u->conf.requeue_manual || u->reviving)
		return 0;
	found = calloc(PB_LETTERS_STEP, sizeof(*found));
	if (found == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	more = pb_letters_dead(u->env.letters, u->conf.name, &u->again.after,
	    found, &count, err);
	for (size_t i = 0; more >= 0 && i < count; i++)
		if (is_passed(u, &found[i]))
			found[kept++] = found[i];
	task = more >= 0 && kept > 0 ? calloc(1, sizeof(*task)) : NULL;
	if (task != NULL) {
		task->letter = found;
		task->letters = kept;
		task->more = more == 1;
		u->reviving = true;
		begin(u, task, REVIVE);
		return 0;
	}
	free(found);	/* those that may: another time */
	if (more == 0 && kept == 0)
		say_revived(u);
	return more < 0 ? more : 0;
}

void
upstream_tasks_end(struct pb_upstream *u)
{
	struct upstream_task *task;

	while ((task = LIST_FIRST(&u->tasks)) != NULL) {
		pb_worker_cancel(u->env.keeper, &task->job);
		LIST_REMOVE(task, link);
		free(task->letter);
		free(task);
	}
}

static struct upstream_task *
find(const struct pb_upstream *u, enum kind kind, uint32_t id)
{
	struct upstream_task *task;

	LIST_FOREACH(task, &u->tasks, link)
		if (task->kind == kind && task->id == id)
			break;
	return task;
}

/* What was named here before, and not taken, is named again. */
static int
name_fork(struct pb_upstream *u, uint32_t id, uint64_t last,
    struct pb_err *err)
{
	struct pb_ship_dead numbers = { .first = last + 1 };
	struct pb_fingerprint first;
	struct upstream_task *task, *before = find(u, FORK, id);
	struct upstream_part part;
	int rc = upstream_part(u, id, &part, err);

	if (rc == 0)
		rc = pb_feed_packet(u->env.feed, part.stream, last + 1, false,
		    &(struct pb_feed_want){ .owner = u, .id = id }, &first,
		    err);
	if (rc != 1)
		return rc;
	if (part.part == PB_FORKS_MAX)
		return pb_err_set(err, PB_ELIMIT, "it has other packets past %"
		    PRIu64 ", and the stream goes under %u epochs there "
		    "already", last, PB_FORKS_MAX + 1);
	numbers.last = first.seq;
	task = task_create(u, id, &numbers);
	if (task == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	task->forks = *upstream_forks(u, part.stream->id);
	task->forks.count = part.part;
	task->forks.at[part.part] = (struct pb_fork){ .first = last + 1,
	    .epoch = pb_fork_epoch(part.key.epoch, last, first.digest) };
	if (before != NULL)
		LIST_REMOVE(before, link);
	free(before);
	begin(u, task, FORK);
	return PB_SHIP_SOON;
}

/* False without memory, or where the stream has gone; which is told. */
static bool
give(struct pb_upstream *u, enum kind kind, uint32_t id,
    const struct pb_ship_dead *dead, bool answered)
{
	struct upstream_task *task = task_create(u, id, dead);

	if (task == NULL)
		return false;
	task->answered = answered;
	begin(u, task, kind);
	return true;
}

static void
begin(struct pb_upstream *u, struct upstream_task *task, enum kind kind)
{
	task->u = u;
	task->kind = kind;
	task->job.run = run;
	task->job.done = done;
	task->job.arg = task;
	LIST_INSERT_HEAD(&u->tasks, task, link);
	pb_worker_give(u->env.keeper, &task->job);
}

static struct upstream_task *
task_create(struct pb_upstream *u, uint32_t id,
    const struct pb_ship_dead *dead)
{
	struct upstream_task *task = calloc(1, sizeof(*task));
	struct upstream_part part;
	struct pb_err err;
	int rc = task == NULL ? pb_err_set(&err, PB_ENOMEM, "no memory") :
	    upstream_part(u, id, &part, &err);

	if (rc < 0) {
		upstream_event(u, PB_LOG_WARN, id, err.text);
		free(task);
		return NULL;
	}
	task->id = id;
	task->stream = *part.stream;
	task->dead = *dead;
	snprintf(task->text, sizeof(task->text), "%s",
	    dead->text != NULL ? dead->text : "");
	task->dead.text = task->text;
	return task;
}

/* --- on the keeper's thread --------------------------------------------- */

static void
run(void *arg)
{
	struct upstream_task *task = arg;
	struct pb_letters *letters = task->u->env.letters;
	const char *upstream = task->u->conf.name;
	const struct pb_stream_key *key = &task->stream.key;
	const struct pb_ship_dead *dead = &task->dead;
	struct pb_demotion why;

	switch (task->kind) {
	case DEMOTE:
		why = demotion_of(task);
		task->rc = pb_letters_demote(letters, task->u->env.index,
		    &why, &task->done, &task->err);
		break;
	case SENT:
		task->rc = pb_letters_sent(letters, upstream, key,
		    dead->first, dead->last, &task->err);
		break;
	case REFUSED:
		why = demotion_of(task);
		task->rc = pb_letters_refused(letters, task->u->env.index,
		    &why, &task->err);
		break;
	case TOLD:
		task->rc = pb_letters_told(letters, upstream, key,
		    dead->first, dead->last, &task->err);
		break;
	case REVIVE:
		task->rc = pb_letters_revive(letters, task->letter,
		    task->letters, &task->sum, &task->err);
		break;
	case FORK:
		task->rc = keep_fork(task);
		break;
	case STAY:
		task->rc = pb_forks_keep(task->u->env.state, upstream, key,
		    &task->forks, &task->err);
		break;
	}
}

/* An upstream that has another name by now may have been given an epoch
 * when packets were here that have expired since: it is that one's. */
static int
keep_fork(struct upstream_task *task)
{
	struct pb_state *state = task->u->env.state;
	struct pb_forks *forks = &task->forks;
	struct pb_fork given;
	int rc = pb_forks_find(state, &task->stream.key, task->dead.first,
	    task->dead.last, forks, &given, &task->err);

	if (rc < 0)
		return rc;
	if (rc == 1)
		forks->at[forks->count] = given;
	forks->count++;
	return pb_forks_keep(state, task->u->conf.name, &task->stream.key,
	    forks, &task->err);
}

static struct pb_demotion
demotion_of(const struct upstream_task *task)
{
	return (struct pb_demotion){ .upstream = task->u->conf.name,
	    .stream = &task->stream, .dead = task->dead,
	    .now_ns = pb_clock_real_ns(),
	    .age_ms = pb_letters_age_ms(task->u->env.letters) };
}

/* --- on the loop's ------------------------------------------------------ */

static void
done(void *arg)
{
	struct upstream_task *task = arg;
	struct pb_upstream *u = task->u;

	if (task->kind == FORK) {
		task->ended = true;
		pb_ship_looked(u->ship, task->id, pb_clock_mono_ms(),
		    pb_random64());
		return;
	}
	if (task->rc < 0 && (task->kind == REFUSED || task->kind == STAY ||
	    (task->kind == SENT && (u->conf.at_most_once ||
	    u->sink->kind->way.pulled)))) {
		hold_back(task);
		return;
	}
	LIST_REMOVE(task, link);
	if (task->kind == DEMOTE)
		pb_ship_demoted(u->ship, task->done, task->rc < 0 ?
		    task->err.text : NULL, pb_clock_mono_ms());
	else if (task->rc < 0)
		tell_failure(task);
	if (task->kind == REVIVE)
		revived(task);
	if (task->kind == SENT || task->kind == REFUSED)
		pb_ship_kept(u->ship, task->id);
	if (task->kind == STAY)
		pb_ship_looked(u->ship, task->id, pb_clock_mono_ms(),
		    pb_random64());
	free(task->letter);
	free(task);
}

/* The state machine goes on waiting: a letter that is requeued as far as
 * anybody knows would be sent, and refused, again and again; or to who is
 * sent nothing twice.  Told once. */
static void
hold_back(struct upstream_task *task)
{
	if (task->wait_ms == 0)
		tell_failure(task);
	task->wait_ms = task->wait_ms == 0 ? KEEP_MS_FIRST :
	    task->wait_ms < KEEP_MS_MAX / 2 ? 2 * task->wait_ms : KEEP_MS_MAX;
	task->again_ms = pb_clock_mono_ms() + task->wait_ms;
}

static void
try_again(struct pb_upstream *u)
{
	uint64_t now_ms = pb_clock_mono_ms();
	struct upstream_task *task;

	LIST_FOREACH(task, &u->tasks, link)
		if (task->again_ms != 0 && task->again_ms <= now_ms) {
			task->again_ms = 0;
			pb_worker_give(u->env.keeper, &task->job);
		}
}

/* They are looked at, and the next ones in a second. */
static void
revived(const struct upstream_task *task)
{
	struct pb_upstream *u = task->u;
	struct pb_stream_info stream;
	struct pb_err err;

	u->reviving = false;
	u->again.letters += task->sum.letters;
	u->again.packets += task->sum.packets;
	for (size_t i = 0; task->rc == 0 && i < task->letters; i++)
		if (pb_index_stream(u->env.index, &task->letter[i].key,
		    &stream, &err) == 1)
			pb_upstream_late(u, &stream, false);
	if (!task->more)
		say_revived(u);
}

static void
say_revived(struct pb_upstream *u)
{
	char line[128];

	if (u->again.letters > 0) {
		snprintf(line, sizeof(line), "%" PRIu64 " dead letters, %"
		    PRIu64 " packets, go again", u->again.letters,
		    u->again.packets);
		upstream_event(u, PB_LOG_INFO, 0, line);
	}
	memset(&u->again, 0, sizeof(u->again));
}

/* All parts it lies in have moved past it: it is sent after its turn. */
static bool
is_passed(const struct pb_upstream *u, const struct pb_letter *letter)
{
	const struct pb_forks *forks;
	struct pb_stream_info stream;
	struct pb_err err;

	if (pb_index_stream(u->env.index, &letter->key, &stream, &err) != 1)
		return false;
	forks = upstream_forks(u, stream.id);
	for (unsigned part = 0; part <= forks->count; part++) {
		uint64_t to = pb_forks_top(forks, part);

		if (letter->last <= pb_forks_base(forks, part) ||
		    letter->first > to)
			continue;
		if (!pb_ship_takes(u->ship, PB_PART_ID(stream.id, part),
		    letter->last < to ? letter->last : to))
			return false;
	}
	return true;
}

static void
tell_failure(const struct upstream_task *task)
{
	char line[PB_SHIP_TEXT_MAX + 128];

	if (task->kind == SENT && task->answered)
		/* It will be sent again, as a repeat. */
		snprintf(line, sizeof(line), "packets %" PRIu64 " to %" PRIu64
		    " are delivered, but that cannot be kept: %.200s",
		    task->dead.first, task->dead.last, task->err.text);
	else if (task->kind == REFUSED && task->answered)
		snprintf(line, sizeof(line), "which cannot be kept: %.200s",
		    task->err.text);
	else
		snprintf(line, sizeof(line), "%.200s", task->err.text);
	upstream_event(task->u, PB_LOG_WARN, task->id, line);
}
