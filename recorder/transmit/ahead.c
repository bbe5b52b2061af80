/*
 * recorder/transmit/ahead.c - frames made ready before they are due
 */
#include "recorder/transmit/ahead.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "pcapng/block.h"

#define ALIGN		16u	/* a frame begins at a multiple of it */

_Static_assert(PB_CAPLEN_MAX + PB_VLAN_BYTES <= PB_LOAD_BYTES,
    "any packet fits a load");

struct pb_ahead {
	struct pb_ahead_opts opts;
	struct pb_loads	*loads;
	struct pb_stop	 stop;		/* the caller's, or `ending` */
	atomic_bool	 ending;
	uint32_t	 bytes_max[PB_WAYS_MAX][2];	/* with a tag: [1] */
	pthread_t	 thread;
	bool		 started;
	/* the thread's, and after its end the caller's */
	struct pb_load	*load;
	uint64_t	 loop;
	uint64_t	 seen;		/* packets, in the first loop */
	uint64_t	 put;		/* frames, in all loops */
	uint32_t	 skipped;	/* since the last frame */
	bool		 again;
	/* who sends, where loads are kept */
	uint64_t	 replayed;	/* loops that have ended */
	uint64_t	 handed;	/* frames */
};

static int	start(struct pb_ahead *, struct pb_err *);
static bool	asked(void *);
static void	*work(void *);
static int	all_loops(struct pb_ahead *, struct pb_err *);
static int	one_loop(struct pb_ahead *, struct pb_err *);
static int	take(struct pb_ahead *, const struct pb_source_frame *,
		    struct pb_err *);
static void	put(struct pb_ahead *, const struct pb_source_frame *,
		    size_t, bool);
static int	fit(struct pb_ahead *, unsigned, const uint8_t *, size_t *,
		    struct pb_err *);
static int	refuse(const struct pb_ahead *, unsigned, size_t, size_t,
		    struct pb_err *);
static int	room_for(struct pb_ahead *, size_t, struct pb_err *);
static void	hand_over(struct pb_ahead *);
static bool	next_loop(struct pb_ahead *);
static void	hand_out(struct pb_ahead *, struct pb_load *);

int
pb_ahead_create(struct pb_ahead **out, const struct pb_ahead_opts *opts,
    struct pb_err *err)
{
	struct pb_ahead *ahead = calloc(1, sizeof(*ahead));
	int rc;

	*out = NULL;
	if (ahead == NULL)
		return pb_err_set(err, PB_ENOMEM, "no memory to read ahead");
	ahead->opts = *opts;
	ahead->stop = (struct pb_stop){ asked, ahead };
	for (size_t i = 0; i < opts->ways; i++)
		for (int tagged = 0; tagged < 2; tagged++)
			ahead->bytes_max[i][tagged] = pb_outlet_bytes_max(
			    opts->way[i].outlet, tagged == 1);
	rc = pb_loads_create(&ahead->loads, opts->keep_bytes, &ahead->stop,
	    err);
	if (rc == 0)
		rc = start(ahead, err);
	if (rc < 0)
		pb_ahead_destroy(ahead);
	else
		*out = ahead;
	return rc;
}

void
pb_ahead_destroy(struct pb_ahead *ahead)
{
	if (ahead == NULL)
		return;
	atomic_store(&ahead->ending, true);
	if (ahead->started)
		pthread_join(ahead->thread, NULL);
	pb_loads_destroy(ahead->loads);
	free(ahead);
}

int
pb_ahead_prime(struct pb_ahead *ahead, struct pb_err *err)
{
	return pb_loads_prime(ahead->loads, err);
}

int
pb_ahead_next(struct pb_ahead *ahead, int ms_max, struct pb_load **load,
    struct pb_err *err)
{
	int rc = pb_loads_next(ahead->loads, ms_max, load, err);

