/*
 * tests/unit/test_figures.c - how upstreams and edges do, as metrics
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/operator/figures.h"
#include "tests/unit/letters_fixture.h"

#define UPSTREAMS	2
#define S		1000000000ull

static struct pb_upstream_figures upstream[UPSTREAMS];
static struct pb_edge_figures edge;
static struct pb_buf text;

static int
setup(void **state)
{
	(void)state;
	memset(upstream, 0, sizeof(upstream));
	memset(&edge, 0, sizeof(edge));
	strcpy(upstream[0].row.name, "core");
	strcpy(upstream[1].row.name, "hub");
	strcpy(edge.row.name, "lon1");
	pb_buf_init(&text, 1u << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pb_buf_finish(&text);
	return 0;
}

static void
make(size_t upstreams, size_t edges)
{
	pb_figures_metrics(&(struct pb_figures){ .upstreams = upstreams,
	    .upstream = upstream, .edges = edges, .edge = &edge }, &text);
	pb_buf_put(&text, "", 1);
	assert_false(text.failed);
}

static bool
says(const char *line)
{
	return strstr((const char *)text.data, line) != NULL;
}

static void
each_number_stands_below_its_name(void **state)
{
	(void)state;
	upstream[1] = (struct pb_upstream_figures){
		.row = { .name = "hub", .state = PB_SHIP_BACKOFF,
		    .failures = 7, .error_ns = 1700000000ull * S,
		    .acked_packets = 11, .acked_bytes = 1100, .pps = 5,
		    .byteps = 500, .filtered = 3 },
		.backlog = 12, .backlog_bytes = 1200, .waits_ns = 90 * S,
		.left_ns = 4 * S, .dead = { .letters = 2, .packets = 20 },
	};
	make(UPSTREAMS, 0);
#define OF(key, value)	"\npb_upstream_" key "{upstream=\"hub\"} " value "\n"
	assert_true(says(OF("backlog_packets", "12")));
	assert_true(says(OF("backlog_bytes", "1200")));
	assert_true(says(OF("backlog_seconds", "90")));
	assert_true(says(OF("caught_up_in_seconds", "4")));
	assert_true(says(OF("packets_per_second", "5")));
	assert_true(says(OF("bytes_per_second", "500")));
	assert_true(says(OF("acked_packets_total", "11")));
	assert_true(says(OF("acked_bytes_total", "1100")));
	assert_true(says(OF("failures_total", "7")));
	assert_true(says(OF("last_error_time_seconds", "1700000000")));
	assert_true(says(OF("filtered_packets_total", "3")));
	assert_true(says(OF("dead_letter_packets", "20")));
	assert_true(says("# TYPE pb_upstream_failures_total counter\n"));
	assert_true(says("# TYPE pb_upstream_backlog_seconds gauge\n"));
	assert_false(says("pb_edge_"));
}

static void
one_state_is_1_and_all_others_are_0(void **state)
{
	static const enum pb_ship_state all[] = { PB_SHIP_CONNECTING,
	    PB_SHIP_READY, PB_SHIP_BACKOFF, PB_SHIP_REFUSED, PB_SHIP_IDLE,
	    PB_SHIP_PAUSED };
	char line[128];

	(void)state;
	edge.row.state = PB_SHIP_REFUSED;
	make(0, 1);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(line, sizeof(line), "\npb_edge_state{edge=\"lon1\","
		    "state=\"%s\"} %d\n", pb_ship_state_name(all[i]),
		    all[i] == PB_SHIP_REFUSED);
		assert_true(says(line));
	}
	assert_false(says("pb_upstream_"));
}

static void
what_is_not_known_is_not_told(void **state)
{
	(void)state;
	upstream[0].left_ns = edge.left_ns = edge.backlog_bytes = UINT64_MAX;
	edge.row.behind = 9;
	make(UPSTREAMS, 1);
	assert_false(says("caught_up_in_seconds{upstream=\"core\"}"));
	assert_true(says("caught_up_in_seconds{upstream=\"hub\"} 0\n"));
	assert_false(says("pb_edge_backlog_bytes{"));
	assert_true(says("pb_edge_backlog_packets{edge=\"lon1\"} 9\n"));
}

static void
without_any_there_is_nothing(void **state)
{
	(void)state;
	make(0, 0);
	assert_int_equal(text.len, 1);
}

/* A store of which there is a configuration alone. */
static void
those_that_no_shipper_has_met_are_told(void **state)
{
	struct pb_conf *conf = calloc(1, sizeof(*conf));
	struct pb_figures figures = { .upstreams = 0 };

	(void)state;
	assert_non_null(conf);
	conf->upstreams = conf->edges = 1;
	conf->edge = calloc(1, sizeof(*conf->edge));
	assert_non_null(conf->edge);
	strcpy(conf->upstream[0].name, "core");
	strcpy(conf->upstream[0].url, PB_CONF_PULL);
	conf->upstream[0].requeue_manual = true;
	strcpy(conf->edge[0].name, "lon1");
	for (int runs = 0; runs < 2; runs++) {
		assert_int_equal(pb_figures_gather(&figures,
		    &(struct pb_figures_from){ .conf = conf, .runs = runs },
		    NULL), 0);
		assert_int_equal(figures.upstreams, 1);
		assert_int_equal(figures.edges, 1);
		assert_string_equal(figures.upstream[0].row.url, "pull:");
		assert_string_equal(figures.upstream[0].requeue, "manual");
		assert_string_equal(figures.edge[0].state, runs ?
		    "connecting" : "not running");
		assert_ptr_equal(pb_figures_upstream(&figures, "core"),
		    &figures.upstream[0]);
		assert_null(pb_figures_upstream(&figures, "other"));
		pb_figures_finish(&figures);
	}
	free(conf->edge);
	free(conf);
}

