/*
 * recorder/store/read/section.h - a piece of a segment as a pcapng section
 *
 * The segment's own header (SHB and IDB) and the piece's whole blocks, one
 * behind the other, as a request carries them.  What the page cache does
 * not have is read past it: what is captured is written past it, too, and
 * what is shipped once is not wanted there.
 */
#ifndef PB_READ_SECTION_H
#define PB_READ_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "recorder/store/layout.h"
#include "recorder/store/read/piece.h"

/* The most of a segment's extent that is looked at, and of a section. */
#define PB_FEED_EXTENT_MAX	(16u << 20)
#define PB_SECTION_BYTES_MAX	(PB_FEED_EXTENT_MAX + (1u << 20))

/* Zeroed, it is empty. */
struct pb_section {
	const uint8_t	*data;		/* within its memory */
	size_t		 len;
	bool		 filtered;	/* it says that some were left out */
	uint8_t		*space;		/* kept for the next piece */
	size_t		 cap;
};

/*
 * The piece's section, under the piece's epoch; what was there before is
 * gone.  `upstream`: whose dead letter it is, where piece->letter; else
 * NULL.  A letter whose link is gone is read from the segment, and with
 * `upstream` a segment that is gone from the link.  Any thread.
 *   PB_ENOENT   the segment has expired, and no letter keeps it
 *   PB_EDIGEST  the extent is whole and not what was written
 *   PB_EFORMAT  the file is shorter than the index says
 *   PB_ELIMIT   more than PB_SECTION_BYTES_MAX
 */
int	pb_section_read(struct pb_section *section, const char *store,
	    const struct pb_stream_key *key, const struct pb_piece *piece,
	    const char *upstream, struct pb_err *err);

/* Give back its memory; it may be used again. */
void	pb_section_finish(struct pb_section *section);

/* The file a piece is in, as above: a descriptor that the caller closes. */
int	pb_section_open(const char *store, const struct pb_stream_key *key,
	    uint64_t segment_seq, const char *upstream, bool letter,
	    struct pb_err *err);

#endif
