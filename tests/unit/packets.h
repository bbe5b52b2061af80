/*
 * tests/unit/packets.h - packets as they might come, repeatably at random
 */
#ifndef PB_TESTS_PACKETS_H
#define PB_TESTS_PACKETS_H

#include <stdint.h>
#include <string.h>

#define PACKETS_BYTES	160u	/* that make_packet() writes */

static uint64_t packets_seed = 1;

static inline uint32_t
any(uint32_t below)
{
	packets_seed = packets_seed * 6364136223846793005u +
	    1442695040888963407u;
	return (uint32_t)(packets_seed >> 33) % below;
}

/* An Ethernet frame of TCP or UDP between few, or something like it. */
static inline void
make_packet(uint8_t p[PACKETS_BYTES])
{
	static const uint8_t v4[] = { 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0,
	    10, 0, 0, 1, 10, 0, 0, 2 };
	static const uint8_t v6[] = { 0x60, 0, 0, 0, 0, 20, 6, 64, 0x20, 1,
	    0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0xd, 0xb8,
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2 };
	static const uint8_t protocol[] = { 6, 6, 6, 17, 17, 1, 58, 132, 44,
	    47 };
	size_t at = 14;
	int ip6 = any(4) == 0;

	for (size_t i = 0; i < PACKETS_BYTES; i++)
		p[i] = (uint8_t)any(256);
	memcpy(p, "\2\0\0\0\0\2\2\0\0\0\0\1\x08\0", 14);
	for (unsigned tags = any(8); tags >= 6; tags--, at += 4) {
		memcpy(p + at - 2, any(4) ? "\x81\0\0" : "\x88\xa8\x0f", 3);
		p[at + 1] = (uint8_t)any(3);
	}
	memcpy(p + at - 2, ip6 ? "\x86\xdd" : "\x08\0", 2);
	memcpy(p + at, ip6 ? v6 : v4, ip6 ? sizeof(v6) : sizeof(v4));
	p[at + (ip6 ? 23 : 15)] = (uint8_t)any(3);
	p[at + (ip6 ? 39 : 19)] = (uint8_t)any(3);
	p[at + (ip6 ? 6 : 9)] = protocol[any(sizeof(protocol))];
	if (!ip6 && any(8) == 0)
		p[at + 6 + any(2)] = (uint8_t)any(64);
	if (!ip6 && any(8) == 0)
		p[at] = (uint8_t)(0x40 + any(16));
	at += ip6 ? sizeof(v6) : sizeof(v4);
	memcpy(p + at, "\4\1\0\x50", 4);
	p[at + 1] = (uint8_t)any(4);
	p[at + 13] = (uint8_t)(any(4) == 0 ? any(32) : 0x10);
}

/* Now and then a byte is another one. */
static inline void
spoil_packet(uint8_t p[PACKETS_BYTES])
{
	while (any(3) == 0)
		p[any(3) == 0 ? any(24) + 12 : any(PACKETS_BYTES)] =
		    (uint8_t)any(256);
}

#endif
