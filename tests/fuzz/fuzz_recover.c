/*
 * tests/fuzz/fuzz_recover.c - any bytes as what a crash left of a segment
 *
 * A store is prepared once, in three states of the index: the segment that
 * is open has packets there, was announced only, or was to fill a gap.
 * Each run puts one of them back, makes the segment's file of the input,
 * and opens the store.  Bits of byte 0:
 *
 *	0-1  the index: 0 known, 1 announced, 2 a late fill
 *	2    it is another boot: a power cut
 *	3-4  the file: 0 the bytes, 1 what was good and the bytes behind it,
 *	     2 its head and the bytes, 3 what was good with the bytes laid
 *	     over it (xor) from the offset that the first two say
 *	5    under its sealed name
 *	6    recovered a second time: it must stay as it is
 *
 * Whatever the bytes: the store opens.  Every number up to the stream's
 * end is in one sealed segment or in an open gap; every file is what the
 * index says of it, byte by byte; a cursor reads all of it.  What was
 * durable and not touched is there, and what was taken in behind it is
 * well-formed for the next node, as a request's body.
 */
#include <dirent.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/log.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "recorder/intake/body.h"
#include "recorder/store/read/cursor.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/write/fill.h"
#include "tests/fuzz/scratch.h"

#define INPUT_BYTES_MAX	(1u << 20)
#define FILE_BYTES_MAX	(4u << 20)
#define INDEX_BYTES	(4u << 20)
#define ROWS		64
#define KEPT_MAX	8
#define OTHER_BOOT	1u

enum { KNOWN, ANNOUNCED, LATE, IMAGES };

/* A file beside the segment, as it was. */
struct kept {
	char		 name[NAME_MAX + 1];
	struct pb_buf	 bytes;
};

/* One state of the store, in a folder of its own. */
struct image {
	char		 dir[PATH_MAX];
	char		 stream[PATH_MAX];	/* where its segments are */
	struct kept	 kept[KEPT_MAX];
	struct pb_buf	 index[2];	/* its file; [1]: of another boot */
	struct pb_buf	 good;		/* the segment as it was durable */
	size_t		 head;		/* bytes of its SHB and IDB */
	uint64_t	 first;		/* its first number */
	uint64_t	 before, after;	/* the stream's end if nothing of it
					 * is kept; if what is durable is */
};

static const struct pb_stream_key key = {
	"lon1", "eth0", 0x0123456789abcdefull,
};
static struct image image[IMAGES];
static uint8_t	*file;		/* the segment's bytes in a run */

/* --- files -------------------------------------------------------------- */

/* Appended; false where there is no such file. */
static bool
read_file(const char *path, struct pb_buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return false;
	MUST(fstat(fd, &st) == 0 && st.st_size < FILE_BYTES_MAX);
	MUST(pb_buf_reserve(out, (size_t)st.st_size + 1) != NULL);
	MUST(pb_pread_all(fd, out->data + out->len, (size_t)st.st_size, 0,
	    NULL) == st.st_size);
	out->len += (size_t)st.st_size;
	close(fd);
	return true;
}

static void
segment_path(char out[static PATH_MAX], const struct image *im,
    uint64_t first, bool open)
{
	MUST(pb_layout_segment(out, im->dir, &key, first, open, NULL) == 0);
}

static void
index_path(char out[static PATH_MAX], const struct image *im)
{
	MUST(pb_layout_path(out, im->dir, "index/data.mdb", NULL) == 0);
}

/* --- preparing ---------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int	written;	/* chunks */

static void
done(struct pb_chunk *chunk, int rc, const struct pb_err *err)
{
	(void)err;
	MUST(rc == 0);
	pb_chunk_destroy(chunk);
	pthread_mutex_lock(&mutex);
	written++;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&mutex);
}

