/*
 * tests/unit/test_trailing.c - frames with trailers on them, after the fact
 */
#include "option_u32.h"
#include "trailer_frames.h"

#include "base/buf.h"
#include "recorder/query/seen/stamps.h"
#include "recorder/query/trailing.h"

#define BYTES	100u		/* of the first host's frame */
#define STACK	"metamako,exablaze,metamako"

static struct pb_head *head;
static struct pb_trailing *trailing;
static struct pb_cursor_packet packet;
static struct pb_buf options;	/* of the packet */
static struct frame original;	/* with its FCS */
static enum pb_fcs fcs;

/* An interface whose text is that, "" for none, and a frame that went through
 * three switches. */
static void
set_up(const char *text, uint16_t linktype)
{
	struct pb_identity who = { .epoch = 7, .interface = "tap0",
	    .nodes = 1, .node = { { .name = "lon1" } } };
	struct pb_buf idb;

	pb_buf_init(&idb, 4096);
	pb_buf_init(&options, 4096);
	pb_option_put_text(&idb, PB_OPT_IF_NAME, "tap0");
	if (text[0] != '\0')
		pb_interface_text_put(&idb, PB_PEN_EXAMPLE, text);
	assert_int_equal(pb_head_create(&head, &who, linktype, NULL, 0,
	    idb.data, idb.len, NULL), 0);
	pb_buf_finish(&idb);
	host_sends(BYTES);
	original = frame;
	metamako(NOW_S, 1, 1, 1, 2);
	exablaze(3, 4, NOW_S, 1ull << 39);
	metamako(NOW_S, 7, 1, 5, 6);
	packet = (struct pb_cursor_packet){ .seq = 17, .head = head,
	    .packet = { .time_ns = NOW_NS, .caplen = frame.len,
	    .origlen = frame.len, .data = frame.data } };
}

/* `list` is given where `given`, which says whether an FCS is behind it. */
static void
ask(const struct pb_trailing_opts *how, const char *given)
{
	struct pb_trailing_opts opts = *how;

	opts.pen = PB_PEN_EXAMPLE;
	if (given != NULL) {
		list_is(given, true);
		opts.list = &list;
	}
	packet.packet.options = options.data;
	packet.packet.options_len = options.len;
	assert_int_equal(pb_trailing_create(&trailing, &opts, NULL), 0);
	assert_int_equal(pb_trailing_packet(trailing, &packet, &fcs, NULL),
	    0);
}

static void
tear_down(void)
{
	pb_trailing_destroy(trailing);
	pb_head_unref(head);
	pb_buf_finish(&options);
}

static void
assert_frame_is(const uint8_t *data, uint32_t len)
{
	assert_int_equal(packet.packet.caplen, len);
	assert_int_equal(packet.packet.origlen, len);
	assert_memory_equal(packet.packet.data, data, len);
}

/* What the packet's interface says now. */
static void
assert_interface_says(const char *text, int fcslen)
{
	const struct pb_buf *idb = &packet.head->idb_options;
	char is[PB_INTERFACE_TEXT_MAX];
	struct pb_option option;

	assert_int_equal(pb_interface_text_get(idb->data, idb->len, is),
	    text[0] != '\0');
	assert_string_equal(is, text);
	assert_int_equal(pb_option_find(idb->data, idb->len,
	    PB_OPT_IF_FCSLEN, &option), fcslen > 0);
	if (fcslen > 0)
		assert_int_equal(option.value[0], fcslen);
	assert_true(pb_option_find(idb->data, idb->len, PB_OPT_IF_NAME,
	    &option));
}

static int
stamps(struct pb_stamped *out)
{
	return pb_stamped_get(packet.packet.options,
	    packet.packet.options_len, out);
}

/* --- as it was ----------------------------------------------------------- */

static void
a_frame_is_as_it_was_before_three_switches(void **state)
{
	struct pb_stamped out;

	(void)state;
	set_up("clock=adapter trailers=" STACK " fcs=yes",
	    PB_LINKTYPE_ETHERNET);
	ask(&(struct pb_trailing_opts){ .strip = true }, NULL);
	assert_frame_is(original.data, BYTES);
	assert_interface_says("clock=adapter fcs=no", 0);
	assert_int_equal(packet.head->identity.epoch, 7);
	assert_int_equal(stamps(&out), 1);
	assert_int_equal(out.count, 3);
	assert_int_equal(out.from, 0);
	assert_true(out.capture_ns == NOW_NS);
	assert_true(out.at[0].time_ns == NOW_NS + 1 &&
	    out.at[1].time_ns == NOW_NS + 500000000 &&
	    out.at[2].time_ns == NOW_NS + 7);
	assert_int_equal(pb_trailing_counts(trailing)->unread, 0);
	tear_down();
}

