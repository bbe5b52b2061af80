/*
 * cli/cmd_trailers.c - `pb trailers`: which list of trailers fits
 *
 *	a file, an interface, or streams --> subjects --> what fits, and the
 *	lines to configure
 */
#include "cli/common/cli.h"
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cli/replay/from_file.h"
#include "cli/trailers/subject.h"
#include "recorder/capture/look.h"
#include "recorder/link/link.h"
#include "recorder/query/query.h"

#define PACKETS		10000u
#define LOOK_MS		10000u
#define TEXT_BYTES_MAX	(1u << 20)

struct opts {
	uint64_t	 limit;
	uint64_t	 look_ms;
	bool		 json;
};

struct trailers {
	const struct opts *opts;
	struct pb_cli	*cli;
	struct pb_subjects found;
	struct pb_query_opts query;	/* of a stream: */
	struct pb_select select;
};

static void	init(void *);
static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	look_at(struct trailers *, const char *, struct pb_err *);
static int	look_at_file(struct trailers *, const char *,
		    struct pb_err *);
static int	subject_of(struct trailers *, const struct pb_from_file *,
		    struct pb_subject **, struct pb_err *);
static int	look_at_interface(struct trailers *, const char *,
		    struct pb_err *);
static void	on_packet(void *, const struct pb_packet *);
static int	look_at_streams(struct trailers *, const char *,
		    struct pb_err *);
static int	find_streams(struct trailers *, struct pb_err *);
static int	look_at_stream(struct trailers *, struct pb_subject *,
		    struct pb_err *);
static int	report(const struct trailers *, struct pb_err *);
/* options */
static int	take_limit(void *, const char *, struct pb_err *);
static int	take_for(void *, const char *, struct pb_err *);

static const struct pb_cli_option options[] = {
	{ "limit", 0, "N", offsetof(struct opts, limit), take_limit,
	    "look at N packets at most (default: 10000): of a file the\n"
	    "first, of each stream the last" },
	{ "for", 0, "T", offsetof(struct opts, look_ms), take_for,
	    "at an interface for T at most (default: 10s)" },
	PB_CLI_JSON(struct opts, "one JSON object an interface"),
	{ 0 },
};

const struct pb_command pb_cmd_trailers = {
	.name = "trailers",
	.summary = "Look at packets, and say which list of trailers fits",
	.operands = "[OPTION...] FILE|INTERFACE|STREAM",
	.before =
"Looks for what switches put on frames: behind them (trailers), or into\n"
"their headers.  FILE is a pcap or pcapng file, `-` standard input;\n"
"INTERFACE one of this machine, which takes the capability CAP_NET_RAW;\n"
"STREAM a glob of node/interface in the store.  The first of the three that\n"
"is there is meant.\n",
	.options = options,
	.opts_bytes = sizeof(struct opts),
	.after =
"Prints, the best first, the lists that parse at least half of the packets,\n"
"with their share, and the lines for the interface's [capture] section.  The\n"
"same list reads packets that are there already: 'pb query --trailers LIST',\n"
"with --fcs where the second line says so.\n"
"\n"
"Exit status: 0 where a list fits, 1 where none does or something failed, 2\n"
"for wrong usage.\n",
	.init = init,
	.run = run,
};

static void
init(void *arg)
{
	*(struct opts *)arg = (struct opts){ PACKETS, LOOK_MS, false };
}

static int
run(struct pb_cli *cli, void *arg, char **operand, struct pb_err *err)
{
	struct trailers trailers = { .opts = arg, .cli = cli };
	bool fits = false;
	int rc;

	if (operand[0] == NULL || operand[1] != NULL)
		return pb_cli_usage("trailers: name one thing to look at: a "
		    "capture file, an interface, or a stream");
	pb_cli_catch_signals();
	rc = look_at(&trailers, operand[0], err);
	if (rc == 0)
		rc = report(&trailers, err);
	for (size_t i = 0; i < trailers.found.count; i++)
		fits = fits || pb_subject_fits(&trailers.found.at[i]);
	pb_subjects_finish(&trailers.found);
	return rc < 0 ? rc : fits ? PB_EXIT_OK : PB_EXIT_FAILED;
}

