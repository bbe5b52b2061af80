/*
 * cli/status/upstreams.c - what `pb status` and `pb upstreams` tell of
 * upstreams
 */
#include "cli/status/upstreams.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static void	say_delivery(struct pb_out *,
		    const struct pb_upstream_figures *);
static void	say_letters(struct pb_out *,
		    const struct pb_upstream_figures *);
static void	say_forks(struct pb_out *,
		    const struct pb_upstream_figures *);
static unsigned	shown(const struct pb_upstream_figures *);

#define UPSTREAM(member) offsetof(struct pb_upstream_figures, member)
#define FORK(member)	offsetof(struct pb_figures_fork, member)
#define LETTERS(member)	offsetof(struct pb_letters_total, member)
static const struct pb_column columns[] = {
	{ "name", PB_CELL_TEXT, UPSTREAM(row.name) },
	{ "url", PB_CELL_TEXT, UPSTREAM(row.url) },
	{ "state", PB_CELL_WORD, UPSTREAM(state) },
	{ "since", PB_CELL_TIME, UPSTREAM(row.since_ns) },
	{ "streams", PB_CELL_U64, UPSTREAM(streams) },
	{ "refused", PB_CELL_U64, UPSTREAM(refused) },
	{ "backlog", PB_CELL_U64, UPSTREAM(backlog) },
	{ "backlog_bytes", PB_CELL_U64, UPSTREAM(backlog_bytes) },
	{ "waits", PB_CELL_SECONDS, UPSTREAM(waits_ns) },
	{ "lag", PB_CELL_SECONDS, UPSTREAM(lag_ns) },
	{ "flight_bytes", PB_CELL_U64, UPSTREAM(row.flight_bytes) },
	{ "pps", PB_CELL_U64, UPSTREAM(row.pps) },
	{ "bps", PB_CELL_U64, UPSTREAM(bps) },
	{ "caught_up_in", PB_CELL_SECONDS, UPSTREAM(left_ns) },
	{ "acked_packets", PB_CELL_U64, UPSTREAM(row.acked_packets) },
	{ "acked_bytes", PB_CELL_U64, UPSTREAM(row.acked_bytes) },
	{ "last_ack", PB_CELL_TIME, UPSTREAM(row.progress_ns) },
	{ "failures", PB_CELL_U64, UPSTREAM(row.failures) },
	{ "last_error", PB_CELL_TEXT, UPSTREAM(row.last_error) },
	{ "last_error_time", PB_CELL_TIME, UPSTREAM(row.error_ns) },
	{ "requeue", PB_CELL_WORD, UPSTREAM(requeue) },
	{ "delivery", PB_CELL_WORD, UPSTREAM(delivery) },
	{ "filtered", PB_CELL_U64, UPSTREAM(row.filtered) },
	{ "unfit", PB_CELL_U64, UPSTREAM(row.unfit) },
	{ "last_unfit", PB_CELL_TEXT, UPSTREAM(row.unfit_text) },
	{ "clocks_apart", PB_CELL_U64, UPSTREAM(row.apart) },
	{ "last_apart_ns", PB_CELL_U64, UPSTREAM(row.apart_ns) },
	{ 0 },
}, fork_columns[] = {
	{ "stream", PB_CELL_TEXT, FORK(stream) },
	{ "epoch", PB_CELL_HEX, FORK(epoch) },
	{ "first", PB_CELL_U64, FORK(fork.first) },
	{ "new_epoch", PB_CELL_HEX, FORK(fork.epoch) },
	{ 0 },
}, letters_columns[] = {
	{ "letters", PB_CELL_U64, LETTERS(letters) },
	{ "packets", PB_CELL_U64, LETTERS(packets) },
	{ "requeued", PB_CELL_U64, LETTERS(requeued) },
	{ "bytes", PB_CELL_U64, LETTERS(file_bytes) },
	{ "oldest", PB_CELL_TIME, LETTERS(oldest_ns) },
	{ 0 },
};

const struct pb_column pb_upstream_table[] = {
	{ "name", PB_CELL_TEXT, UPSTREAM(row.name) },
	{ "url", PB_CELL_TEXT, UPSTREAM(row.url) },
	{ "state", PB_CELL_WORD, UPSTREAM(state) },
	{ "packets", PB_CELL_U64, UPSTREAM(backlog) },
	{ "bytes", PB_CELL_SIZE, UPSTREAM(backlog_bytes) },
	{ "waits", PB_CELL_SECONDS, UPSTREAM(waits_ns) },
	{ "packets/s", PB_CELL_U64, UPSTREAM(row.pps) },
	{ "bytes/s", PB_CELL_SIZE, UPSTREAM(row.byteps) },
	{ "caught_up_in", PB_CELL_SECONDS, UPSTREAM(left_ns) },
	{ "filtered", PB_CELL_U64, UPSTREAM(row.filtered) },
	{ "last_error_at", PB_CELL_TIME_SECOND, UPSTREAM(row.error_ns) },
	{ "last_error", PB_CELL_TEXT, UPSTREAM(row.last_error) },
	{ 0 },
};

/* --- machines ------------------------------------------------------------- */

