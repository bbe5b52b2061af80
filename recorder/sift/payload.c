/*
 * recorder/sift/payload.c - what one request, or answer, carries
 */
#include "recorder/sift/payload.h"

#include <inttypes.h>
#include <string.h>

#include "base/digest.h"
#include "base/zip.h"

/* zstd promises at most 1/256 and 64 bytes more than it was given. */
#define ZIP_BYTES_MAX	(PB_SECTION_BYTES_MAX + PB_SECTION_BYTES_MAX / 64 + \
			4096u)

/* The smallest packet makes way for a larger block that says so. */
#define SIFTED_BYTES_MAX (PB_SECTION_BYTES_MAX * 2u)

static int	sift(struct pb_payload *);
static void	pack(struct pb_payload *);

void
pb_payload_make(struct pb_payload *payload)
{
	payload->err.code = 0;
	payload->packed = false;
	payload->rc = pb_section_read(&payload->section, payload->store,
	    &payload->key, &payload->piece, payload->upstream, &payload->err);
	if (payload->rc < 0)
		return;
	payload->data = payload->section.data;
	payload->len = payload->section.len;
	payload->says_filtered = payload->section.filtered;
	payload->left = (struct pb_sifted){ 0 };
	if (payload->sift != NULL)
		payload->rc = sift(payload);
	if (payload->rc < 0)
		return;
	payload->digest = pb_digest(payload->data, payload->len);
	if (!pb_fingerprint_last(payload->data, payload->len, &payload->last))
		payload->last.seq = 0;
	if (payload->level > 0)
		pack(payload);
}

void
pb_payload_finish(struct pb_payload *payload)
{
	pb_section_finish(&payload->section);
	pb_buf_finish(&payload->sifted);
	pb_buf_finish(&payload->zip);
}

void
pb_payload_move(struct pb_payload *payload, struct pb_buf *out, size_t *skip)
{
	struct pb_section *section = &payload->section;
	struct pb_buf *from = payload->data == payload->zip.data ?
	    &payload->zip : payload->data == payload->sifted.data ?
	    &payload->sifted : NULL;

	pb_buf_finish(out);
	*skip = 0;
	if (from != NULL) {
		*out = *from;
		memset(from, 0, sizeof(*from));
	} else {
		*skip = (size_t)(payload->data - section->space);
		*out = (struct pb_buf){ .data = section->space,
		    .len = *skip + payload->len, .cap = section->cap,
		    .max = section->cap };
		memset(section, 0, sizeof(*section));
	}
	payload->data = NULL;
	payload->len = 0;
}

static int
sift(struct pb_payload *payload)
{
	struct pb_buf *out = &payload->sifted;
	int rc;

	if (out->max == 0)
		pb_buf_init(out, SIFTED_BYTES_MAX);
	pb_buf_clear(out);
	rc = pb_sift_section(payload->sift, payload->data, payload->len,
	    payload->sifted_max != 0 ? payload->sifted_max : SIZE_MAX, out,
	    &payload->left);
	if (rc == 0 && payload->left.last != 0)
		payload->piece.last = payload->left.last;
	if (rc < 0)
		return pb_err_set(&payload->err, rc, "no memory for what an "
		    "upstream gets of packets %" PRIu64 " to %" PRIu64,
		    payload->piece.first, payload->piece.last);
	payload->data = out->data;
	payload->len = out->len;
	payload->says_filtered |= payload->left.filtered > 0;
	return 0;
}

/* What does not shrink, or cannot be packed for want of memory, goes as it
 * is. */
static void
pack(struct pb_payload *payload)
{
	if (payload->zip.max == 0)
		pb_buf_init(&payload->zip, ZIP_BYTES_MAX);
	pb_buf_clear(&payload->zip);
	if (pb_zip_pack_at(&payload->zip, payload->level, payload->data,
	    payload->len) < 0 ||
	    !pb_zip_is_worth(payload->len, payload->zip.len))
		return;
	payload->data = payload->zip.data;
	payload->len = payload->zip.len;
	payload->packed = true;
}
