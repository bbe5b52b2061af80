/*
 * recorder/filter/numbers.h - numbers that come one by one, to be a set
 *
 * Those of one or two bytes are kept as bits, others as spans, in bounded
 * memory: where there are too many, near ones become one span.  The set can
 * then be made as small as it has to be, for which it says less (values.h).
 */
#ifndef PB_FILTER_NUMBERS_H
#define PB_FILTER_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/filter/values.h"

#define PB_NUMBERS_ROOM		16384u	/* spans, as they come */
#define PB_NUMBERS_KEPT_MAX	PB_FUSE_KEYS_MAX	/* once in order */
#define PB_NUMBERS_RECENT	4096u
#define PB_NUMBERS_WORDS	1024u	/* a bit for each of two bytes */

struct pb_numbers {
	unsigned	 bytes;		/* of a number */
	uint64_t	*bit;		/* of one or two: which came; or NULL */
	struct pb_span	*span;		/* PB_NUMBERS_ROOM of them */
	size_t		 spans;
	bool		 lost;		/* no memory: any number may be in it */
	bool		 exact;		/* none is in it that did not come */
	uint32_t	 gap;		/* of which nothing was kept so far */
	unsigned	 fuse_bits;	/* 0: a set of spans is wanted */
	/* Numbers, by so many bits of their hash: of few numbers few. */
	unsigned	 recent_bits;
	uint32_t	 recent[PB_NUMBERS_RECENT];
};

/* Memory to put sets in order and to write them. */
struct pb_numbers_work {
	struct pb_span	 span[PB_NUMBERS_ROOM];
	uint32_t	 number[PB_FUSE_KEYS_MAX];
	struct pb_fuse_work fuse;
};

/* Of numbers of 1, 2 or 4 bytes. */
void	pb_numbers_init(struct pb_numbers *numbers, unsigned bytes);
void	pb_numbers_finish(struct pb_numbers *numbers);

/* All from lo to hi are in it; of fewer bytes than 4 both are smaller than
 * what those can hold. */
void	pb_numbers_add(struct pb_numbers *numbers, uint32_t lo, uint32_t hi,
	    struct pb_numbers_work *work);
/* No more will come. */
void	pb_numbers_end(struct pb_numbers *numbers,
	    struct pb_numbers_work *work);

/* What the set takes, at most or (a fuse filter) about; 0: nothing is known. */
size_t	pb_numbers_bytes(const struct pb_numbers *numbers);

/* Make it smaller, by a fifth or more.  In the end nothing is known. */
void	pb_numbers_shrink(struct pb_numbers *numbers);

/* At most `room` bytes; how many.  Where a fuse filter does not come about it
 * is fewer spans. */
size_t	pb_numbers_put(uint8_t *out, size_t room, struct pb_numbers *numbers,
	    struct pb_numbers_work *work);

#endif
