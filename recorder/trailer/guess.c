/*
 * recorder/trailer/guess.c - which lists would parse the frames that are
 * shown
 *
 * Of each frame a tree is walked: every format is tried on what is left, and
 * where it is believed, every format on what is left then.  Random bytes are
 * believed once in 10,000 frames; a list that is right, in all of them.  Some
 * layouts are alike: where two parse the same frames, the one whose FCSs are
 * right and whose times are near is the better one.
 *
 * Limits: STEPS_MAX tries a frame, CANDIDATES_MAX lists, of which those that
 * were seen once give way to new ones.
 */
#include <stdlib.h>

#include "base/crc32.h"
#include "recorder/trailer/formats.h"

#define CANDIDATES_MAX	64u
#define STEPS_MAX	400u

/* How near a whole time is to the capture's, where nothing else speaks for
 * it; and one of which the capture's clock has told the upper bits. */
#define DAY_NS		(86400 * PB_NS_PER_S)
#define CLOCKS_NS	(10 * PB_NS_PER_S)
/* A trailer's clock keeps TAI where fewer than this part of its stamps say
 * something else: any bytes may do so. */
#define TAI_PART	10u

struct candidate {
	struct pb_trailer_list list;
	struct pb_trailer_context context;
	uint64_t	 fits;
	int64_t		 points;	/* what speaks for it besides */
	uint64_t	 ahead[PB_STAMPS_MAX];	/* of those that fit: whose
						 * trailer is as of TAI */
};

struct pb_trailer_guess {
	uint64_t	 frames;
	unsigned	 count;
	struct candidate at[CANDIDATES_MAX];
	uint8_t		 source[6];	/* address of the frame before */
};

/* The frame that is shown, and the list that is tried. */
struct shown {
	struct pb_trailer_guess *guess;
	const uint8_t	*frame;
	uint32_t	 len;
	uint64_t	 capture_ns;
	unsigned	 steps;
	struct pb_trailer_list list;
	struct pb_trailers got;
};

static const struct {
	enum pb_stamp_format format;
	unsigned	 argument;
	bool		 tai;
} tries[] = {
	{ PB_STAMP_METAMAKO, 0, false },
	{ PB_STAMP_EXABLAZE, 0, false },
	{ PB_STAMP_VSS, 0, false },
	{ PB_STAMP_VSS, 1, false },
	{ PB_STAMP_VSS, 2, false },
	{ PB_STAMP_IXIA, 0, false },
	{ PB_STAMP_ARISTA7280, 0, false },
	{ PB_STAMP_ARISTA7150, 0, false },
	{ PB_STAMP_MAC48, 0, false },
	{ PB_STAMP_MAC48, 0, true },
	{ PB_STAMP_TTAG, 0, false },
	{ PB_STAMP_TTAG, 0, true },
	{ PB_STAMP_TTAG, 1, false },	/* the frame's own EtherType */
	{ PB_STAMP_TTAG, 1, true },
	{ PB_STAMP_BROADCOM, 0, false },
	{ PB_STAMP_BROADCOM, 0, true },
};
#define TRIES		(sizeof(tries) / sizeof(tries[0]))

static void	dig(struct shown *, struct pb_trailer_context *, int);
static bool	push(struct shown *, size_t);
static uint16_t	own_type(const struct shown *);
static bool	believed(struct shown *, struct pb_trailer_context *,
		    int *);
static void	count_ahead(const struct shown *, struct candidate *);
static bool	near(const struct shown *, uint64_t);
static bool	within(const struct pb_stamp *, uint64_t, uint64_t);
static struct candidate *find(struct pb_trailer_guess *,
		    const struct pb_trailer_list *);
static struct candidate *enter(struct pb_trailer_guess *,
		    const struct pb_trailer_list *);
static bool	better(const struct candidate *, const struct candidate *);

int
pb_trailer_guess_create(struct pb_trailer_guess **out, struct pb_err *err)
{
	*out = calloc(1, sizeof(**out));
	return *out != NULL ? 0 : pb_err_set(err, PB_ENOMEM,
	    "no memory to look for trailers");
}

void
pb_trailer_guess_destroy(struct pb_trailer_guess *guess)
{
	free(guess);
}

