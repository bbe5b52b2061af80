/*
 * recorder/port/service.h - what all requests share
 *
 * The node's name and rules, the line to the writer, and the counters.  One
 * thread: the ingest thread.
 */
#ifndef PB_INGEST_SERVICE_H
#define PB_INGEST_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "recorder/port/door/peers.h"
#include "recorder/port/ingest.h"
#include "recorder/intake/intake.h"
#include "recorder/intake/room.h"
#include "recorder/port/offers.h"
#include "recorder/port/peerlog.h"
#include "recorder/port/readers.h"
#include "recorder/port/route.h"
#include "recorder/port/sifts.h"

#define PB_STATUSES	16	/* the status codes we answer with */

struct pb_service {
	const struct pb_conf *conf;
	struct pb_ingest_opts opts;
	const struct pb_route_row *routes;
	struct pb_intake *intake;
	struct pb_rooms	*rooms;		/* for bodies */
	struct pb_readers *readers;	/* for answers */
	struct pb_node	 self;
	struct pb_peerlog log;
	uint64_t	 now_ms;	/* of what happens now, for the log */
	uint64_t	 answers[PB_STATUSES];
	size_t		 requests;	/* under way */
	unsigned	 long_answers;	/* of those */
	_Atomic unsigned digests;	/* answers in the making */
	/* The shipper has not answered: not asked before that. */
	_Atomic uint64_t shipper_ms;
	struct pb_held	 held;		/* for pullers */
	struct pb_offers *offers;	/* what may be pulled, */
	struct pb_sifts	*sifts;		/* and what of its packets */
	unsigned	 connections;	/* open; kept by the loop */
	/* Why it does not listen at [listen] address, or "". */
	char		 waits[PB_ERR_TEXT_MAX];
	bool		 stopping;
};

/*
 * `wake` as in intake.h and readers.h.  The configuration and the store of
 * `opts` are borrowed until destroy.
 */
int	pb_service_create(struct pb_service **out,
	    const struct pb_ingest_opts *opts, void (*wake)(void *arg),
	    void *arg, struct pb_err *err);
void	pb_service_destroy(struct pb_service *service);

#endif
