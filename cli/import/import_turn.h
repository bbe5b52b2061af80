/*
 * cli/import/import_turn.h - private to the importer: a big-endian block as a
 * little-endian one
 *
 * Only for the kinds whose layout is known: Name Resolution Blocks and
 * Decryption Secrets Blocks.
 */
#ifndef PB_CLI_IMPORT_TURN_H
#define PB_CLI_IMPORT_TURN_H

#include <stdbool.h>

#include "base/buf.h"
#include "pcapng/reader.h"

/*
 * Append the block of a BLOCK event to `out`, turned round.  False, and
 * nothing appended, where its kind is not known, its lengths are not
 * right, or `out` has no room.
 */
bool	pb_import_turn(const struct pb_event *event, struct pb_buf *out);

#endif
