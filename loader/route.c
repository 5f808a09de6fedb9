// SPDX-License-Identifier: BSD-2-Clause
#include "loader/route.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/log.h"
#include "lib/netlink.h"

/* Next hops kept at most: a hostile worker can ask for any. The one asked for longest ago goes. */
#define NEXTHOPS_MAX 4096
/* Seconds after the last question in which changes are still told: workers ask again after 30. */
#define NEXTHOP_KEEP 90
#define DEBOUNCE_US  20000
#define LINKS_US     1000

struct nexthop {
	struct ctl_nexthop answer;
	unsigned int ifindex;   /* of the neighbour, 0: none */
	struct xipsec_addr via; /* the neighbour */
	bool dirty;             /* the neighbour has changed */
	__u64 asked;            /* seconds */
	__u64 resolved;         /* milliseconds */
};

struct route {
	const struct route_hooks *hooks;
	void *ctx;
	struct netlink query;
	struct netlink events;
	struct event *readable;
	struct event *debounce;
	struct event *second;
	bool links_changed, routes_changed;
	struct route_link *links;
	size_t n_links;
	struct nexthop *hops;
	size_t n_hops;
};

static __u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ interfaces */

static void take_vlan_data(const struct nlattr *data, struct route_link *link)
{
	__u16 tag[2] = {htons(ETH_P_8021Q), 0};
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, data)
	{
		if (mnl_attr_get_type(attr) == IFLA_VLAN_PROTOCOL)
			tag[0] = mnl_attr_get_u16(attr);
		if (mnl_attr_get_type(attr) == IFLA_VLAN_ID)
			tag[1] = htons(mnl_attr_get_u16(attr));
	}
	memcpy(&link->vlan, tag, sizeof(link->vlan));
}

/* Of links that are not VLANs `lower` means something else, or lies in another namespace. */
static void take_linkinfo(const struct nlattr *linkinfo, struct route_link *link)
{
	const struct nlattr *attr, *data = NULL;
	bool vlan = false;

	mnl_attr_for_each_nested(attr, linkinfo)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			vlan = !strcmp(mnl_attr_get_str(attr), "vlan");
		if (mnl_attr_get_type(attr) == IFLA_INFO_DATA)
			data = attr;
	}
	if (vlan && data)
		take_vlan_data(data, link);
}

static int on_link(const struct nlmsghdr *nlh, void *ctx)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct route *route = ctx;
	struct route_link *link;
	struct nlattr *attr;
	bool elsewhere = false;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	link = realloc(route->links, (route->n_links + 1) * sizeof(*link));
	if (!link)
		return MNL_CB_ERROR;
	route->links = link;
	link += route->n_links++;
	*link = (struct route_link){.ifindex = ifi->ifi_index, .up = ifi->ifi_flags & IFF_UP};
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			strncpy(link->name, mnl_attr_get_str(attr), sizeof(link->name) - 1);
			break;
		case IFLA_MTU: link->mtu = mnl_attr_get_u32(attr); break;
		case IFLA_NUM_RX_QUEUES: link->queues = mnl_attr_get_u32(attr); break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == 6)
				memcpy(link->mac, mnl_attr_get_payload(attr), 6);
			break;
		case IFLA_LINK: link->lower = mnl_attr_get_u32(attr); break;
		case IFLA_LINK_NETNSID: elsewhere = true; break;
		case IFLA_LINKINFO: take_linkinfo(attr, link); break;
		}
	}
	if (!link->vlan || elsewhere)
		link->lower = 0;
	return MNL_CB_OK;
}

static int on_addr(const struct nlmsghdr *nlh, void *ctx)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *address = NULL;
	struct route *route = ctx;
	struct route_link *link;
	struct nlattr *attr;
	bool global = ifa->ifa_scope == RT_SCOPE_UNIVERSE;

	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		int type = mnl_attr_get_type(attr);

		/* Of a point-to-point link IFA_ADDRESS is the peer, IFA_LOCAL is us. */
		if (type == IFA_LOCAL || (type == IFA_ADDRESS && !address))
			address = attr;
	}
	link = (struct route_link *)route_link(route, ifa->ifa_index);
	if (!link || !address)
		return MNL_CB_OK;
	if (ifa->ifa_family == AF_INET && mnl_attr_get_payload_len(address) == 4 &&
	    (!link->ip4.word[0] || (global && !link->ip4_global))) {
		memcpy(&link->ip4, mnl_attr_get_payload(address), 4);
		link->ip4_global = global;
	}
	if (ifa->ifa_family == AF_INET6 && mnl_attr_get_payload_len(address) == 16 &&
	    (!link->ip6.word[0] || (global && !link->ip6_global))) {
		memcpy(&link->ip6, mnl_attr_get_payload(address), 16);
		link->ip6_global = global;
	}
	return MNL_CB_OK;
}