void
pb_upstream_json(struct pb_json *json, const struct pb_upstream_figures *up)
{
	pb_json_object(json, NULL);
	pb_columns_json(json, columns, up);
	pb_upstream_json_letters(json, &up->dead);
	pb_json_array(json, "restored");
	for (unsigned i = 0; i < shown(up); i++) {
		pb_json_object(json, NULL);
		pb_columns_json(json, fork_columns, &up->fork[i]);
		pb_json_end(json);
	}
	pb_json_end(json);
	pb_json_end(json);
}

void
pb_upstream_json_letters(struct pb_json *json,
    const struct pb_letters_total *dead)
{
	pb_json_object(json, "dead_letters");
	pb_columns_json(json, letters_columns, dead);
	pb_json_end(json);
}

static unsigned
shown(const struct pb_upstream_figures *up)
{
	return up->forks < PB_FIGURES_FORKS_MAX ? up->forks :
	    PB_FIGURES_FORKS_MAX;
}

/* --- people --------------------------------------------------------------- */

void
pb_upstream_say(struct pb_out *out, const struct pb_upstream_figures *up,
    uint64_t now_ns)
{
	char waits[PB_SPAN_TEXT_MAX], size[16];

	pb_out_printf(out, "upstream   %s (%s): %s, %" PRIu64 " streams, %"
	    PRIu64 " packets wait", up->row.name, up->row.url, up->state,
	    up->streams, up->backlog);
	if (up->backlog > 0)
		pb_out_printf(out, ", %s, the oldest for %s",
		    pb_size_format(up->backlog_bytes, size),
		    pb_span_format(up->waits_ns, waits));
	pb_upstream_say_speed(out, up->row.pps, up->bps, up->left_ns);
	pb_out_text(out, "\n");
	pb_upstream_say_error(out, up->row.last_error, up->row.error_ns,
	    now_ns);
	say_delivery(out, up);
	say_letters(out, up);
	say_forks(out, up);
}

void
pb_upstream_say_speed(struct pb_out *out, uint64_t pps, uint64_t bps,
    uint64_t left_ns)
{
	char left[PB_SPAN_TEXT_MAX];

	if (pps == 0 && bps == 0)
		return;
	pb_out_printf(out, "; %" PRIu64 " packets/s, %.3f Mbit/s", pps,
	    (double)bps / 1e6);
	if (left_ns == UINT64_MAX)
		pb_out_text(out, ", more comes than that");
	else if (left_ns > 0)
		pb_out_printf(out, ", caught up in %s",
		    pb_span_format(left_ns, left));
}

void
pb_upstream_say_error(struct pb_out *out, const char *text,
    uint64_t error_ns, uint64_t now_ns)
{
	char ago[PB_SPAN_TEXT_MAX];

	if (text[0] == '\0')
		return;
	pb_out_text(out, "           last error");
	if (error_ns > 0 && error_ns <= now_ns)
		pb_out_printf(out, ", %s ago",
		    pb_span_format(now_ns - error_ns, ago));
	pb_out_printf(out, ": %s\n", text);
}

/* Of a local interface: what a node drops as a repeat it would send. */
static void
say_delivery(struct pb_out *out, const struct pb_upstream_figures *up)
{
	if (strcmp(up->delivery, "at-least-once") == 0)
		pb_out_text(out, "           at least once: after a crash "
		    "some of a stream may go out twice\n");
	else if (strcmp(up->delivery, "at-most-once") == 0)
		pb_out_text(out, "           at most once: what may have gone "
		    "out before a crash becomes dead letters, unsure\n");
	if (up->row.filtered > 0)
		pb_out_printf(out, "           left out by its filter: %"
		    PRIu64 " packets\n", up->row.filtered);
	if (up->row.unfit > 0)
		pb_out_printf(out, "           not sent, as it cannot carry "
		    "them as they were: %" PRIu64 " packets; the last: %s\n",
		    up->row.unfit, up->row.unfit_text);
	if (up->row.apart > 0)
		pb_out_printf(out, "           clocks apart: a stream was "
		    "given one of its own, %" PRIu64 " times; the last is "
		    "%.1f s behind (the log has its name)\n", up->row.apart,
		    (double)up->row.apart_ns / PB_NS_PER_S);
}

static void
say_letters(struct pb_out *out, const struct pb_upstream_figures *up)
{
	char size[16];

	if (up->dead.letters > 0 || up->dead.requeued > 0)
		pb_out_printf(out, "           dead letters: %" PRIu64 ", %"
		    PRIu64 " packets; %" PRIu64 " more to send again; %s "
		    "(requeue = %s; pb dlq)\n", up->dead.letters,
		    up->dead.packets, up->dead.requeued,
		    pb_size_format(up->dead.file_bytes, size),
		    up->requeue);
}

static void
say_forks(struct pb_out *out, const struct pb_upstream_figures *up)
{
	for (unsigned i = 0; i < shown(up); i++)
		pb_out_printf(out, "           restored: %s has other packets "
		    "there; from %" PRIu64 " on ours are epoch %016" PRIx64
		    "\n", up->fork[i].stream, up->fork[i].fork.first,
		    up->fork[i].fork.epoch);
	if (up->forks > shown(up))
		pb_out_printf(out, "           restored: %u more\n",
		    up->forks - shown(up));
}
