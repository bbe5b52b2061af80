/*
 * recorder/store/read/peek.c - one packet at a number, or next to it
 */
#include "recorder/store/read/peek.h"

#include <errno.h>
#include <stdlib.h>

#include "base/disk.h"
#include "pcapng/filtered.h"
#include "recorder/store/read/segment_file.h"

#define TAIL_BYTES	(16u << 10)	/* has the last packet, mostly */

/* Where to look, and for which numbers. */
struct place {
	const char	*store;
	const struct pb_stream_key *key;
	uint64_t	 first, last;
	bool		 highest;	/* of those, else the lowest */
	uint32_t	 captured;	/* of its bytes; 0: all */
};

/* A stream in an index that is there to stay. */
struct row {
	struct pb_index	*index;
	uint32_t	 stream;
};

static int	below(pb_peek_find *, void *, struct place *, uint64_t, bool,
		    struct pb_fingerprint *, struct pb_err *);
static int	find_row(void *, uint64_t, struct pb_extent_info *,
		    struct pb_err *);
static int	look(const struct place *, const struct pb_extent_info *, bool,
		    struct pb_fingerprint *, struct pb_err *);
static int	look_through(const struct place *,
		    const struct pb_extent_info *, uint8_t *,
		    struct pb_fingerprint *, struct pb_err *);
static int	read_tail(const struct place *, const struct pb_extent_info *,
		    uint32_t, uint8_t *, struct pb_err *);
static int	scan(const struct place *, const uint8_t *, size_t,
		    struct pb_fingerprint *);
static int	cut(struct pb_packet *, uint32_t, struct pb_fingerprint *);
static bool	says_which(const struct pb_block *);
static bool	unreadable(int);

int
pb_peek_below(struct pb_index *index, const char *store,
    const struct pb_stream_key *key, uint32_t stream, uint64_t at,
    bool checked, struct pb_fingerprint *out, struct pb_err *err)
{
	struct row row = { index, stream };

	return pb_peek_below_by(find_row, &row, store, key, at, checked, 0,
	    out, err);
}

int
pb_peek_cut(struct pb_index *index, const char *store,
    const struct pb_stream_key *key, uint32_t stream, uint64_t at,
    uint32_t captured, struct pb_fingerprint *out, struct pb_err *err)
{
	struct row row = { index, stream };

	return pb_peek_below_by(find_row, &row, store, key, at, true,
	    captured, out, err);
}

static int
find_row(void *arg, uint64_t at, struct pb_extent_info *out,
    struct pb_err *err)
{
	const struct row *row = arg;

	return pb_index_extent_below(row->index, row->stream, at, out, err);
}

int
pb_peek_below_by(pb_peek_find *find, void *arg, const char *store,
    const struct pb_stream_key *key, uint64_t at, bool checked,
    uint32_t captured, struct pb_fingerprint *out, struct pb_err *err)
{
	struct place place = { .store = store, .key = key, .highest = true,
	    .captured = captured };

	return below(find, arg, &place, at, checked, out, err);
}

static int
below(pb_peek_find *find, void *arg, struct place *place, uint64_t at,
    bool checked, struct pb_fingerprint *out, struct pb_err *err)
{
	struct pb_extent_info extent;
	int rc = 0, found;

	for (unsigned i = 0; i < PB_PEEK_EXTENTS_MAX; i++) {
		found = at == 0 ? 0 : find(arg, at, &extent, err);
		if (found <= 0)
			return found < 0 ? found : rc;
		place->last = at;
		rc = look(place, &extent, checked || extent.last_seq > at,
		    out, err);
		if (!unreadable(rc))
			return rc;
		at = extent.first_seq - 1;
	}
	return rc;
}

int
pb_peek_above(struct pb_index *index, const char *store,
    const struct pb_stream_key *key, uint32_t stream, uint64_t from,
    struct pb_fingerprint *out, struct pb_err *err)
{
	struct place place = { .store = store, .key = key,
	    .last = UINT64_MAX };
	struct pb_extent_info extent;
	int rc = 0, found;

	for (unsigned i = 0; i < PB_PEEK_EXTENTS_MAX; i++) {
		found = pb_index_rows_of(index, PB_TABLE_EXTENTS, stream, from,
		    &extent, 1, err);
		if (found <= 0)
			return found < 0 ? found : rc;
		place.first = from;
		rc = look(&place, &extent, true, out, err);
		if (!unreadable(rc) || extent.last_seq == UINT64_MAX)
			return rc;
		from = extent.last_seq + 1;
	}
	return rc;
}

