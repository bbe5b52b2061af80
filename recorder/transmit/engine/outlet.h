/*
 * recorder/transmit/engine/outlet.h - an interface that frames are sent out of
 *
 * Frames go out as they are: Ethernet, without FCS, past the queueing
 * discipline, in the order in which they were given.  An *engine* hands them
 * to the kernel; which one is fastest depends on the interface.  One thread
 * uses an outlet.  Of capabilities it needs CAP_NET_RAW alone; what an
 * engine wants besides, its error names.
 *
 * Sent means: the interface's driver took the frame.  A driver that drops it
 * and says so has not taken it: such a frame is offered again, in its place.
 * On veth(4) one was taken once it waits at the other end, which has to be up
 * and have room; what becomes of it there nobody is told.
 *
 * With PACKET_QDISC_BYPASS, and by AF_XDP, frames pass by the taps of the
 * interface they leave: who captures on it does not see them.
 */
#ifndef PB_TRANSMIT_OUTLET_H
#define PB_TRANSMIT_OUTLET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define PB_OUTLET_FRAME_BYTES_MIN 14u	/* a whole Ethernet header */

struct pb_outlet;

enum pb_engine {
	PB_ENGINE_AUTO,
	PB_ENGINE_SENDMMSG,	/* packet(7), sendmmsg(2) */
	PB_ENGINE_XDP,		/* AF_XDP */
	PB_ENGINE_RING,		/* packet(7), PACKET_TX_RING */
};
#define PB_ENGINES	4

struct pb_frame {
	const uint8_t	*data;	/* from the Ethernet header, without FCS */
	uint32_t	 len;
};

struct pb_outlet_opts {
	enum pb_engine	 engine;
	/* Of PB_ENGINE_AUTO: much is sent as fast as it goes, which is worth
	 * finding the fastest engine with the first frames.  Else it is
	 * sendmmsg, the one with the least delay between call and wire. */
	bool		 bulk;
};

struct pb_outlet_stats {
	uint64_t	 packets, bytes;	/* taken; bytes of frames */
	uint64_t	 refused;	/* frames, by pb_outlet_send() */
	/* Times that not all was taken; further tries in vain are none. */
	uint64_t	 full;
};

/*
 * "auto", "sendmmsg", "xdp" or "ring" into *out; PB_EINVAL: none of them,
 * and `err` lists them.
 */
int	pb_engine_parse(enum pb_engine *out, const char *name,
	    struct pb_err *err);

/*
 * Open `interface` to send; it may be down.  The caller ends *out with
 * pb_outlet_close(), and after a failure has nothing.  `opts` may be NULL.
 *   PB_ENOENT  no such interface
 *   PB_EACCES  not permitted; names the capability that is missing
 *   PB_EINVAL  it carries no Ethernet frames, or the engine that was asked
 *              for does not work with it
 *   PB_ESYS, PB_ENOMEM
 */
int	pb_outlet_open(struct pb_outlet **out, const char *interface,
	    const struct pb_outlet_opts *opts, struct pb_err *err);

/* What was taken and has not left goes with it: see pb_outlet_drain() and
 * pb_outlet_waiting().  It waits for the kernel, tens of milliseconds.  NULL
 * is fine. */
void	pb_outlet_close(struct pb_outlet *outlet);

/*
 * Offer frames[count], count at least 1, to be sent in this order.  Does not
 * wait (see calibration below).  Returns how many were taken, the first ones;
 * their memory may be reused at once.  Fewer than `count`: offer the rest
 * again, after pb_outlet_wait() where it was 0.
 *
 * An error is about the first frame or the interface, and nothing was taken:
 *   PB_EFORMAT  frames[0] is refused: shorter than an Ethernet header or
 *               longer than pb_outlet_bytes_max(); skip it
 *   PB_EBUSY    the interface is down or has no carrier; may come back:
 *               wait with pb_outlet_look() and offer again
 *   PB_ENOENT   the interface is gone; of this outlet nothing will come
 *   PB_ESYS     the system refused for another reason
 *
 * While PB_ENGINE_AUTO compares engines (the first 50 ms or so of `bulk`) a
 * call may wait for the frames of one engine to leave before the next one
 * has its turn, PB_OUTLET_DRAIN_NS_MAX at most.
 */
int	pb_outlet_send(struct pb_outlet *outlet, const struct pb_frame *frames,
	    unsigned count, struct pb_err *err);

#define PB_OUTLET_DRAIN_NS_MAX 1000000000ull

/*
 * Sleep until the queue may have room again or `ns_max` are over, whatever
 * comes first; 0, or PB_EBUSY and PB_ENOENT as above.  A queue that stays
 * full and an interface that went down look alike to a sender: it is looked
 * at here.
 */
int	pb_outlet_wait(struct pb_outlet *outlet, uint64_t ns_max,
	    struct pb_err *err);

/*
 * Wait until all that was taken has left, `ns_max` at most.  Returns 0, or 1
 * where the time is over and some has not, or an error of pb_outlet_send()
 * about the interface.
 */
int	pb_outlet_drain(struct pb_outlet *outlet, uint64_t ns_max,
	    struct pb_err *err);

/* Frames that were taken and wait here, as they do behind one that the
 * interface does not take, and their bytes: a close loses them. */
unsigned pb_outlet_waiting(const struct pb_outlet *outlet, uint64_t *bytes);

/*
 * How is the interface now?  0: up, and with carrier.  Else PB_EBUSY or
 * PB_ENOENT, and words.  One that was deleted and made again under its name
 * is gone: open another outlet.  Its MTU is asked as well.
 */
int	pb_outlet_look(struct pb_outlet *outlet, struct pb_err *err);

/* The longest frame it takes, with its link header and, where it has one, a
 * VLAN tag (`tagged`); as of the last look.  That its MTU shrank since, the
 * kernel tells of a longer frame, but for AF_XDP, where it does not look. */
uint32_t pb_outlet_bytes_max(const struct pb_outlet *outlet, bool tagged);

void	pb_outlet_stats(const struct pb_outlet *outlet,
	    struct pb_outlet_stats *out);

/* The name of the engine in use, and in *why (NULL is allowed) what for, a
 * line; both until the next call that sends. */
const char *pb_outlet_engine(const struct pb_outlet *outlet,
	    const char **why);

#endif
