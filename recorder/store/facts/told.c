/*
 * recorder/store/facts/told.c - what the shipper tells of its upstreams
 */
#include "recorder/store/facts/told.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/unix.h"
#include "recorder/store/layout.h"

#define REQUEST		"{\"do\":\"" PB_TOLD_VERB "\"}"
#define ANSWER_MAX	4096u

static int	connect_to(const char *, struct pb_err *);
static int	hear(int, int *, uint64_t *, struct pb_err *);
static int	take_file(const struct msghdr *);
static int	read_file(int, uint64_t, struct pb_buf *, struct pb_err *);

int
pb_told_ask(const char *store, struct pb_buf *out, struct pb_err *err)
{
	int fd = connect_to(store, err), file = -1, rc = fd < 0 ? fd : 0;
	uint64_t bytes = 0;

	if (rc == 0 && send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL) < 0)
		rc = pb_err_sys(err, "ask pb-shipper");
	if (rc == 0)
		rc = hear(fd, &file, &bytes, err);
	if (rc == 0)
		rc = read_file(file, bytes, out, err);
	if (file >= 0)
		close(file);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
connect_to(const char *store, struct pb_err *err)
{
	/* Where its backlog is full connect() waits for so long. */
	const struct timeval enter = { .tv_sec = PB_TOLD_MS / 1000 };
	char path[PATH_MAX];
	int fd, rc = pb_layout_path(path, store, PB_SHIPPER_SOCKET, err);

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &enter,
	    sizeof(enter)) == 0 && pb_unix_connect(fd, path) == 0)
		return fd;
	if (fd >= 0 && (errno == ENOENT || errno == ECONNREFUSED))
		rc = pb_err_set(err, PB_ENOENT, "pb-shipper does not run here");
	else if (fd >= 0 && errno == EAGAIN)
		rc = pb_err_set(err, PB_EBUSY, "pb-shipper lets nobody in");
	else
		rc = pb_err_sys(err, "ask pb-shipper");
	if (fd >= 0)
		close(fd);
	return rc;
}

/* The file is the caller's. */
static int
hear(int fd, int *file, uint64_t *bytes, struct pb_err *err)
{
	char answer[ANSWER_MAX];
	union {
		struct cmsghdr	 head;	/* aligns it */
		char		 room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = answer, .iov_len = sizeof(answer) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = &control, .msg_controllen = sizeof(control) };
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct pb_json_doc doc;
	ssize_t got;

	if (poll(&poll_fd, 1, (int)PB_TOLD_MS) != 1)
		return pb_err_set(err, PB_EBUSY, "pb-shipper has not answered "
		    "for %u ms", PB_TOLD_MS);
	got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (got <= 0)
		return pb_err_set(err, PB_EBUSY, "pb-shipper hung up");
	*file = take_file(&message);
	pb_json_doc_open(&doc, answer, (size_t)got, err);
	*bytes = pb_json_doc_u64(&doc, "bytes");
	pb_json_doc_close(&doc);
	if (doc.rc == 0 && (*file < 0 || *bytes > PB_TOLD_BYTES_MAX))
		return pb_err_set(err, PB_EFORMAT, "pb-shipper gives no file, "
		    "or too large a one");
	return doc.rc;
}

/* -1: there is none.  There is room for no second one. */
static int
take_file(const struct msghdr *message)
{
	const struct cmsghdr *head = CMSG_FIRSTHDR(message);
	int file = -1;

	if (head != NULL && head->cmsg_level == SOL_SOCKET &&
	    head->cmsg_type == SCM_RIGHTS &&
	    head->cmsg_len == CMSG_LEN(sizeof(file)))
		memcpy(&file, CMSG_DATA(head), sizeof(file));
	return file;
}

/* Whatever it is: a read of anything else might wait. */
static int
read_file(int file, uint64_t bytes, struct pb_buf *out, struct pb_err *err)
{
	size_t before = out->len;
	struct stat st;
	char part[4096];
	ssize_t got = 1;

	if (fstat(file, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size < bytes)
		return pb_err_set(err, PB_EFORMAT, "what pb-shipper gives is "
		    "no file of %llu bytes", (unsigned long long)bytes);
	for (uint64_t at = 0; at < bytes && got > 0; at += (uint64_t)got) {
		got = pread(file, part, bytes - at < sizeof(part) ?
		    (size_t)(bytes - at) : sizeof(part), (off_t)at);
		if (got > 0)
			pb_buf_put(out, part, (size_t)got);
	}
	if (got > 0 && !out->failed)
		return 0;
	out->len = before;
	return pb_err_set(err, PB_ESYS, "cannot read what pb-shipper gives");
}
