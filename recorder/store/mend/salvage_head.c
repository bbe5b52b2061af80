/*
 * recorder/store/mend/salvage_head.c - a head for packets whose own is rotten
 */
#include "recorder/store/mend/salvage_head.h"

#include <limits.h>
#include <string.h>

#include "base/below.h"
#include "base/sys.h"
#include "pcapng/option.h"
#include "pcapng/stamp.h"
#include "recorder/store/mend/survey.h"
#include "recorder/store/read/segment_file.h"

#define SIBLINGS	64	/* segments asked for a head */

/* Packets that look for one. */
struct orphans {
	const char	*store;
	const struct pb_stream_info *stream;
	uint64_t	 first;
	int		 hops;
};

static int	sibling_head(const struct orphans *, struct pb_head **,
		    struct pb_err *);
static bool	head_of(const struct orphans *, uint64_t, struct pb_head **);
static bool	ends_alike(const struct pb_head *, const struct pb_head *);
static int	say_no_ends(struct pb_head **, struct pb_err *);
static int	origin_head(const struct pb_stream_info *, struct pb_head **,
		    struct pb_err *);

int
pb_salvage_head(struct pb_head **out, const char *store,
    const struct pb_stream_info *stream, uint64_t first, int hops,
    struct pb_err *err)
{
	const struct orphans orphans = { store, stream, first, hops };
	int rc = sibling_head(&orphans, out, err);

	/* Without a row nobody knows the link type. */
	if (rc == 0 && hops == 0 && stream->created_ns != 0)
		rc = origin_head(stream, out, err);
	return rc;
}

/* The index, which may be lost, is not asked. */
static int
sibling_head(const struct orphans *orphans, struct pb_head **out,
    struct pb_err *err)
{
	struct pb_segment_name file;
	char path[PATH_MAX];
	const char *entry;
	struct pb_head *head;
	struct pb_dir *folder;
	bool alike = true;
	int tries = 0, rc = pb_layout_stream(path, orphans->store,
	    &orphans->stream->key, err);

	if (rc < 0)
		return rc;
	folder = pb_below_opendir(path);
	if (folder == NULL)
		return pb_err_sys(err, "open %s", path);
	*out = NULL;
	while (alike && tries < SIBLINGS &&
	    (entry = pb_dir_next(folder)) != NULL) {
		if (!pb_layout_parse(entry, &file) ||
		    file.first == orphans->first)
			continue;
		tries++;
		if (!head_of(orphans, file.first, &head))
			continue;
		if (*out == NULL) {
			*out = head;
			continue;
		}
		alike = ends_alike(*out, head);
		pb_head_unref(head);
	}
	pb_dir_close(folder);
	if (!alike)
		return say_no_ends(out, err);
	return *out != NULL;
}

/* Does the head of this segment serve? */
static bool
head_of(const struct orphans *orphans, uint64_t first, struct pb_head **out)
{
	const struct pb_stream_info *stream = orphans->stream;
	uint64_t digest;
	size_t bytes;
	int fd = pb_segment_open_file(orphans->store, &stream->key, first,
	    NULL);
	int rc;

	if (fd < 0)
		return false;
	rc = pb_survey_head(fd, out, &bytes, &digest, NULL);
	pb_file_close(fd);
	if (rc == 0 && (*out)->identity.nodes == orphans->hops + 1 &&
	    pb_head_fits(*out, &stream->key, stream->linktype, first))
		return true;
	pb_head_unref(*out);
	*out = NULL;
	return false;
}

/* Do both say the same of what frames end with? */
static bool
ends_alike(const struct pb_head *a, const struct pb_head *b)
{
	const struct pb_buf *x = &a->idb_options, *y = &b->idb_options;
	char one[PB_INTERFACE_TEXT_MAX] = "", other[PB_INTERFACE_TEXT_MAX] = "";
	struct pb_option fcslen;

	(void)pb_interface_text_get(x->data, x->len, one);
	(void)pb_interface_text_get(y->data, y->len, other);
	return strcmp(one, other) == 0 &&
	    pb_option_find(x->data, x->len, PB_OPT_IF_FCSLEN, &fcslen) ==
	    pb_option_find(y->data, y->len, PB_OPT_IF_FCSLEN, &fcslen);
}

static bool
tells_no_end(const struct pb_option *option)
{
	return option->code != PB_OPT_IF_FCSLEN &&
	    !pb_own_option(option, PB_OWN_INTERFACE);
}

/* 1 or an error: then there is none any more. */
static int
say_no_ends(struct pb_head **head, struct pb_err *err)
{
	struct pb_head *from = *head;
	struct pb_buf idb;
	int rc;

	*head = NULL;
	pb_buf_init(&idb, PB_OPTIONS_BYTES_MAX);
	rc = pb_option_copy(&idb, from->idb_options.data,
	    from->idb_options.len, tells_no_end);
	if (rc == 0)
		rc = pb_head_create(head, &from->identity, from->linktype,
		    from->shb_options.data, from->shb_options.len, idb.data,
		    idb.len, err);
	else
		pb_err_set(err, rc, "the head of another segment cannot be "
		    "copied");
	pb_buf_finish(&idb);
	pb_head_unref(from);
	return rc < 0 ? rc : 1;
}

/* Packets without a hop are at their origin: the stream's key says all. */
static int
origin_head(const struct pb_stream_info *stream, struct pb_head **out,
    struct pb_err *err)
{
	struct pb_identity identity = { .epoch = stream->key.epoch,
	    .first_seq = 1, .nodes = 1 };
	struct pb_buf idb;
	int rc;

	strcpy(identity.interface, stream->key.interface);
	strcpy(identity.node[0].name, stream->key.node);
	pb_buf_init(&idb, PB_OPTIONS_BYTES_MAX);
	pb_option_put(&idb, PB_OPT_IF_NAME, stream->key.interface,
	    strlen(stream->key.interface));
	rc = pb_head_create(out, &identity, stream->linktype, NULL, 0,
	    idb.data, idb.len, err);
	pb_buf_finish(&idb);
	return rc < 0 ? rc : 1;
}
