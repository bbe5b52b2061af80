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
#include "cli/status/ledger.h"
#include "cli/status/live.h"
#include "recorder/query/select.h"
#include "recorder/store/lock.h"

struct work {
	struct pb_report *report;
	struct pb_cli	*cli;
	struct pb_ledger ledger;
	uint64_t	 now_ns;
};

static void	ask_recorder(struct pb_report *, const char *);
static int	add_stream(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	add_segments(struct work *, struct pb_err *);
static void	look_at_disk(struct pb_report *, const struct pb_conf *,
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
	/* One in a recorder's place for a moment does not listen. */
	if (lock == PB_LOCK_HELD)
		ask_recorder(report, cli->store);
	look_at_disk(report, cli->conf, cli->store);
	rc = pb_ledger_open(&work.ledger, cli, err);
	report->shipper = work.ledger.runs;
	report->shipper_pid = work.ledger.pid;
	report->there = work.ledger.index != NULL || rc < 0;
	if (rc == 0 && work.ledger.index != NULL)
		rc = add_segments(&work, err);
	if (rc == 0 && work.ledger.index != NULL)
		rc = pb_streams_each(work.ledger.index, NULL, add_stream,
		    &work, err);
	if (rc == 0)
		rc = pb_ledger_figures(&work.ledger, cli, now_ns,
		    &report->figures, err);
	if (rc == 0 && work.ledger.letters != NULL)
		rc = add_orphans(&work, err);
	pb_ledger_close(&work.ledger);
	return rc;
}

void
pb_report_finish(struct pb_report *report)
{
	pb_buf_finish(&report->live);
	pb_figures_finish(&report->figures);
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
	int rc = pb_index_totals(work->ledger.index, &totals, err);

	if (rc < 0)
		return rc;
	report->segments = totals.segments;
	report->disk_used = totals.bytes;
	rc = pb_index_rows(work->ledger.index, PB_TABLE_AGES, NULL, &oldest,
	    1, err);
	if (rc != 1)
		return rc;
	rc = pb_index_age(work->ledger.index, &age, err);
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
		n = pb_letters_upstreams(work->ledger.letters, after, name,
		    PB_UPSTREAMS_MAX, err);
		for (int i = 0; i < n && rc == 0; i++) {
			strcpy(after, name[i]);
			if (pb_figures_upstream(&report->figures,
			    name[i]) != NULL ||
			    report->orphans == PB_UPSTREAMS_MAX)
				continue;
			orphan = &report->orphan[report->orphans];
			strcpy(orphan->name, name[i]);
			rc = pb_letters_total(work->ledger.letters, name[i],
			    &orphan->dead, err);
			report->orphans += orphan->dead.letters > 0 ||
			    orphan->dead.requeued > 0;
		}
	} while (rc == 0 && n == (int)PB_UPSTREAMS_MAX);
	return n < 0 ? n : rc;
}
