/*
 * recorder/capture/look.h - some packets of an interface, looked at and not
 * kept
 */
#ifndef PB_CAPTURE_LOOK_H
#define PB_CAPTURE_LOOK_H

#include <stdint.h>

#include "base/err.h"
#include "base/stop.h"
#include "pcapng/block.h"

struct pb_capture_look {		/* all of it borrowed */
	const char	*interface;
	uint64_t	 packets_max;
	uint64_t	 ms_max;
	const struct pb_stop *stop;	/* or NULL */
	/* `packet` has no options, and is borrowed for the call. */
	void		(*each)(void *arg, const struct pb_packet *packet);
	void		*arg;
};

/*
 * Until there were so many packets, so much time has gone by, or `stop` was
 * asked for: 0, or as pb_pcap_open().  PB_EINVAL as well where it is not of
 * Ethernet.
 */
int	pb_capture_look(const struct pb_capture_look *look,
	    struct pb_err *err);

#endif
