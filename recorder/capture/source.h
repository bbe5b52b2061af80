/*
 * recorder/capture/source.h - what captures one interface
 *
 * A thread opens the interface with libpcap (nanoseconds, filter, snap
 * length, buffer, promiscuous, time stamp type), turns each packet into an
 * Enhanced Packet Block in a chunk, and hands the chunk to the store when
 * it is full or when flush_interval has passed since its first packet.  An
 * interface that is not there, vanishes or goes down is tried again until
 * it is back; its stream goes on.
 *
 * With `threads` above 1 further threads do the same for packets of other
 * flows, into the same stream; see lane.c for its order.
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
#include "recorder/store/store.h"

#define PB_SOURCE_CHUNKS	32	/* of PB_CHUNK_BYTES, per source; 2 more
					 * for each further thread */
#define PB_SOURCE_RETRY_MS	250	/* between tries to open */

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
};

/* Would pb_source_start() take it?  The interface is not looked at. */
int	pb_source_check(const struct pb_conf_capture *capture,
	    struct pb_err *err);

/* Start the threads.  An absent interface is no error.  A filter that does
 * not compile, or an unknown time stamp type, is PB_EINVAL. */
int	pb_source_start(struct pb_source **out,
	    const struct pb_conf_capture *capture, const struct pb_conf *conf,
	    struct pb_store *store, struct pb_err *err);

/*
 * Wait until the interface was opened, or could not be for now; until
 * `until` (CLOCK_MONOTONIC) at most.  False when that time has come.
 */
bool	pb_source_wait(struct pb_source *source, const struct timespec *until);

/* Stop reading, hand over what is there, end the threads, free. */
void	pb_source_stop(struct pb_source *source);

/* Any thread. */
void	pb_source_stats(struct pb_source *source, struct pb_source_stats *out);

/* For `pb interfaces`: calls `each` per interface, with its time stamp
 * types as a list separated by blanks.  Nonzero from `each` ends it. */
struct pb_interface_info {
	const char	*name;
	const char	*description;		/* "" where there is none */
	const char	*timestamp_types;	/* "host" where only that */
	const char	*linktype;		/* "EN10MB"; "" if unknown */
	bool		 up, loopback;
};
int	pb_interfaces(int (*each)(const struct pb_interface_info *, void *),
	    void *arg, struct pb_err *err);

#endif
