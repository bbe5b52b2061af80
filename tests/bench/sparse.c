/*
 * tests/bench/sparse.c - a large store that takes little room
 *
 *	sparse FROM TO COPIES
 *
 * TO is each stream of the store FROM, so many times behind itself: numbers
 * and times go on.  Rows of the index are as many as such a store has, and so
 * are the bytes of its flow tables; its segments are as long, but have nothing
 * behind their header.  A search that reads no packet finds it real.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "recorder/flow/table/form.h"
#include "recorder/store/index/index_write.h"

#define MAP_BYTES	(64ull << 30)
#define STREAMS_MAX	16

struct copy {
	const char	*from, *to;
	struct pb_index	*source, *index;
	struct pb_stream_info stream;
	uint64_t	 seq, time;	/* behind the ones in the source */
};

static void
die(const char *what, const struct pb_err *err)
{
	fprintf(stderr, "sparse: %s: %s\n", what, err != NULL ? err->text :
	    strerror(errno));
	exit(1);
}

static void
make_folders(char *path)
{
	for (char *p = path + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			die(path, NULL);
		*p = '/';
	}
}

/* The first `bytes` of it, in a file of `size`; none where there is none. */
static void
copy_file(const char *from, char *to, uint64_t bytes, uint64_t size)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t n;

	if (in < 0 && errno == ENOENT)
		return;
	make_folders(to);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (in < 0 || out < 0)
		die(in < 0 ? from : to, NULL);
	for (uint64_t at = 0; at < bytes; at += (uint64_t)n) {
		n = sendfile(out, in, NULL, bytes - at);
		if (n <= 0)
			die(to, NULL);
	}
	if (ftruncate(out, (off_t)size) < 0)
		die(to, NULL);
	close(in);
	close(out);
}

static void
copy_files(const struct copy *c, const struct pb_segment_info *segment)
{
	const struct pb_stream_key *key = &c->stream.key;
	char from[PATH_MAX], to[PATH_MAX];
	uint64_t first = segment->first_seq;
	struct stat st;

	if (pb_layout_segment(from, c->from, key, first, false, NULL) < 0 ||
	    pb_layout_segment(to, c->to, key, first + c->seq, false, NULL) < 0)
		die("a name is too long", NULL);
	copy_file(from, to, segment->header_bytes, segment->bytes);
	if (pb_layout_flows(from, c->from, key, first, NULL) < 0 ||
	    pb_layout_flows(to, c->to, key, first + c->seq, NULL) < 0)
		die("a name is too long", NULL);
	if (stat(from, &st) == 0)
		copy_file(from, to, (uint64_t)st.st_size,
		    (uint64_t)st.st_size);
}

/* --- rows ----------------------------------------------------------------- */

static void
segments(const struct copy *c, struct pb_mdb_txn *txn, struct pb_err *err)
{
	const struct pb_segment_info *row;
	struct pb_rows rows;

	pb_rows_of(&rows, c->source, PB_TABLE_SEGMENTS, c->stream.id, 1, err);
	while ((row = pb_rows_next(&rows)) != NULL) {
		struct pb_segment_info segment = *row;

		copy_files(c, row);
		segment.first_seq += c->seq;
		segment.last_seq += c->seq;
		segment.first_time += c->time;
		segment.last_time += c->time;
		pb_index_put_segment(txn, &segment);
	}
	if (rows.rc < 0)
		die("segments", err);
}

static void
extents(const struct copy *c, struct pb_mdb_txn *txn, struct pb_err *err)
{
	const struct pb_extent_info *row;
	struct pb_rows rows;

	pb_rows_of(&rows, c->source, PB_TABLE_EXTENTS, c->stream.id, 1, err);
	while ((row = pb_rows_next(&rows)) != NULL) {
		struct pb_extent_info extent = *row;

		extent.first_seq += c->seq;
		extent.last_seq += c->seq;
		extent.segment_seq += c->seq;
		extent.first_time += c->time;
		extent.last_time += c->time;
		pb_index_put(txn, PB_TABLE_EXTENTS, &extent);
	}
	if (rows.rc < 0)
		die("extents", err);
}

