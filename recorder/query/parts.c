/*
 * recorder/query/parts.c - the files of `-w --split`
 *
 * A request is the same for who makes the files himself and for the child
 * who does: a function's argument, or a message over a pair of sockets.  The
 * child ends with its parent's end of them.
 */
#include "recorder/query/parts.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/query/split.h"
#include "recorder/query/target.h"

struct request {
	bool		 name;		/* the part; else make one */
	unsigned	 part;
	char		 word[PB_SPLIT_WORD_MAX];
};

struct answer {
	struct pb_err	 err;
	unsigned	 part;
};

struct pb_parts {
	char		 path[PATH_MAX];	/* as `-w` names it */
	size_t		 stem;
	mode_t		 mode;			/* of new ones */
	struct pb_target *open[PB_PARTS_OPEN_MAX];	/* hidden yet */
	pid_t		 keeper;		/* 0: none */
	int		 keeper_fd;
};

static int	ask(struct pb_parts *, const struct request *,
		    struct answer *, int *);
static int	ask_keeper(struct pb_parts *, const struct request *,
		    struct answer *, int *);
static int	receive(int, struct answer *, int *);
/* whoever makes them */
static void	serve(struct pb_parts *, int) __attribute__((noreturn));
static bool	reply(int, struct answer *, int);
static void	deal(struct pb_parts *, const struct request *,
		    struct answer *, int *);
static int	make(struct pb_parts *, const char *, unsigned *, int *,
		    struct pb_err *);
static int	name(struct pb_parts *, unsigned, struct pb_err *);
static void	drop_all(struct pb_parts *);

int
pb_parts_create(struct pb_parts **out, const char *path, const char *store,
    struct pb_err *err)
{
	struct pb_parts *parts = calloc(1, sizeof(*parts));
	struct stat st;
	int rc;

	*out = NULL;
	if (parts == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for -w");
	rc = pb_target_resolve(parts->path, path, store, err);
	if (rc == 0 && stat(parts->path, &st) == 0 && !S_ISREG(st.st_mode))
		rc = pb_err_set(err, PB_EINVAL, "-w %s: is no plain file; "
		    "--split puts numbers or names into a file's", path);
	if (rc < 0) {
		free(parts);
		return rc;
	}
	parts->stem = pb_split_stem(parts->path);
	parts->mode = pb_target_mode();
	*out = parts;
	return 0;
}

void
pb_parts_destroy(struct pb_parts *parts)
{
	if (parts == NULL)
		return;
	/* The keeper drops what he has when this end of the pair has gone. */
	if (parts->keeper > 0) {
		close(parts->keeper_fd);
		waitpid(parts->keeper, NULL, 0);
	}
	drop_all(parts);
	free(parts);
}

int
pb_parts_keep(struct pb_parts *parts, struct pb_err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return pb_err_sys(err, "-w: socketpair");
	parts->keeper = fork();
	if (parts->keeper == 0) {
		close(pair[0]);
		serve(parts, pair[1]);
	}
	close(pair[1]);
	if (parts->keeper < 0) {
		parts->keeper = 0;
		close(pair[0]);
		return pb_err_sys(err, "-w: fork");
	}
	parts->keeper_fd = pair[0];
	return 0;
}

int
pb_parts_path(const struct pb_parts *parts, const char *word,
    char out[static PATH_MAX], struct pb_err *err)
{
	int len = snprintf(out, PATH_MAX, "%.*s%s%s", (int)parts->stem,
	    parts->path, word, parts->path + parts->stem);

	return len >= 0 && len < PATH_MAX ? 0 : pb_err_set(err, PB_EINVAL,
	    "-w: the path is too long");
}

int
pb_parts_make(struct pb_parts *parts, const char *word, unsigned *part,
    struct pb_err *err)
{
	struct request request = { .name = false };
	struct answer answer;
	int fd;

	snprintf(request.word, sizeof(request.word), "%s", word);
	if (ask(parts, &request, &answer, &fd) < 0) {
		if (err != NULL)
			*err = answer.err;
		return answer.err.code;
	}
	/* What comes by message is lost where there is no room for it. */
	if (fd < 0)
		return pb_err_set(err, PB_ESYS, "-w: too many open files; "
		    "raise the limit (ulimit -n), or narrow the query with "
		    "--stream");
	*part = answer.part;
	return fd;
}

int
pb_parts_name(struct pb_parts *parts, unsigned part, struct pb_err *err)
{
	struct request request = { .name = true, .part = part };
	struct answer answer;
	int fd, rc = ask(parts, &request, &answer, &fd);

	if (rc < 0 && err != NULL)
		*err = answer.err;
	return rc;
}

static int
ask(struct pb_parts *parts, const struct request *request,
    struct answer *answer, int *fd)
{
	*fd = -1;
	if (parts->keeper == 0)
		deal(parts, request, answer, fd);
	else if (ask_keeper(parts, request, answer, fd) < 0)
		pb_err_set(&answer->err, PB_ESYS, "-w: the process that "
		    "makes the files has gone");
	return answer->err.code;
}

static int
ask_keeper(struct pb_parts *parts, const struct request *request,
    struct answer *answer, int *fd)
{
	ssize_t put = send(parts->keeper_fd, request, sizeof(*request),
	    MSG_NOSIGNAL);

