/*
 * cli/import/importer.h - the events of one capture file, as sections of streams
 *
 * Each interface of each section that has packets becomes a stream of its
 * own, with a fresh epoch and numbers from 1.  Its packets leave in bodies
 * of the wire protocol (one section, one interface, whole blocks), each
 * small enough for one chunk of the store.
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
 * The same code checks a file before anything is sent: without a `push`
 * all is built and thrown away, so what passes the check can be sent.
 */
#ifndef PB_CLI_IMPORTER_H
#define PB_CLI_IMPORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pcapng/reader.h"
#include "recorder/store/layout.h"

/* Bytes of interface and section options held for one section. */
#define PB_IMPORT_OPTIONS_BYTES_MAX	(64u << 20)
/* Bytes of bodies that are being filled; past it the largest leaves. */
#define PB_IMPORT_BODIES_BYTES_MAX	(64u << 20)

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
	bool		 secrets;	/* keep Decryption Secrets Blocks */
	/* Takes the bytes of `body` and leaves it empty; NULL: check only. */
	int		(*push)(void *arg, const struct pb_stream_key *key,
			    uint64_t first, uint64_t last,
			    struct pb_buf *body, struct pb_err *err);
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
 * can keep (the text names offset and bound), errors of `push` and
 * `stream`, PB_ENOMEM.
 */
int	pb_importer_event(struct pb_importer *importer,
	    const struct pb_event *event, struct pb_err *err);

/* The file ends: push what is left. */
int	pb_importer_end(struct pb_importer *importer, struct pb_err *err);

struct pb_import_result {
	uint64_t	packets;
	uint64_t	interfaces;	/* described in the file */
	uint64_t	streams;	/* of them with packets */
	struct pb_import_left_out left_out;
};
void	pb_importer_result(const struct pb_importer *importer,
	    struct pb_import_result *out);

#endif