static void
open_store(const struct image *im, struct pb_store **out)
{
	struct pb_store_opts opts = { .path = im->dir,
	    .pen = PB_PEN_EXAMPLE, .segment_size = 4096,
	    .segment_age_ms = 3600000, .index_size = INDEX_BYTES };
	struct pb_err err = { 0 };

	if (pb_store_open(out, &opts, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		MUST(!"the store opens");
	}
}

static struct pb_head *
make_head(void)
{
	struct pb_identity id = { .epoch = key.epoch, .nodes = 1 };
	struct pb_head *head;

	strcpy(id.interface, key.interface);
	strcpy(id.node[0].name, key.node);
	strcpy(id.node[0].description, "London");
	MUST(pb_head_create(&head, &id, PB_LINKTYPE_ETHERNET, NULL, 0, NULL,
	    0, NULL) == 0);
	return head;
}

static void
put_packet(struct pb_chunk *chunk, uint64_t seq, uint32_t len)
{
	static const uint8_t data[2048];
	uint8_t options[PB_OPTION_BYTES(8)];
	struct pb_packet packet = { .time_ns = 1700000000000000000ull + seq,
	    .caplen = len, .origlen = len, .data = data, .options = options,
	    .options_len = sizeof(options) };

	pb_option_at_u64(options, PB_OPT_EPB_PACKETID, seq);
	pb_fill_packet(chunk, pb_build_epb(pb_fill_at(chunk), 0, &packet),
	    seq, packet.time_ns, len);
}

/* Packets first .. last of `len` bytes, or with 0 a gap; durable. */
static void
put(struct pb_store *store, struct pb_stream *stream, uint64_t first,
    uint64_t last, uint32_t len)
{
	struct pb_chunk *chunk = pb_chunk_create();
	int before = written;

	MUST(chunk != NULL);
	chunk->stream = stream;
	chunk->done = done;
	chunk->first_seq = first;
	chunk->last_seq = last;
	if (len == 0) {
		chunk->gap = PB_GAP_EXPIRED;
	} else {
		chunk->head = make_head();
		for (uint64_t seq = first; seq <= last; seq++)
			put_packet(chunk, seq, len);
	}
	MUST(pb_store_submit(store, chunk, NULL) == 0);
	pthread_mutex_lock(&mutex);
	while (written == before)
		pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
}

/* What the index says when segment 6 was announced and no more. */
static void
forget_open(struct pb_index *index)
{
	struct pb_stream_info stream;
	struct pb_segment_info row;
	struct pb_mdb_txn txn;

	MUST(pb_index_stream(index, &key, &stream, NULL) == 1);
	MUST(pb_index_rows_of(index, PB_TABLE_SEGMENTS, stream.id, 6, &row, 1,
	    NULL) == 1);
	MUST(row.first_seq == 6 && !row.sealed);
	stream.last_seq = 5;
	stream.packets -= row.packets;
	stream.bytes -= row.packet_bytes;
	MUST(pb_index_begin(index, &txn, NULL) == 0);
	pb_index_put_stream(&txn, &stream);
	pb_index_del_segment(&txn, stream.id, 6);
	pb_index_del(&txn, PB_TABLE_EXTENTS, stream.id, 6);
	MUST(pb_mdb_commit(&txn) == 0);
}

/* A segment within the gap is announced. */
static void
announce_late(struct pb_index *index)
{
	struct pb_stream_info stream;
	struct pb_mdb_txn txn;

	MUST(pb_index_stream(index, &key, &stream, NULL) == 1);
	MUST(pb_index_begin(index, &txn, NULL) == 0);
	pb_index_put(&txn, PB_TABLE_OPEN, &(struct pb_open_info){
	    .stream = stream.id, .first_seq = 8, .key = key });
	MUST(pb_mdb_commit(&txn) == 0);
}

/* Keep the index as it is for this boot, and as for another. */
static void
keep_index(struct image *im, void (*change)(struct pb_index *))
{
	char path[PATH_MAX];
	struct pb_index *index;
	struct pb_mdb_txn txn;

	index_path(path, im);
	for (int other = 0; other < 2; other++) {
		MUST(pb_index_open_write(&index, im->dir, INDEX_BYTES,
		    NULL) == 0);
		if (other == 0 && change != NULL)
			change(index);
		if (other == 1) {
			MUST(pb_index_begin(index, &txn, NULL) == 0);
			pb_index_meta_put(&txn, "boot", OTHER_BOOT);
			MUST(pb_mdb_commit(&txn) == 0);
		}
		pb_index_close(index);
		pb_buf_init(&im->index[other], FILE_BYTES_MAX);
		MUST(read_file(path, &im->index[other]));
	}
}

/* The head of a segment of the stream that begins at `first`. */
static void
keep_head(struct image *im)
{
	struct pb_head *head = make_head();

	pb_buf_init(&im->good, FILE_BYTES_MAX);
	MUST(pb_head_build(head, PB_PEN_EXAMPLE, im->first, &im->good) == 0);
	im->head = im->good.len;
	pb_head_unref(head);
}

/* All files of the stream but the segment that the runs make. */
static void
keep_files(struct image *im)
{
	char path[PATH_MAX], own[32];
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	MUST(pb_layout_stream(im->stream, im->dir, &key, NULL) == 0);
	snprintf(own, sizeof(own), "%020u", (unsigned)im->first);
	dir = opendir(im->stream);
	MUST(dir != NULL);
	while ((entry = readdir(dir)) != NULL) {
		struct kept *kept = &im->kept[count];

		if (entry->d_name[0] == '.' ||
		    strncmp(entry->d_name, own, strlen(own)) == 0)
			continue;
		MUST(++count <= KEPT_MAX);
		snprintf(kept->name, sizeof(kept->name), "%s",
		    entry->d_name);
		MUST(pb_layout_path(path, im->stream, kept->name,
		    NULL) == 0);
		pb_buf_init(&kept->bytes, FILE_BYTES_MAX);
		MUST(read_file(path, &kept->bytes));
	}
	closedir(dir);
}

/*
 * Packets 1 to 5 in a segment that is sealed; then 6 to 9 in one that is
 * open, or a gap from 6 to 15 and 16 behind it.  A copy of the files of a
 * store at rest is what a crash leaves of them.
 */
static void
prepare(struct image *im, int which)
{
	struct pb_buf index, open;
	char path[PATH_MAX], name[PATH_MAX];
	struct pb_stream *stream;
	struct pb_store *store;

	snprintf(im->dir, sizeof(im->dir), "%s/%d", scratch_root,
	    which);
	open_store(im, &store);
	MUST(pb_store_stream(store, &key, PB_LINKTYPE_ETHERNET, 0, true,
	    &stream, NULL) == 0);
	put(store, stream, 1, 5, 1000);
	put(store, stream, 6, which == LATE ? 15 : 9, which == LATE ? 0 : 40);
	if (which == LATE)
		put(store, stream, 16, 16, 40);
	pb_buf_init(&index, FILE_BYTES_MAX);
	pb_buf_init(&open, FILE_BYTES_MAX);
	index_path(path, im);
	segment_path(name, im, 6, true);
	if (which != LATE) {
		MUST(read_file(path, &index) && read_file(name, &open));
	}
	pb_store_close(store);
	if (which != LATE)
		scratch_write(path, index.data, index.len);
	keep_index(im, which == ANNOUNCED ? forget_open :
	    which == LATE ? announce_late : NULL);
	im->first = which == LATE ? 8 : 6;
	im->before = which == LATE ? 16 : which == KNOWN ? 9 : 5;
	im->after = which == LATE ? 16 : 9;
	keep_head(im);
	keep_files(im);
	if (which != LATE) {
		MUST(memcmp(open.data, im->good.data, im->head) == 0);
		pb_buf_clear(&im->good);
		pb_buf_put(&im->good, open.data, open.len);
	}
	pb_buf_finish(&index);
	pb_buf_finish(&open);
}

static void
prepare_all(void)
{
	pb_log_level(PB_LOG_ERROR + 1);
	scratch_make();
	file = malloc(FILE_BYTES_MAX);
	MUST(file != NULL);
	for (int which = 0; which < IMAGES; which++)
		prepare(&image[which], which);
}

/* --- one crash ---------------------------------------------------------- */

static void
clear_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_type == DT_REG)
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

