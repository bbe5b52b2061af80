/*
 * recorder/store/recover.c - seal what a crash left open
 *
 * Looks only at segments the index lists as not sealed: the work does not
 * grow with the store.  For each: keep every whole block whose number
 * follows, cut the rest, seal.  Three states a crash can leave:
 *
 *   announced, no file            the announcement goes
 *   file, nothing in the index    its whole blocks are taken in where they
 *                                 follow the stream's end; a late fill
 *                                 goes: its sender has it still
 *   file longer than the index    the whole blocks behind it are taken in
 *   file shorter than the index   what is missing becomes a gap, `damaged`
 *
 * After a power cut (another boot than the one that wrote) bytes behind
 * the durable end may be torn in the middle, not only at the end, and
 * nothing of them was ever acknowledged or shipped: they are cut.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "pcapng/option.h"
#include "pcapng/scan.h"
#include "recorder/store/store_impl.h"

#define OPEN_PAGE	64
/* A window holds the largest block we store, whole, and more. */
#define WINDOW_BYTES	(2u << 20)

/* One segment being recovered. */
struct job {
	struct pb_store		*store;
	struct pb_stream_info	 stream;
	struct pb_segment_info	 segment;
	struct pb_segment_info	 before;	/* as the index has it */
	uint64_t		 dropped;	/* by packets not yet counted */
	bool			 known;		/* the index has a row */
	struct pb_extent_info	 extent;	/* the one being filled */
	struct pb_buf		 bytes;		/* of that extent */
	struct pb_extent_info	*extents;	/* finished ones */
	size_t			 count, cap;
	uint64_t		 good;		/* file offset behind the last
						 * block that stays */
	uint64_t		 limit;		/* do not read past it */
	uint64_t		 header;	/* bytes of SHB and IDB */
	uint64_t		 header_digest;
	uint64_t		 counted;	/* packets up to this number are
						 * in the index's counters */
	int			 fd;
};

static int	recover_one(struct pb_store *, const struct pb_open_info *,
		    struct pb_err *);
static int	give_up(struct job *, const struct pb_open_info *,
		    struct pb_err *);
static int	find_stream(struct pb_store *, const struct pb_open_info *,
		    struct pb_stream_info *, struct pb_err *);
static int	start(struct job *, uint64_t, struct pb_err *);
static int	last_extent(struct job *, struct pb_extent_info *,
		    struct pb_err *);
static int	scan(struct job *, struct pb_err *);
static int	scan_from(struct job *, struct pb_err *);
static bool	take_block(struct job *, const struct pb_block *);
static int	finish_extent(struct job *);
static void	new_extent(struct job *, uint64_t);
static void	count_packet(struct job *, const struct pb_packet *, uint64_t);
static int	settle(struct job *, const struct pb_open_info *,
		    struct pb_err *);
static int	commit(struct job *, const struct pb_open_info *,
		    const struct pb_gap_info *, struct pb_err *);
static int	seal_file(struct job *, struct pb_err *);
static void	count_stream(struct job *);
static int	drop_extents(struct job *, const struct pb_open_info *,
		    struct pb_err *);
static uint64_t	boot_now(void);
static int	boot_before(struct pb_store *, uint64_t *, struct pb_err *);
static int	boot_remember(struct pb_store *, uint64_t, struct pb_err *);

int
pb_store_recover(struct pb_store *store, struct pb_err *err)
{
	struct pb_open_info rows[OPEN_PAGE];
	uint64_t boot = boot_now(), before;
	int n, rc = boot_before(store, &before, err);

	if (rc < 0)
		return rc;
	store->same_boot = boot != 0 && before == boot;
	while ((n = pb_index_open_rows(store->index, rows, OPEN_PAGE, err)) >
	    0) {
		for (int i = 0; i < n; i++) {
			rc = recover_one(store, &rows[i], err);
			if (rc < 0)
				return rc;
		}
	}
	/* Only now: a recovery that is cut short after a power cut must not
	 * be taken for one after a crash when it is done again. */
	return n < 0 ? n : boot_remember(store, boot, err);
}

