/*
 * recorder/store/mend/retake.c - a segment of the index, from what is there
 */
#include "recorder/store/mend/retake.h"

#include <stdlib.h>
#include <string.h>

#include "base/below.h"
#include "recorder/store/mend/take.h"

static int	take_own(struct pb_take *, const struct pb_segment_name *,
		    size_t, uint64_t, const char *, struct pb_err *);
static int	take_others(struct pb_take *, const struct pb_segment_name *,
		    size_t, struct pb_index *, const struct pb_segment_info *,
		    struct pb_err *);
static int	keep(struct pb_take *, struct pb_survey *, struct pb_err *);

int
pb_retake(struct pb_retake *out, const struct pb_mend *mend,
    struct pb_index *index, struct pb_stream_info *stream,
    const struct pb_segment_info *row, const char *why, struct pb_err *err)
{
	struct pb_take take = { .mend = mend, .stream = stream,
	    .has_head = true, .taken = row->first_seq - 1,
	    .last = row->last_seq, .who = "recovery", .put = keep,
	    .arg = out };
	struct pb_segment_name *names = NULL;
	size_t count = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = pb_take_list(mend, &stream->key, &names, &count, err);
	if (rc == 0)
		rc = take_own(&take, names, count, row->first_seq, why, err);
	if (rc == 0)
		rc = take_others(&take, names, count, index, row, err);
	free(names);
	out->held = take.held;
	return rc;
}

void
pb_retake_finish(struct pb_retake *retake)
{
	for (size_t i = 0; i < retake->count; i++)
		pb_survey_finish(&retake->files[i]);
	free(retake->files);
	free(retake->held.at);
	memset(retake, 0, sizeof(*retake));
}

/* It is set aside, even if it looks whole: it is not what it was. */
static int
take_own(struct pb_take *take, const struct pb_segment_name *names,
    size_t count, uint64_t first, const char *why, struct pb_err *err)
{
	struct pb_retake *out = take->arg;

	for (size_t i = count; i-- > 0;)
		if (names[i].first == first)
			return pb_take_salvaged(take, &names[i], why,
			    out->aside, err);
	return 0;
}

/* Runs that an earlier try has made of it, and whatever else is there. */
static int
take_others(struct pb_take *take, const struct pb_segment_name *names,
    size_t count, struct pb_index *index, const struct pb_segment_info *row,
    struct pb_err *err)
{
	struct pb_segment_info other;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (names[i].first <= row->first_seq ||
		    names[i].first > row->last_seq)
			continue;
		rc = pb_index_segments(index, row->stream, names[i].first,
		    &other, 1, err);
		if (rc == 1 && other.first_seq == names[i].first)
			rc = 0;
		else if (rc >= 0)
			rc = pb_take_file(take, &names[i], err);
	}
	return rc;
}

static int
keep(struct pb_take *take, struct pb_survey *survey, struct pb_err *err)
{
	struct pb_retake *out = take->arg;
	size_t cap = out->cap == 0 ? 16 : 2 * out->cap;
	struct pb_survey *grown;

	if (out->count == out->cap) {
		grown = realloc(out->files, cap * sizeof(*grown));
		if (grown == NULL)
			return pb_err_set(err, PB_ENOMEM, "no memory");
		out->files = grown;
		out->cap = cap;
	}
	pb_buf_finish(&survey->window);
	out->packets += survey->segment.packets;
	out->files[out->count++] = *survey;
	pb_survey_init(survey);
	return 0;
}
