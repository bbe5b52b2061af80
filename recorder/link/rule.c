/*
 * recorder/link/rule.c - the kernel's rule that sends what arrives at one
 * interface out of another
 *
 *	pb_rule_aim	RTM_NEWACTION, mirred: outlet, cookie
 *	pb_rule_bind	the cookie again: interface, preference, qdisc or not;
 *			RTM_NEWQDISC clsact where there is none;
 *			RTM_NEWTFILTER, bpf, with the action by its index
 *	pb_rule_unbind	RTM_DELTFILTER by preference; the qdisc if it is ours
 *	pb_rule_remove	and RTM_DELACTION, once the kernel has let go
 */
#include "recorder/link/rule.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/gen_stats.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/digest.h"
#include "recorder/link/rtnetlink.h"
#include "recorder/link/rule_impl.h"

#define COOKIE_MAGIC	"PBf"
#define COOKIE_QDISC	1u		/* flag: it is ours */
#define OWNER_BYTES	6u
#define END_POLL_MS	5

/* What the action is looked at for. */
struct look {
	const uint8_t	*cookie;	/* of the rule */
	bool		 ours;		/* it has that */
	struct pb_rule_counts counts;
};

struct left {
	uint64_t	owner;
	unsigned	count;
	struct pb_rule	rule[PB_RULE_LEFT_MAX];
};

/* Actions */
static int	write_action(struct pb_rule *, unsigned, struct pb_err *);
static void	begin_action(struct pb_rule *, uint16_t, uint16_t, size_t *,
		    size_t *);
static int	named_action(struct pb_rule *, uint16_t, pb_rtnl_each *, void *,
		    struct pb_err *);
static void	on_made(void *, uint16_t, const uint8_t *, size_t);
static void	on_counts(void *, uint16_t, const uint8_t *, size_t);
static bool	first_action(uint16_t, const uint8_t *, size_t,
		    struct pb_attr *);
static bool	read_mirred(const struct pb_attr *, struct tc_mirred *);
static int	take_down(struct pb_rule *, uint64_t, struct pb_rule_counts *,
		    struct pb_err *);
static int	remove_left(struct left *, struct pb_rule *, struct pb_err *);
static int	delete_action(struct pb_rule *, struct pb_err *);
static void	on_left(void *, uint16_t, const uint8_t *, size_t);
/* Interfaces */
static int	make_qdisc(struct pb_rule *, struct pb_err *);
static void	on_link(void *, uint16_t, const uint8_t *, size_t);

uint64_t
pb_rule_owner(const char *node, const char *store)
{
	struct pb_digest digest;

	pb_digest_begin(&digest);
	pb_digest_add(&digest, node, strlen(node) + 1);
	pb_digest_add(&digest, store, strlen(store));
	return pb_digest_end(&digest) >> (64 - 8 * OWNER_BYTES);
}

int
pb_rule_init(struct pb_rule *rule, uint64_t owner, struct pb_err *err)
{
	memset(rule, 0, sizeof(*rule));
	rule->owner = owner;
	pb_rtnl_init(&rule->message);
	rule->fd = -1;
	return pb_rtnl_open(&rule->fd, err);
}

void
pb_rule_finish(struct pb_rule *rule)
{
	if (rule->fd >= 0)
		close(rule->fd);
	rule->fd = -1;
	pb_buf_finish(&rule->message);
}

int
pb_rule_port(struct pb_rule *rule, const char *name, struct pb_port *out,
    struct pb_err *err)
{
	struct ifinfomsg body = { .ifi_family = AF_UNSPEC };
	int rc;

	memset(out, 0, sizeof(*out));
	if (strlen(name) >= IFNAMSIZ)
		return 0;	/* libpcap has longer ones, the kernel none */
	pb_rtnl_begin(&rule->message, RTM_GETLINK, 0, &body, sizeof(body));
	pb_rtnl_text(&rule->message, IFLA_IFNAME, name);
	rc = pb_rtnl_ask(rule->fd, &rule->message, on_link, out, err);
	return rc == PB_ENOENT ? 0 : rc;
}

