/*
 * cli/cmd_reindex.c - `pb reindex`: the index, made again from the files
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "recorder/store/lock.h"
#include "recorder/store/mend/rebuild.h"

static bool	progress(void *, uint64_t, uint64_t, uint64_t);

int
pb_cmd_reindex(struct pb_cli *cli, const struct pb_command *command,
    int argc, char **argv)
{
	struct pb_rebuild_sum sum;
	struct pb_progress bar;
	struct pb_err err;
	bool json = false;
	int fd = -1, rc;

	rc = pb_cli_plain_options(command, argc, argv, &json, NULL);
	if (rc >= 0)
		return rc;
	rc = pb_cli_enter(cli, true, &err);
	if (rc == 0)
		rc = pb_lock_take(&fd, cli->store, "recorder.lock",
		    "pb-recorder", &err);
	if (rc == 0) {
		struct pb_rebuild_opts opts = { .store = cli->store,
		    .node = cli->conf->node.name,
		    .index_size = cli->conf->store.index_size,
		    .pen = cli->conf->node.pen, .progress = progress,
		    .arg = &bar };

		pb_progress_begin(&bar, "files", 0);
		bar.things = true;
		rc = pb_rebuild(&opts, &sum, &err);
		pb_progress_end(&bar);
	}
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		return pb_cli_fail(&err);
	printf(json ? "{\"streams\":%" PRIu64 ",\"segments\":%" PRIu64
	    ",\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"gaps\":%" PRIu64
	    ",\"damaged\":%" PRIu64 "}\n" : "%" PRIu64 " streams, %" PRIu64
	    " segments, %" PRIu64 " packets, %" PRIu64 " bytes, %" PRIu64
	    " gaps; %" PRIu64 " files were damaged\n", sum.streams,
	    sum.segments, sum.packets, sum.bytes, sum.gaps, sum.damaged);
	return PB_EXIT_OK;
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
