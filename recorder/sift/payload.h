/*
 * recorder/sift/payload.h - what one request, or answer, carries
 *
 * A piece read from its file, looked at against its digest, freed of fillers
 * and of what the upstream is not to get, and packed with zstd where that is
 * asked for.
 */
#ifndef PB_SIFT_PAYLOAD_H
#define PB_SIFT_PAYLOAD_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "recorder/sift/sift.h"
#include "recorder/store/fingerprint.h"
#include "recorder/store/read/section.h"

/* The caller's memory, zeroed at first. */
struct pb_payload {
	/* What is to be made, as of pb_section_read(); borrowed. */
	const char	*store;
	struct pb_stream_key key;
	struct pb_piece	 piece;
	const char	*upstream;
	unsigned	 level;		/* to pack it at; 0: as it is */
	struct pb_sift	*sift;		/* a reference, or NULL */
	size_t		 sifted_max;	/* bytes; the piece ends where it would
					 * have more.  0: all of it */
	/* What was made. */
	int		 rc;		/* as of pb_section_read() */
	struct pb_err	 err;
	const uint8_t	*data;		/* in its memory, until it is made */
	size_t		 len;		/* again or finished */
	bool		 packed;	/* it is a zstd frame: smaller */
	uint64_t	 digest;	/* XXH3 of the section itself */
	struct pb_fingerprint last;	/* its last packet's */
	struct pb_sifted left;	/* what became of its packets here */
	bool		 says_filtered;	/* it says that some were, anywhere */
	/* Its memory. */
	struct pb_section section;
	struct pb_buf	 sifted;
	struct pb_buf	 zip;
};

/* Any thread. */
void	pb_payload_make(struct pb_payload *payload);

/* The memory that `data` is in is the caller's from now on, as `out`, in whose
 * place it stands: all but the first `*skip` bytes are `data`. */
void	pb_payload_move(struct pb_payload *payload, struct pb_buf *out,
	    size_t *skip);

/* Give back its memory; it may be made again. */
void	pb_payload_finish(struct pb_payload *payload);

#endif
