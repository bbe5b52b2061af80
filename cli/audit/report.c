/*
 * cli/audit/report.c - what an audit says, for people or for machines
 */
#include "cli/audit/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

#define LINE_BYTES	4096u

struct line {
	struct pb_buf	 text;
	struct pb_json	 json;
};

static void	json_begin(struct line *, const char *);
static void	json_stream(struct line *, const struct pb_stream_key *);
static void	json_all(const struct pb_report *, bool);
static int	json_end(struct line *, struct pb_out *, struct pb_err *);
static void	text_stream(struct pb_out *, const struct pb_stream_key *);
static void	text_finding(struct pb_out *,
		    const struct pb_compare_finding *);
static void	text_sum(const struct pb_report *,
		    const struct pb_compare_pair *,
		    const struct pb_compare_sum *, const char *);
static void	text_count(struct pb_out *, uint64_t, const char *);
static void	text_all(const struct pb_report *, bool);
static const char *state_of(const struct pb_compare_pair *,
		    const struct pb_compare_sum *);

void
pb_report_begin(struct pb_report *report)
{
	bool wire = strcmp(report->with, "store") != 0;
	char now[PB_TIME_TEXT_MAX];

	if (!report->json)
		pb_out_printf(report->out, "audit of %s (here) and %s%s%s "
		    "(there), %s\n", report->here, wire ?
		    report->with : "", wire ? " " : "", report->there,
		    pb_time_format(pb_clock_real_ns(), now));
}

int
pb_report_finding(struct pb_report *report,
    const struct pb_compare_pair *pair,
    const struct pb_compare_finding *finding, struct pb_err *err)
{
	struct line line;
	struct pb_json *json = &line.json;

	if (!report->json) {
		text_stream(report->out, &pair->here);
		text_finding(report->out, finding);
		return report->out->rc < 0 ? pb_out_flush(report->out, err) :
		    0;
	}
	json_begin(&line, finding->fine ? "reason" : "difference");
	json_stream(&line, &pair->here);
	pb_json_u64(json, "first", finding->first);
	pb_json_u64(json, "last", finding->last);
	if (finding->packets > 0)
		pb_json_u64(json, "packets", finding->packets);
	pb_json_text(json, "what", pb_compare_word(finding->kind));
	pb_json_text(json, "why", finding->why);
	if (finding->since_ns > 0)
		pb_json_time(json, "since", finding->since_ns);
	return json_end(&line, report->out, err);
}

int
pb_report_stream(struct pb_report *report,
    const struct pb_compare_pair *pair, const struct pb_compare_sum *sum,
    struct pb_err *err)
{
	const char *state = state_of(pair, sum);
	struct line line;
	struct pb_json *json = &line.json;
	char epoch[17];

	report->streams++;
	report->same += sum->same;
	report->filtered += sum->filtered.packets;
	report->cut += sum->cut.packets;
	report->differences += sum->differences;
	report->identical += strcmp(state, "identical") == 0 ||
	    strcmp(state, "not_sent") == 0;
	if (!report->json) {
		text_stream(report->out, &pair->here);
		text_sum(report, pair, sum, state);
		if (pair->here.epoch != pair->there.epoch)
			pb_out_printf(report->out, "; epoch %016" PRIx64
			    " there", pair->there.epoch);
		return pb_out_text(report->out, "\n") < 0 ?
		    pb_out_flush(report->out, err) : 0;
	}
	json_begin(&line, "stream");
	json_stream(&line, &pair->here);
	pb_hex64(pair->there.epoch, epoch);
	pb_json_text(json, "epoch_there", epoch);
	pb_json_text(json, "state", state);
	pb_json_u64(json, "first", sum->first);
	pb_json_u64(json, "last", sum->last);
	pb_json_u64(json, "same", sum->same);
	pb_json_u64(json, "filtered", sum->filtered.packets);
	pb_json_u64(json, "cut", sum->cut.packets);
	pb_json_u64(json, "differences", sum->differences);
	pb_json_u64(json, "here_only", sum->here_only);
	pb_json_u64(json, "there_only", sum->there_only);
	return json_end(&line, report->out, err);
}

bool
pb_report_end(struct pb_report *report)
{
	bool identical = report->identical == report->streams;

	if (report->json)
		json_all(report, identical);
	else
		text_all(report, identical);
	return identical;
}

/* --- lines for machines ------------------------------------------------- */

static void
json_begin(struct line *line, const char *row)
{
	pb_buf_init(&line->text, LINE_BYTES);
	pb_json_init(&line->json, &line->text);
	pb_json_object(&line->json, NULL);
	pb_json_text(&line->json, "row", row);
}

static void
json_stream(struct line *line, const struct pb_stream_key *key)
{
	char epoch[17];

	pb_hex64(key->epoch, epoch);
	pb_json_text(&line->json, "node", key->node);
	pb_json_text(&line->json, "interface", key->interface);
	pb_json_text(&line->json, "epoch", epoch);
}

