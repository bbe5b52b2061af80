/*
 * recorder/report.c - what a recorder tells of itself: status and metrics
 */
#include "recorder/recorder_impl.h"

#include <stdio.h>

#include "base/age.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "recorder/retention.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

/* What is told of the program itself. */
struct program {
	uint64_t	log_left_out;
	bool		store_there;
	bool		clock_synced;
	uint64_t	uptime_s;
};

/* One of the list of a capture. */
struct trailer {
	char		trailer[PB_TRAILER_TEXT_MAX];
	char		position[4];	/* 1: the outermost */
	uint64_t	parsed, unparsed;
};

static bool	capture_status(struct pb_recorder *, size_t,
		    struct pb_json *);
static void	trailers_status(const struct pb_source_stats *,
		    struct pb_json *);
static unsigned	trailers_of(const struct pb_source_stats *,
		    struct trailer [static PB_STAMPS_MAX]);
static void	capture_family(struct pb_recorder *,
		    const struct pb_metric *, bool, struct pb_buf *);
static void	trailer_family(struct pb_recorder *,
		    const struct pb_metric *, struct pb_buf *);
static void	look(struct pb_recorder *, struct pb_store_stats *,
		    struct program *);

static const struct pb_metric capture_metric[] = {
	PB_GAUGE("up", struct pb_source_stats, up,
	    "1 while the interface is captured."),
	PB_COUNTER("packets", struct pb_source_stats, packets,
	    "Packets captured."),
	PB_COUNTER("bytes", struct pb_source_stats, bytes,
	    "Captured bytes of those."),
	PB_COUNTER("kernel_dropped", struct pb_source_stats, kernel_dropped,
	    "Packets lost because the kernel's buffer was full."),
	PB_COUNTER("interface_dropped", struct pb_source_stats,
	    interface_dropped, "Packets that the interface lost."),
	PB_COUNTER("store_dropped", struct pb_source_stats, store_dropped,
	    "Packets read that the store had no room for."),
	PB_COUNTER("keyframes", struct pb_source_stats, stamping.keyframes,
	    "Frames that say what the stamps of others mean."),
};
static const struct pb_metric trailer_metric[] = {
	PB_COUNTER("parsed", struct trailer, parsed,
	    "Frames that it was read on."),
	PB_COUNTER("unparsed", struct trailer, unparsed,
	    "Frames that it was looked for on, and not found."),
};
/* Of captures that forward. */
static const struct pb_metric forward_metric[] = {
	PB_GAUGE("forwarding", struct pb_forward_stats, on,
	    "1 while packets go out of the interface of `forward`."),
	PB_COUNTER("forwarded_packets", struct pb_forward_stats, packets,
	    "Packets that it took."),
	PB_COUNTER("forward_refused", struct pb_forward_stats, refused,
	    "Packets that it did not take."),
	PB_COUNTER("forward_bytes", struct pb_forward_stats, bytes,
	    "Bytes of both."),
	PB_COUNTER("outlet_dropped", struct pb_forward_stats, dropped,
	    "Packets, whoever sent them, that its driver dropped."),
};
static const struct pb_metric writer_metric[] = {
	PB_COUNTER("chunks", struct pb_store_stats, chunks,
	    "Chunks written and made durable."),
	PB_COUNTER("bytes", struct pb_store_stats, bytes,
	    "Bytes of those."),
	PB_COUNTER("commits", struct pb_store_stats, commits,
	    "Commits of the index."),
	PB_COUNTER("failures", struct pb_store_stats, failures,
	    "Writes, syncs and commits that failed."),
	PB_COUNTER("index_blocks", struct pb_store_stats, tables,
	    "Index blocks that have a row, and a flow table if not small."),
	PB_COUNTER("index_blocks_missing", struct pb_store_stats,
	    tables_missing, "Index blocks that got none: their packets are "
	    "searched one by one."),
	PB_COUNTER("flow_table_bytes", struct pb_store_stats, table_bytes,
	    "Bytes of flow tables written."),
};
static const struct pb_metric program_metric[] = {
	PB_COUNTER("log_lines_left_out", struct program, log_left_out,
	    "Lines of the log that nobody took."),
	PB_GAUGE("store_there", struct program, store_there,
	    "0 while the store is not at its path."),
	PB_GAUGE("clock_synced", struct program, clock_synced,
	    "1 while the kernel says that something keeps the host's clock."),
	PB_GAUGE("uptime_seconds", struct program, uptime_s,
	    "Since the recorder started."),
};

/* A capture a part, by its number: whatever is stopped meanwhile, the others
 * are all told.  Of a part whose capture has gone there is nothing. */
bool
pb_report_status(void *arg, size_t part, struct pb_json *json)
{
	struct pb_recorder *rec = arg;
	struct pb_store_stats writer;
	struct program program;

	if (part == 0)
		pb_json_array(json, "captures");
	if (capture_status(rec, part, json))
		return true;
	pb_json_end(json);
	look(rec, &writer, &program);
	pb_json_object(json, "writer");
	pb_metrics_json(json, writer_metric, COUNT(writer_metric), &writer);
	pb_json_text(json, "last_error", writer.last_error);
	pb_json_end(json);
	pb_retention_json(rec->store, json);
	pb_json_u64(json, "log_lines_left_out", program.log_left_out);
	pb_json_bool(json, "clock_synced", program.clock_synced);
	pb_json_u64(json, "uptime_s", program.uptime_s);
	return false;
}

