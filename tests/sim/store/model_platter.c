/*
 * tests/sim/store/model_platter.c - what lies on the disk in memory
 *
 * A file's content is that of its last sync and the changes since; a change
 * of names is one or two assignments `directory[name] = node`, applied to
 * what programs see at once and to the platter later.  Nodes and names are
 * freed with the disk: a run is short.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/sim/store/model_impl.h"

#define PAGE		4096u
#define DEV		0xd15c

static void	*grow(void *at, size_t count, size_t *cap, size_t size);
static struct entry *entry_of(struct entries *, const char *);
static void	assign(struct model *, struct entries *, const char *,
		    struct node *);
static void	apply(struct bytes *, const struct change *, size_t, size_t,
		    uint64_t, uint64_t);
static void	reach(struct node *);

/* --- what survives ------------------------------------------------------- */

void
platter_sync_file(struct node *node)
{
	platter_resize(&node->synced, 0);
	platter_write(&node->synced, 0, node->seen.data, node->seen.len);
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

void
platter_sync_all_names(struct model *model)
{
	for (size_t i = 0; i < model->pendings; i++)
		put_on_platter(model, &model->pending[i]);
	model->pendings = 0;
}

/* All changes in `dir`, and what came before them in directories that they
 * share with it. */
void
platter_sync_names(struct model *model, struct node *dir)
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

void
platter_cut_names(struct model *model)
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
void
platter_cut_file(struct model *model, struct node *node)
{
	struct chance *chance = &model->chance;
	uint64_t fate = chance_below(chance, 4);
	size_t step = chance_one_in(chance, 2) ? SECTOR : PAGE;
	struct bytes left = { NULL, 0, 0 };
	size_t whole, len, top = node->synced.len;

	if (node->changes > 0 && fate != 0) {
		whole = fate == 1 ? node->changes :
		    (size_t)chance_below(chance, node->changes + 1);
		platter_write(&left, 0, node->synced.data, node->synced.len);
		apply(&left, node->change, node->changes, whole, 0,
		    UINT64_MAX);
		len = left.len;
		if (len > top)
			top = len;
		platter_resize(&left, 0);
		platter_write(&left, 0, node->synced.data, node->synced.len);
		platter_resize(&left, top);
		for (size_t at = 0; at < top; at += step)
			apply(&left, node->change, node->changes, fate == 1 ?
			    whole : (size_t)chance_below(chance,
			    node->changes + 1), at, at + step);
		platter_resize(&left, len);
		free(node->synced.data);
		node->synced = left;
	}
	for (size_t i = 0; i < node->changes; i++)
		free(node->change[i].data);
	node->changes = 0;
	platter_resize(&node->seen, 0);
	platter_write(&node->seen, 0, node->synced.data, node->synced.len);
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
			platter_resize(bytes, at);
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
			platter_write(bytes, at, change[i].data +
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

struct node *
platter_node(struct model *model, bool is_dir)
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
struct node *
platter_find(struct model *model, const char *path)
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

struct node *
platter_parent(struct model *model, const char *path, const char **name)
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
	node = platter_find(model, dir);
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
void
platter_change(struct model *model, const struct rename *change)
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

void
platter_write(struct bytes *bytes, uint64_t at, const void *data, size_t len)
{
	if (len == 0)
		return;
	if (at + len > bytes->len)
		platter_resize(bytes, at + len);
	memcpy(bytes->data + at, data, len);
}

void
platter_resize(struct bytes *bytes, uint64_t len)
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

void
platter_note(struct node *node, uint64_t at, const void *data, size_t len)
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

uint64_t
platter_used(const struct model *model)
{
	uint64_t sum = 0;

	for (const struct node *n = model->nodes; n != NULL; n = n->next)
		if (!n->is_dir && (n->links > 0 || n->opens > 0))
			sum += n->seen.len;
	return sum;
}

int
platter_stat(const struct model *model, const struct node *node,
    struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_dev = DEV;
	st->st_ino = node->ino;
	st->st_mode = node->is_dir ? S_IFDIR | 0750 : S_IFREG | 0640;
	st->st_nlink = node->is_dir ? 2 : node->links;
	st->st_uid = model->uid;
	st->st_gid = model->gid;
	st->st_size = (off_t)node->seen.len;
	st->st_blocks = (blkcnt_t)((node->seen.len + SECTOR - 1) / SECTOR);
	st->st_mtim.tv_sec = (time_t)(node->mtime_ns / PB_NS_PER_S);
	st->st_mtim.tv_nsec = (long)(node->mtime_ns % PB_NS_PER_S);
	return 0;
}

void
platter_print(const struct node *dir, int depth, FILE *out)
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
			platter_print(entry->node, depth + 1, out);
	}
}
