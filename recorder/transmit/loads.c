/*
 * recorder/transmit/loads.c - frames by the thousand, from one thread to
 * another
 */
#include "recorder/transmit/loads.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "base/clock.h"
#include "base/sys.h"
#include "base/text.h"

#define STEP_MS		100	/* who waits looks for a stop so often */
#define MEMORY		(PB_LOAD_BYTES + PB_LOAD_FRAMES *		\
			    (sizeof(struct pb_frame) + sizeof(struct pb_ready)))

enum state {
	FILLING,
	IDLE,			/* who reads has nothing for now */
	FULL,			/* ... or no load */
	ENDED,
};

struct pb_loads {
	uint64_t	 keep_bytes;
	size_t		 count;		/* all that there are */
	const struct pb_stop *stop;
	pthread_mutex_t	 lock;		/* of all that follows */
	pthread_cond_t	 changed;	/* one is ready, or `state` */
	pthread_cond_t	 room;		/* one is idle */
	struct pb_load	*idle;
	struct pb_load	*ready, **end;	/* of those that are kept, all */
	struct pb_load	*next;		/* to be handed out */
	enum state	 state;
	int		 rc;		/* once ENDED, with its words */
	struct pb_err	 err;
};

static int	make_all(struct pb_loads *, struct pb_err *);
static int	make(struct pb_loads *, int, struct pb_load **,
		    struct pb_err *);
static void	free_all(struct pb_load *);
static void	tell(struct pb_loads *, enum state);
static bool	wait_for(struct pb_loads *, pthread_cond_t *, uint64_t);
static uint64_t	in_ms(int);

