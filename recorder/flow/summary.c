/*
 * recorder/flow/summary.c - a flow table in few bytes: asked
 *
 * Shape by shape, until the answer can be no other.  What is made of one
 * shape stands on the stack; sets are asked where they lie.
 */
#include "recorder/flow/summary.h"

#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "recorder/filter/values.h"
#include "recorder/flow/shape.h"
#include "recorder/flow/summary_impl.h"

#define VARINT_BITS	28u	/* the last shift of one of 32 bits */

struct part {
	const uint8_t	*at, *end;
	bool		 broken;
};

struct sets {
	size_t		 sets;
	const uint8_t	*bytes[SUMMARY_SETS_MAX];
	size_t		 len[SUMMARY_SETS_MAX];
};

/* Of one shape what the summary says. */
struct said {
	const uint8_t	*name;
	uint8_t		 ones[PB_FLOW_BYTES], unknown[PB_FLOW_BYTES];
	struct pb_place	 place[SUMMARY_PLACES_MAX + 1];
	struct pb_places places;	/* with that of `always` */
	size_t		 own;		/* without it */
	struct pb_places_memo memo;	/* of this summary */
	const struct pb_places *always;	/* what the shape itself says */
	struct pb_alike	 alike;
};

static bool	whole(const uint8_t *, size_t);
static void	get_sets(struct part *, struct sets *, size_t);
static void	begin_shapes(struct said *);
static void	get_shape(struct part *, struct said *, const struct sets *);
static void	get_lengths(struct part *, struct pb_alike *);
static void	get_bytes(struct part *, struct said *);
static void	get_run(struct part *, struct said *, unsigned, uint32_t);
static void	get_places(struct part *, struct said *, const struct sets *);
static const uint8_t *take(struct part *, size_t);
static unsigned	take_byte(struct part *);
static uint32_t	take_varint(struct part *);

enum pb_verdict
pb_summary_verdict(const uint8_t *summary, size_t len,
    struct pb_question *question)
{
	struct part part = { summary, summary + len, false };
	const uint8_t *head;
	struct sets sets;
	struct said said;
	unsigned seen = 0;

	if (!whole(summary, len))
		return PB_VERDICT_EACH;
	part.end -= SUMMARY_DIGEST_BYTES;
	head = take(&part, SUMMARY_HEAD_BYTES);
	get_sets(&part, &sets, head[1]);
	begin_shapes(&said);
	for (unsigned i = 0; i < head[2] && seen != PB_VERDICT_EACH; i++) {
		const struct pb_inner *inner;
		const struct pb_filter *left;
		struct pb_alike bits;

		get_shape(&part, &said, &sets);
		if (part.broken)
			return PB_VERDICT_EACH;
		inner = pb_question_inner(question, &said.alike);
		if (inner != NULL) {
			seen |= pb_inner_verdict(inner, &said.alike);
			continue;
		}
		bits = said.alike;
		bits.places = said.always;
		left = pb_question_filter(question, said.name,
		    PB_FLOW_SHAPE_BYTES, &bits);
		seen |= pb_filter_verdict(left, &said.alike);
	}
	return part.broken || seen == 0 ? PB_VERDICT_EACH :
	    (enum pb_verdict)seen;
}

/* What was written, and of a version that is known. */
static bool
whole(const uint8_t *summary, size_t len)
{
	return len >= SUMMARY_HEAD_BYTES + SUMMARY_DIGEST_BYTES &&
	    len <= PB_SUMMARY_BYTES_MAX && summary[0] == SUMMARY_VERSION &&
	    pb_digest(summary, len - SUMMARY_DIGEST_BYTES) ==
	    pb_get_le64(summary + len - SUMMARY_DIGEST_BYTES);
}

/* The digest stands behind the last of them: PB_VALUES_BEHIND. */
static void
get_sets(struct part *part, struct sets *sets, size_t count)
{
	if (count > SUMMARY_SETS_MAX)
		part->broken = true;
	sets->sets = part->broken ? 0 : count;
	for (size_t i = 0; i < sets->sets; i++) {
		const uint8_t *len = take(part, 2);

		sets->len[i] = len == NULL ? 0 : pb_get_le16(len);
		sets->bytes[i] = take(part, sets->len[i]);
	}
}

static void
begin_shapes(struct said *said)
{
	memset(said->ones, 0, sizeof(said->ones));
	memset(said->unknown, 0xff, sizeof(said->unknown));
	said->places = (struct pb_places){ said->place, 0, &said->memo };
	memset(&said->memo, 0, sizeof(said->memo));
	said->own = 0;
	memset(&said->alike, 0, sizeof(said->alike));
	said->alike.ones = said->ones;
	said->alike.unknown = said->unknown;
	said->alike.places = &said->places;
}

