/*
 * recorder/query/target.c - the file that `-w` names
 */
#include "recorder/query/target.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rot.h"

#define LINKS_MAX	40	/* one behind the other, the kernel's bound */

static int	resolve(char [static PATH_MAX], const char *, const char *,
		    bool *, struct pb_err *);
static int	follow(char [static PATH_MAX], bool *, struct pb_err *);
static int	read_link(char [static PATH_MAX], struct pb_err *);
static bool	is_below(const char *, const char *);
static int	open_hidden(struct pb_target *, mode_t, struct pb_err *);
static void	serve(const struct pb_target *, int)
		    __attribute__((noreturn));
static int	publish(struct pb_target *);

int
pb_target_open(struct pb_target *target, const char *name,
    const char *store, bool directly, struct pb_err *err)
{
	struct stat st;
	mode_t mode = pb_target_mode();
	bool link;

	memset(target, 0, sizeof(*target));
	target->fd = target->keeper_fd = -1;
	if (strcmp(name, "-") == 0) {
		target->fd = dup(STDOUT_FILENO);
		return target->fd < 0 ?
		    pb_err_sys(err, "standard output") : 0;
	}
	if (resolve(target->path, name, store, &link, err) < 0)
		return err->code;
	/* One that was made since the look at the name is not followed. */
	if (fstatat(AT_FDCWD, target->path, &st,
	    link ? 0 : AT_SYMLINK_NOFOLLOW) == 0) {
		mode = st.st_mode & 07777;
		directly = directly || !S_ISREG(st.st_mode);
	}
	if (!directly)
		return open_hidden(target, mode, err);
	target->fd = open(target->path, O_WRONLY | O_CREAT | O_CLOEXEC |
	    (link ? 0 : O_NOFOLLOW), mode);
	return target->fd < 0 ? pb_err_sys(err, "%s", name) : 0;
}

int
pb_target_resolve(char out[static PATH_MAX], const char *name,
    const char *store, struct pb_err *err)
{
	bool link;

	return resolve(out, name, store, &link, err);
}

int
pb_target_make(struct pb_target *target, mode_t mode, struct pb_err *err)
{
	struct stat st;

	if (fstatat(AT_FDCWD, target->path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode))
		mode = st.st_mode & 07777;
	return open_hidden(target, mode, err);
}

mode_t
pb_target_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

int
pb_target_keep(struct pb_target *target, struct pb_err *err)
{
	int pair[2];

	if (target->hidden[0] == '\0')
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return pb_err_sys(err, "socketpair");
	target->keeper = fork();
	if (target->keeper == 0) {
		close(pair[0]);
		serve(target, pair[1]);
	}
	close(pair[1]);
	if (target->keeper < 0) {
		target->keeper = 0;
		close(pair[0]);
		return pb_err_sys(err, "fork");
	}
	target->keeper_fd = pair[0];
	return 0;
}

int
pb_target_begin(struct pb_target *target, struct pb_err *err)
{
	struct stat st;

	/* Written directly: what an open with O_TRUNC would have cut. */
	if (target->path[0] == '\0' || fstat(target->fd, &st) < 0 ||
	    !S_ISREG(st.st_mode) || ftruncate(target->fd, 0) == 0)
		return 0;
	return pb_err_sys(err, "cut %s", target->path);
}

int
pb_target_commit(struct pb_target *target, struct pb_err *err)
{
	int rc = 0;

	/* Network file systems report what failed only here. */
	if (close(target->fd) < 0)
		rc = pb_err_sys(err, "write %s", target->path);
	target->fd = -1;
	if (rc == 0 && target->hidden[0] != '\0' &&
	    publish(target) < 0)
		rc = pb_err_sys(err, "rename %s to %s", target->hidden,
		    target->path);
	if (rc == 0)
		target->hidden[0] = '\0';
	pb_target_abandon(target);
	return rc;
}

void
pb_target_abandon(struct pb_target *target)
{
	if (target->fd >= 0)
		close(target->fd);
	/* The keeper does so when this end of the pair has gone. */
	if (target->keeper > 0) {
		close(target->keeper_fd);
		waitpid(target->keeper, NULL, 0);
		target->keeper = 0;
	} else if (target->hidden[0] != '\0') {
		unlink(target->hidden);
	}
	pb_rot_unlinks(NULL);
	target->fd = -1;
	target->hidden[0] = '\0';
}

/* Give it its name: 0, or -1 and errno. */
static int
publish(struct pb_target *target)
{
	int answer = EPIPE;
	ssize_t got;

	if (target->keeper == 0)
		return rename(target->hidden, target->path);
	if (send(target->keeper_fd, &answer, sizeof(answer),
	    MSG_NOSIGNAL) < 0)
		got = -1;
	else
		do
			got = recv(target->keeper_fd, &answer, sizeof(answer),
			    0);
		while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(answer))
		answer = EPIPE;
	close(target->keeper_fd);
	waitpid(target->keeper, NULL, 0);
	target->keeper = 0;
	errno = answer;
	return answer == 0 ? 0 : -1;
}

