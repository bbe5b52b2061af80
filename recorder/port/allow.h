/*
 * recorder/port/allow.h - who may bring what: `allow` of [listen]
 *
 * A list of items separated by commas and blanks:
 *
 *	GLOB         a node whose name matches brings its own streams
 *	relay:GLOB   a node whose name matches brings any node's streams
 *
 * Who may take streams, `pull:NAME`, is an upstream: conf/conf_pull.c.
 *
 * The sender of a body is the last node of its way; its origin the first.
 * With TLS the common name of the sender's certificate says who it is,
 * without TLS the body's word is taken.  A relay's right covers streams
 * imported there under another node's name, whose way does not end in it.
 */
#ifndef PB_INGEST_ALLOW_H
#define PB_INGEST_ALLOW_H

#include <stdbool.h>

#include "pcapng/hop.h"

/*
 * May the packets of `way` (as they arrive, this node not yet on it) come
 * in?  `cn` is the name in the peer's certificate, NULL without TLS.
 */
bool	pb_allow_way(const char *list, const struct pb_identity *way,
	    const char *cn);

/*
 * The same question before, or without, a body: could the peer bring or
 * ask for streams of `node`?
 */
bool	pb_allow_node(const char *list, const char *node, const char *cn);

#endif
