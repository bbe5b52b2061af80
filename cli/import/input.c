/*
 * cli/import/input.c - a capture file that can be read twice
 */
#include "cli/import/input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sys.h"
#include "cli/common/cli.h"

/* As much as stays in a processor's cache until it is looked at. */
#define READ_BYTES	(1u << 20)
/* A block, and what was read behind the one before it. */
#define WINDOW_BYTES_MAX (PB_BLOCK_BYTES_MAX + 2 * READ_BYTES)

/* The part of the file that is in memory: [at, buf.len) is not used yet. */
struct window {
	int		 fd;
	uint64_t	 offset;	/* in the file, of what comes next */
	uint64_t	 end;		/* or UINT64_MAX: its end */
	struct pb_buf	 buf;
	size_t		 at;
	bool		 eof;
};

static int	spool(struct pb_input *, int, struct pb_err *);
static int	spool_all(struct pb_input *, int, uint8_t *, struct pb_err *);
static int	interrupted(const struct pb_input *, struct pb_err *);
static int	check_start(const uint8_t *, size_t, struct pb_err *);
static int	spool_open(struct pb_err *);
static int	same_file(struct pb_input *, struct window *,
		    struct pb_err *);
static int	read_events(struct window *, const struct pb_input_calls *,
		    struct pb_err *);
static int	read_more(struct window *, size_t, struct pb_err *);

int
pb_input_init(struct pb_input *input, const char *name, bool keep,
    struct pb_err *err)
{
	struct stat st;
	int fd, rc = 0;

	input->standard = strcmp(name, "-") == 0;
	input->name = input->standard ? "standard input" : name;
	input->fd = -1;
	input->size = 0;
	input->known = false;
	if (name[0] == '\0')
		return pb_err_set(err, PB_EINVAL, "a file to read has no "
		    "name; give one, or `-` for standard input");
	fd = input->standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && pb_cli_stopped() != 0) {
		rc = interrupted(input, err);	/* a FIFO that nobody wrote */
	} else if (fd < 0 || fstat(fd, &st) < 0) {
		rc = pb_err_sys(err, "%s", input->name);
	} else if (S_ISDIR(st.st_mode)) {
		rc = pb_err_set(err, PB_ESYS, "%s: is a directory; name the "
		    "capture files in it", input->name);
	} else if (S_ISREG(st.st_mode) && !input->standard) {
		input->size = (uint64_t)st.st_size;
		input->fd = keep ? fd : -1;
	} else {
		rc = spool(input, fd, err);
	}
	if (fd >= 0 && !input->standard && fd != input->fd)
		close(fd);
	return rc;
}

void
pb_input_finish(struct pb_input *input)
{
	if (input->fd >= 0)
		close(input->fd);
	input->fd = -1;
}

int
pb_input_read(struct pb_input *input, const struct pb_input_calls *calls,
    struct pb_err *err)
{
	struct window window = { .end = UINT64_MAX };
	int rc;

	window.fd = input->fd >= 0 ? input->fd :
	    open(input->name, O_RDONLY | O_CLOEXEC);
	if (window.fd < 0)
		return pb_err_sys(err, "%s", input->name);
	pb_buf_init(&window.buf, WINDOW_BYTES_MAX);
	rc = same_file(input, &window, err);
	if (rc == 0 && pb_buf_reserve(&window.buf, READ_BYTES) == NULL)
		rc = pb_err_set(err, PB_ENOMEM, "no memory to read the file");
	if (rc == 0)
		rc = read_events(&window, calls, err);
	if (rc < 0)
		pb_err_prefix(err, rc, "%s", input->name);
	input->known = input->known || rc == 0;
	if (rc == 0)
		input->end = window.offset;
	pb_buf_finish(&window.buf);
	if (window.fd != input->fd)
		close(window.fd);
	return rc;
}

/* The second time it is the file that it was, and ends where it did. */
static int
same_file(struct pb_input *input, struct window *window, struct pb_err *err)
{
	struct stat st;

	if (fstat(window->fd, &st) < 0)
		return pb_err_sys(err, "look at it");
	if (input->known && (st.st_dev != input->dev ||
	    st.st_ino != input->ino))
		return pb_err_set(err, PB_EFORMAT, "is another file than the "
		    "one that was checked");
	input->dev = st.st_dev;
	input->ino = st.st_ino;
	if (input->known)
		window->end = input->end;
	return 0;
}

static int
read_events(struct window *window, const struct pb_input_calls *calls,
    struct pb_err *err)
{
	struct pb_reader *reader;
	struct pb_event event;
	size_t used;
	int rc;

