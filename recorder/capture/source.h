/*
 * recorder/capture/source.h - what captures one interface
 *
 * A thread opens the interface with libpcap (nanoseconds, filter, snap
 * length, buffer, promiscuous, time stamp type), turns each packet into an
 * Enhanced Packet Block in a chunk, and hands the chunk to the store when
 * it is full or when flush_interval has passed since its first packet.  An
 * interface that is not there, vanishes or goes down, or whose filter has a
 * name that is not known yet, is tried again until it is back: later each
 * time, and at once when it changed.  Its stream goes on.
 *
 * With `threads` above 1 further threads do the same for packets of other
 * flows, into the same stream; see lane.c for its order.
 *
 * With `forward` the kernel sends what arrives out of another interface as
 * well, from the first opening on, whether or not it can be captured later.
 *
 * It never waits for the store: with every chunk in use, packets stay in
 * the kernel's buffer for a second; then it goes on reading and counts what
 * it cannot keep, as drops.
 */
#ifndef PB_CAPTURE_SOURCE_H
#define PB_CAPTURE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "conf/conf.h"
#include "recorder/capture/stamping.h"
#include "recorder/link/forward.h"
#include "recorder/store/write/store.h"

#define PB_SOURCE_CHUNKS	32	/* of PB_CHUNK_BYTES, per source; 2 more
					 * for each further thread */
#define PB_SOURCE_RETRY_MS	250	/* between tries to open, at first, */
#define PB_SOURCE_RETRY_MS_MAX	8000	/* and at most; also how long one that
					 * was lost soon must stay open */

struct pb_source;

struct pb_source_stats {
	char		interface[PB_IFNAME_BYTES_MAX + 1];
	bool		up;		/* open and capturing */
	char		last_error[PB_ERR_TEXT_MAX]; /* why it is not */
	uint64_t	packets;	/* since start */
	uint64_t	bytes;
	uint64_t	kernel_dropped;	/* ps_drop */
	uint64_t	interface_dropped; /* ps_ifdrop */
	uint64_t	store_dropped;	/* no chunk free */
	const char	*clock;		/* that stamps: libpcap's name; ""
					 * before it was opened */
	char		trailers[PB_TRAILER_TEXT_MAX];	/* the list */
	struct pb_stamping_counts stamping;	/* of each of it */
	char		forward[PB_LINK_NAME_MAX + 1];	/* "": nowhere */
	struct pb_forward_stats forwarded;	/* zeroed where it is "" */
};

/*
 * Can it be captured?  The interface is not looked at.  A filter that does
 * not compile, an unknown time stamp type, or what pb_stamping_init() refuses,
 * is PB_EINVAL; a snap length that cuts trailers off is warned of.  1, with the
 * reason, where only a name in the filter is not known (now), or was not
 * found within `ms`: it is waited for.  `*key` is the one at fault.
 */
int	pb_source_check(const struct pb_conf_capture *capture, unsigned ms,
	    const char **key, struct pb_err *err);

/* Start the threads.  Trailers that pb_source_check() refuses are refused;
 * what else it does, and an interface that is absent, is tried again and
 * again. */
int	pb_source_start(struct pb_source **out,
	    const struct pb_conf_capture *capture, const struct pb_conf *conf,
	    struct pb_store *store, struct pb_err *err);

/*
 * Wait until the interface was opened, or could not be for now; until
 * `until` (CLOCK_MONOTONIC) at most.  False when that time has come.
 */
bool	pb_source_wait(struct pb_source *source, const struct timespec *until);

/* Tell it to stop, which takes a while, and do not wait. */
void	pb_source_tell(struct pb_source *source);

/* Stop reading, hand over what is there, end the threads, free. */
void	pb_source_stop(struct pb_source *source);

/* Any thread. */
void	pb_source_stats(struct pb_source *source, struct pb_source_stats *out);

/* For `pb interfaces`: calls `each` per interface, with its time stamp
 * types as a list separated by blanks, and the clock that its adapter has.
 * Nonzero from `each` ends it. */
struct pb_interface_info {
	const char	*name;
	const char	*description;		/* "" where there is none */
	const char	*timestamp_types;	/* "host" where only that */
	const char	*adapter_clock;		/* "ptp0", or "" */
	const char	*linktype;		/* "EN10MB"; "" if unknown */
	const char	*trouble;	/* why it cannot be captured now, or "" */
	bool		 up, loopback;
};
int	pb_interfaces(int (*each)(const struct pb_interface_info *, void *),
	    void *arg, struct pb_err *err);

#endif
