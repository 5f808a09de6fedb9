// SPDX-License-Identifier: BSD-2-Clause
/* tunnels {} of datapath {}: interfaces that lead into SAs by if_id, not by policies. */
#include <stdlib.h>
#include <string.h>
#include "lib/config_key.h"
#include "lib/config_section.h"
#include "lib/config_value.h"

#define MTU_MIN 576
#define MTU_MAX 65535

/* The TAP of xipsecd. */
#define NAME_TAKEN "xipsec0"

const struct config_tunnel *config_tunnel_find(const struct config *config, __u32 if_id)
{
	for (unsigned int i = 0; i < config->n_tunnels; i++)
		if (config->tunnels[i].if_id == if_id)
			return &config->tunnels[i];
	return NULL;
}

bool config_tunnel_takes(const struct config_tunnel *tunnel, __u8 engine)
{
	return engine == XIPSEC_ENGINE_NONE || engine == tunnel->engine;
}

const struct config_tunnel *config_tunnel_asked(struct config_diag *diag,
						const struct config_place *place,
						const struct config *config, const char *name,
						__u32 if_id, __u8 engine)
{
	const struct config_tunnel *tunnel = config_tunnel_find(config, if_id);

	if (!tunnel) {
		config_error(diag, place,
			     "%s: no tunnel has if_id = %u: expected one in datapath { tunnels { "
			     "NAME { if_id = %u } } }",
			     name, if_id, if_id);
		return NULL;
	}
	if (!config_tunnel_takes(tunnel, engine)) {
		config_error(diag, place,
			     "%s: the tunnel %s has another engine: expected the same in both, or "
			     "no engine here",
			     name, tunnel->name);
		return NULL;
	}
	return tunnel;
}

static bool key_if_id(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_tunnel *tunnel = into;

	return parse_number(diag, node, 1, 0xffffffff, &tunnel->if_id);
}

static bool key_mtu(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_tunnel *tunnel = into;

	return parse_number(diag, node, MTU_MIN, MTU_MAX, &tunnel->mtu);
}

/* Not auto: it says what kind of interface there is before an SA is. */
static bool key_engine(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word engines[] = {
		{"afxdp", XIPSEC_ENGINE_AFXDP}, {"xfrm", XIPSEC_ENGINE_XFRM}, {NULL, 0}};
	struct config_tunnel *tunnel = into;
	unsigned int engine;

	if (!parse_word(diag, node, engines, &engine))
		return false;
	tunnel->engine = (__u8)engine;
	return true;
}

static bool section_tunnel(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_key keys[] = {
		{"if_id", key_if_id, false, true},
		{"mtu", key_mtu, false, false},
		{"engine", key_engine, false, false},
		{0},
	};
	struct config_draft *draft = into;
	struct config *config = draft->config;
	const struct config_tunnel *before;
	struct config_tunnel tunnel = {.engine = XIPSEC_ENGINE_AFXDP};

	if (!config_walk(diag, node, node->first, keys, &tunnel))
		return false;
	if (strcmp(node->name, NAME_TAKEN) == 0) {
		config_error(diag, &node->place,
			     NAME_TAKEN
			     " is the interface of xipsecd itself: expected another name");
		return false;
	}
	before = config_tunnel_find(config, tunnel.if_id);
	if (before) {
		config_error(diag, &node->place,
			     "%s has the if_id of %s, %u: expected an if_id of its own", node->name,
			     before->name, tunnel.if_id);
		return false;
	}
	strcpy(tunnel.name, node->name);
	draft->tunnel_place[config->n_tunnels] = node->place;
	config->tunnels[config->n_tunnels++] = tunnel;
	return true;
}

bool config_tunnels(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;
	unsigned int n = config_count(node);

	draft->config->tunnels = calloc(n + 1, sizeof(draft->config->tunnels[0]));
	draft->tunnel_place = calloc(n + 1, sizeof(draft->tunnel_place[0]));
	if (!draft->config->tunnels || !draft->tunnel_place) {
		diag->nomem = true;
		return false;
	}
	return config_walk_named(diag, node, sizeof(draft->config->tunnels[0].name), section_tunnel,
				 draft);
}

/* ------------------------------------------------------------------ against other sections */

static bool is_used(const struct config *config, const struct config_tunnel *tunnel)
{
	for (unsigned int i = 0; i < config->n_sas; i++)
		if (config->sas[i].sa.if_id == tunnel->if_id)
			return true;
	return false;
}

static void tunnel_check(struct config_diag *diag, const struct config_draft *draft, unsigned int i)
{
	const struct config *config = draft->config;
	const struct config_tunnel *tunnel = &config->tunnels[i];

	for (unsigned int k = 0; k < config->n_ifaces; k++)
		if (strcmp(config->ifaces[k].name, tunnel->name) == 0)
			config_error(diag, &draft->tunnel_place[i],
				     "%s has a role and is a tunnel: expected one of both",
				     tunnel->name);
	for (unsigned int k = 0; k < config->n_policies; k++)
		if (strcmp(config->policies[k].child, tunnel->name) == 0)
			config_error(diag, &draft->policy_place[k],
				     "%s leads into %s, which is a tunnel: what goes there is for "
				     "routes to say: expected another child",
				     config->policies[k].name, tunnel->name);
	/* clients may bring its SAs later */
	if (!is_used(config, tunnel))
		config_warn(diag, &draft->tunnel_place[i], "%s: no SA of sas {} has if_id = %u",
			    tunnel->name, tunnel->if_id);
}

void config_tunnels_check(struct config_diag *diag, const struct config_draft *draft)
{
	for (unsigned int i = 0; i < draft->config->n_tunnels; i++)
		tunnel_check(diag, draft, i);
}
