/*
 * pcapng/own.h - private: the bytes of PacketBroker's own options
 *
 * hop.h has the layout.  The mark makes sure that nobody else's data under
 * the same Private Enterprise Number is taken for ours.
 */
#ifndef PB_PCAPNG_OWN_H
#define PB_PCAPNG_OWN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "pcapng/hop.h"

#define OWN_HEAD	8u	/* PEN, 'P', 'B', version, kind */
#define OWN_VERSION	1

static inline void
own_head_put(uint8_t *at, uint32_t pen, enum pb_own_kind kind)
{
	pb_put_le32(at, pen);
	at[4] = 'P';
	at[5] = 'B';
	at[6] = OWN_VERSION;
	at[7] = (uint8_t)kind;
}

/* Is the value of a custom binary option one of ours, of this kind? */
static inline bool
own_is(const uint8_t *value, size_t len, enum pb_own_kind kind)
{
	return len >= OWN_HEAD && pb_get_le32(value + 4) ==
	    ('P' | 'B' << 8 | OWN_VERSION << 16 | (uint32_t)kind << 24);
}

/*
 * Write one record more at `at`, right behind a hops option whose value of
 * `len` bytes ends there; with 0 an option begins here.  Returns the end.
 */
static inline uint8_t *
own_hop_put(uint8_t *at, size_t len, uint32_t pen,
    const struct pb_hop *hop)
{
	if (len > 0) {
		pb_put_le16(at - len - 2, (uint16_t)(len + PB_HOP_BYTES));
	} else {
		pb_put_le16(at, PB_OPT_CUSTOM_BINARY);
		pb_put_le16(at + 2, OWN_HEAD + PB_HOP_BYTES);
		own_head_put(at + 4, pen, PB_OWN_HOPS);
		at += 4 + OWN_HEAD;
	}
	pb_put_le64(at, hop->time_ns);
	pb_put_le64(at + 8, hop->seq);
	return at + PB_HOP_BYTES;
}

#endif
