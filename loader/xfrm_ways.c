// SPDX-License-Identifier: BSD-2-Clause
/* Policies of kernel XFRM: who leads where. */
#include "loader/xfrm_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ------------------------------------------------------------------ policies */

static int put(struct xfrm *xfrm, const struct xfrm_way *way)
{
	char buf[NETLINK_REQUEST_MAX];

	return netlink_call(&xfrm->nl, xfrm_msg_way(buf, way), NULL, NULL);
}

int xfrm_take(struct xfrm *xfrm, const struct xfrm_way *way)
{
	char buf[NETLINK_REQUEST_MAX];
	int err = netlink_call(&xfrm->nl, xfrm_msg_way_gone(buf, way), NULL, NULL);

	return err == -ENOENT ? 0 : err;
}

static struct xfrm_way way_of(const struct xipsec_sa *sa, __u32 index, __u32 child)
{
	return (struct xfrm_way){.child = child,
				 .reqid = xfrm_reqid(sa, index, child),
				 .if_id = sa->if_id,
				 .mode = sa->mode,
				 .l4_proto = sa->l4_proto,
				 .sa_family = sa->outer_family};
}

/* A tunnel carries both families. */
static int put_families(struct xfrm *xfrm, struct xfrm_way way)
{
	static const __u16 families[] = {AF_INET, AF_INET6};
	const __u16 only = way.sa_family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET;
	int err = 0;

	for (unsigned int i = 0; !err && i < 2; i++) {
		way.family = families[i];
		if (way.mode == XIPSEC_MODE_TUNNEL || way.family == only)
			err = put(xfrm, &way);
	}
	return err;
}

/* ------------------------------------------------------------------ policies with selectors */

static struct led *led_find(const struct xfrm *xfrm, __u8 dir, __u32 child)
{
	for (unsigned int i = 0; i < xfrm->n_led; i++)
		if (xfrm->led[i]->dir == dir && xfrm->led[i]->child == child)
			return xfrm->led[i];
	return NULL;
}

static void led_drop(struct xfrm *xfrm, const struct led *led)
{
	for (unsigned int i = 0; i < xfrm->n_led; i++) {
		if (xfrm->led[i] != led)
			continue;
		free(xfrm->led[i]);
		xfrm->led[i] = xfrm->led[--xfrm->n_led];
		return;
	}
}

static struct led *led_add(struct xfrm *xfrm, __u8 dir, __u32 child, __u32 if_id)
{
	struct led **more = reallocarray(xfrm->led, xfrm->n_led + 1, sizeof(struct led *));
	struct led *led = calloc(1, sizeof(*led));

	xfrm->led = more ? more : xfrm->led;
	if (!more || !led) {
		free(led);
		return NULL;
	}
	led->dir = dir;
	led->child = child;
	led->if_id = if_id;
	xfrm->led[xfrm->n_led++] = led;
	return led;
}

typedef int (*way_fn)(struct xfrm *xfrm, const struct xfrm_way *way);

/* Types of ICMP under a mask, which a policy compares as a port. */
struct types {
	__u16 family;
	__u8 type, mask;
};

static int each_type(struct xfrm *xfrm, struct xfrm_way way, const struct types *types,
		     unsigned int n, way_fn fn)
{
	int err, first = 0;

	for (unsigned int i = 0; i < n; i++) {
		way.family = types[i].family;
		way.sel = (struct xfrm_selector){
			.proto = types[i].family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			.sport = htons(types[i].type),
			.sport_mask = htons(0xff00 | types[i].mask)};
		err = fn(xfrm, &way);
		first = first ? first : err;
	}
	return first;
}

/* Neighbour discovery is in the clear, as the guard has it: without it no ESP finds its way. Types
 * 133, 134 and 135, 136. */
static int each_link_pass(struct xfrm *xfrm, way_fn fn)
{
	static const struct types types[] = {
		{AF_INET6, 133, 0xff}, {AF_INET6, 134, 0xfe}, {AF_INET6, 136, 0xff}};
	const struct xfrm_way way = {.dir = XFRM_POLICY_OUT, .kind = XFRM_WAY_PLAIN, .host = true};

	return each_type(xfrm, way, types, 3, fn);
}

/* Nor is any of it, or a redirect, believed that comes out of a tunnel: hop limit 255 is the peer's
 * to write there. Types 133, 134 and 135, 136 and 137; 5. */
static int each_link_refusal(struct xfrm *xfrm, struct xfrm_way way, way_fn fn)
{
	static const struct types types[] = {{AF_INET6, 133, 0xff},
					     {AF_INET6, 134, 0xfe},
					     {AF_INET6, 136, 0xfe},
					     {AF_INET, 5, 0xff}};

	way.dir = XFRM_POLICY_IN;
	way.kind = XFRM_WAY_BLOCK;
	return each_type(xfrm, way, types, 4, fn);
}

