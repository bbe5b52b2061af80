/*
 * tests/unit/test_sys.c - directories, whole reads and writes, systemd,
 * the clocks and the log
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/thread.h"

#define BODIES		8
#define BODY_BYTES	((size_t)2 << 20)
#define PAGE_BYTES	4096
#define LOG_THREADS	4
#define LOG_LINES	200	/* each thread */

static char home[] = "/tmp/pb-test-sys-XXXXXX";
static char path[PATH_MAX];

static const char *
below(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", home, name);
	return path;
}

static int
make_home(void **state)
{
	(void)state;
	return mkdtemp(home) == NULL ? -1 : 0;
}

static int
remove_home(void **state)
{
	static const char *const dirs[] = { "a/b/c", "a/b", "a", "" };
	static const char *const files[] = { "file", "log", "notify" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(below(files[i]));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		rmdir(below(dirs[i]));
	return access(home, F_OK) == 0 ? -1 : 0;
}

static void
missing_directories_are_made_once_and_again_without_harm(void **state)
{
	struct pb_err err;
	struct stat st;

	(void)state;
	assert_int_equal(pb_mkdirs(below("a//b/c/"), &err), 0);
	assert_int_equal(pb_mkdirs(below("a/b/c"), &err), 0);
	assert_int_equal(stat(below("a/b/c"), &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 07, 0);
	assert_int_equal(pb_mkdirs("/", &err), 0);
	assert_int_equal(pb_sync_dir(below("a/b"), &err), 0);
	assert_int_equal(pb_sync_dir(below("none"), &err), PB_ENOENT);
}

static void
a_path_that_cannot_be_a_directory_is_refused(void **state)
{
	char *longest = malloc(PATH_MAX + 1);
	struct pb_err err;
	int fd;

	(void)state;
	assert_non_null(longest);
	fd = open(below("file"), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(pb_mkdirs(below("file"), &err), PB_ESYS);
	assert_non_null(strstr(err.text, "no directory"));
	assert_true(pb_mkdirs(below("file/x"), &err) < 0);
	assert_int_equal(pb_mkdirs("", &err), PB_EINVAL);
	memset(longest, 'x', PATH_MAX);
	longest[PATH_MAX] = '\0';
	assert_int_equal(pb_mkdirs(longest, &err), PB_EINVAL);
	free(longest);
}

static void
what_is_written_at_an_offset_reads_back_there(void **state)
{
	char back[16] = { 0 };
	struct pb_err err;
	int fd = open(below("file"), O_CREAT | O_TRUNC | O_RDWR, 0600);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pb_pwrite_all(fd, "hello", 5, 4096, &err), 0);
	assert_int_equal(pb_pwrite_all(fd, "", 0, 9999, &err), 0);
	assert_int_equal(pb_pread_all(fd, back, sizeof(back), 4096, &err), 5);
	assert_string_equal(back, "hello");
	assert_int_equal(pb_pread_all(fd, back, 2, 4097, &err), 2);
	assert_int_equal(pb_pread_all(fd, back, 2, 5000, &err), 0);
	memset(back, 0, sizeof(back));
	assert_int_equal(pb_pread_once(fd, back, sizeof(back), 4096, &err), 5);
	assert_string_equal(back, "hello");
	assert_int_equal(pb_pread_once(fd, back, 2, 5000, &err), 0);
	close(fd);
	assert_int_equal(pb_pwrite_all(fd, "x", 1, 0, &err), PB_ESYS);
	assert_int_equal(err.sys, EBADF);
	assert_int_equal(pb_pread_all(fd, back, 1, 0, &err), PB_ESYS);
	assert_int_equal(pb_pread_once(fd, back, 1, 0, &err), PB_ESYS);
	assert_int_equal(err.sys, EBADF);
}

/* How the system reads what is read once; 0: as it does. */
static int refuses;		/* with this errno */
static bool by_bytes;		/* one at a time, interrupted before each */

ssize_t
preadv2(int fd, const struct iovec *part, int count, off_t at, int flags)
{
	static bool interrupted;

	if (by_bytes)
		interrupted = !interrupted;
	if (refuses != 0 || (by_bytes && interrupted)) {
		errno = refuses != 0 ? refuses : EINTR;
		return -1;
	}
	return by_bytes ? pread(fd, part->iov_base, 1, at) :
	    syscall(SYS_preadv2, fd, part, count, at, 0L, flags);
}

static void
what_is_read_once_is_whole_whatever_the_system_does(void **state)
{
	char back[16];
	struct pb_err err;
	int fd = open(below("file"), O_CREAT | O_TRUNC | O_RDWR, 0600);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pb_pwrite_all(fd, "hello", 5, 4096, &err), 0);
	for (int way = 0; way < 3; way++) {
		refuses = way == 1 ? EOPNOTSUPP : 0;
		by_bytes = way == 2;
		memset(back, 0, sizeof(back));
		assert_int_equal(pb_pread_once(fd, back, sizeof(back), 4096,
		    &err), 5);
		assert_string_equal(back, "hello");
		assert_int_equal(pb_pread_once(fd, back, 2, 4097, &err), 2);
		assert_int_equal(pb_pread_once(fd, back, 2, 5000, &err), 0);
	}
	by_bytes = false;
	refuses = EIO;
	assert_int_equal(pb_pread_once(fd, back, 2, 4096, &err), PB_ESYS);
	assert_int_equal(err.sys, EIO);
	refuses = 0;
	close(fd);
}

static void
parts_are_written_one_behind_the_other(void **state)
{
	char back[16] = { 0 };
	char one[] = "hel", two[] = "lo", none[] = "", three[] = " you";
	struct iovec part[4] = {
		{ one, 3 }, { two, 2 }, { none, 0 }, { three, 4 },
	};
	struct pb_err err;
	int fd = open(below("parts"), O_CREAT | O_TRUNC | O_RDWR, 0600);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pb_pwritev_all(fd, part, 4, 100, &err), 0);
	assert_int_equal(pb_pread_all(fd, back, sizeof(back), 100, &err), 9);
	assert_string_equal(back, "hello you");
	close(fd);
	assert_int_equal(unlink(below("parts")), 0);
	part[0] = (struct iovec){ one, 3 };
	assert_int_equal(pb_pwritev_all(fd, part, 1, 0, &err), PB_ESYS);
	assert_int_equal(err.sys, EBADF);
}

