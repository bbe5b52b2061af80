/*
 * tests/unit/test_cli.c - the small parts of `pb`: tables, the file that
 * -w names, what a recorder says
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/status/live.h"
#include "cli/common/table.h"
#include "recorder/query/target.h"
#include "tests/unit/temp_files.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define TEXT_MAX	65536

/* --- tables -------------------------------------------------------------- */

struct row {
	const char	*name;
	uint64_t	 n, time;
	bool		 sealed;
};

static const struct pb_column columns[] = {
	{ "name", PB_CELL_WORD, offsetof(struct row, name) },
	{ "first_seq", PB_CELL_U64, offsetof(struct row, n) },
	{ "bytes", PB_CELL_SIZE, offsetof(struct row, n) },
	{ "last_time", PB_CELL_TIME, offsetof(struct row, time) },
	{ "sealed", PB_CELL_BOOL, offsetof(struct row, sealed) },
	{ 0 },
};

static void
table_row(struct pb_table *table, const char *name, uint64_t n, bool known)
{
	const struct row row = { .name = name, .n = n, .sealed = known,
	    .time = known ? 1700000000000000001u : 0 };

	assert_int_equal(pb_table_row(table, &row, NULL), 0);
}

static const char *
table_text(bool json, const char *second)
{
	static char text[TEXT_MAX];
	struct pb_table table;
	struct pb_out out;
	struct pb_err err;
	int fd = memfd_create("table", 0);
	ssize_t n;

	pb_out_init(&out, fd, "test", NULL);
	pb_table_init(&table, &out, columns, json);
	table_row(&table, "a", 1, true);
	table_row(&table, second, 1536, false);
	assert_int_equal(pb_table_end(&table, &err), 0);
	pb_table_finish(&table);
	pb_out_finish(&out);
	n = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
	return text;
}

static void
a_table_has_its_columns_aligned(void **state)
{
	(void)state;
	assert_string_equal(table_text(false, "a longer name"),
	    "NAME           FIRST SEQ    BYTES  "
	    "LAST TIME                       SEALED\n"
	    "a                      1      1 B  "
	    "2023-11-14T22:13:20.000000001Z  yes\n"
	    "a longer name       1536  1.5 KiB  "
	    "-                               no\n");
}

static void
a_table_is_an_object_a_line_in_json(void **state)
{
	(void)state;
	assert_string_equal(table_text(true, "a \"quoted\" name"),
	    "{\"name\":\"a\",\"first_seq\":1,\"bytes\":1,"
	    "\"last_time\":\"2023-11-14T22:13:20.000000001Z\","
	    "\"sealed\":true}\n"
	    "{\"name\":\"a \\\"quoted\\\" name\",\"first_seq\":1536,"
	    "\"bytes\":1536,\"last_time\":null,\"sealed\":false}\n");
}

static void
what_is_not_known_is_null_and_a_dash(void **state)
{
	static const struct pb_column spans[] = {
		{ "bytes", PB_CELL_SIZE, offsetof(struct row, n) },
		{ "waits", PB_CELL_SECONDS, offsetof(struct row, time) },
		{ 0 },
	};
	static const struct {
		struct row row;
		const char *size, *span, *json;
	} rows[] = {
		{ { .n = 1536, .time = 1500000000 }, "1.5 KiB", "1.5 s",
		    "{\"bytes\":1536,\"waits\":1.5}" },
		{ { .n = 0, .time = 0 }, "0 B", "0.0 s",
		    "{\"bytes\":0,\"waits\":0}" },
		{ { .n = 0, .time = 3 * 3600000000000 + 600000000000 }, "0 B",
		    "3 h 10 min", "{\"bytes\":0,\"waits\":11400}" },
		{ { .n = UINT64_MAX, .time = UINT64_MAX }, "-", "-",
		    "{\"bytes\":null,\"waits\":null}" },
	};
	char text[PB_STREAM_NAME_MAX];
	struct pb_json json;
	struct pb_buf buf;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_string_equal(pb_column_text(&spans[0], &rows[i].row,
		    text), rows[i].size);
		assert_string_equal(pb_column_text(&spans[1], &rows[i].row,
		    text), rows[i].span);
		pb_buf_init(&buf, TEXT_MAX);
		pb_json_init(&json, &buf);
		pb_json_object(&json, NULL);
		pb_columns_json(&json, spans, &rows[i].row);
		pb_json_end(&json);
		pb_buf_put(&buf, "", 1);
		assert_string_equal((char *)buf.data, rows[i].json);
		pb_buf_finish(&buf);
	}
}

