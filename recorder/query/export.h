/*
 * recorder/query/export.h - packets of many streams as one file: pcapng, or
 * pcap
 *
 * Little-endian, one section, one interface table: each stream (origin
 * node, interface, epoch) whose description is the same is one interface,
 * written right before its first packet.  That is what every version of
 * Wireshark and libpcap reads; two sections in a file is not.
 *
 * Interface and packet options go out as they are stored.  Where all
 * packets are of one stream, the section's options do as well; otherwise
 * the section says who wrote it and no more.
 *
 * pcap (draft-ietf-opsawg-pcap-06) is for programs that read no other: times
 * in nanoseconds, one link type, and nothing else that we know of a packet.
 */
#ifndef PB_QUERY_EXPORT_H
#define PB_QUERY_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/out.h"
#include "recorder/query/batch.h"

#define PB_EXPORT_INTERFACES_MAX 65536u

struct pb_export;

struct pb_export_opts {
	bool	comments;	/* each packet's way as packet comments */
	bool	single;		/* one stream only */
	bool	pcap;		/* not pcapng */
	uint64_t bytes_max;	/* of the file; 0: no bound */
};

/* `out` is borrowed until destroy. */
int	pb_export_create(struct pb_export **out, struct pb_out *to,
	    const struct pb_export_opts *opts, struct pb_err *err);
void	pb_export_destroy(struct pb_export *export);

/*
 * Append a packet: 0; or 1, and nothing is written, where the file would
 * grow past `bytes_max` (the first one fits).  PB_ELIMIT past
 * PB_EXPORT_INTERFACES_MAX; PB_EINVAL where pcap cannot hold it; errors of
 * the descriptor stay in `to` as well.
 */
int	pb_export_packet(struct pb_export *export,
	    const struct pb_cursor_packet *cp, struct pb_err *err);

/* Append all of a run, whose blocks are changed; as for a packet, and 1 as
 * well where it has to be taken packet by packet. */
int	pb_export_run(struct pb_export *export, const struct pb_run *run,
	    struct pb_err *err);

/* Append an interface without packets, so that readers know its type. */
int	pb_export_interface(struct pb_export *export,
	    const struct pb_head *head, struct pb_err *err);

/*
 * Nothing more comes.  A file without an interface gets an Ethernet one:
 * tcpdump refuses a file that has none.
 */
int	pb_export_end(struct pb_export *export, struct pb_err *err);

/* Interfaces of more than one link type: tcpdump cannot read the file. */
bool	pb_export_mixed(const struct pb_export *export);

#endif
