/*
 * recorder/flow/summary_make.c - a flow table in few bytes: made
 *
 * One pass over the flows: each adds what it knows to its shape, and what it
 * has at the shape's places to their sets.  All shapes share the sets of
 * addresses, those of a protocol its ports, as a source's place and a
 * destination's do: the same hosts are in most of them.  Then what the shapes
 * take is written, as many as fit in their part; sets share the rest, and the
 * largest gives way until they fit.
 */
#include "recorder/flow/summary.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "pcapng/block.h"
#include "recorder/filter/numbers.h"
#include "recorder/flow/lane.h"
#include "recorder/flow/summary_impl.h"

#define SHAPES_BYTES_MAX	1600u	/* of a summary */
#define REST_BYTES_MAX		160u
#define REST_TOLD		16u	/* bytes of a packet */
#define SHAPE_BYTES_MAX		(64u + 3 * PB_FLOW_BYTES + \
				    3 * SUMMARY_PLACES_MAX)
#define FEW_SHAPES		8u	/* all of their bytes are told */
#define ROUGH_MAX		2u
#define BEHIND_TRANSPORT	20u	/* of more, so much of the last
					 * header */
#define TAGS_MAX		4u
#define IPV6_WORDS		4u
#define LATELY			256u
#define AHEAD			8u	/* flows that are fetched */

/* What sets there are: beside it a protocol, or what is no protocol's. */
enum {
	SET_MAC_HIGH = 1, SET_MAC_LOW, SET_TAG, SET_TTL, SET_PORT, SET_TYPE,
	SET_CODE, SET_ADDRESS,	/* and one a word */
};

/* Whose addresses: where they are no part of the key those of a flow are
 * together one wide span, which would spoil the others' set. */
enum { OF_FLOWS = 0, OF_OTHERS, OF_ARP };

struct lengths {
	uint32_t	 caplen_min, caplen_max, len_min, len_max;
};

struct shape {
	struct pb_flow_key key;		/* PB_FLOW_SHAPE_BYTES of it */
	struct lengths	 its;
	/* Of each byte what is set in all of its packets, and in any. */
	uint8_t		 all[PB_FLOW_BYTES], any[PB_FLOW_BYTES];
	struct {
		uint8_t	 set, at, bytes;
	}		 place[SUMMARY_PLACES_MAX];
	unsigned	 places;
	struct pb_span	 latest[SUMMARY_PLACES_MAX];	/* hi < lo: none */
};

struct make {
	struct shape	 shape[SUMMARY_SHAPES_MAX];
	unsigned	 shapes, told;	/* those that are told */
	uint8_t		 lately[LATELY];	/* by hash: which shape */
	uint32_t	 name[SUMMARY_SETS_MAX];	/* what set it is */
	struct pb_numbers set[SUMMARY_SETS_MAX];
	unsigned	 sets;
	struct pb_numbers_work work;
	uint8_t		 bytes[SHAPES_BYTES_MAX];	/* of shapes */
	size_t		 len;
};

static void	add_flow(struct make *, const struct pb_flow *);
static struct shape *shape_of(struct make *, uint64_t);
static void	begin_shape(struct make *, uint64_t);
static bool	is_shape(const struct shape *, uint64_t);
static void	join_lengths(struct lengths *, const struct lengths *);
static void	join_bytes(struct shape *, const struct pb_lanes *);
static void	add_values(struct make *, struct shape *,
		    const struct pb_flow *, const struct pb_lanes *);
static uint32_t	last_bytes(uint32_t, uint32_t);
static uint32_t	number_at(const uint8_t *, unsigned);
/* places */
static void	choose_places(struct make *, struct shape *);
static void	link_places(struct make *, struct shape *);
static void	ip_places(struct make *, struct shape *);
static void	transport_places(struct make *, struct shape *);
static void	place(struct make *, struct shape *, unsigned, unsigned,
		    unsigned, unsigned);
/* writing */
static int	by_key(const void *, const void *);
static void	put_shapes(struct make *);
static bool	put_roughly(struct make *, unsigned);
static void	forget(struct shape *, unsigned);
static bool	has_bits(const struct shape *, uint32_t);
static void	join_shape(struct shape *, const struct shape *);
static size_t	put_shape(uint8_t *, const struct shape *,
		    const struct shape *);
static size_t	put_bytes(uint8_t *, const struct shape *,
		    const struct shape *);
static size_t	put_places(uint8_t *, const struct shape *,
		    const struct shape *);
static unsigned	kind_at(const struct shape *, const struct shape *, uint32_t);
static size_t	put_run(uint8_t *, const struct shape *, uint32_t, uint32_t,
		    unsigned);
