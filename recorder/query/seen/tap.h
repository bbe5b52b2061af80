/*
 * recorder/query/seen/tap.h - a point that packets pass, as people name it
 *
 *	lon1/eth0           the packets of the streams that match, at their
 *	                    times
 *	stamp:2             the second stamp on a packet's way, the innermost
 *	                    being the first
 *	device:3, device:3/7   the first stamp of that device, and port
 *	capture             the capturing node's clock, where the packet's time
 *	                    is a stamp's
 *	lon1/eth0@stamp:1   such a time of packets of the streams that match
 *
 * What stands in front of `@` is a glob of node/interface (base/text.h).
 */
#ifndef PB_QUERY_TAP_H
#define PB_QUERY_TAP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "pcapng/stamp.h"
#include "recorder/store/read/cursor.h"

enum pb_tap_point {
	PB_TAP_PACKET,			/* the packet's time */
	PB_TAP_CAPTURE,
	PB_TAP_STAMP,
	PB_TAP_DEVICE,
};

struct pb_tap {
	char		 glob[PATH_MAX];	/* "": no matter */
	enum pb_tap_point point;
	uint16_t	 number;	/* of the stamp, from 1; the device's */
	bool		 any_port;
	uint16_t	 port;
};

/* A moment, and 1/2^32 of a nanosecond. */
struct pb_instant {
	uint64_t	 ns;
	uint32_t	 fraction;
};

/* PB_EINVAL says what would be right. */
int	pb_tap_parse(struct pb_tap *out, const char *text,
	    struct pb_err *err);

/* Are packets of the stream `name` seen there? */
bool	pb_tap_sees(const struct pb_tap *tap, const char *name);

/* Of two taps one without a glob has that of the other.  True where both see
 * the same streams: then they are two times of one packet. */
bool	pb_taps_join(struct pb_tap *a, struct pb_tap *b);

/* When a packet with these stamps was there: false where that is not known. */
bool	pb_tap_instant(const struct pb_tap *tap, const struct pb_packet *packet,
	    const struct pb_stamped *stamped, struct pb_instant *out);

#endif
