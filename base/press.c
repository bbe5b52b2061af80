/*
 * base/press.c - a stream made smaller on its way out: gzip or zstd
 *
 * The fastest level of both: what is written beside a capture must not take
 * its CPU, and packets that shrink at all do so at once.
 */
#include "base/press.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define ZSTD_LEVEL	1
#define AS_GZIP		16		/* to a window: not as zlib */
#define PIECE_MAX	((size_t)1 << 30)	/* zlib counts in 32 bits */

/* How much of what was before is remembered, as powers of two; zlib's memory
 * is 1 to 9.  0: zstd's own. */
static const struct shape {
	int	 gzip_window, gzip_memory;
	int	 zstd_window, zstd_hash;
	size_t	 piece;
} large = { 15, 9, 0, 0, PB_PRESS_BYTES },
    small = { 13, 6, 14, 11, PB_PRESS_BYTES / 8 };

struct pb_press {
	enum pb_press_kind kind;
	z_stream	 gzip;
	ZSTD_CCtx	*zstd;
	size_t		 room;		/* of the piece */
	uint8_t		 piece[];
};

static bool	set_zstd(ZSTD_CCtx *, ZSTD_cParameter, int);
static int	step(struct pb_press *, const uint8_t **, size_t *,
		    enum pb_press_end, size_t *, bool *, struct pb_err *);
static int	step_gzip(struct pb_press *, const uint8_t **, size_t *,
		    enum pb_press_end, size_t *, bool *, struct pb_err *);
static int	step_zstd(struct pb_press *, const uint8_t **, size_t *,
		    enum pb_press_end, size_t *, bool *, struct pb_err *);
static bool	ends_with(const char *, const char *);

enum pb_press_kind
pb_press_of_name(const char *name)
{
	if (ends_with(name, ".gz"))
		return PB_PRESS_GZIP;
	return ends_with(name, ".zst") ? PB_PRESS_ZSTD : PB_PRESS_NONE;
}

int
pb_press_create(struct pb_press **out, enum pb_press_kind kind, bool many,
    struct pb_err *err)
{
	const struct shape *shape = many ? &small : &large;
	struct pb_press *press;
	bool made;

	*out = NULL;
	if (kind == PB_PRESS_NONE)
		return 0;
	press = calloc(1, sizeof(*press) + shape->piece);
	if (press == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory to compress");
	press->kind = kind;
	press->room = shape->piece;
	if (kind == PB_PRESS_GZIP) {
		made = deflateInit2(&press->gzip, Z_BEST_SPEED, Z_DEFLATED,
		    shape->gzip_window + AS_GZIP, shape->gzip_memory,
		    Z_DEFAULT_STRATEGY) == Z_OK;
	} else {
		press->zstd = ZSTD_createCCtx();
		made = press->zstd != NULL &&
		    set_zstd(press->zstd, ZSTD_c_compressionLevel,
		    ZSTD_LEVEL) &&
		    set_zstd(press->zstd, ZSTD_c_windowLog,
		    shape->zstd_window) &&
		    set_zstd(press->zstd, ZSTD_c_hashLog, shape->zstd_hash) &&
		    set_zstd(press->zstd, ZSTD_c_checksumFlag, 1);
	}
	*out = press;
	if (made)
		return 0;
	pb_press_destroy(press);
	*out = NULL;
	return pb_err_set(err, PB_ENOMEM, "no memory to compress");
}

static bool
set_zstd(ZSTD_CCtx *zstd, ZSTD_cParameter what, int value)
{
	return !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, what, value));
}

void
pb_press_destroy(struct pb_press *press)
{
	if (press == NULL)
		return;
	if (press->kind == PB_PRESS_GZIP)
		deflateEnd(&press->gzip);
	ZSTD_freeCCtx(press->zstd);
	free(press);
}

int
pb_press_put(struct pb_press *press, const void *data, size_t len,
    enum pb_press_end end, int (*put)(void *arg, const void *data,
    size_t len), void *arg, struct pb_err *err)
{
	const uint8_t *from = data;
	bool done = false;
	size_t made = 0;
	int rc;

	while (!done) {
		rc = step(press, &from, &len, end, &made, &done, err);
		if (rc == 0 && made > 0)
			rc = put(arg, press->piece, made);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* One piece that comes out, `made` bytes; `done` where nothing is left to
 * take and nothing to give. */
static int
step(struct pb_press *press, const uint8_t **from, size_t *len,
    enum pb_press_end end, size_t *made, bool *done, struct pb_err *err)
{
	return press->kind == PB_PRESS_GZIP ?
	    step_gzip(press, from, len, end, made, done, err) :
	    step_zstd(press, from, len, end, made, done, err);
}

static int
step_gzip(struct pb_press *press, const uint8_t **from, size_t *len,
    enum pb_press_end end, size_t *made, bool *done, struct pb_err *err)
{
	static const int how[] = { Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH };
	size_t piece = *len < PIECE_MAX ? *len : PIECE_MAX;
	z_stream *gzip = &press->gzip;
	int rc;

	gzip->next_in = (Bytef *)*from;
	gzip->avail_in = (uInt)piece;
	gzip->next_out = press->piece;
	gzip->avail_out = (uInt)press->room;
	rc = deflate(gzip, piece == *len ? how[end] : Z_NO_FLUSH);
	/* Z_BUF_ERROR: it had nothing to do. */
	if (rc == Z_STREAM_ERROR)
		return pb_err_set(err, PB_ESYS, "zlib has failed: %s",
		    gzip->msg != NULL ? gzip->msg : "its state is wrong");
	*from += piece - gzip->avail_in;
	*len -= piece - gzip->avail_in;
	*made = press->room - gzip->avail_out;
	*done = *len == 0 && (end == PB_PRESS_END ? rc == Z_STREAM_END :
	    gzip->avail_out > 0);
	return 0;
}

static int
step_zstd(struct pb_press *press, const uint8_t **from, size_t *len,
    enum pb_press_end end, size_t *made, bool *done, struct pb_err *err)
{
	static const ZSTD_EndDirective how[] = { ZSTD_e_continue,
	    ZSTD_e_flush, ZSTD_e_end };
	ZSTD_inBuffer in = { *from, *len, 0 };
	ZSTD_outBuffer out = { press->piece, press->room, 0 };
	size_t left = ZSTD_compressStream2(press->zstd, &out, &in, how[end]);

	if (ZSTD_isError(left))
		return pb_err_set(err, PB_ENOMEM, "zstd has failed: %s",
		    ZSTD_getErrorName(left));
	*from += in.pos;
	*len -= in.pos;
	*made = out.pos;
	*done = *len == 0 && (end == PB_PRESS_GO_ON || left == 0);
	return 0;
}

static bool
ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), part = strlen(end);

	return len > part && strcmp(name + len - part, end) == 0;
}
