/*
 * recorder/store/write/writer_impl.h - what writer.c and flush.c share
 *
 * Both run in the writer's thread alone.  writer.c appends chunks to
 * segments; flush.c makes them durable, or takes them back.
 */
#ifndef PB_STORE_WRITER_IMPL_H
#define PB_STORE_WRITER_IMPL_H

#include "recorder/store/write/store_impl.h"

/* flush.c: after it, what was in `written` is durable, or was answered. */
void	writer_flush(struct pb_store *store);
/*
 * Back to the last commit.  The stream's chunks in the batch are answered
 * or held; what its producer sends next must follow what is durable.
 */
void	writer_roll_back(struct pb_store *store, struct pb_stream *stream,
	    int rc, const struct pb_err *err);
/* Rows of one segment, and of a chunk's drop counts. */
void	writer_put_segment(struct pb_mdb_txn *txn,
	    const struct pb_segment *segment, bool sealed);
void	writer_put_drops(struct pb_mdb_txn *txn,
	    const struct pb_chunk *chunk);
/* Late packets: on disk before the index says that a gap is closed. */
int	writer_journal_fill(struct pb_store *store,
	    const struct pb_chunk *chunk, uint64_t now_ns,
	    struct pb_err *err);

/* vanish.c: look, and leave what is gone, or begin anew; now and then. */
void	store_look(struct pb_store *store, uint64_t now_ms);
/* At once, before something is made at the path: false with the reason
 * where the store is away. */
bool	store_is_there(struct pb_store *store, struct pb_err *err);

/* writer.c: answer a chunk with the failure, or hold it. */
void	writer_chunk_failed(struct pb_store *store, struct pb_chunk *chunk,
	    int rc, const struct pb_err *err);
/* The stream has no open segment any more. */
void	writer_unlink_open(struct pb_store *store, struct pb_stream *stream);
/* For the log and for status. */
void	writer_note_failure(struct pb_store *store,
	    const struct pb_err *err);
void	writer_note_success(struct pb_store *store);

#endif
