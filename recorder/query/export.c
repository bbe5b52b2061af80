/*
 * recorder/query/export.c - packets of many streams as one file
 *
 * The interface of a packet is found by the head of its segment.  Heads that
 * differ only in their section (a node on the way was renamed) share one.
 */
#include "recorder/query/export.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/sys.h"
#include "recorder/filter/linktype.h"
#include "recorder/query/way.h"
#include "pcapng/build.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"

#define COMMENT_MAX	2048u	/* bytes of one way's node as a comment:
				 * name, two numbers, an escaped text */
/* pcap, little-endian: magic for nanoseconds, version 2.4. */
#define PCAP_MAGIC_NS	0xA1B23C4Du
#define PCAP_HEAD	24u
#define PCAP_RECORD	16u

struct interface {
	struct pb_head	*head;		/* a reference */
	uint32_t	 id;
};

struct pb_export {
	struct pb_out	*to;
	struct pb_export_opts opts;
	bool		 begun;		/* the section header is written */
	bool		 mixed;
	struct pb_head	*first;		/* the first interface's; a reference */
	uint32_t	 interfaces;
	bool		 packets;	/* there are some */
	void		*tree;		/* of interfaces: tsearch(3) */
	const struct interface *last;	/* that was asked for */
	struct pb_buf	 options;	/* scratch */
	struct pb_buf	 block;		/* scratch */
	struct pb_buf	 comment;	/* scratch */
	struct pb_stamper stamper;	/* of comments */
};

static bool	fits(const struct pb_export *, size_t);
static size_t	record_bytes(const struct pb_export *,
		    const struct pb_packet *);
static int	put_record(struct pb_export *, uint32_t,
		    const struct pb_cursor_packet *,
		    const struct pb_packet *, struct pb_err *);
static int	put_pcap(uint8_t *, const struct pb_cursor_packet *,
		    struct pb_err *);
static int	put_records(struct pb_export *, const struct pb_run *,
		    struct pb_err *);
static void	put_interface_id(const struct pb_run *, uint32_t);
static int	begin(struct pb_export *, const struct pb_head *,
		    struct pb_err *);
static int	begin_pcap(struct pb_export *, const struct pb_head *);
static int	put_block(struct pb_export *, struct pb_err *);
/* interfaces */
static int	find_interface(struct pb_export *, const struct pb_head *,
		    size_t, uint32_t *, struct pb_err *);
static int	describe(struct pb_export *, const struct pb_head *,
		    struct pb_err *);
static int	add_interface(struct pb_export *, const struct pb_head *,
		    struct pb_err *);
static int	other_type(const struct pb_export *, const struct pb_head *,
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
	pb_head_unref(export->first);
	pb_buf_finish(&export->options);
	pb_buf_finish(&export->block);
	pb_buf_finish(&export->comment);
	pb_stamper_finish(&export->stamper);
	free(export);
}

int
pb_export_packet(struct pb_export *export, const struct pb_cursor_packet *cp,
    struct pb_err *err)
{
	struct pb_packet packet = cp->packet;
	uint32_t interface;
	int rc = 0;

	if (export->opts.comments)
		rc = add_comments(export, cp, &packet, err);
	if (rc == 0)
		rc = find_interface(export, cp->head,
		    record_bytes(export, &packet), &interface, err);
	if (rc == 0)
		rc = put_record(export, interface, cp, &packet, err);
	if (rc == 0)
		export->packets = true;
	return rc;
}

int
pb_export_run(struct pb_export *export, const struct pb_run *run,
    struct pb_err *err)
{
	uint32_t interface;
	int rc;

	/* What always fits is a file's first packet, not its first run. */
	if (export->opts.comments ||
	    (export->opts.bytes_max != 0 && !export->packets))
		return 1;
	rc = find_interface(export, run->head, run->len, &interface, err);
	if (rc != 0)
		return rc;
	export->packets = true;
	if (export->opts.pcap)
		return put_records(export, run, err);
	put_interface_id(run, interface);
	if (pb_out_put(export->to, run->blocks, run->len) < 0)
		return pb_out_flush(export->to, err);
	return 0;
}

