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
#include "base/json.h"
#include "conf/conf.h"
#include "recorder/store/layout.h"
#include "shipper/ship/ship.h"
#include "shipper/wire/digests.h"
#include "shipper/wire/http.h"
#include "shipper/wire/proxy.h"

#define PB_WIRE_GAP_MAX		192u	/* bytes of a gap's body */
#define PB_WIRE_DIGEST		"xxh3="	/* before its hex digits */

/* Whom a section of the configuration means, which is borrowed, and so is
 * `proxy_auth`: as pb_proxy_auth_read(). */
int	pb_wire_peer(struct pb_http_peer *out,
	    const struct pb_conf_upstream *conf,
	    char proxy_auth[static PB_PROXY_AUTH_MAX], struct pb_err *err);
/* The same of an edge; and where `proxy_auth` has been read. */
int	pb_wire_peer_edge(struct pb_http_peer *out,
	    const struct pb_conf_edge *conf,
	    char proxy_auth[static PB_PROXY_AUTH_MAX], struct pb_err *err);
void	pb_wire_reach_edge(struct pb_http_peer *out,
	    const struct pb_conf_edge *conf, const char *proxy_auth);

/* A node, and who asks it.  Borrowed while requests are under way. */
struct pb_wire {
	struct pb_http	*http;		/* borrowed */
	struct pb_http_peer peer;
	uint64_t	sender;		/* PB-Sender; 0: not said */
	const char	*node;		/* PB-Node: who pulls; NULL: not said */
	const char	*relay;		/* PB-Relay: of whom it was fetched;
					 * NULL: what is sent begins here */
};

/* One request: the caller's memory, that of the request until `done` or
 * pb_wire_cancel(). */
struct pb_wire_call {
	/* HAS: it has a number, with 200 or 409; else FAILED.  `status` is
	 * HTTP's, 0: there was none.  `text`: what is wrong, in one clean
	 * line; "". */
	void		(*done)(void *arg, struct pb_answer *answer);
	void		*arg;
	char		body[PB_WIRE_GAP_MAX];	/* of a gap */
	/* Of a question for digests: the caller's, what the node has said. */
	struct pb_wire_digests *digests;
};

struct pb_wire_packets {
	uint64_t	first, last;
	const uint8_t	*body;		/* a section; borrowed until the end */
	size_t		len;
	uint64_t	digest;		/* XXH3 of the section itself */
	bool		packed;		/* the body is a zstd frame of it */
};

/*
 * Start a request about the stream `key`; its end is told by call->done,
 * from within pb_http_wait().  An error: nothing was started.
 */
/* Which packets has it?  `at` not 0: the last packet up to it, as if
 * `captured` of its bytes had been captured (0: as it is). */
int	pb_wire_ask(struct pb_wire *wire, struct pb_wire_call *call,
	    const struct pb_stream_key *key, uint64_t at, uint32_t captured,
	    struct pb_err *err);
int	pb_wire_packets(struct pb_wire *wire, struct pb_wire_call *call,
	    const struct pb_stream_key *key,
	    const struct pb_wire_packets *packets, struct pb_err *err);
/* `link_type`: for a stream that begins so there. */
int	pb_wire_gap(struct pb_wire *wire, struct pb_wire_call *call,
	    const struct pb_stream_key *key, const struct pb_piece *gap,
	    uint16_t link_type, struct pb_err *err);
/* What has it of a run of numbers?  call->digests is told where the answer is
 * HAS; one that does not fit the question is FAILED. */
int	pb_wire_digests(struct pb_wire *wire, struct pb_wire_call *call,
	    const struct pb_stream_key *key,
	    const struct pb_digests_ask *ask, struct pb_err *err);

/* For the folder.  A request about the stream `key`, or all where NULL;
 * `what` follows in its path.  `request` has all but peer and path. */
int	wire_request(struct pb_wire *wire, const struct pb_stream_key *key,
	    const char *what, struct pb_http_request *request,
	    struct pb_err *err);
/* What a node's answer says is wrong, in one clean line; is it the node's own
 * word, not one of something in front of it? */
bool	wire_explain(char *out, size_t room, const struct pb_http_answer *http,
	    struct pb_json_doc *doc);

/* End it without its `done`, where it is under way. */
void	pb_wire_cancel(struct pb_wire *wire, struct pb_wire_call *call);

#endif
