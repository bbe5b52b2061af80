/*
 * recorder/filter/tag.c - what stands between a link header and what it holds
 */
#include "recorder/filter/tag.h"

#include <linux/if_ether.h>
#include <linux/ppp_defs.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "pcapng/block.h"

#define COUNT(list)	(sizeof(list) / sizeof((list)[0]))
#define HEADER_BYTES_MAX 20u	/* of a link that is looked through */
#define LABEL_BYTES	4u
/* A step looks no further than at what follows the last label. */
#define REACH	(HEADER_BYTES_MAX + PB_TAG_LABELS_MAX * LABEL_BYTES + 1u)

enum { LINKTYPE_PPP = 9, LINKTYPE_PPP_HDLC = 50 };

/* One byte or two, as they stand in all packets. */
struct field {
	uint32_t	 ones, unknown;
};

typedef enum pb_tag_found find_fn(struct pb_tag *,
		    const struct pb_tag_link *, const struct pb_alike *);

static find_fn	find_vlan, find_labels, find_session;
static enum pb_tag_found look(struct field *, const struct pb_alike *,
		    uint32_t, uint32_t);
static bool	may_be(const struct field *, uint32_t);
static uint16_t	type_of_ppp(uint32_t);

static const struct {
	bool		 ppp;
	uint16_t	 type;
	find_fn		*find;
} kinds[] = {
	{ false, ETH_P_8021Q, find_vlan },
	{ false, ETH_P_8021AD, find_vlan },
	{ false, ETH_P_QINQ1, find_vlan },
	{ false, ETH_P_MPLS_UC, find_labels },
	{ false, ETH_P_MPLS_MC, find_labels },
	{ false, ETH_P_PPP_SES, find_session },
	{ true, PPP_MPLS_UC, find_labels },
	{ true, PPP_MPLS_MC, find_labels },
};

/* What a session is looked into for. */
static const struct {
	uint16_t	 ppp, type;
} protocols[] = {
	{ PPP_IP, ETH_P_IP },
	{ PPP_IPV6, ETH_P_IPV6 },
	{ PPP_MPLS_UC, ETH_P_MPLS_UC },
	{ PPP_MPLS_MC, ETH_P_MPLS_MC },
};

bool
pb_tag_link(struct pb_tag_link *out, uint16_t linktype)
{
	switch (linktype) {
	case PB_LINKTYPE_ETHERNET:
		*out = (struct pb_tag_link){ .bytes = 14, .type_at = 12 };
		return true;
	case PB_LINKTYPE_LINUX_SLL:
		*out = (struct pb_tag_link){ .bytes = 16, .type_at = 14 };
		return true;
	case PB_LINKTYPE_LINUX_SLL2:
		*out = (struct pb_tag_link){ .bytes = HEADER_BYTES_MAX };
		return true;
	case LINKTYPE_PPP:
	case LINKTYPE_PPP_HDLC:
		/* Address and control are there, as libpcap has it. */
		*out = (struct pb_tag_link){ .bytes = 4, .type_at = 2,
		    .ppp = true };
		return true;
	default:
		return false;
	}
}

enum pb_tag_found
pb_tag_find(struct pb_tag *out, const struct pb_tag_link *link,
    const struct pb_alike *packets)
{
	struct field type;
	enum pb_tag_found found = look(&type, packets, link->type_at, 2);

	if (found != PB_TAG_YES)
		return found;
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (kinds[i].ppp == link->ppp && may_be(&type, kinds[i].type))
			return type.unknown != 0 ? PB_TAG_PERHAPS :
			    kinds[i].find(out, link, packets);
	return PB_TAG_NO;
}

bool
pb_tag_find_in(struct pb_tag *out, const struct pb_tag_link *link,
    const uint8_t *data, uint32_t caplen)
{
	static const uint8_t nothing[REACH];
	struct pb_alike alone = {
		.ones = data,
		.unknown = nothing,
		.bytes = caplen < REACH ? caplen : REACH,
		.caplen_min = caplen,
		.caplen_max = caplen,
	};

	return pb_tag_find(out, link, &alone) == PB_TAG_YES;
}

