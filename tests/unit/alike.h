/*
 * tests/unit/alike.h - packets that are alike, and filters to ask about them
 */
#ifndef PB_TESTS_UNIT_ALIKE_H
#define PB_TESTS_UNIT_ALIKE_H

#include <stdlib.h>
#include <string.h>

#include "recorder/filter/filter_impl.h"
#include "recorder/filter/values.h"

#define PACKET_BYTES	96u
#define GROUP_MAX	6u
#define PROGRAM_MAX	40u
#define PLACES_MAX	8u
#define SET_BYTES	80u

struct group {
	unsigned	 packets;
	uint8_t		 data[GROUP_MAX][PACKET_BYTES];
	uint32_t	 caplen[GROUP_MAX], len[GROUP_MAX];
	uint8_t		 ones[PACKET_BYTES], unknown[PACKET_BYTES];
	struct pb_alike	 alike;
	struct pb_place	 place[PLACES_MAX];
	uint8_t		 set[PLACES_MAX][SET_BYTES];
	struct pb_places places;
	struct pb_places_memo memo;
};

static const char *const filters[] = {
	"", "ip", "not ip", "ip6", "arp", "tcp", "udp port 53", "icmp",
	"host 10.0.0.1", "src host 10.0.0.1 and dst port 80",
	"dst net 10.0.0.0/23", "net 10.0.0.0 mask 255.0.255.0",
	"port 80 or port 443", "portrange 1000-2000", "src portrange 1-1300",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[13] = 18",
	"tcp[tcpflags] & tcp-syn != 0 and tcp[tcpflags] & tcp-ack = 0",
	"ip[8] < 10", "ip[1] & 0xfc = 0", "ip[6:2] & 0x1fff != 0",
	"ip[0] & 0xf != 5", "greater 60", "less 64", "len = 60",
	"len - 14 > 40", "ether host 02:00:00:00:00:01",
	"ether[0] & 1 = 0", "ether multicast", "ether broadcast", "vlan",
	"vlan 7 and tcp", "not vlan and udp", "mpls", "pppoes and ip",
	"ip6 host 2001:db8::1", "ip6 net 2001:db8::/32 and tcp port 443",
	"ip6 protochain 6", "ip protochain 17", "tcp[((tcp[12]&0xf0)>>2)] = 1",
	"ip[ip[2] & 15] > 7", "udp[8:4] = 0x01020304", "icmp[icmptype] = 8",
	"tcp[4:4] % 3 = 1", "ip[2:2] / (ip[8] - 60) > 3", "ip proto 47",
	"not (tcp or udp)", "ip[10:2] * 3 > 70000", "ip[4:2] << 3 & 8 != 0",
	"tcp src port 1234 and (dst host 10.0.0.2 or dst host 10.0.0.9)",
};

/* A fuzz target draws its own. */
#ifndef PB_ALIKE_ANY
static uint64_t seed;

static inline uint32_t
any(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}
#endif

/* --- packets -------------------------------------------------------------- */

static inline void
make_headers(uint8_t *p)
{
	static const uint8_t v4[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
	    0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
	    4, 210, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2 };
	static const uint8_t v6[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1,
	    0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64, 0x20, 1, 0xd, 0xb8, 0, 0,
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0,
	    0, 0, 0, 0, 0, 2, 4, 210, 1, 187 };
	size_t at = 0;

	for (size_t i = 0; i < PACKET_BYTES; i++)
		p[i] = (uint8_t)any(256);
	if (any(3) == 0)
		memcpy(p, v6, sizeof(v6));
	else
		memcpy(p, v4, sizeof(v4));
	if (any(4) == 0) {	/* a tag, a label, a session */
		static const uint8_t tag[3][2] = { { 0x81, 0 }, { 0x88, 0x47 },
		    { 0x88, 0x64 } };

		at = 4;
		memmove(p + 12 + at, p + 12, PACKET_BYTES - 12 - at);
		memcpy(p + 12, tag[any(3)], 2);
		p[14] = 0;
		p[15] = 7;
	}
	if (any(3) == 0)
		p[14 + at + 9] = (uint8_t)any(60);	/* protocol */
	if (any(4) == 0)
		p[14 + at] = (uint8_t)(0x44 + any(4));	/* header length */
}

/* What its packets have in common. */
static inline void
know_group(struct group *g)
{
	struct pb_alike *alike = &g->alike;

	memset(g->ones, 0xff, sizeof(g->ones));
	memset(g->unknown, 0, sizeof(g->unknown));
	memset(alike, 0, sizeof(*alike));
	alike->caplen_min = alike->len_min = UINT32_MAX;
	for (unsigned i = 0; i < g->packets; i++) {
		for (uint32_t at = 0; at < g->caplen[i]; at++) {
			g->ones[at] &= g->data[i][at];
			g->unknown[at] |= g->data[i][at];
		}
		if (alike->caplen_min > g->caplen[i])
			alike->caplen_min = g->caplen[i];
		if (alike->caplen_max < g->caplen[i])
			alike->caplen_max = g->caplen[i];
		if (alike->len_min > g->len[i])
			alike->len_min = g->len[i];
		if (alike->len_max < g->len[i])
			alike->len_max = g->len[i];
	}
	for (uint32_t at = 0; at < PACKET_BYTES; at++)
		g->unknown[at] &= (uint8_t)~g->ones[at];
	alike->ones = g->ones;
	alike->unknown = g->unknown;
}

