/*
 * recorder/store/write/segment.c - one segment file while it is written
 *
 * Chunks that go past the page cache are gathered and written together:
 * few large writes cost a fraction of the many small ones (measured: 4 MiB
 * at a time in huge pages 0.016 s of CPU a GB, 1 MiB in small pages 0.1 s).
 */
#include "recorder/store/write/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/below.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/list.h"
#include "base/sys.h"
#include "pcapng/build.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "recorder/store/index/index_write.h"

/* Extents that one commit may add; the writer's queue is shorter. */
#define EXTENTS_MAX	(2 * PB_QUEUE_CHUNKS_MAX)
/* Chunks of one write. */
#define GATHER_PARTS	(PB_GATHER_BYTES / PB_CHUNK_BYTES + 1)

/* What a rollback goes back to. */
struct state {
	struct pb_segment_info	 row;
	struct pb_extent_info	 extent;	/* the last one */
	struct pb_digest	 digest;	/* of its bytes so far */
	bool			 has_extent;
};

struct pb_segment {
	struct state		 now;
	struct state		 durable;
	struct pb_extent_info	*extents;	/* changed since the commit */
	size_t			 count, cap;
	struct pb_head		*head;
	uint32_t		 pen;
	int			 fd;		/* through the page cache */
	int			 direct_fd;	/* past it; -1 where
						 * impossible */
	bool			 torn;	/* bytes may stand behind the end */
	/* Appended and not written yet: blocks of chunks, which the batch
	 * holds until it is durable or taken back. */
	struct iovec		 part[GATHER_PARTS];
	unsigned		 parts;
	size_t			 gathered;	/* bytes of them */
	uint64_t		 appended_at;	/* where the last ones begin */
	struct pb_err		 lost;		/* why they could not be */
	const char		*store;		/* the path; its owner's */
	const struct pb_stream_key *key;	/* likewise */
	bool			 renamed;	/* it has its sealed name */
};

static int	make_file(struct pb_segment *, const struct pb_buf *,
		    struct pb_err *);
static const char *path_of(const struct pb_segment *, char [static PATH_MAX]);
static int	sync_dir(const struct pb_segment *, struct pb_err *);
static int	failed(const struct pb_segment *, int, struct pb_err *);
static int	make_room(struct pb_buf *, uint64_t,
		    const struct pb_segment_place *);
static int	cut(struct pb_segment *, struct pb_err *);
static int	append(struct pb_segment *, uint8_t *, size_t,
		    const struct pb_digest *, uint64_t, struct pb_err *);
static bool	fits_page(const struct pb_segment *, size_t);
static int	gather(struct pb_segment *, uint8_t *, size_t,
		    const struct pb_digest *, uint64_t, struct pb_err *);
static int	write_gathered(struct pb_segment *, struct pb_err *);
static int	was_lost(const struct pb_segment *, struct pb_err *);
static int	write_parts(struct pb_segment *, uint64_t, struct pb_err *);
static int	append_cached(struct pb_segment *, const void *, size_t,
		    const struct pb_digest *, struct pb_err *);
static int	fill_page(struct pb_segment *, uint64_t, struct pb_err *);
static size_t	filler_bytes(uint64_t);
static int	extent_for(struct pb_segment *, const struct pb_chunk *);
static void	extent_take(struct pb_segment *, const void *, size_t,
		    const struct pb_digest *);
static void	stats_options(struct pb_buf *, const struct pb_stream_info *,
		    const struct pb_segment_info *, uint64_t);

