// SPDX-License-Identifier: BSD-2-Clause
#include "lib/standin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config.h"
#include "lib/config_policy.h"

static bool is_standin(const struct xipsec_spd_rule *rule)
{
	return rule->origin & (XIPSEC_RULE_LOCAL_LATER | XIPSEC_RULE_REMOTE_LATER);
}

static bool same_addr(const struct xipsec_addr *a, const struct xipsec_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* One side of a selector: takes its one address, or compares it. */
static bool side_learn(struct standin_addrs *out, __u8 side, const struct xipsec_addr *lo,
		       const struct xipsec_addr *hi)
{
	struct xipsec_addr *addr = side == XIPSEC_RULE_LOCAL_LATER ? &out->local : &out->remote;

	if (!same_addr(lo, hi))
		return false;
	if (out->sides & side)
		return same_addr(addr, lo);
	out->sides |= side;
	*addr = *lo;
	return true;
}

static bool learn(struct standin_addrs *out, const struct xipsec_spd_rule *standin,
		  const struct xipsec_selector *ts)
{
	if (!ts->family || (out->family && out->family != ts->family))
		return false;
	out->family = ts->family;
	if ((standin->origin & XIPSEC_RULE_LOCAL_LATER) &&
	    !side_learn(out, XIPSEC_RULE_LOCAL_LATER, &ts->local_lo, &ts->local_hi))
		return false;
	return !(standin->origin & XIPSEC_RULE_REMOTE_LATER) ||
	       side_learn(out, XIPSEC_RULE_REMOTE_LATER, &ts->remote_lo, &ts->remote_hi);
}

/* It says nothing of addresses that are to come. */
static bool by_config(const struct config_policy *policy, const struct xipsec_selector *ts)
{
	for (unsigned int k = 0; k < policy->n_rules; k++)
		if (policy->rules[k].action == XIPSEC_ACTION_PROTECT &&
		    selector_within(ts, &policy->rules[k].sel))
			return true;
	return false;
}

/* False: they cannot be told from it. */
static bool learn_from(struct standin_addrs *out, const struct config_policy *policy,
		       const struct xipsec_spd_rule *standin, const struct xipsec_sa *sa)
{
	for (__u32 i = 0; i < sa->n_selectors; i++)
		if (!sa->refuse[i] && selector_within(&sa->selector[i], &standin->sel) &&
		    !by_config(policy, &sa->selector[i]) && !learn(out, standin, &sa->selector[i]))
			return false;
	return true;
}

bool standin_addrs(const struct config *config, const struct xipsec_sa *sa,
		   struct standin_addrs *out)
{
	struct standin_addrs addrs = {0};

	for (unsigned int i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		for (unsigned int k = 0; k < policy->n_rules; k++)
			if (is_standin(&policy->rules[k]) &&
			    strcmp(policy->child, sa->child) == 0 &&
			    !learn_from(&addrs, policy, &policy->rules[k], sa))
				return false;
	}
	if (!addrs.sides)
		return false;
	*out = addrs;
	return true;
}

/* ------------------------------------------------------------------ rules */

/* False: the stand-in waits for another family, or for a side that is not known. */
static bool rule_make(const struct xipsec_spd_rule *standin, const struct standin_addrs *addrs,
		      struct xipsec_spd_rule *out)
{
	struct xipsec_selector *sel = &out->sel;

	if (!is_standin(standin) || standin->origin & ~addrs->sides)
		return false;
	if (standin->sel.family && standin->sel.family != addrs->family)
		return false;
	*out = *standin;
	out->action = XIPSEC_ACTION_PROTECT;
	out->origin = XIPSEC_RULE_OF_SA;
	if (!sel->family)
		selector_family(sel, addrs->family);
	if (standin->origin & XIPSEC_RULE_LOCAL_LATER)
		sel->local_lo = sel->local_hi = addrs->local;
	if (standin->origin & XIPSEC_RULE_REMOTE_LATER)
		sel->remote_lo = sel->remote_hi = addrs->remote;
	return true;
}

static void place(const struct config *config, struct standin_rule *made)
{
	for (unsigned int i = 0; i < config->n_policies; i++)
		for (unsigned int k = 0; k < config->policies[i].n_rules; k++) {
			const struct xipsec_spd_rule *rule = &config->policies[i].rules[k];

			if (!is_standin(rule) || !selector_within(&made->rule.sel, &rule->sel))
				continue;
			made->policy = i;
			made->place = k;
			return;
		}
}

int standin_rules(const struct config *config, const char *child, const struct standin_addrs *addrs,
		  struct standin_rule **out, unsigned int *n)
{
	struct standin_rule *list = NULL, *more;
	unsigned int made = 0;

	for (unsigned int i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		if (strcmp(policy->child, child) != 0)
			continue;
		for (unsigned int k = 0; k < policy->n_rules; k++) {
			struct xipsec_spd_rule rule;

			if (!rule_make(&policy->rules[k], addrs, &rule))
				continue;
			more = realloc(list, (made + 1) * sizeof(*more));
			if (!more) {
				free(list);
				return -ENOMEM;
			}
			list = more;
			list[made] = (struct standin_rule){.rule = rule};
			list[made].rule.policy = i;
			place(config, &list[made++]);
		}
	}
	*out = list;
	*n = made;
	return 0;
}
