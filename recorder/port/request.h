/*
 * recorder/port/request.h - one request, from its head to its answer
 *
 * The wire protocol (docs/protocol.md) without the wire: heads and bytes
 * come in, an answer comes out, at once or later.  No HTTP library, no
 * sockets, no clocks.
 *
 *	create -> data ... -> end -> (wake) -> answer -> destroy
 *	                                        take ... (wake)
 *
 * A long answer is made while it is sent (readers.h).
 */
#ifndef PB_INGEST_REQUEST_H
#define PB_INGEST_REQUEST_H

#include <sys/types.h>

#include "recorder/port/service.h"

#define PB_LONG_ANSWERS_MAX	128u	/* under way; each has a piece */
#define PB_LONG_ANSWERS_PEER_MAX 32u	/* of those, of one address */
/* Answers to pullers, those that wait included, and likewise; and the memory
 * that they are made in, half of it for one address. */
#define PB_HELD_ANSWERS_MAX	128u
#define PB_HELD_ANSWERS_PEER_MAX 32u
#define PB_HELD_BYTES_MAX	((size_t)64 << 20)

enum pb_door {
	PB_DOOR_TCP,		/* [listen]: nodes, each adds a hop */
	PB_DOOR_LOCAL,		/* STORE/recorder.sock: this machine's; a hop
				 * with PB-Relay */
};

/* Of a query for digests; NULL: not given. */
struct pb_digests_words {
	const char	*first, *last, *parts, *snaplen, *why;
};

struct pb_request_head {	/* NULL: not given */
	enum pb_door	door;
	const char	*method;
	const char	*path;		/* percent-encoded, without a query */
	const char	*peer;		/* for the log */
	/* Of its address; NULL: not counted. */
	struct pb_share	*share;		/* intake/room.h */
	unsigned	*long_answers;
	struct pb_held	*held;
	bool		 tls;
	const char	*cn;		/* of the verified certificate */
	bool		 has_length;
	uint64_t	 length;	/* Content-Length */
	bool		 chunked;
	bool		 expect;	/* the peer waits for our word before
					 * it sends the body */
	const char	*first;		/* PB-First */
	const char	*last;		/* PB-Last */
	const char	*digest;	/* PB-Digest */
	const char	*encoding;	/* Content-Encoding */
	const char	*sender;	/* PB-Sender */
	const char	*node;		/* PB-Node */
	/* PB-Relay, by the local door: of whom they were fetched. */
	const char	*relay;
	const char	*accept;	/* Accept-Encoding */
	/* Of the query. */
	const char	*at, *captured, *after, *to, *as, *max_bytes, *wait,
			*since;
	struct pb_digests_words digests;
};

/* A header field of an answer. */
#define PB_ANSWER_VALUE_MAX	256u
struct pb_answer_field {
	const char	*name;
	char		 value[PB_ANSWER_VALUE_MAX];
};
#define PB_ANSWER_FIELDS_MAX	5u

struct pb_answer {
	unsigned	 status;
	const char	*type;		/* Content-Type */
	const char	*allow;		/* Allow, or NULL */
	const char	*takes;		/* PB-Takes, or NULL */
	unsigned	 retry_after_s;	/* Retry-After, or 0 */
	bool		 close;		/* the connection, afterwards */
	struct pb_answer_field field[PB_ANSWER_FIELDS_MAX];
	unsigned	 fields;
	struct pb_buf	 body;		/* from `skip` on */
	size_t		 skip;
	bool		 is_long;	/* no body: pb_request_take() */
	bool		 is_shaped;	/* by pb_request_take() as well */
};

/* The body of one that is not long. */
static inline const uint8_t *
pb_answer_body(const struct pb_answer *answer, size_t *len)
{
	*len = answer->body.len - answer->skip;
	return *len > 0 ? answer->body.data + answer->skip :
	    (const uint8_t *)"";
}

struct pb_request;

/*
 * A request's head is there, borrowed until destroy.  `wake(arg)` is called
 * once if the answer comes after pb_request_end() returned, once for each time
 * that pb_request_wait() said so, and for each piece of a long answer but the
 * first.  PB_ENOMEM.
 */
int	pb_request_create(struct pb_request **out, struct pb_service *service,
	    const struct pb_request_head *head, uint64_t now_ms,
	    uint64_t now_ns, void (*wake)(void *arg), void *arg,
	    struct pb_err *err);
void	pb_request_destroy(struct pb_request *request, uint64_t now_ms);

/* `len` bytes of its body are there.  True: there is no memory for them;
 * leave them where they are until `wake`, then ask again. */
bool	pb_request_wait(struct pb_request *request, size_t len,
	    uint64_t now_ms);

/* Some of its body.  False: stop reading, close the connection. */
bool	pb_request_data(struct pb_request *request, const void *data,
	    size_t len, uint64_t now_ms);

/* Until when more of the body must have come: intake/room.h. */
uint64_t pb_request_until_ms(const struct pb_request *request);
/* It did not: answer 408, which the peer hears as a closed connection. */
void	pb_request_late(struct pb_request *request, uint64_t now_ms);

/* It is all there. */
void	pb_request_end(struct pb_request *request, uint64_t now_ms);

/* The answer, borrowed until destroy; NULL while there is none. */
const struct pb_answer *pb_request_answer(const struct pb_request *request);

/* More of an answer that is long, or shaped: as many bytes; 0: none yet, `wake`
 * tells; PB_ENOENT: that was all; an error: it is broken off. */
ssize_t	pb_request_take(struct pb_request *request, void *out, size_t max);
/* Is an answer being made that is not there yet, or does it wait for a rate?
 * Where nobody begins to make it in time, it is 503. */
bool	pb_request_making(struct pb_request *request, uint64_t now_ms);

/* There is an answer, and it does not wait for the body to arrive. */
bool	pb_request_refused(const struct pb_request *request);

/* For the intake of the service: pb_service_create() wants them. */
void	pb_request_settled(void *arg, struct pb_load *load);
void	pb_request_taken(void *arg, struct pb_load *load);

#endif
