/*
 * base/list.h - a list that grows: an array, its length and its room; and
 * places in one that is in order
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

/*
 * In an array in order of a field, of 4 or 8 bytes without sign: how many items
 * have less than `value` in it, which is where one that has it stands, or
 * would.
 */
static inline size_t
pb_list_place(const void *list, size_t count, size_t size, size_t at,
    size_t width, uint64_t value)
{
	const uint8_t *bytes = list;
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint64_t its = 0;
		uint32_t half;

		if (width == sizeof(its)) {
			memcpy(&its, bytes + middle * size + at, sizeof(its));
		} else {
			memcpy(&half, bytes + middle * size + at,
			    sizeof(half));
			its = half;
		}
		if (its < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The same by the names of array and field. */
#define PB_LIST_PLACE(array, count, field, value)			\
	pb_list_place((array), (count), sizeof(*(array)),		\
	    offsetof(__typeof__(*(array)), field),			\
	    sizeof((array)->field), (value))

#endif
