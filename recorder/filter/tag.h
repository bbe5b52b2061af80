/*
 * recorder/filter/tag.h - what stands between a link header and what it holds
 *
 * VLAN tags, MPLS labels, a PPPoE session: each can be taken off, and what is
 * left is a packet of the same link type, whose header says what came behind.
 * One function finds it, in a packet as in many that are alike.
 *
 * Sources: IEEE 802.1Q and 802.1ad (0x8100, 0x88a8; 0x9100 as libpcap's
 * "vlan"), RFC 3032 (labels, 0x8847, 0x8848; PPP's 0x0281, 0x0283), RFC 4928
 * (behind the last label 4 or 6 tells IP), RFC 2516 (PPPoE, 0x8864), RFC 1332
 * and 5072 (PPP's 0x0021, 0x0057), LINKTYPE_ descriptions at tcpdump.org.
 */
#ifndef PB_FILTER_TAG_H
#define PB_FILTER_TAG_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/filter/verdict.h"

#define PB_TAG_LABELS_MAX	16u	/* of a stack that is taken off */

/* A link header that says in two bytes what follows. */
struct pb_tag_link {
	uint32_t	 bytes;
	uint32_t	 type_at;
	bool		 ppp;		/* a protocol of PPP; an EtherType */
};

/* False: the link type is none of those: Ethernet, Linux cooked (both),
 * PPP. */
bool	pb_tag_link(struct pb_tag_link *out, uint16_t linktype);

/* What can be taken off: a tag, a session, a stack of labels. */
struct pb_tag {
	uint32_t	 bytes;		/* behind the link header */
	uint16_t	 type;		/* that the header then says */
};

enum pb_tag_found { PB_TAG_NO, PB_TAG_YES, PB_TAG_PERHAPS };

/*
 * Is there one in front?  PB_TAG_YES: in all of them, `out` is set, and all of
 * its bytes are among the known and the captured ones; PB_TAG_NO: in none.
 * There is none where it, or what says what follows it, is cut off; labels
 * where what follows is no IP (a pseudowire, a control word).
 */
enum pb_tag_found pb_tag_find(struct pb_tag *out,
	    const struct pb_tag_link *link, const struct pb_alike *packets);

/* The same of one packet. */
bool	pb_tag_find_in(struct pb_tag *out, const struct pb_tag_link *link,
	    const uint8_t *data, uint32_t caplen);

/* Take it off in place: the packet begins at the result from now on. */
uint8_t	*pb_tag_take(const struct pb_tag *tag,
	    const struct pb_tag_link *link, uint8_t *data);

#endif
