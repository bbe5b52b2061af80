/*
 * base/list.h - a list that grows: an array, its length and its room
 */
#ifndef PB_BASE_LIST_H
#define PB_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PB_LIST_FIRST	16u	/* items that a new list has room for */

/*
 * Room for one item behind the `count` that there are, by doubling.  `list`
 * is the address of the array's pointer, `room` items of `size` bytes are
 * allocated; both are the caller's, who frees the array.  False where there
 * is no memory: the list is as it was.
 */
static inline bool
pb_list_grow(void *list, size_t *room, size_t count, size_t size)
{
	size_t more = *room > 0 ? 2 * *room : PB_LIST_FIRST;
	void *items;

	if (count < *room)
		return true;
	memcpy(&items, list, sizeof(items));
	items = more > SIZE_MAX / size ? NULL : realloc(items, more * size);
	if (items == NULL)
		return false;
	memcpy(list, &items, sizeof(items));
	*room = more;
	return true;
}

/* The same of an array by its name: PB_LIST_ROOM(at, cap, count). */
#define PB_LIST_ROOM(array, room, count)				\
	pb_list_grow(&(array), &(room), (count), sizeof(*(array)))

#endif
