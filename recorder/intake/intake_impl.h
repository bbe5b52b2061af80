/*
 * recorder/intake/intake_impl.h - inside the intake
 *
 * intake.c moves loads from state to state, intake_take.c turns them into
 * chunks and takes those back, intake_entry.c knows the streams that
 * requests speak of, who asks about them and what they are told.
 */
#ifndef PB_INGEST_INTAKE_IMPL_H
#define PB_INGEST_INTAKE_IMPL_H

#include <pthread.h>

#include "recorder/intake/intake.h"

enum load_state {
	LOAD_IDLE,		/* not known here */
	LOAD_COMING,		/* begun, its body arrives */
	LOAD_HELD,
	LOAD_WAITING,
	LOAD_WRITING,
	LOAD_STATES,
};

/* A stream that requests speak of. */
struct pb_intake_entry {
	struct pb_stream_key key;	/* first: entries are found by it */
	TAILQ_ENTRY(pb_intake_entry) link;
	struct pb_stream *stream;	/* NULL until the store knows it */
	struct pb_head	*head;		/* of its last chunk; shared */
	uint64_t	expected;	/* pb_stream_next() once all chunks
					 * that are out are in */
	uint64_t	sender;		/* who asked last; 0: nobody who said */
	uint64_t	others;		/* up to it it was taken of others */
	struct pb_fingerprint last;	/* its last packet, where it came by
					 * here; seq 0: look */
	uint64_t	changes;	/* of the store, at both */
	uint64_t	answered_ms;
	uint64_t	used_ms;
	unsigned	loads[LOAD_STATES]; /* by state */
	unsigned	chunks;		/* in the writer */
	unsigned	unsettled;	/* of those: gaps, and into gaps */
	bool		answered;
};

/* A chunk with what is known when it comes back. */
struct parcel {
	struct pb_chunk	*chunk;
	struct pb_intake *intake;
	struct pb_load	*load;
	struct parcel	*next;
	struct pb_fingerprint last;	/* its last packet */
	uint64_t	changes;	/* of the store, when it was written */
	bool		unsettled;
	int		rc;
	char		text[PB_ERR_TEXT_MAX];
};

TAILQ_HEAD(loads, pb_load);

struct pb_intake {
	struct pb_intake_opts opts;
	struct pb_body_scratch *scratch;
	struct pb_intake_counters counters;
	/* By state, from LOAD_HELD on: by first number where they are held,
	 * else in order of arrival. */
	struct loads	list[LOAD_STATES];
	size_t		bytes[LOAD_STATES];	/* of their bodies */
	size_t		chunks;		/* in the writer */
	struct pb_chunk_pool *pool;
	bool		starved;	/* a load waits for chunks: those
					 * behind it wait, too */
	void		*tree;		/* of entries (tsearch(3)), */
	TAILQ_HEAD(, pb_intake_entry) all;	/* and in order of arrival */
	size_t		entries;
	uint64_t	swept_ms;
	bool		stopping;
	pthread_mutex_t	mutex;		/* of the two below */
	struct parcel	*back, **back_end; /* from the writer */
};

/* intake_entry.c */
struct pb_intake_entry *intake_entry(struct pb_intake *intake,
	    const struct pb_stream_key *key, struct pb_err *err);
/* Does the store know the stream by now?  0 either way, or an error. */
int	intake_find_stream(struct pb_intake *intake,
	    struct pb_intake_entry *entry, struct pb_err *err);
/*
 * What the store's failure `rc` is to a sender: 503, whatever the code
 * means of a body or a path.  Told that its packets are malformed, or not
 * wanted here, it would give them up.
 */
int	intake_store_failed(int rc);
/* Forget the streams that nobody has spoken of for a while. */
void	intake_sweep(struct pb_intake *intake, uint64_t now_ms);
void	intake_free_entries(struct pb_intake *intake);

/* A question has come; `next` is the stream's next number. */
void	intake_asks(struct pb_intake *intake, struct pb_load *load,
	    uint64_t next);
/* Does its answer cover all that had been taken of others? */
bool	intake_answerable(const struct pb_load *load);
/* Which packet is the last up to load->at and the durable end, or where is it
 * to be looked for?  PB_ESYS where the store has changed meanwhile. */
int	intake_tell(struct pb_intake *intake, struct pb_load *load);
/* Packets, or a gap, of a sender that did not ask last. */
bool	intake_fenced(struct pb_intake *intake, const struct pb_load *load);
/* What was known of it in another store, or before that went, is forgotten. */
void	intake_catch_up(struct pb_intake_entry *entry, uint64_t changes);

/*
 * intake_take.c.  Submit what is new of `load`; `next` is the stream's
 * next number, at or past load->first.  0, also where nothing is new;
 * with an error load->pending says whether some of it went out.
 */
int	intake_take(struct pb_intake *intake, struct pb_load *load,
	    uint64_t next, struct pb_err *err);
/* May it have the chunks that this takes, as it looks? */
bool	intake_may_take(const struct pb_intake *intake,
	    const struct pb_load *load, uint64_t next);
/* Account for a chunk that came back. */
void	intake_take_back(struct pb_intake *intake, struct parcel *parcel);

#endif
