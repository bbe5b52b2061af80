/*
 * recorder/query/trailing.c - frames with trailers on them, after the fact
 *
 * What is known of an interface is kept by what its head says: segments come
 * and go, and most of a stream's have the same.
 */
#include "recorder/query/trailing.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "pcapng/option.h"
#include "recorder/query/seen/stamps.h"

#define FCS_BYTES	4u
/* draft-ietf-opsawg-pcapng, 4.3.1: of epb_flags, the octets of FCS that a
 * frame has, and that the card found it wrong. */
#define FLAGS_FCS_LEN	(0xFu << 5)
#define FLAGS_WRONG_FCS	(1u << 24)
#define OWN_WORDS	sizeof(" trailers= fcs=yes")
#define OPTIONS_MAX	(PB_OPTIONS_BYTES_MAX + 1024u)

enum shape {			/* how frames of an interface are */
	CAPTURED,
	BARE,			/* as they were, without FCS, */
	WITH_FCS,		/* and with it */
	SHAPES,
};

struct interface {
	struct pb_head	*from;		/* references, all of them; of any
					 * segment, */
	struct pb_head	*to[SHAPES];	/* and its frames'; NULL: not made */
	bool		 listed;	/* there is a list, or an FCS */
	struct pb_trailer_list list;
	struct pb_trailer_context context;
};

struct pb_trailing {
	struct pb_trailing_opts opts;
	struct pb_trailer_list list;	/* where one is given */
	struct pb_trailing_counts counts;
	void		*tree;		/* of interfaces: tsearch(3) */
	struct interface *last;		/* that was asked for, or NULL, */
	struct pb_head	*head;		/* by this one; a reference */
	struct pb_buf	 options;	/* of the packet, and of a head */
	uint8_t		*frame;		/* as it was: PB_CAPLEN_MAX */
};

/* What becomes of a packet. */
struct change {
	enum shape	 shape;
	bool		 wrong_fcs;
	bool		 restamped;	/* its stamps are now: */
	struct pb_stamped stamped;
};

static enum pb_fcs check_fcs(struct pb_trailing *,
		    const struct pb_trailers *, const uint8_t *);
static void	count_unread(struct pb_trailing *,
		    const struct pb_cursor_packet *);
static bool	restamp(const struct pb_trailing *,
		    const struct interface *, const struct pb_packet *,
		    const struct pb_trailers *, struct change *);
static int	change_packet(struct pb_trailing *, struct interface *,
		    const struct pb_trailers *, const struct change *,
		    struct pb_cursor_packet *, struct pb_err *);
static bool	put_options(struct pb_trailing *, const struct change *,
		    struct pb_packet *);
static void	put_stamps(struct pb_trailing *, const struct pb_stamped *);
/* interfaces */
static struct interface *find_interface(struct pb_trailing *,
		    const struct pb_head *);
static struct interface *add_interface(struct pb_trailing *,
		    const struct pb_head *);
static struct pb_head *head_of(struct pb_trailing *, struct interface *,
		    enum shape);
static int	put_text(struct pb_buf *, const uint8_t *, size_t,
		    const struct pb_trailer_list *, uint32_t);
static bool	interface_keeps(const struct pb_option *);
static int	order(const void *, const void *);
static void	free_interface(void *);
static int	no_memory(struct pb_err *);

int
pb_trailing_create(struct pb_trailing **out,
    const struct pb_trailing_opts *opts, struct pb_err *err)
{
	struct pb_trailing *trailing = calloc(1, sizeof(*trailing));

	*out = trailing;
	if (trailing == NULL)
		return no_memory(err);
	trailing->opts = *opts;
	if (opts->list != NULL) {
		trailing->list = *opts->list;
		trailing->opts.list = &trailing->list;
	}
	pb_buf_init(&trailing->options, OPTIONS_MAX);
	trailing->frame = malloc(PB_CAPLEN_MAX);
	if (trailing->frame != NULL)
		return 0;
	pb_trailing_destroy(trailing);
	*out = NULL;
	return no_memory(err);
}

void
pb_trailing_destroy(struct pb_trailing *trailing)
{
	if (trailing == NULL)
		return;
	tdestroy(trailing->tree, free_interface);
	pb_head_unref(trailing->head);
	pb_buf_finish(&trailing->options);
	free(trailing->frame);
	free(trailing);
}

