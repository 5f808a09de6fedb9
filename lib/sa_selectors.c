// SPDX-License-Identifier: BSD-2-Clause
#include "lib/sa_selectors.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "lib/config_policy.h"
#include "lib/standin.h"

struct entry {
	struct xipsec_selector sel;
	bool refuse;
	unsigned int rule; /* place in the SPD of the rule that it came from */
};

/* Ordered; of any number, for an SPD may have a hundred thousand rules. */
struct entries {
	unsigned int n, size;
	struct entry *entry;
};

struct selectors {
	const struct xipsec_sa *sa;
	const struct xipsec_spd_rule *rule; /* the one being looked at */
	unsigned int rule_number;           /* its place in the SPD */
	struct standin_rule *known;         /* rules that are there by this SA */
	unsigned int n_known;
	unsigned int n_serving;
	bool too_wide, too_many, more;
	bool by_ports;         /* its rules or earlier ones ask for what later fragments hide */
	bool apart;            /* an earlier one asks for later fragments themselves */
	bool leaving;          /* what is asked for is the order on the way out */
	struct entries accept; /* what rules of the child leave to the SA */
	struct entries all;    /* that, and the earlier rules that take something from it */
};

/* The rules that lead packets of the SA's direction into its child. What an SA brought came in by
 * that and by no interface: a rule that asks for one does not speak of it. */
static bool rule_serves(const struct config_policy *policy, const struct xipsec_spd_rule *rule,
			const struct xipsec_sa *sa)
{
	return rule->action == XIPSEC_ACTION_PROTECT && (rule->dirs & sa->dir) &&
	       (!rule->dev || sa->dir == XIPSEC_DIR_OUT) && strcmp(policy->child, sa->child) == 0;
}

static bool entry_room(struct entries *to)
{
	unsigned int size = to->size ? to->size * 2 : 64;
	struct entry *larger;

	if (to->n < to->size)
		return true;
	larger = realloc(to->entry, size * sizeof(*larger));
	if (!larger)
		return false;
	to->entry = larger;
	to->size = size;
	return true;
}

/* An entry inside an earlier one of its kind never decides. No memory is as too many: refused. */
static bool entry_add(struct entries *to, const struct entry *entry)
{
	for (unsigned int i = 0; i < to->n; i++)
		if (to->entry[i].refuse == entry->refuse &&
		    selector_within(&entry->sel, &to->entry[i].sel))
			return true;
	if (!entry_room(to))
		return false;
	to->entry[to->n++] = *entry;
	return true;
}

/* What the SA's own selectors leave of the rule. Which DSCP goes by which SA is the sender's alone:
 * the receiver takes what comes by any of them (RFC 4301 4.1). So no other child's rule takes a
 * DSCP from it, either; one that discards does. */
static void accept_make(const struct xipsec_selector *ts, void *into)
{
	struct selectors *to = into;
	struct xipsec_selector both;

	if (!selector_meet(ts, &to->rule->sel, &both))
		return;
	if (!to->leaving)
		both.dscp = 0;
	if (to->accept.n > XIPSEC_SELECTORS_MAX ||
	    !entry_add(&to->accept, &(struct entry){both, false, to->rule_number}))
		to->too_many = true;
}

/* All packets between src and dst: what transport mode can carry. */
static struct xipsec_selector between_ends(const struct xipsec_sa *sa)
{
	struct xipsec_selector sel = selector_any;
	bool out = sa->dir == XIPSEC_DIR_OUT;

	sel.family = sa->outer_family;
	sel.local_lo = sel.local_hi = out ? sa->src : sa->dst;
	sel.remote_lo = sel.remote_hi = out ? sa->dst : sa->src;
	return sel;
}

static void rule_accept(struct selectors *to, sa_selectors_each *each, void *ctx)
{
	struct xipsec_selector ends = between_ends(to->sa);

	to->n_serving++;
	if (to->sa->mode == XIPSEC_MODE_TRANSPORT && !selector_within(&to->rule->sel, &ends))
		to->too_wide = true;
	else
		each(ctx, accept_make, to);
}

