/*
 * cli/latency/files.c - packets of capture files, in the order of their times
 *
 * In memory each is the Enhanced Packet Block that it would be in a store, but
 * that its interface's number is the index of what is known of that here.
 */
#include "cli/latency/files.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/text.h"
#include "cli/common/capture_file.h"
#include "pcapng/build.h"
#include "recorder/filter/filter.h"
#include "recorder/filter/inner.h"
#include "recorder/query/merge.h"

#define EPB_INTERFACE	8	/* where its number is */
#define UNTIMED_BYTES_MAX 64u
#define LINKTYPE_IEEE802_11 105

/* What the filter says of a link type. */
struct asked {
	uint16_t	 linktype;
	struct pb_filter *filter;	/* NULL: nothing */
	struct pb_inner	*inner;
};

struct interface {
	struct pb_head	*head;
	const struct file *file;
	const struct asked *asked;
	unsigned	 names;
	pb_capture_names name;		/* zeroed behind them */
};

struct file {
	struct pb_capture_file in;
	const char	*base;		/* its name without directories */
	size_t		*interface;	/* of the section, by number: index */
	size_t		 interfaces, cap;
	uint64_t	 packets;
};

struct pb_files {
	struct pb_files_opts opts;
	struct file	 file[PB_FILES_MAX];
	size_t		 files;
	struct interface **interface;	/* of all of them */
	size_t		 interfaces, interfaces_cap;
	struct asked	**asked;	/* by link type */
	size_t		 askeds, asked_cap;
	struct pb_merge	*merge;
	struct pb_bytes	 bytes;		/* a batch that is made */
	size_t		 used;		/* of it */
	struct pb_buf	 untimed;	/* options that say so */
	uint64_t	 passed_over;
};

static int	open_all(struct pb_files *, struct pb_err *);
static int	check_filter(const struct pb_files *, struct pb_err *);
/* the merge's source */
static int	next_batch(void *, size_t, size_t, struct pb_batch *,
		    struct pb_err *);
static int	read_one(struct pb_files *, struct file *, struct pb_err *);
static bool	wanted(struct pb_files *, const struct interface *,
		    const struct pb_event *);
static int	put(struct pb_files *, size_t, const struct pb_event *,
		    struct pb_err *);
static bool	add_all(struct pb_files *, struct file *, struct pb_batch *);
static void	park_none(void *, size_t);
/* interfaces */
static int	take_interface(struct pb_files *, struct file *,
		    const struct pb_event *, struct pb_err *);
static int	make_head(const struct interface *, const struct pb_event *,
		    struct pb_head **, struct pb_err *);
static bool	is_known(const struct pb_files *, const struct interface *,
		    size_t *);
static int	add_interface(struct pb_files *, const struct interface *,
		    size_t *, struct pb_err *);
static int	find_asked(struct pb_files *, uint16_t,
		    const struct asked **, struct pb_err *);
static bool	sees(const struct pb_tap *, const struct interface *);
static int	no_memory(struct pb_err *);

int
pb_files_open(struct pb_files **out, const struct pb_files_opts *opts,
    struct pb_err *err)
{
	struct pb_files *files = calloc(1, sizeof(*files));
	int rc;

	*out = files;
	if (files == NULL)
		return no_memory(err);
	files->opts = *opts;
	pb_buf_init(&files->untimed, UNTIMED_BYTES_MAX);
	rc = check_filter(files, err);
	if (rc == 0 && pb_untimed_put(&files->untimed, PB_PEN_EXAMPLE) < 0)
		rc = no_memory(err);
	return rc < 0 ? rc : open_all(files, err);
}

