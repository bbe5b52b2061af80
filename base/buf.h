/*
 * base/buf.h - a byte string that grows up to a stated maximum
 *
 * The error is sticky: once an append fails, later ones do nothing, and
 * the caller asks once, at the end.  Memory is the buffer's until
 * pb_buf_finish(); `data` moves when it grows.
 */
#ifndef PB_BASE_BUF_H
#define PB_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pb_buf {
	uint8_t	*data;
	size_t	 len;
	size_t	 cap;
	size_t	 max;		/* bytes; an append past it fails */
	bool	 failed;	/* no memory, or past max */
};

void	 pb_buf_init(struct pb_buf *buf, size_t max);
void	 pb_buf_finish(struct pb_buf *buf);	/* NULL and zeroed are fine */
void	 pb_buf_clear(struct pb_buf *buf);	/* empties, keeps the memory */

/* Append; 0, or PB_ENOMEM / PB_ELIMIT with the buffer marked failed. */
int	 pb_buf_put(struct pb_buf *buf, const void *data, size_t len);
int	 pb_buf_zero(struct pb_buf *buf, size_t len);
int	 pb_buf_str(struct pb_buf *buf, const char *text);
int	 pb_buf_printf(struct pb_buf *buf, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* Text in quotes: a backslash stands before quotes and backslashes, and a
 * newline is `\n`. */
int	 pb_buf_quoted(struct pb_buf *buf, const char *text);

/* Make room for `len` more bytes and return where they go, or NULL. */
uint8_t	*pb_buf_reserve(struct pb_buf *buf, size_t len);

/* Drop the first `len` bytes, moving the rest down. */
void	 pb_buf_consume(struct pb_buf *buf, size_t len);

/* The bytes as a C string: a NUL stands behind them, uncounted. */
const char *pb_buf_cstr(struct pb_buf *buf);

#endif
