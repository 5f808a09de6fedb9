// SPDX-License-Identifier: BSD-2-Clause
/* connections {} and secrets {} as wholes: lists of the model, and the children's place in the SPD.
 */
#include <stdlib.h>
#include <string.h>
#include "lib/config_conn.h"
#include "lib/config_section.h"

/* Room for one more connection and its place. */
static bool conns_grow(struct config_diag *diag, struct config_draft *draft)
{
	size_t n = draft->config->n_conns + 1;
	struct conn *conns = realloc(draft->config->conns, n * sizeof(*conns));
	struct config_place *places;

	if (conns)
		draft->config->conns = conns;
	places = conns ? realloc(draft->conn_place, n * sizeof(*places)) : NULL;
	if (!places) {
		diag->nomem = true;
		return false;
	}
	draft->conn_place = places;
	memset(&conns[n - 1], 0, sizeof(*conns));
	return true;
}

static bool section_conn(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	if (!conns_grow(diag, draft) ||
	    !config_conn(diag, node, &draft->config->conns[draft->config->n_conns]))
		return false;
	draft->conn_place[draft->config->n_conns++] = node->place;
	return true;
}

bool config_conns(struct config_diag *diag, const struct config_node *node, void *into)
{
	return config_walk_named(diag, node, CONN_NAME_LEN, section_conn, into);
}

/* One that has the name of one of the file's has lost: the file was changed after it was loaded. */
static bool section_client(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;
	struct config *config = draft->config;

	for (unsigned int i = 0; i < config->n_conns; i++)
		if (strcmp(config->conns[i].name, node->name) == 0)
			return true;
	if (!section_conn(diag, node, draft))
		return false;
	config->conns[config->n_conns - 1].client = true;
	return true;
}

static bool clients_conns(struct config_diag *diag, const struct config_node *node, void *into)
{
	return config_walk_named(diag, node, CONN_NAME_LEN, section_client, into);
}

bool config_clients(struct config_diag *diag, const struct config_node *first,
		    struct config_draft *draft)
{
	static const struct config_key keys[] = {{"connections", clients_conns, true, false}, {0}};

	return config_walk(diag, NULL, first, keys, draft);
}

static bool section_secret(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config *config = into;

	if (!config_secret(diag, node, &config->secrets[config->n_secrets]))
		return false;
	config->n_secrets++;
	return true;
}

bool config_secrets(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	draft->config->secrets = calloc(config_count(node) + 1, sizeof(draft->config->secrets[0]));
	if (!draft->config->secrets) {
		diag->nomem = true;
		return false;
	}
	return config_walk_named(diag, node, CONN_NAME_LEN, section_secret, draft->config);
}

/* ------------------------------------------------------------------ among the policies */

/* A child with an if_id has no rule. */
static unsigned int children_with_rules(const struct config *config)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < config->n_conns; i++)
		for (unsigned int k = 0; k < config->conns[i].n_children; k++)
			n += !config->conns[i].children[k].if_id;
	return n;
}

/* It is called like its tunnel. */
static void child_tunnel(struct config_diag *diag, const struct config_place *place,
			 const struct config *config, struct conn_child *child)
{
	const struct config_tunnel *tunnel = config_tunnel_find(config, child->if_id);

	if (tunnel)
		strcpy(child->sadb_name, tunnel->name);
	else
		config_error(diag, place,
			     "%s: no tunnel has if_id = %u: expected one in datapath { tunnels { "
			     "NAME { if_id = %u } } }",
			     child->sadb_name, child->if_id, child->if_id);
}

static void child_place(struct config_diag *diag, const struct config_place *place,
			const struct conn *conn, const struct conn_child *child,
			struct config_policy *policy)
{
	strcpy(policy->name, child->sadb_name);
	if (child->mode == CONN_MODE_TUNNEL || child->mode == CONN_MODE_TRANSPORT)
		strcpy(policy->child, child->sadb_name);
	if (conn_child_rules(conn, child, &policy->rules, &policy->n_rules)) {
		diag->nomem = true;
		return;
	}
	if (!policy->n_rules)
		config_error(diag, place,
			     "%s: no pair of its local_ts and remote_ts can match a packet: "
			     "expected the same family and protocol on both sides",
			     child->sadb_name);
}

/* Room for `n` policies at `at`. */
static bool policies_open(struct config_draft *draft, unsigned int at, unsigned int n)
{
	struct config *config = draft->config;
	unsigned int behind = config->n_policies - at;
	struct config_policy *policies =
		realloc(config->policies, (config->n_policies + n + 1) * sizeof(*policies));
	struct config_place *places;

	if (!policies)
		return false;
	config->policies = policies;
	places = realloc(draft->policy_place, (config->n_policies + n + 1) * sizeof(*places));
	if (!places)
		return false;
	draft->policy_place = places;
	memmove(&policies[at + n], &policies[at], behind * sizeof(*policies));
	memmove(&places[at + n], &places[at], behind * sizeof(*places));
	memset(&policies[at], 0, n * sizeof(*policies));
	config->n_policies += n;
	return true;
}

/* Returns how many policies were written. */
static unsigned int conn_place(struct config_diag *diag, const struct config_place *place,
			       struct config *config, struct conn *conn,
			       struct config_policy *policies, struct config_place *places)
{
	unsigned int n = 0;

	for (unsigned int k = 0; k < conn->n_children; k++) {
		struct conn_child *child = &conn->children[k];

		if (child->if_id) {
			child_tunnel(diag, place, config, child);
			continue;
		}
		places[n] = *place;
		child_place(diag, place, conn, child, &policies[n++]);
	}
	return n;
}

void config_conns_place(struct config_diag *diag, struct config_draft *draft)
{
	struct config *config = draft->config;
	unsigned int at = draft->conns_placed ? draft->conns_at : config->n_policies;

	if (!config->n_conns)
		return;
	if (!policies_open(draft, at, children_with_rules(config))) {
		diag->nomem = true;
		return;
	}
	for (unsigned int i = 0; i < config->n_conns; i++)
		at += conn_place(diag, &draft->conn_place[i], config, &config->conns[i],
				 &config->policies[at], &draft->policy_place[at]);
}
