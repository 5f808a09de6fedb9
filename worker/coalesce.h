/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP segments of one flow that were opened one after the other, made one packet again, as GRO
 * does: the stack then looks at one header for many, and answers once. The stack can cut it into
 * the very same segments: only what it would give back bit for bit is put together.
 */
#ifndef WORKER_COALESCE_H
#define WORKER_COALESCE_H

#include <stdbool.h>
#include <linux/types.h>
#include <linux/virtio_net.h>
#include "worker/packet.h"

struct coalesce {
	struct packet *first;
	__u32 n;    /* packets, 0: none */
	__u32 len;  /* bytes of IP so far */
	__u32 head; /* of the headers of each */
	__u32 size; /* payload of each but the last */
	__u32 seq;  /* that comes next */
	__u16 tcp;  /* offset of the TCP header */
	bool full;  /* nothing may follow */
};

/* Begins with `p`, an IP packet at p->data whose length is p->len. False, and *c is empty: nothing
 * can be put behind it. It has been looked at whole, its checksums hold. */
bool coalesce_start(struct coalesce *c, struct packet *p);

/* `p` follows: its bytes from c->head on belong behind those before. False: it does not. */
bool coalesce_add(struct coalesce *c, const struct packet *p);

/* Makes the first packet's headers those of all (only with n > 1), its PSH that of `last`, and
 * writes the header that tells how to cut it, `l3_off` bytes standing before the IP header. */
void coalesce_finish(struct coalesce *c, const struct packet *last, __u32 l3_off,
		     struct virtio_net_hdr *hdr);

#endif
