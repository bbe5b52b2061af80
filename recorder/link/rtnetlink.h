/*
 * recorder/link/rtnetlink.h - asking the kernel about its network, and telling
 *
 * netlink(7), rtnetlink(7): a message is a struct nlmsghdr, a body that its
 * type says, and attributes, of which some hold attributes.  All begin at
 * multiples of four bytes; numbers have the machine's order.
 * Making and taking apart is pure; what comes in is checked against its
 * length, whoever sent it.
 */
#ifndef PB_LINK_RTNETLINK_H
#define PB_LINK_RTNETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define PB_RTNL_BYTES_MAX	(64u << 10)	/* of a message, either way */
#define PB_RTNL_WAIT_MS		5000u		/* for an answer */

/* Some attribute of a message, in which `data` is. */
struct pb_attr {
	uint16_t	 type;	/* without the bits of its kind */
	const uint8_t	*data;
	size_t		 len;
};

/* A buffer for messages, one after the other, and for their answers; it ends
 * with pb_buf_finish(). */
void	pb_rtnl_init(struct pb_buf *out);

/* Begin a message in `out`, which is emptied: its type, NLM_F_ flags beside
 * NLM_F_REQUEST, and its body. */
void	pb_rtnl_begin(struct pb_buf *out, uint16_t type, uint16_t flags,
	    const void *body, size_t len);
void	pb_rtnl_put(struct pb_buf *out, uint16_t type, const void *data,
	    size_t len);
void	pb_rtnl_u32(struct pb_buf *out, uint16_t type, uint32_t value);
void	pb_rtnl_text(struct pb_buf *out, uint16_t type, const char *text);
/* Attributes within an attribute, up to pb_rtnl_shut() of what it gave. */
size_t	pb_rtnl_nest(struct pb_buf *out, uint16_t type);
void	pb_rtnl_shut(struct pb_buf *out, size_t nest);

/* The first of `len` bytes of attributes, which are then behind it.  False
 * where there is none, or what is there is none. */
bool	pb_attr_next(const uint8_t **at, size_t *len, struct pb_attr *out);
/* The first of that type. */
bool	pb_attr_find(const uint8_t *at, size_t len, uint16_t type,
	    struct pb_attr *out);
/* That of this type in it, which may be the same struct. */
bool	pb_attr_within(const struct pb_attr *nest, uint16_t type,
	    struct pb_attr *out);
/* As many bytes of it as there are, the rest zero: newer kernels say more
 * than older ones. */
void	pb_attr_copy(const struct pb_attr *attr, void *out, size_t room);

/* A socket to ask with, or the error. */
int	pb_rtnl_open(int *fd, struct pb_err *err);

/* An answer: its type, and what stands behind its head. */
typedef void pb_rtnl_each(void *arg, uint16_t type, const uint8_t *body,
	    size_t len);

/*
 * Send the message and take in what is answered, up to its end.  `each` may
 * be NULL.
 *   PB_ENOENT   what it is about is not there
 *   PB_EEXIST   it is there already
 *   PB_EACCES   not permitted
 *   PB_ESYS     anything else; the kernel's own words, where it has some
 */
int	pb_rtnl_ask(int fd, struct pb_buf *message, pb_rtnl_each *each,
	    void *arg, struct pb_err *err);

/*
 * Take apart what one recv(2) brought, of answers to `seq`.  1: there is more
 * to come; 0: that was all; or the error as above, PB_EFORMAT for what is no
 * message.
 */
int	pb_rtnl_take(const uint8_t *data, size_t len, uint32_t seq,
	    pb_rtnl_each *each, void *arg, struct pb_err *err);

#endif
