/*
 * tests/unit/test_rtnetlink.c - messages to the kernel, and its answers
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/link/rtnetlink.h"

#define SEQ	7u

static struct pb_buf
message(void)
{
	struct pb_buf buf;

	pb_rtnl_init(&buf);
	return buf;
}

/* What pb_rtnl_ask() writes before it sends. */
static void
numbered(struct pb_buf *buf, uint32_t seq)
{
	struct nlmsghdr head;

	memcpy(&head, buf->data, sizeof(head));
	head.nlmsg_len = (uint32_t)buf->len;
	head.nlmsg_seq = seq;
	memcpy(buf->data, &head, sizeof(head));
}

/* NLMSG_ERROR or NLMSG_DONE with a code and, unless NULL, words. */
static struct pb_buf
verdict(uint16_t type, int32_t code, const char *words)
{
	struct pb_buf buf = message();
	struct nlmsghdr sent = { .nlmsg_len = 500 };
	uint16_t flags = words == NULL ? 0 : NLM_F_ACK_TLVS | NLM_F_CAPPED;

	pb_rtnl_begin(&buf, type, flags, &code, sizeof(code));
	if (type == NLMSG_ERROR)
		pb_buf_put(&buf, &sent, sizeof(sent));
	if (words != NULL)
		pb_rtnl_text(&buf, NLMSGERR_ATTR_MSG, words);
	numbered(&buf, SEQ);
	return buf;
}

static int
taken(const struct pb_buf *buf, struct pb_err *err)
{
	return pb_rtnl_take(buf->data, buf->len, SEQ, NULL, NULL, err);
}

static void
attributes_are_found_where_they_were_put(void **state)
{
	struct pb_buf buf = message();
	struct pb_attr attr;
	uint64_t wide = 0;
	size_t outer, inner;

	(void)state;
	pb_rtnl_begin(&buf, RTM_NEWLINK, NLM_F_CREATE, "abc", 3);
	assert_int_equal(buf.len, NLMSG_HDRLEN + 4);
	pb_rtnl_text(&buf, 3, "eth0");
	outer = pb_rtnl_nest(&buf, 5);
	pb_rtnl_u32(&buf, 1, 77);
	inner = pb_rtnl_nest(&buf, 2);
	pb_rtnl_put(&buf, 9, "x", 1);
	pb_rtnl_shut(&buf, inner);
	pb_rtnl_shut(&buf, outer);
	pb_rtnl_u32(&buf, 6, 78);
	assert_false(buf.failed);
	assert_int_equal(buf.len % 4, 0);

	const uint8_t *at = buf.data + NLMSG_HDRLEN + 4;
	size_t len = buf.len - NLMSG_HDRLEN - 4;

	assert_true(pb_attr_find(at, len, 3, &attr));
	assert_string_equal((const char *)attr.data, "eth0");
	assert_true(pb_attr_find(at, len, 6, &attr));
	pb_attr_copy(&attr, &wide, sizeof(wide));
	assert_int_equal(wide, 78);
	assert_false(pb_attr_find(at, len, 9, &attr));
	assert_true(pb_attr_find(at, len, 5, &attr));
	assert_true(pb_attr_within(&attr, 2, &attr));
	assert_true(pb_attr_within(&attr, 9, &attr));
	assert_int_equal(attr.len, 1);
	assert_memory_equal(attr.data, "x", 1);
	pb_buf_finish(&buf);
}

static void
what_is_too_long_for_its_length_fails(void **state)
{
	static const uint8_t zero[40000];
	struct pb_buf buf = message();
	struct pb_err err;
	size_t nest;

	(void)state;
	pb_rtnl_begin(&buf, RTM_GETLINK, 0, zero, 16);
	nest = pb_rtnl_nest(&buf, 1);
	pb_rtnl_put(&buf, 1, zero, sizeof(zero));
	pb_rtnl_put(&buf, 1, zero, sizeof(zero));
	pb_rtnl_shut(&buf, nest);
	assert_true(buf.failed);
	assert_int_equal(pb_rtnl_ask(-1, &buf, NULL, NULL, &err), PB_ENOMEM);
	pb_buf_finish(&buf);
}

/* Each length a first attribute may say, and each end of the bytes. */
static void
no_attribute_reaches_behind_its_bytes(void **state)
{
	struct pb_attr attr;

	(void)state;
	for (uint16_t says = 0; says < 40; says++)
		for (size_t len = 0; len <= 24; len++) {
			uint8_t *bytes = malloc(len + 1);
			const uint8_t *at = bytes;
			size_t left = len;

			assert_non_null(bytes);
			memset(bytes, 0, len);
			if (len >= 2)
				memcpy(bytes, &says, 2);
			if (!pb_attr_next(&at, &left, &attr)) {
				assert_true(len < 4 || says < 4 || says > len);
			} else {
				assert_int_equal(attr.len, says - 4);
				assert_true(attr.data + attr.len <=
				    bytes + len);
				assert_ptr_equal(at + left, bytes + len);
			}
			free(bytes);
		}
}

