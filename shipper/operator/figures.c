/*
 * shipper/operator/figures.c - how upstreams and edges do, in numbers
 */
#include "shipper/operator/figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "recorder/store/read/weigh.h"
#include "shipper/ship/speed.h"

/* Configured ones, and as many that are configured no more: a reload may not
 * have forgotten those of before yet. */
#define UPSTREAMS_MAX	(2 * PB_UPSTREAMS_MAX)
#define EDGES_MAX	(2 * PB_EDGES_MAX)

struct work {
	const struct pb_figures_from *from;
	struct pb_upstream_figures *up;
	struct pb_err	*err;
};

static int	add_upstreams(struct pb_figures *,
		    const struct pb_figures_from *, struct pb_err *);
static int	look_at(struct work *, const struct pb_upstream_row *);
static int	add_streams(struct work *);
static int	add_stream(struct work *, const struct pb_stream_info *);
static int	add_waiting(struct work *, const struct pb_stream_info *,
		    uint64_t);
static uint64_t	came_at(const struct pb_extent_info *,
		    const struct pb_segment_info *, uint64_t, uint64_t);
static int	add_forks(struct work *, const struct pb_cursor_row *);
static int	add_configured(struct pb_figures *,
		    const struct pb_figures_from *, struct pb_err *);
static int	add_edges(struct pb_figures *,
		    const struct pb_figures_from *, struct pb_err *);
static void	look_at_edge(struct pb_edge_figures *,
		    const struct pb_figures_from *);
static void	add_configured_edges(struct pb_figures *,
		    const struct pb_figures_from *);
static bool	has_edge(const struct pb_figures *, const char *);
static uint64_t	since(uint64_t, uint64_t);
static uint64_t	left_ns(uint64_t, uint64_t, uint64_t);

int
pb_figures_gather(struct pb_figures *out, const struct pb_figures_from *from,
    struct pb_err *err)
{
	int rc = 0;

	out->upstreams = out->edges = 0;
	out->upstream = calloc(UPSTREAMS_MAX, sizeof(*out->upstream));
	out->edge = calloc(EDGES_MAX, sizeof(*out->edge));
	if (out->upstream == NULL || out->edge == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for upstreams");
	if (from->state != NULL)
		rc = add_upstreams(out, from, err);
	if (rc == 0)
		rc = add_configured(out, from, err);
	if (rc == 0 && from->state != NULL)
		rc = add_edges(out, from, err);
	if (rc == 0)
		add_configured_edges(out, from);
	return rc;
}

void
pb_figures_finish(struct pb_figures *figures)
{
	free(figures->upstream);
	free(figures->edge);
	memset(figures, 0, sizeof(*figures));
}

struct pb_upstream_figures *
pb_figures_upstream(const struct pb_figures *figures, const char *name)
{
	for (size_t i = 0; i < figures->upstreams; i++)
		if (strcmp(figures->upstream[i].row.name, name) == 0)
			return &figures->upstream[i];
	return NULL;
}

/* --- upstreams ------------------------------------------------------------ */

static int
add_upstreams(struct pb_figures *out, const struct pb_figures_from *from,
    struct pb_err *err)
{
	struct pb_upstream_row *row = calloc(UPSTREAMS_MAX, sizeof(*row));
	struct work work = { .from = from, .err = err };
	int n, rc;

