/*
 * tests/unit/conf_fixture.h - configurations as text: taken, or refused
 */
#ifndef PB_TEST_CONF_FIXTURE_H
#define PB_TEST_CONF_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/conf_keys.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define NODE		"[node]\nname = lon1\n"			/* 2 lines */
#define BASE		NODE "[store]\npath = /store\n"		/* 4 lines */
#define CERTS		"tls_cert = /c\ntls_key = /k\ntls_ca = /a\n"

static char home[] = "/tmp/pb-test-conf-XXXXXX";
static char file[PATH_MAX];
static char back[PATH_MAX];

static inline int
make_home(void **state)
{
	(void)state;
	if (mkdtemp(home) == NULL || getcwd(back, sizeof(back)) == NULL)
		return -1;
	snprintf(file, sizeof(file), "%s/t.conf", home);
	return 0;
}

static inline int
remove_home(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(home);
}

static inline int
load_bytes(struct pb_conf **out, const void *data, size_t len,
    struct pb_err *err)
{
	FILE *f = fopen(file, "w");

	memset(err, 0, sizeof(*err));
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	return pb_conf_load(out, file, err);
}

static inline struct pb_conf *
load_good(const char *text)
{
	struct pb_conf *conf = NULL;
	struct pb_err err;

	if (load_bytes(&conf, text, strlen(text), &err) != 0)
		fail_msg("%s\nrefused: %s", text, err.text);
	assert_non_null(conf);
	return conf;
}

/* `text` is refused in line `line` (0: none is named) with these words. */
static inline void
expect_refused(const char *text, unsigned line, const char *words)
{
	struct pb_conf *conf = NULL;
	struct pb_err err;
	char where[PATH_MAX + 16];

	if (line == 0)
		snprintf(where, sizeof(where), "%s: ", file);
	else
		snprintf(where, sizeof(where), "%s:%u: ", file, line);
	if (load_bytes(&conf, text, strlen(text), &err) != PB_EINVAL)
		fail_msg("%s\naccepted, or refused as %d", text, err.code);
	assert_null(conf);
	assert_int_equal(err.code, PB_EINVAL);
	if (strncmp(err.text, where, strlen(where)) != 0 ||
	    strstr(err.text, words) == NULL)
		fail_msg("%s\nexpected line %u, '%s', got: %s", text, line,
		    words, err.text);
	assert_null(strchr(err.text, '\n'));
}

/* A test of its own is each table of these: its name is true of each row. */
struct refusal {
	const char	*text;
	unsigned	 line;
	const char	*words;
};
#define REFUSED(rows)	{ #rows, are_refused, NULL, NULL, (void *)(rows) }

static inline void
are_refused(void **state)
{
	for (const struct refusal *row = *state; row->text != NULL; row++)
		expect_refused(row->text, row->line, row->words);
}

/* A key's values behind `before`, whose last line has the number `line`. */
struct values {
	const char	*before;
	unsigned	 line;
	const char	*key;
	const char	*good[8], *bad[16];
};
#define VALUES(rows) \
	{ #rows, are_taken_and_refused, NULL, NULL, (void *)(rows) }

static inline void
are_taken_and_refused(void **state)
{
	char text[512];

	for (const struct values *row = *state; row->before != NULL; row++) {
		for (size_t i = 0; row->good[i] != NULL; i++) {
			snprintf(text, sizeof(text), "%s%s = %s\n",
			    row->before, row->key, row->good[i]);
			pb_conf_destroy(load_good(text));
		}
		for (size_t i = 0; row->bad[i] != NULL; i++) {
			snprintf(text, sizeof(text), "%s%s = %s\n",
			    row->before, row->key, row->bad[i]);
			expect_refused(text, row->line + 1, row->key);
		}
	}
}

#endif
