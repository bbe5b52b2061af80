/*
 * tests/bench/mixed.c - a pcap file of mixed packets
 *
 *	mixed FILE BYTES SEED SECOND mixed|small
 *
 * Conversations as a network at work has them: some thousands at once, few of
 * them busy, most short; TCP from SYN to FIN, QUIC, DNS, ICMP; a quarter of it
 * IPv6, a tenth with a VLAN tag.  `mixed` comes to some 660 bytes a packet,
 * `small` to 100.  Nothing compresses what they carry.  Times begin at
 * SECOND and ascend; a seed is a file.  Beside them, for who searches:
 *
 *	198.51.100.7	a packet in every 20,000: in each part of the file
 *	198.51.100.9	300 packets, all in the middle of it
 *
 * Prints how many packets it has, and the second behind the last.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONVERSATIONS	16384u	/* at once */
#define CLIENTS		6000u
#define SERVERS		4000u
#define LENGTH_MAX	200000u	/* packets of one */
#define SPREAD_EVERY	20000u
#define BURST		300u
#define BURST_EVERY	3u
#define NOISE_BYTES	(1u << 20)
#define FRAME_MAX	1514u
#define GAP_US		8u	/* between packets, at most */
#define OUT_BYTES	(4u << 20)
#define MAGIC_US	0xa1b2c3d4u
#define SNAPLEN		262144u
#define ETHERNET	1u
#define TCP		6u
#define UDP		17u
#define ICMP		1u
#define ICMP6		58u

enum kind { WEB, SHELL, QUIC, DNS, PING };

struct conversation {
	enum kind	 kind;
	bool		 six;
	uint16_t	 vlan;		/* 0: none */
	uint32_t	 client, server;
	uint16_t	 client_port, server_port;
	uint32_t	 sent, length;	/* packets */
	uint16_t	 size;		/* of a large frame */
	uint32_t	 seq[2];
	uint16_t	 id[2];
	uint8_t		 ttl[2];
};

struct record {
	uint32_t	 sec, usec, caplen, len;
};

static struct conversation all[CONVERSATIONS];
static struct conversation spread, burst;
static uint8_t noise[NOISE_BYTES + FRAME_MAX];
static uint64_t state;
static bool small;

static uint64_t
draw(void)
{
	/* xorshift64*, Vigna 2016. */
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 2685821657736338717u;
}

static uint32_t
below(uint32_t n)
{
	return (uint32_t)((draw() >> 32) * n >> 32);
}

static double
part(void)
{
	return (double)(draw() >> 11) / (double)(1ull << 53);
}

/* Of `n`, the first ones much more often. */
static uint32_t
skewed(uint32_t n)
{
	double u = part();

	return (uint32_t)(u * u * u * u * n);
}

/* --- conversations -------------------------------------------------------- */

/* Half of them have few packets, and few very many. */
static uint32_t
length_of(enum kind kind)
{
	double length = 8 + 16 * (1 / (part() + 1e-9) - 1);

	if (kind == DNS)
		return 2;
	if (kind == PING)
		return 2 + 2 * below(20);
	return length < LENGTH_MAX ? (uint32_t)length : LENGTH_MAX;
}

static void
begin(struct conversation *c)
{
	static const uint16_t sizes[] = { 1514, 1514, 1514, 1514, 1090, 1090,
	    590 };
	uint32_t pick = below(100);

	memset(c, 0, sizeof(*c));
	c->kind = pick < 46 ? WEB : pick < 50 ? SHELL : pick < 60 ? QUIC :
	    pick < 96 ? DNS : PING;
	c->six = below(4) == 0;
	c->vlan = below(10) == 0 ? (uint16_t)(100 + below(8)) : 0;
	c->client = below(CLIENTS);
	c->server = skewed(SERVERS);
	c->client_port = (uint16_t)(32768 + below(28000));
	c->server_port = c->kind == DNS ? 53 : c->kind == SHELL ? 22 :
	    c->kind == QUIC || below(5) > 0 ? 443 : 80;
	c->length = length_of(c->kind);
	c->size = c->kind == QUIC ? 1292 : sizes[below(7)];
	c->seq[0] = (uint32_t)draw();
	c->seq[1] = (uint32_t)draw();
	c->id[0] = (uint16_t)draw();
	c->id[1] = (uint16_t)draw();
	c->ttl[0] = 64;
	c->ttl[1] = (uint8_t)(50 + c->server % 14);
}

