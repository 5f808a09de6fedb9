// SPDX-License-Identifier: BSD-2-Clause
#include "loader/route.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/log.h"
#include "lib/netlink.h"
#include "loader/route_query.h"

/* Next hops kept at most: a hostile worker can ask for any. */
#define NEXTHOPS_MAX 4096
/* Seconds after the last question in which changes are still told: workers ask again after 30. */
#define NEXTHOP_KEEP 90
#define DEBOUNCE_US  20000
#define LINKS_US     1000
#define SHARES       (XIPSEC_NEXTHOP_SHARES + 1)

struct nexthop {
	struct ctl_nexthop answer;
	unsigned int ifindex;   /* of the neighbour, 0: none */
	struct xipsec_addr via; /* the neighbour */
	bool dirty;             /* the neighbour has changed */
	__u32 share;            /* who asked for it first; 0: somebody asked for all */
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
	struct route_links links;
	struct nexthop *hops;
	size_t n_hops;
};

static __u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

int route_links_read(struct route *route)
{
	return route_links_ask(&route->links, &route->query);
}

const struct route_link *route_link(const struct route *route, unsigned int ifindex)
{
	return route_links_find(&route->links, ifindex);
}

unsigned int route_vlans(const struct route *route, unsigned int below, struct ctl_vlan *out,
			 unsigned int max)
{
	return route_links_vlans(&route->links, below, out, max);
}

/* ------------------------------------------------------------------ next hops */

static void ask_neighbour(struct route *route, struct nexthop *hop, __u8 family)
{
	struct neighbour n;

	route_query_neighbour(&route->query, hop->ifindex, family, &hop->via, &n);
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
	if (route_query_fib(&route->query, family, &hop->answer.dst, &fib))
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
	ask_neighbour(route, hop, fib.has_gateway ? fib.family : family);
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

/* The share that has most of them. */
static __u32 share_of_most(const struct route *route)
{
	__u16 n_of[SHARES] = {0};
	__u32 most = 0;

	for (size_t i = 0; i < route->n_hops; i++) {
		__u32 share = route->hops[i].share;

		n_of[share]++;
		if (n_of[share] > n_of[most])
			most = share;
	}
	return most;
}

/* The one asked for longest ago, of the share that has most of them. */
static struct nexthop *oldest_of_most(struct route *route)
{
	const __u32 most = share_of_most(route);
	struct nexthop *oldest = &route->hops[0];

	for (size_t i = 1; i < route->n_hops; i++) {
		struct nexthop *hop = &route->hops[i];

		if (hop->share == most && (oldest->share != most || hop->asked < oldest->asked))
			oldest = hop;
	}
	return oldest;
}

static struct nexthop *make_room(struct route *route)
{
	return route->n_hops == NEXTHOPS_MAX ? oldest_of_most(route)
					     : &route->hops[route->n_hops++];
}

void route_ask(struct route *route, const struct xipsec_addr *dst, __u32 family, __u32 share)
{
	struct nexthop *hop;
	__u64 ms = now_ms();

	share %= SHARES;
	if (family != XIPSEC_FAMILY_IP4 && family != XIPSEC_FAMILY_IP6)
		return;
	hop = find(route, dst, family);
	if (!hop) {
		hop = make_room(route);
		*hop = (struct nexthop){
			.answer = {.hdr = {XIPSEC_CTL_NEXTHOP, XIPSEC_ABI, sizeof(hop->answer)},
				   .dst = *dst,
				   .family = family},
			.share = share};
	} else if (!share) {
		/* What several SAs ask for stays the first one's: two of one peer would fill 0. */
		hop->share = 0;
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
	route_links_free(&route->links);
	free(route->hops);
	free(route);
}