static int
open_all(struct pb_files *files, struct pb_err *err)
{
	static const uint64_t any_time[PB_FILES_MAX];
	const struct pb_merge_source source = {
		.batch = next_batch,
		.park = park_none,
		.close = park_none,
		.arg = files,
	};
	struct file *file;
	const char *slash;
	int rc = 0;

	while (rc == 0 && files->files < files->opts.names) {
		file = &files->file[files->files];
		file->base = files->opts.name[files->files++];
		rc = pb_capture_file_open(&file->in, file->base, err);
		if (rc == 0)
			rc = pb_capture_file_begin(&file->in,
			    files->opts.stop, err);
		slash = strrchr(file->base, '/');
		if (slash != NULL)
			file->base = slash + 1;
	}
	return rc < 0 ? rc : pb_merge_create(&files->merge, &source, any_time,
	    files->files, 0, err);
}

/* For some link type it is a filter, as of a query (query/search.c). */
static int
check_filter(const struct pb_files *files, struct pb_err *err)
{
	struct pb_filter *filter = NULL;
	int rc = pb_filter_create(&filter, files->opts.filter,
	    PB_LINKTYPE_ETHERNET, err);

	if (rc < 0 && pb_filter_create(&filter, files->opts.filter,
	    LINKTYPE_IEEE802_11, NULL) == 0)
		rc = 0;
	pb_filter_destroy(filter);
	return rc;
}

void
pb_files_close(struct pb_files *files)
{
	if (files == NULL)
		return;
	pb_merge_destroy(files->merge);
	for (size_t i = 0; i < files->files; i++) {
		pb_capture_file_finish(&files->file[i].in);
		free(files->file[i].interface);
	}
	for (size_t i = 0; i < files->interfaces; i++) {
		pb_head_unref(files->interface[i]->head);
		free(files->interface[i]);
	}
	free(files->interface);
	for (size_t i = 0; i < files->askeds; i++) {
		pb_inner_destroy(files->asked[i]->inner);
		pb_filter_destroy(files->asked[i]->filter);
		free(files->asked[i]);
	}
	free(files->asked);
	free(files->bytes.data);
	pb_buf_finish(&files->untimed);
	free(files);
}

int
pb_files_next(struct pb_files *files, struct pb_cursor_packet *out,
    uint64_t *place_ns, struct pb_err *err)
{
	struct pb_block block;
	struct pb_run run;
	size_t input;
	int rc = pb_merge_run(files->merge, 1, &run, &input, err);

	if (rc <= 0)
		return rc;
	/* We made it. */
	if (pb_scan_block(run.blocks, run.len, &block) != 1 ||
	    pb_scan_epb(&block, &out->packet) < 0)
		return pb_err_set(err, PB_EFORMAT, "%s: a packet is none",
		    files->file[input].in.name);
	out->head = files->interface[pb_get_le32(block.at +
	    EPB_INTERFACE)]->head;
	out->seq = run.last_seq;
	out->verdict = PB_VERDICT_ALL;
	*place_ns = run.first_time;
	return 1;
}

bool
pb_files_seen(void *arg, const struct pb_tap *tap, const struct pb_head *head)
{
	const struct pb_files *files = arg;

	for (size_t i = 0; i < files->interfaces; i++)
		if (files->interface[i]->head == head)
			return sees(tap, files->interface[i]);
	return false;
}

bool
pb_files_any(const struct pb_files *files, const struct pb_tap *tap)
{
	for (size_t i = 0; i < files->interfaces; i++)
		if (sees(tap, files->interface[i]))
			return true;
	return false;
}

static bool
sees(const struct pb_tap *tap, const struct interface *interface)
{
	const struct file *file = interface->file;

	for (unsigned i = 0; i < interface->names; i++)
		if (pb_tap_sees(tap, interface->name[i]))
			return true;
	return pb_tap_sees(tap, file->base) ||
	    pb_tap_sees(tap, file->in.name);
}

uint64_t
pb_files_late(const struct pb_files *files)
{
	return pb_merge_late(files->merge);
}

uint64_t
pb_files_passed_over(const struct pb_files *files)
{
	return files->passed_over;
}

