// SPDX-License-Identifier: BSD-2-Clause
/* SAs against the policies they serve, against the workers, and against each other. */
#include <stdio.h>
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

/* Does the list fit into an SA? */
static void room_check(struct config_diag *diag, const struct config_place *place, const char *name,
		       const struct sa_selectors *to, const char *remedy)
{
	if (to->too_many)
		config_error(diag, place, "%s has too many selectors: expected at most %u", name,
			     XIPSEC_SELECTORS_MAX);
	else if (to->n > XIPSEC_SELECTORS_MAX)
		config_error(diag, place,
			     "%s has too many selectors: %s%u with the %u earlier rules that take "
			     "something from them: expected at most %u; %s, or use fewer and wider "
			     "prefixes",
			     name, to->more ? "at least " : "", to->n, to->n - to->n_accept,
			     XIPSEC_SELECTORS_MAX, remedy);
}

static void selectors_fill(struct config_diag *diag, const struct config *config,
			   struct config_sa_draft *draft)
{
	struct xipsec_sa *sa = draft->sa;
	struct inside in = {config, sa, false};
	struct sa_selectors to = sa_selectors_fill(config, sa, each_pair, draft);
	char remedy[XIPSEC_NAME_LEN + 64];

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
	snprintf(remedy, sizeof(remedy), "put the policies of child %s earlier",
		 config_shown(sa->child));
	room_check(diag, &draft->place, sa->name, &to, remedy);
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

/* ------------------------------------------------------------------ children of connections {} */

/* Children times rules that are looked at, which takes half a second: of more than that it is told
 * when an SA of such a child is refused. */
#define CHILD_RULES_MAX (1u << 24)

static unsigned int each_all(void *ctx, void (*make)(const struct xipsec_selector *ts, void *into),
			     void *into)
{
	make(&selector_any, into);
	return 0;
}

/* The section of a child in that of its connection, or, where it has it from another one by
 * reference, that of the connection. */
static const struct config_place *child_place(const struct config_node *conn, const char *name)
{
	for (const struct config_node *node = conn->first; node; node = node->next) {
		if (node->kind != CONFIG_SECTION || strcmp(node->name, "children") != 0)
			continue;
		for (const struct config_node *child = node->first; child; child = child->next)
			if (child->kind == CONFIG_SECTION && strcmp(child->name, name) == 0)
				return &child->place;
	}
	return &conn->place;
}

/* What may come out of its SA, if the peer takes all that is offered. Nearly every child has an
 * answer so narrow that its list fits, so that is no excuse: a peer that takes all is the usual
 * one, and with it the child would not come up, or a reload would end the SA that it has. Who knows
 * that the peer takes less can offer that. What a dynamic child will be is not known yet. */
static void child_room_check(struct config_diag *diag, const struct config_draft *draft,
			     unsigned int i, const struct conn_child *child)
{
	struct xipsec_sa sa = {.dir = XIPSEC_DIR_IN, .mode = XIPSEC_MODE_TUNNEL};
	struct sa_selectors to;
	char name[XIPSEC_NAME_LEN + 16];

	strcpy(sa.child, child->sadb_name);
	to = sa_selectors_fill(draft->config, &sa, each_all, NULL);
	snprintf(name, sizeof(name), "child %s", child->sadb_name);
	room_check(diag, child_place(draft->conn_node[i], child->name), name, &to,
		   "put connections {} before them (action = connections), offer less (local_ts, "
		   "remote_ts)");
}

void config_children_check(struct config_diag *diag, const struct config_draft *draft)
{
	const struct config *config = draft->config;
	unsigned int n_rules = 0, n = config->n_conns_policies;

	for (unsigned int i = 0; i < config->n_policies; i++)
		n_rules += config->policies[i].n_rules;
	if (n_rules <= XIPSEC_SELECTORS_MAX || !draft->policies_ok ||
	    (__u64)n * n_rules > CHILD_RULES_MAX)
		return;
	for (unsigned int i = 0; i < config->n_conns; i++) {
		const struct conn *conn = &config->conns[i];

		/* Of a client's it would be an error of the file. */
		for (unsigned int k = 0; !conn->client && k < conn->n_children; k++)
			if (!conn->children[k].if_id)
				child_room_check(diag, draft, i, &conn->children[k]);
	}
}
