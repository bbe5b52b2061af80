/*
 * shipper/ship/forks.c - where a stream goes on under another epoch
 */
#include "shipper/ship/forks.h"

#include "base/bytes.h"
#include "base/digest.h"

uint64_t
pb_fork_epoch(uint64_t epoch, uint64_t last, uint64_t digest)
{
	uint8_t bytes[24];
	uint64_t out;

	pb_put_le64(bytes, epoch);
	pb_put_le64(bytes + 8, last);
	pb_put_le64(bytes + 16, digest);
	out = pb_digest(bytes, sizeof(bytes));
	return out != 0 ? out : 1;
}

uint64_t
pb_forks_base(const struct pb_forks *forks, unsigned part)
{
	return part == 0 ? 0 : forks->at[part - 1].first - 1;
}

uint64_t
pb_forks_top(const struct pb_forks *forks, unsigned part)
{
	return part < forks->count ? forks->at[part].first - 1 : UINT64_MAX;
}

uint64_t
pb_forks_epoch(const struct pb_forks *forks, unsigned part, uint64_t epoch)
{
	return part == 0 ? epoch : forks->at[part - 1].epoch;
}
