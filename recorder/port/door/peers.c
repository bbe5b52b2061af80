/*
 * recorder/port/door/peers.c - what each remote address holds of us
 */
#include "recorder/port/door/peers.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/sys.h"

#define SLOTS	1024u		/* a power of two */

struct pb_peers {
	unsigned	connections_max;
	uint64_t	seed;	/* nobody can aim at one slot */
	struct pb_peer_address *slot[SLOTS];
};

static size_t	address_of(const struct sockaddr *, const void **);
static struct pb_peer_address *find(const struct pb_peers *, const void *,
		    size_t);
static size_t	slot_of(const struct pb_peers *, const void *, size_t);

int
pb_peers_create(struct pb_peers **out, unsigned connections_max,
    struct pb_err *err)
{
	struct pb_peers *peers = calloc(1, sizeof(*peers));

	if (peers == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	peers->connections_max = connections_max;
	peers->seed = pb_random64();
	*out = peers;
	return 0;
}

void
pb_peers_destroy(struct pb_peers *peers)
{
	if (peers == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		while (peers->slot[i] != NULL) {
			struct pb_peer_address *next = peers->slot[i]->chain;

			free(peers->slot[i]);
			peers->slot[i] = next;
		}
	free(peers);
}

bool
pb_peers_room(const struct pb_peers *peers, const struct sockaddr *from)
{
	const struct pb_peer_address *address;
	const void *bytes;
	size_t len = address_of(from, &bytes);

	if (len == 0 || peers->connections_max == 0)
		return true;
	address = find(peers, bytes, len);
	return address == NULL ||
	    address->connections < peers->connections_max;
}

struct pb_peer_address *
pb_peers_enter(struct pb_peers *peers, const struct sockaddr *from)
{
	struct pb_peer_address *address;
	const void *bytes;
	size_t len = address_of(from, &bytes), slot;

	if (len == 0)
		return NULL;
	address = find(peers, bytes, len);
	if (address == NULL) {
		address = calloc(1, sizeof(*address));
		if (address == NULL)
			return NULL;
		memcpy(address->bytes, bytes, len);
		address->len = len;
		slot = slot_of(peers, bytes, len);
		address->chain = peers->slot[slot];
		peers->slot[slot] = address;
	}
	address->connections++;
	return address;
}

void
pb_peers_leave(struct pb_peers *peers, struct pb_peer_address *address)
{
	struct pb_peer_address **at;

	if (address == NULL || --address->connections > 0)
		return;
	at = &peers->slot[slot_of(peers, address->bytes, address->len)];
	while (*at != address)
		at = &(*at)->chain;
	*at = address->chain;
	free(address);
}

/* Its bytes without the port, and how many; 0 where it is not IP. */
static size_t
address_of(const struct sockaddr *from, const void **bytes)
{
	if (from != NULL && from->sa_family == AF_INET) {
		*bytes = &((const struct sockaddr_in *)
		    (const void *)from)->sin_addr;
		return sizeof(struct in_addr);
	}
	if (from != NULL && from->sa_family == AF_INET6) {
		*bytes = &((const struct sockaddr_in6 *)
		    (const void *)from)->sin6_addr;
		return sizeof(struct in6_addr);
	}
	return 0;
}

static struct pb_peer_address *
find(const struct pb_peers *peers, const void *bytes, size_t len)
{
	struct pb_peer_address *address =
	    peers->slot[slot_of(peers, bytes, len)];

	while (address != NULL && (address->len != len ||
	    memcmp(address->bytes, bytes, len) != 0))
		address = address->chain;
	return address;
}

static size_t
slot_of(const struct pb_peers *peers, const void *bytes, size_t len)
{
	return XXH3_64bits_withSeed(bytes, len, peers->seed) & (SLOTS - 1);
}
