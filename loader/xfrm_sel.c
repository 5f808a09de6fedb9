// SPDX-License-Identifier: BSD-2-Clause
#include "loader/xfrm_sel.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/addr.h"

/* The most that one range can become: a range of 16 bits 30 masks, one of addresses more than there
 * is room for. */
#define PIECES_MAX XFRM_SELS_MAX

struct prefixes {
	unsigned int n;
	struct {
		struct xipsec_addr addr;
		__u8 len;
	} of[PIECES_MAX];
};

struct masks {
	unsigned int n;
	struct {
		__u16 value, mask;
	} of[PIECES_MAX];
};

/* The longest prefixes first that start at `lo` and do not reach beyond `hi`. */
static bool prefixes_make(struct prefixes *to, struct xipsec_addr lo, const struct xipsec_addr *hi,
			  __u8 family)
{
	const unsigned int bits = addr_bits(family);

	for (to->n = 0; to->n < PIECES_MAX; to->n++) {
		struct xipsec_addr first, last;
		unsigned int len = bits;

		while (len > 0) {
			first = addr_first(&lo, len - 1);
			last = addr_last(&lo, family, len - 1);
			if (addr_compare(&first, &lo) != 0 || addr_compare(&last, hi) > 0)
				break;
			len--;
		}
		to->of[to->n].addr = lo;
		to->of[to->n].len = (__u8)len;
		last = addr_last(&lo, family, len);
		if (addr_compare(&last, hi) >= 0) {
			to->n++;
			return true;
		}
		for (unsigned int i = bits / 8; i-- > 0 && ++last.byte[i] == 0;)
			;
		lo = last;
	}
	return false;
}

static void masks_make(struct masks *to, __u32 lo, __u32 hi)
{
	for (to->n = 0; lo <= hi && to->n < PIECES_MAX; to->n++) {
		__u32 size = 1;

		while (size < 0x10000 && !(lo & size) && lo + size * 2 - 1 <= hi)
			size *= 2;
		to->of[to->n].value = (__u16)lo;
		to->of[to->n].mask = (__u16)(0x10000 - size);
		lo += size;
	}
}

static bool is_icmp(const struct xipsec_selector *sel)
{
	return !sel->any_proto &&
	       (sel->l4_proto == IPPROTO_ICMP || sel->l4_proto == IPPROTO_ICMPV6);
}

/* To the kernel a type is the source's port and a code the destination's. */
static bool icmp_make(const struct xipsec_selector *sel, struct masks *types, struct masks *codes)
{
	if (sel->icmp_lo >> 8 == sel->icmp_hi >> 8) {
		masks_make(types, sel->icmp_lo >> 8, sel->icmp_hi >> 8);
		masks_make(codes, sel->icmp_lo & 0xff, sel->icmp_hi & 0xff);
		if ((sel->icmp_lo & 0xff) == 0 && (sel->icmp_hi & 0xff) == 0xff)
			masks_make(codes, 0, XIPSEC_PORT_MAX);
		return true;
	}
	if ((sel->icmp_lo & 0xff) != 0 || (sel->icmp_hi & 0xff) != 0xff)
		return false;
	if (sel->icmp_lo == 0 && sel->icmp_hi == 0xffff)
		masks_make(types, 0, XIPSEC_PORT_MAX);
	else
		masks_make(types, sel->icmp_lo >> 8, sel->icmp_hi >> 8);
	masks_make(codes, 0, XIPSEC_PORT_MAX);
	return true;
}

static const char *fault_of(const struct xipsec_selector *sel)
{
	if (sel->opaque)
		return "kernel XFRM cannot ask for hidden ports";
	if (sel->dscp)
		return "kernel XFRM does not look at the DSCP";
	if (!is_icmp(sel) && (sel->icmp_lo != 0 || sel->icmp_hi != 0xffff))
		return "kernel XFRM is not told types of the Mobility Header";
	if (!sel->any_proto && !sel->l4_proto)
		return "kernel XFRM has no protocol 0";
	return NULL;
}

