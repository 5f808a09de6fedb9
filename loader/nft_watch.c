// SPDX-License-Identifier: BSD-2-Clause
#include "loader/nft_watch.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>
#include "lib/log.h"
#include "lib/netlink.h"

struct nft_watch {
	struct netlink events;
	struct event *readable;
	void (*changed)(void *ctx);
	void *ctx;
	bool ours; /* the burst has touched our table */
};

/* The first attribute of every message but NEWGEN is the name of the table. */
_Static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
		       NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_OBJ_TABLE == 1,
	       "one look tells the table");

static int on_event(const struct nlmsghdr *nlh, void *ctx)
{
	struct nft_watch *watch = ctx;
	struct nlattr *attr;

	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    NFNL_MSG_TYPE(nlh->nlmsg_type) == NFT_MSG_NEWGEN)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME &&
		    !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) &&
		    !strcmp(mnl_attr_get_str(attr), "xipsec"))
			watch->ours = true;
	}
	return MNL_CB_OK;
}

static void readable(evutil_socket_t fd, short what, void *ctx)
{
	struct nft_watch *watch = ctx;
	int err = netlink_events(&watch->events, on_event, watch);

	if (err && err != -ENOBUFS)
		log_warn("nftables events: %s", strerror(-err));
	if (watch->ours || err == -ENOBUFS)
		watch->changed(watch->ctx);
	watch->ours = false;
}

int nft_watch_new(struct event_base *base, void (*changed)(void *ctx), void *ctx,
		  struct nft_watch **out)
{
	struct nft_watch *watch = calloc(1, sizeof(*watch));
	int err;

	if (!watch)
		return -ENOMEM;
	watch->changed = changed;
	watch->ctx = ctx;
	err = netlink_open(NETLINK_NETFILTER, &watch->events);
	if (err) {
		free(watch);
		*out = NULL;
		return err == -EPROTONOSUPPORT ? 0 : err;
	}
	err = netlink_join(&watch->events, NFNLGRP_NFTABLES);
	watch->readable =
		event_new(base, netlink_fd(&watch->events), EV_READ | EV_PERSIST, readable, watch);
	if (!err && (!watch->readable || event_add(watch->readable, NULL) < 0))
		err = -ENOMEM;
	if (err) {
		nft_watch_free(watch);
		return err;
	}
	*out = watch;
	return 0;
}

void nft_watch_free(struct nft_watch *watch)
{
	if (!watch)
		return;
	if (watch->readable)
		event_free(watch->readable);
	netlink_close(&watch->events);
	free(watch);
}
