/*
 * shipper/state/row.c - a row of the shipper's tables: numbers and texts
 */
#include "shipper/state/row.h"

#include <string.h>

#include "base/bytes.h"

void
pb_row_begin(struct pb_row *row, uint8_t version)
{
	row->bytes[0] = version;
	row->len = row->at = 1;
}

void
pb_row_put_u64(struct pb_row *row, uint64_t value)
{
	if (row->len + 8 > sizeof(row->bytes))
		return;
	pb_put_le64(row->bytes + row->len, value);
	row->len += 8;
}

void
pb_row_put_text(struct pb_row *row, const char *text)
{
	size_t len = strlen(text);

	if (row->len + 2 + len > sizeof(row->bytes))
		return;
	pb_put_le16(row->bytes + row->len, (uint16_t)len);
	memcpy(row->bytes + row->len + 2, text, len);
	row->len += 2 + len;
}

bool
pb_row_load(struct pb_row *row, uint8_t version,
    const struct pb_mdb_value *value)
{
	if (value->len == 0 || value->len > sizeof(row->bytes))
		return false;
	memcpy(row->bytes, value->data, value->len);
	row->len = value->len;
	row->at = 1;
	return row->bytes[0] == version;
}

uint64_t
pb_row_u64(struct pb_row *row)
{
	uint64_t value;

	if (row->len - row->at < 8) {
		row->at = row->len;
		return 0;
	}
	value = pb_get_le64(row->bytes + row->at);
	row->at += 8;
	return value;
}

void
pb_row_text(struct pb_row *row, char *out, size_t room)
{
	size_t len = 0, keep;

	if (row->len - row->at >= 2) {
		len = pb_get_le16(row->bytes + row->at);
		row->at += 2;
	}
	if (len > row->len - row->at)
		len = row->len - row->at;
	keep = len < room ? len : room - 1;
	memcpy(out, row->bytes + row->at, keep);
	out[keep] = '\0';
	row->at += len;
}
