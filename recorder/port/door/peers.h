/*
 * recorder/port/door/peers.h - what each remote address holds of us
 *
 * Connections, and bytes of bodies in memory, counted by address, so that
 * one address cannot take what is there for all.  No sockets, no clocks;
 * one thread.
 * Limit: an entry for each address that is connected.
 */
#ifndef PB_INGEST_PEERS_H
#define PB_INGEST_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"
#include "recorder/intake/claim.h"

struct pb_peers;

/* Answers that are kept for who pulls. */
struct pb_held {
	unsigned	answers;
	size_t		bytes;		/* of memory, for those */
};

/* An address that is connected; gone with its last connection. */
struct pb_peer_address {
	unsigned char	bytes[16];
	size_t		len;		/* of those; 4 or 16 */
	unsigned	connections;
	struct pb_share	share;		/* of the memory; the user's, as is */
	unsigned	long_answers;
	struct pb_held	held;
};

/* `connections_max` of one address; 0: no bound.  PB_ENOMEM. */
int	pb_peers_create(struct pb_peers **out, unsigned connections_max,
	    struct pb_err *err);
void	pb_peers_destroy(struct pb_peers *peers);

/* May one more come from there?  What is not IP always may. */
bool	pb_peers_room(const struct pb_peers *peers,
	    const struct sockaddr *from);
/* It has come.  NULL where it is not IP, or for want of memory: then
 * nothing is counted. */
struct pb_peer_address *pb_peers_enter(struct pb_peers *peers,
	    const struct sockaddr *from);
/* It has gone; NULL is fine. */
void	pb_peers_leave(struct pb_peers *peers,
	    struct pb_peer_address *address);

#endif
