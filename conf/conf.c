/*
 * conf/conf.c - reading one node's configuration
 *
 *	[kind name]	a section
 *	key = value	or `key: value`
 *	; or #		begins a line that says nothing; ` ;` what is left of
 *			one, behind a blank
 *
 * Promise: one clear line for the first thing that is wrong.
 * Reason:  a typing error must not become a default.
 * Limit:   CONF_LINE_MAX bytes a line; more is an error, never cut.
 * Not here: what keys there are (conf_keys.c), how they fit together
 * (conf_check.c).
 */
#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "conf/conf_keys.h"

#define CONF_LINE_MAX		(PB_CONF_VALUE_MAX + 1024)
#define CONF_TITLE_MAX		(PB_IFNAME_BYTES_MAX + 32)

struct load {
	struct pb_conf	*conf;
	FILE		*file;
	const char	*path;
	unsigned	 line;

	/* The section that is open; none before the first header. */
	bool		 open;
	enum pb_conf_kind kind;
	void		*section;		/* its struct in conf */
	char		 title[CONF_TITLE_MAX];	/* `capture eth0` */
	unsigned	 title_line;
	unsigned	 key_line[PB_CONF_KEYS_MAX];	/* 0: not given */

	size_t		 count[PB_CONF_KINDS];	/* sections so far */
	struct pb_err	 err;
};

static int	conf_alloc(struct pb_conf **, struct pb_err *);
static int	load_all(struct load *);
static int	complain(struct load *, unsigned, const char *);
static int	refuse(struct load *, const char *, const char *, ...)
		    __attribute__((format(printf, 3, 4)));

static int	read_line(struct load *, char *, size_t);
static int	check_line(struct load *, const char *, size_t);
static int	take_line(struct load *, char *);
static int	take_pair(struct load *, const char *, const char *);
static char	*trim(char *);

static int	open_section(struct load *, char *);
static int	split_header(struct load *, char *, char **, char **);
static int	section_kind(struct load *, const char *, const char *);
static int	section_place(struct load *, const char *);
static int	close_section(struct load *);
static int	keep_lines(struct load *);
static int	unknown_key(struct load *, const char *);
static int	trusted(const char *, struct pb_err *);

int
pb_conf_load(struct pb_conf **out, const char *path, struct pb_err *err)
{
	struct load *load = calloc(1, sizeof(*load));
	int rc;

	if (load == NULL)
		return pb_err_set(err, PB_ENOMEM, "read %s: no memory", path);
	load->path = path;
	if (strlen(path) >= sizeof(load->conf->file)) {
		rc = pb_err_set(&load->err, PB_EINVAL, "configuration file: "
		    "the path is longer than %zu bytes",
		    sizeof(load->conf->file) - 1);
		goto out;
	}
	load->file = fopen(path, "re");
	if (load->file == NULL) {
		rc = pb_err_sys(&load->err, "open configuration %s", path);
		goto out;
	}
	rc = conf_alloc(&load->conf, &load->err);
	if (rc < 0)
		goto out;
	strcpy(load->conf->file, path);
	rc = load_all(load);
	if (rc < 0)
		goto out;
	*out = load->conf;
	load->conf = NULL;
out:
	if (rc < 0 && err != NULL)
		*err = load->err;
	if (load->file != NULL)
		fclose(load->file);
	pb_conf_destroy(load->conf);
	free(load);
	return rc;
}

int
pb_conf_for_store(struct pb_conf **out, const char *store,
    struct pb_err *err)
{
	struct pb_conf *conf;
	int rc;

	if (store[0] == '\0' || strlen(store) >= sizeof(conf->store.path))
		return pb_err_set(err, PB_EINVAL, "store '%.64s': the path "
		    "is empty or longer than %zu bytes", store,
		    sizeof(conf->store.path) - 1);
	rc = conf_alloc(&conf, err);
	if (rc < 0)
		return rc;
	strcpy(conf->store.path, store);
	*out = conf;
	return 0;
}

const struct pb_conf_upstream *
pb_conf_upstream(const struct pb_conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->upstreams; i++)
		if (strcmp(conf->upstream[i].name, name) == 0)
			return &conf->upstream[i];
	return NULL;
}

