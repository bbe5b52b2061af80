/*
 * recorder/link/link.h - is the interface there, is it up, and wake me
 * when that changes
 *
 * The kernel's link messages (rtnetlink(7)) only wake: what is so is asked
 * afresh each time, so that a lost message loses no state.
 */
#ifndef PB_LINK_LINK_H
#define PB_LINK_LINK_H

#include <stdbool.h>

struct pb_link_state {
	unsigned	index;	/* 0: no network interface of that name */
	bool		up;	/* administratively; true without an index */
};

/*
 * A descriptor that is readable after any interface changed, or -1 where
 * the system gives none: the caller then asks now and again.
 */
int	pb_link_watch(void);

/* Read away what woke us; true where something had. */
bool	pb_link_changed(int fd);

/* `any` and other pseudo devices of libpcap have index 0 and are up. */
void	pb_link_state(const char *interface, struct pb_link_state *out);

/* The clock that its adapter has: N of /dev/ptpN; -1 where it has none, or
 * the system does not say (ETHTOOL_GET_TS_INFO). */
int	pb_link_phc(const char *interface);

#endif