static int
recover_one(struct pb_store *store, const struct pb_open_info *open_row,
    struct pb_err *err)
{
	struct job job = { .store = store, .fd = -1 };
	int rc;

	pb_buf_init(&job.bytes, PB_EXTENT_BYTES_MAX + PB_BLOCK_BYTES_MAX);
	rc = find_stream(store, open_row, &job.stream, err);
	if (rc == 1)
		rc = start(&job, open_row->first_seq, err);
	if (rc == 1)
		rc = scan(&job, err);
	else if (rc == 0)
		rc = give_up(&job, open_row, err);
	if (rc >= 0)
		rc = settle(&job, open_row, err);
	if (job.fd >= 0)
		close(job.fd);
	pb_buf_finish(&job.bytes);
	free(job.extents);
	return rc;
}

/*
 * No file, or one whose header cannot be read: it holds no packets for us.
 * Where the index knew of packets in it, the file is set aside.
 */
static int
give_up(struct job *job, const struct pb_open_info *open_row,
    struct pb_err *err)
{
	char from[PATH_MAX], dir[PATH_MAX], to[PATH_MAX], name[PATH_MAX];
	int rc, n;

	job->segment = (struct pb_segment_info){
		.stream = open_row->stream,
		.first_seq = open_row->first_seq,
		.last_seq = open_row->first_seq - 1,
	};
	if (job->fd < 0 || job->before.packets == 0)
		return 0;
	close(job->fd);
	job->fd = -1;
	n = snprintf(name, sizeof(name), "damaged/%u-%020llu.pcapng",
	    open_row->stream, (unsigned long long)open_row->first_seq);
	rc = n < 0 ? PB_ELIMIT : pb_layout_path(to, job->store->path, name,
	    err);
	if (rc == 0)
		rc = pb_layout_path(dir, job->store->path, "damaged", err);
	if (rc == 0)
		rc = pb_mkdirs(dir, err);
	for (int open = 1; rc == 0 && open >= 0; open--) {
		rc = pb_layout_segment(from, job->store->path,
		    &job->stream.key, open_row->first_seq, open == 1, err);
		if (rc == 0 && rename(from, to) == 0) {
			pb_log(PB_LOG_ERROR, "recovery", "unreadable header, "
			    "file set aside file=%s", to);
			return pb_sync_dir(dir, err);
		}
	}
	return rc;
}

/* The stream of an announced segment: 1, 0 where there is none, or error. */
static int
find_stream(struct pb_store *store, const struct pb_open_info *open_row,
    struct pb_stream_info *out, struct pb_err *err)
{
	int rc = pb_index_stream(store->index, &open_row->key, out, err);

	if (rc != 1 || out->id == open_row->stream)
		return rc;
	memset(out, 0, sizeof(*out));
	return 0;
}

/*
 * Open the file and stand at the last extent the index knows: 1, or 0
 * where there is no usable file, or an error.
 */