const struct pb_conf_upstream *
pb_conf_puller(const struct pb_conf *conf, const char *name)
{
	const struct pb_conf_upstream *upstream = pb_conf_upstream(conf,
	    name);

	return upstream != NULL && pb_conf_pulled(upstream) ? upstream : NULL;
}

const struct pb_conf_edge *
pb_conf_edge(const struct pb_conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->edges; i++)
		if (strcmp(conf->edge[i].name, name) == 0)
			return &conf->edge[i];
	return NULL;
}

unsigned
pb_conf_rank(const char *globs, const char *stream)
{
	const char *item;
	unsigned rank = 0;
	size_t len;

	while (pb_list_next(&globs, &item, &len) &&
	    !pb_glob_match_len(item, len, stream))
		rank++;
	return rank;
}

bool
pb_conf_ships(void *arg, const char *upstream, const char *stream)
{
	const struct pb_conf_upstream *up = pb_conf_upstream(arg, upstream);

	return up != NULL && (stream == NULL ||
	    pb_glob_list_match(up->streams, stream));
}

int
pb_conf_upstream_defaults(struct pb_conf_upstream *out, struct pb_err *err)
{
	memset(out, 0, sizeof(*out));
	return pb_conf_defaults(PB_CONF_UPSTREAM, out, err);
}

void
pb_conf_destroy(struct pb_conf *conf)
{
	if (conf == NULL)
		return;
	for (enum pb_conf_kind kind = 0; kind < PB_CONF_KINDS; kind++)
		free(conf->lines[kind].of);
	free(conf->edge);
	free(conf);
}

int
pb_conf_blame(const struct pb_conf *conf, enum pb_conf_kind kind,
    const void *section, const char *key, struct pb_err *err)
{
	const struct pb_conf_section *s = &pb_conf_sections[kind];
	const char *first = (const char *)conf + s->at;
	size_t row;

	if (s->apart)
		first = *(const char *const *)(const void *)first;
	row = (size_t)((const char *)section - first) / s->bytes;
	if (row >= conf->lines[kind].rows)
		return err->code;
	return pb_err_prefix(err, err->code, "%s:%u", conf->file,
	    conf->lines[kind].of[row * PB_CONF_KEYS_MAX +
	    (size_t)(pb_conf_key_find(kind, key) - s->keys)]);
}

int
pb_conf_find(char out[static PATH_MAX], const char *given, struct pb_err *err)
{
	static const char *const tried[] = {
		"./packetbroker.conf",
		"/etc/packetbroker/packetbroker.conf",
	};

	/* A file that was named and is not there must not be replaced by
	 * another one: that would be somebody else's store. */
	if (given == NULL)
		given = getenv("PB_CONFIG");
	if (given != NULL && given[0] != '\0') {
		if (strlen(given) >= PATH_MAX)
			return pb_err_set(err, PB_EINVAL, "configuration "
			    "file: the path is longer than %d bytes",
			    PATH_MAX - 1);
		strcpy(out, given);
		return 0;
	}
	for (size_t i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
		if (access(tried[i], F_OK) < 0)
			continue;
		strcpy(out, tried[i]);
		return i > 0 ? 0 : trusted(out, err);
	}
	return pb_err_set(err, PB_ENOENT, "no configuration: $PB_CONFIG is "
	    "not set, and there is neither %s nor %s; name one with -c FILE",
	    tried[0], tried[1]);
}

/* The directory first: who cannot write in it cannot exchange the file. */
static int
trusted(const char *path, struct pb_err *err)
{
	const char *const part[] = { ".", path };
	mode_t others;
	struct stat st;

	for (size_t i = 0; i < 2; i++) {
		if (stat(part[i], &st) < 0)
			return pb_err_sys(err, "look at %s", part[i]);
		/* Many users have a group of their own, and umask 002. */
		others = geteuid() != 0 && st.st_gid == getegid() ?
		    S_IWOTH : S_IWGRP | S_IWOTH;
		if ((st.st_uid == geteuid() || st.st_uid == 0) &&
		    (st.st_mode & others) == 0)
			continue;
		return pb_err_set(err, PB_EINVAL, "%s is not taken, for %s "
		    "%s; Fix: name it with -c, if it is the one you mean",
		    path, i == 0 ? "the directory" : "it", st.st_uid ==
		    geteuid() || st.st_uid == 0 ? "can be written by others" :
		    "is another user's");
	}
	return 0;
}

