/*
 * cli/status/live.h - asking the recorder that runs on a store how it does
 *
 * GET /v1/status on STORE/recorder.sock: what each capture has counted
 * since the recorder started, and its rates.
 */
#ifndef PB_CLI_LIVE_H
#define PB_CLI_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "pcapng/stamp.h"

#define PB_LIVE_TIMEOUT_MS	2000

/* The answer's body, a JSON object, appended to `body`. */
int	pb_live_ask(const char *store, struct pb_buf *body,
	    struct pb_err *err);

struct pb_live_capture {
	char		interface[PB_IFNAME_BYTES_MAX * 3 + 1];
	char		error[PB_ERR_TEXT_MAX * 3];	/* "" while it is up */
	bool		up;
	uint64_t	packets, bytes;
	uint64_t	dropped;	/* by kernel, interface and store */
	double		pps, bps;	/* packets and bits a second */
	char		clock[64];	/* that stamps; "" before it was up */
	unsigned	trailers;	/* of its list: */
	struct pb_live_trailer {
		char	 trailer[64];
		uint64_t parsed, unparsed;	/* frames */
	}		trailer[PB_STAMPS_MAX];
	/* Of `forward`; "" and 0 where it is not configured. */
	char		forward[PB_IFNAME_BYTES_MAX * 3 + 1];
	char		forward_error[PB_ERR_TEXT_MAX * 3];
	bool		forwarding;
	uint64_t	forwarded, refused;	/* packets */
};

/*
 * Calls `each`, if given, for the captures of a body in its order.  A
 * recorder of before says nothing of `forward`, or of `clock`.
 * PB_EFORMAT where the body is not what a recorder says.
 */
int	pb_live_captures(const char *body, size_t len,
	    void (*each)(void *arg, const struct pb_live_capture *capture),
	    void *arg, struct pb_err *err);

/* What else it says. */
struct pb_live {
	/* Of retention, since the recorder started. */
	uint64_t	deleted_segments, deleted_bytes;
	uint64_t	expired;	/* packets, not acknowledged */
	char		why[PB_ERR_TEXT_MAX];	/* a bound is not kept, or "" */
	char		trouble[PB_ERR_TEXT_MAX];	/* why the store cannot
						 * be written, or "" */
	char		listen_waits[PB_ERR_TEXT_MAX];	/* why it does not
						 * listen, or "" */
	uint64_t	log_left_out;	/* lines of its log */
};

/* PB_EFORMAT as above.  What a recorder of before does not say is 0 or "". */
int	pb_live_read(const char *body, size_t len, struct pb_live *out,
	    struct pb_err *err);

#endif
