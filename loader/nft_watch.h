/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells when somebody touches the nftables table of hook_nft.h: `nft flush ruleset`, which is how
 * nftables.service loads its rules, takes every table away, ours too. */
#ifndef LOADER_NFT_WATCH_H
#define LOADER_NFT_WATCH_H

#include <event2/event.h>

struct nft_watch;

/* `changed` is called after each burst of changes, our own among them. 0 or -errno; ended by
 * nft_watch_free(). Where the kernel has no nftables, *out is NULL. */
int nft_watch_new(struct event_base *base, void (*changed)(void *ctx), void *ctx,
		  struct nft_watch **out);
void nft_watch_free(struct nft_watch *watch);

#endif
