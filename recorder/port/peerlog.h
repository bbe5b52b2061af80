/*
 * recorder/port/peerlog.h - log lines about peers, at a bounded rate
 *
 * One line per peer and cause in PB_PEERLOG_MS; the next one says how many
 * were left out.  With more than PB_PEERLOG_SLOTS of them at a time the
 * rest is silent: a peer cannot fill the log.
 */
#ifndef PB_INGEST_PEERLOG_H
#define PB_INGEST_PEERLOG_H

#include <stdbool.h>
#include <stdint.h>

#define PB_PEERLOG_MS		10000u
#define PB_PEERLOG_SLOTS	256u

struct pb_peerlog {
	struct pb_peerlog_slot {
		uint64_t hash;		/* of peer and cause; 0: free */
		uint64_t until_ms;
		uint64_t left_out;
	} slot[PB_PEERLOG_SLOTS];
};

/* A zeroed pb_peerlog is ready.  True where a line was written. */
bool	pb_peerlog_warn(struct pb_peerlog *log, uint64_t now_ms,
	    const char *peer, const char *cause, const char *text);

#endif
