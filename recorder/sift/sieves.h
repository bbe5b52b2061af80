/*
 * recorder/sift/sieves.h - what an upstream gets of packets, by their link type
 *
 * A filter is compiled for a link type; streams have several.
 */
#ifndef PB_SIFT_SIEVES_H
#define PB_SIFT_SIEVES_H

#include "conf/conf.h"
#include "recorder/sift/sieve.h"
#include "recorder/sift/sift.h"

#define PB_SIEVES_MAX	16u	/* link types of one upstream */

/* Zeroed, all packets go as they are. */
struct pb_sieves {
	char		 filter[PB_CONF_VALUE_MAX];
	uint32_t	 snaplen;	/* 0: as none */
	bool		 first_apart;	/* as in sift.h */
	unsigned	 count;
	struct pb_sieves_one {
		uint16_t	 linktype;
		struct pb_sieve	 sieve;
		struct pb_sift	*sift;		/* NULL: not known yet */
	} one[PB_SIEVES_MAX];
};

/* What `conf` says from now on; who has begun goes on as he was. */
void	pb_sieves_set(struct pb_sieves *sieves,
	    const struct pb_conf_upstream *conf);
void	pb_sieves_finish(struct pb_sieves *sieves);

/*
 * For packets of this link type: `*out` is borrowed until the next call of
 * any of these; NULL where they go as they are.  PB_EBUSY, PB_ENOENT: a name
 * in the filter is not known (yet), ask again; PB_EINVAL: it is no filter for
 * this link type; PB_ELIMIT.
 */
int	pb_sieves_find(struct pb_sieves *sieves, uint16_t linktype,
	    struct pb_sift **out, struct pb_err *err);

#endif
