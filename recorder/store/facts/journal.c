/*
 * recorder/store/facts/journal.c - what a stream's segments cannot say
 */
#include "recorder/store/facts/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/below.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/sys.h"
#include "base/text.h"

/* ,"xxh3":"0123456789abcdef"} */
#define DIGEST_KEY	",\"xxh3\":\""
#define DIGEST_END	"\"}"
#define DIGEST_BYTES	(sizeof(DIGEST_KEY) - 1 + 16 + sizeof(DIGEST_END) - 1)
#define WINDOW_BYTES	(64u << 10)
/* Facts of one append or of a journal written anew. */
#define TEXT_BYTES_MAX	(64u << 20)

static const char *const fact_names[] = {
	[PB_FACT_STREAM] = "stream", [PB_FACT_GAP] = "gap",
	[PB_FACT_FILL] = "fill", [PB_FACT_EXPIRED] = "expired",
};

struct reader {
	int		 fd;
	int		(*each)(void *, const struct pb_fact *);
	void		*arg;
	struct pb_journal_news *news;
};

static int	paths(char [static PATH_MAX], char [static PATH_MAX],
		    const char *, const char *, const struct pb_stream_key *,
		    struct pb_err *);
static int	text_of(struct pb_buf *, const struct pb_fact *, size_t,
		    struct pb_err *);
static void	line_of(struct pb_buf *, const struct pb_fact *);
static int	append_text(int, const char *, const struct pb_buf *,
		    struct pb_err *);
static int	cut_torn(int, uint64_t *, struct pb_err *);
static int	read_lines(struct reader *, struct pb_err *);
static int	take_lines(struct reader *, struct pb_buf *, uint64_t *);
static bool	parse_line(const char *, size_t, struct pb_fact *);
static bool	parse_fact(const char *, size_t, struct pb_fact *);
static uint64_t	number(struct pb_json_doc *, const char *, uint64_t, uint64_t);

struct pb_fact
pb_fact_of_stream(const struct pb_stream_info *info)
{
	return (struct pb_fact){
		.kind = PB_FACT_STREAM,
		.id = info->id,
		.linktype = info->linktype,
		.snaplen = info->snaplen,
		.own = info->own,
		.time_ns = info->created_ns,
	};
}

struct pb_fact
pb_fact_of_gap(const struct pb_gap_info *gap)
{
	return (struct pb_fact){
		.kind = PB_FACT_GAP,
		.first = gap->first,
		.last = gap->last,
		.reason = gap->reason,
		.time_ns = gap->since_ns,
	};
}

int
pb_journal_path(char out[static PATH_MAX], const char *store,
    const struct pb_stream_key *key, struct pb_err *err)
{
	char dir[PATH_MAX];

	return paths(dir, out, PB_JOURNAL_NAME, store, key, err);
}

/* The stream's directory, and a file in it. */
static int
paths(char dir[static PATH_MAX], char file[static PATH_MAX], const char *name,
    const char *store, const struct pb_stream_key *key, struct pb_err *err)
{
	int rc = pb_layout_stream(dir, store, key, err);

	return rc < 0 ? rc : pb_layout_path(file, dir, name, err);
}

int
pb_journal_append(const char *store, const struct pb_stream_key *key,
    const struct pb_fact *facts, size_t count, struct pb_err *err)
{
	char path[PATH_MAX], dir[PATH_MAX];
	struct pb_buf text;
	struct stat st;
	int fd, rc;

	rc = paths(dir, path, PB_JOURNAL_NAME, store, key, err);
	if (rc < 0)
		return rc;
	fd = pb_below_open(path, O_RDWR, 0);
	if (fd < 0 && errno == ENOENT) {
		rc = pb_mkdirs_sync(dir, err);
		if (rc < 0)
			return rc;
		fd = pb_below_open(path, O_RDWR | O_CREAT, 0640);
	}
	if (fd < 0)
		return pb_err_sys(err, "open %s", path);
	rc = text_of(&text, facts, count, err);
	/* One that holds something has a name that stays. */
	if (rc == 0 && pb_file_stat(fd, &st) == 0 && st.st_size == 0)
		rc = pb_sync_dir(dir, err);
	if (rc == 0)
		rc = append_text(fd, path, &text, err);
	pb_buf_finish(&text);
	pb_file_close(fd);
	return rc;
}

int
pb_journal_sync(const char *store, const struct pb_stream_key *key,
    struct pb_err *err)
{
	char path[PATH_MAX], dir[PATH_MAX];
	int fd, rc = paths(dir, path, PB_JOURNAL_NAME, store, key, err);

