/*
 * tests/sim/store/model_disk.c - a disk in memory
 *
 * A file's content is that of its last sync and the changes since; a change
 * of names is one or two assignments `directory[name] = node`, applied to
 * what programs see at once and to the platter later.  Nodes and names are
 * freed with the disk: a run is short.
 */
#include "tests/sim/store/model_disk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/sim/store/chance.h"

#define SECTOR		512u
#define PAGE		4096u
#define FILES_MAX	512	/* open at once */
#define DEV		0xd15c

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
};

struct model {
	struct pb_disk	 disk;		/* first: what callers have of it */
	struct chance	 chance;
	enum model_names kind;
	uint64_t	 capacity, inos, calls, stop_at;
	bool		 power, off, cut, hushed;
	unsigned	 fault_kinds, fault_one_in;
	struct node	*nodes, *root;
	struct file	 file[FILES_MAX];
	struct rename	*pending;
	size_t		 pendings, pendings_cap;
	char		**kept;		/* names, to be freed */
	size_t		 kept_count, kept_cap;
};

static void	*grow(void *at, size_t count, size_t *cap, size_t size);
static struct model *of(struct pb_disk *);
static int	enter(struct model *, unsigned);
static int	leave(struct model *, int);
static struct node *node_new(struct model *, bool);
static struct node *find(struct model *, const char *);
static struct node *parent_of(struct model *, const char *, const char **);
static struct entry *entry_of(struct entries *, const char *);
static void	assign(struct model *, struct entries *, const char *,
		    struct node *);
static void	change_names(struct model *, const struct rename *);
static void	bytes_write(struct bytes *, uint64_t, const void *, size_t);
static void	bytes_resize(struct bytes *, uint64_t);
static void	note(struct node *, uint64_t, const void *, size_t);
static void	sync_file(struct node *);
static void	sync_names(struct model *, struct node *);
static void	sync_all_names(struct model *);
static uint64_t	used(const struct model *);
static void	cut_names(struct model *);
static void	cut_file(struct model *, struct node *);
static void	apply(struct bytes *, const struct change *, size_t, size_t,
		    uint64_t, uint64_t);
static void	reach(struct node *);
static int	fill_stat(const struct node *, struct stat *);
static void	print_dir(const struct node *, int, FILE *);
/* The calls. */
static int	model_open(struct pb_disk *, const char *, int);
static int	model_stat(struct pb_disk *, const char *, struct stat *);
static int	model_mkdir(struct pb_disk *, const char *);
static int	model_rename(struct pb_disk *, const char *, const char *,
		    unsigned);
static int	model_link(struct pb_disk *, const char *, const char *);
static int	model_unlink(struct pb_disk *, const char *);
static int	model_rmdir(struct pb_disk *, const char *);
static int	model_statvfs(struct pb_disk *, struct statvfs *);
static const char *model_list(struct pb_disk *, int, size_t *);
static int	model_close(struct pb_disk *, int);
static int	model_fstat(struct pb_disk *, int, struct stat *);
static ssize_t	model_pread(struct pb_disk *, int, void *, size_t, uint64_t);
static ssize_t	model_pwrite(struct pb_disk *, int, const void *, size_t,
		    uint64_t);
static int	model_truncate(struct pb_disk *, int, uint64_t);
static int	model_sync(struct pb_disk *, int, int);
static int	model_lock(struct pb_disk *, int, int, struct flock *);

struct model *
model_create(uint64_t seed, enum model_names names, uint64_t bytes)
{
	static const struct pb_disk calls = {
		.open = model_open, .stat = model_stat, .mkdir = model_mkdir,
		.rename = model_rename, .link = model_link,
		.unlink = model_unlink, .rmdir = model_rmdir,
		.statvfs = model_statvfs, .list = model_list,
		.close = model_close, .fstat = model_fstat,
		.pread = model_pread, .pwrite = model_pwrite,
		.truncate = model_truncate, .sync = model_sync,
		.lock = model_lock,
	};
	struct model *model = calloc(1, sizeof(*model));

	assert(model != NULL);
	model->disk = calls;
	model->chance.state = seed;
	model->kind = names;
	model->capacity = bytes;
	model->root = node_new(model, true);
	model->root->links = 1;
	return model;
}

