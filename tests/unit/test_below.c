/*
 * tests/unit/test_below.c - what lies below a directory others may write in
 *
 * All of it twice: as it is, and under a filter that refuses openat2(2),
 * as an old kernel does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/below.h"
#include "base/owner.h"
#include "base/sys.h"
#include "tests/unit/old_kernel.h"
#include "tests/unit/temp.h"

struct bench {
	char	root[64];	/* of both: */
	char	store[80];	/* held */
	char	other[80];	/* outside; `file` in it */
};

static char	path_text[2][PATH_MAX];

static const char *
at(const struct bench *b, const char *name)
{
	static unsigned turn;
	char *out = path_text[turn++ % 2];

	snprintf(out, PATH_MAX, "%s/%s", b->store, name);
	return out;
}

static void
make(const char *path, const char *bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
	close(fd);
}

static void
bench_init(struct bench *b)
{
	struct pb_err err;
	char file[100];

	temp_make(b->root, "below");
	snprintf(b->store, sizeof(b->store), "%s/store", b->root);
	snprintf(b->other, sizeof(b->other), "%s/other", b->root);
	assert_int_equal(mkdir(b->store, 0750), 0);
	assert_int_equal(mkdir(b->other, 0750), 0);
	snprintf(file, sizeof(file), "%s/file", b->other);
	make(file, "outside");
	assert_int_equal(pb_below_hold(b->store, &err), 0);
	assert_int_equal(pb_mkdirs(at(b, "a/b"), &err), 0);
	make(at(b, "a/b/file"), "inside");
}

/* What is outside is as it was. */
static void
bench_finish(struct bench *b)
{
	char text[100];
	struct stat st;

	snprintf(text, sizeof(text), "%s/file", b->other);
	assert_int_equal(stat(text, &st), 0);
	assert_int_equal(st.st_size, strlen("outside"));
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(unlink(text), 0);
	assert_int_equal(rmdir(b->other), 0);	/* nothing was made there */
	pb_below_release(b->store);
	assert_int_equal(pb_below_fd(b->store), -1);
	temp_remove(b->root);
}

static void
refused(int rc, int why)
{
	assert_int_equal(rc, -1);
	assert_int_equal(errno, why);
}

