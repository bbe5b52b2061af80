/*
 * recorder/flow/flows.c - the flows of some packets, and what each knows
 */
#include "recorder/flow/flows.h"

#include <stdlib.h>
#include <sys/random.h>

#define WORDS		(sizeof(struct pb_flow_key) / sizeof(uint64_t))
#define LANE		16u

typedef uint8_t lane __attribute__((vector_size(LANE), aligned(1), may_alias));

static uint64_t	hash_key(const struct pb_flow_key *);
static uint32_t	find(struct pb_flows *, const struct pb_flow_key *, uint64_t);
static void	begin(struct pb_flow *, const struct pb_flow_key *, uint64_t);
static void	learn(struct pb_flow *, const uint8_t *, uint32_t);
static void	merge_flow(struct pb_flow *, const struct pb_flow *);

/* So that nobody outside can aim packets at one slot. */
static uint64_t salt[2 * WORDS];

int
pb_flows_create(struct pb_flows **out, uint32_t flows_max,
    uint32_t packets_max, struct pb_err *err)
{
	struct pb_flows *flows = calloc(1, sizeof(*flows));
	uint32_t slots = 2;

	*out = NULL;
	while (slots < 2 * flows_max)
		slots *= 2;
	if (flows != NULL) {
		flows->flow = malloc((flows_max + 1) * sizeof(*flows->flow));
		flows->of = malloc(packets_max * sizeof(*flows->of));
		flows->mark = malloc(packets_max * sizeof(*flows->mark));
		flows->slot = calloc(slots, sizeof(*flows->slot));
	}
	if (flows == NULL || flows->flow == NULL || flows->of == NULL ||
	    flows->mark == NULL || flows->slot == NULL) {
		pb_flows_destroy(flows);
		return pb_err_set(err, PB_ENOMEM, "no memory for flows");
	}
	flows->flows_max = flows_max;
	flows->packets_max = packets_max;
	flows->slot_mask = slots - 1;
	if (salt[0] == 0 && getrandom(salt, sizeof(salt), 0) < 0)
		salt[0] = 1;
	pb_flows_reset(flows);
	*out = flows;
	return 0;
}

void
pb_flows_destroy(struct pb_flows *flows)
{
	if (flows == NULL)
		return;
	free(flows->flow);
	free(flows->of);
	free(flows->mark);
	free(flows->slot);
	free(flows);
}

void
pb_flows_reset(struct pb_flows *flows)
{
	static const struct pb_flow_key rest;

	for (uint32_t i = 1; i < flows->flows; i++)
		flows->slot[flows->flow[i].hash & flows->slot_mask] = 0;
	if (flows->flows > 1)
		memset(flows->slot, 0, (flows->slot_mask + 1) *
		    sizeof(*flows->slot));
	begin(&flows->flow[PB_FLOW_REST], &rest, 0);
	flows->flows = 1;
	flows->packets = flows->marks = 0;
}

bool
pb_flows_packet(struct pb_flows *flows, uint32_t begins, uint16_t linktype,
    const uint8_t *data, uint32_t caplen, uint32_t len, uint64_t time_ns)
{
	struct pb_flow_key key;
	struct pb_flow *flow;
	uint32_t at;

	if (flows->packets == flows->packets_max)
		return false;
	pb_flow_key(&key, linktype, data, caplen);
	at = flows->packets > 0 ? flows->of[flows->packets - 1] : 0;
	if (at == 0 || !pb_flow_same(&flows->flow[at].key, &key))
		at = find(flows, &key, hash_key(&key));
	flow = &flows->flow[at];
	if (flows->packets % PB_FLOW_MARK == 0)
		flows->mark[flows->marks++] = (struct pb_flow_mark){
		    flows->packets, begins };
	flows->of[flows->packets++] = at;
	flow->packets++;
	flow->bytes += len;
	if (time_ns < flow->first_time)
		flow->first_time = time_ns;
	if (time_ns > flow->last_time)
		flow->last_time = time_ns;
	if (caplen < flow->caplen_min)
		flow->caplen_min = caplen;
	if (caplen > flow->caplen_max)
		flow->caplen_max = caplen;
	if (len < flow->len_min)
		flow->len_min = len;
	if (len > flow->len_max)
		flow->len_max = len;
	learn(flow, data, caplen < PB_FLOW_BYTES ? caplen : PB_FLOW_BYTES);
	return true;
}

