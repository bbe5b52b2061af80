/*
 * shipper/sink/tempo.c - when a frame is to leave a local interface
 */
#include "shipper/sink/tempo.h"

#include <string.h>

static uint64_t	due(struct pb_tempo_count *, uint64_t, uint32_t, uint64_t);

void
pb_tempo_init(struct pb_tempo *tempo, bool original, uint64_t bits_per_s)
{
	memset(tempo, 0, sizeof(*tempo));
	tempo->own.on = original;
	tempo->own.late_ns_max = PB_TEMPO_LATE_NS;
	pb_pace_init(&tempo->own.pace, &(struct pb_pace_opts){
	    .kind = PB_PACE_OWN, .rate = PB_PACE_ONE,
	    .gap_ns_max = PB_TEMPO_SILENCE_NS });
	tempo->rate.on = bits_per_s > 0;
	tempo->rate.late_ns_max = PB_TEMPO_BURST_NS;
	/* Millionths of a million bits. */
	pb_pace_init(&tempo->rate.pace, &(struct pb_pace_opts){
	    .kind = PB_PACE_MBITS, .rate = bits_per_s < PB_PACE_RATE_MAX ?
	    bits_per_s : PB_PACE_RATE_MAX, .gap_ns_max = UINT64_MAX });
}

uint64_t
pb_tempo_next(struct pb_tempo *tempo, uint64_t time_ns, uint32_t bytes,
    uint64_t now_ns)
{
	struct pb_tempo_count own = tempo->own, rate = tempo->rate;
	uint64_t own_ns = due(&own, time_ns, bytes, now_ns);
	uint64_t rate_ns = due(&rate, time_ns, bytes, now_ns);
	uint64_t due_ns = own_ns > rate_ns ? own_ns : rate_ns;

	if (due_ns <= now_ns) {
		tempo->own = own;
		tempo->rate = rate;
	}
	return due_ns;
}

void
pb_tempo_again(struct pb_tempo *tempo)
{
	pb_pace_again(&tempo->own.pace);
}

/* By one count; `start_ns` may be before the clock's own beginning. */
static uint64_t
due(struct pb_tempo_count *count, uint64_t time_ns, uint32_t bytes,
    uint64_t now_ns)
{
	uint64_t after_ns;

	if (!count->on)
		return now_ns;
	after_ns = pb_pace_next(&count->pace, time_ns, true, bytes);
	if (!count->begun || count->start_ns + after_ns +
	    count->late_ns_max < now_ns)
		count->start_ns = now_ns - after_ns;
	count->begun = true;
	return count->start_ns + after_ns;
}
