/*
 * shipper/feed/packing.c - is it worth while to pack what a stream sends?
 */
#include "shipper/feed/packing.h"

static struct pb_packing_one *one_of(struct pb_packing *, uint32_t);

bool
pb_packing_try(struct pb_packing *packing, uint32_t stream)
{
	struct pb_packing_one *one = one_of(packing, stream);

	if (one->left == 0)
		return true;
	one->left--;
	return false;
}

void
pb_packing_tell(struct pb_packing *packing, uint32_t stream, bool shrank)
{
	struct pb_packing_one *one = one_of(packing, stream);

	if (shrank) {
		one->poor = one->pause = one->left = 0;
		return;
	}
	/* Several may have been under way. */
	if (one->left > 0 || (++one->poor < PB_PACKING_TRIES &&
	    one->pause == 0))
		return;
	one->poor = 0;
	one->pause = one->pause == 0 ? PB_PACKING_PAUSE_MIN : 2 * one->pause;
	if (one->pause > PB_PACKING_PAUSE_MAX)
		one->pause = PB_PACKING_PAUSE_MAX;
	one->left = one->pause;
}

static struct pb_packing_one *
one_of(struct pb_packing *packing, uint32_t stream)
{
	struct pb_packing_one *one =
	    &packing->one[stream % PB_PACKING_STREAMS];

	if (one->stream != stream)
		*one = (struct pb_packing_one){ .stream = stream };
	return one;
}
