/*
 * cli/query/target.c - the file that `-w` names
 */
#include "cli/query/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int	open_hidden(struct pb_target *, mode_t, struct pb_err *);

int
pb_target_open(struct pb_target *target, const char *name, bool directly,
    struct pb_err *err)
{
	struct stat st;
	mode_t mask = umask(0), mode = 0666 & ~mask;

	umask(mask);
	memset(target, 0, sizeof(*target));
	target->fd = -1;
	if (strcmp(name, "-") == 0) {
		target->fd = dup(STDOUT_FILENO);
		return target->fd < 0 ?
		    pb_err_sys(err, "standard output") : 0;
	}
	if (strlen(name) >= sizeof(target->path))
		return pb_err_set(err, PB_EINVAL, "-w: the path is longer "
		    "than %d bytes", PATH_MAX - 1);
	/* The file that a link points to is replaced, not the link. */
	if (realpath(name, target->path) == NULL)
		strcpy(target->path, name);
	if (stat(target->path, &st) == 0) {
		mode = st.st_mode & 07777;
		directly = directly || !S_ISREG(st.st_mode);
	}
	if (!directly)
		return open_hidden(target, mode, err);
	target->fd = open(target->path, O_WRONLY | O_CREAT | O_TRUNC |
	    O_CLOEXEC, mode);
	return target->fd < 0 ? pb_err_sys(err, "%s", name) : 0;
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
	    rename(target->hidden, target->path) < 0)
		rc = pb_err_sys(err, "rename %s to %s", target->hidden,
		    target->path);
	if (rc < 0)
		pb_target_abandon(target);
	return rc;
}

void
pb_target_abandon(struct pb_target *target)
{
	if (target->fd >= 0)
		close(target->fd);
	if (target->hidden[0] != '\0')
		unlink(target->hidden);
	target->fd = -1;
	target->hidden[0] = '\0';
}

/* `.NAME.XXXXXX` beside the file, which is on the same file system. */
static int
open_hidden(struct pb_target *target, mode_t mode, struct pb_err *err)
{
	const char *slash = strrchr(target->path, '/');
	int dir = slash == NULL ? 0 : (int)(slash - target->path + 1);
	int len;

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
	/* mkostemp() gives 0600; the file is as open() would have made it. */
	if (fchmod(target->fd, mode) < 0) {
		pb_err_sys(err, "set the mode of %s", target->path);
		pb_target_abandon(target);
		return err->code;
	}
	return 0;
}
