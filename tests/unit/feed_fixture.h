/*
 * tests/unit/feed_fixture.h - a feed with its worker, asked until it knows
 */
#ifndef PB_TESTS_UNIT_FEED_FIXTURE_H
#define PB_TESTS_UNIT_FEED_FIXTURE_H

#include <poll.h>

#include "shipper/feed/feed.h"
#include "tests/unit/store_fixture.h"

#define FEED_WAIT_MS	30000

struct feed_fixture {
	struct pb_worker *worker;
	struct pb_feed	*feed;
	unsigned	 found, soon;
};

static inline void
feed_found(void *arg, const void *owner, uint32_t id)
{
	struct feed_fixture *ff = arg;

	assert_ptr_equal(owner, ff);
	assert_int_equal(id, 7);
	ff->found++;
}

static inline void
feed_start(struct feed_fixture *ff, struct fixture *f)
{
	struct pb_feed_opts opts = { .index = pb_store_index(f->store),
	    .store = f->dir, .found = feed_found, .arg = ff };

	assert_int_equal(pb_worker_create(&ff->worker, "feed", NULL), 0);
	opts.worker = ff->worker;
	assert_int_equal(pb_feed_create(&ff->feed, &opts, NULL), 0);
}

static inline void
feed_stop(struct feed_fixture *ff)
{
	pb_feed_destroy(ff->feed);
	pb_worker_destroy(ff->worker);
}

/* Until what was not known yet is. */
static inline void
feed_wait(struct feed_fixture *ff)
{
	struct pollfd fd = { .fd = pb_worker_fd(ff->worker),
	    .events = POLLIN };
	unsigned found = ff->found;

	ff->soon++;
	while (ff->found == found) {
		assert_int_equal(poll(&fd, 1, FEED_WAIT_MS), 1);
		pb_worker_collect(ff->worker);
	}
}

static inline struct pb_feed_want
feed_want(struct feed_fixture *ff, const struct pb_mark *mark,
    size_t bytes_max)
{
	return (struct pb_feed_want){ .owner = ff, .id = 7, .mark = mark,
	    .bytes_max = bytes_max };
}

static inline int
feed_look(struct feed_fixture *ff, const struct pb_stream_info *row,
    uint64_t from, uint64_t to, const struct pb_mark *mark, size_t bytes_max,
    struct pb_piece *out, struct pb_err *err)
{
	struct pb_feed_want want = feed_want(ff, mark, bytes_max);
	int rc;

	while ((rc = pb_feed_look(ff->feed, row, from, to, &want, out,
	    err)) == 0 && out->kind == PB_PIECE_SOON)
		feed_wait(ff);
	return rc;
}

static inline int
feed_letter(struct feed_fixture *ff, const struct pb_stream_key *key,
    const struct pb_letter *letter, uint64_t from,
    const struct pb_mark *mark, size_t bytes_max, struct pb_piece *out,
    struct pb_err *err)
{
	struct pb_feed_want want = feed_want(ff, mark, bytes_max);
	int rc;

	while ((rc = pb_feed_letter(ff->feed, key, letter, from, &want, out,
	    err)) == 0 && out->kind == PB_PIECE_SOON)
		feed_wait(ff);
	return rc;
}

#endif