void
model_destroy(struct model *model)
{
	struct node *node, *next;

	for (node = model->nodes; node != NULL; node = next) {
		next = node->next;
		for (size_t i = 0; i < node->changes; i++)
			free(node->change[i].data);
		free(node->change);
		free(node->seen.data);
		free(node->synced.data);
		free(node->names.at);
		free(node->names_synced.at);
		free(node);
	}
	for (size_t i = 0; i < model->kept_count; i++)
		free(model->kept[i]);
	free(model->kept);
	free(model->pending);
	free(model);
}

struct pb_disk *
model_disk(struct model *model)
{
	return &model->disk;
}

void
model_faults(struct model *model, unsigned kinds, unsigned one_in)
{
	model->fault_kinds = kinds;
	model->fault_one_in = one_in;
}

void
model_hush(struct model *model, bool on)
{
	model->hushed = on;
}

void
model_resize(struct model *model, uint64_t bytes)
{
	model->capacity = bytes;
}

void
model_stop_at(struct model *model, uint64_t calls, bool power)
{
	model->stop_at = calls == 0 ? 0 : model->calls + calls;
	model->power = power;
}

bool
model_is_off(const struct model *model)
{
	return model->off;
}

uint64_t
model_calls(const struct model *model)
{
	return model->calls;
}

void
model_cut(struct model *model)
{
	model->off = model->cut = true;
	model_start(model);
}

void
model_start(struct model *model)
{
	memset(model->file, 0, sizeof(model->file));
	for (struct node *n = model->nodes; n != NULL; n = n->next)
		n->opens = 0;
	model->stop_at = 0;
	if (model->cut) {
		cut_names(model);
		for (struct node *n = model->nodes; n != NULL; n = n->next)
			if (!n->is_dir)
				cut_file(model, n);
	}
	model->off = model->cut = false;
}

bool
model_rot(struct model *model, const char *path, uint64_t at)
{
	struct node *node = find(model, path);

	if (node == NULL || node->is_dir || at >= node->seen.len)
		return false;
	node->seen.data[at] ^= 0x10;
	if (at < node->synced.len)
		node->synced.data[at] ^= 0x10;
	return true;
}

void
model_print(const struct model *model, FILE *out)
{
	fprintf(out, "%zu changes of names are not synced\n",
	    model->pendings);
	print_dir(model->root, 0, out);
}

/* --- chance -------------------------------------------------------------- */

/* 0, or -1 where this call fails.  At the call where all stops it is done or
 * not, and fails in any case. */
static int
enter(struct model *model, unsigned kind)
{
	model->calls++;
	if (!model->off && model->calls == model->stop_at) {
		model->off = true;
		model->cut = model->power;
		if (chance_one_in(&model->chance, 2))
			return 0;
	}
	errno = EIO;
	if (model->off)
		return -1;
	if ((model->fault_kinds & kind) == 0 || model->fault_one_in == 0 ||
	    model->hushed || !chance_one_in(&model->chance, model->fault_one_in))
		return 0;
	if ((kind & (MODEL_WRITES | MODEL_NAMES)) != 0 &&
	    (model->fault_kinds & MODEL_FULL) != 0 &&
	    chance_one_in(&model->chance, 2))
		errno = ENOSPC;
	return -1;
}

static int
leave(struct model *model, int rc)
{
	if (rc >= 0 && model->off) {
		errno = EIO;
		return -1;
	}
	return rc;
}

/* --- names --------------------------------------------------------------- */

static int
model_open(struct pb_disk *disk, const char *path, int flags)
{
	struct model *model = of(disk);
	struct node *node = find(model, path), *dir;
	struct rename made = { .parts = 1 };
	const char *name;
	int fd = 0;

	if (enter(model, (flags & O_CREAT) != 0 ? MODEL_NAMES :
	    MODEL_READS) < 0)
		return -1;
	while (fd < FILES_MAX && model->file[fd].node != NULL)
		fd++;
	errno = fd == FILES_MAX ? EMFILE : node == NULL ? ENOENT : EEXIST;
	if (fd == FILES_MAX || (node == NULL && (flags & O_CREAT) == 0) ||
	    (node != NULL && (flags & O_EXCL) != 0))
		return -1;
	if (node == NULL) {
		dir = parent_of(model, path, &name);
		if (dir == NULL)
			return -1;
		node = node_new(model, false);
		made.part[0] = (struct assign){ dir, name, node };
		change_names(model, &made);
	}
	errno = node->is_dir ? EISDIR : ENOTDIR;
	if (node->is_dir != ((flags & O_DIRECTORY) != 0) &&
	    (flags & O_PATH) == 0)
		return -1;
	if ((flags & O_TRUNC) != 0 && node->seen.len > 0) {
		bytes_resize(&node->seen, 0);
		note(node, 0, NULL, 0);
	}
	if (leave(model, 0) < 0)
		return -1;
	model->file[fd] = (struct file){ node, flags };
	node->opens++;
	return fd;
}

