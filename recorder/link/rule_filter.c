/*
 * recorder/link/rule_filter.c - a rule's filter, and the queueing discipline
 * that it hangs at
 *
 * A filter is deleted by its preference number: by its handle older kernels
 * cannot where the program is longer than a notice of it may be.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>

#include "recorder/link/rtnetlink.h"
#include "recorder/link/rule_impl.h"

#define HANDLE		1u		/* a filter's, in its preference */

static void	on_qdisc(void *, uint16_t, const uint8_t *, size_t);
static void	on_filter(void *, uint16_t, const uint8_t *, size_t);

int
rule_qdisc_there(struct pb_rule *rule, unsigned at, bool *there,
    struct pb_err *err)
{
	struct tcmsg body = { .tcm_family = AF_UNSPEC,
	    .tcm_ifindex = (int)at };
	struct tcmsg want = body;
	int rc;

	pb_rtnl_begin(&rule->message, RTM_GETQDISC, NLM_F_DUMP, &body,
	    sizeof(body));
	rc = pb_rtnl_ask(rule->fd, &rule->message, on_qdisc, &want, err);
	*there = want.tcm_parent == TC_H_INGRESS;
	return rc;
}

int
rule_qdisc(struct pb_rule *rule, uint16_t type, uint16_t flags,
    struct pb_err *err)
{
	struct tcmsg body = { .tcm_family = AF_UNSPEC,
	    .tcm_ifindex = (int)rule->at, .tcm_parent = TC_H_CLSACT,
	    .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0) };

	pb_rtnl_begin(&rule->message, type, flags, &body, sizeof(body));
	pb_rtnl_text(&rule->message, TCA_KIND, "clsact");
	return pb_rtnl_ask(rule->fd, &rule->message, NULL, NULL, err);
}

int
rule_filters(struct pb_rule *rule, unsigned at, uint32_t parent,
    struct rule_filters *out, struct pb_err *err)
{
	struct tcmsg body = { .tcm_family = AF_UNSPEC,
	    .tcm_ifindex = (int)at, .tcm_parent = parent };

	pb_rtnl_begin(&rule->message, RTM_GETTFILTER, NLM_F_DUMP, &body,
	    sizeof(body));
	return pb_rtnl_ask(rule->fd, &rule->message, on_filter, out, err);
}

int
rule_pref(struct pb_rule *rule, struct pb_err *err)
{
	struct rule_filters filters = { .count = 0 };
	unsigned i = 0;
	int rc = rule_filters(rule, rule->at, RULE_INGRESS, &filters, err);

	if (rc < 0)
		return pb_err_prefix(err, rc, "look at its rules");
	while (i < PB_RULE_PREFS_MAX &&
	    (filters.taken & UINT64_C(1) << i) != 0)
		i++;
	if (i == PB_RULE_PREFS_MAX)
		return pb_err_set(err, PB_ELIMIT, "preference numbers %u to "
		    "%u are all taken", PB_RULE_PREF,
		    PB_RULE_PREF + PB_RULE_PREFS_MAX - 1);
	rule->pref = (uint16_t)(PB_RULE_PREF + i);
	return 0;
}

int
rule_filter_add(struct pb_rule *rule, const struct sock_filter *code,
    unsigned count, struct pb_err *err)
{
	struct tcmsg body = { .tcm_family = AF_UNSPEC,
	    .tcm_ifindex = (int)rule->at, .tcm_parent = RULE_INGRESS,
	    .tcm_handle = HANDLE,
	    .tcm_info = TC_H_MAKE((uint32_t)rule->pref << 16,
	    htons(ETH_P_ALL)) };
	struct tc_mirred mirred = { .index = rule->action };
	struct pb_buf *m = &rule->message;
	uint16_t ops = (uint16_t)count;
	size_t all, actions, action, options;
	int rc;

	pb_rtnl_begin(m, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &body,
	    sizeof(body));
	pb_rtnl_text(m, TCA_KIND, "bpf");
	all = pb_rtnl_nest(m, TCA_OPTIONS);
	pb_rtnl_put(m, TCA_BPF_OPS_LEN, &ops, sizeof(ops));
	pb_rtnl_put(m, TCA_BPF_OPS, code, count * sizeof(code[0]));
	pb_rtnl_u32(m, TCA_BPF_FLAGS_GEN, TCA_CLS_FLAGS_SKIP_HW);
	actions = pb_rtnl_nest(m, TCA_BPF_ACT);
	action = pb_rtnl_nest(m, 1);
	pb_rtnl_text(m, TCA_ACT_KIND, "mirred");
	options = pb_rtnl_nest(m, TCA_ACT_OPTIONS);
	pb_rtnl_put(m, TCA_MIRRED_PARMS, &mirred, sizeof(mirred));
	pb_rtnl_shut(m, options);
	pb_rtnl_shut(m, action);
	pb_rtnl_shut(m, actions);
	pb_rtnl_shut(m, all);
	rc = pb_rtnl_ask(rule->fd, m, NULL, NULL, err);
	return rc < 0 ? pb_err_prefix(err, rc, "filter bpf") : 0;
}

int
rule_filter_delete(struct pb_rule *rule, struct pb_err *err)
{
	struct tcmsg body = { .tcm_family = AF_UNSPEC,
	    .tcm_ifindex = (int)rule->at, .tcm_parent = RULE_INGRESS,
	    .tcm_info = TC_H_MAKE((uint32_t)rule->pref << 16,
	    htons(ETH_P_ALL)) };
	bool there = true;
	int rc;

	pb_rtnl_begin(&rule->message, RTM_DELTFILTER, 0, &body, sizeof(body));
	pb_rtnl_text(&rule->message, TCA_KIND, "bpf");
	rc = pb_rtnl_ask(rule->fd, &rule->message, NULL, NULL, err);
	/* It went with its qdisc. */
	if (rc < 0 && rc != PB_ENOENT &&
	    rule_qdisc_there(rule, rule->at, &there, NULL) == 0 && !there)
		rc = 0;
	return rc == PB_ENOENT ? 0 : rc;
}

/* Kernels may dump those of all interfaces. */
static void
on_qdisc(void *arg, uint16_t type, const uint8_t *body, size_t len)
{
	struct tcmsg *want = arg, has;

	if (type != RTM_NEWQDISC || len < sizeof(has))
		return;
	memcpy(&has, body, sizeof(has));
	if (has.tcm_ifindex == want->tcm_ifindex &&
	    has.tcm_parent == TC_H_INGRESS)
		want->tcm_parent = TC_H_INGRESS;
}

static void
on_filter(void *arg, uint16_t type, const uint8_t *body, size_t len)
{
	struct rule_filters *out = arg;
	struct tcmsg has;
	unsigned pref;

	if (type != RTM_NEWTFILTER || len < sizeof(has))
		return;
	memcpy(&has, body, sizeof(has));
	out->count++;
	pref = TC_H_MAJ(has.tcm_info) >> 16;
	if (pref >= PB_RULE_PREF && pref < PB_RULE_PREF + PB_RULE_PREFS_MAX)
		out->taken |= UINT64_C(1) << (pref - PB_RULE_PREF);
}