static void
a_message_that_says_it_is_longer_is_torn(void **state)
{
	struct pb_buf buf = verdict(NLMSG_ERROR, 0, NULL);
	struct nlmsghdr head;
	struct pb_err err;

	(void)state;
	for (size_t len = 1; len < buf.len; len++)
		assert_int_equal(pb_rtnl_take(buf.data, len, SEQ, NULL, NULL,
		    &err), PB_EFORMAT);
	assert_int_equal(taken(&buf, &err), 0);
	memcpy(&head, buf.data, sizeof(head));
	head.nlmsg_len = NLMSG_HDRLEN - 1;
	memcpy(buf.data, &head, sizeof(head));
	assert_int_equal(taken(&buf, &err), PB_EFORMAT);
	pb_buf_finish(&buf);
}

static void
answers_to_other_questions_are_passed_over(void **state)
{
	struct pb_buf buf = verdict(NLMSG_ERROR, -ENOENT, NULL);
	struct pb_err err;

	(void)state;
	numbered(&buf, SEQ - 1);
	assert_int_equal(taken(&buf, &err), 1);
	pb_buf_finish(&buf);
}

static void
the_kernels_words_are_in_the_error(void **state)
{
	static const struct {
		uint16_t type;
		int32_t code;
		const char *words;
		int rc;
		const char *text;
	} rows[] = {
		{ NLMSG_ERROR, 0, NULL, 0, "" },
		{ NLMSG_DONE, 0, NULL, 0, "" },
		{ NLMSG_ERROR, -ENOENT, NULL, PB_ENOENT, "the kernel refuses: "
		    "No such file" },
		{ NLMSG_ERROR, -EEXIST, "Exclusivity flag on", PB_EEXIST,
		    "Exclusivity flag on: File exists" },
		{ NLMSG_DONE, -EINVAL, "No such thing", PB_ESYS,
		    "No such thing: Invalid" },
		{ NLMSG_ERROR, -EPERM, "x", PB_EACCES, "CAP_NET_ADMIN" },
		{ NLMSG_ERROR, INT32_MIN, NULL, PB_ESYS, "the kernel" },
		{ NLMSG_ERROR, 1, NULL, PB_ESYS, "the kernel" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pb_buf buf = verdict(rows[i].type, rows[i].code,
		    rows[i].words);
		struct pb_err err = { .text = "" };

		assert_int_equal(taken(&buf, &err), rows[i].rc);
		assert_non_null(strstr(err.text, rows[i].text));
		pb_buf_finish(&buf);
	}
}

static void
find_loopback(void *arg, uint16_t type, const uint8_t *body, size_t len)
{
	struct ifinfomsg info;
	struct pb_attr name;

	if (type != RTM_NEWLINK || len < sizeof(info))
		return;
	memcpy(&info, body, sizeof(info));
	if (pb_attr_find(body + sizeof(info), len - sizeof(info), IFLA_IFNAME,
	    &name) && strcmp((const char *)name.data, "lo") == 0)
		*(int *)arg = info.ifi_index;
}

static void
the_kernel_is_asked_for_one_and_for_all(void **state)
{
	struct ifinfomsg body = { .ifi_family = 0 };
	struct pb_buf buf = message();
	int fd, found;
	struct pb_err err;

	(void)state;
	if (if_nametoindex("lo") == 0)
		skip();
	assert_int_equal(pb_rtnl_open(&fd, &err), 0);
	for (int all = 0; all < 2; all++) {
		found = 0;
		pb_rtnl_begin(&buf, RTM_GETLINK, all ? NLM_F_DUMP : 0, &body,
		    sizeof(body));
		if (!all)
			pb_rtnl_text(&buf, IFLA_IFNAME, "lo");
		assert_int_equal(pb_rtnl_ask(fd, &buf, find_loopback, &found,
		    &err), 0);
		assert_int_equal(found, if_nametoindex("lo"));
	}
	pb_rtnl_begin(&buf, RTM_GETLINK, 0, &body, sizeof(body));
	pb_rtnl_text(&buf, IFLA_IFNAME, "not-there0");
	assert_true(pb_rtnl_ask(fd, &buf, NULL, NULL, &err) < 0);
	pb_buf_finish(&buf);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_are_found_where_they_were_put),
		cmocka_unit_test(what_is_too_long_for_its_length_fails),
		cmocka_unit_test(no_attribute_reaches_behind_its_bytes),
		cmocka_unit_test(a_message_that_says_it_is_longer_is_torn),
		cmocka_unit_test(answers_to_other_questions_are_passed_over),
		cmocka_unit_test(the_kernels_words_are_in_the_error),
		cmocka_unit_test(the_kernel_is_asked_for_one_and_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
