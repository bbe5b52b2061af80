/*
 * recorder/query/seen/stamps.c - what switches stamped on stored packets
 */
#include "recorder/query/seen/stamps.h"

#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define TAI_UTC_MAX	255
/* A fraction of 1/2^32 ns in ten decimals: times 10^10, by 2^32. */
#define FIVE_10		UINT64_C(9765625)
#define FRACTION_SHIFT	22
#define FRACTION_DIGITS	10

static bool	capture_of(const struct pb_packet *, struct pb_stamped *);
static void	read_frame(const struct pb_packet *,
		    const struct pb_trailer_list *,
		    struct pb_trailer_context *, struct pb_stamped *);
/* Streams */
static int	by_key(const void *, const void *);
static void	follow_head(struct pb_stamp_stream *, const struct pb_head *,
		    const struct pb_trailer_list *);
static void	free_stream(void *);
/* For people */
static int	fraction_digits(uint32_t, char [static FRACTION_DIGITS + 1]);

int
pb_stamps_list(const char *interface_text, struct pb_trailer_list *out)
{
	char word[PB_INTERFACE_TEXT_MAX];
	uint64_t tai_utc = PB_TAI_UTC;

	memset(out, 0, sizeof(*out));
	pb_interface_word(interface_text, "trailers", word);
	if (pb_trailer_list_parse(out, word, NULL) < 0)
		memset(out, 0, sizeof(*out));
	pb_interface_word(interface_text, "fcs", word);
	out->fcs = strcmp(word, "yes") == 0;
	pb_interface_word(interface_text, "tai_utc", word);
	if (word[0] != '\0' &&
	    pb_parse_u64(word, 0, TAI_UTC_MAX, &tai_utc, NULL) < 0)
		tai_utc = PB_TAI_UTC;
	out->tai_utc = (int)tai_utc;
	return out->count > 0 || out->fcs;
}

int
pb_stamps_of(const struct pb_packet *packet,
    const struct pb_trailer_list *list, struct pb_trailer_context *context,
    struct pb_stamped *out)
{
	if (!capture_of(packet, out) || out->count == 0)
		read_frame(packet, list, context, out);
	return out->count > 0;
}

int
pb_stamps_read(const struct pb_packet *packet,
    const struct pb_trailer_list *list, struct pb_trailer_context *context,
    struct pb_stamped *out)
{
	bool others;

	capture_of(packet, out);
	others = out->from != 0;
	read_frame(packet, list, context, out);
	out->from = others ? (uint8_t)pb_stamps_of_time(out,
	    packet->time_ns) : 0;
	return out->count > 0;
}

uint64_t
pb_stamps_captured(const struct pb_packet *packet)
{
	struct pb_stamped stamped;

	capture_of(packet, &stamped);
	return stamped.capture_ns;
}

/* What stands beside the packet; false where there is nothing, and all that
 * is known is its time. */
static bool
capture_of(const struct pb_packet *packet, struct pb_stamped *out)
{
	if (pb_stamped_get(packet->options, packet->options_len, out) > 0)
		return true;
	out->capture_ns = packet->time_ns;
	out->from = out->count = 0;
	return false;
}

static void
read_frame(const struct pb_packet *packet,
    const struct pb_trailer_list *list, struct pb_trailer_context *context,
    struct pb_stamped *out)
{
	struct pb_trailers read;

	out->count = 0;
	if (list->count > 0 && (context != NULL || !list->needs_context)) {
		pb_trailers_read(list, context, packet->data, packet->caplen,
		    packet->origlen, out->capture_ns, &read);
		out->count = (uint8_t)read.count;
		memcpy(out->at, read.at, read.count * sizeof(out->at[0]));
	}
	if (out->from > out->count)
		out->from = 0;
}

unsigned
pb_stamps_of_time(const struct pb_stamped *stamped, uint64_t time_ns)
{
	for (unsigned i = 0; i < stamped->count; i++)
		if ((stamped->at[i].flags & PB_STAMP_TIMED) != 0 &&
		    stamped->at[i].time_ns == time_ns)
			return i + 1;
	return 0;
}

/* --- streams ------------------------------------------------------------- */

void
pb_stamper_init(struct pb_stamper *stamper,
    const struct pb_trailer_list *given)
{
	*stamper = (struct pb_stamper){ .given = given };
}

void
pb_stamper_finish(struct pb_stamper *stamper)
{
	tdestroy(stamper->tree, free_stream);
	*stamper = (struct pb_stamper){ .given = NULL };
}

struct pb_stamp_stream *
pb_stamper_stream(struct pb_stamper *stamper, const struct pb_head *head)
{
	struct pb_stamp_stream wanted = { .head = (struct pb_head *)head };
	struct pb_stamp_stream **found, *stream = stamper->last;

	if (stream != NULL && stream->head == head)
		return stream;
	found = tfind(&wanted, &stamper->tree, by_key);
	if (found != NULL && (*found)->head == head)
		return stamper->last = *found;
	stream = found != NULL ? *found : calloc(1, sizeof(*stream));
	if (stream == NULL)
		return NULL;
	follow_head(stream, head, stamper->given);
	if (found == NULL && tsearch(stream, &stamper->tree, by_key) == NULL) {
		free_stream(stream);
		return NULL;
	}
	return stamper->last = stream;
}

