// SPDX-License-Identifier: BSD-2-Clause
/* SAs against the policies they serve, against the workers, and against each other. */
#include <string.h>
#include <openssl/crypto.h>
#include "lib/config_policy.h"
#include "lib/config_sa.h"
#include "lib/config_section.h"

/* With several workers an outbound SA's packets leave out of order by up to some bursts. */
#define WINDOW_SHARED_MIN 1024

/* Before rules that nothing of the SA follows are taken out. */
#define ENTRIES_MAX (XIPSEC_RULES_MAX + XIPSEC_SELECTORS_MAX)

struct entry {
	struct xipsec_selector sel;
	bool refuse;
};

struct selectors {
	const struct config *config;
	const struct xipsec_sa *sa;
	const struct xipsec_spd_rule *rule; /* the one being looked at */
	unsigned int n_serving, n_accept, n;
	bool too_many, outside;
	struct entry entry[ENTRIES_MAX]; /* in the order of the SPD */
};

/* The rules that lead packets of the SA's direction into its child. */
static bool rule_serves(const struct config_policy *policy, const struct xipsec_spd_rule *rule,
			const struct xipsec_sa *sa)
{
	return rule->action == XIPSEC_ACTION_PROTECT && (rule->dirs & sa->dir) &&
	       strcmp(policy->child, sa->child) == 0;
}

/* An entry inside an earlier one of its kind never decides. */
static void entry_add(struct selectors *to, const struct xipsec_selector *sel, bool refuse)
{
	for (unsigned int i = 0; i < to->n; i++)
		if (to->entry[i].refuse == refuse && selector_within(sel, &to->entry[i].sel))
			return;
	if (!refuse && to->n_accept == XIPSEC_SELECTORS_MAX) {
		to->too_many = true;
		return;
	}
	to->n_accept += !refuse;
	to->entry[to->n++] = (struct entry){*sel, refuse};
}

/* What the SA's own selectors leave of the rule. */
static void accept_make(const struct xipsec_selector *ts, void *into)
{
	struct selectors *to = into;
	struct xipsec_selector both;

	if (selector_meet(ts, &to->rule->sel, &both))
		entry_add(to, &both, false);
}

static void ts_check(const struct xipsec_selector *ts, void *into)
{
	struct selectors *to = into;

	for (unsigned int i = 0; i < to->config->n_policies; i++) {
		const struct config_policy *policy = &to->config->policies[i];

		for (unsigned int k = 0; k < policy->n_rules; k++)
			if (rule_serves(policy, &policy->rules[k], to->sa) &&
			    selector_within(ts, &policy->rules[k].sel))
				return;
	}
	to->outside = true;
}

/* Nothing is checked as it leaves by an SA: the SPD sent it there, in order. */
static void entries_make(struct selectors *to, const struct config_sa_draft *draft)
{
	const struct config *config = to->config;

	for (unsigned int i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		for (unsigned int k = 0; k < policy->n_rules; k++) {
			to->rule = &policy->rules[k];
			if (rule_serves(policy, to->rule, to->sa)) {
				to->n_serving++;
				selector_pairs(&draft->local_ts, &draft->remote_ts, &selector_any,
					       accept_make, to);
			} else if (to->sa->dir & to->rule->dirs & XIPSEC_DIR_IN) {
				entry_add(to, &to->rule->sel, true);
			}
		}
	}
}

/* A rule counts only if it takes something from a selector that follows. */
static bool entry_counts(const struct selectors *from, unsigned int i)
{
	struct xipsec_selector both;

	if (!from->entry[i].refuse)
		return true;
	for (unsigned int k = i + 1; k < from->n; k++)
		if (!from->entry[k].refuse &&
		    selector_meet(&from->entry[i].sel, &from->entry[k].sel, &both))
			return true;
	return false;
}

/* Returns how many there are, of which as many as fit are written. */
static unsigned int entries_put(const struct selectors *from, struct xipsec_sa *sa)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < from->n; i++) {
		if (!entry_counts(from, i))
			continue;
		if (n < XIPSEC_SELECTORS_MAX) {
			sa->selector[n] = from->entry[i].sel;
			sa->refuse[n] = from->entry[i].refuse;
			sa->n_selectors = n + 1;
		}
		n++;
	}
	return n;
}

