// SPDX-License-Identifier: BSD-2-Clause
/* children {}: the child SAs of a connection, with strongSwan's keys and defaults. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config_conn.h"
#include "lib/config_seal.h"
#include "lib/config_units.h"
#include "lib/sa_fault.h"

#define REKEY_TIME_DEFAULT 3600
#define WINDOW_DEFAULT     1024

struct child_draft {
	struct conn_child *child;
	bool has_life_time, has_life_bytes, has_life_packets;
	bool has_rand_time, has_rand_bytes, has_rand_packets;
	__u32 if_id_in, if_id_out;
};

/* A key_NAME() that gives the value of one kind to one member of the child. */
#define CHILD_KEY(name, parse, member)                                                   \
	static bool key_##name(struct config_diag *diag, const struct config_node *node, \
			       void *into)                                               \
	{                                                                                \
		struct child_draft *draft = into;                                        \
                                                                                         \
		return parse(diag, node, &draft->child->member);                         \
	}

/* The same, and notes that it was there: a default follows from others otherwise. */
#define CHILD_KEY_TOLD(name, parse)                                                      \
	static bool key_##name(struct config_diag *diag, const struct config_node *node, \
			       void *into)                                               \
	{                                                                                \
		struct child_draft *draft = into;                                        \
                                                                                         \
		draft->has_##name = true;                                                \
		return parse(diag, node, &draft->child->name);                           \
	}

/* A key of strongSwan's that has one good value here. */
#define CHILD_KEY_ONLY(name, good, why)                                                  \
	static bool key_##name(struct config_diag *diag, const struct config_node *node, \
			       void *into)                                               \
	{                                                                                \
		return parse_only(diag, node, good, why);                                \
	}

CHILD_KEY(local_ts, parse_ts, local_ts)
CHILD_KEY(remote_ts, parse_ts, remote_ts)
CHILD_KEY(rekey_time, parse_time, rekey_time)
CHILD_KEY(rekey_bytes, parse_bytes, rekey_bytes)
CHILD_KEY(rekey_packets, parse_count, rekey_packets)
CHILD_KEY(inactivity, parse_time, inactivity)
CHILD_KEY(copy_ecn, parse_bool, copy_ecn)
CHILD_KEY(df, parse_df, df)
CHILD_KEY(flow_label, parse_flow_label, flow_copy)
CHILD_KEY(ttl, parse_ttl, ttl)
CHILD_KEY(dummies, parse_dummies, dummies)
CHILD_KEY(tfc_padding, parse_tfc, tfc_size)
CHILD_KEY_TOLD(life_time, parse_time)
CHILD_KEY_TOLD(life_bytes, parse_bytes)
CHILD_KEY_TOLD(life_packets, parse_count)
CHILD_KEY_TOLD(rand_time, parse_time)
CHILD_KEY_TOLD(rand_bytes, parse_bytes)
CHILD_KEY_TOLD(rand_packets, parse_count)
CHILD_KEY_ONLY(ipcomp, "no", "IPComp is not supported")
CHILD_KEY_ONLY(hw_offload, "no", "offload would show plaintext to no guard")
CHILD_KEY_ONLY(policies, "yes", "without policies nothing leads into a child; use if_id")
CHILD_KEY_ONLY(hostaccess, "no", "there are no firewall rules to make")
CHILD_KEY_ONLY(sha256_96, "no", "HMAC-SHA-256 is cut to 128 bits (RFC 4868)")

static bool key_proposals(struct config_diag *diag, const struct config_node *node, void *into,
			  __u8 l4_proto)
{
	struct child_draft *draft = into;

	if (draft->child->proposals.n) {
		config_error(diag, &node->place,
			     "%s beside proposals of the other protocol: expected ESP or AH",
			     node->name);
		return false;
	}
	draft->child->l4_proto = l4_proto;
	return parse_proposals(diag, node, l4_proto, &draft->child->proposals);
}

static bool key_esp_proposals(struct config_diag *diag, const struct config_node *node, void *into)
{
	return key_proposals(diag, node, into, IPPROTO_ESP);
}

static bool key_ah_proposals(struct config_diag *diag, const struct config_node *node, void *into)
{
	return key_proposals(diag, node, into, IPPROTO_AH);
}

static bool key_mode(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word words[] = {{"tunnel", CONN_MODE_TUNNEL},
						   {"transport", CONN_MODE_TRANSPORT},
						   {"pass", CONN_MODE_PASS},
						   {"drop", CONN_MODE_DROP},
						   {NULL, 0}};
	struct child_draft *draft = into;
	unsigned int value;

	if (!parse_word(diag, node, words, &value))
		return false;
	draft->child->mode = value;
	return true;
}

static bool parse_action(struct config_diag *diag, const struct config_node *node,
			 enum conn_action *out)
{
	static const struct config_word words[] = {{"none", CONN_ACTION_NONE},
						   {"clear", CONN_ACTION_NONE},
						   {"trap", CONN_ACTION_TRAP},
						   {"start", CONN_ACTION_START},
						   {"restart", CONN_ACTION_START},
						   {"trap|start", CONN_ACTION_START},
						   {NULL, 0}};
	unsigned int value;

