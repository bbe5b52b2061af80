/*
 * cli/status/report.c - what `pb status` tells, gathered
 */
#include "cli/status/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/below.h"
#include "base/json.h"
#include "cli/status/live.h"
#include "recorder/query/select.h"
#include "recorder/store/lock.h"

#define PAGE	64	/* rows at a time */

struct work {
	struct pb_report *report;
	struct pb_cli	*cli;
	struct pb_index	*index;		/* NULL: no store yet */
	struct pb_state	*state;		/* NULL: no shipper ever ran */
	struct pb_letters *letters;	/* ... likewise */
	uint64_t	 now_ns;
};

static void	ask_recorder(struct pb_report *, const char *);
static int	add_stream(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	add_segments(struct work *, struct pb_err *);
static void	look_at_disk(struct pb_report *, const struct pb_conf *,
		    const char *);
static int	add_upstreams(struct work *, struct pb_err *);
static int	add_upstream(struct work *, const struct pb_upstream_row *,
		    struct pb_err *);
static int	add_cursor(struct work *, struct pb_report_upstream *,
		    const struct pb_cursor_row *, struct pb_err *);
static int	add_forks(struct work *, struct pb_report_upstream *,
		    const struct pb_cursor_row *, struct pb_err *);
static void	add_configured(struct work *);
static struct pb_report_upstream *find_upstream(struct pb_report *,
		    const char *);
static int	add_orphans(struct work *, struct pb_err *);

int
pb_report_gather(struct pb_report *report, struct pb_cli *cli,
    uint64_t now_ns, struct pb_err *err)
{
	struct work work = { .report = report, .cli = cli,
	    .now_ns = now_ns };
	enum pb_lock_state lock;
	int rc;

	memset(report, 0, sizeof(*report));
	report->node = cli->conf->node.name;
	report->description = cli->conf->node.description;
	report->store = cli->store;
	pb_buf_init(&report->live, PB_JSON_BODY_MAX);
	lock = pb_lock_held(cli->store, "recorder.lock",
	    &report->recorder_pid);
	report->recorder = lock != PB_LOCK_FREE;
	report->shipper = pb_shipper_running(cli->store,
	    &report->shipper_pid);
	/* One in a recorder's place for a moment does not listen. */
	if (lock == PB_LOCK_HELD)
		ask_recorder(report, cli->store);
	look_at_disk(report, cli->conf, cli->store);
	rc = pb_index_readable(cli->store, err);
	if (rc == 0)
		rc = pb_index_open(&work.index, cli->store, err);
	report->there = rc != PB_ENOENT;
	if (rc == 0)
		rc = add_segments(&work, err);
	if (rc == 0)
		rc = pb_streams_each(work.index, NULL, add_stream, &work,
		    err);
	else if (rc == PB_ENOENT)
		rc = 0;
	if (rc == 0)
		rc = add_upstreams(&work, err);
	if (rc == 0)
		add_configured(&work);
	if (rc == 0)
		rc = pb_report_edges(&report->edges, work.state, cli->conf,
		    report->shipper, err);
	if (rc == 0 && work.letters != NULL)
		rc = add_orphans(&work, err);
	pb_letters_close(work.letters);
	pb_state_close(work.state);
	pb_index_close(work.index);
	return rc;
}

void
pb_report_finish(struct pb_report *report)
{
	pb_buf_finish(&report->live);
	pb_report_edges_finish(&report->edges);
}

/* Its answer is kept where it is the JSON that a recorder gives. */
static void
ask_recorder(struct pb_report *report, const char *store)
{
	struct pb_err err;

	if (pb_live_ask(store, &report->live, &err) == 0 &&
	    pb_live_read((const char *)report->live.data, report->live.len,
	    &report->said, &err) == 0)
		return;
	memset(&report->said, 0, sizeof(report->said));
	pb_buf_clear(&report->live);
	snprintf(report->live_error, sizeof(report->live_error), "%s",
	    err.text);
}

static int
add_stream(void *arg, const struct pb_stream_info *info, struct pb_err *err)
{
	struct work *work = arg;
	struct pb_report *report = work->report;

	(void)err;
	report->streams++;
	report->packets += info->packets;
	report->bytes += info->bytes;
	report->dropped += info->dropped;
	return 0;
}

/* Sums that the index keeps: nothing is walked. */
static int
add_segments(struct work *work, struct pb_err *err)
{
	struct pb_report *report = work->report;
	struct pb_index_totals totals;
	struct pb_age_info oldest;
	struct pb_age_now now;
	struct pb_age age;
	int rc = pb_index_totals(work->index, &totals, err);

	if (rc < 0)
		return rc;
	report->segments = totals.segments;
	report->disk_used = totals.bytes;
	rc = pb_index_rows(work->index, PB_TABLE_AGES, NULL, &oldest, 1, err);
	if (rc != 1)
		return rc;
	rc = pb_index_age(work->index, &age, err);
	if (rc < 0)
		return rc;
	pb_age_look(NULL, &now);
	pb_age_move(&age, &now);
	report->oldest_ns = pb_age_time(oldest.sealed_at, age.ms,
	    work->now_ns);
	return 0;
}

static void
look_at_disk(struct pb_report *report, const struct pb_conf *conf,
    const char *store)
{
	struct statvfs fs;

	report->retain_size = conf->store.retain_size;
	report->retain_age_ms = conf->store.retain_age_ms;
	report->retain_age_s = report->retain_age_ms / 1000;
	report->min_free = conf->store.min_free.bytes;
	if (pb_below_fd(store) < 0 || fstatvfs(pb_below_fd(store), &fs) < 0)
		return;
	report->disk_free = (uint64_t)fs.f_bavail * fs.f_frsize;
	report->disk_size = (uint64_t)fs.f_blocks * fs.f_frsize;
	if (report->min_free == 0)
		report->min_free = report->disk_size / 100 *
		    conf->store.min_free.percent;
}

static int
add_upstreams(struct work *work, struct pb_err *err)
{
	struct pb_upstream_row *row;
	int n, rc;

	rc = pb_state_open(&work->state, work->cli->store, err);
	/* The rest is worth knowing then, too. */
	if (rc == PB_EFORMAT)
		pb_cli_note("%s", err->text);
	if (rc < 0)
		return rc == PB_ENOENT || rc == PB_EFORMAT ? 0 : rc;
	rc = pb_letters_open(&work->letters, work->state, work->cli->store,
	    err);
	if (rc < 0)
		return rc;
	row = calloc(PB_REPORT_UPSTREAMS_MAX, sizeof(*row));
	if (row == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for upstreams");
	n = pb_state_upstreams(work->state, NULL, row,
	    PB_REPORT_UPSTREAMS_MAX, err);
	rc = n < 0 ? n : 0;
	for (int i = 0; i < n && rc == 0; i++)
		rc = add_upstream(work, &row[i], err);
	free(row);
	return rc;
}

static int
add_upstream(struct work *work, const struct pb_upstream_row *row,
    struct pb_err *err)
{
	struct pb_report *report = work->report;
	struct pb_report_upstream *up = &report->upstream[report->upstreams++];
	struct pb_cursor_row *page;
	struct pb_stream_key after;
	int n = 0, rc;

	up->row = *row;
	up->state = report->shipper ? pb_ship_state_name(row->state) :
	    "not running";
	if (report->shipper && row->opens > 0) {
		snprintf(up->opens, sizeof(up->opens), "waits for %02u:%02u",
		    (row->opens - 1) / 60 % 24, (row->opens - 1) % 60);
		up->state = up->opens;
	}
	up->requeue = "auto";
	up->delivery = "once";
	up->streams = row->streams;
	rc = pb_letters_total(work->letters, row->name, &up->dead, err);
	if (rc < 0)
		return rc;
	page = calloc(PAGE, sizeof(*page));
	if (page == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for streams");
	do {
		if (n > 0)
			after = page[n - 1].key;
		n = pb_state_cursors(work->state, row->name,
		    n > 0 ? &after : NULL, page, PAGE, err);
		rc = n < 0 ? n : 0;
		for (int i = 0; i < n && rc == 0; i++)
			rc = add_cursor(work, up, &page[i], err);
	} while (rc == 0 && n == PAGE);
	free(page);
	return rc;
}

/* What waits of one stream, and for how long. */
static int
add_cursor(struct work *work, struct pb_report_upstream *up,
    const struct pb_cursor_row *cursor, struct pb_err *err)
{
	struct pb_segment_info segment;
	struct pb_stream_info info;
	uint64_t since = up->row.progress_ns;
	uint64_t done = cursor->released > cursor->acked ? cursor->released :
	    cursor->acked;
	int rc = add_forks(work, up, cursor, err);

	if (rc < 0 || work->index == NULL)
		return rc;
	rc = pb_index_stream(work->index, &cursor->key, &info, err);
	/* Dead letters wait for nobody. */
	if (rc <= 0 || info.last_seq <= done)
		return rc < 0 ? rc : 0;
	up->backlog += info.last_seq - done;
	rc = pb_index_rows_of(work->index, PB_TABLE_SEGMENTS, info.id,
	    done + 1, &segment, 1, err);
	if (rc > 0 && segment.created_ns > since)
		since = segment.created_ns;
	if (since > 0 && since < work->now_ns &&
	    work->now_ns - since > up->lag_ns)
		up->lag_ns = work->now_ns - since;
	return rc < 0 ? rc : 0;
}

/* Where it goes on under another epoch. */
static int
add_forks(struct work *work, struct pb_report_upstream *up,
    const struct pb_cursor_row *cursor, struct pb_err *err)
{
	struct pb_forks forks;
	int rc = pb_forks_load(work->state, up->row.name, &cursor->key, &forks,
	    err);

	for (unsigned i = 0; rc == 0 && i < forks.count; i++, up->forks++) {
		struct pb_report_fork *out;

		if (up->forks >= PB_REPORT_FORKS_MAX)
			continue;
		out = &up->fork[up->forks];
		pb_stream_name(out->stream, &cursor->key);
		out->epoch = pb_forks_epoch(&forks, i, cursor->key.epoch);
		out->fork = forks.at[i];
	}
	return rc;
}

/* Upstreams of the configuration, those that no shipper has met yet too. */
static void
add_configured(struct work *work)
{
	struct pb_report *report = work->report;
	const struct pb_conf *conf = work->cli->conf;

	for (size_t i = 0; i < conf->upstreams; i++) {
		const struct pb_conf_upstream *is = &conf->upstream[i];
		struct pb_report_upstream *up = find_upstream(report, is->name);

		if (up == NULL && report->upstreams == PB_REPORT_UPSTREAMS_MAX)
			continue;
		if (up == NULL) {
			up = &report->upstream[report->upstreams++];
			strcpy(up->row.name, is->name);
			snprintf(up->row.url, sizeof(up->row.url), "%.255s",
			    is->url);
			up->state = "not running";
		}
		up->requeue = is->requeue_manual ? "manual" : "auto";
		up->delivery = pb_conf_interface(is) == NULL ? "once" :
		    is->at_most_once ? "at-most-once" : "at-least-once";
	}
}

static struct pb_report_upstream *
find_upstream(struct pb_report *report, const char *name)
{
	for (size_t i = 0; i < report->upstreams; i++)
		if (strcmp(report->upstream[i].row.name, name) == 0)
			return &report->upstream[i];
	return NULL;
}

/* Letters of upstreams that neither the configuration knows nor the shipper
 * ships to. */
static int
add_orphans(struct work *work, struct pb_err *err)
{
	char name[PB_UPSTREAMS_MAX][PB_NAME_BYTES_MAX + 1];
	char after[sizeof(name[0])] = "";
	struct pb_report *report = work->report;
	struct pb_report_orphans *orphan;
	int n, rc = 0;

	do {
		n = pb_letters_upstreams(work->letters, after, name,
		    PB_UPSTREAMS_MAX, err);
		for (int i = 0; i < n && rc == 0; i++) {
			strcpy(after, name[i]);
			if (find_upstream(report, name[i]) != NULL ||
			    report->orphans == PB_UPSTREAMS_MAX)
				continue;
			orphan = &report->orphan[report->orphans];
			strcpy(orphan->name, name[i]);
			rc = pb_letters_total(work->letters, name[i],
			    &orphan->dead, err);
			report->orphans += orphan->dead.letters > 0 ||
			    orphan->dead.requeued > 0;
		}
	} while (rc == 0 && n == (int)PB_UPSTREAMS_MAX);
	return n < 0 ? n : rc;
}
