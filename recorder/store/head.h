/*
 * recorder/store/head.h - what stands at the start of every segment of a
 * stream: its Section Header and Interface Description Block
 *
 * A head is immutable and counted: producers hand it over with every
 * chunk, and the writer begins a new segment when it changes (a node on
 * the way was renamed, an interface's description changed).
 */
#ifndef PB_STORE_HEAD_H
#define PB_STORE_HEAD_H

#include "base/buf.h"
#include "base/err.h"
#include "pcapng/hop.h"
#include "recorder/store/layout.h"

#define PB_HEAD_BYTES_MAX	(640u << 10)

struct pb_head {
	struct pb_identity identity;	/* first_seq is the segment's */
	uint16_t	linktype;
	struct pb_buf	shb_options;	/* canonical, without ours */
	struct pb_buf	idb_options;	/* canonical, no tsresol/tsoffset */
	uint64_t	hash;		/* of all but first_seq */
	int		refs;		/* atomic */
};

/*
 * Make a head from an identity and option lists; what is ours or does not
 * survive a change of file (our segment option; if_tsresol, if_tsoffset)
 * is left out.  shb_userappl is put first where the list has none.
 */
int	pb_head_create(struct pb_head **out, const struct pb_identity *identity,
	    uint16_t linktype, const uint8_t *shb, size_t shb_len,
	    const uint8_t *idb, size_t idb_len, struct pb_err *err);
struct pb_head *pb_head_ref(struct pb_head *head);
void	pb_head_unref(struct pb_head *head);	/* NULL is fine */

/* The SHB and IDB of a segment that starts at `first_seq`, appended. */
int	pb_head_build(const struct pb_head *head, uint32_t pen,
	    uint64_t first_seq, struct pb_buf *out);

/*
 * Parse the SHB and IDB at the start of a segment (or of a request's
 * body that has been checked): `*bytes` is their length.
 * PB_EFORMAT where they are not there or the identity is missing.
 */
int	pb_head_parse(struct pb_head **out, const uint8_t *data, size_t len,
	    size_t *bytes, struct pb_err *err);

/* The same of a segment's file, where the index says that the head has so
 * many `bytes`. */
int	pb_head_read(struct pb_head **out, int fd, uint32_t bytes,
	    struct pb_err *err);

/* Is it an SHB and an IDB that any reader of pcapng takes, and no more?
 * Parsing alone looks at what it needs. */
bool	pb_head_readable(const uint8_t *data, size_t bytes);

/*
 * What stands behind every head, for who has to order files without an
 * index: the store's age when the segment was begun.  Asked of a file
 * whose head has so many bytes; 0 where it does not say.
 */
int	pb_head_put_begun(struct pb_buf *header, uint64_t now_ns,
	    uint32_t pen, uint64_t age_ms);
uint64_t pb_head_begun(int fd, uint64_t header_bytes);

/* Is it the head of this stream's segment that starts at `first_seq`? */
bool	pb_head_fits(const struct pb_head *head,
	    const struct pb_stream_key *key, uint16_t linktype,
	    uint64_t first_seq);

#endif
