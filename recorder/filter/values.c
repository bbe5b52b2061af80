/*
 * recorder/filter/values.c - which values a place in packets has
 *
 *   spans: u8 form, u16 how many; groups of two spans
 *   fuse:  u8 form, u8 bits, u8 segment_log, u16 segments, u32 seed,
 *          u32 lowest, u32 highest; slots (base/fuse.h)
 *
 * A group is a byte and four numbers, each of as many bytes as two bits of
 * the byte say, the lowest first: of a span how far its beginning is behind
 * what follows the one before it, and how much it is longer than a number.
 * Two bits stand for 0, 1, 2 and 4 bytes in form 1, for 0, 1, 3 and 4 in
 * form 2.  Integers are little-endian.
 */
#include "recorder/filter/values.h"

#include <pcap/pcap.h>
#include <string.h>

#include "base/bytes.h"

#define SPANS_HEAD	3u
#define FUSE_HEAD	17u
#define BOTH		(PB_MAY_HOLD | PB_MAY_FAIL)

enum { FORM_SPANS = 1, FORM_SPANS_3 = 2, FORM_FUSE = 3 };

static const uint8_t lengths[2][4] = { { 0, 1, 2, 4 }, { 0, 1, 3, 4 } };

/* A question in terms of the numbers of a set. */
struct ask {
	const struct pb_places_test *test;
	unsigned	 shift;		/* what is asked for stands so high */
	bool		 ascends;	/* so do, then, the bits asked for */
};

static const struct pb_place *find(const struct pb_places *,
		    const struct pb_places_test *);
static unsigned	recall(const struct pb_places *, const struct pb_place *,
		    const struct ask *);
static bool	same_ask(const struct pb_places_memo *, unsigned,
		    const struct pb_place *, const struct ask *);
static unsigned	test_spans(const struct ask *, const uint8_t *, size_t);
static bool	enough(const struct ask *, const struct pb_span *, unsigned);
static const uint8_t *next_number(const uint8_t *, unsigned, uint32_t *);
static unsigned	test_fuse(const struct ask *, const uint8_t *, size_t);
static unsigned	test_span(const struct ask *, struct pb_span);
static unsigned	outcome(const struct pb_places_test *, uint32_t, uint32_t);
/* writing */
static void	form_bytes(const struct pb_span *, size_t, size_t[2]);
static unsigned	code_of(uint32_t, unsigned);
static unsigned	bytes_of(uint32_t);

unsigned
pb_places_test(const struct pb_places *places,
    const struct pb_places_test *test)
{
	const struct pb_place *place = find(places, test);
	uint32_t rest = ~test->mask & (UINT32_MAX >> (32 - 8 * test->bytes));
	struct ask ask = { .test = test };

	if (place == NULL || place->len < 1)
		return BOTH;
	ask.shift = 8 * (place->bytes - test->bytes);
	ask.ascends = (rest & (rest + 1)) == 0;
	switch (place->values[0]) {
	case FORM_SPANS:
	case FORM_SPANS_3:
		return recall(places, place, &ask);
	case FORM_FUSE:
		return test_fuse(&ask, place->values, place->len);
	default:
		return BOTH;
	}
}

/* One that begins with what is asked for. */
static const struct pb_place *
find(const struct pb_places *places, const struct pb_places_test *test)
{
	for (size_t i = 0; i < places->places; i++)
		if (places->place[i].at == test->at &&
		    places->place[i].bytes >= test->bytes)
			return &places->place[i];
	return NULL;
}

static unsigned
recall(const struct pb_places *places, const struct pb_place *place,
    const struct ask *ask)
{
	struct pb_places_memo *memo = places->memo;
	const struct pb_places_test *test = ask->test;
	unsigned outcome;

	if (memo == NULL || place->len < PB_VALUES_LARGE)
		return test_spans(ask, place->values, place->len);
	for (unsigned i = 0; i < PB_PLACES_MEMO; i++)
		if (same_ask(memo, i, place, ask))
			return memo->said[i].outcome;
	outcome = test_spans(ask, place->values, place->len);
	memo->said[memo->next].values = place->values;
	memo->said[memo->next].known = *test->known;
	memo->said[memo->next].shift = ask->shift;
	memo->said[memo->next].mask = test->mask;
	memo->said[memo->next].op = test->op;
	memo->said[memo->next].k = test->k;
	memo->said[memo->next].outcome = outcome;
	memo->next = (memo->next + 1) % PB_PLACES_MEMO;
	return outcome;
}

