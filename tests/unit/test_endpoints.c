/*
 * tests/unit/test_endpoints.c - who talks to whom, of whole and cut packets
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "recorder/query/endpoints.h"
#include "pcapng/block.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define PACKET_MAX	256

/* Packets in hex, blanks between parts. */
#define MACS	"ffffffffffff 020000000001 "
#define IP4(proto) "45000028 00010000 40" proto "0000 c0000201 c0000209 "
#define IP4_FRAGMENT "45000028 00010003 40110000 c0000201 c0000209 "
#define IP6(next) "60000000 0014" next "40 " \
    "20010db8000000000000000000000001 20010db8000000000000000000000002 "
#define PORTS	"01bb c822 "
#define ARP(op)	"0001 0800 06 04 " op " 020000000001 c0000201 " \
    "000000000000 c0000209 "

struct sample {
	uint16_t	 linktype;
	const char	*hex;
	const char	*text;
};

static const struct sample sample[] = {
	{ 1, MACS "0800" IP4("06") PORTS,
	    "192.0.2.1:443 > 192.0.2.9:51234 tcp" },
	{ 1, MACS "0800" IP4("11") PORTS,
	    "192.0.2.1:443 > 192.0.2.9:51234 udp" },
	{ 1, MACS "0800" IP4("84") PORTS,
	    "192.0.2.1:443 > 192.0.2.9:51234 sctp" },
	{ 1, MACS "0800" IP4("01") "0800 1234", "192.0.2.1 > 192.0.2.9 icmp" },
	{ 1, MACS "0800" IP4("fd"), "192.0.2.1 > 192.0.2.9 ip-proto-253" },
	{ 1, MACS "0800" IP4_FRAGMENT PORTS,
	    "192.0.2.1 > 192.0.2.9 udp fragment" },
	/* options: a header of 24 bytes */
	{ 1, MACS "0800 46000028 00010000 40060000 c0000201 c0000209 01010101"
	    PORTS, "192.0.2.1:443 > 192.0.2.9:51234 tcp" },
	{ 1, MACS "8100 0007 0800" IP4("06") PORTS,
	    "192.0.2.1:443 > 192.0.2.9:51234 tcp vlan 7" },
	{ 1, MACS "88a8 0064 8100 6007 0800" IP4("06") PORTS,
	    "192.0.2.1:443 > 192.0.2.9:51234 tcp vlan 100 vlan 7" },
	{ 1, MACS "86dd" IP6("11") PORTS,
	    "[2001:db8::1]:443 > [2001:db8::2]:51234 udp" },
	/* hop-by-hop (8), destination options (16), then TCP */
	{ 1, MACS "86dd" IP6("00") "3c00000000000000"
	    "0601000000000000 0000000000000000" PORTS,
	    "[2001:db8::1]:443 > [2001:db8::2]:51234 tcp" },
	{ 1, MACS "86dd" IP6("2c") "1100000800000001" PORTS,
	    "2001:db8::1 > 2001:db8::2 udp fragment" },
	{ 1, MACS "86dd" IP6("2c") "1100000100000001" PORTS,
	    "[2001:db8::1]:443 > [2001:db8::2]:51234 udp" },
	{ 1, MACS "86dd" IP6("3a") "8700", "2001:db8::1 > 2001:db8::2 icmp6" },
	{ 1, MACS "0806" ARP("0001"), "arp 192.0.2.1 asks for 192.0.2.9" },
	{ 1, MACS "0806" ARP("0002"),
	    "arp 192.0.2.1 is at 02:00:00:00:00:01" },
	{ 1, MACS "0806" ARP("0009"),
	    "arp operation 9 192.0.2.1 > 192.0.2.9" },
	{ 1, MACS "88cc 0207",
	    "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff 0x88cc" },
	{ 1, MACS "8100 0007 88cc 0207",
	    "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff 0x88cc vlan 7" },
	{ 1, MACS "0027 424203",
	    "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff llc" },
	{ 101, IP4("06") PORTS, "192.0.2.1:443 > 192.0.2.9:51234 tcp" },
	{ 101, IP6("06") PORTS, "[2001:db8::1]:443 > [2001:db8::2]:51234 tcp" },
	{ 228, IP4("06") PORTS, "192.0.2.1:443 > 192.0.2.9:51234 tcp" },
	{ 229, IP6("06") PORTS, "[2001:db8::1]:443 > [2001:db8::2]:51234 tcp" },
	{ 0, "02000000" IP4("11") PORTS,
	    "192.0.2.1:443 > 192.0.2.9:51234 udp" },
	{ 108, "00000002" IP4("11") PORTS,
	    "192.0.2.1:443 > 192.0.2.9:51234 udp" },
	{ 113, "0000 0001 0006 0200000000010000 0800" IP4("06") PORTS,
	    "192.0.2.1:443 > 192.0.2.9:51234 tcp" },
	{ 276, "86dd 0000 00000002 0001 00 06 0200000000010000" IP6("06")
	    PORTS, "[2001:db8::1]:443 > [2001:db8::2]:51234 tcp" },
	{ 147, "01020304", "linktype 147" },
	/* too short for anything, or no IP at all */
	{ 1, "", "" },
	{ 101, "", "" },
	{ 101, "ff", "" },
	{ 1, MACS "0800 4400", "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff 0x0800" },
	{ 1, MACS "0800" "41000028 00010000 40060000 c0000201 c0000209",
	    "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff 0x0800" },
	{ 1, MACS "0800" IP4("06") "01bb", "192.0.2.1 > 192.0.2.9 tcp" },
};

