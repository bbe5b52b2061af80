/*
 * tests/unit/test_ask.c - a filter asked about the flows of a table
 *
 * Method: one shape of many flows, whose first bytes of the source are few;
 * two have the same first and last byte; bytes of the table are counted as
 * they are read.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"
#include "recorder/filter/filter.h"
#include "recorder/query/ask.h"

#define FLOWS	9000u
#define LEN	64u
#define OURS	4000u		/* 198.51.100.7 */
#define OTHER	4321u		/* 198.1.2.7 */
#define PACKETS	(FLOWS + 1000u)

struct place {
	struct pb_buf		 bytes;
	size_t			 read;
	struct pb_filter	*filter;
	struct pb_question	*question;
	struct pb_flow_table	*table;
	struct pb_answer	 answer;
	uint8_t			 of_packet[PACKETS];
};

static void
make_packet(uint8_t *data, uint32_t n)
{
	static const uint8_t head[] = { [12] = 8, 0, 0x45, [23] = 17 };

	memset(data, 0, LEN + PB_FLOW_BEHIND);
	memcpy(data, head, sizeof(head));
	pb_put_be32(data + 26, n == OURS ? 0xc6336407 : n == OTHER ?
	    0xc6010207 : (n % 2 == 0 ? 0x0a000000 : 0xcb000000) +
	    n * 2654435u % (1u << 24));
	pb_put_be32(data + 30, 0x0a010101);
	data[37] = 53;
}

static int
read_table(void *arg, uint64_t at, void *out, size_t len, struct pb_err *err)
{
	struct place *p = arg;

	(void)err;
	assert_true(at + len <= p->bytes.len);
	memcpy(out, p->bytes.data + at, len);
	p->read += len;
	return 0;
}

/* Of the other one `others` packets. */
static void
begin(struct place *p, uint32_t others)
{
	uint8_t data[LEN + PB_FLOW_BEHIND];
	struct pb_flows *flows;

	memset(p, 0, sizeof(*p));
	assert_int_equal(pb_flows_create(&flows, FLOWS, PACKETS, NULL), 0);
	for (uint32_t n = 0; n < FLOWS + others - 1; n++) {
		make_packet(data, n < FLOWS ? n : OTHER);
		assert_true(pb_flows_packet(flows, n * 128,
		    PB_LINKTYPE_ETHERNET, data, LEN, LEN, 1000 + n));
	}
	pb_buf_init(&p->bytes, PB_FLOW_TABLE_BYTES_MAX);
	assert_int_equal(pb_flow_table_encode(&p->bytes, flows, NULL), 0);
	pb_flows_destroy(flows);
	assert_int_equal(pb_filter_create(&p->filter, "host 198.51.100.7",
	    PB_LINKTYPE_ETHERNET, NULL), 0);
	assert_int_equal(pb_question_create(&p->question, p->filter, NULL),
	    0);
	assert_int_equal(pb_flow_table_open_at(&p->table, NULL, read_table, p,
	    p->bytes.len, NULL), 0);
	p->read = 0;
}

static void
ask(struct place *p, pb_ask_sure *sure)
{
	struct pb_ask ask = { .question = p->question,
	    .before_ns = UINT64_MAX, .sure = sure, .of_packet = p->of_packet };

	assert_int_equal(pb_ask_table(&ask, p->table, &p->answer, NULL), 0);
}

static void
finish(struct place *p)
{
	pb_flow_table_close(p->table);
	pb_question_destroy(p->question);
	pb_filter_destroy(p->filter);
	pb_buf_finish(&p->bytes);
}

static void
few_rows_are_looked_at_before_all_bytes_are_read(void **state)
{
	static struct place p;

	(void)state;
	begin(&p, 3);
	ask(&p, NULL);
	assert_int_equal(p.answer.put, 4);
	assert_int_equal(p.answer.each, 4);
	assert_int_equal(p.of_packet[OURS], PB_VERDICT_EACH);
	assert_int_equal(p.of_packet[OTHER], PB_VERDICT_EACH);
	assert_in_range(p.read, 1, 2 * FLOWS);
	finish(&p);
}

static void
rows_of_many_packets_are_asked_to_the_end(void **state)
{
	static struct place p;

	(void)state;
	begin(&p, 900);
	ask(&p, NULL);
	assert_int_equal(p.answer.put, 1);
	assert_int_equal(p.answer.each, 0);
	assert_int_equal(p.of_packet[OURS], PB_VERDICT_ALL);
	assert_in_range(p.read, 3 * FLOWS, 5 * FLOWS);
	finish(&p);
}

static void
what_is_counted_is_asked_to_the_end(void **state)
{
	static struct place p;

	(void)state;
	begin(&p, 3);
	ask(&p, pb_ask_count);
	assert_int_equal(p.answer.put, 0);
	assert_int_equal(p.answer.counted, 1);
	finish(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    few_rows_are_looked_at_before_all_bytes_are_read),
		cmocka_unit_test(rows_of_many_packets_are_asked_to_the_end),
		cmocka_unit_test(what_is_counted_is_asked_to_the_end),
	};

	return cmocka_run_group_tests_name("ask", tests, NULL, NULL);
}
