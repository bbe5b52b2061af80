/*
 * recorder/trailer/list.c - what people write: lists of trailers, and whose
 * time counts
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "recorder/trailer/formats.h"

#define WORD_MAX	64
#define TAI		"@tai"

static int	word_parse(struct pb_trailer_list *, const char *, size_t,
		    struct pb_err *);
static const struct pb_trailer_format *format_find(const char *, size_t);
static int	format_unknown(const char *, struct pb_err *);
static int	argument_parse(const struct pb_trailer_format *, const char *,
		    unsigned *, struct pb_err *);

int
pb_trailer_list_parse(struct pb_trailer_list *out, const char *text,
    struct pb_err *err)
{
	struct pb_trailer_list list = { .fcs = out->fcs,
	    .tai_utc = out->tai_utc };
	const char *word;
	size_t len;
	bool none = false;

	while (pb_list_next(&text, &word, &len)) {
		if (len == 4 && memcmp(word, "none", len) == 0)
			none = true;
		else if (word_parse(&list, word, len, err) < 0)
			return PB_EINVAL;
	}
	if (none && list.count > 0)
		return pb_err_set(err, PB_EINVAL, "`none` stands alone in a "
		    "list of trailers");
	*out = list;
	return 0;
}

void
pb_trailer_add(struct pb_trailer_list *list,
    const struct pb_trailer_format *format, unsigned argument, bool tai)
{
	struct pb_trailer *trailer = &list->at[list->count++];
	bool header = format->argument.hexadecimal && argument != 0;

	*trailer = (struct pb_trailer){ .format = format,
	    .argument = (uint16_t)argument, .tai = tai,
	    .keeps_fcs = format->keeps_fcs,
	    .tail = (uint8_t)(header ? 0 : format->tail +
		(format->argument.bytes ? argument : 0)) };
	list->needs_context |= format->keyframes;
	list->headers = (list->count == 1 || list->headers) &&
	    trailer->tail == 0;
	/* Where a switch put on two, there is room between for an FCS. */
	if (format->number == PB_STAMP_BROADCOM && list->count > 1 &&
	    trailer[-1].format == format)
		trailer[-1].keeps_fcs = true;
	if (format->take == NULL)
		return;
	memmove(list->place + 1, list->place, list->stamps++);
	list->place[0] = (uint8_t)list->count;
}

void
pb_trailer_list_text(const struct pb_trailer_list *list,
    char out[static PB_TRAILER_TEXT_MAX])
{
	size_t len = 0;

	if (list->count == 0)
		strcpy(out, "none");
	for (unsigned i = 0; i < list->count; i++) {
		const struct pb_trailer *trailer = &list->at[i];
		char argument[16] = "";

		if (trailer->argument != 0)
			snprintf(argument, sizeof(argument),
			    trailer->format->argument.hexadecimal ?
			    ":0x%04x" : ":%u", trailer->argument);
		len += (size_t)snprintf(out + len, PB_TRAILER_TEXT_MAX - len,
		    "%s%s%s%s", i > 0 ? "," : "", trailer->format->name,
		    argument, trailer->tai ? TAI : "");
	}
}

int
pb_stamp_choice_parse(int *out, const char *text, struct pb_err *err)
{
	uint64_t n;

	if (strcmp(text, "capture") == 0)
		*out = PB_STAMP_CAPTURE;
	else if (strcmp(text, "trailer") == 0)
		*out = PB_STAMP_INNERMOST;
	else if (strcmp(text, "outermost") == 0)
		*out = PB_STAMP_OUTERMOST;
	else if (strncmp(text, "trailer:", 8) == 0 &&
	    pb_parse_u64(text + 8, 1, PB_STAMPS_MAX, &n, NULL) == 0)
		*out = (int)n;
	else
		return pb_err_set(err, PB_EINVAL, "'%.64s' is no clock: there "
		    "are capture, trailer (the innermost), outermost, and "
		    "trailer:N, the N-th of the list, 1 to %d", text,
		    PB_STAMPS_MAX);
	return 0;
}

