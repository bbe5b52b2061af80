/*
 * recorder/port/route.h - what a method and a path ask for
 *
 * The paths of docs/protocol.md, names in them percent-encoded.
 */
#ifndef PB_INGEST_ROUTE_H
#define PB_INGEST_ROUTE_H

#include <stdbool.h>

#include "base/err.h"
#include "recorder/store/layout.h"

enum pb_route_kind {
	PB_ROUTE_HEALTH,	/* GET /v1/health */
	PB_ROUTE_METRICS,	/* GET /metrics */
	PB_ROUTE_STATUS,	/* GET /v1/status, local door only */
	PB_ROUTE_STREAM,	/* GET /v1/streams/NODE/IFACE/EPOCH */
	PB_ROUTE_PACKETS,	/* POST .../packets */
	PB_ROUTE_GAPS,		/* POST .../gaps */
};

struct pb_route {
	enum pb_route_kind kind;
	bool		method_fits;
	const char	*allow;		/* the methods that do */
	struct pb_stream_key key;	/* of STREAM, PACKETS, GAPS */
};

/* PB_ENOENT: no such path.  PB_EINVAL: a name or epoch is wrong. */
int	pb_route_parse(const char *method, const char *path, bool local,
	    struct pb_route *out, struct pb_err *err);

#endif
