/*
 * recorder/port/door/peers.c - what each remote address holds of us
 */
#include "recorder/port/door/peers.h"

#include <netinet/in.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct pb_peers {
	unsigned	connections_max;
	void		*tree;		/* tsearch(3): of addresses */
};

static bool	address_of(struct pb_peer_address *, const struct sockaddr *);
static int	compare(const void *, const void *);

int
pb_peers_create(struct pb_peers **out, unsigned connections_max,
    struct pb_err *err)
{
	struct pb_peers *peers = calloc(1, sizeof(*peers));

	if (peers == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	peers->connections_max = connections_max;
	*out = peers;
	return 0;
}

void
pb_peers_destroy(struct pb_peers *peers)
{
	if (peers == NULL)
		return;
	tdestroy(peers->tree, free);
	free(peers);
}

bool
pb_peers_room(const struct pb_peers *peers, const struct sockaddr *from)
{
	struct pb_peer_address key, **found;

	if (!address_of(&key, from) || peers->connections_max == 0)
		return true;
	found = tfind(&key, &peers->tree, compare);
	return found == NULL ||
	    (*found)->connections < peers->connections_max;
}

struct pb_peer_address *
pb_peers_enter(struct pb_peers *peers, const struct sockaddr *from)
{
	struct pb_peer_address key, **found, *address;

	if (!address_of(&key, from))
		return NULL;
	found = tfind(&key, &peers->tree, compare);
	if (found == NULL) {
		address = malloc(sizeof(*address));
		if (address == NULL)
			return NULL;
		*address = key;
		found = tsearch(address, &peers->tree, compare);
		if (found == NULL) {
			free(address);
			return NULL;
		}
	}
	(*found)->connections++;
	return *found;
}

void
pb_peers_leave(struct pb_peers *peers, struct pb_peer_address *address)
{
	if (address == NULL || --address->connections > 0)
		return;
	tdelete(address, &peers->tree, compare);
	free(address);
}

/* One that has nothing, without the port; false where it is not IP. */
static bool
address_of(struct pb_peer_address *out, const struct sockaddr *from)
{
	memset(out, 0, sizeof(*out));
	if (from != NULL && from->sa_family == AF_INET) {
		out->len = sizeof(struct in_addr);
		memcpy(out->bytes, &((const struct sockaddr_in *)
		    (const void *)from)->sin_addr, out->len);
	} else if (from != NULL && from->sa_family == AF_INET6) {
		out->len = sizeof(struct in6_addr);
		memcpy(out->bytes, &((const struct sockaddr_in6 *)
		    (const void *)from)->sin6_addr, out->len);
	}
	return out->len > 0;
}

static int
compare(const void *a, const void *b)
{
	const struct pb_peer_address *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->bytes, y->bytes, x->len);
}