	if (rc == PB_LOADS_END && ahead->opts.keep_bytes > 0 &&
	    next_loop(ahead))
		rc = pb_loads_next(ahead->loads, 0, load, err);
	if (rc == PB_LOADS_ONE && ahead->opts.keep_bytes > 0) {
		if (ahead->handed >= ahead->opts.limit)
			return PB_LOADS_END;
		hand_out(ahead, *load);
	}
	return rc;
}

void
pb_ahead_done(struct pb_ahead *ahead, struct pb_load *load)
{
	pb_loads_done(ahead->loads, load);
}

uint64_t
pb_ahead_left(const struct pb_ahead *ahead)
{
	return ahead->skipped;
}

/* Signals are for who sends: they end its sleep. */
static int
start(struct pb_ahead *ahead, struct pb_err *err)
{
	int rc = pb_thread_start(&ahead->thread, "a reader", work, ahead, err);

	ahead->started = rc == 0;
	return rc;
}

static bool
asked(void *arg)
{
	struct pb_ahead *ahead = arg;

	return atomic_load(&ahead->ending) || pb_stopped(ahead->opts.stop);
}

static void *
work(void *arg)
{
	struct pb_ahead *ahead = arg;
	struct pb_err err;
	int rc = all_loops(ahead, &err);

	hand_over(ahead);
	if (ahead->load != NULL)
		pb_loads_put_back(ahead->loads, ahead->load);
	pb_loads_end(ahead->loads, rc, &err);
	return NULL;
}

/* Those that are kept are read once. */
static int
all_loops(struct pb_ahead *ahead, struct pb_err *err)
{
	const struct pb_ahead_opts *opts = &ahead->opts;
	int rc;

	do {
		rc = opts->source.begin(opts->source.arg, &ahead->stop, err);
		if (rc == 0)
			rc = one_loop(ahead, err);
		ahead->again = true;
		ahead->loop++;
	} while (rc == 0 && ahead->put > 0 && ahead->put < opts->limit &&
	    opts->keep_bytes == 0 && !asked(ahead) &&
	    (opts->loops == 0 || ahead->loop < opts->loops));
	return rc;
}

/* What has come since the first loop is not for the next ones. */
static int
one_loop(struct pb_ahead *ahead, struct pb_err *err)
{
	const struct pb_source *source = &ahead->opts.source;
	struct pb_source_frame frame;
	uint64_t count = 0;
	int rc = 0;

	while (rc >= 0 && ahead->put < ahead->opts.limit &&
	    (ahead->loop == 0 || count < ahead->seen)) {
		rc = source->next(source->arg, &frame, err);
		if (rc == PB_SOURCE_END)
			break;
		if (rc == PB_SOURCE_IDLE) {
			/* Nobody has what is kept before its end. */
			if (ahead->opts.keep_bytes == 0)
				hand_over(ahead);
			pb_loads_idle(ahead->loads);
			continue;
		}
		count++;
		if (rc == PB_SOURCE_SKIP) {
			ahead->skipped++;
		} else if (rc == PB_SOURCE_FRAME) {
			rc = take(ahead, &frame, err);
			if (rc == 0)
				break;
		}
	}
	if (ahead->loop == 0)
		ahead->seen = count;
	return rc < 0 ? rc : 0;
}

/* Into the load, rewritten, or left out: 1; 0 with a stop, or an error. */
static int
take(struct pb_ahead *ahead, const struct pb_source_frame *frame,
    struct pb_err *err)
{
	size_t len, sent;
	uint8_t *at;
	int rc = room_for(ahead, frame->len + PB_VLAN_BYTES, err);

	if (rc <= 0)
		return rc;
	at = ahead->load->data + ahead->load->bytes;
	len = sent = pb_rewrite_frame(ahead->opts.rewrite, at, frame->data,
	    frame->len);
	rc = fit(ahead, frame->way, at, &sent, err);
	if (rc < 0)
		return rc;
	if (rc > 0)
		put(ahead, frame, sent, sent < len);
	else
		ahead->skipped++;
	return 1;
}