	if (put != (ssize_t)sizeof(*request))
		return -1;
	return receive(parts->keeper_fd, answer, fd);
}

/* An answer, and the descriptor that comes with it; -1: none. */
static int
receive(int from, struct answer *answer, int *fd)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { answer, sizeof(*answer) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1,
	    .msg_control = room, .msg_controllen = sizeof(room) };
	const struct cmsghdr *control;
	ssize_t got;

	do
		got = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(*answer))
		return -1;
	control = CMSG_FIRSTHDR(&message);
	if (control != NULL && control->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(control), sizeof(*fd));
	return 0;
}

/* --- whoever makes them -------------------------------------------------- */

static void
serve(struct pb_parts *parts, int fd)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct request request;
	struct answer answer;
	int made;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	while (recv(fd, &request, sizeof(request), 0) ==
	    (ssize_t)sizeof(request)) {
		request.word[PB_SPLIT_WORD_MAX - 1] = '\0';
		deal(parts, &request, &answer, &made);
		if (!reply(fd, &answer, made))
			break;
	}
	drop_all(parts);
	_exit(0);
}

static bool
reply(int to, struct answer *answer, int fd)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { answer, sizeof(*answer) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *control;
	ssize_t put;

	if (fd >= 0) {
		message.msg_control = room;
		message.msg_controllen = sizeof(room);
		control = CMSG_FIRSTHDR(&message);
		control->cmsg_level = SOL_SOCKET;
		control->cmsg_type = SCM_RIGHTS;
		control->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(control), &fd, sizeof(fd));
	}
	put = sendmsg(to, &message, MSG_NOSIGNAL);
	if (fd >= 0)
		close(fd);
	return put == (ssize_t)sizeof(*answer);
}

static void
deal(struct pb_parts *parts, const struct request *request,
    struct answer *answer, int *fd)
{
	memset(answer, 0, sizeof(*answer));
	*fd = -1;
	if (request->name)
		name(parts, request->part, &answer->err);
	else
		make(parts, request->word, &answer->part, fd, &answer->err);
}

static int
make(struct pb_parts *parts, const char *word, unsigned *part, int *fd,
    struct pb_err *err)
{
	struct pb_target *target;
	unsigned i = 0;

	while (i < PB_PARTS_OPEN_MAX && parts->open[i] != NULL)
		i++;
	if (i == PB_PARTS_OPEN_MAX)
		return pb_err_set(err, PB_ELIMIT, "more than %u files at "
		    "once; narrow the query with --stream, or split by size "
		    "or time", PB_PARTS_OPEN_MAX);
	if (strchr(word, '/') != NULL)
		return pb_err_set(err, PB_EINVAL, "-w: no file's name");
	target = calloc(1, sizeof(*target));
	if (target == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for -w");
	if (pb_parts_path(parts, word, target->path, err) < 0 ||
	    pb_target_make(target, parts->mode, err) < 0) {
		free(target);
		return err->code;
	}
	*fd = target->fd;
	target->fd = -1;
	parts->open[i] = target;
	*part = i;
	return 0;
}

static int
name(struct pb_parts *parts, unsigned part, struct pb_err *err)
{
	struct pb_target *target = part < PB_PARTS_OPEN_MAX ?
	    parts->open[part] : NULL;
	int rc = 0;

	if (target == NULL)
		return pb_err_set(err, PB_EINVAL, "-w: no file of ours");
	if (rename(target->hidden, target->path) < 0)
		rc = pb_err_sys(err, "rename %.200s to %.200s",
		    target->hidden, target->path);
	else
		target->hidden[0] = '\0';
	pb_target_abandon(target);
	free(target);
	parts->open[part] = NULL;
	return rc;
}

static void
drop_all(struct pb_parts *parts)
{
	for (unsigned i = 0; i < PB_PARTS_OPEN_MAX; i++) {
		if (parts->open[i] == NULL)
			continue;
		pb_target_abandon(parts->open[i]);
		free(parts->open[i]);
		parts->open[i] = NULL;
	}
}
