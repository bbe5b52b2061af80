/*
 * shipper/feed/maker.h - makes the bodies of requests, off the loop
 *
 * A thread of its own reads pieces from their files, looks at their
 * digests, and packs them with zstd where that is asked for, so that
 * neither the disk nor the packing holds up the loop, which sends.  What
 * it makes comes back in order, one by one.
 */
#ifndef PB_SHIPPER_MAKER_H
#define PB_SHIPPER_MAKER_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/err.h"
#include "shipper/feed/section.h"

enum pb_parcel_state {
	PB_PARCEL_IDLE,		/* the caller's */
	PB_PARCEL_WAITS,
	PB_PARCEL_MADE,		/* or being made */
};

/* One request's body.  The caller's memory, zeroed at first; not touched
 * between pb_maker_make() and `done`. */
struct pb_parcel {
	/* What is to be made. */
	struct pb_stream_key key;
	struct pb_piece	 piece;
	const char	*upstream;	/* as of pb_section_read(); borrowed */
	bool		 compress;
	void		(*done)(void *arg);	/* on the thread that collects */
	void		*arg;
	/* What was made. */
	int		 rc;		/* as of pb_section_read() */
	struct pb_err	 err;
	const uint8_t	*data;		/* in the parcel's memory, until it is */
	size_t		 len;		/* made again or finished */
	bool		 packed;	/* it is a zstd frame: smaller */
	uint64_t	 digest;	/* XXH3 of the section itself */
	struct pb_fingerprint last;	/* its last packet's */
	/* The maker's. */
	struct pb_section section;
	struct pb_buf	 zip;
	enum pb_parcel_state state;
	STAILQ_ENTRY(pb_parcel) link;
};

struct pb_maker;

/* Starts the thread. */
int	pb_maker_create(struct pb_maker **out, const char *store,
	    struct pb_err *err);
/* Ends it.  No parcel is with it any more. */
void	pb_maker_destroy(struct pb_maker *maker);

/* `done` is called by a later pb_maker_collect(). */
void	pb_maker_make(struct pb_maker *maker, struct pb_parcel *parcel);

/* Take it back, made or not, without its `done`.  Waits while it is being
 * made, as long as a read takes. */
void	pb_maker_cancel(struct pb_maker *maker, struct pb_parcel *parcel);

/* Readable when something is there for pb_maker_collect(). */
int	pb_maker_fd(const struct pb_maker *maker);

/* Call `done` for what is made.  It may make, and cancel, others. */
void	pb_maker_collect(struct pb_maker *maker);

/* Give back the memory of a parcel that is with nobody. */
void	pb_parcel_finish(struct pb_parcel *parcel);

#endif
