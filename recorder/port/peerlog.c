/*
 * recorder/port/peerlog.c - log lines about peers, at a bounded rate
 */
#include "recorder/port/peerlog.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "base/log.h"

#define PROBES	8u	/* slots looked at for a peer and cause */

static struct pb_peerlog_slot *slot_of(struct pb_peerlog *, uint64_t,
		    uint64_t);

bool
pb_peerlog_warn(struct pb_peerlog *log, uint64_t now_ms, const char *peer,
    const char *cause, const char *text)
{
	uint64_t hash = XXH3_64bits_withSeed(peer, strlen(peer),
	    XXH3_64bits(cause, strlen(cause)));
	struct pb_peerlog_slot *slot = slot_of(log, hash | 1, now_ms);
	uint64_t left_out;

	if (slot == NULL)
		return false;
	if (slot->hash == (hash | 1) && now_ms < slot->until_ms) {
		slot->left_out++;
		return false;
	}
	left_out = slot->hash == (hash | 1) ? slot->left_out : 0;
	slot->hash = hash | 1;
	slot->until_ms = now_ms + PB_PEERLOG_MS;
	slot->left_out = 0;
	if (left_out > 0)
		pb_log(PB_LOG_WARN, "ingest", "%s peer=%s cause=%s "
		    "left_out=%" PRIu64, text, peer, cause, left_out);
	else
		pb_log(PB_LOG_WARN, "ingest", "%s peer=%s cause=%s", text,
		    peer, cause);
	return true;
}

/* Its own slot, or one that nobody needs any more, or NULL. */
static struct pb_peerlog_slot *
slot_of(struct pb_peerlog *log, uint64_t hash, uint64_t now_ms)
{
	struct pb_peerlog_slot *spare = NULL, *slot;

	for (size_t i = 0; i < PROBES; i++) {
		slot = &log->slot[(hash / 2 + i) % PB_PEERLOG_SLOTS];
		if (slot->hash == hash)
			return slot;
		if (spare == NULL && now_ms >= slot->until_ms)
			spare = slot;
	}
	return spare;
}