/* Packets that differ in some bytes, and what they have in common. */
static inline void
make_group(struct group *g)
{
	unsigned changes = any(12);

	g->packets = 1 + any(GROUP_MAX);
	make_headers(g->data[0]);
	for (unsigned i = 0; i < g->packets; i++) {
		memcpy(g->data[i], g->data[0], PACKET_BYTES);
		for (unsigned c = 0; i > 0 && c < changes; c++)
			g->data[i][any(PACKET_BYTES)] ^= (uint8_t)(1u <<
			    any(8));
		g->caplen[i] = any(8) == 0 ? 1 + any(PACKET_BYTES) :
		    PACKET_BYTES - any(3);
		g->len[i] = g->caplen[i] + any(5) * any(400);
	}
	know_group(g);
	g->alike.bytes = 1 + any(g->alike.caplen_max);
}

static inline int
by_number(const void *a, const void *b)
{
	uint32_t x = ((const struct pb_span *)a)->lo;
	uint32_t y = ((const struct pb_span *)b)->lo;

	return x < y ? -1 : x > y;
}

/* What the packets that have all of the place's bytes have there, as numbers,
 * or as fewer spans, or as a filter. */
static inline size_t
make_set(uint8_t *out, const struct group *g, uint32_t at, uint32_t bytes)
{
	static struct pb_fuse_work work;
	struct pb_span span[GROUP_MAX + 1] = { 0 };
	uint32_t number[GROUP_MAX];
	size_t spans = 0, n = 0;
	bool wide = any(4) == 0;

	for (unsigned i = 0; i < g->packets; i++) {
		uint32_t v = 0;

		for (uint32_t b = at; b < at + bytes; b++)
			v = v << 8 | g->data[i][b];
		if (at + bytes <= g->caplen[i])
			span[spans++] = (struct pb_span){ v, v };
	}
	qsort(span, spans, sizeof(span[0]), by_number);
	for (size_t i = 0; i < spans; i++)
		if (n > 0 && span[i].lo <= span[n - 1].hi + (wide ? 99 : 0))
			span[n - 1].hi = span[i].lo;
		else
			span[n++] = span[i];
	for (size_t i = 0; i < n; i++)
		number[i] = span[i].lo;
	if (bytes == 4 && !wide && n > 0 && any(3) == 0)
		return pb_values_put_fuse(out, SET_BYTES, number, n, 8, &work);
	return pb_values_put(out, span, n);
}

static inline void
make_places(struct group *g)
{
	static const uint8_t usual[] = { 26, 30, 34, 36, 14, 22, 23, 47 };

	g->places.place = g->place;
	memset(&g->memo, 0, sizeof(g->memo));
	g->places.memo = any(2) == 0 ? &g->memo : NULL;
	g->places.places = any(PLACES_MAX);
	for (size_t i = 0; i < g->places.places; i++) {
		struct pb_place *place = &g->place[i];

		place->bytes = 1u << any(3);
		place->at = any(3) == 0 ? any(PACKET_BYTES - 4) :
		    usual[any(sizeof(usual))];
		place->values = g->set[i];
		place->len = make_set(g->set[i], g, place->at, place->bytes);
		/* The bits may know less than the places. */
		if (any(2) == 0) {
			memset(g->ones + place->at, 0, place->bytes);
			memset(g->unknown + place->at, 0xff, place->bytes);
		}
	}
	g->alike.places = any(5) == 0 ? NULL : &g->places;
}

/* --- programs ------------------------------------------------------------- */

/* What some packet of the group has there. */
static inline uint32_t
number_at(const struct group *g, uint32_t at, unsigned bytes)
{
	const uint8_t *data = g->data[any(g->packets)] + at % (PACKET_BYTES - 4);
	uint32_t v = 0;

	while (bytes-- > 0)
		v = v << 8 | *data++;
	return v;
}

/* What filters do most: a load, perhaps a mask, and a test of it. */
static inline void
make_test(struct bpf_insn *insn, const struct group *g, unsigned left)
{
	static const u_short sizes[] = { BPF_B, BPF_H, BPF_W };
	static const u_short tests[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET };
	uint32_t at = g->places.places == 0 ? any(64) :
	    g->place[any((uint32_t)g->places.places)].at;
	unsigned size = any(3);

	*insn++ = (struct bpf_insn)BPF_STMT(BPF_LD | BPF_ABS | sizes[size],
	    at);
	*insn = (struct bpf_insn)BPF_STMT(BPF_MISC | BPF_TAX, 0);
	if (any(2) == 0)
		*insn = (struct bpf_insn)BPF_STMT(BPF_ALU | BPF_AND | BPF_K,
		    0xffffff00u >> any(16));
	*++insn = (struct bpf_insn)BPF_JUMP(BPF_JMP | BPF_K | tests[any(4)],
	    number_at(g, at, 1u << size), (u_char)any(left),
	    (u_char)any(left));
	if (insn[-1].code != (BPF_MISC | BPF_TAX) && any(3) != 0)
		insn->k &= insn[-1].k;
}

