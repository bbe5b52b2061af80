/*
 * recorder/query/seen/same.c - is it the same packet, seen at another point?
 *
 * Sources: RFC 791 (total length at 2, time to live at 8, checksum at 10),
 * RFC 8200 (payload length at 4, hop limit at 7).  A length of 0 is that of a
 * packet which the system had not cut yet (segmentation offload): what was
 * captured counts.
 */
#include "recorder/query/seen/same.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/sys.h"
#include "pcapng/dissect.h"

#define IPV6_HEADER	40u

/* What is compared: bytes, and a number that counts as well. */
struct content {
	const uint8_t	*data;
	size_t		 len;
	uint64_t	 number;
};

static bool	original(struct pb_same *, struct content *,
		    const struct pb_trailers *);
static bool	without_way(struct pb_same *, struct content *, uint16_t);
static size_t	ip_end(const struct pb_headers *, const struct content *);
static bool	make_room(struct pb_same *, size_t);

void
pb_same_finish(struct pb_same *same)
{
	free(same->frame);
	memset(same, 0, sizeof(*same));
}

bool
pb_same_hash(struct pb_same *same, bool routed, uint16_t linktype,
    const uint8_t *frame, uint32_t caplen, uint32_t len,
    const struct pb_trailers *read, uint64_t *hash)
{
	struct content content = { frame, caplen, len };

	if (read != NULL && read->whole && !original(same, &content, read))
		return false;
	if (routed && !without_way(same, &content, linktype))
		return false;
	if (same->seed == 0)
		same->seed = pb_random64();
	*hash = pb_digest_seeded(content.data, content.len, same->seed) ^
	    pb_digest_seeded(&content.number, sizeof(content.number),
	    same->seed);
	return true;
}

int
pb_same_packet(struct pb_same *same, bool routed,
    const struct pb_stamp_stream *stream, const struct pb_packet *packet,
    uint64_t *hash)
{
	const struct pb_trailer_list *list = &stream->list;
	/* What keyframes told stays with who reads the stamps. */
	struct pb_trailer_context context = stream->context;
	struct pb_trailers read;
	bool any = list->count > 0 || list->fcs;

	if (any)
		pb_trailers_read(list, &context, packet->data, packet->caplen,
		    packet->origlen, pb_stamps_captured(packet), &read);
	if (any && read.keyframe)
		return 0;
	return pb_same_hash(same, routed, stream->head->linktype,
	    packet->data, packet->caplen, packet->origlen, any ? &read : NULL,
	    hash) ? 1 : PB_ENOMEM;
}

/* The frame as it was before the first switch. */
static bool
original(struct pb_same *same, struct content *content,
    const struct pb_trailers *read)
{
	uint64_t cut = content->len < content->number ?
	    content->number - content->len : 0;

	if (read->holes > 0) {
		if (!make_room(same, content->len))
			return false;
		content->len = pb_trailers_strip(read, content->data, false,
		    same->frame);
		content->data = same->frame;
	} else if (read->len < content->len) {
		content->len = read->len;
	}
	content->number = read->len + cut;
	return true;
}

static bool
without_way(struct pb_same *same, struct content *content, uint16_t linktype)
{
	struct pb_headers headers;
	size_t end;

	if (pb_dissect(&headers, linktype, content->data, content->len) <= 0)
		return true;
	if (headers.ip == 0) {
		content->data += headers.network;
		content->len -= headers.network;
		content->number = headers.ethertype;
		return true;
	}
	if (!make_room(same, content->len))
		return false;
	end = ip_end(&headers, content);
	content->len = end - headers.network;
	memmove(same->frame, content->data + headers.network, content->len);
	content->data = same->frame;
	content->number = headers.ip;
	if (headers.ip == 4) {
		same->frame[8] = 0;
		memset(same->frame + 10, 0, 2);
	} else {
		same->frame[7] = 0;
	}
	return true;
}

/* Where the IP packet ends: its header is there as a whole. */
static size_t
ip_end(const struct pb_headers *headers, const struct content *content)
{
	const uint8_t *ip = content->data + headers->network;
	size_t len = headers->ip == 4 ? pb_get_be16(ip + 2) :
	    pb_get_be16(ip + 4);

	if (len > 0 && headers->ip == 6)
		len += IPV6_HEADER;
	if (len < (headers->ip == 4 ? 20u : IPV6_HEADER) ||
	    len > content->len - headers->network)
		return content->len;
	return headers->network + len;
}

static bool
make_room(struct pb_same *same, size_t bytes)
{
	uint8_t *frame;

	if (bytes <= same->room)
		return true;
	frame = realloc(same->frame, bytes);
	if (frame == NULL)
		return false;
	same->frame = frame;
	same->room = bytes;
	return true;
}
