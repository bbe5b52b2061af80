/*
 * shipper/sink/sink_http.h - packets to a node, by the wire protocol
 */
#ifndef PB_SHIPPER_SINK_HTTP_H
#define PB_SHIPPER_SINK_HTTP_H

#include "shipper/sink/sink.h"
#include "shipper/wire/client.h"

extern const struct pb_sink_kind pb_sink_http;

/*
 * What a node's answer to a request of this kind, as client.h gives it,
 * means:
 *	200 with a number  it has all up to that
 *	409 with a number  it is behind
 *	413                too large
 *	400, 422           of packets: malformed; 422 may be a digest that
 *	                   broke on the way
 *	other 4xx, 508     the stream is refused
 *	all else           failed
 * One of something in front of the node says nothing about what was sent:
 * to packets or a gap, a 4xx means that they are stopped there, and a
 * question that is answered so has failed; a 413 is obeyed.
 */
void	pb_sink_http_meaning(struct pb_answer *answer,
	    enum pb_action_kind kind);

#endif
