/*
 * recorder/store/read/digests.c - what a store has of a run of numbers, in few
 * bytes
 *
 * All numbers below `at` are in parts, or in the one that has begun, or are
 * known not to be there.  What is next is in the extent in hand, or in the
 * next one that the index has.
 */
#include "recorder/store/read/digests.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/disk.h"
#include "base/sys.h"
#include "pcapng/scan.h"
#include "recorder/store/fingerprint.h"
#include "recorder/store/read/segment_file.h"

#define EXTENT_PAGE	32	/* rows of the index at a time */

struct pb_digests {
	struct pb_index_lender	 lender;
	struct pb_stream_key	 key;
	uint32_t		 caplen_max;
	/* The part that has begun. */
	struct pb_digests_part	 part;
	_Alignas(PB_DIGEST_ALIGN) struct pb_digest digest;
	_Alignas(PB_DIGEST_ALIGN) struct pb_digest passed;
	bool			 (*passes)(void *, const struct pb_packet *);
	void			*passes_arg;
	uint64_t		 at;
	/* Extents ahead. */
	struct pb_extent_info	 page[EXTENT_PAGE];
	int			 page_at, page_len;
	/* The extent in hand: what is not looked at yet. */
	struct pb_extent_info	 extent;
	bool			 damaged;
	uint64_t		 bad_last, bad_segment;	/* the last such */
	uint8_t			*data;
	size_t			 room, from, len;
	/* The file it is from. */
	uint64_t		 segment_seq;	/* 0: none */
	int			 fd;
	uint64_t		 bytes;
};

static void	begin_part(struct pb_digests *, uint64_t);
static void	end_part(struct pb_digests *, uint64_t,
		    struct pb_digests_part *);
static void	take_extent(struct pb_digests *, uint64_t);
static bool	take_block(struct pb_digests *, const struct pb_block *,
		    uint64_t);
static void	add(struct pb_digests *, const struct pb_packet *, uint64_t);
static void	leave_extent(struct pb_digests *);
static int	next_extent(struct pb_digests *, uint64_t, struct pb_err *);
static int	fill_page(void *, struct pb_index *, struct pb_err *);
static int	load(struct pb_digests *, struct pb_err *);
static int	read_extent(struct pb_digests *, struct pb_err *);
static bool	is_rotten(const struct pb_err *);
static int	use_segment(struct pb_digests *, struct pb_err *);
static bool	make_room(struct pb_digests *, size_t);
static void	close_segment(struct pb_digests *);

