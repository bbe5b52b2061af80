/*
 * tests/unit/test_request_body.c - bodies: their size, memory and time
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <xxhash.h>

#include "base/zip.h"
#include "tests/unit/request_fixture.h"

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
		TEST(a_body_of_no_size_or_too_large_is_not_waited_for),
		TEST(a_packed_body_is_taken_within_the_same_limits),
		TEST(a_chunked_body_is_taken_up_to_the_limit),
		TEST(who_waits_for_our_word_is_told_before_the_body),
		TEST(headers_that_do_not_fit_the_body_keep_nothing),
		TEST(headers_that_fit_the_body_are_fine),
		TEST(what_is_malformed_and_what_breaks_a_rule_differ),
		TEST(no_memory_for_bodies_is_told_with_a_time_to_come_back),
		TEST(a_body_waits_for_memory_and_goes_on_where_it_was),
		TEST(who_waits_for_memory_in_vain_is_told_with_a_time_to_come_back),
		TEST(a_body_that_is_all_there_has_no_claim),
		TEST(what_nobody_keeps_does_not_wait_for_memory),
		TEST(the_memory_of_a_body_is_free_once_it_is_in_chunks),
		TEST(a_body_that_only_drips_is_not_waited_for),
		TEST(a_body_that_nobody_reads_may_not_drip_or_go_on_for_ever),
		TEST(bodies_have_the_configured_bound),
		TEST(a_body_with_a_get_is_ignored),
	};

	return cmocka_run_group_tests_name("request body", tests, NULL, NULL);
}
