// SPDX-License-Identifier: BSD-2-Clause
/* SAs against the policies they serve, against the workers, and against each other. */
#include <string.h>
#include <openssl/crypto.h>
#include "lib/config_policy.h"
#include "lib/config_sa.h"
#include "lib/config_section.h"

/* With several workers an outbound SA's packets leave out of order by up to some bursts. */
#define WINDOW_SHARED_MIN 1024

struct selectors {
	struct xipsec_sa *sa;
	const struct config *config;
	struct config_diag *diag;
	const struct config_place *place;
	bool too_many, outside;
};

static void selector_add(struct selectors *to, const struct xipsec_selector *sel)
{
	if (to->sa->n_selectors == XIPSEC_SELECTORS_MAX)
		to->too_many = true;
	else
		to->sa->selector[to->sa->n_selectors++] = *sel;
}

/* The rules that lead packets of the SA's direction into its child. */
static bool rule_serves(const struct config_policy *policy, const struct xipsec_spd_rule *rule,
			const struct xipsec_sa *sa)
{
	return rule->action == XIPSEC_ACTION_PROTECT && (rule->dirs & sa->dir) &&
	       strcmp(policy->child, sa->child) == 0;
}

static unsigned int each_rule(const struct config *config, const struct xipsec_sa *sa,
			      bool (*wanted)(const struct xipsec_spd_rule *rule, void *with),
			      void *with)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		for (unsigned int k = 0; k < policy->n_rules; k++)
			if (rule_serves(policy, &policy->rules[k], sa))
				n += wanted(&policy->rules[k], with);
	}
	return n;
}

static bool rule_any(const struct xipsec_spd_rule *rule, void *with)
{
	return true;
}

static bool rule_take(const struct xipsec_spd_rule *rule, void *with)
{
	selector_add(with, &rule->sel);
	return true;
}

static bool rule_covers(const struct xipsec_spd_rule *rule, void *with)
{
	return selector_within(with, &rule->sel);
}

static void ts_make(const struct xipsec_selector *sel, void *into)
{
	struct selectors *to = into;
	struct xipsec_selector copy = *sel;

	if (!each_rule(to->config, to->sa, rule_covers, &copy))
		to->outside = true;
	selector_add(to, sel);
}

static void selectors_fill(struct config_diag *diag, const struct config *config,
			   const struct config_sa_draft *draft)
{
	struct xipsec_sa *sa = draft->sa;
	struct selectors to = {.sa = sa, .config = config, .diag = diag, .place = &draft->place};

	if (!each_rule(config, sa, rule_any, NULL)) {
		config_error(diag, &draft->place,
			     "%s: no policy protects its child %s in direction %s: expected one "
			     "with action = protect, that child and that direction",
			     sa->name, config_shown(sa->child),
			     sa->dir == XIPSEC_DIR_IN ? "in" : "out");
		return;
	}
	if (!draft->local_ts.n && !draft->remote_ts.n)
		each_rule(config, sa, rule_take, &to);
	else if (!selector_pairs(&draft->local_ts, &draft->remote_ts, &selector_any, ts_make, &to))
		config_error(diag, &draft->place,
			     "%s: no pair of local_ts and remote_ts is of one family: expected "
			     "IPv4 with IPv4 or IPv6 with IPv6",
			     sa->name);
	if (to.too_many)
		config_error(diag, &draft->place, "%s has too many selectors: expected at most %u",
			     sa->name, XIPSEC_SELECTORS_MAX);
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