int route_links_read(struct route *route)
{
	char buf[NETLINK_REQUEST_MAX];
	struct nlmsghdr *req;
	void *header;
	int err;

	route->n_links = 0;
	req = netlink_request(buf, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg), &header);
	err = netlink_call(&route->query, req, on_link, route);
	if (err)
		return err;
	req = netlink_request(buf, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg), &header);
	return netlink_call(&route->query, req, on_addr, route);
}

const struct route_link *route_link(const struct route *route, unsigned int ifindex)
{
	for (size_t i = 0; i < route->n_links; i++)
		if (route->links[i].ifindex == ifindex)
			return &route->links[i];
	return NULL;
}

const struct route_link *route_link_next(const struct route *route, const struct route_link *after)
{
	size_t i = after ? (size_t)(after - route->links) + 1 : 0;

	return i < route->n_links ? &route->links[i] : NULL;
}

/* ------------------------------------------------------------------ routes and neighbours */

struct fib_answer {
	unsigned int type;
	unsigned int oif;
	unsigned int mtu;
	bool learnt; /* mtu is what an ICMP error told the stack */
	__u8 family; /* AF_*, of gateway */
	struct xipsec_addr gateway;
	bool has_gateway;
};

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

static int ask_fib(struct route *route, __u8 family, const struct xipsec_addr *dst,
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
	return netlink_call(&route->query, req, on_route, fib);
}

struct neighbour {
	__u16 state;
	bool has_mac;
	__u8 mac[6];
};

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

static int neighbour_call(struct route *route, __u16 type, __u16 flags, __u8 ntf,
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
	return netlink_call(&route->query, req, out ? on_neighbour : NULL, out);
}

/* The neighbour as the kernel has it; has it probed when that is not sure. */
static void ask_neighbour(struct route *route, struct nexthop *hop, __u8 family,
			  const struct xipsec_addr *dst)
{
	struct neighbour n = {0};
	int err;

	err = neighbour_call(route, RTM_GETNEIGH, 0, 0, hop->ifindex, family, dst, &n);
	if (err || !(n.state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP | NUD_DELAY | NUD_PROBE |
				NUD_INCOMPLETE))) {
		err = neighbour_call(route, RTM_NEWNEIGH, NLM_F_CREATE, NTF_USE, hop->ifindex,
				     family, dst, NULL);
		if (err)
			log_debug("cannot make the kernel probe a neighbour: %s", strerror(-err));
	}
	if (n.has_mac && !(n.state & (NUD_INCOMPLETE | NUD_FAILED))) {
		hop->answer.status = XIPSEC_NEXTHOP_OK;
		memcpy(hop->answer.dst_mac, n.mac, 6);
	} else {
		hop->answer.status = n.state & NUD_FAILED ? XIPSEC_NEXTHOP_NO_NEIGH
							  : XIPSEC_NEXTHOP_UNKNOWN;
	}
}

/* The slot that packets to `oif` leave by: its own, or that of the interface below a VLAN, or below
 * a VLAN in a VLAN; then with their tags. -1: none has a role. */
static int slot_below(struct route *route, unsigned int oif, struct ctl_nexthop *answer)
{
	const struct route_link *link;
	int slot;

	answer->n_vlans = 0;
	while ((slot = route->hooks->slot(route->ctx, oif)) < 0) {
		link = route_link(route, oif);
		if (!link || !link->lower || !link->up || answer->n_vlans == XIPSEC_VLANS_MAX)
			return -1;
		memmove(answer->vlan + 1, answer->vlan,
			answer->n_vlans++ * sizeof(answer->vlan[0]));
		answer->vlan[0] = link->vlan;
		oif = link->lower;
	}
	return slot;
}