int
pb_files_error(const struct pb_files *files, struct pb_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < files->files && rc == 0; i++)
		rc = pb_capture_file_error(&files->file[i].in, err);
	return rc;
}

static int
no_memory(struct pb_err *err)
{
	return pb_err_set(err, PB_ENOMEM, "no memory to read files");
}

/* --- the merge's source -------------------------------------------------- */

static int
next_batch(void *arg, size_t input, size_t bytes_max, struct pb_batch *out,
    struct pb_err *err)
{
	struct pb_files *files = arg;
	struct file *file = &files->file[input];
	int rc = 1;

	files->used = 0;
	while (rc > 0 && files->used < bytes_max)
		rc = read_one(files, file, err);
	if (rc < 0 || files->used == 0)
		return rc;
	return add_all(files, file, out) && pb_batch_keep(out,
	    &files->bytes) ? 1 : no_memory(err);
}

/* An event: 1, 0 at the file's end, or an error. */
static int
read_one(struct pb_files *files, struct file *file, struct pb_err *err)
{
	struct pb_event event;
	int rc = pb_capture_file_next(&file->in, &event, err);
	size_t at;

	if (rc == PB_CAPTURE_FILE_IDLE)
		return 1;
	if (rc <= 0)
		return rc;
	rc = 0;
	if (event.kind == PB_EVENT_SECTION)
		file->interfaces = 0;
	else if (event.kind == PB_EVENT_INTERFACE)
		rc = take_interface(files, file, &event, err);
	if (event.kind == PB_EVENT_PACKET) {
		at = file->interface[event.interface];
		if (wanted(files, files->interface[at], &event))
			rc = put(files, at, &event, err);
	}
	return rc < 0 ? rc : 1;
}

static bool
wanted(struct pb_files *files, const struct interface *interface,
    const struct pb_event *event)
{
	const struct pb_packet *packet = &event->packet;
	const struct asked *asked = interface->asked;

	if (packet->time_ns < files->opts.after_ns ||
	    packet->time_ns >= files->opts.before_ns)
		return false;
	if (asked->filter == NULL) {
		files->passed_over++;
		return false;
	}
	return asked->inner != NULL ? pb_inner_match(asked->inner, packet) :
	    pb_filter_match(asked->filter, packet);
}

static int
put(struct pb_files *files, size_t interface, const struct pb_event *event,
    struct pb_err *err)
{
	struct pb_packet packet = event->packet;
	struct pb_bytes *bytes = &files->bytes;
	size_t len, room = bytes->room;
	uint8_t *data;

	if (!event->has_time) {		/* a Simple Packet Block: no options */
		packet.time_ns = 0;
		packet.options = files->untimed.data;
		packet.options_len = files->untimed.len;
	}
	len = pb_epb_bytes(packet.caplen, packet.options_len);
	while (room - files->used < len)
		room = room > 0 ? 2 * room : PB_CURSOR_BYTES;
	if (room > bytes->room) {
		data = realloc(bytes->data, room);
		if (data == NULL)
			return no_memory(err);
		*bytes = (struct pb_bytes){ data, room };
	}
	files->used += pb_build_epb(bytes->data + files->used,
	    (uint32_t)interface, &packet);
	return 0;
}

/* Once they do not move any more. */
static bool
add_all(struct pb_files *files, struct file *file, struct pb_batch *out)
{
	struct pb_cursor_packet cp = { .head = files->interface[0]->head };
	struct pb_block block;

	for (size_t at = 0; at < files->used; at += block.len) {
		if (pb_scan_block(files->bytes.data + at, files->used - at,
		    &block) != 1 || pb_scan_epb(&block, &cp.packet) < 0)
			return false;
		cp.seq = ++file->packets;
		if (!pb_batch_add(out, &cp))
			return false;
	}
	return true;
}

static void
park_none(void *files, size_t input)
{
	(void)files;
	(void)input;
}

