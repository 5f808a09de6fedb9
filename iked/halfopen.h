/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many IKE SAs are half open: we answered IKE_SA_INIT, and nobody proved who it is. Counted in
 * all and per address, of IPv6 per /64, so that a flood from one place leaves room for others.
 */
#ifndef IKED_HALFOPEN_H
#define IKED_HALFOPEN_H

#include "iked/env.h"
#include "iked/table.h"

struct halfopen {
	struct table by_addr; /* one entry for each address that has any */
	unsigned int n;
	__u64 salt; /* random: nobody can aim at a bucket */
};

enum halfopen_verdict {
	HALFOPEN_ROOM,
	HALFOPEN_COOKIE, /* room for who returns a cookie; if it is full, another one goes */
	HALFOPEN_FULL,   /* for this address */
};

/* What of an IKE_SA_INIT request from path->remote? */
enum halfopen_verdict halfopen_ask(const struct halfopen *h, const struct ike_path *path);
/* How many there are from path->remote. */
unsigned int halfopen_of(const struct halfopen *h, const struct ike_path *path);
/* One more; 0 or -ENOMEM. */
int halfopen_add(struct halfopen *h, const struct ike_path *path);
/* One that was added with the same address is no longer half open, or gone. */
void halfopen_remove(struct halfopen *h, const struct ike_path *path);
void halfopen_free(struct halfopen *h);

#endif