int
pb_loads_create(struct pb_loads **out, uint64_t keep_bytes,
    const struct pb_stop *stop, struct pb_err *err)
{
	struct pb_loads *loads = calloc(1, sizeof(*loads));
	pthread_condattr_t monotonic;
	int rc;

	*out = NULL;
	if (loads == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory to read ahead");
	loads->keep_bytes = keep_bytes;
	loads->stop = stop;
	loads->end = &loads->ready;
	pthread_mutex_init(&loads->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&loads->changed, &monotonic);
	pthread_cond_init(&loads->room, &monotonic);
	pthread_condattr_destroy(&monotonic);
	rc = keep_bytes > 0 ? 0 : make_all(loads, err);
	if (rc < 0)
		pb_loads_destroy(loads);
	else
		*out = loads;
	return rc;
}

void
pb_loads_destroy(struct pb_loads *loads)
{
	if (loads == NULL)
		return;
	free_all(loads->idle);
	free_all(loads->ready);
	pthread_cond_destroy(&loads->changed);
	pthread_cond_destroy(&loads->room);
	pthread_mutex_destroy(&loads->lock);
	free(loads);
}

int
pb_loads_take(struct pb_loads *loads, struct pb_load **out,
    struct pb_err *err)
{
	struct pb_load *load;
	int rc = 1;

	*out = NULL;
	if (loads->keep_bytes > 0) {
		rc = make(loads, 0, out, err);
		return rc < 0 ? rc : 1;
	}
	pthread_mutex_lock(&loads->lock);
	if (loads->idle == NULL)
		tell(loads, FULL);
	while (loads->idle == NULL && !pb_stopped(loads->stop))
		wait_for(loads, &loads->room, in_ms(STEP_MS));
	tell(loads, FILLING);
	load = loads->idle;
	if (load != NULL)
		loads->idle = load->next;
	else
		rc = 0;
	pthread_mutex_unlock(&loads->lock);
	if (load != NULL) {
		load->count = 0;
		load->bytes = 0;
	}
	*out = load;
	return rc;
}

void
pb_loads_give(struct pb_loads *loads, struct pb_load *load)
{
	load->next = NULL;
	pthread_mutex_lock(&loads->lock);
	*loads->end = load;
	loads->end = &load->next;
	pthread_cond_signal(&loads->changed);
	pthread_mutex_unlock(&loads->lock);
}

void
pb_loads_put_back(struct pb_loads *loads, struct pb_load *load)
{
	pthread_mutex_lock(&loads->lock);
	load->next = loads->idle;
	loads->idle = load;
	pthread_cond_signal(&loads->room);
	pthread_mutex_unlock(&loads->lock);
}

void
pb_loads_idle(struct pb_loads *loads)
{
	pthread_mutex_lock(&loads->lock);
	tell(loads, IDLE);
	pthread_mutex_unlock(&loads->lock);
}

void
pb_loads_end(struct pb_loads *loads, int rc, const struct pb_err *err)
{
	pthread_mutex_lock(&loads->lock);
	loads->rc = rc < 0 ? rc : 0;
	if (rc < 0)
		loads->err = *err;
	loads->next = loads->ready;
	tell(loads, ENDED);
	pthread_mutex_unlock(&loads->lock);
}

int
pb_loads_prime(struct pb_loads *loads, struct pb_err *err)
{
	int rc;

	pthread_mutex_lock(&loads->lock);
	while (!pb_stopped(loads->stop) && (loads->state == FILLING ||
	    (loads->keep_bytes > 0 && loads->state != ENDED)))
		wait_for(loads, &loads->changed, in_ms(STEP_MS));
	rc = loads->rc;
	if (rc < 0)
		*err = loads->err;
	pthread_mutex_unlock(&loads->lock);
	return rc;
}

int
pb_loads_next(struct pb_loads *loads, int ms_max, struct pb_load **load,
    struct pb_err *err)
{
	bool keep = loads->keep_bytes > 0;
	uint64_t until = in_ms(ms_max);
	int rc = PB_LOADS_ONE;

	pthread_mutex_lock(&loads->lock);
	while (loads->state != ENDED && (keep || loads->ready == NULL) &&
	    wait_for(loads, &loads->changed, until))
		;
	*load = keep ? loads->next : loads->ready;
	if (keep && loads->state != ENDED)
		*load = NULL;
	if (*load != NULL && keep) {
		loads->next = (*load)->next;
	} else if (*load != NULL) {
		loads->ready = (*load)->next;
		if (loads->ready == NULL)
			loads->end = &loads->ready;
	} else if (loads->state != ENDED) {
		rc = PB_LOADS_NONE_YET;
	} else {
		rc = loads->rc;
		if (rc < 0)
			*err = loads->err;
	}
	pthread_mutex_unlock(&loads->lock);
	return rc;
}

void
pb_loads_done(struct pb_loads *loads, struct pb_load *load)
{
	if (load != NULL && loads->keep_bytes == 0)
		pb_loads_put_back(loads, load);
}

void
pb_loads_rewind(struct pb_loads *loads)
{
	pthread_mutex_lock(&loads->lock);
	loads->next = loads->ready;
	pthread_mutex_unlock(&loads->lock);
}

static int
make_all(struct pb_loads *loads, struct pb_err *err)
{
	struct pb_load *load;
	int rc = 0;

	for (unsigned i = 0; i < PB_LOADS && rc == 0; i++) {
		rc = make(loads, MAP_POPULATE, &load, err);
		if (rc == 0) {
			load->next = loads->idle;
			loads->idle = load;
		}
	}
	return rc;
}

static int
make(struct pb_loads *loads, int more, struct pb_load **out,
    struct pb_err *err)
{
	struct pb_load *load;
	char size[16];

	if (loads->keep_bytes > 0 &&
	    (loads->count + 1) * MEMORY > loads->keep_bytes)
		return pb_err_set(err, PB_ELIMIT, "the packets do not fit into "
		    "the %s of memory that are for them",
		    pb_size_format(loads->keep_bytes, size));
	load = calloc(1, sizeof(*load));
	if (load != NULL)
		load->data = pb_pages_map(MEMORY, PROT_READ | PROT_WRITE,
		    more);
	if (load == NULL || load->data == NULL) {
		free(load);
		return pb_err_set(err, PB_ENOMEM, "no memory to read ahead");
	}
	load->frame = (struct pb_frame *)(void *)(load->data + PB_LOAD_BYTES);
	load->ready = (struct pb_ready *)(load->frame + PB_LOAD_FRAMES);
	loads->count++;
	*out = load;
	return 0;
}

static void
free_all(struct pb_load *load)
{
	struct pb_load *next;

	for (; load != NULL; load = next) {
		next = load->next;
		munmap(load->data, MEMORY);
		free(load);
	}
}

static void
tell(struct pb_loads *loads, enum state state)
{
	loads->state = state;
	pthread_cond_signal(&loads->changed);
}

/* False once it is `ns`. */
static bool
wait_for(struct pb_loads *loads, pthread_cond_t *what, uint64_t ns)
{
	const struct timespec until = { (time_t)(ns / PB_NS_PER_S),
	    (long)(ns % PB_NS_PER_S) };

	return pthread_cond_timedwait(what, &loads->lock, &until) == 0;
}

static uint64_t
in_ms(int ms)
{
	return pb_clock_mono_ns() + PB_NS_PER_MS * (unsigned)ms;
}
