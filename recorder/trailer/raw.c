/*
 * recorder/trailer/raw.c - bytes that nobody knows
 */
#include "recorder/trailer/formats.h"

bool
pb_take_raw(struct peel *peel, struct pb_stamp *stamp)
{
	(void)stamp;
	if (!peel_has(peel, peel->trailer->argument))
		return false;
	peel->end -= peel->trailer->argument;
	return true;
}
