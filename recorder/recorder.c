/*
 * recorder/recorder.c - the parts of pb-recorder, wired together
 *
 *	capture threads --chunks--> store (writer thread) <--chunks-- ingest
 *
 * Started from the store outwards and stopped the other way round:
 * producers first, the store last, so that whatever was read is written.
 */
#include "recorder/recorder_impl.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder/link/rule.h"
#include "recorder/port/ingest.h"
#include "recorder/retention.h"
#include "recorder/sift/sieve.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/write/store.h"

#define OPEN_WAIT_S	2	/* for interfaces, before saying ready */
#define CHECK_MS_MAX	2000	/* for names in all filters together, */
#define CHECK_MS_MIN	20	/* and in the last of them */

static int	check_puller(const struct pb_conf *,
		    const struct pb_conf_upstream *, struct pb_err *);
static int	open_store(struct pb_recorder *, struct pb_err *);
static void	sweep(const struct pb_conf *);
static void	look_at_store(struct pb_recorder *);
static uint64_t	count_unkept(struct pb_recorder *);
static void	wait_captures(struct pb_recorder *);
static int	start_captures(struct pb_recorder *, const struct pb_conf *,
		    struct pb_err *);
static void	stop_captures(struct pb_recorder *, const struct pb_conf *);
static int	start_ingest(struct pb_recorder *, struct pb_err *);
static bool	is_kept(const struct pb_conf *,
		    const struct pb_conf_capture *);
static bool	is_running(struct pb_recorder *, const char *);
static int	grow_index(struct pb_recorder *, const struct pb_conf *,
		    struct pb_err *);
static bool	same_fixed(const struct pb_conf *, const struct pb_conf *);

int
pb_recorder_check(const struct pb_conf *conf, struct pb_err *err)
{
	uint64_t until_ms = pb_clock_mono_ms() + CHECK_MS_MAX;
	struct pb_err note = { .code = 0 };
	const char *key;
	int rc = 0;

	if (conf->captures > PB_CAPTURES_MAX)
		return pb_err_set(err, PB_EINVAL, "%zu [capture] sections; "
		    "%d is the most", conf->captures, PB_CAPTURES_MAX);
	for (size_t i = 0; i < conf->captures && rc >= 0; i++) {
		uint64_t now_ms = pb_clock_mono_ms();

		rc = pb_source_check(&conf->capture[i], until_ms > now_ms +
		    CHECK_MS_MIN ? (unsigned)(until_ms - now_ms) :
		    CHECK_MS_MIN, &key, err);
		if (rc > 0)
			note = *err;
		else if (rc < 0)
			return pb_conf_blame(conf, PB_CONF_CAPTURE,
			    &conf->capture[i], key, err);
	}
	for (size_t i = 0; i < conf->upstreams && rc >= 0; i++)
		rc = check_puller(conf, &conf->upstream[i], err);
	if (rc >= 0)
		rc = pb_retention_check(conf, err);
	if (rc < 0)
		return rc;
	*err = note;
	return note.code != 0;
}

int
pb_recorder_start(struct pb_recorder **out, struct pb_conf *conf,
    struct pb_err *err)
{
	struct pb_recorder *rec = calloc(1, sizeof(*rec));
	int rc;

	if (rec == NULL) {
		pb_conf_destroy(conf);
		return pb_err_set(err, PB_ENOMEM, "no memory");
	}
	rec->conf = conf;
	rec->started_ms = pb_clock_mono_ms();
	rec->sampled_ms = rec->started_ms;
	pthread_mutex_init(&rec->lock, NULL);
	rc = open_store(rec, err);
	if (rc == 0) {
		sweep(conf);
		rc = start_captures(rec, conf, err);
	}
	if (rc == 0)
		rc = start_ingest(rec, err);
	if (rc < 0) {
		pb_recorder_stop(rec);
		return rc;
	}
	wait_captures(rec);
	*out = rec;
	return 0;
}

int
pb_recorder_reload(struct pb_recorder *rec, struct pb_conf *fresh,
    struct pb_err *err)
{
	int rc = grow_index(rec, fresh, err);

	if (rc == 0)
		rc = pb_retention_apply(rec->store, fresh, err);
	if (rc == 0) {
		pb_store_take(rec->store);
		if (!same_fixed(rec->conf, fresh))
			pb_log(PB_LOG_WARN, "recorder", "[node], [store] or "
			    "[listen] changed in %s: restart pb-recorder to "
			    "use it", fresh->file);
		pb_ingest_sift(rec->ingest, fresh);
		stop_captures(rec, fresh);
		/* What stays as started is what the sources are told. */
		fresh->node = rec->conf->node;
		fresh->store = rec->conf->store;
		rc = start_captures(rec, fresh, err);
	}
	pb_conf_destroy(fresh);
	return rc;
}

