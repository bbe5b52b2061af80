/*
 * shipper/watch.c - the recorder's index, and news of it
 */
#include "shipper/watch.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/list.h"
#include "shipper/ship/ship.h"

#define EVENT_BYTES	4096u
/*
 * LMDB writes its pages, which wakes us, and an instant after the last of
 * them the number that new read transactions go by.  Woken before that, we
 * look at the number again this much later.
 */
#define SETTLE_MS	2u
#define NOTIFY_MS	1000u	/* between two tries to be woken */

struct pb_watch {
	char		 store[PATH_MAX];
	char		 file[PATH_MAX];	/* the index's data */
	struct pb_index	*index;		/* NULL: not open */
	dev_t		 dev;
	ino_t		 ino;
	int		 notify_fd;	/* -1: there is none */
	uint64_t	 notify_ms;	/* then it is tried again */
	uint64_t	 commits;	/* of the last scan; UINT64_MAX: none */
	uint64_t	 again_ms;	/* look at the number by then */
	struct pb_stream_info *stream;	/* sorted by id */
	unsigned	 streams;
	size_t		 cap;
	unsigned	 left_out;
};

static void	be_woken(struct pb_watch *, uint64_t);
static bool	drain(struct pb_watch *);
static struct pb_stream_info *keep(struct pb_watch *,
		    const struct pb_stream_info *, bool *);
static unsigned	place(const struct pb_watch *, uint32_t);

int
pb_watch_create(struct pb_watch **out, const char *store, struct pb_err *err)
{
	struct pb_watch *watch = calloc(1, sizeof(*watch));
	int rc;

	*out = NULL;
	if (watch == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	watch->notify_fd = -1;
	watch->commits = UINT64_MAX;
	rc = pb_layout_path(watch->file, store, "index/data.mdb", err);
	if (rc < 0) {
		free(watch);
		return rc;
	}
	snprintf(watch->store, sizeof(watch->store), "%s", store);
	*out = watch;
	return 0;
}

void
pb_watch_destroy(struct pb_watch *watch)
{
	if (watch == NULL)
		return;
	pb_watch_close(watch);
	free(watch);
}

int
pb_watch_open(struct pb_watch *watch, struct pb_index **index,
    struct pb_err *err)
{
	struct stat st;
	int rc;

	/* Looked at before it is opened: were it replaced in between, the
	 * next look would find another file, and open again. */
	if (pb_below_stat(watch->file, &st) < 0) {
		rc = pb_err_sys(err, "open the index %s", watch->file);
		return rc == PB_ENOENT ? 0 : rc;
	}
	rc = pb_index_open(&watch->index, watch->store, err);
	if (rc < 0) {
		watch->index = NULL;
		return rc == PB_ENOENT ? 0 : rc;
	}
	watch->dev = st.st_dev;
	watch->ino = st.st_ino;
	watch->notify_ms = 0;
	be_woken(watch, 0);
	*index = watch->index;
	return 1;
}

void
pb_watch_close(struct pb_watch *watch)
{
	if (watch->notify_fd >= 0)
		close(watch->notify_fd);
	watch->notify_fd = -1;
	pb_index_close(watch->index);
	watch->index = NULL;
	free(watch->stream);
	watch->stream = NULL;
	watch->streams = 0;
	watch->cap = 0;
	watch->commits = UINT64_MAX;
}

int
pb_watch_fd(const struct pb_watch *watch)
{
	return watch->notify_fd;
}

bool
pb_watch_same(const struct pb_watch *watch)
{
	struct stat st;

	return pb_below_stat(watch->file, &st) == 0 &&
	    st.st_dev == watch->dev && st.st_ino == watch->ino;
}

int
pb_watch_scan(struct pb_watch *watch,
    void (*grown)(void *, const struct pb_stream_info *), void *arg,
    uint64_t now_ms, struct pb_err *err)
{
	const struct pb_stream_info *row;
	struct pb_stream_info *s;
	struct pb_rows rows;
	uint64_t commits;
	bool written, news;

	if (watch->notify_fd < 0)
		be_woken(watch, now_ms);
	written = drain(watch);
	commits = pb_index_commits(watch->index);
	watch->again_ms = UINT64_MAX;
	if (commits == watch->commits) {
		if (written)
			watch->again_ms = now_ms + SETTLE_MS;
		return 0;
	}
	watch->left_out = 0;
	pb_rows_all(&rows, watch->index, PB_TABLE_STREAMS, NULL, err);
	while ((row = pb_rows_next(&rows)) != NULL) {
		news = false;
		s = keep(watch, row, &news);
		if (s != NULL && news)
			grown(arg, s);
	}
	if (rows.rc < 0)
		return rows.rc;
	watch->commits = commits;
	return 0;
}

uint64_t
pb_watch_wake_ms(const struct pb_watch *watch)
{
	return watch->index != NULL ? watch->again_ms : UINT64_MAX;
}

unsigned
pb_watch_left_out(const struct pb_watch *watch)
{
	return watch->left_out;
}

const struct pb_stream_info *
pb_watch_stream(const struct pb_watch *watch, uint32_t id)
{
	unsigned at = place(watch, id);

	if (at < watch->streams && watch->stream[at].id == id)
		return &watch->stream[at];
	return NULL;
}

void
pb_watch_each(const struct pb_watch *watch,
    void (*each)(void *, const struct pb_stream_info *), void *arg)
{
	for (unsigned i = 0; i < watch->streams; i++)
		each(arg, &watch->stream[i]);
}

/*
 * LMDB commits by write(2), so each shows as a modification.  Where this
 * fails (a limit of the user's, no descriptor left) the tick does the work
 * until it does not.
 */
static void
be_woken(struct pb_watch *watch, uint64_t now_ms)
{
	char name[PATH_MAX];
	int file;

	if (now_ms < watch->notify_ms)
		return;
	watch->notify_ms = now_ms + NOTIFY_MS;
	file = pb_below_open(watch->file, O_RDONLY, 0);
	if (file < 0)
		return;
	watch->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->notify_fd >= 0 && inotify_add_watch(watch->notify_fd,
	    pb_below_name(name, file, watch->file), IN_MODIFY) < 0) {
		close(watch->notify_fd);
		watch->notify_fd = -1;
	}
	close(file);
}

