/*
 * recorder/store/facts/pulls.c - what pullers say, from recorder to shipper
 *
 * Limit: an ack a stream and puller is remembered, ACKS_MAX; past it those
 * that are new are not given again.  Of late packets the last LATES_MAX.  What
 * was left out is remembered of as many streams and pullers, only until that is
 * acknowledged.
 */
#include "recorder/store/facts/pulls.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/list.h"
#include "base/text.h"
#include "base/unix.h"
#include "recorder/store/facts/given.h"

#define ACKS_MAX	65536u
/* More than a socket holds and the shipper keeps at a time. */
#define LATES_MAX	512u
#define PULLERS_MAX	64u	/* PB_UPSTREAMS_MAX */
#define ASKS_MS		1000u	/* less longer is no news */

struct asks {
	char		name[PB_NAME_BYTES_MAX + 1];
	uint64_t	until_ms;
	uint64_t	stuck_ms;	/* when that was told last */
};

struct given {
	char		upstream[PB_NAME_BYTES_MAX + 1];
	struct pb_stream_key key;
	struct pb_given	of;
};

struct pb_pulls {
	char		 path[PATH_MAX];
	pthread_mutex_t	 lock;
	int		 fd;		/* -1: not connected */
	struct asks	 asks[PULLERS_MAX];
	struct pb_pull_news *ack;	/* the last one of each */
	size_t		 acks, cap;
	size_t		 again;		/* those before it were given */
	struct given	*given;		/* in no order */
	size_t		 givens, givens_cap;
	struct pb_pull_news *late;	/* a ring; NULL: none yet */
	uint64_t	 lates, late_again;	/* ever, and likewise */
};

static void	put(struct pb_buf *, const struct pb_pull_news *);
static int	tell(struct pb_pulls *, const struct pb_pull_news *,
		    struct pb_err *);
static int	join(struct pb_pulls *, struct pb_err *);
static int	give(struct pb_pulls *, const struct pb_pull_news *);
static void	remember(struct pb_pulls *, const struct pb_pull_news *);
static struct given *given_of(struct pb_pulls *, const char *,
		    const struct pb_stream_key *);
static void	remember_late(struct pb_pulls *,
		    const struct pb_pull_news *);
static struct asks *asks_of(struct pb_pulls *, const char *);

int
pb_pulls_parse(const char *bytes, size_t len, struct pb_pull_news *out,
    struct pb_err *err)
{
	char epoch[20];
	struct pb_json_doc doc;

	memset(out, 0, sizeof(*out));
	pb_json_doc_open(&doc, bytes, len, err);
	pb_json_doc_text(&doc, "upstream", out->upstream,
	    sizeof(out->upstream));
	if (pb_json_doc_has(&doc, "wait_ms")) {
		out->wait_ms = pb_json_doc_u64(&doc, "wait_ms");
	} else {
		pb_json_doc_text(&doc, "node", out->key.node,
		    sizeof(out->key.node));
		pb_json_doc_text(&doc, "interface", out->key.interface,
		    sizeof(out->key.interface));
		pb_json_doc_text(&doc, "epoch", epoch, sizeof(epoch));
		if (pb_json_doc_has(&doc, "error")) {
			pb_json_doc_text(&doc, "error", out->error,
			    sizeof(out->error));
		} else {
			out->first = pb_json_doc_u64(&doc, "first");
			out->acked = pb_json_doc_u64(&doc, "acked");
			if (pb_json_doc_has(&doc, "filtered"))
				out->filtered = pb_json_doc_u64(&doc,
				    "filtered");
		}
		if (doc.rc == 0)
			doc.rc = pb_parse_hex64(epoch, &out->key.epoch, err);
	}
	pb_json_doc_close(&doc);
	return doc.rc;
}

