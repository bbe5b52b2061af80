/*
 * tests/sim/store/check_filtered.c - numbers that were left out, as the files
 * of a stream say
 */
#include <stdlib.h>

#include "base/disk.h"
#include "base/sys.h"
#include "recorder/store/read/segment_file.h"
#include "tests/sim/store/world.h"

static bool	read_extent(const struct source *,
		    const struct pb_extent_info *, uint8_t *);

void
world_each_filtered(struct world *world, const struct source *source,
    const struct pb_stream_info *stream,
    void (*each)(void *arg, const struct pb_filtered *run), void *arg)
{
	const struct pb_extent_info *extent;
	struct pb_err err = { .code = 0 };
	struct pb_filtered run;
	struct pb_block block;
	struct pb_rows rows;

	pb_rows_of(&rows, pb_store_index(world->store), PB_TABLE_EXTENTS,
	    stream->id, 1, &err);
	while ((extent = pb_rows_next(&rows)) != NULL) {
		uint8_t *bytes = malloc(extent->bytes);

		if (bytes == NULL || !read_extent(source, extent, bytes)) {
			world_fail(world, "%s: extent %llu cannot be read",
			    source->key.interface,
			    (unsigned long long)extent->first_seq);
			free(bytes);
			return;
		}
		for (size_t at = 0; at < extent->bytes && pb_scan_block(bytes +
		    at, extent->bytes - at, &block) == 1; at += block.len)
			if (block.type == PB_BLOCK_ISB &&
			    pb_scan_filtered(&block, &run) == 1)
				each(arg, &run);
		free(bytes);
	}
	if (rows.rc < 0)
		world_fail(world, "extents: %.300s", err.text);
}

static bool
read_extent(const struct source *source, const struct pb_extent_info *extent,
    uint8_t *bytes)
{
	int fd = pb_segment_open_file(WORLD_STORE, &source->key,
	    extent->segment_seq, NULL);
	bool is_read = fd >= 0 && pb_pread_all(fd, bytes, extent->bytes,
	    extent->offset, NULL) == (ssize_t)extent->bytes;

	if (fd >= 0)
		pb_file_close(fd);
	return is_read;
}
