/*
 * shipper/pull/pull_parts.c - the epochs that a stream goes under here
 */
#include "shipper/pull/pull_impl.h"

static const struct pb_forks none;

const struct pb_forks *
pull_forks(const struct pb_pull_stream *s)
{
	return s->forks != NULL ? s->forks : &none;
}

unsigned
pull_part(const struct pb_pull_stream *s, uint64_t number)
{
	unsigned part = s->parts;

	while (part > 0 && number <= pb_forks_base(pull_forks(s), part))
		part--;
	return part;
}

uint64_t
pull_epoch(const struct pb_pull_stream *s, unsigned part)
{
	return pb_forks_epoch(pull_forks(s), part, s->key.epoch);
}

uint64_t
pull_base(const struct pb_pull_stream *s)
{
	return pb_forks_base(pull_forks(s), s->parts);
}
