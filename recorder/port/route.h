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

#define PB_ALLOW_BYTES_MAX	32	/* of a header Allow */
#define PB_ROUTE_NODE		"/v1/streams/NODE"
#define PB_ROUTE_STREAM		PB_ROUTE_NODE "/IFACE/EPOCH"

struct pb_handler;

/* One of those there are; the last one has no method. */
struct pb_route_row {
	const char	*method;	/* GET is HEAD as well */
	const char	*path;		/* a part in capitals stands for any */
	const struct pb_handler *handler;
	bool		 local;		/* by the local door only */
};

struct pb_route {
	const struct pb_handler *handler;	/* NULL: no such method, */
	char		allow[PB_ALLOW_BYTES_MAX]; /* but these */
	/* epoch 0: the path names no stream, but perhaps a node. */
	struct pb_stream_key key;
};

/* PB_ENOENT: no such path.  PB_EINVAL: a name or epoch is wrong. */
int	pb_route_find(struct pb_route *out, const struct pb_route_row *row,
	    const char *method, const char *path, bool local,
	    struct pb_err *err);

#endif
