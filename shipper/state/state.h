/*
 * shipper/state/state.h - what the shipper tells about itself, on disk
 *
 * STORE/shipper is an LMDB environment.  The shipper alone writes it (or
 * `pb dlq`, under the shipper's lock); `pb` and retention read it by short
 * transactions.  KEY is NAME \0 NODE \0 INTERFACE \0 EPOCH, NAME that of
 * the upstream; numbers in keys are big-endian.
 *
 * News for people and for retention, not the truth: what a receiver has,
 * the receiver is asked.
 *	upstreams  NAME                   its state
 *	cursors    KEY                    one stream's
 *	acks       KEY                    the same for retention: acks.h
 * Dead letters (letters.h), where the rows are the truth.
 *	letters    KEY FIRST              a letter
 *	ages       NAME \0 SINCE ...      those with a file, oldest first, by
 *	                                  the shipper's age; behind SINCE the
 *	                                  rest of its key
 *	links      KEY SEGMENT            a file: its letters and bytes
 *	files      KEY SEGMENT            one that may have no letter
 *	counts     NAME                   sums over all letters
 *	meta       `fill`                 the last fill looked at
 *	           `age`                  the shipper's own (base/age.h)
 *	           `fork` \0 KEY          a stream's epochs there: forks.h
 *
 * Rows are little-endian, a version octet first; rows of another version
 * are skipped.
 */
#ifndef PB_SHIPPER_STATE_H
#define PB_SHIPPER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "recorder/store/layout.h"
#include "shipper/ship/ship.h"

#define PB_STATE_MAP_BYTES	(1ull << 30)

struct pb_upstream_row {
	char		name[PB_NAME_BYTES_MAX + 1];
	enum pb_ship_state state;
	uint64_t	since_ns;	/* in this state; real time */
	uint64_t	written_ns;	/* when the row was written */
	uint64_t	progress_ns;	/* last ack that moved; 0: none */
	uint64_t	retry_ns;	/* backoff: the next try; else 0 */
	uint32_t	attempts;	/* failures in a row */
	uint32_t	streams;
	uint32_t	refused;	/* of them, waiting or refused */
	uint64_t	flight_bytes;
	uint64_t	sent_bytes;	/* since the shipper started */
	uint64_t	acked_bytes;
	uint64_t	acked_packets;
	/* Packets, by all shippers so far: left out by the filter; and not
	 * sent, as the sink cannot carry them, why not the last one. */
	uint64_t	filtered;
	uint64_t	unfit;
	char		unfit_text[PB_SHIP_TEXT_MAX];
	/* Of one with a pace, since the shipper started: streams that were
	 * given a clock of their own, and how far the last one is behind. */
	uint64_t	apart;
	uint64_t	apart_ns;
	/* PAUSED: the minute of the day, local, at which it is sent to again,
	 * and 1 more. */
	uint32_t	opens;
	uint64_t	failures;	/* since the shipper started */
	uint64_t	error_ns;	/* when the last one was; 0: none */
	/* A second, now (speed.h): packets and bytes acked; packets that are
	 * new. */
	uint64_t	pps, byteps, comes_pps;
	char		url[PB_TEXT_BYTES_MAX];
	char		last_error[PB_SHIP_TEXT_MAX];
};

struct pb_cursor_row {
	struct pb_stream_key key;
	enum pb_cursor_state state;
	uint64_t	acked;
	uint64_t	sent;
	/* All up to it is acked, or a dead letter with a file. */
	uint64_t	released;
	/* Numbers up to wait_seq wait for so many ms of trying; 0: none. */
	uint64_t	wait_seq;
	uint64_t	wait_ms;
	uint64_t	written_ns;
	struct pb_fingerprint sure;	/* confirmed last; seq 0: none */
	/* Perhaps sent, to who is sent nothing twice (ship.h). */
	struct pb_ship_run unsure[PB_SHIP_UNSURE];
	char		text[PB_SHIP_TEXT_MAX];	/* why it waits, or "" */
};

/* One per process, for any thread; readers wait for nobody. */
struct pb_state;

/* Open for writing, made where missing; the caller has shipper.lock.
 * PB_EFORMAT: it is damaged, and was left as it is. */
int	pb_state_open_write(struct pb_state **out, const char *store,
	    struct pb_err *err);
/* Open for reading; PB_ENOENT where no shipper has ever run. */
int	pb_state_open(struct pb_state **out, const char *store,
	    struct pb_err *err);
void	pb_state_close(struct pb_state *state);

/* --- writing: begin, any number of puts, commit; by one thread ---------- */

int	pb_state_begin(struct pb_state *state, struct pb_err *err);
/* A failure of these shows at the commit.  A cursor's acks row is written
 * with it. */
void	pb_state_put_upstream(struct pb_state *state,
	    const struct pb_upstream_row *row);
void	pb_state_put_cursor(struct pb_state *state, const char *upstream,
	    const struct pb_cursor_row *row);
int	pb_state_commit(struct pb_state *state);

/* Delete all rows of upstreams that `keep` answers false for, but for
 * their letters. */
int	pb_state_forget(struct pb_state *state,
	    bool (*keep)(void *arg, const char *upstream), void *arg,
	    struct pb_err *err);

/* --- reading ------------------------------------------------------------ */

/* Upstreams by name, those after `after` (NULL: from the start): up to
 * `max` rows; their count or an error. */
int	pb_state_upstreams(struct pb_state *state, const char *after,
	    struct pb_upstream_row *out, size_t max, struct pb_err *err);

/* The row of one upstream: 1; 0 where there is none, or it is damaged; or an
 * error. */
int	pb_state_upstream(struct pb_state *state, const char *name,
	    struct pb_upstream_row *out, struct pb_err *err);

/* Cursors of one upstream by node, interface and epoch; likewise. */
int	pb_state_cursors(struct pb_state *state, const char *upstream,
	    const struct pb_stream_key *after, struct pb_cursor_row *out,
	    size_t max, struct pb_err *err);

/* The cursor of one stream: 1, 0 where there is none, or an error;
 * PB_EFORMAT: it is damaged, or of another version. */
int	pb_state_cursor(struct pb_state *state, const char *upstream,
	    const struct pb_stream_key *key, struct pb_cursor_row *out,
	    struct pb_err *err);

/* --- one shipper per store ---------------------------------------------- */

/* Take STORE/shipper.lock; PB_EBUSY names the pid of who has it. */
int	pb_shipper_lock(int *fd, const char *store, struct pb_err *err);

/* Does another process ship this store?  True with its pid. */
bool	pb_shipper_running(const char *store, pid_t *pid);

#endif
