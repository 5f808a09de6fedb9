// SPDX-License-Identifier: BSD-2-Clause
#include "loader/spd_cover.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "lib/addr.h"
#include "lib/cleanup.h"

/* What a packet shows: all; not its ports; nor its protocol. */
#define SHOWS_ALL     1
#define HIDES_PORTS   2
#define HIDES_PROTO   4
#define SHOWS_IN_IP4  (SHOWS_ALL | HIDES_PORTS)
#define PROTOCOLS_MAX 255

enum { PROTO, LOCAL_PORT, REMOTE_PORT, ICMP, AXES };
enum { LOCAL, REMOTE, SIDES };

/* A set of packets: one of each. */
struct box {
	struct {
		struct xipsec_addr lo, hi;
	} net[SIDES];
	struct {
		__u32 lo, hi;
	} range[AXES];
	__u64 dscp; /* a bit each */
	__u8 family;
	__u8 dirs;  /* XIPSEC_DIR_* */
	__u8 shows; /* of the three */
	__u8 pad[5];
};

struct cover {
	const struct classifier *c;
	__u32 rule;
	struct box box[SPD_COVER_BOXES];
	unsigned int n;
	bool full;
};

/* What packets match the rule for certain, by what they show. */
static __u8 rule_shows(const struct xipsec_selector *sel)
{
	bool ports = xipsec_selector_any_port(sel);

	return (sel->opaque ? 0 : SHOWS_ALL) |
	       (ports && !(sel->opaque & XIPSEC_OPAQUE_PROTO) ? HIDES_PORTS : 0) |
	       (ports && sel->any_proto ? HIDES_PROTO : 0);
}

static struct box box_of(const struct xipsec_spd_rule *rule, __u8 family)
{
	const struct xipsec_selector *sel = &rule->sel;
	struct box box = {
		.net = {{sel->local_lo, sel->local_hi}, {sel->remote_lo, sel->remote_hi}},
		.range = {{sel->any_proto ? 0 : sel->l4_proto,
			   sel->any_proto ? PROTOCOLS_MAX : sel->l4_proto},
			  {sel->local_port_lo, sel->local_port_hi},
			  {sel->remote_port_lo, sel->remote_port_hi},
			  {sel->icmp_lo, sel->icmp_hi}},
		.dscp = sel->dscp ? sel->dscp : ~0ULL,
		.family = family,
		.dirs = rule->dirs,
		.shows = rule_shows(sel),
	};

	if (family == XIPSEC_FAMILY_IP4)
		box.shows &= SHOWS_IN_IP4;
	if (sel->family != family)
		for (unsigned int i = 0; i < SIDES; i++)
			addr_any(family, &box.net[i].lo, &box.net[i].hi);
	return box;
}

/* ------------------------------------------------------------------ cutting */

static void box_put(struct cover *cover, const struct box *box)
{
	if (cover->n == SPD_COVER_BOXES)
		cover->full = true;
	else
		cover->box[cover->n++] = *box;
}

/* The next or the one before; the caller knows that there is one. */
static struct xipsec_addr addr_step(struct xipsec_addr addr, __u8 family, bool up)
{
	for (unsigned int i = addr_bits(family) / 8; i-- > 0;) {
		addr.byte[i] = (__u8)(addr.byte[i] + (up ? 1 : -1));
		if (addr.byte[i] != (up ? 0 : 0xff))
			break;
	}
	return addr;
}

static void cut_net(struct cover *cover, struct box *box, const struct box *by, unsigned int side)
{
	struct box out = *box;

	if (addr_compare(&box->net[side].lo, &by->net[side].lo) < 0) {
		out.net[side].hi = addr_step(by->net[side].lo, box->family, false);
		box_put(cover, &out);
		box->net[side].lo = by->net[side].lo;
	}
	out = *box;
	if (addr_compare(&box->net[side].hi, &by->net[side].hi) > 0) {
		out.net[side].lo = addr_step(by->net[side].hi, box->family, true);
		box_put(cover, &out);
		box->net[side].hi = by->net[side].hi;
	}
}

static void cut_range(struct cover *cover, struct box *box, const struct box *by, unsigned int axis)
{
	struct box out = *box;

	if (box->range[axis].lo < by->range[axis].lo) {
		out.range[axis].hi = by->range[axis].lo - 1;
		box_put(cover, &out);
		box->range[axis].lo = by->range[axis].lo;
	}
	out = *box;
	if (box->range[axis].hi > by->range[axis].hi) {
		out.range[axis].lo = by->range[axis].hi + 1;
		box_put(cover, &out);
		box->range[axis].hi = by->range[axis].hi;
	}
}

