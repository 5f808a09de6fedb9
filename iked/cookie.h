/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cookies (RFC 7296 2.6): who can return one reads what is sent to its address. No state a peer:
 * octet of the secret's number, then HMAC-SHA-256(secret, Ni | IPi | port | SPIi).
 */
#ifndef IKED_COOKIE_H
#define IKED_COOKIE_H

#include "lib/buf.h"
#include "iked/env.h"

#define COOKIE_LEN    33
#define COOKIE_SECRET 32

struct cookies {
	__u8 secret[2][COOKIE_SECRET]; /* the newest, the one before it */
	__u8 version;                  /* of the newest */
	bool any;                      /* there is a newest */
	__u64 since;                   /* ms: the newest is as old as that */
};

/* Of the peer at path->remote. Makes a new secret when the newest is older than COOKIE_SECRET_MS.
 * 0 or -EIO (OpenSSL), -EINVAL (a nonce longer than IKE_NONCE_MAX). */
int cookie_make(struct cookies *cookies, const struct ike_env *env, const struct ike_path *path,
		__u64 spi_i, struct bytes nonce, __u8 out[COOKIE_LEN]);

/* Is it one of ours, for this peer, from the newest secret or the one before it? */
bool cookie_good(struct cookies *cookies, const struct ike_env *env, const struct ike_path *path,
		 __u64 spi_i, struct bytes nonce, struct bytes cookie);

void cookies_wipe(struct cookies *cookies);

#endif