static void
its_fcs_comes_with_it_where_it_is_asked_for(void **state)
{
	(void)state;
	set_up("trailers=" STACK " fcs=yes", PB_LINKTYPE_ETHERNET);
	ask(&(struct pb_trailing_opts){ .strip = true, .with_fcs = true },
	    NULL);
	assert_frame_is(original.data, BYTES + 4);
	assert_interface_says("fcs=yes", 4);
	tear_down();
}

/* A switch that drops the FCS leaves none to give. */
static void
a_frame_without_its_fcs_is_of_an_interface_without(void **state)
{
	(void)state;
	set_up("trailers=ttag fcs=yes", PB_LINKTYPE_ETHERNET);
	host_sends(BYTES);
	original = frame;
	ttag(NOW_NS);
	packet.packet.caplen = packet.packet.origlen = frame.len;
	ask(&(struct pb_trailing_opts){ .strip = true, .with_fcs = true,
	    .check_fcs = true }, NULL);
	assert_frame_is(original.data, BYTES);
	assert_interface_says("fcs=no", 0);
	assert_int_equal(fcs, PB_FCS_UNKNOWN);
	tear_down();
}

static void
a_frame_that_does_not_parse_stays_and_is_counted(void **state)
{
	const struct pb_trailing_counts *counts;

	(void)state;
	for (int cut = 0; cut < 2; cut++) {
		set_up("trailers=" STACK " fcs=yes", PB_LINKTYPE_ETHERNET);
		if (cut == 1)		/* captured in part */
			packet.packet.caplen -= 4;
		else			/* no nanoseconds */
			memset(frame.data + frame.len - 12, 0xFF, 4);
		ask(&(struct pb_trailing_opts){ .strip = true }, NULL);
		assert_ptr_equal(packet.packet.data, frame.data);
		assert_int_equal(packet.packet.origlen, frame.len);
		assert_ptr_equal(packet.head, head);
		counts = pb_trailing_counts(trailing);
		assert_int_equal(counts->unread, 1);
		assert_int_equal(counts->unlisted, 0);
		assert_string_equal(counts->first, "lon1/tap0");
		assert_int_equal(counts->first_seq, 17);
		tear_down();
	}
}

static void
without_a_list_and_beside_ethernet_nothing_changes(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		set_up(i == 0 ? "clock=host" : "trailers=" STACK " fcs=yes",
		    i == 0 ? PB_LINKTYPE_ETHERNET : PB_LINKTYPE_RAW);
		ask(&(struct pb_trailing_opts){ .strip = true,
		    .check_fcs = true }, NULL);
		assert_ptr_equal(packet.packet.data, frame.data);
		assert_ptr_equal(packet.head, head);
		assert_int_equal(fcs, PB_FCS_UNKNOWN);
		assert_int_equal(pb_trailing_counts(trailing)->unlisted, 1);
		tear_down();
	}
}

/* Nothing is asked to be taken off it, and its length is what it was. */
static void
a_frame_that_was_cut_keeps_its_length_under_no_list(void **state)
{
	(void)state;
	set_up("trailers=" STACK " fcs=yes", PB_LINKTYPE_ETHERNET);
	packet.packet.caplen = 40;
	list_is("none", false);
	packet.packet.options = options.data;
	assert_int_equal(pb_trailing_create(&trailing,
	    &(struct pb_trailing_opts){ .strip = true, .list = &list }, NULL),
	    0);
	assert_int_equal(pb_trailing_packet(trailing, &packet, &fcs, NULL),
	    0);
	assert_int_equal(packet.packet.caplen, 40);
	assert_int_equal(packet.packet.origlen, frame.len);
	assert_int_equal(pb_trailing_counts(trailing)->unread, 0);
	tear_down();
}

/* A digest is of the bytes that were captured, and epb_flags tell how many
 * of them are an FCS; the rest is as true as before. */
static void
options_that_are_not_true_any_more_are_left_out(void **state)
{
	struct pb_option option;
	uint32_t flags = 0;

	(void)state;
	set_up("trailers=" STACK " fcs=yes", PB_LINKTYPE_ETHERNET);
	pb_option_put(&options, PB_OPT_EPB_HASH, "\2\1\2\3\4", 5);
	put_u32(&options, PB_OPT_EPB_FLAGS, 4u << 5 | 1);
	pb_option_put_u64(&options, PB_OPT_EPB_PACKETID, 17);
	ask(&(struct pb_trailing_opts){ .strip = true }, NULL);
	assert_false(pb_option_find(packet.packet.options,
	    packet.packet.options_len, PB_OPT_EPB_HASH, &option));
	assert_true(find_u32(packet.packet.options,
	    packet.packet.options_len, PB_OPT_EPB_FLAGS, &flags));
	assert_int_equal(flags, 1);
	assert_true(pb_option_find(packet.packet.options,
	    packet.packet.options_len, PB_OPT_EPB_PACKETID, &option));
	tear_down();
}

