// SPDX-License-Identifier: BSD-2-Clause
/* connections {}: one connection, with strongSwan's keys and defaults. */
#include <stdlib.h>
#include <string.h>
#include "lib/config_conn.h"
#include "lib/config_units.h"

#define IKE_PORT           500
#define REKEY_TIME_DEFAULT (4 * 3600)

/* A key_NAME() that gives the value of one kind to one member of the connection. */
#define CONN_KEY(name, parse)                                                            \
	static bool key_##name(struct config_diag *diag, const struct config_node *node, \
			       void *into)                                               \
	{                                                                                \
		struct conn_draft *draft = into;                                         \
                                                                                         \
		return parse(diag, node, &draft->conn->name);                            \
	}

/* A key of strongSwan's that has one good value here. */
#define CONN_KEY_ONLY(name, good, why)                                                   \
	static bool key_##name(struct config_diag *diag, const struct config_node *node, \
			       void *into)                                               \
	{                                                                                \
		return parse_only(diag, node, good, why);                                \
	}

/* One of some words, as an enum. */
#define CONN_KEY_WORD(name, ...)                                                         \
	static bool key_##name(struct config_diag *diag, const struct config_node *node, \
			       void *into)                                               \
	{                                                                                \
		static const struct config_word words[] = {__VA_ARGS__, {NULL, 0}};      \
		struct conn_draft *draft = into;                                         \
		unsigned int value;                                                      \
                                                                                         \
		if (!parse_word(diag, node, words, &value))                              \
			return false;                                                    \
		draft->conn->name = value;                                               \
		return true;                                                             \
	}

CONN_KEY(local_addrs, parse_hosts)
CONN_KEY(remote_addrs, parse_hosts)
CONN_KEY(encap, parse_bool)
CONN_KEY(mobike, parse_bool)
CONN_KEY(send_certreq, parse_bool)
CONN_KEY(dpd_delay, parse_time)
CONN_KEY(reauth_time, parse_time)
CONN_KEY_ONLY(aggressive, "no", "IKEv2 has no aggressive mode")
CONN_KEY_ONLY(pull, "yes", "IKEv2 has no push mode")
CONN_KEY_ONLY(ppk_required, "no", "postquantum preshared keys are not supported")
CONN_KEY_ONLY(mediation, "no", "mediation is not supported")
CONN_KEY_WORD(send_cert, {"ifasked", CONN_SEND_CERT_IFASKED}, {"always", CONN_SEND_CERT_ALWAYS},
	      {"never", CONN_SEND_CERT_NEVER})
CONN_KEY_WORD(fragmentation, {"yes", CONN_FRAG_YES}, {"accept", CONN_FRAG_ACCEPT},
	      {"force", CONN_FRAG_FORCE}, {"no", CONN_FRAG_NO})
CONN_KEY_WORD(unique, {"no", CONN_UNIQUE_NO}, {"never", CONN_UNIQUE_NEVER},
	      {"keep", CONN_UNIQUE_KEEP}, {"replace", CONN_UNIQUE_REPLACE})

static bool key_version(struct config_diag *diag, const struct config_node *node, void *into)
{
	if (strcmp(node->value, "0") == 0 || strcmp(node->value, "2") == 0)
		return true;
	config_error(diag, &node->value_place,
		     "version = %s: IKEv1 is history (RFC 9395): expected 2, or 0",
		     config_shown(node->value));
	return false;
}

static bool parse_port(struct config_diag *diag, const struct config_node *node, __u16 *out)
{
	unsigned int port;

	if (!parse_number(diag, node, 0, XIPSEC_PORT_MAX, &port))
		return false;
	*out = port;
	return true;
}
CONN_KEY(remote_port, parse_port)

/* xipsecd owns 500 and 4500; 4500 begins there (RFC 7296 2.23). */
static bool key_local_port(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_draft *draft = into;

	if (!parse_port(diag, node, &draft->conn->local_port))
		return false;
	if (draft->conn->local_port != IKE_PORT && draft->conn->local_port != 4500) {
		config_error(diag, &node->value_place, "local_port = %s: expected 500 or 4500",
			     config_shown(node->value));
		return false;
	}
	return true;
}

