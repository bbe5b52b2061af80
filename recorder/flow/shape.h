/*
 * recorder/flow/shape.h - what a header shape says that bits cannot
 */
#ifndef PB_FLOW_SHAPE_H
#define PB_FLOW_SHAPE_H

#include "recorder/filter/values.h"
#include "recorder/flow/key.h"

/*
 * Of the packets of a shape (PB_FLOW_SHAPE_BYTES of a key): the places of
 * which it knows the values; NULL where there are none.  They are constant and
 * always the same.  Later fragments have an offset that is not 0: without it
 * each would be looked at for ports that it has not.
 */
const struct pb_places *pb_flow_shape_places(const struct pb_flow_key *key);

#endif
