/*
 * recorder/link/rtnetlink.c - asking the kernel about its network, and telling
 */
#include "recorder/link/rtnetlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/bytes.h"

#define SAID_MAX	200	/* bytes of the kernel's words */
#define HEAD_BYTES	sizeof(struct nlattr)
#define TYPE_BITS	((uint16_t)~(NLA_F_NESTED | NLA_F_NET_BYTEORDER))

static void	pad(struct pb_buf *);
static int	complaint(const struct nlmsghdr *, const uint8_t *, size_t,
		    struct pb_err *);
static void	words_of(const uint8_t *, size_t, char [static SAID_MAX]);

/* --- making -------------------------------------------------------------- */

void
pb_rtnl_init(struct pb_buf *out)
{
	pb_buf_init(out, 2 * (size_t)PB_RTNL_BYTES_MAX);
}

void
pb_rtnl_begin(struct pb_buf *out, uint16_t type, uint16_t flags,
    const void *body, size_t len)
{
	struct nlmsghdr head = { .nlmsg_type = type,
	    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };

	pb_buf_clear(out);
	pb_buf_put(out, &head, sizeof(head));
	pb_buf_put(out, body, len);
	pad(out);
}

void
pb_rtnl_put(struct pb_buf *out, uint16_t type, const void *data, size_t len)
{
	struct nlattr attr = { .nla_len = (uint16_t)(HEAD_BYTES + len),
	    .nla_type = type };

	if (len > UINT16_MAX - HEAD_BYTES)
		out->failed = true;
	pb_buf_put(out, &attr, sizeof(attr));
	pb_buf_put(out, data, len);
	pad(out);
}

void
pb_rtnl_u32(struct pb_buf *out, uint16_t type, uint32_t value)
{
	pb_rtnl_put(out, type, &value, sizeof(value));
}

void
pb_rtnl_text(struct pb_buf *out, uint16_t type, const char *text)
{
	pb_rtnl_put(out, type, text, strlen(text) + 1);
}

