/*
 * tests/unit/body_ways.h - one body, taken both ways
 *
 * body.c reads plain packets by plain.h and all others by reader.h.  Here
 * a body is taken once like that and once by reader.h alone, and what comes
 * of it is compared to the byte.
 */
#ifndef PB_TESTS_BODY_WAYS_H
#define PB_TESTS_BODY_WAYS_H

#include <string.h>

#include "recorder/intake/body.h"

#define BODY_WAY_FILL_BYTES	8192	/* of each chunk */

struct body_way {
	int		rc, check_rc;
	struct pb_err	err, check_err;
	struct pb_body_facts facts, checked;
	struct pb_body_build build;
	int		chunks_left;
	int		fill;
};

/* Not zero where it matters: a byte that nobody writes is seen. */
static inline struct pb_chunk *
body_way_chunk(void *arg)
{
	struct body_way *way = arg;
	struct pb_chunk *chunk;

	if (way->chunks_left-- <= 0)
		return NULL;
	chunk = pb_chunk_create();
	if (chunk != NULL)
		memset(chunk->data, way->fill, BODY_WAY_FILL_BYTES);
	return chunk;
}

static inline void
body_way_take(struct body_way *way, struct pb_body_scratch *scratch,
    const struct pb_body *body, const struct pb_body_build *build,
    int chunks_max, int fill)
{
	memset(way, 0, sizeof(*way));
	way->fill = fill;
	way->chunks_left = chunks_max;
	way->build = *build;
	way->build.chunk = body_way_chunk;
	way->build.arg = way;
	way->rc = pb_body_read(scratch, body, &way->facts, &way->build,
	    &way->err);
	way->check_rc = pb_body_read(scratch, body, &way->checked, NULL,
	    &way->check_err);
}

static inline void
body_way_finish(struct body_way *way)
{
	struct pb_chunk *chunk = way->build.first_chunk, *next;

	for (; chunk != NULL; chunk = next) {
		next = chunk->next;
		pb_chunk_destroy(chunk);
	}
	pb_head_unref(way->build.head);
}

static inline const char *
body_chunks_differ(const struct pb_chunk *a, const struct pb_chunk *b)
{
	for (; a != NULL && b != NULL; a = a->next, b = b->next) {
		if (a->len != b->len || memcmp(a->data, b->data, a->len) != 0)
			return "a chunk's bytes";
		if (a->first_seq != b->first_seq ||
		    a->last_seq != b->last_seq)
			return "a chunk's numbers";
		if (memcmp(&a->tally, &b->tally, sizeof(a->tally)) != 0)
			return "what a chunk's packets come to";
		if (a->drops != b->drops || memcmp(a->drop, b->drop,
		    a->drops * sizeof(a->drop[0])) != 0)
			return "a chunk's drops";
	}
	return a != b ? "how many chunks there are" : NULL;
}

static inline bool
body_facts_differ(const struct pb_body_facts *a,
    const struct pb_body_facts *b)
{
	return memcmp(&a->way, &b->way, sizeof(a->way)) != 0 ||
	    a->linktype != b->linktype || a->snaplen != b->snaplen ||
	    a->first != b->first || a->last != b->last;
}

static inline const char *
body_way_differs(const struct body_way *a, const struct body_way *b)
{
	const struct pb_head *head = a->build.head, *other = b->build.head;

	if (a->rc != b->rc || a->check_rc != b->check_rc)
		return "what is returned";
	if (strcmp(a->err.text, b->err.text) != 0 ||
	    strcmp(a->check_err.text, b->check_err.text) != 0)
		return "the error's text";
	if (body_facts_differ(&a->facts, &b->facts) ||
	    body_facts_differ(&a->checked, &b->checked))
		return "the facts";
	if ((head == NULL) != (other == NULL) ||
	    (head != NULL && head->hash != other->hash))
		return "the head";
	if (a->build.number != b->build.number)
		return "the next running number";
	if (a->build.blocks_dropped != b->build.blocks_dropped)
		return "how many blocks were dropped";
	return body_chunks_differ(a->build.first_chunk, b->build.first_chunk);
}

/*
 * What differs, or NULL.  Of `build` the caller's part counts, but for
 * `chunk`: there are `chunks_max` of them.  `*plain` becomes how many
 * packets were plain, in one reading.
 */
static inline const char *
body_ways_differ(struct pb_body_scratch *scratch, const struct pb_body *body,
    const struct pb_body_build *build, int chunks_max, uint64_t *plain)
{
	static struct body_way two, one;
	const char *differs;

	scratch->plain = 0;
	body_way_take(&two, scratch, body, build, chunks_max, 0x55);
	*plain = scratch->plain / 2;
	scratch->no_plain = true;
	body_way_take(&one, scratch, body, build, chunks_max, 0xAA);
	scratch->no_plain = false;
	differs = body_way_differs(&two, &one);
	body_way_finish(&two);
	body_way_finish(&one);
	return differs;
}

#endif
