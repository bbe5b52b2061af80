/*
 * recorder/trailer/read.c - a frame peeled by a list, and whose time counts
 *
 * Where what is left ends with an FCS, that goes before the next trailer is
 * looked for: a switch that puts something on a frame either keeps the FCS
 * inside what it puts on, or drops it.
 *
 * A frame that ends just where what it carries does, or is padded to the least
 * that there is, has nothing behind that: no trailer parses there, though its
 * bytes might.  One that carries more than it has was cut by a switch, and
 * may have trailers.
 */
#include <linux/if_ether.h>

#include "recorder/trailer/formats.h"

static void	set_carried(struct peel *);
static bool	tail_off(struct peel *, const struct pb_trailer *);
static bool	is_bare(const struct peel *, uint32_t, uint32_t);
static bool	take(struct peel *, const struct pb_trailer *,
		    struct pb_stamp *);
static void	fewer(struct pb_trailers *, unsigned, unsigned);
static void	finish(struct pb_trailers *, uint32_t, bool);

void
pb_trailers_read(const struct pb_trailer_list *list,
    struct pb_trailer_context *context, const uint8_t *frame,
    uint32_t caplen, uint32_t len, uint64_t capture_ns,
    struct pb_trailers *out)
{
	const struct pb_trailer *trailer = list->at;
	const struct pb_trailer *end = trailer +
	    (caplen < len && !list->headers ? 0 : list->count);
	unsigned n = list->stamps;	/* filled from the last one on */
	struct peel peel = { .list = list, .context = context,
	    .frame = frame, .capture_ns = capture_ns, .out = out,
	    .end = caplen < len ? caplen : len,
	    .type_at = ETHERNET_TYPE_AT,
	    .had_fcs = list->fcs && caplen >= len };

	out->holes = 0;
	out->keyframe = false;
	memcpy(out->place, list->place, sizeof(out->place));
	if (trailer < end && peel_has(&peel, 0))
		set_carried(&peel);
	for (; trailer < end; trailer++) {
		uint32_t before = peel.end;

		if (!tail_off(&peel, trailer))
			break;
		if (trailer->format->take != NULL) {
			if (!take(&peel, trailer, &out->at[n - 1]) ||
			    out->keyframe) {
				peel.end = before;
				break;
			}
			n--;
		}
		peel.had_fcs = trailer->keeps_fcs;
	}
	/* A keyframe was made by its switch: nothing is inside. */
	out->read = out->keyframe ? list->count :
	    (unsigned)(trailer - list->at);
	out->whole = out->read == list->count && (caplen >= len || !list->fcs);
	out->count = list->stamps - n;
	if (n > 0)
		fewer(out, n, list->stamps);
	finish(out, peel.end, peel.had_fcs);
}

/* Most frames are IPv4 without tags: these in a few instructions. */
static inline void
set_carried(struct peel *peel)
{
	const uint8_t *type = peel->frame + ETHERNET_TYPE_AT;

	if (peel_has(peel, IPV4_HEADER) && pb_get_be16(type) == ETH_P_IP &&
	    type[2] == 0x45) {
		peel->ip = true;
		peel->carried = ETHERNET_TYPE_AT + 2 + pb_get_be16(type + 4);
	} else {
		peel->carried = pb_peel_carried(peel, &peel->ip);
	}
}

/* What it has at least, and the FCS behind it; false leaves the peel. */
static inline bool
tail_off(struct peel *peel, const struct pb_trailer *trailer)
{
	uint32_t fcs = peel->had_fcs ? FCS_BYTES : 0;
	uint32_t off = trailer->tail + fcs;

	if (!peel_has(peel, off + (trailer->keeps_fcs ? FCS_BYTES : 0)))
		return false;
	peel->bare = is_bare(peel, peel->end - fcs, trailer->tail);
	/* Headers are elsewhere, and keyframes have none. */
	if (__builtin_expect(peel->bare, 0) && trailer->tail > 0 &&
	    !trailer->format->keyframes)
		return false;
	peel->end -= off;
	return true;
}

/* Is there nothing behind what the frame of `len` bytes carries?  An IP packet
 * that a switch took a tag from may be shorter than frames are, and then as
 * long as the least with its trailer: that is in the packet or it is not. */
static inline bool
is_bare(const struct peel *peel, uint32_t len, uint32_t tail)
{
	if (__builtin_expect(len != peel->carried && len != FRAME_MIN, 1))
		return false;
	return len == peel->carried || (peel->carried > 0 &&
	    peel->carried < len && (!peel->ip || len - tail < peel->carried));
}

static inline bool
take(struct peel *peel, const struct pb_trailer *trailer,
    struct pb_stamp *stamp)
{
	peel->trailer = trailer;
	*stamp = (struct pb_stamp){
	    .format = (uint8_t)trailer->format->number };
	return trailer->format->take(peel, peel->frame + peel->end, stamp);
}

/* The first `n` of `stamps` were not read. */
static void
fewer(struct pb_trailers *out, unsigned n, unsigned stamps)
{
	memmove(out->at, out->at + n, (stamps - n) * sizeof(out->at[0]));
	memmove(out->place, out->place + n, stamps - n);
}

static inline void
finish(struct pb_trailers *out, uint32_t end, bool fcs)
{
	out->has_fcs = fcs && end >= ETHERNET_TYPE_AT + 2 + FCS_BYTES;
	if (out->has_fcs)
		end -= FCS_BYTES;
	out->fcs_at = end;
	out->len = end;
	for (unsigned i = 0; i < out->holes; i++)
		out->len -= out->hole[i].bytes;
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