/* The first that it is. */
static int
look_at(struct trailers *trailers, const char *what, struct pb_err *err)
{
	struct pb_link_state link;
	struct stat st;

	if (strcmp(what, "-") == 0 || stat(what, &st) == 0)
		return look_at_file(trailers, what, err);
	pb_link_state(what, &link);
	if (link.index != 0)
		return look_at_interface(trailers, what, err);
	return look_at_streams(trailers, what, err);
}

/* --- a file -------------------------------------------------------------- */

static int
look_at_file(struct trailers *trailers, const char *name, struct pb_err *err)
{
	/* All goes one way, and nowhere. */
	struct pb_ways ways = { .rest = 1 };
	struct pb_from_file file = { .ways = &ways, .skip = true };
	uint64_t left = trailers->opts->limit;
	struct pb_source_frame frame;
	struct pb_subject *subject;
	int rc = pb_capture_file_open(&file.file, name, err);

	if (rc == 0)
		rc = pb_from_file_begin(&file, &pb_cli_stop, err);
	while (rc == 0 && left > 0 && (rc = pb_from_file_next(&file, &frame,
	    err)) > PB_SOURCE_END) {
		if (rc == PB_SOURCE_FRAME) {
			rc = subject_of(trailers, &file, &subject, err);
			if (rc < 0)
				break;
			/* How much was cut off is all the same. */
			pb_subject_packet(subject, &(struct pb_packet){
			    .data = frame.data, .caplen = frame.len,
			    .origlen = frame.len + frame.cut,
			    .time_ns = frame.time_ns });
			left--;
		}
		rc = 0;
	}
	if (rc == 0)
		rc = pb_capture_file_error(&file.file, err);
	pb_from_file_finish(&file);
	return rc;
}

/* The interface of the file's last packet. */
static int
subject_of(struct trailers *trailers, const struct pb_from_file *file,
    struct pb_subject **out, struct pb_err *err)
{
	char name[PATH_MAX];
	int rc;

	snprintf(name, sizeof(name), file->last == 0 ? "%s" :
	    "%s, interface %u", file->file.name, file->last);
	for (size_t i = 0; i < trailers->found.count; i++)
		if (strcmp(trailers->found.at[i].name, name) == 0) {
			*out = &trailers->found.at[i];
			return 0;
		}
	rc = pb_subjects_add(&trailers->found, out, err);
	if (rc == 0)
		strcpy((*out)->name, name);
	return rc;
}

/* --- an interface -------------------------------------------------------- */

static int
look_at_interface(struct trailers *trailers, const char *name,
    struct pb_err *err)
{
	struct pb_capture_look look = {
		.interface = name,
		.packets_max = trailers->opts->limit,
		.ms_max = trailers->opts->look_ms,
		.stop = &pb_cli_stop,
		.each = on_packet,
	};
	struct pb_subject *subject;
	int rc = pb_subjects_add(&trailers->found, &subject, err);

	if (rc < 0)
		return rc;
	snprintf(subject->name, sizeof(subject->name), "%s", name);
	look.arg = subject;
	return pb_capture_look(&look, err);
}

static void
on_packet(void *subject, const struct pb_packet *packet)
{
	pb_subject_packet(subject, packet);
}

/* --- streams ------------------------------------------------------------- */

/* One after the other, so that each has its share of packets. */
static int
look_at_streams(struct trailers *trailers, const char *glob,
    struct pb_err *err)
{
	int rc = pb_cli_enter(trailers->cli, false, err);

