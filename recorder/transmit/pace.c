/*
 * recorder/transmit/pace.c - when is a packet due?
 */
#include "recorder/transmit/pace.h"

#include <string.h>

#include "pcapng/ticks.h"

#define DECIMALS	6

static uint64_t	step(struct pb_pace *, uint64_t, bool);
static uint64_t	own_step(struct pb_pace *, uint64_t);
static uint64_t	divide(struct pb_pace *, pb_u128);

void
pb_pace_init(struct pb_pace *pace, const struct pb_pace_opts *opts)
{
	memset(pace, 0, sizeof(*pace));
	pace->opts = *opts;
}

uint64_t
pb_pace_next(struct pb_pace *pace, uint64_t time_ns, bool timed,
    uint32_t bytes)
{
	uint64_t more = step(pace, time_ns, timed);

	pace->bytes = bytes;
	pace->begun = true;
	pace->due_ns = more > UINT64_MAX - pace->due_ns ? UINT64_MAX :
	    pace->due_ns + more;
	return pace->due_ns;
}

void
pb_pace_again(struct pb_pace *pace)
{
	pace->timed = false;
}

int
pb_pace_parse(const char *text, uint64_t *rate, struct pb_err *err)
{
	const uint64_t most = PB_PACE_RATE_MAX / PB_PACE_ONE;
	uint64_t whole = 0, part = 0;
	const char *at = text;
	int decimals = 0;
	bool any = false;

	for (; *at >= '0' && *at <= '9' && whole <= most; at++, any = true)
		whole = whole * 10 + (uint64_t)(*at - '0');
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9' && decimals < DECIMALS;
		    at++, any = true, decimals++)
			part = part * 10 + (uint64_t)(*at - '0');
	for (; decimals < DECIMALS; decimals++)
		part *= 10;
	if (!any || *at != '\0' || whole > most ||
	    (whole == most && part > 0) || (whole == 0 && part == 0))
		return pb_err_set(err, PB_EINVAL, "'%.40s': is no such number; "
		    "write one above 0 and up to %llu, with six decimals at "
		    "most", text, (unsigned long long)most);
	*rate = whole * PB_PACE_ONE + part;
	return 0;
}

/* From the packet before to this one. */
static uint64_t
step(struct pb_pace *pace, uint64_t time_ns, bool timed)
{
	switch (pace->opts.kind) {
	case PB_PACE_OWN:
		return timed ? own_step(pace, time_ns) : 0;
	case PB_PACE_PACKETS:
		return pace->begun ? divide(pace,
		    (pb_u128)PB_NS_PER_S * PB_PACE_ONE) : 0;
	case PB_PACE_MBITS:
		/* Millionths of a million bits are bits. */
		return pace->begun ? divide(pace,
		    (pb_u128)PB_NS_PER_S * 8 * pace->bytes) : 0;
	default:
		return 0;
	}
}

static uint64_t
own_step(struct pb_pace *pace, uint64_t time_ns)
{
	uint64_t gap = 0;

	if (pace->timed && time_ns <= pace->high_ns) {
		if (pace->high_ns - time_ns > PB_PACE_STEP_NS)
			pace->high_ns = time_ns;
		return 0;
	}
	if (pace->timed)
		gap = time_ns - pace->high_ns;
	pace->timed = true;
	pace->high_ns = time_ns;
	if (pace->opts.rate != PB_PACE_ONE)
		gap = divide(pace, (pb_u128)gap * PB_PACE_ONE);
	return gap < pace->opts.gap_ns_max ? gap : pace->opts.gap_ns_max;
}

/* By the rate; what is left over is in the next one. */
static uint64_t
divide(struct pb_pace *pace, pb_u128 amount)
{
	const uint64_t rate = pace->opts.rate;
	pb_u128 whole;

	amount += pace->rest;
	if (amount <= UINT64_MAX) {
		pace->rest = (uint64_t)amount % rate;
		return (uint64_t)amount / rate;
	}
	whole = amount / rate;
	pace->rest = (uint64_t)(amount % rate);
	return whole > UINT64_MAX ? UINT64_MAX : (uint64_t)whole;
}
