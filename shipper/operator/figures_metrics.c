/*
 * shipper/operator/figures_metrics.c - how upstreams and edges do, as
 * Prometheus text
 */
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "shipper/operator/figures.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define UNKNOWN		UINT64_MAX	/* not told */

/* What is told of one, of either kind; times in seconds. */
struct facts {
	char		name[PB_NAME_BYTES_MAX + 1];
	uint64_t	state;
	uint64_t	streams, refused, forked;
	uint64_t	backlog, backlog_bytes, waits, lag, left;
	uint64_t	flight_bytes, pps, byteps;
	uint64_t	packets, bytes;
	uint64_t	failures, error_time, progress_time;
	uint64_t	filtered, unfit, letters, letter_packets;
};

struct group {
	const char	*name;		/* of the metrics, and the label */
	size_t		 count;
	/* Of number `i`. */
	void		(*tell)(const struct pb_figures *, size_t i,
			    struct facts *);
	const struct pb_metric *metric;
	size_t		 metrics;
};

static void	tell_upstream(const struct pb_figures *, size_t,
		    struct facts *);
static void	tell_edge(const struct pb_figures *, size_t, struct facts *);
static void	put_group(const struct pb_figures *, const struct group *,
		    struct pb_buf *);
static void	put_states(const struct pb_figures *, const struct group *,
		    struct pb_buf *);
static uint64_t	seconds(uint64_t);

#define GAUGE(key, field, help)	PB_GAUGE(key, struct facts, field, help)
#define TOTAL(key, field, help)	PB_COUNTER(key, struct facts, field, help)

static const struct pb_metric state_metric = GAUGE("state", state,
    "1 for the state it is in.");

static const struct pb_metric upstream_metric[] = {
	GAUGE("streams", streams, "Streams that it is to get."),
	GAUGE("streams_refused", refused,
	    "Streams that wait to be tried again, or are refused."),
	GAUGE("backlog_packets", backlog, "Packets that wait for it."),
	GAUGE("backlog_bytes", backlog_bytes,
	    "Bytes that those take in the store."),
	GAUGE("backlog_seconds", waits, "How long the oldest has waited."),
	GAUGE("lag_seconds", lag,
	    "Since it last took something, while something waits."),
	GAUGE("caught_up_in_seconds", left,
	    "Until nothing waits, as it goes now; not told where never."),
	GAUGE("flight_bytes", flight_bytes, "Bytes on their way to it."),
	GAUGE("packets_per_second", pps, "Acknowledged, over 10 seconds."),
	GAUGE("bytes_per_second", byteps, "Of those."),
	TOTAL("acked_packets", packets, "Packets that it has acknowledged."),
	TOTAL("acked_bytes", bytes, "Bytes of those."),
	TOTAL("failures", failures,
	    "Tries that failed, and streams that were refused."),
	GAUGE("last_error_time_seconds", error_time,
	    "When the last of those was, since 1970; 0: none."),
	GAUGE("last_ack_time_seconds", progress_time,
	    "When it last acknowledged something, since 1970; 0: not yet."),
	TOTAL("filtered_packets", filtered,
	    "Packets that its filter left out, by all shippers so far."),
	TOTAL("unfit_packets", unfit,
	    "Packets that it cannot carry as they were, likewise."),
	GAUGE("dead_letters", letters, "Its dead letters."),
	GAUGE("dead_letter_packets", letter_packets, "Packets of those."),
};

static const struct pb_metric edge_metric[] = {
	GAUGE("streams", streams, "Streams that are fetched."),
	GAUGE("streams_refused", refused,
	    "Streams that wait to be tried again, or are refused."),
	GAUGE("streams_forked", forked, "Streams that go on under another "
	    "epoch here, as numbers were given again there."),
	GAUGE("backlog_packets", backlog, "Packets that wait there."),
	GAUGE("backlog_bytes", backlog_bytes,
	    "Bytes of those, if they are like what was fetched so far."),
	GAUGE("lag_seconds", lag,
	    "Since it last gave something, or fell behind."),
	GAUGE("caught_up_in_seconds", left,
	    "Until nothing waits, as it goes now; not told where never."),
	GAUGE("flight_bytes", flight_bytes,
	    "Bytes that were fetched and are not stored yet."),
	GAUGE("packets_per_second", pps, "Stored, over 10 seconds."),
	GAUGE("bytes_per_second", byteps, "Of those."),
	TOTAL("packets", packets, "Packets fetched and stored."),
	TOTAL("bytes", bytes, "Bytes of those, as they came."),
	TOTAL("failures", failures,
	    "Tries that failed, and streams that were refused."),
	GAUGE("last_error_time_seconds", error_time,
	    "When the last of those was, since 1970; 0: none."),
	GAUGE("last_stored_time_seconds", progress_time,
	    "When something was last stored, since 1970; 0: not yet."),
};

