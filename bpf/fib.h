/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking the kernel's routes where a packet would go. */
#ifndef BPF_FIB_H
#define BPF_FIB_H

#include "bpf/explain.h"
#include "bpf/maps.h"
#include "bpf/parse.h"

#define FIB_AF_INET    2
#define FIB_AF_INET6   10
#define FIB_SKIP_NEIGH 4 /* BPF_FIB_LOOKUP_SKIP_NEIGH, since Linux 6.3 */
#define FIB_EINVAL     22

/* Routes alone: whether the neighbour is known changes no verdict, and asking for it takes a tenth
 * of the program's time. A kernel that does not know the flag looks at nothing and says EINVAL. */
static __always_inline long fib_routes(void *ctx, struct bpf_fib_lookup *fib)
{
	long ret = bpf_fib_lookup(ctx, fib, sizeof(*fib), FIB_SKIP_NEIGH);

	return ret == -FIB_EINVAL ? bpf_fib_lookup(ctx, fib, sizeof(*fib), 0) : ret;
}

/* `ctx`: of the program, XDP or TC. BPF_FIB_LKUP_RET_*, or a negative errno; *egress is written
 * where the route names a device. tot_len 0: no MTU check, the answer must not depend on the size.
 */
static __always_inline long fib_ask(void *ctx, const struct pkt *pkt, __u32 *egress)
{
	struct bpf_fib_lookup fib;
	long ret;

	__builtin_memset(&fib, 0, sizeof(fib));
	fib.ifindex = pkt->ifindex;
	fib.l4_protocol = pkt->l4_proto;
	fib.sport = bpf_htons(pkt->sport);
	fib.dport = bpf_htons(pkt->dport);
	if (pkt->family == XIPSEC_FAMILY_IP4) {
		fib.family = FIB_AF_INET;
		fib.tos = pkt->tos;
		fib.ipv4_src = pkt->src.word[0];
		fib.ipv4_dst = pkt->dst.word[0];
	} else {
		fib.family = FIB_AF_INET6;
		fib.flowinfo = pkt->flowinfo;
		__builtin_memcpy(fib.ipv6_src, &pkt->src, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, &pkt->dst, sizeof(fib.ipv6_dst));
	}
	ret = fib_routes(ctx, &fib);
	if (ret == BPF_FIB_LKUP_RET_SUCCESS || ret == BPF_FIB_LKUP_RET_NO_NEIGH)
		*egress = fib.ifindex;
	way_set(pkt, egress, *egress);
	return ret;
}

enum fib_way {
	FIB_ELSEWHERE, /* this host, a red interface, nowhere */
	FIB_BLACK,
	FIB_UNKNOWN, /* an interface without a role: exempt, or a black one that was made anew */
};

/* By which way would the stack send this out? Direction of failure: slow path, "elsewhere" means
 * that the stack decides, and the guard on black's egress looks at whatever it sends there. */
static __always_inline enum fib_way fib_way_out(void *ctx, const struct pkt *pkt)
{
	const struct xipsec_iface *iface;
	__u32 egress = 0;

	if (pkt_multicast(pkt))
		return FIB_ELSEWHERE;
	fib_ask(ctx, pkt, &egress);
	if (!egress)
		return FIB_ELSEWHERE;
	iface = bpf_map_lookup_elem(&ifaces, &egress);
	if (!iface)
		return FIB_UNKNOWN;
	return iface->role == XIPSEC_ROLE_UNPROTECTED ? FIB_BLACK : FIB_ELSEWHERE;
}

/* Is the destination this host? NOT_FWDED is also said of what has no route, FWD_DISABLED of
 * everything on a host that does not forward, or from and to link-local: none goes further than
 * here. Multicast and broadcast are nobody's own. */
static __always_inline int fib_is_local(void *ctx, const struct pkt *pkt)
{
	__u32 egress = 0;
	long ret;

	if (pkt_multicast(pkt))
		return 0;
	ret = fib_ask(ctx, pkt, &egress);
	if (ret != BPF_FIB_LKUP_RET_NOT_FWDED && ret != BPF_FIB_LKUP_RET_FWD_DISABLED)
		return 0;
	way_flag(pkt, XIPSEC_WAY_LOCAL);
	return 1;
}

#endif
