// SPDX-License-Identifier: BSD-2-Clause
/* SAs against the policies they serve, against the workers, and against each other. */
#include <string.h>
#include <openssl/crypto.h>
#include "lib/alg.h"
#include "lib/config_policy.h"
#include "lib/config_sa.h"
#include "lib/config_section.h"
#include "lib/sa_selectors.h"

/* With several workers an outbound SA's packets leave out of order by up to some bursts. */
#define WINDOW_SHARED_MIN 1024

#define CIPHER_KEY_MIN 16 /* bytes */

/* The pairs of local_ts and remote_ts; without both, all packets. */
static unsigned int each_pair(void *ctx, void (*make)(const struct xipsec_selector *ts, void *into),
			      void *into)
{
	const struct config_sa_draft *draft = ctx;

	return selector_pairs(&draft->local_ts, &draft->remote_ts, &selector_any, make, into);
}

struct inside {
	const struct config *config;
	const struct xipsec_sa *sa;
	bool outside;
};

static void inside_check(const struct xipsec_selector *ts, void *into)
{
	struct inside *in = into;

	in->outside |= !sa_selectors_inside(in->config, in->sa, ts);
}

/* Its child is the tunnel; false: told. */
static bool tunnel_find(struct config_diag *diag, const struct config *config,
			struct config_sa_draft *draft)
{
	struct xipsec_sa *sa = draft->sa;
	const struct config_tunnel *tunnel = config_tunnel_asked(diag, &draft->if_id_place, config,
								 sa->name, sa->if_id, sa->engine);

	if (!tunnel)
		return false;
	if (sa->child[0] && strcmp(sa->child, tunnel->name) != 0) {
		config_error(diag, &draft->if_id_place,
			     "%s: if_id = %u leads it to the tunnel %s, no policy to its child %s: "
			     "expected no child, or child = %s",
			     sa->name, sa->if_id, tunnel->name, config_shown(sa->child),
			     tunnel->name);
		return false;
	}
	strcpy(sa->child, tunnel->name);
	return true;
}

static void selectors_fill(struct config_diag *diag, const struct config *config,
			   struct config_sa_draft *draft)
{
	struct xipsec_sa *sa = draft->sa;
	struct inside in = {config, sa, false};
	struct sa_selectors to = sa_selectors_fill(config, sa, each_pair, draft);

	if (!to.n_serving) {
		config_error(diag, &draft->place,
			     "%s: no policy protects its child %s in direction %s: expected one "
			     "with action = protect, that child and that direction",
			     sa->name, config_shown(sa->child),
			     sa->dir == XIPSEC_DIR_IN ? "in" : "out");
		return;
	}
	if (to.too_wide)
		config_error(diag, &draft->place,
			     "%s: policies of child %s reach beyond src and dst, which is all that "
			     "transport mode carries: expected local and remote to be those two "
			     "addresses, or mode = tunnel",
			     sa->name, config_shown(sa->child));
	/* in transport mode they name no more than the two addresses, see transport_check() */
	if (sa->mode == XIPSEC_MODE_TUNNEL && (draft->local_ts.n || draft->remote_ts.n) &&
	    !each_pair(draft, inside_check, &in))
		config_error(diag, &draft->place,
			     "%s: no pair of local_ts and remote_ts is of one family: expected "
			     "IPv4 with IPv4 or IPv6 with IPv6",
			     sa->name);
	if (to.too_many)
		config_error(diag, &draft->place, "%s has too many selectors: expected at most %u",
			     sa->name, XIPSEC_SELECTORS_MAX);
	else if (to.n > XIPSEC_SELECTORS_MAX)
		config_error(diag, &draft->place,
			     "%s has too many selectors: %u with the %u earlier rules that take "
			     "something from them: expected at most %u; put the policies of "
			     "child %s earlier, or use fewer and wider prefixes",
			     sa->name, to.n, to.n - to.n_accept, XIPSEC_SELECTORS_MAX,
			     config_shown(sa->child));
	if (in.outside)
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

static bool same_nonces(const struct xipsec_sa *a, const struct xipsec_sa *b)
{
	__u8 of_a[XIPSEC_KEY_MAX], of_b[XIPSEC_KEY_MAX];
	__u32 len;
	bool same;

	/* Of any kind it begins so; nearly all pairs end here. */
	if (CRYPTO_memcmp(a->key, b->key, CIPHER_KEY_MIN) != 0)
		return false;
	len = alg_nonces(a->alg, a->key, a->key_len, of_a);
	same = alg_nonces(b->alg, b->key, b->key_len, of_b) == len &&
	       CRYPTO_memcmp(of_a, of_b, len) == 0;
	OPENSSL_cleanse(of_a, sizeof(of_a));
	OPENSSL_cleanse(of_b, sizeof(of_b));
	return same;
}

static void pair_check(struct config_diag *diag, const struct config_sa_draft *before,
		       const struct config_sa_draft *sa)
{
	const struct xipsec_sa *a = before->sa, *b = sa->sa;

	if (a->spi == b->spi && a->l4_proto == b->l4_proto && a->outer_family == b->outer_family &&
	    memcmp(&a->dst, &b->dst, sizeof(a->dst)) == 0)
		config_error(diag, &sa->place,
			     "%s has the dst and spi of %s (%s:%u): expected another spi", b->name,
			     a->name, before->place.file->name, before->place.line);
	if (same_nonces(a, b))
		config_error(diag, &sa->key_place,
			     "%s has the %s of %s (%s:%u), so nonces would be used twice: "
			     "expected a key of its own",
			     b->name,
			     a->key_len == b->key_len &&
					     CRYPTO_memcmp(a->key, b->key, a->key_len) == 0
				     ? "key"
				     : "cipher key and salt",
			     a->name, before->place.file->name, before->place.line);
}

void config_sas_check(struct config_diag *diag, struct config_draft *draft)
{
	const struct config *config = draft->config;

	for (unsigned int i = 0; i < config->n_sas; i++) {
		struct config_sa_draft *sa = &draft->sa[i];

		if (sa->sa->if_id ? draft->tunnels_ok && tunnel_find(diag, config, sa)
				  : draft->policies_ok)
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