static void selectors_fill(struct config_diag *diag, const struct config *config,
			   const struct config_sa_draft *draft)
{
	struct xipsec_sa *sa = draft->sa;
	struct selectors to = {.sa = sa, .config = config};
	unsigned int n;

	entries_make(&to, draft);
	if (!to.n_serving) {
		config_error(diag, &draft->place,
			     "%s: no policy protects its child %s in direction %s: expected one "
			     "with action = protect, that child and that direction",
			     sa->name, config_shown(sa->child),
			     sa->dir == XIPSEC_DIR_IN ? "in" : "out");
		return;
	}
	n = entries_put(&to, sa);
	if ((draft->local_ts.n || draft->remote_ts.n) &&
	    !selector_pairs(&draft->local_ts, &draft->remote_ts, &selector_any, ts_check, &to))
		config_error(diag, &draft->place,
			     "%s: no pair of local_ts and remote_ts is of one family: expected "
			     "IPv4 with IPv4 or IPv6 with IPv6",
			     sa->name);
	if (to.too_many)
		config_error(diag, &draft->place, "%s has too many selectors: expected at most %u",
			     sa->name, XIPSEC_SELECTORS_MAX);
	else if (n > XIPSEC_SELECTORS_MAX)
		config_error(diag, &draft->place,
			     "%s has too many selectors: %u with the %u earlier rules that take "
			     "something from them: expected at most %u; put the policies of "
			     "child %s earlier, or use fewer and wider prefixes",
			     sa->name, n, n - to.n_accept, XIPSEC_SELECTORS_MAX,
			     config_shown(sa->child));
	if (to.outside)
		config_error(diag, &draft->place,
			     "%s: local_ts and remote_ts are wider than the policies of child %s: "
			     "expected each pair inside one of them",
			     sa->name, config_shown(sa->child));
}

static void window_check(struct config_diag *diag, const struct config_draft *draft,
			 const struct config_sa_draft *sa)
{
	if (sa->sa->dir != XIPSEC_DIR_OUT || !draft->workers_told || draft->config->workers < 2 ||
	    sa->sa->window >= WINDOW_SHARED_MIN)
		return;
	config_error(diag, &sa->window_place,
		     "%s: a replay window of %u is too narrow for an outbound SA that %u workers "
		     "share: expected replay_window of at least %u on both gateways, or "
		     "workers = 1",
		     sa->sa->name, sa->sa->window, draft->config->workers, WINDOW_SHARED_MIN);
}

static void pair_check(struct config_diag *diag, const struct config_sa_draft *before,
		       const struct config_sa_draft *sa)
{
	const struct xipsec_sa *a = before->sa, *b = sa->sa;

	if (a->spi == b->spi && a->outer_family == b->outer_family &&
	    memcmp(&a->dst, &b->dst, sizeof(a->dst)) == 0)
		config_error(diag, &sa->place,
			     "%s has the dst and spi of %s (%s:%u): expected another spi", b->name,
			     a->name, before->place.file->name, before->place.line);
	if (a->key_len == b->key_len && CRYPTO_memcmp(a->key, b->key, a->key_len) == 0)
		config_error(diag, &sa->key_place,
			     "%s has the key of %s (%s:%u), so nonces would be used twice: "
			     "expected a key of its own",
			     b->name, a->name, before->place.file->name, before->place.line);
}

void config_sas_check(struct config_diag *diag, struct config_draft *draft)
{
	const struct config *config = draft->config;

	for (unsigned int i = 0; i < config->n_sas; i++) {
		const struct config_sa_draft *sa = &draft->sa[i];

		if (draft->policies_ok)
			selectors_fill(diag, config, sa);
		window_check(diag, draft, sa);
		for (unsigned int k = 0; k < i; k++)
			pair_check(diag, &draft->sa[k], sa);
	}
	if (config->n_sas > config->max_sas)
		config_error(diag, &draft->sa[config->max_sas].place,
			     "more SAs than max_sas = %u: expected a larger max_sas",
			     config->max_sas);
}
