/*
 * recorder/filter/numbers.c - numbers that come one by one, to be a set
 *
 * What came lately is looked up first: most numbers come again and again.
 * Others are added behind, and put in order when there is no more room.
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

static void	order(struct pb_numbers *, struct pb_numbers_work *);
static void	sort(struct pb_span *, size_t, struct pb_span *);
static bool	sort_digit(const struct pb_span *, size_t, struct pb_span *,
		    unsigned);
static void	join(struct pb_numbers *, uint32_t);
static void	join_more(struct pb_numbers *);
static void	join_until(struct pb_numbers *, size_t);
static uint64_t	count(const struct pb_numbers *);
static void	forget_all(struct pb_numbers *);
static size_t	put_fuse(uint8_t *, size_t, const struct pb_numbers *,
		    struct pb_numbers_work *);

void
pb_numbers_init(struct pb_numbers *numbers)
{
	memset(numbers, 0, sizeof(*numbers));
	numbers->exact = true;
	/* None that came lately; the first slot's own would be 0. */
	numbers->recent[0].lo = 1;
}

void
pb_numbers_finish(struct pb_numbers *numbers)
{
	free(numbers->span);
	numbers->span = NULL;
}

void
pb_numbers_add(struct pb_numbers *numbers, uint32_t lo, uint32_t hi,
    struct pb_numbers_work *work)
{
	struct pb_span *recent = &numbers->recent[(lo * 0x9e3779b1u) >> 24];

	if ((recent->lo == lo && recent->hi == hi) || numbers->lost)
		return;
	if (numbers->span == NULL)
		numbers->span = malloc(PB_NUMBERS_ROOM *
		    sizeof(*numbers->span));
	if (numbers->span == NULL) {
		numbers->lost = true;
		return;
	}
	if (numbers->spans == PB_NUMBERS_ROOM)
		order(numbers, work);
	*recent = (struct pb_span){ lo, hi };
	numbers->span[numbers->spans++] = *recent;
	numbers->exact = numbers->exact && lo == hi;
}

void
pb_numbers_end(struct pb_numbers *numbers, struct pb_numbers_work *work)
{
	if (numbers->spans > 0)
		order(numbers, work);
}

/* In ascending order, and no more than are kept. */
static void
order(struct pb_numbers *numbers, struct pb_numbers_work *work)
{
	sort(numbers->span, numbers->spans, work->span);
	join(numbers, numbers->gap);
	while (numbers->spans > PB_NUMBERS_KEPT_MAX)
		join_more(numbers);
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