static void
what_is_there_can_be_dealt_with(void **state)
{
	struct stat st;
	struct bench b;
	struct pb_dir *dir;
	int fd;

	(void)state;
	bench_init(&b);
	fd = pb_below_open(at(&b, "a/b/file"), O_RDONLY, 0);
	assert_true(fd >= 0);
	close(fd);
	fd = pb_below_open(at(&b, "a/b/new"), O_RDWR | O_CREAT, 0640);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
	assert_int_equal(pb_below_link(at(&b, "a/b/file"), at(&b, "c")), 0);
	assert_int_equal(pb_below_stat(at(&b, "c"), &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(pb_below_rename(at(&b, "c"), at(&b, "a/d"), 0), 0);
	assert_int_equal(pb_below_rename(at(&b, "a/d"), at(&b, "a/e"), 0), 0);
	assert_int_equal(pb_below_unlink(at(&b, "a/e")), 0);
	refused(pb_below_look(at(&b, "a/e")), ENOENT);
	assert_int_equal(pb_below_mkdir(at(&b, "f"), 0750), 0);
	assert_int_equal(pb_below_rmdir(at(&b, "f")), 0);
	dir = pb_below_opendir(at(&b, "a//b"));
	assert_non_null(dir);
	pb_dir_close(dir);
	fd = pb_below_open(b.store, O_RDONLY | O_DIRECTORY, 0);
	assert_true(fd >= 0);
	close(fd);
	bench_finish(&b);
}

/* Whichever component is one, and whatever is to be done. */
static void
no_link_is_followed(void **state)
{
	static const char *const names[] = { "l/file", "m" };
	const int flags[] = { O_RDONLY, O_RDWR | O_CREAT,
	    O_RDWR | O_CREAT | O_TRUNC, O_WRONLY | O_TRUNC };
	char file[100];
	struct bench b;
	struct stat st;

	(void)state;
	bench_init(&b);
	snprintf(file, sizeof(file), "%s/file", b.other);
	assert_int_equal(symlink(b.other, at(&b, "l")), 0);
	assert_int_equal(symlink(file, at(&b, "m")), 0);
	for (size_t i = 0; i < 2; i++)
		for (size_t f = 0; f < 4; f++) {
			assert_int_equal(pb_below_open(at(&b, names[i]),
			    flags[f], 0640), -1);
			assert_true(errno == ELOOP || errno == ENOTDIR);
		}
	assert_null(pb_below_opendir(at(&b, "l")));
	assert_int_equal(pb_below_mkdir(at(&b, "l/new"), 0750), -1);
	assert_int_equal(pb_below_unlink(at(&b, "l/file")), -1);
	assert_int_equal(pb_below_rename(at(&b, "a/b/file"),
	    at(&b, "l/file"), 0), -1);
	assert_int_equal(pb_below_link(at(&b, "a/b/file"), at(&b, "l/new")),
	    -1);
	assert_int_equal(pb_below_link(at(&b, "l/file"), at(&b, "new")), -1);
	/* A link may be looked at and removed: itself. */
	assert_int_equal(pb_below_stat(at(&b, "m"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(symlink("nowhere", at(&b, "n")), 0);
	assert_int_equal(pb_below_access(at(&b, "n"), W_OK), 0);
	assert_int_equal(pb_below_unlink(at(&b, "m")), 0);
	bench_finish(&b);
}

static void
nothing_leads_out(void **state)
{
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b);
	assert_int_equal(pb_below_open(at(&b, "../other/file"), O_RDONLY, 0),
	    -1);
	assert_int_equal(pb_below_open(at(&b, "../new"), O_RDWR | O_CREAT,
	    0640), -1);
	assert_int_equal(pb_below_unlink(at(&b, "a/../../other/file")), -1);
	refused(pb_below_rmdir(at(&b, "a/b/..")), EXDEV);
	assert_true(pb_mkdirs(at(&b, "../other/new"), &err) < 0);
	bench_finish(&b);
}

/* It would hang, were it opened as a file is. */
static void
what_is_no_plain_file_is_refused(void **state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct pb_err err;
	struct bench b;
	int fd;

	(void)state;
	bench_init(&b);
	assert_int_equal(mkfifo(at(&b, "fifo"), 0640), 0);
	snprintf(to.sun_path, sizeof(to.sun_path), "%.100s", at(&b, "sock"));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	close(fd);
	refused(pb_below_open(at(&b, "fifo"), O_RDONLY, 0),
	    PB_BELOW_NOT_PLAIN);
	pb_err_sys(&err, "open");
	assert_string_equal(err.text, "open: is no plain file");
	refused(pb_below_open(at(&b, "fifo"), O_RDWR | O_CREAT, 0640),
	    PB_BELOW_NOT_PLAIN);
	refused(pb_below_open(at(&b, "fifo"), O_WRONLY, 0), ENXIO);
	refused(pb_below_open(at(&b, "sock"), O_RDONLY, 0), ENXIO);
	refused(pb_below_open(at(&b, "a"), O_RDONLY, 0), EISDIR);
	refused(pb_below_open(at(&b, "fifo"), O_RDONLY | O_DIRECTORY, 0),
	    ENOTDIR);
	bench_finish(&b);
}

/* It is the directory that is meant, not what has its name by now. */
static void
a_directory_that_is_moved_stays_held(void **state)
{
	char moved[100];
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b);
	snprintf(moved, sizeof(moved), "%s/moved", b.root);
	assert_int_equal(rename(b.store, moved), 0);
	assert_int_equal(mkdir(b.store, 0750), 0);
	assert_int_equal(pb_mkdirs(at(&b, "x"), &err), 0);
	assert_int_equal(rmdir(b.store), 0);	/* it is empty */
	assert_int_equal(pb_below_look(at(&b, "a/b/file")), 0);
	assert_int_equal(mkdir(b.store, 0750), 0);
	assert_int_equal(pb_below_renew(b.store, &err), 0);
	refused(pb_below_look(at(&b, "a/b/file")), ENOENT);
	bench_finish(&b);
}

/* Of one that has gone nothing stays open, and nothing is made. */
static void
what_is_below_a_parked_store_is_refused(void **state)
{
	struct pb_owner owner;
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b);
	if (geteuid() == 0)
		assert_int_equal(chown(b.store, 12345, 12345), 0);
	pb_below_park(b.store);
	/* Nobody asks whose /dev/null is. */
	assert_int_equal(pb_owner_find(&owner, b.store, &err), 0);
	assert_int_equal(owner.uid, geteuid() == 0 ? 12345 : geteuid());
	refused(pb_below_look(at(&b, "a/b/file")), ENOTDIR);
	refused(pb_below_mkdir(at(&b, "c"), 0750), ENOTDIR);
	refused(pb_below_open(at(&b, "file"), O_WRONLY | O_CREAT, 0640),
	    ENOTDIR);
	refused(pb_below_unlink(at(&b, "file")), ENOTDIR);
	assert_int_equal(pb_below_renew(b.store, &err), 0);
	assert_int_equal(pb_below_look(at(&b, "a/b/file")), 0);
	bench_finish(&b);
}

/* Its own path is the operator's, and may be one. */
static void
a_store_behind_a_link_is_held(void **state)
{
	char link[100];
	struct pb_err err;
	struct bench b;

	(void)state;
	bench_init(&b);
	snprintf(link, sizeof(link), "%s/link", b.root);
	assert_int_equal(symlink(b.store, link), 0);
	assert_int_equal(pb_below_hold(link, &err), 0);
	strcat(link, "/a/b/file");
	assert_int_equal(pb_below_look(link), 0);
	link[strlen(link) - strlen("/a/b/file")] = '\0';
	pb_below_release(link);
	/* Twice held, once let go: still held. */
	assert_int_equal(pb_below_hold(b.store, &err), 0);
	pb_below_release(b.store);
	assert_true(pb_below_fd(b.store) >= 0);
	assert_int_equal(pb_below_hold(at(&b, "nowhere"), &err), PB_ENOENT);
	bench_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_can_be_dealt_with),
		cmocka_unit_test(no_link_is_followed),
		cmocka_unit_test(nothing_leads_out),
		cmocka_unit_test(what_is_no_plain_file_is_refused),
		cmocka_unit_test(a_directory_that_is_moved_stays_held),
		cmocka_unit_test(what_is_below_a_parked_store_is_refused),
		cmocka_unit_test(a_store_behind_a_link_is_held),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (refuse_openat2() == 0)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed;
}
