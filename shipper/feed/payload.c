/*
 * shipper/feed/payload.c - what one request carries
 */
#include "shipper/feed/payload.h"

#include "base/digest.h"
#include "base/zip.h"

/* zstd promises at most 1/256 and 64 bytes more than it was given. */
#define ZIP_BYTES_MAX	(PB_SECTION_BYTES_MAX + PB_SECTION_BYTES_MAX / 64 + \
			4096u)

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
	payload->digest = pb_digest(payload->data, payload->len);
	if (!pb_fingerprint_last(payload->data, payload->len, &payload->last))
		payload->last.seq = 0;
	if (payload->compress)
		pack(payload);
}

void
pb_payload_finish(struct pb_payload *payload)
{
	pb_section_finish(&payload->section);
	pb_buf_finish(&payload->zip);
}

/* What does not shrink, or cannot be packed for want of memory, goes as it
 * is. */
static void
pack(struct pb_payload *payload)
{
	if (payload->zip.max == 0)
		pb_buf_init(&payload->zip, ZIP_BYTES_MAX);
	pb_buf_clear(&payload->zip);
	if (pb_zip_pack(&payload->zip, payload->data, payload->len) < 0 ||
	    payload->zip.len >= payload->len)
		return;
	payload->data = payload->zip.data;
	payload->len = payload->zip.len;
	payload->packed = true;
}
