/*
 * cli/import/import_stream.h - private to the importer: one interface of a file
 * on its way to become a stream
 *
 *	described --(first packet)--> begun --(body full)--> pushed, begun
 *
 * Until its first packet an interface is its options; then it has a key
 * with a fresh epoch and a head, and fills one body after the other.
 */
#ifndef PB_CLI_IMPORT_STREAM_H
#define PB_CLI_IMPORT_STREAM_H

#include "base/buf.h"
#include "base/err.h"
#include "cli/import/importer.h"
#include "recorder/store/head.h"
#include "recorder/store/store.h"

/*
 * A body's blocks behind SHB and IDB fit one chunk of the store, and so do
 * blocks that come behind the last packet: TAIL is kept free for them.
 */
#define PB_IMPORT_BODY_BYTES	PB_CHUNK_BYTES
#define PB_IMPORT_TAIL_BYTES	(64u << 10)
/* Blocks that wait for a packet: the section's, and the interface's own
 * statistics.  With them the largest packet still fits an empty body. */
#define PB_IMPORT_WAITING_BYTES	(256u << 10)
#define PB_IMPORT_STATISTICS_BYTES (64u << 10)

struct pb_import_stream {
	uint32_t	 id;		/* of the interface in its section */
	uint16_t	 linktype;
	bool		 classic;	/* of a classic pcap file */
	struct pb_buf	 idb;		/* options, until it has a head */
	/* ticks of its own times: ns = ticks * mul / div >> shift + offset */
	uint64_t	 mul, div;
	unsigned	 shift;
	int64_t		 offset_s;
	/* once begun */
	struct pb_stream_key key;
	struct pb_head	*head;		/* NULL: not begun */
	uint64_t	 seq;		/* of the last packet */
	struct pb_buf	 body;
	size_t		 head_bytes;	/* of SHB and IDB in it */
	uint64_t	 first;		/* number in it; 0: it has none */
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

/* Does the body have room for so many bytes of blocks more? */
bool	pb_import_stream_room(const struct pb_import_stream *stream,
	    size_t bytes);

/*
 * Append the next packet, its statistics and the blocks of `waiting`
 * before it.  The body has room, or is empty.
 */
int	pb_import_stream_packet(struct pb_import_stream *stream,
	    const struct pb_importer_opts *opts,
	    const struct pb_event *event, const struct pb_buf *waiting,
	    struct pb_buf *options, struct pb_err *err);
/* Bytes that packet will take. */
size_t	pb_import_packet_bytes(const struct pb_event *event);

/* An ISB of it, in nanoseconds; false where there is no room. */
bool	pb_import_stream_statistics(struct pb_import_stream *stream,
	    const struct pb_event *event, struct pb_buf *options);

/* Blocks behind the last packet; false where there is no room, or none
 * of its packets is in the body any more. */
bool	pb_import_stream_tail(struct pb_import_stream *stream,
	    const struct pb_buf *blocks);

#endif
