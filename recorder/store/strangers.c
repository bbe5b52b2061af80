/*
 * recorder/store/strangers.c - what is in a store and is not its owner's
 */
#include "recorder/store/strangers.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "base/log.h"
#include "base/owner.h"

#define LEVELS	3	/* below segments/: node, interface, epoch */

struct strangers {
	const char	*store;
	struct stat	 top;
	unsigned	 looks;
	unsigned	 found;
	char		 first[PATH_MAX];
};

static void	look(struct strangers *, const char *, int);
static void	look_within(struct strangers *, const char *, int);

void
pb_strangers_say(const char *store)
{
	static const struct { const char *name; int levels; } at[] = {
		{ "recorder.lock", 0 }, { "index", 1 }, { "damaged", 0 },
		{ "segments", LEVELS },
	};
	struct strangers s = { .store = store,
	    .looks = PB_STRANGERS_LOOKS };
	char path[PATH_MAX], user[PB_OWNER_NAME_MAX], who[PATH_MAX];
	struct pb_owner owner;

	if (geteuid() == 0 || pb_below_stat(store, &s.top) < 0)
		return;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		if (snprintf(path, sizeof(path), "%s/%s", store,
		    at[i].name) < (int)sizeof(path))
			look(&s, path, at[i].levels);
	if (s.found == 0 || pb_owner_find(&owner, store, NULL) < 0 ||
	    pb_owner_stranger(store, s.first, who, user) != 1)
		return;
	pb_owner_name(&owner);
	pb_log(PB_LOG_WARN, "store", "%u files or directories are not %s's, "
	    "who may be able neither to write nor to delete them: %s is %s's; "
	    "Fix: 'chown -R %s:%s %s'", s.found, owner.user, s.first, user,
	    owner.user, owner.group, store);
}

static void
look(struct strangers *s, const char *path, int levels)
{
	struct stat st;

	if (s->looks == 0 || pb_below_stat(path, &st) < 0)
		return;
	s->looks--;
	if (st.st_uid != s->top.st_uid && s->found++ == 0)
		snprintf(s->first, sizeof(s->first), "%s", path);
	if (levels > 0 && S_ISDIR(st.st_mode))
		look_within(s, path, levels);
}

static void
look_within(struct strangers *s, const char *path, int levels)
{
	struct pb_dir *dir = pb_below_opendir(path);
	char inner[PATH_MAX];
	const char *name;

	while (dir != NULL && (name = pb_dir_next(dir)) != NULL)
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
		    snprintf(inner, sizeof(inner), "%s/%s", path,
		    name) < (int)sizeof(inner))
			look(s, inner, levels - 1);
	if (dir != NULL)
		pb_dir_close(dir);
}
