/*
 * base/zip.c - zstd: bodies made smaller for slow links
 */
#include "base/zip.h"

#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

/* The fastest of the positive levels: the loop that packs ships as well,
 * and a link that wants more than 300 MB/s wants no compression. */
#define ZIP_LEVEL	PB_ZIP_LEVEL_MIN

struct pb_zip {			/* each made when it is needed first */
	ZSTD_CCtx	*packs;
	ZSTD_DCtx	*unpacks;
};

int
pb_zip_pack(struct pb_buf *out, const void *data, size_t len)
{
	return pb_zip_pack_at(out, ZIP_LEVEL, data, len);
}

int
pb_zip_pack_at(struct pb_buf *out, unsigned level, const void *data,
    size_t len)
{
	size_t bound = ZSTD_compressBound(len), packed;
	uint8_t *at = pb_buf_reserve(out, bound);

	if (at == NULL)
		return bound > out->max - out->len ? PB_ELIMIT : PB_ENOMEM;
	packed = ZSTD_compress(at, bound, data, len, (int)level);
	if (ZSTD_isError(packed)) {
		out->failed = true;
		return PB_ENOMEM;
	}
	out->len += packed;
	return 0;
}

int
pb_zip_room(const void *data, size_t len, size_t max, size_t *room,
    struct pb_err *err)
{
	unsigned long long size = ZSTD_getFrameContentSize(data, len);

	if (size == ZSTD_CONTENTSIZE_ERROR)
		return pb_err_set(err, PB_EFORMAT, "offset 0: no zstd frame");
	if (size == ZSTD_CONTENTSIZE_UNKNOWN) {
		*room = max;
		return 0;
	}
	if (size > max)
		return pb_err_set(err, PB_ELIMIT, "the zstd frame holds %llu "
		    "bytes; %zu at most", size, max);
	/* Frames may follow each other; a second one must fit as well, and
	 * an empty one asks for no memory. */
	*room = size > 0 ? (size_t)size : 1;
	return 0;
}

int
pb_zip_unpack(void *out, size_t room, const void *data, size_t len,
    size_t *unpacked, struct pb_err *err)
{
	size_t n = ZSTD_decompress(out, room, data, len);

	if (!ZSTD_isError(n)) {
		*unpacked = n;
		return 0;
	}
	if (ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall)
		return pb_err_set(err, PB_ELIMIT, "the zstd frames hold more "
		    "than %zu bytes", room);
	return pb_err_set(err, PB_EFORMAT, "the zstd frame is damaged: %s",
	    ZSTD_getErrorName(n));
}

int
pb_zip_create(struct pb_zip **out, struct pb_err *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for zstd");
	return 0;
}

void
pb_zip_destroy(struct pb_zip *zip)
{
	if (zip == NULL)
		return;
	ZSTD_freeCCtx(zip->packs);
	ZSTD_freeDCtx(zip->unpacks);
	free(zip);
}

size_t
pb_zip_pack_piece(struct pb_zip *zip, void *out, size_t room,
    const void *data, size_t len)
{
	size_t packed;

	if (zip->packs == NULL)
		zip->packs = ZSTD_createCCtx();
	if (zip->packs == NULL)
		return 0;
	packed = ZSTD_compressCCtx(zip->packs, out, room, data, len,
	    ZIP_LEVEL);
	return ZSTD_isError(packed) ? 0 : packed;
}

int
pb_zip_unpack_piece(struct pb_zip *zip, void *out, size_t len,
    const void *data, size_t packed, struct pb_err *err)
{
	size_t n;

	if (zip->unpacks == NULL)
		zip->unpacks = ZSTD_createDCtx();
	if (zip->unpacks == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for zstd");
	n = ZSTD_decompressDCtx(zip->unpacks, out, len, data, packed);
	if (ZSTD_isError(n))
		return pb_err_set(err, PB_EFORMAT, "the zstd frame is "
		    "damaged: %s", ZSTD_getErrorName(n));
	if (n != len)
		return pb_err_set(err, PB_EFORMAT, "the zstd frame holds %zu "
		    "bytes; %zu belong there", n, len);
	return 0;
}
