/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MSS of TCP SYNs that come out of an SA: what the far side announces is what our side will
 * send, back into the tunnel. A peer of ours clamps it on its way out; others need not.
 */
#ifndef WORKER_MSS_H
#define WORKER_MSS_H

#include <netinet/in.h>
#include <stdbool.h>
#include "worker/loop.h"
#include "worker/sa.h"

/* May an opened packet be a SYN? Cheap, and never no for one. */
static inline bool mss_may_be(const struct packet *p)
{
	const __u8 ip4 = p->family == XIPSEC_FAMILY_IP4, next = p->data[ip4 ? 9 : 6];

	if (next == IPPROTO_TCP)
		return p->l4_off && p->data[p->l4_off + 13] & 0x02;
	return !ip4 && p->l4_off > 40; /* extension headers */
}

/* Lowers it to what the outbound SA of the same child has room for on its path, as the link and
 * authentic ICMP errors tell; without one, to what such an SA would have on the link. */
void mss_clamp_opened(struct worker *w, struct sa_place *in, struct packet *p);

#endif
