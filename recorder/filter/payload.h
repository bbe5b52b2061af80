/*
 * recorder/filter/payload.h - an expression looked for in what packets carry
 *
 * The one place that knows Hyperscan (or Vectorscan, which is called the
 * same).  Expressions are as PCRE writes them, without what cannot be searched
 * for in one pass (back references, looking ahead or behind).  Packets are
 * bytes, not lines: a dot is any byte, that of a newline included; letters
 * are those of ASCII.
 */
#ifndef PB_FILTER_PAYLOAD_H
#define PB_FILTER_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "pcapng/block.h"

struct pb_payload;	/* one thread at a time */

/* PB_EINVAL with Hyperscan's own words, and the place they name; PB_ENOENT
 * where it does not run on this processor. */
int	pb_payload_create(struct pb_payload **out, const char *expression,
	    struct pb_err *err);
/* The same expression for another thread; `of` is borrowed until it is
 * destroyed. */
int	pb_payload_twin(struct pb_payload **out, const struct pb_payload *of,
	    struct pb_err *err);
void	pb_payload_destroy(struct pb_payload *payload);	/* NULL is fine */

/* Is it in the packet's payload, as far as that was captured? */
bool	pb_payload_match(const struct pb_payload *payload, uint16_t linktype,
	    const struct pb_packet *packet);

/*
 * Where that begins, at most `caplen`: behind the header of TCP, UDP or SCTP;
 * of other IP packets, and later fragments, behind that of IP; of all others
 * behind the link layer's, which is 0 where the link type is not known.  Tags
 * are looked through (recorder/filter/tag.h).
 */
uint32_t pb_payload_begins(uint16_t linktype, const uint8_t *data,
	    uint32_t caplen);

#endif
