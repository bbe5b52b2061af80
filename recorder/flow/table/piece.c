/*
 * recorder/flow/table/piece.c - parts of a flow table, when they are asked for
 */
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/zip.h"
#include "recorder/flow/table/plane.h"
#include "recorder/flow/table/read.h"

/* Whoever has asked for this share of a piece's bytes, group by group, gets the
 * others at once. */
#define GROUPS_SHARE	8u

static int	read_piece(struct pb_flow_table *, const struct piece *,
		    const uint8_t **, struct pb_err *);
static int	find_planes(struct pb_flow_table *, struct piece *,
		    struct pb_err *);

int
pb_flow_table_check(struct pb_flow_table *table, struct pb_err *err)
{
	const uint8_t *data;
	int rc = 0;

	for (uint32_t i = 0; i < table->pieces && rc == 0; i++)
		rc = read_piece(table, &table->piece[i], &data, err);
	return rc;
}

int
table_rotten(struct pb_err *err, const char *what)
{
	return pb_err_set(err, PB_EFORMAT, "the flow table is rotten: %s",
	    what);
}

int
table_bytes(struct pb_flow_table *table, uint32_t at, uint32_t len,
    const uint8_t **out, struct pb_err *err)
{
	uint8_t *to;

	if (table->bytes != NULL) {
		*out = table->bytes + at;
		return 0;
	}
	*out = to = table_room(table, len);
	if (to == NULL)
		return table_no_memory(err);
	return len == 0 ? 0 : table->read(table->arg, at, to, len, err);
}

int
table_unpack(struct pb_flow_table *table, const uint8_t **data, uint32_t stored,
    uint32_t raw, struct pb_err *err)
{
	struct pb_zip *zip;
	uint8_t *to;
	int rc;

	if (stored == raw)
		return 0;
	to = table_room(table, raw);
	if (to == NULL)
		return table_no_memory(err);
	rc = pb_zip_create(&zip, err);
	if (rc == 0)
		rc = pb_zip_unpack_piece(zip, to, raw, *data, stored, err);
	pb_zip_destroy(zip);
	*data = to;
	return rc;
}

int
table_piece(struct pb_flow_table *table, uint32_t which, const uint8_t **out,
    struct pb_err *err)
{
	struct piece *piece = &table->piece[which];
	int rc = 0;

	if (piece->data == NULL) {
		rc = read_piece(table, piece, &piece->data, err);
		if (rc == 0)
			rc = table_unpack(table, &piece->data, piece->stored,
			    piece->raw, err);
		if (rc < 0)
			piece->data = NULL;
	}
	*out = piece->data;
	return rc;
}

int
table_plane(struct pb_flow_table *table, uint32_t first, uint32_t which,
    uint32_t rows, const uint8_t **out, struct pb_err *err)
{
	struct plane *plane;
	const uint8_t *end;
	uint8_t *to;
	int rc = table_plane_find(table, first, which, rows, &plane, &end, err);

	if (rc < 0)
		return rc;
	if (plane->bytes == NULL) {
		to = table_room(table, rows);
		if (to == NULL)
			return table_no_memory(err);
		plane_part(to, 0, rows, plane->packed, end);
		plane->bytes = to;
	}
	*out = plane->bytes;
	return 0;
}

int
table_plane_find(struct pb_flow_table *table, uint32_t first, uint32_t which,
    uint32_t rows, struct plane **out, const uint8_t **end,
    struct pb_err *err)
{
	uint32_t each = planes_a_piece(rows);
	struct piece *piece = &table->piece[first + which / each];
	int rc = 0;

	if (piece->data == NULL)
		rc = read_piece(table, piece, &piece->data, err);
	if (rc == 0 && piece->plane == NULL)
		rc = find_planes(table, piece, err);
	if (rc < 0)
		return rc;
	*out = &piece->plane[which % each];
	*end = piece->data + piece->stored;
	return 0;
}

int
table_plane_part(struct pb_flow_table *table, uint32_t piece, uint32_t which,
    uint32_t all, uint32_t first, uint32_t rows, uint8_t *room,
    const uint8_t **out, struct pb_err *err)
{
	struct plane *plane;
	const uint8_t *end;
	int rc = table_plane_find(table, piece, which, all, &plane, &end,
	    err);

	if (rc < 0)
		return rc;
	*out = plane->bytes != NULL ? plane->bytes + first : room;
	if (plane->bytes == NULL)
		plane_part(room, first, rows, plane->packed, end);
	return 0;
}

uint32_t
table_plane_weight(const struct pb_flow_table *table, uint32_t first,
    uint32_t which, uint32_t rows)
{
	const struct piece *piece = &table->piece[first +
	    which / planes_a_piece(rows)];

	return piece->data == NULL ? piece->stored : 0;
}

int
table_group(struct pb_flow_table *table, uint32_t which, uint32_t bytes,
    uint32_t group, uint32_t groups, const uint8_t **begin,
    const uint8_t **end, struct pb_err *err)
{
	struct piece *piece = &table->piece[which + 1];
	const uint8_t *head, *all;
	uint32_t from, to;
	int rc = table_piece(table, which, &head, err);

	if (rc < 0)
		return rc;
	head += (size_t)group * bytes;
	from = pb_get_le32(head + GROUP_AT);
	to = group + 1 < groups ? pb_get_le32(head + bytes + GROUP_AT) :
	    piece->raw;
	if (from > to || to > piece->raw)
		return table_rotten(err, "where a group is");
	if (piece->data != NULL || piece->stored != piece->raw ||
	    (piece->asked += to - from) > piece->raw / GROUPS_SHARE) {
		rc = table_piece(table, which + 1, &all, err);
		*begin = rc < 0 ? NULL : all + from;
	} else {
		rc = table_bytes(table, piece->at + from, to - from, begin,
		    err);
		if (rc == 0 && (uint32_t)pb_digest(*begin, to - from) !=
		    pb_get_le32(head + GROUP_DIGEST))
			rc = table_rotten(err, "the digest of a group");
	}
	*end = rc < 0 ? NULL : *begin + (to - from);
	return rc;
}

/* NULL where it fails. */
static int
read_piece(struct pb_flow_table *table, const struct piece *piece,
    const uint8_t **out, struct pb_err *err)
{
	int rc = table_bytes(table, piece->at, piece->stored, out, err);

	if (rc == 0 && pb_digest(*out, piece->stored) != piece->digest)
		rc = table_rotten(err, "the digest of a piece");
	if (rc < 0)
		*out = NULL;
	return rc;
}

/* Where each begins, of those that are packed; the bytes of the others. */
static int
find_planes(struct pb_flow_table *table, struct piece *piece,
    struct pb_err *err)
{
	const uint8_t *at = piece->data, *end = at + piece->stored;
	uint32_t planes = piece->raw / piece->rows;
	bool bare = piece->stored == piece->raw;
	struct plane *plane = table_room(table, planes * sizeof(*plane));

	if (plane == NULL)
		return table_no_memory(err);
	for (uint32_t i = 0; i < planes && at != NULL; i++) {
		plane[i].packed = at;
		plane[i].column = NULL;
		plane[i].bytes = bare ? at : NULL;
		at = bare ? at + piece->rows : plane_skip(piece->rows, at,
		    end);
		if (!bare && at != NULL)
			plane[i].bytes = plane_bare(plane[i].packed);
	}
	if (at != end)
		return table_rotten(err, "a plane");
	piece->plane = plane;
	return 0;
}