/* What is there is that of the shape before. */
static void
get_shape(struct part *part, struct said *said, const struct sets *sets)
{
	struct pb_flow_key key = { 0 };

	said->name = take(part, PB_FLOW_SHAPE_BYTES);
	get_lengths(part, &said->alike);
	get_bytes(part, said);
	get_places(part, said, sets);
	if (part->broken)
		return;
	memcpy(&key, said->name, PB_FLOW_SHAPE_BYTES);
	said->always = pb_flow_shape_places(&key);
	said->places.places = said->own;
	if (said->always != NULL)
		said->place[said->places.places++] = said->always->place[0];
}

static void
get_lengths(struct part *part, struct pb_alike *alike)
{
	uint32_t more[2];

	alike->caplen_min = take_varint(part);
	more[0] = take_varint(part);
	alike->len_min = take_varint(part);
	more[1] = take_varint(part);
	if (more[0] > UINT32_MAX - alike->caplen_min ||
	    more[1] > UINT32_MAX - alike->len_min)
		part->broken = true;
	alike->caplen_max = alike->caplen_min + more[0];
	alike->len_max = alike->len_min + more[1];
}

static void
get_bytes(struct part *part, struct said *said)
{
	uint32_t at = 0;

	for (unsigned runs = take_byte(part); runs > 0; runs--) {
		unsigned run = take_byte(part);
		uint32_t len = run % RUN_BYTES_MAX + 1;

		if (len > PB_FLOW_BYTES - at)
			part->broken = true;
		if (part->broken)
			return;
		said->alike.bytes = at;
		get_run(part, said, run >> RUN_SHIFT, len);
		at += len;
	}
	memset(said->ones + at, 0, PB_FLOW_BYTES - at);
	memset(said->unknown + at, 0xff, PB_FLOW_BYTES - at);
	said->alike.bytes = at;
}

static void
get_run(struct part *part, struct said *said, unsigned kind, uint32_t len)
{
	uint8_t *ones = said->ones + said->alike.bytes;
	uint8_t *unknown = said->unknown + said->alike.bytes;
	const uint8_t *bytes = take(part, kind == RUN_KNOWN ? len :
	    kind == RUN_BITS ? 2 * len : 0);

	if (bytes == NULL || kind == RUN_SAME)
		return;
	memset(unknown, kind == RUN_KNOWN ? 0 : 0xff, len);
	if (kind == RUN_KNOWN)
		memcpy(ones, bytes, len);
	else
		memset(ones, 0, len);
	for (uint32_t i = 0; kind == RUN_BITS && i < len; i++) {
		unknown[i] = bytes[2 * i + 1];
		ones[i] = bytes[2 * i] & (uint8_t)~unknown[i];
	}
}

static void
get_places(struct part *part, struct said *said, const struct sets *sets)
{
	unsigned places = take_byte(part);

	if (places == PLACES_SAME)
		return;
	if (places > SUMMARY_PLACES_MAX)
		part->broken = true;
	said->own = part->broken ? 0 : places;
	for (unsigned i = 0; i < said->own; i++) {
		const uint8_t *place = take(part, 3);

		if (place == NULL || place[0] >= sets->sets ||
		    place[2] == 0 || place[2] > 4) {
			part->broken = true;
			return;
		}
		said->place[i] = (struct pb_place){ .at = place[1],
		    .bytes = place[2], .values = sets->bytes[place[0]],
		    .len = sets->len[place[0]] };
	}
}

/* NULL, and nothing more after it, where there are fewer. */
static const uint8_t *
take(struct part *part, size_t bytes)
{
	const uint8_t *at = part->at;

	if (part->broken || bytes > (size_t)(part->end - at)) {
		part->broken = true;
		return NULL;
	}
	part->at += bytes;
	return at;
}

static unsigned
take_byte(struct part *part)
{
	const uint8_t *at = take(part, 1);

	return at == NULL ? 0 : *at;
}

static uint32_t
take_varint(struct part *part)
{
	uint32_t value = 0;
	unsigned byte, shift = 0;

	do {
		byte = take_byte(part);
		value |= (byte & 0x7f) << shift;
		shift += 7;
	} while (byte >= 0x80 && shift <= VARINT_BITS);
	if (byte >= 0x80)
		part->broken = true;
	return value;
}
