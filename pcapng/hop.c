/*
 * pcapng/hop.c - PacketBroker's own options: who, where, when
 *
 * Reason: the layout is octets in a fixed order of their own, because
 * programs that rewrite a file into the other byte order leave custom data
 * as it is.  Limit: PB_HOPS_MAX nodes on a way.
 */
#include "pcapng/hop.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "pcapng/option.h"
#include "pcapng/own.h"

#define IDENTITY_FIXED	17u		/* epoch, first number, count */
#define IDENTITY_MAX	(OWN_HEAD + IDENTITY_FIXED + 1 +		\
			    PB_IFNAME_BYTES_MAX + PB_HOPS_MAX *		\
			    (2 + PB_NAME_BYTES_MAX + PB_TEXT_BYTES_MAX))

struct cursor {				/* over a hostile value */
	const uint8_t	*at;
	size_t		 left;
};

static uint8_t *put_octets(uint8_t *, const char *, size_t);
static const uint8_t *take(struct cursor *, size_t);
static bool	take_text(struct cursor *, size_t, char *, size_t);
static const char *identity_take(struct cursor *, struct pb_identity *);
static const char *nodes_take(struct cursor *, struct pb_identity *);
static bool	hops_option(const struct pb_option *);

bool
pb_own_option(const struct pb_option *option, enum pb_own_kind kind)
{
	return option->code == PB_OPT_CUSTOM_BINARY &&
	    own_is(option->value, option->len, kind);
}

bool
pb_own_find(const uint8_t *options, size_t len, enum pb_own_kind kind,
    struct pb_option *out)
{
	PB_OPTION_EACH(*out, options, len)
		if (pb_own_option(out, kind))
			return true;
	return false;
}

/* --- the segment option -------------------------------------------------- */

int
pb_identity_put(struct pb_buf *options, uint32_t pen,
    const struct pb_identity *identity)
{
	uint8_t value[IDENTITY_MAX], *at = value;

	if (identity->nodes < 1 || identity->nodes > PB_HOPS_MAX)
		return PB_EINVAL;
	own_head_put(at, pen, PB_OWN_SEGMENT);
	at += OWN_HEAD;
	pb_put_le64(at, identity->epoch);
	pb_put_le64(at + 8, identity->first_seq);
	at[16] = (uint8_t)identity->nodes;
	at += IDENTITY_FIXED;
	for (int i = 0; i < identity->nodes; i++) {
		const struct pb_node *node = &identity->node[i];
		size_t name = strnlen(node->name, PB_NAME_BYTES_MAX);
		size_t description = strnlen(node->description,
		    PB_TEXT_BYTES_MAX - 1);

		*at++ = (uint8_t)name;
		*at++ = (uint8_t)description;
		at = put_octets(at, node->name, name);
		at = put_octets(at, node->description, description);
	}
	*at = (uint8_t)strnlen(identity->interface, PB_IFNAME_BYTES_MAX);
	at = put_octets(at + 1, identity->interface, *at);
	return pb_option_put(options, PB_OPT_CUSTOM_BINARY, value,
	    (size_t)(at - value));
}

int
pb_identity_get(const uint8_t *options, size_t len, struct pb_identity *out,
    struct pb_err *err)
{
	struct pb_option option;
	struct cursor cursor;
	const char *wrong;

	if (!pb_own_find(options, len, PB_OWN_SEGMENT, &option))
		return 0;
	cursor.at = option.value + OWN_HEAD;
	cursor.left = option.len - OWN_HEAD;
	wrong = identity_take(&cursor, out);
	if (wrong == NULL)
		return 1;
	return pb_err_set(err, PB_EFORMAT,
	    "the segment option of the section header is malformed: %s",
	    wrong);
}

bool
pb_identity_put_epoch(uint8_t *options, size_t len, uint64_t epoch)
{
	struct pb_option option;

	if (!pb_own_find(options, len, PB_OWN_SEGMENT, &option) ||
	    option.len < OWN_HEAD + 8)
		return false;
	pb_put_le64(options + (option.value - options) + OWN_HEAD, epoch);
	return true;
}

/* NULL, or what is wrong. */
static const char *
identity_take(struct cursor *cursor, struct pb_identity *out)
{
	const uint8_t *at = take(cursor, 16);
	const char *wrong;

	if (at == NULL)
		return "it is cut short";
	out->epoch = pb_get_le64(at);
	out->first_seq = pb_get_le64(at + 8);
	if (out->epoch == 0)
		return "its epoch is 0";
	if (out->first_seq == 0)
		return "its first sequence number is 0; they start at 1";
	wrong = nodes_take(cursor, out);
	if (wrong != NULL)
		return wrong;
	at = take(cursor, 1);
	if (at == NULL || *at == 0 ||
	    !take_text(cursor, *at, out->interface, sizeof(out->interface)))
		return "its interface has no name of 1 to 80 bytes";
	if (cursor->left > 0)
		return "bytes follow its end";
	return NULL;
}

