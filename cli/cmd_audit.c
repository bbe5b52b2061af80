/*
 * cli/cmd_audit.c - `pb audit`: has the other node the same packets?
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/below.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/audit/pairs.h"
#include "cli/audit/report.h"
#include "cli/common/cli.h"
#include "cli/common/progress.h"
#include "cli/commands.h"
#include "pcapng/block.h"
#include "recorder/query/select.h"
#include "recorder/sift/sieves.h"

#define UPSTREAM	"upstream:"	/* before a name that both have */
#define EDGE		"edge:"
#define NAMES_MS	10000u		/* that names in a filter may take */

struct opts {
	const char	*stream;
	uint64_t	 snaplen;
	bool		 json;
};

struct audit {
	const struct opts *opts;
	struct pb_cli	*cli;
	struct pb_index	*index, *other;
	struct pb_state	*state, *other_state;
	char		 path[PATH_MAX];	/* of the other store */
	struct pb_pairs	 pairs;
	struct pb_compare compare;
	struct pb_sieves sieves;		/* of the upstream, */
	char		 filter[PB_CONF_VALUE_MAX];	/* or what an edge
							 * says */
	struct pb_report report;
	struct pb_out	 out;
	struct pb_progress bar;
	uint64_t	 numbers;		/* of the streams here */
	uint64_t	 done;			/* of them, of streams before */
};

static int	run(struct pb_cli *, void *, char **, struct pb_err *);
static int	take_snaplen(void *, const char *, struct pb_err *);
static int	find_node(struct pb_cli *, const char *,
		    struct pb_side_node *, struct pb_err *);
static int	take_upstream(const struct pb_conf_upstream *, bool,
		    struct pb_side_node *, struct pb_err *);
static int	open_sides(struct audit *, const char *,
		    const struct pb_side_node *, struct pb_err *);
static void	take_section(struct audit *, const struct pb_side_node *);
static int	open_here(struct audit *, struct pb_err *);
static int	open_there(struct audit *, const char *, struct pb_err *);
static int	hold_there(struct audit *, const char *, struct pb_err *);
static int	open_state(struct pb_state **, const char *,
		    struct pb_err *);
static int	compare_all(struct audit *, struct pb_err *);
static int	add_numbers(void *, const struct pb_stream_info *,
		    struct pb_err *);
static int	list(void *, struct pb_listing *, struct pb_err *);
static int	compare_pair(void *, const struct pb_compare_pair *,
		    struct pb_err *);
static int	sift(struct audit *, const struct pb_stream_key *,
		    struct pb_err *);
static bool	passes(void *, const struct pb_packet *);
static int	found(void *, const struct pb_compare_pair *,
		    const struct pb_compare_finding *, struct pb_err *);
static void	progress(void *, uint64_t);
static void	close_all(struct audit *);

static const struct pb_cli_option options[] = {
	PB_CLI_STREAM(struct opts),
	{ "snaplen", 0, "N", offsetof(struct opts, snaplen), take_snaplen,
	    "as if each packet had been cut to N bytes, at both, and\n"
	    "not to what the section says" },
	PB_CLI_JSON(struct opts, "one JSON object a line: what differs, each\n"
	    "stream, and the sum last"),
	{ 0 },
};

const struct pb_command pb_cmd_audit = {
	.name = "audit",
	.summary = "Prove that another node has the same packets",
	.operands = "[--stream GLOB] [--snaplen N] [--json] "
	    "UPSTREAM|EDGE|STORE",
	.options = options,
	.opts_bytes = sizeof(struct opts),
	.before =
"UPSTREAM and EDGE are names of an [upstream], and of an [edge], of the\n"
"configuration: that node is asked, for digests and not for packets.  STORE\n"
"is the directory of another store on this machine.\n",
	.after =
"Compared is what both should have: what has not been sent or fetched yet,\n"
"what a node has deleted by its bounds (expired), numbers that went under\n"
"another epoch, and what filter and snaplen of the section leave out are\n"
"told, and are no difference.  A stream that the other node alone has is\n"
"one.  Status 0: identical; 1: not, or it could not be found out.\n",
	.run = run,
};