/* The folders as they were before the first run. */
static void
put_back(const struct image *im)
{
	char path[PATH_MAX];

	MUST(pb_layout_path(path, im->dir, "damaged", NULL) == 0);
	clear_folder(path);
	clear_folder(im->stream);
	for (int i = 0; i < KEPT_MAX && im->kept[i].name[0] != '\0'; i++) {
		MUST(pb_layout_path(path, im->stream, im->kept[i].name,
		    NULL) == 0);
		scratch_write(path, im->kept[i].bytes.data,
		    im->kept[i].bytes.len);
	}
}

static size_t
make_file(const struct image *im, unsigned how, const uint8_t *data,
    size_t size)
{
	size_t keep = how == 0 ? 0 : how == 2 ? im->head : im->good.len, at;

	if (keep > 0)
		memcpy(file, im->good.data, keep);
	if (how == 3) {
		if (size < 2)
			return keep;
		at = (size_t)data[0] | (size_t)data[1] << 8;
		for (size_t i = 2; i < size && at < keep; i++, at++)
			file[at] ^= data[i];
		return keep;
	}
	if (size > 0)
		memcpy(file + keep, data, size);
	return keep + size;
}

static void
crash(const struct image *im, uint8_t flags, const uint8_t *data, size_t size)
{
	const struct pb_buf *index = &im->index[(flags >> 2) & 1];
	char path[PATH_MAX];

	index_path(path, im);
	scratch_write(path, index->data, index->len);
	put_back(im);
	segment_path(path, im, im->first, (flags & 32) == 0);
	scratch_write(path, file, make_file(im, (flags >> 3) & 3, data, size));
}

