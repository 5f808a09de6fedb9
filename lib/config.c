// SPDX-License-Identifier: BSD-2-Clause
/* From a tree to the model: the top of the file, defaults, and what has to be wiped. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "lib/config.h"
#include "lib/config_key.h"
#include "lib/config_sa.h"
#include "lib/config_section.h"

#define WORKER_UID_DEFAULT 61500
#define IKED_UID_DEFAULT   61400

static const struct config_key top_keys[] = {
	{"datapath", config_datapath, true, false},
	{"policies", config_policies, true, false},
	{"sas", config_sas, true, false},
	{"connections", config_conns, true, false},
	{"secrets", config_secrets, true, false},
	{"iked", config_iked, true, false},
	{0},
};

struct config *config_defaults(void)
{
	struct config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->backend = XIPSEC_BACKEND_AUTO;
	config->audit = true;
	config->worker_uid = WORKER_UID_DEFAULT;
	config->max_sas = XIPSEC_SAS_DEFAULT;
	config->max_rules = XIPSEC_RULES_DEFAULT;
	config->pmtu_age = XIPSEC_PMTU_AGE;
	strcpy(config->pin_dir, "/sys/fs/bpf/xipsec");
	strcpy(config->run_dir, "/run/xipsec");
	strcpy(config->state_dir, "/var/lib/xipsec");
	config->iked.uid = IKED_UID_DEFAULT;
	strcpy(config->iked.credentials, "/etc/xipsec");
	return config;
}

void config_forget_sas(struct config *config)
{
	if (config->sas)
		OPENSSL_cleanse(config->sas, config->n_sas * sizeof(config->sas[0]));
	free(config->sas);
	config->sas = NULL;
	config->n_sas = 0;
	for (unsigned int i = 0; i < config->n_secrets; i++)
		conn_secret_clear(&config->secrets[i]);
	free(config->secrets);
	config->secrets = NULL;
	config->n_secrets = 0;
}

void config_forget_policies(struct config *config)
{
	for (unsigned int i = 0; i < config->n_policies; i++)
		free(config->policies[i].rules);
	free(config->policies);
	config->policies = NULL;
	config->n_policies = config->conns_at = config->n_conns_policies = 0;
	config->no_policies = true;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	config_forget_sas(config);
	config_forget_policies(config);
	for (unsigned int i = 0; i < config->n_conns; i++)
		conn_clear(&config->conns[i]);
	free(config->conns);
	name_index_free(&config->conn_index);
	free(config->ifaces);
	free(config->tunnels);
	free(config->exempt);
	free(config);
}

static void draft_free(struct config_draft *draft)
{
	config_free(draft->config);
	free(draft->policy_place);
	free(draft->tunnel_place);
	free(draft->conn_node);
	free(draft->sa);
}

static bool sas_name_xfrm(const struct config *config)
{
	for (unsigned int i = 0; i < config->n_sas; i++) {
		if (config->sas[i].sa.engine == XIPSEC_ENGINE_XFRM)
			return true;
	}
	return false;
}

bool config_names_xfrm(const struct config *config)
{
	for (unsigned int i = 0; i < config->n_conns; i++) {
		const struct conn *conn = &config->conns[i];

		for (unsigned int k = 0; k < conn->n_children; k++) {
			if (conn->children[k].engine == XIPSEC_ENGINE_XFRM)
				return true;
		}
	}
	for (unsigned int i = 0; i < config->n_tunnels; i++)
		if (config->tunnels[i].engine == XIPSEC_ENGINE_XFRM)
			return true;
	return config->sas_xfrm;
}

static int config_check(struct config_diag *diag, const struct config_tree *tree,
			struct config_tree *clients, struct config_draft *draft)
{
	int err;

	draft->config = config_defaults();
	if (!draft->config)
		return -ENOMEM;
	draft->tunnels_ok = true;
	draft->policies_ok = true; /* none at all is without error too */
	/* a misspelt or broken policies {}: no use in saying of each SA that it has no policy */
	if (!config_walk(diag, NULL, tree->list.first, top_keys, draft)) {
		if (!draft->config->policies)
			draft->policies_ok = false;
		if (!draft->config->tunnels)
			draft->tunnels_ok = false;
	}
	err = config_clients(diag, clients, draft);
	if (err)
		return err;
	if (!diag->nomem)
		config_conns_place(diag, draft);
	if (!diag->nomem) {
		config_policies_check(diag, draft);
		config_tunnels_check(diag, draft);
		config_sas_check(diag, draft);
		config_children_check(diag, draft);
	}
	draft->config->sas_xfrm = sas_name_xfrm(draft->config);
	if (diag->nomem)
		return -ENOMEM;
	return diag->errors ? -EINVAL : 0;
}

int config_load_warn(const char *path, struct config **out, FILE *errors, FILE *warnings)
{
	struct config_diag diag = {.out = errors, .warnings = warnings};
	struct config_draft draft = {0};
	struct config_tree tree = {0}, clients = {0};
	int err = config_tree_read(&tree, path, &diag);

	if (!err)
		err = config_check(&diag, &tree, &clients, &draft);
	if (!err) {
		*out = draft.config;
		draft.config = NULL;
	}
	draft_free(&draft);
	config_tree_free(&clients);
	config_tree_free(&tree);
	return err;
}

int config_load(const char *path, struct config **out, FILE *errors)
{
	return config_load_warn(path, out, errors, NULL);
}

struct config *config_paths(const char *path)
{
	struct config *config = config_defaults();
	struct config_diag diag = {0};
	struct config_tree tree = {0};

	if (!config)
		return NULL;
	/* whatever could be read before an error is in the tree */
	config_tree_read(&tree, path, &diag);
	for (const struct config_node *node = tree.list.first; node; node = node->next)
		if (node->kind == CONFIG_SECTION && strcmp(node->name, "datapath") == 0)
			config_datapath_paths(&diag, node, config);
		else if (node->kind == CONFIG_SECTION && strcmp(node->name, "iked") == 0)
			config_iked_paths(&diag, node, config);
	config_tree_free(&tree);
	return config;
}
