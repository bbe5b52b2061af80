/*
 * recorder/filter/numbers.c - numbers that come one by one, to be a set
 *
 * What came lately is looked up first: most numbers come again and again.
 * Others are added behind, and put in order when there is no more room.  Short
 * numbers are bits of a map, in order from the beginning.
 */
#include "recorder/filter/numbers.h"

#include <stdlib.h>
#include <string.h>

#define DIGIT_BITS	11u
#define DIGITS		(1u << DIGIT_BITS)
#define FUSE_MIN	64u	/* numbers; of fewer spans are as small */
#define FUSE_BITS_MIN	2u
#define FUSE_HEAD_BYTES	18u
#define SHRINK_PART	5u	/* by so much of it a set becomes smaller */
#define WORD_BITS	64u
/* So many came lately, of sets of few spans and of many. */
#define RECENT_BITS_FEW	6u
#define RECENT_BITS	12u
#define MANY		128u

_Static_assert(PB_NUMBERS_RECENT == 1u << RECENT_BITS, "a slot each");

#define GAPS		33u	/* gaps, by how many bits they take */

static void	forget_recent(struct pb_numbers *, unsigned);
static void	add_bits(struct pb_numbers *, uint32_t, uint32_t);
static bool	make_room(struct pb_numbers *);
static void	take_bits(struct pb_numbers *);
static void	put_behind(struct pb_numbers *, uint32_t, uint32_t);
static void	order(struct pb_numbers *, struct pb_numbers_work *);
static void	sort(struct pb_span *, size_t, struct pb_span *);
static bool	sort_digit(const struct pb_span *, size_t, struct pb_span *,
		    unsigned);
static void	join(struct pb_numbers *, uint32_t);
static void	join_more(struct pb_numbers *);
static void	join_to(struct pb_numbers *, size_t);
static unsigned	bits_of(uint32_t);
static void	join_until(struct pb_numbers *, size_t);
static uint64_t	count(const struct pb_numbers *);
static void	forget_all(struct pb_numbers *);
static size_t	put_fuse(uint8_t *, size_t, const struct pb_numbers *,
		    struct pb_numbers_work *);

void
pb_numbers_init(struct pb_numbers *numbers, unsigned bytes)
{
	memset(numbers, 0, offsetof(struct pb_numbers, recent));
	numbers->bytes = bytes;
	numbers->exact = true;
	forget_recent(numbers, RECENT_BITS_FEW);
}

/* None came lately; the first slot's own would be 0. */
static void
forget_recent(struct pb_numbers *numbers, unsigned bits)
{
	memset(numbers->recent, 0, sizeof(numbers->recent[0]) << bits);
	numbers->recent[0] = 1;
	numbers->recent_bits = bits;
}

void
pb_numbers_finish(struct pb_numbers *numbers)
{
	free(numbers->bit);
	free(numbers->span);
	numbers->bit = NULL;
	numbers->span = NULL;
}

void
pb_numbers_add(struct pb_numbers *numbers, uint32_t lo, uint32_t hi,
    struct pb_numbers_work *work)
{
	uint32_t *recent = &numbers->recent[(lo * 0x9e3779b1u) >>
	    (32 - numbers->recent_bits)];

	if (numbers->bit != NULL && lo == hi) {
		numbers->bit[lo / WORD_BITS] |= 1ull << lo % WORD_BITS;
		return;
	}
	if ((*recent == lo && lo == hi) || !make_room(numbers))
		return;
	numbers->exact = numbers->exact && lo == hi;
	if (numbers->bit != NULL) {
		add_bits(numbers, lo, hi);
		return;
	}
	if (numbers->spans == PB_NUMBERS_ROOM)
		order(numbers, work);
	if (lo == hi)
		*recent = lo;
	numbers->span[numbers->spans++] = (struct pb_span){ lo, hi };
	if (numbers->spans == MANY && numbers->recent_bits == RECENT_BITS_FEW)
		forget_recent(numbers, RECENT_BITS);
}

static void
add_bits(struct pb_numbers *numbers, uint32_t lo, uint32_t hi)
{
	for (; lo <= hi; lo++)
		numbers->bit[lo / WORD_BITS] |= 1ull << lo % WORD_BITS;
}

