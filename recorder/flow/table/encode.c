/*
 * recorder/flow/table/encode.c - a flow table is written
 *
 * Shape by shape: its planes in pieces, its places; then the marks, and last
 * the directory, which says where all of that is.
 */
#include "recorder/flow/table/encode.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/zip.h"
#include "recorder/flow/table/plane.h"

/* Smaller ones are left as they are. */
#define PACK_FROM	64u
/* Places are looked up one by one: they are packed only where much is gained:
 * where of some bytes in the middle half are as the one before. */
#define PLACES_SAVE	3u
#define PLACES_SAMPLE	512u
/* Memory that is kept for the next table, of each of three kinds. */
#define WORK_KEPT_MAX	((size_t)4 << 20)

struct pb_flow_table_work {
	struct pb_buf	*out;
	size_t		 start;		/* of the table in `out` */
	struct pb_buf	 shapes, pieces;	/* of the directory */
	struct pb_buf	 planes;	/* made at the moment */
	struct pb_buf	 heads;		/* likewise, of groups */
	uint64_t	*number;	/* likewise */
	size_t		 number_room;
	struct numbers_time time;
	struct pb_zip	*zip;
	struct rows	 rows;
	struct places	 places;
};

static int	encode(struct pb_flow_table_work *, struct pb_buf *,
		    const struct pb_flows *, struct pb_err *);
static int	begin(struct pb_flow_table_work *, struct pb_buf *,
		    const struct pb_flows *, struct pb_err *);
static bool	make_numbers(struct pb_flow_table_work *, size_t);
static void	find_time(struct numbers_time *, const struct rows *);
static void	give_back(struct pb_flow_table_work *);
static void	put_shape(struct pb_flow_table_work *,
	    const struct shape_rows *);
static void	put_sums(uint8_t *, const struct pb_flow_table_work *,
		    const struct shape_rows *);
static void	put_columns(struct pb_flow_table_work *, uint8_t *,
		    const struct shape_rows *);
static void	put_bytes(uint8_t *, const struct column_bytes *);
static void	put_numbers(struct pb_flow_table_work *, uint8_t *,
		    const struct shape_rows *, unsigned, unsigned);
static void	put_places(struct pb_flow_table_work *,
		    const struct shape_rows *);
static bool	made(struct pb_flow_table_work *);
static void	put_bare(struct pb_flow_table_work *, const struct pb_buf *);
static void	put_planes(struct pb_flow_table_work *, const uint8_t *,
		    uint32_t, uint32_t);
static uint32_t	pack_planes(struct pb_flow_table_work *, const uint8_t *,
		    uint32_t, uint32_t);
static void	put_entry(struct pb_flow_table_work *, uint32_t, size_t);
static uint32_t	put_packed(struct pb_flow_table_work *, const uint8_t *, size_t,
		    size_t);
static void	put_directory(struct pb_flow_table_work *);
static void	put_head(struct pb_flow_table_work *, size_t, uint32_t);

int
pb_flow_table_encode(struct pb_buf *out, const struct pb_flows *flows,
    struct pb_err *err)
{
	struct pb_flow_table_work *work;
	int rc = pb_flow_table_work_create(&work, err);

	if (rc == 0)
		rc = pb_flow_table_encode_in(work, out, flows, err);
	pb_flow_table_work_destroy(work);
	return rc;
}

int
pb_flow_table_encode_in(struct pb_flow_table_work *work, struct pb_buf *out,
    const struct pb_flows *flows, struct pb_err *err)
{
	size_t start = out->len;
	int rc;

	if (flows->packets > PB_FLOW_TABLE_PACKETS_MAX ||
	    flows->flows > PB_FLOW_TABLE_ROWS_MAX + 1)
		return pb_err_set(err, PB_ELIMIT, "%u packets in %u flows are "
		    "too many for a table", flows->packets, flows->flows);
	rc = encode(work, out, flows, err);
	if (rc < 0)
		out->len = start;
	give_back(work);
	return rc;
}

