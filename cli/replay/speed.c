/*
 * cli/replay/speed.c - when packets are to go out: options of `pb replay`
 */
#include "cli/replay/speed.h"

#include "base/text.h"

static int	take_rate(struct pb_speed *, enum pb_pace_kind, const char *,
		    const char *, struct pb_err *);

void
pb_speed_init(struct pb_speed *speed)
{
	*speed = (struct pb_speed){
		.pace = { PB_PACE_OWN, PB_PACE_ONE, UINT64_MAX },
	};
}

int
pb_speed_times(void *speed, const char *text, struct pb_err *err)
{
	return take_rate(speed, PB_PACE_OWN, "--speed", text, err);
}

int
pb_speed_pps(void *speed, const char *text, struct pb_err *err)
{
	return take_rate(speed, PB_PACE_PACKETS, "--pps", text, err);
}

int
pb_speed_mbps(void *speed, const char *text, struct pb_err *err)
{
	return take_rate(speed, PB_PACE_MBITS, "--mbps", text, err);
}

int
pb_speed_top(void *arg, const char *none, struct pb_err *err)
{
	struct pb_speed *speed = arg;

	(void)none;
	(void)err;
	speed->pace.kind = PB_PACE_TOP;
	speed->given++;
	return 0;
}

int
pb_speed_gap_max(void *arg, const char *text, struct pb_err *err)
{
	struct pb_speed *speed = arg;
	uint64_t ms;

	if (pb_parse_duration(text, &ms, err) < 0)
		return pb_err_prefix(err, PB_EINVAL, "--gap-max");
	speed->pace.gap_ns_max = ms >= UINT64_MAX / PB_NS_PER_MS ?
	    UINT64_MAX - 1 : ms * PB_NS_PER_MS;
	return 0;
}

static int
take_rate(struct pb_speed *speed, enum pb_pace_kind kind, const char *option,
    const char *text, struct pb_err *err)
{
	if (pb_pace_parse(text, &speed->pace.rate, err) < 0)
		return pb_err_prefix(err, PB_EINVAL, "%s", option);
	speed->pace.kind = kind;
	speed->given++;
	return 0;
}