	if (!parse_word(diag, node, words, &value))
		return false;
	*out = value;
	return true;
}
CHILD_KEY(start_action, parse_action, start_action)
CHILD_KEY(close_action, parse_action, close_action)
CHILD_KEY(dpd_action, parse_action, dpd_action)

static bool key_if_id_in(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct child_draft *draft = into;

	return parse_number(diag, node, 0, 0xffffffff, &draft->if_id_in);
}

static bool key_if_id_out(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct child_draft *draft = into;

	return parse_number(diag, node, 0, 0xffffffff, &draft->if_id_out);
}

static bool key_replay_window(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct child_draft *draft = into;

	return parse_number(diag, node, XIPSEC_WINDOW_MIN, XIPSEC_WINDOW_MAX,
			    &draft->child->replay_window);
}

static bool key_copy_df(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct child_draft *draft = into;
	bool copy;

	if (!parse_bool(diag, node, &copy))
		return false;
	draft->child->df = copy ? XIPSEC_DF_COPY : XIPSEC_DF_CLEAR;
	return true;
}

static bool key_copy_dscp(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word words[] = {{"out", CONN_DSCP_OUT},
						   {"in", CONN_DSCP_IN},
						   {"yes", CONN_DSCP_YES},
						   {"no", CONN_DSCP_NO},
						   {NULL, 0}};
	struct child_draft *draft = into;
	unsigned int value;

	if (!parse_word(diag, node, words, &value))
		return false;
	draft->child->copy_dscp = value;
	return true;
}

/* Of ESP or AH; the connection's own `dscp` is that of IKE. */
static bool key_dscp(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct child_draft *draft = into;
	bool fixed = false;

	if (!parse_outer_dscp(diag, node, &fixed, &draft->child->dscp))
		return false;
	if (fixed)
		draft->child->copy_dscp = CONN_DSCP_NO;
	return true;
}

static bool key_engine(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct child_draft *draft = into;
	unsigned int value;

	if (!parse_word(diag, node, config_engines, &value))
		return false;
	draft->child->engine = value;
	return true;
}

static const struct config_key child_keys[] = {
	{"esp_proposals", key_esp_proposals, false, false},
	{"ah_proposals", key_ah_proposals, false, false},
	{"local_ts", key_local_ts, false, false},
	{"remote_ts", key_remote_ts, false, false},
	{"mode", key_mode, false, false},
	{"rekey_time", key_rekey_time, false, false},
	{"life_time", key_life_time, false, false},
	{"rand_time", key_rand_time, false, false},
	{"rekey_bytes", key_rekey_bytes, false, false},
	{"life_bytes", key_life_bytes, false, false},
	{"rand_bytes", key_rand_bytes, false, false},
	{"rekey_packets", key_rekey_packets, false, false},
	{"life_packets", key_life_packets, false, false},
	{"rand_packets", key_rand_packets, false, false},
	{"inactivity", key_inactivity, false, false},
	{"start_action", key_start_action, false, false},
	{"close_action", key_close_action, false, false},
	{"dpd_action", key_dpd_action, false, false},
	{"if_id_in", key_if_id_in, false, false},
	{"if_id_out", key_if_id_out, false, false},
	{"replay_window", key_replay_window, false, false},
	{"tfc_padding", key_tfc_padding, false, false},
	{"copy_df", key_copy_df, false, false},
	{"copy_ecn", key_copy_ecn, false, false},
	{"copy_dscp", key_copy_dscp, false, false},
	{"df", key_df, false, false},
	{"dscp", key_dscp, false, false},
	{"flow_label", key_flow_label, false, false},
	{"ttl", key_ttl, false, false},
	{"dummies", key_dummies, false, false},
	{"engine", key_engine, false, false},
	{"ipcomp", key_ipcomp, false, false},
	{"hw_offload", key_hw_offload, false, false},
	{"policies", key_policies, false, false},
	{"hostaccess", key_hostaccess, false, false},
	{"sha256_96", key_sha256_96, false, false},
	{"updown", key_unsupported, false, false},
	{"interface", key_unsupported, false, false},
	{"priority", key_unsupported, false, false},
	{"reqid", key_unsupported, false, false},
	{"mark_in", key_unsupported, false, false},
	{"mark_out", key_unsupported, false, false},
	{"set_mark_in", key_unsupported, false, false},
	{"set_mark_out", key_unsupported, false, false},
	{"label", key_unsupported, false, false},
	{"label_mode", key_unsupported, false, false},
	{"per_cpu_sas", key_unsupported, false, false},
	{0},
};

/* ------------------------------------------------------------------ defaults, and what fits */

/* A tenth more than the soft limit, as strongSwan does; and up to what is between both is taken off
 * the soft one by chance, so that two ends seldom rekey at once. */
