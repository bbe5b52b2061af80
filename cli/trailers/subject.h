/*
 * cli/trailers/subject.h - packets of one interface, and which lists of
 * trailers parse them
 */
#ifndef PB_CLI_SUBJECT_H
#define PB_CLI_SUBJECT_H

#include <limits.h>

#include "base/buf.h"
#include "pcapng/block.h"
#include "recorder/trailer/trailer.h"

#define PB_SUBJECTS_MAX		64u

struct pb_subject {
	char		 name[PATH_MAX];	/* for people */
	uint64_t	 packets, cut;	/* of which were cut when captured */
	struct pb_trailer_guess *guess;
	uint64_t	 last_seq, last_time;	/* of a stream; the caller's */
};

struct pb_subjects {			/* zeroed: none */
	struct pb_subject *at;
	size_t		 count, cap;
};

/* One more: PB_ENOMEM, or PB_ELIMIT past PB_SUBJECTS_MAX. */
int	pb_subjects_add(struct pb_subjects *subjects,
	    struct pb_subject **out, struct pb_err *err);
void	pb_subjects_finish(struct pb_subjects *subjects);

/* One more of its packets, of an Ethernet interface. */
void	pb_subject_packet(struct pb_subject *subject,
	    const struct pb_packet *packet);

/* Does a list parse at least half of its packets? */
bool	pb_subject_fits(const struct pb_subject *subject);

/* For people some lines, for machines an object and a newline; appended. */
void	pb_subject_text(const struct pb_subject *subject,
	    struct pb_buf *out);
void	pb_subject_json(const struct pb_subject *subject,
	    struct pb_buf *out);

#endif
