/*
 * recorder/capture/source_impl.h - inside a source
 *
 * source.c is the thread: it waits, reads, and hands over.  attach.c is
 * the interface: it opens, follows and closes it.
 */
#ifndef PB_CAPTURE_SOURCE_IMPL_H
#define PB_CAPTURE_SOURCE_IMPL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "recorder/capture/blocks.h"
#include "recorder/capture/pcap_open.h"
#include "recorder/capture/source.h"

struct pb_source {
	struct pb_conf_capture capture;
	struct pb_node	 node;
	struct pb_store	*store;
	unsigned	 flush_ms;	/* from a chunk's first packet on */
	unsigned	 ring_ms;
	int		 stop_fd;
	pthread_t	 thread;

	/* The thread's own. */
	bool		 stopping, open, link_up;
	bool		 busy;		/* more waits in the kernel's ring */
	bool		 paused;	/* and shall: no chunk is free */
	bool		 host_clock;	/* the adapter's was wrong */
	int		 link_fd;
	struct pb_pcap	 pcap;
	struct pb_blocks blocks;
	struct pb_stream *stream;
	uint64_t	 epoch;		/* of the stream, */
	uint16_t	 linktype;	/* and its link type */
	uint64_t	 now_ms, retry_ms, flush_at_ms, sampled_ms;
	uint64_t	 pause_until_ms;	/* 0: the store keeps up */
	uint64_t	 drops_logged, drops_log_ms;

	/* What other threads see. */
	_Atomic uint64_t packets, bytes, kernel, interface, lost;
	_Atomic bool	 up;
	sem_t		 tried;		/* posted after the first try to open */
	pthread_mutex_t	 lock;		/* of last_error */
	char		 last_error[PB_ERR_TEXT_MAX];
};

/* attach.c; all on the source's thread. */

/* Try to open; on failure the reason is kept and retry_ms says when next. */
void	pb_attach_open(struct pb_source *src);

/* Take what the kernel still holds, hand over the last chunk, close. */
void	pb_attach_close(struct pb_source *src);

/* It failed, or is gone: close, and capture again as soon as can be. */
void	pb_attach_lost(struct pb_source *src, const char *why);

/* Some interface changed: was it ours? */
void	pb_attach_look(struct pb_source *src);

/* source.c, for attach.c. */

/* Read one batch, or none while no chunk is free: the number of packets,
 * negative where that failed.  Sets `busy` and `paused`. */
int	pb_source_read(struct pb_source *src);

/* Why nothing is captured; "" where it is.  Logged when it changes. */
void	pb_source_error(struct pb_source *src, const char *text);

#endif
