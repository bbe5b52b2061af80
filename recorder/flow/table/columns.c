/*
 * recorder/flow/table/columns.c - what rows know of the first bytes
 *
 * Of a byte that has no column each row knows what all of them know.  So a
 * byte that is the same in all rows needs none; and one that is noise (a
 * checksum, a sequence number, what a single packet carries) gets none.  What
 * a column costs is estimated from some rows.
 *
 * Always kept is what says whose packets they are: addresses, ports, and all
 * that stands before the network's header.
 */
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "recorder/flow/table/encode.h"

#define SAMPLE_ROWS	32u
/* Columns that are kept because they are cheap, in sixteenths of a bit a row:
 * of each, and of all of them. */
#define COST_MAX	48u
#define COST_SUM_MAX	512u
#define VALUES_MAX	12u	/* of a sample; with more it is dear */
/* RFC 826, of IPv4 in Ethernet. */
#define ARP_OPERATION	6u
#define ARP_SENDER	14u
#define ARP_TARGET	24u
#define AHEAD		8u	/* rows */
#define FEW		2u	/* values that are no noise, whoever has them */

/* Over all rows, of what they know to be set and of what they do not know. */
struct learnt {
	pb_lane	 all_ones[PB_LANES], any_ones[PB_LANES];
	pb_lane	 all_unknown[PB_LANES], any_unknown[PB_LANES];
};

struct sample {
	uint32_t rows;
	uint32_t has[SAMPLE_ROWS];	/* bytes that a packet of it had */
	uint8_t	 ones[SAMPLE_ROWS][PB_FLOW_BYTES];
	uint8_t	 unknown[SAMPLE_ROWS][PB_FLOW_BYTES];
};

/* Where the planes are that a run's rows write to: of the columns that are
 * kept, and of their unknown bits, in the order of the rows' own bytes. */
struct target {
	uint8_t		*ones[PB_FLOW_BYTES], *unknown[PB_FLOW_BYTES];
	bool		 many;		/* there are unknown bits */
};

struct count {			/* rows of a sample that know the same */
	uint8_t	 ones, unknown;
	uint8_t	 times;
};

static void	take_pairs(bool *, const struct pairs *);
static void	list(struct column_bytes *, const bool *);
static void	put_run(const struct target *, const struct columns *,
		    const struct pb_flow *, const uint32_t *, uint32_t,
		    uint32_t);
static void	put_planes(uint8_t *const *, const struct column_bytes *,
		    const uint8_t *, const struct pb_lanes *, uint32_t,
		    pb_lane (*)(const struct pb_lanes *, uint32_t));
static void	target_planes(uint8_t **, uint8_t *,
		    const struct column_bytes *, uint32_t,
		    const struct pairs *);
static void	take_lane(pb_lane *, const uint8_t *, const struct pb_lanes *,
		    uint32_t, pb_lane (*)(const struct pb_lanes *, uint32_t));
static void	weave(pb_lane *, const pb_lane *);
static void	put_row(const struct target *, const struct columns *,
		    const struct pb_flow *, uint32_t);
static bool	same_in_all(struct columns *, const struct learnt *, uint32_t,
		    bool *);
static uint32_t	values_count(const struct sample *, uint32_t, struct count *,
		    uint32_t *);
static void	learn(struct learnt *, const unsigned *, const struct rows *,
		    const struct shape_rows *);
static void	learn_row(struct learnt *, uint32_t, uint32_t,
		    const struct pb_flow *);
static void	costs(unsigned *, const bool *, const struct rows *,
		    const struct shape_rows *);
static void	sample_take(struct sample *, const struct rows *,
		    const struct shape_rows *);
static void	keys(bool *, const struct pb_flow_key *);
static void	key_bytes(bool *, uint32_t, uint32_t);
static unsigned	cost(const struct sample *, uint32_t);

void
columns_choose(struct columns *columns, const struct rows *rows,
    const struct shape_rows *shape)
{
	bool key[PB_FLOW_BYTES], kept[PB_FLOW_BYTES] = { false };
	bool bits[PB_FLOW_BYTES] = { false };
	unsigned its[PB_FLOW_BYTES], sum = 0;
	struct learnt learnt;

	columns->pairs.pairs = 0;
	if (shape->rows - shape->begin[RUN_ONE_TURNED] +
	    shape->many - shape->begin[RUN_MANY_TURNED] > 0)
		pairs_find(&columns->pairs, &shape->key);
	keys(key, &shape->key);
	costs(its, key, rows, shape);
	learn(&learnt, its, rows, shape);
	for (uint32_t at = 0; at < PB_FLOW_BYTES; at++) {
		bool some;

		if (!same_in_all(columns, &learnt, at, &some) &&
		    its[at] <= COST_MAX && sum + its[at] <= COST_SUM_MAX) {
			sum += its[at];
			kept[at] = true;
			bits[at] = some && shape->many > 0;
		}
	}
	take_pairs(kept, &columns->pairs);
	take_pairs(bits, &columns->pairs);
	list(&columns->kept, kept);
	list(&columns->bits, bits);
}