static int put_link_passes(struct xfrm *xfrm)
{
	int err = xfrm->link_passes ? 0 : each_link_pass(xfrm, put);

	xfrm->link_passes = !err;
	return err;
}

/* With the last child that they were put for. */
static int take_link_passes(struct xfrm *xfrm)
{
	for (unsigned int i = 0; i < xfrm->n_led; i++)
		if (xfrm->led[i]->dir == XIPSEC_DIR_OUT && !xfrm->led[i]->if_id)
			return 0;
	xfrm->link_passes = false;
	return each_link_pass(xfrm, xfrm_take);
}

/* Before what is sealed stands what refuses; behind what is opened, in transport mode, a refusal of
 * all else. */
#define HOST_PRIORITY 1U
#define LAST_PRIORITY 1000U

static struct xfrm_way way_with(struct xfrm_way way, const struct xfrm_selector *sel)
{
	way.sel = *sel;
	way.family = sel->family;
	way.sel.family = 0;
	return way;
}

static bool has_sel(const struct xfrm_sels *sels, const struct xfrm_selector *sel)
{
	for (unsigned int i = 0; sels && i < sels->n; i++)
		if (!memcmp(&sels->sel[i], sel, sizeof(*sel)))
			return true;
	return false;
}

/* What comes out of a tunnel is compared whether it is for this host or goes on. */
static int at_its_ends(struct xfrm *xfrm, struct xfrm_way way, way_fn fn)
{
	int err = fn(xfrm, &way), second = 0;

	if (way.if_id && way.dir == XFRM_POLICY_IN) {
		way.dir = XFRM_POLICY_FWD;
		second = fn(xfrm, &way);
	}
	return err ? err : second;
}

/* What was compared for the child and is not in `sels` is compared no longer. */
static int take_sels(struct xfrm *xfrm, __u8 dir, __u32 child, const struct xfrm_sels *sels)
{
	struct led *led = led_find(xfrm, dir, child);
	const struct xfrm_way way = {.dir = dir == XIPSEC_DIR_OUT ? XFRM_POLICY_OUT
								  : XFRM_POLICY_IN,
				     .host = dir == XIPSEC_DIR_OUT && !(led && led->if_id),
				     .child = child,
				     .if_id = led ? led->if_id : 0};
	int err, first = 0;

	for (unsigned int i = 0; led && i < led->sels.n; i++) {
		struct xfrm_way one = way_with(way, &led->sels.sel[i]);

		if (has_sel(sels, &led->sels.sel[i]))
			continue;
		err = at_its_ends(xfrm, one, xfrm_take);
		first = first ? first : err;
	}
	if (sels || !led)
		return first;
	led_drop(xfrm, led);
	err = way.host ? take_link_passes(xfrm) : 0;
	return first ? first : err;
}

/* Noted first, so that what was put is found again, whatever fails. */
static int put_sels(struct xfrm *xfrm, const struct xfrm_way *way, __u8 dir,
		    const struct xfrm_sels *sels)
{
	struct led *led = led_find(xfrm, dir, way->child);
	int err = led ? take_sels(xfrm, dir, way->child, sels) : 0;

	if (!led)
		led = led_add(xfrm, dir, way->child, way->if_id);
	if (!led)
		return -ENOMEM;
	led->sels = *sels;
	for (unsigned int i = 0; !err && i < sels->n; i++) {
		struct xfrm_way one = way_with(*way, &sels->sel[i]);

		if (dir == XIPSEC_DIR_IN)
			one.priority = i + (way->if_id ? HOST_PRIORITY : 0);
		if (sels->refuse[i])
			one.kind = XFRM_WAY_BLOCK;
		err = at_its_ends(xfrm, one, put);
	}
	return err;
}

static int lead_host(struct xfrm *xfrm, struct xfrm_way way, const struct xfrm_sels *sels)
{
	int err;

	if (!sels)
		return take_sels(xfrm, XIPSEC_DIR_OUT, way.child, NULL);
	way.host = true;
	way.priority = HOST_PRIORITY;
	err = put_link_passes(xfrm);
	return err ? err : put_sels(xfrm, &way, XIPSEC_DIR_OUT, sels);
}

/* ------------------------------------------------------------------ tunnels */

/* Routes decide what goes in, so there is nothing to compare; noted all the same, for the if_id is
 * asked for when it is taken away. */