/* From the server, which is side 1? */
static bool
from_server(const struct conversation *c)
{
	uint32_t n = c->sent;

	if (c->kind == WEB && n >= 3 && n + 2 < c->length)
		return n % 4 != 0;
	return n % 2 == 1;
}

static uint8_t
tcp_flags(const struct conversation *c)
{
	if (c->sent < 2)
		return c->sent == 0 ? 0x02 : 0x12;
	if (c->sent + 2 >= c->length)
		return 0x11;
	return c->sent % 5 == 3 ? 0x18 : 0x10;
}

/* Bytes behind the TCP, UDP or ICMP header. */
static uint32_t
payload_of(const struct conversation *c, bool server)
{
	bool quiet = c->sent < 3 || c->sent + 2 >= c->length;

	if (small)
		return c->kind == WEB && quiet ? 0 : 18 + below(60);
	switch (c->kind) {
	case WEB:
		if (quiet)
			return 0;
		if (server)
			return c->size - 66u;
		return c->sent % 9 == 0 ? 200 + below(300) : 0;
	case SHELL:
		return quiet ? 0 : 36 + below(8) * 16;
	case QUIC:
		return server || c->sent == 0 ? c->size - 42u : 40 + below(40);
	case DNS:
		return server ? 60 + below(200) : 30 + below(30);
	case PING:
		break;
	}
	return 56;
}

/* --- bytes ---------------------------------------------------------------- */

static uint8_t *
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *
put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v & 0xffff);
}

static uint16_t
sum_of(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~(sum + (sum >> 16));
}

static uint32_t
address(const struct conversation *c, bool server)
{
	if (c == &spread || c == &burst)
		return server ? (c == &burst ? 0xc6336409 : 0xc6336407) :
		    0x0a000001;
	return server ? 0xcb000000 + c->server * 7919 % 65536 * 97 :
	    0x0a000000 + c->client + 2;
}

static uint8_t *
put_address(uint8_t *p, const struct conversation *c, bool server)
{
	if (!c->six)
		return put32(p, address(c, server));
	p = put32(p, 0x20010db8);
	p = put32(p, server ? 0xbeef0000 + c->server % 50 : 0xa0001);
	p = put32(p, 0);
	return put32(p, address(c, server));
}

static uint8_t *
put_link(uint8_t *p, const struct conversation *c, bool server)
{
	static const uint8_t router[] = { 2, 0, 0, 0, 0xff, 1 };
	uint8_t host[] = { 2, 0, 0, 1, (uint8_t)(c->client >> 8),
	    (uint8_t)c->client };

	memcpy(p, server ? host : router, 6);
	memcpy(p + 6, server ? router : host, 6);
	p += 12;
	if (c->vlan > 0)
		p = put16(put16(p, 0x8100), c->vlan);
	return put16(p, c->six ? 0x86dd : 0x0800);
}

static uint8_t *
put_ip(uint8_t *p, struct conversation *c, bool server, uint8_t protocol,
    uint32_t len)
{
	uint8_t *ip = p;

	if (c->six) {
		p = put32(p, 0x60000000 | (c->client * 31 & 0xfffff));
		p = put16(p, len);
		*p++ = protocol;
		*p++ = c->ttl[server];
	} else {
		p = put16(p, 0x4500);
		p = put16(p, 20 + len);
		p = put16(p, c->id[server]++);
		p = put16(p, 0x4000);
		*p++ = c->ttl[server];
		*p++ = protocol;
		p = put16(p, 0);
	}
	p = put_address(put_address(p, c, server), c, !server);
	if (!c->six)
		put16(ip + 10, sum_of(ip, 20));
	return p;
}

static uint8_t *
put_tcp(uint8_t *p, struct conversation *c, bool server, uint32_t payload)
{
	uint8_t flags = tcp_flags(c);

	p = put16(p, server ? c->server_port : c->client_port);
	p = put16(p, server ? c->client_port : c->server_port);
	p = put32(p, c->seq[server]);
	p = put32(p, flags == 2 ? 0 : c->seq[!server]);
	*p++ = 0x80;	/* with twelve bytes of options */
	*p++ = flags;
	p = put16(p, 500 + below(4));
	p = put16(p, (uint32_t)draw() & 0xffff);
	p = put32(put32(p, 0), 0x0101080a);
	p = put32(p, c->sent * 40);
	c->seq[server] += payload + (flags & 3 ? 1 : 0);
	return p;
}

