/*
 * cli/replay/from_file.c - a capture file, or a pipe, as a source of frames
 */
#include "cli/replay/from_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/text.h"
#include "recorder/filter/filter.h"
#include "recorder/filter/linktype.h"
#include "recorder/store/layout.h"

#define READ_BYTES	(1u << 20)
/* A block, and what was read behind the one before it. */
#define WINDOW_BYTES_MAX (PB_BLOCK_BYTES_MAX + 2 * READ_BYTES)
#define PIPE_BYTES	((int)READ_BYTES)
#define POLL_MS		100

static int	read_event(struct pb_from_file *, struct pb_event *,
		    struct pb_err *);
static int	read_more(struct pb_from_file *, struct pb_err *);
static bool	has_input(const struct pb_from_file *, int);
static void	take_section(struct pb_from_file *, const struct pb_event *);
static int	take_interface(struct pb_from_file *,
		    const struct pb_event *, struct pb_err *);
static int	way_of(const struct pb_from_file *, const struct pb_event *);
static int	take_packet(struct pb_from_file *, const struct pb_event *,
		    struct pb_source_frame *, struct pb_err *);
static int	refuse(const struct pb_from_file *, const struct pb_event *,
		    uint16_t, struct pb_err *);

int
pb_from_file_open(struct pb_from_file *from, const char *name,
    struct pb_err *err)
{
	bool standard = strcmp(name, "-") == 0;
	struct stat st;