/* --- a word -------------------------------------------------------------- */

static int
word_parse(struct pb_trailer_list *list, const char *at, size_t len,
    struct pb_err *err)
{
	const struct pb_trailer_format *format;
	char word[WORD_MAX], *text, *scale;
	unsigned argument = 0;

	if (list->count == PB_STAMPS_MAX)
		return pb_err_set(err, PB_EINVAL, "a list has at most %d "
		    "trailers", PB_STAMPS_MAX);
	snprintf(word, sizeof(word), "%.*s", (int)(len < WORD_MAX ? len :
	    WORD_MAX), at);
	scale = strchr(word, '@');
	if (scale != NULL && strcmp(scale, TAI) != 0)
		return pb_err_set(err, PB_EINVAL, "%s: behind a trailer's "
		    "name there may be " TAI ", nothing else", word);
	if (scale != NULL)
		*scale = '\0';
	text = strchr(word, ':');
	if (text != NULL)
		*text++ = '\0';
	format = format_find(word, strlen(word));
	if (format == NULL)
		return format_unknown(word, err);
	if (scale != NULL && format->take == NULL)
		return pb_err_set(err, PB_EINVAL, "%s" TAI ": these are bytes "
		    "without a time", word);
	if (scale != NULL && format->says_scale)
		return pb_err_set(err, PB_EINVAL, "%s" TAI ": these say "
		    "themselves whether they are TAI", word);
	if (argument_parse(format, text, &argument, err) < 0)
		return PB_EINVAL;
	pb_trailer_add(list, format, argument, scale != NULL);
	return 0;
}

static const struct pb_trailer_format *
format_find(const char *name, size_t len)
{
	for (size_t i = 0; i < PB_TRAILER_FORMATS; i++) {
		const struct pb_trailer_format *f = &pb_trailer_formats[i];

		if (strlen(f->name) == len && memcmp(f->name, name, len) == 0)
			return f;
	}
	return NULL;
}

static int
format_unknown(const char *word, struct pb_err *err)
{
	const char *names[PB_TRAILER_FORMATS], *near;
	char known[PB_TRAILER_FORMATS * 12] = "";

	for (size_t i = 0; i < PB_TRAILER_FORMATS; i++) {
		names[i] = pb_trailer_formats[i].name;
		strcat(strcat(known, i > 0 ? ", " : ""), names[i]);
	}
	near = pb_nearest(word, names, PB_TRAILER_FORMATS);
	if (near != NULL)
		return pb_err_set(err, PB_EINVAL, "'%s' is no trailer; did "
		    "you mean %s?", word, near);
	return pb_err_set(err, PB_EINVAL, "'%s' is no trailer; there are %s",
	    word, known);
}

static int
argument_parse(const struct pb_trailer_format *format, const char *text,
    unsigned *out, struct pb_err *err)
{
	const char *name = format->name;
	unsigned min = format->argument.min, max = format->argument.max;
	bool hexadecimal = format->argument.hexadecimal;
	uint64_t value = 0;

	if (text == NULL && !format->argument.needed)
		return 0;
	if (max == 0)
		return pb_err_set(err, PB_EINVAL, "%s takes no number: write "
		    "%s", name, name);
	if (text != NULL && hexadecimal && strncmp(text, "0x", 2) == 0 &&
	    strlen(text) <= 6 &&
	    strspn(text + 2, "0123456789abcdefABCDEF") == strlen(text + 2))
		value = strtoul(text + 2, NULL, 16);
	else if (text != NULL &&
	    pb_parse_u64(text, min, max, &value, NULL) < 0)
		value = 0;
	if (value < min || value > max)
		return pb_err_set(err, PB_EINVAL, hexadecimal ?
		    "%s: write %s:N, N from 0x%x to 0x%x" :
		    "%s: write %s:N, N from %u to %u", name, name, min, max);
	*out = (unsigned)value;
	return 0;
}