static int
start(struct job *job, uint64_t first_seq, struct pb_err *err)
{
	struct pb_segment_info row;
	struct pb_head *head = NULL;
	struct pb_buf window;
	struct stat st;
	size_t header;
	ssize_t got;
	int rc;

	rc = pb_index_segments(job->store->index, job->stream.id, first_seq,
	    &row, 1, err);
	if (rc < 0)
		return rc;
	job->known = rc == 1 && row.first_seq == first_seq;
	if (job->known)
		job->segment = job->before = row;
	job->fd = pb_segment_open_mode(job->store->path, &job->stream.key,
	    first_seq, O_RDWR, err);
	if (job->fd == PB_ENOENT)
		return 0;
	if (job->fd < 0)
		return job->fd;
	if (fstat(job->fd, &st) < 0)
		return pb_err_sys(err, "look at a segment");
	pb_buf_init(&window, PB_HEAD_BYTES_MAX);
	if (pb_buf_reserve(&window, PB_HEAD_BYTES_MAX - 1) == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	got = pb_pread_all(job->fd, window.data, PB_HEAD_BYTES_MAX - 1, 0,
	    err);
	rc = got < 0 ? (int)got : pb_head_parse(&head, window.data,
	    (size_t)got, &header, err);
	if (rc == 0)
		job->header_digest = XXH3_64bits(window.data, header);
	pb_buf_finish(&window);
	pb_head_unref(head);
	if (rc == PB_EFORMAT)
		return 0;
	if (rc < 0)
		return rc;
	if (!job->known) {
		job->segment = (struct pb_segment_info){
			.stream = job->stream.id,
			.first_seq = first_seq,
			.last_seq = first_seq - 1,
			.bytes = header,
			.header_bytes = (uint32_t)header,
			.header_digest = job->header_digest,
			.created_ns = pb_clock_real_ns(),
		};
	}
	job->header = header;
	/* What the index does not know has been promised to nobody.  It is
	 * kept where it goes on with the stream; a late fill's gap is still
	 * open, and what fills it will come again. */
	job->limit = job->store->same_boot &&
	    (job->known || first_seq == job->stream.last_seq + 1) ?
	    (uint64_t)st.st_size : job->segment.bytes;
	if (job->limit > (uint64_t)st.st_size)
		job->limit = (uint64_t)st.st_size;
	return 1;
}

/*
 * From the last extent the index knows; where that does not reach the
 * durable end, something was damaged: then all of the file, block by
 * block, and what it says is the truth.
 */
static int
scan(struct job *job, struct pb_err *err)
{
	struct pb_segment_info *row = &job->segment;
	struct pb_segment_info committed = *row;
	struct pb_extent_info extent;
	int rc = last_extent(job, &extent, err);

	if (rc < 0)
		return rc;
	if (rc == 1) {
		job->counted = row->last_seq;
		row->last_seq = extent.first_seq - 1;
		job->good = extent.offset;
		rc = scan_from(job, err);
		if (rc < 0 || job->good >= committed.bytes)
			return rc;
		job->count = 0;
	}
	job->counted = 0;
	job->good = job->header;
	row->header_digest = job->header_digest;
	row->last_seq = row->first_seq - 1;
	row->packets = row->packet_bytes = 0;
	row->first_time = row->last_time = 0;
	rc = scan_from(job, err);
	/* What the index had counted of it is counted already. */
	if (job->known)
		job->dropped = 0;
	return rc;
}

/* The last extent of the segment that begins within the file: 1, or 0. */
static int
last_extent(struct job *job, struct pb_extent_info *out, struct pb_err *err)
{
	struct pb_extent_info rows[OPEN_PAGE];
	uint64_t from = job->segment.first_seq;
	int n, found = 0;

	if (!job->known || job->limit < job->segment.bytes)
		return 0;
	do {
		n = pb_index_extents(job->store->index, job->stream.id, from,
		    rows, OPEN_PAGE, err);
		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			if (rows[i].segment_seq != job->segment.first_seq)
				return found;
			/* A row that cannot be right: read all of it. */
			if (rows[i].offset < job->header ||
			    rows[i].offset > job->segment.bytes)
				return 0;
			*out = rows[i];
			found = 1;
			from = rows[i].last_seq + 1;
		}
	} while (n == OPEN_PAGE);
	return found;
}