int
pb_flow_table_work_create(struct pb_flow_table_work **out, struct pb_err *err)
{
	struct pb_flow_table_work *work = calloc(1, sizeof(*work));
	int rc;

	*out = work;
	if (work == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a flow table");
	pb_buf_init(&work->shapes, PB_FLOW_TABLE_BYTES_MAX);
	pb_buf_init(&work->pieces, PB_FLOW_TABLE_BYTES_MAX);
	pb_buf_init(&work->planes, PB_FLOW_TABLE_BYTES_MAX);
	pb_buf_init(&work->heads, PB_FLOW_TABLE_BYTES_MAX);
	rc = pb_zip_create(&work->zip, err);
	if (rc < 0) {
		pb_flow_table_work_destroy(work);
		*out = NULL;
	}
	return rc;
}

void
pb_flow_table_work_destroy(struct pb_flow_table_work *work)
{
	if (work == NULL)
		return;
	pb_buf_finish(&work->shapes);
	pb_buf_finish(&work->pieces);
	pb_buf_finish(&work->planes);
	pb_buf_finish(&work->heads);
	free(work->number);
	places_finish(&work->places);
	rows_finish(&work->rows);
	pb_zip_destroy(work->zip);
	free(work);
}

static int
encode(struct pb_flow_table_work *e, struct pb_buf *out,
    const struct pb_flows *flows, struct pb_err *err)
{
	int rc = begin(e, out, flows, err);

	if (rc < 0)
		return rc;
	pb_buf_zero(out, HEAD_BYTES);
	for (uint32_t i = 0; i < e->rows.shapes; i++)
		put_shape(e, &e->rows.shape[i]);
	put_directory(e);
	if (out->failed || e->shapes.failed || e->pieces.failed)
		return pb_err_set(err, PB_ELIMIT, "the flow table is too "
		    "large, or there is no memory for it");
	return 0;
}

static int
begin(struct pb_flow_table_work *e, struct pb_buf *out,
    const struct pb_flows *flows, struct pb_err *err)
{
	int rc;

	e->out = out;
	e->start = out->len;
	pb_buf_clear(&e->shapes);
	pb_buf_clear(&e->pieces);
	pb_buf_clear(&e->planes);
	pb_buf_clear(&e->heads);
	rc = rows_make(&e->rows, flows, err);
	if (rc == 0)
		rc = places_make(&e->places, &e->rows, err);
	if (rc < 0)
		return rc;
	if (flows->flows >= e->number_room &&
	    !make_numbers(e, flows->flows + 1))
		return pb_err_set(err, PB_ENOMEM, "no memory for the numbers "
		    "of a flow table");
	find_time(&e->time, &e->rows);
	return 0;
}

static bool
make_numbers(struct pb_flow_table_work *e, size_t room)
{
	free(e->number);
	e->number = malloc(room * sizeof(*e->number));
	e->number_room = e->number != NULL ? room : 0;
	return e->number != NULL;
}

/* Many clocks tell microseconds, and most files. */
static void
find_time(struct numbers_time *time, const struct rows *rows)
{
	time->least = rows->rows > 0 ? UINT64_MAX : 0;
	time->unit = UNIT_US;
	for (uint32_t i = 0; i < rows->rows; i++) {
		const struct pb_flow_table_row *row = &rows->row[i];

		if (row->first_time < time->least)
			time->least = row->first_time;
		if (time->unit == UNIT_US && (row->first_time % UNIT_US != 0 ||
		    row->last_time % UNIT_US != 0))
			time->unit = UNIT_NS;
	}
}

/* What few tables take is not kept: of many flows, or packets. */
static void
give_back(struct pb_flow_table_work *e)
{
	if (e->planes.cap > WORK_KEPT_MAX)
		pb_buf_finish(&e->planes);
	e->planes.max = PB_FLOW_TABLE_BYTES_MAX;
	if (e->rows.room * sizeof(*e->rows.row) > WORK_KEPT_MAX)
		rows_finish(&e->rows);
	if (e->places.packets_room * sizeof(uint32_t) > WORK_KEPT_MAX)
		places_finish(&e->places);
}

static void
put_shape(struct pb_flow_table_work *e, const struct shape_rows *shape)
{
	uint8_t record[SHAPE_BYTES] = { 0 };

	put_sums(record, e, shape);
	put_columns(e, record, shape);
	put_numbers(e, record, shape, 0, NUMBERS_EACH);
	put_numbers(e, record, shape, NUMBERS_EACH, NUMBERS);
	put_places(e, shape);
	pb_buf_put(&e->shapes, record, sizeof(record));
}

/* What all of its packets come to. */
static void
put_sums(uint8_t *record, const struct pb_flow_table_work *e,
    const struct shape_rows *shape)
{
	const struct pb_flow_table_row *row = &e->rows.row[shape->row];
	struct pb_flow_table_row sum = row[0];

	for (uint32_t i = 1; i < shape->rows; i++) {
		sum.packets += row[i].packets;
		sum.bytes += row[i].bytes;
		if (row[i].caplen_min < sum.caplen_min)
			sum.caplen_min = row[i].caplen_min;
		if (row[i].caplen_max > sum.caplen_max)
			sum.caplen_max = row[i].caplen_max;
		if (row[i].len_min < sum.len_min)
			sum.len_min = row[i].len_min;
		if (row[i].len_max > sum.len_max)
			sum.len_max = row[i].len_max;
	}
	pb_put_le16(record + SHAPE_KEY, shape->key.linktype);
	pb_put_le16(record + SHAPE_KEY + 2, shape->key.ethertype);
	record[SHAPE_KEY + 4] = shape->key.network;
	record[SHAPE_KEY + 5] = shape->key.transport;
	record[SHAPE_KEY + 6] = shape->key.protocol;
	record[SHAPE_KEY + 7] = shape->key.bits;
	pb_put_le32(record + SHAPE_REST, shape->rest);
	for (unsigned run = 0; run < RUNS; run++)
		pb_put_le32(record + SHAPE_ROWS + 4 * run,
		    shape->begin[run + 1] - shape->begin[run]);
	pb_put_le64(record + SHAPE_PACKETS, sum.packets);
	pb_put_le64(record + SHAPE_WIRE, sum.bytes);
	pb_put_le32(record + SHAPE_CAPLEN, sum.caplen_min);
	pb_put_le32(record + SHAPE_CAPLEN + 4, sum.caplen_max);
	pb_put_le32(record + SHAPE_LEN, sum.len_min);
	pb_put_le32(record + SHAPE_LEN + 4, sum.len_max);
}

static void
put_columns(struct pb_flow_table_work *e, uint8_t *record,
    const struct shape_rows *shape)
{
	struct columns columns;
	size_t kept, bits;
	uint8_t *to;

	if (shape->rest) {
		memset(record + SHAPE_UNKNOWN, 0xff, PB_FLOW_BYTES);
		return;
	}
	columns_choose(&columns, &e->rows, shape);
	memcpy(record + SHAPE_ONES, columns.ones, PB_FLOW_BYTES);
	memcpy(record + SHAPE_UNKNOWN, columns.unknown, PB_FLOW_BYTES);
	put_bytes(record + SHAPE_COLUMNS, &columns.kept);
	put_bytes(record + SHAPE_BITS, &columns.bits);
	kept = (size_t)columns.kept.count * shape->rows;
	bits = (size_t)columns.bits.count * shape->many;
	pb_buf_clear(&e->planes);
	to = pb_buf_reserve(&e->planes, kept + bits);
	if (!made(e) || columns.kept.count == 0)
		return;
	columns_put(to, &columns, &e->rows, shape);
	put_planes(e, to, columns.kept.count, shape->rows);
	put_planes(e, to + kept, columns.bits.count, shape->many);
}

static void
put_bytes(uint8_t *set, const struct column_bytes *bytes)
{
	for (uint32_t i = 0; i < bytes->count; i++)
		set[bytes->at[i] / 8] |= (uint8_t)(1u << bytes->at[i] % 8);
}

/* Those that all of these rows have, or only those of more than one packet. */
static void
put_numbers(struct pb_flow_table_work *e, uint8_t *record,
    const struct shape_rows *shape, unsigned first, unsigned end)
{
	uint32_t planes;

	pb_buf_clear(&e->planes);
	planes = numbers_put(record + SHAPE_NUMBERS + first * NUMBER_BYTES,
	    &e->planes, &e->rows.row[shape->row], shape, first, end, &e->time,
	    e->number);
	put_planes(e, e->planes.data, planes, first < NUMBERS_EACH ?
	    shape->rows : shape->many);
}

static void
put_places(struct pb_flow_table_work *e, const struct shape_rows *shape)
{
	size_t len, middle, again = 0;

	pb_buf_clear(&e->planes);
	pb_buf_clear(&e->heads);
	places_put(&e->heads, &e->planes, &e->places, shape);
	if (!made(e))
		return;
	put_bare(e, &e->heads);
	len = e->planes.len;
	middle = len / 2;
	for (size_t i = middle; len >= PLACES_SAMPLE &&
	    i < middle + PLACES_SAMPLE / 2; i++)
		again += e->planes.data[i] == e->planes.data[i - 1];
	put_entry(e, put_packed(e, e->planes.data, len,
	    again > PLACES_SAMPLE / 4 ? len / PLACES_SAVE : 0), len);
}

/* False: there was no memory, and there is no table.  It is remembered here:
 * both are emptied for the next shape. */
static bool
made(struct pb_flow_table_work *e)
{
	e->out->failed |= e->planes.failed || e->heads.failed;
	return !e->out->failed;
}

/* A piece as it is. */
static void
put_bare(struct pb_flow_table_work *e, const struct pb_buf *piece)
{
	pb_buf_put(e->out, piece->data, piece->len);
	put_entry(e, (uint32_t)piece->len, piece->len);
}

static void
put_planes(struct pb_flow_table_work *e, const uint8_t *plane, uint32_t planes,
    uint32_t rows)
{
	uint32_t each;

	if (!made(e) || planes == 0)
		return;
	each = planes_a_piece(rows);
	for (; planes > 0; planes -= each, plane += (size_t)each * rows) {
		each = planes < each ? planes : each;
		put_entry(e, pack_planes(e, plane, each, rows),
		    (size_t)each * rows);
	}
}

/* Those of a piece; in how many bytes. */
static uint32_t
pack_planes(struct pb_flow_table_work *e, const uint8_t *plane, uint32_t planes,
    uint32_t rows)
{
	uint8_t *begin = pb_buf_reserve(e->out, planes * PLANE_ROOM(rows));
	size_t len = 0;

	if (begin == NULL)
		return 0;
	for (uint32_t i = 0; i < planes; i++)
		len += plane_pack(begin + len, plane + (size_t)i * rows, rows);
	if (len >= (size_t)planes * rows) {
		len = (size_t)planes * rows;
		memcpy(begin, plane, len);
	}
	e->out->len += len;
	return (uint32_t)len;
}

/* Of the piece that has just been put. */
static void
put_entry(struct pb_flow_table_work *e, uint32_t stored, size_t raw)
{
	uint8_t entry[PIECE_BYTES];

	if (e->out->failed)
		return;
	pb_put_le32(entry + PIECE_STORED, stored);
	pb_put_le32(entry + PIECE_RAW, (uint32_t)raw);
	pb_put_le64(entry + PIECE_DIGEST,
	    pb_digest(e->out->data + e->out->len - stored, stored));
	pb_buf_put(&e->pieces, entry, sizeof(entry));
}

/* By zstd where that saves `saves` bytes, and that is not 0. */
static uint32_t
put_packed(struct pb_flow_table_work *e, const uint8_t *data, size_t len,
    size_t saves)
{
	uint8_t *to = pb_buf_reserve(e->out, len);
	size_t packed = 0;

	if (to != NULL && len >= PACK_FROM && saves > 0)
		packed = pb_zip_pack_piece(e->zip, to, len - saves, data, len);
	if (packed == 0) {
		pb_buf_put(e->out, data, len);
		return (uint32_t)len;
	}
	e->out->len += packed;
	return (uint32_t)packed;
}

/* The marks' pieces, and what says where all is: that is read whenever a table
 * is, and never packed. */
static void
put_directory(struct pb_flow_table_work *e)
{
	uint32_t step;
	size_t start;

	pb_buf_clear(&e->planes);
	pb_buf_clear(&e->heads);
	step = marks_put(&e->heads, &e->planes, e->rows.flows);
	if (!made(e))
		return;
	put_bare(e, &e->heads);
	put_bare(e, &e->planes);
	start = e->out->len;
	pb_buf_put(e->out, e->shapes.data, e->shapes.len);
	pb_buf_put(e->out, e->pieces.data, e->pieces.len);
	if (!e->out->failed)
		put_head(e, e->out->len - start, step);
}

static void
put_head(struct pb_flow_table_work *e, size_t directory, uint32_t step)
{
	const struct pb_flows *flows = e->rows.flows;
	uint8_t *head = e->out->data + e->start;

	memcpy(head + HEAD_MAGIC, TABLE_MAGIC, 4);
	pb_put_le32(head + HEAD_VERSION, TABLE_VERSION);
	pb_put_le32(head + HEAD_LENGTH, (uint32_t)(e->out->len - e->start));
	pb_put_le32(head + HEAD_PACKETS, flows->packets);
	pb_put_le32(head + HEAD_MARKS, (uint32_t)(e->heads.len /
	    GROUP_MARKS_BYTES));
	pb_put_le32(head + HEAD_STEP, step);
	pb_put_le32(head + HEAD_SHAPES, e->rows.shapes);
	pb_put_le32(head + HEAD_PIECES, (uint32_t)(e->pieces.len /
	    PIECE_BYTES));
	pb_put_le32(head + HEAD_DIRECTORY, (uint32_t)directory);
	pb_put_le64(head + HEAD_TIME, e->time.least);
	pb_put_le32(head + HEAD_UNIT, e->time.unit);
	pb_put_le64(head + HEAD_DIRECTORY_DIGEST, pb_digest(e->out->data +
	    e->out->len - directory, directory));
	pb_put_le64(head + HEAD_DIGEST, pb_digest(head, HEAD_DIGEST));
}
