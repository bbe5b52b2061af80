/*
 * cli/audit/side.h - one of the two nodes that are compared
 *
 * A store at hand, or a node that is asked over the wire.  Both say what they
 * have by the same words, those of the wire protocol.
 */
#ifndef PB_AUDIT_SIDE_H
#define PB_AUDIT_SIDE_H

#include "base/stop.h"
#include "cli/audit/listing.h"
#include "conf/conf.h"
#include "recorder/store/index/index.h"
#include "shipper/wire/digests.h"

struct pb_side {
	/* An answer to out->ask, complete or up to where it ends. */
	int		(*ask)(struct pb_side *side,
			    const struct pb_stream_key *key,
			    struct pb_wire_digests *out, struct pb_err *err);
	/* Over the wire, which streams there are: an edge says what may be
	 * pulled, an upstream what it has of this node's.  1; 0: it is of a
	 * version that cannot say so; or an error. */
	int		(*list)(struct pb_side *side, struct pb_listing *out,
			    struct pb_err *err);
	void		(*destroy)(struct pb_side *side);
	const char	*name;		/* for people; borrowed */
	uint64_t	requests;	/* for digests, over the wire */
};

void	pb_side_destroy(struct pb_side *side);

/* A store, by its index, which is borrowed, and its path, likewise.  A stop
 * ends a call with PB_EBUSY. */
int	pb_side_store(struct pb_side **out, const char *store,
	    struct pb_index *index, const struct pb_stop *stop,
	    struct pb_err *err);
/* From now on parts say as well what of them passes (pb_digests_sift());
 * NULL: no longer. */
void	pb_side_store_sift(struct pb_side *side,
	    bool (*passes)(void *arg, const struct pb_packet *packet),
	    void *arg);
/* The same parts as `of` has, whatever their lengths. */
int	pb_side_store_match(struct pb_side *side,
	    const struct pb_stream_key *key, const struct pb_wire_digests *of,
	    struct pb_digests_part out[static PB_DIGESTS_PARTS_MAX],
	    struct pb_err *err);

/* Whom a section means, of an upstream or of an edge, which is borrowed. */
struct pb_side_node {
	const struct pb_conf_upstream *upstream;	/* one of the two */
	const struct pb_conf_edge *edge;
	const char	*self;		/* this node's name; borrowed */
};
int	pb_side_wire(struct pb_side **out, const struct pb_side_node *node,
	    const struct pb_stop *stop, struct pb_err *err);

#endif