/* Everything at its default; no captures, no upstreams. */
static int
conf_alloc(struct pb_conf **out, struct pb_err *err)
{
	struct pb_conf *conf = calloc(1, sizeof(*conf));
	int rc = 0;

	if (conf == NULL)
		return pb_err_set(err, PB_ENOMEM, "configuration: no memory");
	for (enum pb_conf_kind kind = 0; kind < PB_CONF_KINDS; kind++)
		if (rc == 0 && pb_conf_sections[kind].max == 1)
			rc = pb_conf_defaults(kind, (char *)conf +
			    pb_conf_sections[kind].at, err);
	if (rc < 0) {
		pb_conf_destroy(conf);
		return rc;
	}
	*out = conf;
	return 0;
}

static int
load_all(struct load *load)
{
	char line[CONF_LINE_MAX];
	int rc;

	while ((rc = read_line(load, line, sizeof(line))) > 0) {
		rc = take_line(load, line);
		if (rc < 0)
			break;
	}
	if (rc == 0)
		rc = close_section(load);
	if (rc < 0)
		return rc;
	for (enum pb_conf_kind kind = 0; kind <= PB_CONF_STORE; kind++)
		if (load->count[kind] == 0)
			return pb_err_set(&load->err, PB_EINVAL, "%s: no "
			    "[%s] section; every node needs one", load->path,
			    pb_conf_sections[kind].name);
	load->conf->listen.present = load->count[PB_CONF_LISTEN] > 0;
	rc = pb_conf_pair_pullers(load->conf, &load->err);
	return rc < 0 ? pb_err_prefix(&load->err, rc, "%s", load->path) : 0;
}

/* Put file, line, section and key before the words in load->err. */
static int
complain(struct load *load, unsigned line, const char *key)
{
	if (!load->open)
		pb_err_prefix(&load->err, load->err.code, "%s:%u", load->path,
		    line);
	else
		pb_err_prefix(&load->err, load->err.code, "%s:%u: [%s]%s%s",
		    load->path, line, load->title, key == NULL ? "" : " ",
		    key == NULL ? "" : key);
	return load->err.code;
}

