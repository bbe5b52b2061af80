/*
 * cli/cmd_mend.c - `pb verify`: is every bit as it was written?
 *		    `pb reindex`: the index, made again from the files
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/common/cli.h"
#include "cli/commands.h"
#include "cli/common/progress.h"
#include "recorder/store/lock.h"
#include "recorder/store/mend/rebuild.h"
#include "recorder/store/mend/repair.h"

#define NICE	10		/* what captures goes first */

struct opts {
	bool		 repair, json;
	const char	*stream;
};

struct verification {
	struct pb_out	 out;
	struct pb_progress bar;
	struct pb_repair *repair;	/* NULL: only look */
	bool		 json;
	struct pb_err	*err;
};

static int	run_verify(struct pb_cli *, void *, char **,
		    struct pb_err *);
static int	run_reindex(struct pb_cli *, void *, char **,
		    struct pb_err *);
static void	write_owed(const char *);
static int	own(const struct pb_cli *, struct pb_rebuild_opts *,
		    struct pb_err *);
static int	verify(struct pb_cli *, const struct opts *, struct pb_err *);
static int	look(struct verification *, const struct pb_verify_opts *,
		    struct pb_verify_sum *, struct pb_err *);
static int	put_right(struct verification *, struct pb_err *);
static int	found(void *, const struct pb_finding *);
static void	print_json(struct pb_out *, const struct pb_finding *);
static void	print_line(struct pb_out *, const struct pb_finding *);
static void	print_sum(struct verification *,
		    const struct pb_verify_sum *);
static void	progress(void *, uint64_t, uint64_t);
static bool	progress_files(void *, uint64_t, uint64_t, uint64_t);

static const struct pb_cli_option verify_options[] = {
	{ "repair", 0, NULL, offsetof(struct opts, repair), NULL,
	    "keep every whole block, set the rest aside in damaged/,\n"
	    "make the index right; the recorder must be stopped" },
	PB_CLI_STREAM(struct opts),
	PB_CLI_JSON(struct opts, "one JSON object a line, a summary last"),
	{ 0 },
};
static const struct pb_cli_option reindex_options[] = {
	PB_CLI_JSON(struct pb_plain_opts, "the result as one JSON object"),
	{ 0 },
};

const struct pb_command pb_cmd_verify = {
	.name = "verify",
	.summary = "Check every bit against digests and index; put right",
	.operands = "",
	.options = verify_options,
	.opts_bytes = sizeof(struct opts),
	.after =
"Reads every segment, every journal and the index, and compares all of\n"
"them with each other and with their digests.  It may run beside the\n"
"recorder.  The exit status is 1 where something was found.\n",
	.run = run_verify,
};

const struct pb_command pb_cmd_reindex = {
	.name = "reindex",
	.summary = "Make the index again from the files",
	.options = reindex_options,
	.opts_bytes = sizeof(struct pb_plain_opts),
	.after =
"For an index that is lost or corrupt.  The recorder must be stopped (it\n"
"does the same by itself when it starts without a good index).  The old\n"
"one goes to damaged/ in the store.\n",
	.run = run_reindex,
};

static int
run_verify(struct pb_cli *cli, void *arg, char **operand, struct pb_err *err)
{
	const struct opts *opts = arg;
	int rc;

	if (operand[0] != NULL)
		return pb_cli_usage("verify takes no argument: '%s'",
		    operand[0]);
	if (opts->repair && opts->stream != NULL)
		return pb_cli_usage("--repair puts all of the store right: "
		    "leave --stream out");
	rc = pb_cli_enter(cli, opts->repair, err);
	return rc < 0 ? rc : verify(cli, opts, err);
}

static int
run_reindex(struct pb_cli *cli, void *arg, char **operand,
    struct pb_err *err)
{
	const struct pb_plain_opts *opts = arg;
	struct pb_rebuild_sum sum;
	struct pb_progress bar;
	struct pb_rebuild_opts how = { .progress = progress_files,
	    .arg = &bar };
	int fd, rc = pb_cli_enter(cli, true, err);

