/*
 * shipper/wire/proxy.h - what a proxy on the way to a peer wants to know
 */
#ifndef PB_SHIPPER_PROXY_H
#define PB_SHIPPER_PROXY_H

#include "base/err.h"

#define PB_PROXY_AUTH_MAX	512

/*
 * The first line of the file, `user:password` (RFC 7617, section 2), without
 * the end of the line; "" where `path` is "".  PB_EINVAL: it cannot be read,
 * or its first line is something else or longer.
 */
int	pb_proxy_auth_read(char out[static PB_PROXY_AUTH_MAX],
	    const char *path, struct pb_err *err);

#endif