void
pb_recorder_tick(struct pb_recorder *rec, uint64_t now_ms)
{
	uint64_t span_ms = now_ms - rec->sampled_ms;

	look_at_store(rec);
	if (span_ms < PB_RECORDER_SAMPLE_MS)
		return;
	rec->sampled_ms = now_ms;
	pthread_mutex_lock(&rec->lock);
	for (size_t i = 0; i < rec->captures; i++) {
		struct capture *capture = &rec->capture[i];
		struct pb_source_stats stats;
		double seconds = (double)span_ms / 1000;

		pb_source_stats(capture->source, &stats);
		capture->pps = (double)(stats.packets - capture->packets) /
		    seconds;
		capture->bps = (double)(stats.bytes - capture->bytes) * 8 /
		    seconds;
		capture->packets = stats.packets;
		capture->bytes = stats.bytes;
	}
	pthread_mutex_unlock(&rec->lock);
}

void
pb_recorder_stop(struct pb_recorder *rec)
{
	if (rec == NULL)
		return;
	/* Chunks that they wait for may wait for the index. */
	pb_store_ends(rec->store);
	stop_captures(rec, NULL);
	if (rec->ingest != NULL)
		pb_ingest_stop(rec->ingest);
	pb_store_close(rec->store);
	pb_conf_destroy(rec->conf);
	pthread_mutex_destroy(&rec->lock);
	free(rec);
}

/* What packets it gets is ours to say. */
static int
check_puller(const struct pb_conf *conf,
    const struct pb_conf_upstream *upstream, struct pb_err *err)
{
	int rc = pb_conf_pulled(upstream) ? pb_sieve_check(upstream->filter,
	    CHECK_MS_MIN, err) : 0;

	if (rc >= 0)
		return 0;
	pb_err_prefix(err, rc, "[upstream %s]", upstream->name);
	return pb_conf_blame(conf, PB_CONF_UPSTREAM, upstream, "filter", err);
}

/* The store is ours alone, and so are rules that forward and have its name.
 * Who may not remove them captures all the same. */
static void
sweep(const struct pb_conf *conf)
{
	struct pb_err err;
	int rc = pb_rule_sweep(pb_rule_owner(conf->node.name,
	    conf->store.path), &err);

	if (rc < 0)
		pb_log(PB_LOG_ERROR, "forward", "what an earlier recorder "
		    "forwarded may go on: %s", err.text);
	else if (rc > 0)
		pb_log(PB_LOG_INFO, "forward", "removed what an earlier "
		    "recorder left rules=%d", rc);
}

static int
open_store(struct pb_recorder *rec, struct pb_err *err)
{
	const struct pb_store_conf *conf = &rec->conf->store;
	struct pb_store_opts opts = {
		.path = conf->path,
		.pen = rec->conf->node.pen,
		.segment_size = conf->segment_size,
		.segment_age_ms = conf->segment_age_ms,
		.index_size = conf->index_size,
		.flows = (enum pb_store_flows)conf->flows,
	};
	int rc = pb_store_open(&rec->store, &opts, err);

	return rc < 0 ? rc : pb_retention_apply(rec->store, rec->conf, err);
}

/*
 * The local door stands in the store, and goes and comes with it.  A store
 * that came back between two looks is another one.
 */
static void
look_at_store(struct pb_recorder *rec)
{
	struct pb_store_stats stats;
	uint64_t unkept = count_unkept(rec);

	pb_store_stats(rec->store, &stats);
	pb_ingest_local(rec->ingest, stats.away ? 0 : stats.returns + 1);
	if (rec->away && stats.returns != rec->returns)
		pb_log(PB_LOG_INFO, "recorder", "capturing into the store "
		    "again not_kept=%llu; drop counts of the next packets "
		    "tell them", (unsigned long long)(unkept > rec->unkept ?
		    unkept - rec->unkept : 0));
	if (stats.away && !rec->away)
		rec->unkept = unkept;
	rec->away = stats.away;
	rec->returns = stats.returns;
}

