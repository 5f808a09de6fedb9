// SPDX-License-Identifier: BSD-2-Clause
/*
 * Dropped packets, told to xipsecd: some of each reason and not many in all, for the channel has
 * other things to carry. What it does not take is lost, and counted with the next one.
 */
#include "worker/loop.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/reason.h"
#include "worker/inner.h"
#include "worker/sa.h"

#define SAMPLE_GAP (XIPSEC_SAMPLE_GAP / 1000000) /* ms, of one reason */
#define SAMPLE_ALL 100                           /* a second, and in one go */

static bool may_tell(struct worker *w, __u16 reason)
{
	struct sample_gate *gate = &w->gates[reason];
	__u64 passed = w->now_ms - w->samples_filled;

	if (w->now_ms < gate->next)
		return false;
	w->samples_filled = w->now_ms;
	w->sample_tokens += passed * SAMPLE_ALL;
	if (w->sample_tokens > SAMPLE_ALL * 1000)
		w->sample_tokens = SAMPLE_ALL * 1000;
	if (w->sample_tokens < 1000)
		return false;
	w->sample_tokens -= 1000;
	gate->next = w->now_ms + SAMPLE_GAP;
	return true;
}

/* Nothing where it is no whole packet: it may have been cut, or carry an Ethernet header. */
static void describe(struct xipsec_sample *sample, const __u8 *data, __u32 len)
{
	struct xipsec_flow flow;
	struct inner inner;

	if (inner_parse(data, len, &inner))
		return;
	inner_flow(data, &inner, XIPSEC_DIR_OUT, &flow);
	sample->src = flow.local;
	sample->dst = flow.remote;
	sample->family = flow.family;
	sample->flow = inner.flow;
	sample->l4_proto = flow.opaque & XIPSEC_OPAQUE_PROTO ? 0 : flow.l4_proto;
	sample->sport = flow.local_port;
	sample->dport = flow.remote_port;
}

/* By the SA's own ends. */
static void describe_ends(struct xipsec_sample *sample, const struct sa *sa)
{
	sample->src = sa->src;
	sample->dst = sa->dst;
	sample->family = sa->outer_family;
	sample->l4_proto = sa->ah ? IPPROTO_AH : IPPROTO_ESP;
	sample->sport = sample->dport = 0;
	sample->inner = 0;
}

/* Refused when it was the inner packet already (inbound.c)? */
static bool refused_inside(__u16 reason)
{
	return reason == XIPSEC_REASON_SELECTOR || reason == XIPSEC_REASON_ICMP_QUOTE ||
	       reason == XIPSEC_REASON_ECN;
}

static void describe_sa(struct xipsec_sample *sample, const struct sa *sa, const struct work *work)
{
	const struct packet *p = &work->p;
	const bool out = work->dir == XIPSEC_DIR_OUT;

	sample->spi = sa->spi;
	sample->seq = (__u32)p->seq;
	sample->sa_index = work->sa_index;
	sample->sa_generation = work->sa_generation;
	sample->inner = out || work->opened || refused_inside(sample->reason);
	describe(sample, p->data, p->len);
	if (out && sample->reason == XIPSEC_REASON_SEQ_END) {
		/* RFC 4303 3.3.3: the SA's end, whatever packet met it. */
		sample->seq = (__u32)__atomic_load_n(&sa->state->seq, __ATOMIC_RELAXED);
		describe_ends(sample, sa);
	}
	if (!sample->family && !out && !work->opened)
		describe_ends(sample, sa);
}

/* The first bytes as they are now: an outer packet, or after it was opened the inner one. What has
 * no IP header at its front (TX_FULL) is not given. */
static void capture(const struct worker *w, struct xipsec_sample *sample, const __u8 *data,
		    __u32 len)
{
	__u32 tell;

	if (!w->globals || !data || len < 20 || (data[0] >> 4 != 4 && data[0] >> 4 != 6))
		return;
	tell = __atomic_load_n(&w->globals->tell, __ATOMIC_RELAXED);
	if (!(tell & XIPSEC_TELL_PACKETS))
		return;
	if (len > sizeof(sample->data))
		len = sizeof(sample->data);
	memcpy(sample->data, data, len);
	sample->captured = (__u16)len;
	sample->raw = 1;
}