static int
run(struct pb_cli *cli, void *opts, char **operand, struct pb_err *err)
{
	struct audit audit = { .opts = opts, .cli = cli };
	struct pb_side_node node = { 0 };
	bool identical = false;
	int rc;

	if (operand[0] == NULL || operand[1] != NULL)
		return pb_cli_usage("audit: say with whom: the name of an "
		    "[upstream] or [edge], or the directory of another store");
	rc = pb_cli_conf(cli, err);
	if (rc == 0)
		rc = find_node(cli, operand[0], &node, err);
	pb_cli_catch_signals();
	pb_cli_out(&audit.out);
	if (rc == 0)
		rc = open_sides(&audit, operand[0], &node, err);
	if (rc == 0) {
		pb_report_begin(&audit.report);
		rc = compare_all(&audit, err);
	}
	/* Nothing is no proof of what was asked for by name. */
	if (rc == 0 && audit.opts->stream != NULL && audit.report.streams == 0)
		rc = pb_err_set(err, PB_ENOENT, "audit: there is no stream to "
		    "compare whose name matches --stream %.200s; `pb streams` "
		    "lists those that are here", audit.opts->stream);
	if (rc == 0) {
		audit.report.questions = audit.compare.there->requests;
		identical = pb_report_end(&audit.report);
		rc = pb_out_flush(&audit.out, err);
	}
	pb_progress_end(&audit.bar);
	close_all(&audit);
	if (pb_cli_stopped())
		pb_cli_die(pb_cli_stopped());
	if (rc < 0 && !pb_out_gone(&audit.out))
		return rc;
	return identical ? PB_EXIT_OK : PB_EXIT_FAILED;
}

static int
take_snaplen(void *snaplen, const char *text, struct pb_err *err)
{
	if (pb_parse_u64(text, 1, PB_CAPLEN_MAX, snaplen, err) == 0)
		return 0;
	return pb_err_prefix(err, PB_EINVAL, "--snaplen");
}

/* Neither of them: it is a store's directory. */
static int
find_node(struct pb_cli *cli, const char *name, struct pb_side_node *out,
    struct pb_err *err)
{
	bool upstream = strncmp(name, UPSTREAM, strlen(UPSTREAM)) == 0;
	bool edge = strncmp(name, EDGE, strlen(EDGE)) == 0;
	const char *bare = name + (upstream ? strlen(UPSTREAM) : edge ?
	    strlen(EDGE) : 0);
	const struct pb_conf_upstream *found = edge ? NULL :
	    pb_conf_upstream(cli->conf, bare);
	struct stat st;
	int rc = 0;

	*out = (struct pb_side_node){ .self = cli->conf->node.name };
	if (!upstream)
		out->edge = pb_conf_edge(cli->conf, bare);
	if (found != NULL)
		rc = take_upstream(found, out->edge != NULL, out, err);
	if (rc < 0 || out->upstream != NULL || out->edge != NULL ||
	    stat(name, &st) == 0)
		return rc;
	return pb_err_set(err, PB_EINVAL, "audit: '%s' is neither the name of "
	    "an [upstream] or [edge] of %s nor a directory", name,
	    cli->store_dir == NULL ? cli->conf->file :
	    "a configuration (--store has none)");
}

/* One that can be asked, where no edge of this name is meant. */
static int
take_upstream(const struct pb_conf_upstream *upstream, bool edge,
    struct pb_side_node *out, struct pb_err *err)
{
	const char *name = upstream->name;

	if (pb_conf_pulled(upstream) && !edge)
		return pb_err_set(err, PB_EINVAL, "audit: upstream %s comes "
		    "for its packets itself (url = " PB_CONF_PULL ") and "
		    "cannot be asked; type `pb audit` at %s, with the name of "
		    "its [edge] section for this node", name, name);
	if (pb_conf_interface(upstream) != NULL && !edge)
		return pb_err_set(err, PB_EINVAL, "audit: upstream %s is a "
		    "local interface, which cannot be asked what it has",
		    name);
	if (pb_conf_pulled(upstream) || pb_conf_interface(upstream) != NULL)
		return 0;
	if (edge)
		return pb_err_set(err, PB_EINVAL, "audit: %s is an [upstream] "
		    "and an [edge]; write " UPSTREAM "%s or " EDGE "%s", name,
		    name, name);
	out->upstream = upstream;
	return 0;
}

/* --- what is compared --------------------------------------------------- */

