/*
 * recorder/store/read/section.c - a piece of a segment as a pcapng section
 *
 *	space   |      header room     | lead |  blocks           | rest |
 *	        ^ page          ........^ header, once all is read
 *	                               ^ page = page in the file
 *
 * Reading past the page cache wants whole pages, in the file and in memory:
 * the blocks keep their distance from a page's edge, and the header, which
 * many pieces share and the page cache keeps, is read to its place behind.
 */
#include "recorder/store/read/section.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/below.h"
#include "base/owner.h"
#include "base/bytes.h"
#include "base/sys.h"
#include "pcapng/filtered.h"
#include "pcapng/hop.h"
#include "recorder/store/read/segment_file.h"

/* Less than this is not worth two calls more. */
#define DIRECT_BYTES_MIN	(128u << 10)
/* cachestat(2), since Linux 6.5: the same number everywhere; this C library
 * does not know it. */
#define CACHESTAT		451L
/* Memory of more than half of this is made of huge pages. */
#define HUGE_BYTES		(2u << 20)

static int	reserve(struct pb_section *, size_t, struct pb_err *);
static int	read_blocks(int, uint8_t *, const struct pb_piece *,
		    struct pb_err *);
static bool	is_cached(int, uint64_t, size_t);
static bool	read_direct(int, uint8_t *, size_t, uint64_t, size_t);
static bool	put_epoch(uint8_t *, size_t, uint64_t);
static size_t	tidy(struct pb_section *, uint8_t *, size_t,
		    const struct pb_piece *);
static bool	of_piece(struct pb_section *, uint8_t *,
		    const struct pb_block *, const struct pb_piece *);
static int	open_letter(const char *, const struct pb_stream_key *,
		    uint64_t, const char *, struct pb_err *);

int
pb_section_read(struct pb_section *section, const char *store,
    const struct pb_stream_key *key, const struct pb_piece *piece,
    const char *upstream, struct pb_err *err)
{
	size_t header = piece->header_bytes;
	size_t room = pb_round_up(header, PB_PAGE_BYTES);
	size_t lead = (size_t)(piece->offset % PB_PAGE_BYTES);
	uint8_t *blocks;
	int fd, rc;

	section->len = 0;
	rc = reserve(section, room + pb_round_up(lead + piece->bytes,
	    PB_PAGE_BYTES), err);
	if (rc < 0)
		return rc;
	fd = pb_section_open(store, key, piece->segment_seq, upstream,
	    piece->letter, err);
	if (fd < 0)
		return fd;
	blocks = section->space + room + lead;
	rc = read_blocks(fd, blocks, piece, err);
	if (rc == 0)
		rc = pb_segment_read(fd, piece->segment_seq, 0,
		    blocks - header, header, err);
	close(fd);
	if (rc == 0 && piece->whole)
		rc = pb_segment_check(piece->segment_seq, piece->offset,
		    blocks, piece->bytes, piece->digest, err);
	if (rc < 0)
		return rc;
	if (piece->epoch != 0 && !put_epoch(blocks - header, header,
	    piece->epoch))
		return pb_err_set(err, PB_EFORMAT, "segment %020" PRIu64
		    " does not say whose it is", piece->segment_seq);
	section->data = blocks - header;
	section->len = header + tidy(section, blocks, piece->bytes, piece);
	return 0;
}

void
pb_section_finish(struct pb_section *section)
{
	free(section->space);
	memset(section, 0, sizeof(*section));
}

/* The segment and its link are one file: either will do. */
int
pb_section_open(const char *store, const struct pb_stream_key *key,
    uint64_t segment_seq, const char *upstream, bool letter,
    struct pb_err *err)
{
	int fd;

	if (letter && upstream != NULL) {
		fd = open_letter(store, key, segment_seq, upstream, err);
		if (fd != PB_ENOENT)
			return fd;
	}
	fd = pb_segment_open_file(store, key, segment_seq, err);
	if (fd != PB_ENOENT || letter || upstream == NULL)
		return fd;
	return open_letter(store, key, segment_seq, upstream, err);
}

static int
open_letter(const char *store, const struct pb_stream_key *key,
    uint64_t segment_seq, const char *upstream, struct pb_err *err)
{
	char path[PATH_MAX];
	int fd, rc;

	rc = pb_layout_letter(path, store, upstream, key, segment_seq, err);
	if (rc < 0)
		return rc;
	fd = pb_below_open(path, O_RDONLY, 0);
	if (fd < 0) {
		fd = pb_err_sys(err, "open the dead letter %s", path);
		pb_owner_explain(store, path, err);
	}
	return fd;
}

