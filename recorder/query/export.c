/*
 * recorder/query/export.c - packets of many streams as one pcapng file
 *
 * The interface of a packet is found by the head of its segment: a small
 * table from the hash of a head to an interface, with the head itself to
 * be sure.  Heads that differ only in their section (a node on the way was
 * renamed) share an interface.
 */
#include "recorder/query/export.h"

#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "recorder/query/lines.h"
#include "pcapng/build.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"

#define SLOTS_MIN	64u	/* a power of two */
#define COMMENT_MAX	2048u	/* bytes of one way's node as a comment:
				 * name, two numbers, an escaped text */

struct slot {
	struct pb_head	*head;		/* NULL: free; a reference */
	uint32_t	 interface;
};

struct pb_export {
	struct pb_out	*to;
	struct pb_export_opts opts;
	bool		 begun;		/* the section header is written */
	bool		 mixed;
	uint16_t	 linktype;	/* of the first interface */
	uint32_t	 interfaces;
	struct slot	*slot;		/* open addressing by head->hash */
	size_t		 slots, used;
	struct pb_buf	 options;	/* scratch */
	struct pb_buf	 block;		/* scratch */
	struct pb_buf	 comment;	/* scratch */
};

static int	begin(struct pb_export *, const struct pb_head *,
		    struct pb_err *);
static int	put_block(struct pb_export *, struct pb_err *);
static int	find_interface(struct pb_export *, const struct pb_head *,
		    uint32_t *, struct pb_err *);
static int	add_interface(struct pb_export *, const struct pb_head *,
		    struct pb_err *);
static struct slot *find_slot(struct pb_export *, const struct pb_head *);
static bool	same_interface(const struct pb_head *, const struct pb_head *);
static int	grow_slots(struct pb_export *, struct pb_err *);
static uint64_t	hash_of(const struct pb_head *);
static int	add_comments(struct pb_export *,
		    const struct pb_cursor_packet *, struct pb_packet *,
		    struct pb_err *);
static int	no_memory(struct pb_err *);

int
pb_export_create(struct pb_export **out, struct pb_out *to,
    const struct pb_export_opts *opts, struct pb_err *err)
{
	struct pb_export *export = calloc(1, sizeof(*export));

	*out = NULL;
	if (export == NULL)
		return no_memory(err);
	export->to = to;
	export->opts = *opts;
	pb_buf_init(&export->options, PB_OUT_BYTES);
	pb_buf_init(&export->block, PB_OUT_BYTES);
	pb_buf_init(&export->comment, COMMENT_MAX);
	*out = export;
	return 0;
}

void
pb_export_destroy(struct pb_export *export)
{
	if (export == NULL)
		return;
	for (size_t i = 0; i < export->slots; i++)
		pb_head_unref(export->slot[i].head);
	free(export->slot);
	pb_buf_finish(&export->options);
	pb_buf_finish(&export->block);
	pb_buf_finish(&export->comment);
	free(export);
}

int
pb_export_packet(struct pb_export *export, const struct pb_cursor_packet *cp,
    struct pb_err *err)
{
	struct pb_packet packet = cp->packet;
	uint32_t interface;
	uint8_t *at;
	int rc;

	rc = find_interface(export, cp->head, &interface, err);
	if (rc == 0 && export->opts.comments)
		rc = add_comments(export, cp, &packet, err);
	if (rc < 0)
		return rc;
	at = pb_out_room(export->to, pb_epb_bytes(packet.caplen,
	    packet.options_len));
	if (at == NULL)
		return pb_out_flush(export->to, err);
	pb_out_took(export->to, pb_build_epb(at, interface, &packet));
	return 0;
}

int
pb_export_interface(struct pb_export *export, const struct pb_head *head,
    struct pb_err *err)
{
	uint32_t interface;

	return find_interface(export, head, &interface, err);
}

int
pb_export_end(struct pb_export *export, struct pb_err *err)
{
	int rc;

	if (!export->begun) {
		rc = begin(export, NULL, err);
		if (rc < 0)
			return rc;
	}
	if (export->interfaces > 0)
		return 0;
	pb_buf_clear(&export->block);
	pb_build_idb(&export->block, PB_LINKTYPE_ETHERNET, PB_SNAPLEN, NULL,
	    0);
	export->interfaces++;
	return put_block(export, err);
}

bool
pb_export_mixed(const struct pb_export *export)
{
	return export->mixed;
}

/* The section header; with the options of `head` where it speaks for all. */
static int
begin(struct pb_export *export, const struct pb_head *head,
    struct pb_err *err)
{
	pb_buf_clear(&export->block);
	pb_buf_clear(&export->options);
	if (head != NULL && export->opts.single)
		pb_buf_put(&export->options, head->shb_options.data,
		    head->shb_options.len);
	else
		pb_option_put_text(&export->options, PB_OPT_SHB_USERAPPL,
		    "PacketBroker " PB_VERSION);
	if (export->options.failed)
		return no_memory(err);
	pb_build_shb(&export->block, export->options.data,
	    export->options.len);
	export->begun = true;
	return put_block(export, err);
}