static size_t	put_varint(uint8_t *, uint32_t);
static void	fit_sets(struct make *, size_t);
static size_t	put_all(uint8_t *, struct make *);

size_t
pb_summary_make(uint8_t out[static PB_SUMMARY_BYTES_MAX],
    const struct pb_flows *flows)
{
	struct make *make = malloc(sizeof(*make));
	size_t len;

	if (make == NULL)
		return 0;
	make->shapes = make->sets = 0;
	memset(make->lately, 0, sizeof(make->lately));
	for (uint32_t i = 0; i < flows->flows; i++) {
		if (i + AHEAD < flows->flows)
			pb_flow_fetch(&flows->flow[i + AHEAD]);
		if (flows->flow[i].packets > 0)
			add_flow(make, &flows->flow[i]);
	}
	for (unsigned i = 0; i < make->sets; i++)
		pb_numbers_end(&make->set[i], &make->work);
	put_shapes(make);
	len = put_all(out, make);
	for (unsigned i = 0; i < make->sets; i++)
		pb_numbers_finish(&make->set[i]);
	free(make);
	return len;
}

static void
add_flow(struct make *make, const struct pb_flow *flow)
{
	struct shape *shape = shape_of(make, flow->shape);
	struct lengths its = { flow->caplen_min, flow->caplen_max,
	    flow->len_min, flow->len_max };
	struct pb_lanes lanes = pb_lanes(flow);

	join_lengths(&shape->its, &its);
	join_bytes(shape, &lanes);
	add_values(make, shape, flow, &lanes);
}

static struct shape *
shape_of(struct make *make, uint64_t name)
{
	uint8_t *lately = &make->lately[(name * 0x9e3779b97f4a7c15u) >> 56];
	unsigned at = *lately;

	if (at < make->shapes && is_shape(&make->shape[at], name))
		return &make->shape[at];
	for (at = 0; at < make->shapes; at++)
		if (is_shape(&make->shape[at], name))
			break;
	if (at == SUMMARY_SHAPES_MAX)
		at = SUMMARY_SHAPES_MAX - 1;
	if (at == make->shapes)
		begin_shape(make, name);
	*lately = (uint8_t)at;
	return &make->shape[at];
}

/* The last of them takes all for which there is no other: it is no shape, has
 * no places, and its key is that of none. */
static void
begin_shape(struct make *make, uint64_t name)
{
	struct shape *shape = &make->shape[make->shapes++];

	memset(shape, 0, sizeof(*shape));
	memset(shape->all, 0xff, sizeof(shape->all));
	shape->its.caplen_min = shape->its.len_min = UINT32_MAX;
	if (make->shapes == SUMMARY_SHAPES_MAX)
		return;
	memcpy(&shape->key, &name, sizeof(name));
	choose_places(make, shape);
}

static bool
is_shape(const struct shape *shape, uint64_t name)
{
	_Static_assert(PB_FLOW_SHAPE_BYTES == sizeof(name), "");
	return memcmp(&shape->key, &name, sizeof(name)) == 0;
}

static void
join_lengths(struct lengths *its, const struct lengths *more)
{
	if (its->caplen_min > more->caplen_min)
		its->caplen_min = more->caplen_min;
	if (its->caplen_max < more->caplen_max)
		its->caplen_max = more->caplen_max;
	if (its->len_min > more->len_min)
		its->len_min = more->len_min;
	if (its->len_max < more->len_max)
		its->len_max = more->len_max;
}

/* Packets that end before a byte say nothing of it. */
static void
join_bytes(struct shape *shape, const struct pb_lanes *lanes)
{
	for (uint32_t at = 0; at < PB_FLOW_BYTES; at += PB_LANE) {
		pb_lane has = pb_lane_at(lanes->has + at);
		pb_lane ones = pb_lane_ones(lanes, at);
		pb_lane free = pb_lane_unknown(lanes, at);

		*(pb_lane *)(shape->all + at) &= ones | ~has;
		*(pb_lane *)(shape->any + at) |= (ones | free) & has;
	}
}

/* What the flow has at each place that some of its packets have, or begin to
 * have: who asks for the first bytes of a place asks its set (filter/values.c),
 * and what is behind a packet's end may be anything. */
