/*
 * recorder/store/write/writer_impl.h - the parts of the writer's thread
 *
 * Who calls whom: writer.c (turns) -> append.c (a chunk), flush.c (a batch)
 * -> vanish.c (a store that goes), batch.c (what is not committed).
 */
#ifndef PB_STORE_WRITER_IMPL_H
#define PB_STORE_WRITER_IMPL_H

#include "recorder/store/write/store_impl.h"

/* append.c: take one chunk; whatever happens, it is accounted for. */
void	writer_take(struct pb_store *store, struct pb_chunk *chunk);
/* At the next flush this stream's segment gets its sealed name. */
void	writer_seal_later(struct pb_store *store, struct pb_stream *stream);

/* flush.c: after it, what was in `written` is durable, or was answered. */
void	writer_flush(struct pb_store *store);

/* vanish.c: look, and leave what is gone, or begin anew; now and then. */
void	store_look(struct pb_store *store);
/* At once, before something is made at the path: false with the reason
 * where the store is away. */
bool	store_is_there(struct pb_store *store, struct pb_err *err);

/* batch.c.  The first one, off the list, or NULL. */
struct pb_chunk *chunk_pop(struct chunk_list *list);
/* Something of the stream is in the batch, which is to be flushed
 * by `due_ms`. */
void	batch_add(struct pb_store *store, struct pb_stream *stream,
	    uint64_t due_ms);
/* The chunk, and what follows of its stream, waits for the flush at the end
 * of this turn: 0. */
int	batch_wait(struct pb_store *store, struct pb_chunk *chunk);
/*
 * Back to the last commit.  The stream's chunks that are written, or wait,
 * are answered or held; what its producer sends next must follow what is
 * durable.
 */
void	batch_roll_back(struct pb_store *store, struct pb_stream *stream,
	    int rc, const struct pb_err *err);
/* Answer a chunk with the failure, or hold it. */
void	batch_refuse(struct pb_store *store, struct pb_chunk *chunk, int rc,
	    const struct pb_err *err);
/* For the log and for status; the last one now and then. */
void	batch_note_failure(struct pb_store *store, const struct pb_err *err);
void	batch_note_success(struct pb_store *store);
void	batch_note_healed(struct pb_store *store);

#endif
