/*
 * recorder/filter/known.c - what is known of a number: its bits, its range
 *
 * Each operation is done twice, on bits and on ranges, and tighten() lets
 * each learn from the other.  Of two numbers it makes one number.
 */
#include "recorder/filter/known.h"

#include <pcap/pcap.h>

#define NUMBER_BITS	32u

static struct pb_known tighten(struct pb_known);
static uint32_t	least_from(uint32_t, uint32_t, uint32_t);
static uint32_t	below(uint32_t);
/* operations */
static struct pb_known add(const struct pb_known *, const struct pb_known *);
static struct pb_known sub(const struct pb_known *, const struct pb_known *);
static struct pb_known mul(const struct pb_known *, const struct pb_known *);
static struct pb_known divide(const struct pb_known *,
		    const struct pb_known *);
static struct pb_known mod(const struct pb_known *, const struct pb_known *);
static struct pb_known and(const struct pb_known *, const struct pb_known *);
static struct pb_known or(const struct pb_known *, const struct pb_known *);
static struct pb_known shift(unsigned, const struct pb_known *,
		    const struct pb_known *);
/* tests */
static bool	may_equal(const struct pb_known *, const struct pb_known *);

struct pb_known
pb_known_any(void)
{
	return pb_known_bits(0, UINT32_MAX);
}

struct pb_known
pb_known_number(uint32_t number)
{
	return pb_known_bits(number, 0);
}

struct pb_known
pb_known_bits(uint32_t ones, uint32_t unknown)
{
	struct pb_known a = { ones, unknown, ones, ones | unknown };

	return a;
}

struct pb_known
pb_known_range(uint32_t lo, uint32_t hi)
{
	struct pb_known a = { 0, UINT32_MAX, lo, hi };

	return tighten(a);
}

struct pb_known
pb_known_join(const struct pb_known *a, const struct pb_known *b)
{
	struct pb_known both;

	both.free = a->free | b->free | (a->ones ^ b->ones);
	both.ones = a->ones & ~both.free;
	both.lo = a->lo < b->lo ? a->lo : b->lo;
	both.hi = a->hi > b->hi ? a->hi : b->hi;
	return tighten(both);
}

struct pb_known
pb_known_alu(unsigned op, const struct pb_known *a, const struct pb_known *b)
{
	struct pb_known zero = pb_known_number(0);

	switch (op) {
	case BPF_ADD:
		return add(a, b);
	case BPF_SUB:
		return sub(a, b);
	case BPF_NEG:
		return sub(&zero, a);
	case BPF_MUL:
		return mul(a, b);
	case BPF_DIV:
		return divide(a, b);
	case BPF_MOD:
		return mod(a, b);
	case BPF_AND:
		return and(a, b);
	case BPF_OR:
		return or(a, b);
	case BPF_XOR:
		return pb_known_bits((a->ones ^ b->ones) &
		    ~(a->free | b->free), a->free | b->free);
	case BPF_LSH:
	case BPF_RSH:
		return shift(op, a, b);
	default:
		return pb_known_any();
	}
}

unsigned
pb_known_test(unsigned op, const struct pb_known *a, const struct pb_known *b)
{
	struct pb_known both;
	bool hold = true, fail = true;

	switch (op) {
	case BPF_JEQ:
		hold = may_equal(a, b);
		fail = !(pb_known_whole(a) && pb_known_whole(b)) ||
		    a->lo != b->lo;
		break;
	case BPF_JGT:
		hold = a->hi > b->lo;
		fail = a->lo <= b->hi;
		break;
	case BPF_JGE:
		hold = a->hi >= b->lo;
		fail = a->lo < b->hi;
		break;
	case BPF_JSET:
		both = pb_known_alu(BPF_AND, a, b);
		hold = both.hi != 0;
		fail = both.lo == 0;
		break;
	}
	return (hold ? PB_MAY_HOLD : 0u) | (fail ? PB_MAY_FAIL : 0u);
}

struct pb_known
pb_known_after(unsigned op, const struct pb_known *a, uint32_t k, bool held)
{
	struct pb_known after = *a;

	if (op == BPF_JGT && k < UINT32_MAX) {
		op = BPF_JGE;
		k++;
	}
	if (op == BPF_JEQ && held)
		return pb_known_number(k);
	if (op == BPF_JEQ) {
		after.lo += after.lo == k;
		after.hi -= after.hi == k;
	} else if (op == BPF_JGE && held) {
		after.lo = after.lo > k ? after.lo : k;
	} else if (op == BPF_JGE) {
		after.hi = after.hi < k ? after.hi : k - 1;
	} else if (op == BPF_JSET && !held) {
		after.free &= ~k;
	} else if (op == BPF_JSET && (a->ones & k) == 0) {
		uint32_t could = a->free & k;

		/* One bit alone can have made it hold. */
		if ((could & (could - 1)) == 0) {
			after.ones |= could;
			after.free &= ~could;
		}
	}
	return tighten(after);
}

/* Bits and range learn from each other.  Some number fits both. */
static struct pb_known
tighten(struct pb_known a)
{
	uint32_t shared;

	a.lo = least_from(a.lo, a.ones, a.free);
	a.hi = ~least_from(~a.hi, ~a.ones & ~a.free, a.free);
	shared = ~below(a.lo ^ a.hi);
	a.ones |= a.lo & shared;
	a.free &= ~shared;
	return a;
}

/*
 * The least number from `lo` on with these bits; there is one.  The highest
 * bit that a number near `lo` gets wrong says what may be small behind it.
 */