/*
 * Goal:   a write that the kernel cuts short goes on where it ended, in the
 *         middle of a part.
 * Method: a file size limit three bytes into the second part: the kernel
 *         takes what fits, and refuses only the next write.
 */
static void
a_write_of_parts_that_was_cut_short_goes_on_in_the_middle_of_one(void **state)
{
	char one[] = "hello", two[] = "world", back[16] = { 0 };
	struct iovec part[2] = { { one, 5 }, { two, 5 } };
	struct rlimit was, limit;
	struct pb_err err = { 0 };
	int fd = open(below("short"), O_CREAT | O_TRUNC | O_RDWR, 0600);

	(void)state;
	assert_true(fd >= 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	limit = was;
	limit.rlim_cur = 8;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(pb_pwritev_all(fd, part, 2, 0, &err), PB_ESYS);
	assert_int_equal(err.sys, EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	/* What is left of the parts is what was not written. */
	assert_int_equal(part[1].iov_len, 2);
	assert_int_equal(pb_pwritev_all(fd, &part[1], 1, 8, &err), 0);
	assert_int_equal(pb_pread_all(fd, back, sizeof(back), 0, &err), 10);
	assert_string_equal(back, "helloworld");
	close(fd);
	assert_int_equal(unlink(below("short")), 0);
}

static void
a_full_disk_has_its_own_code(void **state)
{
	char byte[] = "x";
	struct iovec part = { byte, 1 };
	struct pb_err err;
	int fd = open("/dev/full", O_WRONLY);

	(void)state;
	if (fd < 0)
		skip();
	assert_int_equal(pb_pwrite_all(fd, "x", 1, 0, &err), PB_ENOSPC);
	assert_int_equal(pb_pwritev_all(fd, &part, 1, 0, &err), PB_ENOSPC);
	close(fd);
}

static void
random_numbers_differ_and_are_not_zero(void **state)
{
	uint64_t a = pb_random64(), b = pb_random64();

	(void)state;
	assert_true(a != 0 && b != 0);
	assert_true(a != b);
}

static void
the_clocks_agree_on_their_units(void **state)
{
	uint64_t mono = pb_clock_mono_ms();

	(void)state;
	assert_true(pb_clock_mono_ms() >= mono);
	/* After 2020 and before 2500, in nanoseconds. */
	assert_true(pb_clock_real_ns() > 1577836800ull * PB_NS_PER_S);
	assert_true(pb_clock_real_ns() < 16725225600ull * PB_NS_PER_S);
}

static void
expect_notice(const char *address, struct sockaddr_un *to, size_t len)
{
	char got[32] = { 0 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)to, (socklen_t)len), 0);
	setenv("NOTIFY_SOCKET", address, 1);
	pb_notify("READY=1");
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), 7);
	assert_string_equal(got, "READY=1");
	close(fd);
}