static int
open_sides(struct audit *audit, const char *operand,
    const struct pb_side_node *node, struct pb_err *err)
{
	bool store = node->upstream == NULL && node->edge == NULL;
	int rc = open_here(audit, err);

	if (rc == 0)
		rc = store ? open_there(audit, operand, err) :
		    pb_side_wire(&audit->compare.there, node, &pb_cli_stop,
		    err);
	if (rc < 0)
		return rc;
	audit->pairs = (struct pb_pairs){ .glob = audit->opts->stream,
	    .store = audit->cli->store, .index = audit->index,
	    .state = audit->state, .other = audit->other,
	    .other_store = audit->path, .other_state = audit->other_state,
	    .node = node->self, .list = list };
	audit->compare.snaplen = (uint32_t)audit->opts->snaplen;
	audit->compare.found = found;
	audit->compare.progress = progress;
	audit->compare.arg = audit;
	audit->report = (struct pb_report){ .out = &audit->out,
	    .json = audit->opts->json, .here = audit->cli->store,
	    .there = audit->path, .with = "store", .listed = true };
	take_section(audit, node);
	audit->report.snaplen = audit->compare.snaplen;
	return 0;
}

/* Which streams, and what is left out of them. */
static void
take_section(struct audit *audit, const struct pb_side_node *node)
{
	const struct pb_conf_upstream *upstream = node->upstream;

	if (node->edge != NULL) {
		audit->pairs.edge = node->edge->name;
		audit->pairs.streams = node->edge->streams;
		audit->report.there = node->edge->name;
		audit->report.with = "edge";
	}
	if (upstream == NULL)
		return;
	audit->pairs.upstream = audit->report.there = upstream->name;
	audit->pairs.streams = upstream->streams;
	audit->report.with = "upstream";
	audit->report.filter = upstream->filter;
	pb_sieves_set(&audit->sieves, upstream);
	if (audit->opts->snaplen != 0 || upstream->snaplen >= PB_CAPLEN_MAX)
		return;
	audit->compare.snaplen = upstream->snaplen;
	audit->compare.tells_cut = true;
}

static int
open_here(struct audit *audit, struct pb_err *err)
{
	int rc = pb_cli_index(audit->cli, &audit->index, err);

	if (rc < 0)
		return rc;
	pb_cli_yield(audit->cli);
	rc = open_state(&audit->state, audit->cli->store, err);
	return rc < 0 ? rc : pb_side_store(&audit->compare.here,
	    audit->cli->store, audit->index, &pb_cli_stop, err);
}

static int
open_there(struct audit *audit, const char *operand, struct pb_err *err)
{
	int rc = hold_there(audit, operand, err);

	if (rc == 0)
		rc = pb_index_readable(audit->path, err);
	if (rc == 0)
		rc = pb_index_open(&audit->other, audit->path, err);
	if (rc == PB_ENOENT)
		return pb_err_set(err, rc, "there is no store in %s",
		    audit->path);
	if (rc == 0)
		rc = open_state(&audit->other_state, audit->path, err);
	return rc < 0 ? rc : pb_side_store(&audit->compare.there,
	    audit->path, audit->other, &pb_cli_stop, err);
}

/* Another one than this, for LMDB forbids two of one; and what is another
 * user's is nothing for root's rights. */
static int
hold_there(struct audit *audit, const char *operand, struct pb_err *err)
{
	struct pb_owner owner;
	struct stat here, there;
	int rc;

	if (realpath(operand, audit->path) == NULL)
		return pb_err_sys(err, "open %s", operand);
	rc = pb_below_hold(audit->path, err);
	if (rc < 0 && err->sys != EACCES)
		return rc;
	rc = pb_owner_safe(audit->path, err);
	if (rc == 0)
		rc = pb_owner_find(&owner, audit->path, err);
	if (rc < 0)
		return rc;
	if (pb_below_fd(audit->path) < 0)
		return pb_owner_denies(&owner, audit->path, false, err);
	if (pb_owner_is_other(&owner)) {
		pb_owner_name(&owner);
		return pb_err_set(err, PB_EACCES, "the store %s is %s's, and "
		    "%s is root's: root compares stores of one user",
		    audit->path, owner.user, audit->cli->store);
	}
	if (fstat(pb_below_fd(audit->path), &there) == 0 &&
	    stat(audit->cli->store, &here) == 0 &&
	    here.st_dev == there.st_dev && here.st_ino == there.st_ino)
		return pb_err_set(err, PB_EINVAL, "audit: %s is this very "
		    "store; name another one", operand);
	return pb_owner_allows(&owner, audit->path, false, err);
}