static int
model_stat(struct pb_disk *disk, const char *path, struct stat *st)
{
	struct model *model = of(disk);
	struct node *node;

	if (enter(model, 0) < 0)
		return -1;
	node = find(model, path);
	if (node == NULL)
		return -1;
	return leave(model, fill_stat(node, st));
}

static int
model_mkdir(struct pb_disk *disk, const char *path)
{
	struct model *model = of(disk);
	struct rename made = { .parts = 1 };
	struct node *dir;
	const char *name;

	if (enter(model, MODEL_NAMES) < 0)
		return -1;
	dir = parent_of(model, path, &name);
	if (dir == NULL)
		return -1;
	if (find(model, path) != NULL) {
		errno = EEXIST;
		return -1;
	}
	made.part[0] = (struct assign){ dir, name, node_new(model, true) };
	change_names(model, &made);
	return leave(model, 0);
}

static int
model_rename(struct pb_disk *disk, const char *from, const char *to,
    unsigned flags)
{
	struct model *model = of(disk);
	struct node *moved = find(model, from), *there = find(model, to);
	struct rename change = { .parts = 2 };
	struct node *dir[2];
	const char *name[2];

	if (enter(model, MODEL_NAMES) < 0)
		return -1;
	dir[0] = parent_of(model, from, &name[0]);
	dir[1] = parent_of(model, to, &name[1]);
	errno = ENOENT;
	if (moved == NULL || dir[0] == NULL || dir[1] == NULL ||
	    (there == NULL && (flags & RENAME_EXCHANGE) != 0))
		return -1;
	errno = EEXIST;
	if (there != NULL && (flags & RENAME_NOREPLACE) != 0)
		return -1;
	/* Of a directory, an empty one at most; nobody here does that. */
	errno = ENOTEMPTY;
	if (there != NULL && there->is_dir && (flags & RENAME_EXCHANGE) == 0)
		return -1;
	change.part[0] = (struct assign){ dir[0], name[0],
	    (flags & RENAME_EXCHANGE) != 0 ? there : NULL };
	change.part[1] = (struct assign){ dir[1], name[1], moved };
	change_names(model, &change);
	return leave(model, 0);
}

static int
model_link(struct pb_disk *disk, const char *from, const char *to)
{
	struct model *model = of(disk);
	struct node *node = find(model, from), *dir;
	struct rename change = { .parts = 1 };
	const char *name;

	if (enter(model, MODEL_NAMES) < 0)
		return -1;
	errno = ENOENT;
	dir = parent_of(model, to, &name);
	if (node == NULL || dir == NULL)
		return -1;
	if (find(model, to) != NULL) {
		errno = EEXIST;
		return -1;
	}
	change.part[0] = (struct assign){ dir, name, node };
	change_names(model, &change);
	return leave(model, 0);
}

static int
model_unlink(struct pb_disk *disk, const char *path)
{
	struct model *model = of(disk);
	struct node *node = find(model, path), *dir;
	struct rename change = { .parts = 1 };
	const char *name;

	if (enter(model, MODEL_NAMES) < 0)
		return -1;
	dir = parent_of(model, path, &name);
	errno = node == NULL ? ENOENT : EISDIR;
	if (node == NULL || dir == NULL || node->is_dir)
		return -1;
	change.part[0] = (struct assign){ dir, name, NULL };
	change_names(model, &change);
	return leave(model, 0);
}

static int
model_rmdir(struct pb_disk *disk, const char *path)
{
	struct model *model = of(disk);
	struct node *node = find(model, path), *dir;
	struct rename change = { .parts = 1 };
	const char *name;

	if (enter(model, MODEL_NAMES) < 0)
		return -1;
	dir = parent_of(model, path, &name);
	errno = node == NULL ? ENOENT : ENOTDIR;
	if (node == NULL || dir == NULL || !node->is_dir)
		return -1;
	errno = ENOTEMPTY;
	for (size_t i = 0; i < node->names.count; i++)
		if (node->names.at[i].node != NULL)
			return -1;
	change.part[0] = (struct assign){ dir, name, NULL };
	change_names(model, &change);
	return leave(model, 0);
}

