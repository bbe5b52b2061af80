/*
 * tests/unit/test_head.c - the blocks at the begin of a segment
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "pcapng/build.h"
#include "recorder/store/head.h"
#include "tests/unit/valgrind.h"

static unsigned refused_at;	/* the so many-th of them; 0: none */

/* The C library's, but for that. */
void *
realloc(void *from, size_t size)
{
	static void *(*real)(void *, size_t);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "realloc");
	return refused_at > 0 && --refused_at == 0 ? NULL : real(from, size);
}

static void
a_head_that_lacks_an_option_for_want_of_memory_is_none(void **state)
{
	struct pb_identity id = { .epoch = 7, .interface = "eth0",
	    .nodes = 1, .node[0].name = "lon1" };
	struct pb_head *whole, *head;
	unsigned n = 0;
	struct pb_err err;
	int rc;

	(void)state;
	not_under_valgrind(VALGRIND_MEMORY);
	assert_int_equal(pb_head_create(&whole, &id, PB_LINKTYPE_ETHERNET,
	    NULL, 0, NULL, 0, &err), 0);
	do {
		refused_at = ++n;
		rc = pb_head_create(&head, &id, PB_LINKTYPE_ETHERNET, NULL, 0,
		    NULL, 0, &err);
		if (rc == 0) {
			assert_true(head->hash == whole->hash);
			pb_head_unref(head);
		} else {
			assert_int_equal(rc, PB_ENOMEM);
		}
	} while (refused_at == 0);
	refused_at = 0;
	assert_true(n > 2);
	pb_head_unref(whole);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_head_that_lacks_an_option_for_want_of_memory_is_none),
	};

	return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