static int tunnel_out(struct xfrm *xfrm, const struct xfrm_way *way)
{
	if (!led_find(xfrm, XIPSEC_DIR_OUT, way->child) &&
	    !led_add(xfrm, XIPSEC_DIR_OUT, way->child, way->if_id))
		return -ENOMEM;
	return put_families(xfrm, *way);
}

static int tunnel_in(struct xfrm *xfrm, const struct xfrm_way *way, const struct xfrm_sels *sels)
{
	int err = each_link_refusal(xfrm, *way, put);

	return err ? err : put_sels(xfrm, way, XIPSEC_DIR_IN, sels);
}

static int tunnel_nowhere(struct xfrm *xfrm, __u8 dir, struct xfrm_way way)
{
	static const __u16 families[] = {AF_INET, AF_INET6};
	int err, first = take_sels(xfrm, dir, way.child, NULL);

	if (dir == XIPSEC_DIR_IN) {
		err = each_link_refusal(xfrm, way, xfrm_take);
		return first ? first : err;
	}
	way.dir = XFRM_POLICY_OUT;
	for (unsigned int i = 0; i < 2; i++) {
		way.family = families[i];
		err = xfrm_take(xfrm, &way);
		first = first ? first : err;
	}
	return first;
}

bool xfrm_tunnel_takes(const struct xfrm *xfrm, __u32 child, const struct xfrm_sels *sels)
{
	const struct led *led = led_find(xfrm, XIPSEC_DIR_IN, child);
	bool same = !led || led->sels.n == sels->n;

	for (unsigned int i = 0; led && same && i < sels->n; i++)
		same = led->sels.refuse[i] == sels->refuse[i] &&
		       !memcmp(&led->sels.sel[i], &sels->sel[i], sizeof(sels->sel[i]));
	return same;
}

/* ------------------------------------------------------------------ who leads where */

int xfrm_lead_out(struct xfrm *xfrm, const struct xipsec_sa *sa, const struct xfrm_sels *sels,
		  __u32 index, __u32 child)
{
	struct xfrm_way way = way_of(sa, index, child);
	int err;

	way.dir = XFRM_POLICY_OUT;
	if (sa->mode == XIPSEC_MODE_TUNNEL) {
		way.src = sa->src;
		way.dst = sa->dst;
	}
	if (sa->if_id)
		return tunnel_out(xfrm, &way);
	err = put_families(xfrm, way);
	return err ? err : lead_host(xfrm, way, sels);
}

/* The refusal first: without any policy transport mode lets everything through. */
static int lead_in_transport(struct xfrm *xfrm, struct xfrm_way way, const struct xfrm_sels *sels)
{
	struct xfrm_way last = way;
	int err;

	last.kind = XFRM_WAY_BLOCK;
	last.priority = LAST_PRIORITY;
	err = put_families(xfrm, last);
	return err ? err : put_sels(xfrm, &way, XIPSEC_DIR_IN, sels);
}

int xfrm_lead_in(struct xfrm *xfrm, const struct xipsec_sa *sa, const struct xfrm_sels *sels,
		 __u32 child)
{
	struct xfrm_way way = way_of(sa, 0, child);
	int err;

	way.dir = XFRM_POLICY_IN;
	if (sa->if_id)
		return sels ? tunnel_in(xfrm, &way, sels) : -EINVAL;
	if (sa->mode == XIPSEC_MODE_TRANSPORT)
		return sels ? lead_in_transport(xfrm, way, sels) : -EINVAL;
	err = put_families(xfrm, way);
	way.dir = XFRM_POLICY_FWD;
	return err ? err : put_families(xfrm, way);
}

int xfrm_lead_nowhere(struct xfrm *xfrm, __u8 dir, __u32 child)
{
	static const __u16 families[] = {AF_INET, AF_INET6};
	static const __u8 in[] = {XFRM_POLICY_IN, XFRM_POLICY_FWD}, out[] = {XFRM_POLICY_OUT};
	const __u8 *dirs = dir == XIPSEC_DIR_OUT ? out : in;
	const unsigned int n = dir == XIPSEC_DIR_OUT ? 1 : 2;
	const struct led *led = led_find(xfrm, dir, child);
	int err, first;

	if (led && led->if_id)
		return tunnel_nowhere(xfrm, dir,
				      (struct xfrm_way){.child = child, .if_id = led->if_id});
	first = take_sels(xfrm, dir, child, NULL);
	for (unsigned int i = 0; i < n * 2; i++) {
		struct xfrm_way way = {
			.dir = dirs[i / 2], .family = families[i % 2], .child = child};

		err = xfrm_take(xfrm, &way);
		first = first ? first : err;
	}
	return first;
}