/* Does the rule take something from what later rules leave to the SA? */
static bool rule_takes(const struct selectors *to, unsigned int *next)
{
	struct xipsec_selector both;

	if (!to->leaving && to->rule->sel.dscp && to->rule->action == XIPSEC_ACTION_PROTECT)
		return false;
	while (*next < to->accept.n && to->accept.entry[*next].rule < to->rule_number)
		(*next)++;
	for (unsigned int i = *next; i < to->accept.n; i++)
		if (selector_meet(&to->rule->sel, &to->accept.entry[i].sel, &both))
			return true;
	return false;
}

/* One rule after the other, in order, with those that the SA makes known: `serves` tells those that
 * lead into its child. */
typedef void rule_fn(struct selectors *to, bool serves, void *ctx);

static void known_before(struct selectors *to, unsigned int policy, unsigned int place, rule_fn *fn,
			 void *ctx)
{
	for (unsigned int i = 0; i < to->n_known; i++) {
		if (to->known[i].policy != policy || to->known[i].place != place)
			continue;
		to->rule = &to->known[i].rule;
		fn(to, true, ctx);
		to->rule_number++;
	}
}

static void rules_walk(struct selectors *to, const struct config *config, rule_fn *fn, void *ctx)
{
	to->rule_number = 0;
	for (unsigned int i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		for (unsigned int k = 0; k < policy->n_rules; k++, to->rule_number++) {
			known_before(to, i, k, fn, ctx);
			to->rule = &policy->rules[k];
			fn(to, rule_serves(policy, to->rule, to->sa), ctx);
		}
	}
}

struct asked {
	sa_selectors_each *each;
	void *ctx;
};

/* First pass: what its child's rules leave to the SA. */
static void accept_of_rule(struct selectors *to, bool serves, void *ctx)
{
	const struct asked *asked = ctx;

	if (serves)
		rule_accept(to, asked->each, asked->ctx);
}

static void accepts_before(struct selectors *to, unsigned int rule_number, unsigned int *copied)
{
	for (; *copied < to->accept.n && to->accept.entry[*copied].rule <= rule_number; (*copied)++)
		to->too_many |= !entry_add(&to->all, &to->accept.entry[*copied]);
}

struct merge {
	unsigned int next, copied;
};

/* Does the order of that rule count? As a packet leaves by an SA nothing is checked, for the SPD
 * sent it there in order, unless that is what is asked for. */
static bool rule_counts(const struct selectors *to)
{
	if (to->leaving)
		return to->rule->dirs & XIPSEC_DIR_OUT;
	return (to->sa->dir & to->rule->dirs & XIPSEC_DIR_IN) && !to->rule->dev;
}

/* The peer knows what comes out by the same rules, turned round: can this one keep it from knowing
 * later fragments (RFC 4301 7.3)? They show their protocol, so a rule for TCP or ICMP is in the way
 * of no UDP: of the protocols that are cut at all, these few datagrams are not worth to cut ESP for
 * all. */
static bool rule_hides(const struct selectors *to)
{
	const struct xipsec_selector *sel = &to->rule->sel;

	if (to->leaving || to->sa->dir != XIPSEC_DIR_OUT || !(to->rule->dirs & XIPSEC_DIR_OUT) ||
	    (xipsec_selector_any_port(sel) && !sel->opaque))
		return false;
	return sel->opaque || sel->any_proto ||
	       (sel->l4_proto != IPPROTO_TCP && sel->l4_proto != IPPROTO_ICMP &&
		sel->l4_proto != IPPROTO_ICMPV6 && sel->l4_proto != IPPROTO_MH);
}

/* Each entry is compared with those before: of so many too many no more are. */
#define COUNTED_MAX (4 * XIPSEC_SELECTORS_MAX)

/* Second pass: that, and what earlier rules take from it. */
static void entry_of_rule(struct selectors *to, bool serves, void *ctx)
{
	const bool counts = rule_counts(to), hides = rule_hides(to);
	struct merge *merge = ctx;

	accepts_before(to, to->rule_number, &merge->copied);
	if (serves || (!counts && !hides) || merge->copied == to->accept.n ||
	    !rule_takes(to, &merge->next))
		return;
	to->by_ports |= hides;
	to->apart |= hides && to->rule->sel.opaque;
	to->more |= counts && to->all.n >= COUNTED_MAX;
	if (counts && !to->more)
		to->too_many |=
			!entry_add(&to->all, &(struct entry){to->rule->sel, true, to->rule_number});
}

