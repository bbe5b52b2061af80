/*
 * recorder/store/mend/survey.c - what a segment's file says, block by block
 */
#include "recorder/store/mend/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/list.h"
#include "base/sys.h"
#include "pcapng/filtered.h"
#include "pcapng/hop.h"
#include "pcapng/option.h"
#include "recorder/store/index/index_write.h"
#include "recorder/store/layout.h"

/* A window holds the largest block we store, whole, and more. */
#define WINDOW_BYTES	(2u << 20)
/* Between two packets; an extent that begins with them is read by all. */
#define IDLE_BYTES_MAX	(4u << 20)
_Static_assert(IDLE_BYTES_MAX + PB_EXTENT_BYTES_MAX < PB_EXTENT_READ_MAX,
    "readers take what is made here");
#define TOO_LARGE	"a block larger than any that is stored"
/* An extent with packets ends before it would grow past this: statistics
 * and fillers may follow them. */
#define PACKETS_BYTES	(PB_EXTENT_BYTES_MAX - (32u << 10))

/* What a block adds to the numbers, if it does. */
struct addition {
	uint64_t	first, last;	/* 0: nothing */
	uint64_t	time_ns;
	struct pb_packet packet;	/* of an EPB */
};

static int	read_window(struct pb_buf *, int, uint64_t, uint64_t, size_t,
		    bool *, struct pb_err *);
static ssize_t	read_some(uint8_t *, int, uint64_t, size_t, bool *,
		    struct pb_err *);
static ssize_t	read_around(uint8_t *, int, uint64_t, size_t,
		    struct pb_err *);
static bool	take_window(struct pb_survey *, bool);
static bool	take_block(struct pb_survey *, const struct pb_block *);
static const char *cannot_follow(const struct pb_survey *,
		    const struct pb_block *, struct addition *);
static const char *read_addition(const struct pb_block *, struct addition *);
static bool	is_read(struct pb_survey *, const struct pb_block *);
static bool	has_numbers(const struct pb_survey *);
static void	new_extent(struct pb_survey *, uint64_t);
static bool	finish_extent(struct pb_survey *);
static int	keep_tail(struct pb_survey *, int, uint64_t,
		    struct pb_err *);
static void	count(struct pb_survey *, const struct pb_block *,
		    const struct addition *);
static void	count_packet(struct pb_survey *, const struct pb_packet *,
		    uint64_t);
static void	add_drop(struct pb_survey *, uint64_t, uint64_t, uint64_t);
static void	note_hops(struct pb_survey *, const struct pb_packet *);
static bool	starts_here(const uint8_t *, size_t,
		    const struct pb_survey_numbers *, uint64_t *);

void
pb_survey_init(struct pb_survey *survey)
{
	memset(survey, 0, sizeof(*survey));
	survey->strict_from = UINT64_MAX;
	pb_buf_init(&survey->window, PB_SURVEY_EXTENT_MAX);
}

void
pb_survey_finish(struct pb_survey *survey)
{
	pb_buf_finish(&survey->window);
	free(survey->extents);
	free(survey->drops);
	survey->extents = NULL;
	survey->drops = NULL;
}

void
pb_survey_reset(struct pb_survey *survey)
{
	survey->count = survey->drop_count = 0;
	survey->dropped = 0;
	survey->why = NULL;
}

int
pb_survey_read(struct pb_survey *survey, int fd, uint64_t offset,
    uint64_t limit, struct pb_err *err)
{
	struct pb_buf *window = &survey->window;
	uint64_t end;
	size_t size;
	int rc;

	survey->fd = fd;
	survey->why = NULL;
	survey->failed = survey->unread = false;
	survey->good = survey->base = offset;
	survey->idle = 0;
	survey->first = survey->segment.last_seq + 1;
	pb_buf_clear(window);
	new_extent(survey, offset);
	do {
		size = survey->one_extent ? (size_t)(limit - offset) :
		    (size_t)(survey->good - survey->base) + WINDOW_BYTES;
		rc = read_window(window, fd, survey->base, limit, size,
		    &survey->unread, err);
		if (rc < 0)
			return rc;
	} while (take_window(survey, rc == 0));
	end = survey->good;
	if (!finish_extent(survey) || survey->failed)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = survey->good < end ? keep_tail(survey, fd, end, err) : 0;
	survey->segment.bytes = survey->good;
	return rc;
}

