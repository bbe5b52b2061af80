/*
 * base/text.h - what people write: sizes, times, rates, globs, names
 *
 * Parsers take the whole string or nothing: trailing characters are an
 * error.  On error `*out` is untouched and `err` says what would be right.
 */
#ifndef PB_BASE_TEXT_H
#define PB_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define PB_NAME_BYTES_MAX	64	/* a node's name */
#define PB_IFNAME_BYTES_MAX	80	/* an interface's name in a stream */
#define PB_TEXT_BYTES_MAX	256	/* a description */
#define PB_TIME_TEXT_MAX	40	/* pb_time_format() with its NUL */

/* `256MiB`, `1GiB`, `64KiB`, `10MB` (powers of ten), `512` (bytes), `0`. */
int	pb_parse_size(const char *text, uint64_t *bytes, struct pb_err *err);

/* `100ms`, `60s`, `5m`, `1h`, `7d`, `0`; a unit is needed unless 0. */
int	pb_parse_duration(const char *text, uint64_t *ms, struct pb_err *err);

/* The same as nanoseconds, and `350ns`, `20us` as well. */
int	pb_parse_span(const char *text, uint64_t *ns, struct pb_err *err);

/* `100Mbit`, `1Gbit`, `64kbit`, `0` (powers of ten): bits per second. */
int	pb_parse_rate(const char *text, uint64_t *bits, struct pb_err *err);

/* `yes no true false on off 1 0`. */
int	pb_parse_bool(const char *text, bool *out, struct pb_err *err);

/* Decimal digits within [min, max]. */
int	pb_parse_u64(const char *text, uint64_t min, uint64_t max,
	    uint64_t *out, struct pb_err *err);

/*
 * A moment: RFC 3339 (`2026-11-21T10:00:00.123456789Z`, offsets allowed,
 * `T` or a space), seconds since 1970 with up to nine decimals, or `-5m`
 * (so long before `now_ns`).  `*ns` is nanoseconds since 1970 UTC.
 */
int	pb_parse_time(const char *text, uint64_t now_ns, uint64_t *ns,
	    struct pb_err *err);

/* RFC 3339, UTC, nine decimals: `2026-11-21T10:00:00.000000000Z`. */
const char *pb_time_format(uint64_t ns, char out[static PB_TIME_TEXT_MAX]);

/* `1.5 GiB`, `512 B`: for people, at most 15 characters and a NUL. */
const char *pb_size_format(uint64_t bytes, char out[static 16]);

/* `12.3 s`, `5 min`, `3 h 20 min`, `4 days`: for people. */
#define PB_SPAN_TEXT_MAX	32
const char *pb_span_format(uint64_t ns, char out[static PB_SPAN_TEXT_MAX]);

/* A node's name: 1 to 64 letters, digits, `.` `_` `-`; not `.` or `..`. */
bool	pb_name_valid(const char *name);

/*
 * `*` any run (slashes included), `?` one character, the rest literal.
 * No other metacharacters.  Linear in practice, bounded by len*len.
 */
bool	pb_glob_match(const char *glob, const char *text);

/* The same of a glob that has `len` bytes. */
bool	pb_glob_match_len(const char *glob, size_t len, const char *text);

/* The next item of a list separated by commas and blanks, `len` bytes that
 * lie in it; `*list` moves behind.  False where there is none. */
bool	pb_list_next(const char **list, const char **item, size_t *len);
/* Is any of its items such a glob? */
bool	pb_glob_list_match(const char *list, const char *text);

/*
 * Percent-encoding of a path segment (RFC 3986): letters, digits and
 * `-._~` stand as they are, but a leading `.` is encoded, so that no name
 * is `.`, `..` or hidden.  Decoding fails on bad escapes, NUL, or no room.
 */
int	pb_percent_encode(struct pb_buf *out, const char *text);
int	pb_percent_decode(char *out, size_t room, const char *text,
	    size_t len, struct pb_err *err);

/* Of `count` words the one nearest to `word` (edit distance at most 3, and
 * less than the word's length), or NULL: for "did you mean". */
const char *pb_nearest(const char *word, const char *const *words,
	    size_t count);

/* 16 lower-case hex digits, and back. */
void	pb_hex64(uint64_t value, char out[static 17]);
int	pb_parse_hex64(const char *text, uint64_t *out, struct pb_err *err);

/* Bytes of the valid UTF-8 character at `p` (RFC 3629), 0 where there is
 * none: an overlong form, a surrogate, a torn end, a stray byte. */
size_t	pb_utf8_length(const uint8_t *p, size_t len);

/*
 * Copy `len` bytes as valid UTF-8 without NUL or control characters:
 * what is not becomes U+FFFD, cut at `room` on a character's edge.
 */
void	pb_utf8_clean(char *out, size_t room, const void *data, size_t len);

#endif
