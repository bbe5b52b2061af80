/*
 * recorder/trailer/read.c - a frame peeled by a list, and whose time counts
 *
 * Where what is left ends with an FCS, that goes before the next trailer is
 * looked for: a switch that puts something on a frame either keeps the FCS
 * inside what it puts on, or drops it.
 */
#include "recorder/trailer/formats.h"

static bool	take(struct peel *, unsigned);
static void	finish(struct peel *);
static void	turn(struct pb_trailers *);

void
pb_trailers_read(const struct pb_trailer_list *list,
    struct pb_trailer_context *context, const uint8_t *frame,
    uint32_t caplen, uint32_t len, uint64_t capture_ns,
    struct pb_trailers *out)
{
	struct peel peel = {
		.list = list,
		.frame = frame,
		.end = caplen < len ? caplen : len,
		.type_at = ETHERNET_TYPE_AT,
		.capture_ns = capture_ns,
		.fcs = list->fcs && caplen >= len,
		.out = out,
	};

	out->read = out->count = out->holes = 0;
	out->keyframe = false;
	if (caplen >= len)
		while (out->read < list->count && !out->keyframe) {
			peel.key = context != NULL ?
			    &context->key[out->read] : NULL;
			if (!take(&peel, out->read))
				break;
			out->read++;
		}
	if (out->keyframe)	/* made by this switch: nothing is inside */
		out->read = list->count;
	out->whole = out->read == list->count &&
	    (caplen >= len || !list->fcs);
	finish(&peel);
}

/* The trailer of that index: false leaves the peel as it was. */
static bool
take(struct peel *peel, unsigned i)
{
	const struct pb_trailer *trailer = &peel->list->at[i];
	struct pb_trailers *out = peel->out;
	uint32_t end = peel->end, type_at = peel->type_at;
	unsigned n = out->count;

	peel->trailer = trailer;
	peel->had_fcs = peel->fcs;
	peel->fcs = false;
	if (peel->had_fcs)
		peel->end -= peel_has(peel, FCS_BYTES) ? FCS_BYTES : 0;
	out->at[n] = (struct pb_stamp){
		.format = (uint8_t)trailer->format->number };
	if (peel->end < type_at + 2 ||
	    !trailer->format->take(peel, &out->at[n])) {
		peel->end = end;
		peel->type_at = type_at;
		peel->fcs = peel->had_fcs;
		return false;
	}
	if (out->keyframe) {
		peel->end = end;
		peel->fcs = peel->had_fcs;
	} else if (trailer->format->number != PB_STAMP_RAW) {
		out->place[n] = (uint8_t)(i + 1);
		out->count++;
	}
	return true;
}

static void
finish(struct peel *peel)
{
	struct pb_trailers *out = peel->out;

	out->has_fcs = peel->fcs && peel_has(peel, FCS_BYTES);
	if (out->has_fcs)
		peel->end -= FCS_BYTES;
	out->fcs_at = peel->end;
	out->len = peel->end;
	for (unsigned i = 0; i < out->holes; i++)
		out->len -= out->hole[i].bytes;
	turn(out);
}

/* From the order of reading to that of the way. */
static void
turn(struct pb_trailers *out)
{
	for (unsigned i = 0, j = out->count; i + 1 < j--; i++) {
		struct pb_stamp stamp = out->at[i];
		uint8_t place = out->place[i];

		out->at[i] = out->at[j];
		out->place[i] = out->place[j];
		out->at[j] = stamp;
		out->place[j] = place;
	}
}

int
pb_trailers_choose(const struct pb_trailers *read, int choice)
{
	for (unsigned i = 0; i < read->count; i++) {
		unsigned n = choice == PB_STAMP_OUTERMOST ?
		    read->count - 1 - i : i;

		if ((read->at[n].flags & PB_STAMP_TIMED) == 0)
			continue;
		if (choice < 0 || (int)read->place[n] == choice)
			return (int)n;
	}
	return -1;
}
