/*
 * cli/common/capture_file.c - a capture file, or a pipe, read event by event
 */
#include "cli/common/capture_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "pcapng/option.h"

#define READ_BYTES	(1u << 20)
/* A block, and what was read behind the one before it. */
#define WINDOW_BYTES_MAX (PB_BLOCK_BYTES_MAX + 2 * READ_BYTES)
#define PIPE_BYTES	((int)READ_BYTES)
#define POLL_MS		100

static int	take(struct pb_capture_file *, const struct pb_event *, size_t);
static int	read_more(struct pb_capture_file *, struct pb_err *);
static bool	has_input(const struct pb_capture_file *, int);

int
pb_capture_file_open(struct pb_capture_file *file, const char *name,
    struct pb_err *err)
{
	bool standard = strcmp(name, "-") == 0;
	struct stat st;

	file->name = standard ? "standard input" : name;
	if (name[0] == '\0')
		return pb_err_set(err, PB_EINVAL, "a file to read has no "
		    "name; give one, or `-` for standard input");
	/* A FIFO is not waited for here, where no signal would end it well. */
	file->fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC |
	    O_NONBLOCK);
	if (file->fd < 0)
		return pb_err_sys(err, "%s", file->name);
	file->opened = !standard;
	pb_buf_init(&file->window, WINDOW_BYTES_MAX);
	if (fstat(file->fd, &st) < 0)
		return pb_err_sys(err, "%s", file->name);
	if (S_ISDIR(st.st_mode))
		return pb_err_set(err, PB_ESYS, "%s: is a directory; name a "
		    "capture file in it", file->name);
	file->regular = S_ISREG(st.st_mode);
	/* As much as is read at once; less does as well. */
	if (S_ISFIFO(st.st_mode))
		(void)fcntl(file->fd, F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

void
pb_capture_file_finish(struct pb_capture_file *file)
{
	if (file->opened)
		close(file->fd);
	file->opened = false;
	pb_reader_destroy(file->reader);
	file->reader = NULL;
	pb_buf_finish(&file->window);
}

int
pb_capture_file_begin(struct pb_capture_file *file,
    const struct pb_stop *stop, struct pb_err *err)
{
	if (file->reader != NULL && lseek(file->fd, 0, SEEK_SET) < 0)
		return pb_err_sys(err, "%s: read it again", file->name);
	pb_reader_destroy(file->reader);
	pb_buf_clear(&file->window);
	file->at = file->used = 0;
	file->eof = file->identified = false;
	file->stop = stop;
	return pb_reader_create(&file->reader, err);
}

unsigned
pb_capture_file_names(const struct pb_capture_file *file,
    const struct pb_event *event, pb_capture_names out)
{
	const struct pb_identity *identity = &file->identity;
	struct pb_option option;
	unsigned n = 0;

	if (file->identified)
		snprintf(out[n++], PB_STREAM_NAME_MAX, "%s/%s",
		    identity->node[0].name, identity->interface);
	if (pb_option_find(event->packet.options, event->packet.options_len,
	    PB_OPT_IF_NAME, &option))
		pb_utf8_clean(out[n++], PB_STREAM_NAME_MAX, option.value,
		    option.len);
	snprintf(out[n++], PB_STREAM_NAME_MAX, "%u", event->interface);
	return n;
}

int
pb_capture_file_error(const struct pb_capture_file *file, struct pb_err *err)
{
	if (file->rc < 0 && err != NULL)
		*err = file->err;
	return file->rc;
}

int
pb_capture_file_next(struct pb_capture_file *file, struct pb_event *event,
    struct pb_err *err)
{
	size_t used;
	int rc;

	file->at += file->used;
	file->used = 0;
	for (;;) {
		rc = pb_reader_next(file->reader, file->window.data +
		    file->at, file->window.len - file->at, file->eof, &used,
		    event, &file->err);
		if (rc == PB_READ_EVENT)
			return take(file, event, used);
		file->at += used;
		if (rc < 0)
			file->rc = pb_err_prefix(&file->err, rc, "%s",
			    file->name);
		if (rc != PB_READ_MORE)
			return PB_CAPTURE_FILE_END;
		if (!file->regular && !file->told && !has_input(file, 0)) {
			file->told = true;
			return PB_CAPTURE_FILE_IDLE;
		}
		rc = read_more(file, err);
		if (rc <= 0)
			return rc;
		file->told = false;
	}
}

static int
take(struct pb_capture_file *file, const struct pb_event *event, size_t used)
{
	const struct pb_packet *section = &event->packet;

	file->used = used;
	if (event->kind == PB_EVENT_SECTION)
		file->identified = pb_identity_get(section->options,
		    section->options_len, &file->identity, NULL) == 1;
	return PB_CAPTURE_FILE_EVENT;
}

/* What comes next, or its end: 1; 0 with a stop, or an error. */
static int
read_more(struct pb_capture_file *file, struct pb_err *err)
{
	size_t need = pb_reader_need(file->reader);
	uint8_t *at;
	ssize_t n;

	pb_buf_consume(&file->window, file->at);
	file->at = 0;
	need = need > file->window.len + READ_BYTES ?
	    need - file->window.len : READ_BYTES;
	at = pb_buf_reserve(&file->window, need);
	if (at == NULL)
		return pb_err_set(err, PB_ENOMEM, "%s: no memory to read it",
		    file->name);
	do {
		while (!file->regular && !has_input(file, POLL_MS))
			if (pb_stopped(file->stop))
				return 0;
		n = pb_stopped(file->stop) ? 0 : read(file->fd, at, need);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return pb_err_sys(err, "%s", file->name);
	if (pb_stopped(file->stop))
		return 0;
	file->window.len += (size_t)n;
	file->eof = n == 0;
	return 1;
}

/* Or its end, or an error, which a read then tells. */
static bool
has_input(const struct pb_capture_file *file, int ms)
{
	struct pollfd input = { .fd = file->fd, .events = POLLIN };

	return poll(&input, 1, ms) > 0;
}
