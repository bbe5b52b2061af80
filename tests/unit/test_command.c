/*
 * tests/unit/test_command.c - the options of `pb`: one table, and what else
 * speaks of them
 *
 * The completion (cli/pb.bash) and the page (docs/man/pb.1) are read where
 * they are in the sources: tests run in their directory (tests/run.sh).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/common/cli.h"
#include "cli/commands.h"

#define COMPLETION	"cli/pb.bash"
#define PAGE		"docs/man/pb.1"
#define PAGE_BYTES_MAX	(256u << 10)
#define WORDS_MAX	64
#define WORD_MAX	40

/* A set of words. */
struct words {
	char	 word[WORDS_MAX][WORD_MAX];
	size_t	 count;
};

static bool
has(const struct words *words, const char *word)
{
	size_t i = 0;

	while (i < words->count && strcmp(words->word[i], word) != 0)
		i++;
	return i < words->count;
}

static void
add(struct words *words, const char *word, size_t len)
{
	char copy[WORD_MAX];

	assert_true(len < sizeof(copy) && words->count < WORDS_MAX);
	memcpy(copy, word, len);
	copy[len] = '\0';
	if (!has(words, copy))
		strcpy(words->word[words->count++], copy);
}

static void
are_the_same(const char *command, const struct words *here,
    const struct words *there, const char *where)
{
	for (size_t i = 0; i < here->count; i++)
		if (!has(there, here->word[i]))
			fail_msg("pb %s: %s is not in %s", command,
			    here->word[i], where);
	for (size_t i = 0; i < there->count; i++)
		if (!has(here, there->word[i]))
			fail_msg("pb %s: %s is only in %s", command,
			    there->word[i], where);
}

/* As the help calls them: `--stream`, `-w`. */
static struct words
options_of(const struct pb_command *command)
{
	const struct pb_cli_option *row = command->options;
	struct words words = { .count = 0 };
	char text[WORD_MAX];

	for (; row->name != NULL || row->help != NULL; row++) {
		if (row->name == NULL)
			continue;
		if (row->letter != '\0')
			snprintf(text, sizeof(text), "-%c", row->letter);
		else
			snprintf(text, sizeof(text), "--%s", row->name);
		add(&words, text, strlen(text));
	}
	return words;
}

/* --- the completion ------------------------------------------------------ */

/* What it offers behind `pb`, `line` and a blank, that begins with `word`. */
static struct words
completed(const char *line, const char *word)
{
	struct words words = { .count = 0 };
	char shell[512], out[WORD_MAX];
	FILE *pipe;

	snprintf(shell, sizeof(shell), "bash -c 'compopt() { :; }; "
	    ". ./%s 2>/dev/null; COMP_WORDS=(/nowhere/pb %s \"%s\"); "
	    "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _pb; "
	    "printf \"%%s\\n\" \"${COMPREPLY[@]}\"'", COMPLETION, line, word);
	pipe = popen(shell, "r");
	assert_non_null(pipe);
	while (fgets(out, sizeof(out), pipe) != NULL)
		add(&words, out, strcspn(out, "\n"));
	assert_int_equal(pclose(pipe), 0);
	return words;
}

static void
the_completion_offers_the_commands(void **state)
{
	struct words there = completed("", ""), here = { .count = 0 };

	(void)state;
	for (size_t i = 0; pb_commands[i] != NULL; i++)
		add(&here, pb_commands[i]->name, strlen(pb_commands[i]->name));
	add(&here, "help", 4);
	are_the_same("", &here, &there, COMPLETION);
}

static void
the_completion_offers_the_options_of_each_command(void **state)
{
	(void)state;
	for (size_t i = 0; pb_commands[i] != NULL; i++) {
		struct words here = options_of(pb_commands[i]);
		struct words there = completed(pb_commands[i]->name, "-");

		add(&here, "--help", 6);
		are_the_same(pb_commands[i]->name, &here, &there, COMPLETION);
	}
}

/* Goal:   no option without a value is waited for a value of, and the
 *         other way round.
 * Method: behind one that has a value no option is offered. */