void
pb_trailer_guess_frame(struct pb_trailer_guess *guess, const uint8_t *frame,
    uint32_t caplen, uint32_t len, uint64_t capture_ns)
{
	struct shown shown = { .guess = guess, .frame = frame, .len = len,
	    .capture_ns = capture_ns,
	    .list = { .fcs = true, .tai_utc = PB_TAI_UTC } };

	guess->frames++;
	if (caplen < len || len < ETHERNET_TYPE_AT + 2)
		return;
	pb_trailers_read(&shown.list, NULL, frame, len, len, capture_ns,
	    &shown.got);
	shown.list.fcs = pb_trailers_check_fcs(&shown.got, frame) == 1;
	if (shown.list.fcs)
		enter(guess, &shown.list)->fits++;
	shown.got.holes = 0;
	dig(&shown, NULL, shown.list.fcs);
	memcpy(guess->source, frame + 6, sizeof(guess->source));
}

bool
pb_trailer_guess_fit(const struct pb_trailer_guess *guess, size_t n,
    struct pb_trailer_fit *out)
{
	for (unsigned i = 0; i < guess->count; i++) {
		size_t before = 0;

		for (unsigned j = 0; j < guess->count; j++)
			before += better(&guess->at[j], &guess->at[i]) ||
			    (j < i && !better(&guess->at[i], &guess->at[j]));
		if (before != n)
			continue;
		*out = (struct pb_trailer_fit){ guess->at[i].list,
		    guess->frames, guess->at[i].fits };
		for (unsigned t = 0; t < out->list.count; t++)
			out->list.at[t].tai |= guess->at[i].ahead[t] *
			    TAI_PART > out->fits * (TAI_PART - 1);
		return true;
	}
	return false;
}

/* --- the tree ------------------------------------------------------------ */

/* Try each format on what the list leaves.  `context` is what a list with
 * keyframes has, else NULL; `before` are the points of what is outside. */
static void
dig(struct shown *shown, struct pb_trailer_context *context, int before)
{
	struct pb_trailer_list list = shown->list;
	unsigned holes = shown->got.holes;

	for (size_t i = 0; i < TRIES && list.count < PB_STAMPS_MAX &&
	    shown->steps < STEPS_MAX; i++) {
		struct pb_trailer_context fresh = { 0 }, *now = context;
		struct candidate *candidate;
		int points = before;

		shown->got.holes = holes;
		shown->list = list;
		if (!push(shown, i))
			continue;
		shown->steps++;
		candidate = find(shown->guess, &shown->list);
		if (now == NULL && shown->list.needs_context)
			now = candidate != NULL ? &candidate->context : &fresh;
		if (!believed(shown, now, &points))
			continue;
		if (candidate == NULL)
			candidate = enter(shown->guess, &shown->list);
		if (now == &fresh)
			candidate->context = fresh;
		candidate->fits++;
		candidate->points += points;
		count_ahead(shown, candidate);
		if (!shown->got.keyframe)
			dig(shown, now, points);
	}
	shown->list = list;
}

/* Put a try at the end of the list: false where it makes no sense there. */
static bool
push(struct shown *shown, size_t i)
{
	struct pb_trailer_list *list = &shown->list;
	const struct pb_trailer_format *format =
	    &pb_trailer_formats[tries[i].format - 1];
	unsigned argument = tries[i].argument;

	for (unsigned n = 0; n < list->count; n++)
		if (list->at[n].format == format &&
		    (tries[i].format == PB_STAMP_MAC48 ||
		     tries[i].format == PB_STAMP_ARISTA7150))
			return false;	/* stays in place; has keyframes */
	if (tries[i].format == PB_STAMP_TTAG && argument != 0) {
		argument = own_type(shown);
		if (shown->got.holes > 0 || argument < format->argument.min)
			return false;
	}
	pb_trailer_add(list, format, argument, tries[i].tai);
	return true;
}

/* The frame's EtherType, behind VLAN tags. */
static uint16_t
own_type(const struct shown *shown)
{
	const struct peel peel = { .frame = shown->frame, .end = shown->len,
	    .type_at = ETHERNET_TYPE_AT };

	return pb_get_be16(shown->frame + pb_peel_vlans(&peel));
}

