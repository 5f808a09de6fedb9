// SPDX-License-Identifier: BSD-2-Clause
#include "loader/route_query.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/log.h"

static void take_metrics(const struct nlattr *nest, struct fib_answer *fib)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == RTAX_MTU)
			fib->mtu = mnl_attr_get_u32(attr);
	}
}

/* The stack keeps for a while what it was told of a destination. Where that is the other end of an
 * SA, it is we who told it, what fits into ESP: taken for the path's, ESP would get smaller with
 * each look. Errors about ESP itself do not reach the stack (bpf/pmtu.h). */
static bool is_learnt(const struct nlattr *attr, const struct rtmsg *rtm)
{
	const struct rta_cacheinfo *info = mnl_attr_get_payload(attr);

	return mnl_attr_get_payload_len(attr) >= sizeof(*info) && info->rta_expires > 0 &&
	       (rtm->rtm_flags & RTM_F_CLONED);
}

static int on_route(const struct nlmsghdr *nlh, void *ctx)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct fib_answer *fib = ctx;
	const struct rtvia *via;
	struct nlattr *attr;
	size_t len;

	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	fib->type = rtm->rtm_type;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		len = mnl_attr_get_payload_len(attr);
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF: fib->oif = mnl_attr_get_u32(attr); break;
		case RTA_METRICS: take_metrics(attr, fib); break;
		case RTA_CACHEINFO: fib->learnt = is_learnt(attr, rtm); break;
		case RTA_GATEWAY:
			if (len > sizeof(fib->gateway))
				break;
			fib->family = rtm->rtm_family;
			memcpy(&fib->gateway, mnl_attr_get_payload(attr), len);
			fib->has_gateway = true;
			break;
		case RTA_VIA:
			via = mnl_attr_get_payload(attr);
			if (len < sizeof(*via) || len - sizeof(*via) > sizeof(fib->gateway))
				break;
			fib->family = via->rtvia_family;
			memcpy(&fib->gateway, via->rtvia_addr, len - sizeof(*via));
			fib->has_gateway = true;
			break;
		}
	}
	return MNL_CB_OK;
}

static size_t addr_len(__u8 family)
{
	return family == AF_INET ? 4 : 16;
}

int route_query_fib(struct netlink *query, __u8 family, const struct xipsec_addr *dst,
		    struct fib_answer *fib)
{
	char buf[NETLINK_REQUEST_MAX];
	struct nlmsghdr *req;
	struct rtmsg *rtm;
	void *header;

	req = netlink_request(buf, RTM_GETROUTE, 0, sizeof(*rtm), &header);
	rtm = header;
	rtm->rtm_family = family;
	rtm->rtm_dst_len = addr_len(family) * 8;
	mnl_attr_put(req, RTA_DST, addr_len(family), dst);
	return netlink_call(query, req, on_route, fib);
}

static int on_neighbour(const struct nlmsghdr *nlh, void *ctx)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct neighbour *n = ctx;
	struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWNEIGH)
		return MNL_CB_OK;
	n->state = ndm->ndm_state;
	mnl_attr_for_each(attr, nlh, sizeof(*ndm))
	{
		if (mnl_attr_get_type(attr) == NDA_LLADDR && mnl_attr_get_payload_len(attr) == 6) {
			memcpy(n->mac, mnl_attr_get_payload(attr), 6);
			n->has_mac = true;
		}
	}
	return MNL_CB_OK;
}

static int neighbour_call(struct netlink *query, __u16 type, __u16 flags, __u8 ntf,
			  unsigned int ifindex, __u8 family, const struct xipsec_addr *dst,
			  struct neighbour *out)
{
	char buf[NETLINK_REQUEST_MAX];
	struct nlmsghdr *req;
	struct ndmsg *ndm;
	void *header;

	req = netlink_request(buf, type, flags, sizeof(*ndm), &header);
	ndm = header;
	ndm->ndm_family = family;
	ndm->ndm_ifindex = (int)ifindex;
	ndm->ndm_flags = ntf;
	ndm->ndm_state = 0;
	mnl_attr_put(req, NDA_DST, addr_len(family), dst);
	return netlink_call(query, req, out ? on_neighbour : NULL, out);
}

void route_query_neighbour(struct netlink *query, unsigned int ifindex, __u8 family,
			   const struct xipsec_addr *dst, struct neighbour *n)
{
	int err;

	*n = (struct neighbour){0};
	err = neighbour_call(query, RTM_GETNEIGH, 0, 0, ifindex, family, dst, n);
	if (!err && (n->state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP | NUD_DELAY | NUD_PROBE |
				 NUD_INCOMPLETE)))
		return;
	err = neighbour_call(query, RTM_NEWNEIGH, NLM_F_CREATE, NTF_USE, ifindex, family, dst,
			     NULL);
	if (err)
		log_debug("cannot make the kernel probe a neighbour: %s", strerror(-err));
}
