/*
 * tests/unit/test_serve_digests.c - a node says what it has of a run of
 * numbers, on real sockets, in front of a real store
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "recorder/store/fingerprint.h"
#include "shipper/wire/digests.h"
#include "tests/unit/ingest_node.h"

#define DIGESTS	STREAM "/digests"

#define LISTED	"{\"node\":\"lon1\",\"interface\":\"eth0\",\"epoch\":"	\
		"\"0123456789abcdef\",\"durable\":10,\"first\":1,"	\
		"\"link_type\":1}\n"

static struct reply r;

static int
get(const struct node *n, const char *query)
{
	char path[512];
	int fd = dial(n);

	snprintf(path, sizeof(path), DIGESTS "%s", query);
	ask(fd, "GET", path, "", 0, &r);
	close(fd);
	return r.status;
}

/* As our own client reads it. */
static const struct pb_wire_digests *
asked(const struct node *n, uint64_t first, uint64_t last, uint64_t parts,
    uint64_t why)
{
	static struct pb_wire_digests out;
	char words[PB_WIRE_DIGESTS_WORDS_MAX], text[PB_WIRE_DIGESTS_TEXT];
	struct pb_json_doc doc;

	out.ask = (struct pb_digests_ask){ .first = first, .last = last,
	    .parts = parts, .why = why };
	pb_wire_digests_words(words, &out.ask);
	assert_int_equal(get(n, words + strlen("/digests")), 200);
	assert_int_equal(pb_json_doc_open(&doc, r.body, strlen(r.body), NULL),
	    0);
	if (pb_wire_digests_read(&out, &doc, text) < 0)
		fail_msg("%s: %s", text, r.body);
	pb_json_doc_close(&doc);
	return &out;
}

static void
a_stream_that_is_new_has_no_parts(void **state)
{
	struct node *n = *state;

	assert_int_equal(get(n, ""), 200);
	assert_string_equal(r.body, "{\"acked\":0,\"first\":0,\"parts\":[]}");
	assert_int_equal(asked(n, 1, 100, 64, 1)->parts, 0);
}

static void
parts_are_as_many_as_were_asked_for(void **state)
{
	struct node *n = *state;
	const struct pb_wire_digests *said;

	assert_int_equal(push(n, 1, 100, &r), 200);
	assert_int_equal(gap(n, "{\"first\":101,\"last\":110,"
	    "\"reason\":\"expired\"}", &r), 200);
	assert_int_equal(push(n, 111, 130, &r), 200);
	said = asked(n, 1, 1000, 1, 0);
	assert_int_equal(said->acked, 130);
	assert_int_equal(said->first_seq, 1);
	assert_int_equal(said->parts, 1);
	assert_int_equal(said->part[0].last, 130);
	assert_int_equal(said->part[0].packets, 120);
	assert_null(strstr(r.body, "absent"));
	said = asked(n, 1, 1000, 64, 0);
	assert_int_equal(said->parts, 44);	/* of three numbers each */
	said = asked(n, 91, 130, 4, 1);
	assert_int_equal(said->parts, 4);
	assert_int_equal(said->part[0].packets, 10);
	assert_int_equal(said->part[1].packets, 0);
	assert_int_equal(said->absences, 1);
	assert_int_equal(said->absent[0].first, 101);
	assert_string_equal(said->absent[0].reason, "expired");
	said = asked(n, 131, 200, 4, 1);
	assert_int_equal(said->parts, 0);
}

static void
a_packet_that_stands_alone_is_told_apart(void **state)
{
	struct node *n = *state;
	const struct pb_wire_digests *said;
	uint64_t whole;

	assert_int_equal(push(n, 1, 10, &r), 200);
	said = asked(n, 7, 7, 1, 1);
	assert_int_equal(said->part[0].time_ns, BODY_TIME(7));
	assert_true(said->part[0].caplen > 20);
	assert_int_equal(said->part[0].caplen, said->part[0].origlen);
	whole = said->part[0].digest;
	assert_int_equal(get(n, "?first=7&last=7&snaplen=20&why=1"), 200);
	assert_non_null(strstr(r.body, "\"captured\":20,"));
	assert_non_null(strstr(r.body, "\"longer\":1,"));
	assert_int_equal(get(n, "?first=7&last=7&snaplen=2000"), 200);
	assert_non_null(strstr(r.body, "\"longer\":0}"));
	assert_true(asked(n, 7, 7, 1, 0)->part[0].digest == whole);
	assert_null(strstr(r.body, "captured"));
}

/* Who may ask for a node's streams is told which there are, and no others. */
static void
a_node_s_streams_are_listed(void **state)
{
	struct node *n = *state;
	int fd;

	assert_int_equal(push(n, 1, 10, &r), 200);
	fd = dial(n);
	ask(fd, "GET", "/v1/streams/lon1?since=x&wait=60", "", 0, &r);
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.head, "application/x-ndjson"));
	assert_memory_equal(r.body, LISTED, strlen(LISTED));
	assert_memory_equal(r.body + strlen(LISTED), "{\"cursor\":\"", 11);
	ask(fd, "GET", "/v1/streams/lon2", "", 0, &r);
	assert_int_equal(r.status, 200);
	assert_memory_equal(r.body, "{\"cursor\":\"", 11);
	strcpy(n->conf.listen.allow, "par*, pull:lon1");
	ask(fd, "GET", "/v1/streams/lon1", "", 0, &r);
	assert_int_equal(r.status, 403);
	close(fd);
}

static void
questions_that_make_no_sense_are_refused(void **state)
{
	static const char *const query[] = {
		"?first=0", "?first=x", "?last=0", "?first=5&last=4",
		"?parts=0", "?parts=257", "?parts=-1", "?snaplen=0",
		"?snaplen=262145", "?why=2", "?first=9223372036854775808",
	};
	struct node *n = *state;

	for (size_t i = 0; i < sizeof(query) / sizeof(query[0]); i++)
		if (get(n, query[i]) != 400)
			fail_msg("%s: %d", query[i], r.status);
	assert_int_equal(get(n, "?parts=256&last=9223372036854775807"), 200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_stream_that_is_new_has_no_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    parts_are_as_many_as_were_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_packet_that_stands_alone_is_told_apart, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_node_s_streams_are_listed, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    questions_that_make_no_sense_are_refused, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