/* Does the list parse the frame, and would random bytes hardly? */
static bool
believed(struct shown *shown, struct pb_trailer_context *context,
    int *points)
{
	struct pb_trailers *got = &shown->got;
	const struct pb_stamp *stamp = &got->at[0];	/* of the last one */
	bool fcs;

	pb_trailers_read(&shown->list, context, shown->frame, shown->len,
	    shown->len, shown->capture_ns, got);
	if (!got->whole)
		return false;
	if (got->keyframe)
		return true;
	switch (stamp->format) {
	case PB_STAMP_IXIA:
	case PB_STAMP_ARISTA7280:
		return true;
	case PB_STAMP_ARISTA7150:
		return (stamp->flags & PB_STAMP_TIMED) != 0;
	case PB_STAMP_METAMAKO:
	case PB_STAMP_EXABLAZE:
		fcs = pb_trailers_check_fcs(got, shown->frame) == 1;
		*points += (fcs ? 1 : -1) + near(shown, DAY_NS);
		return fcs || near(shown, DAY_NS);
	case PB_STAMP_VSS:
		++*points;
		return near(shown, DAY_NS);
	case PB_STAMP_MAC48:	/* an address that stays is one */
		return near(shown, CLOCKS_NS) && memcmp(shown->frame + 6,
		    shown->guess->source, sizeof(shown->guess->source)) != 0;
	default:
		return near(shown, CLOCKS_NS);
	}
}

/* Which whole times are ahead of the capture's by what TAI is, as near as
 * clocks are. */
static void
count_ahead(const struct shown *shown, struct candidate *candidate)
{
	const struct pb_trailers *got = &shown->got;
	uint64_t tai_ns = shown->capture_ns + PB_TAI_UTC * PB_NS_PER_S;

	for (unsigned i = 0; i < got->count; i++)
		if (got->at[i].format == PB_STAMP_METAMAKO ||
		    got->at[i].format == PB_STAMP_EXABLAZE ||
		    got->at[i].format == PB_STAMP_VSS ||
		    got->at[i].format == PB_STAMP_IXIA)
			candidate->ahead[got->place[i] - 1] +=
			    within(&got->at[i], tai_ns, CLOCKS_NS);
}

static bool
near(const struct shown *shown, uint64_t apart_ns)
{
	return within(&shown->got.at[0], shown->capture_ns, apart_ns);
}

static bool
within(const struct pb_stamp *stamp, uint64_t of_ns, uint64_t apart_ns)
{
	uint64_t ns = stamp->time_ns;

	return (stamp->flags & PB_STAMP_TIMED) != 0 &&
	    (ns > of_ns ? ns - of_ns : of_ns - ns) <= apart_ns;
}

/* --- candidates ---------------------------------------------------------- */

static bool
same(const struct pb_trailer_list *a, const struct pb_trailer_list *b)
{
	if (a->count != b->count || a->fcs != b->fcs)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (a->at[i].format != b->at[i].format ||
		    a->at[i].argument != b->at[i].argument ||
		    a->at[i].tai != b->at[i].tai)
			return false;
	return true;
}

static struct candidate *
find(struct pb_trailer_guess *guess, const struct pb_trailer_list *list)
{
	for (unsigned i = 0; i < guess->count; i++)
		if (same(&guess->at[i].list, list))
			return &guess->at[i];
	return NULL;
}

/* A new one, or that of the list; where there is no room, in place of the one
 * that fits the fewest. */
static struct candidate *
enter(struct pb_trailer_guess *guess, const struct pb_trailer_list *list)
{
	struct candidate *candidate = find(guess, list);

	if (candidate != NULL)
		return candidate;
	if (guess->count < CANDIDATES_MAX) {
		candidate = &guess->at[guess->count++];
	} else {
		candidate = &guess->at[0];
		for (unsigned i = 1; i < guess->count; i++)
			if (guess->at[i].fits < candidate->fits)
				candidate = &guess->at[i];
	}
	*candidate = (struct candidate){ .list = *list };
	return candidate;
}

static bool
better(const struct candidate *a, const struct candidate *b)
{
	uint64_t explained = a->fits * (a->list.count + 1);
	uint64_t other = b->fits * (b->list.count + 1);

	return explained != other ? explained > other :
	    a->points > b->points;
}
