/*
 * cli/cmd_reindex.c - `pb reindex`: the index, made again from the files
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/common/cli.h"
#include "cli/commands.h"
#include "cli/common/progress.h"
#include "recorder/store/lock.h"
#include "recorder/store/mend/rebuild.h"

static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	reindex(const struct pb_cli *, struct pb_rebuild_sum *,
		    struct pb_err *);
static bool	progress(void *, uint64_t, uint64_t, uint64_t);

static const struct pb_cli_option options[] = {
	PB_CLI_JSON(struct pb_plain_opts, "the result as one JSON object"),
	{ 0 },
};

const struct pb_command pb_cmd_reindex = {
	.name = "reindex",
	.summary = "Make the index again from the files",
	.options = options,
	.opts_bytes = sizeof(struct pb_plain_opts),
	.after =
"For an index that is lost or corrupt.  The recorder must be stopped (it\n"
"does the same by itself when it starts without a good index).  The old\n"
"one goes to damaged/ in the store.\n",
	.run = run,
};

static int
run(struct pb_cli *cli, void *arg, char **operand, struct pb_err *err)
{
	const struct pb_plain_opts *opts = arg;
	struct pb_rebuild_sum sum;
	int fd = -1, rc;

	(void)operand;
	rc = pb_cli_enter(cli, true, err);
	if (rc == 0)
		rc = pb_lock_take(&fd, cli->store, "recorder.lock",
		    "pb-recorder", err);
	if (rc == 0)
		rc = reindex(cli, &sum, err);
	if (fd >= 0)
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

static int
reindex(const struct pb_cli *cli, struct pb_rebuild_sum *sum,
    struct pb_err *err)
{
	struct pb_progress bar;
	struct pb_rebuild_opts opts = { .store = cli->store,
	    .node = cli->conf->node.name,
	    .index_size = cli->conf->store.index_size,
	    .pen = cli->conf->node.pen, .progress = progress, .arg = &bar };
	int rc;

	pb_progress_begin(&bar, "files", 0);
	bar.things = true;
	rc = pb_rebuild(&opts, sum, err);
	pb_progress_end(&bar);
	return rc;
}

/* In files: their number is known before they are read. */
static bool
progress(void *arg, uint64_t files, uint64_t files_all, uint64_t bytes)
{
	struct pb_progress *bar = arg;

	(void)bytes;
	bar->total = files_all;
	pb_progress_at(bar, files);
	return true;
}
