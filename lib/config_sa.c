// SPDX-License-Identifier: BSD-2-Clause
/* sas {}: manual SAs, each checked alone; config_sa_check.c checks them together. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "lib/alg.h"
#include "lib/config_key.h"
#include "lib/config_keyfile.h"
#include "lib/config_sa.h"
#include "lib/config_section.h"

#define WINDOW_DEFAULT 1024
#define SPI_MIN        256 /* RFC 4303 2.1: 1 to 255 are reserved, 0 is for local use */

static bool key_child(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_name(diag, node, draft->sa->child, sizeof(draft->sa->child));
}

static bool key_direction(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word directions[] = {
		{"out", XIPSEC_DIR_OUT},
		{"in", XIPSEC_DIR_IN},
		{NULL, 0},
	};
	struct config_sa_draft *draft = into;
	unsigned int dir;

	if (!parse_word(diag, node, directions, &dir))
		return false;
	draft->sa->dir = dir;
	return true;
}

static bool key_src(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_address(diag, node, &draft->sa->src, &draft->src_family);
}

static bool key_dst(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_address(diag, node, &draft->sa->dst, &draft->sa->outer_family);
}

static bool key_spi(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;
	unsigned int spi;

	if (!text_number(node->value, &spi) || spi < SPI_MIN) {
		config_error(diag, &node->value_place,
			     "spi = %s: expected a number from 256 to 0xffffffff",
			     config_shown(node->value));
		return false;
	}
	draft->sa->spi = htonl(spi);
	return true;
}

static bool key_algorithm(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word words[] = {
#define ALGORITHM(sym, text, key, auth, salt, iv, icv, align) {text, XIPSEC_ALG_##sym},
		XIPSEC_ALGS(ALGORITHM)
#undef ALGORITHM
			{NULL, 0},
	};
	struct config_sa_draft *draft = into;
	unsigned int alg;

	if (!parse_word(diag, node, words, &alg))
		return false;
	draft->sa->alg = alg;
	return true;
}

static bool key_key(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	draft->key_place = node->value_place;
	return parse_key(diag, node, draft->sa->key, sizeof(draft->sa->key), &draft->sa->key_len);
}

static bool key_flag(struct config_diag *diag, const struct config_node *node, void *into,
		     __u16 flag)
{
	struct config_sa_draft *draft = into;
	bool on;

	if (!parse_bool(diag, node, &on))
		return false;
	if (on)
		draft->sa->flags |= flag;
	return true;
}

static bool key_esn(struct config_diag *diag, const struct config_node *node, void *into)
{
	return key_flag(diag, node, into, XIPSEC_SA_ESN);
}

static bool key_fresh_key(struct config_diag *diag, const struct config_node *node, void *into)
{
	return key_flag(diag, node, into, XIPSEC_SA_FRESH_KEY);
}

static bool key_replay_window(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	draft->window_place = node->value_place;
	return parse_number(diag, node, XIPSEC_WINDOW_MIN, XIPSEC_WINDOW_MAX, &draft->sa->window);
}

static bool key_engine(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word engines[] = {
		{"auto", XIPSEC_ENGINE_NONE},
		{"afxdp", XIPSEC_ENGINE_AFXDP},
		{"xfrm", XIPSEC_ENGINE_XFRM},
		{NULL, 0},
	};
	struct config_sa_draft *draft = into;
	unsigned int engine;

	if (!parse_word(diag, node, engines, &engine))
		return false;
	if (engine == XIPSEC_ENGINE_XFRM) {
		config_error(diag, &node->value_place,
			     "engine = xfrm is not supported in this version: expected auto or "
			     "afxdp");
		return false;
	}
	draft->sa->engine = engine;
	return true;
}

static bool key_mode(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word modes[] = {
		{"tunnel", XIPSEC_MODE_TUNNEL},
		{"transport", XIPSEC_MODE_TRANSPORT},
		{NULL, 0},
	};
	unsigned int mode;

	if (!parse_word(diag, node, modes, &mode))
		return false;
	if (mode == XIPSEC_MODE_TRANSPORT) {
		config_error(diag, &node->value_place,
			     "mode = transport is not supported in this version: expected tunnel");
		return false;
	}
	return true;
}

static bool key_local_ts(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_prefixes(diag, node, &draft->local_ts);
}

static bool key_remote_ts(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_sa_draft *draft = into;

	return parse_prefixes(diag, node, &draft->remote_ts);
}

static bool sa_fits(struct config_diag *diag, const struct config_node *node,
		    const struct config_sa_draft *draft)
{
	const struct xipsec_sa *sa = draft->sa;
	unsigned int before = diag->errors;
	const struct alg *alg = alg_get(sa->alg);

	if (sa->key_len != alg_key_len(sa->alg))
		config_error(diag, &draft->key_place,
			     "the key of %s has %u bytes: expected %u for %s, %u of %s and then "
			     "%u of %s",
			     node->name, sa->key_len, alg_key_len(sa->alg), alg->name,
			     alg->cipher_key + (alg->auth_key ? alg->salt : 0),
			     alg->auth_key ? "cipher key (CTR: and nonce)" : "key",
			     alg->auth_key ? alg->auth_key : alg->salt,
			     alg->auth_key ? "integrity key" : "salt");
	if (draft->src_family != sa->outer_family)
		config_error(diag, &node->place,
			     "src and dst of %s are of two families: expected IPv4 with IPv4 or "
			     "IPv6 with IPv6",
			     node->name);
	else if (memcmp(&sa->src, &sa->dst, sizeof(sa->src)) == 0)
		config_error(diag, &node->place,
			     "src and dst of %s are the same: expected two gateways", node->name);
	return diag->errors == before;
}

static const struct config_key sa_keys[] = {
	{"child", key_child, false, true},
	{"direction", key_direction, false, true},
	{"src", key_src, false, true},
	{"dst", key_dst, false, true},
	{"spi", key_spi, false, true},
	{"algorithm", key_algorithm, false, true},
	{"key", key_key, false, true},
	{"esn", key_esn, false, false},
	{"replay_window", key_replay_window, false, false},
	{"engine", key_engine, false, false},
	{"mode", key_mode, false, false},
	{"fresh_key", key_fresh_key, false, false},
	{"local_ts", key_local_ts, false, false},
	{"remote_ts", key_remote_ts, false, false},
	{0},
};

static bool section_sa(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *all = into;
	struct config_sa *out = &all->config->sas[all->config->n_sas];
	struct config_sa_draft *draft = &all->sa[all->config->n_sas];

	draft->sa = &out->sa;
	draft->place = draft->key_place = draft->window_place = node->place;
	out->line = node->place.line;
	strcpy(out->sa.name, node->name);
	out->sa.l4_proto = IPPROTO_ESP;
	out->sa.mode = XIPSEC_MODE_TUNNEL;
	out->sa.flags = XIPSEC_SA_MANUAL;
	out->sa.window = WINDOW_DEFAULT;
	if (!config_walk(diag, node, node->first, sa_keys, draft) || !sa_fits(diag, node, draft)) {
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