static const char *
model_list(struct pb_disk *disk, int fd, size_t *at)
{
	struct model *model = of(disk);
	struct node *node = model->file[fd].node;

	if (enter(model, MODEL_READS) < 0 || leave(model, 0) < 0)
		return NULL;
	errno = 0;
	while (node != NULL && *at < node->names.count) {
		struct entry *entry = &node->names.at[(*at)++];

		if (entry->node != NULL)
			return entry->name;
	}
	return NULL;
}

/* --- descriptors --------------------------------------------------------- */

static int
model_close(struct pb_disk *disk, int fd)
{
	struct model *model = of(disk);

	if (fd >= FILES_MAX || model->file[fd].node == NULL) {
		errno = EBADF;
		return -1;
	}
	model->file[fd].node->opens--;
	model->file[fd].node = NULL;
	return 0;
}

static struct node *
file_at(struct model *model, int fd)
{
	errno = EBADF;
	return fd < FILES_MAX ? model->file[fd].node : NULL;
}

static int
model_fstat(struct pb_disk *disk, int fd, struct stat *st)
{
	struct model *model = of(disk);
	struct node *node;

	if (enter(model, 0) < 0)
		return -1;
	node = file_at(model, fd);
	return node == NULL ? -1 : leave(model, fill_stat(node, st));
}

static ssize_t
model_pread(struct pb_disk *disk, int fd, void *data, size_t len,
    uint64_t at)
{
	struct model *model = of(disk);
	struct node *node;

	if (enter(model, MODEL_READS) < 0)
		return -1;
	node = file_at(model, fd);
	if (node == NULL || leave(model, 0) < 0)
		return -1;
	if (at >= node->seen.len)
		return 0;
	if (len > node->seen.len - at)
		len = (size_t)(node->seen.len - at);
	memcpy(data, node->seen.data + at, len);
	return (ssize_t)len;
}

static size_t
cut_short(struct model *model, uint64_t at, size_t len)
{
	size_t part = (size_t)chance_below(&model->chance, len + 1);

	if (at / SECTOR != (at + len - 1) / SECTOR)
		return part;
	return part == len ? len : 0;
}

static ssize_t
model_pwrite(struct pb_disk *disk, int fd, const void *data, size_t len,
    uint64_t at)
{
	struct model *model = of(disk);
	struct node *node = file_at(model, fd);
	bool fails;
	size_t part;
	int why;

	if (node == NULL)
		return -1;
	errno = EINVAL;
	if ((model->file[fd].flags & O_DIRECT) != 0 && (len % SECTOR != 0 ||
	    at % SECTOR != 0 || (uintptr_t)data % SECTOR != 0))
		return -1;
	fails = enter(model, MODEL_WRITES) < 0;
	why = errno;
	if (model->off && fails)
		return -1;
	if (!fails && at + len > node->seen.len &&
	    used(model) + at + len - node->seen.len > model->capacity) {
		errno = ENOSPC;
		return -1;
	}
	/* One that fails may have written some of it; within a sector all or
	 * nothing. */
	part = fails || model->off || (model->fault_one_in != 0 &&
	    !model->hushed && (model->fault_kinds & MODEL_WRITES) != 0 &&
	    chance_one_in(&model->chance, 8)) ?
	    cut_short(model, at, len) : len;
	/* One that does not fail writes something. */
	len = part > 0 || fails || model->off ? part : len;
	if (len > 0) {
		bytes_write(&node->seen, at, data, len);
		note(node, at, data, len);
		if (model->disk.clock != NULL)
			node->mtime_ns =
			    pb_clock_real_ns_by(model->disk.clock);
	}
	errno = why;
	return fails || leave(model, 0) < 0 ? -1 : (ssize_t)len;
}

static int
model_truncate(struct pb_disk *disk, int fd, uint64_t len)
{
	struct model *model = of(disk);
	struct node *node;

	if (enter(model, MODEL_WRITES) < 0)
		return -1;
	node = file_at(model, fd);
	if (node == NULL)
		return -1;
	bytes_resize(&node->seen, len);
	note(node, len, NULL, 0);
	return leave(model, 0);
}

