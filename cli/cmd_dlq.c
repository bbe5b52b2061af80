/*
 * cli/cmd_dlq.c - `pb dlq`: dead letters, and what to do with them
 *
 * Reading needs nobody.  What changes something is asked of pb-shipper by
 * its socket; where none runs, pb takes the shipper's lock and does it.
 */
#include "cli/common/cli.h"
#include "cli/commands.h"
#include "cli/common/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/below.h"
#include "base/clock.h"
#include "shipper/operator/control.h"
#include "shipper/letters/letters.h"
#include "shipper/state/state.h"

#define LETTERS_PAGE	64	/* rows of the state at a time */
/* A shipper that has just started may not listen yet. */
#define ASK_TRIES	50u
#define ASK_AGAIN_US	100000u

enum verb { LIST, SHOW, REQUEUE, PURGE, MOVE, VERBS };
static const char *const verb_names[VERBS] = {
	[LIST] = "list", [SHOW] = "show", [REQUEUE] = "requeue",
	[PURGE] = "purge", [MOVE] = "move",
};
/* How a verb is done: where pb-shipper runs by asking it. */
static const struct {
	const char	*past;
	enum pb_control_verb control;
	int		(*step)(struct pb_letters *,
			    const struct pb_letters_which *,
			    struct pb_letters_sum *, struct pb_err *);
} deeds[VERBS] = {
	[REQUEUE] = { "requeued", PB_CONTROL_REQUEUE, pb_letters_requeue },
	[PURGE] = { "purged", PB_CONTROL_PURGE, pb_letters_purge },
	[MOVE] = { "moved", PB_CONTROL_MOVE, pb_letters_move },
};

struct request {			/* the options, and the verb */
	enum verb	 verb;
	struct pb_letters_which which;
	bool		 all, json;
};

struct row {
	struct pb_letter letter;
	uint64_t	 packets, bytes, attempts, status;
	char		 path[PATH_MAX];	/* "" where it has no file */
	const char	*state, *reason, *next;
};

/* For machines all there is; for people what fits in a line. */
#define AT(member)	offsetof(struct row, member)
static const struct pb_column json_columns[] = {
	{ "upstream", PB_CELL_TEXT, AT(letter.upstream) },
	{ "node", PB_CELL_TEXT, AT(letter.key.node) },
	{ "interface", PB_CELL_TEXT, AT(letter.key.interface) },
	{ "epoch", PB_CELL_HEX, AT(letter.key.epoch) },
	{ "first", PB_CELL_U64, AT(letter.first) },
	{ "last", PB_CELL_U64, AT(letter.last) },
	{ "packets", PB_CELL_U64, AT(packets) },
	{ "bytes", PB_CELL_U64, AT(bytes) },
	{ "state", PB_CELL_WORD, AT(state) },
	{ "reason", PB_CELL_WORD, AT(reason) },
	{ "since", PB_CELL_TIME_MAX, AT(letter.since_ns) },
	{ "attempts", PB_CELL_U64, AT(attempts) },
	{ "status", PB_CELL_U64, AT(status) },
	{ "error", PB_CELL_TEXT, AT(letter.error) },
	{ "path", PB_CELL_TEXT, AT(path) },
	{ "next", PB_CELL_WORD, AT(next) },
	{ 0 },
};
static const struct pb_column columns[] = {
	{ "upstream", PB_CELL_TEXT, AT(letter.upstream) },
	{ "stream", PB_CELL_STREAM, AT(letter.key) },
	{ "first", PB_CELL_U64, AT(letter.first) },
	{ "packets", PB_CELL_U64, AT(packets) },
	{ "state", PB_CELL_WORD, AT(state) },
	{ "reason", PB_CELL_WORD, AT(reason) },
	{ "since", PB_CELL_TIME_SECOND, AT(letter.since_ns) },
	{ "next", PB_CELL_WORD, AT(next) },
	{ 0 },
};

/* What will become of a letter, in a word and in a sentence. */
enum next { SENDS, AUTO, MANUAL, TOLD, NOBODY, UNKNOWN };
static const struct {
	const char	*word, *sentence;
} nexts[] = {
	[SENDS] = { "sends", "it is sent again" },
	[AUTO] = { "auto", "it goes again when its upstream takes what is "
	    "fresh again" },
	[MANUAL] = { "manual", "it waits for 'pb dlq requeue'" },
	[TOLD] = { "told", "its upstream is told that it has expired" },
	[NOBODY] = { "nobody", "its upstream is not configured: 'pb dlq move' "
	    "or 'pb dlq purge'" },
	[UNKNOWN] = { "", "" },
};

