/*
 * cli/replay/told.h - what `pb replay` says of what it did
 */
#ifndef PB_CLI_TOLD_H
#define PB_CLI_TOLD_H

#include <stdbool.h>

#include "cli/replay/ways.h"
#include "recorder/transmit/transmitter.h"

struct pb_told {			/* all of it borrowed */
	const struct pb_transmit_report *report;
	const struct pb_pace_opts *pace;
	const struct pb_ways *ways;
	bool		 stopped;	/* before all was sent */
};

/* On standard output: some lines for people, or an object of JSON. */
int	pb_told_print(const struct pb_told *told, bool json,
	    struct pb_err *err);

#endif