/* The line that is read. */
static int
refuse(struct load *load, const char *key, const char *fmt, ...)
{
	char text[PB_ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pb_err_set(&load->err, PB_EINVAL, "%s", text);
	return complain(load, load->line, key);
}

/* --- lines --- */

/* 1 with the next line, the newline left out; 0 at the end, or the error. */
static int
read_line(struct load *load, char *line, size_t room)
{
	size_t len = 0;
	int c;

	load->line++;
	while ((c = getc(load->file)) != EOF && c != '\n') {
		if (len + 2 >= room)
			return refuse(load, NULL, "line too long; write at "
			    "most %zu bytes", room - 2);
		line[len++] = (char)c;
	}
	if (ferror(load->file))
		return pb_err_sys(&load->err, "read configuration %s",
		    load->path);
	if (c == EOF && len == 0)
		return 0;
	if (len > 0 && line[len - 1] == '\r')
		len--;
	line[len] = '\0';
	return check_line(load, line, len) < 0 ? load->err.code : 1;
}

/* Names and descriptions end in files, URLs and terminals: text only. */
static int
check_line(struct load *load, const char *line, size_t len)
{
	const uint8_t *p = (const uint8_t *)line;

	for (size_t at = 0; at < len;) {
		size_t n = pb_utf8_length(p + at, len - at);

		if (n == 0 || (p[at] < 0x20 && p[at] != '\t') ||
		    p[at] == 0x7f)
			return refuse(load, NULL, "byte %zu is no UTF-8 "
			    "text or is a control character", at + 1);
		at += n;
	}
	return 0;
}

static int
take_line(struct load *load, char *line)
{
	char *value, *c;

	if (load->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0)
		line += 3;
	line = trim(line);
	if (line[0] == '\0' || line[0] == ';' || line[0] == '#')
		return 0;
	if (line[0] == '[')
		return open_section(load, line);
	for (c = line + 1; *c != '\0'; c++)
		if (*c == ';' && (c[-1] == ' ' || c[-1] == '\t')) {
			*c = '\0';
			break;
		}
	value = strpbrk(line, "=:");
	if (value == NULL)
		return pb_err_set(&load->err, PB_EINVAL, "%s:%u: neither a "
		    "[section] nor a key; write key = value", load->path,
		    load->line);
	*value++ = '\0';
	return take_pair(load, trim(line), trim(value));
}

static int
take_pair(struct load *load, const char *name, const char *value)
{
	const struct pb_conf_key *key;
	unsigned *seen;

	if (!load->open)
		return refuse(load, NULL, "%.64s: stands before the first "
		    "section; begin with [node]", name);
	key = pb_conf_key_find(load->kind, name);
	if (key == NULL)
		return unknown_key(load, name);
	seen = &load->key_line[key - pb_conf_sections[load->kind].keys];
	if (*seen != 0)
		return refuse(load, name, "given already in line %u; keep "
		    "one of the two", *seen);
	*seen = load->line;
	if (key->parse(key, (char *)load->section + key->offset, value,
	    &load->err) < 0)
		return complain(load, load->line, name);
	return 0;
}

/* Without the blanks at either end. */
static char *
trim(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		text[--len] = '\0';
	return text;
}

/* --- sections --- */

static int
open_section(struct load *load, char *header)
{
	char *kind = NULL, *name = NULL;
	const struct pb_conf_section *s;

	if (close_section(load) < 0)
		return load->err.code;
	load->open = false;
	if (split_header(load, header, &kind, &name) < 0 ||
	    section_kind(load, kind, name) < 0)
		return load->err.code;
	s = &pb_conf_sections[load->kind];
	snprintf(load->title, sizeof(load->title), "%s%s%.*s", kind,
	    name[0] == '\0' ? "" : " ", PB_IFNAME_BYTES_MAX, name);
	load->title_line = load->line;
	memset(load->key_line, 0, sizeof(load->key_line));
	load->open = true;
	if (section_place(load, name) < 0)
		return load->err.code;
	if (pb_conf_defaults(load->kind, load->section, &load->err) < 0 ||
	    (s->example != NULL && s->title.parse(&s->title, load->section,
	    name, &load->err) < 0))
		return complain(load, load->line, NULL);
	return 0;
}

/* `[ kind name ]`, then nothing but a comment; "" where there is no name. */
static int
split_header(struct load *load, char *header, char **kind, char **name)
{
	char *end = strchr(header, ']'), *rest;

	if (end == NULL)
		return refuse(load, NULL, "section header without its ]; "
		    "write [section] or [section name]");
	rest = end + 1 + strspn(end + 1, " \t");
	if (*rest != '\0' && *rest != ';' && *rest != '#')
		return refuse(load, NULL, "'%.64s' stands behind a section "
		    "header; write it into the next line", rest);
	while (end > header + 1 && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	*kind = header + 1 + strspn(header + 1, " \t");
	*name = *kind + strcspn(*kind, " \t");
	if (**name != '\0') {
		*(*name)++ = '\0';
		*name += strspn(*name, " \t");
	}
	return 0;
}

static int
section_kind(struct load *load, const char *kind, const char *name)
{
	const char *names[PB_CONF_KINDS], *near;
	const struct pb_conf_section *s;
	size_t i;

	for (i = 0; i < PB_CONF_KINDS; i++) {
		names[i] = pb_conf_sections[i].name;
		if (strcmp(names[i], kind) == 0)
			break;
	}
	if (i == PB_CONF_KINDS) {
		near = pb_nearest(kind, names, PB_CONF_KINDS);
		return near != NULL ?
		    refuse(load, NULL, "[%.64s]: unknown section; did you "
		    "mean [%s]?", kind, near) :
		    refuse(load, NULL, "[%.64s]: unknown section; there are "
		    "node, store, capture, listen, upstream and edge", kind);
	}
	s = &pb_conf_sections[i];
	load->kind = (enum pb_conf_kind)i;
	if (s->example == NULL && name[0] != '\0')
		return refuse(load, NULL, "[%s %.64s]: takes no name; write "
		    "[%s]", kind, name, kind);
	if (s->example != NULL && name[0] == '\0')
		return refuse(load, NULL, "[%s]: needs a name; write it like "
		    "%s", kind, s->example);
	return 0;
}

/* Where the section's values go; refuses a second one of the same name. */
static int
section_place(struct load *load, const char *name)
{
	const struct pb_conf_section *s = &pb_conf_sections[load->kind];
	size_t n = load->count[load->kind];
	char *first = (char *)load->conf + s->at, **apart = (void *)first;
	const char *other;

	if (s->apart)
		first = *apart;
	other = first;
	for (size_t i = 0; i < n; i++, other += s->bytes)
		if (s->example == NULL || strcmp(other, name) == 0)
			return refuse(load, NULL, "a second section of this "
			    "name; write all its keys into one");
	if (n == s->max)
		return refuse(load, NULL, "one section of this kind too "
		    "many; write at most %zu", s->max);
	/* Room for twice as many. */
	if (s->apart && (n & (n - 1)) == 0) {
		first = realloc(first, (n == 0 ? 1 : 2 * n) * s->bytes);
		if (first == NULL)
			return refuse(load, NULL, "no memory for it");
		*apart = first;
	}
	load->count[load->kind]++;
	load->section = first + n * s->bytes;
	memset(load->section, 0, s->bytes);
	return 0;
}

/* What needs all keys; a fault is laid at its key's line. */
static int
close_section(struct load *load)
{
	const struct pb_conf_section *s = &pb_conf_sections[load->kind];
	const char *key = NULL;
	size_t i;

	if (!load->open)
		return 0;
	for (i = 0; i < s->count; i++) {
		key = s->keys[i].name;
		if (s->keys[i].needed == NULL || load->key_line[i] != 0)
			continue;
		pb_err_set(&load->err, PB_EINVAL, "missing; write %s",
		    s->keys[i].needed);
		return complain(load, load->title_line, key);
	}
	load->conf->captures = load->count[PB_CONF_CAPTURE];
	load->conf->upstreams = load->count[PB_CONF_UPSTREAM];
	load->conf->edges = load->count[PB_CONF_EDGE];
	if ((s->check == NULL ||
	    s->check(load->section, &key, &load->err) == 0) &&
	    pb_conf_check_ways(load->conf, &key, &load->err) == 0)
		return keep_lines(load);
	/* It may be another section's key that does not go with this one. */
	if (pb_conf_key_find(load->kind, key) == NULL)
		return complain(load, load->title_line, NULL);
	i = (size_t)(pb_conf_key_find(load->kind, key) - s->keys);
	return complain(load, load->key_line[i] != 0 ? load->key_line[i] :
	    load->title_line, key);
}

/* For what is found wrong later. */
static int
keep_lines(struct load *load)
{
	struct pb_conf_lines *lines = &load->conf->lines[load->kind];
	size_t n = lines->rows;
	unsigned *row;

	/* Room for twice as many. */
	if ((n & (n - 1)) == 0) {
		row = realloc(lines->of, (n == 0 ? 1 : 2 * n) *
		    sizeof(load->key_line));
		if (row == NULL)
			return refuse(load, NULL, "no memory for it");
		lines->of = row;
	}
	row = lines->of + lines->rows++ * PB_CONF_KEYS_MAX;
	for (size_t i = 0; i < PB_CONF_KEYS_MAX; i++)
		row[i] = load->key_line[i] != 0 ? load->key_line[i] :
		    load->title_line;
	return 0;
}

static int
unknown_key(struct load *load, const char *name)
{
	const struct pb_conf_section *s = &pb_conf_sections[load->kind];
	const char *names[PB_CONF_KEYS_MAX], *near;
	struct pb_buf known;

	pb_buf_init(&known, PB_ERR_TEXT_MAX);
	for (size_t i = 0; i < s->count; i++) {
		names[i] = s->keys[i].name;
		pb_buf_printf(&known, "%s%s", i == 0 ? "" : ", ", names[i]);
	}
	near = pb_nearest(name, names, s->count);
	if (near != NULL)
		refuse(load, name, "unknown key; did you mean %s?", near);
	else
		refuse(load, name, "unknown key; there are %s",
		    pb_buf_cstr(&known));
	pb_buf_finish(&known);
	return load->err.code;
}