static int
model_sync(struct pb_disk *disk, int fd, int data)
{
	struct model *model = of(disk);
	struct node *node;

	(void)data;
	if (enter(model, MODEL_SYNCS) < 0)
		return -1;
	node = file_at(model, fd);
	if (node == NULL)
		return -1;
	if (model->kind == MODEL_ORDERED)
		sync_all_names(model);
	else if (node->is_dir)
		sync_names(model, node);
	if (!node->is_dir)
		sync_file(node);
	return leave(model, 0);
}

/* One process: what it asks for it gets. */
static int
model_lock(struct pb_disk *disk, int fd, int command, struct flock *lock)
{
	struct model *model = of(disk);

	if (enter(model, 0) < 0 || file_at(model, fd) == NULL)
		return -1;
	if (command == F_GETLK)
		lock->l_type = F_UNLCK;
	return leave(model, 0);
}

static int
model_statvfs(struct pb_disk *disk, struct statvfs *fs)
{
	struct model *model = of(disk);
	uint64_t in_use = used(model);

	if (enter(model, 0) < 0)
		return -1;
	memset(fs, 0, sizeof(*fs));
	fs->f_frsize = fs->f_bsize = SECTOR;
	fs->f_blocks = model->capacity / SECTOR;
	if (in_use < model->capacity)
		fs->f_bfree = fs->f_bavail =
		    (model->capacity - in_use) / SECTOR;
	return leave(model, 0);
}

/* --- what survives ------------------------------------------------------- */

static void
sync_file(struct node *node)
{
	bytes_resize(&node->synced, 0);
	bytes_write(&node->synced, 0, node->seen.data, node->seen.len);
	for (size_t i = 0; i < node->changes; i++)
		free(node->change[i].data);
	node->changes = 0;
}

static void
put_on_platter(struct model *model, struct rename *change)
{
	for (unsigned p = 0; p < change->parts; p++)
		assign(model, &change->part[p].dir->names_synced,
		    change->part[p].name, change->part[p].node);
	change->done = true;
}

static void
drop_done(struct model *model)
{
	size_t kept = 0;

	for (size_t i = 0; i < model->pendings; i++)
		if (!model->pending[i].done)
			model->pending[kept++] = model->pending[i];
	model->pendings = kept;
}

static void
sync_all_names(struct model *model)
{
	for (size_t i = 0; i < model->pendings; i++)
		put_on_platter(model, &model->pending[i]);
	model->pendings = 0;
}

/* All changes in `dir`, and what came before them in directories that they
 * share with it. */
static void
sync_names(struct model *model, struct node *dir)
{
	for (struct node *n = model->nodes; n != NULL; n = n->next)
		n->blocked = false;
	dir->blocked = true;
	for (size_t i = model->pendings; i-- > 0;) {
		struct rename *change = &model->pending[i];

		for (unsigned p = 0; p < change->parts; p++)
			change->done |= change->part[p].dir->blocked;
		for (unsigned p = 0; p < change->parts && change->done; p++)
			change->part[p].dir->blocked = true;
	}
	for (size_t i = 0; i < model->pendings; i++)
		if (model->pending[i].done)
			put_on_platter(model, &model->pending[i]);
	drop_done(model);
}

static void
cut_names(struct model *model)
{
	/* Nothing, all, or the beginning. */
	uint64_t fate = chance_below(&model->chance, 4);
	size_t whole = fate == 0 ? 0 : fate == 1 ? model->pendings :
	    (size_t)chance_below(&model->chance, model->pendings + 1);

	for (struct node *n = model->nodes; n != NULL; n = n->next)
		n->blocked = n->reached = false;
	for (size_t i = 0; i < model->pendings; i++) {
		struct rename *change = &model->pending[i];
		bool stays = model->kind == MODEL_ORDERED || fate < 2 ?
		    i < whole : !chance_one_in(&model->chance, 3);

		for (unsigned p = 0; p < change->parts; p++)
			stays &= !change->part[p].dir->blocked;
		for (unsigned p = 0; p < change->parts && !stays; p++)
			change->part[p].dir->blocked = true;
		if (stays)
			put_on_platter(model, change);
	}
	model->pendings = 0;
	for (struct node *n = model->nodes; n != NULL; n = n->next) {
		n->links = n == model->root;
		n->names.count = 0;
		for (size_t i = 0; i < n->names_synced.count; i++)
			assign(model, &n->names, n->names_synced.at[i].name,
			    n->names_synced.at[i].node);
	}
	reach(model->root);
}

