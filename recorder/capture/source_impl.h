/*
 * recorder/capture/source_impl.h - inside a source
 *
 * A source has one *lane* a capture thread: a libpcap handle with its ring,
 * and the blocks that are made of its packets.  The first lane runs on the
 * source's own thread; further ones, where `threads` asks for them, have a
 * thread each while the interface is open, and the kernel shares the
 * packets out among all (fanout.c).
 *
 * source.c is the source's thread and what others see of it; attach.c opens,
 * follows and closes the interface (by opening.c, which checks a configuration
 * as well); lane.c waits, reads (by pcap_read.c) and hands over.
 */
#ifndef PB_CAPTURE_SOURCE_IMPL_H
#define PB_CAPTURE_SOURCE_IMPL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "recorder/capture/blocks.h"
#include "recorder/capture/pcap_open.h"
#include "recorder/capture/source.h"
#include "recorder/capture/stamping.h"
#include "recorder/link/link.h"
#include "recorder/store/head.h"

#define PB_LANE_ALIGN	128u	/* no two threads write to one cache line */
/* What the kernel puts into a ring beside a packet's own bytes. */
#define PB_LANE_FRAME_BYTES 88u

struct pb_source;

struct pb_lane {
	struct pb_source *source;
	unsigned	 index;		/* 0: on the source's thread */
	pthread_t	 thread;	/* of the others, */
	bool		 runs;		/* while the interface is open */
	struct pb_pcap	 pcap;		/* zeroed while the interface is not */
	unsigned	 handles;	/* that share the buffer with it */
	struct pb_losses seen;		/* of its counters */
	struct pb_blocks blocks;
	struct pb_stamping_lane stamping;
	bool		 busy;		/* more waits in the kernel's ring */
	bool		 paused;	/* and shall: no chunk is free */
	bool		 host_clock;	/* this handle has been told */
	uint64_t	 now_ms, flush_at_ms, sampled_ms;
	uint64_t	 pause_until_ms;	/* 0: the store keeps up */
	uint64_t	 look_at_ms;	/* packets gather; 0: wait for them */
	uint64_t	 looked_bytes;	/* of blocks, at the last look, */
	uint64_t	 looked_packets; /* and read since */
	uint64_t	 begun_bytes;	/* of all, when the chunk began */
	char		 why[PB_ERR_TEXT_MAX];	/* reading failed, the last
					 * time that it did */
	_Atomic bool	 failed;	/* a further one: it reads no more */
};

struct pb_source {
	struct pb_conf_capture capture;
	struct pb_node	 node;
	uint32_t	 pen;
	struct pb_store	*store;
	unsigned	 ring_ms;	/* until a packet is seen: */
	unsigned	 hold_ms;	/* as long the kernel may hold it, */
	unsigned	 look_ms;	/* as long we may let more gather */
	unsigned	 flush_ms;	/* from a chunk's first packet on */
	int		 stop_fd;
	pthread_t	 thread;
	struct pb_forward *forward;	/* NULL: nowhere */

	/* The source's thread's own. */
	bool		 stopping, open, link_up;
	int		 link_fd;
	struct pb_link_state seen;	/* before the last opening */
	uint64_t	 opened_ms;
	bool		 told;		/* the log knows that it is open */
	bool		 unsteady;	/* it was soon lost, the last time */
	char		 logged[PB_ERR_TEXT_MAX]; /* why it was not */
	struct pb_stream *stream;
	uint16_t	 linktype;	/* of the stream */
	uint64_t	 retry_ms;	/* when to open it again; so long was */
	unsigned	 wait_ms;	/* waited for that, 0 after it went well */
	uint64_t	 drops_logged, drops_log_ms;

	/* The lanes', and what they share. */
	struct pb_lane	*lane;		/* capture.threads of them, */
	unsigned	 lanes;		/* so many in use */
	int		 end_fd;	/* readable: the further ones end */
	struct pb_pool	*pool;		/* NULL before the first opening */
	struct pb_counts counts;
	struct pb_stamping stamping;
	_Atomic bool	 host_clock;	/* the adapter's was wrong */
	const char	*_Atomic clock;	/* that stamps: libpcap's name; ""
					 * before the first opening */
	pthread_mutex_t	 order;		/* of the stream's chunks */