bool
pb_flows_merge(struct pb_flows *flows, const struct pb_flows *more,
    uint32_t begins)
{
	uint32_t stack[1024], *to = stack;

	if (flows->packets_max - flows->packets < more->packets)
		return false;
	if (more->flows > 1024)
		to = malloc(more->flows * sizeof(*to));
	for (uint32_t i = 0; i < more->flows; i++) {
		const struct pb_flow *flow = &more->flow[i];

		to[i] = i == PB_FLOW_REST ? PB_FLOW_REST :
		    find(flows, &flow->key, flow->hash);
		if (flow->packets > 0)
			merge_flow(&flows->flow[to[i]], flow);
	}
	for (uint32_t i = 0; i < more->marks; i++)
		flows->mark[flows->marks++] = (struct pb_flow_mark){
		    flows->packets + more->mark[i].packet,
		    begins + more->mark[i].at };
	for (uint32_t i = 0; i < more->packets; i++)
		flows->of[flows->packets++] = to[more->of[i]];
	if (to != stack)
		free(to);
	return true;
}

void
pb_flow_known(const struct pb_flow *flow, uint8_t ones[PB_FLOW_BYTES],
    uint8_t unknown[PB_FLOW_BYTES])
{
	bool rest = flow->key.linktype == 0 && flow->key.bits == 0 &&
	    flow->hash == 0;

	for (uint32_t i = 0; i < PB_FLOW_BYTES; i++) {
		bool none = rest || i >= flow->caplen_max;

		ones[i] = none ? 0 : flow->all[i];
		unknown[i] = none ? 0xff : flow->any[i] & (uint8_t)~ones[i];
	}
}

/* Products of pairs of salted words, both halves of each. */
static uint64_t
hash_key(const struct pb_flow_key *key)
{
	uint64_t word[WORDS + 1] = { 0 }, hash = 0;

	memcpy(word, key, sizeof(*key));
	for (size_t i = 0; i < WORDS; i += 2) {
		unsigned __int128 product = (unsigned __int128)
		    (word[i] ^ salt[i]) * (word[i + 1] ^ salt[i + 1]);

		hash ^= (uint64_t)product ^ (uint64_t)(product >> 64);
	}
	return hash ^ hash >> 29;
}

/* Its flow, or a new one, or the rest. */
static uint32_t
find(struct pb_flows *flows, const struct pb_flow_key *key, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & flows->slot_mask, i;

	while ((i = flows->slot[at]) != 0) {
		if (flows->flow[i].hash == hash &&
		    pb_flow_same(&flows->flow[i].key, key))
			return i;
		at = (at + 1) & flows->slot_mask;
	}
	if (flows->flows > flows->flows_max)
		return PB_FLOW_REST;
	i = flows->flows++;
	flows->slot[at] = i;
	begin(&flows->flow[i], key, hash);
	return i;
}

static void
begin(struct pb_flow *flow, const struct pb_flow_key *key, uint64_t hash)
{
	memset(flow->all, 0xff, sizeof(flow->all));
	memset(flow->any, 0, sizeof(flow->any));
	flow->first_time = UINT64_MAX;
	flow->last_time = 0;
	flow->bytes = flow->packets = 0;
	flow->caplen_min = flow->len_min = UINT32_MAX;
	flow->caplen_max = flow->len_max = 0;
	flow->key = *key;
	flow->hash = hash;
}

/* What the packet has in common with those before it. */
static void
learn(struct pb_flow *flow, const uint8_t *data, uint32_t bytes)
{
	static const uint8_t ends[2 * LANE] = { 255, 255, 255, 255, 255, 255,
	    255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
	uint32_t at = 0;
	lane mask;

	for (; at + LANE <= bytes; at += LANE) {
		lane now = *(const lane *)(data + at);

		*(lane *)(flow->all + at) &= now;
		*(lane *)(flow->any + at) |= now;
	}
	if (at == bytes)
		return;
	mask = *(const lane *)(ends + LANE - (bytes - at));
	*(lane *)(flow->all + at) &= *(const lane *)(data + at) | ~mask;
	*(lane *)(flow->any + at) |= *(const lane *)(data + at) & mask;
}

static void
merge_flow(struct pb_flow *flow, const struct pb_flow *more)
{
	for (uint32_t at = 0; at < PB_FLOW_BYTES; at += LANE) {
		*(lane *)(flow->all + at) &= *(const lane *)(more->all + at);
		*(lane *)(flow->any + at) |= *(const lane *)(more->any + at);
	}
	flow->packets += more->packets;
	flow->bytes += more->bytes;
	if (more->first_time < flow->first_time)
		flow->first_time = more->first_time;
	if (more->last_time > flow->last_time)
		flow->last_time = more->last_time;
	if (more->caplen_min < flow->caplen_min)
		flow->caplen_min = more->caplen_min;
	if (more->caplen_max > flow->caplen_max)
		flow->caplen_max = more->caplen_max;
	if (more->len_min < flow->len_min)
		flow->len_min = more->len_min;
	if (more->len_max > flow->len_max)
		flow->len_max = more->len_max;
}