size_t
pb_rtnl_nest(struct pb_buf *out, uint16_t type)
{
	size_t at = out->len;

	pb_rtnl_put(out, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void
pb_rtnl_shut(struct pb_buf *out, size_t nest)
{
	uint16_t len = (uint16_t)(out->len - nest);

	if (len != out->len - nest)
		out->failed = true;
	if (!out->failed)
		memcpy(out->data + nest + offsetof(struct nlattr, nla_len),
		    &len, sizeof(len));
}

static void
pad(struct pb_buf *out)
{
	pb_buf_zero(out, pb_round_up(out->len, NLA_ALIGNTO) - out->len);
}

/* --- taking apart -------------------------------------------------------- */

bool
pb_attr_next(const uint8_t **at, size_t *len, struct pb_attr *out)
{
	struct nlattr head;
	size_t step;

	if (*len < sizeof(head))
		return false;
	memcpy(&head, *at, sizeof(head));
	if (head.nla_len < HEAD_BYTES || head.nla_len > *len)
		return false;
	out->type = head.nla_type & TYPE_BITS;
	out->data = *at + HEAD_BYTES;
	out->len = head.nla_len - HEAD_BYTES;
	step = pb_round_up(head.nla_len, NLA_ALIGNTO);
	if (step > *len)
		step = *len;
	*at += step;
	*len -= step;
	return true;
}

bool
pb_attr_find(const uint8_t *at, size_t len, uint16_t type,
    struct pb_attr *out)
{
	struct pb_attr attr;

	while (pb_attr_next(&at, &len, &attr))
		if (attr.type == type) {
			*out = attr;
			return true;
		}
	return false;
}

bool
pb_attr_within(const struct pb_attr *nest, uint16_t type, struct pb_attr *out)
{
	return pb_attr_find(nest->data, nest->len, type, out);
}

void
pb_attr_copy(const struct pb_attr *attr, void *out, size_t room)
{
	memset(out, 0, room);
	memcpy(out, attr->data, attr->len < room ? attr->len : room);
}

int
pb_rtnl_take(const uint8_t *data, size_t len, uint32_t seq,
    pb_rtnl_each *each, void *arg, struct pb_err *err)
{
	struct nlmsghdr head;
	const uint8_t *body;
	size_t step, rest;

	for (; len > 0; data += step, len -= step) {
		if (len < sizeof(head))
			goto torn;
		memcpy(&head, data, sizeof(head));
		if (head.nlmsg_len < NLMSG_HDRLEN || head.nlmsg_len > len)
			goto torn;
		step = pb_round_up(head.nlmsg_len, NLMSG_ALIGNTO);
		if (step > len)
			step = len;
		/* What belongs to a question that nobody waits for. */
		if (head.nlmsg_seq != seq)
			continue;
		body = data + NLMSG_HDRLEN;
		rest = head.nlmsg_len - (size_t)NLMSG_HDRLEN;
		if (head.nlmsg_type == NLMSG_ERROR ||
		    head.nlmsg_type == NLMSG_DONE)
			return complaint(&head, body, rest, err);
		if (each != NULL)
			each(arg, head.nlmsg_type, body, rest);
	}
	return 1;
torn:
	return pb_err_set(err, PB_EFORMAT, "the kernel's answer is torn");
}

/*
 * A code, 0 where all is well; in NLMSG_ERROR the head of what we sent, and
 * the rest of that unless it is capped; then attributes, if the flags say so.
 */
static int
complaint(const struct nlmsghdr *head, const uint8_t *body, size_t len,
    struct pb_err *err)
{
	struct nlmsghdr sent = { .nlmsg_len = sizeof(sent) };
	char said[SAID_MAX] = "";
	int32_t code = 0;
	size_t skip = sizeof(code);

	if (len >= sizeof(code))
		memcpy(&code, body, sizeof(code));
	if (code == 0)
		return 0;
	if (head->nlmsg_type == NLMSG_ERROR &&
	    len >= sizeof(code) + sizeof(sent)) {
		if ((head->nlmsg_flags & NLM_F_CAPPED) == 0)
			memcpy(&sent, body + sizeof(code), sizeof(sent));
		skip += pb_round_up(sent.nlmsg_len, NLMSG_ALIGNTO);
	}
	if ((head->nlmsg_flags & NLM_F_ACK_TLVS) != 0 && skip < len)
		words_of(body + skip, len - skip, said);
	if (code == -EPERM || code == -EACCES)
		return pb_err_set(err, PB_EACCES, "not permitted; run as root "
		    "or with CAP_NET_ADMIN");
	if (code == -ENODEV)
		return pb_err_set(err, PB_ENOENT, "no such interface");
	errno = code > -4096 && code < 0 ? -code : EPROTO;
	return said[0] != '\0' ? pb_err_sys(err, "%s", said) :
	    pb_err_sys(err, "the kernel refuses");
}

static void
words_of(const uint8_t *at, size_t len, char out[static SAID_MAX])
{
	struct pb_attr words;

	if (!pb_attr_find(at, len, NLMSGERR_ATTR_MSG, &words))
		return;
	memset(out, 0, SAID_MAX);
	memcpy(out, words.data,
	    words.len < SAID_MAX ? words.len : SAID_MAX - 1);
}

/* --- asking -------------------------------------------------------------- */

int
pb_rtnl_open(int *out, struct pb_err *err)
{
	struct timeval wait = { .tv_sec = PB_RTNL_WAIT_MS / 1000 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int one = 1;

	if (fd < 0)
		return pb_err_sys(err, "open a netlink socket");
	/* Where the kernel has no words its numbers will do. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait,
	    sizeof(wait)) < 0) {
		pb_err_sys(err, "set up a netlink socket");
		close(fd);
		return PB_ESYS;
	}
	*out = fd;
	return 0;
}

int
pb_rtnl_ask(int fd, struct pb_buf *message, pb_rtnl_each *each, void *arg,
    struct pb_err *err)
{
	static _Atomic uint32_t numbers;
	struct nlmsghdr head;
	uint8_t *answer;
	int rc = 1;

	/* The answers' room is behind the message. */
	answer = pb_buf_reserve(message, PB_RTNL_BYTES_MAX);
	if (message->failed || answer == NULL)
		return pb_err_set(err, PB_ENOMEM, "netlink: no memory, or the "
		    "message is too long");
	memcpy(&head, message->data, sizeof(head));
	head.nlmsg_len = (uint32_t)message->len;
	head.nlmsg_seq = ++numbers;
	if ((head.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		head.nlmsg_flags |= NLM_F_ACK;
	memcpy(message->data, &head, sizeof(head));
	if (send(fd, message->data, message->len, 0) < 0)
		return pb_err_sys(err, "ask the kernel");
	while (rc > 0) {
		ssize_t n = recv(fd, answer, PB_RTNL_BYTES_MAX, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pb_err_sys(err, "the kernel's answer");
		rc = pb_rtnl_take(answer, (size_t)n, head.nlmsg_seq, each,
		    arg, err);
	}
	return rc;
}
