/*
 * conf/conf.h - one node's configuration
 *
 * INI (conf.c has the form).  Unknown sections and keys are errors that suggest
 * the nearest known one; every message names file:line, section and key
 * and says what would be right.  Defaults stand in conf.c, one table.
 */
#ifndef PB_CONF_CONF_H
#define PB_CONF_CONF_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

#define PB_CAPTURES_MAX		64
#define PB_CAPTURE_THREADS_MAX	32
#define PB_UPSTREAMS_MAX	64
#define PB_EDGES_MAX		1024
#define PB_LINK_NAME_MAX	15	/* bytes, IFNAMSIZ of the kernel - 1 */
#define PB_CONF_INTERFACE	"interface:"	/* of a url, and a name */
#define PB_CONF_PULL		"pull:"	/* a url, and before a puller */
#define PB_CONF_LIST_MAX	1024	/* bytes of a list of globs */
#define PB_CONF_TRAILERS_MAX	128	/* bytes of a list of trailers */
#define PB_CONF_VALUE_MAX	4096	/* bytes of any value */

/* Sections, by what they are about. */
enum pb_conf_kind {
	PB_CONF_NODE,
	PB_CONF_STORE,
	PB_CONF_CAPTURE,
	PB_CONF_LISTEN,
	PB_CONF_UPSTREAM,
	PB_CONF_EDGE,
	PB_CONF_KINDS,		/* how many */
};

struct pb_conf_tls {
	bool	off;			/* `tls = off`, spelled out */
	char	cert[PATH_MAX];		/* PEM files */
	char	key[PATH_MAX];
	char	ca[PATH_MAX];
};

struct pb_conf_capture {
	char	 interface[PB_IFNAME_BYTES_MAX + 1];
	char	 description[PB_TEXT_BYTES_MAX];
	char	 filter[PB_CONF_VALUE_MAX];	/* tcpdump filter; "" all */
	uint32_t snaplen;			/* 262144 */
	uint64_t buffer;			/* bytes, 64 MiB, of all */
	uint32_t threads;			/* 1 */
	bool	 promiscuous;			/* yes */
	char	 timestamp_type[32];		/* "" : the best there is */
	/* What these say the recorder checks (recorder/trailer). */
	char	 trailers[PB_CONF_TRAILERS_MAX];	/* none */
	bool	 fcs;				/* no */
	uint32_t tai_utc;			/* 37, seconds */
	char	 timestamp_from[32];		/* capture */
	char	 forward[PB_LINK_NAME_MAX + 1];	/* "": nowhere */
	bool	 in_only;			/* `direction = in` */
};

struct pb_conf_listen {
	bool	 present;		/* there is a [listen] section */
	char	 address[PB_TEXT_BYTES_MAX]; /* host:port, [v6]:port */
	struct pb_conf_tls tls;
	char	 allow[PB_CONF_LIST_MAX]; /* default "*, relay:*" */
	/* What peers can take of this node. */
	uint64_t body_max;		/* bytes, decoded; 16 MiB */
	uint64_t memory_max;		/* bytes of all bodies; 128 MiB */
	uint32_t connections_max;	/* 2048 */
	uint32_t connections_per_peer;	/* 256; 0: no bound */
	uint64_t head_timeout_ms;	/* 10 s */
	uint64_t idle_timeout_ms;	/* 30 s */
	uint64_t body_rate_min;		/* bits/s, 8 kbit; 0: none */
	uint64_t hold_ms;		/* ahead of its turn; 5 s */
};

/* Globs of `priority`. */
#define PB_CONF_PRIORITIES_MAX	7u
/* Times of day, local; none: always. */
#define PB_CONF_RANGES_MAX	8u
struct pb_conf_schedule {
	uint32_t count;
	struct {
		uint16_t from, to;	/* minutes since midnight; not the
					 * same */
	} range[PB_CONF_RANGES_MAX];
};

struct pb_conf_upstream {
	char	 name[PB_NAME_BYTES_MAX + 1];
	char	 url[PB_CONF_VALUE_MAX]; /* without a trailing slash */
	struct pb_conf_tls tls;		/* zeroed where it has no meaning */
	char	 streams[PB_CONF_LIST_MAX]; /* globs on node/interface; "*" */
	uint64_t retry_for_ms;		/* 1h */
	uint64_t dead_letters_max;	/* bytes, 50 GiB */
	uint64_t dead_letters_age_ms;	/* 30 days; 0: no bound */
	bool	 requeue_manual;	/* `requeue = manual` */
	uint64_t window;		/* bytes in flight, 64 MiB */
	uint64_t rate_limit;		/* bits/s; 0: none */
	uint64_t rate_burst;		/* bytes; 0: a twentieth of a second */
	uint32_t compress_level;	/* `compress = zstd:N`; 0: none */
	uint64_t connect_timeout_ms;	/* 10 s */
	uint64_t answer_timeout_ms;	/* 60 s without progress */
	char	 proxy[PB_CONF_VALUE_MAX]; /* http://host:port; "" none */
	char	 proxy_auth[PATH_MAX];	/* a file with user:password */
	char	 filter[PB_CONF_VALUE_MAX];	/* tcpdump filter; "" all */
	uint32_t snaplen;		/* 262144 */
	struct pb_conf_schedule schedule; /* when it is sent to */
	char	 priority[PB_CONF_LIST_MAX]; /* globs, the first served first */
	/* Of a local interface alone. */
	bool	 pace_original;		/* `pace = original` */
	bool	 at_most_once;		/* `delivery = at-most-once` */
};