static void entries_make(struct selectors *to, const struct config *config, sa_selectors_each *each,
			 void *ctx)
{
	struct asked asked = {each, ctx};
	struct merge merge = {0};

	rules_walk(to, config, accept_of_rule, &asked);
	rules_walk(to, config, entry_of_rule, &merge);
	accepts_before(to, to->rule_number, &merge.copied);
}

static void route_based_make(struct selectors *to, sa_selectors_each *each, void *ctx)
{
	struct xipsec_spd_rule all = {.sel = selector_any};

	if (to->sa->mode == XIPSEC_MODE_TRANSPORT)
		all.sel = between_ends(to->sa);
	to->rule = &all;
	to->n_serving++;
	each(ctx, accept_make, to);
	for (unsigned int i = 0; i < to->accept.n; i++)
		to->too_many |= !entry_add(&to->all, &to->accept.entry[i]);
	to->rule = NULL;
}

/* As many as fit. */
static void entries_put(const struct entries *from, struct xipsec_sa *sa)
{
	for (unsigned int i = 0; i < from->n && i < XIPSEC_SELECTORS_MAX; i++) {
		sa->selector[i] = from->entry[i].sel;
		sa->refuse[i] = from->entry[i].refuse;
		sa->n_selectors = i + 1;
	}
}

static struct sa_selectors fill(struct selectors *with, const struct config *config,
				struct xipsec_sa *sa, sa_selectors_each *each, void *ctx)
{
	struct selectors to = *with;
	struct sa_selectors made;

	to.sa = sa;
	if (sa->if_id)
		route_based_make(&to, each, ctx);
	else
		entries_make(&to, config, each, ctx);
	entries_put(&to.all, sa);
	for (unsigned int i = 0; i < to.accept.n; i++)
		to.by_ports |= !xipsec_selector_any_port(&to.accept.entry[i].sel);
	sa->flags &= (__u16) ~(XIPSEC_SA_WHOLE | XIPSEC_SA_APART);
	if (sa->dir == XIPSEC_DIR_OUT)
		sa->flags |= (__u16)((to.by_ports ? XIPSEC_SA_WHOLE : 0) |
				     (to.apart ? XIPSEC_SA_APART : 0));
	made = (struct sa_selectors){.n_serving = to.n_serving,
				     .n_accept = to.accept.n,
				     .n = to.all.n,
				     .more = to.more,
				     .too_wide = to.too_wide,
				     .too_many = to.too_many || to.accept.n > XIPSEC_SELECTORS_MAX};
	free(to.accept.entry);
	free(to.all.entry);
	return made;
}

struct sa_selectors sa_selectors_fill(const struct config *config, struct xipsec_sa *sa,
				      sa_selectors_each *each, void *ctx)
{
	struct selectors none = {0};

	return fill(&none, config, sa, each, ctx);
}

bool sa_selectors_inside(const struct config *config, const struct xipsec_sa *sa,
			 const struct xipsec_selector *ts)
{
	if (sa->if_id)
		return true;
	for (unsigned int i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		for (unsigned int k = 0; k < policy->n_rules; k++)
			if (rule_serves(policy, &policy->rules[k], sa) &&
			    selector_within(ts, &policy->rules[k].sel))
				return true;
	}
	return false;
}

/* ------------------------------------------------------------------ a client's */

static unsigned int each_sent(void *ctx, void (*make)(const struct xipsec_selector *ts, void *into),
			      void *into)
{
	const struct xipsec_sa *sent = ctx;

	for (__u32 i = 0; i < sent->n_selectors; i++)
		if (!sent->refuse[i])
			make(&sent->selector[i], into);
	if (!sent->n_selectors)
		make(&selector_any, into);
	return sent->n_selectors;
}

/* A connection's rights are names of children: that of a tunnel gives all of it, that of policies
 * nothing beyond them. */
static const char *if_id_fault(const struct config *config, const struct xipsec_sa *sa)
{
	const struct config_tunnel *tunnel = config_tunnel_find(config, sa->if_id);

	if (!tunnel)
		return "no tunnel of the config has its if_id";
	if (strcmp(sa->child, tunnel->name) != 0)
		return "its child is not the tunnel of its if_id";
	return NULL;
}

