// SPDX-License-Identifier: BSD-2-Clause
/* The rules that a child has in the SPD, from the moment that its connection is known. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/cleanup.h"
#include "lib/config_policy.h"
#include "lib/conn.h"

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

static bool addr_bit(const struct xipsec_addr *addr, unsigned int i)
{
	return addr->byte[i / 8] >> (7 - i % 8) & 1;
}

static void addr_set(struct xipsec_addr *addr, unsigned int from, unsigned int bits, bool value)
{
	for (unsigned int i = from; i < bits; i++) {
		if (value)
			addr->byte[i / 8] |= 0x80 >> i % 8;
		else
			addr->byte[i / 8] &= ~(0x80 >> i % 8);
	}
}

/* The largest prefix that begins at `lo` and ends at or before `hi`: its length. */
static unsigned int prefix_at(const struct xipsec_addr *lo, const struct xipsec_addr *hi,
			      unsigned int bits)
{
	unsigned int len = bits;

	while (len > 0 && !addr_bit(lo, len - 1)) {
		struct xipsec_addr last = *lo;

		addr_set(&last, len - 1, bits, true);
		if (memcmp(&last, hi, sizeof(last)) > 0)
			break;
		len--;
	}
	return len;
}

/* `addr` becomes the first address behind the prefix of that length. False: there is none. */
static bool addr_behind(struct xipsec_addr *addr, unsigned int len)
{
	while (len > 0) {
		len--;
		addr->byte[len / 8] ^= 0x80 >> len % 8;
		if (addr_bit(addr, len))
			return true;
	}
	return false;
}

/* Calls `make` for each prefix of the fewest that make up the range; of any address once. */
static void side_prefixes(const struct side *side,
			  void (*make)(const struct xipsec_addr *addr,
				       const struct xipsec_addr *mask, void *into),
			  void *into)
{
	unsigned int bits = side->family == XIPSEC_FAMILY_IP4 ? 32 : 128;
	struct xipsec_addr at = side->lo, mask = {0};

	if (side->unknown || !side->family) {
		make(&mask, &mask, into);
		return;
	}
	do {
		unsigned int len = prefix_at(&at, &side->hi, bits);

		memset(&mask, 0, sizeof(mask));
		addr_set(&mask, 0, len, true);
		make(&at, &mask, into);
		if (!addr_behind(&at, len))
			return;
	} while (memcmp(&at, &side->hi, sizeof(at)) <= 0);
}

/* ------------------------------------------------------------------ pairs */

struct pair {
	struct rules *rules;
	const struct side *remote;
	struct xipsec_selector sel;
};

static void make_remote(const struct xipsec_addr *addr, const struct xipsec_addr *mask, void *into)
{
	struct pair *pair = into;

	pair->sel.remote = *addr;
	pair->sel.remote_mask = *mask;
	rule_add(pair->rules, &pair->sel);
}

static void make_local(const struct xipsec_addr *addr, const struct xipsec_addr *mask, void *into)
{
	struct pair *pair = into;

	pair->sel.local = *addr;
	pair->sel.local_mask = *mask;
	side_prefixes(pair->remote, make_remote, pair);
}

/* Protocol and ports of both sides (RFC 7296 3.13.1: of ICMP they are type and code, on either
 * side). False: no packet is in both. OPAQUE ports are for packets that hide them: without a rule
 * of their own kind these go by what all ports of the protocol are told. */
static bool pair_ports(const struct conn_ts *local, const struct conn_ts *remote,
		       struct xipsec_selector *sel)
{
	bool icmp;

	if (!local->any_proto && !remote->any_proto && local->l4_proto != remote->l4_proto)
		return false;
	*sel = selector_any;
	sel->any_proto = local->any_proto && remote->any_proto;
	sel->l4_proto = local->any_proto ? remote->l4_proto : local->l4_proto;
	icmp = !sel->any_proto && (sel->l4_proto == 1 || sel->l4_proto == 58);
	if (icmp) {
		sel->icmp_lo = local->port_lo > remote->port_lo ? local->port_lo : remote->port_lo;
		sel->icmp_hi = local->port_hi < remote->port_hi ? local->port_hi : remote->port_hi;
		return sel->icmp_lo <= sel->icmp_hi;
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
	struct pair pair = {.rules = rules, .remote = &to};
	__u8 action = rules->base.action;

	if (!pair_ports(local, remote, &pair.sel))
		return;
	if (from.family && to.family && from.family != to.family)
		return;
	pair.sel.family = from.family ? from.family : to.family;
	if (from.unknown || to.unknown)
		rules->base.action = XIPSEC_ACTION_DISCARD;
	side_prefixes(&from, make_local, &pair);
	rules->base.action = action;
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
