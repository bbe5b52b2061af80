/*
 * pcapng/option.h - option lists: walking, finding, appending
 *
 * Canonical form, everywhere past the reader: little-endian, each value
 * padded with zeros to 32 bits, no opt_endofopt (the builders of blocks
 * add it).  Source: draft section 3.5.
 */
#ifndef PB_PCAPNG_OPTION_H
#define PB_PCAPNG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct pb_option {
	uint16_t	 code;
	uint16_t	 len;		/* of value, without padding */
	const uint8_t	*value;		/* into the list */
};

struct pb_option_walk {
	const uint8_t	*at;
	size_t		 left;
};

/*
 * The next option: 1, 0 at the end (opt_endofopt included), PB_EFORMAT
 * where a length leaves the list.
 */
int	pb_option_next(struct pb_option_walk *walk, struct pb_option *out);
/* The same of a list that is `big`-endian, or not. */
int	pb_option_next_of(struct pb_option_walk *walk, bool big,
	    struct pb_option *out);

/* For each `option` of a list, up to its end or what is no option. */
#define PB_OPTION_EACH(option, list, len)				\
	for (struct pb_option_walk walk_ = { (list), (len) };		\
	    pb_option_next(&walk_, &(option)) == 1; )

/* The first option with `code`; false where there is none. */
bool	pb_option_find(const uint8_t *list, size_t len, uint16_t code,
	    struct pb_option *out);

/* Same, where its value has exactly 8 bytes. */
bool	pb_option_find_u64(const uint8_t *list, size_t len, uint16_t code,
	    uint64_t *out);

/* Does the value of such an option begin with its owner's PEN? */
bool	pb_option_is_custom(uint16_t code);

/* Append one option, padded.  Errors as pb_buf_put(); values over 65535
 * bytes are PB_ELIMIT. */
int	pb_option_put(struct pb_buf *out, uint16_t code, const void *value,
	    size_t len);
int	pb_option_put_text(struct pb_buf *out, uint16_t code,
	    const char *text);
int	pb_option_put_u64(struct pb_buf *out, uint16_t code, uint64_t value);
int	pb_option_put_u8(struct pb_buf *out, uint16_t code, uint8_t value);

/* Append those of a list that `keep` says yes to: 0, PB_EFORMAT where a
 * length leaves the list, or as pb_option_put(). */
int	pb_option_copy(struct pb_buf *out, const uint8_t *list, size_t len,
	    bool (*keep)(const struct pb_option *option));

#define PB_OPTION_HEAD		4u	/* code and length */
/* Bytes that an option with a value of `len` bytes takes in a list. */
#define PB_OPTION_BYTES(len)	(PB_OPTION_HEAD +			\
				    (((uint32_t)(len) + 3u) & ~3u))

/*
 * The same into memory the caller has sized (PB_OPTION_BYTES): returns the
 * end of what was written.  For the capture path: no checks, no memory.
 */
uint8_t	*pb_option_at(uint8_t *at, uint16_t code, const void *value,
	    uint16_t len);
uint8_t	*pb_option_at_u64(uint8_t *at, uint16_t code, uint64_t value);

#endif