static bool key_proposals(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_draft *draft = into;

	return parse_proposals(diag, node, 0, &draft->conn->proposals);
}

static bool key_dscp(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_draft *draft = into;
	unsigned int value = 0;

	if (strlen(node->value) == 6 && strspn(node->value, "01") == 6) {
		for (const char *c = node->value; *c; c++)
			value = value << 1 | (*c == '1');
		draft->conn->dscp = value;
		return true;
	}
	config_error(diag, &node->value_place, "dscp = %s: expected six binary digits",
		     config_shown(node->value));
	return false;
}

static bool key_keyingtries(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_draft *draft = into;

	if (strcmp(node->value, "%forever") == 0) {
		draft->conn->keyingtries = 0;
		return true;
	}
	return parse_number(diag, node, 0, 0xffffffff, &draft->conn->keyingtries);
}

static bool key_dpd_timeout(struct config_diag *diag, const struct config_node *node, void *into)
{
	__u32 unused;

	config_warn(diag, &node->place,
		    "dpd_timeout is for IKEv1: retransmissions decide when a peer is dead");
	return parse_time(diag, node, &unused);
}

static bool key_over_time(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_draft *draft = into;

	draft->has_over = true;
	return parse_time(diag, node, &draft->conn->over_time);
}

static bool key_rekey_time(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_draft *draft = into;

	draft->has_rekey = true;
	return parse_time(diag, node, &draft->conn->rekey_time);
}

static bool key_rand_time(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_draft *draft = into;

	draft->has_rand = true;
	return parse_time(diag, node, &draft->conn->rand_time);
}

static const struct config_key conn_keys[] = {
	{"version", key_version, false, false},
	{"local_addrs", key_local_addrs, false, false},
	{"remote_addrs", key_remote_addrs, false, false},
	{"local_port", key_local_port, false, false},
	{"remote_port", key_remote_port, false, false},
	{"proposals", key_proposals, false, false},
	{"dscp", key_dscp, false, false},
	{"encap", key_encap, false, false},
	{"mobike", key_mobike, false, false},
	{"dpd_delay", key_dpd_delay, false, false},
	{"dpd_timeout", key_dpd_timeout, false, false},
	{"fragmentation", key_fragmentation, false, false},
	{"send_certreq", key_send_certreq, false, false},
	{"send_cert", key_send_cert, false, false},
	{"keyingtries", key_keyingtries, false, false},
	{"unique", key_unique, false, false},
	{"reauth_time", key_reauth_time, false, false},
	{"rekey_time", key_rekey_time, false, false},
	{"over_time", key_over_time, false, false},
	{"rand_time", key_rand_time, false, false},
	{"aggressive", key_aggressive, false, false},
	{"pull", key_pull, false, false},
	{"ppk_required", key_ppk_required, false, false},
	{"mediation", key_mediation, false, false},
	{"children", config_conn_children, true, false},
	{"local*", config_conn_local, true, false},
	{"remote*", config_conn_remote, true, false},
	{"vips", key_unsupported, false, false},
	{"pools", key_unsupported, false, false},
	{"ppk_id", key_unsupported, false, false},
	{"mediated_by", key_unsupported, false, false},
	{"mediation_peer", key_unsupported, false, false},
	{"childless", key_unsupported, false, false},
	{0},
};

/* ------------------------------------------------------------------ defaults, and what fits */

static void conn_times(struct conn_draft *draft)
{
	struct conn *conn = draft->conn;
	__u32 longest;

	if (conn->reauth_time && !draft->has_rekey)
		conn->rekey_time = 0; /* as strongSwan: one of both, unless both are asked for */
	longest = conn->rekey_time > conn->reauth_time ? conn->rekey_time : conn->reauth_time;
	if (!draft->has_over)
		conn->over_time = longest / 10;
	if (!draft->has_rand)
		conn->rand_time = conn->over_time;
}

