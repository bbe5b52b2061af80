/*
 * shipper/loop_told.c - metrics, for the recorder that serves them
 *
 * Made where it may wait, by a worker of its own (the keeper's jobs wait for
 * disks), when somebody asks; told again for TOLD_MS as they are.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "recorder/store/facts/told.h"
#include "shipper/loop_impl.h"
#include "shipper/operator/figures.h"

#define TOLD_MS	1000u

struct loop_told {
	struct pb_worker *worker;
	struct pb_job	 job;
	bool		 busy;
	/* What the job is about; it ends before any of it does. */
	struct pb_figures_from from;
	/* What it made. */
	int		 file;		/* -1: nothing */
	uint64_t	 bytes;
	uint64_t	 until_ms;	/* it is told again */
	int		 rc;
	struct pb_err	 err;
};

static void	make(void *);
static int	keep(struct loop_told *, const struct pb_buf *,
		    struct pb_err *);
static void	made(void *);

int
loop_told_create(struct pb_loop *loop, struct pb_err *err)
{
	struct loop_told *told = calloc(1, sizeof(*told));
	int rc;

	if (told == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	told->file = -1;
	rc = pb_worker_create(&told->worker, "teller", err);
	if (rc < 0)
		free(told);
	else
		loop->told = told;
	return rc;
}

void
loop_told_destroy(struct pb_loop *loop)
{
	struct loop_told *told = loop->told;

	if (told == NULL)
		return;
	loop_told_stop(loop);
	pb_worker_destroy(told->worker);
	if (told->file >= 0)
		close(told->file);
	free(told);
	loop->told = NULL;
}

int
loop_told_fd(const struct pb_loop *loop)
{
	return pb_worker_fd(loop->told->worker);
}

void
loop_told_collect(struct pb_loop *loop)
{
	pb_worker_collect(loop->told->worker);
}

void
loop_told_stop(struct pb_loop *loop)
{
	struct loop_told *told = loop->told;

	if (told == NULL)
		return;
	pb_worker_cancel(told->worker, &told->job);
	told->busy = false;
	told->until_ms = 0;
}

int
loop_told(struct pb_loop *loop, struct pb_control_request *request,
    struct pb_err *err)
{
	struct loop_told *told = loop->told;

	if (!told->busy && pb_clock_mono_ms() < told->until_ms) {
		request->file = told->file;
		request->file_bytes = told->bytes;
		if (told->rc < 0)
			*err = told->err;
		return told->rc;
	}
	if (told->busy)
		return 1;
	told->busy = true;
	told->from = (struct pb_figures_from){ .state = loop->state,
	    .letters = loop->letters, .index = loop->index,
	    .conf = loop->conf, .runs = true,
	    .now_ns = pb_clock_real_ns() };
	told->job = (struct pb_job){ .run = make, .done = made,
	    .arg = told };
	pb_worker_give(told->worker, &told->job);
	return 1;
}

/* --- on the worker's thread ----------------------------------------------- */

static void
make(void *arg)
{
	struct pb_figures figures = { .upstreams = 0 };
	struct loop_told *told = arg;
	struct pb_buf text;

	pb_buf_init(&text, PB_TOLD_BYTES_MAX);
	told->rc = pb_figures_gather(&figures, &told->from, &told->err);
	if (told->rc == 0)
		pb_figures_metrics(&figures, &text);
	if (told->rc == 0)
		told->rc = keep(told, &text, &told->err);
	pb_buf_finish(&text);
	pb_figures_finish(&figures);
}

/* In another file each time: who was given the last one may read it still. */
static int
keep(struct loop_told *told, const struct pb_buf *text, struct pb_err *err)
{
	ssize_t put = 1;
	int file;

	if (text->failed)
		return pb_err_set(err, PB_ENOMEM, "no memory for metrics");
	file = memfd_create("pb-metrics", MFD_CLOEXEC);
	if (file < 0)
		return pb_err_sys(err, "make metrics");
	for (size_t at = 0; at < text->len && put > 0; at += (size_t)put)
		put = write(file, text->data + at, text->len - at);
	if (put <= 0) {
		close(file);
		return pb_err_set(err, PB_ENOMEM, "no memory for metrics");
	}
	if (told->file >= 0)
		close(told->file);
	told->file = file;
	told->bytes = text->len;
	return 0;
}

/* --- on the loop's -------------------------------------------------------- */

static void
made(void *arg)
{
	struct loop_told *told = arg;

	told->busy = false;
	told->until_ms = pb_clock_mono_ms() + TOLD_MS;
}