struct listing {
	const struct request *request;
	const struct pb_conf *conf;	/* NULL: not known */
	const char	*store;
	struct pb_letters *letters;
	struct pb_table	*table;
	bool		 shown;		/* one was, before this one */
};

static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	take_first(void *, const char *, struct pb_err *);
static int	verb_of(char **, struct request *);
static int	list(struct pb_cli *, const struct request *,
		    struct pb_err *);
static int	print_letters(void *, struct pb_table *, struct pb_err *);
static int	print_row(struct listing *, const struct pb_letter *,
		    struct pb_err *);
static int	show(struct listing *, const struct row *, enum next,
		    struct pb_err *);
static void	show_text(struct pb_out *, const char *, const char *);
static enum next next_of(const struct listing *, const struct pb_letter *);
static int	change_letters(struct pb_cli *, const struct request *,
		    struct pb_letters_sum *, struct pb_err *);
static int	change_here(struct pb_cli *, const struct request *,
		    struct pb_letters_sum *, struct pb_err *);
static void	report(const struct request *, const struct pb_letters_sum *);
static const char *grouped(uint64_t, char [static 32]);

static const struct pb_cli_option options[] = {
	{ "upstream", 0, "GLOB", offsetof(struct request, which.upstream), NULL,
	    "only those of upstreams whose name matches" },
	{ "stream", 0, "GLOB", offsetof(struct request, which.stream), NULL,
	    "only streams whose node/interface matches" },
	{ "first", 0, "N", offsetof(struct request, which.first), take_first,
	    "only those that begin with sequence number N" },
	{ "to", 0, "NAME", offsetof(struct request, which.to), NULL,
	    "move: the upstream that gets them" },
	{ "all", 0, NULL, offsetof(struct request, all), NULL,
	    "requeue, purge, move: every one; list, show: those\n"
	    "without a file too (late: came late and will be sent;\n"
	    "gone: the upstream is still to be told)" },
	PB_CLI_JSON(struct request, "one JSON object a line"),
	{ 0 },
};

const struct pb_command pb_cmd_dlq = {
	.name = "dlq",
	.summary = "Dead letters: what upstreams did not take",
	.operands = "list|show|requeue|purge|move [OPTION...]",
	.before =
"  list             a row a letter\n"
"  show             all about each letter, and where its file is\n"
"  requeue          send them again\n"
"  purge            delete them; the upstream is told that they expired\n"
"  move             give those of an upstream that is configured no more to\n"
"                   another one\n",
	.options = options,
	.opts_bytes = sizeof(struct request),
	.after =
"A dead letter is a run of packets that an upstream did not take: it made\n"
"no progress for retry_for (stale), or said that they are malformed.  Where\n"
"requeue = auto the first go again by themselves: column NEXT.\n"
"They are kept as hard links of their segments, which are pcapng files.\n",
	.run = run,
};

static int
run(struct pb_cli *cli, void *opts, char **operand, struct pb_err *err)
{
	struct pb_letters_sum sum = { .letters = 0 };
	struct request *request = opts;
	int rc = verb_of(operand, request);
	bool change;

	if (rc != PB_EXIT_OK)
		return rc;
	change = request->verb != LIST && request->verb != SHOW;
	rc = pb_cli_enter(cli, change, err);
	if (rc < 0)
		return rc;
	if (pb_below_look(cli->store) < 0)
		return pb_err_set(err, PB_ENOENT, "there is no store in %s "
		    "yet; pb-recorder or 'pb import' makes one", cli->store);
	if (!change)
		return list(cli, request, err);
	rc = change_letters(cli, request, &sum, err);
	if (rc == 0 || sum.letters > 0)
		report(request, &sum);
	return rc;
}

/* --- what is asked for -------------------------------------------------- */