/* --- what is there now -------------------------------------------------- */

struct found {
	struct pb_stream_info stream;
	struct pb_segment_info segment[ROWS];
	struct pb_extent_info extent[ROWS * 4];
	struct pb_gap_info gap[ROWS];
	int		 segments, extents, gaps;
};

static void
look(struct pb_index *index, struct found *out)
{
	struct pb_open_info open;

	memset(out, 0, sizeof(*out));
	MUST(pb_index_rows(index, PB_TABLE_OPEN, NULL, &open, 1, NULL) == 0);
	MUST(pb_index_stream(index, &key, &out->stream, NULL) == 1);
	out->segments = pb_index_rows_of(index, PB_TABLE_SEGMENTS,
	    out->stream.id, 0, out->segment, ROWS, NULL);
	out->extents = pb_index_rows_of(index, PB_TABLE_EXTENTS,
	    out->stream.id, 0, out->extent, ROWS * 4, NULL);
	out->gaps = pb_index_rows_of(index, PB_TABLE_GAPS, out->stream.id, 0,
	    out->gap, ROWS, NULL);
	MUST(out->segments >= 0 && out->segments < ROWS);
	MUST(out->extents >= 0 && out->extents < ROWS * 4);
	MUST(out->gaps >= 0 && out->gaps < ROWS);
}

/* Each number is in one segment or in one open gap. */
static void
check_numbers(const struct found *f)
{
	uint64_t next = 1, packets = 0, bytes = 0;
	int s = 0, g = 0;

	while (s < f->segments || g < f->gaps) {
		if (g < f->gaps && f->gap[g].closed_ns != 0) {
			g++;
		} else if (g < f->gaps && f->gap[g].first == next) {
			next = f->gap[g++].last + 1;
		} else {
			MUST(s < f->segments);
			MUST(f->segment[s].first_seq == next);
			MUST(f->segment[s].packets <=
			    f->segment[s].last_seq - next + 1);
			packets += f->segment[s].packets;
			bytes += f->segment[s].packet_bytes;
			next = f->segment[s++].last_seq + 1;
		}
	}
	MUST(f->stream.last_seq == next - 1);
	MUST(f->stream.packets == packets && f->stream.bytes == bytes);
	MUST(f->stream.first_seq == (f->segments > 0 ?
	    f->segment[0].first_seq : 0));
}