int
pb_trailing_packet(struct pb_trailing *trailing, struct pb_cursor_packet *cp,
    enum pb_fcs *fcs, struct pb_err *err)
{
	const struct pb_packet *packet = &cp->packet;
	struct interface *interface = find_interface(trailing, cp->head);
	struct change change = { .shape = CAPTURED };
	struct pb_trailers read;

	*fcs = PB_FCS_UNKNOWN;
	if (interface == NULL)
		return no_memory(err);
	trailing->counts.packets++;
	if (!interface->listed) {
		trailing->counts.unlisted++;
		return 0;
	}
	pb_trailers_read(&interface->list, &interface->context, packet->data,
	    packet->caplen, packet->origlen, pb_stamps_captured(packet),
	    &read);
	if (!read.whole)
		count_unread(trailing, cp);
	else if (trailing->opts.check_fcs)
		*fcs = check_fcs(trailing, &read, packet->data);
	change.wrong_fcs = *fcs == PB_FCS_WRONG;
	if (trailing->opts.strip && read.whole)
		change.shape = trailing->opts.with_fcs && read.has_fcs ?
		    WITH_FCS : BARE;
	change.restamped = restamp(trailing, interface, packet, &read,
	    &change);
	return change_packet(trailing, interface, &read, &change, cp, err);
}

const struct pb_head *
pb_trailing_head(struct pb_trailing *trailing, const struct pb_head *head,
    struct pb_err *err)
{
	struct interface *interface = find_interface(trailing, head);

	if (interface != NULL && interface->listed)
		head = head_of(trailing, interface, !trailing->opts.strip ?
		    CAPTURED : trailing->opts.with_fcs ? WITH_FCS : BARE);
	if (interface == NULL || head == NULL)
		no_memory(err);
	return interface == NULL ? NULL : head;
}

const struct pb_trailing_counts *
pb_trailing_counts(const struct pb_trailing *trailing)
{
	return &trailing->counts;
}

bool
pb_trailing_list(const uint8_t *options, size_t len,
    struct pb_trailer_list *out)
{
	char text[PB_INTERFACE_TEXT_MAX] = "", word[PB_INTERFACE_TEXT_MAX];
	struct pb_option fcslen;
	bool listed;

	/* A text that is malformed says nothing. */
	(void)pb_interface_text_get(options, len, text);
	listed = pb_stamps_list(text, out) != 0;
	pb_interface_word(text, "fcs", word);
	if (word[0] == '\0' && pb_option_find(options, len,
	    PB_OPT_IF_FCSLEN, &fcslen) && fcslen.len == 1 &&
	    fcslen.value[0] == FCS_BYTES)
		listed = out->fcs = true;
	return listed;
}

int
pb_trailing_options(struct pb_buf *out, const uint8_t *options, size_t len,
    const struct pb_trailer_list *list, uint32_t pen)
{
	int rc = pb_option_copy(out, options, len, interface_keeps);

	if (rc == 0 && list->fcs)
		rc = pb_option_put_u8(out, PB_OPT_IF_FCSLEN, FCS_BYTES);
	return rc < 0 ? rc : put_text(out, options, len, list, pen);
}

/* --- a packet ------------------------------------------------------------ */

static enum pb_fcs
check_fcs(struct pb_trailing *trailing, const struct pb_trailers *read,
    const uint8_t *frame)
{
	int right = pb_trailers_check_fcs(read, frame);

	if (right < 0)
		return PB_FCS_UNKNOWN;
	if (right > 0)
		trailing->counts.fcs_right++;
	else
		trailing->counts.fcs_wrong++;
	return right > 0 ? PB_FCS_RIGHT : PB_FCS_WRONG;
}

static void
count_unread(struct pb_trailing *trailing, const struct pb_cursor_packet *cp)
{
	const struct pb_identity *who = &cp->head->identity;
	struct pb_trailing_counts *counts = &trailing->counts;
	struct pb_stream_key key = { .epoch = who->epoch };

	if (counts->unread++ > 0)
		return;
	strcpy(key.node, who->node[0].name);
	strcpy(key.interface, who->interface);
	pb_stream_name(counts->first, &key);
	counts->first_seq = cp->seq;
}

