/*
 * base/out.c - a descriptor that is written to in large pieces
 */
#include "base/out.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DIRECT_PART	4u

static int	leave(struct pb_out *, enum pb_press_end);
static int	emit(struct pb_out *, const void *, size_t,
		    enum pb_press_end);
static int	write_all(void *, const void *, size_t);
static int	fail_memory(struct pb_out *);

void
pb_out_init(struct pb_out *out, int fd, const char *name,
    const struct pb_stop *stop)
{
	memset(out, 0, sizeof(*out));
	out->fd = fd;
	out->name = name;
	out->stop = stop;
	out->gather = PB_OUT_GATHER_BYTES;
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
	if (out->buf.len + len > out->gather &&
	    leave(out, PB_PRESS_GO_ON) < 0)
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
	out->bytes += len;
}

int
pb_out_put(struct pb_out *out, const void *data, size_t len)
{
	uint8_t *at;

	/* What fills a good part of a buffer needs none. */
	if (len >= out->gather / DIRECT_PART) {
		if (leave(out, PB_PRESS_GO_ON) == 0)
			emit(out, data, len, PB_PRESS_GO_ON);
		out->bytes += len;
		return out->rc;
	}
	at = len > 0 ? pb_out_room(out, len) : NULL;
	if (at == NULL)
		return out->rc;
	memcpy(at, data, len);
	pb_out_took(out, len);
	return 0;
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
	if (leave(out, PB_PRESS_FLUSH) < 0 && err != NULL)
		*err = out->err;
	return out->rc;
}

int
pb_out_end(struct pb_out *out, struct pb_err *err)
{
	if (leave(out, PB_PRESS_END) < 0 && err != NULL)
		*err = out->err;
	return out->rc;
}

bool
pb_out_gone(const struct pb_out *out)
{
	return out->gone;
}

/* What was gathered. */
static int
leave(struct pb_out *out, enum pb_press_end end)
{
	int rc = emit(out, out->buf.data, out->buf.len, end);

	out->buf.len = 0;
	return rc;
}

static int
emit(struct pb_out *out, const void *data, size_t len,
    enum pb_press_end end)
{
	struct pb_err err;
	int rc;

	if (out->rc < 0)
		return out->rc;
	if (out->press == NULL)
		return write_all(out, data, len);
	rc = pb_press_put(out->press, data, len, end, write_all, out, &err);
	if (rc < 0 && out->rc == 0) {
		out->rc = rc;
		out->err = err;
	}
	return out->rc;
}

static int
write_all(void *arg, const void *data, size_t len)
{
	struct pb_out *out = arg;
	const uint8_t *at = data, *end = at + len;
	ssize_t n;

	while (out->rc == 0 && at < end) {
		n = write(out->fd, at, (size_t)(end - at));
		if (n >= 0) {
			at += n;
		} else if (errno != EINTR || pb_stopped(out->stop)) {
			out->gone = errno == EPIPE;
			out->rc = pb_err_sys(&out->err, "write %s", out->name);
		}
	}
	return out->rc;
}

static int
fail_memory(struct pb_out *out)
{
	out->rc = pb_err_set(&out->err, PB_ENOMEM,
	    "no memory to write %s", out->name);
	return out->rc;
}
