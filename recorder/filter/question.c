/*
 * recorder/filter/question.c - a filter, asked again and again
 *
 * Of a shape is kept what all that came under its name had in common, and the
 * filter folded for that.  It is true of packets of which more is known, so
 * that what is kept serves them; where less is known, both have less in
 * common from then on.  A bit is forgotten once, so it ends.
 */
#include "recorder/filter/question.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/filter/filter_impl.h"

#define SHAPE_BYTES	128u	/* of a packet, that are looked at */
#define PROBES		8u	/* slots in which a name can be */

struct shape {
	uint8_t		 name[PB_QUESTION_NAME_MAX];
	uint8_t		 ones[SHAPE_BYTES], unknown[SHAPE_BYTES];
	struct pb_alike	 known;		/* of these bytes */
	struct pb_filter *folded;	/* NULL: there was no memory */
};

struct pb_question {
	const struct pb_filter *filter;
	const struct pb_inner *inner;	/* or NULL */
	struct shape	*shape[PB_QUESTION_SHAPES_MAX];	/* NULL: free */
};

static struct shape **find(struct pb_question *, const uint8_t *);
static uint32_t	hash(const uint8_t *);
static uint64_t	word(const uint8_t *);
static bool	serves(const struct shape *, const struct pb_alike *);
static void	begin(struct shape *, const uint8_t *, const struct pb_alike *);
static void	forget(struct shape *, const struct pb_alike *);

int
pb_question_create(struct pb_question **out, const struct pb_filter *filter,
    struct pb_err *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return pb_err_set(err, PB_ENOMEM, "filter: no memory");
	(*out)->filter = filter;
	return 0;
}

void
pb_question_destroy(struct pb_question *question)
{
	if (question == NULL)
		return;
	for (size_t i = 0; i < PB_QUESTION_SHAPES_MAX; i++) {
		if (question->shape[i] == NULL)
			continue;
		pb_filter_destroy(question->shape[i]->folded);
		free(question->shape[i]);
	}
	free(question);
}

void
pb_question_look_inside(struct pb_question *question,
    const struct pb_inner *inner)
{
	question->inner = inner;
}

const struct pb_inner *
pb_question_inner(const struct pb_question *question,
    const struct pb_alike *known)
{
	return question->inner == NULL || pb_inner_plain(question->inner,
	    known) ? NULL : question->inner;
}

const struct pb_filter *
pb_question_filter(struct pb_question *question, const void *name, size_t len,
    const struct pb_alike *known)
{
	uint8_t whole[PB_QUESTION_NAME_MAX] = { 0 };
	struct shape **slot, *shape;
	bool new;

	if (question->filter->all)
		return question->filter;
	memcpy(whole, name, len < sizeof(whole) ? len : sizeof(whole));
	slot = find(question, whole);
	new = *slot == NULL || memcmp((*slot)->name, whole,
	    sizeof(whole)) != 0;
	if (*slot == NULL)
		*slot = calloc(1, sizeof(**slot));
	shape = *slot;
	if (shape == NULL)
		return question->filter;
	if (new)
		begin(shape, whole, known);
	else if (serves(shape, known))
		return shape->folded;
	else
		forget(shape, known);
	pb_filter_destroy(shape->folded);
	if (pb_filter_fold(&shape->folded, question->filter, &shape->known,
	    NULL) == 0)
		return shape->folded;
	shape->folded = NULL;
	return question->filter;
}

/* Its own, or a free one, or one that it takes over. */
static struct shape **
find(struct pb_question *question, const uint8_t *name)
{
	uint32_t at = hash(name);
	struct shape **slot = NULL;

	for (uint32_t i = 0; i < PROBES; i++) {
		slot = &question->shape[(at + i) % PB_QUESTION_SHAPES_MAX];
		if (*slot == NULL ||
		    memcmp((*slot)->name, name, sizeof((*slot)->name)) == 0)
			return slot;
	}
	return slot;
}

static uint32_t
hash(const uint8_t *name)
{
	uint64_t half[2];

	memcpy(half, name, sizeof(half));
	return (uint32_t)(((half[0] ^ half[1] << 7) *
	    0x9e3779b97f4a7c15u) >> 40);
}

/* All that is kept is true of these packets, too. */
static bool
serves(const struct shape *shape, const struct pb_alike *known)
{
	const struct pb_alike *kept = &shape->known;
	uint32_t bytes = kept->bytes;
	uint64_t amiss = 0;
	uint32_t i = 0;

	if (shape->folded == NULL || known->bytes < bytes ||
	    known->caplen_min < kept->caplen_min ||
	    (kept->places != NULL && kept->places != known->places))
		return false;
	for (; i + sizeof(uint64_t) <= bytes; i += sizeof(uint64_t))
		amiss |= ((word(known->ones + i) ^ word(shape->ones + i)) |
		    word(known->unknown + i)) & ~word(shape->unknown + i);
	for (; i < bytes; i++)
		amiss |= (uint8_t)(((known->ones[i] ^ shape->ones[i]) |
		    known->unknown[i]) & ~shape->unknown[i]);
	return amiss == 0;
}

static uint64_t
word(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* Of lengths the least captured one alone: others are each block's own. */
static void
begin(struct shape *shape, const uint8_t *name, const struct pb_alike *known)
{
	uint32_t bytes = known->bytes < SHAPE_BYTES ? known->bytes :
	    SHAPE_BYTES;

	memcpy(shape->name, name, sizeof(shape->name));
	if (bytes > 0) {
		memcpy(shape->ones, known->ones, bytes);
		memcpy(shape->unknown, known->unknown, bytes);
	}
	shape->known = (struct pb_alike){ .ones = shape->ones,
	    .unknown = shape->unknown, .bytes = bytes,
	    .caplen_min = known->caplen_min, .caplen_max = UINT32_MAX,
	    .len_min = 0, .len_max = UINT32_MAX,
	    .places = known->places };
}

static void
forget(struct shape *shape, const struct pb_alike *known)
{
	struct pb_alike *kept = &shape->known;

	if (kept->caplen_min > known->caplen_min)
		kept->caplen_min = known->caplen_min;
	if (kept->places != known->places)
		kept->places = NULL;
	if (kept->bytes > known->bytes)
		kept->bytes = known->bytes;
	for (uint32_t i = 0; i < kept->bytes; i++) {
		shape->unknown[i] |= known->unknown[i] |
		    (known->ones[i] ^ shape->ones[i]);
		shape->ones[i] &= (uint8_t)~shape->unknown[i];
	}
}