	if (rc < 0)
		return pb_err_prefix(err, rc, "trailers: '%.200s' is no file "
		    "and no interface of this machine; for a stream", glob);
	pb_select_init(&trailers->select);
	trailers->select.glob[0] = glob;
	trailers->select.globs = 1;
	trailers->query = (struct pb_query_opts){
		.store = trailers->cli->store,
		.select = &trailers->select,
		.filter = "",
		.stop = &pb_cli_stop,
		.open = pb_cli_open_index,
		.close = pb_cli_close_index,
		.arg = trailers->cli,
	};
	trailers->query.once = pb_cli_yield(trailers->cli);
	rc = find_streams(trailers, err);
	if (rc == 0 && trailers->found.count == 0)
		return pb_err_set(err, PB_ENOENT, "trailers: '%.200s' is no "
		    "file, no interface of this machine, and no stream of the "
		    "store %.200s", glob, trailers->cli->store);
	for (size_t i = 0; i < trailers->found.count && rc == 0; i++)
		rc = look_at_stream(trailers, &trailers->found.at[i], err);
	return rc;
}

/* A subject for each name of Ethernet streams, in their order. */
static int
find_streams(struct trailers *trailers, struct pb_err *err)
{
	const struct pb_stream_info *info;
	char name[PB_STREAM_NAME_MAX];
	struct pb_subject *subject = NULL;
	struct pb_query *query;
	int rc = pb_query_open(&query, &trailers->query, err);

	for (size_t i = 0; rc == 0 && i < pb_query_streams(query); i++) {
		info = pb_query_stream(query, i);
		pb_stream_name(name, &info->key);
		if (info->linktype != PB_LINKTYPE_ETHERNET)
			continue;
		if (subject == NULL || strcmp(subject->name, name) != 0) {
			rc = pb_subjects_add(&trailers->found, &subject, err);
			if (rc < 0)
				break;
			strcpy(subject->name, name);
		}
		/* Of several epochs the one that was last. */
		if (info->last_time >= subject->last_time) {
			subject->last_time = info->last_time;
			subject->last_seq = info->last_seq;
		}
	}
	pb_query_close(query);
	return rc;
}

static int
look_at_stream(struct trailers *trailers, struct pb_subject *subject,
    struct pb_err *err)
{
	struct pb_select *select = &trailers->select;
	struct pb_cursor_packet cp;
	struct pb_query *query;
	int rc;

	select->glob[0] = subject->name;
	select->limit = trailers->opts->limit;
	select->range.first_seq = subject->last_seq > select->limit ?
	    subject->last_seq - select->limit + 1 : 1;
	rc = pb_query_open(&query, &trailers->query, err);
	if (rc < 0)
		return rc;
	while ((rc = pb_query_next(query, &cp, err)) > 0)
		if (cp.head->linktype == PB_LINKTYPE_ETHERNET)
			pb_subject_packet(subject, &cp.packet);
	pb_query_close(query);
	return rc;
}

static int
report(const struct trailers *trailers, struct pb_err *err)
{
	struct pb_buf text;
	struct pb_out out;
	int rc;

	pb_buf_init(&text, TEXT_BYTES_MAX);
	for (size_t i = 0; i < trailers->found.count; i++)
		if (trailers->opts->json)
			pb_subject_json(&trailers->found.at[i], &text);
		else
			pb_subject_text(&trailers->found.at[i], &text);
	if (trailers->found.count == 0)
		pb_cli_note("no packet of an Ethernet interface is there");
	pb_cli_out(&out);
	pb_out_put(&out, text.data, text.len);
	rc = text.failed ? pb_err_set(err, PB_ENOMEM, "no memory for the "
	    "report") : pb_out_flush(&out, err);
	if (pb_out_gone(&out))
		rc = 0;
	pb_out_finish(&out);
	pb_buf_finish(&text);
	return rc;
}

static int
take_limit(void *at, const char *text, struct pb_err *err)
{
	if (pb_parse_u64(text, 1, UINT64_MAX, at, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--limit");
}

static int
take_for(void *at, const char *text, struct pb_err *err)
{
	if (pb_parse_duration(text, at, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--for");
}
