/*
 * tests/unit/test_request.c - heads and bytes in, answers out
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/request_fixture.h"

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
	ask(&(struct pb_request_head){ .at = "7" });
	readers_run();
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
	ask(&h);
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
	ask(&(struct pb_request_head){ .at = "0" });
	assert_int_equal(status(), 400);
}

/* A store's files are read for four of them at a time. */
static void
digests_are_made_for_a_few_at_a_time(void **state)
{
	struct pb_request *made[5] = { 0 };
	struct pb_request_head h = { .method = "GET",
	    .path = STREAM "/digests" };

	(void)state;
	for (int i = 0; i < 5; i++) {
		head(&h);
		pb_request_end(request, now);
		made[i] = request;
		request = NULL;
	}
	request = made[4];
	assert_int_equal(status(), 503);
	assert_string_equal(text(), "{\"error\":\"others ask for digests\"}");
	assert_int_equal(pb_request_answer(request)->retry_after_s, 1);
	for (int i = 0; i < 4; i++) {
		finish();
		request = made[i];
		assert_int_equal(status(), 0);
	}
	/* One that has left makes room, as soon as a reader knows. */
	finish();
	readers_run();
	assert_int_equal(service->digests, 0);
	head(&h);
	pb_request_end(request, now);
	readers_run();
	/* This store has gone. */
	assert_int_equal(status(), 503);
	assert_int_equal(service->digests, 0);
}

/*
 * Goal:   who asks on and on takes the thread from nobody.
 * Method: three look back; packets and a plain question come meanwhile.
 */
static void
files_are_looked_at_by_readers_alone(void **state)
{
	struct pb_request *look[3] = { 0 };
	struct pb_request_head h = { .at = "4" };

	(void)state;
	post_image(&PLAIN, &TEN);
	write_all();
	woken = 0;
	for (int i = 0; i < 3; i++) {
		ask(&h);
		look[i] = request;
		request = NULL;
	}
	ask(&(struct pb_request_head){ .at = NULL });
	assert_int_equal(fake.looks, 0);
	assert_memory_equal(text(), "{\"acked\":10,\"last\":{\"seq\":10,", 29);
	post_image(&PLAIN, &(struct body_opts){ .first = 11, .last = 20 });
	write_all();
	assert_int_equal(status(), 200);
	assert_null(pb_request_answer(look[0]));
	assert_true(pb_request_making(look[0], now + PB_WAIT_MS - 1));
	readers_run();
	assert_int_equal(fake.looks, 3);
	assert_int_equal(woken, 4);
	for (int i = 0; i < 3; i++) {
		finish();
		request = look[i];
		assert_memory_equal(text(), "{\"acked\":10,\"last\":{\"seq\":4,",
		    28);
	}
}

static void
who_waits_for_a_reader_in_vain_is_told_with_a_time_to_come_back(void **state)
{
	(void)state;
	post_image(&PLAIN, &TEN);
	write_all();
	woken = 0;
	ask(&(struct pb_request_head){ .at = "4" });
	assert_false(pb_request_making(request, now + PB_WAIT_MS));
	assert_int_equal(woken, 1);
	assert_int_equal(status(), 503);
	assert_int_equal(pb_request_answer(request)->retry_after_s, 1);
	assert_non_null(strstr(text(), "too many ask"));
	readers_run();
	assert_int_equal(fake.looks, 0);
}

static void
a_last_packet_that_cannot_be_read_now_is_asked_for_later(void **state)
{
	(void)state;
	post_image(&PLAIN, &TEN);
	write_all();
	fake.looks_rc = PB_ESYS;
	ask(&(struct pb_request_head){ .at = "4" });
	readers_run();
	assert_int_equal(status(), 503);
	fake.looks_rc = PB_EDIGEST;
	ask(&(struct pb_request_head){ .at = "4" });
	readers_run();
	assert_string_equal(text(), "{\"acked\":10}");
}

static void
paths_and_names_that_are_wrong_are_told_apart(void **state)
{
	static const struct { const char *path; unsigned status; } row[] = {
		{ "/", 404 },
		{ "/v1/streams/", 404 },
		{ "/v1/streams/lon1/eth0", 404 },
		{ STREAM "/", 404 },
		{ STREAM "/other", 404 },
		{ STREAM "/packets/1", 404 },
		{ "/v1/streams/lon%201/eth0/0123456789abcdef", 400 },
		{ "/v1/streams/%2e%2e/eth0/0123456789abcdef", 400 },
		{ "/v1/streams/lon%201", 400 },
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
	head(&(struct pb_request_head){ .method = "PUT", .path = PACKETS });
	assert_int_equal(status(), 405);
	assert_string_equal(pb_request_answer(request)->allow,
	    "GET, HEAD, POST");
	get(GAPS, PB_DOOR_TCP);
	assert_int_equal(status(), 405);
	assert_string_equal(pb_request_answer(request)->allow, "POST");
}

/* Goal: what our shipper fetched of a node comes in as if that had pushed it.
 * Method: the same body by the local door with PB-Relay, and without. */
static void
what_was_fetched_gets_a_hop_by_the_local_door(void **state)
{
	static const struct body_opts far = { .first = 1, .last = 3,
	    .nodes = 2, .hops = 1, .node = { "lon1", "par1" } };
	static const struct body_opts loop = { .first = 1, .last = 1,
	    .nodes = 2, .hops = 1, .node = { "lon1", "core" } };
	struct pb_request_head h = { .door = PB_DOOR_LOCAL };

	(void)state;
	strcpy(conf.listen.allow, "nobody");
	post_image(&h, &far);
	assert_int_equal(status(), 422);
	assert_non_null(strstr(text(), "from their origin"));
	h.relay = "par1";
	post_image(&h, &loop);
	assert_int_equal(status(), 508);
	post_image(&h, &far);
	write_all();
	assert_int_equal(status(), 200);
	assert_string_equal(text(), "{\"acked\":3}");
	h.path = "/v1/streams/core/eth0/0123456789abcdef/packets";
	post_image(&h, &TEN);
	assert_int_equal(status(), 508);
	h.path = NULL;
	h.relay = "par/1";
	post_image(&h, &far);
	assert_int_equal(status(), 400);
	assert_non_null(strstr(text(), "PB-Relay"));
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

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(health_metrics_and_status_answer),
		TEST(a_new_stream_has_nothing_and_then_what_is_durable),
		TEST(a_sender_that_did_not_ask_is_told_to),
		TEST(files_are_looked_at_by_readers_alone),
		TEST(digests_are_made_for_a_few_at_a_time),
		TEST(who_waits_for_a_reader_in_vain_is_told_with_a_time_to_come_back),
		TEST(a_last_packet_that_cannot_be_read_now_is_asked_for_later),
		TEST(paths_and_names_that_are_wrong_are_told_apart),
		TEST(a_wrong_method_is_told_the_right_one),
		TEST(what_was_fetched_gets_a_hop_by_the_local_door),
		TEST(a_loop_is_told_from_the_path_or_from_the_way),
		TEST(by_the_local_door_any_name_goes_and_no_rule_asks),
		TEST(the_rules_of_listen_allow_hold),
		TEST(with_tls_the_certificate_decides),
		TEST(a_gap_is_acknowledged_with_its_last_number),
		TEST(a_gap_tells_the_link_type_of_a_new_stream),
		TEST(a_gap_that_makes_no_sense_is_refused),
		TEST(a_start_too_far_ahead_is_told_where_to_start),
		TEST(a_failing_disk_is_told_with_a_time_to_come_back),
		TEST(a_node_that_stops_says_so),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