/* Where it is written. */
static const struct config_node *child_node(const struct config_node *conn, const char *name)
{
	for (const struct config_node *list = conn->first; list; list = list->next)
		for (const struct config_node *child = list->first;
		     child && strcmp(list->name, "children") == 0; child = child->next)
			if (strcmp(child->name, name) == 0)
				return child;
	return conn;
}

/* The kernel is told of policies alone, and knows them before there is an SA. */
static void kernel_knows(struct config_diag *diag, const struct config_node *node,
			 const struct conn *conn, const struct conn_child *child)
{
	struct xipsec_spd_rule *rules;
	unsigned int n, later = 0;

	if (child->engine != XIPSEC_ENGINE_XFRM)
		return;
	if (conn_child_rules(conn, child, &rules, &n)) {
		diag->nomem = true;
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		later |= rules[i].origin & (XIPSEC_RULE_LOCAL_LATER | XIPSEC_RULE_REMOTE_LATER);
	free(rules);
	if (!later)
		return;
	config_error(diag, &child_node(node, child->name)->place,
		     "%s: engine = xfrm with a dynamic selector whose address only its SA tells: "
		     "expected one address in %s, or addresses in %s, or engine = afxdp",
		     child->name, later & XIPSEC_RULE_REMOTE_LATER ? "remote_addrs" : "local_addrs",
		     later & XIPSEC_RULE_REMOTE_LATER ? "remote_ts" : "local_ts");
}

static bool conn_fits(struct config_diag *diag, const struct config_node *node,
		      const struct conn_draft *draft)
{
	const struct conn *conn = draft->conn;
	unsigned int before = diag->errors;

	if (!draft->has_remote)
		config_error(diag, &node->place,
			     "%s does not say who the peer is: expected `remote { ... }`",
			     node->name);
	if (!draft->has_local)
		config_error(diag, &node->place,
			     "%s does not say who this end is: expected `local { ... }`",
			     node->name);
	if (draft->has_local && conn->local.kind == CONN_AUTH_PUBKEY && !conn->local.certs.n)
		config_error(diag, &node->place,
			     "%s: local has auth = pubkey, but no certificate: expected `certs = "
			     "...`, or auth = psk",
			     node->name);
	if (draft->has_local && conn->local.kind == CONN_AUTH_PUBKEY && conn->local.certs.n &&
	    (!conn->local.id || strcmp(conn->local.id, "%any") == 0))
		config_warn(diag, &node->place,
			    "%s: local has no id: it will be the subject of its certificate",
			    node->name);
	if ((conn->rekey_time && conn->rand_time >= conn->rekey_time) ||
	    (conn->reauth_time && conn->rand_time >= conn->reauth_time))
		config_error(diag, &node->place,
			     "%s: rand_time is not below rekey_time and reauth_time: expected less",
			     node->name);
	for (unsigned int i = 0; i < conn->n_children; i++) {
		const struct conn_child *child = &conn->children[i];

		kernel_knows(diag, node, conn, child);
		config_conn_seal_fits(diag, child_node(node, child->name), conn, child);
	}
	return diag->errors == before && !diag->nomem;
}

static bool conn_read(struct config_diag *diag, const struct config_node *node,
		      struct conn_draft *draft)
{
	struct conn *conn = draft->conn;

	if (!config_walk(diag, node, node->first, conn_keys, draft))
		return false;
	conn_times(draft);
	return conn_fits(diag, node, draft) &&
	       config_conn_digest(diag, node, "children", conn->digest);
}

bool config_conn(struct config_diag *diag, const struct config_node *node, struct conn *out)
{
	struct conn_draft draft = {.conn = out};

	strncpy(out->name, node->name, sizeof(out->name) - 1);
	out->line = node->place.line;
	out->local_port = out->remote_port = IKE_PORT;
	out->keyingtries = 1;
	out->mobike = out->send_certreq = true;
	out->rekey_time = REKEY_TIME_DEFAULT;
	if (conn_read(diag, node, &draft))
		return true;
	conn_clear(out);
	return false;
}
