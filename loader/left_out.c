// SPDX-License-Identifier: BSD-2-Clause
/* Rules that need not be found, because others say the same of their packets first. */
#include "loader/classifier_inside.h"

#include <string.h>
#include "lib/config_policy.h"

static __u32 rule_says(const struct xipsec_spd_rule *rule)
{
	return rule->action == XIPSEC_ACTION_PROTECT ? rule->child << 2 | 2U : rule->action & 1U;
}

/* What of a rule stands beside its selector. */
static bool rule_asks_less(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b)
{
	return (a->dirs & b->dirs) == b->dirs && (!a->dev || a->dev == b->dev);
}

/* Earlier, and matches what `b` matches, hidden or not, with no less certainty. */
static bool rule_as_uncertain(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b)
{
	return a->priority < b->priority && rule_asks_less(a, b) &&
	       a->sel.family == b->sel.family && a->sel.any_proto == b->sel.any_proto &&
	       a->sel.l4_proto == b->sel.l4_proto && !(a->sel.opaque & ~b->sel.opaque) &&
	       selector_dscp_within(b->sel.dscp, a->sel.dscp) &&
	       !memcmp(&a->sel.local_lo, &b->sel.local_lo, 4 * sizeof(a->sel.local_lo)) &&
	       (xipsec_selector_any_port(&a->sel) || !xipsec_selector_any_port(&b->sel));
}

/* The same for packets that hide their protocol, which `b` asks for: it is never certain. */
static bool rule_as_blind(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b)
{
	return a->priority < b->priority && rule_asks_less(a, b) &&
	       a->sel.family == b->sel.family && !b->sel.any_proto &&
	       !(a->sel.opaque & ~b->sel.opaque) &&
	       selector_dscp_within(b->sel.dscp, a->sel.dscp) &&
	       !memcmp(&a->sel.local_lo, &b->sel.local_lo, 4 * sizeof(a->sel.local_lo));
}

/* Every packet that shows all and matches `b` matches `a` first. */
static bool rule_shadows(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b)
{
	return a->priority < b->priority && rule_asks_less(a, b) &&
	       selector_within(&b->sel, &a->sel);
}

/* One that says the same is enough; so are two that contradict each other: behind both, nothing
 * passes any more that hides its ports. */
static bool stand_in_note(struct stand_ins *found, struct xipsec_spd_rule *there)
{
	if (rule_says(there) == rule_says(found->rule)) {
		found->by[0] = there;
		found->n = 1;
		return true;
	}
	if (found->n == 1 && rule_says(there) == rule_says(found->by[0]))
		return false;
	found->by[found->n++] = there;
	return found->n == 2;
}

bool stand_in_hidden(struct stand_ins *found, struct xipsec_spd_rule *there)
{
	return there->dies == 0 && rule_as_uncertain(there, found->rule) &&
	       stand_in_note(found, there);
}

bool stand_in_blind(struct stand_ins *found, struct xipsec_spd_rule *there)
{
	return there->dies == 0 && rule_as_blind(there, found->rule) && stand_in_note(found, there);
}

bool stand_in_whole(struct stand_ins *found, struct xipsec_spd_rule *there)
{
	if (there->dies || !rule_shadows(there, found->rule))
		return false;
	found->by[0] = there;
	found->n = 1;
	return true;
}

bool stand_ins_find(const struct classifier *c, __u32 table, const struct shape *shape,
		    bool (*ask)(struct stand_ins *found, struct xipsec_spd_rule *there),
		    struct stand_ins *found)
{
	__u32 at, finger;
	struct keys keys;

	shape_keys(&c->head->table[table], shape, &keys);
	finger = xipsec_hash_finger(keys.hash[0]);
	at = xipsec_hash_bucket(keys.hash[0], c->head->bucket_mask);
	do {
		const struct xipsec_spd_bucket *bucket = &c->bucket[at];

		for (unsigned int i = 0; i < XIPSEC_BUCKET_SLOTS; i++) {
			__u32 slot = (__u32)bucket->slot[i];

			if (bucket->slot[i] && slot >> 20 == finger &&
			    ask(found, &c->rule[slot & (XIPSEC_RULES_LIMIT - 1)]))
				return true;
		}
		at = bucket->more;
	} while (at);
	return false;
}

void stand_ins_note(struct stand_ins *found)
{
	for (unsigned int i = 0; i < found->n; i++)
		found->by[i]->stands_for++;
}

bool rule_may_stand_for(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b)
{
	return rule_as_uncertain(a, b) || rule_as_blind(a, b) || rule_shadows(a, b);
}