static void
systemd_is_told_on_its_socket(void **state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char name[64];

	(void)state;
	strcpy(to.sun_path, below("notify"));
	expect_notice(path, &to, sizeof(to));
	memset(to.sun_path, 0, sizeof(to.sun_path));
	snprintf(name, sizeof(name), "@pb-test-sys-%d", (int)getpid());
	strcpy(to.sun_path + 1, name + 1);
	expect_notice(name, &to, offsetof(struct sockaddr_un, sun_path) +
	    strlen(name));
}

static void
without_systemd_a_notice_goes_nowhere(void **state)
{
	char longest[300];

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	pb_notify("READY=1");
	setenv("NOTIFY_SOCKET", "relative", 1);
	pb_notify("READY=1");
	setenv("NOTIFY_SOCKET", below("nobody"), 1);
	pb_notify("READY=1");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	pb_notify("READY=1");
	unsetenv("NOTIFY_SOCKET");
}

/* Run `act` with standard error going to a file; what came is in `out`. */
static void
with_log(void (*act)(void), char *out, size_t room)
{
	int kept = dup(STDERR_FILENO);
	int fd = open(below("log"), O_CREAT | O_TRUNC | O_RDWR | O_APPEND,
	    0600);
	ssize_t n;

	assert_true(fd >= 0 && kept >= 0);
	dup2(fd, STDERR_FILENO);
	act();
	dup2(kept, STDERR_FILENO);
	close(kept);
	n = pb_pread_all(fd, out, room - 1, 0, NULL);
	close(fd);
	assert_true(n >= 0);
	out[n] = '\0';
}

static void
log_each_level(void)
{
	pb_log(PB_LOG_DEBUG, "store", "hidden");
	pb_log(PB_LOG_INFO, "store", "opened path=%s", "/x");
	pb_log_level(PB_LOG_WARN);
	pb_log(PB_LOG_INFO, "store", "hidden");
	pb_log(PB_LOG_WARN, "store", "a\nerror b: c\x7f");
	pb_log_level(PB_LOG_INFO);
	errno = 77;
	pb_log(PB_LOG_ERROR, "store", "last");
}

static void
a_log_line_has_its_level_and_component(void **state)
{
	char out[4096];

	(void)state;
	with_log(log_each_level, out, sizeof(out));
	assert_string_equal(out, "info store: opened path=/x\n"
	    "warn store: a?error b: c?\nerror store: last\n");
	assert_int_equal(errno, 77);
}

