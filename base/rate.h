/*
 * base/rate.h - a bound on bytes per second (a token bucket)
 *
 * Pure: the clock is an argument.  Bytes are taken in chunks as they go to
 * the network, so that the bound holds within any second or so, however
 * many requests share it.  Who waits and is served late, by a busy machine,
 * makes up for it: over some seconds what goes is what may go.
 */
#ifndef PB_RATE_H
#define PB_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pb_rate {
	uint64_t	bytes_per_s;	/* 0: no bound */
	uint64_t	burst;		/* bytes saved up at most, while */
	bool		wanted;		/* nobody waits for them; the user may
					 * know that somebody does */
	uint64_t	chunk;		/* the least worth sending */
	uint64_t	tokens;		/* bytes */
	uint64_t	part;		/* of a token, in 1/1000 */
	uint64_t	at_ms;		/* tokens are counted up to here */
	bool		offered;	/* the user's: someone's turn it is */
};

/* `bits_per_s` 0: no bound.  `burst`: bytes that may go at once after a
 * pause; 0: what goes in a twentieth of a second. */
void	pb_rate_init(struct pb_rate *rate, uint64_t bits_per_s,
	    uint64_t burst, uint64_t now_ms);
/* Another bound from now on; who waits for his turn goes on waiting. */
void	pb_rate_change(struct pb_rate *rate, uint64_t bits_per_s,
	    uint64_t burst, uint64_t now_ms);

/* Of `want` bytes, how many may go now; those are taken.  0: wait. */
size_t	pb_rate_take(struct pb_rate *rate, size_t want, uint64_t now_ms);

/* Milliseconds until pb_rate_take() gives something. */
uint64_t pb_rate_wait_ms(struct pb_rate *rate, uint64_t now_ms);

#endif
