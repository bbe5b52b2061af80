/*
 * base/buf.c - a byte string that grows up to a stated maximum
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define BUF_BYTES_MIN	64

static int	grow(struct pb_buf *, size_t);

void
pb_buf_init(struct pb_buf *buf, size_t max)
{
	memset(buf, 0, sizeof(*buf));
	buf->max = max;
}

void
pb_buf_finish(struct pb_buf *buf)
{
	if (buf == NULL)
		return;
	free(buf->data);
	memset(buf, 0, sizeof(*buf));
}

void
pb_buf_clear(struct pb_buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}

uint8_t *
pb_buf_reserve(struct pb_buf *buf, size_t len)
{
	if (grow(buf, len) < 0)
		return NULL;
	return buf->data + buf->len;
}

int
pb_buf_put(struct pb_buf *buf, const void *data, size_t len)
{
	int rc = grow(buf, len);

	if (rc < 0)
		return rc;
	if (len > 0)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	return 0;
}

int
pb_buf_zero(struct pb_buf *buf, size_t len)
{
	int rc = grow(buf, len);

	if (rc < 0)
		return rc;
	if (len > 0)
		memset(buf->data + buf->len, 0, len);
	buf->len += len;
	return 0;
}

int
pb_buf_str(struct pb_buf *buf, const char *text)
{
	return pb_buf_put(buf, text, strlen(text));
}

int
pb_buf_quoted(struct pb_buf *buf, const char *text)
{
	pb_buf_put(buf, "\"", 1);
	for (;; text++) {
		size_t plain = strcspn(text, "\"\\\n");

		pb_buf_put(buf, text, plain);
		text += plain;
		if (*text == '\0')
			return pb_buf_put(buf, "\"", 1);
		pb_buf_printf(buf, "\\%c", *text == '\n' ? 'n' : *text);
	}
}

int
pb_buf_printf(struct pb_buf *buf, const char *fmt, ...)
{
	va_list ap, again;
	int n, rc;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	rc = n < 0 ? PB_EINVAL : grow(buf, (size_t)n);
	if (n < 0)
		buf->failed = true;
	if (rc == 0) {
		vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, fmt,
		    again);
		buf->len += (size_t)n;
	}
	va_end(again);
	return rc;
}

void
pb_buf_consume(struct pb_buf *buf, size_t len)
{
	if (len > buf->len)
		len = buf->len;
	if (len == 0)	/* an empty buffer has no memory to move */
		return;
	memmove(buf->data, buf->data + len, buf->len - len);
	buf->len -= len;
}

const char *
pb_buf_cstr(struct pb_buf *buf)
{
	if (grow(buf, 0) < 0 || buf->data == NULL)
		return "";
	buf->data[buf->len] = '\0';
	return (const char *)buf->data;
}

/* Room for `len` more bytes and a NUL. */
static int
grow(struct pb_buf *buf, size_t len)
{
	size_t want, cap;
	uint8_t *data;

	if (buf->failed)
		return PB_ENOMEM;
	if (len > buf->max || buf->len > buf->max - len) {
		buf->failed = true;
		return PB_ELIMIT;
	}
	want = buf->len + len + 1;
	if (want <= buf->cap)
		return 0;
	cap = buf->cap < BUF_BYTES_MIN ? BUF_BYTES_MIN : buf->cap;
	while (cap < want)
		cap *= 2;
	data = realloc(buf->data, cap);
	if (data == NULL) {
		buf->failed = true;
		return PB_ENOMEM;
	}
	buf->data = data;
	buf->cap = cap;
	return 0;
}
