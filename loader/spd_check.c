// SPDX-License-Identifier: BSD-2-Clause
/* `xipsec policy check`: rules of a config that can never match, and rules in each other's way. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "lib/cleanup.h"
#include "lib/config_policy.h"
#include "loader/spd.h"
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

static bool says_the_same(const struct config *config, const struct xipsec_spd_rule *a,
			  const struct xipsec_spd_rule *b)
{
	if (a->action != b->action)
		return false;
	return a->action != XIPSEC_ACTION_PROTECT ||
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
		    selector_meet(&source->rule[i].sel, &mine->sel, &both))
			return i;
	return at;
}

static void tell(const struct config *config, const struct spd_source *source, __u32 rule, __u32 by,
		 bool never, loader_overlap_fn fn, void *arg)
{
	const struct xipsec_spd_rule *a = &source->rule[rule], *b = &source->rule[by];
	struct loader_overlap overlap = {.rule = rule,
					 .by = by,
					 .line = a->line,
					 .by_line = b->line,
					 .policy = config->policies[a->policy].name,
					 .by_policy = config->policies[b->policy].name,
					 .never = never,
					 .same = says_the_same(config, a, b)};

	fn(arg, &overlap);
}

int loader_policy_check(const struct config *config, loader_overlap_fn fn, void *arg)
{
	_cleanup_scratch_ struct scratch s = {0};
	const struct spd_ids ids = {no_child_id, dev_by_policy, (void *)config};
	_cleanup_free_ bool *dead = NULL;
	bool pairs;
	int err = spd_compile(config, &ids, &s.source);

	for (unsigned int attempt = 0; !err && attempt < 4; attempt++) {
		err = scratch_fill(&s, attempt);
		if (err != -ENOSPC)
			break;
		err = attempt < 3 ? 0 : err;
	}
	if (err)
		return err;
	dead = calloc(s.source.n_rules + 1, sizeof(*dead));
	if (!dead)
		return -ENOMEM;
	pairs = s.source.n_rules <= LOADER_OVERLAPS_MAX;
	for (__u32 i = 0; i < s.source.n_rules; i++) {
		struct asked asked = {&s.source, i, i};
		struct xipsec_flow flow = corner_of(&s.source.rule[i]);
		__u32 by;

		classifier_candidates(&s.c, &flow, ask_candidate, &asked);
		if (asked.first < i) {
			dead[i] = true;
			tell(config, &s.source, i, asked.first, true, fn, arg);
			continue;
		}
		by = pairs ? find_overlap(config, &s.source, dead, i) : i;
		if (by < i)
			tell(config, &s.source, i, by, false, fn, arg);
	}
	return 0;
}
