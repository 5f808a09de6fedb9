// SPDX-License-Identifier: BSD-2-Clause
/* `xipsec policy check`: rules of a config that can never match, and rules in each other's way. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "lib/cleanup.h"
#include "lib/config_policy.h"
#include "loader/spd.h"
#include "loader/spd_cover.h"
#include "xipsec/loader.h"

/* An SPD in ordinary memory. */
struct scratch {
	struct classifier c;
	struct spd_source source;
};

static void scratch_free(struct scratch *s)
{
	free(s->c.head);
	free(s->c.bucket);
	free(s->c.rule);
	spd_source_free(&s->source);
}
#define _cleanup_scratch_ __attribute__((cleanup(scratch_free)))

static int no_child_id(void *arg, const char *name)
{
	return 0;
}

/* The first policy that names this interface, from 1: another name, another number. */
static int dev_by_policy(void *arg, const char *name)
{
	const struct config *config = arg;
	unsigned int i = 0;

	while (strcmp(config->policies[i].dev, name) != 0)
		i++;
	return i < 65535 ? (int)i + 1 : -E2BIG;
}

static int scratch_fill(struct scratch *s, unsigned int attempt)
{
	struct classifier_size size = classifier_size(s->source.rule, s->source.n_rules, attempt);

	free(s->c.head);
	free(s->c.bucket);
	free(s->c.rule);
	s->c = (struct classifier){.head = calloc(1, sizeof(*s->c.head)),
				   .bucket = calloc(size.buckets, sizeof(*s->c.bucket)),
				   .rule = calloc(size.rules, sizeof(*s->c.rule))};
	if (!s->c.head || !s->c.bucket || !s->c.rule)
		return -ENOMEM;
	classifier_init(&s->c, &size);
	return spd_fill(&s->c, &s->source);
}

/* A packet of the rule, in the corner of all its ranges. */
static struct xipsec_flow corner_of(const struct xipsec_spd_rule *rule)
{
	const struct xipsec_selector *sel = &rule->sel;
	struct xipsec_flow flow = {.local = sel->local_lo,
				   .remote = sel->remote_lo,
				   .opaque = sel->opaque,
				   .dscp = sel->dscp ? (__u8)__builtin_ctzll(sel->dscp) : 0,
				   .family = sel->family ? sel->family : XIPSEC_FAMILY_IP4,
				   .dir = rule->dirs & XIPSEC_DIR_OUT ? XIPSEC_DIR_OUT
								      : XIPSEC_DIR_IN,
				   .dev = rule->dev,
				   .l4_proto = sel->any_proto ? 255 : sel->l4_proto};

	if (sel->opaque)
		return flow;
	if (flow.l4_proto == IPPROTO_ICMP || flow.l4_proto == IPPROTO_ICMPV6 ||
	    flow.l4_proto == IPPROTO_MH) {
		flow.icmp = sel->icmp_lo;
	} else {
		flow.local_port = sel->local_port_lo;
		flow.remote_port = sel->remote_port_lo;
	}
	return flow;
}

struct asked {
	const struct spd_source *source;
	__u32 rule;  /* whose corner it is */
	__u32 first; /* rule that takes all of it, or `rule` */
};

static void ask_candidate(void *arg, __u32 number)
{
	struct asked *asked = arg;
	const struct xipsec_spd_rule *mine = &asked->source->rule[asked->rule];
	const struct xipsec_spd_rule *other = &asked->source->rule[number];

	if (number < asked->first && (other->dirs & mine->dirs) == mine->dirs &&
	    (!other->dev || other->dev == mine->dev) && selector_within(&mine->sel, &other->sel))
		asked->first = number;
}

static bool is_standin(const struct xipsec_spd_rule *rule)
{
	return rule->origin != 0;
}

/* A stand-in is what it will be. */
static __u8 action_of(const struct xipsec_spd_rule *rule)
{
	return is_standin(rule) ? XIPSEC_ACTION_PROTECT : rule->action;
}

/* What the SAs of one stand-in make known goes before another one that holds it whole. */
static bool stands_before(const struct xipsec_spd_rule *mine, const struct xipsec_spd_rule *other)
{
	return is_standin(mine) && is_standin(other) && selector_within(&mine->sel, &other->sel);
}

static bool says_the_same(const struct config *config, const struct xipsec_spd_rule *a,
			  const struct xipsec_spd_rule *b)
{
	if (action_of(a) != action_of(b))
		return false;
	return action_of(a) != XIPSEC_ACTION_PROTECT ||
	       !strcmp(config->policies[a->policy].child, config->policies[b->policy].child);
}

/* The first earlier rule that takes part of this one and does something else with it. One that can
 * never match takes nothing: who is in its way is in this one's, too. */
