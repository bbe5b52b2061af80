/*
 * recorder/query/conversations.h - who talked to whom, and how much
 *
 * Sums over flows and packets, in any order: both directions of a
 * conversation are one row, or two.  Bounded: packets of more than
 * PB_CONVERSATIONS_MAX are counted, but have no row.
 */
#ifndef PB_QUERY_CONVERSATIONS_H
#define PB_QUERY_CONVERSATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/flow/key.h"

#define PB_CONVERSATIONS_MAX	(1u << 20)	/* 136 MiB with their slots */

/* Direction 0 is that of the first packet. */
struct pb_conversation {
	uint32_t	 stream;	/* whatever number who adds gave it */
	uint16_t	 ethertype;	/* as in struct pb_flow_key; 0, and no
					 * protocol, of 802.11 */
	uint8_t		 ip;		/* 4 (so has ARP) or 6; 0: addresses
					 * are MACs */
	uint8_t		 protocol;
	uint8_t		 address[2][16]; /* whose packets are of direction 0,
					 * then of 1 */
	uint16_t	 port[2];
	bool		 ports;
	uint64_t	 packets[2];
	uint64_t	 bytes[2];	/* on the wire */
	uint64_t	 first_time[2], last_time[2];	/* lowest, highest;
					 * UINT64_MAX, 0 without packets */
};

struct pb_conversations;

/* With `directed` each direction is a row. */
int	pb_conversations_create(struct pb_conversations **out, bool directed,
	    struct pb_err *err);
void	pb_conversations_destroy(struct pb_conversations *conversations);

/* What is known of some packets of one flow. */
struct pb_talk {
	uint32_t	 stream;
	uint64_t	 packets, bytes;
	uint64_t	 first_time, last_time;
};
/* 0, or PB_ENOMEM. */
int	pb_conversations_add(struct pb_conversations *conversations,
	    const struct pb_flow_key *key, const struct pb_talk *talk,
	    struct pb_err *err);

/* What was added of this stream, the last one, counts no more. */
void	pb_conversations_forget(struct pb_conversations *conversations,
	    uint32_t stream);

enum pb_conversations_by {
	PB_BY_BYTES,		/* the most first, */
	PB_BY_PACKETS,
	PB_BY_TIME,		/* ... or the latest */
};

/*
 * In that order: their count, and the array, which is borrowed until more is
 * added.  Nothing can be added to them any more.
 */
size_t	pb_conversations_sort(struct pb_conversations *conversations,
	    enum pb_conversations_by by, const struct pb_conversation **out);

/* Packets that found no room. */
uint64_t pb_conversations_left_out(const struct pb_conversations *c);

#endif
