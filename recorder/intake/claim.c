/*
 * recorder/intake/claim.c - whose body may grow
 *
 * Why a claim ends by itself: a peer that promised 16 MiB and stops would
 * keep them from all others.  Without a claim a body keeps what it has, and
 * asks again when it comes to more.
 */
#include "recorder/intake/claim.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "recorder/intake/intake.h"

#define CLAIM_MS	200u
#define CLAIM_RATE	1000000u	/* bytes a second */
#define TURN_MS		500u
#define TICK_MS		20u

enum answer {
	MAY,
	FULL,		/* for all */
	OWN,		/* its address has its half */
};

static void	set_state(struct pb_claims *, struct pb_claim *,
		    enum pb_claim_state);
static enum answer may(const struct pb_claims *, const struct pb_claim *);
static void	expire(struct pb_claims *, uint64_t);
static void	serve(struct pb_claims *, const struct pb_claim *, uint64_t);
static void	give_up(struct pb_claims *, struct pb_claim *);

void
pb_claims_init(struct pb_claims *claims, const struct pb_intake *intake,
    size_t memory_max, uint64_t wait_ms)
{
	memset(claims, 0, sizeof(*claims));
	claims->intake = intake;
	claims->memory_max = memory_max;
	claims->wait_ms = wait_ms;
	TAILQ_INIT(&claims->having);
	TAILQ_INIT(&claims->waiting);
}

size_t
pb_claims_free(const struct pb_claims *claims)
{
	size_t room = pb_claims_room(claims);

	return room > claims->promised ? room - claims->promised : 0;
}

/* At the end of the line, which is then served. */
bool
pb_claim_get(struct pb_claims *claims, struct pb_claim *claim, size_t rest,
    uint64_t now_ms)
{
	pb_claim_end(claims, claim);
	if (claims->stopped)
		claim->state = PB_CLAIM_GAVE_UP;
	if (claim->state == PB_CLAIM_GAVE_UP)
		return true;	/* and finds out */
	claim->rest = rest;
	claim->until_ns = (now_ms + claims->wait_ms) * PB_NS_PER_MS;
	set_state(claims, claim, PB_CLAIM_WAITS);
	serve(claims, claim, now_ms);
	if (claim->state == PB_CLAIM_WAITS) {
		expire(claims, now_ms);
		serve(claims, claim, now_ms);
	}
	return claim->state == PB_CLAIM_HAS;
}

void
pb_claim_feed(struct pb_claim *claim, size_t bytes, uint64_t now_ms)
{
	uint64_t full = (now_ms + CLAIM_MS) * PB_NS_PER_MS;
	uint64_t until = claim->until_ns +
	    bytes * (PB_NS_PER_S / CLAIM_RATE);

	if (claim->state == PB_CLAIM_HAS)
		claim->until_ns = until < full ? until : full;
}

void
pb_claim_grow(struct pb_claims *claims, struct pb_claim *claim, size_t bytes)
{
	claim->held += bytes;
	if (claim->state != PB_CLAIM_HAS)
		return;
	assert(bytes <= claim->rest);
	claim->rest -= bytes;
	claims->promised -= bytes;
}

void
pb_claim_end(struct pb_claims *claims, struct pb_claim *claim)
{
	if (claim->state != PB_CLAIM_HAS && claim->state != PB_CLAIM_WAITS)
		return;
	set_state(claims, claim, PB_CLAIM_NONE);
	claim->rest = 0;
}

int
pb_claims_tick(struct pb_claims *claims, uint64_t now_ms)
{
	if (TAILQ_EMPTY(&claims->waiting))
		return -1;
	expire(claims, now_ms);
	serve(claims, NULL, now_ms);
	return TAILQ_EMPTY(&claims->waiting) ? -1 : (int)TICK_MS;
}

void
pb_claims_stop(struct pb_claims *claims)
{
	struct pb_claim *claim;

	claims->stopped = true;
	while ((claim = TAILQ_FIRST(&claims->waiting)) != NULL)
		give_up(claims, claim);
}

/* Sums and lists are kept here alone. */
static void
set_state(struct pb_claims *claims, struct pb_claim *claim,
    enum pb_claim_state state)
{
	size_t whole = claim->held + claim->rest;

	if (claim->state == PB_CLAIM_HAS) {
		claims->promised -= claim->rest;
		claims->claimed -= whole;
		if (claim->share != NULL)
			claim->share->claimed -= whole;
		TAILQ_REMOVE(&claims->having, claim, link);
	} else if (claim->state == PB_CLAIM_WAITS) {
		TAILQ_REMOVE(&claims->waiting, claim, link);
		claims->waits--;
		if (claims->blocked == claim)
			claims->blocked = NULL;
	}
	claim->state = state;
	if (state == PB_CLAIM_HAS) {
		claims->promised += claim->rest;
		claims->claimed += whole;
		if (claim->share != NULL)
			claim->share->claimed += whole;
		TAILQ_INSERT_TAIL(&claims->having, claim, link);
	} else if (state == PB_CLAIM_WAITS) {
		TAILQ_INSERT_TAIL(&claims->waiting, claim, link);
		claims->waits++;
	}
}

static enum answer
may(const struct pb_claims *claims, const struct pb_claim *claim)
{
	const struct pb_share *share = claim->share;
	size_t whole = claim->held + claim->rest;
	size_t others = claims->claimed + pb_intake_waiting(claims->intake);
	size_t max = claims->memory_max / 2;

	if (share != NULL && share->claimed > 0 &&
	    share->claimed + whole > max / 2)
		return OWN;
	if ((others > 0 && others + whole > max) ||
	    claim->rest > pb_claims_free(claims))
		return FULL;
	return MAY;
}

static void
expire(struct pb_claims *claims, uint64_t now_ms)
{
	struct pb_claim *claim, *next;

	for (claim = TAILQ_FIRST(&claims->having); claim != NULL;
	    claim = next) {
		next = TAILQ_NEXT(claim, link);
		if (now_ms * PB_NS_PER_MS >= claim->until_ns)
			pb_claim_end(claims, claim);
	}
}

/* In order of arrival, until one finds no memory.  `asks` is told by what
 * its call returns, the others are woken. */
static void
serve(struct pb_claims *claims, const struct pb_claim *asks, uint64_t now_ms)
{
	const struct pb_claim *before = claims->blocked, *blocked = NULL;
	bool over = now_ms - claims->blocked_ms >= TURN_MS;
	struct pb_claim *claim, *next;
	enum answer answer;

	for (claim = TAILQ_FIRST(&claims->waiting); claim != NULL &&
	    (blocked == NULL || (blocked == before && over)); claim = next) {
		next = TAILQ_NEXT(claim, link);
		if (now_ms * PB_NS_PER_MS >= claim->until_ns) {
			give_up(claims, claim);
			continue;
		}
		answer = may(claims, claim);
		if (answer == FULL && blocked == NULL)
			blocked = claim;
		if (answer != MAY)
			continue;
		claim->until_ns = (now_ms + CLAIM_MS) * PB_NS_PER_MS;
		set_state(claims, claim, PB_CLAIM_HAS);
		if (claim != asks)
			claim->wake(claim->arg);
	}
	if (blocked != before)
		claims->blocked_ms = now_ms;
	claims->blocked = blocked;
}

static void
give_up(struct pb_claims *claims, struct pb_claim *claim)
{
	pb_claim_end(claims, claim);
	claim->state = PB_CLAIM_GAVE_UP;
	claim->wake(claim->arg);
}