static void
add_values(struct make *make, struct shape *shape,
    const struct pb_flow *flow, const struct pb_lanes *lanes)
{
	for (unsigned i = 0; i < shape->places; i++) {
		uint32_t at = shape->place[i].at, lo, free;
		unsigned bytes = shape->place[i].bytes;

		if (flow->caplen_max <= at)
			continue;
		free = number_at(lanes->differ + at, bytes);
		if (flow->known < at + bytes)
			free |= last_bytes(at + bytes - flow->known, bytes);
		lo = number_at(lanes->some + at, bytes) & ~free;
		/* MACs, nets and TTLs are those of the flow before. */
		if (shape->latest[i].lo == lo &&
		    shape->latest[i].hi == (lo | free))
			continue;
		shape->latest[i] = (struct pb_span){ lo, lo | free };
		pb_numbers_add(&make->set[shape->place[i].set], lo, lo | free,
		    &make->work);
	}
}

/* All bits of the last `last` bytes of a number. */
static uint32_t
last_bytes(uint32_t last, uint32_t bytes)
{
	return UINT32_MAX >> (32 - 8 * (last < bytes ? last : bytes));
}

static inline uint32_t
number_at(const uint8_t *at, unsigned bytes)
{
	return bytes == 4 ? pb_get_be32(at) : bytes == 2 ? pb_get_be16(at) :
	    *at;
}

static void
choose_places(struct make *make, struct shape *shape)
{
	link_places(make, shape);
	ip_places(make, shape);
	if (shape->key.transport != 0)
		transport_places(make, shape);
	if (shape->key.ethertype == ETH_P_ARP ||
	    shape->key.ethertype == ETH_P_RARP) {	/* RFC 826 */
		place(make, shape, SET_ADDRESS, shape->key.network + 14u, 4,
		    OF_ARP);
		place(make, shape, SET_ADDRESS, shape->key.network + 24u, 4,
		    OF_ARP);
	}
}

/* As filters load them: a MAC's last four bytes, then its first two; a tag or
 * a label with the two bytes that follow or precede. */
static void
link_places(struct make *make, struct shape *shape)
{
	unsigned link = shape->key.linktype == PB_LINKTYPE_ETHERNET ? 14 :
	    shape->key.linktype == PB_LINKTYPE_LINUX_SLL ? 16 : 20;

	if (shape->key.linktype == PB_LINKTYPE_ETHERNET) {
		place(make, shape, SET_MAC_HIGH, 0, 2, 0);
		place(make, shape, SET_MAC_HIGH, 6, 2, 0);
		place(make, shape, SET_MAC_LOW, 2, 4, 0);
		place(make, shape, SET_MAC_LOW, 8, 4, 0);
	}
	for (unsigned i = 0; i < TAGS_MAX &&
	    link + 4 * i + 4 <= shape->key.network; i++)
		place(make, shape, SET_TAG, link + 4 * i, 4, 0);
}

/* Of headers that are wrong, too: filters load from them all the same. */
static void
ip_places(struct make *make, struct shape *shape)
{
	unsigned ip = shape->key.network;
	unsigned whose = shape->key.transport != 0 ? OF_FLOWS : OF_OTHERS;

	if (shape->key.ethertype == ETH_P_IP) {
		place(make, shape, SET_TTL, ip + 8, 1, whose);
		place(make, shape, SET_ADDRESS, ip + 12, 4, whose);
		place(make, shape, SET_ADDRESS, ip + 16, 4, whose);
	}
	if (shape->key.ethertype != ETH_P_IPV6)
		return;
	place(make, shape, SET_TTL, ip + 7, 1, whose);
	for (unsigned i = 0; i < IPV6_WORDS; i++) {
		place(make, shape, SET_ADDRESS + 1 + i, ip + 8 + 4 * i, 4,
		    whose);
		place(make, shape, SET_ADDRESS + 1 + i, ip + 24 + 4 * i, 4,
		    whose);
	}
}

static void
transport_places(struct make *make, struct shape *shape)
{
	unsigned at = shape->key.transport, protocol = shape->key.protocol;

	if ((shape->key.bits & PB_FLOW_PORTS) != 0) {
		place(make, shape, SET_PORT, at, 2, protocol);
		place(make, shape, SET_PORT, at + 2, 2, protocol);
	} else if ((shape->key.bits & PB_FLOW_FRAGMENT) == 0 &&
	    (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)) {
		place(make, shape, SET_TYPE, at, 1, protocol);
		place(make, shape, SET_CODE, at + 1, 1, protocol);
	}
}

