/*
 * recorder/capture/describe.h - what a captured stream says about itself
 */
#ifndef PB_CAPTURE_DESCRIBE_H
#define PB_CAPTURE_DESCRIBE_H

#include "base/err.h"
#include "pcapng/hop.h"
#include "conf/conf.h"
#include "recorder/store/head.h"

/*
 * The head of `capture` on `node` (name and description), epoch `epoch`:
 * machine and system from uname(2), driver and speed of the interface from
 * /sys where it says so.  The reference is the caller's.
 */
int	pb_describe(struct pb_head **out, const struct pb_node *node,
	    const struct pb_conf_capture *capture, uint64_t epoch,
	    uint16_t linktype, struct pb_err *err);

#endif
