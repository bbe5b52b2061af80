/*
 * recorder/flow/table/piece.c - parts of a flow table, when they are asked for
 */
#include <stdlib.h>

#include "base/digest.h"
#include "recorder/flow/table/plane.h"
#include "recorder/flow/table/read.h"

static bool	unpack_planes(uint8_t *, uint32_t, uint32_t, const uint8_t *,
		    const uint8_t *);

int
table_rotten(struct pb_err *err, const char *what)
{
	return pb_err_set(err, PB_EFORMAT, "the flow table is rotten: %s",
	    what);
}

int
table_bytes(struct pb_flow_table *table, uint32_t at, uint32_t len,
    const uint8_t **out, uint8_t **own, struct pb_err *err)
{
	int rc;

	if (table->bytes != NULL) {
		*out = table->bytes + at;
		return 0;
	}
	*own = malloc(len + 1);
	if (*own == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a flow table");
	*out = *own;
	rc = table->read(table->arg, at, *own, len, err);
	if (rc < 0) {
		free(*own);
		*own = NULL;
	}
	return rc;
}

int
table_unpack(struct pb_flow_table *table, const uint8_t *data, uint32_t stored,
    uint32_t raw, uint32_t rows, const uint8_t **out, uint8_t **own,
    struct pb_err *err)
{
	uint8_t *to;
	int rc;

	*out = data;
	if (stored == raw)
		return 0;
	to = malloc(raw + 1);
	if (to == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a flow table");
	if (rows == 0)
		rc = pb_zip_unpack_piece(table->zip, to, raw, data, stored,
		    err);
	else
		rc = unpack_planes(to, raw / rows, rows, data, data + stored) ?
		    0 : table_rotten(err, "a plane");
	if (rc < 0) {
		free(to);
		return rc;
	}
	free(*own);
	*out = *own = to;
	return 0;
}

int
table_piece(struct pb_flow_table *table, uint32_t which, const uint8_t **out,
    struct pb_err *err)
{
	struct piece *piece = &table->piece[which];
	const uint8_t *data;
	uint8_t *own = NULL;
	int rc = 0;

	if (piece->data == NULL) {
		rc = table_bytes(table, piece->at, piece->stored, &data, &own,
		    err);
		if (rc == 0 && pb_digest(data, piece->stored) != piece->digest)
			rc = table_rotten(err, "the digest of a piece");
		if (rc == 0)
			rc = table_unpack(table, data, piece->stored,
			    piece->raw, piece->rows, &data, &own, err);
		if (rc < 0) {
			free(own);
			return rc;
		}
		piece->data = data;
		piece->own = own;
	}
	*out = piece->data;
	return 0;
}

int
table_plane(struct pb_flow_table *table, uint32_t piece, uint32_t plane,
    uint32_t rows, const uint8_t **out, struct pb_err *err)
{
	uint32_t each = planes_a_piece(rows);
	int rc = table_piece(table, piece + plane / each, out, err);

	if (rc == 0)
		*out += (size_t)(plane % each) * rows;
	return rc;
}

static bool
unpack_planes(uint8_t *out, uint32_t planes, uint32_t rows, const uint8_t *at,
    const uint8_t *end)
{
	for (; planes > 0 && at != NULL; planes--, out += rows)
		at = plane_unpack(out, rows, at, end);
	return at == end;
}