int
pb_rule_aim(struct pb_rule *rule, unsigned outlet, struct pb_err *err)
{
	int rc = write_action(rule, outlet, err);

	if (rc == 0)
		rule->outlet = outlet;
	return rc < 0 ? pb_err_prefix(err, rc, "action mirred") : 0;
}

int
pb_rule_bind(struct pb_rule *rule, unsigned at,
    const struct sock_filter *code, unsigned count, struct pb_err *err)
{
	unsigned tries = 0;
	bool there = false;
	int rc = rule_qdisc_there(rule, at, &there, err);

	if (rc < 0)
		return pb_err_prefix(err, rc, "look at its rules");
	rule->at = at;
	rule->qdisc = !there;
	do {	/* Again where another with the same number was quicker. */
		rc = rule_pref(rule, err);
		if (rc == 0)
			rc = write_action(rule, 0, err);
		if (rc == 0 && !there)
			rc = make_qdisc(rule, err);
		there = true;
		if (rc == 0)
			rc = rule_filter_add(rule, code, count, err);
	} while (rc == PB_EEXIST && ++tries < PB_RULE_PREFS_MAX);
	if (rc < 0)
		pb_rule_unbind(rule, NULL);
	return rc;
}

int
pb_rule_unbind(struct pb_rule *rule, struct pb_err *err)
{
	struct rule_filters in = { .count = 0 }, out = { .count = 0 };
	struct pb_rule_counts counts;
	int rc;

	if (rule->at == 0)
		return 0;
	/* A preference number is ours as long as the action is in use. */
	rc = pb_rule_look(rule, &counts, err);
	if (rc == 0 && counts.bound)
		rc = rule_filter_delete(rule, err);
	if (rc < 0 && rc != PB_ENOENT)
		return pb_err_prefix(err, rc, "filter bpf");
	/* Where it cannot be told who else is there, it stays. */
	if (rule->qdisc &&
	    rule_filters(rule, rule->at, RULE_INGRESS, &in, NULL) == 0 &&
	    rule_filters(rule, rule->at, RULE_EGRESS, &out, NULL) == 0 &&
	    in.count + out.count == 0)
		(void)rule_qdisc(rule, RTM_DELQDISC, 0, NULL);
	rule->at = 0;
	rule->pref = 0;
	rule->qdisc = false;
	return 0;
}

int
pb_rule_look(struct pb_rule *rule, struct pb_rule_counts *out,
    struct pb_err *err)
{
	struct look look = { .cookie = rule->cookie };
	int rc;

	memset(out, 0, sizeof(*out));
	if (rule->action == 0)
		return 0;
	rc = named_action(rule, RTM_GETACTION, on_counts, &look, err);
	if (rc == 0 && !look.ours)
		rc = pb_err_set(err, PB_ENOENT, "action mirred: it is another "
		    "one by now");
	if (rc == PB_ENOENT)
		rule->action = 0;
	if (rc == 0)
		*out = look.counts;
	return rc;
}

int
pb_rule_remove(struct pb_rule *rule, struct pb_rule_counts *last,
    struct pb_err *err)
{
	return take_down(rule, pb_clock_mono_ms() + PB_RULE_END_MS_MAX, last,
	    err);
}

int
pb_rule_sweep(uint64_t owner, struct pb_err *err)
{
	struct left left = { .owner = owner };
	struct pb_rule rule;
	size_t table, action;
	int rc = pb_rule_init(&rule, owner, err);

	if (rc == 0) {
		begin_action(&rule, RTM_GETACTION, NLM_F_DUMP, &table,
		    &action);
		pb_rtnl_shut(&rule.message, action);
		pb_rtnl_shut(&rule.message, table);
		rc = pb_rtnl_ask(rule.fd, &rule.message, on_left, &left,
		    err);
	}
	/* A kernel without actions has none of ours. */
	if (rc == PB_ENOENT || (rc == PB_ESYS && err->sys == EOPNOTSUPP))
		rc = 0;
	if (rc == 0)
		rc = remove_left(&left, &rule, err);
	pb_rule_finish(&rule);
	return rc < 0 ? rc : (int)left.count;
}