/* Nothing of what was there is kept. */
static int
reserve(struct pb_section *section, size_t bytes, struct pb_err *err)
{
	size_t align = PB_PAGE_BYTES;

	if (bytes > PB_SECTION_BYTES_MAX + 2 * PB_PAGE_BYTES)
		return pb_err_set(err, PB_ELIMIT, "a section of %zu bytes; "
		    "%u is the most", bytes, PB_SECTION_BYTES_MAX);
	if (bytes <= section->cap)
		return 0;
	free(section->space);
	section->cap = 0;
	if (bytes > HUGE_BYTES / 2)
		align = HUGE_BYTES;
	bytes = pb_round_up(bytes, align);
	section->space = aligned_alloc(align, bytes);
	if (section->space == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a request");
	section->cap = bytes;
	/* Where there are none, small pages do. */
	if (align == HUGE_BYTES)
		(void)madvise(section->space, bytes, MADV_HUGEPAGE);
	return 0;
}

static int
read_blocks(int fd, uint8_t *to, const struct pb_piece *piece,
    struct pb_err *err)
{
	size_t lead = (size_t)(piece->offset % PB_PAGE_BYTES);
	size_t wanted = lead + piece->bytes;
	size_t pages = pb_round_up(wanted, PB_PAGE_BYTES);
	uint64_t from = piece->offset - lead;

	if (piece->bytes >= DIRECT_BYTES_MIN && !is_cached(fd, from, pages) &&
	    read_direct(fd, to - lead, pages, from, wanted))
		return 0;
	return pb_segment_read(fd, piece->segment_seq, piece->offset, to,
	    piece->bytes, err);
}

/* Does the page cache have all these pages?  Where nobody can tell, no. */
static bool
is_cached(int fd, uint64_t offset, size_t len)
{
	struct { uint64_t offset, len; } range = { offset, len };
	struct { uint64_t there, dirty, writeback, gone, just_gone; } pages;

	return syscall(CACHESTAT, fd, &range, &pages, 0) == 0 &&
	    pages.there * PB_PAGE_BYTES >= len;
}

/*
 * False where the file system does not do it, or it failed: then the page
 * cache has the word, and the error.
 */
static bool
read_direct(int fd, uint8_t *to, size_t len, uint64_t offset, size_t wanted)
{
	int flags = fcntl(fd, F_GETFL);
	ssize_t got;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_DIRECT) < 0)
		return false;
	/* Once: behind the file's end there is nothing, and no whole page. */
	do
		got = pread(fd, to, len, (off_t)offset);
	while (got < 0 && errno == EINTR);
	return fcntl(fd, F_SETFL, flags) == 0 && got >= (ssize_t)wanted;
}

/* The stream goes under another epoch there (forks.h). */
static bool
put_epoch(uint8_t *header, size_t len, uint64_t epoch)
{
	const uint8_t *options;
	struct pb_block block;
	size_t options_len;

	return pb_scan_block(header, len, &block) == 1 &&
	    pb_scan_options(&block, &options, &options_len, NULL) == 0 &&
	    pb_identity_put_epoch(header + (options - header), options_len,
	    epoch);
}

/*
 * Fillers serve the disk, and could be most of what a quiet link sends.
 * Returns the length of what stays; from a block that is none on, all of
 * it does: the receiver says what is wrong.
 */
static size_t
tidy(struct pb_section *section, uint8_t *bytes, size_t len,
    const struct pb_piece *piece)
{
	size_t at = 0, kept = 0;
	struct pb_block block;

	section->filtered = false;
	while (pb_scan_block(bytes + at, len - at, &block) == 1) {
		bool stays = block.type != PB_BLOCK_ISB ||
		    of_piece(section, bytes + at, &block, piece);
		size_t size = block.len;

		if (stays && kept < at)
			memmove(bytes + kept, bytes + at, size);
		if (stays)
			kept += size;
		at += size;
	}
	if (kept < at)
		memmove(bytes + kept, bytes + at, len - at);
	return kept + len - at;
}

/* Statistics: do they go?  One that says that numbers were left out may be of
 * more than the piece. */
static bool
of_piece(struct pb_section *section, uint8_t *at,
    const struct pb_block *block, const struct pb_piece *piece)
{
	uint64_t first, last;

	if (pb_scan_is_filler(block))
		return false;
	if (pb_scan_numbers(block, &first, &last) != 1)
		return true;
	section->filtered = true;
	if (first < piece->first || last > piece->last)
		pb_clip_filtered(at, piece->first, piece->last);
	return true;
}