uint8_t *
pb_tag_take(const struct pb_tag *tag, const struct pb_tag_link *link,
    uint8_t *data)
{
	uint8_t *left = data + tag->bytes;

	memmove(left, data, link->bytes);
	pb_put_be16(left + link->type_at, tag->type);
	return left;
}

/* Two bytes of whose it is, two of what follows. */
static enum pb_tag_found
find_vlan(struct pb_tag *out, const struct pb_tag_link *link,
    const struct pb_alike *packets)
{
	struct field type;
	enum pb_tag_found found = look(&type, packets, link->bytes + 2, 2);

	if (found == PB_TAG_YES && type.unknown != 0)
		return PB_TAG_PERHAPS;
	*out = (struct pb_tag){ .bytes = 4, .type = (uint16_t)type.ones };
	return found;
}

/* Six bytes of PPPoE, two of PPP, which says what follows. */
static enum pb_tag_found
find_session(struct pb_tag *out, const struct pb_tag_link *link,
    const struct pb_alike *packets)
{
	struct field ppp;
	enum pb_tag_found found = look(&ppp, packets, link->bytes + 6, 2);

	if (found == PB_TAG_YES && ppp.unknown != 0)
		return PB_TAG_PERHAPS;
	*out = (struct pb_tag){ .bytes = 8, .type = type_of_ppp(ppp.ones) };
	return found == PB_TAG_YES && out->type == 0 ? PB_TAG_NO : found;
}

/* Down to the label that says that it is the last one. */
static enum pb_tag_found
find_labels(struct pb_tag *out, const struct pb_tag_link *link,
    const struct pb_alike *packets)
{
	struct field field;
	enum pb_tag_found found = PB_TAG_NO;
	uint32_t bytes = 0;

	do {
		found = bytes == PB_TAG_LABELS_MAX * LABEL_BYTES ? PB_TAG_NO :
		    look(&field, packets, link->bytes + bytes + 2, 1);
		if (found != PB_TAG_YES)
			return found;
		if ((field.unknown & 1) != 0)
			return PB_TAG_PERHAPS;
		bytes += LABEL_BYTES;
	} while ((field.ones & 1) == 0);
	found = look(&field, packets, link->bytes + bytes, 1);
	if (found != PB_TAG_YES)
		return found;
	if ((field.unknown & 0xf0) != 0)
		return PB_TAG_PERHAPS;
	out->bytes = bytes;
	if (field.ones >> 4 == 4)
		out->type = link->ppp ? PPP_IP : ETH_P_IP;
	else
		out->type = link->ppp ? PPP_IPV6 : ETH_P_IPV6;
	return field.ones >> 4 == 4 || field.ones >> 4 == 6 ? PB_TAG_YES :
	    PB_TAG_NO;
}

/* PB_TAG_YES: the `bytes` at `at` are in each packet, and something is known
 * of them; PB_TAG_NO: in none. */
static enum pb_tag_found
look(struct field *out, const struct pb_alike *packets, uint32_t at,
    uint32_t bytes)
{
	*out = (struct field){ 0, 0 };
	if (packets->caplen_max < at + bytes)
		return PB_TAG_NO;
	if (packets->caplen_min < at + bytes || packets->bytes < at + bytes)
		return PB_TAG_PERHAPS;
	for (uint32_t i = at; i < at + bytes; i++) {
		out->ones = out->ones << 8 | packets->ones[i];
		out->unknown = out->unknown << 8 | packets->unknown[i];
	}
	return PB_TAG_YES;
}

static bool
may_be(const struct field *field, uint32_t number)
{
	return (number & ~field->unknown) == field->ones;
}

/* Its EtherType; 0: it is not looked into. */
static uint16_t
type_of_ppp(uint32_t ppp)
{
	for (size_t i = 0; i < COUNT(protocols); i++)
		if (protocols[i].ppp == ppp)
			return protocols[i].type;
	return 0;
}