/* --- actions ------------------------------------------------------------- */

/* The filter is freed when no processor runs it any more. */
static int
take_down(struct pb_rule *rule, uint64_t until_ms,
    struct pb_rule_counts *last, struct pb_err *err)
{
	struct pb_rule_counts counts;
	int rc = pb_rule_unbind(rule, err);

	while (rc == 0 && rule->action != 0) {
		rc = pb_rule_look(rule, &counts, err);
		if (rc < 0 || !counts.bound)
			break;
		if (pb_clock_mono_ms() >= until_ms)
			return pb_err_set(err, PB_EBUSY, "action mirred: a "
			    "filter of somebody else uses it, too");
		poll(NULL, 0, END_POLL_MS);
	}
	if (rc == 0 && rule->action != 0) {
		if (last != NULL)
			*last = counts;
		rc = delete_action(rule, err);
	}
	return rc == PB_ENOENT ? 0 : rc;
}

/* All filters first: the kernel lets go of them at the same time.  `with` is
 * lent to each. */
static int
remove_left(struct left *left, struct pb_rule *with, struct pb_err *err)
{
	uint64_t until_ms = pb_clock_mono_ms() + PB_RULE_END_MS_MAX;
	struct pb_err why;
	int rc = 0;

	for (unsigned i = 0; i < 2 * left->count; i++) {
		struct pb_rule *rule = &left->rule[i % left->count];
		bool filters = i < left->count;
		int one;

		rule->fd = with->fd;
		rule->message = with->message;
		one = filters ? pb_rule_unbind(rule, &why) :
		    take_down(rule, until_ms, NULL, &why);
		with->message = rule->message;
		if (filters || one == 0 || rc < 0)
			continue;
		rc = one;
		*err = why;
	}
	return rc;
}

void
pb_rule_cookie(const struct pb_rule *rule,
    uint8_t out[static PB_RULE_COOKIE_BYTES])
{
	memcpy(out, COOKIE_MAGIC, 3);
	out[3] = rule->qdisc ? COOKIE_QDISC : 0;
	pb_put_be32(out + 4, rule->at);
	pb_put_be16(out + 8, rule->pref);
	pb_put_be16(out + 10, (uint16_t)(rule->owner >> 32));
	pb_put_be32(out + 12, (uint32_t)rule->owner);
}

bool
pb_rule_from_cookie(struct pb_rule *rule, const uint8_t *cookie, size_t len)
{
	memset(rule, 0, sizeof(*rule));
	rule->fd = -1;
	if (len != PB_RULE_COOKIE_BYTES ||
	    memcmp(cookie, COOKIE_MAGIC, 3) != 0)
		return false;
	memcpy(rule->cookie, cookie, len);
	rule->qdisc = (cookie[3] & COOKIE_QDISC) != 0;
	rule->at = pb_get_be32(cookie + 4);
	rule->pref = pb_get_be16(cookie + 8);
	rule->owner = (uint64_t)pb_get_be16(cookie + 10) << 32 |
	    pb_get_be32(cookie + 12);
	return true;
}

