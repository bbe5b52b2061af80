/*
 * recorder/flow/pool.c - tables of flows in several sizes, kept for reuse
 */
#include "recorder/flow/pool.h"

#include <pthread.h>
#include <stdlib.h>

/* Of nothing but the smallest packets: a mebibyte of blocks of 48 bytes. */
#define CHUNK_PACKETS_MAX	((1u << 20) / 48u)

/* Flows of a table, beside the rest. */
static const uint32_t size[] = {
	31, 127, 511, PB_FLOW_CHUNK_FLOWS_MAX, 8191, 16383, 24575, 32767, 49151,
	65535, PB_FLOWS_MAX,
};

#define SIZES		((unsigned)(sizeof(size) / sizeof(size[0])))

struct pb_flow_pool {
	pthread_mutex_t	 mutex;
	struct pb_flows	*kept[SIZES];		/* linked by `next` */
	uint64_t	 given[SIZES];		/* the turn of the last */
	uint64_t	 turns;
	size_t		 kept_bytes;
	unsigned	 out;			/* taken and not back */
	bool		 on, closed;
	struct pb_flow_pool_opts opts;
	unsigned	 sizes;			/* that it has */
	struct pb_flows_budget budget;
};

static bool	enter(struct pb_flow_pool *, unsigned, struct pb_flows **);
static void	leave(struct pb_flow_pool *);
static bool	gives(struct pb_flow_pool *);
static struct pb_flows *take(struct pb_flow_pool *, unsigned);
static struct pb_flows *take_kept(struct pb_flow_pool *, unsigned);
static struct pb_flows *take_stale(struct pb_flow_pool *, unsigned);
static struct pb_flows *make(struct pb_flow_pool *, unsigned);
static bool	drop_one(struct pb_flow_pool *);
static void	pool_free(struct pb_flow_pool *);

int
pb_flow_pool_create(struct pb_flow_pool **out,
    const struct pb_flow_pool_opts *opts, struct pb_err *err)
{
	struct pb_flow_pool *pool = calloc(1, sizeof(*pool));

	*out = pool;
	if (pool == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory for flows");
	pthread_mutex_init(&pool->mutex, NULL);
	pool->opts = *opts;
	pool->budget.max = opts->bytes_max;
	pool->on = true;
	while (pool->sizes < SIZES && size[pool->sizes] <= opts->flows_max)
		pool->sizes++;
	return 0;
}

int
pb_flow_pool_of_chunks(struct pb_flow_pool **out, struct pb_err *err)
{
	static const struct pb_flow_pool_opts opts = {
		.bytes_max = PB_FLOW_CHUNKS_BYTES_MAX,
		.kept_max = PB_FLOW_CHUNKS_KEPT_MAX,
		.flows_max = PB_FLOW_CHUNK_FLOWS_MAX,
		.packets_max = CHUNK_PACKETS_MAX,
	};

	return pb_flow_pool_create(out, &opts, err);
}

void
pb_flow_pool_destroy(struct pb_flow_pool *pool)
{
	bool last;

	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->mutex);
	pool->closed = true;
	last = pool->out == 0;
	pthread_mutex_unlock(&pool->mutex);
	if (last)
		pool_free(pool);
}

void
pb_flow_pool_on(struct pb_flow_pool *pool, bool on)
{
	pthread_mutex_lock(&pool->mutex);
	pool->on = on;
	pthread_mutex_unlock(&pool->mutex);
	while (!on && drop_one(pool))
		;
}

struct pb_flows *
pb_flow_pool_take(struct pb_flow_pool *pool, unsigned of)
{
	struct pb_flows *flows;

	if (of >= pool->sizes)
		of = pool->sizes - 1;
	flows = take(pool, of);
	while (flows == NULL && of > 0)
		flows = take(pool, --of);
	return flows;
}

unsigned
pb_flow_pool_size(const struct pb_flows *flows)
{
	unsigned of = 0;

	while (of + 1 < SIZES && flows->flows > size[of] + 1)
		of++;
	return of;
}

void
pb_flow_pool_grow(struct pb_flow_pool *pool, struct pb_flows *flows)
{
	unsigned of = flows->of_size + 1;

	flows->grows = false;
	if (of >= pool->sizes || !gives(pool))
		return;
	while (!pb_flows_grow(flows, size[of]))
		if (!drop_one(pool))
			return;
	flows->of_size = of;
	flows->grows = of + 1 < pool->sizes;
}

bool
pb_flow_pool_merge(struct pb_flow_pool *pool, struct pb_flows *flows,
    const struct pb_flows *more, uint32_t at)
{
	while (flows->grows && flows->flows + more->flows >
	    flows->flows_max + 2)
		pb_flow_pool_grow(pool, flows);
	return pb_flows_merge(flows, more, at);
}

