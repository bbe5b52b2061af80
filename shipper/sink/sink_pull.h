/*
 * shipper/sink/sink_pull.h - packets for who comes for them: pull:
 *
 * The recorder gives them out and hears who asks; here is what that means for
 * the upstream.  It is there until `answer_timeout` after its last request
 * ended, or would have; it has what it says.  Who asks and asks, and says that
 * it has nothing more, is as good as away: after `retry_for`, as what waits for
 * it becomes dead letters then, or the time below; not before `answer_timeout`.
 */
#ifndef PB_SHIPPER_SINK_PULL_H
#define PB_SHIPPER_SINK_PULL_H

#include "shipper/sink/sink.h"

/* So long it may owe an ack, before it counts as away. */
#define PB_SINK_OWES_MS	600000u
/* So long it is waited for that it comes for what came late; then that is
 * tried again. */
#define PB_SINK_LATE_MS	10000u
/* What it came for before it was known here that it came late. */
#define PB_SINK_LATES	256u

extern const struct pb_sink_kind pb_sink_pull;

#endif