static bool
same_ask(const struct pb_places_memo *memo, unsigned at,
    const struct pb_place *place, const struct ask *ask)
{
	const struct pb_places_test *test = ask->test;

	return memo->said[at].values == place->values &&
	    memo->said[at].k == test->k && memo->said[at].op == test->op &&
	    memo->said[at].mask == test->mask &&
	    memo->said[at].shift == ask->shift &&
	    memcmp(&memo->said[at].known, test->known,
	    sizeof(*test->known)) == 0;
}

static unsigned
test_spans(const struct ask *ask, const uint8_t *set, size_t len)
{
	const uint8_t *at = set + SPANS_HEAD, *end = set + len;
	const uint8_t *bytes = lengths[set[0] - FORM_SPANS];
	struct pb_span span = { 0, UINT32_MAX };
	uint32_t gap, more;
	unsigned seen = 0, codes = 0;

	if (len < SPANS_HEAD)
		return BOTH;
	for (unsigned left = pb_get_le16(set + 1), i = 0; left > 0;
	    left--, i++) {
		if (i % 2 == 0)
			codes = at < end ? *at++ : 0;
		at = next_number(at, bytes[codes & 3], &gap);
		at = next_number(at, bytes[codes >> 2 & 3], &more);
		codes >>= 4;
		if (at > end || span.hi + 1 > UINT32_MAX - gap ||
		    span.hi + 1 + gap > UINT32_MAX - more)
			return BOTH;
		span.lo = span.hi + 1 + gap;
		span.hi = span.lo + more;
		seen |= test_span(ask, span);
		if (enough(ask, &span, seen))
			break;
	}
	return seen;
}

/* Nothing new comes behind this span. */
static bool
enough(const struct ask *ask, const struct pb_span *span, unsigned seen)
{
	const struct pb_places_test *test = ask->test;
	uint32_t lo = span->lo >> ask->shift & test->mask;

	if (seen == BOTH)
		return true;
	if (!ask->ascends)
		return false;
	if (lo > test->known->hi)
		return true;
	if (lo <= test->k || test->op == BPF_JSET)
		return false;
	return (seen & (test->op == BPF_JEQ ? PB_MAY_FAIL : PB_MAY_HOLD)) != 0;
}

/* PB_VALUES_BEHIND bytes behind the set can be read. */
static const uint8_t *
next_number(const uint8_t *at, unsigned bytes, uint32_t *out)
{
	*out = bytes == 0 ? 0 : pb_get_le32(at) & UINT32_MAX >>
	    (32 - 8 * bytes);
	return at + bytes;
}

/* That a number is surely not among them is all that the filter adds to
 * their range. */
static unsigned
test_fuse(const struct ask *ask, const uint8_t *set, size_t len)
{
	const struct pb_places_test *test = ask->test;
	struct pb_fuse fuse;
	struct pb_span all;
	unsigned seen;

	if (len < FUSE_HEAD)
		return BOTH;
	fuse.bits = set[1];
	fuse.segment_log = set[2];
	fuse.segments = pb_get_le16(set + 3);
	fuse.seed = pb_get_le32(set + 5);
	all.lo = pb_get_le32(set + 9);
	all.hi = pb_get_le32(set + 13);
	if (pb_fuse_bytes(&fuse) == 0 ||
	    pb_fuse_bytes(&fuse) != len - FUSE_HEAD || all.lo > all.hi)
		return BOTH;
	seen = test_span(ask, all);
	if ((seen & PB_MAY_HOLD) != 0 && test->op == BPF_JEQ &&
	    ask->shift == 0 && (uint32_t)(test->mask + 1) == 0 &&
	    !pb_fuse_may_have(&fuse, set + FUSE_HEAD, test->k))
		seen &= ~(unsigned)PB_MAY_HOLD;
	return seen;
}