static void
the_completion_knows_which_options_have_values(void **state)
{
	const struct pb_cli_option *row;
	struct words words;
	char line[128];

	(void)state;
	for (size_t i = 0; pb_commands[i] != NULL; i++)
		for (row = pb_commands[i]->options; row->name != NULL ||
		    row->help != NULL; row++) {
			if (row->name == NULL)
				continue;
			snprintf(line, sizeof(line), row->letter != '\0' ?
			    "%s -%.1s" : "%s --%s", pb_commands[i]->name,
			    row->letter != '\0' ? &row->letter : row->name);
			words = completed(line, "-");
			if (has(&words, "--help") == (row->value != NULL))
				fail_msg("pb %s: %s %s", line, COMPLETION,
				    row->value != NULL ? "knows no value" :
				    "waits for a value");
		}
}

/* --- the page ------------------------------------------------------------ */

static char *
page(void)
{
	char *text = calloc(1, PAGE_BYTES_MAX);
	FILE *file = fopen(PAGE, "r");

	assert_non_null(text);
	assert_non_null(file);
	assert_true(fread(text, 1, PAGE_BYTES_MAX - 1, file) > 0);
	fclose(file);
	return text;
}

/* Each `Fl x` and `Fl -xyz` between two places of the page. */
static struct words
flags_in(const char *from, const char *to)
{
	struct words words = { .count = 0 };
	char text[WORD_MAX];

	while ((from = strstr(from, "Fl ")) != NULL && from < to) {
		from += 3;
		snprintf(text, sizeof(text), "-%.*s",
		    (int)strcspn(from, " \n"), from);
		/* `Fl -` alone is the `--` that ends the options. */
		if (strcmp(text, "--") != 0)
			add(&words, text, strlen(text));
	}
	return words;
}

static const char *
end_of(const char *part, const char *next)
{
	const char *end = strstr(part, next);

	return end != NULL ? end : part + strlen(part);
}

/* Among the words of a `.Cm` line: "streams | segments | gaps". */
static bool
names(const char *line, const char *command)
{
	size_t len = strcspn(line, "\n"), n = strlen(command);

	for (size_t i = 0; i + n <= len; i++)
		if (strncmp(line + i, command, n) == 0 &&
		    (i == 0 || line[i - 1] == ' ') &&
		    (i + n == len || line[i + n] == ' '))
			return true;
	return false;
}

/* The paragraph of the synopsis that begins with the command's name. */
static struct words
synopsis_of(const char *text, const char *command)
{
	const char *part = strstr(text, "\n.Sh SYNOPSIS"), *line, *next;
	const char *end = strstr(text, "\n.Sh DESCRIPTION");

	assert_true(part != NULL && end != NULL);
	while ((part = strstr(part + 1, "\n.Nm\n")) != NULL && part < end) {
		line = strstr(part, "\n.Cm ");
		next = end_of(part + 1, "\n.Nm\n");
		if (line != NULL && line < next && names(line + 5, command))
			return flags_in(line, next < end ? next : end);
	}
	fail_msg("%s: no synopsis of %s", PAGE, command);
	return (struct words){ .count = 0 };
}

static void
the_synopsis_has_the_options_of_each_command(void **state)
{
	char *text = page();

	(void)state;
	for (size_t i = 0; pb_commands[i] != NULL; i++) {
		struct words here = options_of(pb_commands[i]);
		struct words there = synopsis_of(text, pb_commands[i]->name);

		are_the_same(pb_commands[i]->name, &here, &there, PAGE);
	}
	free(text);
}

/* What several commands have in common is said once, before them. */
static void
the_page_describes_each_option(void **state)
{
	char *text = page(), heading[64];
	const char *common = strstr(text, "\nTwo options are common"), *part;
	struct words shared, own, all;

	(void)state;
	assert_non_null(common);
	shared = flags_in(common, end_of(common, "\n.Ss "));
	assert_int_equal(shared.count, 2);
	for (size_t i = 0; pb_commands[i] != NULL; i++) {
		snprintf(heading, sizeof(heading), "\n.Ss %s\n",
		    pb_commands[i]->name);
		part = strstr(text, heading);
		if (part == NULL)
			fail_msg("%s: no %s", PAGE, heading);
		own = flags_in(part, end_of(part + 1, "\n.S"));
		all = options_of(pb_commands[i]);
		for (size_t k = 0; k < own.count; k++)
			if (!has(&all, own.word[k]))
				fail_msg("%s: pb %s has no %s", PAGE,
				    pb_commands[i]->name, own.word[k]);
		for (size_t k = 0; k < all.count; k++)
			if (!has(&own, all.word[k]) &&
			    !has(&shared, all.word[k]))
				fail_msg("%s: nothing of pb %s %s", PAGE,
				    pb_commands[i]->name, all.word[k]);
	}
	free(text);
}