/* The values at a place go to this set of this protocol. */
static void
place(struct make *make, struct shape *shape, unsigned kind, unsigned at,
    unsigned bytes, unsigned protocol)
{
	uint32_t name = kind << 8 | protocol;
	unsigned set = 0, n = shape->places;

	while (set < make->sets && make->name[set] != name)
		set++;
	if (set == SUMMARY_SETS_MAX || n == SUMMARY_PLACES_MAX ||
	    at + bytes > PB_FLOW_BYTES)
		return;
	if (set == make->sets) {
		make->name[set] = name;
		pb_numbers_init(&make->set[make->sets++], bytes);
	}
	shape->latest[n] = (struct pb_span){ 1, 0 };
	shape->place[n].set = (uint8_t)set;
	shape->place[n].at = (uint8_t)at;
	shape->place[n].bytes = (uint8_t)bytes;
	shape->places++;
}

/* As much of them as fits: less and less of their bytes, and in the end fewer
 * of them. */
static void
put_shapes(struct make *make)
{
	unsigned rough = make->shapes <= FEW_SHAPES ? 0 : 1;

	qsort(make->shape, make->shapes, sizeof(make->shape[0]), by_key);
	while (!put_roughly(make, rough) && rough < ROUGH_MAX)
		rough++;
}

/* In the order of their keys, so that a shape and the one before it have much
 * in common.  Those that do not fit share one: false. */
static bool
put_roughly(struct make *make, unsigned rough)
{
	struct shape told = { .places = 0 }, rest = { .its = {
	    .caplen_min = UINT32_MAX, .len_min = UINT32_MAX } }, shape;
	uint8_t bytes[SHAPE_BYTES_MAX];
	unsigned put = 0, left = 0;

	memset(told.any, 0xff, sizeof(told.any));
	memset(rest.all, 0xff, sizeof(rest.all));
	make->len = 0;
	for (unsigned i = 0; i < make->shapes; i++) {
		size_t len;

		shape = make->shape[i];
		forget(&shape, rough);
		len = put_shape(bytes, &shape, &told);
		if (make->len + len > SHAPES_BYTES_MAX - REST_BYTES_MAX) {
			join_shape(&rest, &shape);
			left++;
			continue;
		}
		memcpy(make->bytes + make->len, bytes, len);
		make->len += len;
		put++;
		told = shape;
	}
	if (left > 0) {
		memset(rest.all + REST_TOLD, 0, PB_FLOW_BYTES - REST_TOLD);
		memset(rest.any + REST_TOLD, 0xff, PB_FLOW_BYTES - REST_TOLD);
		make->len += put_shape(make->bytes + make->len, &rest, &told);
	}
	make->told = put + (left > 0 ? 1 : 0);
	return left == 0;
}

/* What is not told: what no packet has; 1: behind the headers; 2: bits of bytes
 * that nobody asks for bit by bit, as of numbers and checksums. */
static void
forget(struct shape *shape, unsigned rough)
{
	uint32_t header = shape->key.transport > 0 ? shape->key.transport :
	    shape->key.network;

	for (uint32_t i = 0; i < PB_FLOW_BYTES; i++) {
		bool bits = kind_at(shape, NULL, i) == RUN_BITS;

		if (i < shape->its.caplen_max && (rough == 0 ||
		    (i < header + BEHIND_TRANSPORT &&
		    (rough == 1 || !bits || has_bits(shape, i)))))
			continue;
		shape->all[i] = 0;
		shape->any[i] = 0xff;
	}
}

/* Service, fragment, TTL, protocol; flags of TCP. */
static bool
has_bits(const struct shape *shape, uint32_t at)
{
	uint32_t network = shape->key.network, header = shape->key.transport;

	return at < network + 2 || (at >= network + 6 && at < network + 10) ||
	    (header > 0 && at == header + 13);
}

static int
by_key(const void *a, const void *b)
{
	return memcmp(&((const struct shape *)a)->key,
	    &((const struct shape *)b)->key, PB_FLOW_SHAPE_BYTES);
}

static void
join_shape(struct shape *shape, const struct shape *more)
{
	join_lengths(&shape->its, &more->its);
	for (uint32_t i = 0; i < PB_FLOW_BYTES; i++) {
		shape->all[i] &= more->all[i];
		shape->any[i] |= more->all[i] | more->any[i];
	}
}

static size_t
put_shape(uint8_t *out, const struct shape *shape, const struct shape *told)
{
	const struct lengths *its = &shape->its;
	size_t len = PB_FLOW_SHAPE_BYTES;

	memcpy(out, &shape->key, PB_FLOW_SHAPE_BYTES);
	len += put_varint(out + len, its->caplen_min);
	len += put_varint(out + len, its->caplen_max - its->caplen_min);
	len += put_varint(out + len, its->len_min);
	len += put_varint(out + len, its->len_max - its->len_min);
	len += put_bytes(out + len, shape, told);
	return len + put_places(out + len, shape, told);
}