/* Make it, or write it anew; outlet 0 leaves that as it is. */
static int
write_action(struct pb_rule *rule, unsigned outlet, struct pb_err *err)
{
	struct tc_mirred mirred = { .index = rule->action,
	    .action = TC_ACT_UNSPEC, .eaction = TCA_EGRESS_MIRROR,
	    .ifindex = outlet };
	bool fresh = rule->action == 0;
	uint8_t cookie[PB_RULE_COOKIE_BYTES];
	size_t table, action, options;
	int rc;

	pb_rule_cookie(rule, cookie);
	begin_action(rule, RTM_NEWACTION, (uint16_t)(fresh ?
	    NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO : NLM_F_REPLACE), &table,
	    &action);
	pb_rtnl_put(&rule->message, TCA_ACT_COOKIE, cookie, sizeof(cookie));
	options = pb_rtnl_nest(&rule->message, TCA_ACT_OPTIONS);
	pb_rtnl_put(&rule->message, TCA_MIRRED_PARMS, &mirred,
	    sizeof(mirred));
	pb_rtnl_shut(&rule->message, options);
	pb_rtnl_shut(&rule->message, action);
	pb_rtnl_shut(&rule->message, table);
	rc = pb_rtnl_ask(rule->fd, &rule->message, fresh ? on_made : NULL,
	    rule, err);
	if (rc == 0)
		memcpy(rule->cookie, cookie, sizeof(cookie));
	return rc;
}

/* What all that is about actions begins with: open `table` and `action`. */
static void
begin_action(struct pb_rule *rule, uint16_t type, uint16_t flags,
    size_t *table, size_t *action)
{
	struct tcamsg body = { .tca_family = AF_UNSPEC };

	pb_rtnl_begin(&rule->message, type, flags, &body, sizeof(body));
	*table = pb_rtnl_nest(&rule->message, TCA_ACT_TAB);
	*action = pb_rtnl_nest(&rule->message, 1);
	pb_rtnl_text(&rule->message, TCA_ACT_KIND, "mirred");
}

/* About the one that is there. */
static int
named_action(struct pb_rule *rule, uint16_t type, pb_rtnl_each *each,
    void *arg, struct pb_err *err)
{
	size_t table, action;

	begin_action(rule, type, 0, &table, &action);
	pb_rtnl_u32(&rule->message, TCA_ACT_INDEX, rule->action);
	pb_rtnl_shut(&rule->message, action);
	pb_rtnl_shut(&rule->message, table);
	return pb_rtnl_ask(rule->fd, &rule->message, each, arg, err);
}

static int
delete_action(struct pb_rule *rule, struct pb_err *err)
{
	int rc = named_action(rule, RTM_DELACTION, NULL, NULL, err);

	if (rc == 0 || rc == PB_ENOENT)
		rule->action = 0;
	return rc < 0 ? pb_err_prefix(err, rc, "action mirred") : 0;
}

static void
on_made(void *arg, uint16_t type, const uint8_t *body, size_t len)
{
	struct pb_rule *rule = arg;
	struct tc_mirred mirred;
	struct pb_attr action;

	if (first_action(type, body, len, &action) &&
	    read_mirred(&action, &mirred))
		rule->action = mirred.index;
}

static void
on_counts(void *arg, uint16_t type, const uint8_t *body, size_t len)
{
	struct look *look = arg;
	struct pb_rule_counts *out = &look->counts;
	struct gnet_stats_basic basic;
	struct gnet_stats_queue queue;
	struct pb_attr action, stats, attr;
	struct tc_mirred mirred;

	if (!first_action(type, body, len, &action) ||
	    !read_mirred(&action, &mirred) ||
	    !pb_attr_within(&action, TCA_ACT_COOKIE, &attr) ||
	    attr.len != PB_RULE_COOKIE_BYTES ||
	    memcmp(attr.data, look->cookie, attr.len) != 0)
		return;
	look->ours = true;
	out->outlet = mirred.ifindex;
	out->bound = mirred.bindcnt > 0;
	if (!pb_attr_within(&action, TCA_ACT_STATS, &stats))
		return;
	if (pb_attr_within(&stats, TCA_STATS_BASIC, &attr)) {
		pb_attr_copy(&attr, &basic, sizeof(basic));
		out->packets = basic.packets;
		out->bytes = basic.bytes;
	}
	/* Only where 32 bits are not enough. */
	if (pb_attr_within(&stats, TCA_STATS_PKT64, &attr))
		pb_attr_copy(&attr, &out->packets, sizeof(out->packets));
	if (pb_attr_within(&stats, TCA_STATS_QUEUE, &attr)) {
		pb_attr_copy(&attr, &queue, sizeof(queue));
		out->refused = queue.overlimits;
	}
}

