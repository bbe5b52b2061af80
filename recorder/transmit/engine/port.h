/*
 * recorder/transmit/engine/port.h - what the system says of an interface
 *
 * The ioctls of netdevice(7), asked afresh each time.
 */
#ifndef PB_TRANSMIT_PORT_H
#define PB_TRANSMIT_PORT_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct pb_port {
	char		 name[IF_NAMESIZE];
	unsigned	 index;
	bool		 up;		/* administratively */
	bool		 carrier;	/* and operational: IFF_RUNNING */
	bool		 ethernet;	/* ARPHRD_ETHER or ARPHRD_LOOPBACK */
	uint32_t	 mtu;
};

/* PB_ENOENT: no such interface; PB_ESYS. */
int	pb_port_ask(struct pb_port *out, const char *interface,
	    struct pb_err *err);

/* 0, or PB_EBUSY and whether it is down or has no carrier. */
int	pb_port_ready(const struct pb_port *port, struct pb_err *err);

#endif
