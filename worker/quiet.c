// SPDX-License-Identifier: BSD-2-Clause
/*
 * What an SA sends while nothing else goes by it: dummy packets, so that silence tells nothing (RFC
 * 4303 2.6), and keepalives, so that a NAT on the way does not forget it (RFC 3948 2.3 and 4). One
 * worker does that for all: what the others send by an SA shows in its counters.
 */
#include "worker/pipeline_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/if_ether.h>

#include "worker/crypto.h"
#include "worker/esp_out.h"
#include "worker/jumbo.h"
#include "worker/outer.h"
#include "worker/sa.h"

#define KEEPALIVE_MS 20000     /* RFC 3948 4: the default of M */
#define SWEEP_MS     1000      /* without dummies there is no hurry */
#define AT_ONCE      128       /* dummies of one SA in one tick: what falls due, and some debt */
#define DEBT_US      100000ULL /* that much is made up for, when ticks come late */
#define SPARE        128       /* frames that are not for us */
#define FRAME_OFF    128       /* of the packet: room for all headers */
#define DUMMY_MIN    20
#define US           1000ULL /* in a ms */

struct quiet {
	__u32 index;
	__u32 generation;
	__u32 dummies;   /* a second; 0: none */
	__u64 packets;   /* of the state, when last looked at */
	__u64 next;      /* dummy, us */
	__u64 keepalive; /* next, ms; ~0: none */
	struct outer outer;
};

int quiet_add(struct worker *w, const struct ctl_sa *msg)
{
	struct sa_place *place = &w->sas[msg->index];
	const struct xipsec_sa *sa = &msg->sa;
	bool dummies = sa->dummies, udp = sa->flags & XIPSEC_SA_UDP;
	struct quiet *list, *entry = NULL;

	if (w->number || sa->dir != XIPSEC_DIR_OUT || (!dummies && !udp))
		return 0;
	for (unsigned int i = 0; place->listed && i < w->n_quiet; i++)
		if (w->quiet[i].index == msg->index)
			entry = &w->quiet[i];
	if (!entry) {
		list = realloc(w->quiet, (w->n_quiet + 1) * sizeof(*list));
		if (!list)
			return -ENOMEM;
		w->quiet = list;
		entry = &list[w->n_quiet++];
		*entry = (struct quiet){0};
	}
	w->n_dummies += dummies;
	w->n_dummies -= entry->dummies != 0;
	*entry = (struct quiet){.index = msg->index,
				.generation = msg->generation,
				.dummies = dummies ? sa->dummies : 0,
				.next = w->now_ms * US,
				.keepalive = udp ? w->now_ms + KEEPALIVE_MS : ~0ULL};
	place->listed = true;
	return outer_init(&entry->outer, sa);
}

static void quiet_remove(struct worker *w, unsigned int i)
{
	w->sas[w->quiet[i].index].listed = false;
	w->n_dummies -= w->quiet[i].dummies != 0;
	w->quiet[i] = w->quiet[--w->n_quiet];
}

/* ------------------------------------------------------------------ sending */

/* The way there, if it is open. */
static struct nexthop *way_out(struct worker *w, const struct sa_place *place)
{
	struct nexthop *nh = nexthop_find(w->nhs, &place->dst, place->outer_family, w->now_ms);
	const struct device *dev = &w->dev[nh->slot];

	if (nh->status != XIPSEC_NEXTHOP_OK || !dev->known || !dev->ctl.up ||
	    dev->ctl.role != XIPSEC_ROLE_UNPROTECTED || w->frames.n_free <= SPARE)
		return NULL;
	return nh;
}

/* In a frame that has room for `len` bytes of packet; way_out() has seen to it that there is one of
 * the UMEM. False: no other. */
static bool work_new(struct worker *w, struct work *work, const struct sa_place *place, __u32 len)
{
	__u64 frame;

	if (!frame_take_for(&w->frames, len, JUMBO_TAIL, &frame))
		return false;

	*work = (struct work){
		.p = {.data = frame_at(&w->frames, frame) + FRAME_OFF,
		      .headroom = FRAME_OFF - PACKET_L2_MAX,
		      .tailroom = frame_bytes(&w->frames, frame) - FRAME_OFF,
		      .flags = PACKET_LOCAL,
		      .family = place->outer_family,
		      .frame = frame},
		.sa_index = place - w->sas,
		.sa_generation = place->generation,
		.dir = XIPSEC_DIR_OUT,
	};
	return true;
}

static void work_send(struct worker *w, struct work *work, const struct nexthop *nh, __u16 reason)
{
	work->bytes = work->p.len + ETH_HLEN;
	pipeline_push_eth(&work->p, nh);
	pipeline_transmit(w, work, nh->slot, reason);
}

