/*
 * tests/unit/test_request.c - heads and bytes in, answers out
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <xxhash.h>

#include "base/log.h"
#include "base/zip.h"
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

static void
on_wake(void *arg)
{
	(void)arg;
	woken++;
}

static void
on_writer(void *arg)
{
	(void)arg;
}

static bool
some_status(void *arg, size_t part, struct pb_json *json)
{
	(void)arg;
	if (part == 0)
		pb_json_array(json, "captures");
	else
		pb_json_end(json);
	return part == 0;
}

static bool
some_metrics(void *arg, size_t part, struct pb_buf *out)
{
	(void)arg;
	pb_buf_str(out, "pb_capture_packets_total 5\n");
	return part < 1;
}

static int
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

static void
finish(void)
{
	pb_request_destroy(request, now);
	request = NULL;
}

static int
teardown(void **state)
{
	(void)state;
	finish();
	assert_int_equal(service->requests, 0);
	assert_int_equal(service->rooms->claims.reserved, 0);
	pb_service_destroy(service);
	return 0;
}

static void
head(const struct pb_request_head *h)
{
	struct pb_request_head copy = *h;
	struct pb_err err;

	finish();
	if (copy.peer == NULL)
		copy.peer = "192.0.2.1";
	assert_int_equal(pb_request_create(&request, service, &copy, now,
	    1800000000000000000ull, on_wake, NULL, &err), 0);
}

/* What readers make is made. */
static void
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

static unsigned
status(void)
{
	const struct pb_answer *a = pb_request_answer(request);

	return a != NULL ? a->status : 0;
}

static void
get(const char *path, enum pb_door door)
{
	head(&(struct pb_request_head){ .door = door, .method = "GET",
	    .path = path });
	pb_request_end(request, now);
	readers_run();
}

/* A body in one piece, its head as in `h`. */
static void
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

static void
post_image(const struct pb_request_head *h, const struct body_opts *opts)
{
	struct image *img = body_image(opts);

	post(h, img->data, img->len);
	free(img);
}

static void
write_all(void)
{
	fake_write(SIZE_MAX, 0);
	pb_intake_collect(service->intake, now);
}

/* The one that is held is told that it came too early. */
static void
finish_held(void)
{
	pb_intake_tick(service->intake, now + conf.listen.hold_ms);
	assert_int_equal(status(), 409);
}

static void
post_gap(const char *json)
{
	post(&(struct pb_request_head){ .path = GAPS }, json, strlen(json));
}

static const struct body_opts TEN = { .first = 1, .last = 10 };
static const struct pb_request_head PLAIN = { .method = "POST" };

static void
health_metrics_and_status_answer(void **state)
{
	(void)state;
	get("/v1/health", PB_DOOR_TCP);
	assert_int_equal(status(), 200);
	assert_string_equal(text(), "{\"status\":\"ok\",\"node\":\"core\"}");
	get("/metrics", PB_DOOR_TCP);
	assert_int_equal(status(), 200);
	assert_non_null(strstr(text(),
	    "\npb_ingest_requests_total{code=\"200\"} 1\n"));
	assert_non_null(strstr(text(), "\npb_capture_packets_total 5\n"));
	get("/v1/status", PB_DOOR_LOCAL);
	assert_int_equal(status(), 200);
	assert_non_null(strstr(text(), "{\"node\":\"core\",\"pid\":"));
	assert_non_null(strstr(text(), "},\"captures\":[]}"));
	get("/v1/status", PB_DOOR_TCP);
	assert_int_equal(status(), 404);
}

static void
a_new_stream_has_nothing_and_then_what_is_durable(void **state)
{
	(void)state;
	get(STREAM, PB_DOOR_TCP);
	assert_int_equal(status(), 200);
	assert_string_equal(text(), "{\"acked\":0}");
	assert_int_equal(fake.streams, 0);
	post_image(&PLAIN, &TEN);
	assert_int_equal(status(), 0);
	assert_int_equal(woken, 0);
	write_all();
	assert_int_equal(woken, 1);
	assert_int_equal(status(), 200);
	assert_string_equal(text(), "{\"acked\":10}");
	assert_string_equal(pb_request_answer(request)->type,
	    "application/json");
	get(STREAM, PB_DOOR_TCP);
	assert_memory_equal(text(), "{\"acked\":10,\"last\":{\"seq\":10,"
	    "\"digest\":\"xxh3=", 44);
	head(&(struct pb_request_head){ .method = "GET", .path = STREAM,
	    .at = "7" });
	pb_request_end(request, now);
	assert_string_equal(text(), "{\"acked\":10,\"last\":{\"seq\":7,"
	    "\"digest\":\"xxh3=00000000000003ef\"}}");
}

