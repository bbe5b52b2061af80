/*
 * recorder/query/search_twin.c - a search of the same, for another thread
 */
#include <stdlib.h>

#include "base/list.h"
#include "recorder/filter/payload.h"
#include "recorder/query/search_impl.h"

int
search_twin(struct pb_search **out, const struct pb_search *of,
    const struct pb_stop *stop, struct pb_err *err)
{
	struct pb_search *twin = calloc(1, sizeof(*twin));
	struct pb_search_opts opts = of->opts;
	int rc;

	*out = NULL;
	if (twin == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for a query");
	opts.stop = stop;
	rc = search_init(twin, &opts, err);
	if (rc == 0 && opts.payload != NULL)
		rc = pb_payload_twin(&twin->twin_payload, opts.payload, err);
	if (rc == 0 && !PB_LIST_ROOM(twin->input, twin->inputs_cap, 0))
		rc = pb_err_set(err, PB_ENOMEM, "no memory for a query");
	if (rc < 0) {
		pb_search_destroy(twin);
		return rc;
	}
	if (opts.payload != NULL)
		twin->opts.payload = twin->twin_payload;
	twin->index = of->index;
	*out = twin;
	return 0;
}

int
search_twin_part(struct pb_search *twin, const struct search_input *input,
    uint64_t first, uint64_t last, struct pb_err *err)
{
	struct search_input *mine = &twin->input[0];
	struct search_filter *filter;
	int rc;

	if (twin->inputs > 0 && mine->plan != NULL &&
	    mine->info.id == input->info.id) {
		search_seek(mine, first, last);
		return 0;
	}
	if (twin->inputs > 0)
		search_close(twin, 0);
	rc = search_filter_borrow(twin, input->filter, &filter, err);
	if (rc < 0)
		return rc;
	twin->inputs = 1;
	*mine = (struct search_input){ .search = twin, .info = input->info,
	    .range = input->range, .filter = filter };
	mine->range.first_seq = first;
	mine->range.last_seq = last;
	return search_forward(twin, mine, NULL, NULL, err);
}
