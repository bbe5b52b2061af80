/*
 * recorder/flow/table/sums.c - packets of some rows, plane by plane
 *
 * No row's number is put together: bytes are summed by themselves.  Rows of one
 * packet have no number.
 */
#include "base/bytes.h"
#include "recorder/flow/lane.h"
#include "recorder/flow/table/read.h"

/* Rows whose numbers are summed at once: their bytes come to 16 bits. */
#define SUM_ROWS	(128u * PB_LANE)

/* Packets of all rows, and of some. */
struct sum {
	uint64_t	 all, some;
};

typedef uint16_t wide __attribute__((vector_size(PB_LANE)));

static const uint8_t ones[SUM_ROWS] = { [0 ... SUM_ROWS - 1] = 1 };

static int	sum_part(struct pb_flow_table *, const struct shape *,
		    uint32_t, uint32_t, const uint8_t *, uint8_t,
		    struct sum *, struct pb_err *);
static struct sum sum_bytes(const uint8_t *, uint32_t, const uint8_t *,
		    uint8_t);
static uint64_t	sum_wide(wide);

int
pb_flow_table_packets_of(struct pb_flow_table *table, size_t shape,
    const uint8_t *of_row, uint8_t which, uint64_t *out, struct pb_err *err)
{
	const struct shape *its = &table->shape[shape];
	struct sum sum = { 0 }, now;
	uint32_t at = 0, rows;
	int rc = 0;

	for (; at < its->many && rc == 0; at += rows) {
		rows = its->many - at < SUM_ROWS ? its->many - at : SUM_ROWS;
		rc = sum_part(table, its, at, rows, of_row + at, which, &sum,
		    err);
	}
	for (; at < its->seen.rows && rc == 0; at += rows) {
		rows = its->seen.rows - at < SUM_ROWS ? its->seen.rows - at :
		    SUM_ROWS;
		now = sum_bytes(ones, rows, of_row + at, which);
		sum.all += now.all;
		sum.some += now.some;
	}
	*out = sum.some;
	return rc == 0 && sum.all != its->seen.packets ?
	    table_rotten(err, "the packets of rows") : rc;
}

/* A number is its least one and a byte of each plane. */
static int
sum_part(struct pb_flow_table *table, const struct shape *shape,
    uint32_t first, uint32_t rows, const uint8_t *of_row, uint8_t which,
    struct sum *sum, struct pb_err *err)
{
	const uint8_t *what = shape->record + SHAPE_NUMBERS +
	    NUMBER_PACKETS * NUMBER_BYTES;
	uint64_t least = pb_get_le64(what + NUMBER_LEAST);
	struct sum now = sum_bytes(ones, rows, of_row, which);
	uint8_t room[SUM_ROWS];

	sum->all += now.all * least;
	sum->some += now.some * least;
	for (uint32_t k = 0; k < what[NUMBER_PLANES]; k++) {
		const uint8_t *bytes;
		int rc = table_plane_part(table, shape->numbers_many, k,
		    shape->many, first, rows, room, &bytes, err);

		if (rc < 0)
			return rc;
		now = sum_bytes(bytes, rows, of_row, which);
		sum->all += now.all << 8 * k;
		sum->some += now.some << 8 * k;
	}
	return 0;
}

static struct sum
sum_bytes(const uint8_t *bytes, uint32_t rows, const uint8_t *of_row,
    uint8_t which)
{
	wide all = { 0 }, some = { 0 };
	struct sum sum;
	uint32_t i = 0;

	for (; i + PB_LANE <= rows; i += PB_LANE) {
		pb_lane now = pb_lane_at(bytes + i);
		wide each = (wide)now, its = (wide)(now &
		    (pb_lane)(pb_lane_at(of_row + i) == which));

		all += (each & 0xff) + (each >> 8);
		some += (its & 0xff) + (its >> 8);
	}
	sum = (struct sum){ sum_wide(all), sum_wide(some) };
	for (; i < rows; i++) {
		sum.all += bytes[i];
		sum.some += of_row[i] == which ? bytes[i] : 0;
	}
	return sum;
}

static uint64_t
sum_wide(wide of)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < PB_LANE / 2; i++)
		sum += of[i];
	return sum;
}