/* True where something was written; what is written while this reads
 * wakes the next wait. */
static bool
drain(struct pb_watch *watch)
{
	char events[EVENT_BYTES];
	bool any = false;

	if (watch->notify_fd < 0)
		return false;
	while (read(watch->notify_fd, events, sizeof(events)) > 0)
		any = true;
	return any;
}

/* Take over a row; NULL where there is no room for one more stream. */
static struct pb_stream_info *
keep(struct pb_watch *watch, const struct pb_stream_info *row, bool *news)
{
	unsigned at = place(watch, row->id);

	if (at < watch->streams && watch->stream[at].id == row->id) {
		*news = watch->stream[at].last_seq != row->last_seq;
		watch->stream[at] = *row;
		return &watch->stream[at];
	}
	if (watch->streams >= PB_SHIP_STREAMS_MAX ||
	    !PB_LIST_ROOM(watch->stream, watch->cap, watch->streams)) {
		watch->left_out++;
		return NULL;
	}
	memmove(watch->stream + at + 1, watch->stream + at,
	    (watch->streams - at) * sizeof(*watch->stream));
	watch->stream[at] = *row;
	watch->streams++;
	*news = true;
	return &watch->stream[at];
}

/* Where the stream is, or would be. */
static unsigned
place(const struct pb_watch *watch, uint32_t id)
{
	return (unsigned)PB_LIST_PLACE(watch->stream, watch->streams, id, id);
}