/* Whole blocks of the right kinds, numbered, and as the row says. */
static void
check_blocks(const struct pb_segment_info *row, const struct pb_buf *bytes,
    bool rotten)
{
	uint64_t seq, next = row->first_seq, low = UINT64_MAX, high = 0;
	uint64_t captured = 0;
	struct pb_packet packet;
	struct pb_block block;
	size_t at = row->header_bytes;

	for (; at < bytes->len; at += block.len) {
		MUST(pb_scan_block(bytes->data + at, bytes->len - at,
		    &block) == 1);
		MUST(block.type != PB_BLOCK_SHB && block.type != PB_BLOCK_IDB);
		if (block.type != PB_BLOCK_EPB)
			continue;
		MUST(pb_scan_epb(&block, &packet) == 0);
		MUST(pb_packet_seq(&packet, &seq) && seq == next++);
		captured += packet.caplen;
		low = packet.time_ns < low ? packet.time_ns : low;
		high = packet.time_ns > high ? packet.time_ns : high;
	}
	MUST(next == row->last_seq + 1);
	/* Packets that were promised are not counted again. */
	if (!rotten)
		MUST(captured == row->packet_bytes &&
		    low == row->first_time && high == row->last_time);
}

/* The extent as the shipper sends it, and as the next node reads it: it
 * may be against a rule of bodies (hop records), and not malformed. */
static void
check_section(const struct pb_extent_info *extent,
    const struct pb_buf *bytes, size_t head)
{
	static struct pb_body_scratch *scratch;
	struct pb_body body = { .key = &key, .pen = PB_PEN_EXAMPLE };
	struct pb_body_facts facts;
	struct pb_err err = { 0 };
	struct pb_buf section;
	int rc;

	if (scratch == NULL)
		MUST(pb_body_scratch_create(&scratch, NULL) == 0);
	pb_buf_init(&section, FILE_BYTES_MAX);
	pb_buf_put(&section, bytes->data, head);
	pb_buf_put(&section, bytes->data + extent->offset, extent->bytes);
	MUST(!section.failed);
	body.data = section.data;
	body.len = section.len;
	rc = pb_body_read(scratch, &body, &facts, NULL, &err);
	if (rc < 0)
		fprintf(stderr, "%s\n", err.text);
	MUST(rc == 0 || rc == PB_EINVAL);
	if (rc == 0)
		MUST(facts.first == extent->first_seq &&
		    facts.last == extent->last_seq);
	pb_buf_finish(&section);
}

static void
check_extent(const struct pb_extent_info *extent, const struct pb_buf *bytes,
    size_t head, bool rotten)
{
	MUST(extent->offset + extent->bytes <= bytes->len);
	MUST(XXH3_64bits(bytes->data + extent->offset, extent->bytes) ==
	    extent->digest);
	if (!rotten)
		check_section(extent, bytes, head);
}

