/*
 * recorder/query/export.c - packets of many streams as one pcapng file
 *
 * The interface of a packet is found by the head of its segment.  Heads that
 * differ only in their section (a node on the way was renamed) share one.
 */
#include "recorder/query/export.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "recorder/query/lines.h"
#include "pcapng/build.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"

#define COMMENT_MAX	2048u	/* bytes of one way's node as a comment:
				 * name, two numbers, an escaped text */

struct interface {
	struct pb_head	*head;		/* a reference */
	uint32_t	 id;
};

struct pb_export {
	struct pb_out	*to;
	struct pb_export_opts opts;
	bool		 begun;		/* the section header is written */
	bool		 mixed;
	uint16_t	 linktype;	/* of the first interface */
	uint32_t	 interfaces;
	void		*tree;		/* of interfaces: tsearch(3) */
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
static int	order(const void *, const void *);
static void	free_interface(void *);
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
	tdestroy(export->tree, free_interface);
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
	struct interface wanted = { .head = (struct pb_head *)head };
	struct interface **found = tfind(&wanted, &export->tree, order), *new;
	int rc;

	if (found == NULL) {
		new = malloc(sizeof(*new));
		if (new == NULL)
			return no_memory(err);
		*new = (struct interface){ pb_head_ref(wanted.head),
		    export->interfaces };
		rc = add_interface(export, head, err);
		found = rc < 0 ? NULL : tsearch(new, &export->tree, order);
		if (found == NULL) {
			free_interface(new);
			return rc < 0 ? rc : no_memory(err);
		}
	}
	/* The next packets are of this head: a pointer will do for them. */
	if ((*found)->head != head) {
		pb_head_unref((*found)->head);
		(*found)->head = pb_head_ref(wanted.head);
	}
	*interface = (*found)->id;
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

/* Streams mostly differ in their epoch. */
static int
order(const void *a, const void *b)
{
	const struct pb_head *x = ((const struct interface *)a)->head;
	const struct pb_head *y = ((const struct interface *)b)->head;
	int by;

	if (x == y)
		return 0;
	if (x->identity.epoch != y->identity.epoch)
		return x->identity.epoch < y->identity.epoch ? -1 : 1;
	if (x->linktype != y->linktype)
		return x->linktype < y->linktype ? -1 : 1;
	if (x->idb_options.len != y->idb_options.len)
		return x->idb_options.len < y->idb_options.len ? -1 : 1;
	by = strcmp(x->identity.node[0].name, y->identity.node[0].name);
	if (by == 0)
		by = strcmp(x->identity.interface, y->identity.interface);
	if (by == 0 && x->idb_options.len > 0)
		by = memcmp(x->idb_options.data, y->idb_options.data,
		    x->idb_options.len);
	return by;
}

static void
free_interface(void *arg)
{
	struct interface *interface = arg;

	pb_head_unref(interface->head);
	free(interface);
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