/* Take in whole blocks from job->good on. */
static int
scan_from(struct job *job, struct pb_err *err)
{
	struct pb_buf window;
	struct pb_block block;
	uint64_t at = job->good;
	int rc = 0;

	pb_buf_init(&window, WINDOW_BYTES + PB_BLOCK_BYTES_MAX);
	new_extent(job, at);
	for (;;) {
		size_t want = WINDOW_BYTES - (window.len < WINDOW_BYTES ?
		    window.len : WINDOW_BYTES);
		ssize_t got = 0;
		size_t used = 0;

		if (at >= job->limit)
			want = 0;
		else if (want > job->limit - at)
			want = (size_t)(job->limit - at);
		if (want > 0 && pb_buf_reserve(&window, want) == NULL) {
			rc = pb_err_set(err, PB_ENOMEM, "no memory");
			break;
		}
		if (want > 0)
			got = pb_pread_all(job->fd, window.data + window.len,
			    want, at, err);
		if (got < 0) {
			rc = (int)got;
			break;
		}
		window.len += (size_t)got;
		at += (uint64_t)got;
		while ((rc = pb_scan_block(window.data + used,
		    window.len - used, &block)) == 1 &&
		    take_block(job, &block))
			used += block.len;
		pb_buf_consume(&window, used);
		if (rc != 0 || got == 0 || used == 0) {
			rc = 0;
			break;
		}
	}
	pb_buf_finish(&window);
	if (rc == 0 && finish_extent(job) < 0)
		rc = pb_err_set(err, PB_ENOMEM, "no memory");
	job->segment.bytes = job->good;
	return rc;
}

/* False for a block that cannot follow: the file is cut before it. */
static bool
take_block(struct job *job, const struct pb_block *block)
{
	/* Statistics and fillers stay with the packets before them. */
	size_t most = block->type == PB_BLOCK_ISB ? PB_EXTENT_BYTES_MAX :
	    PB_CHUNK_BYTES;
	struct pb_packet packet;
	uint64_t seq = 0;

	if (block->type == PB_BLOCK_SHB || block->type == PB_BLOCK_IDB ||
	    block->len > PB_STORED_BLOCK_BYTES_MAX)
		return false;
	if (block->type == PB_BLOCK_EPB && (pb_scan_epb(block, &packet) < 0 ||
	    !pb_packet_seq(&packet, &seq) ||
	    seq != job->segment.last_seq + 1))
		return false;
	if (job->extent.last_seq >= job->extent.first_seq &&
	    job->bytes.len + block->len > most) {
		if (finish_extent(job) < 0)
			return false;
		new_extent(job, job->good);
	}
	if (pb_buf_put(&job->bytes, block->at, block->len) < 0)
		return false;
	job->good += block->len;
	if (block->type == PB_BLOCK_EPB)
		count_packet(job, &packet, seq);
	return true;
}

static void
new_extent(struct job *job, uint64_t offset)
{
	pb_buf_clear(&job->bytes);
	job->extent = (struct pb_extent_info){
		.stream = job->segment.stream,
		.first_seq = job->segment.last_seq + 1,
		.last_seq = job->segment.last_seq,
		.segment_seq = job->segment.first_seq,
		.offset = offset,
		.first_time = UINT64_MAX,
	};
}

/* An extent without packets is none: its bytes are cut with the tail. */
static int
finish_extent(struct job *job)
{
	struct pb_extent_info *grown;

	if (job->extent.last_seq < job->extent.first_seq) {
		job->good = job->extent.offset;
		return 0;
	}
	if (job->count == job->cap) {
		size_t cap = job->cap == 0 ? 16 : 2 * job->cap;

		grown = realloc(job->extents, cap * sizeof(*grown));
		if (grown == NULL)
			return PB_ENOMEM;
		job->extents = grown;
		job->cap = cap;
	}
	job->extent.bytes = (uint32_t)job->bytes.len;
	job->extent.digest = XXH3_64bits(job->bytes.data, job->bytes.len);
	job->extents[job->count++] = job->extent;
	return 0;
}

static void
count_packet(struct job *job, const struct pb_packet *packet, uint64_t seq)
{
	struct pb_segment_info *row = &job->segment;
	uint64_t dropped;

	if (packet->time_ns < job->extent.first_time)
		job->extent.first_time = packet->time_ns;
	if (packet->time_ns > job->extent.last_time)
		job->extent.last_time = packet->time_ns;
	row->last_seq = seq;
	job->extent.last_seq = seq;
	if (seq <= job->counted)
		return;
	if (row->packets == 0 || packet->time_ns < row->first_time)
		row->first_time = packet->time_ns;
	if (packet->time_ns > row->last_time)
		row->last_time = packet->time_ns;
	row->packets++;
	row->packet_bytes += packet->caplen;
	if (pb_option_find_u64(packet->options, packet->options_len,
	    PB_OPT_EPB_DROPCOUNT, &dropped))
		job->dropped += dropped;
}