int
pb_pulls_create(struct pb_pulls **out, const char *store, struct pb_err *err)
{
	struct pb_pulls *pulls = calloc(1, sizeof(*pulls));
	int rc;

	if (pulls == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	pulls->fd = -1;
	rc = pb_layout_path(pulls->path, store, PB_PULLS_SOCKET, err);
	if (rc < 0) {
		free(pulls);
		return rc;
	}
	pthread_mutex_init(&pulls->lock, NULL);
	*out = pulls;
	return 0;
}

void
pb_pulls_destroy(struct pb_pulls *pulls)
{
	if (pulls == NULL)
		return;
	if (pulls->fd >= 0)
		close(pulls->fd);
	pthread_mutex_destroy(&pulls->lock);
	free(pulls->ack);
	free(pulls->given);
	free(pulls->late);
	free(pulls);
}

void
pb_pulls_asks(struct pb_pulls *pulls, const char *upstream, uint64_t wait_ms)
{
	uint64_t until_ms = pb_clock_mono_ms() + wait_ms;
	struct pb_pull_news news = { .wait_ms = wait_ms };
	struct asks *asks;
	struct pb_err err;

	pthread_mutex_lock(&pulls->lock);
	asks = asks_of(pulls, upstream);
	if (asks != NULL && until_ms >= asks->until_ms + ASKS_MS) {
		strcpy(news.upstream, upstream);
		if (tell(pulls, &news, &err) == 0)
			asks->until_ms = until_ms;
	}
	pthread_mutex_unlock(&pulls->lock);
}

void
pb_pulls_stuck(struct pb_pulls *pulls, const char *upstream,
    const struct pb_stream_key *key, const char *text)
{
	struct pb_pull_news news = { .key = *key };
	uint64_t now_ms = pb_clock_mono_ms();
	struct asks *asks;
	struct pb_err err;

	strcpy(news.upstream, upstream);
	snprintf(news.error, sizeof(news.error), "%s", text);
	pthread_mutex_lock(&pulls->lock);
	asks = asks_of(pulls, upstream);
	if (asks != NULL && now_ms >= asks->stuck_ms + ASKS_MS &&
	    tell(pulls, &news, &err) == 0)
		asks->stuck_ms = now_ms;
	pthread_mutex_unlock(&pulls->lock);
}

void
pb_pulls_gave(struct pb_pulls *pulls, const char *upstream,
    const struct pb_stream_key *key, uint64_t first, uint64_t last,
    uint64_t filtered)
{
	struct given *given;

	pthread_mutex_lock(&pulls->lock);
	given = given_of(pulls, upstream, key);
	if (given == NULL && filtered > 0 && pulls->givens < ACKS_MAX &&
	    PB_LIST_ROOM(pulls->given, pulls->givens_cap, pulls->givens)) {
		given = &pulls->given[pulls->givens++];
		*given = (struct given){ .key = *key };
		strcpy(given->upstream, upstream);
	}
	if (given != NULL)
		pb_given_add(&given->of, first, last, filtered);
	pthread_mutex_unlock(&pulls->lock);
}

/* What was left out counts once it has been told; not again with the ack. */
int
pb_pulls_ack(struct pb_pulls *pulls, const struct pb_pull_news *ack,
    struct pb_err *err)
{
	struct pb_given after = { .runs = 0 };
	struct pb_pull_news news = *ack;
	struct given *given;
	int rc;

	pthread_mutex_lock(&pulls->lock);
	given = given_of(pulls, ack->upstream, &ack->key);
	if (given != NULL) {
		after = given->of;
		news.filtered = pb_given_take(&after, ack->first, ack->acked);
	}
	rc = tell(pulls, &news, err);
	if (rc == 0 && ack->first == 0)
		remember(pulls, ack);
	else if (rc == 0)
		remember_late(pulls, ack);
	if (rc == 0 && given != NULL) {
		given->of = after;
		if (after.runs == 0)
			*given = pulls->given[--pulls->givens];
	}
	pthread_mutex_unlock(&pulls->lock);
	return rc;
}

/* --- with the lock -------------------------------------------------------- */

/* What was given to a shipper that has ended may not have been kept: the next
 * one is given all of it first. */
static int
tell(struct pb_pulls *pulls, const struct pb_pull_news *news,
    struct pb_err *err)
{
	int rc = 0;

	for (int i = 0; i < 2; i++) {
		rc = pulls->fd >= 0 ? 0 : join(pulls, err);
		if (rc < 0)
			return rc;
		while (rc == 0 && pulls->again < pulls->acks) {
			rc = give(pulls, &pulls->ack[pulls->again]);
			pulls->again += rc == 0;
		}
		while (rc == 0 && pulls->late_again < pulls->lates) {
			rc = give(pulls, &pulls->late[pulls->late_again %
			    LATES_MAX]);
			pulls->late_again += rc == 0;
		}
		if (rc == 0)
			rc = give(pulls, news);
		if (rc != PB_ENOENT)
			break;
		close(pulls->fd);	/* it has ended: is there another? */
		pulls->fd = -1;
	}
	return rc == 0 ? 0 : pb_err_set(err, rc, "pb-shipper does not take "
	    "what upstreams have just now");
}

static int
join(struct pb_pulls *pulls, struct pb_err *err)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);

	if (fd < 0)
		return pb_err_sys(err, "tell pb-shipper");
	if (pb_unix_connect(fd, pulls->path) < 0) {
		bool full = errno == EAGAIN;

		close(fd);
		return full ? pb_err_set(err, PB_EBUSY, "pb-shipper lets "
		    "nobody in at %.300s", pulls->path) : pb_err_set(err,
		    PB_ENOENT, "pb-shipper does not run here, which keeps what "
		    "upstreams have");
	}
	pulls->fd = fd;
	pulls->again = 0;
	pulls->late_again = pulls->lates > LATES_MAX ?
	    pulls->lates - LATES_MAX : 0;
	for (unsigned i = 0; i < PULLERS_MAX; i++)
		pulls->asks[i].until_ms = 0;
	return 0;
}