int
pb_export_interface(struct pb_export *export, const struct pb_head *head,
    struct pb_err *err)
{
	uint32_t interface;

	return find_interface(export, head, 0, &interface, err);
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
	if (export->interfaces > 0 || export->opts.pcap)
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

/* May the file grow by so much?  Its first packet always fits. */
static bool
fits(const struct pb_export *export, size_t bytes)
{
	return export->opts.bytes_max == 0 || !export->packets ||
	    export->to->bytes + bytes <= export->opts.bytes_max;
}

static size_t
record_bytes(const struct pb_export *export, const struct pb_packet *packet)
{
	return export->opts.pcap ? PCAP_RECORD + packet->caplen :
	    pb_epb_bytes(packet->caplen, packet->options_len);
}

static int
put_record(struct pb_export *export, uint32_t interface,
    const struct pb_cursor_packet *cp, const struct pb_packet *packet,
    struct pb_err *err)
{
	size_t bytes = record_bytes(export, packet);
	uint8_t *at = pb_out_room(export->to, bytes);

	if (at == NULL)
		return pb_out_flush(export->to, err);
	if (!export->opts.pcap)
		pb_build_epb(at, interface, packet);
	else if (put_pcap(at, cp, err) < 0)
		return PB_EINVAL;
	pb_out_took(export->to, bytes);
	return 0;
}

static int
put_pcap(uint8_t *at, const struct pb_cursor_packet *cp, struct pb_err *err)
{
	const struct pb_packet *packet = &cp->packet;
	uint64_t seconds = packet->time_ns / PB_NS_PER_S;

	if (seconds > UINT32_MAX)
		return pb_err_set(err, PB_EINVAL, "stream %s/%s: the time of "
		    "packet %llu is past 2106, where pcap ends; write "
		    "--format pcapng", cp->head->identity.node[0].name,
		    cp->head->identity.interface,
		    (unsigned long long)cp->seq);
	pb_put_le32(at, (uint32_t)seconds);
	pb_put_le32(at + 4, (uint32_t)(packet->time_ns % PB_NS_PER_S));
	pb_put_le32(at + 8, packet->caplen);
	pb_put_le32(at + 12, packet->origlen);
	if (packet->caplen > 0)
		memcpy(at + PCAP_RECORD, packet->data, packet->caplen);
	return 0;
}

/* No record is larger than the block that it comes from. */
static int
put_records(struct pb_export *export, const struct pb_run *run,
    struct pb_err *err)
{
	struct pb_cursor_packet cp;
	size_t at = 0;
	int rc;

	while ((rc = pb_run_packet(run, &at, &cp, err)) > 0) {
		rc = put_record(export, 0, &cp, &cp.packet, err);
		if (rc < 0)
			break;
	}
	return rc;
}

static void
put_interface_id(const struct pb_run *run, uint32_t interface)
{
	uint8_t *at = run->blocks, *end = at + run->len;

	for (; at < end; at += pb_get_le32(at + 4))
		if (pb_get_le32(at + 8) != interface)
			pb_put_le32(at + 8, interface);
}

/* The section header; with the options of `head` where it speaks for all. */
static int
begin(struct pb_export *export, const struct pb_head *head,
    struct pb_err *err)
{
	struct pb_buf options;