/* It lies behind what the load has already. */
static void
put(struct pb_ahead *ahead, const struct pb_source_frame *frame, size_t len,
    bool truncated)
{
	struct pb_load *load = ahead->load;

	load->frame[load->count] = (struct pb_frame){
		load->data + load->bytes, (uint32_t)len,
	};
	load->ready[load->count++] = (struct pb_ready){
		.time_ns = frame->time_ns,
		.skipped = ahead->skipped,
		.outlet = frame->way,
		.timed = frame->timed,
		.cut = frame->cut,
		.truncated = truncated,
		.again = ahead->again,
	};
	load->bytes += (len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	ahead->put++;
	ahead->skipped = 0;
	ahead->again = false;
}

/* Its outlet takes so many bytes of it: 1; none, and it is left out: 0; or an
 * error. */
static int
fit(struct pb_ahead *ahead, unsigned way, const uint8_t *frame, size_t *len,
    struct pb_err *err)
{
	size_t most = ahead->bytes_max[way][pb_frame_tagged(frame, *len)];

	if (*len >= PB_OUTLET_FRAME_BYTES_MIN && *len <= most)
		return 1;
	if (ahead->opts.unfit == PB_UNFIT_SKIP)
		return 0;
	if (*len < PB_OUTLET_FRAME_BYTES_MIN ||
	    ahead->opts.unfit == PB_UNFIT_REFUSE)
		return refuse(ahead, way, *len, most, err);
	*len = most;
	return 1;
}

static int
refuse(const struct pb_ahead *ahead, unsigned way, size_t len, size_t most,
    struct pb_err *err)
{
	const char *name = ahead->opts.way[way].name;
	unsigned long long number = ahead->put + ahead->skipped + 1;

	if (len < PB_OUTLET_FRAME_BYTES_MIN)
		return pb_err_set(err, PB_EFORMAT, "packet %llu has %zu bytes, "
		    "less than an Ethernet header; --skip leaves it out",
		    number, len);
	return pb_err_set(err, PB_ELIMIT, "packet %llu has %zu bytes, and %s "
	    "takes %zu (its MTU of %u, and the header): raise the MTU, or "
	    "give --truncate or --skip", number, len, name, most,
	    ahead->bytes_max[way][0] - PB_OUTLET_FRAME_BYTES_MIN);
}

/* In the load: 1; 0 with a stop, or an error. */
static int
room_for(struct pb_ahead *ahead, size_t bytes, struct pb_err *err)
{
	if (ahead->load != NULL && (ahead->load->count == PB_LOAD_FRAMES ||
	    bytes > PB_LOAD_BYTES - ahead->load->bytes))
		hand_over(ahead);
	return ahead->load != NULL ? 1 :
	    pb_loads_take(ahead->loads, &ahead->load, err);
}

/* An empty one goes on being filled. */
static void
hand_over(struct pb_ahead *ahead)
{
	if (ahead->load == NULL || ahead->load->count == 0)
		return;
	pb_loads_give(ahead->loads, ahead->load);
	ahead->load = NULL;
}

/* Those that are kept are handed out once more. */
static bool
next_loop(struct pb_ahead *ahead)
{
	if (ahead->handed == 0 || ahead->handed >= ahead->opts.limit ||
	    (ahead->opts.loops > 0 &&
	    ahead->replayed + 1 >= ahead->opts.loops))
		return false;
	ahead->replayed++;
	pb_loads_rewind(ahead->loads);
	return true;
}

static void
hand_out(struct pb_ahead *ahead, struct pb_load *load)
{
	uint64_t left = ahead->opts.limit - ahead->handed;

	if (ahead->replayed > 0 && ahead->handed % ahead->put == 0)
		load->ready[0].again = true;
	if (ahead->replayed == 1 && ahead->handed == ahead->put)
		load->ready[0].skipped += ahead->skipped;
	if (load->count > left)
		load->count = (unsigned)left;
	ahead->handed += load->count;
}