/* False where there is none of that number or a later one. */
static bool
capture_status(struct pb_recorder *rec, size_t number, struct pb_json *json)
{
	const struct capture *at = rec->capture, *end;
	struct pb_source_stats stats;

	pthread_mutex_lock(&rec->lock);
	end = rec->capture + rec->captures;
	while (at < end && at->number < number)
		at++;
	if (at < end && at->number == number) {
		pb_source_stats(at->source, &stats);
		pb_json_object(json, NULL);
		pb_json_text(json, "interface", stats.interface);
		pb_metrics_json(json, capture_metric, COUNT(capture_metric),
		    &stats);
		pb_json_text(json, "clock", stats.clock);
		trailers_status(&stats, json);
		pb_json_text(json, "error", stats.last_error);
		pb_json_text(json, "forward", stats.forward);
		pb_metrics_json(json, forward_metric, COUNT(forward_metric),
		    &stats.forwarded);
		pb_json_text(json, "forward_error", stats.forwarded.why);
		pb_json_double(json, "pps", at->pps);
		pb_json_double(json, "bps", at->bps);
		pb_json_end(json);
	}
	pthread_mutex_unlock(&rec->lock);
	return at < end;
}

static void
trailers_status(const struct pb_source_stats *stats, struct pb_json *json)
{
	struct trailer trailer[PB_STAMPS_MAX];
	unsigned count = trailers_of(stats, trailer);

	pb_json_array(json, "trailers");
	for (unsigned i = 0; i < count; i++) {
		pb_json_object(json, NULL);
		pb_json_text(json, "trailer", trailer[i].trailer);
		pb_metrics_json(json, trailer_metric, COUNT(trailer_metric),
		    &trailer[i]);
		pb_json_end(json);
	}
	pb_json_end(json);
}

static unsigned
trailers_of(const struct pb_source_stats *stats,
    struct trailer out[static PB_STAMPS_MAX])
{
	const char *list = stats->trailers, *item;
	unsigned count = 0;
	size_t len;

	for (; count < PB_STAMPS_MAX && pb_list_next(&list, &item, &len);
	    count++) {
		struct trailer *at = &out[count];

		snprintf(at->trailer, sizeof(at->trailer), "%.*s", (int)len,
		    item);
		snprintf(at->position, sizeof(at->position), "%u", count + 1);
		at->parsed = stats->stamping.parsed[count];
		at->unparsed = stats->stamping.unparsed[count];
	}
	return count;
}

/* A family of the captures a part. */
bool
pb_report_metrics(void *arg, size_t part, struct pb_buf *out)
{
	struct pb_recorder *rec = arg;
	struct pb_store_stats writer;
	struct program program;

	if (part < COUNT(capture_metric)) {
		capture_family(rec, &capture_metric[part], false, out);
		return true;
	}
	part -= COUNT(capture_metric);
	if (part < COUNT(forward_metric)) {
		capture_family(rec, &forward_metric[part], true, out);
		return true;
	}
	part -= COUNT(forward_metric);
	if (part < COUNT(trailer_metric)) {
		trailer_family(rec, &trailer_metric[part], out);
		return true;
	}
	look(rec, &writer, &program);
	pb_metrics_text(out, "writer", writer_metric, COUNT(writer_metric),
	    &writer);
	pb_metrics_text(out, "", program_metric, COUNT(program_metric),
	    &program);
	return false;
}

/* Of all captures; or of what is forwarded, of those that forward. */
static void
capture_family(struct pb_recorder *rec, const struct pb_metric *metric,
    bool forwards, struct pb_buf *out)
{
	struct pb_source_stats stats;
	const struct pb_label of[] = { { "interface", stats.interface },
	    { NULL } };

	pb_metric_head(out, "capture", metric);
	pthread_mutex_lock(&rec->lock);
	for (size_t i = 0; i < rec->captures; i++) {
		pb_source_stats(rec->capture[i].source, &stats);
		if (!forwards || stats.forward[0] != '\0')
			pb_metric_value(out, "capture", metric, of, forwards ?
			    (const void *)&stats.forwarded : &stats);
	}
	pthread_mutex_unlock(&rec->lock);
}

/* Of each trailer of all captures. */
static void
trailer_family(struct pb_recorder *rec, const struct pb_metric *metric,
    struct pb_buf *out)
{
	struct trailer trailer[PB_STAMPS_MAX];
	struct pb_source_stats stats;
	unsigned count;

	pb_metric_head(out, "capture_trailer", metric);
	pthread_mutex_lock(&rec->lock);
	for (size_t i = 0; i < rec->captures; i++) {
		pb_source_stats(rec->capture[i].source, &stats);
		count = trailers_of(&stats, trailer);
		for (unsigned n = 0; n < count; n++)
			pb_metric_value(out, "capture_trailer", metric,
			    (struct pb_label[]){
			    { "interface", stats.interface },
			    { "position", trailer[n].position },
			    { "trailer", trailer[n].trailer }, { NULL } },
			    &trailer[n]);
	}
	pthread_mutex_unlock(&rec->lock);
}

static void
look(struct pb_recorder *rec, struct pb_store_stats *writer,
    struct program *program)
{
	struct pb_age_now now;

	pb_store_stats(rec->store, writer);
	program->log_left_out = pb_log_left_out();
	program->store_there = !writer->away;
	pb_age_look(NULL, &now);
	program->clock_synced = now.synced;
	program->uptime_s = (pb_clock_mono_ms() - rec->started_ms) / 1000;
}
