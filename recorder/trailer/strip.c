/*
 * recorder/trailer/strip.c - the frame as it was before the first switch
 */
#include "base/crc32.h"
#include "recorder/trailer/formats.h"

/* The pieces that are left of a frame, between its holes: false past the
 * last. */
static bool
piece(const struct pb_trailers *read, unsigned i, uint32_t *at, uint32_t *end)
{
	if (i > read->holes)
		return false;
	*at = i == 0 ? 0 : (uint32_t)read->hole[i - 1].at +
	    read->hole[i - 1].bytes;
	*end = i < read->holes ? read->hole[i].at : read->fcs_at;
	return true;
}

uint32_t
pb_trailers_strip(const struct pb_trailers *read, const uint8_t *frame,
    bool fcs, uint8_t *out)
{
	uint32_t at, end, len = 0;

	for (unsigned i = 0; piece(read, i, &at, &end); i++) {
		memcpy(out + len, frame + at, end - at);
		len += end - at;
	}
	if (fcs && read->has_fcs) {
		memcpy(out + len, frame + read->fcs_at, FCS_BYTES);
		len += FCS_BYTES;
	}
	return len;
}

int
pb_trailers_check_fcs(const struct pb_trailers *read, const uint8_t *frame)
{
	uint32_t crc = 0, at, end;

	if (!read->has_fcs)
		return -1;
	for (unsigned i = 0; piece(read, i, &at, &end); i++)
		crc = pb_crc32(crc, frame + at, end - at);
	return pb_get_le32(frame + read->fcs_at) == crc;
}
