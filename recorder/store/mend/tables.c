/*
 * recorder/store/mend/tables.c - flow tables of a segment that is there
 */
#include "recorder/store/mend/tables.h"

#include <fcntl.h>

#include "base/disk.h"
#include "recorder/flow/table.h"
#include "recorder/store/index/index_block.h"
#include "recorder/store/index/index_table.h"
#include "recorder/store/mend/survey.h"
#include "recorder/store/read/segment_file.h"

/* One segment while it is read. */
struct making {
	const struct pb_tables *tables;
	struct pb_index_block *block;	/* NULL: begins with the next packet */
	uint64_t	 first, last;
	struct pb_err	*err;
	int		 rc;
};

static bool	take_packet(void *, const struct pb_survey_packet *);
static int	begin(struct making *);
static int	end(struct making *);

int
pb_tables_make(const struct pb_tables *tables,
    const struct pb_extent_info *extent, uint64_t first, uint64_t last,
    struct pb_err *err)
{
	const struct pb_segment_info *row = tables->segment;
	struct making making = { .tables = tables, .first = first,
	    .last = last, .err = err };
	struct pb_survey survey;
	int rc, fd = pb_segment_open_file(tables->store, &tables->stream->key,
	    row->first_seq, err);

	if (fd < 0)
		return fd;
	pb_file_advise(fd, POSIX_FADV_SEQUENTIAL);
	pb_survey_init(&survey);
	survey.segment = *row;
	survey.segment.last_seq = extent->first_seq - 1;
	survey.counted = row->last_seq;
	survey.seq_max = last;
	survey.packet = take_packet;
	survey.arg = &making;
	rc = pb_survey_read(&survey, fd, extent->offset, row->bytes, err);
	if (rc == 0)
		rc = making.rc;
	if (rc == 0)
		rc = end(&making);
	pb_index_block_destroy(making.block);
	pb_survey_finish(&survey);
	pb_file_advise(fd, POSIX_FADV_DONTNEED);
	pb_file_close(fd);
	return rc;
}

int
pb_tables_missing(struct pb_index *index,
    const struct pb_segment_info *segment, uint64_t from, uint64_t *first,
    uint64_t *last, struct pb_err *err)
{
	const struct pb_flows_info *row;
	struct pb_rows rows;

	*first = from > segment->first_seq ? from : segment->first_seq;
	*last = segment->last_seq;
	pb_rows_of(&rows, index, PB_TABLE_FLOWS, segment->stream, *first, err);
	while ((row = pb_rows_next(&rows)) != NULL &&
	    row->first_seq <= segment->last_seq) {
		if (row->first_seq > *first) {
			*last = row->first_seq - 1;
			break;
		}
		*first = row->last_seq + 1;
	}
	return rows.rc < 0 ? rows.rc : *first <= *last;
}

static bool
take_packet(void *arg, const struct pb_survey_packet *packet)
{
	struct making *making = arg;
	const struct pb_tables *tables = making->tables;
	uint16_t linktype = tables->stream->linktype;
	uint64_t first = packet->first;

	if (packet->seq < making->first)
		return true;
	if (first < making->first)
		first = making->first;	/* a row speaks of the others */
	if (tables->goes_on != NULL && !tables->goes_on(tables->arg))
		making->rc = pb_err_set(making->err, PB_EBUSY, "another time");
	for (int try = 0; try < 2 && making->rc == 0; try++) {
		if (making->block == NULL)
			making->rc = begin(making);
		if (making->rc == 0 && pb_index_block_packet(making->block,
		    linktype, packet->packet, first, packet->seq,
		    packet->at, packet->bytes))
			break;
		/* It is full. */
		if (making->rc == 0)
			making->rc = end(making);
	}
	return making->rc == 0;
}

static int
begin(struct making *making)
{
	const struct pb_segment_info *row = making->tables->segment;

	making->block = pb_index_block_create(NULL, 0, row->stream,
	    row->first_seq);
	return making->block != NULL ? 0 : pb_err_set(making->err, PB_ENOMEM,
	    "no memory for flows");
}

static int
end(struct making *making)
{
	const struct pb_tables *tables = making->tables;
	struct pb_flows_info row;
	struct pb_buf table;
	int rc;

	if (making->block == NULL)
		return 0;
	pb_buf_init(&table, PB_FLOW_TABLE_BYTES_MAX);
	rc = pb_index_block_end(making->block, &row, &table, NULL,
	    making->err);
	if (rc == 1 && row.table_bytes > 0)
		rc = pb_index_table_append(tables->store, &tables->stream->key,
		    &row, &table, making->err) < 0 ? making->err->code : 1;
	pb_buf_finish(&table);
	pb_index_block_destroy(making->block);
	making->block = NULL;
	return rc == 1 ? tables->each(tables->arg, &row, making->err) : rc;
}