/* --- interfaces ---------------------------------------------------------- */

static int
take_interface(struct pb_files *files, struct file *file,
    const struct pb_event *event, struct pb_err *err)
{
	struct interface made = { .file = file };
	size_t at;
	int rc;

	if (!PB_LIST_ROOM(file->interface, file->cap, file->interfaces))
		return no_memory(err);
	made.names = pb_capture_file_names(&file->in, event, made.name);
	rc = find_asked(files, event->linktype, &made.asked, err);
	if (rc == 0)
		rc = make_head(&made, event, &made.head, err);
	if (rc == 0 && !is_known(files, &made, &at))
		rc = add_interface(files, &made, &at, err);
	pb_head_unref(made.head);
	if (rc == 0)
		file->interface[file->interfaces++] = at;
	return rc;
}

/* It says whose stream it is; else it is the file's, for people. */
static int
make_head(const struct interface *interface, const struct pb_event *event,
    struct pb_head **out, struct pb_err *err)
{
	const struct pb_capture_file *in = &interface->file->in;
	struct pb_identity made = { .epoch = 1, .nodes = 1 };
	const char *base = interface->file->base;

	*out = NULL;
	pb_utf8_clean(made.node[0].name, sizeof(made.node[0].name), base,
	    strlen(base));
	pb_utf8_clean(made.interface, sizeof(made.interface),
	    interface->name[0], strlen(interface->name[0]));
	return pb_head_create(out, in->identified ? &in->identity : &made,
	    event->linktype, NULL, 0, event->packet.options,
	    event->packet.options_len, err) < 0 ?
	    pb_err_prefix(err, err->code, "%s", in->name) : 0;
}

/* The same one in a section before. */
static bool
is_known(const struct pb_files *files, const struct interface *wanted,
    size_t *at)
{
	const struct interface *have;

	for (*at = 0; *at < files->interfaces; ++*at) {
		have = files->interface[*at];
		if (have->file == wanted->file &&
		    have->head->hash == wanted->head->hash &&
		    memcmp(have->name, wanted->name, sizeof(have->name)) == 0)
			return true;
	}
	return false;
}

static int
add_interface(struct pb_files *files, const struct interface *made,
    size_t *at, struct pb_err *err)
{
	struct interface *new;

	*at = files->interfaces;
	if (*at == PB_FILES_INTERFACES_MAX)
		return pb_err_set(err, PB_ELIMIT, "%s: more than %u "
		    "interfaces that differ; name fewer files",
		    made->file->in.name, PB_FILES_INTERFACES_MAX);
	if (!PB_LIST_ROOM(files->interface, files->interfaces_cap, *at) ||
	    (new = malloc(sizeof(*new))) == NULL)
		return no_memory(err);
	*new = *made;
	pb_head_ref(new->head);
	/* Each is a stream of its own, whatever the files say. */
	new->head->identity.epoch = *at + 1;
	files->interface[files->interfaces++] = new;
	return 0;
}

/* The filter compiled for a link type; compiled once. */
static int
find_asked(struct pb_files *files, uint16_t linktype,
    const struct asked **out, struct pb_err *err)
{
	struct asked *asked;

	for (size_t i = 0; i < files->askeds; i++)
		if (files->asked[i]->linktype == linktype) {
			*out = files->asked[i];
			return 0;
		}
	asked = PB_LIST_ROOM(files->asked, files->asked_cap, files->askeds) ?
	    calloc(1, sizeof(*asked)) : NULL;
	if (asked == NULL)
		return no_memory(err);
	files->asked[files->askeds++] = asked;
	*out = asked;
	asked->linktype = linktype;
	if (pb_filter_create(&asked->filter, files->opts.filter, linktype,
	    NULL) < 0)
		asked->filter = NULL;
	if (asked->filter == NULL || !files->opts.inner)
		return 0;
	return pb_inner_create(&asked->inner, asked->filter, linktype, err);
}