static void
json_all(const struct pb_report *report, bool identical)
{
	struct line line;
	struct pb_json *json = &line.json;

	json_begin(&line, "audit");
	pb_json_text(json, "here", report->here);
	pb_json_text(json, "there", report->there);
	pb_json_text(json, "with", report->with);
	pb_json_time(json, "time", pb_clock_real_ns());
	pb_json_bool(json, "identical", identical);
	pb_json_u64(json, "streams", report->streams);
	pb_json_u64(json, "streams_identical", report->identical);
	pb_json_u64(json, "same", report->same);
	pb_json_u64(json, "filtered", report->filtered);
	pb_json_u64(json, "cut", report->cut);
	pb_json_u64(json, "differences", report->differences);
	pb_json_u64(json, "questions", report->questions);
	if (report->filter != NULL && report->filter[0] != '\0')
		pb_json_text(json, "filter", report->filter);
	if (report->snaplen != 0)
		pb_json_u64(json, "snaplen", report->snaplen);
	pb_json_bool(json, "listed", report->listed);
	json_end(&line, report->out, NULL);
}

static int
json_end(struct line *line, struct pb_out *out, struct pb_err *err)
{
	pb_json_end(&line->json);
	pb_buf_str(&line->text, "\n");
	pb_out_put(out, line->text.data, line->text.len);
	pb_buf_finish(&line->text);
	return out->rc < 0 ? pb_out_flush(out, err) : 0;
}

/* --- lines for people --------------------------------------------------- */

static void
text_stream(struct pb_out *out, const struct pb_stream_key *key)
{
	char name[PB_STREAM_NAME_MAX], clean[3 * PB_STREAM_NAME_MAX];

	pb_stream_name(name, key);
	pb_utf8_clean(clean, sizeof(clean), name, strlen(name));
	pb_out_printf(out, "%s %016" PRIx64 ": ", clean, key->epoch);
}

static void
text_finding(struct pb_out *out, const struct pb_compare_finding *finding)
{
	static const char *const words[] = {
		[PB_COMPARE_DIFFERS] = "differs",
		[PB_COMPARE_CUT] = "is cut",
		[PB_COMPARE_MISSING_HERE] = "missing here",
		[PB_COMPARE_MISSING_THERE] = "missing there",
		[PB_COMPARE_NOT_COMPARED] = "not compared",
	};
	char since[PB_TIME_TEXT_MAX];

	pb_out_printf(out, "%" PRIu64, finding->first);
	if (finding->last != finding->first)
		pb_out_printf(out, "-%" PRIu64, finding->last);
	if (finding->packets > 0 && finding->packets !=
	    finding->last - finding->first + 1)
		pb_out_printf(out, " (%" PRIu64 " packets)",
		    finding->packets);
	/* What is as the section says has its word in the reason. */
	pb_out_printf(out, finding->kind == PB_COMPARE_CUT && finding->fine ?
	    ": %.0s%s" : ": %s: %s", words[finding->kind],
	    finding->why[0] != '\0' ? finding->why : "nobody knows why");
	if (finding->since_ns > 0)
		pb_out_printf(out, ", since %s",
		    pb_time_format(finding->since_ns, since));
	pb_out_text(out, finding->fine ? "; no difference\n" : "\n");
}

static void
text_sum(const struct pb_report *report, const struct pb_compare_pair *pair,
    const struct pb_compare_sum *sum, const char *state)
{
	struct pb_out *out = report->out;

	pb_out_printf(out, "%s: ", strcmp(state, "only_here") == 0 ?
	    "only here" : strcmp(state, "only_there") == 0 ? "only there" :
	    strcmp(state, "not_sent") == 0 ? "nothing is there yet" : state);
	if (sum->first <= sum->last)
		pb_out_printf(out, "%" PRIu64 " packets are the same in %"
		    PRIu64 "-%" PRIu64, sum->same, sum->first, sum->last);
	else
		pb_out_text(out, "no numbers to compare");
	text_count(out, sum->filtered.packets, "filtered");
	text_count(out, sum->cut.packets, "cut");
	text_count(out, sum->differences, "differences");
	text_count(out, sum->here_only, pair->ships ? "numbers not sent yet" :
	    "numbers behind the end there");
	text_count(out, sum->there_only, pair->comes ?
	    "numbers not fetched yet" : "numbers behind the end here");
}

static void
text_count(struct pb_out *out, uint64_t count, const char *what)
{
	if (count > 0)
		pb_out_printf(out, ", %" PRIu64 " %s", count, what);
}

static void
text_all(const struct pb_report *report, bool identical)
{
	struct pb_out *out = report->out;

	pb_out_printf(out, "%s: %s%" PRIu64 " of %" PRIu64 " streams are "
	    "identical, %" PRIu64 " packets are the same", identical ?
	    "identical" : "different", report->streams == 0 ?
	    "there is nothing to compare, " : "", report->identical,
	    report->streams, report->same);
	text_count(out, report->filtered, "filtered");
	text_count(out, report->cut, "cut");
	pb_out_printf(out, ", %" PRIu64 " differences", report->differences);
	if (strcmp(report->with, "store") != 0)
		pb_out_printf(out, "; %" PRIu64 " questions",
		    report->questions);
	if (!report->listed)
		pb_out_printf(out, "; %s %s is of an older version, and does "
		    "not say which other streams of this node it has",
		    report->with, report->there);
	pb_out_text(out, "\n");
}

/* In a word. */
static const char *
state_of(const struct pb_compare_pair *pair, const struct pb_compare_sum *sum)
{
	bool different = sum->differences > 0;

	if (sum->here && !sum->there && pair->ships && !different)
		return "not_sent";
	if (sum->there && !sum->here && different)
		return "only_there";
	if (sum->here && !sum->there && !pair->ships && different)
		return "only_here";
	return different ? "different" : "identical";
}
