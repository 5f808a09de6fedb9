// SPDX-License-Identifier: BSD-2-Clause
/* connections {} and secrets {} as wholes: lists of the model, and the children's place in the SPD.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config_conn.h"
#include "lib/config_section.h"

const char *config_conn_name(const void *conns, __u32 i)
{
	return ((const struct conn *)conns)[i].name;
}

const struct conn *config_conn_find(const struct config *config, const char *name)
{
	__u32 i = name_index_find(&config->conn_index, config->conns, name);

	return i == NAME_NONE ? NULL : &config->conns[i];
}

static bool has_child(const struct conn *conn, const char *sadb_name)
{
	for (unsigned int i = 0; i < conn->n_children; i++)
		if (strcmp(conn->children[i].sadb_name, sadb_name) == 0)
			return conn->children[i].mode == CONN_MODE_TUNNEL ||
			       conn->children[i].mode == CONN_MODE_TRANSPORT;
	return false;
}

/* A child is called CONNECTION/CHILD, or like its tunnel, and there are few of those. */
bool config_conn_child_known(const struct config *config, const char *sadb_name)
{
	const char *slash = strchr(sadb_name, '/');
	char name[XIPSEC_NAME_LEN];
	const struct conn *conn;

	if (slash) {
		snprintf(name, sizeof(name), "%.*s", (int)(slash - sadb_name), sadb_name);
		conn = config_conn_find(config, name);
		return conn && has_child(conn, sadb_name);
	}
	for (unsigned int i = 0; i < config->n_tunnels; i++)
		if (strcmp(config->tunnels[i].name, sadb_name) == 0)
			for (unsigned int k = 0; k < config->n_conns; k++)
				if (has_child(&config->conns[k], sadb_name))
					return true;
	return false;
}

/* Room for one more connection and its section. */
static bool conns_grow(struct config_diag *diag, struct config_draft *draft)
{
	size_t n = draft->config->n_conns + 1;
	struct conn *conns = realloc(draft->config->conns, n * sizeof(*conns));
	const struct config_node **nodes;

	if (conns)
		draft->config->conns = conns;
	nodes = conns ? realloc(draft->conn_node, n * sizeof(*nodes)) : NULL;
	if (!nodes) {
		diag->nomem = true;
		return false;
	}
	draft->conn_node = nodes;
	memset(&conns[n - 1], 0, sizeof(*conns));
	return true;
}

bool config_conns_one(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;

	if (!conns_grow(diag, draft) ||
	    !config_conn(diag, node, &draft->config->conns[draft->config->n_conns]))
		return false;
	if (!name_index_put(&draft->config->conn_index, config_conn_name, draft->config->conns,
			    draft->config->n_conns)) {
		conn_clear(&draft->config->conns[draft->config->n_conns]);
		diag->nomem = true;
		return false;
	}
	draft->conn_node[draft->config->n_conns++] = node;
	return true;
}

bool config_conns(struct config_diag *diag, const struct config_node *node, void *into)
{
	return config_walk_named(diag, node, CONN_NAME_LEN, config_conns_one, into);
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
unsigned int config_conn_n_policies(const struct conn *conn)
{
	unsigned int n = 0;

	for (unsigned int k = 0; k < conn->n_children; k++)
		n += !conn->children[k].if_id;
	return n;
}

/* It is called like its tunnel. */
static void child_tunnel(struct config_diag *diag, const struct config_place *place,
			 const struct config *config, struct conn_child *child)
{
	const struct config_tunnel *tunnel = config_tunnel_asked(
		diag, place, config, child->sadb_name, child->if_id, child->engine);

	if (tunnel)
		strcpy(child->sadb_name, tunnel->name);
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

unsigned int config_conn_policies(struct config_diag *diag, const struct config_place *place,
				  const struct config *config, struct conn *conn,
				  struct config_policy *policies)
{
	unsigned int n = 0;

	for (unsigned int k = 0; k < conn->n_children; k++) {
		struct conn_child *child = &conn->children[k];

		if (child->if_id) {
			child_tunnel(diag, place, config, child);
			continue;
		}
		child_place(diag, place, conn, child, &policies[n++]);
	}
	return n;
}

void config_conns_place(struct config_diag *diag, struct config_draft *draft)
{
	struct config *config = draft->config;
	unsigned int at = draft->conns_placed ? draft->conns_at : config->n_policies, n = 0;

	for (unsigned int i = 0; i < config->n_conns; i++)
		n += config_conn_n_policies(&config->conns[i]);
	config->conns_at = at;
	config->n_conns_policies = n;
	if (!config->n_conns)
		return;
	if (!policies_open(draft, at, n)) {
		diag->nomem = true;
		return;
	}
	for (unsigned int i = 0; i < config->n_conns; i++) {
		const struct config_place *place = &draft->conn_node[i]->place;

		n = config_conn_policies(diag, place, config, &config->conns[i],
					 &config->policies[at]);
		while (n--)
			draft->policy_place[at++] = *place;
	}
}
