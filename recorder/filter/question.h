/*
 * recorder/filter/question.h - a filter, asked again and again
 *
 * The same header shapes come in each index block.  What a shape decides of
 * the filter is worked out once and kept: for what all that came under the
 * shape's name had in common.  Where one comes that knows less, it is worked
 * out anew for what is then left, so that it soon is what the shape itself
 * says, and it never says more than the packets asked about allow.
 *
 * One thread at a time.
 */
#ifndef PB_FILTER_QUESTION_H
#define PB_FILTER_QUESTION_H

#include <stddef.h>

#include "base/err.h"
#include "recorder/filter/inner.h"
#include "recorder/filter/verdict.h"

/* Shapes that are kept; of more, one takes another's place. */
#define PB_QUESTION_SHAPES_MAX	256u
/* A shape's name: bytes that tell it from others. */
#define PB_QUESTION_NAME_MAX	16u

struct pb_question;	/* opaque */

/* `filter` is borrowed until the question is destroyed. */
int	pb_question_create(struct pb_question **out,
	    const struct pb_filter *filter, struct pb_err *err);
void	pb_question_destroy(struct pb_question *question);

/* The filter is asked at every depth of tags from now on; `inner`, of the same
 * filter, is borrowed. */
void	pb_question_look_inside(struct pb_question *question,
	    const struct pb_inner *inner);

/* What then is asked in place of pb_question_filter(); NULL where it is not
 * asked so, or these packets have no tags. */
const struct pb_inner *pb_question_inner(const struct pb_question *question,
	    const struct pb_alike *known);

/*
 * What is left to ask of packets of which `known` is true: says the same of
 * them as the filter.  `name` has `len` bytes, PB_QUESTION_NAME_MAX of them
 * count.  Borrowed until the next call.  Where there is no memory it is the
 * filter itself.  Places of `known`, if there are any, do not change while the
 * question lives: those that the shape has always (flow/shape.h).
 */
const struct pb_filter *pb_question_filter(struct pb_question *question,
	    const void *name, size_t len, const struct pb_alike *known);

#endif
