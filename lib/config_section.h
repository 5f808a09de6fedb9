/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sections of the file, one function each, and what is checked once all have been read.
 */
#ifndef LIB_CONFIG_SECTION_H
#define LIB_CONFIG_SECTION_H

#include "lib/config.h"
#include "lib/config_tree.h"

/* What the checks across sections need beside the model. */
struct config_draft {
	struct config *config;
	struct config_place *policy_place; /* of each policy, as config->policies */
	struct config_sa_draft *sa;        /* of each SA, as config->sas */
	bool workers_told;                 /* `workers` has a number */
	struct config_place *tunnel_place; /* of each tunnel, as config->tunnels */
	bool tunnels_ok;                   /* datapath {} had no error */
	bool policies_ok;                  /* policies {} had no error: conclusions from it hold */
	struct config_place *conn_place;   /* of each connection, as config->conns */
	bool conns_placed;                 /* a policy gives connections {} their place, */
	unsigned int conns_at;             /* with so many policies before it */
};

/* Each has the shape of config_parse_fn; `into` is a struct config_draft. */
bool config_datapath(struct config_diag *diag, const struct config_node *node, void *into);
bool config_policies(struct config_diag *diag, const struct config_node *node, void *into);
bool config_sas(struct config_diag *diag, const struct config_node *node, void *into);
bool config_conns(struct config_diag *diag, const struct config_node *node, void *into);
bool config_secrets(struct config_diag *diag, const struct config_node *node, void *into);
bool config_iked(struct config_diag *diag, const struct config_node *node, void *into);

/* Inside datapath {}. */
bool config_tunnels(struct config_diag *diag, const struct config_node *node, void *into);

/* After connections {} of the file: those of RUN_DIR/connections.conf (lib/conn.h). */
bool config_clients(struct config_diag *diag, const struct config_node *first,
		    struct config_draft *draft);

/* After all sections, before the other checks: the rules of connections {} take their place among
 * the policies, that of `action = connections`, else the last one. */
void config_conns_place(struct config_diag *diag, struct config_draft *draft);

/* After all sections: the number of rules. */
void config_policies_check(struct config_diag *diag, const struct config_draft *draft);

/* After all sections: SAs against policies, workers and each other. */
void config_sas_check(struct config_diag *diag, struct config_draft *draft);

/* After all sections, before the SAs: names and policies against tunnels, and who uses them. */
void config_tunnels_check(struct config_diag *diag, const struct config_draft *draft);

/* pin_dir, run_dir and state_dir alone, whatever else is wrong. */
void config_datapath_paths(struct config_diag *diag, const struct config_node *node,
			   struct config *config);
/* The same for vici_socket of iked {}. */
void config_iked_paths(struct config_diag *diag, const struct config_node *node,
		       struct config *config);

#endif