static uint8_t *
put_transport(uint8_t *p, struct conversation *c, bool server,
    uint8_t protocol, uint32_t payload)
{
	if (protocol == TCP)
		return put_tcp(p, c, server, payload);
	if (protocol == UDP) {
		p = put16(p, server ? c->server_port : c->client_port);
		p = put16(p, server ? c->client_port : c->server_port);
		p = put16(p, 8 + payload);
		return put16(p, (uint32_t)draw() & 0xffff);
	}
	*p++ = protocol == ICMP ? (server ? 0 : 8) : (server ? 129 : 128);
	*p++ = 0;
	p = put16(p, (uint32_t)draw() & 0xffff);
	return put16(put16(p, c->client_port), c->sent / 2);
}

/* The conversation's next packet; its length. */
static uint32_t
packet(uint8_t *out, struct conversation *c)
{
	bool server = from_server(c);
	uint8_t protocol = c->kind == WEB || c->kind == SHELL ? TCP :
	    c->kind != PING ? UDP : c->six ? ICMP6 : ICMP;
	uint32_t payload = payload_of(c, server);
	uint32_t header = protocol == TCP ? 32 : 8;
	uint8_t *p = put_link(out, c, server);
	uint32_t room = FRAME_MAX - (uint32_t)(p - out) - (c->six ? 40 : 20) -
	    header;

	if (payload > room)
		payload = room;
	p = put_ip(p, c, server, protocol, header + payload);
	p = put_transport(p, c, server, protocol, payload);
	memcpy(p, noise + below(NOISE_BYTES), payload);
	c->sent++;
	return (uint32_t)(p - out) + payload;
}

/* --- the file ------------------------------------------------------------- */

static struct conversation *
whose(uint64_t n, bool middle)
{
	struct conversation *c;

	if (n % SPREAD_EVERY == SPREAD_EVERY / 2)
		return &spread;
	if (middle && burst.sent < BURST && n % BURST_EVERY == 0)
		return &burst;
	c = &all[skewed(CONVERSATIONS)];
	if (c->sent == c->length)
		begin(c);
	return c;
}

/* Packets up to `bytes`; where the time is then. */
static uint64_t
fill(FILE *f, uint64_t bytes, uint64_t usec, uint64_t *packets)
{
	uint8_t frame[FRAME_MAX + 64];
	uint64_t done = 24;

	for (*packets = 0; done < bytes; (*packets)++) {
		struct record record;

		record.len = record.caplen = packet(frame, whose(*packets,
		    done > bytes / 2));
		usec += 1 + below(GAP_US);
		record.sec = (uint32_t)(usec / 1000000);
		record.usec = (uint32_t)(usec % 1000000);
		fwrite(&record, sizeof(record), 1, f);
		fwrite(frame, record.len, 1, f);
		done += sizeof(record) + record.len;
	}
	return usec;
}

static void
make_all(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15u + 1;
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)draw();
	for (size_t i = 0; i < CONVERSATIONS; i++) {
		begin(&all[i]);
		all[i].sent = below(all[i].length);
	}
	begin(&spread);
	begin(&burst);
	spread.six = burst.six = false;
	spread.vlan = burst.vlan = 0;
	spread.kind = burst.kind = WEB;
	spread.length = burst.length = UINT32_MAX;
}

int
main(int argc, char **argv)
{
	struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, exactness, snaplen, linktype;
	} head = { MAGIC_US, 2, 4, 0, 0, SNAPLEN, ETHERNET };
	uint64_t packets, usec;
	FILE *f;

	if (argc != 6 || (strcmp(argv[5], "mixed") != 0 &&
	    strcmp(argv[5], "small") != 0)) {
		fprintf(stderr,
		    "usage: mixed FILE BYTES SEED SECOND mixed|small\n");
		return 2;
	}
	small = argv[5][0] == 's';
	f = fopen(argv[1], "w");
	if (f == NULL || setvbuf(f, NULL, _IOFBF, OUT_BYTES) != 0) {
		perror(argv[1]);
		return 1;
	}
	make_all(strtoull(argv[3], NULL, 10));
	fwrite(&head, sizeof(head), 1, f);
	usec = fill(f, strtoull(argv[2], NULL, 10), strtoull(argv[4], NULL,
	    10) * 1000000, &packets);
	if (fclose(f) != 0) {
		perror(argv[1]);
		return 1;
	}
	printf("%" PRIu64 " %" PRIu64 "\n", packets, usec / 1000000 + 1);
	return 0;
}