/* --- stamps -------------------------------------------------------------- */

/* They were read with what frames before told. */
static void
stamps_that_stand_beside_a_frame_are_kept(void **state)
{
	struct pb_stamped was = { .capture_ns = NOW_NS - 5, .from = 1,
	    .count = 1, .at = { { .time_ns = 99, .format = 7 } } }, is;

	(void)state;
	set_up("trailers=" STACK " fcs=yes", PB_LINKTYPE_ETHERNET);
	options.len += pb_stamped_write(pb_buf_reserve(&options, 100),
	    PB_PEN_EXAMPLE, &was);
	ask(&(struct pb_trailing_opts){ .strip = true }, NULL);
	assert_frame_is(original.data, BYTES);
	assert_int_equal(stamps(&is), 1);
	assert_int_equal(is.count, 1);
	assert_true(is.at[0].time_ns == 99 && is.from == 1);
	tear_down();
}

static void
a_list_that_is_given_counts_in_place_of_all_else(void **state)
{
	struct pb_stamped was = { .capture_ns = NOW_NS - 5, .from = 1,
	    .count = 1, .at = { { .time_ns = 99, .format = 7 } } }, is;

	(void)state;
	set_up("clock=host trailers=vss fcs=no tai_utc=36",
	    PB_LINKTYPE_ETHERNET);
	options.len += pb_stamped_write(pb_buf_reserve(&options, 100),
	    PB_PEN_EXAMPLE, &was);
	packet.packet.time_ns = NOW_NS + 7;
	ask(&(struct pb_trailing_opts){ .pen = 0 }, STACK);
	assert_frame_is(frame.data, frame.len);
	assert_interface_says("clock=host tai_utc=36 trailers=" STACK
	    " fcs=yes", 4);
	/* The frame tells; the time is the outermost switch's, which is the
	 * last of the way. */
	assert_int_equal(stamps(&is), 1);
	assert_int_equal(is.count, 0);
	assert_int_equal(is.from, 3);
	assert_true(is.capture_ns == NOW_NS - 5);
	tear_down();
}

/* How far TAI is ahead the interface says in any case. */
static void
a_list_that_is_given_keeps_the_seconds_of_tai(void **state)
{
	struct pb_stamped is;

	(void)state;
	set_up("tai_utc=36", PB_LINKTYPE_ETHERNET);
	host_sends(BYTES);
	arista7280(0x0010, NOW_S + 36, 5);
	packet.packet.caplen = packet.packet.origlen = frame.len;
	ask(&(struct pb_trailing_opts){ .strip = true }, "arista7280");
	assert_int_equal(stamps(&is), 1);
	assert_true(is.at[0].time_ns == NOW_NS + 5);
	tear_down();
}

static void
a_list_that_needs_keyframes_leaves_what_it_read(void **state)
{
	struct pb_stamped is;

	(void)state;
	set_up("", PB_LINKTYPE_ETHERNET);
	host_sends(BYTES);
	arista7150(5);
	packet.packet.caplen = packet.packet.origlen = frame.len;
	ask(&(struct pb_trailing_opts){ .pen = 0 }, "arista7150");
	assert_frame_is(frame.data, frame.len);
	assert_int_equal(stamps(&is), 1);
	assert_int_equal(is.count, 1);
	assert_true((is.at[0].flags & PB_STAMP_ADRIFT) != 0);
	tear_down();
}

/* --- FCS ----------------------------------------------------------------- */

static void
an_fcs_is_right_or_wrong_and_that_is_marked(void **state)
{
	uint32_t flags = 0;

	(void)state;
	for (int wrong = 0; wrong < 2; wrong++) {
		set_up("trailers=" STACK " fcs=yes", PB_LINKTYPE_ETHERNET);
		frame.data[50] ^= (uint8_t)wrong;
		ask(&(struct pb_trailing_opts){ .check_fcs = true }, NULL);
		assert_int_equal(fcs, wrong ? PB_FCS_WRONG : PB_FCS_RIGHT);
		assert_frame_is(frame.data, frame.len);
		assert_int_equal(find_u32(packet.packet.options,
		    packet.packet.options_len, PB_OPT_EPB_FLAGS, &flags),
		    wrong);
		assert_int_equal(flags, wrong ? 1u << 24 : 0);
		assert_int_equal(pb_trailing_counts(trailing)->fcs_wrong,
		    wrong);
		assert_int_equal(pb_trailing_counts(trailing)->fcs_right,
		    !wrong);
		tear_down();
	}
}

