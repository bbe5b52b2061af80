/*
 * recorder/store/strangers.h - what is in a store and is not its owner's
 */
#ifndef PB_STORE_STRANGERS_H
#define PB_STORE_STRANGERS_H

/*
 * Look for files and directories that belong to another user than `store`
 * does, which its owner may be able neither to write nor to delete, and say
 * so, once, with what to type: a line in the log.  Bounded: the index, and
 * of segments/ the directories, PB_STRANGERS_LOOKS in all.
 */
#define PB_STRANGERS_LOOKS	4096u

void	pb_strangers_say(const char *store);

#endif