static uint64_t
count_unkept(struct pb_recorder *rec)
{
	struct pb_source_stats stats;
	uint64_t sum = 0;

	for (size_t i = 0; i < rec->captures; i++) {
		pb_source_stats(rec->capture[i].source, &stats);
		sum += stats.store_dropped;
	}
	return sum;
}

/*
 * Ready means that what is there is captured: who starts traffic after
 * READY=1 finds it in the store.  An interface that hangs holds up nobody.
 */
static void
wait_captures(struct pb_recorder *rec)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += OPEN_WAIT_S;
	for (size_t i = 0; i < rec->captures; i++)
		pb_source_wait(rec->capture[i].source, &until);
}

/* Those of `conf` that do not run yet. */
static int
start_captures(struct pb_recorder *rec, const struct pb_conf *conf,
    struct pb_err *err)
{
	for (size_t i = 0; i < conf->captures; i++) {
		struct capture *capture = &rec->capture[rec->captures];
		struct pb_source *source;
		int rc;

		if (is_running(rec, conf->capture[i].interface))
			continue;
		rc = pb_source_start(&source, &conf->capture[i], conf,
		    rec->store, err);
		if (rc < 0)
			return rc;
		pthread_mutex_lock(&rec->lock);
		memset(capture, 0, sizeof(*capture));
		capture->source = source;
		capture->conf = conf->capture[i];
		capture->number = rec->started++;
		rec->captures++;
		pthread_mutex_unlock(&rec->lock);
	}
	return 0;
}

/*
 * Those that `conf` does not have as they run; all where it is NULL.  They
 * end side by side, and each leaves the list before it is waited for, so that
 * status never waits.
 */
static void
stop_captures(struct pb_recorder *rec, const struct pb_conf *conf)
{
	for (size_t i = 0; i < rec->captures; i++)
		if (!is_kept(conf, &rec->capture[i].conf))
			pb_source_tell(rec->capture[i].source);
	for (size_t i = 0; i < rec->captures;) {
		struct pb_source *source = rec->capture[i].source;

		if (is_kept(conf, &rec->capture[i].conf)) {
			i++;
			continue;
		}
		pthread_mutex_lock(&rec->lock);
		rec->captures--;
		memmove(&rec->capture[i], &rec->capture[i + 1],
		    (rec->captures - i) * sizeof(rec->capture[0]));
		pthread_mutex_unlock(&rec->lock);
		pb_source_stop(source);
	}
}

static int
start_ingest(struct pb_recorder *rec, struct pb_err *err)
{
	struct pb_ingest_opts opts = {
		.conf = rec->conf,
		.store = rec->store,
		.status = pb_report_status,
		.metrics = pb_report_metrics,
		.arg = rec,
	};

	return pb_ingest_start(&rec->ingest, &opts, err);
}

static bool
is_kept(const struct pb_conf *conf, const struct pb_conf_capture *a)
{
	for (size_t i = 0; conf != NULL && i < conf->captures; i++) {
		const struct pb_conf_capture *b = &conf->capture[i];

		if (strcmp(a->interface, b->interface) == 0 &&
		    pb_conf_same(PB_CONF_CAPTURE, a, b, false))
			return true;
	}
	return false;
}

static bool
is_running(struct pb_recorder *rec, const char *interface)
{
	for (size_t i = 0; i < rec->captures; i++)
		if (strcmp(rec->capture[i].conf.interface, interface) == 0)
			return true;
	return false;
}

/* A full index heals without a restart; a smaller map waits for one. */
static int
grow_index(struct pb_recorder *rec, const struct pb_conf *fresh,
    struct pb_err *err)
{
	uint64_t size = fresh->store.index_size;
	int rc;

	if (size <= rec->conf->store.index_size)
		return 0;
	rc = pb_store_resize(rec->store, size, err);
	if (rc < 0)
		return rc;
	pb_log(PB_LOG_INFO, "recorder", "larger index index_size=%llu "
	    "before=%llu", (unsigned long long)size,
	    (unsigned long long)rec->conf->store.index_size);
	rec->conf->store.index_size = size;
	return 0;
}

/* What this program reads once, when it starts. */
static bool
same_fixed(const struct pb_conf *a, const struct pb_conf *b)
{
	return a->listen.present == b->listen.present &&
	    pb_conf_same(PB_CONF_NODE, &a->node, &b->node, true) &&
	    pb_conf_same(PB_CONF_STORE, &a->store, &b->store, true) &&
	    pb_conf_same(PB_CONF_LISTEN, &a->listen, &b->listen, true);
}