static void
an_fcs_is_checked_of_frames_without_trailers(void **state)
{
	(void)state;
	for (int given = 0; given < 2; given++) {
		set_up(given ? "" : "fcs=yes", PB_LINKTYPE_ETHERNET);
		host_sends(BYTES);
		packet.packet.caplen = packet.packet.origlen = frame.len;
		ask(&(struct pb_trailing_opts){ .check_fcs = true,
		    .strip = true }, given ? "none" : NULL);
		assert_int_equal(fcs, PB_FCS_RIGHT);
		assert_frame_is(original.data, BYTES);
		tear_down();
	}
}

/* --- what an interface says ---------------------------------------------- */

static void
if_fcslen_counts_where_nothing_else_is_said(void **state)
{
	struct pb_trailer_list out;
	struct pb_buf idb;

	(void)state;
	pb_buf_init(&idb, 4096);
	assert_false(pb_trailing_list(NULL, 0, &out));
	pb_option_put_u8(&idb, PB_OPT_IF_FCSLEN, 2);
	assert_false(pb_trailing_list(idb.data, idb.len, &out));
	pb_buf_clear(&idb);
	pb_option_put_u8(&idb, PB_OPT_IF_FCSLEN, 4);
	assert_true(pb_trailing_list(idb.data, idb.len, &out));
	assert_true(out.fcs && out.count == 0);
	pb_interface_text_put(&idb, PB_PEN_EXAMPLE, "fcs=no");
	assert_false(pb_trailing_list(idb.data, idb.len, &out));
	pb_buf_finish(&idb);
}

static void
a_text_that_is_full_makes_room_for_the_list(void **state)
{
	char text[PB_INTERFACE_TEXT_MAX], is[PB_INTERFACE_TEXT_MAX];
	struct pb_buf idb, out;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pb_buf_init(&idb, 4096);
	pb_buf_init(&out, 4096);
	pb_interface_text_put(&idb, PB_PEN_EXAMPLE, text);
	list_is(STACK, true);
	assert_int_equal(pb_trailing_options(&out, idb.data, idb.len, &list,
	    PB_PEN_EXAMPLE), 0);
	assert_int_equal(pb_interface_text_get(out.data, out.len, is), 1);
	assert_string_equal(is, "trailers=" STACK " fcs=yes");
	pb_buf_finish(&idb);
	pb_buf_finish(&out);
}

/* --- the store goes on --------------------------------------------------- */

/* Segments of a stream that say the same are one interface; a context goes on
 * across them. */
static void
heads_that_say_the_same_are_one_interface(void **state)
{
	const struct pb_head *first;
	struct pb_head *again;

	(void)state;
	set_up("trailers=" STACK " fcs=yes", PB_LINKTYPE_ETHERNET);
	ask(&(struct pb_trailing_opts){ .strip = true }, NULL);
	first = packet.head;
	assert_int_equal(pb_head_create(&again, &head->identity,
	    head->linktype, head->shb_options.data, head->shb_options.len,
	    head->idb_options.data, head->idb_options.len, NULL), 0);
	packet.head = again;
	packet.packet.data = frame.data;
	packet.packet.caplen = packet.packet.origlen = frame.len;
	assert_int_equal(pb_trailing_packet(trailing, &packet, &fcs, NULL),
	    0);
	assert_ptr_equal(packet.head, first);
	assert_frame_is(original.data, BYTES);
	assert_ptr_equal(pb_trailing_head(trailing, again, NULL), first);
	pb_head_unref(again);
	tear_down();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_as_it_was_before_three_switches),
		cmocka_unit_test(its_fcs_comes_with_it_where_it_is_asked_for),
		cmocka_unit_test(
		    a_frame_without_its_fcs_is_of_an_interface_without),
		cmocka_unit_test(
		    a_frame_that_does_not_parse_stays_and_is_counted),
		cmocka_unit_test(
		    without_a_list_and_beside_ethernet_nothing_changes),
		cmocka_unit_test(
		    a_frame_that_was_cut_keeps_its_length_under_no_list),
		cmocka_unit_test(
		    options_that_are_not_true_any_more_are_left_out),
		cmocka_unit_test(stamps_that_stand_beside_a_frame_are_kept),
		cmocka_unit_test(
		    a_list_that_is_given_counts_in_place_of_all_else),
		cmocka_unit_test(a_list_that_is_given_keeps_the_seconds_of_tai),
		cmocka_unit_test(
		    a_list_that_needs_keyframes_leaves_what_it_read),
		cmocka_unit_test(an_fcs_is_right_or_wrong_and_that_is_marked),
		cmocka_unit_test(an_fcs_is_checked_of_frames_without_trailers),
		cmocka_unit_test(if_fcslen_counts_where_nothing_else_is_said),
		cmocka_unit_test(a_text_that_is_full_makes_room_for_the_list),
		cmocka_unit_test(heads_that_say_the_same_are_one_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