/* With the first number. */
static bool
make_room(struct pb_numbers *numbers)
{
	if (numbers->span != NULL || numbers->lost)
		return !numbers->lost;
	numbers->span = malloc(PB_NUMBERS_ROOM * sizeof(*numbers->span));
	if (numbers->bytes < 4)
		numbers->bit = calloc(PB_NUMBERS_WORDS, sizeof(uint64_t));
	numbers->lost = numbers->span == NULL ||
	    (numbers->bytes < 4 && numbers->bit == NULL);
	return !numbers->lost;
}

void
pb_numbers_end(struct pb_numbers *numbers, struct pb_numbers_work *work)
{
	if (numbers->lost)
		return;
	if (numbers->bit != NULL)
		take_bits(numbers);
	else if (numbers->spans > 0)
		order(numbers, work);
}

/* Runs of bits, each a span. */
static void
take_bits(struct pb_numbers *numbers)
{
	for (uint32_t i = 0; i < PB_NUMBERS_WORDS; i++) {
		uint64_t word = numbers->bit[i];
		unsigned from = 0, ones;

		while (word != 0) {
			unsigned skip = (unsigned)__builtin_ctzll(word);

			word >>= skip;
			from += skip;
			ones = ~word == 0 ? WORD_BITS :
			    (unsigned)__builtin_ctzll(~word);
			put_behind(numbers, i * WORD_BITS + from,
			    i * WORD_BITS + from + ones - 1);
			from += ones;
			word = ones < WORD_BITS ? word >> ones : 0;
		}
	}
	join(numbers, numbers->gap);
	join_to(numbers, PB_NUMBERS_KEPT_MAX);
}

/* What is behind all others. */
static void
put_behind(struct pb_numbers *numbers, uint32_t lo, uint32_t hi)
{
	struct pb_span *end = numbers->span + numbers->spans;

	if (numbers->spans > 0 && end[-1].hi + 1 == lo) {
		end[-1].hi = hi;
		return;
	}
	if (numbers->spans == PB_NUMBERS_ROOM)
		join_to(numbers, PB_NUMBERS_KEPT_MAX);
	numbers->span[numbers->spans++] = (struct pb_span){ lo, hi };
}

/* In ascending order, and no more than are kept. */
static void
order(struct pb_numbers *numbers, struct pb_numbers_work *work)
{
	sort(numbers->span, numbers->spans, work->span);
	join(numbers, numbers->gap);
	join_to(numbers, PB_NUMBERS_KEPT_MAX);
}

static void
sort(struct pb_span *span, size_t spans, struct pb_span *other)
{
	struct pb_span *from = span, *to = other, *swap;

	for (unsigned shift = 0; shift < 32; shift += DIGIT_BITS)
		if (sort_digit(from, spans, to, shift)) {
			swap = from;
			from = to;
			to = swap;
		}
	if (from != span)
		memcpy(span, from, spans * sizeof(*span));
}

/* False, and nothing done, where all have the same digit. */
static bool
sort_digit(const struct pb_span *from, size_t spans, struct pb_span *to,
    unsigned shift)
{
	uint32_t at[DIGITS] = { 0 }, sum = 0;

	for (size_t i = 0; i < spans; i++)
		at[from[i].lo >> shift & (DIGITS - 1)]++;
	if (at[from[0].lo >> shift & (DIGITS - 1)] == spans)
		return false;
	for (uint32_t digit = 0; digit < DIGITS; digit++) {
		uint32_t here = at[digit];

		at[digit] = sum;
		sum += here;
	}
	for (size_t i = 0; i < spans; i++)
		to[at[from[i].lo >> shift & (DIGITS - 1)]++] = from[i];
	return true;
}

/* Spans with at most `gap` numbers between them become one. */
static void
join(struct pb_numbers *numbers, uint32_t gap)
{
	struct pb_span *span = numbers->span;
	size_t n = 0;

	for (size_t i = 1; i < numbers->spans; i++) {
		uint64_t reach = (uint64_t)span[n].hi + gap + 1;

		if (span[i].lo > reach) {
			span[++n] = span[i];
			continue;
		}
		if (span[i].lo > (uint64_t)span[n].hi + 1)
			numbers->exact = false;
		if (span[n].hi < span[i].hi)
			span[n].hi = span[i].hi;
	}
	if (numbers->spans > 0)
		numbers->spans = n + 1;
}

