/*
 * shipper/wire/digests.h - what a node says of a run of numbers
 *
 * The words of the question, and the answer, which is another's: all of it is
 * compared with what was asked before anything is believed.
 */
#ifndef PB_SHIPPER_DIGESTS_H
#define PB_SHIPPER_DIGESTS_H

#include "base/json.h"
#include "recorder/store/layout.h"
#include "recorder/store/read/digests.h"

#define PB_WIRE_DIGESTS_WORDS_MAX	160u
#define PB_WIRE_REASON_MAX		32u	/* bytes of a gap's reason */
#define PB_WIRE_ABSENT_MAX		256u
/* An answer that ends before what was asked for has so many numbers. */
#define PB_WIRE_DIGESTS_MIN		64u

/* Numbers that are not there, and why. */
struct pb_wire_absent {
	uint64_t	first, last;
	char		reason[PB_WIRE_REASON_MAX];	/* in clean words */
	uint64_t	since_ns;	/* 0: not said */
};

struct pb_wire_digests {
	struct pb_digests_ask ask;
	uint64_t	acked;		/* its durable end; 0: none */
	uint64_t	first_seq;	/* its lowest number; 0: no packets */
	/* From ask.first on, each from where the one before ended; none where
	 * acked is less than that. */
	unsigned	parts;
	struct pb_digests_part part[PB_DIGESTS_PARTS_MAX];
	/* Where ask.why: of the numbers of those parts. */
	unsigned	absences;
	struct pb_wire_absent absent[PB_WIRE_ABSENT_MAX];
};

/* What stands behind the path of a stream. */
void	pb_wire_digests_words(char out[static PB_WIRE_DIGESTS_WORDS_MAX],
	    const struct pb_digests_ask *ask);

/* The answer to out->ask; PB_EFORMAT, and what is wrong in `text`. */
#define PB_WIRE_DIGESTS_TEXT	256u
int	pb_wire_digests_read(struct pb_wire_digests *out,
	    struct pb_json_doc *doc,
	    char text[static PB_WIRE_DIGESTS_TEXT]);

#endif
