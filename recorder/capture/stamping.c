/*
 * recorder/capture/stamping.c - trailers of the frames of an interface, read
 * as they are captured
 *
 * Counting costs a packet no atomic operation: a lane counts for itself and
 * adds it to the interface's sum once a chunk.
 */
#include "recorder/capture/stamping.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "pcapng/block.h"
#include "recorder/capture/losses.h"

#define FRAMES_SHOWN	32u	/* to the guess, from the first on that does
				 * not fit */
#define SHOWN_MS	1000u	/* then those that came will do */
#define YEAR_2000_NS	(946684800 * PB_NS_PER_S)

static int	check_choice(const struct pb_stamping *,
		    const struct pb_conf_capture *, struct pb_err *);
static bool	is_near(struct pb_stamping_lane *, uint64_t, uint64_t);
static void	count(struct pb_stamping_counts *,
		    const struct pb_trailer_list *,
		    const struct pb_trailers *);
static void	begin_guess(struct pb_stamping *, struct pb_stamping_lane *);
static void	add(_Atomic uint64_t *, uint64_t *);
static void	tell(const struct pb_stamping *, struct pb_stamping_lane *,
		    const char *);
static void	tell_apart(struct pb_stamping *, struct pb_stamping_lane *,
		    const char *);
static const char *yes_no(bool);

int
pb_stamping_init(struct pb_stamping *out,
    const struct pb_conf_capture *capture, const char **key,
    struct pb_err *err)
{
	struct pb_trailer_list *list = &out->list;
	int rc = pb_trailer_list_parse(list, capture->trailers, err);

	*key = "trailers";
	if (rc < 0)
		return pb_err_prefix(err, rc, "trailers");
	*key = "timestamp_from";
	list->fcs = capture->fcs;
	list->tai_utc = (int)capture->tai_utc;
	if (capture->timestamp_from[0] != '\0')
		rc = pb_stamp_choice_parse(&out->choice,
		    capture->timestamp_from, err);
	if (rc < 0)
		return pb_err_prefix(err, rc, "timestamp_from");
	if (out->choice != PB_STAMP_CAPTURE &&
	    check_choice(out, capture, err) < 0)
		return PB_EINVAL;
	*key = "threads";
	if (list->needs_context && capture->threads > 1)
		return pb_err_set(err, PB_EINVAL, "threads: %u, but what the "
		    "keyframes of these trailers say goes for the frames of "
		    "all threads; write threads = 1",
		    (unsigned)capture->threads);
	return 0;
}

/* Is there a stamp that it chooses? */
static int
check_choice(const struct pb_stamping *stamping,
    const struct pb_conf_capture *capture, struct pb_err *err)
{
	const char *from = capture->timestamp_from;
	const char *list = capture->trailers, *item = "";
	size_t len = 0;

	if (stamping->list.count == 0)
		return pb_err_set(err, PB_EINVAL, "timestamp_from: %s, but no "
		    "trailers are configured; write trailers, or "
		    "timestamp_from = capture", from);
	if (stamping->list.stamps == 0)
		return pb_err_set(err, PB_EINVAL, "timestamp_from: %s, but "
		    "the list has raw bytes alone, without a time; write "
		    "timestamp_from = capture", from);
	if (stamping->choice > (int)stamping->list.count)
		return pb_err_set(err, PB_EINVAL, "timestamp_from: %s, but "
		    "the list has %u; 1 is the outermost", from,
		    stamping->list.count);
	for (int i = 0; i < stamping->choice; i++)
		(void)pb_list_next(&list, &item, &len);
	if (strncmp(item, "raw:", 4) == 0)
		return pb_err_set(err, PB_EINVAL, "timestamp_from: %s, but "
		    "that is %.*s, bytes without a time; choose another",
		    from, (int)len, item);
	return 0;
}

bool
pb_stamping_packet(struct pb_stamping *stamping,
    struct pb_stamping_lane *lane, const uint8_t *frame, uint32_t caplen,
    uint32_t len, uint64_t *time_ns, struct pb_stamped *out)
{
	const struct pb_trailer_list *list = &stamping->list;
	struct pb_trailers read;
	int chosen;

	pb_trailers_read(list, &lane->context, frame, caplen, len, *time_ns,
	    &read);
	count(&lane->fresh, list, &read);
	/* Nobody knows how one that was cut ended. */
	if (__builtin_expect(!read.whole && caplen >= len &&
	    !stamping->told, 0))
		begin_guess(stamping, lane);
	if (__builtin_expect(lane->guess != NULL, 0) &&
	    lane->shown < FRAMES_SHOWN) {
		pb_trailer_guess_frame(lane->guess, frame, caplen, len,
		    *time_ns);
		lane->shown++;
	}
	chosen = pb_trailers_choose(&read, stamping->choice);
	if (chosen >= 0 && !is_near(lane, read.at[chosen].time_ns, *time_ns))
		chosen = -1;
	if (chosen < 0 && !(list->needs_context && read.count > 0))
		return false;
	out->capture_ns = *time_ns;
	out->from = (uint8_t)(chosen + 1);
	out->count = list->needs_context ? (uint8_t)read.count : 0;
	memcpy(out->at, read.at, out->count * sizeof(out->at[0]));
	if (chosen >= 0)
		*time_ns = read.at[chosen].time_ns;
	return true;
}

