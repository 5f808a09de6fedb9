/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an IKE SA needs until it is up and never again: both IKE_SA_INIT messages, nonces, the key
 * exchange, where to try next. Gone when it is up.
 */
#ifndef IKED_SETUP_H
#define IKED_SETUP_H

#include "iked/bounds.h"
#include "iked/xchg.h"

struct ike_setup {
	struct table_link by_peer; /* a responder's: by spi_i */
	struct ike_sa *ike;
	bool halfopen;                   /* counted, by `path`, in by_peer and among the engine's */
	struct ike_setup *older, *newer; /* of those that are half open */
	struct ike_path path;            /* that IKE_SA_INIT came by */
	__u8 *own, *peer;                /* the IKE_SA_INIT messages that AUTH covers */
	size_t own_len, peer_len;
	struct nonce nonce_i, nonce_r;
	struct dh *dh;
	__u16 group;          /* of our KE payload */
	unsigned int retries; /* COOKIE and INVALID_KE_PAYLOAD that we followed */
	__u8 cookie[IKE_COOKIE_MAX];
	size_t cookie_len;
	__u32 hashes;             /* 1 << enum ike_hash: what the peer takes (RFC 7427) */
	bool fragments;           /* the peer takes them */
	bool certreq;             /* the peer asked for certificates */
	bool first_error_told;    /* an unprotected error was logged */
	unsigned int n_paths, at; /* to be tried */
	struct ike_path paths[IKE_PATHS_MAX];
};

/* 0 or -ENOMEM. */
int setup_new(struct ike_sa *ike);
void setup_free(struct ike_sa *ike);
/* A responder's is half open, as its path and SPI say; at HALFOPEN_MAX the oldest one goes of the
 * address that has most. 0; -ENOMEM; -EBUSY: the IKE_AUTH of each is being looked at. */
int setup_half(struct ike_setup *s);
/* An IKE_SA_INIT message, IKE_MESSAGE_MAX bytes at most; 0 or -ENOMEM. */
int setup_keep(__u8 **to, size_t *to_len, struct bytes message);

/* A new IKE SA of ours for that child: asks where the peer is, then IKE_SA_INIT. NULL: no memory,
 * or ENGINE_IKE_SAS_MAX; logged, and done() is told. */
struct ike_sa *setup_begin(struct engine *engine, struct ike_conn *conn,
			   const struct conn_child *child, __u64 ref);
/* One with all children of `old`, which goes when that is up (RFC 7296 2.8.3). */
void setup_reauth(struct ike_sa *old, __u64 ref);
/* The same by one of the peer's, which is up already: as soon as that has all its children, with
 * all their selectors; after a while it gets those that it does not have. */
void setup_follow(struct ike_sa *old, struct ike_sa *by);
/* Has children of `old` made on `fresh` that it does not have. */
void setup_fill(struct ike_sa *old, struct ike_sa *fresh);
/* Is all that `old` has, or is to get, on `fresh`, and do we send there? */
bool setup_has_all(const struct ike_sa *old, const struct ike_sa *fresh);
/* The same of the one that takes its place. */
bool setup_followed(const struct ike_sa *old);
/* It ends: if it was to take another one's place and did not, that is tried again. */
void setup_reauth_ended(struct ike_sa *ike);
/* It will not get up: the next path is tried, or the connection again later, or nothing. */
void setup_failed(struct ike_sa *ike, const char *why);
/* It is up, and nothing of what it was to bring is left to do. */
void setup_complete(struct ike_sa *ike);

#endif