int
pb_stamper_read(struct pb_stamper *stamper, const struct pb_head *head,
    const struct pb_packet *packet, struct pb_stamped *out)
{
	struct pb_stamp_stream *stream = pb_stamper_stream(stamper, head);

	if (stream == NULL)
		return PB_ENOMEM;
	return stamper->given != NULL ?
	    pb_stamps_read(packet, &stream->list, &stream->context, out) :
	    pb_stamps_of(packet, &stream->list, &stream->context, out);
}

static int
by_key(const void *a, const void *b)
{
	const struct pb_identity *x =
	    &((const struct pb_stamp_stream *)a)->head->identity;
	const struct pb_identity *y =
	    &((const struct pb_stamp_stream *)b)->head->identity;
	int by;

	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	by = strcmp(x->node[0].name, y->node[0].name);
	return by != 0 ? by : strcmp(x->interface, y->interface);
}

/* From here on its packets are of `head`, of the same stream: with another
 * list what was told before means nothing. */
static void
follow_head(struct pb_stamp_stream *stream, const struct pb_head *head,
    const struct pb_trailer_list *given)
{
	struct pb_trailer_list before = stream->list;
	int tai_utc;

	pb_head_unref(stream->head);
	stream->head = pb_head_ref((struct pb_head *)head);
	if (pb_interface_text_get(head->idb_options.data,
	    head->idb_options.len, stream->text) <= 0)
		stream->text[0] = '\0';
	pb_stamps_list(stream->text, &stream->list);
	if (given != NULL) {
		tai_utc = stream->list.tai_utc;
		stream->list = *given;
		stream->list.tai_utc = tai_utc;
	}
	if (head->linktype != PB_LINKTYPE_ETHERNET)
		memset(&stream->list, 0, sizeof(stream->list));
	if (memcmp(&before, &stream->list, sizeof(before)) != 0)
		memset(&stream->context, 0, sizeof(stream->context));
}

static void
free_stream(void *arg)
{
	struct pb_stamp_stream *stream = arg;

	pb_head_unref(stream->head);
	free(stream);
}

/* --- for people ---------------------------------------------------------- */

const char *
pb_stamp_time(const struct pb_stamp *stamp, char out[static PB_STAMP_TIME_MAX])
{
	char digits[FRACTION_DIGITS + 1];
	size_t len = strlen(pb_time_format(stamp->time_ns, out)) - 1;
	int count = fraction_digits(stamp->fraction, digits);

	memcpy(out + len, digits, (size_t)count);
	strcpy(out + len + count, "Z");
	return out;
}

const char *
pb_stamp_word(const struct pb_stamp *stamp, unsigned n)
{
	static const struct {
		uint8_t	 mask, is;
		const char *word;
	} known[] = {
		{ PB_STAMP_FCS_VALID, PB_STAMP_FCS_VALID, "fcs_valid" },
		{ PB_STAMP_DUPLICATE, PB_STAMP_DUPLICATE, "duplicate" },
		{ PB_STAMP_DEGRADED, PB_STAMP_DEGRADED, "degraded" },
		{ PB_STAMP_EXTENDED, PB_STAMP_EXTENDED, "extended" },
		{ PB_STAMP_ADRIFT, PB_STAMP_ADRIFT, "adrift" },
		{ PB_STAMP_TIMED, 0, "invalid" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if ((stamp->flags & known[i].mask) == known[i].is && n-- == 0)
			return known[i].word;
	return NULL;
}

int
pb_stamp_comment(struct pb_buf *out, unsigned n,
    const struct pb_stamped *stamped)
{
	const struct pb_stamp *stamp = &stamped->at[n - 1];
	char digits[FRACTION_DIGITS + 1];
	const char *word;

	pb_buf_printf(out, "pb.stamp n=%u trailer=%s", n,
	    pb_stamp_format_name(stamp->format));
	if ((stamp->flags & PB_STAMP_PLACED) != 0)
		pb_buf_printf(out, " device=%u port=%u", stamp->device,
		    stamp->port);
	if ((stamp->flags & PB_STAMP_SEQUENCED) != 0)
		pb_buf_printf(out, " seq=%" PRIu32, stamp->seq);
	fraction_digits(stamp->fraction, digits);
	if ((stamp->flags & PB_STAMP_TIMED) != 0)
		pb_buf_printf(out, " ts=%" PRIu64 ".%09" PRIu64 "%s",
		    (uint64_t)(stamp->time_ns / PB_NS_PER_S),
		    (uint64_t)(stamp->time_ns % PB_NS_PER_S), digits);
	for (unsigned i = 0; (word = pb_stamp_word(stamp, i)) != NULL; i++)
		pb_buf_printf(out, "%s%s", i == 0 ? " flags=" : ",", word);
	return pb_buf_str(out, n == stamped->from ? " time=packet" : "");
}

/* Its decimals without zeros at the end, which may be none: how many. */
static int
fraction_digits(uint32_t fraction, char out[static FRACTION_DIGITS + 1])
{
	uint64_t rounded = ((uint64_t)fraction * FIVE_10 +
	    (1u << (FRACTION_SHIFT - 1))) >> FRACTION_SHIFT;
	int len = FRACTION_DIGITS;

	for (int i = FRACTION_DIGITS - 1; i >= 0; i--, rounded /= 10)
		out[i] = (char)('0' + rounded % 10);
	while (len > 0 && out[len - 1] == '0')
		len--;
	out[len] = '\0';
	return len;
}
