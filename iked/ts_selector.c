// SPDX-License-Identifier: BSD-2-Clause
/* Traffic selectors ⇄ addresses, prefixes, and selectors of the data path. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "iked/ts.h"

static unsigned int family_bits(__u8 family)
{
	return family == XIPSEC_FAMILY_IP4 ? 32 : 128;
}

/* The first `bits` bits are ones. */
static struct xipsec_addr mask_of(unsigned int bits)
{
	struct xipsec_addr mask = {0};

	for (unsigned int i = 0; i < bits; i++)
		mask.byte[i / 8] |= (__u8)(0x80 >> i % 8);
	return mask;
}

struct ts ts_of_prefix(__u8 family, const struct xipsec_addr *addr, unsigned int bits)
{
	struct ts ts = {.family = family, .port_hi = XIPSEC_PORT_MAX};
	struct xipsec_addr net = mask_of(bits), all = mask_of(family_bits(family));

	for (int i = 0; i < 4; i++) {
		ts.lo.word[i] = addr->word[i] & net.word[i];
		ts.hi.word[i] = ts.lo.word[i] | (all.word[i] & ~net.word[i]);
	}
	return ts;
}

struct ts ts_of_addr(__u8 family, const struct xipsec_addr *addr)
{
	return ts_of_prefix(family, addr, family_bits(family));
}

/* ------------------------------------------------------------------ of a rule */

static unsigned int mask_bits(const struct xipsec_addr *mask)
{
	unsigned int bits = 0;

	while (bits < 128 && (mask->byte[bits / 8] & 0x80 >> bits % 8))
		bits++;
	return bits;
}

static bool is_icmp(__u8 proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static void ports_of(const struct xipsec_selector *sel, struct ts *local, struct ts *remote)
{
	local->proto = remote->proto = sel->any_proto ? 0 : sel->l4_proto;
	if (!sel->any_proto && is_icmp(sel->l4_proto)) {
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

void ts_of_selector(const struct xipsec_selector *sel, struct ts local[2], struct ts remote[2],
		    unsigned int *out_n)
{
	static const __u8 both[] = {XIPSEC_FAMILY_IP4, XIPSEC_FAMILY_IP6};
	unsigned int n = 0;

	for (unsigned int i = 0; i < 2; i++) {
		if (sel->family != XIPSEC_FAMILY_ANY && sel->family != both[i])
			continue;
		local[n] = ts_of_prefix(both[i], &sel->local, mask_bits(&sel->local_mask));
		remote[n] = ts_of_prefix(both[i], &sel->remote, mask_bits(&sel->remote_mask));
		ports_of(sel, &local[n], &remote[n]);
		n++;
	}
	*out_n = n;
}

/* ------------------------------------------------------------------ of what was negotiated */

/* Are all bits behind the first `bits` zeros? */
static bool is_first_of(const struct xipsec_addr *addr, unsigned int bits, unsigned int end)
{
	for (unsigned int i = bits; i < end; i++)
		if (addr->byte[i / 8] & 0x80 >> i % 8)
			return false;
	return true;
}

/* Counts up from a prefix to the address behind it; false: there is none. */
static bool next_prefix(struct xipsec_addr *addr, unsigned int bits)
{
	for (unsigned int i = bits; i-- > 0;) {
		__u8 bit = (__u8)(0x80 >> i % 8);

		addr->byte[i / 8] ^= bit;
		if (addr->byte[i / 8] & bit)
			return true;
	}
	return false;
}

/* The prefix that begins at `at` and holds most, but nothing behind `hi`: its bits. */
static unsigned int largest_prefix(const struct xipsec_addr *at, const struct xipsec_addr *hi,
				   __u8 family)
{
	unsigned int bits = family_bits(family);

	while (bits) {
		struct ts wider = ts_of_prefix(family, at, bits - 1);

		if (!is_first_of(at, bits - 1, family_bits(family)) ||
		    memcmp(wider.hi.byte, hi->byte, sizeof(hi->byte)) > 0)
			break;
		bits--;
	}
	return bits;
}

/* Prefixes that make up a range, one after the other; false: the last was given. */
struct prefixes {
	struct xipsec_addr at, hi;
	__u8 family;
	bool done;
};

static struct prefixes prefixes_of(const struct ts *ts)
{
	return (struct prefixes){.at = ts->lo, .hi = ts->hi, .family = ts->family};
}

static bool prefixes_next(struct prefixes *p, struct xipsec_addr *net, struct xipsec_addr *mask)
{
	unsigned int bits;
	struct ts ts;

	if (p->done)
		return false;
	bits = largest_prefix(&p->at, &p->hi, p->family);
	ts = ts_of_prefix(p->family, &p->at, bits);
	*net = p->at;
	*mask = mask_of(bits);
	p->done = !memcmp(ts.hi.byte, p->hi.byte, sizeof(p->hi.byte)) || !next_prefix(&p->at, bits);
	return true;
}

/* false: no packet can match (or OPAQUE is asked for). */
static bool ports_to(const struct ts *local, const struct ts *remote, struct xipsec_selector *sel)
{
	if (local->proto && remote->proto && local->proto != remote->proto)
		return false;
	if (local->port_lo > local->port_hi || remote->port_lo > remote->port_hi)
		return false;
	sel->l4_proto = local->proto ? local->proto : remote->proto;
	sel->any_proto = !sel->l4_proto;
	sel->local_port_hi = sel->remote_port_hi = sel->icmp_hi = XIPSEC_PORT_MAX;
	if (is_icmp(sel->l4_proto)) {
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
	struct xipsec_selector sel = {.family = local->family};
	struct prefixes near = prefixes_of(local);

	if (local->family != remote->family || !ports_to(local, remote, &sel))
		return 0;
	while (prefixes_next(&near, &sel.local, &sel.local_mask)) {
		struct prefixes far = prefixes_of(remote);

		while (prefixes_next(&far, &sel.remote, &sel.remote_mask)) {
			if (*n == max)
				return -E2BIG;
			out[(*n)++] = sel;
		}
	}
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