	rc = pb_reader_create(&reader, err);
	while (rc == 0) {
		rc = pb_reader_next(reader, window->buf.data + window->at,
		    window->buf.len - window->at, window->eof, &used, &event,
		    err);
		if (rc == PB_READ_EVENT)
			rc = calls->event(calls->arg, &event, err);
		else if (rc == PB_READ_END)
			break;
		else if (rc == PB_READ_MORE) {
			window->at += used;
			used = 0;
			rc = read_more(window, pb_reader_need(reader), err);
			if (rc == 0 && calls->done != NULL)
				rc = calls->done(calls->arg, window->offset,
				    err);
		}
		window->at += used;
	}
	pb_reader_destroy(reader);
	return rc == PB_READ_END ? 0 : rc;
}

/* Make the window hold `need` bytes, or all up to the end. */
static int
read_more(struct window *window, size_t need, struct pb_err *err)
{
	size_t want;
	ssize_t n;
	uint8_t *at;

	pb_buf_consume(&window->buf, window->at);
	window->at = 0;
	while (!window->eof && window->buf.len < need) {
		at = pb_buf_reserve(&window->buf, READ_BYTES);
		if (at == NULL)
			return pb_err_set(err, PB_ENOMEM,
			    "no memory to read the file");
		want = window->end - window->offset < READ_BYTES ?
		    (size_t)(window->end - window->offset) : READ_BYTES;
		n = pb_pread_all(window->fd, at, want, window->offset, err);
		if (n < 0)
			return (int)n;
		window->buf.len += (size_t)n;
		window->offset += (uint64_t)n;
		window->eof = (size_t)n < want ||
		    window->offset == window->end;
		if ((size_t)n < want && window->end != UINT64_MAX)
			return pb_err_set(err, PB_EFORMAT, "offset %" PRIu64
			    ": the file ends; it had %" PRIu64 " bytes when "
			    "it was checked", window->offset, window->end);
	}
	return 0;
}

/* Copy all of `fd` to a temporary file. */
static int
spool(struct pb_input *input, int fd, struct pb_err *err)
{
	uint8_t *piece = malloc(READ_BYTES);
	int rc;

	if (piece == NULL)
		return pb_err_set(err, PB_ENOMEM, "%s: no memory to read it",
		    input->name);
	rc = input->fd = spool_open(err);
	if (rc >= 0)
		rc = spool_all(input, fd, piece, err);
	free(piece);
	return rc;
}

/* Who feeds a pipe may never end; whoever waits may want to. */
static int
spool_all(struct pb_input *input, int fd, uint8_t *piece, struct pb_err *err)
{
	ssize_t n;
	int rc;

	for (;;) {
		n = read(fd, piece, READ_BYTES);
		if (pb_cli_stopped() != 0)
			return interrupted(input, err);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pb_err_sys(err, "%s", input->name);
		if (n == 0)
			return 0;
		if (input->size == 0 && check_start(piece, (size_t)n, err) < 0)
			return pb_err_prefix(err, err->code, "%s",
			    input->name);
		rc = pb_pwrite_all(input->fd, piece, (size_t)n,
		    input->size, err);
		if (rc < 0)
			return pb_err_prefix(err, rc, "%s: copy it to a "
			    "temporary file", input->name);
		input->size += (uint64_t)n;
	}
}

static int
interrupted(const struct pb_input *input, struct pb_err *err)
{
	return pb_err_set(err, PB_ESYS, "%s: interrupted; nothing was "
	    "imported", input->name);
}

/* Nothing is copied without end that is no capture from its first bytes on. */
static int
check_start(const uint8_t *bytes, size_t len, struct pb_err *err)
{
	struct pb_reader *reader;
	struct pb_event event;
	size_t used;
	int rc = pb_reader_create(&reader, err);

	if (rc == 0)
		rc = pb_reader_next(reader, bytes, len, false, &used, &event,
		    err);
	pb_reader_destroy(reader);
	return rc < 0 ? rc : 0;
}

static int
spool_open(struct pb_err *err)
{
	const char *dir = getenv("TMPDIR");
	char path[PATH_MAX];
	int fd;

	if (dir == NULL || dir[0] == '\0')
		dir = "/tmp";
	if (snprintf(path, sizeof(path), "%s/pb-import-XXXXXX", dir) >=
	    (int)sizeof(path))
		return pb_err_set(err, PB_EINVAL, "$TMPDIR is too long");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return pb_err_sys(err, "make a temporary file in %s", dir);
	unlink(path);
	return fd;
}
