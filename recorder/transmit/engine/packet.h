/*
 * recorder/transmit/engine/packet.h - a packet(7) socket that only sends
 *
 * What the two engines that stand on one share.
 */
#ifndef PB_TRANSMIT_PACKET_H
#define PB_TRANSMIT_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Past the queueing discipline, bound to nothing yet; it never receives.
 * PB_EACCES: CAP_NET_RAW is missing. */
int	pb_packet_open(int *fd, struct pb_err *err);
int	pb_packet_bind(int fd, unsigned index, struct pb_err *err);

/* As much as the system allows may be on its way; of any socket. */
void	pb_packet_queue(int fd);

/* Sleep until it may send again.  `refused`: the interface took no more,
 * which no descriptor tells: a short while. */
int	pb_packet_wait(int fd, bool refused, uint64_t ns_max);

/* 1: the interface has not let go of all frames; 0: it has; -errno. */
int	pb_packet_pending(int fd);

#endif
