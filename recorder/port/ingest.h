/*
 * recorder/port/ingest.h - the HTTP server that takes in packets
 *
 * One thread for all peers: libmicrohttpd driven by our own epoll loop.
 * A request waits (suspended) while the writer makes its packets durable;
 * the writer wakes the loop through an eventfd.
 *
 * Two doors, one code: TCP from [listen], where each packet gets this
 * node's hop record; and STORE/recorder.sock (mode 0600), where `pb import`
 * brings packets in at their origin: no hop is added, any node name goes.
 */
#ifndef PB_INGEST_INGEST_H
#define PB_INGEST_INGEST_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "conf/conf.h"
#include "recorder/store/write/store.h"

struct pb_ingest;

struct pb_ingest_opts {
	const struct pb_conf *conf;	/* borrowed until stop */
	struct pb_store	*store;		/* borrowed until stop */
	/* What the rest of the recorder tells: members of the open object of
	 * GET /v1/status, lines of GET /metrics; part 0, 1, ..., until false.
	 * A part has at most 32 KiB.  Any thread.  May be NULL. */
	bool		(*status)(void *arg, size_t part,
			    struct pb_json *json);
	bool		(*metrics)(void *arg, size_t part,
			    struct pb_buf *out);
	void		*arg;
	/* For tests: other paths than service.c has; no readers' threads, but
	 * pb_readers_turn(). */
	const struct pb_route_row *routes;
	bool		 stepped;
};

/* Are the certificates and the key of [listen] there, and right, now?  Those
 * of pb_tls_init(). */
int	pb_ingest_check(const struct pb_conf *conf, struct pb_err *err);

/*
 * Bind, start the thread.  A [listen] address that is not there (yet), or
 * whose name is not known, and certificates that are not there or wrong, are
 * tried again until they are: no error.  PB_EINVAL where the address has no
 * such form.
 */
int	pb_ingest_start(struct pb_ingest **out,
	    const struct pb_ingest_opts *opts, struct pb_err *err);

/*
 * The store that STORE/recorder.sock is in: 0, it is gone, and the local
 * door is closed; else the door is opened at the path, once for each
 * number.  Open with 1 at the start.  Calling it again with the same number
 * tries again what has failed.  Any thread.
 */
void	pb_ingest_local(struct pb_ingest *ingest, uint64_t store);

/* What pullers get is what their sections say in `conf`, from now on.  Any
 * thread. */
void	pb_ingest_sift(struct pb_ingest *ingest, const struct pb_conf *conf);

/* Stop taking requests, let those in flight end, end the thread. */
void	pb_ingest_stop(struct pb_ingest *ingest);

#endif
