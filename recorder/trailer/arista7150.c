/*
 * recorder/trailer/arista7150.c - Arista 7150, ticks and keyframes
 *
 * A stamp is 4 bytes at the frame's end, either before a new FCS or in its
 * place: a count of 31 bits, with a bit of padding at bit 7, of 20/7 ns each,
 * which wraps in 6.136 s.  What it counts from, keyframes say that the switch
 * sends out of the same port: IPv4 of protocol 253 and 66 bytes, or 82 with
 * `skew`:
 *
 *   tick 8 | UTC in ns 8 | last sync 8 | (skew 16) | time of the keyframe 8 |
 *   drops 8 | device 2 | port 2 | FCS mode 1 | reserved 1
 *
 * Source: Arista, "Timestamping on the 7150 Series".
 *
 * Promise: a tick has a time only where a keyframe is there, not older than
 * KEY_NS_MAX, whose own time followed the one before at the tick's rate, and
 * where as much time went by since then by the capture's clock; else it is
 * adrift.  What UTC the keyframe says is believed, as any stamp is.
 * Limit: what skew means is not published; it is not applied.
 */
#include <stdlib.h>

#include "recorder/trailer/formats.h"

#define TICK_BYTES	4u
#define TICK_BITS	31
#define TICK_NS		20		/* in 7 ticks */
#define TICK_TICKS	7

#define IP_HEADER	20u
#define IP_PROTOCOL	253u		/* RFC 3692: for experiments */
#define KEY_BYTES	66u		/* of IP */
#define SKEW_BYTES	16u

#define KEY_NS_MAX	(10 * (int64_t)PB_NS_PER_S)
#define APART_NS_MAX	((int64_t)PB_NS_PER_S)	/* frame and capture */
#define STEP_TICKS_MAX	(1ll << 40)	/* 52 minutes */
#define STEP_NS_MIN	1000		/* off at least, */
#define STEP_PARTS	5000		/* or 200 in a million */

enum { MODE_OFF = 0, MODE_REPLACE = 2 };	/* 1: before the FCS */

static const uint8_t *key_find(const struct peel *, uint32_t *);
static void	key_take(struct peel *, const uint8_t *, uint32_t);
static bool	follows(const struct pb_trailer_key *, uint64_t, uint64_t);
static void	tick_time(const struct peel *, struct pb_stamp *, uint32_t);

bool
pb_take_arista7150(struct peel *peel, const uint8_t *tail,
    struct pb_stamp *stamp)
{
	uint32_t word = pb_get_be32(tail), bytes;
	const uint8_t *at;

	at = key_find(peel, &bytes);
	if (at != NULL) {
		key_take(peel, at, bytes);
		peel->out->keyframe = true;
		return true;
	}
	if (peel->bare)
		return false;
	tick_time(peel, stamp, (word & 0xFFFFFF00) >> 1 | (word & 0x7F));
	return true;
}

/* --- keyframes ----------------------------------------------------------- */

/* What is known of the last one; NULL without a context. */
static struct pb_trailer_key *
key_of(const struct peel *peel)
{
	return peel->context != NULL ?
	    &peel->context->key[peel->trailer - peel->list->at] : NULL;
}

/* The body of a keyframe of so many bytes; NULL where it is none.  One may
 * have a tick behind it. */
static const uint8_t *
key_find(const struct peel *peel, uint32_t *bytes)
{
	uint32_t ip = pb_peel_vlans(peel) + 2, length;
	uint32_t end = peel->end + TICK_BYTES;	/* it has none */
	const uint8_t *at = peel->frame + ip;

	if (end < ip + KEY_BYTES || pb_get_be16(at - 2) != 0x0800 ||
	    at[0] != 0x45 || at[9] != IP_PROTOCOL)
		return NULL;
	length = pb_get_be16(at + 2);
	if ((length != KEY_BYTES && length != KEY_BYTES + SKEW_BYTES) ||
	    pb_ip_checksum(at, IP_HEADER) != 0 ||
	    (end != ip + length && end != ip + length + TICK_BYTES))
		return NULL;
	*bytes = length - IP_HEADER;
	return at + IP_HEADER;
}

static void
key_take(struct peel *peel, const uint8_t *at, uint32_t bytes)
{
	struct pb_trailer_key *key = key_of(peel);
	uint64_t tick = pb_get_be64(at), utc_ns = pb_get_be64(at + 8);
	const uint8_t *end = at + bytes;

	if (key == NULL)
		return;
	key->adrift = utc_ns <= STAMP_SECONDS_MIN * PB_NS_PER_S ||
	    (key->seen && !follows(key, tick, utc_ns));
	key->seen = true;
	key->tick = tick;
	key->utc_ns = utc_ns;
	key->seen_ns = peel->capture_ns;
	key->device = pb_get_be16(end - 6);
	key->port = pb_get_be16(end - 4);
	key->fcs_mode = end[-2];
}

/* Did as many nanoseconds go by as ticks, about? */
static bool
follows(const struct pb_trailer_key *key, uint64_t tick, uint64_t utc_ns)
{
	int64_t ticks = (int64_t)(tick - key->tick), ns, off;

	if (ticks < -STEP_TICKS_MAX || ticks > STEP_TICKS_MAX)
		return false;
	ns = ticks * TICK_NS / TICK_TICKS;
	off = (int64_t)(utc_ns - key->utc_ns - (uint64_t)ns);
	return off <= llabs(ns) / STEP_PARTS + STEP_NS_MIN &&
	    off >= -(llabs(ns) / STEP_PARTS + STEP_NS_MIN);
}

/* --- ticks --------------------------------------------------------------- */

/* Ticks since the keyframe, of which the lower bits are `low`, and the time
 * in between is about `ns`. */
static int64_t
ticks_since(const struct pb_trailer_key *key, uint32_t low, int64_t ns)
{
	const int64_t turn = 1ll << TICK_BITS;
	int64_t about = ns * TICK_TICKS / TICK_NS;
	int64_t ticks = (int64_t)((low - key->tick) & (uint64_t)(turn - 1));

	ticks += about - (about & (turn - 1));
	if (ticks - about > turn / 2)
		ticks -= turn;
	else if (about - ticks > turn / 2)
		ticks += turn;
	return ticks;
}

static void
tick_time(const struct peel *peel, struct pb_stamp *stamp, uint32_t low)
{
	const struct pb_trailer_key *key = key_of(peel);
	int64_t since, ticks, parts, ns;

	stamp->flags |= PB_STAMP_ADRIFT;
	if (key == NULL || !key->seen)
		return;
	stamp->device = key->device;
	stamp->port = key->port;
	stamp->flags |= PB_STAMP_PLACED;
	since = (int64_t)(peel->capture_ns - key->seen_ns);
	if (key->adrift || since > KEY_NS_MAX || since < -KEY_NS_MAX ||
	    key->fcs_mode == MODE_OFF ||
	    (key->fcs_mode == MODE_REPLACE && peel->had_fcs))
		return;
	ticks = ticks_since(key, low, since);
	parts = ticks * TICK_NS;
	ns = parts / TICK_TICKS - (parts % TICK_TICKS < 0);
	if (ns - since > APART_NS_MAX || since - ns > APART_NS_MAX)
		return;
	stamp->time_ns = key->utc_ns + (uint64_t)ns;
	stamp->fraction = (uint32_t)(((uint64_t)(parts - ns * TICK_TICKS)
	    << 32) / TICK_TICKS);
	stamp->flags ^= PB_STAMP_ADRIFT | PB_STAMP_EXTENDED | PB_STAMP_TIMED;
}