	/* What other threads see. */
	_Atomic bool	 up;
	sem_t		 tried;		/* posted after the first try to open */
	pthread_mutex_t	 lock;		/* of last_error */
	char		 last_error[PB_ERR_TEXT_MAX];
};

/* attach.c; all on the source's thread. */

/* Try to open; on failure the reason is kept and retry_ms says when next. */
void	pb_attach_open(struct pb_source *src);

/* Take what the kernel still holds, hand over the last chunks, close. */
void	pb_attach_close(struct pb_source *src);

/* It failed, or is gone: close, and capture again as soon as can be. */
void	pb_attach_lost(struct pb_source *src, const char *why);

/* Some interface changed: was it ours? */
void	pb_attach_look(struct pb_source *src);

/* Now and then: what has been open for a while goes well. */
void	pb_attach_steady(struct pb_source *src);

/* lane.c. */

/* It ends with pb_blocks_finish() of its blocks. */
void	pb_lane_init(struct pb_lane *lane, struct pb_source *src,
	    unsigned index);

/* Packets come from `opened`, which becomes the lane's, one of `handles`;
 * where those are a group (fanout.c), losses it counted so far are nobody's. */
void	pb_lane_open(struct pb_lane *lane, const struct pb_pcap *opened,
	    unsigned handles);
void	pb_lane_close(struct pb_lane *lane);

/* A further lane's thread, and its end when end_fd says so, not before: it
 * reads what the kernel still holds and hands over.  pb_lane_join() waits
 * for that, where it runs. */
int	pb_lane_start(struct pb_lane *lane, struct pb_err *err);
void	pb_lane_join(struct pb_lane *lane);

/* On the lane's thread: wait for packets, for one of two descriptors (-1:
 * none) or for a time.  Which descriptors are readable. */
#define PB_LANE_STOP	1u
#define PB_LANE_LINK	2u
unsigned pb_lane_wait(struct pb_lane *lane, int stop_fd, int link_fd,
	    uint64_t until_ms);

/* On the lane's thread: read what there is, hand over what is due.
 * Negative where reading failed, with the reason in `why`. */
int	pb_lane_turn(struct pb_lane *lane);

/* On the lane's thread, while it reads: from here on its packets are
 * stamped by the clock that the handle has now, and their head says so. */
void	pb_lane_clock(struct pb_lane *lane);

/* On the lane's thread: read all that is left, for a bounded time. */
void	pb_lane_drain(struct pb_lane *lane);

/* Hand over the last chunk.  Any thread, when the lane's reads no more. */
void	pb_lane_end(struct pb_lane *lane);

/* pcap_read.c, for lane.c. */

/* Up to `max` packets that are there become blocks; how many, or negative
 * and `why`.  With no chunk free it breaks off and sets `paused`. */
int	pb_pcap_read(struct pb_lane *lane, int max);

/* Its counters as they are; false where they cannot be had. */
bool	pb_pcap_count(const struct pb_lane *lane, struct pb_losses *now);

/*
 * describe.c: what a captured stream says about itself.  Machine and system
 * are from uname(2), driver and speed of the interface from /sys where it
 * says so.  The reference is the caller's.
 */
struct pb_description {
	const struct pb_node *node;	/* name and description */
	const struct pb_conf_capture *capture;
	const struct pb_stamping *stamping;
	uint32_t	 pen;		/* of its words (pcapng/stamp.h) */
	uint64_t	 epoch;
	uint16_t	 linktype;
	const char	*clock;		/* that stamps: libpcap's name */
};
int	pb_describe(struct pb_head **out, const struct pb_description *what,
	    struct pb_err *err);

/* The head of packets that `clock` stamps, in the epoch. */
int	pb_source_describe(struct pb_source *src, const char *clock,
	    uint64_t epoch, struct pb_head **out, struct pb_err *err);

/* source.c, for attach.c. */

/* Why nothing is captured, for status alone. */
void	pb_source_waits(struct pb_source *src, const char *text);

/* Why nothing is captured; "" where it is.  Logged when it is another reason
 * than the last that was. */
void	pb_source_error(struct pb_source *src, const char *text);

#endif