/* A node that is dialled, and its packets fetched. */
struct pb_conf_edge {
	char	 name[PB_NAME_BYTES_MAX + 1];
	char	 url[PB_CONF_VALUE_MAX]; /* without a trailing slash */
	struct pb_conf_tls tls;
	char	 streams[PB_CONF_LIST_MAX]; /* globs on node/interface; "*" */
	uint64_t window;		/* bytes on their way here, 64 MiB */
	bool	 compress_zstd;		/* `compress = zstd` */
	uint64_t connect_timeout_ms;	/* 10 s */
	uint64_t answer_timeout_ms;	/* 60 s without progress */
	char	 proxy[PB_CONF_VALUE_MAX]; /* http://host:port; "" none */
	char	 proxy_auth[PATH_MAX];	/* a file with user:password */
};

/* Which packets get flow tables. */
enum pb_conf_flows {
	PB_CONF_FLOWS_NO,
	PB_CONF_FLOWS_YES,		/* those that come in */
	PB_CONF_FLOWS_ALL,		/* and those that have none yet */
};

struct pb_conf {
	char	 file[PATH_MAX];
	struct pb_node_conf {
		char	 name[PB_NAME_BYTES_MAX + 1];
		char	 description[PB_TEXT_BYTES_MAX];
		uint32_t pen;			/* 32473 */
	} node;
	struct pb_store_conf {
		char	 path[PATH_MAX];
		uint64_t segment_size;		/* 256 MiB */
		uint64_t segment_age_ms;	/* 60 s */
		uint64_t flush_interval_ms;	/* 100 ms */
		uint64_t retain_size;		/* 0: no bound */
		uint64_t retain_age_ms;		/* 0: no bound */
		struct pb_min_free {		/* one of them is 0 */
			uint64_t bytes;
			unsigned percent;	/* 5 */
		} min_free;
		uint64_t index_size;		/* LMDB map, 16 GiB */
		enum pb_conf_flows flows;	/* yes */
	} store;
	struct pb_conf_listen listen;
	size_t	 captures;
	struct pb_conf_capture capture[PB_CAPTURES_MAX];
	size_t	 upstreams;
	struct pb_conf_upstream upstream[PB_UPSTREAMS_MAX];
	size_t	 edges;			/* PB_EDGES_MAX at most */
	struct pb_conf_edge *edge;	/* they are many, and mostly none */
	struct pb_conf_lines {		/* pb_conf_blame(): of each kind a row
					 * a section that stands in the file */
		unsigned *of;		/* its keys */
		size_t	  rows;
	} lines[PB_CONF_KINDS];
};

/*
 * Read and check `path`.  PB_EINVAL: err has `file:line: [section] key:
 * what is wrong; what would be right`.  `*out` is the caller's, for
 * pb_conf_destroy().
 */
int	pb_conf_load(struct pb_conf **out, const char *path,
	    struct pb_err *err);

/*
 * What a program finds wrong with a key of a section of `conf`, once that is
 * loaded: puts `file:line` before the words of `err`, which begin with the
 * section.  The line is the header's where the key is not given; there is none
 * of a section that was made here.  Returns err's code.
 */
int	pb_conf_blame(const struct pb_conf *conf, enum pb_conf_kind kind,
	    const void *section, const char *key, struct pb_err *err);

/* The defaults and a store's path alone, for `pb --store DIR`. */
int	pb_conf_for_store(struct pb_conf **out, const char *store,
	    struct pb_err *err);

void	pb_conf_destroy(struct pb_conf *conf);

/*
 * Do two sections of a kind say the same?  `fixed`: as far as a program that
 * runs takes nothing else over, by the table of keys.  Their names are the
 * caller's to compare.
 */
bool	pb_conf_same(enum pb_conf_kind kind, const void *a, const void *b,
	    bool fixed);

/* Do they differ at most in keys that are taken while what they speak of goes
 * on, by the same table? */
bool	pb_conf_goes_on(enum pb_conf_kind kind, const void *a, const void *b);

/* The section [upstream NAME], or NULL. */
const struct pb_conf_upstream *pb_conf_upstream(const struct pb_conf *conf,
	    const char *name);
/* The section [edge NAME], or NULL. */
const struct pb_conf_edge *pb_conf_edge(const struct pb_conf *conf,
	    const char *name);
/* The interface that it is, of `url = interface:NAME`; or NULL. */
const char *pb_conf_interface(const struct pb_conf_upstream *upstream);
/* Does it come for its packets itself: `url = pull:`? */
bool	pb_conf_pulled(const struct pb_conf_upstream *upstream);
/* The upstream NAME, if it does; or NULL.  `allow` of [listen] and sections
 * say the same of who does: where one has no section it is among the upstreams
 * all the same. */
const struct pb_conf_upstream *pb_conf_puller(const struct pb_conf *conf,
	    const char *name);
/* Is `arg`, a configuration, to ship this stream (NULL: any) there? */
bool	pb_conf_ships(void *arg, const char *upstream, const char *stream);
/* The place of a stream's name in a list of globs, as `priority` is: of the
 * first that names it; behind all where none does. */
unsigned pb_conf_rank(const char *globs, const char *stream);
/* What a section has that says nothing; its name and url are empty. */
int	pb_conf_upstream_defaults(struct pb_conf_upstream *out,
	    struct pb_err *err);

/*
 * Which file: `given` if not NULL, else $PB_CONFIG if set (both are taken
 * as they are: whether the file is there shows when it is loaded), else
 * ./packetbroker.conf or /etc/packetbroker/packetbroker.conf, whichever
 * exists first.  PB_ENOENT names all that were tried.
 *
 * Nobody named ./packetbroker.conf: whoever may write where the caller
 * happens to be could name a store of his.  So PB_EINVAL where that file, or
 * the directory, is neither the caller's nor root's, or others may write it.
 */
int	pb_conf_find(char out[static PATH_MAX], const char *given,
	    struct pb_err *err);

#endif
