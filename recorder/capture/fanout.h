/*
 * recorder/capture/fanout.h - several handles, each packet to one of them
 *
 * packet(7), PACKET_FANOUT: the kernel shares the packets of an interface
 * out among the sockets of a group.  The packets of a flow, both ways, go
 * to one of them, unless its ring is nearly full: then to one with room.
 * Fragments are not put together: what is stored is what was on the wire.
 */
#ifndef PB_CAPTURE_FANOUT_H
#define PB_CAPTURE_FANOUT_H

#include "base/err.h"
#include "recorder/capture/pcap_open.h"

/*
 * Make one group of `count` handles, all open on the same interface.  What
 * came before the group was complete some have seen twice: it is read and
 * dropped, which takes some `hold_ms` (as in pb_pcap_open()).  From then on
 * each packet is in one ring.
 *   PB_EINVAL   the kernel does not do it here; those handles that are in a
 *               group already are of no use
 *   PB_ESYS     the interface failed meanwhile
 */
int	pb_fanout_join(const struct pb_pcap *opened, unsigned count,
	    unsigned hold_ms, struct pb_err *err);

#endif