/* What `by`, which meets `box`, leaves of it, to the boxes that wait. */
static void cut(struct cover *cover, struct box *box, const struct box *by)
{
	struct box out = *box;

	out.dirs &= (__u8)~by->dirs;
	if (out.dirs)
		box_put(cover, &out);
	box->dirs &= by->dirs;
	out = *box;
	out.shows &= (__u8)~by->shows;
	if (out.shows)
		box_put(cover, &out);
	box->shows &= by->shows;
	out = *box;
	out.dscp &= ~by->dscp;
	if (out.dscp)
		box_put(cover, &out);
	box->dscp &= by->dscp;
	for (unsigned int side = 0; side < SIDES; side++)
		cut_net(cover, box, by, side);
	for (unsigned int axis = 0; axis < AXES; axis++)
		cut_range(cover, box, by, axis);
}

/* ------------------------------------------------------------------ looking up */

static struct xipsec_flow corner(const struct box *box, __u16 dev)
{
	struct xipsec_flow flow = {.local = box->net[LOCAL].lo,
				   .remote = box->net[REMOTE].lo,
				   .dscp = (__u8)__builtin_ctzll(box->dscp),
				   .family = box->family,
				   .dir = box->dirs & XIPSEC_DIR_OUT ? XIPSEC_DIR_OUT
								     : XIPSEC_DIR_IN,
				   .dev = dev,
				   .l4_proto = (__u8)box->range[PROTO].lo};

	if (!(box->shows & SHOWS_ALL)) {
		flow.opaque = XIPSEC_OPAQUE_PORTS;
		if (!(box->shows & HIDES_PORTS))
			flow.opaque |= XIPSEC_OPAQUE_PROTO;
		return flow;
	}
	if (flow.l4_proto == IPPROTO_ICMP || flow.l4_proto == IPPROTO_ICMPV6 ||
	    flow.l4_proto == IPPROTO_MH) {
		flow.icmp = (__u16)box->range[ICMP].lo;
	} else {
		flow.local_port = (__u16)box->range[LOCAL_PORT].lo;
		flow.remote_port = (__u16)box->range[REMOTE_PORT].lo;
	}
	return flow;
}

struct search {
	const struct cover *cover;
	struct xipsec_flow flow;
	__u32 first;
};

static void look(void *arg, __u32 number)
{
	struct search *s = arg;
	const struct xipsec_spd_rule *mine = &s->cover->c->rule[s->cover->rule];
	const struct xipsec_spd_rule *other = &s->cover->c->rule[number];

	if (number < s->first && (other->dirs & s->flow.dir) &&
	    (!other->dev || other->dev == mine->dev) &&
	    xipsec_selector_match(&other->sel, &s->flow) == XIPSEC_MATCH_YES)
		s->first = number;
}

static int by_add(struct spd_cover *out, __u32 number)
{
	__u32 at = 0, *more;

	while (at < out->n && out->by[at] < number)
		at++;
	if (at < out->n && out->by[at] == number)
		return 0;
	more = realloc(out->by, (out->n + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	out->by = more;
	memmove(&more[at + 1], &more[at], (out->n - at) * sizeof(*more));
	more[at] = number;
	out->n++;
	return 0;
}

/* 1: nothing is left. */
static int empty(struct cover *cover, __u32 *steps, struct spd_cover *out)
{
	const struct xipsec_spd_rule *rule = &cover->c->rule[cover->rule];

	for (unsigned int i = 0; cover->n; i++) {
		struct box box = cover->box[--cover->n], by;
		struct search s = {cover, corner(&box, rule->dev), cover->rule};
		int err;

		if (i == SPD_COVER_STEPS || !*steps)
			return -E2BIG;
		--*steps;
		classifier_candidates(cover->c, &s.flow, look, &s);
		if (s.first == cover->rule)
			return 0;
		err = by_add(out, s.first);
		if (err)
			return err;
		by = box_of(&cover->c->rule[s.first], box.family);
		cut(cover, &box, &by);
		if (cover->full)
			return -E2BIG;
	}
	return 1;
}

int spd_cover_find(const struct classifier *c, __u32 rule, __u32 *steps, struct spd_cover *out)
{
	static const __u8 families[] = {XIPSEC_FAMILY_IP4, XIPSEC_FAMILY_IP6};
	const __u8 family = c->rule[rule].sel.family;
	struct spd_cover found = {0};
	struct cover cover;
	int err;

	cover.c = c;
	cover.rule = rule;
	cover.n = 0;
	cover.full = false;
	for (unsigned int i = 0; i < 2; i++) {
		struct box box = box_of(&c->rule[rule], families[i]);

		if ((!family || family == families[i]) && box.shows)
			box_put(&cover, &box);
	}
	err = cover.n ? empty(&cover, steps, &found) : 0;
	if (err == 1)
		*out = found;
	else
		free(found.by);
	return err;
}