/*
 * Do other stamps stand beside the packet from now on?  What the frame will
 * tell need not; what it told, and what was read of frames before, has to.
 * Those that stand there were read with what was before, and are kept, unless
 * by another list.
 */
static bool
restamp(const struct pb_trailing *trailing, const struct interface *interface,
    const struct pb_packet *packet, const struct pb_trailers *read,
    struct change *change)
{
	bool given = trailing->opts.list != NULL;
	bool tells = change->shape == CAPTURED &&
	    !(given && interface->list.needs_context);
	struct pb_stamped *stamped = &change->stamped;
	int has = pb_stamped_get(packet->options, packet->options_len,
	    stamped);

	if (has == 1 && stamped->count > 0 && !given)
		return false;
	if (has != 1)
		*stamped = (struct pb_stamped){ .capture_ns =
		    packet->time_ns };
	stamped->count = (uint8_t)read->count;
	memcpy(stamped->at, read->at, read->count * sizeof(read->at[0]));
	/* Another list has it in another place, or not at all. */
	if (stamped->from > (given ? 0 : stamped->count))
		stamped->from = (uint8_t)pb_stamps_of_time(stamped,
		    packet->time_ns);
	if (tells)
		stamped->count = 0;
	return has == 1 || stamped->count > 0;
}

static int
change_packet(struct pb_trailing *trailing, struct interface *interface,
    const struct pb_trailers *read, const struct change *change,
    struct pb_cursor_packet *cp, struct pb_err *err)
{
	struct pb_packet *packet = &cp->packet;
	struct pb_head *head = head_of(trailing, interface, change->shape);
	uint32_t cut = packet->caplen < packet->origlen ?
	    packet->origlen - packet->caplen : 0;

	if (head == NULL || ((change->shape != CAPTURED || change->wrong_fcs ||
	    change->restamped) && !put_options(trailing, change, packet)))
		return no_memory(err);
	/* Without a list that is given it is the segment's own. */
	if (change->shape != CAPTURED || trailing->opts.list != NULL)
		cp->head = head;
	if (change->shape == CAPTURED)
		return 0;
	packet->caplen = pb_trailers_strip(read, packet->data,
	    change->shape == WITH_FCS, trailing->frame);
	packet->origlen = packet->caplen + cut;
	packet->data = trailing->frame;
	return 0;
}

/* Those that were true of the frame alone are left out. */
static bool
put_options(struct pb_trailing *trailing, const struct change *change,
    struct pb_packet *packet)
{
	struct pb_buf *out = &trailing->options;
	bool bare = change->shape != CAPTURED;
	struct pb_option option;
	uint32_t flags = 0;

	pb_buf_clear(out);
	PB_OPTION_EACH(option, packet->options, packet->options_len) {
		if (option.code == PB_OPT_EPB_FLAGS && option.len == 4)
			flags = pb_get_le32(option.value);
		else if ((option.code != PB_OPT_EPB_HASH || !bare) &&
		    !(change->restamped &&
		    pb_own_option(&option, PB_OWN_STAMPS)))
			pb_option_put(out, option.code, option.value,
			    option.len);
	}
	if (bare)
		flags &= ~FLAGS_FCS_LEN;
	if (change->wrong_fcs)
		flags |= FLAGS_WRONG_FCS;
	pb_put_le32((uint8_t *)&flags, flags);
	if (flags != 0)
		pb_option_put(out, PB_OPT_EPB_FLAGS, &flags, sizeof(flags));
	if (change->restamped)
		put_stamps(trailing, &change->stamped);
	packet->options = out->data;
	packet->options_len = out->len;
	return !out->failed;
}

/* Nothing where the packet's time is the capture's, and the frame tells. */
static void
put_stamps(struct pb_trailing *trailing, const struct pb_stamped *stamped)
{
	struct pb_buf *out = &trailing->options;
	uint8_t *at;

	if (stamped->from == 0 && stamped->count == 0)
		return;
	at = pb_buf_reserve(out, pb_stamped_bytes(stamped->count));
	if (at != NULL)
		out->len += pb_stamped_write(at, trailing->opts.pen,
		    stamped);
}

/* --- interfaces ---------------------------------------------------------- */

