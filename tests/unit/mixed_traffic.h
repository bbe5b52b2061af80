/*
 * tests/unit/mixed_traffic.h - packets as they come on a busy link, made up
 *
 * Repeatable: conversations of TCP and UDP, IPv4 and IPv6, with and without a
 * VLAN tag, few large and many small, which begin with SYN and end with FIN;
 * what real headers have that no index can keep is noise here as well.
 */
#ifndef PB_TESTS_MIXED_TRAFFIC_H
#define PB_TESTS_MIXED_TRAFFIC_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "recorder/flow/flows.h"

/* Of a packet so many are made: of the others nobody looks at any. */
#define MIXED_BYTES	256u

struct mixed_packet {
	uint32_t	 caplen, len, at;
	uint64_t	 time_ns;
	uint8_t		 data[MIXED_BYTES + PB_FLOW_BEHIND];
};

struct mixed_talk {
	uint32_t	 packets;	/* so far */
	uint32_t	 seed;
};

struct mixed {
	uint64_t	 seed;
	uint32_t	 talks;
	bool		 small;		/* 100 bytes a packet, not 660 */
	uint64_t	 time_ns;
	uint32_t	 at;
	struct mixed_talk *talk;
};

static inline uint32_t
mixed_any(uint64_t *seed, uint32_t below)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*seed >> 33) % below);
}

static inline void
mixed_init(struct mixed *mixed, uint32_t talks, bool small, uint64_t seed)
{
	memset(mixed, 0, sizeof(*mixed));
	mixed->seed = seed;
	mixed->talks = talks;
	mixed->small = small;
	mixed->time_ns = 1700000000000000000;
	mixed->talk = calloc(talks, sizeof(*mixed->talk));
	for (uint32_t i = 0; i < talks; i++)
		mixed->talk[i].seed = mixed_any(&mixed->seed, UINT32_MAX);
}

static inline void
mixed_finish(struct mixed *mixed)
{
	free(mixed->talk);
}

static inline uint32_t
mixed_len(struct mixed *mixed, const struct mixed_talk *talk)
{
	uint32_t which = mixed_any(&mixed->seed, 100);

	if (talk->packets < 2)
		return 74;
	if (mixed->small)
		return which < 55 ? 60 + which % 3 * 6 :
		    66 + mixed_any(&mixed->seed, 140);
	return which < 47 ? 60 + which % 3 * 6 : which < 62 ?
	    66 + mixed_any(&mixed->seed, 1000) : 1514;
}

/* Two hosts: one of some hundred here, one of some thousand elsewhere. */
static inline size_t
mixed_hosts(uint8_t *ip, bool six, bool back, uint64_t *seed)
{
	uint32_t here = mixed_any(seed, 300), there = mixed_any(seed, 4000);
	uint8_t host[2][16] = { { 0x20, 1, 0xd, 0xb8 },
	    { 0x2a, 0, 0x14, 0x50 } };
	size_t bytes = six ? 16 : 4;

	if (six) {
		pb_put_be32(host[0] + 12, here * 2654435761u);
		pb_put_be32(host[1] + 12, there * 2654435761u);
	} else {
		pb_put_be32(host[0], 0x0a000000u + here);
		pb_put_be32(host[1], there * 2654435761u);
	}
	memcpy(ip + (six ? 8 : 12), host[back], bytes);
	memcpy(ip + (six ? 8 : 12) + bytes, host[!back], bytes);
	return six ? 40 : 20;
}

static inline void
mixed_tcp(struct mixed *mixed, const struct mixed_talk *talk, uint8_t *tcp,
    bool last)
{
	pb_put_be32(tcp + 4, mixed_any(&mixed->seed, UINT32_MAX));
	pb_put_be32(tcp + 8, mixed_any(&mixed->seed, UINT32_MAX));
	tcp[12] = 0x50;
	tcp[13] = talk->packets == 0 ? 2 : talk->packets == 1 ? 18 : last ?
	    17 : mixed_any(&mixed->seed, 3) == 0 ? 24 : 16;
	pb_put_be16(tcp + 14, (uint16_t)mixed_any(&mixed->seed, 65536));
}

/* A talk's packets differ in what real ones do. */
static inline void
mixed_headers(struct mixed *mixed, const struct mixed_talk *talk, uint8_t *p,
    uint32_t len)
{
	static const uint16_t ports[] = { 443, 80, 53, 22, 25, 123 };
	uint64_t seed = talk->seed;
	bool six = mixed_any(&seed, 10) == 0, tag = mixed_any(&seed, 7) == 0;
	bool udp = mixed_any(&seed, 4) == 0;
	bool back = talk->packets < 2 ? talk->packets == 1 :
	    mixed_any(&mixed->seed, 2) == 0;
	uint16_t port[2] = { (uint16_t)(32768 + mixed_any(&seed, 28000)),
	    ports[mixed_any(&seed, 6)] };
	uint8_t ttl = (uint8_t)(back ? 40 + mixed_any(&seed, 20) : 64), *ip;
	static const uint8_t macs[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
	size_t header;

	memcpy(p, macs, sizeof(macs));
	p[back ? 5 : 11] = (uint8_t)mixed_any(&seed, 30);
	ip = p + 14;
	if (tag) {
		pb_put_be32(p + 12, 0x81000000u + 10 + mixed_any(&seed, 4));
		ip += 4;
	}
	pb_put_be16(ip - 2, six ? 0x86dd : 0x0800);
	header = mixed_hosts(ip, six, back, &seed);
	if (six) {
		ip[0] = 0x60;
		pb_put_be16(ip + 4, (uint16_t)(len - 54));
		ip[6] = udp ? 17 : 6;
		ip[7] = ttl;
	} else {
		ip[0] = 0x45;
		pb_put_be16(ip + 2, (uint16_t)(len - 14));
		pb_put_be16(ip + 4, (uint16_t)mixed_any(&mixed->seed, 65536));
		ip[6] = 0x40;
		ip[7] = 0;
		ip[8] = ttl;
		ip[9] = udp ? 17 : 6;
		pb_put_be16(ip + 10, (uint16_t)mixed_any(&mixed->seed, 65536));
	}
	pb_put_be16(ip + header, port[back]);
	pb_put_be16(ip + header + 2, port[!back]);
	if (!udp)
		mixed_tcp(mixed, talk, ip + header,
		    mixed_any(&mixed->seed, 40) == 0);
}

/* Of the talks the first are the largest: as many packets are of the first as
 * of the next two, of the next four (Zipf's law, nearly). */
static inline struct mixed_talk *
mixed_which(struct mixed *mixed)
{
	uint32_t octaves = 0, from;

	while (mixed->talks >> octaves > 1)
		octaves++;
	from = 1u << mixed_any(&mixed->seed, octaves + 1);
	return &mixed->talk[(from - 1 + mixed_any(&mixed->seed, from)) %
	    mixed->talks];
}

static inline void
mixed_next(struct mixed *mixed, struct mixed_packet *out)
{
	struct mixed_talk *talk = mixed_which(mixed);

	out->len = out->caplen = mixed_len(mixed, talk);
	for (uint32_t i = 0; i < MIXED_BYTES; i += 4)
		pb_put_le32(out->data + i, mixed_any(&mixed->seed,
		    UINT32_MAX));
	mixed_headers(mixed, talk, out->data, out->len);
	talk->packets++;
	mixed->time_ns += 100 + mixed_any(&mixed->seed, 10000);
	out->time_ns = mixed->time_ns;
	out->at = mixed->at;
	mixed->at += 28 + (uint32_t)pb_round_up(out->len, 4) + 12 + 4 + 4;
}

#endif
