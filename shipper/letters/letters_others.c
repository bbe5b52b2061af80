/*
 * shipper/letters/letters_others.c - upstreams that are not configured
 *
 * Their letters are known by the rows alone: who has some, and what nobody
 * is to be told any more.
 */
#include "shipper/letters/letters_impl.h"

#include <string.h>

/* Names, and keys of GONE letters, being listed. */
struct names {
	char		(*out)[PB_NAME_BYTES_MAX + 1];
	size_t		 max, count;
};
struct gone {
	size_t		 name;		/* of `at`, with its NUL */
	struct pb_letters_key at;
	size_t		 count;
	struct pb_letters_key *key;	/* PB_LETTERS_STEP of them */
};

static int	name_row(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);
static int	gone_row(void *, const struct pb_mdb_value *,
		    const struct pb_mdb_value *);

int
pb_letters_upstreams(struct pb_letters *letters, const char *after,
    char (*out)[PB_NAME_BYTES_MAX + 1], size_t max, struct pb_err *err)
{
	struct names names = { .out = out, .max = max };
	struct pb_letters_txn t;
	int rc;

	rc = pb_letters_begin(&t, letters, false, err);
	/* The NUL behind a name makes the first key behind it. */
	if (rc == 0)
		pb_mdb_walk(t.txn, PB_STATE_COUNTS, after,
		    after[0] != '\0' ? strlen(after) + 1 : 0, name_row,
		    &names);
	rc = pb_letters_end(&t, err);
	return rc < 0 ? rc : (int)names.count;
}

static int
name_row(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct names *names = arg;
	char *out;

	(void)value;
	if (names->count == names->max)
		return 1;
	if (key->len == 0 || key->len > PB_NAME_BYTES_MAX)
		return 0;
	out = names->out[names->count++];
	memcpy(out, key->data, key->len);
	out[key->len] = '\0';
	return 0;
}

int
pb_letters_forget(struct pb_letters *letters, const char *upstream,
    struct pb_err *err)
{
	struct pb_letters_key key[PB_LETTERS_STEP];
	struct gone gone = { .key = key };
	struct pb_letters_txn t;
	struct pb_letter letter;
	int rc;

	gone.name = strnlen(upstream, PB_NAME_BYTES_MAX) + 1;
	memcpy(gone.at.bytes, upstream, gone.name - 1);
	gone.at.bytes[gone.name - 1] = 0;
	rc = pb_letters_begin(&t, letters, false, err);
	if (rc == 0)
		pb_mdb_walk(t.txn, PB_STATE_GONE, gone.at.bytes, gone.name,
		    gone_row, &gone);
	rc = pb_letters_end(&t, err);
	if (rc < 0 || gone.count == 0)
		return rc;
	pb_letters_begin(&t, letters, true, err);
	for (size_t i = 0; i < gone.count; i++)
		if (pb_letters_get(&t, &key[i], &letter) == 1)
			pb_letters_remove(&t, &letter);
		else
			pb_mdb_del(t.txn, PB_STATE_GONE, key[i].bytes,
			    key[i].len);
	rc = pb_letters_end(&t, err);
	return rc < 0 ? rc : (int)gone.count;
}

static int
gone_row(void *arg, const struct pb_mdb_value *key,
    const struct pb_mdb_value *value)
{
	struct gone *gone = arg;

	(void)value;
	if (gone->count == PB_LETTERS_STEP || key->len < gone->name ||
	    memcmp(key->data, gone->at.bytes, gone->name) != 0)
		return 1;
	if (key->len >= PB_LETTERS_KEY_MAX)
		return 0;
	memcpy(gone->key[gone->count].bytes, key->data, key->len);
	gone->key[gone->count++].len = key->len;
	return 0;
}
