/*
 * recorder/query/split.h - one file or several: where `-w` begins the next,
 * and what it is called
 *
 *	NAME_00001_20261129204500.pcapng	by size or time: its number,
 *						and the time (UTC) of its
 *						first packet
 *	NAME_NODE+INTERFACE.pcapng		by stream, percent-encoded
 *
 * The endings are those of the name that was given, `.pcapng.gz` in one.
 */
#ifndef PB_QUERY_SPLIT_H
#define PB_QUERY_SPLIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum pb_split_kind {
	PB_SPLIT_NONE,
	PB_SPLIT_BYTES,
	PB_SPLIT_TIME,
	PB_SPLIT_STREAM,
};

struct pb_split {
	enum pb_split_kind kind;
	uint64_t bytes;			/* of a file, before it is compressed */
	uint64_t ns;			/* files begin at multiples of it since
					 * 1970 UTC */
};

#define PB_SPLIT_FILES_MAX	99999u	/* of five digits, in order */
#define PB_SPLIT_WORD_MAX	512	/* what goes into a name */

/* `100MiB`, `1h`, `stream` into a struct pb_split, in place of what it says:
 * 0 or PB_EINVAL.  A number without a unit is none. */
int	pb_split_parse(void *split, const char *text, struct pb_err *err);

/* The first time that a file with a packet of `time_ns` does not have. */
uint64_t pb_split_end(const struct pb_split *split, uint64_t time_ns);

/* How many bytes of a path stand before its endings. */
size_t	pb_split_stem(const char *path);

/* What goes between stem and endings. */
const char *pb_split_by_number(char out[static PB_SPLIT_WORD_MAX],
	    unsigned number, uint64_t time_ns);
const char *pb_split_by_stream(char out[static PB_SPLIT_WORD_MAX],
	    const char *node, const char *interface);

#endif