static void sample_send(struct worker *w, struct ctl_sample *msg)
{
	struct sample_gate *gate = &w->gates[msg->sample.reason];

	msg->sample.time = w->now_ms * 1000000;
	msg->sample.missed = gate->missed;
	msg->sample.worker = 1;
	if (ctl_send(w->ctl, XIPSEC_CTL_SAMPLE, msg, sizeof(*msg)))
		gate->missed++;
	else
		gate->missed = 0;
}

/* This host's own, or led into a tunnel, and not sealed for want of a good verdict. */
static bool from_stack(const struct work *work, __u16 reason)
{
	return work->p.flags & PACKET_LOCAL && work->dir == XIPSEC_DIR_OUT && work->p.data &&
	       reason != XIPSEC_REASON_TX_FULL;
}

static void sample_take(struct worker *w, const struct work *work, __u16 reason)
{
	const struct sa_place *place = work->sa_index < w->n_sas ? &w->sas[work->sa_index] : NULL;
	struct ctl_sample msg = {.sample = {.len = work->bytes, .reason = reason}};

	/* What comes by a TAP, or from nowhere, came in by no slot. */
	if (!(work->p.flags & PACKET_LOCAL) && work->p.slot < XIPSEC_SLOTS_MAX &&
	    w->dev[work->p.slot].known)
		msg.sample.ifindex = w->dev[work->p.slot].ctl.ifindex;
	/* After TX_FULL an Ethernet header stands in front; before the verdict nothing is known. */
	if (place && place->sa && work->sa_generation && place->generation == work->sa_generation &&
	    work->p.data) {
		if (reason == XIPSEC_REASON_TX_FULL)
			msg.sample.sa_generation = work->sa_generation;
		else
			describe_sa(&msg.sample, place->sa, work);
		msg.sample.sa_index = work->sa_index;
	} else if (from_stack(work, reason)) {
		describe(&msg.sample, work->p.data, work->p.len);
		msg.sample.inner = 1;
	}
	if (reason != XIPSEC_REASON_TX_FULL)
		capture(w, &msg.sample, work->p.data, work->p.len);
	sample_send(w, &msg);
}

void sample_drop(struct worker *w, const struct work *work, __u16 reason)
{
	if (!reason_is_told(reason))
		return;
	if (may_tell(w, reason))
		sample_take(w, work, reason);
	else
		w->gates[reason].missed++;
}

void sample_stranger(struct worker *w, const struct xipsec_sample *known, const __u8 *data,
		     __u32 len)
{
	struct ctl_sample msg = {.sample = *known};

	if (!reason_is_told(known->reason))
		return;
	if (!may_tell(w, known->reason)) {
		w->gates[known->reason].missed++;
		return;
	}
	capture(w, &msg.sample, data, len);
	sample_send(w, &msg);
}

void sample_acquire(struct worker *w, struct tap *tap, const __u8 *data, __u32 len)
{
	struct ctl_sample msg = {.sample = {.time = w->now_ms * 1000000,
					    .len = len,
					    .missed = tap->acquire.missed,
					    .reason = XIPSEC_REASON_NO_SA_OUT,
					    .worker = 1,
					    .inner = 1},
				 .if_id = tap->if_id};

	if (w->now_ms < tap->acquire.next) {
		tap->acquire.missed++;
		return;
	}
	describe(&msg.sample, data, len);
	if (ctl_send(w->ctl, XIPSEC_CTL_SAMPLE, &msg, sizeof(msg))) {
		tap->acquire.missed++;
		return;
	}
	tap->acquire.missed = 0;
	tap->acquire.next = w->now_ms + XIPSEC_ACQUIRE_GAP / 1000000;
}
