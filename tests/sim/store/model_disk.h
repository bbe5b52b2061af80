/*
 * tests/sim/store/model_disk.h - a disk in memory that keeps what was synced,
 * and of the rest what a power cut happens to leave
 *
 * Two states of everything: as programs see it (the page cache), and as it
 * is on the platter.  A write, by O_DIRECT or not, and a change of a file's
 * length are in the first alone until the file is synced; a name that was
 * made, moved or taken away until its directory is.  A power cut leaves of
 * each file, sector by sector, any of the states that it went through since
 * its last sync, and any of its lengths; of names what the kind of file
 * system allows:
 *
 *	MODEL_ORDERED	all changes in their order up to some moment, as with
 *			one journal for all; syncing anything syncs all before
 *	MODEL_LOOSE	of each directory its changes up to some moment;
 *			a change in two directories is in both or in neither;
 *			syncing a file does nothing for its name
 *
 * Calls may fail, by chance; the power, or the process alone, may go at any
 * call: from then on every call fails, until model_start().  All chance comes
 * from the seed.
 */
#ifndef PB_TESTS_MODEL_DISK_H
#define PB_TESTS_MODEL_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/disk.h"

struct model;	/* opaque */

enum model_names { MODEL_ORDERED, MODEL_LOOSE };

/* Kinds of calls that may fail, for model_faults(). */
enum {
	MODEL_READS = 1,	/* open without O_CREAT, read, list, stat */
	MODEL_WRITES = 2,	/* write, truncate; a part may be done */
	MODEL_SYNCS = 4,	/* of files and directories: EIO */
	MODEL_NAMES = 8,	/* create, rename, link, unlink, mkdir */
	MODEL_FULL = 16,	/* not a kind: half of writes and names that
				 * fail say ENOSPC, not EIO */
};

/* An empty root; `bytes` is its capacity.  Never NULL. */
struct model *model_create(uint64_t seed, enum model_names names,
	    uint64_t bytes);
void	model_destroy(struct model *model);
/* For pb_below_mount(); set its `clock` where it is to have one. */
struct pb_disk *model_disk(struct model *model);

/* From now on one call in `one_in` of these kinds fails; 0: none. */
void	model_faults(struct model *model, unsigned kinds, unsigned one_in);
/* None fails by chance meanwhile. */
void	model_hush(struct model *model, bool on);
void	model_resize(struct model *model, uint64_t bytes);

/* At the `calls`th call from now the power goes, or with `power` false the
 * process: 1 is the next one, 0 never. */
void	model_stop_at(struct model *model, uint64_t calls, bool power);
/* The same at the `calls`th call that is about a file with a name that ends in
 * `name`, which the caller keeps: it is opened, written to, synced, renamed to
 * or taken away. */
void	model_stop_on(struct model *model, const char *name, uint64_t calls,
	    bool power);
bool	model_is_off(const struct model *model);
/* Was it the power? */
bool	model_is_cut(const struct model *model);
/* Calls so far. */
uint64_t model_calls(const struct model *model);

/* After it stopped, or at any time: no file is open; if the power was cut
 * things are as they are on the platter. */
void	model_start(struct model *model);
/* The power goes now. */
void	model_cut(struct model *model);

/* Flip a bit of a file's byte, on the platter as well: false where there is
 * none. */
bool	model_rot(struct model *model, const char *path, uint64_t at);

/* For who looks for the reason. */
void	model_print(const struct model *model, FILE *out);

#endif
