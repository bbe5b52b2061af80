/*
 * base/age.c - how long something has lived, whatever the wall clock says
 */
#include "base/age.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/sys.h"

static bool	is_synced(void);

void
pb_age_look(struct pb_clock *clock, struct pb_age_now *now)
{
	static _Atomic uint64_t boot;
	struct timespec since = { 0 };
	uint64_t none = 0;

	now->real_ms = pb_clock_real_ns_by(clock) / PB_NS_PER_MS;
	now->synced = clock != NULL || is_synced();
	if (clock != NULL) {
		now->boot = pb_boot_id(clock);
		now->boottime_ms = pb_clock_mono_ms_by(clock);
		return;
	}
	if (atomic_load(&boot) == 0) {
		uint64_t id = pb_boot_id(NULL);

		/* Unknown: this process is a boot of its own. */
		atomic_compare_exchange_strong(&boot, &none,
		    id != 0 ? id : pb_random64());
	}
	clock_gettime(CLOCK_BOOTTIME, &since);
	now->boot = atomic_load(&boot);
	now->boottime_ms = (uint64_t)since.tv_sec * 1000 +
	    (uint64_t)since.tv_nsec / PB_NS_PER_MS;
}

uint64_t
pb_boot_id(struct pb_clock *clock)
{
	char text[64] = "";
	ssize_t got = 0;
	int fd;

	if (clock != NULL)
		return clock->boot(clock);
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	return got > 0 ? pb_digest(text, (size_t)got) : 0;
}

void
pb_age_move(struct pb_age *age, const struct pb_age_now *now)
{
	uint64_t away;

	if (age->ms == 0)
		age->ms = 1;
	else if (age->boot == now->boot &&
	    now->boottime_ms > age->boottime_ms)
		age->ms += now->boottime_ms - age->boottime_ms;
	age->boot = now->boot;
	age->boottime_ms = now->boottime_ms;
	if (!now->synced)
		return;
	/* All since then, the boots in between that had no clock included. */
	if (age->synced_ms != 0 && age->synced_ms <= age->ms &&
	    age->synced_boot != now->boot &&
	    now->real_ms > age->synced_real_ms) {
		away = now->real_ms - age->synced_real_ms;
		away -= age->ms - age->synced_ms < away ?
		    age->ms - age->synced_ms : away;
		age->ms += away < PB_AGE_AWAY_MS_MAX ? away :
		    PB_AGE_AWAY_MS_MAX;
	}
	age->synced_boot = now->boot;
	age->synced_ms = age->ms;
	age->synced_real_ms = now->real_ms;
}

void
pb_age_sign(struct pb_age *age)
{
	age->digest = pb_digest(age, offsetof(struct pb_age, digest));
}

bool
pb_age_sound(const struct pb_age *age)
{
	return age->ms > 0 && age->ms < PB_AGE_BASE && age->digest ==
	    pb_digest(age, offsetof(struct pb_age, digest));
}

uint64_t
pb_age_key(uint64_t age_ms)
{
	return age_ms == 0 ? 0 : PB_AGE_BASE + age_ms;
}

uint64_t
pb_age_key_of_time(uint64_t time_ns, uint64_t now_ns)
{
	if (time_ns > now_ns)
		time_ns = now_ns;
	return time_ns < PB_AGE_BASE ? time_ns : PB_AGE_BASE - 1;
}

uint64_t
pb_age_since(uint64_t key, uint64_t now_ms)
{
	uint64_t then = key > PB_AGE_BASE ? key - PB_AGE_BASE : 0;

	return now_ms > then ? now_ms - then : 0;
}

uint64_t
pb_age_time(uint64_t key, uint64_t now_ms, uint64_t now_ns)
{
	uint64_t since = pb_age_since(key, now_ms);

	if (key < PB_AGE_BASE)
		return key < now_ns ? key : now_ns;
	return since < now_ns / PB_NS_PER_MS ? now_ns - since * PB_NS_PER_MS :
	    now_ns;
}

/* adjtimex(2): who disciplines the clock tells the kernel. */
static bool
is_synced(void)
{
	struct timex kernel = { .modes = 0 };
	int state = adjtimex(&kernel);

	return state >= 0 && state != TIME_ERROR &&
	    (kernel.status & STA_UNSYNC) == 0;
}