	(void)operand;
	fd = rc < 0 ? rc : own(cli, &how, err);
	if (fd < 0)
		return fd;
	pb_progress_begin(&bar, "files", 0);
	bar.things = true;
	write_owed(how.store);
	rc = pb_rebuild(&how, &sum, err);
	pb_progress_end(&bar);
	close(fd);
	if (rc < 0)
		return rc;
	printf(opts->json ? "{\"streams\":%" PRIu64 ",\"segments\":%" PRIu64
	    ",\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"gaps\":%" PRIu64
	    ",\"damaged\":%" PRIu64 "}\n" : "%" PRIu64 " streams, %" PRIu64
	    " segments, %" PRIu64 " packets, %" PRIu64 " bytes, %" PRIu64
	    " gaps; %" PRIu64 " files were damaged\n", sum.streams,
	    sum.segments, sum.packets, sum.bytes, sum.gaps, sum.damaged);
	return PB_EXIT_OK;
}

/* What the old index alone knows of its journals; it may know nothing. */
static void
write_owed(const char *store)
{
	struct pb_index *index;

	if (pb_index_readable(store, NULL) < 0 ||
	    pb_index_open(&index, store, NULL) < 0)
		return;
	(void)pb_repair_owed(index, store, NULL);
	pb_index_close(index);
}

/* The store is ours from now on: the descriptor of its lock, or an error. */
static int
own(const struct pb_cli *cli, struct pb_rebuild_opts *how,
    struct pb_err *err)
{
	int fd, rc = pb_rebuild_needed(cli->store, NULL);

	/* None is made where there is nothing to make it of. */
	if (rc == 0)
		return pb_err_set(err, PB_ENOENT, "there is no store in %s",
		    cli->store);
	rc = pb_lock_take(&fd, cli->store, "recorder.lock", "pb-recorder",
	    err);
	how->store = cli->store;
	how->index_size = cli->conf->store.index_size;
	how->node = cli->conf->node.name;
	how->pen = cli->conf->node.pen;
	how->flows = cli->conf->store.flows != PB_CONF_FLOWS_NO;
	return rc < 0 ? rc : fd;
}

/* The exit status, or an error. */
static int
verify(struct pb_cli *cli, const struct opts *opts, struct pb_err *err)
{
	struct verification v = { .json = opts->json, .err = err };
	struct pb_verify_opts look_at = { .store = cli->store,
	    .streams = opts->stream, .each = found, .progress = progress,
	    .arg = &v };
	struct pb_rebuild_opts how = { 0 };
	struct pb_verify_sum sum;
	int fd = -1, rc = 0;
	pid_t pid;

	/* To repair, the store must be ours; to look, it is good to know. */
	if (opts->repair && (fd = own(cli, &how, err)) < 0)
		return fd;
	look_at.alone = opts->repair ||
	    !pb_lock_held(cli->store, "recorder.lock", &pid);
	setpriority(PRIO_PROCESS, 0, NICE);
	pb_cli_out(&v.out);
	if (opts->repair)
		rc = pb_repair_create(&v.repair, &how, err);
	if (rc == 0)
		rc = look(&v, &look_at, &sum, err);
	if (rc == 0 && opts->repair && sum.findings > 0)
		rc = put_right(&v, err);
	if (rc == 0)
		rc = pb_out_flush(&v.out, err);
	pb_repair_destroy(v.repair);
	pb_out_finish(&v.out);
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		return pb_out_gone(&v.out) ? PB_EXIT_OK : rc;
	return sum.findings > 0 && !opts->repair ? PB_EXIT_FAILED :
	    PB_EXIT_OK;
}

static int
look(struct verification *v, const struct pb_verify_opts *opts,
    struct pb_verify_sum *sum, struct pb_err *err)
{
	int rc;

	pb_progress_begin(&v->bar, "verifying", 0);
	rc = pb_verify(opts, sum, err);
	pb_progress_end(&v->bar);
	if (rc == 0)
		print_sum(v, sum);
	return rc;
}

