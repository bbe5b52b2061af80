/*
 * tests/sim/test_mdb_memory.c - LMDB and its stand-in answer alike
 *
 * The stand-in is compiled in here under names of its own, so that both are
 * in one program and get the same calls, which a seed draws.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/store/index/mdb.h"
#include "tests/sim/store/chance.h"
#include "tests/sim/store/model_disk.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#define pb_mdb_open memory_open
#define pb_mdb_close memory_close
#define pb_mdb_sync memory_sync
#define pb_mdb_resize memory_resize
#define pb_mdb_short memory_short
#define pb_mdb_read_all memory_read_all
#define pb_mdb_reserve memory_reserve
#define pb_mdb_commits memory_commits
#define pb_mdb_has_half memory_has_half
#define pb_mdb_begin memory_begin
#define pb_mdb_commit memory_commit
#define pb_mdb_abort memory_abort
#define pb_mdb_get memory_get
#define pb_mdb_put memory_put
#define pb_mdb_del memory_del
#define pb_mdb_find memory_find
#define pb_mdb_find_last memory_find_last
#define pb_mdb_walk memory_walk
void	memory_abort(struct pb_mdb_txn *);
#include "tests/sim/store/mdb_memory.c"
#undef pb_mdb_open
#undef pb_mdb_close
#undef pb_mdb_begin
#undef pb_mdb_commit
#undef pb_mdb_abort
#undef pb_mdb_get
#undef pb_mdb_put
#undef pb_mdb_del
#undef pb_mdb_find
#undef pb_mdb_find_last
#undef pb_mdb_walk

#define TABLES	3
#define ROUNDS	300	/* transactions */
#define CALLS	12	/* of one at most */

static const char *const names[TABLES] = { "a", "b", "c" };

struct pair {
	char		 dir[2][64];
	struct pb_mdb	*mdb[2];	/* LMDB, the stand-in */
	struct chance	 chance;
};

static void
open_both(struct pair *p)
{
	struct pb_err err;

	assert_int_equal(pb_mdb_open(&p->mdb[0], p->dir[0], 16u << 20, names,
	    TABLES, PB_MDB_WRITE, &err), 0);
	assert_int_equal(memory_open(&p->mdb[1], p->dir[1], 16u << 20, names,
	    TABLES, PB_MDB_WRITE, &err), 0);
}

static void
close_both(struct pair *p)
{
	pb_mdb_close(p->mdb[0]);
	memory_close(p->mdb[1]);
}

static int
setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	for (int i = 0; i < 2; i++) {
		strcpy(p->dir[i], "/tmp/pb-test-mdb-XXXXXX");
		assert_non_null(mkdtemp(p->dir[i]));
	}
	open_both(p);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;
	char command[256];

	close_both(p);
	mdb_memory_forget();
	snprintf(command, sizeof(command), "rm -rf '%s' '%s'", p->dir[0],
	    p->dir[1]);
	free(p);
	return system(command);
}

static void
same_value(const struct pb_mdb_value *a, const struct pb_mdb_value *b)
{
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->data, b->data, a->len);
}

struct heard {
	char	text[4096];
	size_t	len, rows, stop;
};

static int
hear(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct heard *heard = arg;

	if (heard->len + key->len + value->len < sizeof(heard->text)) {
		memcpy(heard->text + heard->len, key->data, key->len);
		heard->len += key->len;
		memcpy(heard->text + heard->len, value->data, value->len);
		heard->len += value->len;
	}
	return ++heard->rows == heard->stop ? 7 : 0;
}

/* One call of each, and the same answer. */
static void
call_both(struct pair *p, struct pb_mdb_txn txn[2], bool write)
{
	struct chance *c = &p->chance;
	unsigned table = (unsigned)chance_below(c, TABLES);
	size_t len = 1 + (size_t)chance_below(c, 3), value_len;
	struct pb_mdb_value key[2], value[2];
	struct heard heard[2] = { { .stop = chance_below(c, 20) } };
	uint8_t bytes[4], data[40];
	int rc[2] = { 0, 0 };

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)chance_below(c, 6);
	value_len = (size_t)chance_below(c, sizeof(data));
	memset(data, (int)chance_below(c, 256), sizeof(data));
	heard[1].stop = heard[0].stop;
	switch (chance_below(c, write ? 8 : 4)) {
	case 0:
		rc[0] = pb_mdb_get(&txn[0], table, bytes, len, &value[0]);
		rc[1] = memory_get(&txn[1], table, bytes, len, &value[1]);
		key[0] = key[1] = (struct pb_mdb_value){ bytes, len };
		break;
	case 1:
		len -= chance_one_in(c, 8) ? len : 0;
		rc[0] = pb_mdb_find(&txn[0], table, bytes, len, &key[0],
		    &value[0]);
		rc[1] = memory_find(&txn[1], table, bytes, len, &key[1],
		    &value[1]);
		break;
	case 2:
		len -= chance_one_in(c, 8) ? len : 0;
		rc[0] = pb_mdb_find_last(&txn[0], table, bytes, len, &key[0],
		    &value[0]);
		rc[1] = memory_find_last(&txn[1], table, bytes, len, &key[1],
		    &value[1]);
		break;
	case 3:
		len -= chance_one_in(c, 4) ? len : 0;
		rc[0] = pb_mdb_walk(&txn[0], table, bytes, len, hear,
		    &heard[0]);
		rc[1] = memory_walk(&txn[1], table, bytes, len, hear,
		    &heard[1]);
		assert_int_equal(heard[0].rows, heard[1].rows);
		assert_int_equal(heard[0].len, heard[1].len);
		assert_memory_equal(heard[0].text, heard[1].text,
		    heard[0].len);
		break;
	case 4:
		rc[0] = pb_mdb_del(&txn[0], table, bytes, len);
		rc[1] = memory_del(&txn[1], table, bytes, len);
		key[0] = key[1] = value[0] = value[1] =
		    (struct pb_mdb_value){ bytes, len };
		break;
	default:
		rc[0] = pb_mdb_put(&txn[0], table, bytes, len, data,
		    value_len);
		rc[1] = memory_put(&txn[1], table, bytes, len, data,
		    value_len);
	}
	assert_int_equal(rc[0], rc[1]);
	if (rc[0] == 1) {
		same_value(&key[0], &key[1]);
		same_value(&value[0], &value[1]);
	}
}