static void
a_sender_that_did_not_ask_is_told_to(void **state)
{
	struct pb_request_head h = { .method = "GET", .path = STREAM,
	    .sender = "00000000000000ab" };

	(void)state;
	post_image(&h, &TEN);
	assert_int_equal(status(), 409);
	assert_memory_equal(text(), "{\"acked\":0,\"ask\":true,\"error\":", 30);
	head(&h);
	pb_request_end(request, now);
	assert_int_equal(status(), 200);
	h.path = NULL;
	post_image(&h, &TEN);
	write_all();
	assert_int_equal(status(), 200);
	for (unsigned i = 0; i < 4; i++) {
		h.sender = (const char *[]){ "", "ab", "0000000000000000",
		    "00000000000000xy" }[i];
		post_image(&h, &TEN);
		assert_int_equal(status(), 400);
	}
	h = (struct pb_request_head){ .method = "GET", .path = STREAM,
	    .at = "0" };
	head(&h);
	pb_request_end(request, now);
	assert_int_equal(status(), 400);
}

static void
paths_and_names_that_are_wrong_are_told_apart(void **state)
{
	static const struct { const char *path; unsigned status; } row[] = {
		{ "/", 404 },
		{ "/v1/streams", 404 },
		{ "/v1/streams/lon1/eth0", 404 },
		{ STREAM "/", 404 },
		{ STREAM "/other", 404 },
		{ STREAM "/packets/1", 404 },
		{ "/v1/streams/lon%201/eth0/0123456789abcdef", 400 },
		{ "/v1/streams/%2e%2e/eth0/0123456789abcdef", 400 },
		{ "/v1/streams//eth0/0123456789abcdef", 400 },
		{ "/v1/streams/lon1//0123456789abcdef", 400 },
		{ "/v1/streams/lon1/a%00b/0123456789abcdef", 400 },
		{ "/v1/streams/lon1/a%zz/0123456789abcdef", 400 },
		{ "/v1/streams/lon1/eth0/0000000000000000", 400 },
		{ "/v1/streams/lon1/eth0/0123456789abcde", 400 },
		{ "/v1/streams/lon1/eth0/0123456789abcdef0", 400 },
		{ "/v1/streams/lon1/eth0/0123456789abcdeg", 400 },
		{ "/v1/streams/lon%31/eth%2f0/0123456789abcdef", 200 },
	};
	char longer[512] = "/v1/streams/lon1/";

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		get(row[i].path, PB_DOOR_TCP);
		assert_int_equal(status(), row[i].status);
		if (row[i].status != 200)
			assert_int_equal(strncmp(text(), "{\"error\":\"", 10),
			    0);
	}
	memset(longer + strlen(longer), 'x', PB_IFNAME_BYTES_MAX + 1);
	strcat(longer, "/0123456789abcdef");
	get(longer, PB_DOOR_TCP);
	assert_int_equal(status(), 400);
}

static void
a_wrong_method_is_told_the_right_one(void **state)
{
	(void)state;
	head(&(struct pb_request_head){ .method = "DELETE", .path = STREAM });
	assert_int_equal(status(), 405);
	assert_string_equal(pb_request_answer(request)->allow, "GET, HEAD");
	get(PACKETS, PB_DOOR_TCP);
	assert_int_equal(status(), 405);
	assert_string_equal(pb_request_answer(request)->allow, "POST");
}

static void
a_body_of_no_size_or_too_large_is_not_waited_for(void **state)
{
	struct pb_request_head h = { .method = "POST", .path = PACKETS };

	(void)state;
	head(&h);
	assert_int_equal(status(), 411);
	h.has_length = true;
	h.length = BODY_MAX + 1;
	head(&h);
	assert_int_equal(status(), 413);
	assert_true(pb_request_refused(request));
	assert_true(pb_request_answer(request)->close);
	h.path = GAPS;
	h.length = 65537;
	head(&h);
	assert_int_equal(status(), 413);
	h.path = PACKETS;
	h.length = UINT64_MAX;
	head(&h);
	assert_int_equal(status(), 413);
}