	if (row == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for upstreams");
	n = pb_state_upstreams(from->state, NULL, row, UPSTREAMS_MAX, err);
	rc = n < 0 ? n : 0;
	for (int i = 0; i < n && rc == 0; i++) {
		work.up = &out->upstream[out->upstreams++];
		rc = look_at(&work, &row[i]);
	}
	free(row);
	return rc;
}

static int
look_at(struct work *work, const struct pb_upstream_row *row)
{
	struct pb_upstream_figures *up = work->up;
	bool runs = work->from->runs;
	int rc;

	up->row = *row;
	up->state = runs ? pb_ship_state_name(row->state) : "not running";
	if (runs && row->opens > 0) {
		snprintf(up->opens, sizeof(up->opens), "waits for %02u:%02u",
		    (row->opens - 1) / 60 % 24, (row->opens - 1) % 60);
		up->state = up->opens;
	}
	if (!runs)
		up->row.pps = up->row.byteps = up->row.comes_pps = 0;
	up->bps = up->row.byteps * 8;
	up->requeue = "auto";
	up->delivery = "once";
	up->streams = row->streams;
	up->refused = row->refused;
	rc = pb_letters_total(work->from->letters, row->name, &up->dead,
	    work->err);
	if (rc == 0)
		rc = add_streams(work);
	return rc;
}

/* Of those that go there now: what was for it once waits no more, and what it
 * has never been told of waits as well. */
static int
add_streams(struct work *work)
{
	const struct pb_conf_upstream *section = pb_conf_upstream(
	    work->from->conf, work->up->row.name);
	struct pb_upstream_figures *up = work->up;
	const struct pb_stream_info *stream;
	char name[PB_STREAM_NAME_MAX];
	struct pb_rows rows;
	int rc = 0;

	if (work->from->index == NULL || section == NULL)
		return 0;
	pb_rows_all(&rows, work->from->index, PB_TABLE_STREAMS, NULL,
	    work->err);
	while (rc == 0 && (stream = pb_rows_next(&rows)) != NULL)
		if (pb_glob_list_match(section->streams,
		    pb_stream_name(name, &stream->key)))
			rc = add_stream(work, stream);
	if (up->waits_ns >= PB_FIGURES_FRESH_NS)
		up->left_ns = left_ns(up->backlog, up->row.pps,
		    up->row.comes_pps);
	return rc < 0 ? rc : rows.rc;
}

/* What waits of one stream, and for how long.  Where its cursor cannot be read
 * the upstream is asked, and until then all of it waits. */
static int
add_stream(struct work *work, const struct pb_stream_info *stream)
{
	struct pb_cursor_row cursor = { .acked = 0 };
	struct pb_state *state = work->from->state;
	uint64_t done;
	int rc = 0;

	if (state != NULL)
		rc = pb_state_cursor(state, work->up->row.name, &stream->key,
		    &cursor, work->err);
	if (rc > 0)
		rc = add_forks(work, &cursor);
	if (rc < 0 && rc != PB_EFORMAT)
		return rc;
	done = cursor.released > cursor.acked ? cursor.released : cursor.acked;
	/* Dead letters wait for nobody. */
	if (stream->last_seq <= done)
		return 0;
	work->up->backlog += stream->last_seq - done;
	return add_waiting(work, stream, done + 1);
}

static int
add_waiting(struct work *work, const struct pb_stream_info *info,
    uint64_t first)
{
	struct pb_upstream_figures *up = work->up;
	struct pb_index *index = work->from->index;
	uint64_t now_ns = work->from->now_ns, bytes, ns;
	uint64_t progress = up->row.progress_ns;
	struct pb_segment_info segment = { .created_ns = 0 };
	struct pb_extent_info extent;
	int rc = pb_weigh(index, info->id, first, info->last_seq, &bytes,
	    work->err);

	if (rc < 0)
		return rc;
	up->backlog_bytes += bytes;
	rc = pb_index_rows_of(index, PB_TABLE_SEGMENTS, info->id, first,
	    &segment, 1, work->err);
	if (rc > 0)
		rc = pb_index_rows_of(index, PB_TABLE_EXTENTS, info->id,
		    first, &extent, 1, work->err);
	ns = since(now_ns, rc > 0 ? came_at(&extent, &segment, first,
	    now_ns) : segment.created_ns);
	if (ns > up->waits_ns)
		up->waits_ns = ns;
	ns = since(now_ns, segment.created_ns > progress ? segment.created_ns :
	    progress);
	if (ns > up->lag_ns)
		up->lag_ns = ns;
	return rc < 0 ? rc : 0;
}

/* When number `at` came: its packet's time, as far as that can be so. */
static uint64_t
came_at(const struct pb_extent_info *extent,
    const struct pb_segment_info *segment, uint64_t at, uint64_t now_ns)
{
	uint64_t time = extent->first_time;

	if (at > extent->first_seq && extent->last_time > time)
		time += (extent->last_time - time) /
		    (extent->last_seq - extent->first_seq + 1) *
		    (at - extent->first_seq);
	return time > segment->created_ns && time <= now_ns ? time :
	    segment->created_ns;
}

/* Where it goes on under another epoch. */
static int
add_forks(struct work *work, const struct pb_cursor_row *cursor)
{
	struct pb_upstream_figures *up = work->up;
	struct pb_forks forks;
	int rc = pb_forks_load(work->from->state, up->row.name, &cursor->key,
	    &forks, work->err);

	for (unsigned i = 0; rc == 0 && i < forks.count; i++, up->forks++) {
		struct pb_figures_fork *out;

		if (up->forks >= PB_FIGURES_FORKS_MAX)
			continue;
		out = &up->fork[up->forks];
		pb_stream_name(out->stream, &cursor->key);
		out->epoch = pb_forks_epoch(&forks, i, cursor->key.epoch);
		out->fork = forks.at[i];
	}
	return rc;
}

/* Upstreams of the configuration, those that no shipper has met yet too. */
static int
add_configured(struct pb_figures *out, const struct pb_figures_from *from,
    struct pb_err *err)
{
	struct work work = { .from = from, .err = err };
	int rc = 0;

