/*
 * shipper/loop.h - the shipper's one loop: any number of upstreams
 *
 * Wakes for new commits of the recorder's index (inotify, and a look at a
 * counter ten times a second for where that does not work), for the
 * network, for timers and for signals.  Nothing in it blocks on a peer, nor
 * on a disk: a worker reads, another one, the keeper, writes to the state.
 */
#ifndef PB_SHIPPER_LOOP_H
#define PB_SHIPPER_LOOP_H

#include "base/err.h"
#include "conf/conf.h"

#define PB_TICK_MS		100u	/* looks at the counter of commits */
#define PB_STORE_LOOK_MS	1000u	/* looks for the store */
#define PB_REPORT_MS		1000u	/* between reports to the state */
#define PB_STOP_MS		2000u	/* requests may end at the stop */

struct pb_loop;

/*
 * `conf` is the loop's from now on, also on failure.  `signal_fd` is a
 * signalfd(2), borrowed: SIGTERM and SIGINT stop, SIGHUP reads the file of
 * `conf` again and takes its upstreams.
 */
int	pb_loop_create(struct pb_loop **out, struct pb_conf *conf,
	    int signal_fd, struct pb_err *err);
void	pb_loop_destroy(struct pb_loop *loop);

/*
 * Ship until told to stop: 0; PB_EBUSY where another shipper has the
 * store, or another error that makes going on senseless.
 */
int	pb_loop_run(struct pb_loop *loop, struct pb_err *err);

#endif