static void
log_long_lines(void)
{
	char words[3000];

	memset(words, 'w', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	pb_log(PB_LOG_INFO, "c", "%s", words);
	pb_log(PB_LOG_INFO, words, "never");
}

static void
a_long_line_is_cut_with_its_newline_kept(void **state)
{
	char out[8192];

	(void)state;
	with_log(log_long_lines, out, sizeof(out));
	assert_true(strlen(out) <= PB_LOG_LINE_MAX);
	assert_true(strlen(out) > PB_LOG_LINE_MAX - 4);
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
}

static void *
log_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < LOG_LINES; i++)
		pb_log(PB_LOG_INFO, "thread", "0123456789 0123456789");
	return NULL;
}

static void
log_from_threads(void)
{
	pthread_t threads[LOG_THREADS];

	for (size_t i = 0; i < LOG_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_many,
		    NULL), 0);
	for (size_t i = 0; i < LOG_THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void
lines_of_several_threads_do_not_mix(void **state)
{
	static const char line[] = "info thread: 0123456789 0123456789\n";
	static char out[LOG_THREADS * LOG_LINES * sizeof(line)];
	size_t len = sizeof(line) - 1;

	(void)state;
	with_log(log_from_threads, out, sizeof(out));
	assert_int_equal(strlen(out), LOG_THREADS * LOG_LINES * len);
	for (size_t at = 0; out[at] != '\0'; at += len)
		assert_memory_equal(out + at, line, len);
}

static void *
take_no_signal(void *out)
{
	sigset_t *blocked = out;

	pthread_sigmask(SIG_SETMASK, NULL, blocked);
	return NULL;
}

static void
a_thread_that_is_started_leaves_signals_to_the_others(void **state)
{
	sigset_t before, after, blocked;
	struct pb_err err;
	pthread_t id;

	(void)state;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(pb_thread_start(&id, "a test", take_no_signal,
	    &blocked, &err), 0);
	pthread_join(id, NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int i = SIGHUP; i <= SIGTERM; i++)
		if (i != SIGKILL) {
			assert_true(sigismember(&blocked, i));
			assert_int_equal(sigismember(&before, i),
			    sigismember(&after, i));
		}
}

static void
take_bodies_and_give_them_back(void)
{
	volatile char *body[BODIES];

	for (size_t i = 0; i < BODIES; i++) {
		body[i] = malloc(BODY_BYTES);
		assert_non_null(body[i]);
		for (size_t at = 0; at < BODY_BYTES; at += PAGE_BYTES)
			body[i][at] = 1;
	}
	for (size_t i = 0; i < BODIES; i++)
		free((void *)body[i]);
}

static long
pages_made(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_minflt;
}

static void
memory_that_was_given_back_is_not_made_anew(void **state)
{
	long before;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();			/* its malloc() is another */
#endif
	pb_memory_keep();
	take_bodies_and_give_them_back();
	before = pages_made();
	take_bodies_and_give_them_back();
	assert_true(pages_made() - before <
	    (long)(BODIES * BODY_BYTES / PAGE_BYTES / 8));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    missing_directories_are_made_once_and_again_without_harm),
		cmocka_unit_test(a_path_that_cannot_be_a_directory_is_refused),
		cmocka_unit_test(what_is_written_at_an_offset_reads_back_there),
		cmocka_unit_test(
		    what_is_read_once_is_whole_whatever_the_system_does),
		cmocka_unit_test(parts_are_written_one_behind_the_other),
		cmocka_unit_test(
		    a_write_of_parts_that_was_cut_short_goes_on_in_the_middle_of_one),
		cmocka_unit_test(a_full_disk_has_its_own_code),
		cmocka_unit_test(random_numbers_differ_and_are_not_zero),
		cmocka_unit_test(the_clocks_agree_on_their_units),
		cmocka_unit_test(systemd_is_told_on_its_socket),
		cmocka_unit_test(without_systemd_a_notice_goes_nowhere),
		cmocka_unit_test(a_log_line_has_its_level_and_component),
		cmocka_unit_test(a_long_line_is_cut_with_its_newline_kept),
		cmocka_unit_test(lines_of_several_threads_do_not_mix),
		cmocka_unit_test(
		    a_thread_that_is_started_leaves_signals_to_the_others),
		cmocka_unit_test(memory_that_was_given_back_is_not_made_anew),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
