/*
 * tests/sim/store/model_impl.h - inside the disk in memory
 *
 * model_disk.c has the calls, and when they fail; model_platter.c what lies
 * there, and what of it a power cut leaves.
 */
#ifndef PB_TESTS_MODEL_IMPL_H
#define PB_TESTS_MODEL_IMPL_H

#include "tests/sim/store/chance.h"
#include "tests/sim/store/model_disk.h"

#define SECTOR		512u
#define FILES_MAX	512	/* open at once */

struct bytes {
	uint8_t		*data;
	size_t		 len, cap;
};

/* A write, or with `data` NULL a change of length to `at`. */
struct change {
	uint64_t	 at;
	size_t		 len;
	uint8_t		*data;
};

struct entry {
	char		*name;
	struct node	*node;		/* NULL: no such name any more */
};

struct entries {
	struct entry	*at;
	size_t		 count, cap;
};

struct node {
	struct node	*next;		/* of all of them */
	uint64_t	 ino;
	bool		 is_dir;
	unsigned	 links, opens;
	uint64_t	 mtime_ns;
	/* A file: as seen, as synced, and what lies between. */
	struct bytes	 seen, synced;
	struct change	*change;
	size_t		 changes, changes_cap;
	/* A directory: as seen and as on the platter. */
	struct entries	 names, names_synced;
	bool		 blocked;	/* model_cut()'s */
	bool		 reached;
};

struct assign {
	struct node	*dir;
	const char	*name;
	struct node	*node;
};

/* One change of names: it happens whole or not at all. */
struct rename {
	struct assign	 part[2];
	unsigned	 parts;
	bool		 done;		/* on the platter */
};

struct file {
	struct node	*node;		/* NULL: not open */
	int		 flags;
	bool		 watched;	/* for model_stop_on() */
};

struct model {
	struct pb_disk	 disk;		/* first: what callers have of it */
	struct chance	 chance;
	enum model_names kind;
	uint64_t	 capacity, inos, calls, stop_at;
	const char	*watch;		/* NULL: nothing */
	uint64_t	 watch_calls;
	bool		 power, off, cut, hushed;
	unsigned	 fault_kinds, fault_one_in;
	uid_t		 uid;		/* whose all of it is */
	gid_t		 gid;
	struct node	*nodes, *root;
	struct file	 file[FILES_MAX];
	struct rename	*pending;
	size_t		 pendings, pendings_cap;
	char		**kept;		/* names, to be freed */
	size_t		 kept_count, kept_cap;
};

/* A node; the one at a path, or NULL; the directory that holds, or would hold,
 * its last name. */
struct node *platter_node(struct model *, bool);
struct node *platter_find(struct model *, const char *);
struct node *platter_parent(struct model *, const char *, const char **);
/* Names change, as all programs see it. */
void	platter_change(struct model *, const struct rename *);
/* Content, grown as need be; and a change of it that is not synced. */
void	platter_write(struct bytes *, uint64_t, const void *, size_t);
void	platter_resize(struct bytes *, uint64_t);
void	platter_note(struct node *, uint64_t, const void *, size_t);
/* What is seen is on the platter. */
void	platter_sync_file(struct node *);
/* All changes in a directory, and what came before them in directories that
 * they share with it; and all there are. */
void	platter_sync_names(struct model *, struct node *);
void	platter_sync_all_names(struct model *);
/* The power goes: what of names, and of a file, is on the platter then. */
void	platter_cut_names(struct model *);
void	platter_cut_file(struct model *, struct node *);
/* Bytes in files. */
uint64_t platter_used(const struct model *);
int	platter_stat(const struct model *, const struct node *,
	    struct stat *);
void	platter_print(const struct node *, int, FILE *);

#endif