/* As long as everything else that is padded, or as anything may be. */
static __u32 dummy_len(const struct sa *sa, __u32 max)
{
	__u8 random[XIPSEC_IV_MAX];
	__u32 value;

	if (sa->tfc_size)
		return sa->tfc_size < max ? sa->tfc_size : max;
	crypto_random_iv(random);
	memcpy(&value, random, sizeof(value));
	return DUMMY_MIN + value % (max - DUMMY_MIN + 1);
}

static void send_dummy(struct worker *w, struct sa_place *place, const struct outer *outer,
		       const struct nexthop *nh)
{
	const struct sa *sa = place->sa;
	__u32 room = FRAME_JUMBO - FRAME_OFF - JUMBO_TAIL, len;
	__u32 mtu = nh->mtu && nh->mtu < w->dev[nh->slot].ctl.mtu ? nh->mtu
								  : w->dev[nh->slot].ctl.mtu;
	__u32 front = outer->len - sa->outer.len; /* transport mode: the IP header */
	__u32 max = sa_transport_max(sa, sa_path_mtu(sa, mtu, w->now_ms / 1000), front);
	enum xipsec_reason reason;
	struct work work;

	if (max < front + DUMMY_MIN)
		return;
	max -= front;
	if (max > room)
		max = room;
	len = dummy_len(sa, max);
	if (!work_new(w, &work, place, len))
		return;
	reason = esp_out_dummy(place->sa, outer, &work.p, len);
	if (reason)
		pipeline_drop(w, &work, reason);
	else
		work_send(w, &work, nh, XIPSEC_REASON_DUMMY_SENT);
}

/* One byte 0xff in UDP (RFC 3948 2.3). */
static void send_keepalive(struct worker *w, const struct sa_place *place,
			   const struct outer *outer, const struct nexthop *nh)
{
	const struct shown shown = {.df = OUTER_DF};
	struct work work;
	struct packet *p = &work.p;

	if (!work_new(w, &work, place, outer->len + 1))
		return;
	p->len = outer->len + 1;
	p->data[outer->len] = 0xff;
	outer->write(outer, p->data, p->len, &shown, 0);
	if (place->outer_family == XIPSEC_FAMILY_IP6)
		outer_finish_udp6(p->data, outer->ip_len, p->len);
	work_send(w, &work, nh, XIPSEC_REASON_KEEPALIVE_SENT);
}

/* ------------------------------------------------------------------ time */

static void tick_dummies(struct worker *w, struct quiet *quiet, struct sa_place *place)
{
	__u64 now = w->now_ms * US, gap = 1000 * US / quiet->dummies;
	const struct nexthop *nh;

	if (quiet->next > now)
		return;
	nh = way_out(w, place);
	for (int i = 0; nh && i < AT_ONCE && quiet->next <= now; i++) {
		send_dummy(w, place, &quiet->outer, nh);
		quiet->next += gap;
		quiet->keepalive = quiet->keepalive == ~0ULL ? ~0ULL : w->now_ms + KEEPALIVE_MS;
	}
	/* What could not be sent where the way is closed is not made up for. */
	if (!nh)
		quiet->next = now + gap;
	else if (quiet->next + DEBT_US < now)
		quiet->next = now - DEBT_US;
}

static void tick_one(struct worker *w, struct quiet *quiet, struct sa_place *place)
{
	__u64 packets = __atomic_load_n(&place->state->packets, __ATOMIC_RELAXED);
	const struct nexthop *nh;

	if (packets != quiet->packets) {
		quiet->packets = packets;
		quiet->next = w->now_ms * US;
		if (quiet->dummies)
			quiet->next += 1000 * US / quiet->dummies;
		if (quiet->keepalive != ~0ULL)
			quiet->keepalive = w->now_ms + KEEPALIVE_MS;
		return;
	}
	if (__atomic_load_n(&place->state->status, __ATOMIC_RELAXED) != XIPSEC_SA_LIVE)
		return;
	if (quiet->dummies)
		tick_dummies(w, quiet, place);
	if (w->now_ms < quiet->keepalive)
		return;
	quiet->keepalive = w->now_ms + KEEPALIVE_MS;
	nh = way_out(w, place);
	if (nh)
		send_keepalive(w, place, &quiet->outer, nh);
}

void quiet_tick(struct worker *w)
{
	if (!w->n_quiet || (!w->n_dummies && w->now_ms < w->next_quiet))
		return;
	w->next_quiet = w->now_ms + SWEEP_MS;
	for (unsigned int i = 0; i < w->n_quiet;) {
		struct sa_place *place = &w->sas[w->quiet[i].index];

		/* Another SA in its place may be none for us. */
		if (place->sa && place->generation == w->quiet[i].generation)
			tick_one(w, &w->quiet[i++], place);
		else
			quiet_remove(w, i);
	}
}
