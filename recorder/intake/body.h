/*
 * recorder/intake/body.h - a request's body: checked, stamped, cut into
 * chunks
 *
 * A body is one pcapng section of one interface with whole blocks, its
 * packets numbered without holes but for those it says its sender left out
 * (docs/protocol.md).  Reading it yields
 * chunks as the store takes them; nothing leaves this module before the
 * last byte has been checked, so a body is kept whole or not at all.
 *
 * Errors, for all calls below:
 *   PB_EFORMAT  no pcapng, or malformed; the text names the offset
 *   PB_EINVAL   well-formed, but not by the rules of a body
 *   PB_ELOOP    this node is on the packets' way already
 *   PB_ENOMEM
 */
#ifndef PB_INGEST_BODY_H
#define PB_INGEST_BODY_H

#include "base/buf.h"
#include "pcapng/hop.h"
#include "recorder/store/write/store.h"

/* The largest sequence number: JSON readers keep whole numbers to it. */
#define PB_SEQ_MAX	INT64_MAX

/* The smallest packet: an EPB with epb_packetid, and no end of options. */
#define PB_PACKET_BYTES_MIN	44u

struct pb_body {			/* all borrowed for the call */
	const uint8_t	*data;
	size_t		 len;
	const struct pb_stream_key *key;	/* as the URL has it */
	/* This node, put on the way of each packet; NULL where packets
	 * come in at their origin and no hop is added. */
	const struct pb_node *self;
	uint32_t	 pen;
};

/* What a body says of itself. */
struct pb_body_facts {
	struct pb_identity way;		/* as it arrived, without `self` */
	uint16_t	linktype;
	uint32_t	snaplen;
	uint64_t	first, last;	/* sequence numbers */
};

/* Numbers to keep, both ends included. */
struct pb_run {
	uint64_t first, last;
};

struct pb_body_build {
	/* Set by the caller. */
	const struct pb_run *run;	/* ascending, apart; borrowed */
	size_t		 runs;
	uint64_t	 arrival_ns;	/* of the hop records */
	uint64_t	 number;	/* this node's number of the first kept
					 * packet; the others follow */
	struct pb_chunk	*(*chunk)(void *arg);	/* an empty one, or NULL */
	void		*arg;
	/* Set by the call. */
	struct pb_chunk	*first_chunk;	/* linked by next, in order; each
					 * one run's, with `head`, without
					 * stream.  On error too: the
					 * caller takes them back. */
	struct pb_chunk	*last_chunk;
	struct pb_head	*head;		/* a reference; NULL on error */
	uint64_t	 blocks_dropped; /* blocks that a segment cannot
					 * hold: custom, big-endian, large */
};

struct pb_body_scratch {	/* one per thread: working memory */
	struct pb_buf	shb;		/* options of the section header */
	struct pb_buf	waiting;	/* blocks before the next packet */
	struct pb_buf	statistics;	/* options of one ISB */
	bool		no_plain;	/* tests: all through the reader */
	uint64_t	plain;		/* packets that did without it */
	uint8_t		options[PB_OPTIONS_BYTES_MAX + PB_HOP_GROWTH_MAX];
};

int	pb_body_scratch_create(struct pb_body_scratch **out,
	    struct pb_err *err);
void	pb_body_scratch_destroy(struct pb_body_scratch *scratch);

/*
 * Read up to the first packet: who sends what from where on.  `last` is
 * 0 afterwards.  Cheap; what follows is not checked.
 */
int	pb_body_look(struct pb_body_scratch *scratch,
	    const struct pb_body *body, struct pb_body_facts *facts,
	    struct pb_err *err);

/* Check all of it, learn `last`, and copy the packets within the runs of
 * `build` into chunks; NULL: check only. */
int	pb_body_read(struct pb_body_scratch *scratch,
	    const struct pb_body *body, struct pb_body_facts *facts,
	    struct pb_body_build *build, struct pb_err *err);

#endif