static int
put_block(struct pb_export *export, struct pb_err *err)
{
	if (export->block.failed)
		return no_memory(err);
	if (pb_out_put(export->to, export->block.data,
	    export->block.len) < 0)
		return pb_out_flush(export->to, err);
	return 0;
}

static int
find_interface(struct pb_export *export, const struct pb_head *head,
    uint32_t *interface, struct pb_err *err)
{
	struct slot *slot;
	int rc;

	if (2 * (export->used + 1) > export->slots) {
		rc = grow_slots(export, err);
		if (rc < 0)
			return rc;
	}
	slot = find_slot(export, head);
	if (slot->head == NULL) {
		slot->interface = export->interfaces;
		rc = add_interface(export, head, err);
		if (rc < 0)
			return rc;
		export->used++;
	}
	/* The next packets are of this head: a pointer will do for them. */
	if (slot->head != head) {
		pb_head_unref(slot->head);
		slot->head = pb_head_ref((struct pb_head *)head);
	}
	*interface = slot->interface;
	return 0;
}

static int
add_interface(struct pb_export *export, const struct pb_head *head,
    struct pb_err *err)
{
	int rc;

	if (export->interfaces == PB_EXPORT_INTERFACES_MAX)
		return pb_err_set(err, PB_ELIMIT,
		    "more than %u interfaces in one file; narrow the query "
		    "with --stream, --after or --before",
		    PB_EXPORT_INTERFACES_MAX);
	if (!export->begun) {
		rc = begin(export, head, err);
		if (rc < 0)
			return rc;
	}
	if (export->interfaces == 0)
		export->linktype = head->linktype;
	else if (export->linktype != head->linktype)
		export->mixed = true;
	export->interfaces++;
	pb_buf_clear(&export->block);
	pb_build_idb(&export->block, head->linktype, PB_SNAPLEN,
	    head->idb_options.data, head->idb_options.len);
	return put_block(export, err);
}

/* The slot of a head's interface, or the free one where it belongs. */
static struct slot *
find_slot(struct pb_export *export, const struct pb_head *head)
{
	size_t mask = export->slots - 1, i = hash_of(head) & mask;

	while (export->slot[i].head != NULL &&
	    !same_interface(export->slot[i].head, head))
		i = (i + 1) & mask;
	return &export->slot[i];
}

static bool
same_interface(const struct pb_head *a, const struct pb_head *b)
{
	if (a == b)
		return true;
	return a->identity.epoch == b->identity.epoch &&
	    a->linktype == b->linktype &&
	    a->idb_options.len == b->idb_options.len &&
	    strcmp(a->identity.node[0].name, b->identity.node[0].name) == 0 &&
	    strcmp(a->identity.interface, b->identity.interface) == 0 &&
	    (a->idb_options.len == 0 || memcmp(a->idb_options.data,
	    b->idb_options.data, a->idb_options.len) == 0);
}

/* FNV-1a over names and epoch, part of what same_interface() compares. */
static uint64_t
hash_of(const struct pb_head *head)
{
	uint64_t hash = 0xcbf29ce484222325ull ^ head->identity.epoch;
	const char *p;

	for (p = head->identity.node[0].name; *p != '\0'; p++)
		hash = (hash ^ (uint8_t)*p) * 0x100000001b3ull;
	for (p = head->identity.interface; *p != '\0'; p++)
		hash = (hash ^ (uint8_t)*p) * 0x100000001b3ull;
	return hash ^ hash >> 32;
}

static int
grow_slots(struct pb_export *export, struct pb_err *err)
{
	size_t slots = export->slots > 0 ? 2 * export->slots : SLOTS_MIN;
	struct slot *old = export->slot, *grown;
	size_t old_slots = export->slots;

	grown = calloc(slots, sizeof(*grown));
	if (grown == NULL)
		return no_memory(err);
	export->slot = grown;
	export->slots = slots;
	for (size_t i = 0; i < old_slots; i++)
		if (old[i].head != NULL)
			*find_slot(export, old[i].head) = old[i];
	free(old);
	return 0;
}

/*
 * The packet's way behind its own options: a comment for the origin and
 * one for each node after it.
 */
static int
add_comments(struct pb_export *export, const struct pb_cursor_packet *cp,
    struct pb_packet *packet, struct pb_err *err)
{
	const struct pb_node *node = cp->head->identity.node;
	struct pb_way way;
	int rc;

	rc = pb_way_get(&way, cp, err);
	if (rc < 0)
		return rc;
	pb_buf_clear(&export->options);
	pb_buf_put(&export->options, packet->options, packet->options_len);
	for (int i = 0; i < way.nodes; i++) {
		pb_buf_clear(&export->comment);
		pb_hop_comment(&export->comment, i + 1, &node[i],
		    way.hop[i].seq, way.hop[i].time_ns);
		if (export->comment.failed)
			return no_memory(err);
		pb_option_put(&export->options, PB_OPT_COMMENT,
		    export->comment.data, export->comment.len);
	}
	if (export->options.failed)
		return no_memory(err);
	packet->options = export->options.data;
	packet->options_len = export->options.len;
	return 0;
}

static int
no_memory(struct pb_err *err)
{
	return pb_err_set(err, PB_ENOMEM, "no memory to write a file");
}
