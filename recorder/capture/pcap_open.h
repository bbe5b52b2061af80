/*
 * recorder/capture/pcap_open.h - an interface opened with all its options
 */
#ifndef PB_CAPTURE_PCAP_OPEN_H
#define PB_CAPTURE_PCAP_OPEN_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"
#include "recorder/capture/ring.h"
#include "recorder/filter/filter.h"

struct pb_pcap {
	pcap_t		*pcap;		/* non-blocking, filter set */
	int		 fd;		/* for poll(2), or -1: */
	unsigned	 look_ms;	/* then one looks that often, */
	bool		 waits;		/* or each look itself waits, for as
					 * long as libpcap likes */
	bool		 ring;		/* a packet socket: packet(7) */
	struct pb_ring	 mapped;	/* it, where packets' types are in it */
	bool		 netlink;	/* a log or a queue of netfilter */
	bool		 in_only;	/* what leaves there is left out */
	bool		 counts_anew;	/* its drops, at each look */
	unsigned	 hold_ms;	/* the kernel keeps packets, twice */
	uint32_t	 snaplen;
	unsigned	 index;		/* of the interface; 0: pseudo */
	uint16_t	 linktype;	/* LINKTYPE_ */
	unsigned	 unit_ns;	/* of tv_usec: 1 or 1,000 */
	const char	*timestamps;	/* the type in use, libpcap's name */
	bool		 unproven;	/* an adapter's own clock that nobody
					 * asked for: compare it first */
};

/* How it is to be opened. */
struct pb_pcap_ask {
	struct pb_conf_capture capture;
	unsigned	 hold_ms;	/* the kernel may keep a packet so
					 * long before it gives it out */
	bool		 host_clock;	/* no time stamps of the adapter */
};

/* The filter of an interface, for one handle of it after the other. */
struct pb_pcap_filter {
	struct pb_filter *filter;	/* NULL: none is compiled yet */
	uint16_t	 linktype;	/* that it is compiled for */
	bool		 live;		/* on an open handle */
};

/*
 * Compile it for some link type, which looks up its names and may take long,
 * before anything is opened: what is open gathers packets meanwhile, and a
 * queue may hold our own questions.  PB_ENOENT where one is not known now,
 * PB_EINVAL where it suits none of the common types: pb_pcap_open() compiles
 * it for the interface's own.
 */
int	pb_pcap_filter_names(struct pb_pcap_filter *out,
	    const struct pb_conf_capture *capture, struct pb_err *err);
void	pb_pcap_filter_finish(struct pb_pcap_filter *filter);

/*
 * Open, as one of `handles` of the interface that share the configured
 * buffer.  `filter`, of pb_pcap_filter_names(), may be NULL where none is
 * configured.  Time stamps are those of `timestamp_type`, or the best the
 * interface has: adapter, adapter_unsynced, host.  What cannot be had falls
 * back to the next.  With `direction = in` what leaves there is not captured.
 *   PB_ENOENT   no such interface, or a name in the filter is not known now
 *   PB_EBUSY    it is down
 *   PB_EACCES   not permitted
 *   PB_EINVAL   the filter does not suit the interface's link type, or
 *               that has no number in files; it has no directions
 *   PB_ESYS     anything else, in libpcap's words
 */
int	pb_pcap_open(struct pb_pcap *out, const struct pb_pcap_ask *ask,
	    struct pb_pcap_filter *filter, unsigned handles,
	    struct pb_err *err);

/* From now on the kernel stamps by the host's clock.  What waits in the ring,
 * or where it cannot, keeps its stamps: it counts as of when it is read. */
void	pb_pcap_use_host_clock(struct pb_pcap *opened);

/* A zeroed one is fine, and is what remains. */
void	pb_pcap_close(struct pb_pcap *opened);

/*
 * netfilter.c: pcap_activate(3PCAP) and pcap_dispatch(3PCAP) with what they
 * give, for any thread at any time; netfilter's logs and queues are opened one
 * after the other.
 */
int	pb_pcap_activate(pcap_t *pcap, const char *interface);
int	pb_pcap_dispatch(const struct pb_pcap *opened, int max,
	    pcap_handler each, void *arg);

/*
 * fanout.c: several handles, each packet to one of them.  packet(7),
 * PACKET_FANOUT: the kernel shares the packets of an interface out among the
 * sockets of a group.  The packets of a flow, both ways, go to one of them,
 * unless its ring is nearly full: then to one with room.  Fragments are not
 * put together: what is stored is what was on the wire.
 *
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