static void
reach(struct node *node)
{
	node->reached = true;
	for (size_t i = 0; i < node->names.count; i++) {
		struct node *inner = node->names.at[i].node;

		if (inner == NULL)
			continue;
		inner->links++;
		if (!inner->reached && inner->is_dir)
			reach(inner);
	}
}

/* Sector by sector, or page by page, some state since the last sync. */
static void
cut_file(struct model *model, struct node *node)
{
	struct chance *chance = &model->chance;
	uint64_t fate = chance_below(chance, 4);
	size_t step = chance_one_in(chance, 2) ? SECTOR : PAGE;
	struct bytes left = { NULL, 0, 0 };
	size_t whole, len, top = node->synced.len;

	if (node->changes > 0 && fate != 0) {
		whole = fate == 1 ? node->changes :
		    (size_t)chance_below(chance, node->changes + 1);
		bytes_write(&left, 0, node->synced.data, node->synced.len);
		apply(&left, node->change, node->changes, whole, 0,
		    UINT64_MAX);
		len = left.len;
		if (len > top)
			top = len;
		bytes_resize(&left, 0);
		bytes_write(&left, 0, node->synced.data, node->synced.len);
		bytes_resize(&left, top);
		for (size_t at = 0; at < top; at += step)
			apply(&left, node->change, node->changes, fate == 1 ?
			    whole : (size_t)chance_below(chance,
			    node->changes + 1), at, at + step);
		bytes_resize(&left, len);
		free(node->synced.data);
		node->synced = left;
	}
	for (size_t i = 0; i < node->changes; i++)
		free(node->change[i].data);
	node->changes = 0;
	bytes_resize(&node->seen, 0);
	bytes_write(&node->seen, 0, node->synced.data, node->synced.len);
}

/* The first `count` changes, as far as they are in from .. to; within such
 * bounds the length stays. */
static void
apply(struct bytes *bytes, const struct change *change, size_t changes,
    size_t count, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < changes && i < count; i++) {
		uint64_t at = change[i].at, end = at + change[i].len;

		if (change[i].data == NULL && to == UINT64_MAX) {
			bytes_resize(bytes, at);
			continue;
		}
		if (at < from)
			at = from;
		if (change[i].data == NULL) {
			end = to < bytes->len ? to : bytes->len;
			if (at < end)
				memset(bytes->data + at, 0,
				    (size_t)(end - at));
			continue;
		}
		if (end > to)
			end = to;
		if (to != UINT64_MAX && end > bytes->len)
			end = bytes->len;
		if (at < end)
			bytes_write(bytes, at, change[i].data +
			    (at - change[i].at), (size_t)(end - at));
	}
}

/* --- small things -------------------------------------------------------- */

static void *
grow(void *at, size_t count, size_t *cap, size_t size)
{
	if (count < *cap)
		return at;
	*cap = *cap == 0 ? 8 : 2 * *cap;
	at = realloc(at, *cap * size);
	assert(at != NULL);
	return at;
}

static struct model *
of(struct pb_disk *disk)
{
	return (struct model *)disk;
}

static struct node *
node_new(struct model *model, bool is_dir)
{
	struct node *node = calloc(1, sizeof(*node));

	assert(node != NULL);
	node->ino = ++model->inos;
	node->is_dir = is_dir;
	node->next = model->nodes;
	model->nodes = node;
	return node;
}

/* With errno where there is none. */
static struct node *
find(struct model *model, const char *path)
{
	struct node *node = model->root;
	struct entry *entry;
	char name[256];
	size_t len;

	if (strcmp(path, ".") == 0)
		return node;
	while (*path != '\0') {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		errno = ENOTDIR;
		if (!node->is_dir)
			return NULL;
		errno = ENOENT;
		if (len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		entry = entry_of(&node->names, name);
		if (entry == NULL || entry->node == NULL)
			return NULL;
		node = entry->node;
		path += len;
	}
	return node;
}

static struct node *
parent_of(struct model *model, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];
	struct node *node;

	*name = slash == NULL ? path : slash + 1;
	if (slash == NULL)
		return model->root;
	assert((size_t)(slash - path) < sizeof(dir));
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	node = find(model, dir);
	if (node != NULL && !node->is_dir)
		errno = ENOTDIR;
	return node != NULL && node->is_dir ? node : NULL;
}

