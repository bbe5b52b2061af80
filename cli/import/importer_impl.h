/*
 * cli/import/importer_impl.h - an import, as its own files know it
 */
#ifndef PB_CLI_IMPORTER_IMPL_H
#define PB_CLI_IMPORTER_IMPL_H

#include "base/buf.h"
#include "cli/import/importer.h"
#include "pcapng/ticks.h"

/* Of a chunk, kept free for blocks that come behind the last packet. */
#define TAIL_BYTES	(64u << 10)
/* Blocks that wait for a packet: the section's, and the interface's own
 * statistics.  With them the largest packet still fits an empty chunk. */
#define WAITING_BYTES	(256u << 10)
#define STATISTICS_BYTES (64u << 10)
/* What a packet's options grow by: epb_packetid, and the untimed mark, which
 * is a PEN and four octets. */
#define OPTIONS_GROWTH	(PB_OPTION_BYTES(8) + PB_OPTION_BYTES(8))
/* What the list of an interface's trailers takes. */
#define TRAILERS_BYTES	(PB_OPTION_BYTES(PB_INTERFACE_TEXT_MAX + 8u) + \
			    PB_OPTION_BYTES(1))
#define OPTIONS_BYTES	(PB_OPTIONS_BYTES_MAX + 256u)

_Static_assert(64u + PB_CAPLEN_MAX + PB_OPTIONS_BYTES_MAX +
    STATISTICS_BYTES + WAITING_BYTES + TAIL_BYTES <=
    PB_CHUNK_BYTES - PB_IMPORT_CHUNK_SPARE,
    "the largest packet fits an empty chunk, with all that waits");

struct import_waiting {		/* blocks before the next packet */
	struct pb_buf	 blocks;
	uint64_t	 count;
};

struct import_stream {			/* an interface of the section */
	uint32_t	 id;
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
	struct import_waiting statistics;
};

struct pb_importer {
	struct pb_importer_opts opts;
	struct pb_import_result result;
	/* this section */
	struct pb_buf	 shb;		/* its options */
	struct import_stream *stream;	/* by interface id */
	uint32_t	 streams;
	size_t		 cap;
	size_t		 option_bytes;
	size_t		 chunk_bytes;	/* in chunks being filled */
	struct import_waiting waiting;
	uint32_t	 last;		/* packet's interface, if any had one */
	bool		 any_packet;
	struct pb_buf	 scratch;	/* options of one block */
};

/* importer_streams.c: it gets its name, an epoch and a head.  Errors name the
 * event's offset. */
int	importer_begin_stream(struct pb_importer *importer,
	    struct import_stream *stream, const struct pb_event *event,
	    struct pb_err *err);
/* So many bytes of options more; PB_ELIMIT. */
int	importer_options_held(struct pb_importer *importer, size_t bytes,
	    const struct pb_event *event, struct pb_err *err);
/* What it has goes on; who asked for it hears of its end. */
int	importer_end_stream(struct pb_importer *importer,
	    struct import_stream *stream, struct pb_err *err);
void	importer_drop_section(struct pb_importer *importer);

/* importer_chunks.c */
int	importer_packet_options(struct pb_importer *importer,
	    const struct pb_event *event, uint64_t seq, struct pb_err *err);
int	importer_keep_packet(struct pb_importer *importer,
	    struct import_stream *stream, const struct pb_event *event,
	    struct pb_err *err);
void	importer_put_tail(struct pb_importer *importer,
	    struct pb_chunk *chunk, struct import_waiting *waiting);
/* Of a block of statistics, as the stored interface counts; false: no
 * memory. */
bool	importer_statistics_options(const struct import_stream *stream,
	    struct pb_buf *out, const struct pb_packet *block);
/* The chunk that is being filled, if there is one. */
int	importer_give(struct pb_importer *importer,
	    struct import_stream *stream, struct pb_err *err);

#endif