size_t
pb_numbers_bytes(const struct pb_numbers *numbers)
{
	if (numbers->lost || numbers->spans == 0)
		return 0;
	if (numbers->fuse_bits == 0)
		return pb_values_bytes(numbers->span, numbers->spans);
	return FUSE_HEAD_BYTES + (size_t)(count(numbers) * 5 / 4 *
	    numbers->fuse_bits / 8);
}

void
pb_numbers_shrink(struct pb_numbers *numbers)
{
	size_t bytes = pb_numbers_bytes(numbers);

	if (numbers->fuse_bits > FUSE_BITS_MIN) {
		numbers->fuse_bits -= 2;
		return;
	}
	if (numbers->fuse_bits == 0 && numbers->exact &&
	    numbers->spans >= FUSE_MIN &&
	    count(numbers) <= PB_FUSE_KEYS_MAX) {
		for (unsigned bits = PB_FUSE_BITS_MAX; bits >= FUSE_BITS_MIN;
		    bits -= 2) {
			numbers->fuse_bits = bits;
			if (pb_numbers_bytes(numbers) <= bytes -
			    bytes / SHRINK_PART)
				return;
		}
	}
	numbers->fuse_bits = 0;
	join_until(numbers, bytes - bytes / SHRINK_PART - 1);
}

/* Spans of at most so many bytes; a single one that takes more is none. */
static void
join_until(struct pb_numbers *numbers, size_t bytes)
{
	/* Each takes one byte and a half or more. */
	join_to(numbers, bytes * 2 / 3);
	while (numbers->spans > bytes || pb_numbers_bytes(numbers) > bytes) {
		if (numbers->spans <= 1) {
			forget_all(numbers);
			return;
		}
		join_more(numbers);
	}
}

static void
join_more(struct pb_numbers *numbers)
{
	numbers->gap = numbers->gap < UINT32_MAX / 2 ? 2 * numbers->gap + 1 :
	    UINT32_MAX;
	join(numbers, numbers->gap);
}

/* As often as it takes to have at most so many spans, or one, at once. */
static void
join_to(struct pb_numbers *numbers, size_t most)
{
	size_t left = numbers->spans, gaps[GAPS] = { 0 };
	const struct pb_span *span = numbers->span;
	unsigned bits = bits_of(numbers->gap);

	if (left <= most || left <= 1)
		return;
	for (size_t i = 1; i < numbers->spans; i++)
		gaps[bits_of(span[i].lo - span[i - 1].hi - 1)]++;
	for (unsigned i = 0; i <= bits; i++)
		left -= gaps[i];
	while (left > most && left > 1)
		left -= gaps[++bits];
	numbers->gap = (uint32_t)((1ull << bits) - 1);
	join(numbers, numbers->gap);
}

static unsigned
bits_of(uint32_t number)
{
	return number == 0 ? 0 : 32 - (unsigned)__builtin_clz(number);
}

static uint64_t
count(const struct pb_numbers *numbers)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < numbers->spans; i++)
		sum += (uint64_t)numbers->span[i].hi - numbers->span[i].lo + 1;
	return sum;
}

static void
forget_all(struct pb_numbers *numbers)
{
	numbers->spans = 0;
	numbers->lost = true;
}

size_t
pb_numbers_put(uint8_t *out, size_t room, struct pb_numbers *numbers,
    struct pb_numbers_work *work)
{
	size_t bytes = 0;

	if (numbers->fuse_bits > 0)
		bytes = put_fuse(out, room, numbers, work);
	if (bytes > 0)
		return bytes;
	numbers->fuse_bits = 0;
	join_until(numbers, room);
	return numbers->lost || numbers->spans == 0 ? 0 :
	    pb_values_put(out, numbers->span, numbers->spans);
}

static size_t
put_fuse(uint8_t *out, size_t room, const struct pb_numbers *numbers,
    struct pb_numbers_work *work)
{
	size_t n = 0;

	for (size_t i = 0; i < numbers->spans; i++)
		for (uint64_t v = numbers->span[i].lo;
		    v <= numbers->span[i].hi; v++)
			work->number[n++] = (uint32_t)v;
	return pb_values_put_fuse(out, room, work->number, n,
	    numbers->fuse_bits, &work->fuse);
}
