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

static int	find_way(struct pb_inlet *, struct pb_cli *,
		    struct pb_err *);
static bool	answers(const char *);
static int	be_the_recorder(struct pb_inlet *, const struct pb_cli *,
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
 * The store is ours, or somebody listens who will go on doing so.  Another
 * import is waited for: it lets go of the store when its files are in.
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
		switch (pb_lock_held(cli->store, "recorder.lock", &pid)) {
		case PB_LOCK_FREE:
			rc = be_the_recorder(inlet, cli, err);
			if (rc != PB_EBUSY)
				return rc;
			silent_ms = 0;	/* that is somebody else by now */
			break;
		case PB_LOCK_BRIEF:
			if (!told)
				pb_cli_note("waiting for another import, pid "
				    "%ld, to end", (long)pid);
			told = true;
			silent_ms = 0;
			break;
		case PB_LOCK_HELD:
			if (answers(cli->store))
				return 0;
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

static bool
answers(const char *store)
{
	struct pb_buf body;
	int rc;

	pb_buf_init(&body, PB_JSON_BODY_MAX);
	rc = pb_live_ask(store, &body, NULL);
	pb_buf_finish(&body);
	return rc >= 0;
}

static int
be_the_recorder(struct pb_inlet *inlet, const struct pb_cli *cli,
    struct pb_err *err)
{
	const struct pb_store_conf *conf = &cli->conf->store;
	const struct pb_store_opts opts = {
		.path = cli->store,
		.pen = cli->conf->node.pen,
		.segment_size = conf->segment_size,
		.segment_age_ms = conf->segment_age_ms,
		.index_size = conf->index_size,
		.brief = true,
	};
	int rc;

	/* What a recorder logs is no news to who runs `pb`. */
	pb_log_level(PB_LOG_WARN);
	/* Each stream has a segment open.  What is missing shows by itself. */
	(void)pb_files_raise(NULL);
	rc = pb_store_open(&inlet->store, &opts, err);
	/* A chunk that fails comes back with the reason: one line says it. */
	if (rc == 0)
		pb_log_level(PB_LOG_ERROR + 1);
	return rc;
}
