/*
 * recorder/filter/known.h - what is known of a number: its bits, its range
 *
 * Stands for every 32-bit number v with (v & ~free) == ones and
 * lo <= v <= hi: at least one, and lo and hi are two of them.  What comes out
 * of an operation stands for every number that can come out, and perhaps for
 * more: never for fewer.  That makes an answer about it true of each packet.
 *
 * Sources: the bits are the tristate numbers of "Sound, Precise, and Fast
 * Abstract Interpretation with Tristate Numbers", CGO 2022; operations are
 * named and defined as in "The BSD Packet Filter", USENIX 1993, and
 * pcap/bpf.h.
 */
#ifndef PB_FILTER_KNOWN_H
#define PB_FILTER_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

struct pb_known {
	uint32_t	 ones;	/* bits that are set in all of them */
	uint32_t	 free;	/* bits that are not known; none of `ones` */
	uint32_t	 lo, hi;
};

/* What a test can come out as: one of them, or both. */
enum { PB_MAY_FAIL = 1, PB_MAY_HOLD = 2 };

struct pb_known pb_known_any(void);
struct pb_known pb_known_number(uint32_t number);
struct pb_known pb_known_bits(uint32_t ones, uint32_t unknown);
/* lo <= hi. */
struct pb_known pb_known_range(uint32_t lo, uint32_t hi);

static inline bool
pb_known_whole(const struct pb_known *a)
{
	return a->lo == a->hi;
}

/* Whichever of the two it is. */
struct pb_known pb_known_join(const struct pb_known *a,
	    const struct pb_known *b);

/*
 * `op` is BPF_ADD to BPF_XOR or BPF_NEG (`b` is not looked at).  `b` of
 * BPF_DIV and BPF_MOD has been asked whether it is 0: what comes out is for
 * those that are not.
 */
struct pb_known pb_known_alu(unsigned op, const struct pb_known *a,
	    const struct pb_known *b);

/* PB_MAY_FAIL, PB_MAY_HOLD or both; `op` is BPF_JEQ, BPF_JGT, BPF_JGE or
 * BPF_JSET. */
unsigned pb_known_test(unsigned op, const struct pb_known *a,
	    const struct pb_known *b);

/* What is known of `a` once the test against `k` came out as `held`, which
 * it can. */
struct pb_known pb_known_after(unsigned op, const struct pb_known *a,
	    uint32_t k, bool held);

#endif