/* Without unknown ones at their end. */
static size_t
put_bytes(uint8_t *out, const struct shape *shape, const struct shape *told)
{
	uint32_t bytes = PB_FLOW_BYTES;
	size_t len = 1;

	while (bytes > 0 && kind_at(shape, NULL, bytes - 1) == RUN_UNKNOWN)
		bytes--;
	out[0] = 0;
	for (uint32_t from = 0, to; from < bytes; from = to) {
		unsigned kind = kind_at(shape, told, from);

		for (to = from + 1; to < bytes && to - from < RUN_BYTES_MAX &&
		    kind_at(shape, told, to) == kind; to++)
			;
		len += put_run(out + len, shape, from, to, kind);
		out[0]++;
	}
	return len;
}

static unsigned
kind_at(const struct shape *shape, const struct shape *told, uint32_t at)
{
	uint8_t unknown = shape->any[at] & (uint8_t)~shape->all[at];

	if (told != NULL && told->all[at] == shape->all[at] &&
	    (told->any[at] & ~told->all[at]) == unknown)
		return RUN_SAME;
	return unknown == 0 ? RUN_KNOWN : unknown == 0xff ? RUN_UNKNOWN :
	    RUN_BITS;
}

static size_t
put_places(uint8_t *out, const struct shape *shape, const struct shape *told)
{
	size_t len = 1;

	out[0] = (uint8_t)shape->places;
	if (shape->places > 0 && shape->places == told->places &&
	    memcmp(shape->place, told->place, shape->places *
	    sizeof(shape->place[0])) == 0) {
		out[0] = PLACES_SAME;
		return len;
	}
	for (unsigned i = 0; i < shape->places; i++) {
		out[len++] = shape->place[i].set;
		out[len++] = shape->place[i].at;
		out[len++] = shape->place[i].bytes;
	}
	return len;
}

static size_t
put_run(uint8_t *out, const struct shape *shape, uint32_t from, uint32_t to,
    unsigned kind)
{
	size_t len = 0;

	out[len++] = (uint8_t)(kind << RUN_SHIFT | (to - from - 1));
	if (kind == RUN_UNKNOWN || kind == RUN_SAME)
		return len;
	for (; from < to; from++) {
		out[len++] = shape->all[from];
		if (kind == RUN_BITS)
			out[len++] = shape->any[from] &
			    (uint8_t)~shape->all[from];
	}
	return len;
}

static size_t
put_varint(uint8_t *out, uint32_t value)
{
	size_t len = 0;

	for (; value >= 0x80; value >>= 7)
		out[len++] = (uint8_t)(value | 0x80);
	out[len++] = (uint8_t)value;
	return len;
}

/* The largest gives way first. */
static void
fit_sets(struct make *make, size_t room)
{
	size_t bytes[SUMMARY_SETS_MAX], sum = 0;
	unsigned largest;

	for (unsigned i = 0; i < make->sets; i++) {
		bytes[i] = pb_numbers_bytes(&make->set[i]);
		sum += 2 + bytes[i];
	}
	while (sum > room) {
		largest = 0;
		for (unsigned i = 1; i < make->sets; i++)
			if (bytes[i] > bytes[largest])
				largest = i;
		pb_numbers_shrink(&make->set[largest]);
		sum -= bytes[largest];
		bytes[largest] = pb_numbers_bytes(&make->set[largest]);
		sum += bytes[largest];
	}
}

static size_t
put_all(uint8_t *out, struct make *make)
{
	size_t len = SUMMARY_HEAD_BYTES, room = PB_SUMMARY_BYTES_MAX -
	    SUMMARY_HEAD_BYTES - SUMMARY_DIGEST_BYTES - make->len;

	fit_sets(make, room);
	out[0] = SUMMARY_VERSION;
	out[1] = (uint8_t)make->sets;
	out[2] = (uint8_t)make->told;
	room += SUMMARY_HEAD_BYTES;
	for (unsigned i = 0; i < make->sets; i++) {
		size_t left = room - len - 2 * (make->sets - i);
		size_t bytes = pb_numbers_put(out + len + 2, left,
		    &make->set[i], &make->work);

		pb_put_le16(out + len, (uint16_t)bytes);
		len += 2 + bytes;
	}
	memcpy(out + len, make->bytes, make->len);
	len += make->len;
	pb_put_le64(out + len, pb_digest(out, len));
	return len + SUMMARY_DIGEST_BYTES;
}
