// SPDX-License-Identifier: BSD-2-Clause
/* How a child's packets are sealed: keys of ours beside strongSwan's, and where those that are
 * called as in sas {} do not fit. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "lib/cleanup.h"
#include "lib/config_conn.h"
#include "lib/sa_fault.h"

/* `instead`: strongSwan's key that says a part of the same. */
static const struct {
	const char *name, *instead;
} keys[] = {
	{"df", "copy_df"}, {"dscp", "copy_dscp"}, {"flow_label", NULL},
	{"ttl", NULL},     {"dummies", NULL},     {"tfc_padding", NULL},
};

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

static const struct config_node *key_node(const struct config_node *child, const char *name)
{
	for (const struct config_node *node = child->first; node; node = node->next)
		if (node->kind == CONFIG_VALUE && strcmp(node->name, name) == 0)
			return node;
	return NULL;
}

/* One of these, where it is written. */
static const struct config_node *key_ours(const struct config_node *child, const char *name)
{
	for (unsigned int i = 0; i < N_KEYS; i++)
		if (strcmp(keys[i].name, name) == 0)
			return key_node(child, name);
	return NULL;
}

/* Of the outer header as far as these hosts tell: ANY where they may be of both. */
static __u8 hosts_family(const struct conn_hosts *hosts)
{
	__u8 family = hosts->n ? hosts->host[0].family : XIPSEC_FAMILY_ANY;

	for (unsigned int i = 1; i < hosts->n; i++)
		if (hosts->host[i].family != family)
			return XIPSEC_FAMILY_ANY;
	return family;
}

/* As its outbound SA will be. A family that is not known yet is one that fits: what needs the other
 * one is left out when the SA is made. */
static void describe(const struct conn *conn, const struct conn_child *child, struct xipsec_sa *sa)
{
	__u8 family = hosts_family(&conn->local_addrs);

	if (!family)
		family = hosts_family(&conn->remote_addrs);
	sa->dir = XIPSEC_DIR_OUT;
	sa->outer_family = family ? family : XIPSEC_FAMILY_IP6;
	sa->l4_proto = child->l4_proto;
	sa->mode = child->mode == CONN_MODE_TRANSPORT ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL;
	sa->engine = child->engine;
	sa->df = !family && child->df == XIPSEC_DF_COPY ? XIPSEC_DF_CLEAR : child->df;
	sa->flags = child->flow_copy ? XIPSEC_SA_FLOW_COPY : 0;
	if (child->copy_dscp == CONN_DSCP_NO)
		sa->flags |= XIPSEC_SA_DSCP;
	sa->dscp = child->dscp;
	sa->ttl = child->ttl;
	sa->dummies = child->dummies;
	sa->tfc_size = child->tfc_size;
}

/* As sas {} is told, but for the key that is called otherwise here. */
static void tell(struct config_diag *diag, const struct config_node *key,
		 const struct sa_fault *fault)
{
	bool ah = strcmp(fault->expected, "protocol = esp") == 0;

	config_error(diag, &key->value_place, "%s = %s: %s: expected %s", key->name,
		     config_shown(key->value), fault->what, ah ? "esp_proposals" : fault->expected);
}

/* Is any there? Most children have none. Tells of two that say the same thing. */
static bool any_of(struct config_diag *diag, const struct config_node *node,
		   const struct conn_child *child)
{
	bool any = false;

	for (unsigned int i = 0; i < N_KEYS; i++) {
		const struct config_node *key = key_node(node, keys[i].name);

		if (!key)
			continue;
		any = true;
		if (keys[i].instead && key_node(node, keys[i].instead))
			config_error(diag, &key->place, "%s beside %s: expected one of both",
				     key->name, keys[i].instead);
		if (child->mode == CONN_MODE_PASS || child->mode == CONN_MODE_DROP)
			config_error(diag, &key->place,
				     "%s: a policy alone seals nothing: expected mode = tunnel, or "
				     "no %s",
				     key->name, key->name);
	}
	return any;
}

void config_conn_seal_fits(struct config_diag *diag, const struct config_node *node,
			   const struct conn *conn, const struct conn_child *child)
{
	_cleanup_free_ struct xipsec_sa *sa = NULL;
	struct sa_fault faults[SA_FAULTS_MAX];
	unsigned int n;

	if (!any_of(diag, node, child))
		return;
	sa = calloc(1, sizeof(*sa));
	if (!sa) {
		diag->nomem = true;
		return;
	}
	describe(conn, child, sa);
	n = sa_faults(sa, faults, SA_FAULTS_MAX);
	for (unsigned int i = 0; i < n; i++) {
		const struct config_node *key = key_ours(node, faults[i].key);

		if (key)
			tell(diag, key, &faults[i]);
	}
}
