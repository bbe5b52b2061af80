/*
 * recorder/store/home.c - is the store still where it was opened?
 */
#include "recorder/store/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/below.h"
#include "recorder/store/layout.h"

#define SHIPPER	"shipper"	/* begins what its lock and folder are called */

static bool	parent_stays(const struct pb_home *);
static bool	is_empty(const char *);

int
pb_home_init(struct pb_home *home, const char *store, const char *file,
    struct pb_err *err)
{
	memset(home, 0, sizeof(*home));
	home->fd = -1;
	if (strlen(store) >= sizeof(home->store))
		return pb_err_set(err, PB_ELIMIT, "the store's path is too "
		    "long");
	strcpy(home->store, store);
	return pb_layout_path(home->file, store, file, err);
}

int
pb_home_enter(struct pb_home *home, struct pb_err *err)
{
	struct stat file, dir;
	int fd = pb_below_open(home->file, O_PATH, 0);

	if (fd < 0)
		return pb_err_sys(err, "look at %s", home->file);
	if (pb_file_stat(fd, &file) < 0 ||
	    pb_below_stat(home->store, &dir) < 0) {
		pb_err_sys(err, "look at %s", home->store);
		pb_file_close(fd);
		return err != NULL ? err->code : PB_ESYS;
	}
	pb_home_leave(home);
	home->fd = fd;
	home->dev = file.st_dev;
	home->ino = file.st_ino;
	home->dir_dev = dir.st_dev;
	home->deleted = false;
	home->own_ino = 0;
	return 0;
}

void
pb_home_leave(struct pb_home *home)
{
	struct stat st;

	if (home->fd < 0)
		return;
	home->deleted = pb_file_stat(home->fd, &st) == 0 && st.st_nlink == 0;
	pb_file_close(home->fd);
	home->fd = -1;
}

bool
pb_home_same(const struct pb_home *home)
{
	struct stat st;

	if (pb_below_seen(home->file, &st) == 0)
		return st.st_dev == home->dev && st.st_ino == home->ino;
	/* Whoever may not walk there any more still has what is held. */
	return errno == EACCES && home->fd >= 0 &&
	    pb_file_stat(home->fd, &st) == 0 && st.st_nlink > 0;
}

const char *
pb_home_why(const struct pb_home *home)
{
	struct stat st;

	if (home->fd >= 0 && pb_file_stat(home->fd, &st) == 0 &&
	    st.st_nlink == 0)
		return "was deleted";
	if (stat(home->store, &st) < 0)
		return errno == ENOENT ? "was moved away" :
		    "cannot be looked at";
	if (st.st_dev != home->dir_dev)
		return "was unmounted, or another file system was mounted "
		    "over it";
	return "was moved away, and something else is there";
}

enum pb_home_offer
pb_home_offer(const struct pb_home *home)
{
	struct stat st;

	if (stat(home->store, &st) < 0)
		return errno == ENOENT && home->deleted &&
		    parent_stays(home) ? PB_HOME_ROOM : PB_HOME_NOTHING;
	if (!S_ISDIR(st.st_mode))
		return PB_HOME_NOTHING;
	if (access(home->file, F_OK) == 0)
		return PB_HOME_STORE;
	if (st.st_ino == home->own_ino && st.st_dev == home->own_dev)
		return PB_HOME_EMPTY;
	return st.st_dev == home->dir_dev && is_empty(home->store) ?
	    PB_HOME_EMPTY : PB_HOME_OTHER;
}

void
pb_home_keep_trying(struct pb_home *home)
{
	struct stat st;

	/* Parked where it was not even held. */
	if (fstat(pb_below_fd(home->store), &st) < 0 || !S_ISDIR(st.st_mode))
		return;
	home->own_dev = st.st_dev;
	home->own_ino = st.st_ino;
}

const char *
pb_home_offer_text(enum pb_home_offer offer)
{
	switch (offer) {
	case PB_HOME_ROOM:
		return "nothing is there";
	case PB_HOME_EMPTY:
		return "an empty directory is there";
	case PB_HOME_OTHER:
		return "a directory without a store is there";
	case PB_HOME_STORE:
		return "a store is there";
	default:
		return "no directory is there";
	}
}

/* A store that was the root of its file system has no such parent. */
static bool
parent_stays(const struct pb_home *home)
{
	char path[PATH_MAX];
	struct stat st;

	strcpy(path, home->store);
	return stat(dirname(path), &st) == 0 && st.st_dev == home->dir_dev;
}

/* A shipper may have been started first. */
static bool
is_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	bool empty = dir != NULL;

	while (empty && (entry = readdir(dir)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0 ||
		    strncmp(entry->d_name, SHIPPER, strlen(SHIPPER)) == 0;
	if (dir != NULL)
		closedir(dir);
	return empty;
}