	if (rc < 0)
		return rc;
	fd = pb_below_open(path, O_RDWR, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : pb_err_sys(err, "open %s", path);
	if (pb_file_datasync(fd) < 0)
		rc = pb_err_sys(err, "sync %s", path);
	pb_file_close(fd);
	return rc < 0 ? rc : pb_sync_dir(dir, err);
}

int
pb_journal_replace(const char *store, const struct pb_stream_key *key,
    const struct pb_fact *facts, size_t count, struct pb_err *err)
{
	char path[PATH_MAX], dir[PATH_MAX], hidden[PATH_MAX];
	struct pb_buf text;
	int fd, rc;

	rc = paths(dir, path, PB_JOURNAL_NAME, store, key, err);
	if (rc == 0)
		rc = paths(dir, hidden, "." PB_JOURNAL_NAME, store, key, err);
	if (rc == 0)
		rc = pb_mkdirs(dir, err);
	if (rc < 0)
		return rc;
	fd = pb_below_open(hidden, O_RDWR | O_CREAT | O_TRUNC, 0640);
	if (fd < 0)
		return pb_err_sys(err, "make %s", hidden);
	rc = text_of(&text, facts, count, err);
	if (rc == 0)
		rc = append_text(fd, hidden, &text, err);
	if (rc == 0 && pb_below_rename(hidden, path, 0) < 0)
		rc = pb_err_sys(err, "rename %s", hidden);
	if (rc == 0)
		rc = pb_sync_dir(dir, err);
	pb_buf_finish(&text);
	pb_file_close(fd);
	return rc;
}

int
pb_journal_read(const char *store, const struct pb_stream_key *key,
    int (*each)(void *, const struct pb_fact *), void *arg,
    struct pb_journal_news *news, struct pb_err *err)
{
	struct reader reader = { .each = each, .arg = arg, .news = news };
	char path[PATH_MAX];
	int rc = pb_journal_path(path, store, key, err);