static unsigned
test_span(const struct ask *ask, struct pb_span span)
{
	const struct pb_places_test *test = ask->test;
	const struct pb_known *known = test->known;
	uint32_t lo = span.lo >> ask->shift, hi = span.hi >> ask->shift;

	if (ask->ascends || lo == hi) {
		lo &= test->mask;
		hi &= test->mask;
	} else {
		struct pb_known bits = pb_known_number(test->mask);
		struct pb_known all = pb_known_range(lo, hi);

		all = pb_known_alu(BPF_AND, &all, &bits);
		lo = all.lo;
		hi = all.hi;
	}
	if (hi < known->lo || lo > known->hi ||
	    (lo == hi && (lo & ~known->free) != known->ones))
		return 0;
	return outcome(test, lo > known->lo ? lo : known->lo,
	    hi < known->hi ? hi : known->hi);
}

/* Of numbers from `lo` to `hi`. */
static unsigned
outcome(const struct pb_places_test *test, uint32_t lo, uint32_t hi)
{
	struct pb_known k = pb_known_number(test->k);
	struct pb_known range;

	if (lo == hi) {
		bool held = test->op == BPF_JEQ ? lo == test->k :
		    test->op == BPF_JGT ? lo > test->k :
		    test->op == BPF_JGE ? lo >= test->k : (lo & test->k) != 0;

		return held ? PB_MAY_HOLD : PB_MAY_FAIL;
	}
	range = pb_known_range(lo, hi);
	return pb_known_test(test->op, &range, &k);
}

size_t
pb_values_bytes(const struct pb_span *span, size_t spans)
{
	size_t bytes[2];

	form_bytes(span, spans, bytes);
	return bytes[bytes[0] > bytes[1]];
}

size_t
pb_values_put(uint8_t *out, const struct pb_span *span, size_t spans)
{
	unsigned form, at = SPANS_HEAD, codes = 0;
	uint32_t next = 0;
	size_t size[2];

	form_bytes(span, spans, size);
	form = size[0] > size[1];
	out[0] = (uint8_t)(FORM_SPANS + form);
	pb_put_le16(out + 1, (uint16_t)spans);
	for (size_t i = 0; i < spans; i++) {
		uint32_t number[2] = { span[i].lo - next,
		    span[i].hi - span[i].lo };

		if (i % 2 == 0)
			out[codes = at++] = 0;
		for (unsigned j = 0; j < 2; j++) {
			unsigned code = code_of(number[j], form);

			out[codes] |= (uint8_t)(code << (4 * (i % 2) + 2 * j));
			for (unsigned b = 0; b < lengths[form][code]; b++)
				out[at++] = (uint8_t)(number[j] >> 8 * b);
		}
		next = span[i].hi + 1;
	}
	return at;
}

/* In either form. */
static void
form_bytes(const struct pb_span *span, size_t spans, size_t bytes[2])
{
	static const uint8_t takes[2][5] = { { 0, 1, 2, 4, 4 },
	    { 0, 1, 3, 3, 4 } };
	uint32_t next = 0;

	bytes[0] = bytes[1] = SPANS_HEAD + (spans + 1) / 2;
	for (size_t i = 0; i < spans; i++) {
		unsigned gap = bytes_of(span[i].lo - next);
		unsigned more = bytes_of(span[i].hi - span[i].lo);

		bytes[0] += takes[0][gap] + takes[0][more];
		bytes[1] += takes[1][gap] + takes[1][more];
		next = span[i].hi + 1;
	}
}

/* 0 to 4. */
static unsigned
bytes_of(uint32_t number)
{
	return number == 0 ? 0 : (39 - (unsigned)__builtin_clz(number)) / 8;
}

static unsigned
code_of(uint32_t number, unsigned form)
{
	unsigned code = 0;

	while (bytes_of(number) > lengths[form][code])
		code++;
	return code;
}

size_t
pb_values_put_fuse(uint8_t *out, size_t room, const uint32_t *number,
    size_t numbers, unsigned bits, struct pb_fuse_work *work)
{
	struct pb_fuse fuse;

	if (room <= FUSE_HEAD || numbers == 0 || numbers > PB_FUSE_KEYS_MAX ||
	    !pb_fuse_make(&fuse, out + FUSE_HEAD, room - FUSE_HEAD, number,
	    (uint32_t)numbers, bits, work))
		return 0;
	out[0] = FORM_FUSE;
	out[1] = fuse.bits;
	out[2] = fuse.segment_log;
	pb_put_le16(out + 3, fuse.segments);
	pb_put_le32(out + 5, fuse.seed);
	pb_put_le32(out + 9, number[0]);
	pb_put_le32(out + 13, number[numbers - 1]);
	return FUSE_HEAD + pb_fuse_bytes(&fuse);
}
