/*
 * recorder/flow/flows.c - the flows of some packets, and what each knows
 *
 * What a packet costs is what capture pays: a key, a slot, a few counts, and
 * the lanes of its first bytes, compared.  A flow is in five lines of the
 * processor's cache, one behind the other; one that a table does not have yet
 * is moved there as it is.
 */
#include "recorder/flow/flows_impl.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/digest.h"
#include "pcapng/block.h"
#include "recorder/flow/lane.h"

#define WORDS		(sizeof(struct pb_flow_key) / sizeof(uint64_t))
#define LANE		PB_LANE
#define NONE		UINT32_MAX
#define LEAST(a, b)	((a) < (b) ? (a) : (b))
#define MOST(a, b)	((a) > (b) ? (a) : (b))
/* As many flows as a chunk has are merged without memory of their own. */
#define MERGE_FLOWS	2049u
#define AHEAD		8u	/* flows that are fetched */

typedef pb_lane lane;
typedef uint64_t word __attribute__((may_alias));

/* Flows */
static void	make_salt(void);
static uint64_t	hash_key(const struct pb_flow_key *);
static uint32_t	find(const struct pb_flows *, uint64_t, uint64_t, uint32_t *);
static uint32_t	add(struct pb_flows *, uint64_t, uint32_t);
static uint32_t	find_key(struct pb_flows *, const struct pb_flow_key *);
static void	begin(struct pb_flow *, uint64_t, uint64_t);
/* What they know */
static void	mark(struct pb_flows *, uint32_t, uint32_t);
static void	count(struct pb_flow *, uint32_t, uint32_t, uint64_t);
static void	learn(struct pb_flow *, const uint8_t *, uint32_t);
static void	learn_lane(struct pb_flow *, uint32_t, const uint8_t *,
		    const uint8_t *, uint32_t);
/* Merging */
static void	merge_flows(struct pb_flows *, const struct pb_flows *,
		    uint32_t *);
static void	fetch_slot(const struct pb_flows *, uint64_t);
static void	fetch_flow(const struct pb_flows *, uint64_t);
static uint32_t	merge_one(struct pb_flows *, const struct pb_flow *);
static void	merge_counts(struct pb_flow *, const struct pb_flow *);
static void	merge_known(struct pb_flow *, const struct pb_flow *);

const uint8_t pb_lane_edge[2 * PB_FLOW_BYTES] = {
	[0 ... PB_FLOW_BYTES - 1] = 0xff,
};

/* So that nobody outside can aim packets at one slot. */
static uint64_t salt[WORDS + 1];
static pthread_once_t salted = PTHREAD_ONCE_INIT;

void
pb_flows_reset(struct pb_flows *flows)
{
	if (flows->flows > 1)
		memset(flows->slot, 0, (flows->slot_mask + 1) *
		    sizeof(*flows->slot));
	begin(&flows->flow[PB_FLOW_REST], 0, 0);
	flows->flows = 1;
	flows->last_flow = PB_FLOW_REST;
	flows->packets = flows->marks = 0;
}

bool
pb_flows_packet(struct pb_flows *flows, uint32_t at, uint16_t linktype,
    const uint8_t *data, uint32_t caplen, uint32_t len, uint64_t time_ns)
{
	struct pb_flow_key key;
	struct pb_flow *flow;
	uint32_t i;

	if (flows->packets == flows->packets_room && !flows_room_for(flows, 1))
		return false;
	pb_flow_key(&key, linktype, data, caplen);
	i = flows->last_flow;
	if (i == PB_FLOW_REST || !pb_flow_same(&flows->last, &key))
		i = find_key(flows, &key);
	if (flows->packets % PB_FLOW_MARK == 0)
		mark(flows, flows->packets, at);
	flows->of[flows->packets++] = i;
	flow = &flows->flow[i];
	if (i != PB_FLOW_REST)
		learn(flow, data, caplen);
	flow->packets++;
	flow->bytes += len;
	count(flow, caplen, len, time_ns);
	return true;
}