static inline void
make_insn(struct bpf_insn *insn, unsigned left)
{
	static const u_short codes[] = {
		BPF_LD | BPF_W | BPF_ABS, BPF_LD | BPF_H | BPF_ABS,
		BPF_LD | BPF_B | BPF_ABS, BPF_LD | BPF_B | BPF_IND,
		BPF_LD | BPF_H | BPF_IND, BPF_LD | BPF_W | BPF_IND,
		BPF_LD | BPF_LEN, BPF_LD | BPF_IMM, BPF_LDX | BPF_IMM,
		BPF_LDX | BPF_MSH | BPF_B, BPF_LDX | BPF_LEN, BPF_ST, BPF_STX,
		BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM, BPF_MISC | BPF_TAX,
		BPF_MISC | BPF_TXA, BPF_ALU | BPF_NEG, BPF_JMP | BPF_JA,
		BPF_ALU | BPF_ADD, BPF_ALU | BPF_SUB, BPF_ALU | BPF_MUL,
		BPF_ALU | BPF_DIV, BPF_ALU | BPF_MOD, BPF_ALU | BPF_AND,
		BPF_ALU | BPF_OR, BPF_ALU | BPF_XOR, BPF_ALU | BPF_LSH,
		BPF_ALU | BPF_RSH, BPF_JMP | BPF_JEQ, BPF_JMP | BPF_JGT,
		BPF_JMP | BPF_JGE, BPF_JMP | BPF_JSET, BPF_JMP | BPF_JEQ,
	};
	static const uint32_t numbers[] = { 0, 1, 2, 6, 0x0800, 80, 0x0a000001,
	    0xffffffff, 0x80000000 };
	u_short code = codes[any(sizeof(codes) / sizeof(codes[0]))];

	memset(insn, 0, sizeof(*insn));
	insn->k = any(2) == 0 ? any(64) :
	    numbers[any(sizeof(numbers) / sizeof(numbers[0]))];
	if (code == (BPF_JMP | BPF_JA))
		insn->k = any(left);
	else if (BPF_CLASS(code) == BPF_JMP || (BPF_CLASS(code) == BPF_ALU &&
	    BPF_OP(code) != BPF_NEG))
		code |= any(3) == 0 ? BPF_X : BPF_K;
	if (BPF_CLASS(code) == BPF_ALU && (BPF_OP(code) == BPF_DIV ||
	    BPF_OP(code) == BPF_MOD || BPF_OP(code) == BPF_LSH ||
	    BPF_OP(code) == BPF_RSH) && BPF_SRC(code) == BPF_K)
		insn->k = 1 + insn->k % 31;
	if (BPF_CLASS(code) == BPF_ST || BPF_CLASS(code) == BPF_STX ||
	    code == (BPF_LD | BPF_MEM) || code == (BPF_LDX | BPF_MEM))
		insn->k %= BPF_MEMWORDS;
	insn->code = code;
	insn->jt = (u_char)any(left);
	insn->jf = (u_char)any(left);
}

/* Memory is written before all else: libpcap does not say what is in it. */
static inline struct pb_filter *
make_program(const struct group *g)
{
	struct pb_filter *filter = calloc(1, sizeof(*filter));
	unsigned len = BPF_MEMWORDS + 2 + any(PROGRAM_MAX - 2);
	struct bpf_insn *insns = calloc(len, sizeof(*insns));

	assert_non_null(filter);
	assert_non_null(insns);
	for (unsigned i = 0; i < len; i++) {
		if (i < BPF_MEMWORDS)
			insns[i] = (struct bpf_insn)BPF_STMT(BPF_ST, i);
		else if (i + 5 < len && any(3) == 0) {
			make_test(&insns[i], g, len - 3 - i);
			i += 2;
			continue;
		} else if (i + 1 < len)
			make_insn(&insns[i], len - 1 - i);
		else
			insns[i] = (struct bpf_insn)BPF_STMT(BPF_RET | BPF_A,
			    0);
		if (i > BPF_MEMWORDS && any(9) == 0)
			insns[i] = (struct bpf_insn)BPF_STMT(BPF_RET | BPF_K,
			    any(2));
	}
	insns[len - 1].code = any(2) == 0 ? BPF_RET | BPF_A :
	    BPF_RET | BPF_K;
	assert_true(bpf_validate(insns, (int)len));
	filter->program.bf_insns = insns;
	filter->program.bf_len = len;
	return filter;
}

static inline bool
matches(const struct pb_filter *filter, const struct group *g, unsigned i)
{
	struct pb_packet packet = { .caplen = g->caplen[i],
	    .origlen = g->len[i], .data = g->data[i] };

	return pb_filter_match(filter, &packet);
}

#endif