	memset(news, 0, sizeof(*news));
	if (rc < 0)
		return rc;
	reader.fd = pb_below_open(path, O_RDONLY, 0);
	if (reader.fd < 0 && errno == ENOENT)
		return 0;
	if (reader.fd < 0)
		return pb_err_sys(err, "open %s", path);
	rc = read_lines(&reader, err);
	pb_file_close(reader.fd);
	return rc < 0 ? pb_err_prefix(err, rc, "%s", path) : rc;
}

uint64_t
pb_journal_bytes(const char *store, const struct pb_stream_key *key)
{
	char path[PATH_MAX];
	struct stat st;

	return pb_journal_path(path, store, key, NULL) == 0 &&
	    pb_below_stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* --- writing ------------------------------------------------------------ */

static int
text_of(struct pb_buf *text, const struct pb_fact *facts, size_t count,
    struct pb_err *err)
{
	pb_buf_init(text, TEXT_BYTES_MAX);
	for (size_t i = 0; i < count; i++)
		line_of(text, &facts[i]);
	if (text->failed)
		return pb_err_set(err, PB_ENOMEM, "no memory for a journal");
	return 0;
}

static void
line_of(struct pb_buf *text, const struct pb_fact *fact)
{
	size_t start = text->len;
	struct pb_json json;
	char digest[17];

	pb_json_init(&json, text);
	pb_json_object(&json, NULL);
	pb_json_text(&json, "fact", fact_names[fact->kind]);
	if (fact->kind == PB_FACT_STREAM) {
		pb_json_u64(&json, "id", fact->id);
		pb_json_u64(&json, "link_type", fact->linktype);
		pb_json_u64(&json, "snap_length", fact->snaplen);
		pb_json_u64(&json, "own", fact->own);
	} else {
		pb_json_u64(&json, "first", fact->first);
		pb_json_u64(&json, "last", fact->last);
	}
	if (fact->kind == PB_FACT_GAP)
		pb_json_text(&json, "reason",
		    pb_gap_reason_name(fact->reason));
	pb_json_u64(&json, "time_ns", fact->time_ns);
	if (text->failed)
		return;
	pb_hex64(pb_digest(text->data + start, text->len - start), digest);
	pb_json_text(&json, "xxh3", digest);
	pb_json_end(&json);
	pb_buf_str(text, "\n");
}

static int
append_text(int fd, const char *path, const struct pb_buf *text,
    struct pb_err *err)
{
	uint64_t end;
	int rc = cut_torn(fd, &end, err);

	if (rc < 0)
		return pb_err_prefix(err, rc, "%s", path);
	rc = pb_pwrite_all(fd, text->data, text->len, end, err);
	if (rc == 0 && pb_file_datasync(fd) < 0)
		rc = pb_err_sys(err, "sync");
	if (rc == 0)
		return 0;
	/* As it was, as far as that is possible now. */
	if (pb_file_truncate(fd, end) < 0)
		return pb_err_prefix(err, rc, "%s (and it cannot be cut back)",
		    path);
	return pb_err_prefix(err, rc, "%s", path);
}

/* The end of the last whole line; what a crash left behind it goes. */
static int
cut_torn(int fd, uint64_t *end, struct pb_err *err)
{
	char tail[PB_JOURNAL_LINE_MAX];
	struct stat st;
	uint64_t from;
	ssize_t got;

	*end = 0;
	if (pb_file_stat(fd, &st) < 0)
		return pb_err_sys(err, "look at it");
	*end = (uint64_t)st.st_size;
	from = *end > sizeof(tail) ? *end - sizeof(tail) : 0;
	got = pb_pread_all(fd, tail, (size_t)(*end - from), from, err);
	if (got < 0)
		return (int)got;
	while (got > 0 && tail[got - 1] != '\n')
		got--;
	/* Longer than any line of ours: rot, which verify speaks of.  It
	 * stays, and ends here: what comes is a line of its own. */
	if (got == 0 && from > 0) {
		int rc = pb_pwrite_all(fd, "\n", 1, *end, err);

		*end += rc == 0;
		return rc;
	}
	if (from + (uint64_t)got == *end)
		return 0;
	*end = from + (uint64_t)got;
	if (pb_file_truncate(fd, *end) < 0)
		return pb_err_sys(err, "cut a torn line");
	return 0;
}

/* --- reading ------------------------------------------------------------ */

static int
read_lines(struct reader *reader, struct pb_err *err)
{
	struct pb_buf window;
	uint64_t at = 0;
	int rc = 0;

	pb_buf_init(&window, WINDOW_BYTES + PB_JOURNAL_LINE_MAX + 1);
	while (rc == 0) {
		uint8_t *room = pb_buf_reserve(&window,
		    WINDOW_BYTES - window.len);
		ssize_t got;

		if (room == NULL) {
			rc = pb_err_set(err, PB_ENOMEM, "no memory");
			break;
		}
		got = pb_pread_all(reader->fd, room, WINDOW_BYTES - window.len,
		    at + window.len, err);
		if (got < 0)
			rc = (int)got;
		if (got <= 0)
			break;
		window.len += (size_t)got;
		reader->news->bytes = at + window.len;
		rc = take_lines(reader, &window, &at);
	}
	reader->news->torn = window.len > 0;
	pb_buf_finish(&window);
	return rc;
}

/* Whole lines at the window's start; `at` is its offset in the file. */
static int
take_lines(struct reader *reader, struct pb_buf *window, uint64_t *at)
{
	size_t used = 0;
	int rc = 0;

	while (rc == 0 && used < window->len) {
		const char *line = (const char *)window->data + used;
		size_t left = window->len - used, len;
		const char *end = memchr(line, '\n', left);
		struct pb_fact fact;

		if (end == NULL && left <= PB_JOURNAL_LINE_MAX)
			break;
		len = end != NULL ? (size_t)(end - line) : left - 1;
		if (parse_line(line, len, &fact)) {
			reader->news->lines++;
			rc = reader->each(reader->arg, &fact);
		} else if (reader->news->rotten++ == 0) {
			reader->news->rotten_at = *at + used;
		}
		used += len + 1;
	}
	pb_buf_consume(window, used);
	*at += used;
	return rc;
}

static bool
parse_line(const char *line, size_t len, struct pb_fact *out)
{
	char hex[17];
	size_t head;

	if (len <= DIGEST_BYTES || len > PB_JOURNAL_LINE_MAX)
		return false;
	head = len - DIGEST_BYTES;
	if (memcmp(line + head, DIGEST_KEY, sizeof(DIGEST_KEY) - 1) != 0 ||
	    memcmp(line + len - sizeof(DIGEST_END) + 1, DIGEST_END,
	    sizeof(DIGEST_END) - 1) != 0)
		return false;
	pb_hex64(pb_digest(line, head), hex);
	if (memcmp(line + head + sizeof(DIGEST_KEY) - 1, hex, 16) != 0)
		return false;
	return parse_fact(line, len, out);
}

/* The digest was right; the meaning may still not be one we know. */
static bool
parse_fact(const char *line, size_t len, struct pb_fact *out)
{
	char name[16], reason[16];
	struct pb_json_doc doc;

	memset(out, 0, sizeof(*out));
	pb_json_doc_open(&doc, line, len, NULL);
	pb_json_doc_text(&doc, "fact", name, sizeof(name));
	for (int k = PB_FACT_STREAM; k <= PB_FACT_EXPIRED; k++)
		if (strcmp(name, fact_names[k]) == 0)
			out->kind = (enum pb_fact_kind)k;
	out->time_ns = pb_json_doc_u64(&doc, "time_ns");
	if (out->kind == PB_FACT_STREAM) {
		out->id = (uint32_t)number(&doc, "id", 0, UINT32_MAX);
		out->linktype = (uint16_t)number(&doc, "link_type", 0,
		    UINT16_MAX);
		out->snaplen = (uint32_t)number(&doc, "snap_length", 0,
		    UINT32_MAX);
		out->own = pb_json_doc_u64(&doc, "own") != 0;
	} else {
		out->first = number(&doc, "first", 1, UINT64_MAX - 1);
		out->last = number(&doc, "last", out->first, UINT64_MAX - 1);
	}
	if (out->kind == PB_FACT_GAP) {
		pb_json_doc_text(&doc, "reason", reason, sizeof(reason));
		out->reason = pb_gap_reason_parse(reason);
	}
	pb_json_doc_close(&doc);
	return doc.rc == 0 && out->kind != 0 &&
	    (out->kind != PB_FACT_GAP || out->reason != 0);
}

static uint64_t
number(struct pb_json_doc *doc, const char *key, uint64_t min, uint64_t max)
{
	uint64_t value = pb_json_doc_u64(doc, key);

	if (value < min || value > max)
		doc->rc = PB_EFORMAT;
	return value;
}
