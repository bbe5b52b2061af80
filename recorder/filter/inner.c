/*
 * recorder/filter/inner.c - a filter asked at every depth of a packet's tags
 */
#include "recorder/filter/inner.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/filter/tag.h"

struct pb_inner {
	const struct pb_filter *filter;
	struct pb_tag_link link;
	bool		 looks;		/* the link type is looked through */
	uint8_t		 room[PB_CAPLEN_MAX];	/* for a packet with tags */
};

/* Packets that are alike, without what has been taken off. */
struct depth {
	struct pb_alike	 alike;
	uint8_t		 ones[PB_INNER_KNOWN_BYTES];
	uint8_t		 unknown[PB_INNER_KNOWN_BYTES];
};

static void	begin(struct depth *, const struct pb_alike *);
static void	take(struct depth *, const struct pb_tag_link *,
		    const struct pb_tag *);
static uint32_t	less(uint32_t, uint32_t);

int
pb_inner_create(struct pb_inner **out, const struct pb_filter *filter,
    uint16_t linktype, struct pb_err *err)
{
	struct pb_inner *inner = malloc(sizeof(*inner));

	*out = inner;
	if (inner == NULL)
		return pb_err_set(err, PB_ENOMEM, "filter: no memory");
	inner->filter = filter;
	inner->looks = pb_tag_link(&inner->link, linktype);
	return 0;
}

void
pb_inner_destroy(struct pb_inner *inner)
{
	free(inner);
}

bool
pb_inner_match(struct pb_inner *inner, const struct pb_packet *packet)
{
	struct pb_packet now = *packet;
	uint8_t *data = inner->room;
	struct pb_tag tag;
	bool match = pb_filter_match(inner->filter, packet);

	for (unsigned depth = 1; !match && inner->looks &&
	    depth < PB_INNER_DEPTHS_MAX && pb_tag_find_in(&tag, &inner->link,
	    now.data, now.caplen); depth++) {
		if (depth == 1) {
			assert(packet->caplen <= sizeof(inner->room));
			memcpy(data, packet->data, packet->caplen);
		}
		data = pb_tag_take(&tag, &inner->link, data);
		now.data = data;
		now.caplen -= tag.bytes;
		now.origlen = less(now.origlen, tag.bytes);
		match = pb_filter_match(inner->filter, &now);
	}
	return match;
}

enum pb_verdict
pb_inner_verdict(const struct pb_inner *inner, const struct pb_alike *packets)
{
	uint64_t steps = UINT64_MAX;

	return pb_inner_verdict_within(inner, packets, &steps);
}

/* All of them at one depth: all; none at any: none. */
enum pb_verdict
pb_inner_verdict_within(const struct pb_inner *inner,
    const struct pb_alike *packets, uint64_t *steps)
{
	enum pb_verdict verdict = pb_filter_verdict_within(inner->filter,
	    packets, steps);
	bool none = verdict == PB_VERDICT_NONE;
	enum pb_tag_found found;
	struct pb_tag tag;
	struct depth now;

	if (pb_inner_plain(inner, packets))
		return verdict;
	begin(&now, packets);
	for (unsigned depth = 1; verdict != PB_VERDICT_ALL &&
	    depth < PB_INNER_DEPTHS_MAX; depth++) {
		found = pb_tag_find(&tag, &inner->link, &now.alike);
		if (found == PB_TAG_PERHAPS)
			return PB_VERDICT_EACH;
		if (found == PB_TAG_NO)
			break;
		take(&now, &inner->link, &tag);
		verdict = pb_filter_verdict_within(inner->filter, &now.alike,
		    steps);
		none = none && verdict == PB_VERDICT_NONE;
	}
	if (verdict == PB_VERDICT_ALL)
		return verdict;
	return none ? PB_VERDICT_NONE : PB_VERDICT_EACH;
}

bool
pb_inner_plain(const struct pb_inner *inner, const struct pb_alike *packets)
{
	struct pb_tag tag;

	return !inner->looks ||
	    pb_tag_find(&tag, &inner->link, packets) == PB_TAG_NO;
}

/* What is known beside bytes and lengths (values at places of the packet) is
 * left out: those places move. */
static void
begin(struct depth *depth, const struct pb_alike *packets)
{
	uint32_t bytes = packets->bytes < PB_INNER_KNOWN_BYTES ?
	    packets->bytes : PB_INNER_KNOWN_BYTES;

	memcpy(depth->ones, packets->ones, bytes);
	memcpy(depth->unknown, packets->unknown, bytes);
	depth->alike = (struct pb_alike){
		.ones = depth->ones,
		.unknown = depth->unknown,
		.bytes = bytes,
		.caplen_min = packets->caplen_min,
		.caplen_max = packets->caplen_max,
		.len_min = packets->len_min,
		.len_max = packets->len_max,
	};
}

static void
take(struct depth *depth, const struct pb_tag_link *link,
    const struct pb_tag *tag)
{
	struct pb_alike *alike = &depth->alike;
	size_t at = (size_t)(alike->ones - depth->ones);

	alike->ones = pb_tag_take(tag, link, depth->ones + at);
	/* The type's bits are known. */
	alike->unknown = pb_tag_take(&(struct pb_tag){ .bytes = tag->bytes },
	    link, depth->unknown + at);
	alike->bytes -= tag->bytes;
	alike->caplen_min -= tag->bytes;
	alike->caplen_max -= tag->bytes;
	alike->len_min = less(alike->len_min, tag->bytes);
	alike->len_max = less(alike->len_max, tag->bytes);
}

/* Some writers tell a length on the wire that is less than what they
 * captured. */
static uint32_t
less(uint32_t len, uint32_t bytes)
{
	return len > bytes ? len - bytes : 0;
}