	from->name = standard ? "standard input" : name;
	/* A FIFO is not waited for here, where no signal would end it well. */
	from->fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC |
	    O_NONBLOCK);
	if (from->fd < 0)
		return pb_err_sys(err, "%s", from->name);
	from->opened = !standard;
	pb_buf_init(&from->window, WINDOW_BYTES_MAX);
	if (fstat(from->fd, &st) < 0)
		return pb_err_sys(err, "%s", from->name);
	if (S_ISDIR(st.st_mode))
		return pb_err_set(err, PB_ESYS, "%s: is a directory; name a "
		    "capture file in it", from->name);
	from->regular = S_ISREG(st.st_mode);
	/* As much as is read at once; less does as well. */
	if (S_ISFIFO(st.st_mode))
		(void)fcntl(from->fd, F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

void
pb_from_file_finish(struct pb_from_file *from)
{
	if (from->opened)
		close(from->fd);
	from->opened = false;
	pb_reader_destroy(from->reader);
	from->reader = NULL;
	pb_buf_finish(&from->window);
	free(from->interface);
	from->interface = NULL;
}

bool
pb_from_file_again(const struct pb_from_file *from)
{
	return from->regular;
}

int
pb_from_file_begin(void *arg, const struct pb_stop *stop, struct pb_err *err)
{
	struct pb_from_file *from = arg;

	if (from->reader != NULL && lseek(from->fd, 0, SEEK_SET) < 0)
		return pb_err_sys(err, "%s: read it again", from->name);
	pb_reader_destroy(from->reader);
	pb_buf_clear(&from->window);
	from->at = from->used = 0;
	from->eof = false;
	from->interfaces = 0;
	from->identified = false;
	from->stop = stop;
	return pb_reader_create(&from->reader, err);
}

int
pb_from_file_next(void *arg, struct pb_source_frame *out, struct pb_err *err)
{
	struct pb_from_file *from = arg;
	struct pb_event event;
	int rc;

	for (;;) {
		rc = read_event(from, &event, err);
		if (rc != PB_READ_EVENT)
			return rc;
		rc = 0;
		if (event.kind == PB_EVENT_SECTION)
			take_section(from, &event);
		else if (event.kind == PB_EVENT_INTERFACE)
			rc = take_interface(from, &event, err);
		else if (event.kind == PB_EVENT_PACKET)
			rc = take_packet(from, &event, out, err);
		if (rc != 0)
			return rc;
	}
}

int
pb_from_file_error(const struct pb_from_file *from, struct pb_err *err)
{
	if (from->rc < 0)
		*err = from->err;
	return from->rc;
}

/* PB_READ_EVENT, PB_SOURCE_END, PB_SOURCE_IDLE or an error. */
static int
read_event(struct pb_from_file *from, struct pb_event *event,
    struct pb_err *err)
{
	size_t used;
	int rc;

	from->at += from->used;
	from->used = 0;
	for (;;) {
		rc = pb_reader_next(from->reader, from->window.data +
		    from->at, from->window.len - from->at, from->eof, &used,
		    event, &from->err);
		if (rc == PB_READ_EVENT)
			from->used = used;
		else
			from->at += used;
		if (rc < 0)
			from->rc = pb_err_prefix(&from->err, rc, "%s",
			    from->name);
		if (rc != PB_READ_MORE)
			return rc == PB_READ_EVENT ? rc : PB_SOURCE_END;
		if (!from->regular && !from->told && !has_input(from, 0)) {
			from->told = true;
			return PB_SOURCE_IDLE;
		}
		rc = read_more(from, err);
		if (rc <= 0)
			return rc;
		from->told = false;
	}
}

/* What comes next, or its end: 1; 0 with a stop, or an error. */
static int
read_more(struct pb_from_file *from, struct pb_err *err)
{
	size_t need = pb_reader_need(from->reader);
	uint8_t *at;
	ssize_t n;

	pb_buf_consume(&from->window, from->at);
	from->at = 0;
	need = need > from->window.len + READ_BYTES ?
	    need - from->window.len : READ_BYTES;
	at = pb_buf_reserve(&from->window, need);
	if (at == NULL)
		return pb_err_set(err, PB_ENOMEM, "%s: no memory to read it",
		    from->name);
	do {
		while (!from->regular && !has_input(from, POLL_MS))
			if (pb_stopped(from->stop))
				return 0;
		n = pb_stopped(from->stop) ? 0 : read(from->fd, at, need);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return pb_err_sys(err, "%s", from->name);
	if (pb_stopped(from->stop))
		return 0;
	from->window.len += (size_t)n;
	from->eof = n == 0;
	return 1;
}

/* Or its end, or an error, which a read then tells. */
static bool
has_input(const struct pb_from_file *from, int ms)
{
	struct pollfd input = { .fd = from->fd, .events = POLLIN };

	return poll(&input, 1, ms) > 0;
}

static void
take_section(struct pb_from_file *from, const struct pb_event *event)
{
	const struct pb_packet *options = &event->packet;

	from->interfaces = 0;
	from->identified = pb_identity_get(options->options,
	    options->options_len, &from->identity, NULL) == 1;
}

static int
take_interface(struct pb_from_file *from, const struct pb_event *event,
    struct pb_err *err)
{
	struct pb_from_file_interface *interface;

	if (!PB_LIST_ROOM(from->interface, from->room, from->interfaces))
		return pb_err_set(err, PB_ENOMEM, "%s: no memory for an "
		    "interface", from->name);
	interface = &from->interface[from->interfaces++];
	*interface = (struct pb_from_file_interface){
		.linktype = event->linktype,
		.way = way_of(from, event),
	};
	if (from->original != NULL)
		pb_original_list(from->original, event->packet.options,
		    event->packet.options_len, &interface->list);
	return 0;
}

/* By any of its names. */
static int
way_of(const struct pb_from_file *from, const struct pb_event *event)
{
	const struct pb_identity *identity = &from->identity;
	struct pb_stream_key key = { .epoch = identity->epoch };
	char name[PB_STREAM_NAME_MAX];
	struct pb_option option;
	int way = PB_WAYS_NONE;

	if (from->identified) {
		strcpy(key.node, identity->node[0].name);
		strcpy(key.interface, identity->interface);
		way = pb_ways_mapped(from->ways, pb_stream_name(name, &key));
	}
	if (way == PB_WAYS_NONE && pb_option_find(event->packet.options,
	    event->packet.options_len, PB_OPT_IF_NAME, &option)) {
		pb_utf8_clean(name, sizeof(name), option.value, option.len);
		way = pb_ways_mapped(from->ways, name);
	}
	if (way == PB_WAYS_NONE) {
		snprintf(name, sizeof(name), "%u", event->interface);
		way = pb_ways_mapped(from->ways, name);
	}
	return way != PB_WAYS_NONE ? way : pb_ways_rest(from->ways);
}

/* PB_SOURCE_FRAME, PB_SOURCE_SKIP, an error; 0 where it is not asked for. */
static int
take_packet(struct pb_from_file *from, const struct pb_event *event,
    struct pb_source_frame *out, struct pb_err *err)
{
	const struct pb_from_file_interface *interface =
	    &from->interface[event->interface];
	const struct pb_packet *packet = &event->packet;
	bool foreign = interface->linktype != PB_LINKTYPE_ETHERNET;

	from->last = event->interface;
	if (foreign && from->skip)
		return PB_SOURCE_SKIP;
	if (!foreign && from->filter != NULL &&
	    !pb_filter_match(from->filter, packet))
		return 0;
	if (foreign || interface->way == PB_WAYS_NONE)
		return refuse(from, event, interface->linktype, err);
	*out = (struct pb_source_frame){
		.data = packet->data,
		.len = packet->caplen,
		.way = (uint8_t)interface->way,
		.timed = event->has_time && (packet->time_ns > 0 ||
		    !pb_untimed_get(packet->options, packet->options_len)),
		.cut = packet->caplen < packet->origlen,
		.time_ns = packet->time_ns,
	};
	return from->original == NULL ? PB_SOURCE_FRAME :
	    pb_original_frame(from->original, &interface->list, packet, out,
	    err);
}

static int
refuse(const struct pb_from_file *from, const struct pb_event *event,
    uint16_t linktype, struct pb_err *err)
{
	if (linktype == PB_LINKTYPE_ETHERNET)
		return pb_err_set(err, PB_EINVAL, "replay: no interface for "
		    "packets of interface %u of %s: give -i, or --map "
		    "'%u=INTERFACE'", event->interface, from->name,
		    event->interface);
	return pb_err_set(err, PB_EFORMAT, "%s: offset %llu: the packet is "
	    "%s (%u), which no Ethernet port can carry; --skip leaves such "
	    "packets out", from->name, (unsigned long long)event->offset,
	    pb_linktype_name(linktype), linktype);
}
