/*
 * cli/trailers/subject.c - packets of one interface, and which lists of
 * trailers parse them
 */
#include "cli/trailers/subject.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/list.h"
#include "base/text.h"
#include "recorder/query/seen/stamps.h"

#define FITS_TOLD	5u	/* the best of them */
#define LINES		2u	/* of a configuration */
#define LINE_MAX_BYTES	(PB_TRAILER_TEXT_MAX + 16)

static unsigned	configure(const struct pb_trailer_list *,
		    char [static LINES][LINE_MAX_BYTES]);
static bool	nth(const struct pb_subject *, size_t,
		    struct pb_trailer_fit *);

int
pb_subjects_add(struct pb_subjects *subjects, struct pb_subject **out,
    struct pb_err *err)
{
	struct pb_subject *subject;

	if (subjects->count == PB_SUBJECTS_MAX)
		return pb_err_set(err, PB_ELIMIT, "more than %u interfaces; "
		    "name fewer of them", PB_SUBJECTS_MAX);
	if (!PB_LIST_ROOM(subjects->at, subjects->cap, subjects->count))
		return pb_err_set(err, PB_ENOMEM, "no memory for a list");
	subject = &subjects->at[subjects->count];
	*subject = (struct pb_subject){ .packets = 0 };
	if (pb_trailer_guess_create(&subject->guess, err) < 0)
		return PB_ENOMEM;
	subjects->count++;
	*out = subject;
	return 0;
}

void
pb_subjects_finish(struct pb_subjects *subjects)
{
	for (size_t i = 0; i < subjects->count; i++)
		pb_trailer_guess_destroy(subjects->at[i].guess);
	free(subjects->at);
	*subjects = (struct pb_subjects){ .count = 0 };
}

void
pb_subject_packet(struct pb_subject *subject, const struct pb_packet *packet)
{
	subject->packets++;
	subject->cut += packet->caplen < packet->origlen;
	pb_trailer_guess_frame(subject->guess, packet->data, packet->caplen,
	    packet->origlen, pb_stamps_captured(packet));
}

bool
pb_subject_fits(const struct pb_subject *subject)
{
	struct pb_trailer_fit best;

	return nth(subject, 0, &best);
}

void
pb_subject_text(const struct pb_subject *subject, struct pb_buf *out)
{
	char name[PATH_MAX], line[LINES][LINE_MAX_BYTES];
	char list[PB_TRAILER_TEXT_MAX];
	struct pb_trailer_fit fit;
	unsigned lines;

	pb_utf8_clean(name, sizeof(name), subject->name,
	    strlen(subject->name));
	pb_buf_printf(out, "%s: %" PRIu64 " packets", name,
	    subject->packets);
	if (!pb_subject_fits(subject)) {
		pb_buf_str(out, subject->packets == 0 ? " to look at\n" :
		    "; no list of trailers that is known here parses most "
		    "of them\n");
		if (subject->cut > 0)
			pb_buf_printf(out, "%" PRIu64 " of them were cut when "
			    "they were captured: they have no end to look "
			    "at\n", subject->cut);
		return;
	}
	pb_buf_str(out, "; these lists parse them, the best first:\n");
	for (size_t i = 0; i < FITS_TOLD && nth(subject, i, &fit); i++) {
		pb_trailer_list_text(&fit.list, list);
		pb_buf_printf(out, "%8.2f %%  %s%s\n", 100.0 *
		    (double)fit.fits / (double)fit.frames, list,
		    fit.list.fcs ? ", and an FCS behind" : "");
	}
	nth(subject, 0, &fit);
	lines = configure(&fit.list, line);
	pb_buf_str(out, "In the [capture] section of the interface:\n");
	for (unsigned i = 0; i < lines; i++)
		pb_buf_printf(out, "%s\n", line[i]);
}

void
pb_subject_json(const struct pb_subject *subject, struct pb_buf *out)
{
	char list[PB_TRAILER_TEXT_MAX], line[LINES][LINE_MAX_BYTES];
	struct pb_trailer_fit fit;
	struct pb_json json;
	unsigned lines = 0;

	pb_json_init(&json, out);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "name", subject->name);
	pb_json_u64(&json, "packets", subject->packets);
	pb_json_u64(&json, "cut", subject->cut);
	pb_json_array(&json, "fits");
	for (size_t i = 0; i < FITS_TOLD && nth(subject, i, &fit); i++) {
		if (i == 0)
			lines = configure(&fit.list, line);
		pb_trailer_list_text(&fit.list, list);
		pb_json_object(&json, NULL);
		pb_json_text(&json, "trailers", list);
		pb_json_bool(&json, "fcs", fit.list.fcs);
		pb_json_u64(&json, "packets", fit.fits);
		pb_json_double(&json, "share", (double)fit.fits /
		    (double)fit.frames);
		pb_json_end(&json);
	}
	pb_json_end(&json);
	pb_json_array(&json, "configure");
	for (unsigned i = 0; i < lines; i++)
		pb_json_text(&json, NULL, line[i]);
	pb_json_end(&json);
	pb_json_end(&json);
	pb_buf_put(out, "\n", 1);
}

/* The lines: how many. */
static unsigned
configure(const struct pb_trailer_list *list,
    char line[static LINES][LINE_MAX_BYTES])
{
	char text[PB_TRAILER_TEXT_MAX];
	unsigned lines = 0;

	pb_trailer_list_text(list, text);
	if (list->count > 0)
		snprintf(line[lines++], LINE_MAX_BYTES, "trailers = %s",
		    text);
	if (list->fcs)
		snprintf(line[lines++], LINE_MAX_BYTES, "fcs = yes");
	return lines;
}

/* The n-th best of those that parse most frames.  Some, such as keyframes and
 * what the switch itself sends, have no trailer. */
static bool
nth(const struct pb_subject *subject, size_t n, struct pb_trailer_fit *out)
{
	for (size_t i = 0; pb_trailer_guess_fit(subject->guess, i, out); i++)
		if (out->fits > 0 && out->fits >= out->frames - out->fits &&
		    n-- == 0)
			return true;
	return false;
}