/* The keeper: one word, one rename; or none, and nothing stays. */
static void
serve(const struct pb_target *target, int fd)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	int word;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	if (recv(fd, &word, sizeof(word), 0) == (ssize_t)sizeof(word)) {
		word = rename(target->hidden, target->path) < 0 ? errno : 0;
		if (word != 0)
			unlink(target->hidden);
		(void)send(fd, &word, sizeof(word), MSG_NOSIGNAL);
	} else {
		unlink(target->hidden);
	}
	_exit(0);
}

/* With whether it is still a link, which leads to what has no name, as
 * /dev/stdout and /dev/fd/N of a pipe do. */
static int
resolve(char out[static PATH_MAX], const char *name, const char *store,
    bool *link, struct pb_err *err)
{
	char within[PATH_MAX], dir[PATH_MAX], real[PATH_MAX];
	struct stat st;
	char *slash;

	if (name[0] == '\0')
		return pb_err_set(err, PB_EINVAL, "a file to write has no "
		    "name; give one, or `-` for standard output");
	if (strlen(name) >= PATH_MAX)
		return pb_err_set(err, PB_EINVAL, "%.60s...: the path is "
		    "longer than %d bytes", name, PATH_MAX - 1);
	strcpy(out, name);
	*link = lstat(name, &st) == 0 && S_ISLNK(st.st_mode);
	if (*link && follow(out, link, err) < 0)
		return err->code;
	strcpy(dir, out);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		strcpy(dir, ".");
	else
		slash[slash == dir ? 1 : 0] = '\0';
	if (realpath(store, within) != NULL && realpath(dir, real) != NULL &&
	    is_below(real, within))
		return pb_err_set(err, PB_EINVAL, "%s: is in the store; name "
		    "a file elsewhere", name);
	return 0;
}

/*
 * The file that a link leads to is meant, not the link: one that is there is
 * replaced, and one that is not is made, as open(2) would.  `*link` stays where
 * what it leads to has no name.
 */
static int
follow(char path[static PATH_MAX], bool *link, struct pb_err *err)
{
	char to[PATH_MAX];
	struct stat st;
	bool there = stat(path, &st) == 0;

	if (!there && errno != ENOENT)
		return pb_err_sys(err, "%s", path);
	for (int i = 0; i < LINKS_MAX && lstat(path, &st) == 0 &&
	    S_ISLNK(st.st_mode); i++) {
		/* As the kernel has it in /tmp (protected_symlinks),
		 * everywhere. */
		if (st.st_uid != geteuid() && st.st_uid != 0)
			return pb_err_set(err, PB_EINVAL, "%s: is a link that "
			    "another user made; name the file", path);
		if (there) {
			*link = realpath(path, to) == NULL;
			if (!*link)
				strcpy(path, to);
			return 0;
		}
		if (read_link(path, err) < 0)
			return err->code;
	}
	*link = false;
	return 0;
}

/* One step: `path` becomes what the link has, beside which a name that does not
 * begin at the root is. */
static int
read_link(char path[static PATH_MAX], struct pb_err *err)
{
	const char *slash = strrchr(path, '/');
	size_t dir = slash == NULL ? 0 : (size_t)(slash - path) + 1;
	char to[PATH_MAX];
	ssize_t n = readlink(path, to, sizeof(to));

	if (n < 0)
		return pb_err_sys(err, "read the link %s", path);
	if (n > 0 && to[0] == '/')
		dir = 0;
	if (dir + (size_t)n >= PATH_MAX)
		return pb_err_set(err, PB_EINVAL, "%.60s...: the link leads "
		    "to a path that is longer than %d bytes", path,
		    PATH_MAX - 1);
	memcpy(path + dir, to, (size_t)n);
	path[dir + (size_t)n] = '\0';
	return 0;
}

static bool
is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 &&
	    (path[len] == '/' || path[len] == '\0');
}

/* `.NAME.XXXXXX` beside the file, which is on the same file system. */
static int
open_hidden(struct pb_target *target, mode_t mode, struct pb_err *err)
{
	const char *slash = strrchr(target->path, '/');
	int dir = slash == NULL ? 0 : (int)(slash - target->path + 1);
	int len;

	/* Else it is found out by the rename, when all has been written. */
	if (strlen(target->path + dir) > NAME_MAX)
		return pb_err_set(err, PB_EINVAL, "the name %.60s... is "
		    "longer than %d bytes", target->path + dir, NAME_MAX);
	len = snprintf(target->hidden, sizeof(target->hidden),
	    "%.*s.%.200s.XXXXXX", dir, target->path, target->path + dir);
	if (len < 0 || (size_t)len >= sizeof(target->hidden)) {
		target->hidden[0] = '\0';
		return pb_err_set(err, PB_EINVAL, "-w: the path is too long");
	}
	target->fd = mkostemp(target->hidden, O_CLOEXEC);
	if (target->fd < 0) {
		target->hidden[0] = '\0';
		return pb_err_sys(err, "make %s", target->path);
	}
	pb_rot_unlinks(target->hidden);
	/* mkostemp() gives 0600; the file is as open() would have made it. */
	if (fchmod(target->fd, mode) < 0) {
		pb_err_sys(err, "set the mode of %s", target->path);
		pb_target_abandon(target);
		return err->code;
	}
	return 0;
}
