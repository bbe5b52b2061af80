/*
 * recorder/query/search_filter.c - the filter of a search, by link types
 */
#include <stdlib.h>

#include "base/list.h"
#include "recorder/filter/filter.h"
#include "recorder/filter/inner.h"
#include "recorder/filter/question.h"
#include "recorder/query/search_impl.h"

#define LINKTYPE_IEEE802_11	105

static bool	known(const struct pb_search *, uint16_t,
		    struct search_filter **);
static struct search_filter *add(struct pb_search *, uint16_t,
		    struct pb_err *);
static int	prepare(struct pb_search *, struct search_filter *,
		    struct pb_err *);
static int	check_unused(struct pb_search *, struct pb_err *);

int
search_filter_find(struct pb_search *search, uint16_t linktype,
    struct search_filter **out, struct pb_err *err)
{
	struct search_filter *filter;
	struct pb_err why;

	if (known(search, linktype, out))
		return 0;
	filter = add(search, linktype, err);
	if (filter == NULL)
		return err->code;
	*out = filter;
	if (pb_filter_create(&filter->filter, search->opts.filter, linktype,
	    &why) == 0)
		return prepare(search, filter, err);
	filter->filter = NULL;
	if (search->filter_err.code == 0)
		search->filter_err = why;
	return 0;
}

int
search_filter_borrow(struct pb_search *search, const struct search_filter *of,
    struct search_filter **out, struct pb_err *err)
{
	if (known(search, of->linktype, out))
		return 0;
	*out = add(search, of->linktype, err);
	if (*out == NULL)
		return err->code;
	(*out)->filter = of->filter;
	(*out)->borrowed = true;
	return prepare(search, *out, err);
}

int
search_filters_check(struct pb_search *search, struct pb_err *err)
{
	if (search->filters == 0)
		return check_unused(search, err);
	for (size_t i = 0; i < search->filters; i++)
		if (search->filter[i]->filter != NULL)
			return 0;
	*err = search->filter_err;
	return err->code;
}

void
search_filters_free(struct pb_search *search)
{
	for (size_t i = 0; i < search->filters; i++) {
		pb_question_destroy(search->filter[i]->question);
		pb_inner_destroy(search->filter[i]->inner);
		if (!search->filter[i]->borrowed)
			pb_filter_destroy(search->filter[i]->filter);
		free(search->filter[i]);
	}
	free(search->filter);
}

/* No stream asked for the filter: say all the same if it is none. */
static int
check_unused(struct pb_search *search, struct pb_err *err)
{
	struct pb_filter *filter = NULL;
	int rc;

	rc = pb_filter_create(&filter, search->opts.filter,
	    PB_LINKTYPE_ETHERNET, err);
	if (rc < 0 && pb_filter_create(&filter, search->opts.filter,
	    LINKTYPE_IEEE802_11, NULL) == 0)
		rc = 0;
	pb_filter_destroy(filter);
	return rc;
}

static bool
known(const struct pb_search *search, uint16_t linktype,
    struct search_filter **out)
{
	for (size_t i = 0; i < search->filters; i++)
		if (search->filter[i]->linktype == linktype) {
			*out = search->filter[i];
			return true;
		}
	return false;
}

/* An empty one; NULL where there is no memory. */
static struct search_filter *
add(struct pb_search *search, uint16_t linktype, struct pb_err *err)
{
	struct search_filter *filter = NULL;

	if (PB_LIST_ROOM(search->filter, search->filters_cap,
	    search->filters))
		filter = calloc(1, sizeof(*filter));
	if (filter == NULL) {
		pb_err_set(err, PB_ENOMEM, "no memory for a filter");
		return NULL;
	}
	filter->linktype = linktype;
	search->filter[search->filters++] = filter;
	return filter;
}

/* What asks it, one thread at a time. */
static int
prepare(struct pb_search *search, struct search_filter *filter,
    struct pb_err *err)
{
	int rc = 0;

	if (!search->opts.no_index)
		rc = pb_question_create(&filter->question, filter->filter,
		    err);
	if (rc == 0 && search->opts.inner)
		rc = pb_inner_create(&filter->inner, filter->filter,
		    filter->linktype, err);
	if (rc == 0 && filter->question != NULL)
		pb_question_look_inside(filter->question, filter->inner);
	return rc;
}