/* Its lowest time, in its head, as its row has it, which has the head's
 * digest. */
static void
move_table(const struct copy *c, struct pb_flows_info *block)
{
	uint8_t head[HEAD_BYTES];
	char path[PATH_MAX];
	int fd;

	if (block->table_bytes == 0)
		return;
	if (pb_layout_flows(path, c->to, &c->stream.key, block->segment_seq,
	    NULL) < 0)
		die("a name is too long", NULL);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, head, sizeof(head), (off_t)block->table_at) !=
	    sizeof(head))
		die(path, NULL);
	pb_put_le64(head + HEAD_TIME, block->first_time);
	block->table_digest = pb_digest(head, HEAD_DIGEST);
	pb_put_le64(head + HEAD_DIGEST, block->table_digest);
	if (pwrite(fd, head, sizeof(head), (off_t)block->table_at) !=
	    sizeof(head))
		die(path, NULL);
	close(fd);
}

static void
index_blocks(const struct copy *c, struct pb_mdb_txn *txn, struct pb_err *err)
{
	const struct pb_flows_info *row;
	static struct pb_flows_info block;
	struct pb_rows rows;

	pb_rows_of(&rows, c->source, PB_TABLE_FLOWS, c->stream.id, 1, err);
	while ((row = pb_rows_next(&rows)) != NULL) {
		memcpy(&block, row, offsetof(struct pb_flows_info, summary) +
		    row->summary_bytes);
		block.first_seq += c->seq;
		block.last_seq += c->seq;
		block.segment_seq += c->seq;
		block.first_time += c->time;
		block.last_time += c->time;
		move_table(c, &block);
		pb_index_put(txn, PB_TABLE_FLOWS, &block);
	}
	if (rows.rc < 0)
		die("index blocks", err);
}

static void
copy_stream(struct copy *c, uint64_t copies, struct pb_err *err)
{
	struct pb_stream_info all = c->stream;
	uint64_t seqs = all.last_seq, times = all.last_time - all.first_time +
	    1;
	struct pb_mdb_txn txn;

	for (uint64_t n = 0; n < copies; n++) {
		c->seq = n * seqs;
		c->time = n * times;
		if (pb_index_begin(c->index, &txn, err) < 0)
			die("begin", err);
		segments(c, &txn, err);
		extents(c, &txn, err);
		index_blocks(c, &txn, err);
		all.last_seq = c->stream.last_seq + c->seq;
		all.last_time = c->stream.last_time + c->time;
		all.packets = c->stream.packets * (n + 1);
		all.bytes = c->stream.bytes * (n + 1);
		pb_index_put_stream(&txn, &all);
		if (pb_mdb_commit(&txn) < 0)
			die("commit", err);
	}
}

int
main(int argc, char **argv)
{
	struct pb_stream_info stream[STREAMS_MAX];
	char folder[PATH_MAX];
	struct copy c = { 0 };
	struct pb_mdb_txn txn;
	struct pb_err err;
	int streams;

	if (argc != 4) {
		fprintf(stderr, "usage: sparse FROM TO COPIES\n");
		return 2;
	}
	c.from = argv[1];
	c.to = argv[2];
	snprintf(folder, sizeof(folder), "%s/index/", c.to);
	make_folders(folder);
	if (pb_index_open(&c.source, c.from, &err) < 0 ||
	    pb_index_open_named(&c.index, c.to, "index", MAP_BYTES, &err) < 0)
		die("index", &err);
	streams = pb_index_rows(c.source, PB_TABLE_STREAMS, NULL, stream,
	    STREAMS_MAX, &err);
	if (streams < 0)
		die("streams", &err);
	for (int i = 0; i < streams; i++) {
		c.stream = stream[i];
		copy_stream(&c, strtoull(argv[3], NULL, 10), &err);
	}
	if (pb_index_begin(c.index, &txn, &err) < 0)
		die("begin", &err);
	pb_index_meta_put(&txn, PB_META_CLEAN, 1);
	if (pb_mdb_commit(&txn) < 0 || pb_mdb_sync(c.index->mdb, &err) < 0)
		die("commit", &err);
	pb_index_close(c.index);
	pb_index_close(c.source);
	return 0;
}
