/*
 * cli/import/inlet.c - the way into the store, for packets that `pb` brings
 */
#include "cli/import/inlet.h"

#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/log.h"
#include "base/sys.h"
#include "cli/status/live.h"
#include "recorder/store/layout.h"
#include "recorder/store/lock.h"

#define POLL_MS		100
/* A recorder has the lock before it listens: so long it may take. */
#define ANSWER_MS_MAX	15000

enum holder {
	HOLDER_NONE,		/* the store is free */
	HOLDER_RECORDER,	/* and it listens */
	HOLDER_OTHER,		/* another `pb import`, which will end */
	HOLDER_SILENT,
};

static int	find_way(struct pb_inlet *, struct pb_cli *,
		    struct pb_err *);
static enum holder who_has(const char *, pid_t *);
static int	be_the_recorder(struct pb_inlet *, struct pb_cli *,
		    struct pb_err *);

int
pb_inlet_open(struct pb_inlet *inlet, struct pb_cli *cli, struct pb_err *err)
{
	char path[PATH_MAX];
	int rc;

	memset(inlet, 0, sizeof(*inlet));
	pthread_mutex_init(&inlet->lock, NULL);
	pthread_cond_init(&inlet->back, NULL);
	pb_buf_init(&inlet->head, PB_HEAD_BYTES_MAX + PB_CHUNK_BYTES);
	inlet->pen = cli->conf->node.pen;
	rc = pb_layout_path(path, cli->store, "recorder.sock", err);
	if (rc == 0)
		rc = find_way(inlet, cli, err);
	if (rc == 0 && inlet->store == NULL)
		rc = pb_push_create(&inlet->push, path, pb_cli_stopped, err);
	if (rc < 0)
		pb_inlet_close(inlet);
	return rc;
}

void
pb_inlet_close(struct pb_inlet *inlet)
{
	pb_push_destroy(inlet->push);	/* it gives back chunks */
	if (inlet->ingest != NULL)
		pb_ingest_stop(inlet->ingest);
	if (inlet->store != NULL) {
		/* What fails from here on nobody else hears of. */
		pb_log_level(PB_LOG_WARN);
		pb_store_close(inlet->store);
	}
	/* Only now has the writer given back all of them. */
	pb_inlet_drop_chunks(inlet);
	pb_buf_finish(&inlet->head);
	pthread_cond_destroy(&inlet->back);
	pthread_mutex_destroy(&inlet->lock);
	memset(inlet, 0, sizeof(*inlet));
}

/*
 * Until somebody listens who will go on doing so.  Another import is
 * waited for: it stops listening when its own files are in.
 */
static int
find_way(struct pb_inlet *inlet, struct pb_cli *cli, struct pb_err *err)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	unsigned silent_ms = 0;
	bool told = false;
	pid_t pid;
	int rc;

	for (;;) {
		switch (who_has(cli->store, &pid)) {
		case HOLDER_RECORDER:
			return 0;
		case HOLDER_NONE:
			rc = be_the_recorder(inlet, cli, err);
			if (rc != PB_EBUSY)
				return rc;
			silent_ms = 0;	/* that is somebody else by now */
			break;
		case HOLDER_OTHER:
			if (!told)
				pb_cli_note("waiting for another import, pid "
				    "%ld, to end", (long)pid);
			told = true;
			silent_ms = 0;
			break;
		case HOLDER_SILENT:
			silent_ms += POLL_MS;
			if (silent_ms > ANSWER_MS_MAX)
				return pb_err_set(err, PB_EBUSY, "process "
				    "%ld has the store %s and does not "
				    "answer on its recorder.sock",
				    (long)pid, cli->store);
		}
		nanosleep(&pause, NULL);
		if (pb_cli_stopped() != 0)
			return pb_err_set(err, PB_ESYS,
			    "interrupted; nothing was imported");
	}
}

static enum holder
who_has(const char *store, pid_t *pid)
{
	enum holder holder;
	struct pb_buf body;

	if (!pb_lock_held(store, "recorder.lock", pid))
		return HOLDER_NONE;
	pb_buf_init(&body, PB_JSON_BODY_MAX);
	if (pb_live_ask(store, &body, NULL) < 0)
		holder = HOLDER_SILENT;
	else if (pb_live_captures((const char *)body.data, body.len, NULL,
	    NULL, NULL) == 0)
		holder = HOLDER_RECORDER;
	else
		holder = HOLDER_OTHER;
	pb_buf_finish(&body);
	return holder;
}

static int
be_the_recorder(struct pb_inlet *inlet, struct pb_cli *cli,
    struct pb_err *err)
{
	const struct pb_store_conf *conf = &cli->conf->store;
	struct pb_store_opts store = {
		.path = cli->store,
		.pen = cli->conf->node.pen,
		.segment_size = conf->segment_size,
		.segment_age_ms = conf->segment_age_ms,
		.index_size = conf->index_size,
	};
	struct pb_ingest_opts ingest = { .conf = cli->conf };
	int rc;

	/* What a recorder logs is no news to who runs `pb`. */
	pb_log_level(PB_LOG_WARN);
	/* Each stream has a segment open.  What is missing shows by itself. */
	(void)pb_files_raise(NULL);
	/* The local socket alone: nobody else may talk to us. */
	cli->conf->listen.present = false;
	if (cli->conf->store.path[0] != '/')
		strcpy(cli->conf->store.path, cli->store);
	rc = pb_store_open(&inlet->store, &store, err);
	if (rc < 0)
		return rc;
	ingest.store = inlet->store;
	rc = pb_ingest_start(&inlet->ingest, &ingest, err);
	/* A chunk that fails comes back with the reason: one line says it. */
	pb_log_level(PB_LOG_ERROR + 1);
	/* Busy means the store to our caller, and that one is ours. */
	return rc == PB_EBUSY ? PB_ESYS : rc;
}