static __u32 find_overlap(const struct config *config, const struct spd_source *source,
			  const bool *dead, __u32 at)
{
	const struct xipsec_spd_rule *mine = &source->rule[at];
	struct xipsec_selector both;

	for (__u32 i = 0; i < at; i++)
		if (!dead[i] && (source->rule[i].dirs & mine->dirs) &&
		    (!source->rule[i].dev || !mine->dev || source->rule[i].dev == mine->dev) &&
		    !says_the_same(config, &source->rule[i], mine) &&
		    !stands_before(mine, &source->rule[i]) &&
		    selector_meet(&source->rule[i].sel, &mine->sel, &both))
			return i;
	return at;
}

static struct loader_rule_at rule_at(const struct config *config, const struct spd_source *source,
				     __u32 number)
{
	const struct xipsec_spd_rule *rule = &source->rule[number];

	return (struct loader_rule_at){.rule = number,
				       .line = rule->line,
				       .policy = config->policies[rule->policy].name,
				       .standin = is_standin(rule)};
}

/* What is being told, to whom. */
struct telling {
	const struct config *config;
	const struct spd_source *source;
	loader_overlap_fn fn;
	void *arg;
};

/* 1; 0: it is nothing to be told of: what stands in for others behind what does. */
static int tell(const struct telling *t, __u32 rule, const __u32 *by, __u32 n, bool never)
{
	_cleanup_free_ struct loader_rule_at *list = calloc(n, sizeof(*list));
	struct loader_overlap overlap = {.rule = rule_at(t->config, t->source, rule),
					 .by = list,
					 .n_by = n,
					 .never = never,
					 .same = true};
	bool standins = overlap.rule.standin;

	if (!list)
		return -ENOMEM;
	for (__u32 i = 0; i < n; i++) {
		list[i] = rule_at(t->config, t->source, by[i]);
		standins = standins && list[i].standin;
		overlap.same = overlap.same && says_the_same(t->config, &t->source->rule[rule],
							     &t->source->rule[by[i]]);
	}
	if (standins && never)
		return 0;
	t->fn(t->arg, &overlap);
	return 1;
}

/* Looks for several rules together that take all of it. 1: told. */
static int tell_cover(const struct telling *t, const struct classifier *c, __u32 rule, __u32 *steps,
		      int *undecided)
{
	struct spd_cover cover = {0};
	int found = spd_cover_find(c, rule, steps, &cover), err;

	if (found == -E2BIG)
		++*undecided;
	if (found <= 0)
		return found == -E2BIG ? 0 : found;
	err = tell(t, rule, cover.by, cover.n, true);
	free(cover.by);
	return err;
}

/* The policies in tables, as attach and reload make them. 0, or -errno after a message. */
static int scratch_make(struct scratch *s, const struct config *config)
{
	const struct spd_ids ids = {no_child_id, dev_by_policy, (void *)config};
	int err = spd_compile(config, &ids, &s->source);

	if (err)
		return err;
	err = -ENOSPC;
	for (unsigned int attempt = 0; err == -ENOSPC && attempt < SPD_BUILD_ATTEMPTS; attempt++)
		err = scratch_fill(s, attempt);
	if (err)
		spd_tell_unfit(s->source.n_rules, err);
	return err;
}

int loader_policy_fits(const struct config *config)
{
	_cleanup_scratch_ struct scratch s = {0};

	return scratch_make(&s, config);
}

/* Look-ups for unions, of all rules together: some seconds. */
#define STEPS_MAX 1000000

int loader_policy_check(const struct config *config, loader_overlap_fn fn, void *arg)
{
	_cleanup_scratch_ struct scratch s = {0};
	const struct telling t = {config, &s.source, fn, arg};
	_cleanup_free_ bool *dead = NULL;
	int undecided = 0, err = scratch_make(&s, config);
	__u32 steps = STEPS_MAX;
	bool pairs;

	if (err)
		return err;
	dead = calloc(s.source.n_rules + 1, sizeof(*dead));
	if (!dead)
		return -ENOMEM;
	pairs = s.source.n_rules <= LOADER_OVERLAPS_MAX;
	for (__u32 i = 0; i < s.source.n_rules && err >= 0; i++) {
		struct asked asked = {&s.source, i, i};
		struct xipsec_flow flow = corner_of(&s.source.rule[i]);
		__u32 by;

		classifier_candidates(&s.c, &flow, ask_candidate, &asked);
		if (asked.first < i)
			err = tell(&t, i, &asked.first, 1, true);
		else
			err = tell_cover(&t, &s.c, i, &steps, &undecided);
		dead[i] = err == 1;
		by = pairs && !dead[i] ? find_overlap(config, &s.source, dead, i) : i;
		if (by < i && err >= 0)
			err = tell(&t, i, &by, 1, false);
	}
	return err < 0 ? err : undecided;
}