/* An answer to RTM_GETACTION has that type, or the one of a notice. */
static bool
first_action(uint16_t type, const uint8_t *body, size_t len,
    struct pb_attr *out)
{
	const size_t skip = sizeof(struct tcamsg);
	struct pb_attr table;
	size_t left;

	if ((type != RTM_NEWACTION && type != RTM_GETACTION) || len < skip ||
	    !pb_attr_find(body + skip, len - skip, TCA_ACT_TAB, &table))
		return false;
	left = table.len;
	return pb_attr_next(&table.data, &left, out);
}

static bool
read_mirred(const struct pb_attr *action, struct tc_mirred *out)
{
	struct pb_attr attr;

	if (!pb_attr_within(action, TCA_ACT_OPTIONS, &attr) ||
	    !pb_attr_within(&attr, TCA_MIRRED_PARMS, &attr))
		return false;
	pb_attr_copy(&attr, out, sizeof(*out));
	return true;
}

static void
on_left(void *arg, uint16_t type, const uint8_t *body, size_t len)
{
	const size_t skip = sizeof(struct tcamsg);
	struct pb_attr table, action, cookie;
	struct left *left = arg;
	struct tc_mirred mirred;

	if ((type != RTM_NEWACTION && type != RTM_GETACTION) || len < skip ||
	    !pb_attr_find(body + skip, len - skip, TCA_ACT_TAB, &table))
		return;
	while (left->count < PB_RULE_LEFT_MAX &&
	    pb_attr_next(&table.data, &table.len, &action)) {
		struct pb_rule *rule = &left->rule[left->count];

		if (!pb_attr_within(&action, TCA_ACT_COOKIE, &cookie) ||
		    !pb_rule_from_cookie(rule, cookie.data, cookie.len) ||
		    rule->owner != left->owner ||
		    !read_mirred(&action, &mirred))
			continue;
		rule->action = mirred.index;
		left->count++;
	}
}

/* --- interfaces ---------------------------------------------------------- */

/* It may be another's by now, who was quicker. */
static int
make_qdisc(struct pb_rule *rule, struct pb_err *err)
{
	int rc = rule_qdisc(rule, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, err);

	if (rc == PB_EEXIST) {
		rule->qdisc = false;
		rc = write_action(rule, 0, err);
	}
	return rc < 0 ? pb_err_prefix(err, rc, "qdisc clsact") : 0;
}

static void
on_link(void *arg, uint16_t type, const uint8_t *body, size_t len)
{
	struct pb_port *out = arg;
	struct rtnl_link_stats64 stats;
	struct ifinfomsg info;
	struct pb_attr attr;

	if (type != RTM_NEWLINK || len < sizeof(info))
		return;
	memcpy(&info, body, sizeof(info));
	out->index = (unsigned)info.ifi_index;
	out->type = info.ifi_type;
	out->up = (info.ifi_flags & IFF_UP) != 0 &&
	    (info.ifi_flags & IFF_RUNNING) != 0;
	body += sizeof(info);
	len -= sizeof(info);
	if (pb_attr_find(body, len, IFLA_MTU, &attr))
		pb_attr_copy(&attr, &out->mtu, sizeof(out->mtu));
	if (pb_attr_find(body, len, IFLA_STATS64, &attr)) {
		pb_attr_copy(&attr, &stats, sizeof(stats));
		out->dropped = stats.tx_dropped;
	}
}