	export->begun = true;
	pb_buf_clear(&export->block);
	if (export->opts.pcap) {
		begin_pcap(export, head);
		return put_block(export, err);
	}
	pb_buf_init(&options, PB_OUT_BYTES);
	if (head != NULL && export->opts.single)
		pb_buf_put(&options, head->shb_options.data,
		    head->shb_options.len);
	else
		pb_option_put_text(&options, PB_OPT_SHB_USERAPPL,
		    "PacketBroker " PB_VERSION);
	export->block.failed = export->block.failed || options.failed;
	pb_build_shb(&export->block, options.data, options.len);
	pb_buf_finish(&options);
	return put_block(export, err);
}

static int
begin_pcap(struct pb_export *export, const struct pb_head *head)
{
	uint8_t file[PCAP_HEAD] = { 0 };

	pb_put_le32(file, PCAP_MAGIC_NS);
	pb_put_le16(file + 4, 2);
	pb_put_le16(file + 6, 4);
	pb_put_le32(file + 16, PB_SNAPLEN);
	pb_put_le32(file + 20, head != NULL ? head->linktype :
	    PB_LINKTYPE_ETHERNET);
	return pb_buf_put(&export->block, file, sizeof(file));
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

/* The interface of `bytes` that are of this head: 0; or 1, and nothing was
 * written, where they do not fit. */
static int
find_interface(struct pb_export *export, const struct pb_head *head,
    size_t bytes, uint32_t *interface, struct pb_err *err)
{
	struct interface wanted = { .head = (struct pb_head *)head };
	struct interface **found, *new;
	int rc;

	if (export->last != NULL && export->last->head == head) {
		*interface = export->last->id;
		return !fits(export, bytes);
	}
	found = tfind(&wanted, &export->tree, order);
	if (found == NULL) {
		rc = describe(export, head, err);
		if (rc < 0)
			return rc;
		bytes += export->block.len;
	}
	if (!fits(export, bytes))
		return 1;
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
	export->last = *found;
	*interface = (*found)->id;
	return 0;
}

/* Its block, in `block`: nothing in a pcap file. */
static int
describe(struct pb_export *export, const struct pb_head *head,
    struct pb_err *err)
{
	if (export->interfaces == PB_EXPORT_INTERFACES_MAX &&
	    !export->opts.pcap)
		return pb_err_set(err, PB_ELIMIT,
		    "more than %u interfaces in one file; narrow the query "
		    "with --stream, --after or --before",
		    PB_EXPORT_INTERFACES_MAX);
	if (export->first != NULL && export->opts.pcap &&
	    export->first->linktype != head->linktype)
		return other_type(export, head, err);
	pb_buf_clear(&export->block);
	if (!export->opts.pcap)
		pb_build_idb(&export->block, head->linktype, PB_SNAPLEN,
		    head->idb_options.data, head->idb_options.len);
	return export->block.failed ? no_memory(err) : 0;
}

/* Behind describe(). */
static int
add_interface(struct pb_export *export, const struct pb_head *head,
    struct pb_err *err)
{
	int rc;

	if (!export->begun) {
		rc = begin(export, head, err);
		if (rc == 0)
			rc = describe(export, head, err);
		if (rc < 0)
			return rc;
	}
	if (export->first == NULL)
		export->first = pb_head_ref((struct pb_head *)head);
	else if (export->first->linktype != head->linktype)
		export->mixed = true;
	export->interfaces++;
	return put_block(export, err);
}

static int
other_type(const struct pb_export *export, const struct pb_head *head,
    struct pb_err *err)
{
	const struct pb_head *first = export->first;

	return pb_err_set(err, PB_EINVAL, "a pcap file has one link type; "
	    "%s/%s is %s (%u), %s/%s is %s (%u): narrow the query with "
	    "--stream, or write --format pcapng",
	    first->identity.node[0].name, first->identity.interface,
	    pb_linktype_name(first->linktype), first->linktype,
	    head->identity.node[0].name, head->identity.interface,
	    pb_linktype_name(head->linktype), head->linktype);
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
 * The packet's way behind its own options: a comment for what each switch
 * stamped, for the origin, and for each node after it.
 */
static int
add_comments(struct pb_export *export, const struct pb_cursor_packet *cp,
    struct pb_packet *packet, struct pb_err *err)
{
	struct pb_way way;
	int rc = pb_way_get(&way, &export->stamper, cp, err);

	if (rc < 0)
		return rc;
	pb_buf_clear(&export->options);
	pb_buf_put(&export->options, packet->options, packet->options_len);
	for (unsigned n = 0;; n++) {
		pb_buf_clear(&export->comment);
		if (!pb_way_comment(&way, cp, n, &export->comment))
			break;
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