/* NULL where no shipper has ever run. */
static int
open_state(struct pb_state **out, const char *store, struct pb_err *err)
{
	int rc = pb_state_open(out, store, err);

	return rc == PB_ENOENT ? 0 : rc;
}

/* --- comparing ---------------------------------------------------------- */

static int
compare_all(struct audit *audit, struct pb_err *err)
{
	int rc = pb_streams_each(audit->index, audit->opts->stream,
	    add_numbers, audit, err);

	pb_progress_begin(&audit->bar, "comparing", audit->numbers);
	audit->bar.things = true;
	return rc < 0 ? rc : pb_pairs_each(&audit->pairs, compare_pair, audit,
	    err);
}

static int
add_numbers(void *arg, const struct pb_stream_info *stream,
    struct pb_err *err)
{
	struct audit *audit = arg;
	char name[PB_STREAM_NAME_MAX];

	(void)err;
	if (audit->pairs.streams == NULL || pb_glob_list_match(
	    audit->pairs.streams, pb_stream_name(name, &stream->key)))
		audit->numbers += stream->last_seq;
	return 0;
}

static int
list(void *arg, struct pb_listing *out, struct pb_err *err)
{
	struct audit *audit = arg;
	struct pb_side *there = audit->compare.there;
	int rc = there->list(there, out, err);

	audit->report.listed = rc == 1;
	if (rc != 1)
		return rc;
	/* An edge says what it leaves out, as a section here does. */
	if (out->filter[0] != '\0') {
		strcpy(audit->filter, out->filter);
		audit->report.filter = audit->filter;
	}
	if (out->snaplen != 0 && audit->opts->snaplen == 0) {
		audit->compare.snaplen = audit->report.snaplen = out->snaplen;
		audit->compare.tells_cut = true;
	}
	return rc;
}

static int
compare_pair(void *arg, const struct pb_compare_pair *pair,
    struct pb_err *err)
{
	struct audit *audit = arg;
	struct pb_compare_sum sum;
	int rc = sift(audit, &pair->here, err);

	if (rc == 0)
		rc = pb_compare_run(&audit->compare, pair, &sum, err);
	if (rc < 0)
		return rc;
	if (sum.first <= sum.last)
		audit->done += sum.last - sum.first + 1;
	pb_progress_end(&audit->bar);
	rc = pb_report_stream(&audit->report, pair, &sum, err);
	return rc < 0 ? rc : pb_out_flush(&audit->out, err);
}

/* What the upstream's filter says of the stream's packets. */
static int
sift(struct audit *audit, const struct pb_stream_key *key,
    struct pb_err *err)
{
	uint64_t begin = pb_clock_mono_ms();
	struct pb_stream_info info;
	struct pb_sift *sift = NULL;
	int rc = pb_index_stream(audit->index, key, &info, err);

	if (rc == 1) {
		do
			rc = pb_sieves_find(&audit->sieves, info.linktype,
			    &sift, err);
		while (rc == PB_EBUSY && pb_cli_stopped() == 0 &&
		    pb_clock_mono_ms() - begin < NAMES_MS);
	}
	audit->compare.sifts = sift != NULL && sift->filter != NULL;
	pb_side_store_sift(audit->compare.here, audit->compare.sifts ?
	    passes : NULL, sift);
	return rc < 0 ? pb_err_prefix(err, rc, "upstream %s",
	    audit->report.there) : 0;
}

static bool
passes(void *arg, const struct pb_packet *packet)
{
	const struct pb_sift *sift = arg;

	return pb_filter_match(sift->filter, packet);
}

static int
found(void *arg, const struct pb_compare_pair *pair,
    const struct pb_compare_finding *finding, struct pb_err *err)
{
	struct audit *audit = arg;

	pb_progress_end(&audit->bar);
	return pb_report_finding(&audit->report, pair, finding, err);
}

static void
progress(void *arg, uint64_t numbers)
{
	struct audit *audit = arg;

	pb_progress_at(&audit->bar, audit->done + numbers);
}

static void
close_all(struct audit *audit)
{
	pb_side_destroy(audit->compare.there);
	pb_side_destroy(audit->compare.here);
	pb_sieves_finish(&audit->sieves);
	pb_state_close(audit->other_state);
	pb_state_close(audit->state);
	pb_index_close(audit->other);
	pb_index_close(audit->index);
	pb_out_finish(&audit->out);
}
