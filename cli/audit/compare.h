/*
 * cli/audit/compare.h - one stream, at two nodes: is it the same?
 *
 * Compared is what both should have: up to the end that both have reached.
 * What one has deleted by its bounds, what is in another epoch, and what the
 * section by which packets go there leaves out or cuts off is told, and is no
 * difference.
 */
#ifndef PB_AUDIT_COMPARE_H
#define PB_AUDIT_COMPARE_H

#include "cli/audit/side.h"

/* So many differences of a stream are looked into; what is behind them is told
 * as not compared. */
#define PB_COMPARE_LOOKS_MAX	2000u
#define PB_COMPARE_WHY_MAX	96u

enum pb_compare_kind {
	PB_COMPARE_DIFFERS,	/* two packets */
	PB_COMPARE_CUT,		/* one, with fewer of its bytes at one side */
	PB_COMPARE_MISSING_HERE,
	PB_COMPARE_MISSING_THERE,
	PB_COMPARE_NOT_COMPARED,
};

/* What is found, in the order of numbers. */
struct pb_compare_finding {
	enum pb_compare_kind kind;
	uint64_t	first, last;
	uint64_t	packets;	/* so many of these; 0: not counted */
	char		why[PB_COMPARE_WHY_MAX];	/* "": nobody knows */
	uint64_t	since_ns;	/* 0: not known */
	bool		fine;		/* no difference: it has a reason */
};

/* The same stream, by the name that each of the two has for it. */
struct pb_compare_pair {
	struct pb_stream_key here, there;
	uint64_t	first, last;	/* numbers under these names */
	uint64_t	acked;		/* `there` has said once that it has
					 * all up to it; 0: not known */
	bool		ships;		/* from here to there: what is there
					 * must be here */
	bool		comes;		/* from there to here, */
	bool		sifted;		/* and some are left out there */
};

/* Packets here and there among numbers. */
struct pb_compare_spread {
	uint64_t	first, last;
	uint64_t	packets;	/* 0: none, and no numbers */
};

struct pb_compare_sum {
	uint64_t	first, last;	/* compared; first > last: nothing */
	uint64_t	same;		/* packets that are */
	uint64_t	differences;	/* findings that are not fine */
	uint64_t	here_only, there_only;	/* numbers behind the end that
						 * the other has reached */
	bool		here, there;	/* the stream is known */
	uint64_t	here_first, there_first;	/* lowest numbers that
					 * are kept; 0: no packets */
	/* Packets that one has and the other need not have, and those of which
	 * it need not have all. */
	struct pb_compare_spread filtered, cut;
};

struct pb_compare {
	struct pb_side	*here;		/* a store */
	struct pb_side	*there;
	uint32_t	snaplen;	/* packets as if cut to that; or 0 */
	bool		tells_cut;	/* that is found, and not as asked */
	bool		sifts;		/* `here` does: what passes must be
					 * there, all may */
	int		(*found)(void *arg, const struct pb_compare_pair *,
			    const struct pb_compare_finding *,
			    struct pb_err *);
	void		(*progress)(void *arg, uint64_t numbers);
	void		*arg;
};

int	pb_compare_run(const struct pb_compare *compare,
	    const struct pb_compare_pair *pair, struct pb_compare_sum *sum,
	    struct pb_err *err);

/* A word for people and machines: `missing_there`. */
const char *pb_compare_word(enum pb_compare_kind kind);

#endif
