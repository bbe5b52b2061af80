/*
 * recorder/query/output.c - what `-w` writes: a file, or several
 */
#include "recorder/query/output.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/out.h"
#include "base/sys.h"
#include "recorder/query/export.h"
#include "recorder/query/parts.h"
#include "recorder/query/target.h"

/* Gathered for a write of one of many files. */
#define PART_GATHER_BYTES	(64u << 10)

struct file {
	char		 node[PB_NAME_BYTES_MAX + 1];	/* by stream: whose; */
	char		 interface[PB_IFNAME_BYTES_MAX + 1];	/* else "" */
	char		 path[PATH_MAX];
	int		 fd;		/* of a part */
	unsigned	 part;
	uint64_t	 end_ns;	/* packets of then go into another */
	struct pb_press	*press;
	struct pb_out	 out;
	struct pb_export *export;
};

struct pb_output {
	struct pb_output_opts opts;
	bool		 one_stream;
	struct pb_target target;	/* of a single file */
	struct pb_parts	*parts;		/* else of several: */
	unsigned	 number;	/* begun so far */
	struct file	*file;		/* the one that is written */
	void		*tree;		/* by stream: all of them */
	const struct pb_head *head;	/* by stream: whose is `file` */
};

static int	file_for(struct pb_output *, const struct pb_head *,
		    uint64_t, struct pb_err *);
static int	file_of_stream(struct pb_output *, const struct pb_head *,
		    struct pb_err *);
static int	next_file(struct pb_output *, uint64_t, struct pb_err *);
static bool	is_late(const struct pb_output *,
		    const struct pb_cursor_packet *);
/* a file */
static int	make_part(struct pb_output *, const char *, struct file **,
		    struct pb_err *);
static int	file_begin(struct pb_output *, struct file *, int,
		    const char *, struct pb_err *);
static int	file_end(struct file *, struct pb_err *);
static int	part_end(struct pb_output *, struct file *, struct pb_err *);
static int	parts_end(struct pb_output *, struct pb_err *);
static void	file_free(void *);
static int	by_name(const void *, const void *);

int
pb_output_format(void *pcap, const char *text, struct pb_err *err)
{
	bool *is = pcap;

	*is = strcmp(text, "pcap") == 0;
	if (*is || strcmp(text, "pcapng") == 0)
		return 0;
	return pb_err_set(err, PB_EINVAL, "--format '%.40s': is none; write "
	    "pcapng or pcap", text);
}

