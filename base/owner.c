/*
 * base/owner.c - whose a store is, and whose rights it is worked on with
 */
#include "base/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"

static int	look(const char *, struct stat *, struct pb_err *);
static int	check_way(const char *, struct pb_err *);
static int	check_above(const char *, uid_t, struct pb_err *);
static const char *user_name(uid_t, char [static PB_OWNER_NAME_MAX]);
static const char *group_name(gid_t, char [static PB_OWNER_NAME_MAX]);
static const char *put_name(char [static PB_OWNER_NAME_MAX], unsigned long,
		    const char *);

/* Of a daemon, before its threads: the only ones it says names of. */
static struct pb_owner	known;
static bool		is_daemon;

int
pb_owner_find(struct pb_owner *out, const char *store, struct pb_err *err)
{
	struct stat st;
	int rc = look(store, &st, err);

	memset(out, 0, sizeof(*out));
	if (rc < 0)
		return rc;
	out->uid = st.st_uid;
	out->gid = st.st_gid;
	out->mode = st.st_mode;
	out->there = rc == 0;
	return 0;
}

void
pb_owner_name(struct pb_owner *owner)
{
	user_name(owner->uid, owner->user);
	group_name(owner->gid, owner->group);
}

int
pb_owner_safe(const char *store, struct pb_err *err)
{
	struct pb_owner owner;
	int rc;

	if (geteuid() != 0)
		return 0;
	rc = check_way(store, err);
	if (rc == 0)
		rc = pb_owner_find(&owner, store, err);
	if (rc == 0)
		rc = check_above(store, owner.uid, err);
	if (rc < 0 || owner.uid != 0)
		return rc;
	if ((owner.mode & S_IWOTH) == 0 &&
	    ((owner.mode & S_IWGRP) == 0 || owner.gid == 0))
		return 0;
	/* In /tmp and its like what root makes stays where it is. */
	if (!owner.there && (owner.mode & S_ISVTX) != 0)
		return 0;
	return pb_err_set(err, PB_EACCES, "the %s %s is root's, and others "
	    "may write in it; Fix: 'chown' it to the service's user, or "
	    "'chmod go-w' it, if root is that",
	    owner.there ? "store" : "directory above the store", store);
}

bool
pb_owner_is_other(const struct pb_owner *owner)
{
	return geteuid() == 0 && owner->uid != 0;
}

int
pb_owner_become(const struct pb_owner *owner, struct pb_err *err)
{
	if (!pb_owner_is_other(owner))
		return 0;
	/* In this order: the last one takes the right to do the others. */
	if (setgroups(1, &owner->gid) < 0 ||
	    setresgid(owner->gid, owner->gid, owner->gid) < 0 ||
	    setresuid(owner->uid, owner->uid, owner->uid) < 0)
		return pb_err_sys(err, "become user %lu, whose store it is",
		    (unsigned long)owner->uid);
	/* Were there a way back, nothing of this would be worth a thing. */
	if (setuid(0) == 0 || geteuid() != owner->uid)
		abort();
	unsetenv("TMPDIR");
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 :
	    pb_err_sys(err, "be looked at by nobody");
}

int
pb_owner_allows(const struct pb_owner *owner, const char *store, bool write,
    struct pb_err *err)
{
	int mode = R_OK | X_OK | (write ? W_OK : 0), fd = pb_below_fd(store);

	if (fd < 0 || faccessat(fd, ".", mode, AT_EACCESS) == 0)
		return 0;
	if (errno != EACCES)
		return pb_err_sys(err, "write in the store %s", store);
	return pb_owner_denies(owner, store, write, err);
}

int
pb_owner_denies(const struct pb_owner *owner, const char *store, bool write,
    struct pb_err *err)
{
	struct pb_owner named = *owner;
	char me[PB_OWNER_NAME_MAX];

	pb_owner_name(&named);
	user_name(geteuid(), me);
	if (write)
		return pb_err_set(err, PB_EACCES, "the store %s is %s's, and "
		    "%s may not write in it; Fix: do it as root, who then "
		    "works as %s: 'sudo pb ...'", store, named.user, me,
		    named.user);
	/* What a group may not read, or is root's, is nobody's to join. */
	if (owner->gid == 0 || (owner->mode & (S_IRGRP | S_IXGRP)) !=
	    (S_IRGRP | S_IXGRP))
		return pb_err_set(err, PB_EACCES, "the store %s is %s's, and "
		    "%s may not read it; Fix: 'sudo pb ...'", store,
		    named.user, me);
	return pb_err_set(err, PB_EACCES, "the store %s is %s's, and %s may "
	    "not read it; Fix: 'sudo pb ...', or be of its group: 'sudo "
	    "usermod -aG %s %s', and log in again", store, named.user, me,
	    named.group, me);
}

int
pb_owner_refuses(const char *store, const char *program,
    const char *ambient, struct pb_err *err)
{
	struct pb_owner owner;
	int rc = pb_owner_safe(store, err);

	if (rc == 0)
		rc = pb_owner_find(&owner, store, err);
	if (rc < 0)
		return rc;
	pb_owner_name(&owner);
	if (!pb_owner_is_other(&owner)) {
		if (!is_daemon)
			known = owner;
		is_daemon = true;
		return 0;
	}
	return pb_err_set(err, PB_EINVAL, "the store %s is %s's, not root's: "
	    "what root made in it %s could not use; Fix: 'systemctl start "
	    "%s', or 'setpriv --reuid %lu --regid %lu --clear-groups%s%s%s%s "
	    "%s ...'", store, owner.user, owner.user, program,
	    (unsigned long)owner.uid, (unsigned long)owner.gid,
	    ambient[0] != '\0' ? " --inh-caps " : "", ambient,
	    ambient[0] != '\0' ? " --ambient-caps " : "", ambient, program);
}