/* Packets of a stream of three segments that wait for it. */
static uint64_t
waits(const struct bench *b, struct pb_conf *conf, const char *name)
{
	struct pb_figures figures = { .upstreams = 0 };
	const struct pb_upstream_figures *up;
	uint64_t packets;
	struct pb_err err;

	assert_int_equal(pb_figures_gather(&figures, &(struct pb_figures_from){
	    .state = b->state, .letters = b->letters,
	    .index = pb_store_index(b->f.store), .conf = conf,
	    .now_ns = UINT64_MAX / 2 }, &err), 0);
	up = pb_figures_upstream(&figures, name);
	assert_non_null(up);
	packets = up->backlog;
	assert_int_equal(packets > 0, up->backlog_bytes > 0);
	assert_int_equal(packets > 0, up->left_ns == UINT64_MAX);
	pb_figures_finish(&figures);
	return packets;
}

static void
what_waits_is_what_the_configuration_sends(void **state)
{
	struct pb_conf *conf = calloc(1, sizeof(*conf));
	struct pb_cursor_row row = { .acked = PER, .released = PER };
	struct pb_upstream_row core = { .name = "core",
	    .state = PB_SHIP_IDLE, .url = "http://core:1" };
	struct bench b;

	(void)state;
	assert_non_null(conf);
	bench_init(&b, 3);
	row.key = b.f.key;
	assert_int_equal(pb_state_begin(b.state, NULL), 0);
	pb_state_put_upstream(b.state, &core);
	pb_state_put_cursor(b.state, "core", &row);
	assert_int_equal(pb_state_commit(b.state), 0);
	conf->upstreams = 2;
	strcpy(conf->upstream[0].name, "core");
	strcpy(conf->upstream[1].name, "hub");
	strcpy(conf->upstream[0].streams, "*");
	strcpy(conf->upstream[1].streams, "*");
	assert_int_equal(waits(&b, conf, "core"), 2 * PER);
	/* No shipper has told it of the stream yet. */
	assert_int_equal(waits(&b, conf, "hub"), 3 * PER);
	/* It went there once. */
	strcpy(conf->upstream[0].streams, "other/*");
	strcpy(conf->upstream[1].streams, "other/*");
	assert_int_equal(waits(&b, conf, "core"), 0);
	assert_int_equal(waits(&b, conf, "hub"), 0);
	bench_finish(&b);
	free(conf);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_number_stands_below_its_name),
		TEST(one_state_is_1_and_all_others_are_0),
		TEST(what_is_not_known_is_not_told),
		TEST(without_any_there_is_nothing),
		TEST(those_that_no_shipper_has_met_are_told),
		TEST(what_waits_is_what_the_configuration_sends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
