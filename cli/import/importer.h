/*
 * cli/import/importer.h - the events of one capture file, as chunks of streams
 *
 * Each interface of each section that has packets becomes a stream of its
 * own, with a fresh epoch and numbers from 1.  Its packets are copied once,
 * into chunks of the store, which leave when they are full.
 *
 * What comes back later is what was in the file: section and interface
 * options, packet bytes, lengths, times and options.  Three things are
 * ours: epb_packetid is the sequence number; hop records of an earlier
 * journey are left out, because the names of its nodes are not in the
 * file's section; an interface without if_name gets one.  Times are
 * nanoseconds; a packet without a time stamp (Simple Packet Block) has 0
 * and the untimed mark.
 *
 * Statistics, names and unknown blocks stay, before the packet of the same
 * section that follows them, or behind the last one.  Left out, and
 * counted: Custom Blocks (Wireshark takes them for packets), secrets unless
 * asked for, big-endian blocks that nobody can turn round without knowing
 * them, and what no packet or no room was there for.
 *
 * The same code checks a file before anything is stored: without a `take`
 * it stops short of the chunks, where nothing of the file can be refused
 * any more.
 */
#ifndef PB_CLI_IMPORTER_H
#define PB_CLI_IMPORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pcapng/reader.h"
#include "recorder/store/write/store.h"

/* Bytes of interface and section options held for one section. */
#define PB_IMPORT_OPTIONS_BYTES_MAX	(64u << 20)
/* Bytes in chunks that are being filled; past it the fullest leaves. */
#define PB_IMPORT_CHUNKS_BYTES_MAX	(64u << 20)
/* So much smaller than PB_CHUNK_BYTES may a chunk be that is lent to us. */
#define PB_IMPORT_CHUNK_SPARE		(64u << 10)

struct pb_import_left_out {
	uint64_t	custom;
	uint64_t	secrets;
	uint64_t	swapped;	/* big-endian, not known to us */
	uint64_t	stray;		/* no packet, or no room, for them */
};

struct pb_importer_opts {
	const char	*node;		/* names are borrowed */
	const char	*description;	/* of the node; "" for none */
	const char	*interface;	/* forced name, or NULL */
	const char	*file_name;	/* for a classic pcap's interface */
	uint32_t	 pen;
	/* What stands on frames of Ethernet; NULL: what the file says. */
	const struct pb_trailer_list *trailers;
	bool		 secrets;	/* keep Decryption Secrets Blocks */
	/*
	 * An empty chunk, lent until it is given back, filled with the next
	 * packets of a stream; its `stream` is not set.  What was not given
	 * when the importer ends stays the lender's.  NULL: check only.
	 */
	int		(*take)(void *arg, struct pb_chunk **out,
			    struct pb_err *err);
	int		(*give)(void *arg, const struct pb_stream_key *key,
			    struct pb_chunk *chunk, struct pb_err *err);
	/* A stream is complete. */
	int		(*stream)(void *arg, const struct pb_stream_key *key,
			    uint64_t packets, struct pb_err *err);
	void		*arg;
};

struct pb_importer;	/* of one file */

int	pb_importer_create(struct pb_importer **out,
	    const struct pb_importer_opts *opts, struct pb_err *err);
void	pb_importer_destroy(struct pb_importer *importer);

/*
 * The file's events in order.  PB_ELIMIT where the file has more than we
 * can keep (the text names offset and bound), errors of `take`, `give` and
 * `stream`, PB_ENOMEM.
 */
int	pb_importer_event(struct pb_importer *importer,
	    const struct pb_event *event, struct pb_err *err);

/* The file ends: give what is left. */
int	pb_importer_end(struct pb_importer *importer, struct pb_err *err);

struct pb_import_result {
	uint64_t	packets;
	uint64_t	interfaces;	/* described in the file */
	uint64_t	streams;	/* of them with packets */
	struct pb_import_left_out left_out;	/* 0 where only checked */
};
void	pb_importer_result(const struct pb_importer *importer,
	    struct pb_import_result *out);

#endif
