/*
 * recorder/transmit/rewrite.h - other addresses and VLAN tags for a frame
 *
 * What people need to play a capture to other machines: the two addresses of
 * the Ethernet header, and the tags behind them (IEEE 802.1Q, 802.1ad, and
 * 0x9100, which came before that).  Nothing behind the tags is changed.
 * Pure: bytes in, bytes out.
 */
#ifndef PB_TRANSMIT_REWRITE_H
#define PB_TRANSMIT_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PB_MAC_BYTES		6u
#define PB_VLAN_BYTES		4u	/* a tag: what a frame may grow by */
#define PB_VLAN_ID_MAX		4094u

enum pb_rewrite_vlan {
	PB_VLAN_KEEP,
	PB_VLAN_SET,		/* `vlan_id` in the outermost tag, which keeps
				 * its type and priority; an 802.1Q tag of
				 * priority 0 where there is none */
	PB_VLAN_NONE,		/* all tags are taken off */
};

struct pb_mac {
	bool		set;
	uint8_t		at[PB_MAC_BYTES];
};

struct pb_rewrite {		/* zeroed: as it is */
	struct pb_mac	dst, src;
	enum pb_rewrite_vlan vlan;
	uint16_t	vlan_id;
};

/*
 * Copy the frame of `len` bytes to `out`, which has room for PB_VLAN_BYTES
 * more, rewritten: its length there.  What is shorter than the header that is
 * to be changed is copied as far as it goes, tags as they are.
 */
size_t	pb_rewrite_frame(const struct pb_rewrite *rewrite, uint8_t *out,
	    const uint8_t *frame, size_t len);

/* Does an 802.1Q tag follow the addresses? */
bool	pb_frame_tagged(const uint8_t *frame, size_t len);

/* A struct pb_mac: `02:00:00:0a:0b:0c`, also with dashes.  PB_EINVAL. */
int	pb_mac_parse(void *mac, const char *text, struct pb_err *err);
/* Into a struct pb_rewrite: a VLAN's number, or `none`.  PB_EINVAL. */
int	pb_rewrite_vlan_parse(void *rewrite, const char *text,
	    struct pb_err *err);

#endif
