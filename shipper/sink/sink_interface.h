/*
 * shipper/sink/sink_interface.h - packets out of a local interface
 *
 * `url = interface:eth1`.  A thread of its own merges the units at hand,
 * waits until each frame is due and sends it, so that neither a slow
 * interface nor a pace holds up the loop.  What of a unit went out is told,
 * however it ends; so only a crash leaves a doubt (upstream_begin.c).
 *
 * Not sent, but counted and told: packets that the filter does not want, and
 * those that the interface cannot carry as they were, for their length or as
 * a part of them was captured.  A stream of another link type is refused.
 */
#ifndef PB_SHIPPER_SINK_INTERFACE_H
#define PB_SHIPPER_SINK_INTERFACE_H

#include "shipper/sink/sink.h"

extern const struct pb_sink_kind pb_sink_interface;

/* Units of a stream, one being sent and one at hand, and their bytes: where
 * frames leave as fast as they can, and where they have a pace.  A crash may
 * send as much twice. */
#define PB_SINK_UNITS		2u
#define PB_SINK_UNIT_BYTES	(1u << 20)
#define PB_SINK_PACED_BYTES	(128u << 10)

#endif