bool
pb_flows_merge(struct pb_flows *flows, const struct pb_flows *more,
    uint32_t at)
{
	uint32_t few[MERGE_FLOWS], *to = few;

	if (!flows_room_for(flows, more->packets))
		return false;
	if (more->flows > MERGE_FLOWS)
		to = malloc(more->flows * sizeof(*to));
	if (to == NULL)
		return false;
	merge_flows(flows, more, to);
	for (uint32_t i = 0; i < more->marks; i++)
		mark(flows, flows->packets + more->mark[i].packet,
		    at + more->mark[i].at);
	for (uint32_t i = 0; i < more->packets; i++)
		flows->of[flows->packets + i] = to[more->of[i]];
	flows->packets += more->packets;
	if (to != few)
		free(to);
	return true;
}

bool
pb_flows_rest(struct pb_flows *flows, uint32_t packets, uint64_t bytes,
    uint64_t first_time, uint64_t last_time, uint32_t at)
{
	struct pb_flow *flow = &flows->flow[PB_FLOW_REST];

	if (packets == 0)
		return true;
	if (!flows_room_for(flows, packets))
		return false;
	mark(flows, flows->packets, at);
	for (uint32_t i = 0; i < packets; i++)
		flows->of[flows->packets + i] = PB_FLOW_REST;
	flows->packets += packets;
	flow->packets += packets;
	flow->bytes += bytes;
	count(flow, 0, 0, first_time);
	count(flow, PB_CAPLEN_MAX, UINT32_MAX, last_time);
	return true;
}

void
pb_flows_moved(struct pb_flows *flows, uint32_t by)
{
	if (flows->marks > 0 &&
	    flows->mark[flows->marks - 1].packet == flows->packets - 1)
		flows->mark[flows->marks - 1].at += by;
}

void
pb_flow_known(const struct pb_flow *flow, uint8_t ones[PB_FLOW_BYTES],
    uint8_t unknown[PB_FLOW_BYTES])
{
	struct pb_lanes lanes = pb_lanes(flow);

	for (uint32_t at = 0; at < PB_FLOW_BYTES; at += LANE) {
		*(lane *)(ones + at) = pb_lane_ones(&lanes, at);
		*(lane *)(unknown + at) = pb_lane_unknown(&lanes, at);
	}
}

/* --- flows ---------------------------------------------------------------- */

void
flows_salt(void)
{
	pthread_once(&salted, make_salt);
}

static void
make_salt(void)
{
	uint64_t seed[] = { pb_clock_real_ns(), pb_clock_mono_ms() };

	if (getrandom(salt, sizeof(salt), 0) == sizeof(salt))
		return;
	/* Easier to aim at; but what is no flow of its own with it is none. */
	for (size_t i = 0; i < WORDS + 1; i++, seed[0]++)
		salt[i] = pb_digest(seed, sizeof(seed));
}

static inline uint64_t
product(uint64_t a, uint64_t b)
{
	unsigned __int128 both = (unsigned __int128)a * b;

	return (uint64_t)both ^ (uint64_t)(both >> 64);
}

/* Products of pairs of salted words, both halves of each. */
static inline uint64_t
hash_key(const struct pb_flow_key *key)
{
	const word *w = (const word *)key;
	uint64_t hash;

	_Static_assert(WORDS == 7, "all of them");
	hash = product(w[2] ^ salt[2], w[6] ^ salt[6]) ^
	    product(w[0] ^ salt[0], w[1] ^ salt[1]);
	if ((w[3] | w[4] | w[5]) != 0)
		hash ^= product(w[3] ^ salt[3], w[4] ^ salt[4]) ^
		    product(w[5] ^ salt[5], salt[7]);
	return hash ^ hash >> 29;
}