/* What the SA makes known itself. NULL or what is wrong. */
static const char *learn(struct selectors *with, const struct config *config,
			 const struct xipsec_sa *sa)
{
	struct standin_addrs addrs;

	if (sa->if_id || !standin_addrs(config, sa, &addrs))
		return NULL;
	if (standin_rules(config, sa->child, &addrs, &with->known, &with->n_known))
		return "no memory";
	return NULL;
}

static bool inside(const struct selectors *with, const struct config *config,
		   const struct xipsec_sa *sa, const struct xipsec_selector *ts)
{
	for (unsigned int i = 0; i < with->n_known; i++)
		if (selector_within(ts, &with->known[i].rule.sel))
			return true;
	return sa_selectors_inside(config, sa, ts);
}

static const char *sent_fault(const struct selectors *with, const struct config *config,
			      const struct xipsec_sa *sa)
{
	for (__u32 i = 0; i < sa->n_selectors; i++)
		if (!sa->refuse[i] && !inside(with, config, sa, &sa->selector[i]))
			return "a selector reaches outside the child's policies";
	return NULL;
}

static const char *narrow(struct selectors *with, const struct config *config, struct xipsec_sa *sa)
{
	const char *fault = sent_fault(with, config, sa);
	struct xipsec_sa made;
	struct sa_selectors to;

	if (fault)
		return fault;
	memcpy(&made, sa, XIPSEC_SA_SIZE(0));
	OPENSSL_cleanse(made.key, sizeof(made.key));
	made.n_selectors = 0;
	memset(made.refuse, 0, sizeof(made.refuse));
	to = fill(with, config, &made, each_sent, sa);
	if (!to.n_serving)
		return "no policy protects its child in that direction";
	if (to.too_wide)
		return "transport mode, but a policy of its child reaches beyond its two addresses";
	if (!to.n_accept)
		return "its selectors leave nothing";
	if (to.too_many || to.n > XIPSEC_SELECTORS_MAX)
		return "too many selectors with the earlier rules that take something from them";
	sa->n_selectors = made.n_selectors;
	sa->flags = made.flags;
	memcpy(sa->refuse, made.refuse, sizeof(sa->refuse));
	memcpy(sa->selector, made.selector, made.n_selectors * sizeof(sa->selector[0]));
	return NULL;
}

const char *sa_selectors_narrow(const struct config *config, struct xipsec_sa *sa)
{
	struct selectors with = {0};
	const char *fault;

	if (!memchr(sa->child, 0, sizeof(sa->child)))
		return "its child's name has no end";
	if (sa->if_id && if_id_fault(config, sa))
		return if_id_fault(config, sa);
	if (sa->n_selectors > XIPSEC_SELECTORS_MAX)
		return "too many selectors";
	fault = learn(&with, config, sa);
	if (!fault)
		fault = narrow(&with, config, sa);
	free(with.known);
	return fault;
}

/* ------------------------------------------------------------------ on the way out */

/* Which interface a packet will leave by is not known where it is asked. */
static bool any_dev(const struct config *config, const struct xipsec_sa *sa)
{
	for (unsigned int i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		for (unsigned int k = 0; k < policy->n_rules; k++)
			if (policy->rules[k].dev && rule_serves(policy, &policy->rules[k], sa))
				return true;
	}
	return false;
}

const char *sa_selectors_leaving(const struct config *config, const struct xipsec_sa *sa,
				 struct xipsec_sa *out)
{
	struct selectors with = {.leaving = true};
	const char *fault;

	if (sa->if_id)
		return "routes lead into its child";
	if (any_dev(config, sa))
		return "a policy of its child names an interface";
	memcpy(out, sa, XIPSEC_SA_SIZE(0));
	OPENSSL_cleanse(out->key, sizeof(out->key));
	out->n_selectors = 0;
	memset(out->refuse, 0, sizeof(out->refuse));
	fault = learn(&with, config, sa);
	if (!fault)
		fault = narrow(&with, config, out);
	free(with.known);
	return fault;
}