int
pb_segment_create(struct pb_segment **out,
    const struct pb_segment_place *place, struct pb_head *head,
    uint64_t first_seq, uint64_t now_ns, struct pb_err *err)
{
	struct pb_segment *segment;
	struct pb_buf bytes;
	size_t header;
	int rc;

	segment = aligned_alloc(PB_DIGEST_ALIGN,
	    pb_round_up(sizeof(*segment), PB_DIGEST_ALIGN));
	if (segment == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	memset(segment, 0, sizeof(*segment));
	segment->fd = segment->direct_fd = -1;
	segment->pen = place->pen;
	segment->store = place->store;
	segment->key = place->key;
	segment->head = pb_head_ref(head);
	pb_buf_init(&bytes, PB_HEAD_BYTES_MAX);
	rc = pb_head_build(head, place->pen, first_seq, &bytes);
	if (rc < 0)
		pb_err_set(err, rc, "cannot build a segment's header");
	header = bytes.len;
	if (rc == 0)
		rc = make_room(&bytes, now_ns, place);
	segment->now.row = (struct pb_segment_info){
		.stream = place->stream,
		.first_seq = first_seq,
		.last_seq = first_seq - 1,
		.bytes = bytes.len,
		.header_bytes = (uint32_t)header,
		.created_ns = now_ns,
		.header_digest = pb_digest(bytes.data, bytes.len),
	};
	pb_digest_begin(&segment->now.digest);
	segment->durable = segment->now;
	if (rc == 0)
		rc = make_file(segment, &bytes, err);
	pb_buf_finish(&bytes);
	if (rc < 0) {
		pb_segment_destroy(segment);
		return rc;
	}
	*out = segment;
	return 0;
}

void
pb_segment_destroy(struct pb_segment *segment)
{
	if (segment == NULL)
		return;
	if (segment->direct_fd >= 0)
		pb_file_close(segment->direct_fd);
	if (segment->fd >= 0)
		pb_file_close(segment->fd);
	pb_head_unref(segment->head);
	free(segment->extents);
	free(segment);
}

int
pb_segment_append(struct pb_segment *segment, struct pb_chunk *chunk,
    struct pb_err *err)
{
	int rc;

	if (extent_for(segment, chunk) < 0)
		return pb_err_set(err, PB_ENOMEM, "no memory for extents");
	rc = append(segment, chunk->data, chunk->len,
	    chunk->digested == chunk->len ? &chunk->digest : NULL,
	    chunk->tally.last_time, err);
	if (rc < 0)
		return failed(segment, rc, err);
	chunk->file_at = segment->appended_at;
	pb_extent_count(&segment->now.extent, chunk->last_seq, &chunk->tally);
	pb_segment_count(&segment->now.row, chunk->last_seq, &chunk->tally);
	return 0;
}

int
pb_segment_close_stats(struct pb_segment *segment,
    const struct pb_stream_info *stream, uint64_t now_ns, struct pb_err *err)
{
	struct pb_buf options, block;
	int rc;

	/* One that has its sealed name is as it will be. */
	if (!segment->now.has_extent || segment->renamed)
		return 0;
	/* What packets there are comes first: they must not fail with it. */
	rc = write_gathered(segment, err);
	if (rc < 0)
		return failed(segment, rc, err);
	/* The last extent grows by it, also where it was committed. */
	if (segment->count == 0)
		segment->extents[segment->count++] = segment->now.extent;
	pb_buf_init(&options, PB_OPTIONS_BYTES_MAX);
	pb_buf_init(&block, PB_OPTIONS_BYTES_MAX);
	stats_options(&options, stream, &segment->now.row, now_ns);
	rc = pb_build_isb(&block, 0, now_ns, options.data, options.len);
	if (rc < 0)
		pb_err_set(err, rc, "cannot build the statistics");
	else
		rc = append(segment, block.data, block.len, NULL, now_ns, err);
	pb_buf_finish(&options);
	pb_buf_finish(&block);
	if (rc == 0)
		return 0;
	/* The packets before it stay: no rollback cuts what it left. */
	cut(segment, NULL);
	return failed(segment, rc, err);
}

void
pb_segment_sync_soon(struct pb_segment *segment)
{
	if (write_gathered(segment, NULL) == 0)
		pb_file_sync_soon(segment->fd);
}

int
pb_segment_sync(struct pb_segment *segment, struct pb_err *err)
{
	char path[PATH_MAX];
	int rc = write_gathered(segment, err);

	if (rc < 0)
		return failed(segment, rc, err);
	rc = cut(segment, err);
	if (rc == 0 && pb_file_datasync(segment->fd) < 0)
		rc = pb_err_sys(err, "sync %s", path_of(segment, path));
	return rc;
}

int
pb_segment_rename(struct pb_segment *segment, uint64_t age_ms,
    struct pb_err *err)
{
	char path[PATH_MAX], sealed[PATH_MAX];
	bool renamed = segment->renamed;

	/* Syncing the directory takes a descriptor: this one is done with,
	 * so that sealing works where there is no other one left. */
	if (segment->direct_fd >= 0)
		pb_file_close(segment->direct_fd);
	segment->direct_fd = -1;
	/* A second try, after a commit that failed, finds it renamed. */
	path_of(segment, path);
	segment->renamed = true;
	if (!renamed && pb_below_rename(path, path_of(segment, sealed), 0) <
	    0) {
		segment->renamed = false;
		return pb_err_sys(err, "rename %s to its sealed name", path);
	}
	segment->now.row.sealed_at = pb_age_key(age_ms);
	segment->now.row.sealed = true;
	return sync_dir(segment, err);
}

const struct pb_segment_info *
pb_segment_row(const struct pb_segment *segment)
{
	return &segment->now.row;
}

size_t
pb_segment_extents(const struct pb_segment *segment,
    const struct pb_extent_info **rows)
{
	if (segment->count > 0) {
		/* The last one has grown since it was listed. */
		segment->extents[segment->count - 1] = segment->now.extent;
		segment->extents[segment->count - 1].digest =
		    pb_digest_end(&segment->now.digest);
	}
	*rows = segment->extents;
	return segment->count;
}

void
pb_segment_commit(struct pb_segment *segment)
{
	segment->durable = segment->now;
	segment->count = 0;
}

int
pb_segment_rollback(struct pb_segment *segment, struct pb_err *err)
{
	segment->torn = true;
	segment->now = segment->durable;
	segment->count = 0;
	segment->parts = 0;
	segment->gathered = 0;
	segment->lost.code = 0;
	return cut(segment, err);
}

bool
pb_segment_has_name(const struct pb_segment *segment)
{
	char path[PATH_MAX];
	struct stat st, at;

	if (pb_file_stat(segment->fd, &st) < 0 || st.st_nlink > 0)
		return true;
	/* Not every file system counts them. */
	return pb_below_seen(path_of(segment, path), &at) == 0 &&
	    at.st_ino == st.st_ino && at.st_dev == st.st_dev;
}

int
pb_segment_unlink(const struct pb_segment *segment, struct pb_err *err)
{
	char path[PATH_MAX];

	path_of(segment, path);
	if (pb_below_unlink(path) < 0 && errno != ENOENT)
		return pb_err_sys(err, "remove %s", path);
	return sync_dir(segment, err);
}

const struct pb_head *
pb_segment_head(const struct pb_segment *segment)
{
	return segment->head;
}

/* When it was begun; and a header that ends too near a page's edge for a
 * filler gets one now. */
static int
make_room(struct pb_buf *header, uint64_t now_ns,
    const struct pb_segment_place *place)
{
	size_t pad;
	int rc = pb_head_put_begun(header, now_ns, place->pen,
	    place->age_ms);

	pad = filler_bytes(header->len);
	if (rc < 0 || pad <= PB_PAGE_BYTES)
		return rc;
	if (pb_buf_reserve(header, pad) == NULL)
		return PB_ENOMEM;
	pb_build_filler(header->data + header->len, pad, now_ns, place->pen);
	header->len += pad;
	return 0;
}

/* Hidden until its header stands: no reader ever meets an empty file.  From
 * here on its names are known to fit: the visible one is the longest. */
static int
make_file(struct pb_segment *segment, const struct pb_buf *header,
    struct pb_err *err)
{
	char hidden[PATH_MAX], path[PATH_MAX];
	int rc = pb_layout_segment(path, segment->store, segment->key,
	    segment->now.row.first_seq, true, err);

	if (rc == 0)
		rc = pb_layout_stream(hidden, segment->store, segment->key,
		    err);
	if (rc == 0)
		rc = pb_mkdirs(hidden, err);
	if (rc < 0)
		return rc;
	strcat(hidden, "/" PB_LAYOUT_NEW);
	segment->fd = pb_below_open(hidden, O_RDWR | O_CREAT | O_TRUNC, 0640);
	if (segment->fd < 0)
		return pb_err_sys(err, "make %s", hidden);
	rc = pb_pwrite_all(segment->fd, header->data, header->len, 0, err);
	if (rc < 0)
		pb_err_prefix(err, rc, "%s", hidden);
	/* The header must be there whenever the name is: sync first. */
	if (rc == 0 && pb_file_datasync(segment->fd) < 0)
		rc = pb_err_sys(err, "sync %s", hidden);
	if (rc == 0 && pb_below_rename(hidden, path, 0) < 0)
		rc = pb_err_sys(err, "rename %s to %s", hidden, path);
	if (rc < 0) {
		/* What cannot be made leaves nothing. */
		pb_below_unlink(hidden);
		return rc;
	}
	/* Not every file system has O_DIRECT (tmpfs): then without. */
	segment->direct_fd = pb_below_open(path, O_WRONLY | O_DIRECT, 0);
	rc = sync_dir(segment, err);
	/* The next one need not begin at this number: it may be a gap's. */
	if (rc < 0)
		pb_below_unlink(path);
	return rc;
}

static const char *
path_of(const struct pb_segment *segment, char out[static PATH_MAX])
{
	pb_layout_segment(out, segment->store, segment->key,
	    segment->now.row.first_seq, !segment->renamed, NULL);
	return out;
}

static int
sync_dir(const struct pb_segment *segment, struct pb_err *err)
{
	char dir[PATH_MAX];
	int rc = pb_layout_stream(dir, segment->store, segment->key, err);

	return rc < 0 ? rc : pb_sync_dir(dir, err);
}

static int
failed(const struct pb_segment *segment, int rc, struct pb_err *err)
{
	char path[PATH_MAX];

	return pb_err_prefix(err, rc, "%s", path_of(segment, path));
}

/* What a write or a rollback that failed has left behind the end goes. */
static int
cut(struct pb_segment *segment, struct pb_err *err)
{
	uint64_t end = segment->now.row.bytes;
	char path[PATH_MAX];

	if (segment->torn && pb_file_truncate(segment->fd, end) < 0)
		return pb_err_sys(err, "cut %s back to %llu bytes",
		    path_of(segment, path), (unsigned long long)end);
	segment->torn = false;
	return 0;
}

/*
 * Bytes behind the file's end, so that its size is a block's edge at every
 * moment: what lies within one page goes through the page cache, which
 * moves the size once; what does not starts on a page's edge.  `data` is
 * page-aligned, with room for a filler behind it, unless it is small;
 * `digest` is of them where somebody knows it, or NULL.
 */
static int
append(struct pb_segment *segment, uint8_t *data, size_t len,
    const struct pb_digest *digest, uint64_t now_ns, struct pb_err *err)
{
	int rc = was_lost(segment, err);

	if (rc == 0)
		rc = cut(segment, err);
	if (rc < 0)
		return rc;
	if (segment->direct_fd >= 0 && !fits_page(segment, len))
		rc = fill_page(segment, now_ns, err);
	segment->appended_at = segment->now.row.bytes;
	if (rc == 0 && (segment->direct_fd < 0 || fits_page(segment, len)))
		rc = append_cached(segment, data, len, digest, err);
	else if (rc == 0)
		rc = gather(segment, data, len, digest, now_ns, err);
	if (rc < 0)
		segment->torn = true;
	return rc;
}

/* Within the page that holds the end, which then is full or has room for
 * a filler. */
static bool
fits_page(const struct pb_segment *segment, size_t len)
{
	size_t used = (size_t)(segment->now.row.bytes % PB_PAGE_BYTES) + len;

	return used == PB_PAGE_BYTES ||
	    used + PB_FILLER_BYTES_MIN <= PB_PAGE_BYTES;
}

/* Past the page cache: from a page's edge to a page's edge, with what comes
 * behind it. */
static int
gather(struct pb_segment *segment, uint8_t *data, size_t len,
    const struct pb_digest *digest, uint64_t now_ns, struct pb_err *err)
{
	size_t pad = filler_bytes(len);
	int rc = 0;

	if (segment->parts == GATHER_PARTS ||
	    segment->gathered + len + pad > PB_GATHER_BYTES)
		rc = write_gathered(segment, err);
	if (rc < 0)
		return rc;
	if (pad > 0)
		pb_build_filler(data + len, pad, now_ns, segment->pen);
	segment->part[segment->parts++] = (struct iovec){
		.iov_base = data, .iov_len = len + pad,
	};
	segment->gathered += len + pad;
	extent_take(segment, data, len, digest);
	extent_take(segment, data + len, pad, NULL);
	return 0;
}

/* A failure stays until pb_segment_rollback(): the bytes are accounted
 * for, and nothing may be written behind the hole. */
static int
write_gathered(struct pb_segment *segment, struct pb_err *err)
{
	uint64_t at = segment->now.row.bytes - segment->gathered;
	int rc;

	if (segment->parts == 0)
		return was_lost(segment, err);
	rc = write_parts(segment, at, &segment->lost);
	segment->parts = 0;
	segment->gathered = 0;
	if (rc == 0)
		return 0;
	segment->torn = true;
	return was_lost(segment, err);
}

static int
was_lost(const struct pb_segment *segment, struct pb_err *err)
{
	if (segment->lost.code != 0 && err != NULL)
		*err = segment->lost;
	return segment->lost.code;
}

static int
write_parts(struct pb_segment *segment, uint64_t at, struct pb_err *err)
{
	struct iovec part[GATHER_PARTS];
	int rc;

	memcpy(part, segment->part, sizeof(part));
	err->code = 0;
	rc = pb_pwritev_all(segment->direct_fd, part, (int)segment->parts, at,
	    err);
	if (rc == 0 || err->sys != EINVAL)
		return rc;
	/* A device with larger pages: this file goes without. */
	pb_file_close(segment->direct_fd);
	segment->direct_fd = -1;
	err->code = 0;
	return pb_pwritev_all(segment->fd, segment->part,
	    (int)segment->parts, at, err);
}

static int
append_cached(struct pb_segment *segment, const void *data, size_t len,
    const struct pb_digest *digest, struct pb_err *err)
{
	int rc = write_gathered(segment, err);

	if (rc == 0)
		rc = pb_pwrite_all(segment->fd, data, len,
		    segment->now.row.bytes, err);
	if (rc == 0)
		extent_take(segment, data, len, digest);
	return rc;
}

/* Bring the file's end to a page's edge. */
static int
fill_page(struct pb_segment *segment, uint64_t now_ns, struct pb_err *err)
{
	uint8_t filler[2 * PB_PAGE_BYTES];
	size_t pad = filler_bytes(segment->now.row.bytes);

	if (pad == 0)
		return 0;
	pb_build_filler(filler, pad, now_ns, segment->pen);
	return append_cached(segment, filler, pad, NULL, err);
}

/* How much filler brings `end` to a page's edge. */
static size_t
filler_bytes(uint64_t end)
{
	size_t pad = (PB_PAGE_BYTES - (size_t)(end % PB_PAGE_BYTES)) %
	    PB_PAGE_BYTES;

	if (pad > 0 && pad < PB_FILLER_BYTES_MIN)
		pad += PB_PAGE_BYTES;
	return pad;
}

/* The extent that takes `chunk`: the last one, or a new one. */
static int
extent_for(struct pb_segment *segment, const struct pb_chunk *chunk)
{
	struct pb_extent_info *extent = &segment->now.extent;
	bool fits = segment->now.has_extent && extent->bytes + chunk->len +
	    4 * PB_PAGE_BYTES <= PB_EXTENT_BYTES_MAX;

	if (segment->count == EXTENTS_MAX)
		return PB_ELIMIT;
	if (!PB_LIST_ROOM(segment->extents, segment->cap, segment->count))
		return PB_ENOMEM;
	if (fits && segment->count > 0)
		return 0;
	if (!fits) {
		if (segment->count > 0) {
			const struct pb_extent_info *rows;

			pb_segment_extents(segment, &rows);
		}
		*extent = (struct pb_extent_info){
			.stream = segment->now.row.stream,
			.first_seq = chunk->first_seq,
			.last_seq = chunk->first_seq - 1,
			.segment_seq = segment->now.row.first_seq,
			.offset = segment->now.row.bytes,
		};
		pb_digest_begin(&segment->now.digest);
		segment->now.has_extent = true;
	}
	segment->extents[segment->count++] = *extent;
	return 0;
}

/* Bytes have reached the file's end: they belong to the last extent.  A
 * digest that is known is of use where they are its first. */
static void
extent_take(struct pb_segment *segment, const void *data, size_t len,
    const struct pb_digest *digest)
{
	if (digest != NULL && segment->now.extent.bytes == 0)
		segment->now.digest = *digest;
	else
		pb_digest_add(&segment->now.digest, data, len);
	segment->now.extent.bytes += (uint32_t)len;
	segment->now.row.bytes += len;
}

/* isb_starttime and isb_endtime are high word, low word (draft 4.6). */
static void
stats_options(struct pb_buf *out, const struct pb_stream_info *stream,
    const struct pb_segment_info *row, uint64_t now_ns)
{
	uint64_t dropped = stream->dropped + stream->dropped_before;
	uint8_t time[8];

	pb_put_le32(time, (uint32_t)(row->created_ns >> 32));
	pb_put_le32(time + 4, (uint32_t)row->created_ns);
	pb_option_put(out, PB_OPT_ISB_STARTTIME, time, sizeof(time));
	pb_put_le32(time, (uint32_t)(now_ns >> 32));
	pb_put_le32(time + 4, (uint32_t)now_ns);
	pb_option_put(out, PB_OPT_ISB_ENDTIME, time, sizeof(time));
	/* Of the stream's whole life, whatever retention has deleted: each
	 * packet that came got a number, and none is given twice. */
	pb_option_put_u64(out, PB_OPT_ISB_IFRECV, stream->last_seq + dropped);
	pb_option_put_u64(out, PB_OPT_ISB_IFDROP, dropped);
	pb_option_put_u64(out, PB_OPT_ISB_USRDELIV, stream->last_seq);
}