/* Its flow; or NONE, and where it would stand in `slot`. */
static inline uint32_t
find(const struct pb_flows *flows, uint64_t shape, uint64_t hash, uint32_t *at)
{
	uint32_t tag = tag_of(hash), slot;

	*at = (uint32_t)hash & flows->slot_mask;
	while ((slot = flows->slot[*at]) != 0) {
		const struct pb_flow *flow = &flows->flow[slot & SLOT_FLOW];

		if ((slot & ~SLOT_FLOW) == tag && flow->hash == hash &&
		    flow->shape == shape)
			return slot & SLOT_FLOW;
		*at = (*at + 1) & flows->slot_mask;
	}
	return NONE;
}

/* One more, which has not begun; or the rest. */
static inline uint32_t
add(struct pb_flows *flows, uint64_t hash, uint32_t at)
{
	if (flows->flows > flows->flows_max)
		return PB_FLOW_REST;
	flows->slot[at] = flows->flows | tag_of(hash);
	return flows->flows++;
}

/* Its flow, or a new one, or the rest. */
static __attribute__((noinline)) uint32_t
find_key(struct pb_flows *flows, const struct pb_flow_key *key)
{
	uint64_t shape = *(const word *)key, hash = hash_key(key);
	uint32_t at, i = find(flows, shape, hash, &at);

	if (i == NONE) {
		i = add(flows, hash, at);
		if (i != PB_FLOW_REST)
			begin(&flows->flow[i], shape, hash);
	}
	flows->last = *key;
	flows->last_flow = i;
	return i;
}

static inline void
begin(struct pb_flow *flow, uint64_t shape, uint64_t hash)
{
	flow->shape = shape;
	flow->hash = hash;
	flow->bytes = 0;
	flow->first_time = UINT64_MAX;
	flow->last_time = 0;
	flow->packets = 0;
	flow->caplen_min = flow->len_min = UINT32_MAX;
	flow->caplen_max = flow->len_max = 0;
	flow->known = 0;
}

/* --- what they know ------------------------------------------------------- */

/* Unless there is one just before it. */
static inline void
mark(struct pb_flows *flows, uint32_t packet, uint32_t at)
{
	if (flows->marks == 0 ||
	    packet - flows->mark[flows->marks - 1].packet >= PB_FLOW_MARK)
		flows->mark[flows->marks++] = (struct pb_flow_mark){
		    packet, at };
}

/* Without jumps: which way they go nobody can tell. */
static inline void
count(struct pb_flow *flow, uint32_t caplen, uint32_t len, uint64_t time_ns)
{
	flow->first_time = LEAST(flow->first_time, time_ns);
	flow->last_time = MOST(flow->last_time, time_ns);
	flow->caplen_min = LEAST(flow->caplen_min, caplen);
	flow->caplen_max = MOST(flow->caplen_max, caplen);
	flow->len_min = LEAST(flow->len_min, len);
	flow->len_max = MOST(flow->len_max, len);
}

/* Another packet. */
static inline void
learn(struct pb_flow *flow, const uint8_t *data, uint32_t caplen)
{
	uint32_t bytes = LEAST(caplen, PB_FLOW_BYTES);

	if (bytes == flow->known && bytes % LANE == 0) {
		for (uint32_t at = 0; at < bytes; at += LANE)
			*(lane *)(flow->differ + at) |= pb_lane_at(data + at) ^
			    pb_lane_at(flow->some + at);
		return;
	}
	/* Of a new one nothing is read: it is in no cache. */
	for (uint32_t at = 0; at < bytes; at += LANE)
		if (flow->packets == 0) {
			*(lane *)(flow->some + at) = pb_lane_at(data + at);
			*(lane *)(flow->differ + at) = (lane){ 0 };
		} else {
			learn_lane(flow, at, data, PB_LANE_NONE, bytes);
		}
	flow->known = MOST(flow->known, bytes);
}

