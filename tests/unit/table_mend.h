/*
 * tests/unit/table_mend.h - a flow table that was changed gets its digests
 *
 * As far as it says where its parts are: what then is wrong with it no digest
 * tells.  What is packed by zstd is left as it is.
 */
#ifndef PB_TESTS_TABLE_MEND_H
#define PB_TESTS_TABLE_MEND_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "recorder/flow/table/form.h"

struct table_mend {
	uint8_t		*table;
	size_t		 at, end;	/* of the pieces that are left */
	uint8_t		*entry;
	uint32_t	 pieces;
};

/* The next piece; NULL: there is none. */
static inline uint8_t *
table_mend_next(struct table_mend *m, uint32_t *len)
{
	uint8_t *piece = m->table + m->at;

	if (m->pieces == 0)
		return NULL;
	*len = pb_get_le32(m->entry + PIECE_STORED);
	if (*len > m->end - m->at) {
		m->pieces = 0;
		return NULL;
	}
	pb_put_le64(m->entry + PIECE_DIGEST, pb_digest(piece, *len));
	m->entry += PIECE_BYTES;
	m->at += *len;
	m->pieces--;
	return piece;
}

static inline void
table_mend_planes(struct table_mend *m, uint32_t planes, uint32_t rows)
{
	uint32_t len;

	for (uint32_t i = pieces_of(planes, rows); i > 0; i--)
		if (table_mend_next(m, &len) == NULL)
			return;
}

/* Heads of `bytes` each, and what they speak of. */
static inline void
table_mend_groups(struct table_mend *m, uint32_t bytes)
{
	uint32_t len = 0, body_len = 0;
	uint8_t *entry = m->entry, *head = table_mend_next(m, &len), *body;

	body = head == NULL ? NULL : table_mend_next(m, &body_len);
	for (uint32_t at = 0; body != NULL && at + bytes <= len; at += bytes) {
		uint32_t from = pb_get_le32(head + at + GROUP_AT);
		uint32_t to = at + 2 * bytes > len ? body_len :
		    pb_get_le32(head + at + bytes + GROUP_AT);

		if (from <= to && to <= body_len)
			pb_put_le32(head + at + GROUP_DIGEST, (uint32_t)
			    pb_digest(body + from, to - from));
	}
	if (body != NULL)
		pb_put_le64(entry + PIECE_DIGEST, pb_digest(head, len));
}

/* False: a shape has no rows, so that no more is known. */
static inline bool
table_mend_shape(struct table_mend *m, const uint8_t *shape)
{
	uint32_t each, many, planes[4] = { 0 };

	many = pb_get_le32(shape + SHAPE_ROWS) +
	    pb_get_le32(shape + SHAPE_ROWS + 4);
	each = many + pb_get_le32(shape + SHAPE_ROWS + 8) +
	    pb_get_le32(shape + SHAPE_ROWS + 12);
	for (uint32_t i = 0; i < PB_FLOW_BYTES / 8; i++) {
		planes[0] += (uint32_t)__builtin_popcount(
		    shape[SHAPE_COLUMNS + i]);
		planes[1] += (uint32_t)__builtin_popcount(
		    shape[SHAPE_BITS + i]);
	}
	for (uint32_t i = 0; i < NUMBERS; i++)
		planes[i < NUMBERS_EACH ? 2 : 3] += shape[SHAPE_NUMBERS +
		    i * NUMBER_BYTES + NUMBER_PLANES];
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t rows = i % 2 == 0 ? each : many;

		if (rows == 0 && planes[i] > 0)
			return false;
		table_mend_planes(m, planes[i], rows);
	}
	table_mend_groups(m, GROUP_BYTES);
	return each > 0;
}

static inline void
table_mend(uint8_t *table, size_t size)
{
	struct table_mend m = { .table = table, .at = HEAD_BYTES };
	uint32_t shapes, stored, i = 0;
	uint8_t *directory;

	if (size < HEAD_BYTES)
		return;
	shapes = pb_get_le32(table + HEAD_SHAPES);
	m.pieces = pb_get_le32(table + HEAD_PIECES);
	stored = pb_get_le32(table + HEAD_DIRECTORY);
	pb_put_le32(table + HEAD_LENGTH, (uint32_t)size);
	if (stored <= size - HEAD_BYTES) {
		directory = table + size - stored;
		m.end = size - stored;
		m.entry = directory + (size_t)shapes * SHAPE_BYTES;
		if (stored == (uint64_t)shapes * SHAPE_BYTES +
		    (uint64_t)m.pieces * PIECE_BYTES) {
			while (i < shapes && table_mend_shape(&m, directory +
			    (size_t)i * SHAPE_BYTES))
				i++;
			table_mend_groups(&m, GROUP_MARKS_BYTES);
			table_mend_planes(&m, m.pieces, PIECE_FROM);
		}
		pb_put_le64(table + HEAD_DIRECTORY_DIGEST, pb_digest(directory,
		    stored));
	}
	pb_put_le64(table + HEAD_DIGEST, pb_digest(table, HEAD_DIGEST));
}

#endif