/* Of a pair both or none. */
static void
take_pairs(bool *set, const struct pairs *pairs)
{
	for (uint32_t i = 0; i < pairs->pairs; i++) {
		bool *one = set + pairs->pair[i].at;
		bool *other = one + pairs->pair[i].bytes;

		for (; one < set + pairs->pair[i].at + pairs->pair[i].bytes;
		    one++, other++)
			*one = *other = *one || *other;
	}
}

static void
list(struct column_bytes *out, const bool *set)
{
	out->count = 0;
	for (uint32_t at = 0; at < PB_FLOW_BYTES; at++)
		if (set[at])
			out->at[out->count++] = (uint8_t)at;
}

void
columns_put(uint8_t *out, const struct columns *columns,
    const struct rows *rows, const struct shape_rows *shape)
{
	static const struct pairs none;
	uint8_t *unknown = out + (size_t)columns->kept.count * shape->rows;
	struct target target;

	for (unsigned run = 0; run < RUNS; run++) {
		const struct pairs *pairs = run == RUN_MANY_TURNED ||
		    run == RUN_ONE_TURNED ? &columns->pairs : &none;

		target.many = run < RUN_ONE;
		target_planes(target.ones, out, &columns->kept, shape->rows,
		    pairs);
		target_planes(target.unknown, unknown, &columns->bits,
		    shape->many, pairs);
		put_run(&target, columns, rows->flows->flow,
		    &rows->flow_of[shape->row], shape->begin[run],
		    shape->begin[run + 1]);
	}
}

/* Where the columns stand that rows, straight or turned, fill with these
 * bytes. */
static void
target_planes(uint8_t **out, uint8_t *planes, const struct column_bytes *bytes,
    uint32_t rows, const struct pairs *pairs)
{
	uint8_t *plane_of[PB_FLOW_BYTES];

	for (uint32_t i = 0; i < bytes->count; i++)
		plane_of[bytes->at[i]] = planes + (size_t)i * rows;
	for (uint32_t i = 0; i < bytes->count; i++)
		out[i] = plane_of[pairs_other(pairs, bytes->at[i])];
}

/* Rows `row` .. `end` - 1, as many as a lane has bytes at once. */
static void
put_run(const struct target *target, const struct columns *columns,
    const struct pb_flow *flows, const uint32_t *flow, uint32_t row,
    uint32_t end)
{
	struct pb_lanes lanes[PB_LANE];

	for (; row + PB_LANE <= end; row += PB_LANE) {
		for (uint32_t i = row + PB_LANE; i < row + 2 * PB_LANE &&
		    i < end; i++)
			pb_flow_fetch(&flows[flow[i]]);
		for (uint32_t i = 0; i < PB_LANE; i++)
			lanes[i] = pb_lanes(&flows[flow[row + i]]);
		put_planes(target->ones, &columns->kept, columns->ones, lanes,
		    row, pb_lane_ones);
		if (target->many)
			put_planes(target->unknown, &columns->bits,
			    columns->unknown, lanes, row, pb_lane_unknown);
	}
	for (; row < end; row++)
		put_row(target, columns, &flows[flow[row]], row);
}

/* What these rows know of the bytes; of what none of their packets has, what
 * all know. */
static inline __attribute__((always_inline)) void
put_planes(uint8_t *const *to, const struct column_bytes *bytes,
    const uint8_t *all, const struct pb_lanes *lanes, uint32_t row,
    pb_lane (*get)(const struct pb_lanes *, uint32_t))
{
	pb_lane column[PB_LANE];
	uint32_t i = 0;

	while (i < bytes->count) {
		uint32_t at = bytes->at[i] / PB_LANE * PB_LANE;

		take_lane(column, all, lanes, at, get);
		for (; i < bytes->count && bytes->at[i] < at + PB_LANE; i++)
			*(pb_lane *)(to[i] + row) =
			    column[bytes->at[i] % PB_LANE];
	}
}

/* Column by column what rows have of a lane; of a byte that none of a row's
 * packets has, anything is true. */