/* PB_EBUSY where it has no room, PB_ENOENT where it has ended. */
static int
give(struct pb_pulls *pulls, const struct pb_pull_news *news)
{
	struct pb_buf buf;
	ssize_t sent = -1;

	pb_buf_init(&buf, PB_PULLS_BYTES_MAX);
	put(&buf, news);
	errno = ENOMEM;
	if (!buf.failed)
		sent = send(pulls->fd, buf.data, buf.len, MSG_NOSIGNAL);
	pb_buf_finish(&buf);
	if (sent >= 0)
		return 0;
	return errno == EAGAIN || errno == EINTR || errno == ENOMEM ||
	    errno == ENOBUFS ? PB_EBUSY : PB_ENOENT;
}

static void
put(struct pb_buf *buf, const struct pb_pull_news *news)
{
	struct pb_json json;
	char epoch[17];

	pb_json_init(&json, buf);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "upstream", news->upstream);
	if (news->key.epoch == 0) {
		pb_json_u64(&json, "wait_ms", news->wait_ms);
	} else {
		pb_hex64(news->key.epoch, epoch);
		pb_json_text(&json, "node", news->key.node);
		pb_json_text(&json, "interface", news->key.interface);
		pb_json_text(&json, "epoch", epoch);
	}
	if (news->error[0] != '\0') {
		pb_json_text(&json, "error", news->error);
	} else if (news->key.epoch != 0) {
		pb_json_u64(&json, "first", news->first);
		pb_json_u64(&json, "acked", news->acked);
		pb_json_u64(&json, "filtered", news->filtered);
	}
	pb_json_end(&json);
}

static void
remember(struct pb_pulls *pulls, const struct pb_pull_news *ack)
{
	size_t i = 0;

	while (i < pulls->acks && (!pb_stream_key_same(&pulls->ack[i].key,
	    &ack->key) || strcmp(pulls->ack[i].upstream, ack->upstream) != 0))
		i++;
	if (i == pulls->acks) {
		if (i == ACKS_MAX || !PB_LIST_ROOM(pulls->ack, pulls->cap, i))
			return;
		pulls->again += pulls->again == pulls->acks;
		pulls->acks++;
	}
	pulls->ack[i] = *ack;
}

static struct given *
given_of(struct pb_pulls *pulls, const char *upstream,
    const struct pb_stream_key *key)
{
	for (size_t i = 0; i < pulls->givens; i++) {
		struct given *given = &pulls->given[i];

		if (pb_stream_key_same(&given->key, key) &&
		    strcmp(given->upstream, upstream) == 0)
			return given;
	}
	return NULL;
}

/* It has been given. */
static void
remember_late(struct pb_pulls *pulls, const struct pb_pull_news *ack)
{
	if (pulls->late == NULL)
		pulls->late = calloc(LATES_MAX, sizeof(*pulls->late));
	if (pulls->late == NULL)
		return;
	pulls->late[pulls->lates++ % LATES_MAX] = *ack;
	pulls->late_again = pulls->lates;
}

/* NULL: too many names, which does not happen, as each has a section. */
static struct asks *
asks_of(struct pb_pulls *pulls, const char *name)
{
	for (unsigned i = 0; i < PULLERS_MAX; i++) {
		struct asks *asks = &pulls->asks[i];

		if (asks->name[0] == '\0')
			strcpy(asks->name, name);
		if (strcmp(asks->name, name) == 0)
			return asks;
	}
	return NULL;
}