void
pb_survey_put(const struct pb_survey *survey, struct pb_mdb_txn *txn,
    uint64_t known, struct pb_stream_info *stream)
{
	const struct pb_segment_info *row = &survey->segment;

	pb_index_put_segment(txn, row);
	for (size_t i = 0; i < survey->count; i++)
		pb_index_put(txn, PB_TABLE_EXTENTS, &survey->extents[i]);
	for (size_t i = 0; i < survey->drop_count; i++)
		if (survey->drops[i].seq > known) {
			pb_index_put(txn, PB_TABLE_DROPS, &survey->drops[i]);
			stream->dropped += survey->drops[i].count;
		}
	stream->packets += row->packets;
	stream->bytes += row->packet_bytes;
	if (stream->first_seq == 0 || row->first_seq < stream->first_seq)
		stream->first_seq = row->first_seq;
	if (row->last_seq > stream->last_seq)
		stream->last_seq = row->last_seq;
}

int
pb_survey_head(int fd, struct pb_head **head, size_t *bytes, uint64_t *digest,
    struct pb_err *err)
{
	struct pb_buf window;
	bool unread;
	ssize_t got;
	int rc;

	*head = NULL;
	pb_buf_init(&window, PB_HEAD_BYTES_MAX);
	if (pb_buf_reserve(&window, PB_HEAD_BYTES_MAX - 1) == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	got = read_some(window.data, fd, 0, PB_HEAD_BYTES_MAX - 1, &unread,
	    err);
	rc = got < 0 ? (int)got : pb_head_parse(head, window.data,
	    (size_t)got, bytes, err);
	if (rc == 0 && !pb_head_readable(window.data, *bytes)) {
		pb_head_unref(*head);
		*head = NULL;
		rc = pb_err_set(err, PB_EFORMAT, "offset 0: the section and "
		    "interface blocks are not what a reader takes");
	}
	if (rc == 0)
		*digest = pb_digest(window.data, *bytes);
	pb_buf_finish(&window);
	return rc;
}

int
pb_survey_digest(int fd, uint64_t bytes, uint64_t *digest, struct pb_err *err)
{
	uint8_t *data;
	ssize_t got;

	if (bytes > PB_SURVEY_EXTENT_MAX)
		return 0;
	data = malloc((size_t)bytes + 1);
	if (data == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	got = pb_pread_all(fd, data, (size_t)bytes, 0, err);
	if (got == (ssize_t)bytes)
		*digest = pb_digest(data, (size_t)bytes);
	free(data);
	return got < 0 ? (int)got : got == (ssize_t)bytes;
}

int
pb_survey_resync(int fd, uint64_t offset, uint64_t limit,
    const struct pb_survey_numbers *wanted, uint64_t *found, uint64_t *seq,
    struct pb_err *err)
{
	struct pb_buf window;
	size_t used, keep;
	bool unread;
	int rc;

	pb_buf_init(&window, WINDOW_BYTES + 1);
	do {
		rc = read_window(&window, fd, offset, limit, WINDOW_BYTES,
		    &unread, err);
		/* A block that begins in the second half may be cut off. */
		keep = rc == 1 ? WINDOW_BYTES / 2 : 12;
		for (used = 0; used + keep <= window.len; used += 4)
			if (starts_here(window.data + used, window.len - used,
			    wanted, seq)) {
				*found = offset + used;
				pb_buf_finish(&window);
				return 1;
			}
		pb_buf_consume(&window, used < window.len ? used : window.len);
		offset += used;
	} while (rc == 1);
	pb_buf_finish(&window);
	return rc;
}

/*
 * Fill the window, which begins at offset `base`, to `size` bytes: 1; 0
 * where nothing stands behind it, for there is `limit` or the file ends; or
 * an error.
 */
static int
read_window(struct pb_buf *window, int fd, uint64_t base, uint64_t limit,
    size_t size, bool *unread, struct pb_err *err)
{
	uint64_t at = base + window->len;
	size_t want = size - window->len;
	ssize_t got;

	if (want > limit - at)
		want = (size_t)(limit - at);
	if (want == 0)
		return at < limit;
	if (pb_buf_reserve(window, want) == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	got = read_some(window->data + window->len, fd, at, want, unread, err);
	if (got < 0)
		return (int)got;
	window->len += (size_t)got;
	return (size_t)got == want && at + want < limit;
}

/* As pb_pread_all(), and around what a disk cannot give. */
static ssize_t
read_some(uint8_t *out, int fd, uint64_t at, size_t want, bool *unread,
    struct pb_err *err)
{
	struct pb_err why;
	ssize_t got = pb_pread_all(fd, out, want, at, &why);

	if (got < 0 && why.sys == EIO) {
		*unread = true;
		got = read_around(out, fd, at, want, &why);
	}
	if (got < 0 && err != NULL)
		*err = why;
	return got;
}

/* What the disk cannot give is read as zeros, a page at a time: no block
 * is made of those, and what stands around them is kept. */
static ssize_t
read_around(uint8_t *out, int fd, uint64_t at, size_t want,
    struct pb_err *err)
{
	size_t done = 0;

	while (done < want) {
		size_t part = PB_PAGE_BYTES - (at + done) % PB_PAGE_BYTES;
		ssize_t got;

		if (part > want - done)
			part = want - done;
		got = pb_pread_all(fd, out + done, part, at + done, err);
		if (got < 0 && err->sys != EIO)
			return got;
		if (got >= 0 && (size_t)got < part)
			return (ssize_t)(done + (size_t)got);
		if (got < 0)
			memset(out + done, 0, part);
		done += part;
	}
	return (ssize_t)done;
}

/*
 * The whole blocks of the window that can follow.  What is left in it
 * begins where the extent does that is being filled.  False at the end.
 */
static bool
take_window(struct pb_survey *survey, bool last)
{
	const struct pb_buf *window = &survey->window;
	size_t at = (size_t)(survey->good - survey->base);
	struct pb_block block;
	int rc;

	/* Nothing was read where the file ends: then it has no bytes. */
	while ((rc = at == window->len ? 0 : pb_scan_block(window->data + at,
	    window->len - at, &block)) == 1 && take_block(survey, &block))
		at += block.len;
	if (rc < 0)
		survey->why = "no block can start like this";
	else if (rc == 0 && last && at < window->len)
		survey->why = "a block is cut short";
	at = (size_t)(survey->extent.offset - survey->base);
	pb_buf_consume(&survey->window, at);
	survey->base = survey->extent.offset;
	if (rc != 0 || last)
		return false;
	if (window->len - (survey->good - survey->base) < WINDOW_BYTES)
		return true;
	survey->why = TOO_LARGE;
	return false;
}

/* False for a block that cannot follow: what is kept ends before it. */
static bool
take_block(struct pb_survey *survey, const struct pb_block *block)
{
	struct addition more = { .last = 0 };
	uint64_t bytes = survey->good - survey->extent.offset + block->len;
	size_t most;

	survey->why = survey->unread && !is_read(survey, block) ?
	    "a block that cannot be read" :
	    cannot_follow(survey, block, &more);
	if (survey->why != NULL)
		return false;
	/* Statistics and fillers stay with the packets before them. */
	most = block->type == PB_BLOCK_ISB && more.last == 0 ?
	    PB_EXTENT_BYTES_MAX : PACKETS_BYTES;
	if (bytes > most && has_numbers(survey) && !survey->one_extent) {
		if (!finish_extent(survey))
			return false;
		new_extent(survey, survey->good);
	}
	if (block->type == PB_BLOCK_EPB && survey->packet != NULL &&
	    !survey->packet(survey->arg, &(struct pb_survey_packet){
	    .packet = &more.packet, .seq = more.last, .first = survey->first,
	    .at = survey->good, .bytes = (uint32_t)block->len })) {
		survey->why = "that was enough";
		return false;
	}
	survey->good += block->len;
	survey->idle += block->len;
	if (more.last != 0)
		count(survey, block, &more);
	return true;
}

/* Some of the window is zeros instead of what the disk did not give: not of
 * this block, if the disk gives it now. */
static bool
is_read(struct pb_survey *survey, const struct pb_block *block)
{
	return pb_pread_all(survey->fd, survey->window.data +
	    (survey->good - survey->base), block->len, survey->good, NULL) ==
	    (ssize_t)block->len;
}

static bool
has_numbers(const struct pb_survey *survey)
{
	return survey->extent.last_seq >= survey->extent.first_seq;
}

/* Why the block does not belong here, or NULL. */
static const char *
cannot_follow(const struct pb_survey *survey, const struct pb_block *block,
    struct addition *more)
{
	const char *why;

	if (block->type == PB_BLOCK_SHB || block->type == PB_BLOCK_IDB)
		return "a second section or interface";
	if (block->len > PB_STORED_BLOCK_BYTES_MAX)
		return TOO_LARGE;
	if (block->type != PB_BLOCK_EPB && !survey->one_extent &&
	    survey->idle + block->len > IDLE_BYTES_MAX)
		return "too much without a packet";
	if (survey->good >= survey->strict_from && !pb_scan_storable(block))
		return "a block that would not have been stored";
	why = read_addition(block, more);
	if (why != NULL || more->last == 0)
		return why;
	if (more->first != survey->segment.last_seq + 1)
		return "a packet whose number does not follow";
	if (survey->seq_max > 0 && more->last > survey->seq_max)
		return "a packet behind the durable end";
	return NULL;
}

/* What is wrong with it, or NULL. */
static const char *
read_addition(const struct pb_block *block, struct addition *more)
{
	struct pb_filtered filtered;
	int rc;

	if (block->type == PB_BLOCK_EPB) {
		if (pb_scan_epb(block, &more->packet) < 0)
			return "a packet whose lengths leave its block";
		if (!pb_packet_seq(&more->packet, &more->first))
			return "a packet without a number";
		more->last = more->first;
		more->time_ns = more->packet.time_ns;
		return NULL;
	}
	rc = pb_scan_filtered(block, &filtered);
	if (rc < 0)
		return "numbers of filtered packets that make no sense";
	if (rc == 1)
		*more = (struct addition){ .first = filtered.first,
		    .last = filtered.last, .time_ns = filtered.time_ns };
	return NULL;
}

static void
new_extent(struct pb_survey *survey, uint64_t offset)
{
	survey->extent = (struct pb_extent_info){
		.stream = survey->segment.stream,
		.first_seq = survey->segment.last_seq + 1,
		.last_seq = survey->segment.last_seq,
		.segment_seq = survey->segment.first_seq,
		.offset = offset,
	};
}

/* An extent without packets is none: its bytes are no extent's. */
static bool
finish_extent(struct pb_survey *survey)
{
	struct pb_extent_info *extent = &survey->extent;

	if (!has_numbers(survey)) {
		if (!survey->one_extent)
			survey->good = extent->offset;
		return true;
	}
	if (!PB_LIST_ROOM(survey->extents, survey->cap, survey->count)) {
		survey->failed = true;
		return false;
	}
	extent->bytes = (uint32_t)(survey->good - extent->offset);
	extent->digest = pb_digest(survey->window.data +
	    (extent->offset - survey->base), extent->bytes);
	survey->extents[survey->count++] = *extent;
	return true;
}

/*
 * Where the last extent happened to end is no reason to lose the blocks
 * behind its last packet: up to `end` they are its.
 */
static int
keep_tail(struct pb_survey *survey, int fd, uint64_t end, struct pb_err *err)
{
	struct pb_buf *window = &survey->window;
	struct pb_extent_info *last;
	size_t bytes;
	ssize_t got;

	if (survey->count == 0)
		return 0;
	last = &survey->extents[survey->count - 1];
	bytes = (size_t)(end - last->offset);
	if (last->offset + last->bytes != survey->good ||
	    bytes > PB_EXTENT_READ_MAX)
		return 0;
	pb_buf_clear(window);
	if (pb_buf_reserve(window, bytes) == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	got = read_some(window->data, fd, last->offset, bytes,
	    &survey->unread, err);
	if (got < 0 || (size_t)got < bytes)
		return got < 0 ? (int)got : 0;
	last->bytes = (uint32_t)bytes;
	last->digest = pb_digest(window->data, bytes);
	survey->good = end;
	return 0;
}

static void
count(struct pb_survey *survey, const struct pb_block *block,
    const struct addition *more)
{
	bool packet = block->type == PB_BLOCK_EPB;
	struct pb_tally one = { 0 };

	if (packet)
		pb_tally_packet(&one, more->time_ns, more->packet.caplen);
	else
		pb_tally_filtered(&one, more->last - more->first + 1,
		    more->time_ns);
	pb_extent_count(&survey->extent, more->last, &one);
	survey->idle = 0;
	if (more->last > survey->counted)
		pb_segment_count(&survey->segment, more->last, &one);
	survey->segment.last_seq = more->last;
	if (packet)
		survey->first = more->last + 1;
	if (packet && more->last > survey->counted)
		count_packet(survey, &more->packet, more->last);
}

static void
count_packet(struct pb_survey *survey, const struct pb_packet *packet,
    uint64_t seq)
{
	uint64_t dropped;

	note_hops(survey, packet);
	if (pb_option_find_u64(packet->options, packet->options_len,
	    PB_OPT_EPB_DROPCOUNT, &dropped) && dropped > 0)
		add_drop(survey, seq, dropped, packet->time_ns);
}

static void
add_drop(struct pb_survey *survey, uint64_t seq, uint64_t count,
    uint64_t time_ns)
{
	survey->dropped += count;
	if (!PB_LIST_ROOM(survey->drops, survey->drop_cap,
	    survey->drop_count)) {
		survey->failed = true;
		return;
	}
	survey->drops[survey->drop_count++] = (struct pb_drop_info){
		.stream = survey->segment.stream,
		.seq = seq,
		.count = count,
		.time_ns = time_ns,
	};
}

/* The running number that the last node on the way gave. */
static void
note_hops(struct pb_survey *survey, const struct pb_packet *packet)
{
	struct pb_hop hops[PB_HOPS_MAX];
	int n = pb_hops_get(packet->options, packet->options_len, hops);

	if (survey->segment.packets == 1)
		survey->hops = n < 0 ? 0 : n;
	if (n > 0 && hops[n - 1].seq > survey->hops_last)
		survey->hops_last = hops[n - 1].seq;
}

static bool
starts_here(const uint8_t *data, size_t len,
    const struct pb_survey_numbers *wanted, uint64_t *seq)
{
	uint32_t type = pb_get_le32(data);
	struct pb_block block;
	uint64_t last;

	if ((type != PB_BLOCK_EPB && type != PB_BLOCK_ISB) ||
	    pb_scan_block(data, len, &block) != 1 ||
	    block.len > PB_STORED_BLOCK_BYTES_MAX ||
	    pb_scan_numbers(&block, seq, &last) != 1)
		return false;
	return *seq > wanted->after && last <= wanted->last &&
	    (type == PB_BLOCK_ISB || last <= wanted->reach);
}
