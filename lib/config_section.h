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
	const struct config_node **conn_node; /* of each connection, as config->conns */
	__u32 client;                         /* number of the client's connection that is read */
	bool conns_placed;                    /* a policy gives connections {} their place, */
	unsigned int conns_at;                /* with so many policies before it */
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

/* The tunnel of what `name` calls itself at `place`, which has that if_id and asks for that engine
 * (enum xipsec_engine, NONE: for none). NULL: told. */
const struct config_tunnel *config_tunnel_asked(struct config_diag *diag,
						const struct config_place *place,
						const struct config *config, const char *name,
						__u32 if_id, __u8 engine);

/* One of connections {}; `into` as above. */
bool config_conns_one(struct config_diag *diag, const struct config_node *node, void *into);

/* After connections {} of the file: those of RUN_DIR/connections.d (lib/config_clients.h), read
 * into the tree as well, which holds their places. 0 or -errno if one cannot be read. */
int config_clients(struct config_diag *diag, struct config_tree *tree, struct config_draft *draft);

/* The policies that stand for a connection's children: those without an if_id have one each.
 * _policies() writes them, gives children with an if_id the name of their tunnel, and returns how
 * many it wrote. */
unsigned int config_conn_n_policies(const struct conn *conn);
unsigned int config_conn_policies(struct config_diag *diag, const struct config_place *place,
				  const struct config *config, struct conn *conn,
				  struct config_policy *policies);

/* After all sections, before the other checks: the rules of connections {} take their place among
 * the policies, that of `action = connections`, else the last one. */
void config_conns_place(struct config_diag *diag, struct config_draft *draft);

/* After all sections: the number of rules. */
void config_policies_check(struct config_diag *diag, const struct config_draft *draft);

/* After all sections: SAs against policies, workers and each other. */
void config_sas_check(struct config_diag *diag, struct config_draft *draft);

/* After all sections: the children of connections {} against the policies before theirs. */
void config_children_check(struct config_diag *diag, const struct config_draft *draft);

/* After all sections, before the SAs: names and policies against tunnels, and who uses them. */
void config_tunnels_check(struct config_diag *diag, const struct config_draft *draft);

/* pin_dir, run_dir and state_dir alone, whatever else is wrong. */
void config_datapath_paths(struct config_diag *diag, const struct config_node *node,
			   struct config *config);
/* The same for vici_socket of iked {}. */
void config_iked_paths(struct config_diag *diag, const struct config_node *node,
		       struct config *config);

#endif