static void
check_segment(const struct image *im, const struct found *f,
    const struct pb_segment_info *row, bool rotten)
{
	uint64_t next = row->first_seq, at = row->header_bytes;
	char path[PATH_MAX];
	struct pb_block block;
	struct pb_head *head;
	struct pb_buf bytes;
	size_t header;

	MUST(row->sealed);
	segment_path(path, im, row->first_seq, true);
	MUST(access(path, F_OK) < 0);
	segment_path(path, im, row->first_seq, false);
	pb_buf_init(&bytes, 2 * FILE_BYTES_MAX);
	MUST(read_file(path, &bytes) && bytes.len == row->bytes);
	MUST(pb_head_parse(&head, bytes.data, bytes.len, &header, NULL) == 0);
	MUST(header == row->header_bytes);
	MUST(head->linktype == f->stream.linktype);
	MUST(head->identity.epoch == key.epoch);
	MUST(head->identity.first_seq == row->first_seq);
	MUST(strcmp(head->identity.node[0].name, key.node) == 0);
	MUST(strcmp(head->identity.interface, key.interface) == 0);
	pb_head_unref(head);
	check_blocks(row, &bytes, rotten);
	for (int i = 0; i < f->extents; i++) {
		if (f->extent[i].segment_seq != row->first_seq)
			continue;
		MUST(f->extent[i].first_seq == next);
		/* When it was begun stands before the first one, or in it. */
		if (at == header && f->extent[i].offset > at) {
			MUST(pb_scan_block(bytes.data + at, bytes.len - at,
			    &block) == 1 && pb_scan_is_filler(&block));
			at += block.len;
		}
		MUST(f->extent[i].offset == at);
		check_extent(&f->extent[i], &bytes, header, rotten);
		next = f->extent[i].last_seq + 1;
		at += f->extent[i].bytes;
	}
	/* Behind the last extent: what was written when it was sealed. */
	MUST(next == row->last_seq + 1 && at <= bytes.len);
	pb_buf_finish(&bytes);
}

static void
check_cursor(const struct image *im, struct pb_index *index,
    const struct found *f)
{
	static const struct pb_range all = { 1, UINT64_MAX, 0, UINT64_MAX };
	struct pb_cursor_packet packet;
	struct pb_cursor *cursor;
	uint64_t count = 0, last = 0;
	int rc;

	MUST(pb_cursor_create(&cursor, index, im->dir, &f->stream, &all,
	    NULL) == 0);
	while ((rc = pb_cursor_next(cursor, &packet, NULL)) == 1) {
		MUST(packet.seq > last);
		last = packet.seq;
		count++;
	}
	MUST(rc == 0 && count == f->stream.packets);
	pb_cursor_destroy(cursor);
}

/* What the crash did not touch, and what was never promised. */
static void
check_promise(const struct image *im, const struct found *f, uint8_t flags,
    size_t size)
{
	unsigned how = (flags >> 3) & 3;
	bool whole = how == 1 || (how == 3 && size <= 2);
	uint64_t last = f->stream.last_seq;

	MUST(f->segments > 0 && f->segment[0].first_seq == 1 &&
	    f->segment[0].last_seq == 5);
	MUST(last >= im->before);
	if (im == &image[LATE]) {
		MUST(last == im->after && f->segments == 2);
	} else if ((flags & 4) != 0) {
		MUST(last == im->before);
		if (whole)
			MUST(f->gaps == 0);
	} else if (whole) {
		MUST(last >= im->after && f->gaps == 0);
	}
}

static void
recover(const struct image *im, uint8_t flags, struct found *out)
{
	/* Bytes that had been promised, and that somebody changed. */
	bool rotten = im == &image[KNOWN] && ((flags >> 3) & 3) != 1;
	struct pb_store *store;
	struct pb_stream *stream;
	struct pb_index *index;

	open_store(im, &store);
	index = pb_store_index(store);
	look(index, out);
	check_numbers(out);
	for (int i = 0; i < out->segments; i++)
		check_segment(im, out, &out->segment[i], rotten);
	check_cursor(im, index, out);
	MUST(pb_store_stream_find(store, &key, &stream, NULL) == 1);
	MUST(pb_stream_next(stream) == out->stream.last_seq + 1);
	MUST(pb_stream_durable(stream) == out->stream.last_seq);
	pb_store_close(store);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct found found, again;
	struct image *im;

	if (size == 0 || size > INPUT_BYTES_MAX)
		return 0;
	if (file == NULL)
		prepare_all();
	im = &image[(data[0] & 3) % IMAGES];
	crash(im, data[0], data + 1, size - 1);
	recover(im, data[0], &found);
	check_promise(im, &found, data[0], size - 1);
	if ((data[0] & 64) != 0) {
		recover(im, data[0], &again);
		MUST(memcmp(&found, &again, sizeof(found)) == 0);
	}
	return 0;
}