/* --- parsing ------------------------------------------------------------- */

struct opts {
	bool		 flag;
	const char	*value, *operand[4];
	unsigned	 taken;
};

static struct opts seen;

static int
take(void *at, const char *text, struct pb_err *err)
{
	unsigned *taken = at;

	if (strcmp(text, "wrong") == 0)
		return pb_err_set(err, PB_EINVAL, "--taken: is wrong");
	++*taken;
	return 0;
}

static int
run(struct pb_cli *cli, void *opts, char **operand, struct pb_err *err)
{
	(void)cli;
	(void)err;
	seen = *(struct opts *)opts;
	for (size_t i = 0; operand[i] != NULL && i < 4; i++)
		seen.operand[i] = operand[i];
	return 7;
}

static const struct pb_cli_option options[] = {
	{ .help = "A heading" },
	{ "flag", 0, NULL, offsetof(struct opts, flag), NULL, "a flag" },
	{ "value", 'v', "V", offsetof(struct opts, value), NULL, "a value" },
	{ "taken", 0, "T", offsetof(struct opts, taken), take,
	    "a value\nthat is taken" },
	{ 0 },
};

static int
parsed(const char *operands, const char *a, const char *b, const char *c)
{
	struct pb_command command = { .name = "test", .summary = "Test",
	    .operands = operands, .options = options,
	    .opts_bytes = sizeof(struct opts), .run = run };
	char *argv[] = { (char *)"test", (char *)a, (char *)b, (char *)c,
	    NULL };
	int argc = 1 + (a != NULL) + (b != NULL) + (c != NULL);

	memset(&seen, 0, sizeof(seen));
	return pb_command_run(&command, NULL, argc, argv);
}

static void
options_are_put_where_their_rows_say(void **state)
{
	(void)state;
	assert_int_equal(parsed("WORD...", "--flag", NULL, NULL), 7);
	assert_true(seen.flag && seen.value == NULL);
	assert_int_equal(parsed("WORD...", "word", "-vx", "--flag"), 7);
	assert_true(seen.flag);
	assert_string_equal(seen.value, "x");
	assert_string_equal(seen.operand[0], "word");
	assert_null(seen.operand[1]);
	assert_int_equal(parsed("WORD...", "--value=y", "--taken", "z"), 7);
	assert_string_equal(seen.value, "y");
	assert_int_equal(seen.taken, 1);
	assert_int_equal(parsed("WORD...", "--", "--flag", NULL), 7);
	assert_false(seen.flag);
	assert_string_equal(seen.operand[0], "--flag");
}

static void
what_is_wrong_is_usage_and_nothing_runs(void **state)
{
	static const char *const wrong[][2] = {
		{ "--nope", NULL }, { "-x", NULL }, { "--value", NULL },
		{ "--flag=1", NULL }, { "--taken", "wrong" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(parsed("", wrong[i][0], wrong[i][1], NULL),
		    PB_EXIT_USAGE);
	assert_int_equal(parsed(NULL, "word", NULL, NULL), PB_EXIT_USAGE);
	assert_int_equal(parsed("", "word", NULL, NULL), 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_completion_offers_the_commands),
		cmocka_unit_test(
		    the_completion_offers_the_options_of_each_command),
		cmocka_unit_test(
		    the_completion_knows_which_options_have_values),
		cmocka_unit_test(the_synopsis_has_the_options_of_each_command),
		cmocka_unit_test(the_page_describes_each_option),
		cmocka_unit_test(options_are_put_where_their_rows_say),
		cmocka_unit_test(what_is_wrong_is_usage_and_nothing_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
