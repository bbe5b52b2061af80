/*
 * recorder/port/sifts.h - what pullers get, and when, by their sections
 *
 * `streams`, `filter` and `snaplen` of each [upstream] with `url = pull:`.  A
 * filter is compiled once for a link type (sift/sieves.h), whatever is asked; a
 * reload changes all of it for answers that begin then.  And its shaper
 * (shaper.h), for which a reload counts at once.
 *
 * Any thread.  Limit: one fixed record a puller, PB_SIEVES_MAX filters each.
 */
#ifndef PB_INGEST_SIFTS_H
#define PB_INGEST_SIFTS_H

#include "recorder/port/shaper.h"
#include "recorder/sift/sieves.h"
#include "recorder/store/layout.h"

/* What went wrong with a filter is not tried again, but told, for so long. */
#define PB_SIFTS_AGAIN_MS	1000u

struct pb_sifts;

/* Of those who may pull by `conf`, which is not kept. */
int	pb_sifts_create(struct pb_sifts **out, const struct pb_conf *conf,
	    struct pb_err *err);
void	pb_sifts_destroy(struct pb_sifts *sifts);	/* NULL is fine */

/* Their sections say this from now on; not that there are others.  True where
 * somebody may have other streams than before. */
bool	pb_sifts_change(struct pb_sifts *sifts, const struct pb_conf *conf);

/* May the puller have this stream? */
bool	pb_sifts_offers(struct pb_sifts *sifts, const char *puller,
	    const struct pb_stream_key *key);

/*
 * For packets of this link type: a reference, for the caller to give back, or
 * NULL where they go as they are.  It may wait for some milliseconds while a
 * filter is compiled.  Errors as of pb_sieves_find().
 */
int	pb_sifts_find(struct pb_sifts *sifts, const char *puller,
	    uint16_t linktype, struct pb_sift **out, struct pb_err *err);

/* What the section says: filter "" and snaplen PB_CAPLEN_MAX, all goes. */
struct pb_sifts_words {
	char		filter[PB_CONF_VALUE_MAX];
	uint32_t	snaplen;
};
void	pb_sifts_say(struct pb_sifts *sifts, const char *puller,
	    struct pb_sifts_words *out);

/* When and how fast it is answered; it stays where it is.  NULL: as anybody
 * is. */
struct pb_shaper *pb_sifts_shaper(struct pb_sifts *sifts, const char *puller);
/* pb_shaper_tick() of all: the least wait.  On the ingest thread. */
int	pb_sifts_tick(struct pb_sifts *sifts, uint64_t now_ms);

#endif
