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
#include "pcapng/hop.h"
#include "pcapng/option.h"
#include "recorder/store/layout.h"

/* A window holds the largest block we store, whole, and more. */
#define WINDOW_BYTES	(2u << 20)
/* An extent with packets ends before it would grow past this: statistics
 * and fillers may follow them. */
#define PACKETS_BYTES	(PB_EXTENT_BYTES_MAX - (32u << 10))

static int	read_window(struct pb_buf *, int, uint64_t, uint64_t,
		    struct pb_err *);
static ssize_t	read_around(uint8_t *, int, uint64_t, size_t,
		    struct pb_err *);
static bool	take_block(struct pb_survey *, const struct pb_block *);
static const char *cannot_follow(const struct pb_survey *,
		    const struct pb_block *, struct pb_packet *, uint64_t *);
static void	new_extent(struct pb_survey *, uint64_t);
static bool	finish_extent(struct pb_survey *);
static void	count_packet(struct pb_survey *, const struct pb_packet *,
		    uint64_t);
static void	add_drop(struct pb_survey *, uint64_t, uint64_t, uint64_t);
static void	note_hops(struct pb_survey *, const struct pb_packet *);
static bool	starts_here(const uint8_t *, size_t, uint64_t, uint64_t,
		    uint64_t *);

void
pb_survey_init(struct pb_survey *survey)
{
	memset(survey, 0, sizeof(*survey));
	survey->strict_from = UINT64_MAX;
	pb_buf_init(&survey->bytes, PB_EXTENT_BYTES_MAX + PB_BLOCK_BYTES_MAX);
}