static void
a_name_cannot_steer_the_terminal(void **state)
{
	(void)state;
	assert_null(strchr(table_text(false, "\x1b[2J\x07"), '\x1b'));
}

static void
no_rows_print_nothing(void **state)
{
	struct pb_table table;
	struct pb_out out;
	struct pb_err err;
	int fd = memfd_create("table", 0);

	(void)state;
	for (int json = 0; json < 2; json++) {
		pb_out_init(&out, fd, "test", NULL);
		pb_table_init(&table, &out, columns, json);
		assert_int_equal(pb_table_end(&table, &err), 0);
		pb_table_finish(&table);
		pb_out_finish(&out);
	}
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	close(fd);
}

static void
many_rows_pass_through_bounded_memory(void **state)
{
	struct pb_table table;
	struct pb_out out;
	struct pb_err err;
	int fd = open("/dev/null", O_WRONLY);

	(void)state;
	pb_out_init(&out, fd, "test", NULL);
	pb_table_init(&table, &out, columns, false);
	for (uint64_t i = 0; i < 20 * PB_TABLE_ROWS_HELD; i++) {
		table_row(&table, "name", i, true);
		assert_true(table.rows < PB_TABLE_ROWS_HELD);
	}
	assert_int_equal(pb_table_end(&table, &err), 0);
	pb_table_finish(&table);
	pb_out_finish(&out);
	close(fd);
}

/* --- the file that -w names ---------------------------------------------- */

