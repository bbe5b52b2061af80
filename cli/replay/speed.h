/*
 * cli/replay/speed.h - when packets are to go out: options of `pb replay`
 */
#ifndef PB_CLI_SPEED_H
#define PB_CLI_SPEED_H

#include "recorder/transmit/pace.h"

struct pb_speed {
	struct pb_pace_opts pace;
	unsigned	 given;		/* options that say how fast */
};

/* Their own timing. */
void	pb_speed_init(struct pb_speed *speed);

/* Options of a struct pb_speed: 0, or PB_EINVAL with what would be right. */
int	pb_speed_times(void *speed, const char *text, struct pb_err *err);
int	pb_speed_pps(void *speed, const char *text, struct pb_err *err);
int	pb_speed_mbps(void *speed, const char *text, struct pb_err *err);
int	pb_speed_top(void *speed, const char *none, struct pb_err *err);
int	pb_speed_gap_max(void *speed, const char *text, struct pb_err *err);

#endif