static void
post_packed(const uint8_t *data, size_t len, size_t cut)
{
	struct pb_buf packed;

	pb_buf_init(&packed, 4 * BODY_MAX);
	assert_int_equal(pb_zip_pack(&packed, data, len), 0);
	post(&(struct pb_request_head){ .method = "POST", .encoding = "zstd" },
	    packed.data, packed.len - cut);
	pb_buf_finish(&packed);
}

static void
a_packed_body_is_taken_within_the_same_limits(void **state)
{
	struct image *img = body_image(&TEN);
	size_t before = service->rooms->claims.reserved;
	uint8_t *zeros = calloc(1, BODY_MAX + 1);

	(void)state;
	assert_non_null(zeros);
	post_packed(img->data, img->len, 3);
	assert_int_equal(status(), 400);
	post_packed(zeros, BODY_MAX + 1, 0);
	assert_int_equal(status(), 413);
	post_packed(zeros, BODY_MAX, 0);
	assert_int_equal(status(), 400);	/* no pcapng */
	post_packed(img->data, img->len, 0);
	write_all();
	assert_int_equal(status(), 200);
	assert_string_equal(text(), "{\"acked\":10}");
	get(STREAM, PB_DOOR_TCP);
	assert_int_equal(service->rooms->claims.reserved, before);
	free(zeros);
	free(img);
}

static void
a_chunked_body_is_taken_up_to_the_limit(void **state)
{
	struct pb_request_head h = { .method = "POST", .path = PACKETS,
	    .chunked = true };
	struct image *img = body_image(&TEN);
	static uint8_t zeros[1u << 20];

	(void)state;
	head(&h);
	for (size_t at = 0; at < img->len; at++)
		assert_true(pb_request_data(request, img->data + at, 1, now));
	pb_request_end(request, now);
	free(img);
	write_all();
	assert_int_equal(status(), 200);
	head(&h);
	for (int i = 0; i < 16; i++)
		assert_true(pb_request_data(request, zeros, sizeof(zeros),
		    now));
	assert_int_equal(status(), 0);
	assert_true(pb_request_data(request, zeros, 1, now));
	assert_int_equal(status(), 413);
	/* What comes after is thrown away, but not for ever. */
	for (int i = 0; i < 47; i++)
		assert_true(pb_request_data(request, zeros, sizeof(zeros),
		    now));
	assert_false(pb_request_data(request, zeros, sizeof(zeros), now));
}

static void
who_waits_for_our_word_is_told_before_the_body(void **state)
{
	struct pb_request_head h = { .method = "POST", .path = PACKETS,
	    .has_length = true, .length = 100, .encoding = "br" };

	(void)state;
	head(&h);
	assert_int_equal(status(), 415);
	assert_false(pb_request_refused(request));
	h.expect = true;
	head(&h);
	assert_true(pb_request_refused(request));
	h.encoding = "identity";
	head(&h);
	assert_int_equal(status(), 0);
	assert_false(pb_request_refused(request));
}

