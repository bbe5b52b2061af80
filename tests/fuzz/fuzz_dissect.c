/*
 * tests/fuzz/fuzz_dissect.c - any bytes as a packet of any link type
 *
 * Two bytes of link type, then what was captured, in memory of that size.
 */
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "pcapng/dissect.h"
#include "recorder/filter/payload.h"
#include "recorder/filter/tag.h"
#include "recorder/query/endpoints.h"
#include "recorder/query/seen/same.h"
#include "tests/fuzz/fuzz.h"

/* What is said to be there is among the captured bytes. */
static void
within(const struct pb_headers *headers, size_t len)
{
	size_t address = headers->ip == 6 ? 16 : 4;

	MUST(headers->vlans <= PB_VLANS_MAX && headers->network <= len);
	MUST(headers->ip == 0 || headers->ip == 4 || headers->ip == 6);
	if (headers->ip == 0) {
		MUST(!headers->ports && headers->transport == 0);
		return;
	}
	MUST(headers->source >= headers->network);
	MUST(headers->source + address <= len);
	MUST(headers->destination + address <= len);
	MUST(headers->transport > headers->network);
	MUST(headers->transport <= len);
	MUST(!headers->ports || headers->transport + 4 <= len);
	MUST(!headers->ports || !headers->fragment);
}

/* Each step leaves a packet with a whole link header, and less behind it. */
static void
take_off(uint16_t linktype, uint8_t *data, uint32_t len)
{
	struct pb_tag_link link;
	struct pb_tag tag;

	if (!pb_tag_link(&link, linktype))
		return;
	while (pb_tag_find_in(&tag, &link, data, len)) {
		MUST(tag.bytes > 0 && link.bytes + tag.bytes <= len);
		data = pb_tag_take(&tag, &link, data);
		len -= tag.bytes;
		MUST(pb_get_be16(data + link.type_at) == tag.type);
	}
}

/* What a router changes makes no other packet; as it is each byte counts. */
static void
pass_on(uint16_t linktype, const struct pb_headers *headers, uint8_t *data,
    uint32_t len)
{
	static struct pb_same same;
	uint64_t before[2], behind[2];
	size_t ttl = headers->network + (headers->ip == 4 ? 8 : 7);

	for (int i = 0; i < 2; i++)
		MUST(pb_same_hash(&same, i == 1, linktype, data, len, len,
		    NULL, &before[i]));
	if (headers->ip == 0)
		return;
	data[ttl]--;
	for (int i = 0; i < 2; i++)
		MUST(pb_same_hash(&same, i == 1, linktype, data, len, len,
		    NULL, &behind[i]));
	data[ttl]++;
	MUST(before[0] != behind[0] && before[1] == behind[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[PB_ENDPOINTS_TEXT_MAX];
	struct pb_headers headers;
	uint16_t linktype;
	uint8_t *packet;
	int rc;

	if (size < 2)
		return 0;
	linktype = pb_get_le16(data);
	size -= 2;
	packet = malloc(size > 0 ? size : 1);
	MUST(packet != NULL);
	memcpy(packet, data + 2, size);
	rc = pb_dissect(&headers, linktype, packet, size);
	MUST(rc == 1 || rc == 0 || rc == PB_ENOENT);
	within(&headers, size);
	MUST(rc == 1 || (headers.ethertype == 0 && headers.ip == 0));
	pb_endpoints(linktype, packet, size, text);
	MUST(strlen(text) < sizeof(text));
	MUST((rc >= 0) == (strncmp(text, "linktype ", 9) != 0));
	MUST(pb_payload_begins(linktype, packet, (uint32_t)size) <= size);
	pass_on(linktype, &headers, packet, (uint32_t)size);
	take_off(linktype, packet, (uint32_t)size);
	free(packet);
	return 0;
}