void
pb_figures_metrics(const struct pb_figures *figures, struct pb_buf *out)
{
	const struct group groups[] = {
		{ "upstream", figures->upstreams, tell_upstream,
		    upstream_metric, COUNT(upstream_metric) },
		{ "edge", figures->edges, tell_edge, edge_metric,
		    COUNT(edge_metric) },
	};

	for (size_t i = 0; i < COUNT(groups); i++)
		if (groups[i].count > 0) {
			put_states(figures, &groups[i], out);
			put_group(figures, &groups[i], out);
		}
}

static void
put_group(const struct pb_figures *figures, const struct group *group,
    struct pb_buf *out)
{
	struct facts facts;
	const struct pb_label labels[] = { { group->name, facts.name },
	    { NULL } };
	uint64_t value;

	for (size_t m = 0; m < group->metrics; m++) {
		const struct pb_metric *metric = &group->metric[m];

		pb_metric_head(out, group->name, metric);
		for (size_t i = 0; i < group->count; i++) {
			group->tell(figures, i, &facts);
			memcpy(&value, (const char *)&facts + metric->at,
			    sizeof(value));
			if (value != UNKNOWN)
				pb_metric_value(out, group->name, metric,
				    labels, &facts);
		}
	}
}

/* All states of each, so that one that was left is 0. */
static void
put_states(const struct pb_figures *figures, const struct group *group,
    struct pb_buf *out)
{
	struct pb_label labels[] = { { group->name, NULL },
	    { "state", NULL }, { NULL } };
	struct facts facts;

	pb_metric_head(out, group->name, &state_metric);
	for (size_t i = 0; i < group->count; i++)
		for (unsigned s = PB_SHIP_CONNECTING; s <= PB_SHIP_PAUSED;
		    s++) {
			group->tell(figures, i, &facts);
			facts.state = facts.state == s;
			labels[0].text = facts.name;
			labels[1].text = pb_ship_state_name(s);
			pb_metric_value(out, group->name, &state_metric,
			    labels, &facts);
		}
}

static void
tell_upstream(const struct pb_figures *figures, size_t i, struct facts *out)
{
	const struct pb_upstream_figures *up = &figures->upstream[i];
	const struct pb_upstream_row *row = &up->row;

	*out = (struct facts){
		.state = row->state, .streams = up->streams,
		.refused = up->refused, .backlog = up->backlog,
		.backlog_bytes = up->backlog_bytes,
		.waits = seconds(up->waits_ns), .lag = seconds(up->lag_ns),
		.left = seconds(up->left_ns),
		.flight_bytes = row->flight_bytes,
		.pps = row->pps, .byteps = row->byteps,
		.packets = row->acked_packets, .bytes = row->acked_bytes,
		.failures = row->failures,
		.error_time = seconds(row->error_ns),
		.progress_time = seconds(row->progress_ns),
		.filtered = row->filtered, .unfit = row->unfit,
		.letters = up->dead.letters,
		.letter_packets = up->dead.packets,
	};
	memcpy(out->name, row->name, sizeof(out->name));
}

static void
tell_edge(const struct pb_figures *figures, size_t i, struct facts *out)
{
	const struct pb_edge_figures *edge = &figures->edge[i];
	const struct pb_edge_row *row = &edge->row;

	*out = (struct facts){
		.state = row->state, .streams = edge->streams,
		.refused = edge->refused, .forked = row->forked,
		.backlog = row->behind,
		.backlog_bytes = edge->backlog_bytes,
		.lag = seconds(edge->lag_ns), .left = seconds(edge->left_ns),
		.flight_bytes = row->flight_bytes,
		.pps = row->pps, .byteps = row->byteps,
		.packets = row->packets, .bytes = row->bytes,
		.failures = row->failures,
		.error_time = seconds(row->error_ns),
		.progress_time = seconds(row->progress_ns),
	};
	memcpy(out->name, row->name, sizeof(out->name));
}

static uint64_t
seconds(uint64_t ns)
{
	return ns == UNKNOWN ? UNKNOWN : ns / (uint64_t)PB_NS_PER_S;
}
