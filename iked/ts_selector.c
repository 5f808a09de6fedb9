// SPDX-License-Identifier: BSD-2-Clause
/* Traffic selectors ⇄ addresses, prefixes, and selectors of the data path. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "iked/ts.h"
#include "lib/addr.h"
#include "lib/proto.h"

struct ts ts_of_prefix(__u8 family, const struct xipsec_addr *addr, unsigned int bits)
{
	struct ts ts = {.family = family, .port_hi = XIPSEC_PORT_MAX};

	ts.lo = addr_first(addr, bits);
	ts.hi = addr_last(&ts.lo, family, bits);
	return ts;
}

struct ts ts_of_addr(__u8 family, const struct xipsec_addr *addr)
{
	return ts_of_prefix(family, addr, addr_bits(family));
}

/* ------------------------------------------------------------------ of a rule */

static void ports_of(const struct xipsec_selector *sel, struct ts *local, struct ts *remote)
{
	local->proto = remote->proto = sel->any_proto ? 0 : sel->l4_proto;
	if (sel->opaque) {
		local->port_lo = remote->port_lo = XIPSEC_PORT_MAX;
		local->port_hi = remote->port_hi = 0;
		return;
	}
	if (!sel->any_proto && proto_has_type(sel->l4_proto)) {
		/* RFC 7296 3.13.1: type and code in place of ports, the same on both sides */
		local->port_lo = remote->port_lo = sel->icmp_lo;
		local->port_hi = remote->port_hi = sel->icmp_hi;
		return;
	}
	local->port_lo = sel->local_port_lo;
	local->port_hi = sel->local_port_hi;
	remote->port_lo = sel->remote_port_lo;
	remote->port_hi = sel->remote_port_hi;
}

static struct ts addrs_of(const struct xipsec_selector *sel, __u8 family,
			  const struct xipsec_addr *lo, const struct xipsec_addr *hi)
{
	struct ts ts = {.family = family, .lo = *lo, .hi = *hi, .port_hi = XIPSEC_PORT_MAX};

	if (sel->family == XIPSEC_FAMILY_ANY)
		addr_any(family, &ts.lo, &ts.hi);
	return ts;
}

void ts_of_selector(const struct xipsec_selector *sel, struct ts local[2], struct ts remote[2],
		    unsigned int *out_n)
{
	static const __u8 both[] = {XIPSEC_FAMILY_IP4, XIPSEC_FAMILY_IP6};
	unsigned int n = 0;

	for (unsigned int i = 0; i < 2; i++) {
		if (sel->family != XIPSEC_FAMILY_ANY && sel->family != both[i])
			continue;
		local[n] = addrs_of(sel, both[i], &sel->local_lo, &sel->local_hi);
		remote[n] = addrs_of(sel, both[i], &sel->remote_lo, &sel->remote_hi);
		ports_of(sel, &local[n], &remote[n]);
		n++;
	}
	*out_n = n;
}

/* ------------------------------------------------------------------ of what was negotiated */

static bool is_opaque(const struct ts *ts)
{
	return ts->port_lo > ts->port_hi;
}

static bool is_any_port(const struct ts *ts)
{
	return ts->port_lo == 0 && ts->port_hi == XIPSEC_PORT_MAX;
}

/* What hides its ports hides both: OPAQUE goes with OPAQUE, or with any. */
static bool opaque_to(const struct ts *local, const struct ts *remote, struct xipsec_selector *sel)
{
	sel->opaque = XIPSEC_OPAQUE_PORTS;
	return (is_opaque(local) || is_any_port(local)) &&
	       (is_opaque(remote) || is_any_port(remote));
}

/* false: no packet can match. */
static bool ports_to(const struct ts *local, const struct ts *remote, struct xipsec_selector *sel)
{
	if (local->proto && remote->proto && local->proto != remote->proto)
		return false;
	sel->l4_proto = local->proto ? local->proto : remote->proto;
	sel->any_proto = !sel->l4_proto;
	sel->local_port_hi = sel->remote_port_hi = sel->icmp_hi = XIPSEC_PORT_MAX;
	if (is_opaque(local) || is_opaque(remote))
		return opaque_to(local, remote, sel);
	if (proto_has_type(sel->l4_proto)) {
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

static int pair_selectors(const struct ts *local, const struct ts *remote,
			  struct xipsec_selector *out, unsigned int max, unsigned int *n)
{
	struct xipsec_selector sel = {.family = local->family,
				      .local_lo = local->lo,
				      .local_hi = local->hi,
				      .remote_lo = remote->lo,
				      .remote_hi = remote->hi};

	if (local->family != remote->family || !ports_to(local, remote, &sel))
		return 0;
	if (*n == max)
		return -E2BIG;
	out[(*n)++] = sel;
	return 0;
}

int ts_selectors(const struct ts_list *local, const struct ts_list *remote,
		 struct xipsec_selector *out, unsigned int max, unsigned int *n)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < local->n; i++) {
		for (unsigned int j = 0; j < remote->n; j++) {
			int err = pair_selectors(&local->ts[i], &remote->ts[j], out, max, &count);

			if (err)
				return err;
		}
	}
	*n = count;
	return 0;
}
