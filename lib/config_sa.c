// SPDX-License-Identifier: BSD-2-Clause
/* sas {}: manual SAs, each checked alone; config_sa_check.c checks them together. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "lib/addr.h"
#include "lib/alg.h"
#include "lib/config_alg.h"
#include "lib/config_sa.h"
#include "lib/config_section.h"
#include "lib/sa_fault.h"

#define WINDOW_DEFAULT 1024
#define NAT_T_PORT     4500 /* RFC 3948 2.1 */

/* "32 of key and then 4 of salt", in KEYMAT's order. */
static void key_parts(char *text, size_t size, const struct alg *alg)
{
	const struct {
		unsigned int len;
		const char *name;
	} parts[] = {
		{alg->cipher_key, alg->auth_key ? "cipher key" : "key"},
		{alg->salt, alg->auth_key ? "nonce" : "salt"},
		{alg->auth_key, alg->cipher_key ? "integrity key" : "key"},
	};
	size_t len = 0;

	text[0] = 0;
	for (unsigned int i = 0; i < 3; i++)
		if (parts[i].len && len < size)
			len += snprintf(text + len, size - len, "%s%u of %s",
					len ? " and then " : "", parts[i].len, parts[i].name);
}

static void key_length_check(struct config_diag *diag, const struct config_node *node,
			     const struct config_sa_draft *draft)
{
	const struct xipsec_sa *sa = draft->sa;
	char parts[128];

	if (sa->key_len == alg_key_len(sa->alg))
		return;
	key_parts(parts, sizeof(parts), alg_get(sa->alg));
	config_error(diag, &draft->key_place, "the key of %s has %u bytes: expected %u for %s, %s",
		     node->name, sa->key_len, alg_key_len(sa->alg), alg_name(sa->alg, sa->l4_proto),
		     parts);
}

static const struct config_node *key_node(const struct config_node *section, const char *name)
{
	for (const struct config_node *node = section->first; node; node = node->next)
		if (node->kind == CONFIG_VALUE && strcmp(node->name, name) == 0)
			return node;
	return NULL;
}

static void faults_check(struct config_diag *diag, const struct config_node *node,
			 const struct xipsec_sa *sa)
{
	struct sa_fault faults[SA_FAULTS_MAX];
	unsigned int n = sa_faults(sa, faults, SA_FAULTS_MAX);

	for (unsigned int i = 0; i < n; i++) {
		const struct config_node *key = key_node(node, faults[i].key);

		if (strcmp(faults[i].key, "key") == 0) /* key_length_check() says it better */
			continue;
		if (key)
			config_error(diag, &key->value_place, "%s = %s: %s: expected %s", key->name,
				     config_shown(key->value), faults[i].what, faults[i].expected);
		else
			config_error(diag, &node->place, "%s: %s: expected %s", node->name,
				     faults[i].what, faults[i].expected);
	}
}

/* In transport mode the packets are those between src and dst, and no others. */
static bool ts_is(const struct config_nets *ts, const struct xipsec_addr *addr, __u8 family)
{
	for (unsigned int i = 0; i < ts->n; i++) {
		const struct config_net *net = &ts->net[i];

		if (net->family != family || addr_compare(&net->lo, addr) ||
		    addr_compare(&net->hi, addr))
			return false;
	}
	return true;
}

static void transport_check(struct config_diag *diag, const struct config_node *node,
			    const struct config_sa_draft *draft)
{
	const struct xipsec_sa *sa = draft->sa;
	bool out = sa->dir == XIPSEC_DIR_OUT;
	const struct {
		const char *name, *end;
		const struct config_nets *ts;
		const struct xipsec_addr *addr;
	} sides[] = {
		{"local_ts", out ? "src" : "dst", &draft->local_ts, out ? &sa->src : &sa->dst},
		{"remote_ts", out ? "dst" : "src", &draft->remote_ts, out ? &sa->dst : &sa->src},
	};

	for (unsigned int i = 0; sa->mode == XIPSEC_MODE_TRANSPORT && i < 2; i++) {
		const struct config_node *key = key_node(node, sides[i].name);

		if (key && !ts_is(sides[i].ts, sides[i].addr, sa->outer_family))
			config_error(diag, &key->value_place,
				     "%s = %s: transport mode carries only packets between src and "
				     "dst: expected the address of %s, or no %s",
				     key->name, config_shown(key->value), sides[i].end, key->name);
	}
}

static bool sa_fits(struct config_diag *diag, const struct config_node *node,
		    const struct config_sa_draft *draft)
{
	const struct xipsec_sa *sa = draft->sa;
	unsigned int before = diag->errors;

	if (!sa->child[0] && !sa->if_id)
		config_error(diag, &node->place,
			     "%s has no child: expected `child = ...`, or if_id of a tunnel",
			     node->name);
	key_length_check(diag, node, draft);
	if (draft->src_family != sa->outer_family)
		config_error(diag, &node->place,
			     "src and dst of %s are of two families: expected IPv4 with IPv4 or "
			     "IPv6 with IPv6",
			     node->name);
	else if (memcmp(&sa->src, &sa->dst, sizeof(sa->src)) == 0)
		config_error(diag, &node->place,
			     "src and dst of %s are the same: expected two gateways", node->name);
	faults_check(diag, node, sa);
	transport_check(diag, node, draft);
	return diag->errors == before;
}

/* What stands in no single key. */
static bool sa_complete(struct config_diag *diag, const struct config_sa_draft *draft)
{
	struct xipsec_sa *sa = draft->sa;

	if (sa->flags & XIPSEC_SA_UDP) {
		sa->src_port = sa->src_port ? sa->src_port : htons(NAT_T_PORT);
		sa->dst_port = sa->dst_port ? sa->dst_port : htons(NAT_T_PORT);
	}
	return parse_algorithm(diag, draft->algorithm, sa->l4_proto, &sa->alg);
}

static bool section_sa(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *all = into;
	struct config_sa *out = &all->config->sas[all->config->n_sas];
	struct config_sa_draft *draft = &all->sa[all->config->n_sas];

	draft->sa = &out->sa;
	draft->place = draft->key_place = draft->window_place = draft->if_id_place = node->place;
	out->line = node->place.line;
	strcpy(out->sa.name, node->name);
	out->sa.l4_proto = IPPROTO_ESP;
	out->sa.mode = XIPSEC_MODE_TUNNEL;
	out->sa.flags = XIPSEC_SA_MANUAL;
	out->sa.window = WINDOW_DEFAULT;
	if (!config_walk(diag, node, node->first, config_sa_keys, draft) ||
	    !sa_complete(diag, draft) || !sa_fits(diag, node, draft)) {
		OPENSSL_cleanse(out, sizeof(*out)); /* the next one takes its place */
		memset(draft, 0, sizeof(*draft));
		return false;
	}
	all->config->n_sas++;
	return true;
}

bool config_sas(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;
	unsigned int n = config_count(node);

	draft->config->sas = calloc(n + 1, sizeof(draft->config->sas[0]));
	draft->sa = calloc(n + 1, sizeof(draft->sa[0]));
	if (!draft->config->sas || !draft->sa) {
		diag->nomem = true;
		return false;
	}
	return config_walk_named(diag, node, XIPSEC_NAME_LEN, section_sa, draft);
}