static void
headers_that_do_not_fit_the_body_keep_nothing(void **state)
{
	static const struct {
		struct pb_request_head h;
		unsigned status;
	} row[] = {
		{ { .first = "2" }, 422 },
		{ { .first = "1", .last = "9" }, 422 },
		{ { .last = "11" }, 422 },
		{ { .last = "9223372036854775807" }, 422 },
		{ { .first = "0" }, 400 },
		{ { .first = "one" }, 400 },
		{ { .first = "5", .last = "4" }, 400 },
		{ { .first = "9223372036854775808" }, 400 },
		{ { .digest = "xxh3=0000000000000000" }, 422 },
		{ { .digest = "xxh3=00" }, 400 },
		{ { .digest = "xxh3=000000000000000g" }, 400 },
		{ { .digest = "sha1=0000000000000000" }, 400 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		post_image(&row[i].h, &TEN);
		assert_int_equal(status(), row[i].status);
		assert_int_equal(fake.submits, 0);
		assert_int_equal(fake.streams, 0);
	}
}

static void
headers_that_fit_the_body_are_fine(void **state)
{
	struct image *img = body_image(&TEN);
	char digest[32];

	(void)state;
	snprintf(digest, sizeof(digest), "xxh3=%016llx",
	    (unsigned long long)XXH3_64bits(img->data, img->len));
	post(&(struct pb_request_head){ .first = "1", .last = "10",
	    .digest = digest }, img->data, img->len);
	free(img);
	write_all();
	assert_int_equal(status(), 200);
}

static void
what_is_malformed_and_what_breaks_a_rule_differ(void **state)
{
	(void)state;
	post(&PLAIN, "hello, world, this is no capture file", 37);
	assert_int_equal(status(), 400);
	assert_non_null(strstr(text(), "offset 0"));
	post(&PLAIN, "", 0);
	assert_int_equal(status(), 422);
	post_image(&PLAIN, &(struct body_opts){ .first = 1, .last = 0 });
	assert_int_equal(status(), 422);
	post_image(&PLAIN, &(struct body_opts){ .first = 1, .last = 1,
	    .nodes = 1, .node = { "par1" } });
	assert_int_equal(status(), 422);
	assert_int_equal(fake.submits, 0);
}

static void
a_loop_is_told_from_the_path_or_from_the_way(void **state)
{
	(void)state;
	post_image(&(struct pb_request_head){
	    .path = "/v1/streams/core/eth0/0123456789abcdef/packets" }, &TEN);
	assert_int_equal(status(), 508);
	post_image(&PLAIN, &(struct body_opts){ .first = 1, .last = 1,
	    .nodes = 2, .node = { "lon1", "core" }, .hops = 1 });
	assert_int_equal(status(), 508);
}

static void
by_the_local_door_any_name_goes_and_no_rule_asks(void **state)
{
	(void)state;
	strcpy(conf.listen.allow, "");
	post_image(&(struct pb_request_head){ .door = PB_DOOR_LOCAL,
	    .path = "/v1/streams/core/eth0/0123456789abcdef/packets" }, &TEN);
	write_all();
	assert_int_equal(status(), 200);
}

static void
the_rules_of_listen_allow_hold(void **state)
{
	static const struct body_opts relayed = { .first = 1, .last = 1,
	    .nodes = 2, .node = { "lon1", "par1" }, .hops = 1 };

	(void)state;
	strcpy(conf.listen.allow, "nyc1");
	get(STREAM, PB_DOOR_TCP);
	assert_int_equal(status(), 403);
	post_image(&PLAIN, &TEN);
	assert_int_equal(status(), 403);
	post_gap("{\"first\":1,\"last\":2,\"reason\":\"expired\"}");
	assert_int_equal(status(), 403);
	strcpy(conf.listen.allow, "lon1, relay:fra1");
	get(STREAM, PB_DOOR_TCP);
	assert_int_equal(status(), 200);
	/* Only the body says that it comes by way of par1. */
	post_image(&PLAIN, &relayed);
	assert_int_equal(status(), 403);
	strcpy(conf.listen.allow, "relay:par1");
	post_image(&PLAIN, &relayed);
	write_all();
	assert_int_equal(status(), 200);
	assert_int_equal(fake.streams, 1);
}

static void
with_tls_the_certificate_decides(void **state)
{
	struct pb_request_head h = { .tls = true };

	(void)state;
	strcpy(conf.listen.allow, "lon1, par1");
	post_image(&h, &TEN);
	assert_int_equal(status(), 401);
	assert_true(pb_request_refused(request));
	h.cn = "par1";
	post_image(&h, &TEN);
	assert_int_equal(status(), 403);
	h.cn = "no node's name";
	post_image(&h, &TEN);
	assert_int_equal(status(), 401);
	h.cn = "lon1";
	post_image(&h, &TEN);
	write_all();
	assert_int_equal(status(), 200);
	h.method = "GET";
	h.path = "/v1/health";
	h.cn = NULL;
	head(&h);
	assert_int_equal(status(), 401);
}

static void
a_gap_is_acknowledged_with_its_last_number(void **state)
{
	(void)state;
	post_gap("{\"first\":1,\"last\":10,\"reason\":\"dead-lettered\"}");
	assert_int_equal(status(), 0);
	write_all();
	assert_int_equal(status(), 200);
	assert_string_equal(text(), "{\"acked\":10}");
	post_gap("{\"first\":2,\"last\":5,\"reason\":\"dead-lettered\"}");
	assert_int_equal(status(), 200);
	assert_string_equal(text(), "{\"acked\":5}");
	post_gap("{\"first\":21,\"last\":25,\"reason\":\"dead-lettered\"}");
	now += 1000;
	pb_intake_tick(service->intake, now);
	assert_int_equal(status(), 409);
	assert_int_equal(strncmp(text(), "{\"acked\":10,\"error\":", 20), 0);
}

static void
a_gap_tells_the_link_type_of_a_new_stream(void **state)
{
	(void)state;
	post_gap("{\"first\":1,\"last\":2,\"reason\":\"expired\","
	    "\"link_type\":101}");
	assert_int_equal(fake.stream[0].linktype, 101);
	write_all();
	assert_int_equal(status(), 200);
}

static void
a_gap_that_makes_no_sense_is_refused(void **state)
{
	static const struct { const char *json; unsigned status; } row[] = {
		{ "", 422 },
		{ "[]", 400 },
		{ "{\"first\":1,\"last\":2", 400 },
		{ "{\"first\":1,\"last\":2}", 400 },
		{ "{\"first\":\"1\",\"last\":2,\"reason\":\"expired\"}", 400 },
		{ "{\"first\":-1,\"last\":2,\"reason\":\"expired\"}", 400 },
		{ "{\"first\":0,\"last\":2,\"reason\":\"expired\"}", 422 },
		{ "{\"first\":3,\"last\":2,\"reason\":\"expired\"}", 422 },
		{ "{\"first\":1,\"last\":2,\"reason\":\"bored\"}", 422 },
		{ "{\"first\":1,\"last\":2,\"reason\":\"expired\","
		    "\"link_type\":65536}", 422 },
		{ "{\"first\":1,\"last\":2,\"reason\":\"expired\","
		    "\"link_type\":\"x\"}", 400 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		post_gap(row[i].json);
		assert_int_equal(status(), row[i].status);
	}
	assert_int_equal(fake.submits, 0);
}

static void
a_start_too_far_ahead_is_told_where_to_start(void **state)
{
	(void)state;
	post_image(&PLAIN, &(struct body_opts){ .first = 11, .last = 20 });
	assert_int_equal(status(), 409);
	assert_string_equal(text(), "{\"acked\":0,\"error\":\"starts at 11; "
	    "the next number is 1\"}");
	assert_int_equal(pb_request_answer(request)->retry_after_s, 0);
}

static void
a_failing_disk_is_told_with_a_time_to_come_back(void **state)
{
	(void)state;
	post_image(&PLAIN, &TEN);
	fake_write(SIZE_MAX, PB_ENOSPC);
	pb_intake_collect(service->intake, now);
	assert_int_equal(status(), 503);
	assert_true(pb_request_answer(request)->retry_after_s > 0);
	assert_non_null(strstr(text(), "no space left"));
}

static void
no_memory_for_bodies_is_told_with_a_time_to_come_back(void **state)
{
	(void)state;
	service->rooms->claims.reserved += MEMORY_MAX - 100;
	post_image(&PLAIN, &TEN);
	assert_int_equal(status(), 503);
	assert_int_equal(pb_request_answer(request)->retry_after_s, 1);
	assert_non_null(strstr(text(), "memory_max"));
	service->rooms->claims.reserved -= MEMORY_MAX - 100;
}

static void
a_body_waits_for_memory_and_goes_on_where_it_was(void **state)
{
	struct image *img = body_image(&TEN);
	struct pb_request_head h = { .method = "POST", .path = PACKETS,
	    .has_length = true, .length = img->len };

	(void)state;
	service->rooms->claims.reserved += MEMORY_MAX - 100;
	head(&h);
	assert_true(pb_request_wait(request, img->len, now));
	assert_int_equal(pb_claims_tick(&service->rooms->claims, now) > 0, 1);
	assert_int_equal(woken, 0);
	service->rooms->claims.reserved -= MEMORY_MAX - 100;
	assert_int_equal(pb_claims_tick(&service->rooms->claims, now + 9),
	    -1);
	assert_int_equal(woken, 1);
	assert_false(pb_request_wait(request, img->len, now + 9));
	assert_true(pb_request_data(request, img->data, img->len, now + 9));
	pb_request_end(request, now + 9);
	write_all();
	assert_int_equal(status(), 200);
	assert_int_equal(woken, 2);
	free(img);
}

static void
who_waits_for_memory_in_vain_is_told_with_a_time_to_come_back(void **state)
{
	struct pb_request_head h = { .method = "POST", .path = PACKETS,
	    .has_length = true, .length = 1000 };
	uint64_t until = now + conf.listen.idle_timeout_ms;

	(void)state;
	service->rooms->claims.reserved += MEMORY_MAX - 100;
	head(&h);
	assert_true(pb_request_wait(request, 1000, now));
	pb_claims_tick(&service->rooms->claims, until - 1);
	assert_int_equal(woken, 0);
	pb_claims_tick(&service->rooms->claims, until);
	assert_int_equal(woken, 1);
	assert_false(pb_request_wait(request, 1000, until));
	assert_true(pb_request_data(request, "x", 1, until));
	assert_int_equal(status(), 503);
	assert_int_equal(pb_request_answer(request)->retry_after_s, 1);
	assert_non_null(strstr(text(), "memory_max"));
	service->rooms->claims.reserved -= MEMORY_MAX - 100;
}

static void
a_body_that_is_all_there_has_no_claim(void **state)
{
	struct image *img = body_image(&(struct body_opts){ .first = 21,
	    .last = 400 });
	struct pb_request_head h = { .method = "POST", .path = PACKETS,
	    .has_length = true, .length = img->len };

	(void)state;
	post_image(&PLAIN, &TEN);
	write_all();
	assert_int_equal(status(), 200);
	head(&h);
	assert_false(pb_request_wait(request, img->len - 1, now));
	assert_true(pb_request_data(request, img->data, img->len - 1, now));
	assert_true(service->rooms->claims.claimed > 0);
	assert_true(pb_request_data(request, img->data + img->len - 1, 1,
	    now));
	pb_request_end(request, now);
	/* Ahead of its turn, it keeps its memory and nothing else. */
	assert_true(service->rooms->claims.reserved >= img->len);
	assert_int_equal(service->rooms->claims.claimed, 0);
	finish_held();
	free(img);
}

static void
what_nobody_keeps_does_not_wait_for_memory(void **state)
{
	struct pb_request_head h = { .method = "POST", .path = "/v1/nowhere",
	    .has_length = true, .length = 1000 };

	(void)state;
	service->rooms->claims.reserved += MEMORY_MAX;
	head(&h);
	assert_false(pb_request_wait(request, 1000, now));
	service->rooms->claims.reserved -= MEMORY_MAX;
}

static void
the_memory_of_a_body_is_free_once_it_is_in_chunks(void **state)
{
	struct pb_request_head h = { .method = "POST", .path = PACKETS,
	    .has_length = true, .length = 5000 };

	(void)state;
	head(&h);
	assert_int_equal(service->rooms->claims.reserved, 0);
	assert_true(pb_request_data(request, "x", 1, now));
	assert_int_equal(service->rooms->claims.reserved, 5000);
	finish();		/* broken off */
	assert_int_equal(service->rooms->claims.reserved, 0);
	post_image(&PLAIN, &TEN);
	assert_int_equal(fake.queued, 1);
	assert_int_equal(status(), 0);
	assert_int_equal(service->rooms->claims.reserved, 0);
	write_all();
	assert_int_equal(status(), 200);
	/* Ahead of its turn it is kept. */
	post_image(&PLAIN, &(struct body_opts){ .first = 21, .last = 30 });
	assert_true(service->rooms->claims.reserved > 0);
	finish_held();
	assert_int_equal(service->rooms->claims.reserved, 0);
}

static void
a_body_that_only_drips_is_not_waited_for(void **state)
{
	struct pb_request_head h = { .method = "POST", .path = PACKETS,
	    .has_length = true, .length = 1u << 20 };
	uint8_t bytes[4096] = { 0 };

	(void)state;
	head(&h);
	for (unsigned i = 0; i < 30; i++)
		assert_true(pb_request_data(request, bytes, 1,
		    now + i * 1000));
	assert_false(pb_request_data(request, bytes, 1, now + 30100));
	assert_int_equal(status(), 408);
	assert_non_null(strstr(text(), "30000 ms"));
	assert_non_null(strstr(text(), "8000 bit/s"));
	/* Slow is not dripping. */
	head(&h);
	for (unsigned i = 1; i <= 60; i++)
		assert_true(pb_request_data(request, bytes, 1000,
		    now + i * 1000));
}

static void
a_body_that_nobody_reads_may_not_drip_or_go_on_for_ever(void **state)
{
	struct pb_request_head h = { .method = "POST", .path = "/v1/nowhere",
	    .chunked = true };
	static uint8_t bytes[1u << 20];
	unsigned taken = 0;

	(void)state;
	head(&h);
	assert_int_equal(status(), 404);
	while (taken < 1000 && pb_request_data(request, bytes, sizeof(bytes),
	    now))
		taken++;
	assert_int_equal(taken, 4 * (BODY_MAX >> 20));
	head(&h);
	assert_false(pb_request_data(request, bytes, 1, now + 30000));
	assert_int_equal(status(), 404);
}

static void
bodies_have_the_configured_bound(void **state)
{
	struct pb_request_head h = { .method = "POST", .path = PACKETS,
	    .has_length = true, .length = 100001 };
	static uint8_t bytes[100001];

	(void)state;
	conf.listen.body_max = 100000;
	head(&h);
	assert_int_equal(status(), 413);
	assert_non_null(strstr(text(), "100000"));
	assert_true(pb_request_answer(request)->close);
	h.length = 100000;
	head(&h);
	assert_int_equal(status(), 0);
	/* Without a length it shows as it comes. */
	h.has_length = false;
	h.chunked = true;
	head(&h);
	assert_true(pb_request_data(request, bytes, 100000, now));
	assert_int_equal(status(), 0);
	assert_true(pb_request_data(request, bytes, 1, now));
	assert_int_equal(status(), 413);
	assert_int_equal(service->rooms->claims.reserved, 0);
	/* Programs of this machine have their own. */
	h.door = PB_DOOR_LOCAL;
	head(&h);
	assert_true(pb_request_data(request, bytes, sizeof(bytes), now));
	assert_int_equal(status(), 0);
}

static void
a_node_that_stops_says_so(void **state)
{
	(void)state;
	service->stopping = true;
	pb_intake_stop(service->intake, now);
	post_image(&PLAIN, &TEN);
	assert_int_equal(status(), 503);
	assert_true(pb_request_answer(request)->close);
	get("/v1/health", PB_DOOR_TCP);
	assert_non_null(strstr(text(), "stopping"));
}

static void
a_body_with_a_get_is_ignored(void **state)
{
	(void)state;
	head(&(struct pb_request_head){ .method = "GET", .path = STREAM,
	    .has_length = true, .length = 5 });
	assert_true(pb_request_data(request, "hello", 5, now));
	pb_request_end(request, now);
	assert_int_equal(status(), 200);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(health_metrics_and_status_answer),
		TEST(a_new_stream_has_nothing_and_then_what_is_durable),
		TEST(a_sender_that_did_not_ask_is_told_to),
		TEST(paths_and_names_that_are_wrong_are_told_apart),
		TEST(a_wrong_method_is_told_the_right_one),
		TEST(a_body_of_no_size_or_too_large_is_not_waited_for),
		TEST(a_packed_body_is_taken_within_the_same_limits),
		TEST(a_chunked_body_is_taken_up_to_the_limit),
		TEST(who_waits_for_our_word_is_told_before_the_body),
		TEST(headers_that_do_not_fit_the_body_keep_nothing),
		TEST(headers_that_fit_the_body_are_fine),
		TEST(what_is_malformed_and_what_breaks_a_rule_differ),
		TEST(a_loop_is_told_from_the_path_or_from_the_way),
		TEST(by_the_local_door_any_name_goes_and_no_rule_asks),
		TEST(the_rules_of_listen_allow_hold),
		TEST(with_tls_the_certificate_decides),
		TEST(a_gap_is_acknowledged_with_its_last_number),
		TEST(a_gap_tells_the_link_type_of_a_new_stream),
		TEST(a_gap_that_makes_no_sense_is_refused),
		TEST(a_start_too_far_ahead_is_told_where_to_start),
		TEST(a_failing_disk_is_told_with_a_time_to_come_back),
		TEST(no_memory_for_bodies_is_told_with_a_time_to_come_back),
		TEST(a_body_waits_for_memory_and_goes_on_where_it_was),
		TEST(who_waits_for_memory_in_vain_is_told_with_a_time_to_come_back),
		TEST(a_body_that_is_all_there_has_no_claim),
		TEST(what_nobody_keeps_does_not_wait_for_memory),
		TEST(the_memory_of_a_body_is_free_once_it_is_in_chunks),
		TEST(a_body_that_only_drips_is_not_waited_for),
		TEST(a_body_that_nobody_reads_may_not_drip_or_go_on_for_ever),
		TEST(bodies_have_the_configured_bound),
		TEST(a_node_that_stops_says_so),
		TEST(a_body_with_a_get_is_ignored),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