static struct entry *
entry_of(struct entries *entries, const char *name)
{
	for (size_t i = 0; i < entries->count; i++)
		if (strcmp(entries->at[i].name, name) == 0)
			return &entries->at[i];
	return NULL;
}

/* `name` is kept by the disk already. */
static void
assign(struct model *model, struct entries *entries, const char *name,
    struct node *node)
{
	struct entry *entry = entry_of(entries, name);

	(void)model;
	if (entry == NULL) {
		entries->at = grow(entries->at, entries->count, &entries->cap,
		    sizeof(*entries->at));
		entry = &entries->at[entries->count++];
		entry->name = (char *)(uintptr_t)name;
	}
	entry->node = node;
}

/* As programs see it at once, and to be put on the platter. */
static void
change_names(struct model *model, const struct rename *change)
{
	struct rename *pending;

	model->pending = grow(model->pending, model->pendings,
	    &model->pendings_cap, sizeof(*model->pending));
	pending = &model->pending[model->pendings++];
	*pending = *change;
	for (unsigned p = 0; p < change->parts; p++) {
		struct assign *part = &pending->part[p];
		struct entry *entry = entry_of(&part->dir->names, part->name);

		model->kept = grow(model->kept, model->kept_count,
		    &model->kept_cap, sizeof(*model->kept));
		part->name = model->kept[model->kept_count++] =
		    strdup(part->name);
		if (entry != NULL && entry->node != NULL)
			entry->node->links--;
		if (part->node != NULL)
			part->node->links++;
		assign(model, &part->dir->names, part->name, part->node);
	}
}

static void
bytes_write(struct bytes *bytes, uint64_t at, const void *data, size_t len)
{
	if (len == 0)
		return;
	if (at + len > bytes->len)
		bytes_resize(bytes, at + len);
	memcpy(bytes->data + at, data, len);
}

static void
bytes_resize(struct bytes *bytes, uint64_t len)
{
	if (len > bytes->cap) {
		bytes->cap = (size_t)len + (size_t)len / 2 + PAGE;
		bytes->data = realloc(bytes->data, bytes->cap);
		assert(bytes->data != NULL);
	}
	if (len > bytes->len)
		memset(bytes->data + bytes->len, 0,
		    (size_t)len - bytes->len);
	bytes->len = (size_t)len;
}

static void
note(struct node *node, uint64_t at, const void *data, size_t len)
{
	struct change *change;

	node->change = grow(node->change, node->changes, &node->changes_cap,
	    sizeof(*node->change));
	change = &node->change[node->changes++];
	*change = (struct change){ .at = at, .len = len };
	if (data == NULL)
		return;
	change->data = malloc(len);
	assert(change->data != NULL);
	memcpy(change->data, data, len);
}

static uint64_t
used(const struct model *model)
{
	uint64_t sum = 0;

	for (const struct node *n = model->nodes; n != NULL; n = n->next)
		if (!n->is_dir && (n->links > 0 || n->opens > 0))
			sum += n->seen.len;
	return sum;
}

static int
fill_stat(const struct node *node, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_dev = DEV;
	st->st_ino = node->ino;
	st->st_mode = node->is_dir ? S_IFDIR | 0750 : S_IFREG | 0640;
	st->st_nlink = node->is_dir ? 2 : node->links;
	st->st_uid = geteuid();
	st->st_gid = getegid();
	st->st_size = (off_t)node->seen.len;
	st->st_blocks = (blkcnt_t)((node->seen.len + SECTOR - 1) / SECTOR);
	st->st_mtim.tv_sec = (time_t)(node->mtime_ns / PB_NS_PER_S);
	st->st_mtim.tv_nsec = (long)(node->mtime_ns % PB_NS_PER_S);
	return 0;
}

static void
print_dir(const struct node *dir, int depth, FILE *out)
{
	for (size_t i = 0; i < dir->names.count; i++) {
		const struct entry *entry = &dir->names.at[i];

		if (entry->node == NULL)
			continue;
		fprintf(out, "%*s%s", depth * 2, "", entry->name);
		if (entry->node->is_dir)
			fprintf(out, "/\n");
		else
			fprintf(out, " %zu bytes, synced %zu, %zu changes\n",
			    entry->node->seen.len, entry->node->synced.len,
			    entry->node->changes);
		if (entry->node->is_dir)
			print_dir(entry->node, depth + 1, out);
	}
}
