/*
 * base/out.c - a descriptor that is written to in large pieces
 */
#include "base/out.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int	fail_memory(struct pb_out *);

void
pb_out_init(struct pb_out *out, int fd, const char *name,
    const struct pb_stop *stop)
{
	memset(out, 0, sizeof(*out));
	out->fd = fd;
	out->name = name;
	out->stop = stop;
	pb_buf_init(&out->buf, PB_OUT_BYTES + 1);
}

void
pb_out_finish(struct pb_out *out)
{
	pb_buf_finish(&out->buf);
}

uint8_t *
pb_out_room(struct pb_out *out, size_t len)
{
	uint8_t *at;

	if (out->rc < 0)
		return NULL;
	if (out->buf.len + len > PB_OUT_BYTES &&
	    pb_out_flush(out, NULL) < 0)
		return NULL;
	at = pb_buf_reserve(&out->buf, len);
	if (at == NULL)
		fail_memory(out);
	return at;
}

void
pb_out_took(struct pb_out *out, size_t len)
{
	out->buf.len += len;
}

int
pb_out_put(struct pb_out *out, const void *data, size_t len)
{
	const uint8_t *from = data;
	size_t piece;
	uint8_t *at;

	for (; len > 0; from += piece, len -= piece) {
		piece = len < PB_OUT_BYTES ? len : PB_OUT_BYTES;
		at = pb_out_room(out, piece);
		if (at == NULL)
			return out->rc;
		memcpy(at, from, piece);
		pb_out_took(out, piece);
	}
	return out->rc;
}

int
pb_out_text(struct pb_out *out, const char *text)
{
	return pb_out_put(out, text, strlen(text));
}

int
pb_out_printf(struct pb_out *out, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len < 0)
		return out->rc;
	if ((size_t)len >= sizeof(text))
		len = (int)sizeof(text) - 1;
	return pb_out_put(out, text, (size_t)len);
}

int
pb_out_flush(struct pb_out *out, struct pb_err *err)
{
	size_t done = 0;
	ssize_t n;

	while (out->rc == 0 && done < out->buf.len) {
		n = write(out->fd, out->buf.data + done, out->buf.len - done);
		if (n >= 0) {
			done += (size_t)n;
		} else if (errno != EINTR || pb_stopped(out->stop)) {
			out->gone = errno == EPIPE;
			out->rc = pb_err_sys(&out->err, "write %s", out->name);
		}
	}
	out->buf.len = 0;
	if (out->rc < 0 && err != NULL)
		*err = out->err;
	return out->rc;
}

bool
pb_out_gone(const struct pb_out *out)
{
	return out->gone;
}

static int
fail_memory(struct pb_out *out)
{
	out->rc = pb_err_set(&out->err, PB_ENOMEM,
	    "no memory to write %s", out->name);
	return out->rc;
}
