/*
 * tests/sim/store/model_disk.c - a disk in memory: its calls, and when they
 * fail
 */
#include "tests/sim/store/model_disk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/sim/store/model_impl.h"

static struct model *of(struct pb_disk *);
static bool	ends_with(const char *, const char *);
static void	about(struct model *, bool);
static int	enter(struct model *, unsigned);
static int	leave(struct model *, int);
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
	model->uid = geteuid();
	model->gid = getegid();
	model->root = platter_node(model, true);
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
	model->watch = NULL;
	model->power = power;
}

void
model_stop_on(struct model *model, const char *name, uint64_t calls,
    bool power)
{
	model->watch = name;
	model->watch_calls = calls;
	model->power = power;
}

bool
model_is_off(const struct model *model)
{
	return model->off;
}

bool
model_is_cut(const struct model *model)
{
	return model->cut;
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
	model->watch = NULL;
	if (model->cut) {
		platter_cut_names(model);
		for (struct node *n = model->nodes; n != NULL; n = n->next)
			if (!n->is_dir)
				platter_cut_file(model, n);
	}
	model->off = model->cut = false;
}

bool
model_rot(struct model *model, const char *path, uint64_t at)
{
	struct node *node = platter_find(model, path);

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
	platter_print(model->root, 0, out);
}

/* --- chance -------------------------------------------------------------- */

static bool
ends_with(const char *path, const char *name)
{
	size_t len = strlen(path), end = name == NULL ? 0 : strlen(name);

	return end > 0 && len >= end && strcmp(path + len - end, name) == 0;
}

/* The call that follows is about a file that is watched. */
static void
about(struct model *model, bool watched)
{
	if (!watched || model->watch == NULL || --model->watch_calls > 0)
		return;
	model->watch = NULL;
	model->stop_at = model->calls + 1;
}

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
	struct node *node = platter_find(model, path), *dir;
	struct rename made = { .parts = 1 };
	const char *name;
	int fd = 0;

	about(model, ends_with(path, model->watch));
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
		dir = platter_parent(model, path, &name);
		if (dir == NULL)
			return -1;
		node = platter_node(model, false);
		made.part[0] = (struct assign){ dir, name, node };
		platter_change(model, &made);
	}
	errno = node->is_dir ? EISDIR : ENOTDIR;
	if (node->is_dir != ((flags & O_DIRECTORY) != 0) &&
	    (flags & O_PATH) == 0)
		return -1;
	if ((flags & O_TRUNC) != 0 && node->seen.len > 0) {
		platter_resize(&node->seen, 0);
		platter_note(node, 0, NULL, 0);
	}
	if (leave(model, 0) < 0)
		return -1;
	model->file[fd] = (struct file){ node, flags,
	    ends_with(path, model->watch) };
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
	node = platter_find(model, path);
	if (node == NULL)
		return -1;
	return leave(model, platter_stat(model, node, st));
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
	dir = platter_parent(model, path, &name);
	if (dir == NULL)
		return -1;
	if (platter_find(model, path) != NULL) {
		errno = EEXIST;
		return -1;
	}
	made.part[0] = (struct assign){ dir, name, platter_node(model, true) };
	platter_change(model, &made);
	return leave(model, 0);
}

static int
model_rename(struct pb_disk *disk, const char *from, const char *to,
    unsigned flags)
{
	struct model *model = of(disk);
	struct node *moved = platter_find(model, from);
	struct node *there = platter_find(model, to);
	struct rename change = { .parts = 2 };
	struct node *dir[2];
	const char *name[2];

	about(model, ends_with(to, model->watch));
	if (enter(model, MODEL_NAMES) < 0)
		return -1;
	dir[0] = platter_parent(model, from, &name[0]);
	dir[1] = platter_parent(model, to, &name[1]);
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
	platter_change(model, &change);
	return leave(model, 0);
}

static int
model_link(struct pb_disk *disk, const char *from, const char *to)
{
	struct model *model = of(disk);
	struct node *node = platter_find(model, from), *dir;
	struct rename change = { .parts = 1 };
	const char *name;

	if (enter(model, MODEL_NAMES) < 0)
		return -1;
	errno = ENOENT;
	dir = platter_parent(model, to, &name);
	if (node == NULL || dir == NULL)
		return -1;
	if (platter_find(model, to) != NULL) {
		errno = EEXIST;
		return -1;
	}
	change.part[0] = (struct assign){ dir, name, node };
	platter_change(model, &change);
	return leave(model, 0);
}

static int
model_unlink(struct pb_disk *disk, const char *path)
{
	struct model *model = of(disk);
	struct node *node = platter_find(model, path), *dir;
	struct rename change = { .parts = 1 };
	const char *name;

	if (enter(model, MODEL_NAMES) < 0)
		return -1;
	dir = platter_parent(model, path, &name);
	errno = node == NULL ? ENOENT : EISDIR;
	if (node == NULL || dir == NULL || node->is_dir)
		return -1;
	change.part[0] = (struct assign){ dir, name, NULL };
	platter_change(model, &change);
	return leave(model, 0);
}

static int
model_rmdir(struct pb_disk *disk, const char *path)
{
	struct model *model = of(disk);
	struct node *node = platter_find(model, path), *dir;
	struct rename change = { .parts = 1 };
	const char *name;

	if (enter(model, MODEL_NAMES) < 0)
		return -1;
	dir = platter_parent(model, path, &name);
	errno = node == NULL ? ENOENT : ENOTDIR;
	if (node == NULL || dir == NULL || !node->is_dir)
		return -1;
	errno = ENOTEMPTY;
	for (size_t i = 0; i < node->names.count; i++)
		if (node->names.at[i].node != NULL)
			return -1;
	change.part[0] = (struct assign){ dir, name, NULL };
	platter_change(model, &change);
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
	return node == NULL ? -1 : leave(model, platter_stat(model, node, st));
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
	about(model, model->file[fd].watched);
	fails = enter(model, MODEL_WRITES) < 0;
	why = errno;
	if (model->off && fails)
		return -1;
	if (!fails && at + len > node->seen.len &&
	    platter_used(model) + at + len - node->seen.len > model->capacity) {
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
		platter_write(&node->seen, at, data, len);
		platter_note(node, at, data, len);
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
	platter_resize(&node->seen, len);
	platter_note(node, len, NULL, 0);
	return leave(model, 0);
}

static int
model_sync(struct pb_disk *disk, int fd, int data)
{
	struct model *model = of(disk);
	struct node *node;

	(void)data;
	about(model, fd < FILES_MAX && model->file[fd].watched);
	if (enter(model, MODEL_SYNCS) < 0)
		return -1;
	node = file_at(model, fd);
	if (node == NULL)
		return -1;
	if (model->kind == MODEL_ORDERED)
		platter_sync_all_names(model);
	else if (node->is_dir)
		platter_sync_names(model, node);
	if (!node->is_dir)
		platter_sync_file(node);
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
	uint64_t in_use = platter_used(model);

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

/* --- small things -------------------------------------------------------- */

static struct model *
of(struct pb_disk *disk)
{
	return (struct model *)disk;
}