static void resolve(struct route *route, struct nexthop *hop)
{
	__u8 family = hop->answer.family == XIPSEC_FAMILY_IP4 ? AF_INET : AF_INET6;
	const struct route_link *link;
	struct fib_answer fib = {0};
	int slot;

	hop->answer.status = XIPSEC_NEXTHOP_NO_ROUTE;
	hop->answer.slot = 0;
	hop->answer.mtu = 0;
	hop->answer.lifetime = 5;
	hop->ifindex = 0;
	hop->dirty = false;
	memset(hop->answer.src_mac, 0, 6);
	memset(hop->answer.dst_mac, 0, 6);
	hop->resolved = now_ms();
	if (ask_fib(route, family, &hop->answer.dst, &fib))
		return;
	if (fib.type == RTN_LOCAL || fib.type == RTN_ANYCAST) {
		hop->answer.status = XIPSEC_NEXTHOP_LOCAL;
		hop->answer.lifetime = 30;
		return;
	}
	slot = fib.type == RTN_UNICAST ? slot_below(route, fib.oif, &hop->answer) : -1;
	link = slot < 0 ? NULL : route_link(route, fib.oif);
	if (!link)
		return;
	hop->answer.slot = slot;
	hop->answer.mtu = fib.mtu && !fib.learnt && fib.mtu < link->mtu ? fib.mtu : link->mtu;
	memcpy(hop->answer.src_mac, link->mac, 6);
	hop->ifindex = fib.oif;
	hop->via = fib.has_gateway ? fib.gateway : hop->answer.dst;
	ask_neighbour(route, hop, fib.has_gateway ? fib.family : family, &hop->via);
	hop->answer.lifetime = hop->answer.status == XIPSEC_NEXTHOP_OK ? 30 : 1;
}

static void tell(struct route *route, const struct nexthop *hop)
{
	route->hooks->nexthop(route->ctx, &hop->answer);
}

static struct nexthop *find(struct route *route, const struct xipsec_addr *dst, __u32 family)
{
	for (size_t i = 0; i < route->n_hops; i++)
		if (route->hops[i].answer.family == family &&
		    memcmp(&route->hops[i].answer.dst, dst, sizeof(*dst)) == 0)
			return &route->hops[i];
	return NULL;
}

static struct nexthop *make_room(struct route *route)
{
	struct nexthop *oldest = &route->hops[0];

	if (route->n_hops < NEXTHOPS_MAX)
		return &route->hops[route->n_hops++];
	for (size_t i = 1; i < route->n_hops; i++)
		if (route->hops[i].asked < oldest->asked)
			oldest = &route->hops[i];
	return oldest;
}

void route_ask(struct route *route, const struct xipsec_addr *dst, __u32 family)
{
	struct nexthop *hop;
	__u64 ms = now_ms();

	if (family != XIPSEC_FAMILY_IP4 && family != XIPSEC_FAMILY_IP6)
		return;
	hop = find(route, dst, family);
	if (!hop) {
		hop = make_room(route);
		*hop = (struct nexthop){
			.answer = {.hdr = {XIPSEC_CTL_NEXTHOP, XIPSEC_ABI, sizeof(hop->answer)},
				   .dst = *dst,
				   .family = family}};
	}
	hop->asked = ms / 1000;
	/* Several workers ask for the same, and one may ask in a loop. */
	if (!hop->resolved || ms - hop->resolved >= 200)
		resolve(route, hop);
	tell(route, hop);
}

void route_each(const struct route *route, void (*fn)(void *ctx, const struct ctl_nexthop *msg),
		void *ctx)
{
	for (size_t i = 0; i < route->n_hops; i++)
		fn(ctx, &route->hops[i].answer);
}

static void renew(struct route *route, bool all)
{
	struct ctl_nexthop before;

	for (size_t i = 0; i < route->n_hops; i++) {
		if (!all && !route->hops[i].dirty)
			continue;
		before = route->hops[i].answer;
		resolve(route, &route->hops[i]);
		if (memcmp(&before, &route->hops[i].answer, sizeof(before)) != 0)
			tell(route, &route->hops[i]);
	}
}

void route_renew(struct route *route)
{
	renew(route, true);
}

/* ------------------------------------------------------------------ events */