/* Cut, sync, seal, commit. */
static int
settle(struct job *job, const struct pb_open_info *open_row,
    struct pb_err *err)
{
	struct pb_gap_info gap = { .stream = job->stream.id };
	struct pb_segment_info row;
	uint64_t end = 0;
	int rc;

	rc = pb_index_segments(job->store->index, open_row->stream,
	    open_row->first_seq, &row, 1, err);
	if (rc < 0)
		return rc;
	if (rc == 1 && row.first_seq == open_row->first_seq)
		end = row.last_seq;
	if (end > job->segment.last_seq || (end > 0 && job->fd < 0)) {
		gap.first = job->fd < 0 || job->segment.packets == 0 ?
		    open_row->first_seq : job->segment.last_seq + 1;
		gap.last = end;
		gap.reason = PB_GAP_DAMAGED;
		gap.since_ns = pb_clock_real_ns();
		pb_log(PB_LOG_ERROR, "recovery", "packets are lost stream=%s/%s"
		    " first=%llu last=%llu", job->stream.key.node,
		    job->stream.key.interface, (unsigned long long)gap.first,
		    (unsigned long long)gap.last);
	}
	if (job->fd >= 0) {
		rc = seal_file(job, err);
		if (rc < 0)
			return rc;
	}
	return commit(job, open_row, gap.last > 0 ? &gap : NULL, err);
}

/* The file ends at its last whole block and has its sealed name; one
 * without a packet goes. */
static int
seal_file(struct job *job, struct pb_err *err)
{
	char open_path[PATH_MAX], sealed[PATH_MAX], dir[PATH_MAX];
	const struct pb_stream_key *key = &job->stream.key;
	uint64_t first = job->segment.first_seq;
	struct stat st;
	int rc;

	rc = pb_layout_segment(open_path, job->store->path, key, first, true,
	    err);
	if (rc == 0)
		rc = pb_layout_segment(sealed, job->store->path, key, first,
		    false, err);
	if (rc == 0)
		rc = pb_layout_stream(dir, job->store->path, key, err);
	if (rc < 0)
		return rc;
	if (job->segment.packets == 0) {
		if (unlink(open_path) < 0 && errno != ENOENT)
			return pb_err_sys(err, "remove %s", open_path);
		if (unlink(sealed) < 0 && errno != ENOENT)
			return pb_err_sys(err, "remove %s", sealed);
		return pb_sync_dir(dir, err);
	}
	if (fstat(job->fd, &st) == 0 && (uint64_t)st.st_size > job->good)
		pb_log(PB_LOG_WARN, "recovery", "cut a torn end file=%s "
		    "bytes=%llu", open_path,
		    (unsigned long long)((uint64_t)st.st_size - job->good));
	if (ftruncate(job->fd, (off_t)job->good) < 0 ||
	    fdatasync(job->fd) < 0)
		return pb_err_sys(err, "cut and sync %s", open_path);
	if (rename(open_path, sealed) < 0 && errno != ENOENT)
		return pb_err_sys(err, "rename %s", open_path);
	if (fstat(job->fd, &st) < 0)
		return pb_err_sys(err, "look at %s", sealed);
	job->segment.sealed_ns = pb_mtime_ns(&st);
	return pb_sync_dir(dir, err);
}