	for (size_t i = 0; i < from->conf->upstreams && rc == 0; i++) {
		const struct pb_conf_upstream *is = &from->conf->upstream[i];

		work.up = pb_figures_upstream(out, is->name);
		if (work.up == NULL && out->upstreams == UPSTREAMS_MAX)
			continue;
		if (work.up == NULL) {
			work.up = &out->upstream[out->upstreams++];
			strcpy(work.up->row.name, is->name);
			snprintf(work.up->row.url, sizeof(work.up->row.url),
			    "%.255s", is->url);
			work.up->state = "not running";
			rc = add_streams(&work);
		}
		work.up->requeue = is->requeue_manual ? "manual" : "auto";
		work.up->delivery = pb_conf_interface(is) == NULL ? "once" :
		    is->at_most_once ? "at-most-once" : "at-least-once";
	}
	return rc;
}

/* --- edges ---------------------------------------------------------------- */

static int
add_edges(struct pb_figures *out, const struct pb_figures_from *from,
    struct pb_err *err)
{
	struct pb_edge_row *row = calloc(PB_EDGES_MAX, sizeof(*row));
	int n;

	if (row == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for edges");
	n = pb_state_edges(from->state, NULL, row, PB_EDGES_MAX, err);
	for (int i = 0; i < n; i++) {
		out->edge[out->edges].row = row[i];
		look_at_edge(&out->edge[out->edges++], from);
	}
	free(row);
	return n < 0 ? n : 0;
}

static void
look_at_edge(struct pb_edge_figures *edge, const struct pb_figures_from *from)
{
	struct pb_edge_row *row = &edge->row;

	edge->state = from->runs ? pb_ship_state_name(row->state) :
	    "not running";
	if (!from->runs)
		row->pps = row->byteps = row->comes_pps = 0;
	edge->bps = row->byteps * 8;
	edge->streams = row->streams;
	edge->refused = row->refused;
	edge->left_ns = left_ns(row->behind, row->pps, row->comes_pps);
	if (row->behind == 0)
		return;
	edge->backlog_bytes = row->packets == 0 ? UINT64_MAX :
	    (uint64_t)((double)row->bytes / (double)row->packets *
	    (double)row->behind);
	edge->lag_ns = since(from->now_ns, row->progress_ns > row->since_ns ?
	    row->progress_ns : row->since_ns);
	if (edge->lag_ns < PB_FIGURES_FRESH_NS && row->pps >= row->behind)
		edge->left_ns = 0;
}

static void
add_configured_edges(struct pb_figures *out,
    const struct pb_figures_from *from)
{
	for (size_t i = 0; i < from->conf->edges; i++) {
		const struct pb_conf_edge *is = &from->conf->edge[i];
		struct pb_edge_figures *edge = &out->edge[out->edges];

		if (has_edge(out, is->name) || out->edges == EDGES_MAX)
			continue;
		strcpy(edge->row.name, is->name);
		snprintf(edge->row.url, sizeof(edge->row.url), "%.255s",
		    is->url);
		edge->state = from->runs ? "connecting" : "not running";
		out->edges++;
	}
}

static bool
has_edge(const struct pb_figures *figures, const char *name)
{
	for (size_t i = 0; i < figures->edges; i++)
		if (strcmp(figures->edge[i].row.name, name) == 0)
			return true;
	return false;
}

/* --- time ----------------------------------------------------------------- */

static uint64_t
since(uint64_t now_ns, uint64_t then_ns)
{
	return then_ns > 0 && then_ns < now_ns ? now_ns - then_ns : 0;
}

static uint64_t
left_ns(uint64_t backlog, uint64_t packets, uint64_t comes)
{
	uint64_t s = pb_speed_left_s(backlog, packets, comes);

	return s < UINT64_MAX / (uint64_t)PB_NS_PER_S ?
	    s * (uint64_t)PB_NS_PER_S : UINT64_MAX;
}