static size_t
from_hex(const char *hex, uint8_t out[static PACKET_MAX])
{
	size_t n = 0;
	char pair[3] = "";

	while (*hex != '\0') {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		memcpy(pair, hex, 2);
		assert_true(n < PACKET_MAX);
		out[n++] = (uint8_t)strtoul(pair, NULL, 16);
		hex += 2;
	}
	return n;
}

static void
each_kind_of_packet_names_its_ends(void **state)
{
	uint8_t packet[PACKET_MAX];
	char text[PB_ENDPOINTS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(sample); i++) {
		size_t len = from_hex(sample[i].hex, packet);

		pb_endpoints(sample[i].linktype, packet, len, text);
		assert_string_equal(text, sample[i].text);
	}
}

/*
 * Goal:   nothing past the captured bytes is read.
 * Method: every sample, cut at every byte, in memory of exactly that size
 *         (a checker sees what is read behind it).
 */
static void
a_packet_cut_anywhere_is_not_read_past_its_end(void **state)
{
	uint8_t packet[PACKET_MAX], *exact;
	char text[PB_ENDPOINTS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(sample); i++)
		for (size_t len = from_hex(sample[i].hex, packet) + 1;
		    len-- > 0;) {
			exact = malloc(len > 0 ? len : 1);
			assert_non_null(exact);
			memcpy(exact, packet, len);
			pb_endpoints(sample[i].linktype, exact, len, text);
			assert_true(strlen(text) < PB_ENDPOINTS_TEXT_MAX);
			free(exact);
		}
}

static void
any_bytes_make_a_line(void **state)
{
	static const uint16_t linktype[] = { 0, 1, 101, 108, 113, 228, 229,
	    276, 65535 };
	uint8_t packet[PACKET_MAX];
	char text[PB_ENDPOINTS_TEXT_MAX];
	uint32_t x = 12345;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t len = round % PACKET_MAX;

		for (size_t k = 0; k < len; k++) {
			x = x * 1664525 + 1013904223;
			packet[k] = (uint8_t)(x >> 24);
		}
		if (len > 14 && round % 3 == 0)
			memcpy(packet + 12, "\x86\xdd\x60", 3);
		pb_endpoints(linktype[round % COUNT(linktype)], packet, len,
		    text);
		assert_true(strlen(text) < PB_ENDPOINTS_TEXT_MAX);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_packet_names_its_ends),
		cmocka_unit_test(
		    a_packet_cut_anywhere_is_not_read_past_its_end),
		cmocka_unit_test(any_bytes_make_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
