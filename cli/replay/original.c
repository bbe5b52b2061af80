/*
 * cli/replay/original.c - frames go out as they were before the first switch
 */
#include "cli/replay/original.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cli/common/cli.h"
#include "recorder/query/trailing.h"

void
pb_original_finish(struct pb_original *original)
{
	free(original->frame);
	original->frame = NULL;
}

void
pb_original_list(const struct pb_original *original, const uint8_t *options,
    size_t len, struct pb_trailer_list *out)
{
	if (original->given)
		*out = original->list;
	else
		(void)pb_trailing_list(options, len, out);
}

int
pb_original_frame(struct pb_original *original,
    const struct pb_trailer_list *list, const struct pb_packet *packet,
    struct pb_source_frame *out, struct pb_err *err)
{
	bool listed = list->count > 0 || list->fcs;
	struct pb_trailers read = { .whole = false };

	if (original->frame == NULL)
		original->frame = malloc(PB_CAPLEN_MAX);
	if (original->frame == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a frame");
	if (listed)
		pb_trailers_read(list, &original->context, packet->data,
		    packet->caplen, packet->origlen, packet->time_ns, &read);
	original->frames++;
	if (!read.whole) {
		original->left++;
		return PB_SOURCE_FRAME;
	}
	out->len = pb_trailers_strip(&read, packet->data, false,
	    original->frame);
	out->data = original->frame;
	return PB_SOURCE_FRAME;
}

void
pb_original_told(const struct pb_original *original)
{
	if (original->left > 0)
		pb_cli_note("%" PRIu64 " of %" PRIu64 " frames are as they "
		    "were captured: their trailers do not parse, or they "
		    "have no list, which --trailers gives", original->left,
		    original->frames);
}
