/*
 * recorder/recorder.h - the parts of pb-recorder, wired together
 *
 * One thread owns it (main's); readers of the port ask for status and metrics
 * while it runs.
 */
#ifndef PB_RECORDER_RECORDER_H
#define PB_RECORDER_RECORDER_H

#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"

#define PB_RECORDER_SAMPLE_MS	1000	/* least span of a rate */

struct pb_recorder;

/*
 * What can be checked without starting: filters, time stamp types.
 * PB_EINVAL; 1, with the reason, where a filter has a name that is not known
 * now.  It waits for no name longer than two seconds.
 */
int	pb_recorder_check(const struct pb_conf *conf, struct pb_err *err);

/*
 * Open the store, start capturing, take in packets.  `conf` is the
 * recorder's from now on, on failure too.  PB_EBUSY where another recorder
 * has the store.  What pb_recorder_check() would refuse is not captured.
 */
int	pb_recorder_start(struct pb_recorder **out, struct pb_conf *conf,
	    struct pb_err *err);

/*
 * Take over what can be changed while running: captures that are new,
 * gone, or changed are started, stopped, restarted; the others go on
 * untouched.  A larger index_size is taken over.  Anything else that differs
 * is logged as needing a restart.
 * `fresh` is the recorder's, and pb_recorder_check() has not refused it.
 */
int	pb_recorder_reload(struct pb_recorder *recorder,
	    struct pb_conf *fresh, struct pb_err *err);

/* Once a second or so: brings the rates up to date. */
void	pb_recorder_tick(struct pb_recorder *recorder, uint64_t now_ms);

/* Stop capturing, stop taking in, write and seal everything.  NULL is
 * fine. */
void	pb_recorder_stop(struct pb_recorder *recorder);

#endif