/* As good as not there: the next one may be. */
static bool
unreadable(int rc)
{
	return rc == 0 || rc == PB_ENOENT || rc == PB_EFORMAT ||
	    rc == PB_EDIGEST;
}

/* In one extent: 1, 0 where none of it is wanted, or an error. */
static int
look(const struct place *place, const struct pb_extent_info *extent,
    bool whole, struct pb_fingerprint *out, struct pb_err *err)
{
	uint32_t tail = extent->bytes < TAIL_BYTES ? extent->bytes :
	    TAIL_BYTES;
	uint8_t *data;
	int rc = 0;

	if (extent->bytes > PB_EXTENT_READ_MAX)
		return pb_err_set(err, PB_EFORMAT, "the index speaks of an "
		    "extent of %u bytes", extent->bytes);
	data = malloc(extent->bytes + 1u);
	if (data == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	if (!whole) {
		rc = read_tail(place, extent, tail, data, err);
		if (rc == 0 && pb_fingerprint_last(data, tail, out))
			rc = 1;
	}
	if (rc == 0)
		rc = look_through(place, extent, data, out, err);
	free(data);
	return rc;
}

static int
look_through(const struct place *place, const struct pb_extent_info *extent,
    uint8_t *data, struct pb_fingerprint *out, struct pb_err *err)
{
	int rc = read_tail(place, extent, extent->bytes, data, err);

	if (rc == 0)
		rc = pb_segment_check(extent->segment_seq, extent->offset,
		    data, extent->bytes, extent->digest, err);
	if (rc < 0)
		return rc;
	rc = scan(place, data, extent->bytes, out);
	return rc >= 0 ? rc : pb_err_set(err, rc, "stream %s/%s: no whole "
	    "block", place->key->node, place->key->interface);
}

/* The last `bytes` of the extent. */
static int
read_tail(const struct place *place, const struct pb_extent_info *extent,
    uint32_t bytes, uint8_t *data, struct pb_err *err)
{
	struct pb_err why = { 0 };
	int fd = pb_segment_open_file(place->store, place->key,
	    extent->segment_seq, &why);
	int rc = fd;

	if (fd >= 0) {
		rc = pb_segment_read(fd, extent->segment_seq, extent->offset +
		    extent->bytes - bytes, data, bytes, &why);
		pb_file_close(fd);
	}
	if (rc == 0)
		return 0;
	/* A bad sector, or a file that is not ours to read, will not heal
	 * while somebody waits for it. */
	if (why.sys == EIO || why.sys == EACCES || why.sys == EPERM ||
	    why.sys == EISDIR)
		why.code = PB_EFORMAT;
	if (err != NULL)
		*err = why;
	return why.code;
}

static int
scan(const struct place *place, const uint8_t *data, size_t len,
    struct pb_fingerprint *out)
{
	struct pb_block block, best = { .type = 0 };
	struct pb_packet packet;
	uint64_t first, last;
	int rc;

	for (; (rc = pb_scan_block(data, len, &block)) == 1;
	    data += block.len, len -= block.len) {
		rc = pb_scan_numbers(&block, &first, &last);
		if (rc < 0)
			return rc;
		if (rc == 0 || last < place->first || last > place->last ||
		    !says_which(&block))
			continue;
		best = block;
		if (!place->highest)
			break;
	}
	if (rc < 0 || best.type == 0)
		return rc < 0 ? rc : 0;
	return pb_scan_epb(&best, &packet) == 0 ?
	    cut(&packet, place->captured, out) :
	    pb_fingerprint_block(&best, out);
}

static int
cut(struct pb_packet *packet, uint32_t captured, struct pb_fingerprint *out)
{
	uint64_t seq;

	if (captured != 0 && packet->caplen > captured)
		packet->caplen = captured;
	if (!pb_packet_seq(packet, &seq))
		return PB_EFORMAT;
	*out = pb_fingerprint(packet, seq);
	return 1;
}

/* Of those that were left out the last one is known, or none. */
static bool
says_which(const struct pb_block *block)
{
	struct pb_filtered filtered;

	return block->type == PB_BLOCK_EPB ||
	    (pb_scan_filtered(block, &filtered) == 1 && filtered.digest != 0);
}