static inline __attribute__((always_inline)) void
take_lane(pb_lane *out, const uint8_t *all,
    const struct pb_lanes *lanes, uint32_t at,
    pb_lane (*get)(const struct pb_lanes *, uint32_t))
{
	pb_lane half[PB_LANE], every = pb_lane_at(all + at);

	for (uint32_t row = 0; row < PB_LANE; row++) {
		pb_lane has = pb_lane_at(lanes[row].has + at);

		out[row] = (get(&lanes[row], at) & has) | (every & ~has);
	}
	/* Each time the place's top bit of row and column, side by side, comes
	 * to their end: in four times they have changed places. */
	weave(half, out);
	weave(out, half);
	weave(half, out);
	weave(out, half);
}

static inline void
weave(pb_lane *out, const pb_lane *in)
{
	for (uint32_t i = 0; i < PB_LANE / 2; i++) {
		pb_lane a = in[i], b = in[i + PB_LANE / 2];

		out[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2,
		    18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
		out[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25,
		    10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
	}
}

static void
put_row(const struct target *target, const struct columns *columns,
    const struct pb_flow *flow, uint32_t row)
{
	const struct column_bytes *kept = &columns->kept;
	const struct column_bytes *bits = &columns->bits;
	uint8_t ones[PB_FLOW_BYTES], unknown[PB_FLOW_BYTES];
	uint32_t last = kept->count > 0 ? kept->at[kept->count - 1] : 0;

	pb_flow_known(flow, ones, unknown);
	/* Of a byte that none of its packets has, anything is true. */
	for (uint32_t at = flow->caplen_max; at <= last; at++) {
		ones[at] = columns->ones[at];
		unknown[at] = columns->unknown[at];
	}
	for (uint32_t i = 0; i < kept->count; i++)
		target->ones[i][row] = ones[kept->at[i]];
	for (uint32_t i = 0; target->many && i < bits->count; i++)
		target->unknown[i][row] = unknown[bits->at[i]];
}

/* What all rows know of the byte, and whether that is what each does; whether
 * some have unknown bits. */
static bool
same_in_all(struct columns *columns, const struct learnt *learnt, uint32_t at,
    bool *bits)
{
	uint8_t all = ((const uint8_t *)learnt->all_ones)[at];
	uint8_t any = ((const uint8_t *)learnt->any_ones)[at];
	uint8_t all_unknown = ((const uint8_t *)learnt->all_unknown)[at];
	uint8_t any_unknown = ((const uint8_t *)learnt->any_unknown)[at];
	/* No row has the byte, or it was not looked at. */
	bool none = (all & (uint8_t)~any) != 0;

	columns->ones[at] = none ? 0 : all;
	columns->unknown[at] = none ? 0xff :
	    (any | any_unknown) & (uint8_t)~all;
	*bits = any_unknown != 0;
	return none || (all == any && all_unknown == any_unknown);
}

/* Lanes that hold nothing but noise, or nothing, are left out. */
static void
learn(struct learnt *learnt, const unsigned *its, const struct rows *rows,
    const struct shape_rows *shape)
{
	const uint32_t *flow = &rows->flow_of[shape->row];
	uint32_t first = PB_LANES, end = 0;

	for (uint32_t at = 0; at < PB_FLOW_BYTES; at++)
		if (its[at] <= COST_MAX) {
			if (first == PB_LANES)
				first = at / PB_LANE;
			end = at / PB_LANE + 1;
		}
	memset(learnt->all_ones, 0xff, sizeof(learnt->all_ones));
	memset(learnt->all_unknown, 0xff, sizeof(learnt->all_unknown));
	memset(learnt->any_ones, 0, sizeof(learnt->any_ones));
	memset(learnt->any_unknown, 0, sizeof(learnt->any_unknown));
	for (uint32_t row = 0; row < shape->rows; row++) {
		if (row + AHEAD < shape->rows)
			pb_flow_fetch(&rows->flows->flow[flow[row + AHEAD]]);
		learn_row(learnt, first, end,
		    &rows->flows->flow[flow[row]]);
	}
}

/* Of the bytes that a packet of it has. */
static void
learn_row(struct learnt *learnt, uint32_t first, uint32_t end,
    const struct pb_flow *flow)
{
	struct pb_lanes lanes = pb_lanes(flow);

	for (uint32_t i = first; i < end; i++) {
		pb_lane has = pb_lane_at(lanes.has + i * PB_LANE);
		pb_lane one = pb_lane_ones(&lanes, i * PB_LANE);
		pb_lane free = pb_lane_unknown(&lanes, i * PB_LANE);

		learnt->all_ones[i] &= one | ~has;
		learnt->any_ones[i] |= one & has;
		learnt->all_unknown[i] &= free | ~has;
		learnt->any_unknown[i] |= free & has;
	}
}

/* Of each byte what its column would cost; 0 where it is kept anyway. */
static void
costs(unsigned *its, const bool *key, const struct rows *rows,
    const struct shape_rows *shape)
{
	struct sample sample;

	sample_take(&sample, rows, shape);
	for (uint32_t at = 0; at < PB_FLOW_BYTES; at++)
		its[at] = key[at] ? 0 : cost(&sample, at);
}

/* Some rows, evenly. */
static void
sample_take(struct sample *sample, const struct rows *rows,
    const struct shape_rows *shape)
{
	sample->rows = shape->rows < SAMPLE_ROWS ? shape->rows : SAMPLE_ROWS;
	for (uint32_t i = 0; i < sample->rows; i++) {
		uint64_t row = (uint64_t)i * shape->rows / sample->rows;
		const struct pb_flow *flow =
		    &rows->flows->flow[rows->flow_of[shape->row + row]];

		sample->has[i] = flow->caplen_max;
		pb_flow_known(flow, sample->ones[i], sample->unknown[i]);
	}
}

static void
keys(bool *key, const struct pb_flow_key *shape)
{
	memset(key, 0, PB_FLOW_BYTES * sizeof(*key));
	key_bytes(key, 0, shape->network);
	if (shape->ethertype == ETH_P_ARP) {
		key_bytes(key, shape->network + ARP_OPERATION, 2);
		key_bytes(key, shape->network + ARP_SENDER, 4);
		key_bytes(key, shape->network + ARP_TARGET, 4);
	}
	if (shape->transport == 0)	/* no IP */
		return;
	if (shape->ethertype == ETH_P_IPV6 || (shape->bits & PB_FLOW_IPV6) != 0)
		key_bytes(key, shape->network + 8u, 32);
	else
		key_bytes(key, shape->network + 12u, 8);
	if ((shape->bits & PB_FLOW_PORTS) != 0)
		key_bytes(key, shape->transport, 4);
	else if (shape->protocol == IPPROTO_ICMP ||
	    shape->protocol == IPPROTO_ICMPV6)
		key_bytes(key, shape->transport, 2);
}

static void
key_bytes(bool *key, uint32_t at, uint32_t bytes)
{
	for (; bytes > 0 && at < PB_FLOW_BYTES; at++, bytes--)
		key[at] = true;
}

/* Of a row, in sixteenths of a bit: the entropy of what the sample knows of
 * the byte.  Noise is dear even where most rows know nothing: whoever knows
 * something knows something else. */
static unsigned
cost(const struct sample *sample, uint32_t at)
{
	/* 16 * i * log2(i) */
	static const uint16_t ilog[SAMPLE_ROWS + 1] = { 0, 0, 32, 76, 128,
	    186, 248, 314, 384, 456, 532, 609, 688, 770, 853, 938, 1024, 1112,
	    1201, 1291, 1383, 1476, 1570, 1665, 1761, 1858, 1955, 2054, 2154,
	    2254, 2355, 2457, 2560 };
	uint32_t rows, values, knowing = 0, known = 0, sum = 0;
	struct count count[VALUES_MAX];

	values = values_count(sample, at, count, &rows);
	if (values > VALUES_MAX)
		return COST_MAX + 1;
	for (uint32_t i = 0; i < values; i++) {
		sum += ilog[count[i].times];
		if (count[i].unknown != 0xff) {
			knowing += count[i].times;
			known++;
		}
	}
	if (known > FEW && 2 * known > knowing)
		return COST_MAX + 1;
	return rows > 0 ? (ilog[rows] - sum) / rows : 0;
}

/* How many there are, or more than VALUES_MAX; `*rows` have the byte. */
static uint32_t
values_count(const struct sample *sample, uint32_t at, struct count *count,
    uint32_t *rows)
{
	uint32_t values = 0, i;

	*rows = 0;
	for (uint32_t row = 0; row < sample->rows; row++) {
		uint8_t ones = sample->ones[row][at];
		uint8_t unknown = sample->unknown[row][at];

		if (at >= sample->has[row])
			continue;
		++*rows;
		for (i = 0; i < values && (count[i].ones != ones ||
		    count[i].unknown != unknown); i++)
			;
		if (i == VALUES_MAX)
			return VALUES_MAX + 1;
		if (i == values)
			count[values++] = (struct count){ ones, unknown, 0 };
		count[i].times++;
	}
	return values;
}
