/*
 * shipper/wire/sockets.h - the sockets of requests, and what waits in them
 *
 * A slow link takes minutes for what the kernel took at once.  What it has
 * not yet delivered tells a slow peer from a silent one.
 * Limit: one entry a socket; its user bounds those.
 */
#ifndef PB_SHIPPER_SOCKETS_H
#define PB_SHIPPER_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct pb_sockets {
	LIST_HEAD(, pb_socket) open;
};

/* libcurl closes some sockets itself, those that were connecting when it
 * gave up: the next one with that descriptor takes the entry's place. */

/* A zeroed pb_sockets has none.  The descriptor, closed on exec, or -1. */
int	pb_sockets_open(struct pb_sockets *sockets, int family, int type,
	    int protocol);
/* Close what pb_sockets_open() gave. */
void	pb_sockets_close(struct pb_sockets *sockets, int fd);

/* Forget all, once libcurl has closed them. */
void	pb_sockets_finish(struct pb_sockets *sockets);

/* Bytes that the peers of the TCP sockets at this local port have not
 * acknowledged. */
uint64_t pb_sockets_queued(const struct pb_sockets *sockets, uint16_t port);

#endif