static void
the_same_calls_have_the_same_answers(void **state)
{
	struct pair *p = *state;
	struct pb_mdb_txn txn[2];

	p->chance.state = 1;
	for (int round = 0; round < ROUNDS; round++) {
		bool write = !chance_one_in(&p->chance, 3);

		assert_int_equal(pb_mdb_begin(p->mdb[0], write, &txn[0],
		    NULL), 0);
		assert_int_equal(memory_begin(p->mdb[1], write, &txn[1],
		    NULL), 0);
		for (int i = 0; i < CALLS; i++)
			call_both(p, txn, write);
		if (chance_one_in(&p->chance, 4)) {
			pb_mdb_abort(&txn[0]);
			memory_abort(&txn[1]);
		} else {
			assert_int_equal(pb_mdb_commit(&txn[0]), 0);
			assert_int_equal(memory_commit(&txn[1]), 0);
		}
		if (chance_one_in(&p->chance, 16)) {
			close_both(p);
			open_both(p);
		}
	}
}

static void
a_failure_stays_until_the_end_and_nothing_is_committed(void **state)
{
	struct pair *p = *state;
	struct pb_mdb_txn txn[2];
	struct pb_mdb_value value;
	uint8_t key[600] = { 1 };

	assert_int_equal(pb_mdb_begin(p->mdb[0], true, &txn[0], NULL), 0);
	assert_int_equal(memory_begin(p->mdb[1], true, &txn[1], NULL), 0);
	assert_int_equal(pb_mdb_put(&txn[0], 0, "k", 1, "v", 1), 0);
	assert_int_equal(memory_put(&txn[1], 0, "k", 1, "v", 1), 0);
	assert_true(pb_mdb_put(&txn[0], 0, key, sizeof(key), "v", 1) < 0);
	assert_true(memory_put(&txn[1], 0, key, sizeof(key), "v", 1) < 0);
	assert_true(pb_mdb_get(&txn[0], 0, "k", 1, &value) < 0);
	assert_true(memory_get(&txn[1], 0, "k", 1, &value) < 0);
	assert_true(pb_mdb_commit(&txn[0]) < 0);
	assert_true(memory_commit(&txn[1]) < 0);
	assert_int_equal(pb_mdb_begin(p->mdb[0], false, &txn[0], NULL), 0);
	assert_int_equal(memory_begin(p->mdb[1], false, &txn[1], NULL), 0);
	assert_int_equal(pb_mdb_get(&txn[0], 0, "k", 1, &value), 0);
	assert_int_equal(memory_get(&txn[1], 0, "k", 1, &value), 0);
	pb_mdb_abort(&txn[0]);
	memory_abort(&txn[1]);
}

/* A reader has what was committed when it began. */
static void
a_reader_sees_no_transaction_under_way(void **state)
{
	struct pair *p = *state;
	struct pb_mdb_txn write, read;
	struct pb_mdb_value value;

	assert_int_equal(memory_begin(p->mdb[1], true, &write, NULL), 0);
	memory_put(&write, 1, "k", 1, "v", 1);
	assert_int_equal(memory_begin(p->mdb[1], false, &read, NULL), 0);
	assert_int_equal(memory_get(&read, 1, "k", 1, &value), 0);
	assert_int_equal(memory_commit(&write), 0);
	assert_int_equal(memory_get(&read, 1, "k", 1, &value), 0);
	memory_abort(&read);
	assert_int_equal(memory_begin(p->mdb[1], false, &read, NULL), 0);
	assert_int_equal(memory_get(&read, 1, "k", 1, &value), 1);
	memory_abort(&read);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    the_same_calls_have_the_same_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_failure_stays_until_the_end_and_nothing_is_committed,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_reader_sees_no_transaction_under_way, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