static bool put(struct xfrm_sels *out, const struct xfrm_selector *sel, bool refuse)
{
	if (out->n >= XFRM_SELS_MAX)
		return false;
	out->sel[out->n] = *sel;
	out->refuse[out->n++] = refuse;
	return true;
}

struct pieces {
	struct prefixes src, dst;
	struct masks sport, dport;
};

static bool put_ports(struct xfrm_sels *out, struct xfrm_selector *sel, const struct pieces *of,
		      bool refuse)
{
	for (unsigned int s = 0; s < of->sport.n; s++) {
		sel->sport = htons(of->sport.of[s].value);
		sel->sport_mask = htons(of->sport.of[s].mask);
		for (unsigned int d = 0; d < of->dport.n; d++) {
			sel->dport = htons(of->dport.of[d].value);
			sel->dport_mask = htons(of->dport.of[d].mask);
			if (!put(out, sel, refuse))
				return false;
		}
	}
	return true;
}

static bool put_all(struct xfrm_sels *out, struct xfrm_selector *sel, const struct pieces *of,
		    bool refuse)
{
	for (unsigned int s = 0; s < of->src.n; s++) {
		memcpy(&sel->saddr, &of->src.of[s].addr, sizeof(sel->saddr));
		sel->prefixlen_s = of->src.of[s].len;
		for (unsigned int d = 0; d < of->dst.n; d++) {
			memcpy(&sel->daddr, &of->dst.of[d].addr, sizeof(sel->daddr));
			sel->prefixlen_d = of->dst.of[d].len;
			if (!put_ports(out, sel, of, refuse))
				return false;
		}
	}
	return true;
}

static const char *add(struct xfrm_sels *out, const struct xipsec_selector *ours, __u8 dir,
		       __u8 family, bool refuse)
{
	const bool leaves = dir == XIPSEC_DIR_OUT, any = ours->family == XIPSEC_FAMILY_ANY;
	struct xfrm_selector sel = {.family = family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET,
				    .proto = ours->any_proto ? 0 : ours->l4_proto};
	static const struct xipsec_addr zero;
	struct prefixes local, remote;
	struct pieces of;

	const struct xipsec_addr all = addr_last(&zero, family, 0);
	if (!prefixes_make(&local, any ? zero : ours->local_lo, any ? &all : &ours->local_hi,
			   family) ||
	    !prefixes_make(&remote, any ? zero : ours->remote_lo, any ? &all : &ours->remote_hi,
			   family))
		return "a range of addresses is too many prefixes for kernel XFRM";
	of.src = leaves ? local : remote;
	of.dst = leaves ? remote : local;
	if (is_icmp(ours)) {
		if (!icmp_make(ours, &of.sport, &of.dport))
			return "kernel XFRM cannot say that range of ICMP types and codes";
	} else {
		masks_make(leaves ? &of.sport : &of.dport, ours->local_port_lo,
			   ours->local_port_hi);
		masks_make(leaves ? &of.dport : &of.sport, ours->remote_port_lo,
			   ours->remote_port_hi);
	}
	return put_all(out, &sel, &of, refuse) ? NULL
					       : "they are more than 64 selectors of kernel XFRM";
}

const char *xfrm_sels_make(const struct xipsec_sa *sa, struct xfrm_sels *out)
{
	const char *fault = NULL;

	out->n = 0;
	for (__u32 i = 0; !fault && i < sa->n_selectors; i++) {
		const struct xipsec_selector *ours = &sa->selector[i];

		fault = fault_of(ours);
		if (!fault && ours->family != XIPSEC_FAMILY_IP6)
			fault = add(out, ours, sa->dir, XIPSEC_FAMILY_IP4, sa->refuse[i]);
		if (!fault && ours->family != XIPSEC_FAMILY_IP4)
			fault = add(out, ours, sa->dir, XIPSEC_FAMILY_IP6, sa->refuse[i]);
	}
	return fault;
}
