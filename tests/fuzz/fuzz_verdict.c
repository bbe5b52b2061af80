/*
 * tests/fuzz/fuzz_verdict.c - any program over what is known of packets
 *
 * The bytes are what is drawn: packets that are alike, what is known of them,
 * and a program (the first byte: one that people write, or any that libpcap
 * would run).  Nothing that is said of the packets is false of one of them, the
 * program folded for their shape says the same, and rows by columns what the
 * machine says of each.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define PB_ALIKE_ANY
#define assert_non_null(x)	MUST((x) != NULL)
#define assert_true(x)		MUST(x)
#define assert_int_equal(a, b)	MUST((uint64_t)(a) == (uint64_t)(b))

static const uint8_t *drawn;
static size_t drawable;

/* Behind the last byte: zeros. */
static inline uint32_t
any(uint32_t below)
{
	uint32_t number = 0;

	for (uint32_t most = below - 1; most > 0 && drawable > 0; most >>= 8) {
		number = number << 8 | *drawn++;
		drawable--;
	}
	return number % below;
}

#include "tests/unit/alike_rows.h"

#define FILTERS	(sizeof(filters) / sizeof(filters[0]))

/* The filter that is asked; the caller destroys it. */
static struct pb_filter *
draw_filter(const struct group *g)
{
	uint32_t which = any(2 * FILTERS);
	struct pb_filter *filter;

	if (which >= FILTERS)
		return make_program(g);
	MUST(pb_filter_create(&filter, filters[which], PB_LINKTYPE_ETHERNET,
	    NULL) == 0);
	return filter;
}

static void
check_group(const struct pb_filter *filter, const struct pb_filter *truth,
    const struct group *g)
{
	enum pb_verdict verdict = pb_filter_verdict(filter, &g->alike);

	MUST(verdict >= PB_VERDICT_NONE && verdict <= PB_VERDICT_EACH);
	for (unsigned i = 0; i < g->packets; i++) {
		bool match = matches(truth, g, i);

		MUST(verdict != (match ? PB_VERDICT_NONE : PB_VERDICT_ALL));
		MUST(matches(filter, g, i) == match);
	}
}

/* Folded for a shape that knows less than the group. */
static void
check_folded(const struct pb_filter *filter, const struct group *g)
{
	uint8_t ones[PACKET_BYTES], unknown[PACKET_BYTES];
	struct pb_alike shape = g->alike;
	struct pb_filter *folded;

	for (size_t i = 0; i < PACKET_BYTES; i++) {
		uint8_t forgotten = (uint8_t)any(256);

		ones[i] = g->ones[i] & (uint8_t)~forgotten;
		unknown[i] = g->unknown[i] | forgotten;
	}
	shape.ones = ones;
	shape.unknown = unknown;
	shape.caplen_min -= any(shape.caplen_min);
	MUST(pb_filter_fold(&folded, filter, &shape, NULL) == 0);
	check_group(folded, filter, g);
	pb_filter_destroy(folded);
}

static void
check_table(const struct pb_filter *filter)
{
	static struct table table;
	struct pb_filter *folded;

	make_table(&table);
	MUST(pb_filter_fold(&folded, filter, &table.shape, NULL) == 0);
	check_rows(&table, filter);
	check_rows(&table, folded);
	pb_filter_destroy(folded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct group g;
	struct pb_filter *filter;

	drawn = data;
	drawable = size;
	make_group(&g);
	make_places(&g);
	filter = draw_filter(&g);
	check_group(filter, filter, &g);
	check_folded(filter, &g);
	check_table(filter);
	pb_filter_destroy(filter);
	return 0;
}
