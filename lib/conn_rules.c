// SPDX-License-Identifier: BSD-2-Clause
/* The rules that a child has in the SPD, from the moment that its connection is known. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "lib/addr.h"
#include "lib/cleanup.h"
#include "lib/config_policy.h"
#include "lib/conn.h"
#include "lib/proto.h"

struct rules {
	struct xipsec_spd_rule *rule;
	unsigned int n;
	struct xipsec_spd_rule base; /* action, line */
	bool nomem;
};

static void rule_add(struct rules *rules, const struct xipsec_selector *sel)
{
	struct xipsec_spd_rule *more = realloc(rules->rule, (rules->n + 1) * sizeof(*more));

	if (!more) {
		rules->nomem = true;
		return;
	}
	rules->rule = more;
	more[rules->n] = rules->base;
	more[rules->n++].sel = *sel;
}

/* ------------------------------------------------------------------ addresses */

/* A side of a selector: one range of addresses; unknown: whatever address comes with the SA. */
struct side {
	__u8 family; /* ANY: every address of both */
	struct xipsec_addr lo, hi;
	bool unknown;
};

/* What a dynamic selector is as far as the config tells. */
static struct side side_dynamic(const struct conn_hosts *hosts)
{
	struct side side = {.unknown = true};
	const struct conn_host *host = hosts->host;

	if (hosts->n != 1 || host->kind != CONN_HOST_RANGE ||
	    memcmp(&host->lo, &host->hi, sizeof(host->lo)) != 0)
		return side;
	return (struct side){.family = host->family, .lo = host->lo, .hi = host->hi};
}

static struct side side_of(const struct conn_ts *ts, const struct conn_hosts *hosts)
{
	if (ts->dynamic)
		return side_dynamic(hosts);
	return (struct side){.family = ts->family, .lo = ts->lo, .hi = ts->hi};
}

static void side_set(const struct side *side, __u8 family, struct xipsec_addr *lo,
		     struct xipsec_addr *hi)
{
	addr_any(family, lo, hi);
	if (side->family && !side->unknown) {
		*lo = side->lo;
		*hi = side->hi;
	}
}

/* ------------------------------------------------------------------ pairs */

/* Protocol and ports of both sides (RFC 7296 3.13.1: of ICMP they are type and code, on either
 * side). False: no packet is in both. OPAQUE ports are for packets that hide them. */
static bool pair_ports(const struct conn_ts *local, const struct conn_ts *remote,
		       struct xipsec_selector *sel)
{
	if (!local->any_proto && !remote->any_proto && local->l4_proto != remote->l4_proto)
		return false;
	*sel = selector_any;
	sel->any_proto = local->any_proto && remote->any_proto;
	sel->l4_proto = local->any_proto ? remote->l4_proto : local->l4_proto;
	if (!sel->any_proto && proto_has_type(sel->l4_proto)) {
		sel->icmp_lo = local->port_lo > remote->port_lo ? local->port_lo : remote->port_lo;
		sel->icmp_hi = local->port_hi < remote->port_hi ? local->port_hi : remote->port_hi;
		return sel->icmp_lo <= sel->icmp_hi;
	}
	if (local->opaque || remote->opaque) {
		sel->opaque = XIPSEC_OPAQUE_PORTS;
		return true;
	}
	sel->local_port_lo = local->port_lo;
	sel->local_port_hi = local->port_hi;
	sel->remote_port_lo = remote->port_lo;
	sel->remote_port_hi = remote->port_hi;
	return true;
}

static void pair_rules(const struct conn *conn, const struct conn_ts *local,
		       const struct conn_ts *remote, struct rules *rules)
{
	const struct side from = side_of(local, &conn->local_addrs);
	const struct side to = side_of(remote, &conn->remote_addrs);
	const struct xipsec_spd_rule base = rules->base;
	struct xipsec_selector sel;

	if (!pair_ports(local, remote, &sel))
		return;
	if (from.family && to.family && from.family != to.family)
		return;
	sel.family = from.family ? from.family : to.family;
	side_set(&from, sel.family, &sel.local_lo, &sel.local_hi);
	side_set(&to, sel.family, &sel.remote_lo, &sel.remote_hi);
	if (from.unknown || to.unknown)
		rules->base.action = XIPSEC_ACTION_DISCARD;
	if (base.action == XIPSEC_ACTION_PROTECT)
		rules->base.origin = (from.unknown ? XIPSEC_RULE_LOCAL_LATER : 0) |
				     (to.unknown ? XIPSEC_RULE_REMOTE_LATER : 0);
	rule_add(rules, &sel);
	rules->base = base;
}

static __u8 action_of(enum conn_mode mode)
{
	if (mode == CONN_MODE_PASS)
		return XIPSEC_ACTION_BYPASS;
	return mode == CONN_MODE_DROP ? XIPSEC_ACTION_DISCARD : XIPSEC_ACTION_PROTECT;
}

int conn_child_rules(const struct conn *conn, const struct conn_child *child,
		     struct xipsec_spd_rule **out, unsigned int *n)
{
	struct rules rules = {.base = {.action = action_of(child->mode),
				       .dirs = XIPSEC_DIR_IN | XIPSEC_DIR_OUT,
				       .line = child->line}};

	for (unsigned int i = 0; i < child->local_ts.n && !child->if_id; i++)
		for (unsigned int k = 0; k < child->remote_ts.n; k++)
			pair_rules(conn, &child->local_ts.ts[i], &child->remote_ts.ts[k], &rules);
	if (rules.nomem) {
		free(rules.rule);
		return -ENOMEM;
	}
	*out = rules.rule;
	*n = rules.n;
	return 0;
}