static uint32_t
least_from(uint32_t lo, uint32_t ones, uint32_t unknown)
{
	uint32_t near = (lo & unknown) | ones, behind = below(near ^ lo), up;

	if (near >= lo)
		return near & ~(unknown & (behind >> 1));
	up = unknown & ~lo & ~behind;
	up &= -up;
	return (near & ~(unknown & (up - 1))) | up;
}

/* Its highest bit and all below it. */
static uint32_t
below(uint32_t bits)
{
	return bits == 0 ? 0 : UINT32_MAX >> __builtin_clz(bits);
}

static struct pb_known
add(const struct pb_known *a, const struct pb_known *b)
{
	uint32_t least = a->ones + b->ones, wide = a->free + b->free;
	/* Where the carries of the least and the largest sum differ. */
	uint32_t doubt = ((least + wide) ^ least) | a->free | b->free;
	struct pb_known sum = pb_known_bits(least & ~doubt, doubt);
	uint64_t lo = (uint64_t)a->lo + b->lo, hi = (uint64_t)a->hi + b->hi;

	if (lo >> NUMBER_BITS == hi >> NUMBER_BITS) {
		sum.lo = (uint32_t)lo;
		sum.hi = (uint32_t)hi;
	}
	return tighten(sum);
}

static struct pb_known
sub(const struct pb_known *a, const struct pb_known *b)
{
	uint32_t some = a->ones - b->ones;
	uint32_t doubt = ((some + a->free) ^ (some - b->free)) | a->free |
	    b->free;
	struct pb_known rest = pb_known_bits(some & ~doubt, doubt);

	/* All of them run under 0, or none. */
	if (a->lo >= b->hi || a->hi < b->lo) {
		rest.lo = a->lo - b->hi;
		rest.hi = a->hi - b->lo;
	}
	return tighten(rest);
}

/* Of the bits those below the first that can be set in both are 0. */
static struct pb_known
mul(const struct pb_known *a, const struct pb_known *b)
{
	uint64_t lo = (uint64_t)a->lo * b->lo, hi = (uint64_t)a->hi * b->hi;
	uint64_t zeros = (uint64_t)((a->ones | a->free) &
	    -(a->ones | a->free)) * ((b->ones | b->free) &
	    -(b->ones | b->free));
	struct pb_known product;

	if (pb_known_whole(a) && pb_known_whole(b))
		return pb_known_number(a->lo * b->lo);
	if (hi == 0 || zeros > UINT32_MAX)
		return pb_known_number(0);
	product = pb_known_bits(0, (uint32_t)-zeros);
	if (hi <= UINT32_MAX) {
		product.lo = (uint32_t)lo;
		product.hi = (uint32_t)hi;
	}
	return tighten(product);
}

static struct pb_known
divide(const struct pb_known *a, const struct pb_known *b)
{
	uint32_t least = b->lo > 0 ? b->lo : 1;

	if (b->hi == 0)
		return pb_known_any();	/* nobody asks */
	return pb_known_range(a->lo / b->hi, a->hi / least);
}

static struct pb_known
mod(const struct pb_known *a, const struct pb_known *b)
{
	uint32_t mask = b->lo - 1;
	struct pb_known bits;

	if (b->hi == 0)
		return pb_known_any();	/* nobody asks */
	if (a->hi < b->lo)
		return *a;
	if (pb_known_whole(a) && pb_known_whole(b))
		return pb_known_number(a->lo % b->lo);
	if (!pb_known_whole(b) || (b->lo & mask) != 0)
		return pb_known_range(0, a->hi < b->hi - 1 ? a->hi :
		    b->hi - 1);
	bits = pb_known_number(mask);
	return pb_known_alu(BPF_AND, a, &bits);
}

/* No more than either.  A mask that takes away only what is known anyway keeps
 * the order, and so the range. */
static struct pb_known
and(const struct pb_known *a, const struct pb_known *b)
{
	uint32_t ones = a->ones & b->ones, least = a->hi < b->hi ? a->hi :
	    b->hi;
	struct pb_known both = pb_known_bits(ones, (a->ones | a->free) &
	    (b->ones | b->free) & ~ones);

	if (pb_known_whole(b) && (a->free & ~b->lo) == 0) {
		both.lo = a->lo & b->lo;
		both.hi = a->hi & b->lo;
	} else if (both.hi > least) {
		both.hi = least;
	}
	return tighten(both);
}

/* No less than either. */
static struct pb_known
or(const struct pb_known *a, const struct pb_known *b)
{
	uint32_t ones = a->ones | b->ones, most = a->lo > b->lo ? a->lo :
	    b->lo;
	struct pb_known any = pb_known_bits(ones, (a->free | b->free) & ~ones);

	if (any.lo < most)
		any.lo = most;
	return tighten(any);
}

/* By how much is known, or little is.  By 32 and more nothing is left. */
static struct pb_known
shift(unsigned op, const struct pb_known *a, const struct pb_known *b)
{
	if (b->lo >= NUMBER_BITS)
		return pb_known_number(0);
	if (b->hi >= NUMBER_BITS)
		return pb_known_any();
	if (!pb_known_whole(b))
		return op == BPF_LSH ? pb_known_any() :
		    pb_known_range(a->lo >> b->hi, a->hi >> b->lo);
	if (op == BPF_LSH)
		return pb_known_bits(a->ones << b->lo, a->free << b->lo);
	return tighten((struct pb_known){ a->ones >> b->lo,
	    a->free >> b->lo, a->lo >> b->lo, a->hi >> b->lo });
}

/* Is there a number in both?  Yes where it is not known. */
static bool
may_equal(const struct pb_known *a, const struct pb_known *b)
{
	uint32_t sure = ~a->free & ~b->free;

	return ((a->ones ^ b->ones) & sure) == 0 && a->lo <= b->hi &&
	    b->lo <= a->hi;
}