int
pb_owner_explain(const char *store, const char *path, struct pb_err *err)
{
	char other[PATH_MAX], user[PB_OWNER_NAME_MAX];
	struct pb_owner owner;
	size_t used;

	if (err == NULL)
		return PB_ESYS;
	if ((err->sys != EACCES && err->sys != EPERM) ||
	    pb_owner_stranger(store, path, other, user) != 1 ||
	    pb_owner_find(&owner, store, NULL) < 0)
		return err->code;
	pb_owner_name(&owner);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, "; %.300s is "
	    "%s's, not %s's; Fix: 'chown -R %s:%s %.300s'", other, user,
	    owner.user, owner.user, owner.group, store);
	return err->code;
}

int
pb_owner_stranger(const char *store, const char *path,
    char out[static PATH_MAX], char user[static PB_OWNER_NAME_MAX])
{
	size_t from = strlen(store), len = strlen(path);
	struct stat top, st;

	if (len >= PATH_MAX || len <= from || path[from] != '/' ||
	    pb_below_stat(store, &top) < 0)
		return 0;
	for (size_t i = from + 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(out, path, i);
		out[i] = '\0';
		if (pb_below_stat(out, &st) < 0)
			return 0;
		if (st.st_uid == top.st_uid)
			continue;
		user_name(st.st_uid, user);
		return 1;
	}
	return 0;
}

/* The directory: 0, or the nearest one above it: 1. */
static int
look(const char *store, struct stat *st, struct pb_err *err)
{
	char path[PATH_MAX], *at = path;
	int above = 0;

	/* One that is parked has gone: what is at the path, then. */
	if (fstat(pb_below_fd(store), st) == 0 && S_ISDIR(st->st_mode))
		return 0;
	if (snprintf(path, sizeof(path), "%s", store) >= (int)sizeof(path))
		return pb_err_set(err, PB_ELIMIT, "path longer than %d bytes",
		    PATH_MAX - 1);
	while (stat(at, st) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return pb_err_sys(err, "look at %s", at);
		at = dirname(at);
		above = 1;
	}
	return above;
}

/* The last name of it: whoever may write where that is may make a link of
 * it, and take it away again while the directory is opened. */
static int
check_way(const char *store, struct pb_err *err)
{
	char at[PATH_MAX], user[PB_OWNER_NAME_MAX];
	struct stat st, held;
	size_t len;

	if (snprintf(at, sizeof(at), "%s", store) >= (int)sizeof(at))
		return pb_err_set(err, PB_ELIMIT, "path longer than %d bytes",
		    PATH_MAX - 1);
	for (len = strlen(at); len > 1 && at[len - 1] == '/'; len--)
		at[len - 1] = '\0';
	if (lstat(at, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 :
		    pb_err_sys(err, "look at %s", at);
	if (S_ISLNK(st.st_mode) && st.st_uid != 0)
		return pb_err_set(err, PB_EACCES, "the store %s is a link "
		    "that %s made; Fix: name the directory itself, if it is "
		    "the one you mean", store, user_name(st.st_uid, user));
	if (S_ISDIR(st.st_mode) && pb_below_fd(store) >= 0 &&
	    fstat(pb_below_fd(store), &held) == 0 &&
	    S_ISDIR(held.st_mode) &&
	    (st.st_ino != held.st_ino || st.st_dev != held.st_dev))
		return pb_err_set(err, PB_EACCES, "the store %s was exchanged "
		    "while it was opened", store);
	return 0;
}

/* The names before it: who made a link there has led us to his own store,
 * or is root. */
static int
check_above(const char *store, uid_t owner, struct pb_err *err)
{
	char at[PATH_MAX], user[PB_OWNER_NAME_MAX];
	struct stat st;

	for (size_t i = 1; store[i - 1] != '\0' && store[i] != '\0'; i++) {
		if (store[i] != '/')
			continue;
		snprintf(at, sizeof(at), "%.*s", (int)i, store);
		if (lstat(at, &st) == 0 && S_ISLNK(st.st_mode) &&
		    st.st_uid != 0 && st.st_uid != owner)
			return pb_err_set(err, PB_EACCES, "the store %s is "
			    "behind %.300s, a link that %s made; Fix: name "
			    "the directory itself, if it is the one you mean",
			    store, at, user_name(st.st_uid, user));
	}
	return 0;
}

/* A look-up is not for two threads, and may ask the network: a daemon says
 * by name whom it looked up before it had any. */
static const char *
user_name(uid_t uid, char out[static PB_OWNER_NAME_MAX])
{
	const struct passwd *user = is_daemon ? NULL : getpwuid(uid);

	return put_name(out, uid, user != NULL ? user->pw_name :
	    is_daemon && uid == known.uid ? known.user :
	    uid == 0 ? "root" : NULL);
}

static const char *
group_name(gid_t gid, char out[static PB_OWNER_NAME_MAX])
{
	const struct group *group = is_daemon ? NULL : getgrgid(gid);

	return put_name(out, gid, group != NULL ? group->gr_name :
	    is_daemon && gid == known.gid ? known.group : NULL);
}

/* The number where it has no name. */
static const char *
put_name(char out[static PB_OWNER_NAME_MAX], unsigned long id,
    const char *name)
{
	if (name != NULL)
		snprintf(out, PB_OWNER_NAME_MAX, "%s", name);
	else
		snprintf(out, PB_OWNER_NAME_MAX, "%lu", id);
	return out;
}
