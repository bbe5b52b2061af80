/*
 * shipper/wire/client.h - the wire protocol, version 1, as its client
 *
 * The requests of docs/protocol.md, and what answers say: the one place
 * for their paths, headers and JSON.  What is sent when, and what follows
 * from an answer, is the callers' (push.h, sink/http.c).
 */
#ifndef PB_SHIPPER_CLIENT_H
#define PB_SHIPPER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/store/fingerprint.h"
#include "recorder/store/index/index.h"
#include "shipper/wire/http.h"

#define PB_WIRE_TEXT_MAX	256u	/* bytes of what a node says is wrong */
#define PB_WIRE_GAP_MAX		192u	/* bytes of a gap's body */

/* A node, and who asks it.  Borrowed while requests are under way. */
struct pb_wire {
	struct pb_http	*http;		/* borrowed */
	struct pb_http_peer peer;
	uint64_t	sender;		/* PB-Sender; 0: not said */
};

struct pb_wire_answer {
	int		status;		/* of HTTP; 0: there was none */
	/* The node's own, not of something in front of it (a proxy, a
	 * portal): it has a number, or says in our words what is wrong. */
	bool		ours;
	bool		has_acked;
	uint64_t	acked;
	bool		ask;		/* 409: ask again, another sender has */
	struct pb_fingerprint last;	/* its last packet; seq 0: not said */
	uint64_t	retry_after_ms;	/* 0: not said */
	char		text[PB_WIRE_TEXT_MAX];	/* what is wrong, in one clean
					 * line; "" */
};

/* One request: the caller's memory, that of the request until `done` or
 * pb_wire_cancel(). */
struct pb_wire_call {
	void		(*done)(void *arg, const struct pb_wire_answer *);
	void		*arg;
	char		body[PB_WIRE_GAP_MAX];	/* of a gap */
};

struct pb_wire_packets {
	uint64_t	first, last;
	const uint8_t	*body;		/* a section; borrowed until the end */
	size_t		len;
	uint64_t	digest;		/* XXH3 of the section itself */
	bool		packed;		/* the body is a zstd frame of it */
};

struct pb_wire_gap {
	uint64_t	first, last;
	enum pb_gap_reason reason;
	uint16_t	link_type;	/* for a stream that begins so there */
};

/*
 * Start a request about the stream `key`; its end is told by call->done,
 * from within pb_http_wait().  An error: nothing was started.
 */
/* Which packets has it?  `at` not 0: the last packet up to it. */
int	pb_wire_ask(struct pb_wire *wire, struct pb_wire_call *call,
	    const struct pb_stream_key *key, uint64_t at, struct pb_err *err);
int	pb_wire_packets(struct pb_wire *wire, struct pb_wire_call *call,
	    const struct pb_stream_key *key,
	    const struct pb_wire_packets *packets, struct pb_err *err);
int	pb_wire_gap(struct pb_wire *wire, struct pb_wire_call *call,
	    const struct pb_stream_key *key, const struct pb_wire_gap *gap,
	    struct pb_err *err);

/* End it without its `done`, where it is under way. */
void	pb_wire_cancel(struct pb_wire *wire, struct pb_wire_call *call);

#endif
