/*
 * tests/unit/request_fixture.h - requests to a node without sockets, in front
 * of a writer and of readers that a test moves
 */
#ifndef PB_TESTS_REQUEST_FIXTURE_H
#define PB_TESTS_REQUEST_FIXTURE_H

#include <stdio.h>

#include "base/log.h"
#include "conf/conf_keys.h"
#include "recorder/port/request.h"
#include "tests/unit/fake_store.h"
#include "tests/unit/ingest_body.h"

#define BODY_MAX	(16u << 20)	/* the defaults */
#define MEMORY_MAX	(128u << 20)
#define STREAM	"/v1/streams/lon1/eth0/0123456789abcdef"
#define PACKETS	STREAM "/packets"
#define GAPS	STREAM "/gaps"

static struct pb_conf conf;
static struct pb_service *service;
static struct pb_request *request;
static int woken;
static uint64_t now = 1000;

static inline void
on_wake(void *arg)
{
	(void)arg;
	woken++;
}

static inline void
on_writer(void *arg)
{
	(void)arg;
}

static inline bool
some_status(void *arg, size_t part, struct pb_json *json)
{
	(void)arg;
	if (part == 0)
		pb_json_array(json, "captures");
	else
		pb_json_end(json);
	return part == 0;
}

static inline bool
some_metrics(void *arg, size_t part, struct pb_buf *out)
{
	(void)arg;
	pb_buf_str(out, "pb_capture_packets_total 5\n");
	return part < 1;
}

static inline int
setup(void **state)
{
	struct pb_ingest_opts opts = {
		.conf = &conf, .store = &fake, .status = some_status,
		.metrics = some_metrics, .stepped = true,
	};
	struct pb_err err;

	(void)state;
	pb_log_level(PB_LOG_ERROR + 1);
	fake_reset();
	woken = 0;
	memset(&conf, 0, sizeof(conf));
	assert_int_equal(pb_conf_defaults(PB_CONF_LISTEN, &conf.listen, &err),
	    0);
	strcpy(conf.node.name, "core");
	conf.node.pen = BODY_PEN;
	return pb_service_create(&service, &opts, on_writer, NULL, &err);
}

static inline void
finish(void)
{
	pb_request_destroy(request, now);
	request = NULL;
}

static inline int
teardown(void **state)
{
	(void)state;
	finish();
	assert_int_equal(service->requests, 0);
	assert_int_equal(service->rooms->claims.reserved, 0);
	pb_service_destroy(service);
	return 0;
}

static inline void
head(const struct pb_request_head *h)
{
	static struct pb_request_head heads[8];	/* of those under way */
	static unsigned used;
	struct pb_request_head *copy = &heads[used++ % 8];
	struct pb_err err;

	finish();
	*copy = *h;
	if (copy->peer == NULL)
		copy->peer = "192.0.2.1";
	assert_int_equal(pb_request_create(&request, service, copy, now,
	    1800000000000000000ull, on_wake, NULL, &err), 0);
}

/* What readers make is made. */
static inline void
readers_run(void)
{
	while (pb_readers_turn(service->readers))
		pb_readers_collect(service->readers);
}

static const char *
text(void)
{
	const struct pb_answer *a = pb_request_answer(request);
	static char out[4096];

	snprintf(out, sizeof(out), "%.*s", (int)a->body.len,
	    (const char *)a->body.data);
	return out;
}

static inline unsigned
status(void)
{
	const struct pb_answer *a = pb_request_answer(request);

	return a != NULL ? a->status : 0;
}

static inline void
get(const char *path, enum pb_door door)
{
	head(&(struct pb_request_head){ .door = door, .method = "GET",
	    .path = path });
	pb_request_end(request, now);
	readers_run();
}

static inline void
ask(const struct pb_request_head *h)
{
	struct pb_request_head copy = *h;

	copy.method = "GET";
	copy.path = STREAM;
	head(&copy);
	pb_request_end(request, now);
}

/* A body in one piece, its head as in `h`. */
static inline void
post(const struct pb_request_head *h, const void *data, size_t len)
{
	struct pb_request_head copy = *h;

	copy.method = "POST";
	if (copy.path == NULL || strcmp(copy.path, STREAM) == 0)
		copy.path = PACKETS;
	copy.has_length = !copy.chunked;
	copy.length = len;
	head(&copy);
	if (len > 0)
		assert_true(pb_request_data(request, data, len, now));
	pb_request_end(request, now);
}

static inline void
post_image(const struct pb_request_head *h, const struct body_opts *opts)
{
	struct image *img = body_image(opts);

	post(h, img->data, img->len);
	free(img);
}

static inline void
write_all(void)
{
	fake_write(SIZE_MAX, 0);
	pb_intake_collect(service->intake, now);
}

/* The one that is held is told that it came too early. */
static inline void
finish_held(void)
{
	pb_intake_tick(service->intake, now + conf.listen.hold_ms);
	assert_int_equal(status(), 409);
}

static inline void
post_gap(const char *json)
{
	post(&(struct pb_request_head){ .path = GAPS }, json, strlen(json));
}

static const struct body_opts TEN = { .first = 1, .last = 10 };
static const struct pb_request_head PLAIN = { .method = "POST" };

#endif