static void child_limits(struct child_draft *draft)
{
	struct conn_child *child = draft->child;

	if (!draft->has_life_time)
		child->life_time = child->rekey_time + child->rekey_time / 10;
	if (!draft->has_life_bytes)
		child->life_bytes = child->rekey_bytes + child->rekey_bytes / 10;
	if (!draft->has_life_packets)
		child->life_packets = child->rekey_packets + child->rekey_packets / 10;
	if (!draft->has_rand_time && child->life_time > child->rekey_time)
		child->rand_time = child->life_time - child->rekey_time;
	if (!draft->has_rand_bytes && child->life_bytes > child->rekey_bytes)
		child->rand_bytes = child->life_bytes - child->rekey_bytes;
	if (!draft->has_rand_packets && child->life_packets > child->rekey_packets)
		child->rand_packets = child->life_packets - child->rekey_packets;
}

static bool ts_default(struct config_diag *diag, struct conn_ts_list *list)
{
	if (list->n)
		return true;
	list->ts = calloc(1, sizeof(*list->ts));
	if (!list->ts) {
		diag->nomem = true;
		return false;
	}
	list->ts[0] =
		(struct conn_ts){.dynamic = true, .any_proto = true, .port_hi = XIPSEC_PORT_MAX};
	list->n = 1;
	return true;
}

static bool ts_opaque(const struct conn_ts_list *list)
{
	for (unsigned int i = 0; i < list->n; i++)
		if (list->ts[i].opaque)
			return true;
	return false;
}

/* What no proposal can change; the rest is refused when an SA is added (docs/engines.md). */
static void engine_fits(struct config_diag *diag, const struct config_node *node,
			const struct conn_child *child)
{
	if (child->engine != XIPSEC_ENGINE_XFRM)
		return;
	if (child->replay_window > SA_KERNEL_WINDOW_MAX)
		config_error(diag, &node->place,
			     "%s: engine = xfrm has no window above %u: expected a smaller "
			     "replay_window, or engine = afxdp",
			     node->name, SA_KERNEL_WINDOW_MAX);
}

static bool child_fits(struct config_diag *diag, const struct config_node *node,
		       struct child_draft *draft)
{
	struct conn_child *child = draft->child;
	unsigned int before = diag->errors;

	if (draft->if_id_in != draft->if_id_out)
		config_error(diag, &node->place,
			     "%s: if_id_in and if_id_out differ: expected both to be the if_id of "
			     "one tunnel",
			     node->name);
	if (child->life_time && child->life_time <= child->rekey_time)
		config_error(diag, &node->place,
			     "%s: life_time is not above rekey_time: expected time to rekey in",
			     node->name);
	if (child->life_bytes && child->life_bytes <= child->rekey_bytes)
		config_error(diag, &node->place,
			     "%s: life_bytes is not above rekey_bytes: expected bytes to rekey in",
			     node->name);
	if (child->life_packets && child->life_packets <= child->rekey_packets)
		config_error(diag, &node->place,
			     "%s: life_packets is not above rekey_packets: expected packets to "
			     "rekey in",
			     node->name);
	if (child->rekey_time && child->rand_time >= child->rekey_time)
		config_error(diag, &node->place,
			     "%s: rand_time is not below rekey_time: expected less", node->name);
	if (child->mode >= CONN_MODE_PASS && child->proposals.n)
		config_error(diag, &node->place,
			     "%s is a policy alone, but has proposals: expected mode = tunnel or "
			     "transport, or none",
			     node->name);
	if (child->mode == CONN_MODE_PASS &&
	    (ts_opaque(&child->local_ts) || ts_opaque(&child->remote_ts)))
		config_error(
			diag, &node->place,
			"%s: opaque ports with mode = pass: expected selectors that show their "
			"ports",
			node->name);
	child->if_id = draft->if_id_in;
	engine_fits(diag, node, child);
	return diag->errors == before;
}

static bool section_child(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_draft *all = into;
	struct conn *conn = all->conn;
	struct conn_child *child = &conn->children[conn->n_children++];
	struct child_draft draft = {.child = child};

	strcpy(child->name, node->name);
	snprintf(child->sadb_name, sizeof(child->sadb_name), "%s/%s", conn->name, child->name);
	child->line = node->place.line;
	child->l4_proto = IPPROTO_ESP;
	child->rekey_time = REKEY_TIME_DEFAULT;
	child->replay_window = WINDOW_DEFAULT;
	child->df = XIPSEC_DF_COPY;
	child->copy_ecn = true;
	if (!config_walk(diag, node, node->first, child_keys, &draft))
		return false;
	child_limits(&draft);
	return ts_default(diag, &child->local_ts) && ts_default(diag, &child->remote_ts) &&
	       child_fits(diag, node, &draft) &&
	       config_conn_digest(diag, node, NULL, child->digest);
}

bool config_conn_children(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct conn_draft *draft = into;

	draft->conn->children = calloc(config_count(node) + 1, sizeof(struct conn_child));
	if (!draft->conn->children) {
		diag->nomem = true;
		return false;
	}
	return config_walk_named(diag, node, CONN_NAME_LEN, section_child, draft);
}
