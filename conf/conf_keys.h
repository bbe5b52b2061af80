/*
 * conf/conf_keys.h - the table of sections and keys; private to conf/
 */
#ifndef PB_CONF_CONF_KEYS_H
#define PB_CONF_CONF_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "conf/conf.h"

#define PB_CONF_KEYS_MAX	24	/* in one section */

/*
 * One key.  Default and bounds stand as a user would write them and are
 * read by the key's own parser, so the table can be compared with the
 * manual line by line.
 */
struct pb_conf_key {
	const char	*name;
	/* Check `value` and keep it in `field`, which has `room` bytes. */
	int		(*parse)(const struct pb_conf_key *key, void *field,
			    const char *value, struct pb_err *err);
	size_t		 offset;	/* of the field in its section */
	size_t		 room;		/* 0: it has none */
	bool		 restart;	/* a reload does not take it */
	bool		 live;		/* what the section speaks of goes on
					 * when a reload takes it */
	const char	*fallback;	/* NULL: the field stays zeroed */
	const char	*min, *max;	/* NULL: none */
	const char	*words[2];	/* of a choice: false, true */
	const char	*wrong;		/* what another word, or name, is */
	const char	*needed;	/* what to write where it is missing */
};

struct pb_conf_section {
	const char	*name;
	size_t		 at, bytes;	/* the first one in struct pb_conf */
	size_t		 max;		/* of them */
	const struct pb_conf_key *keys;
	size_t		 count;
	/* Check keys against each other; `*key` is the one at fault. */
	int		(*check)(const void *section, const char **key,
			    struct pb_err *err);
	const char	*example;	/* of a header; NULL: takes no name */
	/* The name in `[capture NAME]`, as a key; its field is the first. */
	struct pb_conf_key title;
	bool		 apart;		/* at `at` is a pointer to the first */
};

extern const struct pb_conf_section pb_conf_sections[PB_CONF_KINDS];

/* Fill a zeroed section's struct with the table's defaults. */
int	pb_conf_defaults(enum pb_conf_kind kind, void *section,
	    struct pb_err *err);

/* The key `name` of a section, or NULL. */
const struct pb_conf_key *pb_conf_key_find(enum pb_conf_kind kind,
	    const char *name);

/* Is it a name of libpcap for what is no network interface? */
bool	pb_conf_pseudo(const char *interface);

/* conf_check.c: what a whole section promises, once all its keys are in. */
int	pb_conf_check_store(const void *section, const char **key,
	    struct pb_err *err);
int	pb_conf_check_capture(const void *section, const char **key,
	    struct pb_err *err);
int	pb_conf_check_listen(const void *section, const char **key,
	    struct pb_err *err);
int	pb_conf_check_upstream(const void *section, const char **key,
	    struct pb_err *err);
int	pb_conf_check_edge(const void *section, const char **key,
	    struct pb_err *err);

/*
 * What all sections so far promise together: no packet goes out where it is
 * captured again, to go out once more.  The last section is the one at fault.
 */
int	pb_conf_check_ways(const struct pb_conf *conf, const char **key,
	    struct pb_err *err);

/* conf_values_net.c: the item of `allow`: 1, 0 where it is of another kind, -1
 * where it is wrong.  `*globs` is NULL where it names none. */
int	pb_conf_parse_pull(const char *item, size_t len,
	    char name[static PB_NAME_BYTES_MAX + 1], const char **globs,
	    size_t *globs_len);
/* conf_pull.c: when all sections are in; `err` begins with the one at fault. */
int	pb_conf_pair_pullers(struct pb_conf *conf, struct pb_err *err);

#endif
