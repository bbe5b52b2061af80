/*
 * recorder/port/server_impl.h - inside a server
 *
 * server.c has the daemon and takes connections; conn.c has these, and the
 * request on each.
 */
#ifndef PB_INGEST_SERVER_IMPL_H
#define PB_INGEST_SERVER_IMPL_H

#include <arpa/inet.h>
#include <microhttpd.h>
#include <sys/queue.h>

#include "recorder/port/door/tls.h"
#include "recorder/port/server.h"

#define PEER_BYTES_MAX	(INET6_ADDRSTRLEN + PB_NAME_BYTES_MAX + 4)
#define NEVER		UINT64_MAX

struct pb_server {
	struct pb_service *service;
	struct MHD_Daemon *daemon;
	struct pb_accept *accept;
	enum pb_door	door;
	struct pb_tls	tls;
	bool		has_tls;
	bool		resumed;	/* some connection goes on */
	size_t		turn_bytes;	/* of bodies, since they began */
	unsigned	connections_max;
	struct pb_peers	*addresses;
	TAILQ_HEAD(, conn) conns;
	uint64_t	due_ms;		/* no deadline is before */
};

/* For the library: a connection comes or goes; a request's head, body and end
 * are there; it is over. */
void	conn_notify(void *arg, struct MHD_Connection *connection, void **slot,
	    enum MHD_ConnectionNotificationCode code);
enum MHD_Result conn_request(void *arg, struct MHD_Connection *connection,
	    const char *url, const char *method, const char *version,
	    const char *data, size_t *len, void **slot);
void	conn_completed(void *arg, struct MHD_Connection *connection,
	    void **slot, enum MHD_RequestTerminationCode code);

/* Cut off who has taken too long. */
void	conn_cut_late(struct pb_server *server, uint64_t now_ms);
/* Resume all: the library must not end while one is suspended. */
void	conn_resume_all(struct pb_server *server);
void	conn_address(const struct sockaddr *from,
	    char out[static PEER_BYTES_MAX]);

#endif
