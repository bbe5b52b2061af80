/*
 * cli/import/import_stream.h - private to the importer: one interface of a file
 * on its way to become a stream
 *
 *	described --(first packet)--> begun --(chunk full)--> given, begun
 *
 * Until its first packet an interface is its options; then it has a key
 * with a fresh epoch and a head, and fills one chunk after the other.
 */
#ifndef PB_CLI_IMPORT_STREAM_H
#define PB_CLI_IMPORT_STREAM_H

#include "base/buf.h"
#include "base/err.h"
#include "cli/import/importer.h"
#include "pcapng/ticks.h"
#include "recorder/store/head.h"
#include "recorder/store/write/chunk.h"

/* Of a chunk, kept free for blocks that come behind the last packet. */
#define PB_IMPORT_TAIL_BYTES	(64u << 10)
/* Blocks that wait for a packet: the section's, and the interface's own
 * statistics.  With them the largest packet still fits an empty chunk. */
#define PB_IMPORT_WAITING_BYTES	(256u << 10)
#define PB_IMPORT_STATISTICS_BYTES (64u << 10)

struct pb_import_stream {
	uint32_t	 id;		/* of the interface in its section */
	uint16_t	 linktype;
	bool		 classic;	/* of a classic pcap file */
	struct pb_buf	 idb;		/* options, until it has a head */
	struct pb_ticks	 clock;		/* of its own times */
	/* once begun */
	struct pb_stream_key key;
	struct pb_head	*head;		/* NULL: not begun */
	uint64_t	 seq;		/* of the last packet */
	struct pb_chunk	*chunk;		/* being filled, or NULL; borrowed */
	size_t		 last;		/* where its last packet's block is */
	struct pb_buf	 statistics;	/* ISBs that wait for a packet */
	uint64_t	 statistics_count;
};

/* Keep what an INTERFACE event says. */
int	pb_import_stream_init(struct pb_import_stream *stream,
	    const struct pb_event *event, bool classic, struct pb_err *err);
void	pb_import_stream_finish(struct pb_import_stream *stream);

/*
 * Its first packet has come: name it, draw an epoch, make the head.
 * `forced` (or NULL) and `ordinal`, how many streams the file had before,
 * give the name of --interface.
 */
int	pb_import_stream_begin(struct pb_import_stream *stream,
	    const struct pb_importer_opts *opts, uint64_t ordinal,
	    const struct pb_buf *shb, struct pb_err *err);

/*
 * The options that its packet `seq` is stored with.  `options` has
 * PB_IMPORT_OPTIONS_BYTES reserved.  PB_ELIMIT where they are too many;
 * not where pb_import_options_few() is true.
 */
#define PB_IMPORT_OPTIONS_BYTES	(PB_OPTIONS_BYTES_MAX + 256u)
int	pb_import_packet_options(struct pb_buf *options,
	    const struct pb_event *event, uint64_t seq, uint32_t pen,
	    struct pb_err *err);
bool	pb_import_options_few(const struct pb_event *event);

/* Does its chunk have room for a packet with so many bytes of options,
 * its statistics and `waiting`? */
bool	pb_import_stream_room(const struct pb_import_stream *stream,
	    const struct pb_event *event, size_t options_len,
	    const struct pb_buf *waiting);

/* From now on it fills this chunk, which is empty. */
void	pb_import_stream_fill(struct pb_import_stream *stream,
	    struct pb_chunk *chunk);

/*
 * Its chunk is to leave early: the last packet moves to `next`, which is
 * empty and is filled from now on, so that blocks behind it find it there.
 * The chunk has more than one packet.
 */
void	pb_import_stream_split(struct pb_import_stream *stream,
	    struct pb_chunk *next);

/*
 * Append packet stream->seq with `options`; its statistics and the blocks
 * of `waiting` before it.  The chunk has room, or is empty.
 */
void	pb_import_stream_packet(struct pb_import_stream *stream,
	    const struct pb_event *event, const struct pb_buf *options,
	    const struct pb_buf *waiting);

/* An ISB of it, in nanoseconds; false where there is no room. */
bool	pb_import_stream_statistics(struct pb_import_stream *stream,
	    const struct pb_event *event, struct pb_buf *options);

/* Blocks behind the last packet; false where there is no room, or none
 * of its packets is in a chunk any more. */
bool	pb_import_stream_tail(struct pb_import_stream *stream,
	    const struct pb_buf *blocks);

#endif
