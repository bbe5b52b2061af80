/*
 * pcapng/own.h - private: the first bytes of PacketBroker's own options
 *
 * hop.h has the layout.  The mark makes sure that nobody else's data under
 * the same Private Enterprise Number is taken for ours.
 */
#ifndef PB_PCAPNG_OWN_H
#define PB_PCAPNG_OWN_H

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

#endif