void
pb_survey_finish(struct pb_survey *survey)
{
	pb_buf_finish(&survey->bytes);
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
	struct pb_buf window;
	struct pb_block block;
	uint64_t at = offset;
	int rc = 0, got = 1;

	pb_buf_init(&window, WINDOW_BYTES + PB_BLOCK_BYTES_MAX);
	if (pb_buf_reserve(&window, PACKETS_BYTES) == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	survey->why = NULL;
	survey->failed = false;
	survey->good = offset;
	new_extent(survey, offset);
	while (got == 1) {
		size_t before = window.len, used = 0;

		rc = read_window(&window, fd, at, limit, err);
		if (rc < 0)
			break;
		at += window.len - before;
		while ((rc = pb_scan_block(window.data + used,
		    window.len - used, &block)) == 1 &&
		    take_block(survey, &block))
			used += block.len;
		if (rc < 0)
			survey->why = "no block can start like this";
		else if (rc == 0 && at >= limit && used < window.len)
			survey->why = "the last block is cut short";
		got = rc == 0 && used > 0 && at < limit;
		pb_buf_consume(&window, used);
		rc = 0;
	}
	pb_buf_finish(&window);
	if (rc == 0 && (!finish_extent(survey) || survey->failed))
		rc = pb_err_set(err, PB_ENOMEM, "no memory");
	survey->segment.bytes = survey->good;
	return rc;
}

int
pb_survey_head(int fd, struct pb_head **head, size_t *bytes, uint64_t *digest,
    struct pb_err *err)
{
	struct pb_buf window;
	ssize_t got;
	int rc;

	*head = NULL;
	pb_buf_init(&window, PB_HEAD_BYTES_MAX);
	if (pb_buf_reserve(&window, PB_HEAD_BYTES_MAX - 1) == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	got = pb_pread_all(fd, window.data, PB_HEAD_BYTES_MAX - 1, 0, err);
	if (got < 0 && err != NULL && err->sys == EIO)
		got = read_around(window.data, fd, 0, PB_HEAD_BYTES_MAX - 1,
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
pb_survey_resync(int fd, uint64_t offset, uint64_t limit, uint64_t after,
    uint64_t last, uint64_t *found, uint64_t *seq, struct pb_err *err)
{
	struct pb_buf window;
	uint64_t at = offset, end = offset;
	int rc = 0;

	pb_buf_init(&window, WINDOW_BYTES + PB_BLOCK_BYTES_MAX);
	while (rc == 0) {
		size_t before = window.len, used = 0;

		rc = read_window(&window, fd, end, limit, err);
		if (rc < 0 || window.len < 12)
			break;
		end += window.len - before;
		while (rc == 0 && used + 12 <= window.len &&
		    (end >= limit || window.len - used > WINDOW_BYTES / 2)) {
			if (starts_here(window.data + used, window.len - used,
			    after, last, seq)) {
				*found = at;
				rc = 1;
			} else {
				used += 4;
				at += 4;
			}
		}
		pb_buf_consume(&window, used);
		if (rc == 0 && end >= limit)
			break;
	}
	pb_buf_finish(&window);
	return rc;
}

/* Fill the window from offset `at` on. */
static int
read_window(struct pb_buf *window, int fd, uint64_t at, uint64_t limit,
    struct pb_err *err)
{
	size_t want = window->len < WINDOW_BYTES ?
	    WINDOW_BYTES - window->len : 0;
	ssize_t got;

	if (at >= limit)
		return 0;
	if (want > limit - at)
		want = (size_t)(limit - at);
	if (want == 0)
		return 0;
	if (pb_buf_reserve(window, want) == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	got = pb_pread_all(fd, window->data + window->len, want, at, err);
	if (got < 0 && err != NULL && err->sys == EIO)
		got = read_around(window->data + window->len, fd, at, want,
		    err);
	if (got < 0)
		return (int)got;
	window->len += (size_t)got;
	return 0;
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

/* False for a block that cannot follow: what is kept ends before it. */
static bool
take_block(struct pb_survey *survey, const struct pb_block *block)
{
	/* Statistics and fillers stay with the packets before them. */
	size_t most = block->type == PB_BLOCK_ISB ? PB_EXTENT_BYTES_MAX :
	    PACKETS_BYTES;
	struct pb_packet packet;
	uint64_t seq = 0;

	survey->why = cannot_follow(survey, block, &packet, &seq);
	if (survey->why != NULL)
		return false;
	if (survey->extent.last_seq >= survey->extent.first_seq &&
	    survey->bytes.len + block->len > most) {
		if (!finish_extent(survey))
			return false;
		new_extent(survey, survey->good);
	}
	if (pb_buf_put(&survey->bytes, block->at, block->len) < 0) {
		survey->failed = true;
		return false;
	}
	survey->good += block->len;
	if (block->type == PB_BLOCK_EPB)
		count_packet(survey, &packet, seq);
	return true;
}

/* Why the block does not belong here, or NULL. */
static const char *
cannot_follow(const struct pb_survey *survey, const struct pb_block *block,
    struct pb_packet *packet, uint64_t *seq)
{
	if (block->type == PB_BLOCK_SHB || block->type == PB_BLOCK_IDB)
		return "a second section or interface";
	if (block->len > PB_STORED_BLOCK_BYTES_MAX)
		return "a block larger than any that is stored";
	if (survey->good >= survey->strict_from && !pb_scan_storable(block))
		return "a block that would not have been stored";
	if (block->type != PB_BLOCK_EPB)
		return NULL;
	if (pb_scan_epb(block, packet) < 0)
		return "a packet whose lengths leave its block";
	if (!pb_packet_seq(packet, seq))
		return "a packet without a number";
	if (*seq != survey->segment.last_seq + 1)
		return "a packet whose number does not follow";
	if (survey->seq_max > 0 && *seq > survey->seq_max)
		return "a packet behind the durable end";
	return NULL;
}

static void
new_extent(struct pb_survey *survey, uint64_t offset)
{
	pb_buf_clear(&survey->bytes);
	survey->extent = (struct pb_extent_info){
		.stream = survey->segment.stream,
		.first_seq = survey->segment.last_seq + 1,
		.last_seq = survey->segment.last_seq,
		.segment_seq = survey->segment.first_seq,
		.offset = offset,
		.first_time = UINT64_MAX,
	};
}

/* An extent without packets is none: its bytes are cut with the tail. */
static bool
finish_extent(struct pb_survey *survey)
{
	if (survey->extent.last_seq < survey->extent.first_seq) {
		survey->good = survey->extent.offset;
		return true;
	}
	if (!PB_LIST_ROOM(survey->extents, survey->cap, survey->count)) {
		survey->failed = true;
		return false;
	}
	survey->extent.bytes = (uint32_t)survey->bytes.len;
	survey->extent.digest = pb_digest(survey->bytes.data,
	    survey->bytes.len);
	survey->extents[survey->count++] = survey->extent;
	return true;
}

static void
count_packet(struct pb_survey *survey, const struct pb_packet *packet,
    uint64_t seq)
{
	struct pb_segment_info *row = &survey->segment;
	uint64_t dropped;

	if (packet->time_ns < survey->extent.first_time)
		survey->extent.first_time = packet->time_ns;
	if (packet->time_ns > survey->extent.last_time)
		survey->extent.last_time = packet->time_ns;
	row->last_seq = seq;
	survey->extent.last_seq = seq;
	if (seq <= survey->counted)
		return;
	if (row->packets == 0 || packet->time_ns < row->first_time)
		row->first_time = packet->time_ns;
	if (packet->time_ns > row->last_time)
		row->last_time = packet->time_ns;
	row->packets++;
	row->packet_bytes += packet->caplen;
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

	if (n > 0 && hops[n - 1].seq > survey->hops_last)
		survey->hops_last = hops[n - 1].seq;
}

static bool
starts_here(const uint8_t *data, size_t len, uint64_t after, uint64_t last,
    uint64_t *seq)
{
	struct pb_packet packet;
	struct pb_block block;

	if (pb_get_le32(data) != PB_BLOCK_EPB ||
	    pb_scan_block(data, len, &block) != 1 ||
	    block.len > PB_STORED_BLOCK_BYTES_MAX ||
	    pb_scan_epb(&block, &packet) < 0 || !pb_packet_seq(&packet, seq))
		return false;
	return *seq > after && *seq <= last;
}