void
pb_flow_pool_give(struct pb_flow_pool *pool, struct pb_flows *flows)
{
	struct pb_flows *gone = NULL, *stale = NULL;

	if (flows == NULL)
		return;
	pthread_mutex_lock(&pool->mutex);
	pool->given[flows->of_size] = ++pool->turns;
	while (pool->kept_bytes + flows->bytes > pool->opts.kept_max &&
	    (stale = take_stale(pool, flows->of_size)) != NULL) {
		stale->next = gone;
		gone = stale;
	}
	if (pool->closed || pool->kept_bytes + flows->bytes >
	    pool->opts.kept_max) {
		flows->next = gone;
		gone = flows;
	} else {
		flows->next = pool->kept[flows->of_size];
		pool->kept[flows->of_size] = flows;
		pool->kept_bytes += flows->bytes;
	}
	pthread_mutex_unlock(&pool->mutex);
	while ((flows = gone) != NULL) {
		gone = flows->next;
		pb_flows_destroy(flows);
	}
	leave(pool);
}

size_t
pb_flow_pool_bytes(struct pb_flow_pool *pool)
{
	return atomic_load(&pool->budget.used);
}

size_t
pb_flow_pool_used(struct pb_flow_pool *pool)
{
	size_t used;

	pthread_mutex_lock(&pool->mutex);
	used = atomic_load(&pool->budget.used) - pool->kept_bytes;
	pthread_mutex_unlock(&pool->mutex);
	return used;
}

/* Of a size: one that is kept, or a new one, for which others that are kept
 * make room. */
static struct pb_flows *
take(struct pb_flow_pool *pool, unsigned of)
{
	struct pb_flows *flows;

	if (!enter(pool, of, &flows))
		return NULL;
	/* By who uses it next: it comes into that processor's cache. */
	if (flows != NULL)
		pb_flows_reset(flows);
	else
		flows = make(pool, of);
	while (flows == NULL && drop_one(pool))
		flows = make(pool, of);
	if (flows != NULL)
		flows->grows = of + 1 < pool->sizes;
	else
		leave(pool);
	return flows;
}

/* False where there are none now, else with one that is kept, or NULL. */
static bool
enter(struct pb_flow_pool *pool, unsigned of, struct pb_flows **out)
{
	bool on;

	pthread_mutex_lock(&pool->mutex);
	on = pool->on && !pool->closed;
	*out = on ? take_kept(pool, of) : NULL;
	pool->out += on;
	pthread_mutex_unlock(&pool->mutex);
	return on;
}

static void
leave(struct pb_flow_pool *pool)
{
	bool last;

	pthread_mutex_lock(&pool->mutex);
	pool->out--;
	last = pool->closed && pool->out == 0;
	pthread_mutex_unlock(&pool->mutex);
	if (last)
		pool_free(pool);
}

static bool
gives(struct pb_flow_pool *pool)
{
	bool on;

	pthread_mutex_lock(&pool->mutex);
	on = pool->on && !pool->closed;
	pthread_mutex_unlock(&pool->mutex);
	return on;
}

/* Under the mutex. */
static struct pb_flows *
take_kept(struct pb_flow_pool *pool, unsigned of)
{
	struct pb_flows *flows = pool->kept[of];

	if (flows == NULL)
		return NULL;
	pool->kept[of] = flows->next;
	pool->kept_bytes -= flows->bytes;
	return flows;
}

/* Under the mutex: of another size than this, of that which was needed longest
 * ago; NULL where there is none. */
static struct pb_flows *
take_stale(struct pb_flow_pool *pool, unsigned but)
{
	unsigned of = SIZES;

	for (unsigned i = 0; i < SIZES; i++)
		if (i != but && pool->kept[i] != NULL &&
		    (of == SIZES || pool->given[i] < pool->given[of]))
			of = i;
	return of < SIZES ? take_kept(pool, of) : NULL;
}

static struct pb_flows *
make(struct pb_flow_pool *pool, unsigned of)
{
	struct pb_flows *flows;

	if (pb_flows_create_within(&flows, size[of], pool->opts.packets_max,
	    &pool->budget, NULL) == 0)
		flows->of_size = of;
	return flows;
}

/* One that is kept goes; false: none is. */
static bool
drop_one(struct pb_flow_pool *pool)
{
	struct pb_flows *flows;

	pthread_mutex_lock(&pool->mutex);
	flows = take_stale(pool, SIZES);
	pthread_mutex_unlock(&pool->mutex);
	pb_flows_destroy(flows);
	return flows != NULL;
}

static void
pool_free(struct pb_flow_pool *pool)
{
	while (drop_one(pool))
		;
	pthread_mutex_destroy(&pool->mutex);
	free(pool);
}
