/*
 * recorder/query/export.h - packets of many streams as one pcapng file
 *
 * Little-endian, one section, one interface table: each stream (origin
 * node, interface, epoch) whose description is the same is one interface,
 * written right before its first packet.  That is what every version of
 * Wireshark and libpcap reads; two sections in a file is not.
 *
 * Interface and packet options go out as they are stored.  Where all
 * packets are of one stream, the section's options do as well; otherwise
 * the section says who wrote it and no more.
 */
#ifndef PB_QUERY_EXPORT_H
#define PB_QUERY_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/out.h"
#include "recorder/store/read/cursor.h"

#define PB_EXPORT_INTERFACES_MAX 65536u

struct pb_export;

struct pb_export_opts {
	bool	comments;	/* each packet's way as packet comments */
	bool	single;		/* one stream only */
};

/* `out` is borrowed until destroy. */
int	pb_export_create(struct pb_export **out, struct pb_out *to,
	    const struct pb_export_opts *opts, struct pb_err *err);
void	pb_export_destroy(struct pb_export *export);

/*
 * Append a packet.  PB_ELIMIT past PB_EXPORT_INTERFACES_MAX; errors of the
 * descriptor stay in `to` as well.
 */
int	pb_export_packet(struct pb_export *export,
	    const struct pb_cursor_packet *cp, struct pb_err *err);

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