int
pb_output_open(struct pb_output **out, const struct pb_output_opts *opts,
    bool kept, struct pb_err *err)
{
	struct pb_output *output = calloc(1, sizeof(*output));
	int rc;

	*out = NULL;
	if (output == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for -w");
	output->opts = *opts;
	output->target.fd = -1;
	if (opts->split.kind == PB_SPLIT_NONE)
		rc = pb_target_open(&output->target, opts->file, opts->store,
		    opts->directly, err);
	else
		rc = pb_parts_create(&output->parts, opts->file, opts->store,
		    err);
	if (rc == 0 && kept)
		rc = output->parts != NULL ?
		    pb_parts_keep(output->parts, err) :
		    pb_target_keep(&output->target, err);
	if (rc < 0) {
		pb_output_close(output);
		return rc;
	}
	*out = output;
	return 0;
}

void
pb_output_close(struct pb_output *output)
{
	if (output == NULL)
		return;
	if (output->opts.split.kind == PB_SPLIT_STREAM)
		tdestroy(output->tree, file_free);
	else
		file_free(output->file);
	pb_parts_destroy(output->parts);
	if (output->opts.split.kind == PB_SPLIT_NONE)
		pb_target_abandon(&output->target);
	free(output);
}

int
pb_output_begin(struct pb_output *output, bool single, struct pb_err *err)
{
	const char *name = output->opts.file;
	int rc;

	output->one_stream = single;
	if (output->opts.split.kind == PB_SPLIT_STREAM)
		(void)pb_files_raise(NULL);
	if (output->opts.split.kind != PB_SPLIT_NONE)
		return 0;
	rc = pb_target_begin(&output->target, err);
	if (rc < 0)
		return rc;
	output->file = calloc(1, sizeof(*output->file));
	if (output->file == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for -w");
	output->file->fd = -1;		/* the target's */
	return file_begin(output, output->file, output->target.fd,
	    strcmp(name, "-") == 0 ? "standard output" : name, err);
}

int
pb_output_packet(struct pb_output *output, const struct pb_cursor_packet *cp,
    struct pb_err *err)
{
	uint64_t time_ns = cp->packet.time_ns;
	int rc = file_for(output, cp->head, time_ns, err);

	if (rc == 0 && is_late(output, cp))
		rc = next_file(output, time_ns, err);
	if (rc == 0)
		rc = pb_export_packet(output->file->export, cp, err);
	if (rc <= 0)
		return rc;
	rc = next_file(output, time_ns, err);
	return rc < 0 ? rc :
	    pb_export_packet(output->file->export, cp, err);
}

int
pb_output_run(struct pb_output *output, struct pb_run *run,
    struct pb_err *err)
{
	struct pb_cursor_packet cp;
	size_t at = 0;
	int rc = file_for(output, run->head, run->first_time, err);

	if (rc == 0)
		rc = output->opts.split.kind == PB_SPLIT_TIME &&
		    run->last_time >= output->file->end_ns ? 1 :
		    pb_export_run(output->file->export, run, err);
	if (rc <= 0)
		return rc;
	while ((rc = pb_run_packet(run, &at, &cp, err)) > 0) {
		rc = pb_output_packet(output, &cp, err);
		if (rc < 0)
			break;
	}
	return rc;
}

int
pb_output_interface(void *arg, const struct pb_head *head,
    struct pb_err *err)
{
	struct pb_output *output = arg;

	return output->opts.split.kind != PB_SPLIT_NONE ? 0 :
	    pb_export_interface(output->file->export, head, err);
}

int
pb_output_flush(struct pb_output *output, struct pb_err *err)
{
	/* Of several none is to be seen yet. */
	return output->opts.split.kind != PB_SPLIT_NONE ? 0 :
	    pb_out_flush(&output->file->out, err);
}

int
pb_output_end(struct pb_output *output, struct pb_err *err)
{
	int rc;

	if (output->opts.split.kind != PB_SPLIT_NONE)
		return parts_end(output, err);
	rc = file_end(output->file, err);
	return rc < 0 ? rc : pb_target_commit(&output->target, err);
}

int
pb_output_fd(const struct pb_output *output)
{
	return output->target.fd;
}

bool
pb_output_gone(const struct pb_output *output)
{
	return output->opts.split.kind == PB_SPLIT_NONE &&
	    output->file != NULL && pb_out_gone(&output->file->out);
}

bool
pb_output_mixed(const struct pb_output *output)
{
	return output->opts.split.kind == PB_SPLIT_NONE &&
	    output->file != NULL && pb_export_mixed(output->file->export);
}

/* --- which file ---------------------------------------------------------- */

/* `output->file` is the one for packets of this head, or the first one. */
static int
file_for(struct pb_output *output, const struct pb_head *head,
    uint64_t time_ns, struct pb_err *err)
{
	if (output->opts.split.kind == PB_SPLIT_STREAM)
		return output->head == head ? 0 :
		    file_of_stream(output, head, err);
	return output->file != NULL ? 0 : next_file(output, time_ns, err);
}

static int
file_of_stream(struct pb_output *output, const struct pb_head *head,
    struct pb_err *err)
{
	char word[PB_SPLIT_WORD_MAX];
	struct file wanted, **found, *file;
	int rc;

	strcpy(wanted.node, head->identity.node[0].name);
	strcpy(wanted.interface, head->identity.interface);
	found = tfind(&wanted, &output->tree, by_name);
	if (found == NULL) {
		rc = make_part(output, pb_split_by_stream(word, wanted.node,
		    wanted.interface), &file, err);
		if (rc < 0)
			return rc;
		strcpy(file->node, wanted.node);
		strcpy(file->interface, wanted.interface);
		found = tsearch(file, &output->tree, by_name);
		if (found == NULL) {
			file_free(file);
			return pb_err_set(err, PB_ENOMEM, "no memory for -w");
		}
	}
	output->file = *found;
	output->head = head;
	return 0;
}

/* The one that is written is complete, and another one begins. */
static int
next_file(struct pb_output *output, uint64_t time_ns, struct pb_err *err)
{
	char word[PB_SPLIT_WORD_MAX];
	struct file *file = output->file;
	int rc;

	output->file = NULL;
	rc = file != NULL ? part_end(output, file, err) : 0;
	if (rc < 0)
		return rc;
	if (output->number == PB_SPLIT_FILES_MAX)
		return pb_err_set(err, PB_ELIMIT, "more than %u files; split "
		    "by a larger size or a longer time", PB_SPLIT_FILES_MAX);
	rc = make_part(output, pb_split_by_number(word, ++output->number,
	    time_ns), &output->file, err);
	if (rc == 0)
		output->file->end_ns = pb_split_end(&output->opts.split,
		    time_ns);
	return rc;
}

/* By time: does it belong into the next one? */
static bool
is_late(const struct pb_output *output, const struct pb_cursor_packet *cp)
{
	return output->opts.split.kind == PB_SPLIT_TIME &&
	    cp->packet.time_ns >= output->file->end_ns &&
	    !pb_untimed_get(cp->packet.options, cp->packet.options_len);
}

/* --- a file -------------------------------------------------------------- */

static int
make_part(struct pb_output *output, const char *word, struct file **out,
    struct pb_err *err)
{
	struct file *file = calloc(1, sizeof(*file));
	int rc;

	*out = NULL;
	if (file == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for -w");
	file->fd = -1;
	rc = pb_parts_path(output->parts, word, file->path, err);
	if (rc == 0)
		rc = file->fd = pb_parts_make(output->parts, word,
		    &file->part, err);
	if (rc >= 0)
		rc = file_begin(output, file, file->fd, file->path, err);
	if (rc < 0) {
		file_free(file);
		return rc;
	}
	if (output->opts.split.kind == PB_SPLIT_STREAM)
		file->out.gather = PART_GATHER_BYTES;
	*out = file;
	return 0;
}

static int
file_begin(struct pb_output *output, struct file *file, int fd,
    const char *name, struct pb_err *err)
{
	const struct pb_output_opts *opts = &output->opts;
	struct pb_export_opts how = {
		.comments = opts->comments,
		.single = output->one_stream,
		.pcap = opts->pcap,
		.bytes_max = opts->split.bytes,
	};
	int rc;

	file->end_ns = UINT64_MAX;
	pb_out_init(&file->out, fd, name, opts->stop);
	rc = pb_press_create(&file->press, pb_press_of_name(opts->file),
	    opts->split.kind == PB_SPLIT_STREAM, err);
	if (rc < 0)
		return rc;
	file->out.press = file->press;
	return pb_export_create(&file->export, &file->out, &how, err);
}

static int
file_end(struct file *file, struct pb_err *err)
{
	int rc = pb_export_end(file->export, err);

	return rc < 0 ? rc : pb_out_end(&file->out, err);
}

/* Complete and named, or gone: in any case `file` is. */
static int
part_end(struct pb_output *output, struct file *file, struct pb_err *err)
{
	int rc = file_end(file, err);

	/* Network file systems report what failed only here. */
	if (close(file->fd) < 0 && rc == 0)
		rc = pb_err_sys(err, "write %s", file->path);
	file->fd = -1;
	if (rc == 0)
		rc = pb_parts_name(output->parts, file->part, err);
	file_free(file);
	return rc;
}

static int
parts_end(struct pb_output *output, struct pb_err *err)
{
	struct file *file = output->file;
	int rc = 0;

	output->file = NULL;
	if (output->opts.split.kind != PB_SPLIT_STREAM)
		return file != NULL ? part_end(output, file, err) : 0;
	while (rc == 0 && output->tree != NULL) {
		file = *(struct file **)output->tree;
		tdelete(file, &output->tree, by_name);
		rc = part_end(output, file, err);
	}
	return rc;
}

static void
file_free(void *arg)
{
	struct file *file = arg;

	if (file == NULL)
		return;
	pb_export_destroy(file->export);
	pb_press_destroy(file->press);
	pb_out_finish(&file->out);
	if (file->fd >= 0)
		close(file->fd);
	free(file);
}

static int
by_name(const void *a, const void *b)
{
	const struct file *x = a, *y = b;
	int order = strcmp(x->node, y->node);

	return order != 0 ? order : strcmp(x->interface, y->interface);
}
