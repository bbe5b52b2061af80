/*
 * recorder/capture/opening.h - an interface opened, however long that takes
 *
 * Names in a filter are looked up while it is compiled, and a name server
 * that does not answer takes its time.  Where there is a filter an opening
 * has a thread of its own, that may be left behind: who opens can end
 * meanwhile.
 */
#ifndef PB_CAPTURE_OPENING_H
#define PB_CAPTURE_OPENING_H

#include "recorder/capture/pcap_open.h"

struct pb_handles {			/* of one interface */
	struct pb_pcap	 at[PB_CAPTURE_THREADS_MAX];
	unsigned	 count;		/* of them, in one group (fanout.c) */
	struct pb_filter *filter;	/* that they have; NULL: none */
};

/*
 * Open as many handles as there are threads to be; one, with the whole
 * buffer, where the kernel shares nothing out.  `ask` is copied.  On success
 * those of `out` are the caller's.  1 where `stop_fd` became readable first;
 * else the error of pb_pcap_open().  `slow(arg)` is called once where it takes
 * longer than a second.
 */
int	pb_opening_run(const struct pb_pcap_ask *ask, int stop_fd,
	    void (*slow)(void *arg), void *arg, struct pb_handles *out,
	    struct pb_err *err);

/* Handles and filter. */
void	pb_handles_close(struct pb_handles *handles);

#endif