int
pb_digests_create(struct pb_digests **out,
    const struct pb_index_lender *lender, const struct pb_stream_key *key,
    uint64_t first, uint32_t caplen_max, struct pb_err *err)
{
	struct pb_digests *d = aligned_alloc(PB_DIGEST_ALIGN, sizeof(*d));

	if (d == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	memset(d, 0, sizeof(*d));
	d->lender = *lender;
	d->key = *key;
	d->caplen_max = caplen_max == 0 ? UINT32_MAX : caplen_max;
	d->at = first;
	d->fd = -1;
	begin_part(d, first);
	*out = d;
	return 0;
}

void
pb_digests_destroy(struct pb_digests *digests)
{
	if (digests == NULL)
		return;
	close_segment(digests);
	free(digests->data);
	free(digests);
}

void
pb_digests_sift(struct pb_digests *digests,
    bool (*passes)(void *arg, const struct pb_packet *packet), void *arg)
{
	digests->passes = passes;
	digests->passes_arg = arg;
	pb_digest_begin(&digests->passed);
}

int
pb_digests_next(struct pb_digests *digests, uint64_t last,
    struct pb_digests_part *out, struct pb_err *err)
{
	int rc;

	if (digests->from < digests->len)
		take_extent(digests, last);
	if (digests->at <= last) {
		rc = next_extent(digests, last, err);
		if (rc == 1)
			rc = load(digests, err);
		if (rc < 0)
			return rc;
	}
	if (digests->at <= last)
		return 0;
	end_part(digests, last, out);
	return 1;
}

bool
pb_digests_cut(struct pb_digests *digests, struct pb_digests_part *out)
{
	if (digests->at <= digests->part.first)
		return false;
	end_part(digests, digests->at - 1, out);
	return true;
}

uint64_t
pb_digests_bytes(const struct pb_digests *digests)
{
	return digests->bytes;
}

/* --- parts -------------------------------------------------------------- */

static void
begin_part(struct pb_digests *d, uint64_t first)
{
	d->part = (struct pb_digests_part){ .first = first };
	if (d->bad_last >= first)
		d->part.damaged = d->bad_segment;
	pb_digest_begin(&d->digest);
	if (d->passes != NULL)
		pb_digest_begin(&d->passed);
}

static void
end_part(struct pb_digests *d, uint64_t last, struct pb_digests_part *out)
{
	d->part.last = last;
	if (d->part.packets > 0)
		d->part.digest = pb_digest_end(&d->digest);
	if (d->part.passed > 0)
		d->part.passed_digest = pb_digest_end(&d->passed);
	*out = d->part;
	begin_part(d, last + 1);
}

/* Packets of the extent in hand, up to number `last`. */
static void
take_extent(struct pb_digests *d, uint64_t last)
{
	struct pb_block block;

	if (d->damaged && d->part.damaged == 0)
		d->part.damaged = d->extent.segment_seq;
	while (d->from < d->len) {
		if (pb_scan_block(d->data + d->from, d->len - d->from,
		    &block) != 1) {
			d->damaged = true;
			break;
		}
		if (block.type == PB_BLOCK_EPB && !take_block(d, &block, last))
			return;
		d->from += block.len;
	}
	leave_extent(d);
}

/* False: it is behind the part, and stays. */
static bool
take_block(struct pb_digests *d, const struct pb_block *block, uint64_t last)
{
	struct pb_packet packet;
	uint64_t seq;

	if (pb_scan_epb(block, &packet) < 0 ||
	    !pb_packet_seq(&packet, &seq) || seq > d->extent.last_seq) {
		d->damaged = true;
		return true;
	}
	if (seq > last) {
		d->at = last + 1;
		return false;
	}
	if (seq >= d->at)
		add(d, &packet, seq);
	return true;
}

static void
add(struct pb_digests *d, const struct pb_packet *packet, uint64_t seq)
{
	struct pb_packet as = *packet;
	bool longer = as.caplen > d->caplen_max;
	uint8_t bytes[8];

	if (longer)
		as.caplen = d->caplen_max;
	pb_put_le64(bytes, pb_fingerprint(&as, seq).digest);
	pb_digest_add(&d->digest, bytes, sizeof(bytes));
	d->part.packets++;
	d->part.longer += longer;
	if (d->passes != NULL && d->passes(d->passes_arg, packet)) {
		pb_digest_add(&d->passed, bytes, sizeof(bytes));
		d->part.passed++;
		d->part.passed_longer += longer;
	}
	d->part.time_ns = as.time_ns;
	d->part.caplen = as.caplen;
	d->part.origlen = as.origlen;
	d->at = seq + 1;
}

/* What it should have and has not is not there. */
static void
leave_extent(struct pb_digests *d)
{
	if (d->damaged) {
		d->bad_last = d->extent.last_seq;
		d->bad_segment = d->extent.segment_seq;
		if (d->part.damaged == 0)
			d->part.damaged = d->bad_segment;
	}
	if (d->at <= d->extent.last_seq)
		d->at = d->extent.last_seq + 1;
	d->from = d->len = 0;
}

/* --- extents ------------------------------------------------------------ */

/* It is in hand: 1; or nothing up to `last` is there any more: 0. */
static int
next_extent(struct pb_digests *d, uint64_t last, struct pb_err *err)
{
	int rc;

	for (bool fresh = false;; fresh = true) {
		for (; d->page_at < d->page_len; d->page_at++) {
			d->extent = d->page[d->page_at];
			if (d->extent.last_seq > INT64_MAX)
				d->extent.last_seq = INT64_MAX;
			if (d->extent.last_seq >= d->at)
				break;
		}
		if (d->page_at < d->page_len || fresh)
			break;
		rc = d->lender.lend(d->lender.arg, fill_page, d, err);
		if (rc < 0)
			return rc;
	}
	if (d->page_at == d->page_len || d->extent.first_seq > last) {
		d->at = last + 1;
		return 0;
	}
	d->page_at++;
	return 1;
}

/* Its id in this index, whichever that is by now. */
static int
fill_page(void *arg, struct pb_index *index, struct pb_err *err)
{
	struct pb_digests *d = arg;
	struct pb_stream_info stream;
	int rc = pb_index_stream(index, &d->key, &stream, err);

	d->page_at = d->page_len = 0;
	if (rc == 1)
		rc = pb_index_rows_of(index, PB_TABLE_EXTENTS, stream.id,
		    d->at, d->page, EXTENT_PAGE, err);
	if (rc > 0)
		d->page_len = rc;
	return rc;
}

/* The bytes of the extent in hand, as far as they can be had: 0. */
static int
load(struct pb_digests *d, struct pb_err *err)
{
	struct pb_err why = { 0 };
	int rc = read_extent(d, &why);

	if (rc < 0 && is_rotten(&why))
		rc = PB_EFORMAT;
	d->damaged = rc == PB_EFORMAT || (rc == 0 &&
	    pb_digest(d->data, d->extent.bytes) != d->extent.digest);
	d->len = rc == 0 ? d->extent.bytes : 0;
	d->from = 0;
	/* It has expired meanwhile, or cannot be read. */
	if (rc == PB_ENOENT || rc == PB_EFORMAT)
		leave_extent(d);
	else if (rc < 0 && err != NULL)
		*err = why;
	return rc == PB_ENOENT || rc == PB_EFORMAT ? 0 : rc;
}

static int
read_extent(struct pb_digests *d, struct pb_err *err)
{
	ssize_t got;
	int rc;

	if (d->extent.bytes > PB_EXTENT_READ_MAX)
		return PB_EFORMAT;
	if (!make_room(d, d->extent.bytes))
		return pb_err_set(err, PB_ENOMEM, "no memory");
	rc = use_segment(d, err);
	if (rc < 0)
		return rc;
	got = pb_pread_once(d->fd, d->data, d->extent.bytes, d->extent.offset,
	    err);
	if (got < 0)
		return (int)got;
	d->bytes += (uint64_t)got;
	return (size_t)got == d->extent.bytes ? 0 : PB_EFORMAT;
}

/* What the disk or the system does not give will not heal meanwhile. */
static bool
is_rotten(const struct pb_err *err)
{
	return err->sys == EIO || err->sys == EACCES || err->sys == EPERM ||
	    err->sys == EISDIR;
}

static int
use_segment(struct pb_digests *d, struct pb_err *err)
{
	if (d->segment_seq == d->extent.segment_seq)
		return 0;
	close_segment(d);
	d->fd = pb_segment_open_file(d->lender.store, &d->key,
	    d->extent.segment_seq, err);
	if (d->fd < 0)
		return d->fd;
	pb_file_no_atime(d->fd);
	d->segment_seq = d->extent.segment_seq;
	return 0;
}

static bool
make_room(struct pb_digests *d, size_t len)
{
	if (len <= d->room)
		return true;
	free(d->data);
	d->room = len > PB_EXTENT_BYTES_MAX ? PB_EXTENT_READ_MAX :
	    PB_EXTENT_BYTES_MAX;
	d->data = malloc(d->room);
	if (d->data == NULL)
		d->room = 0;
	return d->data != NULL;
}

static void
close_segment(struct pb_digests *d)
{
	if (d->segment_seq != 0)
		pb_file_close(d->fd);
	d->segment_seq = 0;
}