static const char *
nodes_take(struct cursor *cursor, struct pb_identity *out)
{
	const uint8_t *at = take(cursor, 1);

	if (at == NULL || *at < 1 || *at > PB_HOPS_MAX)
		return "its number of nodes is not 1 to 16";
	out->nodes = *at;
	for (int i = 0; i < out->nodes; i++) {
		struct pb_node *node = &out->node[i];

		at = take(cursor, 2);	/* the lengths of both */
		if (at == NULL || !take_text(cursor, at[0], node->name,
		    sizeof(node->name)) || !pb_name_valid(node->name))
			return "a node's name is not 1 to 64 letters, "
			    "digits, '.', '_' or '-'";
		if (!take_text(cursor, at[1], node->description,
		    sizeof(node->description)))
			return "a node's description leaves it";
	}
	return NULL;
}

/* --- the hops option ----------------------------------------------------- */

int
pb_hops_get(const uint8_t *options, size_t len,
    struct pb_hop out[static PB_HOPS_MAX])
{
	struct pb_option option;
	const uint8_t *at;
	int count;

	if (!pb_own_find(options, len, PB_OWN_HOPS, &option))
		return 0;
	if (!hops_option(&option))
		return PB_EFORMAT;
	at = option.value + OWN_HEAD;
	count = (int)((option.len - OWN_HEAD) / PB_HOP_BYTES);
	for (int i = 0; i < count; i++, at += PB_HOP_BYTES) {
		out[i].time_ns = pb_get_le64(at);
		out[i].seq = pb_get_le64(at + 8);
	}
	return count;
}

size_t
pb_hops_bytes(int records)
{
	return records == 0 ? 0 : OWN_HEAD + (size_t)records * PB_HOP_BYTES;
}

/*
 * A hops option that is malformed is left as it is and a new one follows:
 * readers then still find the malformed one first and refuse the packet.
 * They refuse a way that was full and has now one record too many as well.
 */
size_t
pb_hops_append(uint8_t *at, const uint8_t *options, size_t len, uint32_t pen,
    const struct pb_hop *hop)
{
	struct pb_option option;
	uint8_t *to;
	size_t head = len, grows = 0;

	if (pb_own_find(options, len, PB_OWN_HOPS, &option) &&
	    hops_option(&option)) {
		head = (size_t)(option.value - options) + option.len;
		grows = option.len;
	}
	if (head > 0)
		memcpy(at, options, head);
	to = own_hop_put(at + head, grows, pen, hop);
	if (len > head)
		memcpy(to, options + head, len - head);
	return (size_t)(to - at) + (len - head);
}

/* Whole records, and no more than a way has; so it needs no padding. */
static bool
hops_option(const struct pb_option *option)
{
	size_t records = option->len - OWN_HEAD;

	return records % PB_HOP_BYTES == 0 &&
	    records / PB_HOP_BYTES <= PB_HOPS_MAX - 1;
}

/* --- the untimed mark ---------------------------------------------------- */

int
pb_untimed_put(struct pb_buf *options, uint32_t pen)
{
	uint8_t value[OWN_HEAD];

	own_head_put(value, pen, PB_OWN_UNTIMED);
	return pb_option_put(options, PB_OPT_CUSTOM_BINARY, value,
	    sizeof(value));
}

bool
pb_untimed_get(const uint8_t *options, size_t len)
{
	struct pb_option option;

	return pb_own_find(options, len, PB_OWN_UNTIMED, &option);
}

/* --- for people ---------------------------------------------------------- */

int
pb_hop_comment(struct pb_buf *out, int n, const struct pb_node *node,
    uint64_t seq, uint64_t time_ns)
{
	/* A byte that is no UTF-8 becomes a character of three. */
	char description[3 * PB_TEXT_BYTES_MAX];
	uint64_t s = time_ns / PB_NS_PER_S, ns = time_ns % PB_NS_PER_S;

	pb_utf8_clean(description, sizeof(description), node->description,
	    strnlen(node->description, sizeof(node->description)));
	pb_buf_printf(out, "pb.hop n=%d node=%s seq=%" PRIu64 " ts=%" PRIu64
	    ".%09" PRIu64 " desc=", n, node->name, seq, s, ns);
	return pb_buf_quoted(out, description);
}

/* --- helpers ------------------------------------------------------------- */

static uint8_t *
put_octets(uint8_t *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	return at + len;
}

/* The next `len` bytes; NULL where they are not there. */
static const uint8_t *
take(struct cursor *cursor, size_t len)
{
	const uint8_t *at = cursor->at;

	if (len > cursor->left)
		return NULL;
	cursor->at += len;
	cursor->left -= len;
	return at;
}

/* `len` bytes as a C string: false where they are not there, do not fit
 * into `room` with a NUL, or have a NUL among them. */
static bool
take_text(struct cursor *cursor, size_t len, char *out, size_t room)
{
	const uint8_t *at = len < room ? take(cursor, len) : NULL;

	if (at == NULL || memchr(at, '\0', len) != NULL)
		return false;
	memcpy(out, at, len);
	out[len] = '\0';
	return true;
}