static struct interface *
find_interface(struct pb_trailing *trailing, const struct pb_head *head)
{
	struct interface wanted = { .from = (struct pb_head *)head };
	struct interface **found;

	if (trailing->head == head)
		return trailing->last;
	found = tfind(&wanted, &trailing->tree, order);
	trailing->last = found != NULL ? *found :
	    add_interface(trailing, head);
	pb_head_unref(trailing->head);
	trailing->head = trailing->last == NULL ? NULL :
	    pb_head_ref(wanted.from);
	return trailing->last;
}

static struct interface *
add_interface(struct pb_trailing *trailing, const struct pb_head *head)
{
	struct interface *new = calloc(1, sizeof(*new));
	int tai_utc;

	if (new == NULL)
		return NULL;
	new->from = pb_head_ref((struct pb_head *)head);
	new->listed = pb_trailing_list(head->idb_options.data,
	    head->idb_options.len, &new->list);
	if (trailing->opts.list != NULL) {
		tai_utc = new->list.tai_utc;
		new->list = *trailing->opts.list;
		new->list.tai_utc = tai_utc;
		new->listed = true;
	}
	/* They are of Ethernet alone. */
	new->listed = new->listed && head->linktype == PB_LINKTYPE_ETHERNET;
	if (tsearch(new, &trailing->tree, order) != NULL)
		return new;
	free_interface(new);
	return NULL;
}

/* Borrowed; NULL: no memory. */
static struct pb_head *
head_of(struct pb_trailing *trailing, struct interface *interface,
    enum shape shape)
{
	struct pb_head *from = interface->from, **to = &interface->to[shape];
	struct pb_trailer_list list = { .fcs = shape == WITH_FCS };

	if (shape == CAPTURED && trailing->opts.list == NULL)
		return from;
	if (shape == CAPTURED)
		list = interface->list;
	pb_buf_clear(&trailing->options);
	if (*to == NULL && pb_trailing_options(&trailing->options,
	    from->idb_options.data, from->idb_options.len, &list,
	    trailing->opts.pen) == 0)
		(void)pb_head_create(to, &from->identity, from->linktype,
		    from->shb_options.data, from->shb_options.len,
		    trailing->options.data, trailing->options.len, NULL);
	return *to;
}

/* What the text says of other things stays, as long as there is room. */
static int
put_text(struct pb_buf *out, const uint8_t *options, size_t len,
    const struct pb_trailer_list *list, uint32_t pen)
{
	char was[PB_INTERFACE_TEXT_MAX] = "", text[PB_INTERFACE_TEXT_MAX] = "";
	char trailers[PB_TRAILER_TEXT_MAX], *rest = was, *word;
	size_t used = 0;

	(void)pb_interface_text_get(options, len, was);
	pb_trailer_list_text(list, trailers);
	if (strlen(was) + strlen(trailers) + OWN_WORDS >= sizeof(was))
		was[0] = '\0';
	while ((word = strsep(&rest, " ")) != NULL)
		if (word[0] != '\0' && strncmp(word, "trailers=", 9) != 0 &&
		    strncmp(word, "fcs=", 4) != 0)
			used += (size_t)sprintf(text + used, "%s ", word);
	if (list->count > 0)
		used += (size_t)sprintf(text + used, "trailers=%s ",
		    trailers);
	sprintf(text + used, "fcs=%s", list->fcs ? "yes" : "no");
	return pb_interface_text_put(out, pen, text);
}

static bool
interface_keeps(const struct pb_option *option)
{
	return option->code != PB_OPT_IF_FCSLEN &&
	    !pb_own_option(option, PB_OWN_INTERFACE);
}

/* What differs in nothing but its first number is the same. */
static int
order(const void *a, const void *b)
{
	const struct pb_head *x = ((const struct interface *)a)->from;
	const struct pb_head *y = ((const struct interface *)b)->from;

	if (x->identity.epoch != y->identity.epoch)
		return x->identity.epoch < y->identity.epoch ? -1 : 1;
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static void
free_interface(void *arg)
{
	struct interface *interface = arg;

	pb_head_unref(interface->from);
	for (unsigned i = 0; i < SHAPES; i++)
		pb_head_unref(interface->to[i]);
	free(interface);
}

static int
no_memory(struct pb_err *err)
{
	return pb_err_set(err, PB_ENOMEM, "no memory to read trailers");
}
