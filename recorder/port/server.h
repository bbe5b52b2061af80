/*
 * recorder/port/server.h - HTTP/1.1 for one door
 *
 * libmicrohttpd, met here alone, driven from the caller's loop: wait for
 * pb_server_fd() to be readable or pb_server_timeout_ms() to pass, then
 * pb_server_run().  One thread calls all of it.
 *
 * How long a connection may take, and is cut off where it takes longer:
 *
 *	head	`head_timeout` from its start; later, that and
 *		`idle_timeout` from the last answer
 *	body	intake/room.h
 *	answer	taken within `idle_timeout` and the time its bytes need at
 *		`body_rate_min`; of a long one each part.  While it is made,
 *		whether the peer is still there
 *	idle	`idle_timeout` without a byte, between requests too
 */
#ifndef PB_INGEST_SERVER_H
#define PB_INGEST_SERVER_H

#include "recorder/port/request.h"

struct pb_server;

struct pb_server_opts {
	struct pb_service *service;	/* borrowed until destroy */
	enum pb_door	door;
	unsigned	connections_max;
	unsigned	connections_per_peer;	/* address; 0: no bound */
	const struct pb_conf_tls *tls;	/* NULL: plain HTTP */
};

/* It takes nobody before pb_server_listen().  PB_EINVAL: a certificate is
 * wrong, or TLS is not built in. */
int	pb_server_create(struct pb_server **out,
	    const struct pb_server_opts *opts, struct pb_err *err);
/* Requests under way are broken off; none may be at the writer. */
void	pb_server_destroy(struct pb_server *server);

int	pb_server_fd(const struct pb_server *server);
/* Cuts off who has taken too long; milliseconds until it must run in any
 * case, -1: no need. */
int	pb_server_timeout_ms(struct pb_server *server, uint64_t now_ms);
void	pb_server_run(struct pb_server *server);

/* Take connections from `listen_fd`, which is the server's from now on, also
 * where this fails; or no new ones. */
int	pb_server_listen(struct pb_server *server, int listen_fd,
	    struct pb_err *err);
void	pb_server_quiesce(struct pb_server *server);
unsigned pb_server_connections(const struct pb_server *server);

#endif