void
pb_stamping_turn(struct pb_stamping *stamping, struct pb_stamping_lane *lane,
    const char *interface, uint64_t now_ms)
{
	for (unsigned i = 0; i < stamping->list.count; i++) {
		add(&stamping->sum.parsed[i], &lane->fresh.parsed[i]);
		add(&stamping->sum.unparsed[i], &lane->fresh.unparsed[i]);
	}
	add(&stamping->sum.keyframes, &lane->fresh.keyframes);
	if (lane->apart_ns != 0)
		tell_apart(stamping, lane, interface);
	if (lane->guess == NULL)
		return;
	if (lane->until_ms == 0)
		lane->until_ms = now_ms + SHOWN_MS;
	if (lane->shown == FRAMES_SHOWN || now_ms >= lane->until_ms)
		tell(stamping, lane, interface);
}

void
pb_stamping_end(struct pb_stamping *stamping, struct pb_stamping_lane *lane,
    const char *interface)
{
	pb_stamping_turn(stamping, lane, interface, UINT64_MAX);
	memset(&lane->context, 0, sizeof(lane->context));
}

void
pb_stamping_counts(const struct pb_stamping *stamping,
    struct pb_stamping_counts *out)
{
	for (unsigned i = 0; i < PB_STAMPS_MAX; i++) {
		out->parsed[i] = pb_counted(&stamping->sum.parsed[i]);
		out->unparsed[i] = pb_counted(&stamping->sum.unparsed[i]);
	}
	out->keyframes = pb_counted(&stamping->sum.keyframes);
}

/* As far as a capture's clock that is set can tell. */
static inline bool
is_near(struct pb_stamping_lane *lane, uint64_t ns, uint64_t capture_ns)
{
	uint64_t apart = ns > capture_ns ? ns - capture_ns : capture_ns - ns;

	if (apart <= PB_STAMPING_APART_NS || capture_ns < YEAR_2000_NS)
		return true;
	lane->apart_ns = apart;
	return false;
}

static void
count(struct pb_stamping_counts *counts, const struct pb_trailer_list *list,
    const struct pb_trailers *read)
{
	if (read->keyframe) {
		counts->keyframes++;
		return;
	}
	for (unsigned i = 0; i < read->read; i++)
		counts->parsed[i]++;
	if (read->read < list->count)
		counts->unparsed[read->read]++;
}

static void
add(_Atomic uint64_t *sum, uint64_t *fresh)
{
	if (*fresh > 0)
		pb_count(sum, *fresh);
	*fresh = 0;
}

/* --- the first one that does not fit ------------------------------------- */

/* One lane looks.  Without memory it has nothing to tell. */
static void
begin_guess(struct pb_stamping *stamping, struct pb_stamping_lane *lane)
{
	if (atomic_exchange(&stamping->told, true))
		return;
	lane->shown = 0;
	lane->until_ms = 0;
	if (pb_trailer_guess_create(&lane->guess, NULL) < 0)
		lane->guess = NULL;
}

static void
tell(const struct pb_stamping *stamping, struct pb_stamping_lane *lane,
    const char *interface)
{
	const struct pb_trailer_list *list = &stamping->list;
	char text[PB_TRAILER_TEXT_MAX], other[PB_TRAILER_TEXT_MAX];
	struct pb_trailer_fit fit = { .fits = 0 };
	char looks[2 * PB_TRAILER_TEXT_MAX];

	pb_trailer_list_text(list, text);
	snprintf(looks, sizeof(looks), "these look like no trailers that are "
	    "known; Fix: trailers = none, where there are none");
	if (pb_trailer_guess_fit(lane->guess, 0, &fit) && fit.fits > 0) {
		pb_trailer_list_text(&fit.list, other);
		snprintf(looks, sizeof(looks), "%llu of these have trailers = "
		    "%s, fcs = %s%s", (unsigned long long)fit.fits, other,
		    yes_no(fit.list.fcs), strcmp(text, other) == 0 &&
		    fit.list.fcs == list->fcs ? "" : "; Fix: write that");
	}
	pb_log(PB_LOG_WARN, "capture", "frames do not fit trailers = %s, "
	    "fcs = %s interface=%s looked_at=%u: %s; they are captured as "
	    "they are", text, yes_no(list->fcs), interface, lane->shown,
	    looks);
	pb_trailer_guess_destroy(lane->guess);
	lane->guess = NULL;
}

static void
tell_apart(struct pb_stamping *stamping, struct pb_stamping_lane *lane,
    const char *interface)
{
	uint64_t days = lane->apart_ns / PB_NS_PER_S / 86400;

	lane->apart_ns = 0;
	if (!atomic_exchange(&stamping->told_apart, true))
		pb_log(PB_LOG_WARN, "capture", "a stamp is %llu days off the "
		    "capture's clock interface=%s: such packets have the "
		    "capture's time; Fix: set the clock of the switch, or of "
		    "this machine; what a switch sends by itself has no stamp",
		    (unsigned long long)days, interface);
}

static const char *
yes_no(bool is)
{
	return is ? "yes" : "no";
}
