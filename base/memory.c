/*
 * base/memory.c - how much memory there is to be had
 *
 * Limit: where a path has blanks, no cgroup is found, and none bounds.
 */
#include "base/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a version of cgroups says what. */
struct version {
	const char	*type;		/* of its file system */
	const char	*limit[2];	/* files */
	const char	*usage;
	const char	*cache;		/* of memory.stat */
};

static const struct version version[] = {
	{ "cgroup2", { "memory.max", "memory.high" }, "memory.current",
	    "inactive_file " },
	{ "cgroup", { "memory.limit_in_bytes", NULL },
	    "memory.usage_in_bytes", "total_inactive_file " },
};

static uint64_t	cgroups_leave(const char *);
static const struct version *version_of(char *, const char **);
static bool	find_mount(const char *, const struct version *, char *,
		    char *);
static uint64_t	all_leave(const struct version *, char *, size_t);
static uint64_t	one_leaves(const struct version *, const char *);
static bool	has_memory(char *);
static uint64_t	number(uint64_t, const char *, const char *, const char *);
static uint64_t	least(uint64_t, uint64_t);

uint64_t
pb_memory_available(const char *root)
{
	uint64_t kib = number(UINT64_MAX, "MemAvailable:", root,
	    "proc/meminfo");

	return least(kib <= UINT64_MAX / 1024 ? kib * 1024 : UINT64_MAX,
	    cgroups_leave(root));
}

/* All that the process is in: of either version, or both. */
static uint64_t
cgroups_leave(const char *root)
{
	uint64_t bytes = UINT64_MAX;
	char name[PATH_MAX], *line = NULL;
	size_t room = 0;
	FILE *file;

	snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
	file = fopen(name, "re");
	while (file != NULL && getline(&line, &room, file) > 0) {
		char path[PATH_MAX], point[PATH_MAX], top[PATH_MAX];
		const char *below;
		const struct version *of = version_of(line, &below);
		size_t len;

		if (of == NULL || !find_mount(root, of, point, top))
			continue;
		/* Of its path, what stands below the part that is mounted. */
		len = strcmp(top, "/") == 0 ? 0 : strlen(top);
		below = strncmp(below, top, len) == 0 && (below[len] == '/' ||
		    below[len] == '\0') ? below + len : "";
		snprintf(path, sizeof(path), "%s%s%s", root, point, below);
		bytes = least(bytes, all_leave(of, path, strlen(root) +
		    strlen(point)));
	}
	if (file != NULL)
		fclose(file);
	free(line);
	return bytes;
}

/* Of a line `number:controllers:path`, or NULL: not about memory. */
static const struct version *
version_of(char *line, const char **path)
{
	char *controllers = strchr(line, ':'), *end;

	line[strcspn(line, "\n")] = '\0';
	end = controllers == NULL ? NULL : strchr(controllers + 1, ':');
	if (end == NULL)
		return NULL;
	*end = '\0';
	*path = end + 1;
	if (controllers[1] == '\0')
		return &version[0];
	return has_memory(controllers + 1) ? &version[1] : NULL;
}

/* Where it is mounted, and which part of it (proc_pid_mountinfo(5)). */
static bool
find_mount(const char *root, const struct version *of, char *point, char *top)
{
	char name[PATH_MAX], type[32], with[256], *line = NULL;
	bool found = false;
	size_t room = 0;
	FILE *file;

	snprintf(name, sizeof(name), "%s/proc/self/mountinfo", root);
	file = fopen(name, "re");
	while (file != NULL && !found && getline(&line, &room, file) > 0) {
		const char *rest = strstr(line, " - ");

		/* PATH_MAX is 4096. */
		found = rest != NULL && sscanf(line,
		    "%*s %*s %*s %4095s %4095s", top, point) == 2 &&
		    sscanf(rest, " - %31s %*s %255s", type, with) == 2 &&
		    strcmp(type, of->type) == 0 &&
		    (of == &version[0] || has_memory(with));
	}
	if (file != NULL)
		fclose(file);
	free(line);
	return found;
}

/* From `path` up to its first `top` bytes. */
static uint64_t
all_leave(const struct version *of, char *path, size_t top)
{
	uint64_t bytes = one_leaves(of, path);
	char *slash;

	while ((slash = strrchr(path, '/')) != NULL && strlen(path) > top) {
		*slash = '\0';
		bytes = least(bytes, one_leaves(of, path));
	}
	return bytes;
}

static uint64_t
one_leaves(const struct version *of, const char *path)
{
	uint64_t limit = number(UINT64_MAX, "", path, of->limit[0]);
	uint64_t usage = number(0, "", path, of->usage);
	uint64_t cache = number(0, of->cache, path, "memory.stat");

	if (of->limit[1] != NULL)
		limit = least(limit, number(UINT64_MAX, "", path,
		    of->limit[1]));
	usage -= least(usage, cache);
	return limit - least(limit, usage);
}

/* Is it among words with commas between them?  They are taken apart. */
static bool
has_memory(char *words)
{
	char *word;

	while ((word = strsep(&words, ",")) != NULL)
		if (strcmp(word, "memory") == 0)
			return true;
	return false;
}

/* What stands behind `key` in a line of the file; `otherwise`, where it, or a
 * number, is not there. */
static uint64_t
number(uint64_t otherwise, const char *key, const char *dir, const char *name)
{
	char path[PATH_MAX + 64], line[128];
	uint64_t found = otherwise;
	bool there = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "re");
	while (file != NULL && !there &&
	    fgets(line, sizeof(line), file) != NULL)
		there = strncmp(line, key, strlen(key)) == 0 &&
		    sscanf(line + strlen(key), "%" SCNu64, &found) == 1;
	if (file != NULL)
		fclose(file);
	return there ? found : otherwise;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
