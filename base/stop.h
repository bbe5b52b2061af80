/*
 * base/stop.h - has whoever asked for something long given it up?
 *
 * What takes long, and knows no signals and no connections, looks here
 * between two steps.  Once asked to stop it stays asked.
 */
#ifndef PB_BASE_STOP_H
#define PB_BASE_STOP_H

#include <stdbool.h>
#include <stddef.h>

struct pb_stop {
	bool	(*asked)(void *arg);
	void	*arg;
};

/* False where `stop` is NULL: nobody can give it up. */
static inline bool
pb_stopped(const struct pb_stop *stop)
{
	return stop != NULL && stop->asked(stop->arg);
}

#endif
