/*
 * recorder/intake/space.c - the memory that bodies lie in
 *
 * A new piece cannot be read or written; what is used of it is opened, step
 * by step.  So who promises a large body gets no page of it, the kernel
 * commits no memory for it, and no huge page reaches past what is used.
 *
 * What is in memory and not used is counted over the pieces that are free
 * and those that are taken: otherwise a peer could take one warm piece after
 * the other, and send nothing.
 */
#include "recorder/intake/space.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sys.h"

#define SIZE_BYTES(of)	((size_t)65536u << (2 * (of)))
#define SIZES		6u		/* 64 KiB to 64 MiB */
/* A piece with more pages than that goes: many small bodies are worth more
 * than one large one. */
#define WARM_MAX	(PB_SPACE_KEPT_MAX / 4)

_Static_assert(PB_BODY_BYTES_MAX <= (uint64_t)65536u << (2 * (SIZES - 1)),
    "the largest body has a size");

TAILQ_HEAD(pieces, pb_space_piece);

struct pb_space {
	struct pieces	same[SIZES];	/* free; the last one given first */
	struct pieces	any;
	size_t		kept, kept_max;
	size_t		page;
};

static struct pb_space_piece *piece_create(unsigned, struct pb_err *);
static void	piece_destroy(struct pb_space_piece *);
static void	unlink_free(struct pb_space *, struct pb_space_piece *);
static void	trim(struct pb_space *);
static int	open_to(struct pb_space_piece *, size_t, struct pb_err *);
static size_t	unused(const struct pb_space_piece *);
static size_t	round_to(size_t, size_t);

int
pb_space_create(struct pb_space **out, struct pb_err *err)
{
	struct pb_space *space = calloc(1, sizeof(*space));

	if (space == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	for (unsigned of = 0; of < SIZES; of++)
		TAILQ_INIT(&space->same[of]);
	TAILQ_INIT(&space->any);
	space->kept_max = PB_SPACE_KEPT_MAX;
	space->page = (size_t)sysconf(_SC_PAGESIZE);
	*out = space;
	return 0;
}

void
pb_space_destroy(struct pb_space *space)
{
	struct pb_space_piece *piece;

	if (space == NULL)
		return;
	while ((piece = TAILQ_FIRST(&space->any)) != NULL) {
		unlink_free(space, piece);
		piece_destroy(piece);
	}
	assert(space->kept == 0);
	free(space);
}

int
pb_space_take(struct pb_space *space, size_t bytes, struct pb_space_piece **out,
    struct pb_err *err)
{
	unsigned of = 0;

	while (of < SIZES && bytes > SIZE_BYTES(of))
		of++;
	if (of == SIZES)
		return pb_err_set(err, PB_ELIMIT, "%zu bytes; %zu at most",
		    bytes, SIZE_BYTES(SIZES - 1));
	*out = TAILQ_FIRST(&space->same[of]);
	if (*out == NULL) {
		*out = piece_create(of, err);
		return *out != NULL ? 0 : PB_ENOMEM;
	}
	TAILQ_REMOVE(&space->same[of], *out, same);
	TAILQ_REMOVE(&space->any, *out, any);
	return 0;
}

void
pb_space_give(struct pb_space *space, struct pb_space_piece *piece)
{
	if (piece == NULL)
		return;
	space->kept -= unused(piece);
	if (piece->warm < piece->used)
		piece->warm = piece->used;
	piece->used = 0;
	if (piece->warm == 0 || piece->warm > WARM_MAX) {
		piece_destroy(piece);
		return;
	}
	space->kept += piece->warm;
	TAILQ_INSERT_HEAD(&space->same[piece->of], piece, same);
	TAILQ_INSERT_HEAD(&space->any, piece, any);
	trim(space);
}

int
pb_space_use(struct pb_space *space, struct pb_space_piece *piece, size_t bytes,
    struct pb_err *err)
{
	size_t used = round_to(bytes, space->page);
	int rc = 0;

	assert(bytes <= SIZE_BYTES(piece->of));
	if (used <= piece->used)
		return 0;
	if (used > piece->open)
		rc = open_to(piece, used, err);
	if (rc < 0)
		return rc;
	space->kept -= unused(piece);
	piece->used = used;
	space->kept += unused(piece);
	return 0;
}

void
pb_space_shrink(struct pb_space *space, struct pb_space_piece *piece,
    size_t bytes)
{
	size_t used = round_to(bytes, space->page);

	if (used >= piece->used)
		return;
	space->kept -= unused(piece);
	piece->used = used;
	if (piece->warm <= used)
		return;
	/* Taken pieces are never trimmed. */
	(void)madvise(piece->data + used, piece->warm - used, MADV_DONTNEED);
	piece->warm = used;
}

size_t
pb_space_kept(const struct pb_space *space)
{
	return space->kept;
}

void
pb_space_limit(struct pb_space *space, size_t bytes)
{
	space->kept_max = bytes < PB_SPACE_KEPT_MAX ? bytes :
	    PB_SPACE_KEPT_MAX;
	trim(space);
}

/* --- pieces --------------------------------------------------------------- */

static struct pb_space_piece *
piece_create(unsigned of, struct pb_err *err)
{
	struct pb_space_piece *piece = calloc(1, sizeof(*piece));

	if (piece != NULL)
		piece->data = pb_pages_map(SIZE_BYTES(of), PROT_NONE,
		    MAP_NORESERVE);
	if (piece == NULL || piece->data == NULL) {
		free(piece);
		pb_err_set(err, PB_ENOMEM, "no memory");
		return NULL;
	}
	piece->of = of;
	return piece;
}

static void
piece_destroy(struct pb_space_piece *piece)
{
	munmap(piece->data, SIZE_BYTES(piece->of));
	free(piece);
}

static void
unlink_free(struct pb_space *space, struct pb_space_piece *piece)
{
	TAILQ_REMOVE(&space->same[piece->of], piece, same);
	TAILQ_REMOVE(&space->any, piece, any);
	space->kept -= piece->warm;
}

/* Those that have not been used for longest go first. */
static void
trim(struct pb_space *space)
{
	struct pb_space_piece *piece;

	while (space->kept > space->kept_max &&
	    (piece = TAILQ_LAST(&space->any, pieces)) != NULL) {
		unlink_free(space, piece);
		piece_destroy(piece);
	}
}

/* Huge pages only where what is used now fills them. */
static int
open_to(struct pb_space_piece *piece, size_t bytes, struct pb_err *err)
{
	size_t huge = round_to(piece->open, PB_HUGE_BYTES);
	size_t huge_end = bytes - bytes % PB_HUGE_BYTES;

	if (mprotect(piece->data + piece->open, bytes - piece->open,
	    PROT_READ | PROT_WRITE) < 0)
		return pb_err_set(err, PB_ENOMEM, "no memory");
	if (huge < huge_end)
		(void)madvise(piece->data + huge, huge_end - huge,
		    MADV_HUGEPAGE);
	piece->open = bytes;
	return 0;
}

static size_t
unused(const struct pb_space_piece *piece)
{
	return piece->warm > piece->used ? piece->warm - piece->used : 0;
}

static size_t
round_to(size_t bytes, size_t edge)
{
	return (bytes + edge - 1) / edge * edge;
}