static int
put_right(struct verification *v, struct pb_err *err)
{
	struct pb_rebuild_sum made;
	int rc = pb_repair_finish(v->repair, &made, err);

	if (rc < 0)
		return rc;
	if (v->json)
		return pb_out_printf(&v->out, "{\"repaired\":true,\"segments\":"
		    "%" PRIu64 ",\"packets\":%" PRIu64 ",\"gaps\":%" PRIu64
		    "}\n", made.segments, made.packets, made.gaps);
	return pb_out_printf(&v->out, "repaired: %" PRIu64 " segments, %"
	    PRIu64 " packets, %" PRIu64 " gaps; what was not whole is in "
	    "damaged/\n", made.segments, made.packets, made.gaps);
}

static int
found(void *arg, const struct pb_finding *finding)
{
	struct verification *v = arg;

	pb_progress_end(&v->bar);
	if (v->json)
		print_json(&v->out, finding);
	else
		print_line(&v->out, finding);
	if (v->repair != NULL)
		return pb_repair_note(v->repair, finding, v->err);
	return pb_out_flush(&v->out, v->err);
}

static void
print_line(struct pb_out *out, const struct pb_finding *finding)
{
	char name[PB_STREAM_NAME_MAX];

	if (finding->path[0] != '\0')
		pb_out_printf(out, "%s: %s: %s\n", finding->path,
		    pb_flaw_name(finding->flaw), finding->text);
	else if (finding->key.epoch != 0)
		pb_out_printf(out, "%s %016" PRIx64 ": %s: %s\n",
		    pb_stream_name(name, &finding->key), finding->key.epoch,
		    pb_flaw_name(finding->flaw), finding->text);
	else
		pb_out_printf(out, "index: %s: %s\n",
		    pb_flaw_name(finding->flaw), finding->text);
}

static void
print_json(struct pb_out *out, const struct pb_finding *finding)
{
	struct pb_json json;
	struct pb_buf line;
	char epoch[17];

	pb_buf_init(&line, PB_OUT_BYTES);
	pb_json_init(&json, &line);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "flaw", pb_flaw_name(finding->flaw));
	if (finding->key.epoch != 0) {
		pb_hex64(finding->key.epoch, epoch);
		pb_json_text(&json, "node", finding->key.node);
		pb_json_text(&json, "interface", finding->key.interface);
		pb_json_text(&json, "epoch", epoch);
	}
	if (finding->path[0] != '\0')
		pb_json_text(&json, "path", finding->path);
	if (finding->bytes > 0) {
		pb_json_u64(&json, "offset", finding->offset);
		pb_json_u64(&json, "bytes", finding->bytes);
	}
	if (finding->last > 0) {
		pb_json_u64(&json, "first", finding->first);
		pb_json_u64(&json, "last", finding->last);
	}
	pb_json_text(&json, "text", finding->text);
	pb_json_end(&json);
	pb_buf_str(&line, "\n");
	pb_out_put(out, line.data, line.len);
	pb_buf_finish(&line);
}

static void
print_sum(struct verification *v, const struct pb_verify_sum *sum)
{
	if (v->json)
		pb_out_printf(&v->out, "{\"streams\":%" PRIu64
		    ",\"segments\":%" PRIu64 ",\"packets\":%" PRIu64
		    ",\"bytes\":%" PRIu64 ",\"findings\":%" PRIu64 "}\n",
		    sum->streams, sum->segments, sum->packets, sum->bytes,
		    sum->findings);
	else
		pb_out_printf(&v->out, "%" PRIu64 " segments, %" PRIu64
		    " packets, %" PRIu64 " bytes checked; %" PRIu64
		    " findings\n", sum->segments, sum->packets, sum->bytes,
		    sum->findings);
}

static void
progress(void *arg, uint64_t done, uint64_t all)
{
	struct verification *v = arg;

	v->bar.total = all;
	pb_progress_at(&v->bar, done);
}

/* Their number is known before they are read. */
static bool
progress_files(void *bar, uint64_t files, uint64_t files_all, uint64_t bytes)
{
	(void)bytes;
	((struct pb_progress *)bar)->total = files_all;
	pb_progress_at(bar, files);
	return true;
}