/*
 * Of others `bytes` first ones, and the bits in which these differ among
 * themselves.  What the flow's own do not have is taken as it is; what neither
 * have means nothing.
 */
static inline __attribute__((always_inline)) void
learn_lane(struct pb_flow *flow, uint32_t at, const uint8_t *some,
    const uint8_t *differ, uint32_t bytes)
{
	lane known = pb_lane_at(PB_LANE_NONE - flow->known + at);
	lane come = pb_lane_at(PB_LANE_NONE - bytes + at);
	lane is = pb_lane_at(flow->some + at), its = pb_lane_at(some + at);

	*(lane *)(flow->differ + at) = (known & (pb_lane_at(flow->differ +
	    at) | (come & (is ^ its)))) | (come & pb_lane_at(differ + at));
	*(lane *)(flow->some + at) = (known & is) | (~known & come & its);
}

/*
 * Each flow of `more` into its own here, whose number is put into `to`.  Both
 * tables may be in no cache: of flows that come later first what is known of
 * them is fetched, then their slots, then what these tell of.
 */
static void
merge_flows(struct pb_flows *flows, const struct pb_flows *more, uint32_t *to)
{
	const struct pb_flow *from = more->flow;
	uint32_t count = more->flows;

	to[PB_FLOW_REST] = PB_FLOW_REST;
	if (from[PB_FLOW_REST].packets > 0)
		merge_counts(&flows->flow[PB_FLOW_REST], from);
	for (uint32_t i = 1; i < count + 3 * AHEAD; i++) {
		if (i < count)
			pb_flow_fetch(&from[i]);
		if (i > AHEAD && i - AHEAD < count)
			fetch_slot(flows, from[i - AHEAD].hash);
		if (i > 2 * AHEAD && i - 2 * AHEAD < count)
			fetch_flow(flows, from[i - 2 * AHEAD].hash);
		if (i > 3 * AHEAD)
			to[i - 3 * AHEAD] = merge_one(flows,
			    &from[i - 3 * AHEAD]);
	}
}

static inline __attribute__((always_inline)) void
fetch_slot(const struct pb_flows *flows, uint64_t hash)
{
	__builtin_prefetch(&flows->slot[(uint32_t)hash & flows->slot_mask]);
}

/* The one that it is, most likely: a third of them stand behind others, and
 * whatever is not fetched here is waited for. */
static inline __attribute__((always_inline)) void
fetch_flow(const struct pb_flows *flows, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & flows->slot_mask, slot;

	while ((slot = flows->slot[at]) != 0 &&
	    (slot & ~SLOT_FLOW) != tag_of(hash))
		at = (at + 1) & flows->slot_mask;
	if (slot != 0)
		pb_flow_fetch(&flows->flow[slot & SLOT_FLOW]);
}

static inline uint32_t
merge_one(struct pb_flows *flows, const struct pb_flow *flow)
{
	uint32_t at, i = find(flows, flow->shape, flow->hash, &at);

	if (i == NONE) {
		i = add(flows, flow->hash, at);
		if (i != PB_FLOW_REST) {
			flows->flow[i] = *flow;
			return i;
		}
	} else {
		merge_known(&flows->flow[i], flow);
	}
	merge_counts(&flows->flow[i], flow);
	return i;
}

static inline void
merge_counts(struct pb_flow *flow, const struct pb_flow *more)
{
	flow->packets += more->packets;
	flow->bytes += more->bytes;
	count(flow, more->caplen_min, more->len_min, more->first_time);
	count(flow, more->caplen_max, more->len_max, more->last_time);
}

static inline void
merge_known(struct pb_flow *flow, const struct pb_flow *more)
{
#pragma GCC unroll 8
	for (uint32_t at = 0; at < PB_FLOW_BYTES; at += LANE)
		learn_lane(flow, at, more->some, more->differ, more->known);
	flow->known = MOST(flow->known, more->known);
}
