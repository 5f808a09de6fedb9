/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of xfrm.h, for xfrm.c (SAs and news) and xfrm_ways.c (policies). */
#ifndef LOADER_XFRM_INSIDE_H
#define LOADER_XFRM_INSIDE_H

#include "loader/xfrm.h"

/* What compares selectors for a child, to be found again when it is taken away. */
struct led {
	__u32 child;
	__u8 dir;    /* XIPSEC_DIR_* */
	__u32 if_id; /* 0: policies lead into the child */
	struct xfrm_sels sels;
};

struct xfrm {
	struct netlink nl;
	struct netlink events;
	struct netlink ends; /* of the SAs that we delete: what they counted at last */
	struct event *readable;
	xfrm_news_fn news;
	void *ctx;
	struct led **led;
	unsigned int n_led;
	bool link_passes; /* put_link_passes() was done */
};

/* Takes a policy away; one that is not there is no error. 0 or -errno. */
int xfrm_take(struct xfrm *xfrm, const struct xfrm_way *way);

#endif