static void on_neighbour_event(struct route *route, const struct nlmsghdr *nlh)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct xipsec_addr via = {0};
	struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(*ndm))
	{
		if (mnl_attr_get_type(attr) == NDA_DST &&
		    mnl_attr_get_payload_len(attr) <= sizeof(via))
			memcpy(&via, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
	}
	for (size_t i = 0; i < route->n_hops; i++)
		if (route->hops[i].ifindex == (unsigned int)ndm->ndm_ifindex &&
		    memcmp(&route->hops[i].via, &via, sizeof(via)) == 0)
			route->hops[i].dirty = true;
}

static int on_event(const struct nlmsghdr *nlh, void *ctx)
{
	struct route *route = ctx;

	switch (nlh->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH: on_neighbour_event(route, nlh); return MNL_CB_OK;
	case RTM_NEWLINK:
	case RTM_DELLINK:
	case RTM_NEWADDR:
	case RTM_DELADDR: route->links_changed = true; break;
	}
	route->routes_changed = true;
	return MNL_CB_OK;
}

static void readable(evutil_socket_t fd, short what, void *ctx)
{
	struct timeval delay = {.tv_usec = DEBOUNCE_US};
	struct route *route = ctx;
	int err;

	err = netlink_events(&route->events, on_event, route);
	if (err == -ENOBUFS)
		route->links_changed = route->routes_changed = true;
	else if (err)
		log_warn("netlink events: %s", strerror(-err));
	/* A new interface is to be closed at once; the rest can wait for its burst to end. */
	if (route->links_changed)
		delay.tv_usec = LINKS_US;
	if (route->links_changed || !event_pending(route->debounce, EV_TIMEOUT, NULL))
		event_add(route->debounce, &delay);
}

static void debounced(evutil_socket_t fd, short what, void *ctx)
{
	struct route *route = ctx;

	if (route->links_changed) {
		route->links_changed = false;
		route->hooks->links(route->ctx);
	}
	renew(route, route->routes_changed);
	route->routes_changed = false;
}

/* Forgets what nobody asks for any more. */
static void every_second(evutil_socket_t fd, short what, void *ctx)
{
	struct route *route = ctx;
	__u64 seconds = now_ms() / 1000;

	for (size_t i = 0; i < route->n_hops;) {
		if (seconds - route->hops[i].asked > NEXTHOP_KEEP)
			route->hops[i] = route->hops[--route->n_hops];
		else
			i++;
	}
}

static int listen_events(struct route *route, struct event_base *base)
{
	static const unsigned int groups[] = {
		RTNLGRP_LINK,       RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
		RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE};
	struct timeval second = {.tv_sec = 1};
	int err;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		err = netlink_join(&route->events, groups[i]);
		if (err)
			return err;
	}
	route->readable =
		event_new(base, netlink_fd(&route->events), EV_READ | EV_PERSIST, readable, route);
	route->debounce = event_new(base, -1, 0, debounced, route);
	route->second = event_new(base, -1, EV_PERSIST, every_second, route);
	if (!route->readable || !route->debounce || !route->second ||
	    event_add(route->readable, NULL) < 0 || event_add(route->second, &second) < 0)
		return -ENOMEM;
	return 0;
}

int route_new(struct event_base *base, const struct route_hooks *hooks, void *ctx,
	      struct route **out)
{
	struct route *route = calloc(1, sizeof(*route));
	int err;

	if (!route)
		return -ENOMEM;
	route->hooks = hooks;
	route->ctx = ctx;
	route->hops = calloc(NEXTHOPS_MAX, sizeof(*route->hops));
	err = route->hops ? netlink_open(NETLINK_ROUTE, &route->query) : -ENOMEM;
	if (!err)
		err = netlink_open(NETLINK_ROUTE, &route->events);
	if (!err)
		err = listen_events(route, base);
	if (!err)
		err = route_links_read(route);
	if (err) {
		route_free(route);
		return err;
	}
	*out = route;
	return 0;
}

static void event_end(struct event *event)
{
	if (event)
		event_free(event);
}

void route_free(struct route *route)
{
	if (!route)
		return;
	event_end(route->readable);
	event_end(route->debounce);
	event_end(route->second);
	netlink_close(&route->query);
	netlink_close(&route->events);
	free(route->links);
	free(route->hops);
	free(route);
}
