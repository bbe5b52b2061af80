/*
 * base/rate.c - a bound on bytes per second (a token bucket)
 */
#include "base/rate.h"

/* Saved up at most, unless it is said: a twentieth of a second's worth, or one
 * chunk.  Made up for at most: half a second's. */
#define BURST_PARTS	20u
#define LATE_PARTS	2u
#define CHUNK_BYTES_MIN	256u
#define CHUNK_BYTES_MAX	16384u

static void	set(struct pb_rate *, uint64_t, uint64_t);
static void	refill(struct pb_rate *, uint64_t);

void
pb_rate_init(struct pb_rate *rate, uint64_t bits_per_s, uint64_t burst,
    uint64_t now_ms)
{
	*rate = (struct pb_rate){ .at_ms = now_ms };
	set(rate, bits_per_s, burst);
	rate->tokens = rate->burst;
}

void
pb_rate_change(struct pb_rate *rate, uint64_t bits_per_s, uint64_t burst,
    uint64_t now_ms)
{
	if (rate->bytes_per_s > 0)
		refill(rate, now_ms);
	else if (now_ms > rate->at_ms)
		rate->at_ms = now_ms;
	set(rate, bits_per_s, burst);
	if (rate->tokens > rate->burst)
		rate->tokens = rate->burst;
}

static void
set(struct pb_rate *rate, uint64_t bits_per_s, uint64_t burst)
{
	rate->bytes_per_s = bits_per_s / 8;
	if (bits_per_s > 0 && rate->bytes_per_s == 0)
		rate->bytes_per_s = 1;
	rate->burst = burst > 0 ? burst : rate->bytes_per_s / BURST_PARTS;
	rate->chunk = rate->bytes_per_s / BURST_PARTS;
	if (rate->chunk > CHUNK_BYTES_MAX)
		rate->chunk = CHUNK_BYTES_MAX;
	if (rate->chunk < CHUNK_BYTES_MIN)
		rate->chunk = CHUNK_BYTES_MIN;
	if (rate->burst < rate->chunk)
		rate->burst = rate->chunk;
}

size_t
pb_rate_take(struct pb_rate *rate, size_t want, uint64_t now_ms)
{
	if (rate->bytes_per_s == 0)
		return want;
	refill(rate, now_ms);
	rate->wanted = want > rate->tokens;
	if (rate->wanted) {
		if (rate->tokens < rate->chunk)
			return 0;
		want = (size_t)rate->tokens;
	}
	rate->tokens -= want;
	return want;
}

uint64_t
pb_rate_wait_ms(struct pb_rate *rate, uint64_t now_ms)
{
	uint64_t lack;

	if (rate->bytes_per_s == 0)
		return 0;
	refill(rate, now_ms);
	if (rate->tokens >= rate->chunk)
		return 0;
	lack = (rate->chunk - rate->tokens) * 1000 - rate->part;
	return (lack + rate->bytes_per_s - 1) / rate->bytes_per_s;
}

/* Who comes late with an earlier time, of another thread, changes nothing. */
static void
refill(struct pb_rate *rate, uint64_t now_ms)
{
	uint64_t passed = now_ms > rate->at_ms ? now_ms - rate->at_ms : 0;
	uint64_t most = rate->burst +
	    (rate->wanted ? rate->bytes_per_s / LATE_PARTS : 0);
	uint64_t full_ms = most * 1000 / rate->bytes_per_s + 1;

	rate->at_ms += passed;
	if (passed >= full_ms) {
		rate->tokens = most;
		rate->part = 0;
		return;
	}
	rate->part += passed * rate->bytes_per_s;
	rate->tokens += rate->part / 1000;
	rate->part %= 1000;
	if (rate->tokens > most) {
		rate->tokens = most;
		rate->part = 0;
	}
}
