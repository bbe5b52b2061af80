/*
 * recorder/store/read/cursor.h - reading the packets of one stream, in order
 *
 * Walks segments and extents by sequence number, skipping by the index
 * what lies outside the asked range; reads up to the durable end, and goes
 * on from there when called again later.  One descriptor, one buffer of
 * PB_CURSOR_BYTES per cursor while it is in use; a cursor that waits in a
 * merge of thousands can be told to park.
 *
 * Who knows which numbers are worth a look leads it: it goes from run to run
 * of a guide, which may know as well where in the file a run's blocks are.
 * What such a place turns out to have is compared with what the guide said.
 *
 * Who wants to keep packets where they were read has the bytes loaded into
 * memory of its own, and steps through them.
 */
#ifndef PB_STORE_CURSOR_H
#define PB_STORE_CURSOR_H

#include "pcapng/scan.h"
#include "recorder/filter/verdict.h"
#include "recorder/store/head.h"
#include "recorder/store/index/index.h"

#define PB_CURSOR_BYTES	(1u << 20)
/* So many extents are looked ahead for packets that are earlier. */
#define PB_CURSOR_AHEAD	16

struct pb_range {
	uint64_t first_seq, last_seq;	/* both included; 1, UINT64_MAX */
	uint64_t after_ns, before_ns;	/* after <= time < before;
					 * 0, UINT64_MAX */
};

struct pb_cursor;

/* `index` is borrowed until destroy; `store` is copied. */
int	pb_cursor_create(struct pb_cursor **out, struct pb_index *index,
	    const char *store, const struct pb_stream_info *stream,
	    const struct pb_range *range, struct pb_err *err);
void	pb_cursor_destroy(struct pb_cursor *cursor);
/* From now on the page cache keeps nothing that it did not have
 * (pb_pread_once()). */
void	pb_cursor_once(struct pb_cursor *cursor);

/* Numbers to look at. */
struct pb_cursor_run {
	uint64_t	 first_seq, last_seq;
	/* Where their blocks are, theirs alone and one behind the other: in
	 * the file of segment `segment_seq`, [from, end).  0: where the
	 * extents say. */
	uint64_t	 segment_seq, from, end;
	/* There, where others of the numbers were left out: so many packets,
	 * and the blocks say which they are.  0: one a number. */
	uint64_t	 packets;
	bool		 more;		/* and further runs have others */
	/* What the filter says: of each by itself (in such a place packet by
	 * packet), PB_VERDICT_* or 0, or of all where that is NULL.  0 and
	 * PB_VERDICT_NONE are passed over. */
	const uint8_t	*verdict_of;	/* borrowed until the guide's next
					 * call */
	enum pb_verdict	 verdict;
};

struct pb_cursor_guide {
	/* The first run that ends at or behind number `seq`: 1; 0 where there
	 * is none, or an error. */
	int	(*next)(void *arg, uint64_t seq, struct pb_cursor_run *out,
		    struct pb_err *err);
	/* The file is not as the run says, from number `seq` on: the next one
	 * leaves the place to the extents. */
	void	(*wrong)(void *arg, uint64_t seq);
	/* Of a run with `packets`: it was read, and none of its numbers is
	 * above that.  The next one is behind it.  NULL: there are no such. */
	void	(*ended)(void *arg, uint64_t last_seq);
	void	*arg;
};

/* From now on; `guide` is copied. */
void	pb_cursor_lead(struct pb_cursor *cursor,
	    const struct pb_cursor_guide *guide);

/* Go on with numbers first .. last, wherever they are. */
void	pb_cursor_seek(struct pb_cursor *cursor, uint64_t first_seq,
	    uint64_t last_seq);

struct pb_cursor_packet {
	struct pb_packet packet;	/* borrowed until the next call */
	uint64_t	 seq;
	const struct pb_head *head;	/* of its segment; ref it to keep it */
	enum pb_verdict	 verdict;	/* PB_VERDICT_ALL: the filter need not
					 * be asked */
};

/*
 * The next packet within the range: 1; 0 at the durable end (ask again
 * when pb_index_commits() has grown); or an error.  Packets come in
 * sequence order, those outside the time range are left out.
 */
int	pb_cursor_next(struct pb_cursor *cursor, struct pb_cursor_packet *out,
	    struct pb_err *err);

struct pb_bytes {
	uint8_t		*data;		/* free(3) it */
	size_t		 room;
};

/*
 * In place of next: the bytes that come next, about `bytes_max` of them at
 * most (0: as they lie together), into `into`, which grows where it is too
 * small and is borrowed until the next load: 1, also where no packet is in
 * them; 0 or an error as above.  And their next packet, borrowed as long as
 * `into` stays as it is: 1, 0 where they are used up, or an error.
 */
int	pb_cursor_load(struct pb_cursor *cursor, struct pb_bytes *into,
	    size_t bytes_max, struct pb_err *err);
int	pb_cursor_step(struct pb_cursor *cursor, struct pb_cursor_packet *out,
	    struct pb_err *err);

/* Nothing more of the range comes, whatever is loaded. */
bool	pb_cursor_done(const struct pb_cursor *cursor);

/*
 * The lowest time of what is behind the bytes that were loaded, as far as the
 * index tells of the next PB_CURSOR_AHEAD extents or more: UINT64_MAX at the
 * durable end, 0 where that is not known.
 */
uint64_t pb_cursor_floor(const struct pb_cursor *cursor);

/* Give up descriptor and buffer until the next call, and forget the guide's
 * run. */
void	pb_cursor_park(struct pb_cursor *cursor);

/* What it has read of files since the last call. */
uint64_t pb_cursor_bytes(struct pb_cursor *cursor);

#endif