static const char *
text_of(const char *path)
{
	static char text[256];
	FILE *file = fopen(path, "r");
	size_t n;

	if (file == NULL)
		return NULL;
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static void
a_file_appears_when_it_is_complete(void **state)
{
	const char *path = in_dir("a.pcapng");
	struct pb_target target;
	struct stat st;

	(void)state;
	umask(022);
	assert_int_equal(pb_target_open(&target, path, "/nowhere", false,
	    NULL), 0);
	assert_int_equal(write(target.fd, "whole", 5), 5);
	assert_null(text_of(path));
	assert_int_equal(pb_target_commit(&target, NULL), 0);
	assert_string_equal(text_of(path), "whole");
	assert_int_equal(files_in_dir(), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
}

static void
a_failure_leaves_the_old_file_and_no_other(void **state)
{
	const char *path = in_dir("a.pcapng");
	struct pb_target target;

	(void)state;
	write_file(path, "old", 3);
	assert_int_equal(pb_target_open(&target, path, "/nowhere", false,
	    NULL), 0);
	assert_int_equal(write(target.fd, "half", 4), 4);
	pb_target_abandon(&target);
	assert_string_equal(text_of(path), "old");
	assert_int_equal(files_in_dir(), 1);
}

static void
a_link_and_the_mode_of_a_file_are_kept(void **state)
{
	const char *path = in_dir("a.pcapng"), *link = in_dir("link");
	struct pb_target target;
	struct stat st;

	(void)state;
	write_file(path, "old", 3);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(pb_target_open(&target, link, "/nowhere", false,
	    NULL), 0);
	assert_int_equal(write(target.fd, "new", 3), 3);
	assert_int_equal(pb_target_commit(&target, NULL), 0);
	assert_string_equal(text_of(path), "new");
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* By way of another one, and from where the link is. */
static void
what_a_link_leads_to_is_made_where_it_is_not_there(void **state)
{
	static const bool directly[] = { false, true };
	const char *path = in_dir("a.pcapng"), *link = in_dir("link");
	const char *second = in_dir("second");
	struct pb_target target;
	struct pb_err err;
	struct stat st;

	(void)state;
	assert_int_equal(symlink("second", link), 0);
	assert_int_equal(symlink(path, second), 0);
	for (size_t i = 0; i < COUNT(directly); i++) {
		assert_int_equal(pb_target_open(&target, link, "/nowhere",
		    directly[i], NULL), 0);
		assert_int_equal(write(target.fd, "new", 3), 3);
		assert_int_equal(pb_target_commit(&target, NULL), 0);
		assert_string_equal(text_of(path), "new");
		assert_int_equal(lstat(link, &st), 0);
		assert_true(S_ISLNK(st.st_mode));
		assert_int_equal(files_in_dir(), 3);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(symlink("link", path), 0);
	assert_int_equal(pb_target_open(&target, link, "/nowhere", false,
	    &err), PB_ESYS);
	assert_int_equal(err.sys, ELOOP);
	assert_int_equal(files_in_dir(), 3);
}

/* A file within is not made by way of a link either. */
static void
a_link_into_the_store_is_refused(void **state)
{
	const char *link = in_dir("link"), *store = in_dir("store");
	struct pb_target target;
	struct pb_err err;

	(void)state;
	assert_int_equal(mkdir(store, 0700), 0);
	assert_int_equal(symlink("store/a", link), 0);
	assert_int_equal(pb_target_open(&target, link, store, false, &err),
	    PB_EINVAL);
	assert_non_null(strstr(err.text, "is in the store"));
}

static void
pipes_and_followed_files_are_written_directly(void **state)
{
	const char *path = in_dir("a.pcapng"), *fifo = in_dir("fifo");
	struct pb_target target;
	char text[8] = "";
	int fd;

	(void)state;
	assert_int_equal(pb_target_open(&target, path, "/nowhere", true,
	    NULL), 0);
	assert_int_equal(write(target.fd, "so far", 6), 6);
	assert_string_equal(text_of(path), "so far");
	assert_int_equal(pb_target_commit(&target, NULL), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	fd = open(fifo, O_RDWR);
	assert_int_equal(pb_target_open(&target, fifo, "/nowhere", false,
	    NULL), 0);
	assert_int_equal(write(target.fd, "through", 7), 7);
	assert_int_equal(read(fd, text, 7), 7);
	assert_int_equal(pb_target_commit(&target, NULL), 0);
	assert_string_equal(text, "through");
	close(fd);
	assert_int_equal(files_in_dir(), 2);
}

static void
a_folder_that_is_not_there_is_named(void **state)
{
	struct pb_target target;
	struct pb_err err;

	(void)state;
	assert_true(pb_target_open(&target, in_dir("no/such.pcapng"),
	    "/nowhere", false, &err) < 0);
	assert_non_null(strstr(err.text, "no/such.pcapng"));
}

/* --- what a recorder says ------------------------------------------------ */

static struct pb_live_capture captures[4];
static unsigned captured;

static void
keep_capture(void *arg, const struct pb_live_capture *capture)
{
	(void)arg;
	assert_true(captured < COUNT(captures));
	captures[captured++] = *capture;
}

static int
captures_of(const char *body)
{
	struct pb_err err;

	captured = 0;
	return pb_live_captures(body, strlen(body), keep_capture, NULL, &err);
}

static void
captures_are_read_from_the_recorders_answer(void **state)
{
	(void)state;
	assert_int_equal(captures_of("{\"captures\":["
	    "{\"interface\":\"e\\\"}{\",\"up\":true,\"error\":\"\","
	    "\"packets\":7,\"bytes\":700,\"kernel_dropped\":1,"
	    "\"interface_dropped\":2,\"store_dropped\":3,\"pps\":1.5,"
	    "\"bps\":1e3},"
	    "{\"interface\":\"eth1\",\"up\":false,\"error\":\"no such, "
	    "\\\"pps\\\":9\",\"packets\":0,\"bytes\":0,\"kernel_dropped\":0,"
	    "\"interface_dropped\":0,\"store_dropped\":0,\"pps\":0,"
	    "\"bps\":0}],\"pid\":3}"), 0);
	assert_int_equal(captured, 2);
	assert_string_equal(captures[0].interface, "e\"}{");
	assert_true(captures[0].up);
	assert_int_equal(captures[0].packets, 7);
	assert_int_equal(captures[0].dropped, 6);
	assert_true(captures[0].pps == 1.5);
	assert_true(captures[0].bps == 1000);
	assert_false(captures[1].up);
	assert_string_equal(captures[1].error, "no such, \"pps\":9");
	assert_true(captures[1].pps == 0);
	assert_int_equal(captures_of("{\"captures\":[]}"), 0);
	assert_int_equal(captured, 0);
}

#define FACTS	"\"interface\":\"eth0\",\"up\":true,\"error\":\"\","	\
	"\"packets\":7,\"bytes\":700,\"kernel_dropped\":1,"		\
	"\"interface_dropped\":2,\"store_dropped\":3,\"pps\":1.5,"	\
	"\"bps\":1e3"

static void
the_clock_and_the_trailers_of_a_capture_are_read(void **state)
{
	(void)state;
	assert_int_equal(captures_of("{\"captures\":[{" FACTS ","
	    "\"clock\":\"adapter\",\"trailers\":["
	    "{\"trailer\":\"metamako\",\"parsed\":5,\"unparsed\":0},"
	    "{\"trailer\":\"raw:4\",\"parsed\":5,\"unparsed\":6}]},"
	    "{" FACTS "}]}"), 0);
	assert_string_equal(captures[0].clock, "adapter");
	assert_int_equal(captures[0].trailers, 2);
	assert_string_equal(captures[0].trailer[0].trailer, "metamako");
	assert_string_equal(captures[0].trailer[1].trailer, "raw:4");
	assert_int_equal(captures[0].trailer[1].parsed, 5);
	assert_int_equal(captures[0].trailer[1].unparsed, 6);
	/* One of before, behind it. */
	assert_string_equal(captures[1].clock, "");
	assert_int_equal(captures[1].trailers, 0);
	assert_int_equal(captures_of("{\"captures\":[{" FACTS ","
	    "\"clock\":\"adapter\"}]}"), PB_EFORMAT);
	assert_int_equal(captures_of("{\"captures\":[{" FACTS ","
	    "\"clock\":\"adapter\",\"trailers\":[{\"trailer\":\"ttag\"}]"
	    "}]}"), PB_EFORMAT);
}

static void
what_a_capture_forwards_is_read(void **state)
{
	(void)state;
	assert_int_equal(captures_of("{\"captures\":[{" FACTS ","
	    "\"forward\":\"eth1\",\"forwarding\":false,"
	    "\"forwarded_packets\":5,\"forward_refused\":6,"
	    "\"forward_error\":\"eth1 is down\"}]}"), 0);
	assert_string_equal(captures[0].forward, "eth1");
	assert_string_equal(captures[0].forward_error, "eth1 is down");
	assert_false(captures[0].forwarding);
	assert_int_equal(captures[0].forwarded, 5);
	assert_int_equal(captures[0].refused, 6);
	/* One of before, behind it. */
	assert_int_equal(captures_of("{\"captures\":[{" FACTS ","
	    "\"forward\":\"eth1\",\"forwarding\":true,"
	    "\"forwarded_packets\":5,\"forward_refused\":6,"
	    "\"forward_error\":\"eth1 is down\"},{" FACTS "}]}"), 0);
	assert_string_equal(captures[1].forward, "");
	assert_string_equal(captures[1].forward_error, "");
	assert_false(captures[1].forwarding);
	assert_int_equal(captures[1].forwarded + captures[1].refused, 0);
	assert_int_equal(captures_of("{\"captures\":[{" FACTS ","
	    "\"forward\":\"eth1\"}]}"), PB_EFORMAT);
#undef FACTS
}

static void
an_answer_that_is_none_is_refused(void **state)
{
	static const char *const body[] = {
		"", "{}", "[]", "{\"captures\":[", "{\"captures\":[{",
		"{\"captures\":[{}]}", "{\"captures\":[1]}",
		"{\"captures\":[{\"interface\":\"\\", "{\"captures\":[}]",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(body); i++)
		assert_int_equal(captures_of(body[i]), PB_EFORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_has_its_columns_aligned),
		cmocka_unit_test(a_table_is_an_object_a_line_in_json),
		cmocka_unit_test(what_is_not_known_is_null_and_a_dash),
		cmocka_unit_test(a_name_cannot_steer_the_terminal),
		cmocka_unit_test(no_rows_print_nothing),
		cmocka_unit_test(many_rows_pass_through_bounded_memory),
		IN_DIR(a_file_appears_when_it_is_complete),
		IN_DIR(a_failure_leaves_the_old_file_and_no_other),
		IN_DIR(a_link_and_the_mode_of_a_file_are_kept),
		IN_DIR(what_a_link_leads_to_is_made_where_it_is_not_there),
		IN_DIR(a_link_into_the_store_is_refused),
		IN_DIR(pipes_and_followed_files_are_written_directly),
		IN_DIR(a_folder_that_is_not_there_is_named),
		cmocka_unit_test(captures_are_read_from_the_recorders_answer),
		cmocka_unit_test(
		    the_clock_and_the_trailers_of_a_capture_are_read),
		cmocka_unit_test(what_a_capture_forwards_is_read),
		cmocka_unit_test(an_answer_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