static int
commit(struct job *job, const struct pb_open_info *open_row,
    const struct pb_gap_info *gap, struct pb_err *err)
{
	struct pb_stream_info *stream = &job->stream;
	struct pb_segment_info *row = &job->segment;
	struct pb_mdb_txn txn;
	int rc = drop_extents(job, open_row, err);

	if (rc == 0)
		rc = pb_index_begin(job->store->index, &txn, err);
	if (rc < 0)
		return rc;
	pb_index_del_open(&txn, open_row->stream, open_row->first_seq);
	if (job->fd < 0 || row->packets == 0) {
		pb_index_del_segment(&txn, open_row->stream,
		    open_row->first_seq);
	} else {
		row->sealed = true;
		pb_index_put_segment(&txn, row);
		for (size_t i = 0; i < job->count; i++)
			pb_index_put_extent(&txn, &job->extents[i]);
	}
	if (gap != NULL)
		pb_index_put_gap(&txn, gap);
	if (stream->id != 0) {
		count_stream(job);
		pb_index_put_stream(&txn, stream);
	}
	rc = pb_mdb_commit(&txn);
	if (rc == 0 && row->packets > 0)
		pb_log(PB_LOG_INFO, "recovery", "sealed stream=%s/%s first=%llu"
		    " last=%llu bytes=%llu", stream->key.node,
		    stream->key.interface, (unsigned long long)row->first_seq,
		    (unsigned long long)row->last_seq,
		    (unsigned long long)row->bytes);
	return rc;
}

/* What the scan found against what the index had counted. */
static void
count_stream(struct job *job)
{
	struct pb_stream_info *stream = &job->stream;
	const struct pb_segment_info *row = &job->segment;

	stream->packets += row->packets - job->before.packets;
	stream->bytes += row->packet_bytes - job->before.packet_bytes;
	stream->dropped += job->dropped;
	if (row->packets == 0)
		return;
	if (stream->first_seq == 0 || row->first_seq < stream->first_seq)
		stream->first_seq = row->first_seq;
	if (row->last_seq > stream->last_seq)
		stream->last_seq = row->last_seq;
	if (stream->first_time == 0 || row->first_time < stream->first_time)
		stream->first_time = row->first_time;
	if (row->last_time > stream->last_time)
		stream->last_time = row->last_time;
}

/* The extent rows that the scan replaces, or that lie behind its end. */
static int
drop_extents(struct job *job, const struct pb_open_info *open_row,
    struct pb_err *err)
{
	uint64_t from = job->count > 0 ? job->extents[0].first_seq :
	    open_row->first_seq;
	struct pb_extent_info rows[OPEN_PAGE];
	struct pb_mdb_txn txn;
	int n, rc;

	for (;;) {
		int dropped = 0;

		n = pb_index_extents(job->store->index, open_row->stream, from,
		    rows, OPEN_PAGE, err);
		if (n < 0)
			return n;
		rc = pb_index_begin(job->store->index, &txn, err);
		if (rc < 0)
			return rc;
		for (int i = 0; i < n; i++)
			if (rows[i].segment_seq == open_row->first_seq &&
			    rows[i].first_seq >= from) {
				pb_index_del_extent(&txn, open_row->stream,
				    rows[i].first_seq);
				dropped++;
			}
		rc = pb_mdb_commit(&txn);
		if (rc < 0 || dropped < OPEN_PAGE)
			return rc;
	}
}

/* A digest of what the kernel calls this boot; 0 where it does not say. */
static uint64_t
boot_now(void)
{
	char text[64] = "";
	ssize_t got = 0;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		got = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	return got > 0 ? XXH3_64bits(text, (size_t)got) : 0;
}

/* The boot that wrote the store last; 0 where none did. */
static int
boot_before(struct pb_store *store, uint64_t *boot, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(store->index, &txn, err);

	if (rc < 0)
		return rc;
	*boot = pb_index_meta_get(&txn, "boot");
	rc = txn.rc;
	pb_mdb_abort(&txn);
	return rc;
}

static int
boot_remember(struct pb_store *store, uint64_t boot, struct pb_err *err)
{
	struct pb_mdb_txn txn;
	int rc = pb_index_begin(store->index, &txn, err);

	if (rc < 0)
		return rc;
	pb_index_meta_put(&txn, "boot", boot);
	return pb_mdb_commit(&txn);
}
