/*
 * tests/fuzz/fuzz_trailer.c - any bytes as frames behind any list of trailers
 *
 * A byte of flags and one of how long the list's text is, that text, then
 * frames: the bytes captured and those missing of each in 3 bytes, and the
 * frame, read from memory of that size.
 */
#include <string.h>

#include "base/bytes.h"
#include "pcapng/hop.h"
#include "recorder/trailer/trailer.h"
#include "tests/fuzz/fuzz.h"

#define NOW_NS	1700000000000000000u

static struct pb_trailer_list list;
static struct pb_trailer_context context;

/* A list that is read is written, and read again the same. */
static bool
list_of(const uint8_t *data, size_t len)
{
	char text[256], again[PB_TRAILER_TEXT_MAX], same[PB_TRAILER_TEXT_MAX];
	struct pb_trailer_list other = { 0 };
	struct pb_err err;
	int choice;

	memcpy(text, data, len);
	text[len] = '\0';
	pb_stamp_choice_parse(&choice, text, &err);
	memset(&list, 0, sizeof(list));
	memset(&context, 0, sizeof(context));
	if (pb_trailer_list_parse(&list, text, &err) < 0)
		return false;
	pb_trailer_list_text(&list, again);
	MUST(pb_trailer_list_parse(&other, again, &err) == 0);
	pb_trailer_list_text(&other, same);
	MUST(strcmp(again, same) == 0 && list.stamps == other.stamps);
	return true;
}

/* What is left and what was taken out come to what was there. */
static void
within(const struct pb_trailers *got, const uint8_t *frame, uint32_t caplen)
{
	uint32_t at = 0, out = 0;
	uint8_t *copy = malloc(caplen > 0 ? caplen : 1);

	MUST(copy != NULL);
	MUST(got->read <= list.count && got->count <= got->read);
	MUST(got->fcs_at + (got->has_fcs ? 4u : 0u) <= caplen);
	for (unsigned i = 0; i < got->holes; i++) {
		MUST(got->hole[i].at >= at);
		at = (uint32_t)got->hole[i].at + got->hole[i].bytes;
		out += got->hole[i].bytes;
	}
	MUST(at <= got->fcs_at && got->len == got->fcs_at - out);
	MUST(pb_trailers_strip(got, frame, true, copy) ==
	    got->len + (got->has_fcs ? 4 : 0));
	pb_trailers_check_fcs(got, frame);
	for (unsigned i = 0; i < got->count; i++)
		MUST((got->at[i].flags & (PB_STAMP_TIMED | PB_STAMP_ADRIFT)) !=
		    (PB_STAMP_TIMED | PB_STAMP_ADRIFT));
	for (int choice = PB_STAMP_OUTERMOST; choice <= PB_STAMPS_MAX;
	    choice++)
		MUST(pb_trailers_choose(got, choice) < (int)got->count);
	free(copy);
}

/* The stamps that were read stand as an option, and come back. */
static void
kept(const struct pb_trailers *got)
{
	uint8_t option[512], again[512];
	struct pb_stamped stamped = { .capture_ns = NOW_NS,
	    .count = (uint8_t)got->count }, back;
	size_t len;

	memcpy(stamped.at, got->at, sizeof(stamped.at));
	len = pb_stamped_write(option, PB_PEN_EXAMPLE, &stamped);
	MUST(len == pb_stamped_bytes(got->count) && len <= sizeof(option));
	MUST(pb_stamped_get(option, len, &back) == 1);
	MUST(pb_stamped_write(again, PB_PEN_EXAMPLE, &back) == len);
	MUST(memcmp(again, option, len) == 0);
}

/* Any bytes as options. */
static void
options(const uint8_t *data, size_t len)
{
	char text[PB_INTERFACE_TEXT_MAX], word[PB_INTERFACE_TEXT_MAX];
	struct pb_stamped stamped;

	if (pb_stamped_get(data, len, &stamped) == 1)
		MUST(stamped.count <= PB_STAMPS_MAX);
	if (pb_interface_text_get(data, len, text) == 1) {
		pb_interface_word(text, "trailers", word);
		MUST(strlen(word) <= strlen(text));
	}
}

static void
frames(struct pb_trailer_guess *guess, const uint8_t *data, size_t size)
{
	for (uint64_t now = NOW_NS; size >= 3; now += 100000000) {
		uint32_t caplen = pb_get_le16(data), missing = data[2];
		struct pb_trailers got;
		uint8_t *frame;

		data += 3;
		size -= 3;
		caplen = caplen < size ? caplen : (uint32_t)size;
		frame = malloc(caplen > 0 ? caplen : 1);
		MUST(frame != NULL);
		memcpy(frame, data, caplen);
		memset(&got, 0xA5, sizeof(got));
		pb_trailers_read(&list, &context, frame, caplen,
		    caplen + missing, now, &got);
		within(&got, frame, caplen);
		kept(&got);
		pb_trailer_guess_frame(guess, frame, caplen, caplen + missing,
		    now);
		free(frame);
		data += caplen;
		size -= caplen;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_trailer_guess *guess;
	struct pb_trailer_fit fit;
	struct pb_err err;
	size_t len;

	options(data, size);
	if (size < 2 || size - 2 < data[1])
		return 0;
	len = data[1];
	if (!list_of(data + 2, len))
		return 0;
	list.fcs = data[0] & 1;
	list.tai_utc = (int8_t)data[0] / 2;
	MUST(pb_trailer_guess_create(&guess, &err) == 0);
	frames(guess, data + 2 + len, size - 2 - len);
	for (size_t n = 0; pb_trailer_guess_fit(guess, n, &fit); n++)
		MUST(fit.fits <= fit.frames);
	pb_trailer_guess_destroy(guess);
	return 0;
}