static int
take_first(void *first, const char *text, struct pb_err *err)
{
	if (pb_parse_u64(text, 1, INT64_MAX, first, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--first");
}

/* PB_EXIT_OK, or PB_EXIT_USAGE after saying what is wrong. */
static int
verb_of(char **operand, struct request *request)
{
	const struct pb_letters_which *which = &request->which;
	const char *word = operand[0], *near;

	request->verb = VERBS;
	if (word == NULL)
		return pb_cli_usage("dlq: say what to do: list, show, requeue, "
		    "purge or move");
	for (unsigned v = 0; v < VERBS; v++)
		if (strcmp(word, verb_names[v]) == 0)
			request->verb = (enum verb)v;
	if (request->verb == VERBS) {
		near = pb_nearest(word, verb_names, VERBS);
		return pb_cli_usage("dlq: unknown word '%s'; %s%s%s",
		    word, near != NULL ? "did you mean '" :
		    "list, show, requeue, purge and move are known",
		    near != NULL ? near : "", near != NULL ? "'?" : "");
	}
	if (operand[1] != NULL)
		return pb_cli_usage("dlq %s takes no argument, not '%s'",
		    word, operand[1]);
	if (request->verb == LIST || request->verb == SHOW)
		return PB_EXIT_OK;
	if ((request->verb == MOVE) != (which->to != NULL))
		return pb_cli_usage("dlq %s: %s", word,
		    which->to == NULL ? "say where: --to NAME" :
		    "--to is for move");
	if (!request->all && which->upstream == NULL &&
	    which->stream == NULL && which->first == 0)
		return pb_cli_usage("dlq %s: say which: --upstream GLOB, "
		    "--stream GLOB, --first N, or --all", word);
	if (request->all && (which->upstream != NULL ||
	    which->stream != NULL || which->first != 0))
		return pb_cli_usage("dlq %s: --all leaves nothing to select; "
		    "give one or the other", word);
	return PB_EXIT_OK;
}

/* --- list and show ------------------------------------------------------ */

static int
list(struct pb_cli *cli, const struct request *request, struct pb_err *err)
{
	struct listing listing = { .request = request, .store = cli->store,
	    .conf = cli->store_dir == NULL ? cli->conf : NULL };
	struct pb_state *state = NULL;
	int rc;

	rc = pb_state_open(&state, cli->store, err);
	if (rc < 0)
		return rc == PB_ENOENT ? 0 : rc;
	rc = pb_letters_open(&listing.letters, state, cli->store, err);
	if (rc == 0)
		rc = pb_table_print(request->json ? json_columns : columns,
		    request->json, print_letters, &listing, err);
	pb_letters_close(listing.letters);
	pb_state_close(state);
	return rc;
}

static int
print_letters(void *arg, struct pb_table *table, struct pb_err *err)
{
	struct pb_letter page[LETTERS_PAGE], after = { .first = 0 };
	struct listing *listing = arg;
	int n, rc = 0;

	listing->table = table;
	do {
		n = pb_letters_list(listing->letters, &listing->request->which,
		    &after, page, LETTERS_PAGE, err);
		for (int i = 0; i < n && rc == 0; i++)
			rc = print_row(listing, &page[i], err);
	} while (rc == 0 && n > 0);
	return n < 0 ? n : rc;
}

static int
print_row(struct listing *listing, const struct pb_letter *letter,
    struct pb_err *err)
{
	bool file = letter->state == PB_LETTER_DEAD ||
	    letter->state == PB_LETTER_REQUEUED;
	enum next next = next_of(listing, letter);
	struct row row = { .letter = *letter,
	    .packets = letter->last - letter->first + 1,
	    .attempts = letter->attempts,
	    .status = letter->status > 0 ? (uint64_t)letter->status : 0,
	    .state = pb_letter_state_name(letter->state),
	    .reason = letter->reason == 0 ? NULL :
	    pb_dead_reason_name(letter->reason),
	    .next = nexts[next].word };

	if (!listing->request->all && !file)
		return 0;
	if (row.reason == NULL)
		row.reason = "";
	if (file && pb_layout_letter(row.path, listing->store,
	    letter->upstream, &letter->key, letter->segment_seq, NULL) < 0)
		row.path[0] = '\0';
	if (row.path[0] != '\0')
		row.bytes = letter->file_bytes;
	if (listing->request->verb == SHOW && !listing->request->json)
		return show(listing, &row, next, err);
	return pb_table_row(listing->table, &row, err);
}

/* What machines get, and in the same order; what there is not is left out. */
static int
show(struct listing *listing, const struct row *row, enum next next,
    struct pb_err *err)
{
	char text[PB_STREAM_NAME_MAX], size[16];
	struct pb_out *out = listing->table->out;

	if (listing->shown)
		pb_out_text(out, "\n");
	listing->shown = true;
	for (const struct pb_column *c = json_columns; c->name != NULL; c++)
		if (c->at != AT(bytes) && c->at != AT(path) &&
		    c->at != AT(next) && (c->at != AT(status) ||
		    row->status > 0) && (c->at != AT(letter.error) ||
		    row->letter.error[0] != '\0'))
			show_text(out, c->name, pb_column_text(c, row, text));
	show_text(out, "next", nexts[next].sentence);
	/* The file is a whole segment, with packets besides these. */
	if (row->path[0] != '\0') {
		pb_out_printf(out, "bytes: %" PRIu64 " (%s)\n", row->bytes,
		    pb_size_format(row->bytes, size));
		show_text(out, "path", row->path);
		pb_out_printf(out, "open: wireshark '%s'\n", row->path);
	}
	return out->rc < 0 ? pb_out_flush(out, err) : 0;
}

/* Without control characters: names and errors come from peers. */
static void
show_text(struct pb_out *out, const char *name, const char *text)
{
	char clean[PATH_MAX + 64];

	pb_utf8_clean(clean, sizeof(clean), text, strlen(text));
	pb_out_printf(out, "%s: %s\n", name, clean);
}

static enum next
next_of(const struct listing *listing, const struct pb_letter *letter)
{
	const struct pb_conf_upstream *up = listing->conf == NULL ? NULL :
	    pb_conf_upstream(listing->conf, letter->upstream);

	if (listing->conf != NULL && up == NULL)
		return NOBODY;
	if (letter->state == PB_LETTER_GONE)
		return TOLD;
	if (letter->state != PB_LETTER_DEAD)
		return SENDS;
	if (!pb_letters_goes_again(letter))
		return MANUAL;
	return up == NULL ? UNKNOWN : up->requeue_manual ? MANUAL : AUTO;
}

/* --- requeue, purge and move -------------------------------------------- */

static int
change_letters(struct pb_cli *cli, const struct request *request,
    struct pb_letters_sum *sum, struct pb_err *err)
{
	struct pb_state *state;
	int fd, rc;

	/* Nothing was ever shipped from here: make nothing. */
	rc = pb_state_open(&state, cli->store, err);
	if (rc < 0)
		return rc == PB_ENOENT ? 0 : rc;
	pb_state_close(state);
	for (unsigned try = 0; try < ASK_TRIES; try++) {
		rc = pb_shipper_lock(&fd, cli->store, err);
		if (rc == 0) {
			rc = change_here(cli, request, sum, err);
			close(fd);
			return rc;
		}
		if (rc != PB_EBUSY)
			return rc;
		rc = pb_control_ask(cli->store, deeds[request->verb].control,
		    &request->which, sum, err);
		if (rc != PB_ENOENT)
			return rc;
		usleep(ASK_AGAIN_US);
	}
	return rc;
}

static int
change_here(struct pb_cli *cli, const struct request *request,
    struct pb_letters_sum *sum, struct pb_err *err)
{
	struct pb_letters_which which = request->which;
	struct pb_letters *letters = NULL;
	struct pb_state *state = NULL;
	struct pb_err later;
	int rc;

	/* A store alone does not say which upstreams there are. */
	if (cli->store_dir == NULL) {
		which.ships = pb_conf_ships;
		which.arg = cli->conf;
	}

	rc = pb_state_open_write(&state, cli->store, err);
	if (rc == 0)
		rc = pb_letters_open(&letters, state, cli->store, err);
	if (rc == 0)
		do
			rc = deeds[request->verb].step(letters, &which, sum,
			    err);
		while (rc == 1);
	/* A file that cannot be deleted now is the shipper's to delete. */
	if (rc == 0)
		while (pb_letters_tidy(letters, &later) == 1)
			continue;
	pb_letters_close(letters);
	pb_state_close(state);
	if (rc == 0 && sum->letters > 0)
		pb_cli_note("pb-shipper does not run on this store; the "
		    "upstream %s when it does", request->verb == PURGE ?
		    "is told" : "gets them");
	return rc;
}

static void
report(const struct request *request, const struct pb_letters_sum *sum)
{
	char letters[32], packets[32];

	if (request->json) {
		printf("{\"letters\":%" PRIu64 ",\"packets\":%" PRIu64 "}\n",
		    sum->letters, sum->packets);
		return;
	}
	if (sum->letters == 0) {
		printf("no dead letters to %s\n", verb_names[request->verb]);
		return;
	}
	printf("%s %s dead letter%s, %s packet%s",
	    deeds[request->verb].past,
	    grouped(sum->letters, letters), sum->letters == 1 ? "" : "s",
	    grouped(sum->packets, packets), sum->packets == 1 ? "" : "s");
	if (request->verb == MOVE)
		printf(", to %s", request->which.to);
	else if (request->which.upstream != NULL)
		printf(", for %s", request->which.upstream);
	printf("\n");
}

/* 1234567 as 1,234,567. */
static const char *
grouped(uint64_t value, char out[static 32])
{
	char digits[24];
	size_t len, at = 0;

	len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, value);
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}
